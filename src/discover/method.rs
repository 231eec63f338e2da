//! The kinds of sources of keys.

use serde::{Deserialize, Serialize};

use crate::keys::{ProtocolName, Source};

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Method {
    /// A key server that verifies nothing (HKP over HTTPS).
    Hkp,
    /// The OpenPGP keys in a directory that the owner names (LDAP, attribute pgpKey).
    LdapPgp,
    /// The S/MIME certificates there (RFC 4523, userCertificate; RFC 2798, userSMIMECertificate).
    LdapSmime,
    /// The keys that came with authentic mail from their owners (Autocrypt).
    Mail,
    /// OPENPGPKEY records of the address's domain, in signed DNS (RFC 7929).
    Openpgpkey,
    /// SMIMEA records of the address's domain, in signed DNS (RFC 8162).
    Smimea,
    /// A key server that verifies addresses (the interface of keys.openpgp.org).
    Vks,
    /// The Web Key Directory of the address's domain.
    Wkd,
}

impl Method {
    /// All, by name.
    pub const ALL: [Method; 8] = [
        Method::Hkp,
        Method::LdapPgp,
        Method::LdapSmime,
        Method::Mail,
        Method::Openpgpkey,
        Method::Smimea,
        Method::Vks,
        Method::Wkd,
    ];

    /// The word in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Method::Hkp => "hkp",
            Method::LdapPgp => "ldap-pgp",
            Method::LdapSmime => "ldap-smime",
            Method::Mail => "mail",
            Method::Openpgpkey => "openpgpkey",
            Method::Smimea => "smimea",
            Method::Vks => "vks",
            Method::Wkd => "wkd",
        }
    }

    /// What a key that it found is tied to the address by.
    pub fn source(self) -> Source {
        match self {
            Method::Hkp => Source::Claim,
            Method::Mail => Source::Mail,
            Method::Openpgpkey | Method::Smimea => Source::Dnssec,
            Method::LdapPgp | Method::LdapSmime | Method::Vks => Source::Server,
            Method::Wkd => Source::Domain,
        }
    }

    /// Whose keys it has.
    pub fn protocol(self) -> ProtocolName {
        match self {
            Method::Hkp | Method::LdapPgp | Method::Mail | Method::Openpgpkey | Method::Vks | Method::Wkd => {
                ProtocolName::Pgp
            }
            Method::LdapSmime | Method::Smimea => ProtocolName::Smime,
        }
    }

    /// Octets of an answer. Source: DESIGN 8; the owner of an entry in a directory may keep years of certificates there.
    pub(crate) fn octets(self) -> usize {
        match self {
            Method::LdapPgp | Method::LdapSmime | Method::Wkd => 256 * 1024,
            Method::Hkp | Method::Mail | Method::Openpgpkey | Method::Smimea | Method::Vks => 64 * 1024,
        }
    }
}
