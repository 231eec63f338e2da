//! Maildir (maildir(5)) and its folders (Maildir++): one file for each message, whose name has its flags.

mod sink;
mod source;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use sink::MaildirSink;
pub(super) use sink::sync_folder;
pub use source::MaildirSource;
pub(super) use source::{read_limited, received};

use super::Flags;

/// The folder in a Maildir where the originals of messages are that were converted in place. It is no folder of mail.
pub const ORIGINALS: &str = "postseal-undo";

/// Whether `folder` is a Maildir, or a folder of one.
pub fn is_maildir(folder: &Path) -> bool {
    ["cur", "new"].iter().all(|name| folder.join(name).is_dir())
}

/// The folders of the Maildir++ at `root`, sorted, without itself.
///
/// # Errors
///
/// Those of reading the folder.
pub fn subfolders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let is_named = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_named && entry.file_type()?.is_dir() && is_maildir(&entry.path()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The part of a file's name that stays the same, and its flags with what stands before them: `:2,RS`.
pub fn split_name(name: &str) -> (&str, &str) {
    let at = name.rfind(":2,").or_else(|| name.rfind(":1,")).unwrap_or(name.len());
    name.split_at_checked(at).unwrap_or((name, ""))
}

/// The flags in `:2,RS`.
fn flags_of(info: &str) -> Flags {
    let letters = info.strip_prefix(":2,").unwrap_or_default();
    Flags {
        seen: letters.contains('S'),
        answered: letters.contains('R'),
        flagged: letters.contains('F'),
        deleted: letters.contains('T'),
        draft: letters.contains('D'),
    }
}

/// `:2,RS`; the letters in the order of ASCII, as programs expect them.
fn info_of(flags: Flags) -> String {
    let letters =
        [(flags.draft, 'D'), (flags.flagged, 'F'), (flags.answered, 'R'), (flags.seen, 'S'), (flags.deleted, 'T')];
    ":2,".chars().chain(letters.into_iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_written() {
        for name in ["1.M2P3.host", "1.M2P3.host,S=12,W=13", "odd:name"] {
            for info in [":2,", ":2,S", ":2,DFRST"] {
                assert_eq!(split_name(&format!("{name}{info}")), (name, info));
                assert_eq!(info_of(flags_of(info)), info);
            }
            assert_eq!(split_name(name), (name, ""));
        }
    }
}
