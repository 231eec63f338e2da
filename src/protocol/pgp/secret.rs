//! Our private-key handle as Sequoia's [`Signer`] and [`Decryptor`], and handles for OpenPGP secret keys.

use std::{fmt, sync::Arc};

use sequoia_openpgp::{
    crypto::{
        Decryptor, KeyPair, SessionKey, Signer,
        ecdh::{aes_key_unwrap, decrypt_unwrap},
        mem::Protected,
        mpi::{self, MPI, SecretKeyMaterial},
    },
    packet::{
        Key,
        key::{PublicParts, SecretParts, UnspecifiedRole},
    },
    types::{Curve as PgpCurve, HashAlgorithm, PublicKeyAlgorithm, SymmetricAlgorithm},
};

use super::{composite, suite, words};
use crate::{
    base::{Error, Result, Secret},
    crypto::{
        Hash, KeyAlgorithm, PostQuantumSecret, RsaComponents, Scheme, SecretKey, SlhDsa, SoftwareKey, Unwrap, hkdf,
    },
};

/// A secret key with its public key, in the form that Sequoia needs for signing and decrypting.
#[derive(Clone)]
pub(super) struct Handled {
    public: Key<PublicParts, UnspecifiedRole>,
    secret: Arc<dyn SecretKey>,
    /// Why the key could not be asked to decrypt: Sequoia drops it.
    unreachable: Option<Error>,
}

impl Handled {
    /// `secret` must belong to `public`. If it does not, signatures do not verify and nothing is decrypted.
    pub(super) fn new(public: Key<PublicParts, UnspecifiedRole>, secret: Arc<dyn SecretKey>) -> Handled {
        Handled { public, secret, unreachable: None }
    }

    /// Why the last decryption could not be tried, if it could not: the key is out of reach for now.
    pub(super) fn unreachable(self) -> Option<Error> {
        self.unreachable
    }
}

impl Signer for Handled {
    fn public(&self) -> &Key<PublicParts, UnspecifiedRole> {
        &self.public
    }

    fn sign(&mut self, hash: HashAlgorithm, digest: &[u8]) -> sequoia_openpgp::Result<mpi::Signature> {
        let sign = |scheme| self.secret.sign(scheme, digest);
        match self.public.mpis() {
            mpi::PublicKey::RSA { .. } => {
                Ok(mpi::Signature::RSA { s: MPI::new(&sign(Scheme::RsaPkcs1(hash_of(hash)?))?) })
            }
            mpi::PublicKey::DSA { .. } => {
                let (r, s) = halves(&sign(Scheme::Dsa)?);
                Ok(mpi::Signature::DSA { r, s })
            }
            mpi::PublicKey::ECDSA { .. } => {
                let (r, s) = halves(&sign(Scheme::Ecdsa(hash_of(hash)?))?);
                Ok(mpi::Signature::ECDSA { r, s })
            }
            mpi::PublicKey::EdDSA { .. } => {
                let (r, s) = halves(&sign(Scheme::EdDsa)?);
                Ok(mpi::Signature::EdDSA { r, s })
            }
            mpi::PublicKey::Ed25519 { .. } => {
                Ok(mpi::Signature::Ed25519 { s: Box::new(sign(Scheme::EdDsa)?.as_slice().try_into()?) })
            }
            mpi::PublicKey::Ed448 { .. } => {
                Ok(mpi::Signature::Ed448 { s: Box::new(sign(Scheme::EdDsa)?.as_slice().try_into()?) })
            }
            mpi::PublicKey::MLDSA65_Ed25519 { .. } => {
                let (eddsa, mldsa) = parts(sign(Scheme::Pure)?, 64);
                Ok(mpi::Signature::MLDSA65_Ed25519 { eddsa: fixed(eddsa)?, mldsa: fixed(mldsa)? })
            }
            mpi::PublicKey::MLDSA87_Ed448 { .. } => {
                let (eddsa, mldsa) = parts(sign(Scheme::Pure)?, 114);
                Ok(mpi::Signature::MLDSA87_Ed448 { eddsa: fixed(eddsa)?, mldsa: fixed(mldsa)? })
            }
            mpi::PublicKey::SLHDSA128s { .. } => Ok(mpi::Signature::SLHDSA128s { sig: fixed(sign(Scheme::Pure)?)? }),
            mpi::PublicKey::SLHDSA128f { .. } => Ok(mpi::Signature::SLHDSA128f { sig: fixed(sign(Scheme::Pure)?)? }),
            mpi::PublicKey::SLHDSA256s { .. } => Ok(mpi::Signature::SLHDSA256s { sig: fixed(sign(Scheme::Pure)?)? }),
            _ => Err(self.secret.algorithm().refuses("sign").into()),
        }
    }
}

impl Decryptor for Handled {
    fn public(&self) -> &Key<PublicParts, UnspecifiedRole> {
        &self.public
    }

    fn decrypt(&mut self, wrapped: &mpi::Ciphertext, length: Option<usize>) -> sequoia_openpgp::Result<SessionKey> {
        let decrypted = self.session_key(wrapped, length);
        self.unreachable = decrypted.as_ref().err().and_then(words::of_machine);
        decrypted
    }
}

impl Handled {
    fn session_key(&self, wrapped: &mpi::Ciphertext, length: Option<usize>) -> sequoia_openpgp::Result<SessionKey> {
        let secret = &self.secret;
        match (self.public.mpis(), wrapped) {
            (mpi::PublicKey::RSA { n, .. }, mpi::Ciphertext::RSA { c }) => {
                let wrapped = c.value_padded(n.value().len())?;
                long_enough(secret.decrypt(Unwrap::RsaPkcs1, &wrapped)?.expose().into())
            }
            (mpi::PublicKey::ElGamal { p, .. }, mpi::Ciphertext::ElGamal { e, c }) => {
                let length = p.value().len();
                let wrapped = [e.value_padded(length)?, c.value_padded(length)?].concat();
                long_enough(secret.decrypt(Unwrap::RsaPkcs1, &wrapped)?.expose().into())
            }
            (mpi::PublicKey::ECDH { curve, .. }, mpi::Ciphertext::ECDH { e, .. }) => {
                let peer = match curve {
                    PgpCurve::Cv25519 => e.decode_point(curve)?.0,
                    _ => e.value(),
                };
                let shared = Protected::from(secret.agree(peer)?.expose());
                long_enough(decrypt_unwrap(&self.public, &shared, wrapped, length)?)
            }
            (mpi::PublicKey::X25519 { u }, mpi::Ciphertext::X25519 { e, key }) => {
                let keying = [e.as_slice(), u.as_slice(), secret.agree(&**e)?.expose()].concat();
                unwrap(Hash::Sha256, keying, b"OpenPGP X25519", SymmetricAlgorithm::AES128, key)
            }
            (mpi::PublicKey::X448 { u }, mpi::Ciphertext::X448 { e, key }) => {
                let keying = [e.as_slice(), u.as_slice(), secret.agree(&**e)?.expose()].concat();
                unwrap(Hash::Sha512, keying, b"OpenPGP X448", SymmetricAlgorithm::AES256, key)
            }
            (
                mpi::PublicKey::MLKEM768_X25519 { ecdh: recipient, .. },
                mpi::Ciphertext::MLKEM768_X25519 { ecdh: peer, mlkem: capsule, esk: wrapped },
            ) => {
                let algorithm = PublicKeyAlgorithm::MLKEM768_X25519;
                let (recipient, peer, capsule) = (recipient.as_slice(), peer.as_slice(), capsule.as_slice());
                composite::Encrypted { algorithm, recipient, peer, capsule, wrapped }.open(secret.as_ref())
            }
            (
                mpi::PublicKey::MLKEM1024_X448 { ecdh: recipient, .. },
                mpi::Ciphertext::MLKEM1024_X448 { ecdh: peer, mlkem: capsule, esk: wrapped },
            ) => {
                let algorithm = PublicKeyAlgorithm::MLKEM1024_X448;
                let (recipient, peer, capsule) = (recipient.as_slice(), peer.as_slice(), capsule.as_slice());
                composite::Encrypted { algorithm, recipient, peer, capsule, wrapped }.open(secret.as_ref())
            }
            _ => Err(secret.algorithm().refuses("decrypt data for another algorithm").into()),
        }
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handled({}, {:?})", self.public.fingerprint(), self.secret)
    }
}

/// Why an unlocked secret key cannot be used. Each holds an error of kind `NoKey`.
pub(super) enum Unusable {
    /// The secret part does not match the public part.
    Unfit(Error),
    /// The algorithm is not supported, so nothing is known about the key.
    Unserved(Error),
}

impl From<Unusable> for Error {
    fn from(unusable: Unusable) -> Error {
        match unusable {
            Unusable::Unfit(error) | Unusable::Unserved(error) => error,
        }
    }
}

/// A handle for an unlocked secret key: a software key if `crypto` supports the algorithm, otherwise Sequoia's. The
/// result matches its public part.
pub(super) fn handle_of(key: &Key<SecretParts, UnspecifiedRole>) -> Result<Arc<dyn SecretKey>, Unusable> {
    let locked = || Unusable::Unserved(Error::no_key(format!("key {}: is locked", key.fingerprint())));
    if key.secret().is_encrypted() {
        return Err(locked());
    }
    if suite::needs_version_6(key) {
        let (fingerprint, name) = (key.fingerprint(), suite::public_name(key.pk_algo()));
        let why = format!("key {fingerprint}: {name} is for keys of version 6 (RFC 9980)");
        return Err(Unusable::Unserved(Error::no_key(why)));
    }
    let pair = key.clone().into_keypair().map_err(|_| locked())?;
    pair.secret().map(|secret| match software(key.mpis(), secret) {
        Some(key) => key.map_err(Unusable::Unfit),
        None => Ok(Arc::new(SequoiaKey::new(pair.clone())?) as Arc<dyn SecretKey>),
    })
}

/// `None` if `crypto` does not support the algorithm.
pub(super) fn software(public: &mpi::PublicKey, secret: &SecretKeyMaterial) -> Option<Result<Arc<dyn SecretKey>>> {
    if let Some(key) = composite::key_of(public, secret) {
        return Some(key.map(|key| Arc::new(key) as Arc<dyn SecretKey>));
    }
    let key = match (public, secret) {
        (mpi::PublicKey::RSA { e, n }, SecretKeyMaterial::RSA { d, p, q, u }) => SoftwareKey::rsa(&RsaComponents {
            n: n.value().to_vec(),
            e: e.value().to_vec(),
            d: octets(d.value()),
            // The primes are swapped: `u` is the inverse of the first prime modulo the second (RFC 9580, section
            // 5.5.5.1).
            p: octets(q.value()),
            q: octets(p.value()),
            q_inverse: Some(octets(u.value())),
        }),
        (mpi::PublicKey::ECDSA { curve, q }, SecretKeyMaterial::ECDSA { scalar }) => {
            SoftwareKey::ecdsa(suite::curve(curve)?, &octets(scalar.value()), q.value())
        }
        (mpi::PublicKey::EdDSA { curve: curve @ PgpCurve::Ed25519, q }, SecretKeyMaterial::EdDSA { scalar }) => {
            let public = q.decode_point(curve).ok()?.0;
            SoftwareKey::ed25519(&octets(&scalar.value_padded(32)), public)
        }
        (mpi::PublicKey::Ed25519 { a }, SecretKeyMaterial::Ed25519 { x }) => SoftwareKey::ed25519(&octets(x), a),
        (mpi::PublicKey::ECDH { curve: curve @ PgpCurve::Cv25519, q, .. }, SecretKeyMaterial::ECDH { scalar }) => {
            let public = q.decode_point(curve).ok()?.0;
            // An MPI is big-endian, the scalar of RFC 7748 is little-endian (RFC 9580, section 5.5.5.6.1.1).
            let mut scalar = scalar.value_padded(32);
            scalar.reverse();
            SoftwareKey::x25519(&octets(&scalar), public)
        }
        (mpi::PublicKey::ECDH { curve, q, .. }, SecretKeyMaterial::ECDH { scalar }) => {
            SoftwareKey::ecdh(suite::curve(curve)?, &octets(scalar.value()), q.value())
        }
        (mpi::PublicKey::X25519 { u }, SecretKeyMaterial::X25519 { x }) => {
            SoftwareKey::x25519(&octets(x), u.as_slice())
        }
        (mpi::PublicKey::X448 { u }, SecretKeyMaterial::X448 { x }) => SoftwareKey::x448(&octets(x), u.as_slice()),
        (mpi::PublicKey::ElGamal { p, g, y }, SecretKeyMaterial::ElGamal { x }) => {
            SoftwareKey::elgamal(p.value(), g.value(), y.value(), &octets(x.value()))
        }
        (mpi::PublicKey::Ed448 { a }, SecretKeyMaterial::Ed448 { x }) => SoftwareKey::ed448(&octets(x), a.as_slice()),
        (mpi::PublicKey::SLHDSA128s { public }, SecretKeyMaterial::SLHDSA128s { secret }) => {
            slh_dsa(SlhDsa::Shake128s, secret, public)
        }
        (mpi::PublicKey::SLHDSA128f { public }, SecretKeyMaterial::SLHDSA128f { secret }) => {
            slh_dsa(SlhDsa::Shake128f, secret, public)
        }
        (mpi::PublicKey::SLHDSA256s { public }, SecretKeyMaterial::SLHDSA256s { secret }) => {
            slh_dsa(SlhDsa::Shake256s, secret, public.as_slice())
        }
        _ => return None,
    };
    Some(key.map(|key| Arc::new(key) as Arc<dyn SecretKey>))
}

fn slh_dsa(set: SlhDsa, secret: &[u8], public: &[u8]) -> Result<SoftwareKey> {
    SoftwareKey::post_quantum(KeyAlgorithm::SlhDsa(set), &PostQuantumSecret::Expanded(octets(secret)), public)
}

/// A key that only Sequoia supports: DSA.
struct SequoiaKey {
    pair: KeyPair,
    algorithm: KeyAlgorithm,
    /// The length in octets of `r` and of `s`.
    half: usize,
}

impl SequoiaKey {
    fn new(mut pair: KeyPair) -> Result<SequoiaKey, Unusable> {
        let (algorithm, half) = match pair.public().mpis() {
            mpi::PublicKey::DSA { p, q, .. } => (KeyAlgorithm::Dsa(p.bits()), q.value().len()),
            _ => {
                let algorithm = suite::public_name(pair.public().pk_algo());
                return Err(Unusable::Unserved(Error::no_key(format!(
                    "key {}: its algorithm is not supported: {algorithm}",
                    pair.public().fingerprint()
                ))));
            }
        };
        // Sequoia does not check that the two parts match.
        let signed = pair.sign(HashAlgorithm::SHA512, &[0; 64]);
        let fits = signed.and_then(|signature| pair.public().verify(&signature, HashAlgorithm::SHA512, &[0; 64]));
        match fits {
            Ok(()) => Ok(SequoiaKey { pair, algorithm, half }),
            Err(_) => Err(Unusable::Unfit(crate::crypto::unfit(algorithm))),
        }
    }
}

impl SecretKey for SequoiaKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| self.algorithm.refuses(format_args!("sign a digest of {} octets", digest.len()));
        match (self.algorithm, scheme) {
            (KeyAlgorithm::Dsa(_), Scheme::Dsa) => {}
            _ => return Err(self.algorithm.refuses(format!("sign with {scheme:?}").to_lowercase())),
        }
        // The algorithm does not include the hash name in the signature.
        match self.pair.clone().sign(HashAlgorithm::SHA512, digest).map_err(failed)? {
            mpi::Signature::DSA { r, s } => {
                Ok([r.value_padded(self.half).map_err(failed)?, s.value_padded(self.half).map_err(failed)?].concat())
            }
            _ => Err(self.algorithm.refuses("sign")),
        }
    }

    fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> Result<Secret> {
        Err(self.algorithm.refuses("decrypt"))
    }

    fn agree(&self, _: &[u8]) -> Result<Secret> {
        Err(self.algorithm.refuses("agree on a secret"))
    }
}

impl fmt::Debug for SequoiaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SequoiaKey({})", self.algorithm.name())
    }
}

/// Decrypts the session key of an X25519 or X448 packet: HKDF, then AES key unwrap (RFC 9580, sections 5.1.6 and
/// 5.1.7).
fn unwrap(
    hash: Hash,
    keying: Vec<u8>,
    info: &[u8],
    cipher: SymmetricAlgorithm,
    wrapped: &[u8],
) -> sequoia_openpgp::Result<SessionKey> {
    let key = hkdf(hash, &[], &Secret::new(keying), info, cipher.key_size()?)?;
    Ok(aes_key_unwrap(cipher, &Protected::from(key.expose()), wrapped)?.into())
}

/// Checks the length of a session key with its checksum, as decrypted by RSA, ElGamal or ECDH.
///
/// Anyone can encrypt a single octet to a public key. Sequoia 2.4 reads the first octet and the last two without
/// checking the length.
fn long_enough(key: SessionKey) -> sequoia_openpgp::Result<SessionKey> {
    match key.len() {
        SHORTEST.. => Ok(key),
        length => Err(Error::malformed("session key", format!("{length} octets are too few")).into()),
    }
}

fn halves(signature: &[u8]) -> (MPI, MPI) {
    let (r, s) = signature.split_at(signature.len() / 2);
    (MPI::new(r), MPI::new(s))
}

/// The first `length` octets, and the rest.
fn parts(mut signature: Vec<u8>, length: usize) -> (Vec<u8>, Vec<u8>) {
    let rest = signature.split_off(length.min(signature.len()));
    (signature, rest)
}

/// Octets of a length that the algorithm fixes.
fn fixed<const N: usize>(octets: Vec<u8>) -> Result<Box<[u8; N]>> {
    let length = octets.len();
    let refused = |_| Error::unavailable(format!("signature: {length} octets instead of {N}"));
    octets.into_boxed_slice().try_into().map_err(refused)
}

fn octets(secret: &[u8]) -> Secret {
    Secret::new(secret.to_vec())
}

fn hash_of(hash: HashAlgorithm) -> Result<Hash> {
    suite::hash(hash).ok_or_else(|| Error::unavailable(format!("digest {}: not known", u8::from(hash))))
}

/// A key of 128 bits, the shortest in OpenPGP, plus two octets of checksum.
const SHORTEST: usize = 18;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sequoia_openpgp::{
        Packet, PacketPile, Profile,
        cert::{CertBuilder, CipherSuite},
        packet::{
            PKESK,
            key::Key4,
            pkesk::{PKESK3, PKESK6},
            signature::SignatureBuilder,
        },
        parse::Parse,
        serialize::stream::{Message, Signer as StreamSigner},
        types::SignatureType,
    };

    use super::*;
    use crate::base::Kind;

    const SERVED: [CipherSuite; 6] = [
        CipherSuite::Cv25519,
        CipherSuite::Cv448,
        CipherSuite::P256,
        CipherSuite::P384,
        CipherSuite::P521,
        CipherSuite::RSA2k,
    ];

    fn keys(suite: CipherSuite, profile: Profile) -> Vec<Key<SecretParts, UnspecifiedRole>> {
        let builder = CertBuilder::new().set_profile(profile).unwrap().set_cipher_suite(suite);
        let (cert, _) = builder.add_signing_subkey().add_transport_encryption_subkey().generate().unwrap();
        cert.keys().secret().map(|key| key.key().clone()).collect()
    }

    fn opened(key: &Key<SecretParts, UnspecifiedRole>) -> Result<Arc<dyn SecretKey>> {
        handle_of(key).map_err(Error::from)
    }

    fn handled(key: &Key<SecretParts, UnspecifiedRole>) -> Handled {
        Handled::new(key.clone().take_secret().0, opened(key).unwrap())
    }

    /// Elliptic-curve keys that are in no suite of their version: EdDSA and ECDH in version 4, as GnuPG makes them.
    fn old(for_signing: bool, curve: PgpCurve) -> Key<SecretParts, UnspecifiedRole> {
        Key4::<SecretParts, UnspecifiedRole>::generate_ecc(for_signing, curve).unwrap().into()
    }

    fn signs(key: &Key<SecretParts, UnspecifiedRole>) {
        let mut signer = handled(key);
        let hashes = [HashAlgorithm::SHA256, HashAlgorithm::SHA384, HashAlgorithm::SHA512, HashAlgorithm::SHA224];
        for hash in hashes {
            let builder = SignatureBuilder::new(SignatureType::Binary).set_hash_algo(hash);
            let signature = builder.sign_message(&mut signer, b"text").unwrap();
            signature.verify_message(key, b"text").unwrap_or_else(|e| panic!("{signer:?} {hash}: {e}"));
            assert!(signature.verify_message(key, b"texT").is_err(), "{signer:?} {hash}");
        }
    }

    fn decrypts(key: &Key<SecretParts, UnspecifiedRole>) {
        let session = SessionKey::from(vec![7; 32]);
        let cipher = SymmetricAlgorithm::AES256;
        let v3 = PKESK::from(PKESK3::for_recipient(cipher, &session, key).unwrap());
        assert_eq!(v3.decrypt(&mut handled(key), None), Some((Some(cipher), session.clone())), "{:?}", handled(key));
        let v6 = PKESK::from(PKESK6::for_recipient(&session, key).unwrap());
        assert_eq!(v6.decrypt(&mut handled(key), None), Some((None, session)), "{:?}", handled(key));
    }

    #[test]
    fn every_suite_signs_and_decrypts_as_sequoia_expects() {
        for suite in SERVED {
            for profile in [Profile::RFC4880, Profile::RFC9580] {
                let keys = keys(suite, profile);
                let (encrypting, signing): (Vec<_>, Vec<_>) =
                    keys.iter().partition(|key| key.pk_algo().for_encryption() && !key.pk_algo().for_signing());
                signing.into_iter().for_each(signs);
                encrypting.into_iter().for_each(decrypts);
                if suite == CipherSuite::RSA2k {
                    keys.iter().for_each(decrypts);
                }
            }
        }
        signs(&old(true, PgpCurve::Ed25519));
        decrypts(&old(false, PgpCurve::Cv25519));
    }

    #[test]
    fn rsa_curve25519_and_the_nist_curves_are_served_by_aws_lc() {
        for suite in [CipherSuite::Cv25519, CipherSuite::P256, CipherSuite::P384, CipherSuite::P521, CipherSuite::RSA2k]
        {
            for key in keys(suite, Profile::RFC9580) {
                let shown = format!("{:?}", opened(&key).unwrap());
                assert!(shown.starts_with("SoftwareKey("), "{shown}");
            }
        }
    }

    #[test]
    fn a_detached_signature_of_the_streaming_writer_verifies() {
        let key = &keys(CipherSuite::RSA2k, Profile::RFC4880)[0];
        let mut written = Vec::new();
        let mut message =
            StreamSigner::new(Message::new(&mut written), handled(key)).unwrap().detached().build().unwrap();
        message.write_all(b"text").unwrap();
        message.finalize().unwrap();
        let packets: Vec<Packet> = PacketPile::from_bytes(&written).unwrap().into_children().collect();
        let [Packet::Signature(signature)] = packets.as_slice() else { panic!("{packets:?}") };
        signature.verify_message(key, b"text").unwrap();
    }

    #[test]
    fn a_dsa_key_signs_through_sequoia() {
        let key: Key<SecretParts, UnspecifiedRole> = Key4::generate_dsa(2048).unwrap().into();
        assert_eq!(opened(&key).unwrap().algorithm(), KeyAlgorithm::Dsa(2048));
        signs(&key);
    }

    #[test]
    fn another_key_decrypts_nothing() {
        let session = SessionKey::from(vec![7; 32]);
        for suite in SERVED {
            let encrypting = || {
                let keys = keys(suite, Profile::RFC4880);
                keys.into_iter().find(|key| key.pk_algo().for_encryption()).unwrap()
            };
            let packet = PKESK3::for_recipient(SymmetricAlgorithm::AES256, &session, &encrypting()).unwrap();
            assert_eq!(PKESK::from(packet).decrypt(&mut handled(&encrypting()), None), None, "{suite:?}");
        }
    }

    /// Sequoia panics on it.
    #[test]
    fn an_empty_session_key_is_refused() {
        let key = &keys(CipherSuite::RSA2k, Profile::RFC4880)[0];
        let mpi::PublicKey::RSA { e, n } = key.mpis() else { panic!("{key:?}") };
        for octets in [vec![], vec![9], vec![9, 0, 0], vec![9; 17]] {
            let number = |mpi: &MPI| crypto_bigint::BoxedUint::from_be_slice_vartime(mpi.value());
            let length = n.value().len();
            let mut padded = vec![0xff; length - octets.len() - 3];
            padded.splice(0..0, [0, 2]);
            padded.push(0);
            padded.extend_from_slice(&octets);
            let modulus = crypto_bigint::Odd::new(number(n)).into_option().unwrap();
            let parameters = crypto_bigint::modular::BoxedMontyParams::new(modulus);
            let message = crypto_bigint::BoxedUint::from_be_slice(&padded, parameters.bits_precision()).unwrap();
            let power = crypto_bigint::modular::BoxedMontyForm::new(message, &parameters).pow(&number(e)).retrieve();
            let wrapped = mpi::Ciphertext::RSA { c: MPI::new(&power.to_be_bytes()) };
            let packet = PKESK3::new(None, PublicKeyAlgorithm::RSAEncryptSign, wrapped.clone()).unwrap();
            assert_eq!(PKESK::from(packet).decrypt(&mut handled(key), None), None);
            let error = handled(key).decrypt(&wrapped, None).unwrap_err();
            assert_eq!(error.to_string(), format!("session key: {} octets are too few", octets.len()));
        }
    }

    #[test]
    fn a_locked_key_is_refused() {
        let key = &keys(CipherSuite::Cv25519, Profile::RFC4880)[0];
        let locked = key.clone().encrypt_secret(&"secret".into()).unwrap();
        let error = opened(&locked).unwrap_err();
        assert_eq!(error.kind(), Kind::NoKey);
        assert_eq!(error.to_string(), format!("key {}: is locked", key.fingerprint()));
    }

    #[test]
    fn debug_names_the_key_and_shows_no_secret() {
        let key = &keys(CipherSuite::Cv25519, Profile::RFC9580)[0];
        let fingerprint = key.fingerprint();
        assert_eq!(format!("{:?}", handled(key)), format!("Handled({fingerprint}, SoftwareKey(ed25519))"));
    }
}
