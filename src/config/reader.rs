//! What all sections of the file share while it is read.

use std::path::{Path, PathBuf};

use super::{
    Mention, SecretFrom, What,
    table::{Document, Located, Table},
    texts::Texts,
};
use crate::{
    base::{Error, Kind, Result},
    mail::Login,
    policy::Pattern,
};

/// What is read so far, for all sections.
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) path: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) texts: &'a Texts,
    pub(super) mentions: Vec<Mention>,
}

impl Reader<'_> {
    pub(super) fn patterns(&self, texts: &[Located<String>]) -> Vec<Pattern> {
        texts.iter().filter_map(|text| self.document.read(text, Pattern::parse)).collect()
    }

    /// One of several words, or the default.
    pub(super) fn choice<T: Copy>(
        &self,
        table: &Table<'_>,
        key: &'static str,
        default: T,
        known: &[(&'static str, T)],
    ) -> T {
        table.string(key).and_then(|text| self.document.word(&text, key, known)).unwrap_or(default)
    }

    /// `{ file = "..." }` or `{ credential = "..." }`.
    pub(super) fn secret(&mut self, root: &Table<'_>, key: &'static str) -> Option<SecretFrom> {
        let table = root.table(key)?;
        let (file, credential) = (table.string("file"), table.string("credential"));
        let line = table.line;
        table.finish();
        let secret = match (file, credential) {
            (Some(file), None) => SecretFrom::File(self.directory.join(file.value)),
            (None, Some(name)) => SecretFrom::Credential(name.value),
            _ => {
                self.document.error(line, format!("{key}: either {{ file = ... }} or {{ credential = ... }}"));
                return None;
            }
        };
        self.mentions.push(Mention { line, what: What::Secret(secret.clone()) });
        Some(secret)
    }

    pub(super) fn place(&mut self, text: &Located<String>, what: impl FnOnce(PathBuf) -> What) -> PathBuf {
        let path = self.directory.join(&text.value);
        self.mentions.push(Mention { line: text.line, what: what(path.clone()) });
        path
    }
}

/// A login name.
pub(super) fn login(text: &str) -> Result<Login> {
    Login::new(text).ok_or_else(|| Error::new(Kind::Config, format!("{text:?}: not a login name")))
}
