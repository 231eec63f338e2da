//! Views of an outcome: text for people, JSON for scripts, a tree for the curious.

pub mod authres;
pub mod authserv;
mod json;
mod metrics;
mod text;
mod tree;

pub use json::{json, json_of_error};
pub use metrics::Metrics;
pub use text::{printable, text};
pub use tree::{Tree, tree};

use crate::{
    base::Error,
    mail::{NoAuthor, header_protection::Header},
    verdict::Verdict,
};

/// What is known of one message, ready to be shown. Borrowed: a report makes nothing up.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The file's name as given, `-` for standard input.
    pub file: &'a str,
    /// The layers and who vouches for what.
    pub verdict: &'a Verdict,
    /// The header that a reader should see, and what covers each field (RFC 9788).
    pub header: &'a Header,
    /// What the message holds that is no layer, one line each.
    pub notes: &'a [String],
    /// Why peeling stopped before the payload, if it did.
    pub error: Option<&'a Error>,
}

impl Report<'_> {
    /// Why there is no author, or why the message is not authentic: one line, both when there are both.
    pub fn reason(&self) -> Option<String> {
        let author = self.verdict.author().err().map(|why| format!("no author: {why}"));
        let standing = self.verdict.reason().map(|reason| reason.to_string());
        match (author, standing) {
            (Some(author), Some(standing)) if author != standing => Some(format!("{author}; {standing}")),
            (author, standing) => author.or(standing),
        }
    }

    /// The same in a word for scripts: the author's, where it is missing.
    fn reason_code(&self) -> Option<&'static str> {
        let author = self.verdict.author().err().map(NoAuthor::code);
        author.or_else(|| self.verdict.reason().map(|reason| reason.code()))
    }
}
