//! Symmetric key management: interchange keys shared by sender and recipient (RFC 1421, section 4.6.4.2.1; RFC 1423,
//! section 3).

use crate::{
    base::{Error, Hint, Result, Secret},
    crypto::{Cipher, ecb_decrypt, ecb_encrypt},
    protocol::Context,
};

/// An interchange key: 8 octets for DES, or 16 for DES-EDE.
pub(super) struct InterchangeKey {
    key: Secret,
    cipher: Cipher,
}

impl InterchangeKey {
    /// Reads 16 or 32 hexadecimal digits; `None` for anything else.
    pub(super) fn parse(password: &Secret) -> Option<InterchangeKey> {
        let digit = |octet: &u8| char::from(*octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits: Vec<u8> = password.expose().iter().map(digit).collect::<Option<_>>()?;
        let key: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect();
        match digits.len() {
            16 => Some(InterchangeKey { key: Secret::new(key), cipher: Cipher::Des }),
            32 => Some(InterchangeKey { key: two_keys(&Secret::new(key)), cipher: Cipher::TripleDes }),
            _ => None,
        }
    }

    /// The interchange keys among the passwords of this run.
    pub(super) fn all(context: Context<'_>) -> Result<Vec<InterchangeKey>> {
        Ok(context.keys.passwords()?.iter().filter_map(InterchangeKey::parse).collect())
    }

    /// The algorithm: `DES-ECB` or `DES-EDE`.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.cipher {
            Cipher::Des => "DES-ECB",
            _ => "DES-EDE",
        }
    }

    /// The cipher of the key, for the verdict.
    pub(super) fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Decrypts a data-encrypting key or a digest; `None` if it is not whole blocks.
    pub(super) fn decrypt(&self, octets: &[u8]) -> Option<Secret> {
        ecb_decrypt(self.cipher, &self.key, octets)
    }

    /// Encrypts a data-encrypting key or a digest.
    pub(super) fn encrypt(&self, octets: &Secret) -> Result<Vec<u8>> {
        ecb_encrypt(self.cipher, &self.key, octets.expose()).ok_or_else(|| {
            Error::usage("interchange key: takes only whole blocks of 8 octets").with_hint(Hint::UseDigest(&["md5"]))
        })
    }
}

/// The three keys of DES-EDE from a pair: the first is used twice (RFC 1423, section 3.2).
pub(super) fn two_keys(pair: &Secret) -> Secret {
    let mut three = pair.expose().to_vec();
    three.extend_from_slice(pair.expose().get(..8).unwrap_or_default());
    Secret::new(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_make_a_key_and_its_kind() {
        let key = InterchangeKey::parse(&Secret::from("0123456789abcdef")).unwrap();
        assert_eq!(key.algorithm(), "DES-ECB");
        let pair = InterchangeKey::parse(&Secret::from("0123456789ABCDEF0123456789abcdef")).unwrap();
        assert_eq!(pair.algorithm(), "DES-EDE");
        // A pair of equal keys is single DES.
        let text = Secret::from("8 octets");
        assert_eq!(key.encrypt(&text).unwrap(), pair.encrypt(&text).unwrap());
        assert_eq!(pair.decrypt(&key.encrypt(&text).unwrap()), Some(text));
        for other in ["", "0123456789abcde", "0123456789abcdeg", "correct horse"] {
            assert!(InterchangeKey::parse(&Secret::from(other)).is_none(), "{other}");
        }
    }
}
