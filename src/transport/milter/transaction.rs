//! One message, assembled from the MTA's commands within limits.

use std::collections::HashSet;

use super::edits::Space;
use crate::{
    base::Result,
    mail::{Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    transport::{smtp::Reply, trace::Arrival},
};

/// A message in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The MTA's queue ID, for the log.
    pub(super) queue_id: String,
    /// The reverse-path.
    pub(super) sender: ReversePath,
    /// Each recipient as the MTA wrote it, and parsed.
    pub(super) recipients: Vec<(Vec<u8>, ForwardPath)>,
    pub(super) submitter: Submitter,
    /// How it came, for the log.
    pub(super) arrival: Arrival,
    pub(super) octets: Vec<u8>,
    is_header_over: bool,
    /// The reply at its end, if it is refused. Its octets are discarded then.
    pub(super) refusal: Option<Reply>,
}

impl Transaction {
    /// A message of which only the sender is known.
    pub(super) fn new(queue_id: String, sender: ReversePath, submitter: Submitter, arrival: Arrival) -> Transaction {
        Transaction { queue_id, sender, submitter, arrival, ..Transaction::default() }
    }

    /// The received mail, whose message `read` reads.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn mail(&mut self, read: impl FnOnce(Vec<u8>) -> Result<Message>) -> Result<Mail> {
        let message = read(std::mem::take(&mut self.octets))?;
        let mut recipients: Vec<ForwardPath> = Vec::new();
        let mut known = HashSet::new();
        for (_, path) in &self.recipients {
            if known.insert(&path.address) {
                recipients.push(path.clone());
            }
        }
        let envelope = Envelope { sender: self.sender.clone(), recipients };
        Ok(Mail { envelope, submitter: self.submitter.clone(), client: self.arrival.client, message })
    }

    /// Appends a header field. `space` says whether the value contains the space after the colon.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8], space: Space) {
        self.append(name);
        self.append(if space == Space::Mta { b": " } else { b":" });
        for (at, line) in value.split(|octet| *octet == b'\n').enumerate() {
            self.append(if at == 0 { b"" } else { b"\r\n" });
            self.append(line.strip_suffix(b"\r").unwrap_or(line));
        }
        self.append(b"\r\n");
    }

    /// Appends the empty line after the header, once.
    pub(super) fn end_header(&mut self) {
        if !std::mem::replace(&mut self.is_header_over, true) {
            self.append(b"\r\n");
        }
    }

    /// Appends octets, unless the message is refused.
    pub(super) fn append(&mut self, octets: &[u8]) {
        if self.refusal.is_none() {
            self.octets.extend_from_slice(octets);
        }
    }

    /// Refuses the message if it has more octets than `limit`.
    pub(super) fn keep_within(&mut self, limit: usize, what: &str) {
        if self.octets.len() > limit {
            // RFC 3463, section 3.4: message too big for system.
            self.refuse(Reply::new(552, "5.3.4", format!("Error: {what} larger than {limit} octets")));
        }
    }

    /// Refuses the message at its end, and discards its octets.
    pub(super) fn refuse(&mut self, refusal: Reply) {
        self.octets = Vec::new();
        self.refusal = Some(refusal);
    }
}
