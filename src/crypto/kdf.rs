//! Key derivation.

use aws_lc_rs::hkdf;

use super::Hash;
use crate::base::{Error, Result, Secret};

/// HKDF (RFC 5869) without a salt: `length` octets out of `secret` for the use that `info` names.
///
/// Served with SHA-1 and SHA-2; an error of kind `Unavailable` otherwise, or for more than 255 digests.
pub fn hkdf(hash: Hash, secret: &Secret, info: &[u8], length: usize) -> Result<Secret> {
    let algorithm = match hash {
        Hash::Sha1 => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
        Hash::Sha512 => hkdf::HKDF_SHA512,
        _ => return Err(Error::unavailable(format!("hkdf with {hash}: not offered"))),
    };
    let extracted = hkdf::Salt::new(algorithm, &[]).extract(secret.expose());
    let mut derived = vec![0; length];
    let info = [info];
    let expanded = extracted.expand(&info, Length(length)).and_then(|expanded| expanded.fill(&mut derived));
    expanded.map_err(|_| Error::unavailable(format!("hkdf with {hash}: cannot make {length} octets")))?;
    Ok(Secret::new(derived))
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_5869_test_case_3() {
        let secret = Secret::new(vec![0x0b; 22]);
        let derived = hkdf(Hash::Sha256, &secret, b"", 42).unwrap();
        let hex: String = derived.expose().iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    }

    #[test]
    fn too_much_is_refused() {
        let error = hkdf(Hash::Sha256, &Secret::from("a"), b"", 255 * 32 + 1).unwrap_err();
        assert_eq!(error.to_string(), "hkdf with sha256: cannot make 8161 octets");
    }
}
