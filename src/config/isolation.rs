//! `isolation`: how far the processes of `serve` are apart.

use super::{reader::Reader, table::Table};

/// How far the processes of the service are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything is done in one process.
    None,
    /// Mail is read in processes that hold no keys and can open nothing, as far as the kernel enforces that.
    #[default]
    Processes,
    /// The same, and the service does not start where the kernel does not enforce all of it.
    Required,
}

/// Reads it.
pub(super) fn read(reader: &Reader<'_>, root: &Table<'_>) -> Isolation {
    let known = [("none", Isolation::None), ("processes", Isolation::Processes), ("require", Isolation::Required)];
    reader.choice(root, "isolation", Isolation::default(), &known)
}
