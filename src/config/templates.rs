//! The `[templates]` table: the texts of mail that is sent by itself, where no other table has them.

use std::path::PathBuf;

use super::{What, reader::Reader, table::Table};
use crate::{
    policy::{ListText, ListTexts},
    transport::{BOUNCE_PLACEHOLDERS, Template},
};

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

/// Reads `[templates]`. The texts of lists are read with it, as those of pages are.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> (Templates, ListTexts) {
    let Some(table) = root.table("templates") else { return Default::default() };
    let place = |path| What::Template(path, BOUNCE_PLACEHOLDERS);
    let bounce = table.string("bounce").map(|file| reader.place(&file, place));
    let mut texts = ListTexts::default();
    for which in ListText::ALL {
        let Some(file) = table.string(which.name()) else { continue };
        let path = reader.path(&file);
        if let Some(text) = reader.document.read(&file, |_| Template::read(&path, which.placeholders())) {
            texts = texts.with(which, text);
        }
    }
    table.finish();
    (Templates { bounce }, texts)
}
