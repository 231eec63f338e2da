//! Certificates around keys that are elsewhere, on a token.

use std::{sync::Arc, time::SystemTime};

use sequoia_openpgp::{
    anyhow,
    crypto::mpi::{self, MPI},
    packet::{
        Key,
        key::{Key4, Key6, KeyRole, PrimaryRole, PublicParts as Public, SubordinateRole},
    },
    types::{Curve as PgpCurve, HashAlgorithm, PublicKeyAlgorithm, SymmetricAlgorithm},
};

use super::{
    cert::{self, handle},
    generate::{Profile, Request, armored, bind, failed, user_ids},
    keyfile::describe_cert,
    secret::Handled,
    suite,
};
use crate::{
    base::{Clock, Result},
    crypto::{Curve, PublicParts, SecretKey},
    keys::{Handle, Record},
    protocol::Described,
};

/// A new certificate around keys that are elsewhere.
#[derive(Debug)]
pub struct Certified {
    /// The certificate. Its [`Described::secret`] is for the caller to set.
    pub described: Described,
    /// The fingerprint of the primary key, which certifies and signs.
    pub primary: Handle,
    /// The fingerprint of the subkey, which decrypts.
    pub subkey: Handle,
    /// The certificate's revocation, armored.
    pub revocation: Vec<u8>,
}

/// The fingerprints of the keys in the certificate of `record` that are this key.
///
/// # Errors
///
/// `Malformed` if the certificate cannot be read.
pub fn keys_of(record: &Record, key: &PublicParts) -> Result<Vec<Handle>> {
    let cert = cert::parse(record)?;
    let same = cert.keys().filter(|one| parts(one.key().mpis()).as_ref() == Some(key));
    Ok(same.map(|one| handle(&one.key().fingerprint())).collect())
}

/// A certificate with a primary key that certifies and signs by `secret`, and a subkey for encryption. The algorithm and the passphrase of `request`
/// are not used.
///
/// # Errors
///
/// As [`generate`](super::generate::generate); those of `secret`; `NoKey` if OpenPGP has no such keys.
pub fn generate(
    request: &Request,
    (primary, secret): (&PublicParts, Arc<dyn SecretKey>),
    subkey: &PublicParts,
    clock: &dyn Clock,
) -> Result<Certified> {
    let (user_ids, now) = (user_ids(request)?, clock.now());
    let unsuited = |key: &PublicParts, what: &str| key.algorithm().refuses(format_args!("{what} in OpenPGP"));
    let of_primary = signing(request.profile, primary).ok_or_else(|| unsuited(primary, "sign"))?;
    let of_subkey = encrypting(request.profile, subkey).ok_or_else(|| unsuited(subkey, "decrypt"))?;
    let made = || -> anyhow::Result<_> {
        let primary: Key<Public, PrimaryRole> = packet(request.profile, now, of_primary)?;
        let subkey: Key<Public, SubordinateRole> = packet(request.profile, now, of_subkey)?;
        let names = (handle(&primary.fingerprint()), handle(&subkey.fingerprint()));
        let mut signer = Handled::new(primary.clone().role_into_unspecified(), secret);
        let (cert, revocation) = bind(request, now, &user_ids, &mut signer, (primary, subkey))?;
        Ok((cert, armored(revocation)?, names))
    };
    let (cert, revocation, (primary, subkey)) = made().map_err(|error| failed(&error))?;
    let mut described = describe_cert(&cert)?;
    described.record.set_secrets([primary.clone(), subkey.clone()]);
    described.proven = vec![primary.clone(), subkey.clone()];
    Ok(Certified { described, primary, subkey, revocation })
}

fn packet<R: KeyRole>(
    profile: Profile,
    now: SystemTime,
    (algorithm, numbers): (PublicKeyAlgorithm, mpi::PublicKey),
) -> anyhow::Result<Key<Public, R>> {
    Ok(match profile {
        Profile::Rfc4880 => Key4::new(now, algorithm, numbers)?.into(),
        Profile::Rfc9580 | Profile::Rfc9980 => Key6::new(now, algorithm, numbers)?.into(),
    })
}

/// The packet's numbers of a key that signs (RFC 9580, section 5.5.5).
fn signing(profile: Profile, key: &PublicParts) -> Option<(PublicKeyAlgorithm, mpi::PublicKey)> {
    Some(match key {
        PublicParts::Ed25519(octets) => match profile {
            Profile::Rfc4880 => {
                let numbers = mpi::PublicKey::EdDSA { curve: PgpCurve::Ed25519, q: MPI::new_compressed_point(octets) };
                (PublicKeyAlgorithm::EdDSA, numbers)
            }
            Profile::Rfc9580 | Profile::Rfc9980 => {
                let a = octets.as_slice().try_into().ok()?;
                (PublicKeyAlgorithm::Ed25519, mpi::PublicKey::Ed25519 { a })
            }
        },
        PublicParts::Elliptic { curve, point } => {
            let numbers = mpi::PublicKey::ECDSA { curve: pgp_curve(*curve)?, q: MPI::new(point) };
            (PublicKeyAlgorithm::ECDSA, numbers)
        }
        PublicParts::Rsa { n, e } => rsa(n, e),
        PublicParts::X25519(_) => return None,
    })
}

/// The packet's numbers of a key that decrypts.
fn encrypting(profile: Profile, key: &PublicParts) -> Option<(PublicKeyAlgorithm, mpi::PublicKey)> {
    Some(match key {
        PublicParts::Ed25519(_) => return None,
        PublicParts::Elliptic { curve, point } => {
            // RFC 9580, section 11.5.1.
            let (hash, sym) = match curve {
                Curve::P256 => (HashAlgorithm::SHA256, SymmetricAlgorithm::AES128),
                Curve::P384 => (HashAlgorithm::SHA384, SymmetricAlgorithm::AES192),
                _ => (HashAlgorithm::SHA512, SymmetricAlgorithm::AES256),
            };
            let numbers = mpi::PublicKey::ECDH { curve: pgp_curve(*curve)?, q: MPI::new(point), hash, sym };
            (PublicKeyAlgorithm::ECDH, numbers)
        }
        PublicParts::Rsa { n, e } => rsa(n, e),
        PublicParts::X25519(octets) => match profile {
            Profile::Rfc4880 => {
                let (curve, q) = (PgpCurve::Cv25519, MPI::new_compressed_point(octets));
                let (hash, sym) = (HashAlgorithm::SHA256, SymmetricAlgorithm::AES128);
                (PublicKeyAlgorithm::ECDH, mpi::PublicKey::ECDH { curve, q, hash, sym })
            }
            Profile::Rfc9580 | Profile::Rfc9980 => {
                let u = octets.as_slice().try_into().ok()?;
                (PublicKeyAlgorithm::X25519, mpi::PublicKey::X25519 { u })
            }
        },
    })
}

fn rsa(n: &[u8], e: &[u8]) -> (PublicKeyAlgorithm, mpi::PublicKey) {
    (PublicKeyAlgorithm::RSAEncryptSign, mpi::PublicKey::RSA { e: MPI::new(e), n: MPI::new(n) })
}

fn pgp_curve(curve: Curve) -> Option<PgpCurve> {
    match curve {
        Curve::P256 => Some(PgpCurve::NistP256),
        Curve::P384 => Some(PgpCurve::NistP384),
        Curve::P521 => Some(PgpCurve::NistP521),
        _ => None,
    }
}

/// `None` if no token has such keys.
fn parts(numbers: &mpi::PublicKey) -> Option<PublicParts> {
    Some(match numbers {
        mpi::PublicKey::RSA { e, n } => PublicParts::Rsa { n: n.value().to_vec(), e: e.value().to_vec() },
        mpi::PublicKey::ECDSA { curve, q } => {
            PublicParts::Elliptic { curve: suite::curve(curve)?, point: q.value().to_vec() }
        }
        mpi::PublicKey::EdDSA { curve: curve @ PgpCurve::Ed25519, q } => {
            PublicParts::Ed25519(q.decode_point(curve).ok()?.0.to_vec())
        }
        mpi::PublicKey::Ed25519 { a } => PublicParts::Ed25519(a.to_vec()),
        mpi::PublicKey::ECDH { curve: curve @ PgpCurve::Cv25519, q, .. } => {
            PublicParts::X25519(q.decode_point(curve).ok()?.0.to_vec())
        }
        mpi::PublicKey::ECDH { curve, q, .. } => {
            PublicParts::Elliptic { curve: suite::curve(curve)?, point: q.value().to_vec() }
        }
        mpi::PublicKey::X25519 { u } => PublicParts::X25519(u.to_vec()),
        _ => return None,
    })
}
