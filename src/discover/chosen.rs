//! Which key is used for an address, where it is not the owner who said so at first.

/// A choice of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// Whose key.
    pub address: &'a str,
    /// The certificate.
    pub fingerprint: &'a str,
    /// The source that it was found in ([`Method::name`](super::Method::name)).
    pub method: &'a str,
    /// What was chosen.
    pub choice: Choice,
}

/// What became of a key that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It was held, and the owner put it in use.
    Accepted,
    /// It is the first one of the address, and in use from now on.
    First,
    /// It was held, and the owner never wants it used.
    Rejected,
}
