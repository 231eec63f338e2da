//! A message with what is shown of it.

use super::{super::Report, keys::KeyNode, verdict::Next};
use crate::{
    mail::Message,
    verdict::{LayerKind, Verdict},
};

/// A message and what is shown of it.
#[derive(Clone, Debug)]
pub struct Exhibit<'a> {
    /// The verdict with its reasons.
    pub report: Report<'a>,
    /// The message as it came; without it no octets are shown.
    pub message: Option<&'a Message>,
    /// What the layers held; `None` when it could not be opened.
    pub payload: Option<&'a Message>,
    /// Which of the layers deeper in the message lie in the octets of the payload, by their place in [`Verdict::errant`]. Others came out of a layer.
    pub errant_in_payload: &'a [usize],
    /// The keys of the signatures.
    pub keys: &'a [KeyNode],
    /// What the reader can do next.
    pub next: Option<&'a Next>,
}

impl Exhibit<'_> {
    /// The payload, if it is signed and lies in the octets of the message as it came.
    pub(super) fn signed_here(&self) -> Option<&Message> {
        let (message, payload) = (self.message?, self.payload?);
        let is_signed =
            |verdict: &Verdict| verdict.layers().iter().any(|layer| matches!(layer.kind, LayerKind::Signed { .. }));
        (is_signed(self.report.verdict) && payload.shares_octets(message)).then_some(payload)
    }
}
