//! Describes a certificate for display: user IDs, keys, dates and validity.

use std::time::SystemTime;

use sequoia_openpgp::{
    cert::amalgamation::{
        ValidAmalgamation, ValidateAmalgamation,
        key::{PrimaryKey, ValidErasedKeyAmalgamation},
    },
    packet::{Signature, key::PublicParts},
    types::RevocationStatus::Revoked,
};

use super::{
    cert::{self, handle, policy},
    revocation::{self, Known},
    suite::key_algorithm,
    words,
};
use crate::{
    base::Result,
    crypto::{KeyAlgorithm, Legacy},
    keys::{Handle, Keys, Record},
};

/// A certificate as it is at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The version of its primary key: 4 or 6.
    pub version: u8,
    /// Its user IDs, valid or not.
    pub user_ids: Vec<UserId>,
    /// Its keys, the primary key first.
    pub keys: Vec<Key>,
}

/// A user ID: text chosen by the creator of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId {
    /// The text, with invalid UTF-8 replaced.
    pub text: String,
    /// Whether it is valid.
    pub state: Validity,
}

/// A primary key or subkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its fingerprint.
    pub fingerprint: Handle,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Its creation time.
    pub created: SystemTime,
    /// Its expiry, if any.
    pub expires: Option<SystemTime>,
    /// Its uses: `certify`, `sign`, `encrypt`, `authenticate`.
    pub uses: Vec<&'static str>,
    /// Whether it is valid.
    pub state: Validity,
}

/// The validity of a key or user ID.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// Expired.
    Expired,
    /// Valid, with a valid self-signature.
    Good,
    /// Created in the future.
    NotYetValid,
    /// Without a valid self-signature, or with one that is too weak; the reason.
    Rejected(String),
    /// Valid, but possibly revoked: the designated revoker with this fingerprint made a revocation in it, and its key
    /// is missing.
    PerhapsRevoked(Handle),
    /// Revoked; the reason given by the owner.
    Revoked(String),
}

/// Describes the certificate of `record` at `at`. `legacy` decides whether weak algorithms are accepted. `keys` is
/// asked for the keys of designated revokers.
///
/// # Errors
///
/// `Malformed` if the certificate cannot be read; errors of `keys`.
pub fn summarize(record: &Record, at: SystemTime, legacy: Legacy, keys: &dyn Keys) -> Result<Summary> {
    let cert = cert::parse(record)?;
    let policy = policy(at, legacy);
    let mut user_ids = Vec::new();
    for user_id in cert.userids() {
        let known = revocation::of_user_id(&cert, &user_id, at, keys)?;
        let text = String::from_utf8_lossy(user_id.userid().value()).into_owned();
        let bound = user_id.with_policy(&policy, at).map(|valid| matches!(valid.revocation_status(), Revoked(_)));
        user_ids.push(UserId {
            text,
            state: match (revoked(&known), bound) {
                (Some(state), _) => state,
                (None, Ok(true)) => Validity::Revoked(NO_REASON.to_owned()),
                (None, Ok(false)) => perhaps(known),
                (None, Err(error)) => Validity::Rejected(words::reason(&error)),
            },
        });
    }
    let mut all = Vec::new();
    for key in cert.keys() {
        let known = revocation::of_key(&cert, &key.key().key_handle(), at, keys)?;
        let described = Key {
            fingerprint: handle(&key.key().fingerprint()),
            algorithm: key_algorithm(key.key()),
            created: key.key().creation_time(),
            expires: None,
            uses: Vec::new(),
            state: revoked(&known).unwrap_or(Validity::NotYetValid),
        };
        let is_revoked = matches!(described.state, Validity::Revoked(_));
        all.push(match key.with_policy(&policy, at) {
            _ if !is_revoked && described.created > at => described,
            Ok(valid) => {
                let state = if is_revoked { described.state } else { state(&valid, at, known) };
                Key { expires: valid.key_expiration_time(), uses: uses(&valid), state, ..described }
            }
            Err(_) if is_revoked => described,
            Err(error) => Key { state: Validity::Rejected(words::reason(&error)), ..described },
        });
    }
    Ok(Summary { version: cert.primary_key().key().version(), user_ids, keys: all })
}

/// A warning that the key of a designated revoker is missing, which made a revocation in the certificate of `record`
/// (RFC 4880, section 5.2.3.15). `None` if no such key is needed.
///
/// # Errors
///
/// `Malformed` if the certificate cannot be read; errors of `keys`.
pub fn doubt(record: &Record, at: SystemTime, keys: &dyn Keys) -> Result<Option<String>> {
    revocation::doubt(&*cert::parse(record)?, at, keys)
}

fn state(key: &ValidErasedKeyAmalgamation<'_, PublicParts>, at: SystemTime, known: Known) -> Validity {
    // A subkey of a revoked or expired certificate is not valid either.
    let ended = |end: Option<SystemTime>| end.is_some_and(|end| end <= at);
    let whole = key.valid_cert();
    if [whole.revocation_status(), key.revocation_status()].iter().any(|status| matches!(status, Revoked(_))) {
        return Validity::Revoked(NO_REASON.to_owned());
    }
    match ended(key.key_expiration_time()) || ended(whole.primary_key().key_expiration_time()) {
        true => Validity::Expired,
        false => perhaps(known),
    }
}

fn perhaps(known: Known) -> Validity {
    match known {
        Known::Perhaps(revoker) => Validity::PerhapsRevoked(revoker),
        Known::Good | Known::Revoked(_) => Validity::Good,
    }
}

fn revoked(known: &Known) -> Option<Validity> {
    let Known::Revoked(signatures) = known else { return None };
    let reason = |signature: &Signature| {
        let (code, text) = signature.reason_for_revocation()?;
        let text = String::from_utf8_lossy(text).into_owned();
        Some(if text.is_empty() { code.to_string().to_lowercase() } else { text })
    };
    Some(Validity::Revoked(signatures.iter().find_map(reason).unwrap_or_else(|| NO_REASON.to_owned())))
}

fn uses(key: &ValidErasedKeyAmalgamation<'_, PublicParts>) -> Vec<&'static str> {
    let algorithm = key.key().pk_algo();
    // Without flags the algorithm decides, as in cert.rs.
    let Some(flags) = key.key_flags() else {
        let all = [
            (key.primary(), "certify"),
            (algorithm.for_signing() && cert::has_back_signature(key), "sign"),
            (algorithm.for_encryption(), "encrypt"),
        ];
        return all.into_iter().filter_map(|(able, name)| able.then_some(name)).collect();
    };
    let all = [
        (flags.for_certification(), "certify"),
        (flags.for_signing(), "sign"),
        (flags.for_transport_encryption() || flags.for_storage_encryption(), "encrypt"),
        (flags.for_authentication(), "authenticate"),
    ];
    all.into_iter().filter_map(|(flagged, name)| flagged.then_some(name)).collect()
}

const NO_REASON: &str = "no reason given";
