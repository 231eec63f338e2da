//! What decisions ask of a message: answered by the message itself, by a line of the log, or by a case of a test.

use std::{collections::HashSet, fmt};

use super::pattern::is_like;
use crate::mail::{Address, Message, Part, address};

/// A message, as far as a decision depends on it.
pub trait Content: fmt::Debug {
    /// Its size in octets.
    fn size(&self) -> usize;

    /// Why it is too large to be read to its end, in words; `None`: it is not.
    fn unread(&self) -> Option<String>;

    /// Whether a header field of this name has a value like the pattern, in which `*` stands for anything.
    fn has_header(&self, name: &str, like: &str) -> bool;

    /// Whether a part of it, outside of messages within it, has one of these media types.
    fn has_type(&self, types: &[String]) -> bool;

    /// Whether a program sent it.
    fn auto_submitted(&self) -> AutoSubmitted;

    /// The media types of its parts, outside of messages within it.
    fn types(&self) -> Vec<String>;

    /// The recipients that every reader sees (RFC 5322, section 3.6.3). A field that cannot be read shows none: when in doubt, hide.
    fn shown(&self) -> HashSet<Address>;
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoSubmitted {
    /// A person, as far as the message says.
    No,
    /// A program: a notice, a vacation reply.
    Yes,
}

impl AutoSubmitted {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            AutoSubmitted::No => "no",
            AutoSubmitted::Yes => "yes",
        }
    }
}

impl Content for Message {
    fn size(&self) -> usize {
        self.octets().len()
    }

    fn unread(&self) -> Option<String> {
        Message::unread(self).map(|why| why.to_string())
    }

    fn has_header(&self, name: &str, like: &str) -> bool {
        let mut fields = self.root().fields().filter(|field| field.is(name));
        fields.any(|field| is_like(like, &field.decoded()))
    }

    fn has_type(&self, types: &[String]) -> bool {
        self.types().iter().any(|essence| types.iter().any(|one| is_like(one, essence)))
    }

    fn types(&self) -> Vec<String> {
        leaf_types(self.root())
    }

    fn auto_submitted(&self) -> AutoSubmitted {
        match self.root().header("Auto-Submitted") {
            None => AutoSubmitted::No,
            Some(value) => {
                // `no`, alone or before parameters.
                let word = value.split([';', '(']).next().unwrap_or_default().trim();
                if word.eq_ignore_ascii_case("no") { AutoSubmitted::No } else { AutoSubmitted::Yes }
            }
        }
    }

    fn shown(&self) -> HashSet<Address> {
        // Such a message is never encrypted, and its lists may have a hundred thousand addresses.
        if Message::unread(self).is_some() {
            return HashSet::new();
        }
        let fields = self.root().fields().filter(|field| field.is("To") || field.is("Cc"));
        fields
            .flat_map(|field| address::list(&field.unfolded()).unwrap_or_default())
            .map(|mailbox| mailbox.address)
            .collect()
    }
}

/// The media types of the leaves of a message. What a message within it contains was written by another person: a forwarded invitation must not
/// decide for the mail that it is attached to.
fn leaf_types(part: Part<'_>) -> Vec<String> {
    let content_type = part.content_type();
    if content_type.kind == "multipart" {
        return part.children().flat_map(leaf_types).collect();
    }
    vec![content_type.essence()]
}
