//! Verifies a digest with a public key: with `crypto` where it supports the algorithm, otherwise with Sequoia (DSA).

use std::borrow::Cow;

use sequoia_openpgp::{
    Error as PgpError,
    crypto::mpi,
    packet::{
        Key, Signature,
        key::{PublicParts, UnspecifiedRole},
    },
};

use super::{composite::verify_both, suite};
use crate::{
    crypto::{KeyAlgorithm, MlDsa, PublicKey, Scheme, SlhDsa, Unverified, verify},
    verdict::Why,
};

/// Checks that `key` made `signature` over `digest`. Errors: [`Why::Mismatch`], or [`Why::UnknownAlgorithm`] if the
/// algorithm is not supported.
pub(super) fn check(key: &Key<PublicParts, UnspecifiedRole>, signature: &Signature, digest: &[u8]) -> Result<(), Why> {
    admissible(key, signature, digest)?;
    match fast(key, signature, digest) {
        Some(Ok(())) => Ok(()),
        Some(Err(Unverified::Signature)) => Err(Why::Mismatch),
        Some(Err(_)) | None => {
            key.verify(signature.mpis(), signature.hash_algo(), digest).map_err(|error| refused(&error))
        }
    }
}

/// What RFC 9980 demands of a signature by an algorithm that withstands quantum computers: version 6 (sections 5.3.1 and 6.2.1) and a digest of 256
/// bits or more.
fn admissible(key: &Key<PublicParts, UnspecifiedRole>, signature: &Signature, digest: &[u8]) -> Result<(), Why> {
    let name = suite::public_name(signature.pk_algo());
    if !KeyAlgorithm::Other(name).is_quantum_safe() {
        return Ok(());
    }
    if signature.version() < 6 || key.version() < 6 {
        return Err(Why::Malformed(format!("{name} is for version 6 (RFC 9980)")));
    }
    match digest.len() {
        0..32 => Err(Why::Malformed(format!(
            "{} is too short a digest for {name} (RFC 9980)",
            suite::hash_name(signature.hash_algo())
        ))),
        _ => Ok(()),
    }
}

fn fast(
    key: &Key<PublicParts, UnspecifiedRole>,
    signature: &Signature,
    digest: &[u8],
) -> Option<Result<(), Unverified>> {
    match (key.mpis(), signature.mpis()) {
        (mpi::PublicKey::RSA { e, n }, mpi::Signature::RSA { s }) => {
            let scheme = Scheme::RsaPkcs1(suite::hash(signature.hash_algo())?);
            let signed = padded(s, n.value().len())?;
            Some(verify(PublicKey::Rsa { n: n.value(), e: e.value() }, scheme, digest, &signed))
        }
        (mpi::PublicKey::Ed25519 { a }, mpi::Signature::Ed25519 { s }) => {
            Some(verify(PublicKey::Ed25519(a), Scheme::EdDsa, digest, s.as_slice()))
        }
        (mpi::PublicKey::Ed448 { a }, mpi::Signature::Ed448 { s }) => {
            Some(verify(PublicKey::Ed448(a.as_slice()), Scheme::EdDsa, digest, s.as_slice()))
        }
        (
            mpi::PublicKey::MLDSA65_Ed25519 { eddsa: point, mldsa: key },
            mpi::Signature::MLDSA65_Ed25519 { eddsa, mldsa },
        ) => {
            let post_quantum = PublicKey::MlDsa { set: MlDsa::MlDsa65, key: key.as_slice() };
            let curve = (PublicKey::Ed25519(point.as_slice()), eddsa.as_slice());
            Some(verify_both(curve, (post_quantum, mldsa.as_slice()), digest))
        }
        (
            mpi::PublicKey::MLDSA87_Ed448 { eddsa: point, mldsa: key },
            mpi::Signature::MLDSA87_Ed448 { eddsa, mldsa },
        ) => {
            let post_quantum = PublicKey::MlDsa { set: MlDsa::MlDsa87, key: key.as_slice() };
            let curve = (PublicKey::Ed448(point.as_slice()), eddsa.as_slice());
            Some(verify_both(curve, (post_quantum, mldsa.as_slice()), digest))
        }
        (mpi::PublicKey::SLHDSA128s { public: key }, mpi::Signature::SLHDSA128s { sig }) => {
            Some(verify(PublicKey::SlhDsa { set: SlhDsa::Shake128s, key }, Scheme::Pure, digest, sig.as_slice()))
        }
        (mpi::PublicKey::SLHDSA128f { public: key }, mpi::Signature::SLHDSA128f { sig }) => {
            Some(verify(PublicKey::SlhDsa { set: SlhDsa::Shake128f, key }, Scheme::Pure, digest, sig.as_slice()))
        }
        (mpi::PublicKey::SLHDSA256s { public }, mpi::Signature::SLHDSA256s { sig }) => {
            let key = PublicKey::SlhDsa { set: SlhDsa::Shake256s, key: public.as_slice() };
            Some(verify(key, Scheme::Pure, digest, sig.as_slice()))
        }
        (mpi::PublicKey::EdDSA { q, .. }, mpi::Signature::EdDSA { r, s })
            if suite::key_algorithm(key) == KeyAlgorithm::Ed25519 =>
        {
            // RFC 9580, section 11.2.2: the native point after an octet 0x40.
            let point = q.value().strip_prefix(&[0x40])?;
            Some(verify(PublicKey::Ed25519(point), Scheme::EdDsa, digest, &joined(r, s, 32)?))
        }
        (mpi::PublicKey::ECDSA { q, .. }, mpi::Signature::ECDSA { r, s }) => {
            let KeyAlgorithm::Ecdsa(curve) = suite::key_algorithm(key) else { return None };
            let scheme = Scheme::Ecdsa(suite::hash(signature.hash_algo())?);
            let signed = joined(r, s, curve.length())?;
            Some(verify(PublicKey::Ecdsa { curve, point: q.value() }, scheme, digest, &signed))
        }
        _ => None,
    }
}

fn joined(r: &mpi::MPI, s: &mpi::MPI, length: usize) -> Option<Vec<u8>> {
    Some([padded(r, length)?, padded(s, length)?].concat())
}

/// The number in `length` octets; `None` when it does not fit, so that the signature is invalid.
fn padded(number: &mpi::MPI, length: usize) -> Option<Cow<'_, [u8]>> {
    number.value_padded(length).ok()
}

fn refused(error: &anyhow::Error) -> Why {
    match error.downcast_ref::<PgpError>().cloned() {
        Some(PgpError::UnsupportedEllipticCurve(curve)) => Why::UnknownAlgorithm(suite::curve_name(&curve)),
        Some(PgpError::UnsupportedHashAlgorithm(hash)) => Why::UnknownAlgorithm(suite::hash_name(hash)),
        Some(PgpError::UnsupportedPublicKeyAlgorithm(algorithm)) => {
            Why::UnknownAlgorithm(suite::public_name(algorithm).to_owned())
        }
        _ => Why::Mismatch,
    }
}

#[cfg(test)]
mod tests {
    use sequoia_openpgp::{
        packet::{
            key::{Key4, Key6, SecretParts},
            signature::SignatureBuilder,
        },
        types::{HashAlgorithm, SignatureType},
    };

    use super::*;

    /// RFC 9980, sections 5.3.1 and 5.3.2.
    #[test]
    fn post_quantum_signatures_need_version_6_and_a_long_digest() {
        let key: Key<SecretParts, UnspecifiedRole> = Key6::generate_mldsa65_ed25519().unwrap().into();
        let (digest, hash) = ([5; 64], HashAlgorithm::SHA512);
        let signature = SignatureBuilder::new(SignatureType::Binary).set_hash_algo(hash);
        let signature = signature.sign_message(&mut key.clone().into_keypair().unwrap(), b"text").unwrap();
        let public = key.take_secret().0;
        let checked = |key: &Key<PublicParts, UnspecifiedRole>, digest: &[u8]| check(key, &signature, digest);
        assert_eq!(checked(&public, &digest), Err(Why::Mismatch));
        let short = "sha512 is too short a digest for mldsa65-ed25519 (RFC 9980)";
        assert_eq!(checked(&public, &[5; 31]), Err(Why::Malformed(short.to_owned())));
        assert_eq!(checked(&public, &[5; 32]), Err(Why::Mismatch));
        let four = Key4::new(public.creation_time(), public.pk_algo(), public.mpis().clone()).unwrap();
        let old = "mldsa65-ed25519 is for version 6 (RFC 9980)";
        assert_eq!(checked(&four.into(), &digest), Err(Why::Malformed(old.to_owned())));
    }
}
