//! Which certificate is meant by an address, for a use, at a time.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use super::{
    capabilities::Known,
    chain::{self, Chain},
    record,
};
use crate::{
    base::{Budget, Error, Limits, Result, rfc3339},
    crypto::{KeyAlgorithm, Legacy, SecretKey, Strength},
    keys::{Capabilities, Handle, KeyState, Keys, ProtocolName, Record, Want},
    mail::Address,
    pki::{Certificate, Refusal, Revocation, Rule, Usage},
    protocol::{
        Context, Purpose,
        unfit::{Refused, Unfit},
    },
};

/// A certificate to encrypt to.
pub(super) struct Chosen {
    /// It.
    pub(super) certificate: Certificate,
    /// What the person who asked should know of the choice.
    pub(super) warning: Option<String>,
    /// What is known of what its owner reads.
    pub(super) known: Known,
}

/// A key to sign with.
pub(super) struct SigningKey {
    /// The public part.
    pub(super) certificate: Certificate,
    /// The private part.
    pub(super) secret: Arc<dyn SecretKey>,
    /// The certificates above it that a reader may not have; without the root, which he trusts or does not (RFC 8551, section 2.3).
    pub(super) chain: Vec<Certificate>,
}

/// The certificate to encrypt to for `address`.
///
/// One that this machine's owner ties to the address comes first, then those with a valid path to an anchor, the newest first. One that
/// nobody vouches for serves only if it is the single one that names the address, and never beside a bound one: otherwise whoever slips
/// a newer certificate into the key store reads the mail. The error lists every candidate and what is wrong with it.
pub(super) fn recipient(address: &Address, at: SystemTime, context: Context<'_>) -> Result<Chosen> {
    let mut refused = Refused::default();
    let mut found = candidates(context.keys, address, &mut refused)?;
    // Those that are not encrypted to: perhaps he signs with one of them.
    let mut others: Vec<Candidate> = Vec::new();
    if found.iter().any(|candidate| candidate.standing == Standing::Bound) {
        others.extend(found.extract_if(.., |candidate| candidate.standing != Standing::Bound));
    }
    let mut good: Vec<Candidate> = Vec::new();
    let (mut chain, mut budget) = (Chain::new(&[], &[], context)?, Budget::new(Limits::default()));
    for mut candidate in found {
        if let Err(why) = usable(&candidate.certificate, Use::Encrypt, at, context.legacy) {
            refused.push(candidate.fingerprint(), why);
            others.push(candidate);
            continue;
        }
        match chain.path(&candidate.certificate, &mut budget)? {
            Ok(_) if candidate.standing == Standing::Claiming => candidate.standing = Standing::Vouched,
            Ok(_) => {}
            // Whoever vouches for it cannot have meant that the key is still its owner's alone.
            Err(refusal) if is_revoked(&refusal) => {
                refused.push(candidate.fingerprint(), refusal.rule().to_string());
                continue;
            }
            Err(refusal) => candidate.no_path = Some(refusal.to_string()),
        }
        good.push(candidate);
    }
    good.sort_by_key(|candidate| candidate.standing);
    let unknown = good.iter().filter(|candidate| candidate.standing == Standing::Claiming).count();
    if unknown > 1 && unknown == good.len() {
        return Err(ambiguous(address, &good));
    }
    let mut good = good.into_iter();
    let Some(chosen) = good.next() else {
        return Err(nothing(address, Use::Encrypt, &refused));
    };
    others.extend(good);
    let said = match chosen.said() {
        None => said_with(&others, at, &mut chain, &mut budget, context)?,
        said => said,
    };
    let known = Known::of(&chosen.certificate, said.as_ref());
    let Candidate { certificate, standing, no_path, .. } = chosen;
    let fingerprint = record::fingerprint(&certificate);
    let warning = (standing == Standing::Claiming).then(|| {
        let why = no_path.map_or_else(String::new, |why| format!(" ({why})"));
        format!(
            "{address}: nobody vouches for certificate {fingerprint}{why}; if it is right: postseal key trust {fingerprint} {address}"
        )
    });
    Ok(Chosen { certificate, warning, known })
}

/// What he said last whose certificates these are too, for the same address: people read with one certificate and sign with another, or have
/// a new one. It counts when whoever vouches for the one that is encrypted to could vouch for this one.
fn said_with(
    others: &[Candidate],
    at: SystemTime,
    chain: &mut Chain<'_>,
    budget: &mut Budget,
    context: Context<'_>,
) -> Result<Option<Capabilities>> {
    let mut latest: Option<Capabilities> = None;
    for other in others {
        let Some(said) = other.said() else { continue };
        if usable(&other.certificate, Use::Sign, at, context.legacy).is_err() {
            continue;
        }
        let is_his = match chain.path(&other.certificate, budget)? {
            Ok(_) => true,
            Err(refusal) => other.standing == Standing::Bound && !is_revoked(&refusal),
        };
        if is_his {
            latest = Capabilities::later(latest.as_ref(), Some(&said));
        }
    }
    Ok(latest)
}

/// The key to sign with for `address`: a certificate with a secret part that is bound to the address or names it.
pub(super) fn signer_for(address: &Address, at: SystemTime, context: Context<'_>) -> Result<SigningKey> {
    let mut refused = Refused::default();
    for candidate in candidates(context.keys, address, &mut refused)? {
        let Some(record) = candidate.records.iter().find(|record| !record.secrets.is_empty()) else { continue };
        match usable(&candidate.certificate, Use::Sign, at, context.legacy) {
            Err(why) => refused.push(candidate.fingerprint(), why),
            Ok(()) => {
                if let Some(why) = revoked(&candidate.certificate, context)? {
                    refused.push(candidate.fingerprint(), why);
                    continue;
                }
                match context.keys.secret(record, &record.fingerprint)? {
                    Some(secret) => return signing(candidate.certificate, secret, context.keys),
                    None => refused.push(candidate.fingerprint(), "its secret key is not here".to_owned()),
                }
            }
        }
    }
    Err(nothing(address, Use::Sign, &refused))
}

/// Whether [`recipient`] or [`signer_for`] finds a key now.
pub(super) fn readiness(address: &Address, purpose: Purpose, context: Context<'_>) -> Result<KeyState> {
    let at = context.clock.now();
    let usable = |certificate: &Certificate, warning, note| KeyState::Usable {
        key: record::fingerprint(certificate),
        warning,
        note,
    };
    let found = match purpose {
        Purpose::Encrypt => {
            let state = |chosen: Chosen| usable(&chosen.certificate, chosen.warning, chosen.known.words());
            recipient(address, at, context).map(state)
        }
        Purpose::Sign => signer_for(address, at, context).map(|signing| usable(&signing.certificate, None, None)),
    };
    found.or_else(KeyState::of_refusal)
}

/// The key to sign with that `handle` names.
pub(super) fn signer_named(handle: &Handle, at: SystemTime, context: Context<'_>) -> Result<SigningKey> {
    let mut records = context.keys.find(ProtocolName::Smime, &Want::Handle(handle))?;
    records.sort_by_key(|record| record.secrets.is_empty());
    records.dedup_by_key(|record| record.fingerprint.clone());
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
    let certificate = Certificate::clone(&*record::certificate(record)?);
    let refuse = |why: &str| Error::no_key(format!("certificate {}: {why}", record.fingerprint));
    usable(&certificate, Use::Sign, at, context.legacy).map_err(|why| refuse(&why.to_string()))?;
    if let Some(why) = revoked(&certificate, context)? {
        return Err(refuse(&why));
    }
    let secret = context.keys.secret(record, &record.fingerprint)?;
    signing(certificate, secret.ok_or_else(|| refuse("its secret key is not here"))?, context.keys)
}

/// What a certificate is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Encrypt,
    Sign,
}

/// Why a certificate was found for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The owner of this machine ties it to the address.
    Bound,
    /// It names the address, and a path from an anchor vouches for it.
    Vouched,
    /// It names the address.
    Claiming,
}

/// A certificate, and all records that hold a copy of it.
struct Candidate {
    records: Vec<Arc<Record>>,
    certificate: Certificate,
    standing: Standing,
    /// Why there is no path to an anchor.
    no_path: Option<String>,
}

impl Candidate {
    fn fingerprint(&self) -> Handle {
        record::fingerprint(&self.certificate)
    }

    /// What its owner said last that he reads.
    fn said(&self) -> Option<Capabilities> {
        let said = self.records.iter().filter_map(|record| record.capabilities.as_ref());
        said.max_by_key(|said| said.said).cloned()
    }
}

/// Bound ones first, then newest, then by fingerprint, so that the order is the same each time. What cannot be read is refused.
fn candidates(keys: &dyn Keys, address: &Address, refused: &mut Refused) -> Result<Vec<Candidate>> {
    let mut found: Vec<Candidate> = Vec::new();
    for record in keys.find(ProtocolName::Smime, &Want::Address(address))? {
        if let Some(other) = found.iter_mut().find(|other| other.certificate.der() == &*record.bytes) {
            other.records.push(record);
            continue;
        }
        match record::certificate(&record) {
            Err(error) => refused.unreadable(&error),
            Ok(certificate) => {
                found.push(Candidate {
                    records: vec![record],
                    certificate: Certificate::clone(&certificate),
                    standing: Standing::Claiming,
                    no_path: None,
                });
            }
        }
    }
    for candidate in &mut found {
        let named = candidate.certificate.mailboxes();
        let believed = |record: &Arc<Record>| record.authenticate(&named).iter().any(|one| one.address() == address);
        if candidate.records.iter().any(believed) {
            candidate.standing = Standing::Bound;
        }
    }
    found.sort_by_cached_key(|candidate| {
        let (from, _) = candidate.certificate.validity();
        (candidate.standing, std::cmp::Reverse(from), candidate.certificate.fingerprint())
    });
    Ok(found)
}

/// Whether the certificate alone is good for the use; otherwise why not, in words that follow its fingerprint.
fn usable(certificate: &Certificate, wanted: Use, at: SystemTime, legacy: Legacy) -> std::result::Result<(), Unfit> {
    let (from, until) = certificate.validity();
    if at < from {
        return Err(format!("is not valid before {}", rfc3339(from)).into());
    }
    if at > until {
        return Err(Unfit::Expired(format!("expired on {}", rfc3339(until))));
    }
    let algorithm = certificate.public_key().algorithm();
    let usage = match (wanted, algorithm) {
        (Use::Sign, _) => Usage::Sign,
        (Use::Encrypt, KeyAlgorithm::Rsa(_)) => Usage::Wrap,
        (Use::Encrypt, KeyAlgorithm::Ecdsa(_) | KeyAlgorithm::Ecdh(_) | KeyAlgorithm::X25519 | KeyAlgorithm::X448) => {
            Usage::Agree
        }
        (Use::Encrypt, _) => return Err(format!("is of a key that cannot encrypt: {}", algorithm.name()).into()),
    };
    if !certificate.allows(usage) {
        let what = if wanted == Use::Sign { "signing" } else { "encrypting" };
        let rule = if certificate.is_for_mail() { "key usage" } else { "extended key usage" };
        return Err(format!("is not for {what} mail ({rule})").into());
    }
    match algorithm.strength() {
        Strength::Strong => Ok(()),
        _ if legacy == Legacy::Admit => Ok(()),
        strength => Err(format!("is of a {} key: {}", strength.name(), algorithm.name()).into()),
    }
}

/// Why no reader would believe a signature by `certificate`: its issuer took it back. A path is looked for only where something is known
/// of revocation.
fn revoked(certificate: &Certificate, context: Context<'_>) -> Result<Option<String>> {
    if context.revocation == Revocation::Off || context.keys.revocations()?.is_empty() {
        return Ok(None);
    }
    let found = Chain::new(&[], &[], context)?.path(certificate, &mut Budget::new(Limits::default()))?;
    Ok(found.err().filter(is_revoked).map(|refusal| refusal.rule().to_string()))
}

fn is_revoked(refusal: &Refusal) -> bool {
    matches!(refusal.rule_of_leaf(), Some(Rule::Revoked { .. }))
}

/// The certificates of the store that may stand above `leaf`, nearest first.
fn above(leaf: &Certificate, keys: &dyn Keys) -> Result<Vec<Certificate>> {
    let mut found: Vec<Certificate> = Vec::new();
    let mut names = vec![record::subject(leaf.issuer())];
    let mut asked: BTreeSet<Handle> = BTreeSet::new();
    while let Some(name) = names.pop() {
        if found.len() >= ABOVE || !asked.insert(name.clone()) {
            continue;
        }
        for (_, certificate) in chain::stored(keys, &name)? {
            if found.iter().any(|other| other.der() == certificate.der()) {
                continue;
            }
            if certificate.subject() != certificate.issuer() {
                names.push(record::subject(certificate.issuer()));
            }
            found.push(certificate);
        }
    }
    Ok(found)
}

fn signing(certificate: Certificate, secret: Arc<dyn SecretKey>, keys: &dyn Keys) -> Result<SigningKey> {
    let mut chain = above(&certificate, keys)?;
    chain.retain(|above| above.subject() != above.issuer());
    Ok(SigningKey { certificate, secret, chain })
}

fn nothing(address: &Address, wanted: Use, refused: &Refused) -> Error {
    let what = if wanted == Use::Sign { "signing" } else { "encryption" };
    let hint = match wanted {
        Use::Encrypt => format!("import one: postseal key import FILE, then postseal key trust ID {address}"),
        Use::Sign => format!("postseal key import FILE, or postseal key generate -f smime {address}"),
    };
    refused.error(address, &format!("{what} certificate"), hint)
}

fn ambiguous(address: &Address, candidates: &[Candidate]) -> Error {
    let list: Vec<String> =
        candidates.iter().map(|candidate| record::fingerprint(&candidate.certificate).to_string()).collect();
    Error::no_key(format!("{address}: nobody vouches for any of several certificates: {}", list.join(", ")))
        .with_hint(format!("compare fingerprints with the owner, then: postseal key trust ID {address}"))
}

/// Certificates above one that are looked at. Source: real chains have up to 4, and a bridge between authorities twice that.
const ABOVE: usize = 16;
