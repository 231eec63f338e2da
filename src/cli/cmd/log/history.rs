//! The lines of one mail as a short tree, or as JSON.

use std::fmt::Write;

use postseal::report::printable;
use serde_json::{Map, Value, json};

use super::line::Line;

/// What the log has of one mail, or of a connection without a mail.
pub(super) struct History {
    /// The id of the mail, or of the connection.
    pub(super) id: String,
    /// In the order of the log, those of the connection first.
    pub(super) lines: Vec<Line>,
}

impl History {
    /// One line: `{"id":...,"lines":[...]}`.
    pub(super) fn json(&self) -> String {
        let object = |line: &Line| {
            let fields = line.fields.iter().filter(|(key, _)| key != "time" && key != "timestamp");
            let mut object: Map<String, Value> =
                fields.map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
            object.insert("time".to_owned(), Value::String(line.time.clone()));
            Value::Object(object)
        };
        let lines: Vec<Value> = self.lines.iter().map(object).collect();
        format!("{}\n", json!({ "id": self.id, "lines": lines }))
    }

    /// The id, the time and the listener, then a branch for each event.
    pub(super) fn text(&self) -> String {
        let first = self.lines.first();
        let time = first.map(|line| line.time.as_str()).unwrap_or_default();
        let listener = first.and_then(|line| line.get("listener")).unwrap_or_default();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", printable(&self.id), printable(format!("{time} {listener}").trim()));
        // Its facts are for programs.
        let shown = self.lines.iter().filter(|line| line.event() != "decided");
        let branches: Vec<String> = shown.map(branch).chain(self.times()).collect();
        for (at, branch) in branches.iter().enumerate() {
            let sign = if at + 1 == branches.len() { "└─" } else { "├─" };
            let _ = writeln!(text, "{sign} {}", printable(branch));
        }
        text
    }

    /// The time spent in each step.
    fn times(&self) -> Option<String> {
        let steps = ["receive_ms", "wait_ms", "open_ms", "resolve_ms", "seal_ms", "relay_ms"];
        let spent = steps.iter().filter_map(|step| {
            let value = self.lines.iter().rev().find_map(|line| line.get(step))?;
            Some(format!("{} {value}", step.trim_end_matches("_ms")))
        });
        let spent: Vec<String> = spent.collect();
        (!spent.is_empty()).then(|| format!("milliseconds: {}", spent.join(", ")))
    }
}

/// One event in words.
fn branch(line: &Line) -> String {
    let words = match line.event() {
        "mail" => {
            let mut words = sequence(line, &["to", "direction", "rule", "obstacle", "action", "disposition", "reason"]);
            words += &sequence(line, &["standing", "standing_reason", "author", "signer", "encrypted_for"]);
            words + &sequence(line, &["signed_with", "encrypted_with"])
        }
        "received" => sequence(line, &["client", "helo", "tls", "login", "from", "message_id", "octets", "queue_id"]),
        _ => {
            let is_shown = |key: &str| !COMMON.contains(&key) && !key.ends_with("_ms");
            let keys = line.fields.iter().map(|(key, _)| key.as_str()).filter(|key| is_shown(key));
            let mut keys: Vec<&str> = keys.collect();
            // JSON has no order.
            keys.sort_by_key(|key| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
            sequence(line, &keys)
        }
    };
    format!("{}{words}", line.event())
}

/// ` NAME VALUE` for each of these fields that the line has.
fn sequence(line: &Line, names: &[&str]) -> String {
    let pairs = names.iter().filter_map(|name| Some((name, line.get(name)?)));
    pairs.fold(String::new(), |mut text, (name, value)| {
        let quotes = if value.is_empty() || value.contains(' ') { "\"" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "  {} {quotes}{value}{quotes}", name.replace('_', " "));
        text
    })
}

/// Fields that are shown before others.
const FIRST: [&str; 5] = ["to", "by", "kind", "queued_as", "response"];

/// Fields that each line of a mail has.
const COMMON: [&str; 8] = ["event", "level", "listener", "mail", "queue_id", "session", "time", "timestamp"];
