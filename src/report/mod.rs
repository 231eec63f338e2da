//! Views of a verdict: text and pages for people, JSON for scripts, the tree of parts for inspection.

pub mod authres;
pub mod authserv;
mod day;
pub mod html;
mod json;
mod metrics;
mod text;
mod tree;
mod used_keys;

pub use json::{json, json_of_error};
pub use metrics::{
    Bounced, Cause, Counts, Ended, Enrolment, Fate, KeyFigures, Limit, Metrics, PassedCounts, Readiness, TenantMail,
    Waiting,
};
pub use text::text;

pub use crate::base::printable;
pub use tree::{Tree, tree};
pub use used_keys::{encryption_keys, signing_keys};

use crate::{
    base::Error,
    mail::{NoAuthor, header_protection::Header},
    verdict::{Layer, LayerKind, Standing, Verdict},
};

/// The results for one message, ready for display.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The file's name as given, `-` for standard input.
    pub file: &'a str,
    /// Which message it is in `file`, where that is a mailbox.
    pub id: Option<&'a str>,
    /// The layers and their signatures.
    pub verdict: &'a Verdict,
    /// The header to show, and the protection of each field (RFC 9788).
    pub header: &'a Header,
    /// Remarks on parts of the message that are not layers, one line each.
    pub notes: &'a [String],
    /// Why opening stopped before the payload, if it did.
    pub error: Option<&'a Error>,
    /// The reports on signed and encrypted messages that lie in this one, each by itself. They say nothing about this one.
    pub within: &'a [Report<'a>],
}

impl Report<'_> {
    /// Why there is no author, and why the message is not authentic, in one line.
    pub fn reason(&self) -> Option<String> {
        let author = self.verdict.author().err().map(|why| format!("no author: {why}"));
        let standing = self.verdict.reason().map(|reason| reason.to_string());
        match (author, standing) {
            (Some(author), Some(standing)) if author != standing => Some(format!("{author}; {standing}")),
            (author, standing) => author.or(standing),
        }
    }

    /// Whether the payload was encrypted in a way that does not detect changes (RFC 8551, section 6; EFAIL), and no
    /// signature inside covers it. A signature around the ciphertext does not count.
    fn is_malleable(&self) -> bool {
        let unauthenticated = |layer: &Layer| matches!(layer.kind, LayerKind::Encrypted { authenticated: false, .. });
        self.error.is_none()
            && self.verdict.standing() == Standing::Unsigned
            && self.verdict.layers().iter().any(unauthenticated)
    }

    /// The same as a code for scripts: the reason for a missing author comes first.
    fn reason_code(&self) -> Option<&'static str> {
        let author = self.verdict.author().err().map(NoAuthor::code);
        author.or_else(|| self.verdict.reason().map(|reason| reason.code()))
    }
}
