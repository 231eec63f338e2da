//! Maps OpenPGP's algorithm numbers (RFC 9580, section 9) to our names, with their strengths.

use sequoia_openpgp::{
    crypto::mpi,
    packet::{Key, key},
    types::{
        AEADAlgorithm, CompressionAlgorithm, Curve as PgpCurve, HashAlgorithm, PublicKeyAlgorithm, SymmetricAlgorithm,
    },
};

use crate::crypto::{Curve, Hash, KeyAlgorithm, Strength};

/// Our hash function for OpenPGP's number; `None` if `crypto` does not have it.
pub(super) fn hash(algorithm: HashAlgorithm) -> Option<Hash> {
    match algorithm {
        HashAlgorithm::MD5 => Some(Hash::Md5),
        HashAlgorithm::RipeMD => Some(Hash::Ripemd160),
        HashAlgorithm::SHA1 => Some(Hash::Sha1),
        HashAlgorithm::SHA224 => Some(Hash::Sha224),
        HashAlgorithm::SHA256 => Some(Hash::Sha256),
        HashAlgorithm::SHA384 => Some(Hash::Sha384),
        HashAlgorithm::SHA512 => Some(Hash::Sha512),
        HashAlgorithm::SHA3_256 => Some(Hash::Sha3_256),
        HashAlgorithm::SHA3_512 => Some(Hash::Sha3_512),
        _ => None,
    }
}

/// OpenPGP's number for a hash function; `None` where it has none (SHA3-384, MD2, ...).
pub(super) fn hash_algorithm(hash: Hash) -> Option<HashAlgorithm> {
    match hash {
        Hash::Md5 => Some(HashAlgorithm::MD5),
        Hash::Ripemd160 => Some(HashAlgorithm::RipeMD),
        Hash::Sha1 => Some(HashAlgorithm::SHA1),
        Hash::Sha224 => Some(HashAlgorithm::SHA224),
        Hash::Sha256 => Some(HashAlgorithm::SHA256),
        Hash::Sha384 => Some(HashAlgorithm::SHA384),
        Hash::Sha512 => Some(HashAlgorithm::SHA512),
        Hash::Sha3_256 => Some(HashAlgorithm::SHA3_256),
        Hash::Sha3_512 => Some(HashAlgorithm::SHA3_512),
        _ => None,
    }
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
        mpi::PublicKey::X448 { .. } => KeyAlgorithm::X448,
        _ => KeyAlgorithm::Other(public_name(key.pk_algo())),
    }
}

/// The public-key algorithm without its size, for signatures whose key is missing.
pub(super) fn public_name(algorithm: PublicKeyAlgorithm) -> &'static str {
    #[allow(deprecated)]
    match algorithm {
        PublicKeyAlgorithm::RSAEncrypt | PublicKeyAlgorithm::RSAEncryptSign | PublicKeyAlgorithm::RSASign => "rsa",
        PublicKeyAlgorithm::DSA => "dsa",
        PublicKeyAlgorithm::ElGamalEncrypt | PublicKeyAlgorithm::ElGamalEncryptSign => "elgamal",
        PublicKeyAlgorithm::ECDH => "ecdh",
        PublicKeyAlgorithm::ECDSA => "ecdsa",
        PublicKeyAlgorithm::EdDSA => "eddsa",
        PublicKeyAlgorithm::Ed25519 => "ed25519",
        PublicKeyAlgorithm::Ed448 => "ed448",
        PublicKeyAlgorithm::X25519 => "x25519",
        PublicKeyAlgorithm::X448 => "x448",
        PublicKeyAlgorithm::MLDSA65_Ed25519 => "mldsa65-ed25519",
        PublicKeyAlgorithm::MLDSA87_Ed448 => "mldsa87-ed448",
        PublicKeyAlgorithm::MLKEM768_X25519 => "mlkem768-x25519",
        PublicKeyAlgorithm::MLKEM1024_X448 => "mlkem1024-x448",
        PublicKeyAlgorithm::SLHDSA128s => "slhdsa128s",
        PublicKeyAlgorithm::SLHDSA128f => "slhdsa128f",
        PublicKeyAlgorithm::SLHDSA256s => "slhdsa256s",
        _ => "unknown",
    }
}

/// The name of the cipher: `aes256`, `3des`, ...
pub(super) fn cipher_name(algorithm: SymmetricAlgorithm) -> &'static str {
    #[allow(deprecated)]
    match algorithm {
        SymmetricAlgorithm::AES128 => "aes128",
        SymmetricAlgorithm::AES192 => "aes192",
        SymmetricAlgorithm::AES256 => "aes256",
        SymmetricAlgorithm::Blowfish => "blowfish",
        SymmetricAlgorithm::CAST5 => "cast5",
        SymmetricAlgorithm::Camellia128 => "camellia128",
        SymmetricAlgorithm::Camellia192 => "camellia192",
        SymmetricAlgorithm::Camellia256 => "camellia256",
        SymmetricAlgorithm::IDEA => "idea",
        SymmetricAlgorithm::TripleDES => "3des",
        SymmetricAlgorithm::Twofish => "twofish",
        SymmetricAlgorithm::Unencrypted => "none",
        _ => "unknown",
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
    let identifier = || pgp.oid().iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    curve(pgp).map_or_else(|| format!("curve {}", identifier()), |known| known.name().to_owned())
}

/// Our curve for OpenPGP's; `None` for those of RFC 7748 and RFC 8032, and for unknown ones.
pub(super) fn curve(pgp: &PgpCurve) -> Option<Curve> {
    match pgp {
        PgpCurve::BrainpoolP256 => Some(Curve::BrainpoolP256),
        PgpCurve::BrainpoolP384 => Some(Curve::BrainpoolP384),
        PgpCurve::BrainpoolP512 => Some(Curve::BrainpoolP512),
        PgpCurve::NistP256 => Some(Curve::P256),
        PgpCurve::NistP384 => Some(Curve::P384),
        PgpCurve::NistP521 => Some(Curve::P521),
        _ => None,
    }
}
