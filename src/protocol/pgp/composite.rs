//! Keys of two algorithms at once, one of which withstands quantum computers (RFC 9980, sections 4 and 5), as one [`SecretKey`].

use std::fmt;

use sequoia_openpgp::{
    crypto::{
        SessionKey,
        ecdh::aes_key_unwrap,
        mem::Protected,
        mpi::{self, SecretKeyMaterial},
    },
    types::{PublicKeyAlgorithm, SymmetricAlgorithm},
};
use zeroize::Zeroizing;

use super::suite;
use crate::{
    base::{Result, Secret},
    crypto::{
        Hash, KeyAlgorithm, MlDsa, MlKem, PostQuantumSecret, PublicKey, Scheme, SecretKey, SoftwareKey, Unverified,
        Unwrap, verify,
    },
};

/// A key on an elliptic curve and one that withstands quantum computers. Each does its part of what RFC 9980 combines.
pub(super) struct CompositeKey {
    algorithm: KeyAlgorithm,
    curve: SoftwareKey,
    post_quantum: SoftwareKey,
}

impl CompositeKey {
    /// `algorithm` names both.
    pub(super) fn new(algorithm: KeyAlgorithm, curve: SoftwareKey, post_quantum: SoftwareKey) -> CompositeKey {
        CompositeKey { algorithm, curve, post_quantum }
    }
}

impl SecretKey for CompositeKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// With [`Scheme::Pure`], the EdDSA signature and the ML-DSA signature after it (RFC 9980, section 5.2.2).
    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        match scheme {
            Scheme::Pure => {
                let mut signature = self.curve.sign(Scheme::EdDsa, digest)?;
                signature.extend(self.post_quantum.sign(Scheme::Pure, digest)?);
                Ok(signature)
            }
            _ => Err(self.algorithm.refuses(format!("sign with {scheme:?}").to_lowercase())),
        }
    }

    fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> Result<Secret> {
        Err(self.algorithm.refuses("decrypt"))
    }

    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        self.curve.agree(peer)
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        self.post_quantum.decapsulate(ciphertext)
    }
}

impl fmt::Debug for CompositeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompositeKey({})", self.algorithm.name())
    }
}

/// A key of two algorithms (RFC 9980, sections 4.3.2 and 5.3.2); `None` for another one.
pub(super) fn key_of(public: &mpi::PublicKey, secret: &SecretKeyMaterial) -> Option<Result<CompositeKey>> {
    let seeded = |algorithm, seed: &[u8], public: &[u8]| {
        SoftwareKey::post_quantum(algorithm, &PostQuantumSecret::Seed(octets(seed)), public)
    };
    let (curve, post_quantum) = match (public, secret) {
        (
            mpi::PublicKey::MLKEM768_X25519 { ecdh, mlkem },
            SecretKeyMaterial::MLKEM768_X25519 { ecdh: scalar, mlkem: seed },
        ) => (
            SoftwareKey::x25519(&octets(scalar), ecdh.as_slice()),
            seeded(KeyAlgorithm::MlKem(MlKem::MlKem768), seed, mlkem.as_slice()),
        ),
        (
            mpi::PublicKey::MLKEM1024_X448 { ecdh, mlkem },
            SecretKeyMaterial::MLKEM1024_X448 { ecdh: scalar, mlkem: seed },
        ) => (
            SoftwareKey::x448(&octets(scalar), ecdh.as_slice()),
            seeded(KeyAlgorithm::MlKem(MlKem::MlKem1024), seed, mlkem.as_slice()),
        ),
        (
            mpi::PublicKey::MLDSA65_Ed25519 { eddsa, mldsa },
            SecretKeyMaterial::MLDSA65_Ed25519 { eddsa: scalar, mldsa: seed },
        ) => (
            SoftwareKey::ed25519(&octets(scalar), eddsa.as_slice()),
            seeded(KeyAlgorithm::MlDsa(MlDsa::MlDsa65), seed, mldsa.as_slice()),
        ),
        (
            mpi::PublicKey::MLDSA87_Ed448 { eddsa, mldsa },
            SecretKeyMaterial::MLDSA87_Ed448 { eddsa: scalar, mldsa: seed },
        ) => (
            SoftwareKey::ed448(&octets(scalar), eddsa.as_slice()),
            seeded(KeyAlgorithm::MlDsa(MlDsa::MlDsa87), seed, mldsa.as_slice()),
        ),
        _ => return None,
    };
    let algorithm = KeyAlgorithm::Other(suite::public_name(public.algo()?));
    Some(curve.and_then(|curve| Ok(CompositeKey::new(algorithm, curve, post_quantum?))))
}

fn octets(secret: &[u8]) -> Secret {
    Secret::new(secret.to_vec())
}

/// An encrypted session key (RFC 9980, section 4.3.1).
pub(super) struct Encrypted<'a> {
    /// The algorithm of the packet and of the key.
    pub(super) algorithm: PublicKeyAlgorithm,
    /// The ECDH public key of the recipient.
    pub(super) recipient: &'a [u8],
    /// The ECDH ciphertext.
    pub(super) peer: &'a [u8],
    /// The ML-KEM ciphertext.
    pub(super) capsule: &'a [u8],
    /// The wrapped session key.
    pub(super) wrapped: &'a [u8],
}

impl Encrypted<'_> {
    /// Decrypts the session key (RFC 9980, section 4.2.4). Any ML-KEM ciphertext gives a secret (implicit rejection); the integrity check of the key
    /// wrap is the only one.
    pub(super) fn open(&self, secret: &dyn SecretKey) -> sequoia_openpgp::Result<SessionKey> {
        let (agreed, capsuled) = (secret.agree(self.peer)?, secret.decapsulate(self.capsule)?);
        let key = self.key(agreed.expose(), capsuled.expose());
        Ok(aes_key_unwrap(SymmetricAlgorithm::AES256, &Protected::from(key.as_slice()), self.wrapped)?.into())
    }

    /// The key that wraps the session key (RFC 9980, section 4.2.1).
    fn key(&self, agreed: &[u8], capsuled: &[u8]) -> Zeroizing<Vec<u8>> {
        let algorithm = [u8::from(self.algorithm)];
        let length = u8::try_from(DOMAIN.len()).unwrap_or_default();
        let parts = [capsuled, agreed, self.peer, self.recipient, &algorithm, DOMAIN, &[length]];
        Zeroizing::new(Hash::Sha3_256.digest(&Zeroizing::new(parts.concat())))
    }
}

/// Verifies a signature of two algorithms: both must hold (RFC 9980, section 5.2.3). `curve` and `post_quantum` are a key and its signature each.
pub(super) fn verify_both(
    curve: (PublicKey<'_>, &[u8]),
    post_quantum: (PublicKey<'_>, &[u8]),
    digest: &[u8],
) -> Result<(), Unverified> {
    let one = verify(curve.0, Scheme::EdDsa, digest, curve.1);
    let other = verify(post_quantum.0, Scheme::Pure, digest, post_quantum.1);
    // No second opinion on half of a signature: whatever is wrong with a part, the whole does not hold.
    one.and(other).map_err(|_| Unverified::Signature)
}

/// RFC 9980, section 4.2.1.
const DOMAIN: &[u8] = b"OpenPGPCompositeKDFv1";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sequoia_openpgp::{
        crypto::{Signer as _, mpi::Ciphertext},
        packet::{
            Key, PKESK,
            key::{Key4, Key6, SecretParts, UnspecifiedRole},
            pkesk::{PKESK3, PKESK6},
            signature::SignatureBuilder,
        },
        serialize::MarshalInto,
        types::{HashAlgorithm, SignatureType},
    };

    use super::*;
    use crate::{
        base::{Error, Kind},
        protocol::pgp::secret::{Handled, handle_of},
    };

    type AnyKey = Key<SecretParts, UnspecifiedRole>;

    fn opened(key: &AnyKey) -> Result<Arc<dyn SecretKey>> {
        handle_of(key).map_err(Error::from)
    }

    fn handled(key: &AnyKey) -> Handled {
        Handled::new(key.clone().take_secret().0, opened(key).unwrap())
    }

    fn keys() -> [AnyKey; 3] {
        [
            Key4::generate_mlkem768_x25519().unwrap().into(),
            Key6::generate_mlkem768_x25519().unwrap().into(),
            Key6::generate_mlkem1024_x448().unwrap().into(),
        ]
    }

    #[test]
    fn session_keys_of_either_version_are_opened() {
        let (session, cipher) = (SessionKey::from(vec![7; 32]), SymmetricAlgorithm::AES256);
        for key in keys() {
            let v6 = PKESK::from(PKESK6::for_recipient(&session, &key).unwrap());
            assert_eq!(v6.decrypt(&mut handled(&key), None), Some((None, session.clone())), "{:?}", handled(&key));
            let v3 = PKESK3::for_recipient(cipher, &session, &key).map(PKESK::from);
            if key.pk_algo() == PublicKeyAlgorithm::MLKEM1024_X448 {
                // RFC 9980, section 4.3.1: its readers all read the newer container.
                assert!(v3.is_err());
            } else {
                assert_eq!(v3.unwrap().decrypt(&mut handled(&key), None), Some((Some(cipher), session.clone())));
            }
        }
    }

    /// Whatever octet is changed, and whatever key is tried, there is no session key, and nothing says why.
    #[test]
    fn a_changed_capsule_and_a_wrong_key_open_nothing() {
        let session = SessionKey::from(vec![7; 32]);
        for (key, other) in keys().iter().zip(&keys()) {
            let packet = PKESK6::for_recipient(&session, key).unwrap();
            assert_eq!(PKESK::from(packet.clone()).decrypt(&mut handled(other), None), None);
            let octets = packet.esk().to_vec().unwrap();
            for at in [0, 31, 60, 700, 1_119, octets.len() - 41, octets.len() - 1] {
                let mut changed = octets.clone();
                changed[at] ^= 4;
                let Ok(wrapped) = Ciphertext::parse(key.pk_algo(), changed.as_slice()) else { continue };
                let changed = PKESK6::new(None, key.pk_algo(), wrapped).unwrap();
                assert_eq!(PKESK::from(changed).decrypt(&mut handled(key), None), None, "{at}");
            }
            let whole = Ciphertext::parse(key.pk_algo(), octets.as_slice()).unwrap();
            let whole = PKESK6::new(None, key.pk_algo(), whole).unwrap();
            assert!(PKESK::from(whole).decrypt(&mut handled(key), None).is_some());
        }
    }

    #[test]
    fn both_halves_of_a_signature_must_hold() {
        use mpi::Signature;
        let key: AnyKey = Key6::generate_mldsa65_ed25519().unwrap().into();
        let (digest, hash) = ([5; 64], HashAlgorithm::SHA512);
        let signature = handled(&key).sign(hash, &digest).unwrap();
        key.verify(&signature, hash, &digest).expect("Sequoia verifies it too");
        let Signature::MLDSA65_Ed25519 { eddsa, mldsa } = &signature else { panic!("{signature:?}") };
        let mpi::PublicKey::MLDSA65_Ed25519 { eddsa: point, mldsa: octets } = key.mpis() else { panic!("{key:?}") };
        let set = MlDsa::MlDsa65;
        let holds = |eddsa: &[u8], mldsa: &[u8], digest: &[u8]| {
            let post_quantum = PublicKey::MlDsa { set, key: octets.as_slice() };
            verify_both((PublicKey::Ed25519(point.as_slice()), eddsa), (post_quantum, mldsa), digest)
        };
        let (eddsa, mldsa) = (eddsa.as_slice(), mldsa.as_slice());
        assert_eq!(holds(eddsa, mldsa, &digest), Ok(()));
        let flipped = |octets: &[u8], at: usize| {
            let mut octets = octets.to_vec();
            octets[at] ^= 1;
            octets
        };
        for at in [0, 40, 63] {
            assert_eq!(holds(&flipped(eddsa, at), mldsa, &digest), Err(Unverified::Signature), "eddsa {at}");
        }
        for at in [0, 1_000, 3_308] {
            assert_eq!(holds(eddsa, &flipped(mldsa, at), &digest), Err(Unverified::Signature), "ml-dsa {at}");
        }
        assert_eq!(holds(eddsa, mldsa, &[6; 64]), Err(Unverified::Signature));
        assert_eq!(holds(&eddsa[1..], mldsa, &digest), Err(Unverified::Signature));
        assert_eq!(holds(eddsa, &mldsa[1..], &digest), Err(Unverified::Signature));
    }

    #[test]
    fn post_quantum_keys_sign() {
        let keys: [AnyKey; 3] = [
            Key6::generate_mldsa65_ed25519().unwrap().into(),
            Key6::generate_mldsa87_ed448().unwrap().into(),
            Key6::generate_slhdsa128f().unwrap().into(),
        ];
        for key in &keys {
            let mut signer = handled(key);
            let builder = SignatureBuilder::new(SignatureType::Binary).set_hash_algo(HashAlgorithm::SHA512);
            let signature = builder.sign_message(&mut signer, b"text").unwrap();
            signature.verify_message(key, b"text").unwrap_or_else(|e| panic!("{signer:?}: {e}"));
            assert!(signature.verify_message(key, b"texT").is_err(), "{signer:?}");
        }
        let [one, other, _] = keys;
        // The secret of another key of the same algorithm.
        let other_of_kind: AnyKey = Key6::generate_mldsa65_ed25519().unwrap().into();
        let mixed = one.take_secret().0.add_secret(other_of_kind.take_secret().1).0;
        let error = opened(&mixed).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains("do not belong together")),
            (Kind::NoKey, true),
            "{error}"
        );
        assert_eq!(format!("{:?}", opened(&other).unwrap()), "CompositeKey(mldsa87-ed448)");
    }

    /// RFC 9980, sections 4.3.2, 5.3.2 and 6.2.2: of these algorithms only ML-KEM-768+X25519 is for keys of version 4.
    #[test]
    fn an_algorithm_of_version_6_is_refused_in_version_4() {
        let six = Key6::<SecretParts, UnspecifiedRole>::generate_mldsa65_ed25519().unwrap();
        let four =
            Key4::with_secret(six.creation_time(), six.pk_algo(), six.mpis().clone(), six.secret().clone()).unwrap();
        let error = opened(&four.into()).unwrap_err();
        assert!(error.to_string().ends_with("mldsa65-ed25519 is for keys of version 6 (RFC 9980)"), "{error}");
    }
}
