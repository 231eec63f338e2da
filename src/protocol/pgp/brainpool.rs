//! Keys on the brainpool curves (RFC 9580, section 9.2), which Sequoia's RustCrypto backend does not know. What such a key signed in a
//! certificate is verified here, and told to Sequoia's cache of good signatures, where it looks before it verifies; what is encrypted
//! to one is written here.
//!
//! The cache is Sequoia's one global; it holds facts of mathematics alone (these numbers verify over this digest under this key), which
//! are the same for everybody. An entry that Sequoia does not recognize leaves the signature unverified.

use std::sync::mpsc;

use sequoia_openpgp::{
    self as openpgp, Cert, KeyHandle, Packet,
    crypto::{SessionKey, ecdh::aes_key_wrap, mem::Protected, mpi},
    packet::{
        Key, PKESK, Signature,
        key::{PublicParts, SubordinateRole, UnspecifiedRole},
        pkesk::{PKESK3, PKESK6},
        signature::cache::SignatureVerificationCache,
    },
    serialize::MarshalInto,
    types::{SignatureType, SymmetricAlgorithm},
};
use zeroize::Zeroizing;

use super::{public, suite};
use crate::crypto::{Curve, Hash, KeyAlgorithm, agree_ephemeral};

/// Verifies what the certificate's keys on brainpool curves signed in it, so that Sequoia finds it good. To be called on every certificate
/// that was read, before anything is asked of it.
pub(super) fn vouch(cert: &Cert) {
    if !cert.keys().any(|key| is_brainpool(suite::key_algorithm(key.key()))) {
        return;
    }
    let good: Vec<Vec<u8>> = made(cert).iter().filter_map(Made::entry).collect();
    let (done, finished) = mpsc::channel();
    // Sequoia adds them in a thread of its own.
    SignatureVerificationCache::restore(good.into_iter(), move || done.send(()).unwrap_or_default());
    finished.recv().unwrap_or_default();
}

/// Whether the key is on one of these curves, so that Sequoia cannot encrypt to it.
pub(super) fn is_on(key: &Key<PublicParts, UnspecifiedRole>) -> bool {
    is_brainpool(suite::key_algorithm(key))
}

/// The session key encrypted to a key that [`is_on`] one of these curves (RFC 9580, sections 5.1.5 and 11.5): a packet of version 3 where
/// `cipher` is named in it, of version 6 where the container names it.
pub(super) fn encrypted(
    key: &Key<PublicParts, UnspecifiedRole>,
    handle: Option<KeyHandle>,
    cipher: Option<SymmetricAlgorithm>,
    session: &SessionKey,
) -> openpgp::Result<Packet> {
    let mpi::PublicKey::ECDH { curve, q, hash, sym } = key.mpis() else {
        return Err(openpgp::Error::UnsupportedPublicKeyAlgorithm(key.pk_algo()).into());
    };
    let (point, shared) = agree_ephemeral(suite::key_algorithm(key), q.value())?;

    let sum = session.iter().fold(0_u16, |sum, octet| sum.wrapping_add((*octet).into()));
    let mut plain = Zeroizing::new(Vec::with_capacity(PADDED));
    plain.extend(cipher.map(u8::from));
    plain.extend_from_slice(session);
    plain.extend_from_slice(&sum.to_be_bytes());
    let missing = PADDED.saturating_sub(plain.len());
    plain.resize(PADDED, u8::try_from(missing)?);

    let mut parameters = vec![u8::try_from(curve.oid().len())?];
    parameters.extend_from_slice(curve.oid());
    parameters.extend_from_slice(&[key.pk_algo().into(), 3, 1, (*hash).into(), (*sym).into()]);
    parameters.extend_from_slice(b"Anonymous Sender    ");
    parameters.extend_from_slice(key.fingerprint().as_bytes());
    let input = Zeroizing::new([&[0, 0, 0, 1], shared.expose(), &parameters].concat());
    let unknown = || openpgp::Error::UnsupportedHashAlgorithm(*hash);
    let derived = Zeroizing::new(suite::hash(*hash).ok_or_else(unknown)?.digest(&input));
    let wrapping = derived.get(..sym.key_size()?).ok_or_else(unknown)?;
    let wrapped = aes_key_wrap(*sym, &Protected::from(wrapping), &Protected::from(plain.as_slice()))?;

    let ciphertext = mpi::Ciphertext::ECDH { e: mpi::MPI::new(&point), key: wrapped.into() };
    let packet = match cipher {
        Some(_) => PKESK::from(PKESK3::new(handle.map(Into::into), key.pk_algo(), ciphertext)?),
        None => PKESK::from(PKESK6::new(handle.map(TryInto::try_into).transpose()?, key.pk_algo(), ciphertext)?),
    };
    Ok(packet.into())
}

fn is_brainpool(algorithm: KeyAlgorithm) -> bool {
    let (KeyAlgorithm::Ecdsa(curve) | KeyAlgorithm::Ecdh(curve)) = algorithm else { return false };
    matches!(curve, Curve::BrainpoolP256 | Curve::BrainpoolP384 | Curve::BrainpoolP512)
}

/// A signature in a certificate, by a key of the certificate.
struct Made {
    signature: Signature,
    by: Key<PublicParts, UnspecifiedRole>,
    digest: Vec<u8>,
}

impl Made {
    /// The signature as an entry of the cache, if it is good: see `packet/signature/cache.rs` of Sequoia, version 0 of the form.
    fn entry(&self) -> Option<Vec<u8>> {
        public::check(&self.by, &self.signature, &self.digest).ok()?;
        let numbers = self.signature.mpis().to_vec().ok()?;
        let mut context = vec![0];
        context.extend_from_slice(&u32::try_from(numbers.len()).ok()?.to_le_bytes());
        context.extend_from_slice(&numbers);
        context.push(self.signature.hash_algo().into());
        context.extend_from_slice(&self.digest);
        context.extend_from_slice(&self.by.mpis().to_vec().ok()?);
        let mut entry = Hash::Sha512.digest(&context);
        entry.truncate(ENTRY);
        Some(entry)
    }
}

/// The signatures of the certificate by its own keys on brainpool curves: revocations first, then the newest.
fn made(cert: &Cert) -> Vec<Made> {
    let primary = cert.primary_key().key().clone();
    let mut subkey: Option<Key<PublicParts, SubordinateRole>> = None;
    let mut made = Vec::new();
    // Sequoia has computed the digests on reading, and verified nothing yet.
    for packet in cert.clone().into_packets() {
        let signature = match packet {
            Packet::PublicSubkey(key) => {
                subkey = Some(key);
                continue;
            }
            Packet::Signature(signature) => signature,
            _ => continue,
        };
        let own = KeyHandle::from(primary.fingerprint());
        let issuers = signature.get_issuers();
        if !issuers.is_empty() && !issuers.iter().any(|issuer| issuer.aliases(&own)) {
            continue;
        }
        for (back, subkey) in signature.embedded_signatures().zip(subkey.iter().cycle()) {
            let context = back.hash_algo().context().map(|context| context.for_signature(back.version()));
            let digest = context.and_then(|mut context| {
                back.hash_primary_key_binding(&mut context, &primary, subkey)?;
                context.into_digest()
            });
            let by = subkey.clone().role_into_unspecified();
            made.extend(digest.ok().map(|digest| Made { signature: back.clone(), by, digest }));
        }
        if let Some(digest) = signature.computed_digest().map(<[u8]>::to_vec) {
            made.push(Made { signature, by: primary.clone().role_into_unspecified(), digest });
        }
    }
    made.retain(|one| is_brainpool(suite::key_algorithm(&one.by)));
    let revokes = |one: &Made| {
        use SignatureType::{CertificationRevocation, KeyRevocation, SubkeyRevocation};
        matches!(one.signature.typ(), KeyRevocation | SubkeyRevocation | CertificationRevocation)
    };
    made.sort_by_key(|one| std::cmp::Reverse((revokes(one), one.signature.signature_creation_time())));
    made.truncate(SIGNATURES);
    made
}

/// Octets to which a session key is padded, so that its length does not show (RFC 9580, section 11.5).
const PADDED: usize = 40;

/// Octets of an entry of Sequoia's cache.
const ENTRY: usize = 32;

/// Signatures of one certificate that are verified here; older ones stay unverified. Each takes 3 to 10 ms, measured.
const SIGNATURES: usize = 64;

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use sequoia_openpgp::{
        packet::{
            UserID,
            key::{Key4, PrimaryRole},
            signature::SignatureBuilder,
        },
        policy::StandardPolicy,
        types::{Curve as PgpCurve, HashAlgorithm, KeyFlags, PublicKeyAlgorithm},
    };

    use super::*;
    use crate::{
        crypto::{SoftwareKey, generate},
        protocol::pgp::{cert, secret::Handled},
    };

    /// Whose the subkey is.
    #[derive(PartialEq)]
    enum Subkey {
        Own,
        Stolen,
    }

    /// A certificate on a curve with a signing subkey, whose owner agreed to it if it is his own.
    fn made_cert(whose: Subkey) -> openpgp::Result<Vec<u8>> {
        let (primary, mut signer) = key()?;
        let (subkey, mut back_signer) = key()?;
        if whose == Subkey::Stolen {
            back_signer = Handled::new(subkey.clone().role_into_unspecified(), Arc::new(scalar()?.0));
        }
        let subkey: Key<PublicParts, SubordinateRole> = subkey.role_into_subordinate();
        let user_id = UserID::from("Alice <alice@example.org>");
        let builder = |kind| {
            SignatureBuilder::new(kind)
                .set_hash_algo(HashAlgorithm::SHA256)
                .set_signature_creation_time(made())
                .unwrap()
        };
        let name = builder(SignatureType::PositiveCertification)
            .set_key_flags(KeyFlags::empty().set_certification())?
            .sign_userid_binding(&mut signer, &primary, &user_id)?;
        let back =
            builder(SignatureType::PrimaryKeyBinding).sign_primary_key_binding(&mut back_signer, &primary, &subkey)?;
        let binding = builder(SignatureType::SubkeyBinding)
            .set_key_flags(KeyFlags::empty().set_signing())?
            .set_embedded_signature(back)?
            .sign_subkey_binding(&mut signer, &primary, &subkey)?;
        let packets = [primary.into(), user_id.into(), name.into(), subkey.into(), binding.into()];
        let mut octets: Vec<u8> = Vec::new();
        for packet in packets {
            octets.extend(Packet::to_vec(&packet)?);
        }
        Ok(octets)
    }

    fn scalar() -> openpgp::Result<(SoftwareKey, Vec<u8>)> {
        let (scalar, point) = generate(KeyAlgorithm::Ecdsa(Curve::BrainpoolP256))?;
        Ok((SoftwareKey::ecdsa(Curve::BrainpoolP256, &scalar, &point)?, point))
    }

    fn key() -> openpgp::Result<(Key<PublicParts, PrimaryRole>, Handled)> {
        let (secret, point) = scalar()?;
        let public = mpi::PublicKey::ECDSA { curve: PgpCurve::BrainpoolP256, q: mpi::MPI::new(&point) };
        let key: Key<PublicParts, PrimaryRole> = Key4::new(made(), PublicKeyAlgorithm::ECDSA, public)?.into();
        let handled = Handled::new(key.clone().role_into_unspecified(), Arc::new(secret));
        Ok((key, handled))
    }

    /// 2026-11-23T12:00:00Z.
    fn made() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200)
    }

    /// How many keys the certificate binds.
    fn bound(octets: &[u8]) -> usize {
        cert::read(octets).unwrap().keys().with_policy(&StandardPolicy::new(), made()).count()
    }

    #[test]
    fn bindings_and_back_signatures_count() {
        assert_eq!(bound(&made_cert(Subkey::Own).unwrap()), 2);
    }

    #[test]
    fn a_back_signature_by_another_key_does_not() {
        assert_eq!(bound(&made_cert(Subkey::Stolen).unwrap()), 1);
    }

    /// The last octets of the last packet are those of its number `s`.
    #[test]
    fn a_changed_binding_does_not() {
        let mut changed = made_cert(Subkey::Own).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(bound(&changed), 1);
    }
}
