//! A message with its verdict in an Authentication-Results field.

use super::{Engine, Opening, edit::Edits};
use crate::{
    base::Result,
    mail::Message,
    report::{
        authres::{self, Examined},
        authserv::Believed,
    },
};

/// In which form a message is shown under the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it came.
    AsItCame,
    /// Without its layers.
    Plaintext,
}

impl Opening {
    /// The Authentication-Results field of the host `own`, without its last line break.
    pub(super) fn results(&self, own: &str, shown: Shown) -> String {
        match (self.error(), &self.sealed) {
            (Some(error), _) => authres::field(own, &self.verdict, Examined::Stopped(error)),
            (None, None) => authres::field(own, &self.verdict, Examined::Whole),
            (None, Some(_)) if shown == Shown::Plaintext => {
                authres::field(own, &self.verdict, Examined::Unauthenticated)
            }
            // As if it had not decrypted.
            (None, Some(sealed)) => authres::field(own, &sealed.verdict, Examined::Stopped(&sealed.error)),
        }
    }
}

impl Engine<'_> {
    /// `message`, which is what was opened or its plaintext, under the Authentication-Results field that the service writes. Such fields of
    /// hosts that are not `believed` are removed (RFC 8601, section 5).
    ///
    /// # Errors
    ///
    /// The message is over the limits with the field.
    pub fn annotated(
        &self,
        message: &Message,
        opening: &Opening,
        shown: Shown,
        believed: Believed<'_>,
    ) -> Result<Message> {
        let mut edits = Edits::default();
        edits.add_raw(opening.results(believed.own, shown));
        match edits.apply(message, |field| believed.removes(field)) {
            Some(octets) => Message::parse(octets, &mut self.budget()),
            None => Ok(message.clone()),
        }
    }
}
