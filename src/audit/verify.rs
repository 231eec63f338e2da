//! Whether a log is the chain that was written.

use serde_json::Value;

use super::entry::{Entry, Event, Head};
use crate::{
    base::{Secret, hex},
    crypto::Hash,
};

/// What [`verify`] found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// How many entries there are.
    pub entries: usize,
    /// The number of the first one, and the hash that it goes on from.
    pub first: Option<Head>,
    /// The end of the chain.
    pub head: Option<Head>,
    /// How many entries have a code.
    pub codes: usize,
    /// What is wrong, and what was interrupted, in the order of lines.
    pub findings: Vec<Finding>,
}

/// Something about one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it is, in a few words.
    pub reason: String,
    /// How bad it is.
    pub grade: Grade,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The chain does not hold.
    Broken,
    /// A writer was interrupted, and the entry after it says so: no entry is missing.
    Interrupted,
}

impl Checked {
    /// Whether the chain holds.
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade != Grade::Broken)
    }
}

/// Checks files of a log, the oldest first, each with a name and its octets. With `key`, each code is checked too.
///
/// That entries are missing at the end, or before the first one, cannot be seen from the files alone: compare [`Checked::head`] and
/// [`Checked::first`] with what is known from elsewhere.
pub fn verify(files: &[(&str, &[u8])], key: Option<&Secret>) -> Checked {
    let mut checked = Checked::default();
    for (file, octets) in files {
        let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
        for (at, line) in lines.iter().enumerate() {
            let mut found = Found { file, line: at + 1, findings: &mut checked.findings };
            let Some(whole) = line.strip_suffix(b"\n") else {
                found.add(Grade::Interrupted, "torn: its end is missing");
                continue;
            };
            let next = lines.get(at + 1).and_then(|next| next.strip_suffix(b"\n")).unwrap_or_default();
            if says_torn(next, whole) {
                found.add(Grade::Interrupted, "torn, and the next line says so");
                continue;
            }
            let entry = match Entry::read(whole) {
                Ok(entry) => entry,
                Err(reason) => {
                    found.add(Grade::Broken, &reason);
                    continue;
                }
            };
            check(&entry, checked.head.as_ref(), key, checked.codes > 0, &mut found);
            checked.entries += 1;
            checked.codes += usize::from(entry.has_code());
            let before = || Head { number: entry.number.saturating_sub(1), hash: entry.prev.clone() };
            checked.first.get_or_insert_with(before);
            checked.head = Some(entry.head());
        }
    }
    checked
}

struct Found<'a> {
    file: &'a str,
    line: usize,
    findings: &'a mut Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, grade: Grade, reason: &str) {
        self.findings.push(Finding { file: self.file.to_owned(), line: self.line, reason: reason.to_owned(), grade });
    }
}

/// An entry beside the one before it.
fn check(entry: &Entry, before: Option<&Head>, key: Option<&Secret>, had_code: bool, found: &mut Found<'_>) {
    let first = Head::none();
    // Where the first file is not here, its hash is taken as it stands.
    let before = before.or((entry.number <= 1).then_some(&first));
    if let Some(before) = before {
        let expected = before.number + 1;
        if entry.number != expected {
            let reason = match entry.number > expected {
                true => {
                    format!("entry {}: entries {expected} to {} before it are missing", entry.number, entry.number - 1)
                }
                false => format!("entry {}: after entry {}, and not in its place", entry.number, before.number),
            };
            found.add(Grade::Broken, &reason);
        } else if entry.prev != before.hash {
            found.add(
                Grade::Broken,
                &format!("entry {}: the one before it is not the one it was written after", entry.number),
            );
        }
    }
    if entry.event == Event::Recover.name() {
        if let Some(until) = entry.facts.get("lost_until").and_then(Value::as_u64) {
            let what = match until >= entry.number {
                true => format!("entries {} to {until} were lost", entry.number),
                false => format!("the log up to entry {until} was lost"),
            };
            found.add(Grade::Broken, &format!("entry {}: {what} before it", entry.number));
        }
        if entry.facts.contains_key("unreadable_sha256") {
            found.add(Grade::Broken, &format!("entry {}: written after a line that could not be read", entry.number));
        }
    }
    match key {
        Some(key) if entry.has_code() && !entry.fits(key) => {
            found.add(Grade::Broken, &format!("entry {}: its code is not of this home", entry.number));
        }
        Some(_) if !entry.has_code() && had_code => {
            found.add(Grade::Broken, &format!("entry {}: without the code that entries before it have", entry.number));
        }
        _ => {}
    }
}

/// Whether the line `next` names this one as torn: it is not an entry then, even where nothing but its line feed is missing.
fn says_torn(next: &[u8], line: &[u8]) -> bool {
    if memchr::memmem::find(next, TORN.as_bytes()).is_none() {
        return false;
    }
    let Ok(next) = Entry::read(next) else { return false };
    let digest = next.facts.get(TORN).and_then(Value::as_str);
    next.event == Event::Recover.name() && digest == Some(hex(&Hash::Sha256.digest(line)).as_str())
}

const TORN: &str = "torn_sha256";
