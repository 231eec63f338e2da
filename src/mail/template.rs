//! The text of a mail that is written by itself: a subject and a text with placeholders.

use crate::base::printable;

/// The subject and the text of a mail, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    subject: Vec<Piece>,
    text: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static str),
}

impl Template {
    /// Reads a template: `Subject: ...`, an empty line, and the text. Each of the names in `known` is a placeholder: `{id}`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str, known: &[&'static str]) -> std::result::Result<Template, String> {
        let text = text.replace("\r\n", "\n");
        let parts = text.split_once("\n\n").and_then(|(head, text)| Some((head.strip_prefix("Subject:")?, text)));
        let (subject, text) = parts.ok_or("not \"Subject: ...\", an empty line, and a text")?;
        if subject.contains(char::is_control) {
            return Err("a subject with a control character, or another field".to_owned());
        }
        Ok(Template { subject: pieces(subject.trim(), known)?, text: pieces(text, known)? })
    }

    /// The subject and the text. `value` is what stands for a placeholder; one in `lines` is several lines, each of which is printed as one.
    pub(crate) fn filled(&self, value: impl Fn(&str) -> String, lines: &[(&str, Vec<String>)]) -> (String, String) {
        let subject: String = filled(&self.subject, &value).chars().take(MAX_SUBJECT).collect();
        let one = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => match lines.iter().find(|(known, _)| known == name) {
                Some((_, lines)) => lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"),
                None => printable(&value(name)),
            },
        };
        let text: String = self.text.iter().map(one).collect();
        (subject, text.replace('\n', "\r\n") + "\r\n")
    }
}

/// Text and placeholders. `{` stands for itself where no name and `}` follow.
fn pieces(text: &str, known: &[&'static str]) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let name = after.split_once('}').filter(|(name, _)| name.bytes().all(|octet| octet.is_ascii_lowercase()));
        let Some((name, behind)) = name else {
            pieces.push(Piece::Text(format!("{before}{{")));
            rest = after;
            continue;
        };
        pieces.push(Piece::Text(before.to_owned()));
        let value = known.iter().copied().find(|one| *one == name).ok_or_else(|| {
            let known: Vec<String> = known.iter().map(|one| format!("{{{one}}}")).collect();
            format!("unknown placeholder {{{name}}}; known are {}", known.join(" "))
        })?;
        pieces.push(Piece::Value(value));
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn filled(pieces: &[Piece], value: &impl Fn(&str) -> String) -> String {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value(name) => printable(&value(name)),
    };
    pieces.iter().map(one).collect()
}

/// Characters, of four octets at most; see [`Draft::message`](super::compose::Draft::message).
const MAX_SUBJECT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_with_errors_are_refused() {
        for (template, why) in [
            ("no subject\n\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\nBcc: eve@x.org\n\ntext", "a subject with a control character, or another field"),
            ("Subject: {body}\n\ntext", "unknown placeholder {body}; known are {from} {to}"),
        ] {
            assert_eq!(Template::parse(template, &["from", "to"]).unwrap_err(), why);
        }
    }
}
