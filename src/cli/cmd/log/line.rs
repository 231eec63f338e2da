//! One line of the service's log: logfmt or JSON, with or without what journalctl puts before it.

use serde_json::Value;

/// The fields of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it was written, as the log has it; empty when it does not say.
    pub(crate) time: String,
    /// In the order of the line.
    pub(crate) fields: Vec<(String, String)>,
}

impl Line {
    /// Parses a line; `None` for one that is no event.
    pub(crate) fn parse(text: &str) -> Option<Line> {
        let (before, fields) = match text.find('{') {
            Some(at) if is_label(text.get(..at)?) => {
                let Ok(Value::Object(object)) = serde_json::from_str(text.get(at..)?) else { return None };
                // journalctl -o json.
                if let Some(Value::String(message)) = object.get("MESSAGE") {
                    return Line::parse(message);
                }
                let fields = object.into_iter().map(|(key, value)| match value {
                    Value::String(value) => (key, value),
                    value => (key, value.to_string()),
                });
                (text.get(..at)?, fields.collect())
            }
            _ => {
                let at = ["time=", "level="].iter().filter_map(|word| position(text, word)).min()?;
                (text.get(..at)?, logfmt(text.get(at..)?)?)
            }
        };
        let line = Line { time: String::new(), fields };
        line.get("event")?;
        let written = line.get("time").or_else(|| line.get("timestamp")).map(str::to_owned);
        Some(Line { time: written.unwrap_or_else(|| journal_time(before)), ..line })
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The name of the event.
    pub(crate) fn event(&self) -> &str {
        self.get("event").unwrap_or_default()
    }

    /// Whether it names `wanted`: an id, a Message-ID with or without its brackets, an address, or a login.
    pub(crate) fn is_about(&self, wanted: &str) -> bool {
        let is_wanted = |value: &str| bare(value).eq_ignore_ascii_case(bare(wanted));
        self.fields.iter().any(|(key, value)| match key.as_str() {
            // Ids are compared as they are.
            "mail" | "queue_id" | "queued_as" => value == wanted,
            "message_id" => bare(value) == bare(wanted),
            "author" | "from" | "login" | "name" => !value.is_empty() && is_wanted(value),
            "to" => value.split(">,<").any(|one| is_wanted(one.trim_matches(['<', '>']))),
            _ => false,
        })
    }
}

/// Without angle brackets.
pub(crate) fn bare(value: &str) -> &str {
    value.strip_prefix('<').and_then(|value| value.strip_suffix('>')).unwrap_or(value)
}

/// Whether this may stand before a JSON line: nothing, or what journalctl writes.
fn is_label(before: &str) -> bool {
    before.trim().is_empty() || before.trim_end().ends_with(':')
}

/// Where a line begins with this word, after a label.
fn position(text: &str, word: &str) -> Option<usize> {
    let mut places = text.match_indices(word).map(|(at, _)| at);
    places.find(|at| text.get(..*at).is_some_and(is_label))
}

/// `Nov 29 21:00:00 host postseal[7]:` without the last two words.
fn journal_time(label: &str) -> String {
    let words: Vec<&str> = label.split_whitespace().collect();
    words.get(..words.len().saturating_sub(2)).unwrap_or_default().join(" ")
}

/// `key=value key="value with spaces"`; `None` for anything else.
fn logfmt(text: &str) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '"') {
            return None;
        }
        let end = if after.starts_with('"') { quoted_length(after)? } else { after.find(' ').unwrap_or(after.len()) };
        let value = after.get(..end)?;
        // The escapes are those of JSON.
        let value = if value.starts_with('"') { serde_json::from_str(value).ok()? } else { value.to_owned() };
        fields.push((key.to_owned(), value));
        rest = after.get(end..)?.trim_start();
    }
    Some(fields)
}

/// The length of the quoted string at the beginning.
fn quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return Some(at + 1),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_every_form() {
        let text = r#"level=info event=relayed to=<a@example.org>,<B@example.org> reply="250 \"x\" \\ é" relay_ms=3 mail=abc-1"#;
        let json = r#"{"timestamp":"T","level":"INFO","event":"relayed","to":"<a@example.org>,<B@example.org>","reply":"250 \"x\" \\ é","relay_ms":3,"mail":"abc-1"}"#;
        let journal_json = serde_json::json!({ "MESSAGE": text, "_PID": "7" }).to_string();
        for (written, time) in [
            (text.to_owned(), ""),
            (format!("time=T {text}"), "T"),
            (format!("Nov 29 21:00:00 mx postseal[7]: {text}"), "Nov 29 21:00:00"),
            (format!("2026-11-29T21:00:00+0000 mx postseal[7]: {text}"), "2026-11-29T21:00:00+0000"),
            (json.to_owned(), "T"),
            (format!("Nov 29 21:00:00 mx postseal[7]: {json}"), "T"),
            (journal_json, ""),
        ] {
            let line = Line::parse(&written).unwrap_or_else(|| panic!("{written}"));
            assert_eq!((line.event(), line.time.as_str()), ("relayed", time), "{written}");
            assert_eq!(line.get("reply"), Some(r#"250 "x" \ é"#));
            assert_eq!(line.get("relay_ms"), Some("3"));
            for wanted in ["abc-1", "a@example.org", "A@Example.Org", "<b@example.org>"] {
                assert!(line.is_about(wanted), "{wanted}");
            }
            for other in ["abc", "ABC-1", "example.org", "", "250"] {
                assert!(!line.is_about(other), "{other}");
            }
        }
    }

    #[test]
    fn other_lines_are_none() {
        for text in [
            "",
            "garbage",
            "level=info",
            "level=info event=\"x",
            "event=mail to=<a@example.org>",
            "say level=info event=mail",
            "{\"event\":\"mail\"",
            "{\"event\":7",
            "[1]",
            "x {\"event\":\"mail\"}",
            "time=T level=info =x event=mail",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
