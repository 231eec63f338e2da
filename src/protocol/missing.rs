//! Stand-ins for the protocols that this build leaves out (Cargo features `pem`, `pgp`, `smime`).
//!
//! Their mail is recognized by its media types and first lines, so that it is reported as unread and not as plain text. It
//! is not opened, nothing is sealed, and nothing counts as ciphertext, as a signature or as a key file.

use std::io::Write;

use super::{Claim, ClaimKind, Context, Needs, Opened, Protocol, Resolved, Seal, Sealed, Signer};
use crate::{
    base::{Budget, Error, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, Message, Part},
};

/// A protocol that is not in this build.
pub(crate) struct Missing {
    name: ProtocolName,
    claim: fn(Part<'_>) -> Option<ClaimKind>,
}

/// The error of everything that needs `protocol`.
pub(crate) fn missing(protocol: ProtocolName) -> Error {
    let name = protocol.name();
    Error::unavailable(format!("protocol {name}: not in this build (Cargo feature `{name}`)"))
}

impl Protocol for Missing {
    fn name(&self) -> ProtocolName {
        self.name
    }

    fn claim(&self, part: Part<'_>) -> Option<Claim> {
        let kind = (self.claim)(part)?;
        Some(Claim { protocol: self.name, kind, span: part.span() })
    }

    fn open(&self, _: Message, _: &Claim, _: Context<'_>, _: &mut Budget) -> Result<Opened> {
        Err(missing(self.name))
    }

    fn resolve(&self, _: &Needs, _: Context<'_>) -> Result<Box<dyn Resolved>> {
        Ok(Box::new(Unasked(self.name)))
    }
}

/// Whether there are keys cannot be known: policy sends nothing in clear because of that.
struct Unasked(ProtocolName);

impl Resolved for Unasked {
    fn recipient(&self, _: &Address) -> KeyState {
        KeyState::Unknown(missing(self.0).to_string())
    }

    fn signer(&self, _: &Signer) -> KeyState {
        KeyState::Unknown(missing(self.0).to_string())
    }

    fn seal(&self, _: &Message, _: &Seal, _: Context<'_>, _: &mut dyn Write) -> Result<Sealed> {
        Err(missing(self.0))
    }

    fn seal_each(&self, _: &Message, _: &Seal, _: Context<'_>) -> Result<Vec<Vec<u8>>> {
        Err(missing(self.0))
    }
}

/// Whether `part` is multipart/signed, with one of these types in its parameter or of its second part.
#[cfg(not(all(feature = "pgp", feature = "smime")))]
fn is_signed(part: Part<'_>, types: &[&str]) -> bool {
    let content = part.content_type();
    let named = content.parameter("protocol").map(str::to_ascii_lowercase);
    let second = part.children().nth(1);
    content.is("multipart", "signed")
        && types.iter().any(|subtype| {
            named.as_deref().and_then(|name| name.strip_prefix("application/")) == Some(*subtype)
                || second.is_some_and(|second| second.content_type().is("application", subtype))
        })
}

/// In place of `protocol::pem`.
#[cfg(not(feature = "pem"))]
pub(crate) mod pem {
    use super::{ClaimKind, Missing, Part, ProtocolName};

    #[allow(non_upper_case_globals, reason = "in place of the unit struct")]
    pub(crate) const Pem: Missing = Missing { name: ProtocolName::Pem, claim };

    fn claim(part: Part<'_>) -> Option<ClaimKind> {
        let is_block = || memchr::memmem::find(&part.decoded(), boundary::BEGIN).is_some();
        (part.children().len() == 0 && is_block()).then_some(ClaimKind::Opaque)
    }

    pub(crate) mod boundary {
        /// RFC 1421, section 4.4.
        pub(super) const BEGIN: &[u8] = b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----";

        pub(crate) fn is_bare(octets: &[u8]) -> bool {
            octets.starts_with(BEGIN)
        }
    }

    pub(crate) mod keyfile {
        pub(crate) fn recognizes(_: &[u8]) -> bool {
            false
        }
    }

    pub(crate) mod kind {
        pub(crate) fn is_ciphertext(_: &[u8], _: &crate::base::Budget) -> bool {
            false
        }
    }
}

/// In place of `protocol::pgp`.
#[cfg(not(feature = "pgp"))]
pub(crate) mod pgp {
    use super::{ClaimKind, Missing, Part, ProtocolName, is_signed};
    use crate::mail::armor::{Label, pgp_blocks};

    #[allow(non_upper_case_globals, reason = "in place of the unit struct")]
    pub(crate) const Pgp: Missing = Missing { name: ProtocolName::Pgp, claim };

    fn claim(part: Part<'_>) -> Option<ClaimKind> {
        let content = part.content_type();
        let names_pgp = |name: &str| name.eq_ignore_ascii_case("application/pgp-encrypted");
        if content.is("multipart", "encrypted") && content.parameter("protocol").is_none_or(names_pgp) {
            return Some(ClaimKind::Encrypted);
        }
        if is_signed(part, &["pgp-signature"]) {
            return Some(ClaimKind::Signed);
        }
        if part.children().len() > 0 {
            return None;
        }
        pgp_blocks(&part.decoded()).find_map(|block| match block.label {
            Label::PgpMessage => Some(ClaimKind::Inline),
            Label::PgpSigned => Some(ClaimKind::InlineSigned),
            Label::PgpPrivateKey | Label::PgpPublicKey | Label::PgpSignature => None,
        })
    }

    pub(crate) mod expiry {
        use std::time::SystemTime;

        use super::super::missing;
        use crate::{base::Result, keys::ProtocolName};

        pub(crate) fn ends(_: &[u8]) -> Result<Vec<SystemTime>> {
            Err(missing(ProtocolName::Pgp))
        }
    }

    pub(crate) mod published {
        use std::time::SystemTime;

        use super::super::missing;
        use crate::{
            base::{Limits, Result},
            keys::{Keys, ProtocolName, Record},
            mail::Address,
        };

        pub(crate) fn certificates(_: &[u8], _: &Address, _: &Limits) -> Result<Vec<Record>> {
            Err(missing(ProtocolName::Pgp))
        }

        pub(crate) fn encrypts(
            _: &Record,
            _: &Address,
            _: SystemTime,
            _: &dyn Keys,
        ) -> Result<std::result::Result<(), String>> {
            Err(missing(ProtocolName::Pgp))
        }
    }

    pub(crate) mod kind {
        pub(crate) fn is_ciphertext(_: &[u8]) -> bool {
            false
        }

        pub(crate) fn is_detached_signature(_: &[u8]) -> bool {
            false
        }

        pub(crate) fn is_key(_: &[u8]) -> bool {
            false
        }

        pub(crate) fn no_message(_: &[u8]) -> Option<&'static str> {
            None
        }
    }

    pub(crate) mod publication {
        use std::time::SystemTime;

        use super::super::missing;
        use crate::{
            base::Result,
            keys::{Keys, ProtocolName, Record},
            mail::Address,
        };

        #[derive(Clone, Copy)]
        pub(crate) enum Extent {
            Keys,
            Autocrypt,
        }

        pub(crate) struct Publication {
            pub(crate) octets: Vec<u8>,
            pub(crate) created: SystemTime,
            pub(crate) is_revoked: bool,
        }

        impl Publication {
            pub(crate) fn armored(&self) -> Result<String> {
                Err(missing(ProtocolName::Pgp))
            }
        }

        pub(crate) fn publication(
            _: &Record,
            _: &Address,
            _: Extent,
            _: SystemTime,
            _: &dyn Keys,
        ) -> Result<Publication> {
            Err(missing(ProtocolName::Pgp))
        }
    }
}

/// In place of `protocol::smime`.
#[cfg(not(feature = "smime"))]
pub(crate) mod smime {
    use super::{ClaimKind, Missing, Part, ProtocolName, is_signed};

    #[allow(non_upper_case_globals, reason = "in place of the unit struct")]
    pub(crate) const Smime: Missing = Missing { name: ProtocolName::Smime, claim };

    fn claim(part: Part<'_>) -> Option<ClaimKind> {
        if is_signed(part, &["pkcs7-signature", "x-pkcs7-signature"]) {
            return Some(ClaimKind::Signed);
        }
        let content = part.content_type();
        let is_opaque = content.is("application", "pkcs7-mime") || content.is("application", "x-pkcs7-mime");
        is_opaque.then_some(ClaimKind::Opaque)
    }

    pub(crate) mod ciphertext {
        use crate::base::Budget;

        pub(crate) fn is_ciphertext(_: Vec<u8>, _: &Budget) -> bool {
            false
        }

        pub(crate) fn is_detached_signature(_: Vec<u8>, _: &Budget) -> bool {
            false
        }
    }

    pub(crate) mod keyfile {
        use super::super::missing;
        use crate::{
            base::{Limits, Result},
            keys::ProtocolName,
            protocol::Described,
        };

        pub(crate) fn is_object(_: &[u8], _: &Limits) -> bool {
            false
        }

        pub(crate) fn describe(_: &[u8], _: &str) -> Result<Described> {
            Err(missing(ProtocolName::Smime))
        }
    }

    pub(crate) mod ocsp_request {
        use crate::pki::Certificate;

        pub(crate) fn request(_: &Certificate, _: &Certificate, _: Option<&[u8]>) -> Vec<u8> {
            Vec::new()
        }
    }

    pub(crate) mod record {
        use crate::{
            keys::{Handle, ProtocolName, Record},
            pki::Certificate,
        };

        pub(crate) fn record(certificate: &Certificate) -> Record {
            let fingerprint = Handle::from_octets(&certificate.fingerprint());
            Record::new(ProtocolName::Smime, fingerprint, certificate.der().to_vec(), [])
        }

        pub(crate) fn subject(name: &crate::pki::Name) -> Handle {
            Handle::from_octets(name.normal())
        }
    }

    pub(crate) mod revocation_files {
        use std::time::SystemTime;

        use super::super::missing;
        use crate::{
            base::Result,
            keys::{Keys, ProtocolName},
        };

        pub(crate) fn supersedes(_: &[u8], _: &[u8], _: &[&dyn Keys], _: SystemTime) -> Result<bool> {
            Err(missing(ProtocolName::Smime))
        }
    }
}
