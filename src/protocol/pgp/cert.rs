//! Reads one certificate and finds its keys that are usable for a purpose, or the reason why there is none.

use std::{sync::Arc, time::SystemTime};

use sequoia_openpgp::{
    Cert, Fingerprint,
    cert::amalgamation::{
        ValidAmalgamation, ValidateAmalgamation,
        key::{PrimaryKey, ValidErasedKeyAmalgamation},
    },
    packet::{
        Key, Signature,
        key::{PublicParts, UnspecifiedRole},
    },
    parse::Parse,
    policy::{AsymmetricAlgorithm, StandardPolicy},
    types::{HashAlgorithm, RevocationStatus},
};

use super::{
    binding_signatures,
    lenient::LENIENT,
    revocation::{self, Known},
    suite, words,
};
use crate::{
    base::{Error, Result, rfc3339},
    crypto::Legacy,
    keys::{Handle, Keys, Record},
    mail::{Address, address},
    protocol::unfit::Unfit,
};

/// The purpose for which a key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// Encrypting mail: the flags for communications or for storage (RFC 9580, section 5.2.3.29).
    Encrypt,
    /// Signing data.
    Sign,
}

impl Usage {
    /// The word used in errors: `encryption`, `signing`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Usage::Encrypt => "encryption",
            Usage::Sign => "signing",
        }
    }

    /// Whether the key's flags allow this use. Without flags the algorithm decides, as in GnuPG (RFC 4880, section
    /// 5.2.3.21 does not require flags). Flags that are all zero allow nothing.
    fn allowed(self, key: &ValidErasedKeyAmalgamation<'_, PublicParts>) -> bool {
        match (self, key.key_flags()) {
            (Usage::Encrypt, Some(flags)) => flags.for_transport_encryption() || flags.for_storage_encryption(),
            (Usage::Encrypt, None) => true,
            (Usage::Sign, Some(flags)) => flags.for_signing(),
            // Signatures by a subkey are accepted only if it made a back signature (RFC 9580, section 5.2.1.9).
            (Usage::Sign, None) => has_back_signature(key),
        }
    }

    fn possible(self, key: &Key<PublicParts, UnspecifiedRole>) -> bool {
        match self {
            Usage::Encrypt => key.pk_algo().for_encryption(),
            Usage::Sign => key.pk_algo().for_signing(),
        }
    }
}

/// Parses the certificate of a record.
pub(super) fn parse(record: &Record) -> Result<Arc<Cert>> {
    record.bytes().read(|octets| {
        read(octets).map_err(|error| Error::malformed(format!("key {}", record.fingerprint()), words::reason(&error)))
    })
}

/// Parses one certificate, with or without secret parts.
pub(super) fn read(octets: &[u8]) -> sequoia_openpgp::Result<Cert> {
    let cert = Cert::from_bytes(octets)?;
    binding_signatures::verify(&cert, octets);
    Ok(cert)
}

/// Converts a Sequoia fingerprint.
pub(super) fn handle(fingerprint: &Fingerprint) -> Handle {
    Handle::from_octets(fingerprint.as_bytes())
}

/// The Sequoia policy for judging certificates at time `at`. DSA and short RSA keys are refused at any date, because
/// `crypto/strength` rates them weak. `Legacy::Admit` accepts the weak ones.
pub(super) fn policy(at: SystemTime, legacy: Legacy) -> StandardPolicy<'static> {
    let mut policy = StandardPolicy::at(at);
    for algorithm in WEAK_KEYS {
        match legacy {
            Legacy::Admit => policy.accept_asymmetric_algo(algorithm),
            Legacy::Refuse => policy.reject_asymmetric_algo(algorithm),
        }
    }
    if legacy == Legacy::Admit {
        for algorithm in WEAK_HASHES {
            policy.accept_hash(algorithm);
        }
    }
    policy
}

/// The mailboxes of the user IDs that are bound by a self-signature at `at` and not revoked.
pub(super) fn certified(cert: &Cert, at: SystemTime, legacy: Legacy, keys: &dyn Keys) -> Vec<Address> {
    let policy = policy(at, legacy);
    let mailbox = |user: sequoia_openpgp::cert::amalgamation::UserIDAmalgamation<'_>| {
        let valid = user.clone().with_policy(&policy, at).ok()?;
        // If the key source fails, it may know of a revocation: the user ID does not count.
        for status in [valid.revocation_status(), user.revocation_status(&LENIENT, at)] {
            match revocation::known(&status, cert, keys) {
                Ok(Known::Good | Known::Perhaps(_)) => {}
                Ok(Known::Revoked(_)) | Err(_) => return None,
            }
        }
        address::of_user_id(std::str::from_utf8(valid.userid().value()).ok()?)
    };
    cert.userids().filter_map(mailbox).collect()
}

/// As [`all_usable`]. To encrypt, those that withstand quantum computers where there are any: one is of use only where no
/// other key opens the message.
pub(super) fn usable(
    cert: &Cert,
    usage: Usage,
    at: SystemTime,
    legacy: Legacy,
    keys: &dyn Keys,
) -> Result<Vec<Key<PublicParts, UnspecifiedRole>>, Unfit> {
    let mut good = all_usable(cert, usage, at, legacy, keys)?;
    let is_safe = |key: &Key<PublicParts, UnspecifiedRole>| suite::key_algorithm(key).is_quantum_safe();
    if usage == Usage::Encrypt && good.iter().any(is_safe) {
        good.retain(is_safe);
    }
    Ok(good)
}

/// The keys of `cert` that `usage` allows at `at`, newest first. Otherwise the reason, worded to follow the name of the
/// key: `expired on 2020-01-01`, `revoked: key material has been compromised`, `no encryption subkey`.
pub(super) fn all_usable(
    cert: &Cert,
    usage: Usage,
    at: SystemTime,
    legacy: Legacy,
    keys: &dyn Keys,
) -> Result<Vec<Key<PublicParts, UnspecifiedRole>>, Unfit> {
    let policy = policy(at, legacy);
    // A revocation counts even if its digest is weak.
    if let Some(why) = revocation_reason(&cert.revocation_status(&LENIENT, at), cert, keys) {
        return Err(why);
    }
    let valid = cert
        .with_policy(&policy, at)
        .map_err(|error| rejected(error.chain(), cert.primary_key().key().role_as_unspecified(), at))?;
    if let Some(why) = revocation_reason(&valid.revocation_status(), cert, keys) {
        return Err(why);
    }
    if valid.alive().is_err() {
        return Err(not_alive(
            valid.primary_key().key_expiration_time(),
            cert.primary_key().key().role_as_unspecified(),
            at,
        ));
    }

    let mut good: Vec<Key<PublicParts, UnspecifiedRole>> = Vec::new();
    let mut reasons: Vec<Unfit> = Vec::new();
    for candidate in cert.keys().filter(|candidate| usage.possible(candidate.key())) {
        match candidate.clone().with_policy(&policy, at) {
            Ok(key) if !usage.allowed(&key) => {}
            Ok(key) => match obstacle(&key, at, keys) {
                None => good.push(key.key().clone()),
                Some(why) => reasons.push(of_key(cert, key.key(), why)),
            },
            Err(error) => {
                reasons.push(of_key(cert, candidate.key(), rejected(error.chain(), candidate.key(), at).into()));
            }
        }
    }
    // A primary key without flags leaves encryption to the subkeys.
    if usage == Usage::Encrypt && good.len() > 1 && valid.primary_key().key_flags().is_none() {
        good.retain(|key| key.fingerprint() != cert.fingerprint());
    }
    // The sort is stable. Reversed first, so that of two keys created in the same second the subkey comes first.
    good.reverse();
    good.sort_by_key(|key| std::cmp::Reverse(key.creation_time()));
    match (good.is_empty(), reasons.is_empty()) {
        (false, _) => Ok(good),
        (true, true) => Err(format!("no {} subkey", usage.name()).into()),
        (true, false) => {
            let words = reasons.iter().map(Unfit::to_string).collect::<Vec<_>>().join(", ");
            let expired = reasons.iter().all(|why| matches!(why, Unfit::Expired(_)));
            Err(if expired { Unfit::Expired(words) } else { Unfit::Otherwise(words) })
        }
    }
}

/// Whether the key is the primary key, or a subkey with a valid back signature. Without it anyone could claim a subkey
/// of another certificate (RFC 9580, section 5.2.1.9).
pub(super) fn has_back_signature(key: &ValidErasedKeyAmalgamation<'_, PublicParts>) -> bool {
    let primary = key.cert().primary_key();
    let subkey = key.key().role_as_subordinate();
    let verifies = |back: &Signature| back.verify_primary_key_binding(primary.key(), subkey).is_ok();
    key.primary() || key.binding_signature().embedded_signatures().any(verifies)
}

fn obstacle(key: &ValidErasedKeyAmalgamation<'_, PublicParts>, at: SystemTime, keys: &dyn Keys) -> Option<Unfit> {
    let of_any_digest = revocation::of_key(key.cert(), &key.key().key_handle(), at, keys);
    let known = revocation::known(&key.revocation_status(), key.cert(), keys);
    if let Some(why) = of_any_digest.map_or_else(refused, unfit).or_else(|| known.map_or_else(refused, unfit)) {
        return Some(why);
    }
    if key.alive().is_err() {
        return Some(not_alive(key.key_expiration_time(), key.key(), at));
    }
    if suite::needs_version_6(key.key()) {
        return Some(format!("algorithm {} is for keys of version 6", suite::public_name(key.key().pk_algo())).into());
    }
    (!key.key().pk_algo().is_supported()).then(|| format!("algorithm {} is not available", key.key().pk_algo()).into())
}

/// Why a part of `cert` must not be used any more: it is revoked, or its revocation status cannot be determined.
fn revocation_reason(status: &RevocationStatus<'_>, cert: &Cert, keys: &dyn Keys) -> Option<Unfit> {
    revocation::known(status, cert, keys).map_or_else(refused, unfit)
}

fn refused(error: Error) -> Option<Unfit> {
    Some(error.to_string().into())
}

fn unfit(known: Known) -> Option<Unfit> {
    match known {
        Known::Good | Known::Perhaps(_) => None,
        Known::Revoked(signatures) => Some(revoked(&signatures).into()),
    }
}

fn revoked(signatures: &[Signature]) -> String {
    let reason = signatures.iter().find_map(|signature| signature.reason_for_revocation());
    match reason {
        Some((code, [])) => format!("revoked: {}", lower(&code.to_string())),
        Some((code, text)) => {
            format!("revoked: {}: {}", lower(&code.to_string()), String::from_utf8_lossy(text))
        }
        None => "revoked".to_owned(),
    }
}

fn not_alive(expires: Option<SystemTime>, key: &Key<PublicParts, UnspecifiedRole>, at: SystemTime) -> Unfit {
    match expires {
        Some(end) if end <= at => Unfit::Expired(format!("expired on {}", date(end))),
        _ => format!("not valid before {}", date(key.creation_time())).into(),
    }
}

/// Why Sequoia rejects the certificate or the key.
fn rejected<'a>(
    mut causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>,
    key: &Key<PublicParts, UnspecifiedRole>,
    at: SystemTime,
) -> String {
    if key.creation_time() > at {
        return format!("not valid before {}", date(key.creation_time()));
    }
    let policy = causes.find_map(|cause| match cause.downcast_ref::<sequoia_openpgp::Error>() {
        Some(sequoia_openpgp::Error::PolicyViolation(what, _)) => Some(words::weak(what)),
        _ => None,
    });
    policy.unwrap_or_else(|| format!("no valid self-signature on {}", date(at)))
}

fn of_key(cert: &Cert, key: &Key<PublicParts, UnspecifiedRole>, why: Unfit) -> Unfit {
    if key.fingerprint() == cert.fingerprint() {
        return why;
    }
    let named = |words: String| format!("subkey {} {words}", key.fingerprint().to_hex());
    match why {
        Unfit::Expired(words) => Unfit::Expired(named(words)),
        Unfit::Otherwise(words) => Unfit::Otherwise(named(words)),
    }
}

fn date(time: SystemTime) -> String {
    let text = rfc3339(time);
    text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// Keys within reach of a well-funded attacker: NIST SP 800-131A rev. 2, section 3.
const WEAK_KEYS: [AsymmetricAlgorithm; 9] = [
    AsymmetricAlgorithm::DSA1024,
    AsymmetricAlgorithm::DSA2048,
    AsymmetricAlgorithm::DSA3072,
    AsymmetricAlgorithm::DSA4096,
    AsymmetricAlgorithm::ElGamal1024,
    AsymmetricAlgorithm::ElGamal2048,
    AsymmetricAlgorithm::ElGamal3072,
    AsymmetricAlgorithm::ElGamal4096,
    AsymmetricAlgorithm::RSA1024,
];

/// Digests that Sequoia rejects in self-signatures by their date: RFC 9580, section 9.5.
const WEAK_HASHES: [HashAlgorithm; 3] = [HashAlgorithm::MD5, HashAlgorithm::RipeMD, HashAlgorithm::SHA1];
