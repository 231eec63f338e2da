//! The `[templates]` table: the texts of mail that is sent by itself, where no other table has them.

use std::path::PathBuf;

use super::{What, reader::Reader, table::Table};
use crate::transport::BOUNCE_PLACEHOLDERS;

/// Whether senders are notified of recipients who get nothing while others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounces {
    /// They are not: the client is told to try again.
    Off,
    /// They are, where the sender cannot be forged.
    On,
}

/// Files with texts; `None`: a text of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// Of notifications to senders.
    pub bounce: Option<PathBuf>,
}

/// Reads `[templates]`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> Templates {
    let Some(table) = root.table("templates") else { return Templates::default() };
    let place = |path| What::Template(path, BOUNCE_PLACEHOLDERS);
    let bounce = table.string("bounce").map(|file| reader.place(&file, place));
    table.finish();
    Templates { bounce }
}
