//! What all sections of the file share while it is read.

use std::path::{Path, PathBuf};

use super::{
    Grade, Mention, Problem, SecretFrom, What,
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
    pub(super) file: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) texts: &'a Texts,
    pub(super) mentions: Vec<Mention>,
    /// Of the file of a tenant: what it may name.
    pub(super) own: Option<Own>,
}

/// What the file of a tenant may name: places in its folder, and credentials that begin with its name.
pub(super) struct Own {
    pub(super) name: String,
    /// Without links.
    pub(super) folder: PathBuf,
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
            (Some(file), None) => SecretFrom::File(self.path(&file)),
            (None, Some(name)) => {
                if let Some(Own { name: tenant, .. }) = &self.own
                    && !name.value.strip_prefix(tenant).is_some_and(|rest| rest.starts_with('.'))
                {
                    let message =
                        format!("{key}: credential {:?}: those of this tenant begin with \"{tenant}.\"", name.value);
                    self.document.error(name.line, message);
                }
                SecretFrom::Credential(name.value)
            }
            _ => {
                self.document.error(line, format!("{key}: either {{ file = ... }} or {{ credential = ... }}"));
                return None;
            }
        };
        self.mentions.push(Mention { line, what: What::Secret(secret.clone()) });
        Some(secret)
    }

    /// Where the file means. The file of a tenant means places in its own folder only.
    pub(super) fn path(&self, text: &Located<String>) -> PathBuf {
        let path = self.directory.join(&text.value);
        if let Some(own) = &self.own
            && !own.has(text, &path)
        {
            let message = format!("{}: not in {}, the folder of tenant {}", text.value, own.folder.display(), own.name);
            self.document.error(text.line, message);
        }
        path
    }

    pub(super) fn place(&mut self, text: &Located<String>, what: impl FnOnce(PathBuf) -> What) -> PathBuf {
        let path = self.path(text);
        self.mentions.push(Mention { line: text.line, what: what(path.clone()) });
        path
    }
}

/// The first error of a file.
pub(super) fn first_error(path: &Path, problems: &[Problem]) -> Error {
    let path = path.display();
    let Some(problem) = problems.iter().find(|problem| problem.grade == Grade::Error) else {
        return Error::new(Kind::Config, format!("{path}: cannot be used"));
    };
    let line = if problem.line == 0 { String::new() } else { format!(":{}", problem.line) };
    let error = Error::new(Kind::Config, format!("{path}{line}: {}", problem.message));
    problem.hint.iter().cloned().fold(error, Error::with_hint)
}

/// A login name.
pub(super) fn login(text: &str) -> Result<Login> {
    Login::new(text).ok_or_else(|| Error::new(Kind::Config, format!("{text:?}: not a login name")))
}
