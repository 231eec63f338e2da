//! From the received message to the new one, with the edits of the milter protocol.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::Response;
use crate::mail::{Message, header::Field};

/// Whether the space after a field's colon is part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// It is not: the MTA removes one from received fields, and adds one to new fields.
    Mta,
    /// It is (SMFIP_HDR_LEADSPC).
    Value,
}

/// The edits that turn `old` into `new`. They are minimal if fields were only deleted, or inserted at the top or at the end.
///
/// Edits of existing fields come first, from the last occurrence of each name to its first, so that it does not matter whether the MTA counts
/// deleted fields.
pub(super) fn edits(old: &Message, new: &Message, space: Space) -> Vec<Response> {
    let (old, new) = (old.root(), new.root());
    let mut edits = header_edits(old.fields(), new.fields(), space);
    if old.body() != new.body() {
        edits.push(Response::ReplaceBody(new.body().to_vec()));
    }
    edits
}

/// The fields of one name, old and new in order; new ones with their position in the header.
#[derive(Default)]
struct Namesakes<'a> {
    old: Vec<Field<'a>>,
    new: Vec<(usize, Field<'a>)>,
}

fn header_edits<'a>(
    old: impl Iterator<Item = Field<'a>>,
    new: impl Iterator<Item = Field<'a>>,
    space: Space,
) -> Vec<Response> {
    let mut names: BTreeMap<String, Namesakes<'a>> = BTreeMap::new();
    for field in old.filter(|field| !field.name.is_empty()) {
        names.entry(field.name.to_ascii_lowercase()).or_default().old.push(field);
    }
    for (place, field) in new.enumerate().filter(|(_, field)| !field.name.is_empty()) {
        names.entry(field.name.to_ascii_lowercase()).or_default().new.push((place, field));
    }

    let (mut edits, mut staying) = (Vec::new(), BTreeSet::new());
    let (mut above, mut anywhere) = (BTreeMap::new(), BTreeMap::new());
    for (name, Namesakes { old, new }) in names {
        // Our Authentication-Results field goes on top (RFC 8601, section 4.1).
        if let ([one], [(place, other)]) = (old.as_slice(), new.as_slice())
            && name != "authentication-results"
        {
            staying.insert(*place);
            edits.extend((!same(one, other)).then(|| change(1, other, space)));
            continue;
        }
        // The longest tail of the new fields that is a subsequence of the old ones.
        let mut coming = new.as_slice();
        let mut index = u32::try_from(old.len()).unwrap_or(u32::MAX);
        for field in old.iter().rev() {
            match coming.split_last() {
                Some(((place, last), rest)) if same(last, field) => {
                    staying.insert(*place);
                    coming = rest;
                }
                _ => edits.push(delete(index, field)),
            }
            index = index.saturating_sub(1);
        }
        let has_namesakes_below = coming.len() < new.len();
        let inserted = if has_namesakes_below { &mut above } else { &mut anywhere };
        inserted.extend(coming.iter().copied());
    }
    let top = staying.first().copied().unwrap_or_default();
    let below = anywhere.split_off(&top);
    above.extend(anywhere);
    edits.extend(above.values().rev().map(|field| {
        let (name, value) = wired(field, space);
        Response::InsertHeader { name, value }
    }));
    edits.extend(below.values().map(|field| {
        let (name, value) = wired(field, space);
        Response::AddHeader { name, value }
    }));
    edits
}

fn same(one: &Field<'_>, other: &Field<'_>) -> bool {
    one.name == other.name && one.value == other.value
}

fn change(index: u32, field: &Field<'_>, space: Space) -> Response {
    let (name, value) = wired(field, space);
    Response::ChangeHeader { index, name, value }
}

fn delete(index: u32, field: &Field<'_>) -> Response {
    Response::ChangeHeader { index, name: field.name.into(), value: Vec::new() }
}

/// Name and value in the form of the protocol. libmilter's smfi_addheader: the lines of a folded value end in LF alone.
fn wired(field: &Field<'_>, space: Space) -> (Vec<u8>, Vec<u8>) {
    let mut value: Vec<u8> = field.value.iter().copied().filter(|octet| *octet != b'\r').collect();
    if space == Space::Mta && matches!(value.first(), Some(b' ' | b'\t')) {
        value.remove(0);
    }
    // An empty value would delete the field.
    if value.is_empty() {
        value.push(b' ');
    }
    (field.name.into(), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn message(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let edits = edits(&message(old), &message(new), Space::Value);
        let told = edits.iter().map(|edit| match edit {
            Response::AddHeader { name, value } => format!("add {}:{}", text(name), text(value)),
            Response::ChangeHeader { index, name, value } => format!("change {index} {}:{}", text(name), text(value)),
            Response::InsertHeader { name, value } => format!("insert {}:{}", text(name), text(value)),
            Response::ReplaceBody(body) => format!("body {}", text(body)),
            other => panic!("{other:?} is no edit of a message"),
        });
        told.collect()
    }

    #[test]
    fn nothing_is_edited_when_nothing_changed() {
        let text = "Received: 1\r\nReceived: 2\r\nSubject: x\r\n y\r\n\r\nbody\r\n";
        assert_eq!(told(text, text), Vec::<String>::new());
        // Lines that are no fields cannot be named on the wire.
        assert_eq!(told("no field\r\nA: 1\r\n\r\n", "A: 1\r\n\r\n"), Vec::<String>::new());
    }

    #[test]
    fn forged_results_go_and_ours_stands_on_top() {
        let old = "Received: 1\r\nAuthentication-Results: mx.x.org; none\r\nAuthentication-Results: other; none\r\nSubject: s\r\n\r\nb";
        let new = "Authentication-Results: mx.x.org; smime=pass\r\nReceived: 1\r\nAuthentication-Results: other; none\r\nSubject: s\r\n\r\nb";
        assert_eq!(
            told(old, new),
            ["change 1 Authentication-Results:", "insert Authentication-Results: mx.x.org; smime=pass"]
        );
        let forged = "Received: 1\r\nAuthentication-Results: mx; pass\r\nA: b\r\n\r\n";
        let judged = "Authentication-Results: mx; none\r\nReceived: 1\r\nA: b\r\n\r\n";
        assert_eq!(
            told(forged, judged),
            ["change 1 Authentication-Results:", "insert Authentication-Results: mx; none"]
        );
    }

    #[test]
    fn sealing_changes_in_place_and_adds() {
        let old = "Received: 1\r\nSubject: secret\r\nContent-Type: text/plain\r\n\r\nhello\r\n";
        let new = "Received: 1\r\nSubject: [...]\r\nContent-Type: multipart/encrypted;\r\n boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b--\r\n";
        assert_eq!(
            told(old, new),
            [
                "change 1 Content-Type: multipart/encrypted;\n boundary=b",
                "change 1 Subject: [...]",
                "add MIME-Version: 1.0",
                "body --b--\r\n",
            ]
        );
    }

    #[test]
    fn deletions_start_at_the_last() {
        assert_eq!(
            told("A: 1\r\nA: 2\r\nA: 3\r\nB: 4\r\n\r\n", "A: 2\r\nB: 4\r\n\r\n"),
            ["change 3 A:", "change 1 A:"]
        );
        assert_eq!(told("A: 1\r\nB: 2\r\n\r\n", "B:\r\nA: 1\r\n\r\n"), ["change 1 B: "]);
    }

    #[test]
    fn tops_keep_their_order() {
        assert_eq!(
            told("B: 2\r\n\r\n", "X: 1\r\nY: 2\r\nB: 1\r\nB: 2\r\n\r\n"),
            ["insert B: 1", "insert Y: 2", "insert X: 1"]
        );
    }

    #[test]
    fn the_mta_may_write_the_space() {
        let edits = edits(&message("A: 1\n\n"), &message("A: 2\n\n"), Space::Mta);
        assert_eq!(edits, [Response::ChangeHeader { index: 1, name: b"A".into(), value: b"2".into() }]);
    }
}
