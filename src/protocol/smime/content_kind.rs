//! Content encryption algorithms of CMS.

use der::asn1::ObjectIdentifier;

use super::suite::ContentCipher;
use crate::{
    base::{Error, Hint, Random, Result, Secret},
    crypto::{self, Cipher, Legacy, Strength},
    protocol::Aead,
};

/// A content encryption algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentKind {
    /// Authenticated.
    Aead(crypto::Aead),
    /// Cipher block chaining.
    Cbc(Cipher),
}

impl ContentKind {
    /// The algorithm for an identifier; `None` if unknown.
    pub(super) fn named(identifier: ObjectIdentifier) -> Option<Self> {
        let aead = crypto::Aead::of_oid(identifier).map(ContentKind::Aead);
        aead.or_else(|| Cipher::of_oid(identifier).map(ContentKind::Cbc))
    }

    /// The identifier of its algorithm; `None` where that does not say all.
    pub(super) fn identifier(self) -> Option<ObjectIdentifier> {
        match self {
            ContentKind::Aead(cipher) => cipher.oid(),
            ContentKind::Cbc(cipher) => cipher.oid(),
        }
    }

    /// The name used in reports: `aes256-gcm`, `aes256-cbc`.
    pub(super) fn name(self) -> String {
        match self {
            ContentKind::Aead(cipher) => cipher.name().to_owned(),
            ContentKind::Cbc(cipher) => format!("{}-cbc", cipher.name()),
        }
    }

    /// Parses `aes256`, `aes256-cbc`, `aes256-gcm`, `3des`, ...: a name without a mode means CBC, unless `aead`
    /// requests otherwise.
    pub(super) fn parse(name: &str, aead: Aead) -> Result<Self> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let wanted = plain(name);
        let authenticated = |wanted: &str| crypto::Aead::ALL.into_iter().find(|one| plain(one.name()) == wanted);
        if let Some(cipher) = authenticated(&wanted) {
            return Ok(ContentKind::Aead(cipher));
        }
        if aead == Aead::Always {
            let cipher = authenticated(&format!("{wanted}gcm"));
            return cipher
                .map(ContentKind::Aead)
                .ok_or_else(|| Error::usage(format!("cipher {name:?}: does not authenticate")));
        }
        let cipher = Cipher::parse(wanted.strip_suffix("cbc").unwrap_or(&wanted))?;
        let written = ContentCipher::Cbc { cipher, iv: Vec::new() }.identifier();
        written.map(|_| ContentKind::Cbc(cipher)).ok_or_else(|| unwritten(cipher.name()))
    }

    pub(super) fn admit(self, legacy: Legacy) -> Result<()> {
        let (name, strength) = match self {
            ContentKind::Aead(cipher) => (cipher.name(), cipher.strength()),
            ContentKind::Cbc(cipher) => (cipher.name(), cipher.strength()),
        };
        if strength < Strength::Strong && legacy == Legacy::Refuse {
            return Err(Error::usage(format!("cipher {name} is {}", strength.name())).with_hint(Hint::WriteLegacy));
        }
        Ok(())
    }

    pub(super) fn key_length(self) -> usize {
        match self {
            ContentKind::Aead(cipher) => cipher.key_length(),
            ContentKind::Cbc(cipher) => cipher.key_length(),
        }
    }

    pub(super) fn new_key(self, random: &dyn Random) -> Result<Secret> {
        let mut key = vec![0; self.key_length()];
        random.fill(&mut key)?;
        if matches!(self, ContentKind::Cbc(Cipher::Des | Cipher::TripleDes)) {
            // Each octet gets odd parity in its lowest bit (SP 800-67, section 3.3.1), which old readers check.
            key.iter_mut().for_each(|octet| *octet ^= u8::from(octet.count_ones() % 2 == 0));
        }
        Ok(Secret::new(key))
    }

    /// Starts with an unpredictable initialization vector, or a nonce (of 12 octets: RFC 5084, section 3.2; RFC 8103,
    /// section 1.1).
    pub(super) fn begin(self, random: &dyn Random) -> Result<ContentCipher> {
        let octets = |length| {
            let mut octets = vec![0; length];
            random.fill(&mut octets).map(|()| octets)
        };
        Ok(match self {
            ContentKind::Aead(cipher) => ContentCipher::Aead { cipher, nonce: octets(12)?, tag: TAG },
            ContentKind::Cbc(cipher) => ContentCipher::Cbc { cipher, iv: octets(cipher.block_length())? },
        })
    }

    /// Length of the ciphertext for a plaintext of `length` octets (RFC 5652, section 6.3).
    pub(super) fn encrypted_length(self, length: usize) -> usize {
        match self {
            ContentKind::Aead(_) => length,
            ContentKind::Cbc(cipher) => (length / cipher.block_length() + 1) * cipher.block_length(),
        }
    }
}

/// The refusal of a cipher that S/MIME does not have.
pub(super) fn unwritten(cipher: &str) -> Error {
    Error::usage(format!("cipher {cipher}: not in S/MIME")).with_hint("aes256, aes256-gcm, chacha20-poly1305")
}

/// Length in octets of the tags that we write.
pub(super) const TAG: usize = 16;
