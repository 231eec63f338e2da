//! Which certificate is meant by an address, for a use, at a time.

use std::{sync::Arc, time::SystemTime};

use sequoia_openpgp::{
    Cert, Fingerprint,
    packet::{
        Key,
        key::{PublicParts, UnspecifiedRole},
    },
};

use super::{
    cert::{self, Usage},
    words,
};
use crate::{
    base::{Error, Result},
    crypto::{Legacy, SecretKey},
    keys::{Handle, KeyState, Keys, ProtocolName, Record, Want},
    mail::Address,
    protocol::{Context, Purpose, unfit::Refused},
};

/// A certificate to encrypt to, and which of its keys.
pub(super) struct Chosen {
    /// The certificate.
    pub(super) cert: Arc<Cert>,
    /// Its encryption keys, newest first; at least one.
    pub(super) keys: Vec<Key<PublicParts, UnspecifiedRole>>,
    /// What the person who asked should know of the choice.
    pub(super) warning: Option<String>,
}

/// A key to sign with.
pub(super) struct SigningKey {
    /// The public part.
    pub(super) key: Key<PublicParts, UnspecifiedRole>,
    /// The private part.
    pub(super) secret: Arc<dyn SecretKey>,
}

/// The certificate to encrypt to for `address`.
///
/// Bound certificates (this machine's owner believes them) come first, then newer ones. One that nobody vouches for serves only if
/// it is the single one that validly names the address, and never beside a bound one: otherwise whoever slips a newer certificate into
/// the key store reads the mail. The error lists every candidate and what is wrong with it.
pub(super) fn recipient(keys: &dyn Keys, address: &Address, at: SystemTime, legacy: Legacy) -> Result<Chosen> {
    let mut candidates = candidates(keys, address, at, legacy)?;
    let anyone_bound = candidates.iter().any(|candidate| candidate.standing == Standing::Bound);
    candidates.retain(|candidate| !anyone_bound || candidate.standing == Standing::Bound);

    let mut refused = Refused::default();
    let mut good: Vec<(Candidate, Vec<Key<PublicParts, UnspecifiedRole>>)> = Vec::new();
    for candidate in candidates {
        match (candidate.standing, cert::usable(&candidate.cert, Usage::Encrypt, at, legacy, keys)) {
            (_, Err(why)) => refused.push(candidate.fingerprint(), why),
            (Standing::Mentioned, Ok(_)) => refused.push(candidate.fingerprint(), NOT_VALID.to_owned()),
            (Standing::Bound | Standing::Claiming, Ok(usable)) => good.push((candidate, usable)),
        }
    }
    match good.len() {
        0 => return Err(nothing(address, Usage::Encrypt, &refused)),
        1 => {}
        _ if anyone_bound => good.truncate(1),
        _ => return Err(ambiguous(address, good.iter().map(|(candidate, _)| candidate))),
    }
    let (Candidate { cert, .. }, keys) = good.remove(0);
    let fingerprint = cert.fingerprint().to_hex();
    let warning = (!anyone_bound).then(|| {
        format!("{address}: nobody vouches for key {fingerprint}; if it is right: postseal key trust {fingerprint} {address}")
    });
    Ok(Chosen { cert, keys, warning })
}

/// The key to sign with for `address`: a certificate with a secret part that is bound to the address or validly names it.
pub(super) fn signer_for(keys: &dyn Keys, address: &Address, at: SystemTime, legacy: Legacy) -> Result<SigningKey> {
    let mut refused = Refused::default();
    for candidate in candidates(keys, address, at, legacy)? {
        let Some(record) = candidate.records.iter().find(|record| !record.secrets.is_empty()) else {
            if let Some(why) = candidate.records.iter().find_map(|record| elsewhere(keys, record)) {
                refused.push(candidate.fingerprint(), why);
            }
            continue;
        };
        match cert::usable(&candidate.cert, Usage::Sign, at, legacy, keys) {
            Err(why) => refused.push(candidate.fingerprint(), why),
            Ok(_) if candidate.standing == Standing::Mentioned => {
                refused.push(candidate.fingerprint(), NOT_VALID.to_owned());
            }
            Ok(usable) => match with_secret(keys, record, usable)? {
                Some(found) => return Ok(found),
                None => {
                    refused
                        .push(candidate.fingerprint(), elsewhere(keys, record).unwrap_or_else(|| NOT_HERE.to_owned()));
                }
            },
        }
    }
    Err(nothing(address, Usage::Sign, &refused))
}

/// Whether [`recipient`] or [`signer_for`] finds a key now.
pub(super) fn readiness(address: &Address, purpose: Purpose, context: Context<'_>) -> Result<KeyState> {
    let (keys, at, legacy) = (context.keys, context.clock.now(), context.legacy);
    let usable =
        |fingerprint: &Fingerprint, warning| KeyState::Usable { key: cert::handle(fingerprint), warning, note: None };
    let found = match purpose {
        Purpose::Encrypt => {
            recipient(keys, address, at, legacy).map(|chosen| usable(&chosen.cert.fingerprint(), chosen.warning))
        }
        Purpose::Sign => signer_for(keys, address, at, legacy).map(|signing| usable(&signing.key.fingerprint(), None)),
    };
    found.or_else(KeyState::of_refusal)
}

/// The key to sign with that `handle` names: a certificate by its primary key, or one subkey.
pub(super) fn signer_named(keys: &dyn Keys, handle: &Handle, at: SystemTime, legacy: Legacy) -> Result<SigningKey> {
    let records = keys.find(ProtocolName::Pgp, &Want::Handle(handle))?;
    let record = match records.as_slice() {
        [] => {
            return Err(
                Error::no_key(format!("key {handle}: not here")).with_hint("`postseal key list` shows what is here")
            );
        }
        [record] => record,
        several => {
            let list: Vec<&str> = several.iter().map(|record| record.fingerprint.as_str()).collect();
            return Err(Error::no_key(format!("key {handle}: names several: {}", list.join(", ")))
                .with_hint("give the whole fingerprint"));
        }
    };
    let cert = cert::parse(record)?;
    let mut usable = cert::signing_keys(&cert, at, legacy, keys)?;
    if !record.fingerprint.is_named_by(handle) {
        usable.retain(|key| cert::handle(&key.fingerprint()).is_named_by(handle));
        if usable.is_empty() {
            return Err(Error::no_key(format!("key {handle}: not a usable signing key"))
                .with_hint(format!("give its certificate: {}", record.fingerprint)));
        }
    }
    let why = || elsewhere(keys, record).unwrap_or_else(|| NOT_HERE.to_owned());
    with_secret(keys, record, usable)?.ok_or_else(|| cert::no_key(&cert, &why()))
}

/// Why a certificate was found for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The owner of this machine ties it to the address.
    Bound,
    /// It names the address in a valid user ID.
    Claiming,
    /// It names the address in a user ID that is revoked, or not its own.
    Mentioned,
}

/// A certificate, and all records that hold a copy of it.
struct Candidate {
    records: Vec<Arc<Record>>,
    cert: Arc<Cert>,
    standing: Standing,
}

impl Candidate {
    fn fingerprint(&self) -> String {
        self.cert.fingerprint().to_hex()
    }
}

/// Copies of one certificate merged, so that a revocation or an expiry in any of them counts; bound ones first, then newest, then
/// by fingerprint, so that the order is the same each time.
fn candidates(keys: &dyn Keys, address: &Address, at: SystemTime, legacy: Legacy) -> Result<Vec<Candidate>> {
    let mut found: Vec<Candidate> = Vec::new();
    for record in keys.find(ProtocolName::Pgp, &Want::Address(address))? {
        let cert = cert::parse(&record)?;
        match found.iter_mut().find(|other| other.cert.fingerprint() == cert.fingerprint()) {
            None => found.push(Candidate { records: vec![record], cert, standing: Standing::Mentioned }),
            Some(other) => {
                if !other.records.iter().any(|own| own.bytes == record.bytes) {
                    let merged = Cert::clone(&other.cert).merge_public(Cert::clone(&cert));
                    let merged = merged.map_err(|error| {
                        Error::malformed(format!("key {}", record.fingerprint), words::reason(&error))
                    })?;
                    other.cert = Arc::new(merged);
                }
                other.records.push(record);
            }
        }
    }
    for candidate in &mut found {
        let certified = cert::certified(&candidate.cert, at, legacy, keys);
        let believed =
            |record: &Arc<Record>| record.authenticate(&certified).iter().any(|one| one.address() == address);
        if candidate.records.iter().any(believed) {
            candidate.standing = Standing::Bound;
        } else if certified.contains(address) {
            candidate.standing = Standing::Claiming;
        }
    }
    found.sort_by(|a, b| {
        let (a_key, b_key) = (a.cert.primary_key().key(), b.cert.primary_key().key());
        let newest = b_key.creation_time().cmp(&a_key.creation_time());
        a.standing.cmp(&b.standing).then(newest).then_with(|| a_key.fingerprint().cmp(&b_key.fingerprint()))
    });
    Ok(found)
}

fn with_secret(
    keys: &dyn Keys,
    record: &Record,
    usable: Vec<Key<PublicParts, UnspecifiedRole>>,
) -> Result<Option<SigningKey>> {
    for key in usable {
        let handle = cert::handle(&key.fingerprint());
        if record.secrets.contains(&handle)
            && let Some(secret) = keys.secret(record, &handle)?
        {
            return Ok(Some(SigningKey { key, secret }));
        }
    }
    Ok(None)
}

/// Where the secret part of a key of the certificate is that is not here: on a card, for one. `None` when nothing says so.
fn elsewhere(keys: &dyn Keys, record: &Record) -> Option<String> {
    let absent = record.handles.iter().filter(|handle| !record.secrets.contains(handle));
    absent.filter_map(|handle| keys.secret(record, handle).err()).map(|error| error.to_string()).next()
}

fn nothing(address: &Address, usage: Usage, refused: &Refused) -> Error {
    let hint = match usage {
        Usage::Encrypt => format!("import one: postseal key import FILE, then postseal key trust ID {address}"),
        Usage::Sign => format!("postseal key generate {address}, or postseal key import FILE"),
    };
    refused.error(address, &format!("{} key", usage.name()), hint)
}

fn ambiguous<'a>(address: &Address, candidates: impl Iterator<Item = &'a Candidate>) -> Error {
    let list: Vec<String> = candidates.map(|candidate| candidate.cert.fingerprint().to_hex()).collect();
    Error::no_key(format!("{address}: nobody vouches for any of several keys: {}", list.join(", ")))
        .with_hint(format!("compare fingerprints with the owner, then: postseal key trust ID {address}"))
}

const NOT_HERE: &str = "the secret part of its signing key is not here";
const NOT_VALID: &str = "its user id is not valid";
