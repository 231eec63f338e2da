//! The `[audit]` table.

use std::path::PathBuf;

use super::{reader::Reader, table::Table};

/// What is written into the audit log. Changes of keys and trust always are, where the home has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The file; `None`: `audit.log` in the home.
    pub path: Option<PathBuf>,
    /// Whether decisions on mail are written.
    pub decisions: Decisions,
}

/// Whether decisions on mail are written into the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decisions {
    /// They are not.
    Left,
    /// They are; where that fails, the mail goes on.
    Written,
    /// They are; where that fails, the mail is put off.
    Required,
}

/// Reads `[audit]`.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> Option<Audit> {
    let table = root.table("audit")?;
    let path = table.string("path").map(|path| reader.path(&path));
    let is_written = table.truth("decisions").unwrap_or(true);
    let is_required = table.truth("required").unwrap_or_default();
    if is_required && !is_written {
        reader.document.error(table.line_of("required"), "audit: required is about decisions, and decisions = false");
    }
    table.finish();
    let decisions = match (is_written, is_required) {
        (false, _) => Decisions::Left,
        (true, false) => Decisions::Written,
        (true, true) => Decisions::Required,
    };
    Some(Audit { path, decisions })
}
