//! Entries in the forms that systems for security events read.

use serde_json::{Map, Value, json};

use super::entry::{Entry, Event};

/// A form of export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// ArcSight Common Event Format, version 0, one line for each entry ("Implementing ArcSight Common Event Format", version 26).
    Cef,
    /// Elastic Common Schema 8.11, one JSON object for each entry.
    Ecs,
}

/// The entry as one line with its line feed.
pub fn exported(entry: &Entry, form: Form) -> String {
    match form {
        Form::Cef => cef(entry),
        Form::Ecs => ecs(entry),
    }
}

fn cef(entry: &Entry) -> String {
    let facts = Value::Object(entry.facts.clone()).to_string();
    let user = entry.by.login.as_ref().or(entry.by.user.as_ref());
    let mut fields = vec![
        ("rt", entry.time.clone()),
        ("externalId", entry.number.to_string()),
        ("dvchost", entry.by.node.clone()),
        ("dvcpid", entry.by.pid.to_string()),
        ("suid", entry.by.uid.to_string()),
    ];
    fields.extend(user.map(|user| ("suser", user.clone())));
    fields.push(("sproc", entry.by.program.clone()));
    fields.extend(outcome(entry).map(|outcome| ("outcome", outcome.to_owned())));
    fields.extend([("cs1Label", "facts".to_owned()), ("cs1", facts), ("cs2Label", "hash".to_owned())]);
    fields.push(("cs2", entry.hash.clone()));
    let extension: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", extension(value))).collect();
    format!(
        "CEF:0|postseal|postseal|{}|{}|{}|{}|{}\n",
        header(env!("CARGO_PKG_VERSION")),
        header(&entry.event),
        header(name(&entry.event)),
        severity(&entry.event),
        extension.join(" ")
    )
}

fn ecs(entry: &Entry) -> String {
    let mut event = json!({
        "kind": "event", "action": entry.event, "sequence": entry.number, "hash": entry.hash, "module": "postseal",
        "dataset": "postseal.audit", "category": [category(&entry.event)], "type": [kind(&entry.event)],
    });
    if let (Some(event), Some(outcome)) = (event.as_object_mut(), outcome(entry)) {
        event.insert("outcome".to_owned(), outcome.into());
    }
    let mut user = Map::from_iter([("id".to_owned(), Value::from(entry.by.uid.to_string()))]);
    user.extend(entry.by.user.as_ref().map(|name| ("name".to_owned(), Value::from(name.as_str()))));
    let line = json!({
        "@timestamp": entry.time,
        "ecs": { "version": "8.11.0" },
        "message": name(&entry.event),
        "event": event,
        "host": { "hostname": entry.by.node },
        "user": user,
        "process": { "pid": entry.by.pid, "title": entry.by.program },
        "service": { "type": "postseal", "version": env!("CARGO_PKG_VERSION") },
        "postseal": { "facts": entry.facts, "previous": entry.prev, "login": entry.by.login },
    });
    format!("{line}\n")
}

/// A field of the header of CEF: `\` and `|` are escaped, and there are no line breaks.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

/// A value of the extension of CEF: `\`, `=` and line breaks are escaped.
fn extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n")
}

fn name(event: &str) -> &str {
    match event {
        "begin" | "continue" => "The audit log begins",
        "decision" => "The policy decided on a message",
        "not-done" => "A change was not made",
        "recover" => "The audit log goes on after an interruption",
        _ => "Keys or trust were changed",
    }
}

/// From 0 to 10.
fn severity(event: &str) -> u8 {
    match event {
        "begin" | "continue" | "decision" => 1,
        "master" | "recover" | "remove" | "revoke" | "trust" | "untrust" => 6,
        _ => 3,
    }
}

/// `event.category` of ECS, from its list of allowed values.
fn category(event: &str) -> &'static str {
    if event == Event::Decision.name() { "email" } else { "configuration" }
}

/// `event.type` of ECS, from its list of allowed values.
fn kind(event: &str) -> &'static str {
    match event {
        "decision" | "begin" | "continue" | "recover" | "not-done" => "info",
        "generate" | "import" | "enrol" | "provision" | "issue" => "creation",
        "remove" => "deletion",
        _ => "change",
    }
}

fn outcome(entry: &Entry) -> Option<&'static str> {
    let failed = entry.event == Event::NotDone.name() || entry.facts.contains_key("failed");
    (entry.event != Event::Recover.name()).then_some(if failed { "failure" } else { "success" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two escape rules of CEF differ.
    #[test]
    fn cef_escapes() {
        assert_eq!(header("a|b\\c=d\ne"), "a\\|b\\\\c=d e");
        assert_eq!(extension("a|b\\c=d\r\ne"), "a|b\\\\c\\=d\\r\\ne");
    }
}
