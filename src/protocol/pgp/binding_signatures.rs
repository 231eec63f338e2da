//! The signatures that a certificate's own keys made in it, verified by `crypto`: Sequoia's RustCrypto backend takes ten times as long for RSA, and does
//! not know the brainpool curves. Good ones are added to Sequoia's cache of verified signatures, where it looks before it verifies.
//!
//! That cache belongs to the process, as Sequoia has it, and so does the list of certificates whose entries are in it. Both hold only facts that are the
//! same for everyone (these numbers verify over this digest under this key). The list is bounded. Sequoia's cache never forgets, but grows only with the
//! certificates that key stores and key files hold, since certificates in messages are not read: 32 octets for each good signature.
//! An entry that Sequoia does not recognize leaves the signature to Sequoia.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc},
};

use sequoia_openpgp::{
    Cert, KeyHandle, Packet,
    packet::{
        Key, Signature,
        key::{PublicParts, SubordinateRole, UnspecifiedRole},
        signature::cache::SignatureVerificationCache,
    },
    serialize::MarshalInto,
    types::SignatureType,
};

use super::{brainpool::is_brainpool, public, suite};
use crate::crypto::{Hash, KeyAlgorithm};

/// Verifies what keys of the certificate signed in it, so that Sequoia finds the results in its cache; `octets` are the certificate's. Call it on every
/// certificate that was read, before its first use.
pub(super) fn verify(cert: &Cert, octets: &[u8]) {
    let max = cert.keys().map(|key| max_signatures(suite::key_algorithm(key.key()))).max().unwrap_or(0);
    if max == 0 {
        return;
    }
    let digest = Hash::Sha256.digest(octets);
    if seen().contains(&digest) {
        return;
    }
    let good: Vec<Vec<u8>> = made(cert, max).iter().filter_map(Made::entry).collect();
    if !good.is_empty() {
        let (done, finished) = mpsc::channel();
        // Sequoia adds them in a thread of its own.
        SignatureVerificationCache::restore(good.into_iter(), move || done.send(()).unwrap_or_default());
        finished.recv().unwrap_or_default();
    }
    // Only now: a thread that finds it here relies on the entries.
    let mut seen = seen();
    if seen.len() == MAX_SEEN {
        seen.clear();
    }
    seen.insert(digest);
}

/// How many signatures of a certificate with such a key are verified here, the newest; Sequoia verifies others when it needs them.
fn max_signatures(algorithm: KeyAlgorithm) -> usize {
    match algorithm {
        // Each takes 3 to 10 ms, measured.
        algorithm if is_brainpool(algorithm) => 64,
        // Those of a user ID and two subkeys, as most certificates have.
        KeyAlgorithm::Rsa(_) => 3,
        _ => 0,
    }
}

/// The digests of certificates whose entries are in Sequoia's cache.
fn seen() -> MutexGuard<'static, HashSet<Vec<u8>>> {
    static SEEN: LazyLock<Mutex<HashSet<Vec<u8>>>> = LazyLock::new(Mutex::default);
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Signatures of the certificate by keys of its own that are verified here, at most `max`: revocations first, then the newest.
fn made(cert: &Cert, max: usize) -> Vec<Made> {
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
    made.retain(|one| max_signatures(suite::key_algorithm(&one.by)) > 0);
    let revokes = |one: &Made| {
        use SignatureType::{CertificationRevocation, KeyRevocation, SubkeyRevocation};
        matches!(one.signature.typ(), KeyRevocation | SubkeyRevocation | CertificationRevocation)
    };
    made.sort_by_key(|one| std::cmp::Reverse((revokes(one), one.signature.signature_creation_time())));
    made.truncate(max);
    made
}

/// Octets of an entry of Sequoia's cache.
const ENTRY: usize = 32;

/// Certificates.
const MAX_SEEN: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use sequoia_openpgp::{
        self as openpgp,
        crypto::mpi,
        packet::{
            UserID,
            key::{Key4, PrimaryRole},
            signature::SignatureBuilder,
        },
        parse::Parse,
        policy::StandardPolicy,
        types::{Curve as PgpCurve, HashAlgorithm, KeyFlags, PublicKeyAlgorithm},
    };

    use super::*;
    use crate::{
        crypto::{Curve, Legacy, SoftwareKey, generate},
        protocol::pgp::{cert, secret::Handled},
    };

    /// Whose the subkey is.
    #[derive(PartialEq)]
    enum Subkey {
        Own,
        Stolen,
    }

    /// A certificate on a curve with a signing subkey; an `Own` one has a back signature (RFC 9580, section 5.2.1.9).
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

    /// What Sequoia remembers of signatures that it verified itself.
    #[test]
    fn entries_are_those_of_sequoia() {
        let octets = include_bytes!("../../../testdata/attack/keys/short-rsa.asc");
        let read = Cert::from_bytes(octets).unwrap();
        let ours: Vec<_> = super::made(&read, 3).iter().map(|made| made.entry().unwrap()).collect();
        assert_eq!(read.keys().with_policy(&cert::policy(made(), Legacy::Admit), made()).count(), ours.len());
        let theirs: Vec<_> =
            SignatureVerificationCache::dump().into_iter().map(|entry| entry.value().to_vec()).collect();
        assert!(ours.iter().all(|entry| theirs.contains(entry)));
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
