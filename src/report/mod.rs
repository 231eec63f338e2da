//! Views of an outcome: text for people, JSON for scripts, a tree for the curious.

pub mod authres;
mod json;
mod metrics;
mod text;
mod tree;

use std::collections::BTreeMap;

pub use json::{json, json_of_error};
pub use metrics::Metrics;
pub use text::{printable, text};
pub use tree::{Tree, tree};

use crate::{base::Error, mail::protect::Protection, verdict::Verdict};

/// What is known of one message, ready to be shown. Borrowed: a report makes nothing up.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The file's name as given, `-` for standard input.
    pub file: &'a str,
    /// The layers and who vouches for what.
    pub verdict: &'a Verdict,
    /// The subject that a reader should see, decoded.
    pub subject: Option<&'a str>,
    /// What became of each header field (RFC 9788).
    pub headers: &'a BTreeMap<String, Protection>,
    /// What the message holds that is no layer, one line each.
    pub notes: &'a [String],
    /// Why peeling stopped before the payload, if it did.
    pub error: Option<&'a Error>,
}

impl Report<'_> {
    /// What became of the field `name`.
    fn protection(&self, name: &str) -> Protection {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map_or(Protection::Unprotected, |(_, protection)| *protection)
    }
}
