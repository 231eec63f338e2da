//! Verification of signatures over a digest.

use aws_lc_rs::{
    digest::{self, Digest},
    rsa::PublicKeyComponents,
    signature::{self, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey},
};

use super::{
    Curve, Hash, PublicKey, Scheme, Unverified,
    brainpool::verify_brainpool,
    dsa::verify_dsa,
    legacy::verify_rsa,
    ml_dsa::verify_ml_dsa,
    number::{bits, trimmed},
    slh_dsa::verify_slh_dsa,
    software::import,
};

/// Verifies `signature`, in the form in which [`SecretKey::sign`](super::SecretKey::sign) answers, over `digest`.
///
/// Strength is not judged here: see [`Strength`](super::Strength).
///
/// # Errors
///
/// Why it does not verify.
pub fn verify(key: PublicKey<'_>, scheme: Scheme, digest: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    match (key, scheme) {
        (PublicKey::Dsa(key), Scheme::Dsa) => verify_dsa(key, digest, signature),
        (PublicKey::Ecdsa { curve, point }, Scheme::Ecdsa(_)) => {
            let Some(algorithm) = ecdsa(curve) else { return verify_brainpool(curve, point, digest, signature) };
            let digest = import(curve, digest).ok_or(Unverified::Algorithm)?;
            let key = UnparsedPublicKey::new(algorithm, point).parse().map_err(|_| Unverified::Key)?;
            key.verify_digest_sig(&digest, signature).map_err(|_| Unverified::Signature)
        }
        (PublicKey::Ed25519(point), Scheme::EdDsa) => {
            let key = UnparsedPublicKey::new(&signature::ED25519, point).parse().map_err(|_| Unverified::Key)?;
            key.verify_sig(digest, signature).map_err(|_| Unverified::Signature)
        }
        (PublicKey::Ed448(point), Scheme::EdDsa) => verify_ed448(point, digest, signature),
        (PublicKey::MlDsa { set, key }, Scheme::Pure) => verify_ml_dsa(set, key, digest, signature),
        (PublicKey::SlhDsa { set, key }, Scheme::Pure) => verify_slh_dsa(set, key, digest, signature),
        (PublicKey::Rsa { n, e }, Scheme::RsaPkcs1(_) | Scheme::RsaPss { .. }) => {
            let Some((parameters, algorithm)) = rsa(scheme, bits(n)) else {
                return verify_rsa(n, e, scheme, digest, signature);
            };
            let digest = Digest::import_less_safe(digest, algorithm).map_err(|_| Unverified::Signature)?;
            let key = PublicKeyComponents { n: trimmed(n), e: trimmed(e) };
            let key = key.to_parsed_public_key(parameters).map_err(|_| Unverified::Key)?;
            key.verify_digest_sig(&digest, signature).map_err(|_| Unverified::Signature)
        }
        _ => Err(Unverified::Algorithm),
    }
}

fn verify_ed448(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    // cx448 overlooks the bits between a point's number and its sign (RFC 8032, section 5.2.2).
    let point: &[u8; 57] = point.try_into().map_err(|_| Unverified::Key)?;
    let signature: &[u8; 114] = signature.try_into().map_err(|_| Unverified::Signature)?;
    let key = cx448::VerifyingKey::from_bytes(point).map_err(|_| Unverified::Key)?;
    if (point[56] | signature[56]) & 0x7f != 0 {
        return Err(Unverified::Signature);
    }
    let signature = cx448::Signature::from_bytes(signature).map_err(|_| Unverified::Signature)?;
    key.verify_raw(&signature, message).map_err(|_| Unverified::Signature)
}

fn ecdsa(curve: Curve) -> Option<&'static EcdsaVerificationAlgorithm> {
    match curve {
        Curve::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Curve::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Curve::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED),
        _ => None,
    }
}

/// What aws-lc takes.
fn rsa(scheme: Scheme, bits: usize) -> Option<(&'static RsaParameters, &'static digest::Algorithm)> {
    match (scheme, bits) {
        (Scheme::RsaPkcs1(Hash::Sha1), 1024..=8192) => {
            Some((&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA1_FOR_LEGACY_USE_ONLY))
        }
        (Scheme::RsaPkcs1(Hash::Sha256), 1024..=8192) => {
            Some((&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &digest::SHA256))
        }
        (Scheme::RsaPkcs1(Hash::Sha384), 2048..=8192) => {
            Some((&signature::RSA_PKCS1_2048_8192_SHA384, &digest::SHA384))
        }
        (Scheme::RsaPkcs1(Hash::Sha512), 1024..=8192) => {
            Some((&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, &digest::SHA512))
        }
        (Scheme::RsaPss { hash, .. }, 2048..=8192) if scheme == Scheme::pss(hash) => match hash {
            Hash::Sha256 => Some((&signature::RSA_PSS_2048_8192_SHA256, &digest::SHA256)),
            Hash::Sha384 => Some((&signature::RSA_PSS_2048_8192_SHA384, &digest::SHA384)),
            Hash::Sha512 => Some((&signature::RSA_PSS_2048_8192_SHA512, &digest::SHA512)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unhex;
    use crate::crypto::KeyAlgorithm;

    /// RFC 6979, appendix A.2.5, over "sample".
    const POINT: &str = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6\
                         7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
    const SAMPLES: [(Hash, &str); 3] = [
        (
            Hash::Sha1,
            "61340C88C3AAEBEB4F6D667F672CA9759A6CCAA9FA8811313039EE4A35471D32\
             6D7F147DAC089441BB2E2FE8F7A3FA264B9C475098FDCF6E00D7C996E1B8B7EB",
        ),
        (
            Hash::Sha256,
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
             F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            Hash::Sha512,
            "8496A60B5E9B47C825488827E0495B0E3FA109EC4568FD3F8D1097678EB97F00\
             2362AB1ADBE2B8ADF9CB9EDAB740EA6049C028114F2460F96554F61FAE3302FE",
        ),
    ];

    #[test]
    fn ecdsa_takes_digests_shorter_and_longer_than_the_curve() {
        let point = unhex(POINT);
        let key = PublicKey::Ecdsa { curve: Curve::P256, point: &point };
        for (hash, signature) in SAMPLES {
            let mut digest = hash.digest(b"sample");
            assert_eq!(verify(key, Scheme::Ecdsa(hash), &digest, &unhex(signature)), Ok(()), "{hash}");
            digest[0] ^= 1;
            let refused = verify(key, Scheme::Ecdsa(hash), &digest, &unhex(signature));
            assert_eq!(refused, Err(Unverified::Signature), "{hash}");
        }
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn ed25519_test_2() {
        let point = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let mut signature = unhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(verify(PublicKey::Ed25519(&point), Scheme::EdDsa, &[0x72], &signature), Ok(()));
        signature[40] ^= 1;
        let refused = verify(PublicKey::Ed25519(&point), Scheme::EdDsa, &[0x72], &signature);
        assert_eq!(refused, Err(Unverified::Signature));
    }

    /// RFC 8032, section 7.4, "1 octet".
    #[test]
    fn ed448_of_one_octet() {
        let point = unhex(
            "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086\
             6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
        );
        let mut signature = unhex(
            "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f435\
             2541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cb\
             cee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f\
             f3348ab21aa4adafd1d234441cf807c03a00",
        );
        let key = PublicKey::Ed448(&point);
        assert_eq!(verify(key, Scheme::EdDsa, &[3], &signature), Ok(()));
        assert_eq!(verify(key, Scheme::EdDsa, &[4], &signature), Err(Unverified::Signature));
        assert_eq!(verify(PublicKey::Ed448(&point[1..]), Scheme::EdDsa, &[3], &signature), Err(Unverified::Key));
        signature[60] ^= 1;
        assert_eq!(verify(key, Scheme::EdDsa, &[3], &signature), Err(Unverified::Signature));
        signature[60] ^= 1;
        signature[56] ^= 1;
        assert_eq!(verify(key, Scheme::EdDsa, &[3], &signature), Err(Unverified::Signature));
    }

    #[test]
    fn no_key_and_no_algorithm_are_told_apart_from_no_match() {
        let (digest, signature) = (Hash::Sha256.digest(b"sample"), unhex(SAMPLES[1].1));
        let mut point = unhex(POINT);
        let check =
            |point: &[u8], curve, scheme| verify(PublicKey::Ecdsa { curve, point }, scheme, &digest, &signature);
        let ecdsa = Scheme::Ecdsa(Hash::Sha256);
        assert_eq!(check(&point, Curve::P256, Scheme::EdDsa), Err(Unverified::Algorithm));
        assert_eq!(check(&point, Curve::BrainpoolP256, ecdsa), Err(Unverified::Key));
        assert_eq!(check(&point, Curve::P384, ecdsa), Err(Unverified::Key));
        point[64] ^= 1;
        assert_eq!(check(&point, Curve::P256, ecdsa), Err(Unverified::Key));
        let even = PublicKey::Rsa { n: &[0x80; 256], e: &[1, 0, 1] };
        let pss = Scheme::pss(Hash::Sha1);
        assert_eq!(verify(even, pss, &Hash::Sha1.digest(b"a"), &[0; 256]), Err(Unverified::Key));
    }

    #[test]
    fn a_key_says_what_it_is() {
        assert_eq!(PublicKey::Rsa { n: &[0, 0x7f, 0xff], e: &[3] }.algorithm(), KeyAlgorithm::Rsa(15));
        assert_eq!(PublicKey::Ed25519(&[0; 32]).algorithm(), KeyAlgorithm::Ed25519);
    }
}
