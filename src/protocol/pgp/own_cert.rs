//! What owners change of their own certificates: revoke them, set another expiry, add a subkey or a user ID. Each change is a new signature by the
//! primary key; the old ones stay (RFC 9580, section 10.1).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{
    Cert, Packet, anyhow,
    cert::{CertRevocationBuilder, ValidCert, amalgamation::ValidAmalgamation},
    packet::{
        Key, UserID,
        key::{SubordinateRole, UnspecifiedRole},
        signature::SignatureBuilder,
    },
    types::{HashAlgorithm, ReasonForRevocation, SignatureType},
};

use super::{
    cert::{self, handle},
    generate::{self, Algorithm, Profile, Request, Use, armored, encryption, lock},
    keyfile::{describe_cert, failed},
    lenient::LENIENT,
    relock::passphrase_of,
    revocation::{self, Known},
    secret::Handled,
    suite, words,
};
use crate::{
    base::{Error, Limits, Result, Secret, rfc3339},
    crypto::{Conveys, KeyAlgorithm, SlhDsa},
    keys::{Handle, Keys, Passphrases, Record, RevocationReason},
    mail::{Address, address},
    protocol::Described,
};

/// A certificate whose primary secret key is here.
pub struct OwnCert {
    cert: Arc<Cert>,
    fingerprint: Handle,
    signer: Handled,
    at: SystemTime,
}

/// The revocation of a certificate.
#[derive(Debug)]
pub struct Revoked {
    /// The certificate with it.
    pub described: Described,
    /// The revocation alone, armored, as others import it.
    pub revocation: Vec<u8>,
}

/// Where the secret parts of a certificate are, and what opens them.
pub struct Held<'a> {
    /// As in [`Described::secret`].
    pub octets: &'a Secret,
    /// Passphrases that may unlock them.
    pub passphrases: &'a Passphrases,
    /// Limits for unlocking them.
    pub limits: &'a Limits,
}

impl OwnCert {
    /// The certificate of `record`, to be changed at `now`. `keys` unlock its primary key.
    ///
    /// # Errors
    ///
    /// `NoKey` when the primary secret key is not here, when no passphrase fits, or when the certificate is revoked already; `Malformed` when the
    /// certificate cannot be read.
    pub fn open(record: &Record, keys: &dyn Keys, now: SystemTime) -> Result<OwnCert> {
        let (cert, fingerprint) = (cert::parse(record)?, record.fingerprint().clone());
        if let Known::Revoked(_) = revocation::of_cert(&cert, now, keys)? {
            return Err(Error::no_key(format!("key {fingerprint}: is revoked already")));
        }
        let missing = || {
            Error::no_key(format!("key {fingerprint}: its primary secret key is not here"))
                .with_hint("only that key can change the certificate; import it")
        };
        let secret = keys.secret(record, &fingerprint)?.ok_or_else(missing)?;
        let public: Key<_, UnspecifiedRole> = cert.primary_key().key().clone().role_into_unspecified();
        // Of two self-signatures the newer one counts, and times are whole seconds.
        let next = newest(&cert).map(|newest| newest + Duration::from_secs(1));
        let at = next.filter(|next| *next > now).unwrap_or(now);
        if at > now + FUTURE {
            let when = rfc3339(at);
            return Err(Error::no_key(format!("key {fingerprint}: has a self-signature of the future, {when}"))
                .with_hint("check the clock of this machine"));
        }
        Ok(OwnCert { signer: Handled::new(public, secret), cert, fingerprint, at })
    }

    /// From when on a change counts: now, or up to a second later when the certificate was changed within this second.
    pub fn since(&self) -> SystemTime {
        self.at
    }

    /// Revokes the certificate. `message` is for people; it may be empty.
    ///
    /// # Errors
    ///
    /// `Malformed` when the certificate cannot be written.
    pub fn revoke(&mut self, reason: RevocationReason, message: &str) -> Result<Revoked> {
        let code = match reason {
            RevocationReason::Compromised => ReasonForRevocation::KeyCompromised,
            RevocationReason::NoLongerUsed => ReasonForRevocation::KeyRetired,
            RevocationReason::Superseded => ReasonForRevocation::KeySuperseded,
            RevocationReason::Unspecified => ReasonForRevocation::Unspecified,
        };
        let built = CertRevocationBuilder::new()
            .set_signature_creation_time(self.at)
            .and_then(|builder| builder.set_reason_for_revocation(code, message.as_bytes()))
            .and_then(|builder| builder.build(&mut self.signer, &self.cert, HashAlgorithm::SHA512));
        let packet = Packet::from(built.map_err(|error| self.failed(&error))?);
        let revocation = armored(packet.clone()).map_err(|error| self.failed(&error))?;
        Ok(Revoked { described: self.with(vec![packet])?, revocation })
    }

    /// Sets the expiry of the primary key and of the subkeys that are in use, all user IDs with it: `validity` from now, or none. Subkeys that are
    /// revoked, or that expired before the primary key did, stay as they are.
    ///
    /// # Errors
    ///
    /// `Usage` when the certificate would expire too late for OpenPGP; `Malformed` when it has no valid self-signature.
    pub fn renew(&mut self, validity: Option<Duration>, subkeys: Subkeys) -> Result<Described> {
        let end = validity.map(|validity| self.at + validity);
        let packets = self.renewed(end, subkeys).map_err(|error| self.failed(&error))?;
        self.with(packets)
    }

    /// Adds an encryption subkey that is valid for `validity`, locked as the primary key is. Senders take the newest one, and of one that withstands
    /// quantum computers and others the former, if their program knows it.
    ///
    /// # Errors
    ///
    /// `NoKey` when no passphrase opens the primary key; `Usage` when [`NewSubkey::QuantumSafe`] is there already; `Unavailable` when the key cannot be
    /// generated.
    pub fn add_subkey(
        &mut self,
        kind: NewSubkey,
        validity: Option<Duration>,
        record: &Record,
        held: &Held<'_>,
    ) -> Result<Described> {
        let is_safe = self.is_quantum_safe();
        if kind == NewSubkey::QuantumSafe && is_safe {
            let why = format!("key {}: has an encryption subkey that withstands quantum computers", self.fingerprint);
            return Err(Error::usage(why).with_hint("a new subkey of the same kind can take its place"));
        }
        let primary = self.cert.primary_key().key().clone().role_into_unspecified();
        let signs_safely = suite::key_algorithm(&primary).is_quantum_safe();
        let purpose = match kind {
            NewSubkey::Same if !is_safe && !signs_safely => Use::Encryption,
            NewSubkey::Same | NewSubkey::QuantumSafe => Use::QuantumSafeEncryption,
        };
        let passphrase = passphrase_of(record, held.octets, held.passphrases, held.limits)?;
        let profile = Profile::of_version(self.cert.primary_key().key().version());
        let no_address = Address::parse("postseal@invalid")?;
        let request = Request { profile, algorithm: self.algorithm(), validity, ..Request::new(no_address) };
        let key = generate::key::<SubordinateRole>(&request, purpose, self.at)?;
        let fingerprint = handle(&key.fingerprint());
        let made = generate::signature(SignatureType::SubkeyBinding, self.at)
            .and_then(|builder| encryption(builder, validity))
            .and_then(|builder| key.bind(&mut self.signer, &self.cert, builder))
            .and_then(|binding| Ok([Packet::from(lock(key, profile, passphrase.as_ref())?), binding.into()]));
        let packets = made.map_err(|error| self.failed(&error))?;
        let held = cert::read(held.octets.expose()).map_err(|error| self.failed(&error))?;
        let whole = held.merge_public(Cert::clone(&self.cert)).and_then(|cert| cert.insert_packets(packets.to_vec()));
        let described = describe_cert(&whole.map_err(|error| self.failed(&error))?.0)?;
        Ok(Described { proven: vec![fingerprint], ..described })
    }

    /// Adds a user ID with `address` and the name of the primary user ID, or another `name`.
    ///
    /// # Errors
    ///
    /// `Usage` when it has the address already, or name and address do not form a user ID; `Malformed` when it has no valid self-signature.
    pub fn add_address(&mut self, address: &Address, name: Option<&str>) -> Result<Described> {
        let packets = self.with_user_id(address, name)?;
        self.with(packets)
    }

    fn with_user_id(&mut self, address: &Address, name: Option<&str>) -> Result<Vec<Packet>> {
        let valid = self.cert.with_policy(&LENIENT, self.at).map_err(|error| self.failed(&error))?;
        let named = |user_id: &UserID| std::str::from_utf8(user_id.value()).ok().and_then(address::of_user_id);
        if valid.userids().revoked(false).any(|user_id| named(user_id.userid()).as_ref() == Some(address)) {
            return Err(Error::usage(format!("key {}: names {address} already", self.fingerprint)));
        }
        let primary = valid.primary_userid().map_err(|error| self.failed(&error))?;
        let known = String::from_utf8_lossy(primary.userid().value()).into_owned();
        let known = known.split_once('<').map(|(name, _)| name.trim().to_owned()).filter(|name| !name.is_empty());
        let user_id = generate::user_id(name.or(known.as_deref()), address)?;
        let builder = SignatureBuilder::from(primary.binding_signature().clone())
            .set_type(SignatureType::PositiveCertification)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(self.at)
            .and_then(|builder| builder.set_primary_userid(false));
        let mut signer = self.signer.clone();
        let binding = builder.and_then(|builder| user_id.bind(&mut signer, &self.cert, builder));
        let binding = binding.map_err(|error| self.failed(&error))?;
        Ok(vec![user_id.into(), binding.into()])
    }

    fn renewed(&self, end: Option<SystemTime>, subkeys: Subkeys) -> anyhow::Result<Vec<Packet>> {
        let (valid, mut signer) = (self.cert.with_policy(&LENIENT, self.at)?, self.signer.clone());
        let fresh = |signature: &sequoia_openpgp::packet::Signature| {
            let builder = SignatureBuilder::from(signature.clone()).set_hash_algo(HashAlgorithm::SHA512);
            builder.set_signature_creation_time(self.at)
        };
        let until = |created: SystemTime| end.map(|end| period(created, end)).transpose();
        let (primary, mut packets) = (valid.primary_key(), Vec::new());
        let period = until(primary.key().creation_time())?;
        let direct = primary.direct_key_signature().ok();
        if let Some(direct) = direct {
            let builder = fresh(direct)?.set_key_validity_period(period)?;
            packets.push(builder.sign_direct_key(&mut signer, primary.key())?.into());
        }
        let (first, is_safe) =
            (valid.primary_userid().ok().map(|user_id| user_id.userid().clone()), self.is_quantum_safe());
        for user_id in valid.userids().revoked(false) {
            let old = user_id.binding_signature();
            // A certificate of version 6 says it in the direct-key signature alone.
            if direct.is_some() && old.key_validity_period().is_none() {
                continue;
            }
            let builder = fresh(old)?.set_key_validity_period(period)?;
            let builder = builder.set_primary_userid(first.as_ref() == Some(user_id.userid()))?;
            packets.push(user_id.userid().bind(&mut signer, &self.cert, builder)?.into());
        }
        for subkey in valid.keys().subkeys().revoked(false) {
            let of_use = match subkeys {
                Subkeys::All => true,
                Subkeys::Signing if subkey.for_transport_encryption() || subkey.for_storage_encryption() => {
                    // A new one that withstands quantum computers does not take the place of one for other programs.
                    is_safe && !suite::key_algorithm(subkey.key()).is_quantum_safe()
                }
                Subkeys::Signing => true,
            };
            if of_use && self.is_in_use(&valid, subkey.key_expiration_time()) {
                let builder = fresh(subkey.binding_signature())?;
                let builder = builder.set_key_validity_period(until(subkey.key().creation_time())?)?;
                let key = subkey.key().clone().role_into_subordinate();
                packets.push(key.bind(&mut signer, &self.cert, builder)?.into());
            }
        }
        Ok(packets)
    }

    /// Whether a subkey with this expiry was valid for as long as the primary key was.
    fn is_in_use(&self, valid: &ValidCert<'_>, end: Option<SystemTime>) -> bool {
        let until = valid.primary_key().key_expiration_time().map_or(self.at, |end| end.min(self.at));
        end.is_none_or(|end| end >= until)
    }

    /// Whether one of the encryption subkeys in use withstands quantum computers. A new one must not fall short of it.
    fn is_quantum_safe(&self) -> bool {
        let Ok(valid) = self.cert.with_policy(&LENIENT, self.at) else { return false };
        valid.keys().subkeys().revoked(false).any(|subkey| {
            suite::key_algorithm(subkey.key()).conveys() == Conveys::Encapsulates
                && self.is_in_use(&valid, subkey.key_expiration_time())
        })
    }

    fn algorithm(&self) -> Algorithm {
        let primary = self.cert.primary_key().key().clone().role_into_unspecified();
        match suite::key_algorithm(&primary) {
            KeyAlgorithm::Rsa(0..=2048) => Algorithm::Rsa2048,
            KeyAlgorithm::Rsa(2049..=3072) => Algorithm::Rsa3072,
            KeyAlgorithm::Rsa(_) => Algorithm::Rsa4096,
            // A subkey of version 4 is of Curve25519.
            KeyAlgorithm::Ed448 if primary.version() == 6 => Algorithm::Curve448,
            // The others of RFC 9980, at its lower level.
            KeyAlgorithm::Other("mldsa87-ed448") => Algorithm::MlDsa87,
            KeyAlgorithm::SlhDsa(SlhDsa::Shake256s) => Algorithm::SlhDsa256s,
            _ => Algorithm::Curve25519,
        }
    }

    /// The certificate with more packets.
    fn with(&self, packets: Vec<Packet>) -> Result<Described> {
        let (cert, _) = Cert::clone(&self.cert).insert_packets(packets).map_err(|error| self.failed(&error))?;
        describe_cert(&cert)
    }

    fn failed(&self, error: &anyhow::Error) -> Error {
        words::of_machine(error).unwrap_or_else(|| failed(&self.fingerprint, error))
    }
}

/// The kind of a new encryption subkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSubkey {
    /// One beside those that are there, which other programs may still need, that withstands quantum computers: ML-KEM-768+X25519 in a key of version 4
    /// (RFC 9980, section 4.3.2).
    QuantumSafe,
    /// As those that are there.
    Same,
}

/// Which subkeys get a new expiry with the primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subkeys {
    /// All that are in use.
    All,
    /// Not those that encrypt: a new one takes their place.
    Signing,
}

/// The validity period of a key, from its creation to `end`.
fn period(created: SystemTime, end: SystemTime) -> anyhow::Result<Duration> {
    let period = end.duration_since(created).unwrap_or_default();
    // 32 bits (RFC 9580, section 5.2.3.13).
    if period.as_secs() > u64::from(u32::MAX) {
        return Err(
            Error::usage("it would expire too late: OpenPGP counts 136 years from the creation of a key").into()
        );
    }
    Ok(period)
}

/// The time of the newest self-signature.
fn newest(cert: &Cert) -> Option<SystemTime> {
    let keys = cert.keys().flat_map(|key| key.self_signatures().cloned().collect::<Vec<_>>());
    let user_ids = cert.userids().flat_map(|user_id| user_id.self_signatures().cloned().collect::<Vec<_>>());
    keys.chain(user_ids).filter_map(|signature| signature.signature_creation_time()).max()
}

/// How far clocks may differ.
const FUTURE: Duration = Duration::from_secs(300);
