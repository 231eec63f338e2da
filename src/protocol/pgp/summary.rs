//! What a certificate says, for people who look at one.

use std::time::SystemTime;

use sequoia_openpgp::{
    anyhow,
    cert::amalgamation::{ValidAmalgamation, ValidateAmalgamation, key::ValidErasedKeyAmalgamation},
    packet::{Signature, key::PublicParts},
    types::RevocationStatus,
};

use super::{
    cert::{self, policy},
    keyfile::handle,
    suite::key_algorithm,
};
use crate::{
    base::Result,
    crypto::{KeyAlgorithm, Legacy},
    keys::{Handle, Record},
};

/// A certificate at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The version of its primary key: 4 or 6.
    pub version: u8,
    /// Its user IDs, whatever they are worth.
    pub user_ids: Vec<UserId>,
    /// Its keys, the primary key first.
    pub keys: Vec<Key>,
}

/// A user ID: text that whoever made the certificate chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId {
    /// As it stands there; octets that are not UTF-8 replaced.
    pub text: String,
    /// What it is worth.
    pub state: State,
}

/// A primary key or subkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its fingerprint.
    pub fingerprint: Handle,
    /// What it is.
    pub algorithm: KeyAlgorithm,
    /// When it was made.
    pub created: SystemTime,
    /// When it ends, if it does.
    pub expires: Option<SystemTime>,
    /// What it is for: `certify`, `sign`, `encrypt`, `authenticate`.
    pub uses: Vec<&'static str>,
    /// What it is worth.
    pub state: State,
}

/// What a key or user ID is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Its end has passed.
    Expired,
    /// The certificate vouches for it.
    Good,
    /// Its beginning has not come.
    NotYetValid,
    /// The certificate does not vouch for it, or with an algorithm that is too weak; why, in Sequoia's words.
    Rejected(String),
    /// Taken back; why, in its owner's words.
    Revoked(String),
}

/// What the certificate of `record` says at `at`, by the rules with which `legacy` has it judged.
pub fn summarize(record: &Record, at: SystemTime, legacy: Legacy) -> Result<Summary> {
    let cert = cert::parse(record)?;
    let policy = policy(at, legacy);
    let user_ids = cert.userids().map(|user_id| UserId {
        text: String::from_utf8_lossy(user_id.userid().value()).into_owned(),
        state: match user_id.with_policy(&policy, at) {
            Ok(valid) => revoked(&valid.revocation_status()).unwrap_or(State::Good),
            Err(error) => State::Rejected(words(&error)),
        },
    });
    let keys = cert.keys().map(|key| {
        let known = Key {
            fingerprint: handle(&key.key().fingerprint()),
            algorithm: key_algorithm(key.key()),
            created: key.key().creation_time(),
            expires: None,
            uses: Vec::new(),
            state: State::Good,
        };
        match key.with_policy(&policy, at) {
            _ if known.created > at => Key { state: State::NotYetValid, ..known },
            Ok(valid) => {
                Key { expires: valid.key_expiration_time(), uses: uses(&valid), state: state(&valid, at), ..known }
            }
            Err(error) => Key { state: State::Rejected(words(&error)), ..known },
        }
    });
    Ok(Summary { version: cert.primary_key().key().version(), user_ids: user_ids.collect(), keys: keys.collect() })
}

fn state(key: &ValidErasedKeyAmalgamation<'_, PublicParts>, at: SystemTime) -> State {
    // A subkey of a revoked or expired certificate is no better than the certificate.
    let ended = |end: Option<SystemTime>| end.is_some_and(|end| end <= at);
    revoked(&key.valid_cert().revocation_status()).or_else(|| revoked(&key.revocation_status())).unwrap_or_else(|| {
        match ended(key.key_expiration_time()) || ended(key.valid_cert().primary_key().key_expiration_time()) {
            true => State::Expired,
            false => State::Good,
        }
    })
}

fn revoked(status: &RevocationStatus<'_>) -> Option<State> {
    let RevocationStatus::Revoked(signatures) = status else { return None };
    let reason = |signature: &&Signature| {
        let (code, text) = signature.reason_for_revocation()?;
        let text = String::from_utf8_lossy(text).into_owned();
        Some(if text.is_empty() { code.to_string().to_lowercase() } else { text })
    };
    Some(State::Revoked(signatures.iter().find_map(reason).unwrap_or_else(|| "no reason given".to_owned())))
}

fn uses(key: &ValidErasedKeyAmalgamation<'_, PublicParts>) -> Vec<&'static str> {
    let all = [
        (key.for_certification(), "certify"),
        (key.for_signing(), "sign"),
        (key.for_transport_encryption() || key.for_storage_encryption(), "encrypt"),
        (key.for_authentication(), "authenticate"),
    ];
    all.into_iter().filter_map(|(flagged, name)| flagged.then_some(name)).collect()
}

/// The innermost cause, as the end of a lower-case line.
fn words(error: &anyhow::Error) -> String {
    error.root_cause().to_string().lines().next().unwrap_or_default().to_lowercase()
}
