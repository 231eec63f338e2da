//! Distinguished names: compared as RFC 5280, section 7.1 says, and shown as RFC 4514 says.

use std::fmt;

/// A distinguished name. Two are equal when RFC 5280, section 7.1 says so (case, spaces and string types do not matter).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {}

impl Name {
    /// As it was encoded.
    pub fn der(&self) -> &[u8] {
        todo!()
    }
    /// The octets that are equal for equal names.
    pub fn normal(&self) -> &[u8] {
        todo!()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
