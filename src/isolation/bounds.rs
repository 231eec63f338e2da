//! How much one process of the service may say to another.

use serde::{Deserialize, Serialize};

use crate::base::{Limits, Result};

/// A value that one process says to another.
pub(super) trait Bounded {
    /// Octets that a value of this kind has at most. `kind` is its first octet: of an enum the number of the variant, in the order of the declaration.
    fn most(kind: u8, sizes: &Sizes) -> u32;
}

/// Octets of values with messages, as the configuration limits messages. By default none has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Sizes {
    /// A mail that was received.
    pub(super) received: u32,
    /// What was made of one: an outcome, a post, copies.
    pub(super) made: u32,
}

impl Sizes {
    /// Of messages within `limits`, to so many recipients.
    pub(super) fn of(limits: &Limits, recipients: usize) -> Sizes {
        let Limits { message, expansion, copies, .. } = *limits;
        let header = limits.unread_header();
        let received = message.saturating_add(header).saturating_add(recipients.saturating_mul(PATH));
        // The copies that are encrypted, each of all that came out of the message, and as many in clear.
        let made = message.saturating_mul(expansion.saturating_add(1)).saturating_mul(copies);
        let with_the_rest = |octets: usize| u32::try_from(octets.saturating_add(STRUCTURE)).unwrap_or(u32::MAX);
        Sizes { received: with_the_rest(received), made: with_the_rest(made) }
    }
}

/// What came of something.
impl Bounded for Result<()> {
    fn most(_: u8, _: &Sizes) -> u32 {
        SHORT
    }
}

/// Octets of a value without messages and texts.
pub(super) const SHORT: u32 = 1 << 20;
/// A question about keys. Source: the path of a certificate, which is within `Limits::certificate_octets` as far as it came with a message, four times over.
pub(super) const QUESTION: u32 = 4 << 20;
/// An answer about keys and lists. Source: a home with a CRL of 12 MB (`Limits::revocation_octets`) for each of 80 authorities.
pub(super) const ANSWER: u32 = 1 << 30;
/// A configuration with all its files. Source: the hashes of the passwords of a million users.
pub(super) const TEXTS: u32 = 256 << 20;
/// The figures about keys and what was counted. Source: a home with 100,000 own keys, or 10,000 tenants.
pub(super) const FIGURES: u32 = 16 << 20;
/// What came of a look-up on the network. Source: twice a CRL (discover/status/place.rs).
pub(super) const FOUND: u32 = 32 << 20;

/// Octets of a recipient with its parameters: one line of SMTP (transport/smtp/session.rs).
const PATH: usize = 2_048;
/// Octets of a value outside its long strings, which are messages, certificates and texts. What is read from them may take thirty times their memory. Source: a list
/// with 300,000 members.
pub(super) const STRUCTURE: usize = 16 << 20;
/// Octets of a string that is long.
pub(super) const LONG: usize = 256;
