//! What ties a certificate to an address.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What ties a certificate to an address, weakest first. For one address the strongest decides, and the others are not looked at.
///
/// [`Source::Authority`] is a result of the selection of keys. The others are in a [`Record`](super::Record): see
/// [`Record::source`](super::Record::source).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Source {
    /// Only the certificate itself names the address.
    Claim,
    /// It came with mail from the address (Autocrypt).
    Mail,
    /// A key server that verifies addresses has it.
    Server,
    /// The domain of the address publishes it over HTTPS (Web Key Directory).
    Domain,
    /// The domain of the address publishes it in signed DNS (DANE).
    Dnssec,
    /// There is a path from it to a trust anchor (RFC 5280, section 6).
    Authority,
    /// The owner of this machine says so (`key trust`).
    Owner,
}

impl Source {
    /// The name in reports and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Source::Claim => "claim",
            Source::Mail => "mail",
            Source::Server => "server",
            Source::Domain => "domain",
            Source::Dnssec => "dnssec",
            Source::Authority => "authority",
            Source::Owner => "owner",
        }
    }

    /// Whether it is trusted without more: the owner says so, or an authority that the owner trusts.
    pub fn is_trusted(self) -> bool {
        self >= Source::Authority
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
