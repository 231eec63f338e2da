//! Maps OpenPGP's algorithm numbers (RFC 9580, section 9) to our names, with their strengths.

use const_oid::ObjectIdentifier;
use sequoia_openpgp::{
    crypto::mpi,
    packet::{Key, key},
    types::{
        AEADAlgorithm, CompressionAlgorithm, Curve as PgpCurve, HashAlgorithm, PublicKeyAlgorithm, SymmetricAlgorithm,
    },
};

use crate::{
    base::hex,
    crypto::{Cipher, Curve, Hash, KeyAlgorithm, SlhDsa, Strength, openpgp_key_name},
};

/// Our hash function for OpenPGP's number; `None` if `crypto` does not have it.
pub(super) fn hash(algorithm: HashAlgorithm) -> Option<Hash> {
    Hash::of_openpgp(algorithm.into())
}

/// OpenPGP's number for a hash function; `None` where it has none (SHA3-384, MD2, ...).
pub(super) fn hash_algorithm(hash: Hash) -> Option<HashAlgorithm> {
    hash.openpgp().map(HashAlgorithm::from)
}

/// The value of the `micalg` parameter (RFC 3156, section 5).
pub(super) fn micalg(hash: Hash) -> String {
    format!("pgp-{}", hash.name())
}

/// The name of the hash function, or `hash105` for an unassigned number.
pub(super) fn hash_name(algorithm: HashAlgorithm) -> String {
    hash(algorithm).map_or_else(|| format!("hash{}", u8::from(algorithm)), |known| known.name().to_owned())
}

/// The strength of the hash function in signatures; unknown if `crypto` does not have it.
pub(super) fn hash_strength(algorithm: HashAlgorithm) -> Strength {
    hash(algorithm).map_or(Strength::Unknown, Hash::strength)
}

/// The algorithm of a key, with its size or curve.
pub(super) fn key_algorithm<P: key::KeyParts, R: key::KeyRole>(key: &Key<P, R>) -> KeyAlgorithm {
    match key.mpis() {
        mpi::PublicKey::DSA { p, .. } => KeyAlgorithm::Dsa(p.bits()),
        mpi::PublicKey::ECDH { curve: PgpCurve::Cv25519, .. } | mpi::PublicKey::X25519 { .. } => KeyAlgorithm::X25519,
        mpi::PublicKey::ECDH { curve: pgp, .. } => curve(pgp).map_or(KeyAlgorithm::Other("ecdh"), KeyAlgorithm::Ecdh),
        mpi::PublicKey::ECDSA { curve: pgp, .. } => {
            curve(pgp).map_or(KeyAlgorithm::Other("ecdsa"), KeyAlgorithm::Ecdsa)
        }
        mpi::PublicKey::EdDSA { curve: PgpCurve::Ed25519, .. } | mpi::PublicKey::Ed25519 { .. } => {
            KeyAlgorithm::Ed25519
        }
        mpi::PublicKey::Ed448 { .. } => KeyAlgorithm::Ed448,
        mpi::PublicKey::ElGamal { p, .. } => KeyAlgorithm::Elgamal(p.bits()),
        mpi::PublicKey::RSA { n, .. } => KeyAlgorithm::Rsa(n.bits()),
        mpi::PublicKey::SLHDSA128s { .. } => KeyAlgorithm::SlhDsa(SlhDsa::Shake128s),
        mpi::PublicKey::SLHDSA128f { .. } => KeyAlgorithm::SlhDsa(SlhDsa::Shake128f),
        mpi::PublicKey::SLHDSA256s { .. } => KeyAlgorithm::SlhDsa(SlhDsa::Shake256s),
        mpi::PublicKey::X448 { .. } => KeyAlgorithm::X448,
        _ => KeyAlgorithm::Other(public_name(key.pk_algo())),
    }
}

/// Whether the key has an algorithm that is for keys of version 6, and is of an older one (RFC 9980, sections 4.3.2, 5.3.2 and 6.2.2).
pub(super) fn needs_version_6<P: key::KeyParts, R: key::KeyRole>(key: &Key<P, R>) -> bool {
    key.version() < 6 && is_of_version_6(key.pk_algo())
}

/// See [`needs_version_6`].
pub(super) fn is_of_version_6(algorithm: PublicKeyAlgorithm) -> bool {
    algorithm != PublicKeyAlgorithm::MLKEM768_X25519 && KeyAlgorithm::Other(public_name(algorithm)).is_quantum_safe()
}

/// The public-key algorithm without its size, for signatures whose key is missing.
pub(super) fn public_name(algorithm: PublicKeyAlgorithm) -> &'static str {
    openpgp_key_name(algorithm.into())
}

/// The name of the cipher: `aes256`, `3des`, ...
pub(super) fn cipher_name(algorithm: SymmetricAlgorithm) -> &'static str {
    match algorithm {
        SymmetricAlgorithm::Unencrypted => "none",
        _ => Cipher::of_openpgp(algorithm.into()).map_or("unknown", Cipher::name),
    }
}

/// The cipher with our name, in upper or lower case; `None` if OpenPGP does not have it.
pub(super) fn cipher(name: &str) -> Option<SymmetricAlgorithm> {
    SymmetricAlgorithm::variants().find(|algorithm| cipher_name(*algorithm).eq_ignore_ascii_case(name))
}

/// The name of the AEAD mode.
pub(super) fn aead_name(algorithm: AEADAlgorithm) -> &'static str {
    match algorithm {
        AEADAlgorithm::EAX => "eax",
        AEADAlgorithm::GCM => "gcm",
        AEADAlgorithm::OCB => "ocb",
        _ => "unknown",
    }
}

/// The name of the compression algorithm.
pub(super) fn compression_name(algorithm: CompressionAlgorithm) -> &'static str {
    match algorithm {
        CompressionAlgorithm::BZip2 => "bzip2",
        CompressionAlgorithm::Uncompressed => "none",
        CompressionAlgorithm::Zip => "zip",
        CompressionAlgorithm::Zlib => "zlib",
        _ => "unknown",
    }
}

/// The name of the curve, or its object identifier in hexadecimal if unknown.
pub(super) fn curve_name(pgp: &PgpCurve) -> String {
    curve(pgp).map_or_else(|| format!("curve {}", hex(pgp.oid())), |known| known.name().to_owned())
}

/// Our curve for OpenPGP's; `None` for those of RFC 7748 and RFC 8032, and for unknown ones.
pub(super) fn curve(pgp: &PgpCurve) -> Option<Curve> {
    Curve::of_oid(ObjectIdentifier::from_bytes(pgp.oid()).ok()?)
}
