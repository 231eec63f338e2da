//! docs/manual/logging.md lists every event with its fields, and only those that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The levels and the fields of each event.
type Events = BTreeMap<(String, String), BTreeSet<String>>;

#[test]
fn the_manual_lists_every_event_and_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = Events::new();
    for entry in walkdir::WalkDir::new(root.join("src")) {
        let entry = entry.expect("the source tree can be walked");
        if entry.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).expect("sources are UTF-8");
        for (level, name) in
            [("error", "error"), ("warn", "warning"), ("info", "info"), ("debug", "debug"), ("trace", "trace")]
        {
            for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                let mut fields = fields(call).into_iter();
                let place = entry.path().display();
                let event = fields
                    .next()
                    .and_then(|field| Some(field.strip_prefix("event = \"")?.trim_end_matches('"').to_owned()));
                let event = event.unwrap_or_else(|| panic!("{place}: an event without a name: {call:.60}"));
                let known = used.entry((event, name.to_owned())).or_default();
                for field in fields {
                    // Rust's own form of a value is not stable, and would have to be parsed twice.
                    assert!(!field.contains("= ?") && !field.starts_with('?'), "{place}: {field}");
                    let name = field.split_once(" = ").map_or(field.as_str(), |(name, _)| name);
                    known.insert(name.trim_start_matches('%').to_owned());
                }
            }
        }
    }
    assert!(used.len() > 10, "{used:?}");
    let manual = fs::read_to_string(root.join("docs/manual/logging.md")).expect("the manual");
    let mut listed = Events::new();
    for line in manual.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // The other table explains fields.
        let [_, event, level, _, fields, _] = cells[..] else { continue };
        let fields = fields.split(',').map(|field| field.trim().trim_matches('`').to_owned());
        let fields = fields.filter(|field| !field.is_empty()).collect();
        listed.insert((event.trim_matches('`').to_owned(), level.to_owned()), fields);
    }
    for (event, fields) in &used {
        assert_eq!(listed.get(event), Some(fields), "{event:?}");
    }
    assert_eq!(used.len(), listed.len(), "the manual has events that are not in the sources");
}

/// The arguments of a call: what stands between its parentheses, at the commas that are in no others.
fn fields(call: &str) -> Vec<String> {
    let (mut depth, mut fields) = (0, vec![String::new()]);
    for c in call.chars() {
        match c {
            ')' if depth == 0 => break,
            ',' if depth == 0 => fields.push(String::new()),
            _ => {
                depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
                fields.last_mut().expect("one").push(c);
            }
        }
    }
    let fields = fields.iter().map(|field| field.split_whitespace().collect::<Vec<_>>().join(" "));
    fields.filter(|field| !field.is_empty()).collect()
}
