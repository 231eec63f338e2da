//! The secret parts of one certificate, decrypted one key at a time.

use std::{
    collections::BTreeMap,
    fmt, iter,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use sequoia_openpgp::{
    Cert, Packet,
    crypto::{
        Password, S2K,
        mpi::{self, SecretKeyChecksum},
    },
    packet::key::{Encrypted, Key4, KeyRole, PublicParts, SecretKeyMaterial, SecretParts, UnspecifiedRole},
    packet::{Key, Tag},
    parse::Parse,
    serialize::MarshalInto,
    types::PublicKeyAlgorithm,
};

use zeroize::Zeroizing;

use super::{
    cert::handle,
    derivation,
    keyfile::{claim, failed},
    protected,
    secret::{Unusable, handle_of, software},
    suite,
};
use crate::{
    base::{Budget, Error, Hint, Limits, Result, Secret},
    crypto::{Cipher, SecretKey},
    keys::{Handle, Locked, Passphrases},
};

/// The secret parts of one certificate, decrypted one key at a time when needed.
pub struct LockedKeys {
    octets: Secret,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    opened: Mutex<BTreeMap<Handle, Arc<dyn SecretKey>>>,
}

impl LockedKeys {
    /// Takes a Transferable Secret Key in binary form, as in [`Described::secret`](crate::protocol::Described::secret).
    pub fn new(octets: Secret, passphrases: Arc<Passphrases>, limits: &Limits) -> Self {
        LockedKeys { octets, passphrases, limits: limits.clone(), opened: Mutex::default() }
    }

    /// Reads the key with Sequoia.
    fn parsed(&self, key: &Handle, budget: &mut Budget) -> Result<Option<Arc<dyn SecretKey>>, Refusal> {
        // Key bindings do not matter here.
        let cert = Cert::from_bytes(self.octets.expose()).map_err(|error| Refusal::Failed(failed(key, &error)))?;
        let wanted = cert.keys().secret().find(|held| handle(&held.key().fingerprint()) == *key);
        let Some(held) = wanted else { return Ok(None) };
        match held.key().secret() {
            SecretKeyMaterial::Encrypted(locked) => {
                let opened = open(held.key(), locked, &title(&cert, key), &self.passphrases, budget)?;
                Ok(Some(opened.handle))
            }
            SecretKeyMaterial::Unencrypted(_) => {
                handle_of(held.key().role_as_unspecified()).map(Some).map_err(Refusal::Unusable)
            }
        }
    }
}

/// Whether the secret part of a key matches its public part. `cert` is the certificate of the key.
///
/// # Errors
///
/// `Malformed` if the check exceeds `budget`.
pub(super) fn prove(
    cert: &Cert,
    key: &Key<SecretParts, UnspecifiedRole>,
    passphrases: &Passphrases,
    budget: &mut Budget,
) -> Result<Proof> {
    let name = handle(&key.fingerprint());
    let cost = u64::try_from(suite::key_algorithm(key).unwrap_cost()).unwrap_or(u64::MAX);
    budget.derivation(cost.saturating_mul(PRIVATE_KEY))?;
    let opened = match key.secret() {
        SecretKeyMaterial::Encrypted(locked) => {
            open(key, locked, &title(cert, &name), passphrases, budget).map(|opened| opened.handle)
        }
        SecretKeyMaterial::Unencrypted(_) => handle_of(key).map_err(Refusal::Unusable),
    };
    match opened {
        Ok(_) => Ok(Proof::Fits),
        Err(Refusal::Unusable(Unusable::Unfit(_))) => Ok(Proof::Unfit),
        Err(Refusal::Unusable(Unusable::Unserved(why)) | Refusal::Locked(why)) => Ok(Proof::Unknown(why)),
        Err(Refusal::Failed(error)) => Err(error),
    }
}

/// A key that a passphrase opened.
pub(super) struct Opened {
    /// The key, usable.
    handle: Arc<dyn SecretKey>,
    /// The same, unencrypted.
    pub(super) key: Key<SecretParts, UnspecifiedRole>,
    /// The passphrase that fitted.
    pub(super) passphrase: Secret,
}

/// Opens a key with the first passphrase that fits; `what` names it when asking for one.
pub(super) fn open(
    key: &Key<SecretParts, UnspecifiedRole>,
    locked: &Encrypted,
    what: &str,
    passphrases: &Passphrases,
    budget: &mut Budget,
) -> Result<Opened, Refusal> {
    match locked.s2k() {
        // GnuPG's gnu-dummy and divert-to-card (doc/DETAILS, "GNU extensions to the S2K algorithm").
        S2K::Private { .. } => {
            let why = stub(key).map_or(Stub::UNKNOWN, Stub::words);
            return Err(Refusal::Locked(Error::no_key(format!("{what}: its secret part {why}"))));
        }
        s2k if !s2k.is_supported() => {
            return Err(Refusal::Locked(Error::no_key(format!("{what}: its key derivation is not supported"))));
        }
        _ => {}
    }
    let cost = derivation::cost(locked.s2k(), locked.algo(), budget.limits(), what).map_err(Refusal::Failed)?;
    let mut unfit = None;
    let opened = passphrases.open(what, |passphrase| {
        budget.derivation(cost).map_err(|error| Error::new(error.kind(), format!("{what}: {error}")))?;
        let password = Password::from(passphrase.expose());
        let open = match protected::ours(locked.algo()).filter(|_| locked.aead_algo().is_none()) {
            Some(cipher) => decrypted(key, locked, cipher, &password),
            None => key.clone().decrypt_secret(&password).ok(),
        };
        let Some(key) = open else { return Ok(None) };
        Ok(match handle_of(&key) {
            Ok(handle) => Some(Opened { handle, key, passphrase: passphrase.clone() }),
            // A checksum of 16 bits may match by chance: another passphrase may still be the right one.
            Err(why) => {
                unfit = Some(why);
                None
            }
        })
    });
    match (opened.map_err(Refusal::Failed)?, unfit) {
        (Some(opened), _) => Ok(opened),
        (None, Some(why)) => Err(Refusal::Unusable(why)),
        (None, None) => Err(Refusal::Locked(
            Error::no_key(format!("{what}: locked, and no passphrase fits")).with_hint(Hint::Passphrase),
        )),
    }
}

/// Why a secret key cannot be opened.
pub(super) enum Refusal {
    /// It cannot be read, or costs too much.
    Failed(Error),
    /// No passphrase fits, or there is no secret part.
    Locked(Error),
    /// It was decrypted or not encrypted, but cannot be used.
    Unusable(Unusable),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Failed(error) | Refusal::Locked(error) => error,
            Refusal::Unusable(unusable) => unusable.into(),
        }
    }
}

/// Whether a secret part matches its public part.
pub(super) enum Proof {
    /// It was opened, and matches.
    Fits,
    /// It was opened, and does not match.
    Unfit,
    /// It was not opened, or its algorithm is not supported; the reason.
    Unknown(Error),
}

impl Locked for LockedKeys {
    fn unlock(&self, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        if let Some(opened) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(Some(Arc::clone(opened)));
        }
        let opened = match bare(self.octets.expose(), key) {
            Some(opened) => Some(opened?),
            None => {
                self.parsed(key, &mut Budget::new(self.limits.clone()).for_each_password(self.passphrases.tries()))?
            }
        };
        if let Some(opened) = &opened {
            self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Arc::clone(opened));
        }
        Ok(opened)
    }
}

impl fmt::Debug for LockedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKeys(..)")
    }
}

/// The key decrypted with its passphrase by our own cipher (RFC 9580, section 3.7.2.1); `None` if the passphrase does
/// not fit.
fn decrypted(
    key: &Key<SecretParts, UnspecifiedRole>,
    locked: &Encrypted,
    cipher: Cipher,
    password: &Password,
) -> Option<Key<SecretParts, UnspecifiedRole>> {
    let derived = locked.s2k().derive_key(password, cipher.key_length()).ok()?;
    let (iv, numbers) = locked.ciphertext().ok()?.split_at_checked(cipher.block_length())?;
    let mut numbers = Zeroizing::new(numbers.to_vec());
    cipher.decrypt_cfb(&Secret::new(derived.to_vec()), iv, &mut numbers)?;
    let checksum = locked.checksum().unwrap_or_default();
    let secret = mpi::SecretKeyMaterial::from_bytes_with_checksum(key.pk_algo(), &numbers, checksum).ok()?;
    Some(key.clone().take_secret().0.add_secret(secret.into()).0)
}

/// Where the missing secret part of a key is (GnuPG's doc/DETAILS, "GNU extensions to the S2K algorithm").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stub {
    /// Unknown.
    Absent,
    /// On a smart card.
    Card,
}

impl Stub {
    /// Text to follow `its secret part` for an unknown kind of stub.
    pub(super) const UNKNOWN: &str = "is in an unknown form";

    /// Text to follow `its secret part`.
    pub(super) fn words(self) -> &'static str {
        match self {
            Stub::Absent => "is missing: GnuPG exported only a stub of it",
            Stub::Card => "is on a smart card, which is not supported",
        }
    }
}

/// The stub in place of the secret part; `None` for a real secret part or an unknown kind of stub.
pub(super) fn stub<R: KeyRole>(key: &Key<SecretParts, R>) -> Option<Stub> {
    let SecretKeyMaterial::Encrypted(locked) = key.secret() else { return None };
    if !matches!(locked.s2k(), S2K::Private { .. }) {
        return None;
    }
    // Sequoia does not expose the parameters.
    let octets = Packet::from(key.clone().role_into_primary()).to_vec().ok()?;
    octets.windows(6).rev().find_map(|six| match six {
        [GNU_S2K, _, b'G', b'N', b'U', 1] => Some(Stub::Absent),
        [GNU_S2K, _, b'G', b'N', b'U', 2] => Some(Stub::Card),
        _ => None,
    })
}

/// Reads an unprotected key of version 4 that `crypto` supports, without parsing the rest of the certificate. Sequoia
/// would hash the whole certificate and encrypt each secret in memory, which takes longer than a signature with an
/// elliptic curve.
fn bare(octets: &[u8], wanted: &Handle) -> Option<Result<Arc<dyn SecretKey>>> {
    let secret = |tag: &Tag| matches!(tag, Tag::SecretKey | Tag::SecretSubkey);
    let bodies = packets(octets).filter(|(tag, _)| secret(tag));
    let key =
        bodies.filter_map(|(_, body)| Bare::read(body)).find(|key| handle(&key.public.fingerprint()) == *wanted)?;
    let secret = mpi::SecretKeyMaterial::from_bytes_with_checksum(key.algorithm, key.secret, SecretKeyChecksum::Sum16);
    if suite::is_of_version_6(key.algorithm) {
        return None;
    }
    software(key.public.mpis(), &secret.ok()?)
}

/// A secret key packet without a passphrase.
struct Bare<'a> {
    algorithm: PublicKeyAlgorithm,
    public: Key4<PublicParts, UnspecifiedRole>,
    /// Its secret numbers and their checksum.
    secret: &'a [u8],
}

impl Bare<'_> {
    /// Reads the packet body (RFC 9580, sections 5.5.2.2 and 5.5.3).
    fn read(body: &[u8]) -> Option<Bare<'_>> {
        let [4, a, b, c, d, algorithm, numbers @ ..] = body else { return None };
        let algorithm = PublicKeyAlgorithm::from(*algorithm);
        let made = UNIX_EPOCH + Duration::from_secs(u32::from_be_bytes([*a, *b, *c, *d]).into());
        let public = mpi::PublicKey::parse(algorithm, numbers).ok()?;
        let [0, secret @ ..] = numbers.get(public.serialized_len()..)? else { return None };
        Some(Bare { algorithm, public: Key4::new(made, algorithm, public).ok()?, secret })
    }
}

/// Packets and their bodies, up to the first header that Sequoia would not write (RFC 9580, section 4.2.1, without
/// partial lengths).
fn packets(mut octets: &[u8]) -> impl Iterator<Item = (Tag, &[u8])> {
    iter::from_fn(move || {
        let (first @ 0xc0..=0xff, rest) = octets.split_first()? else { return None };
        let (length, rest) = match rest {
            [one @ 0..192, rest @ ..] => (usize::from(*one), rest),
            [high @ 192..224, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high - 192, *low])) + 192, rest),
            [255, a, b, c, d, rest @ ..] => (usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest),
            _ => return None,
        };
        let (body, rest) = rest.split_at_checked(length)?;
        octets = rest;
        Some((Tag::from(first & 0x3f), body))
    })
}

/// `key FINGERPRINT of a@example.org`, shown when asking for a passphrase.
pub(super) fn title(cert: &Cert, key: &Handle) -> String {
    match cert.userids().find_map(|user_id| claim(user_id.userid())) {
        Some(address) => format!("key {key} of {address}"),
        None => format!("key {key}"),
    }
}

/// The cost of comparing the two parts of a key: units of [`Budget::derivation`] per unit of its algorithm's cost.
const PRIVATE_KEY: u64 = 2_000;
/// The S2K type of GnuPG's extensions.
const GNU_S2K: u8 = 101;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::FixedClock,
        crypto::{Hash, Scheme},
        mail::Address,
        protocol::pgp::generate::{Algorithm, Profile, Request, generate},
    };

    /// A new secret key, and the fingerprints of its keys.
    fn made(profile: Profile, algorithm: Algorithm, passphrase: Option<&str>) -> (Secret, Vec<Handle>) {
        let request = Request {
            profile,
            algorithm,
            name: None,
            addresses: vec![Address::parse("alice@example.org").unwrap()],
            passphrase: passphrase.map(Secret::from),
            validity: None,
        };
        let clock = FixedClock(UNIX_EPOCH + Duration::from_secs(1_795_435_200));
        let described = generate(&request, &clock).unwrap().described;
        (described.secret.unwrap(), described.record.secrets().to_vec())
    }

    fn locked(octets: &[u8]) -> LockedKeys {
        let passphrases = Arc::new(Passphrases::new(vec!["open".into()]));
        LockedKeys::new(Secret::new(octets.to_vec()), passphrases, &Limits::default())
    }

    #[test]
    fn a_bare_key_is_the_one_that_sequoia_reads() {
        for algorithm in [Algorithm::Rsa2048, Algorithm::Curve25519] {
            let (octets, keys) = made(Profile::Rfc4880, algorithm, None);
            assert_eq!(keys.len(), 2);
            for key in &keys {
                let ours = bare(octets.expose(), key).unwrap().unwrap();
                let theirs = locked(octets.expose())
                    .parsed(key, &mut Budget::new(Limits::default()))
                    .map_err(Error::from)
                    .unwrap()
                    .unwrap();
                assert_eq!(ours.algorithm(), theirs.algorithm());
                let peer = [9; 32];
                assert_eq!(ours.agree(&peer).ok(), theirs.agree(&peer).ok());
                let sign = |key: &Arc<dyn SecretKey>| {
                    let rsa = Scheme::RsaPkcs1(Hash::Sha256);
                    [rsa, Scheme::EdDsa].map(|scheme| key.sign(scheme, &[7; 32]).ok())
                };
                assert_eq!(sign(&ours), sign(&theirs));
                assert!(sign(&ours).iter().any(Option::is_some) || ours.agree(&peer).is_ok());
            }
        }
    }

    #[test]
    fn others_are_left_to_sequoia() {
        for (profile, passphrase) in [(Profile::Rfc4880, Some("open")), (Profile::Rfc9580, None)] {
            let (octets, keys) = made(profile, Algorithm::Curve25519, passphrase);
            assert!(bare(octets.expose(), &keys[0]).is_none());
            assert!(locked(octets.expose()).unlock(&keys[0]).unwrap().is_some());
        }
    }

    /// A key with a wrong checksum, a truncated key and a missing key are not read.
    #[test]
    fn what_is_broken_is_not_read() {
        let (octets, keys) = made(Profile::Rfc4880, Algorithm::Curve25519, None);
        let octets = octets.expose();
        let (_, body) = packets(octets).next().unwrap();
        for length in 0..body.len() {
            assert!(bare(&octets[..length], &keys[0]).is_none());
        }
        let mut changed = octets.to_vec();
        changed[body.len()] ^= 1;
        assert!(bare(&changed, &keys[0]).is_none());
        assert!(locked(&changed).unlock(&keys[0]).is_err());
        assert!(bare(octets, &Handle::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap()).is_none());
    }
}
