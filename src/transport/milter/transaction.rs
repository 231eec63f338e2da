//! One message as the MTA tells it, put together octet by octet within bounds.

use std::collections::HashSet;

use super::{edits::Space, wire::Refusal};
use crate::{
    base::{Budget, Limits, Result},
    mail::{Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
};

/// What is known of one message so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The MTA's name for it, for the log.
    pub(super) queue_id: String,
    /// The reverse-path.
    pub(super) sender: ReversePath,
    /// Every recipient as the MTA wrote him, and who that is.
    pub(super) recipients: Vec<(Vec<u8>, ForwardPath)>,
    pub(super) submitter: Submitter,
    pub(super) octets: Vec<u8>,
    is_header_over: bool,
    /// Why it is refused when it is over; nothing more is kept of it then.
    pub(super) refusal: Option<Refusal>,
}

impl Transaction {
    /// Nothing but its sender is known yet.
    pub(super) fn new(queue_id: String, sender: ReversePath, submitter: Submitter) -> Transaction {
        Transaction { queue_id, sender, submitter, ..Transaction::default() }
    }

    /// The mail as it came.
    ///
    /// # Errors
    ///
    /// `Malformed` when the message goes over a bound.
    pub(super) fn mail(&mut self, limits: &Limits) -> Result<Mail> {
        let message = Message::parse(std::mem::take(&mut self.octets), &mut Budget::new(limits.clone()))?;
        let mut recipients: Vec<ForwardPath> = Vec::new();
        let mut known = HashSet::new();
        for (_, path) in &self.recipients {
            if known.insert(&path.address) {
                recipients.push(path.clone());
            }
        }
        let envelope = Envelope { sender: self.sender.clone(), recipients };
        Ok(Mail { envelope, submitter: self.submitter.clone(), message })
    }

    /// A field as the MTA tells it; `space` says who writes the space after its colon.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8], space: Space) {
        self.append(name);
        self.append(if space == Space::Mta { b": " } else { b":" });
        for (at, line) in value.split(|octet| *octet == b'\n').enumerate() {
            self.append(if at == 0 { b"" } else { b"\r\n" });
            self.append(line.strip_suffix(b"\r").unwrap_or(line));
        }
        self.append(b"\r\n");
    }

    /// The empty line, once.
    pub(super) fn end_header(&mut self) {
        if !std::mem::replace(&mut self.is_header_over, true) {
            self.append(b"\r\n");
        }
    }

    /// More octets, unless it is refused.
    pub(super) fn append(&mut self, octets: &[u8]) {
        if self.refusal.is_none() {
            self.octets.extend_from_slice(octets);
        }
    }

    /// Refuses it when so far it has more octets than `limit`.
    pub(super) fn keep_within(&mut self, limit: usize, what: &str) {
        if self.octets.len() > limit {
            // RFC 3463, section 3.4: message too big for system.
            self.refuse(Refusal { codes: "552 5.3.4", words: format!("{what} of more than {limit} octets") });
        }
    }

    /// Refuses it when it is over, and keeps nothing more of it.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.octets = Vec::new();
        self.refusal = Some(refusal);
    }
}
