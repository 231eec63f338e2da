//! Which key is meant by an address, to sign with and to encrypt to.

use std::{sync::Arc, time::SystemTime};

use super::{
    path,
    record::{Candidate, Named},
};
use crate::{
    base::{Budget, Error, Limits, Result},
    crypto::{Legacy, SecretKey, Strength},
    keys::{Handle, KeyState, ProtocolName, Want},
    mail::Address,
    pki::{Certificate, Usage},
    protocol::{
        Context, Purpose,
        unfit::{Refused, Unfit},
    },
};

/// A key to encrypt to.
pub(super) struct Chosen {
    /// It.
    pub(super) candidate: Candidate,
    /// What the person who asked should know of the choice.
    pub(super) warning: Option<String>,
}

/// A key to sign with.
pub(super) struct SigningKey {
    /// The public half, and whose it says it is.
    pub(super) candidate: Candidate,
    /// What to write when there is no certificate to say it.
    pub(super) name: Option<String>,
    /// The private half.
    pub(super) secret: Arc<dyn SecretKey>,
    /// The certificates above it that a reader may not have, nearest first, without the root.
    pub(super) issuers: Vec<Certificate>,
}

/// The key to encrypt to for `address`: one that this machine's owner ties to it, else one with a valid path to an anchor. One that nobody
/// vouches for serves only if it is the single one. The error lists every candidate and what is wrong with it.
pub(super) fn recipient(address: &Address, at: SystemTime, context: Context<'_>) -> Result<Chosen> {
    let mut budget = Budget::new(Limits::default());
    let mut refused = Refused::default();
    let mut good: Vec<(Standing, Candidate)> = Vec::new();
    for candidate in candidates(address, context)? {
        if let Err(why) = usable(&candidate, Usage::Wrap, at, context.legacy) {
            refused.push(candidate.fingerprint(), why);
            continue;
        }
        good.push((standing(&candidate, address, context, &mut budget)?, candidate));
    }
    good.sort_by_key(|(standing, _)| *standing);
    if let [(Standing::Claiming, _), (_, _), ..] = good.as_slice() {
        let list: Vec<String> = good.iter().map(|(_, candidate)| candidate.fingerprint()).collect();
        return Err(Error::no_key(format!("{address}: nobody vouches for any of several keys: {}", list.join(", ")))
            .with_hint(format!("compare fingerprints with the owner, then: postseal key trust ID {address}")));
    }
    let Some((standing, candidate)) = good.into_iter().next() else {
        return Err(refused.error(address, "encryption key of rsa", HINT.to_owned()));
    };
    let fingerprint = candidate.fingerprint();
    let warning = (standing == Standing::Claiming).then(|| {
        format!("{address}: nobody vouches for key {fingerprint}; if it is right: postseal key trust {fingerprint} {address}")
    });
    Ok(Chosen { candidate, warning })
}

/// The key to sign with for `address`.
pub(super) fn signer_for(address: &Address, at: SystemTime, context: Context<'_>) -> Result<SigningKey> {
    let mut refused = Refused::default();
    for candidate in candidates(address, context)? {
        match usable(&candidate, Usage::Sign, at, context.legacy) {
            Err(why) => refused.push(candidate.fingerprint(), why),
            Ok(()) => match signing(candidate, Some(address), context)? {
                Some(found) => return Ok(found),
                None => continue,
            },
        }
    }
    Err(refused.error(address, "signing key of rsa", HINT.to_owned()))
}

/// Whether [`recipient`] or [`signer_for`] finds a key now.
pub(super) fn readiness(address: &Address, purpose: Purpose, context: Context<'_>) -> Result<KeyState> {
    let at = context.clock.now();
    let found = match purpose {
        Purpose::Encrypt => recipient(address, at, context).map(|chosen| (chosen.candidate, chosen.warning)),
        Purpose::Sign => signer_for(address, at, context).map(|signing| (signing.candidate, None)),
    };
    let usable = |(candidate, warning): (Candidate, _)| {
        Ok(KeyState::Usable { key: Handle::parse(&candidate.fingerprint())?, warning, note: None })
    };
    found.and_then(usable).or_else(KeyState::of_refusal)
}

/// The key to sign with that `handle` names.
pub(super) fn signer_named(handle: &Handle, at: SystemTime, context: Context<'_>) -> Result<SigningKey> {
    let mut records = context.keys.find(ProtocolName::Pem, &Want::Handle(handle))?;
    records.extend(context.keys.find(ProtocolName::Smime, &Want::Handle(handle))?);
    records.retain(|record| !record.secrets.is_empty());
    let record = match records.as_slice() {
        [] => {
            return Err(Error::no_key(format!("key {handle}: no secret key here"))
                .with_hint("`postseal key list` shows what is here"));
        }
        [record] => record,
        several => {
            let list: Vec<&str> = several.iter().map(|record| record.fingerprint.as_str()).collect();
            return Err(Error::no_key(format!("key {handle}: names several: {}", list.join(", ")))
                .with_hint("give the whole fingerprint"));
        }
    };
    let refuse = |why: &str| Error::no_key(format!("key {}: {why}", record.fingerprint));
    let candidate = Candidate::of_record(record).ok_or_else(|| refuse("is not of rsa, which PEM knows alone"))?;
    usable(&candidate, Usage::Sign, at, context.legacy).map_err(|why| refuse(&why.to_string()))?;
    let name = record.claimed.first();
    signing(candidate, name, context)?.ok_or_else(|| refuse("its secret half is not here"))
}

/// Why a key was found for an address, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The owner of this machine ties it to the address.
    Bound,
    /// It names the address, and a path from an anchor vouches for it.
    Vouched,
    /// It names the address.
    Claiming,
}

fn standing(candidate: &Candidate, address: &Address, context: Context<'_>, budget: &mut Budget) -> Result<Standing> {
    let mailboxes = candidate.certificate.as_ref().map(Certificate::mailboxes).unwrap_or_default();
    let believed = candidate.record.iter().flat_map(|record| record.authenticate(&mailboxes));
    if believed.into_iter().any(|one| one.address() == address) {
        return Ok(Standing::Bound);
    }
    let Some(certificate) = &candidate.certificate else { return Ok(Standing::Claiming) };
    Ok(match path::mailboxes(certificate, &[], context, budget)? {
        Ok(mailboxes) if mailboxes.contains(address) => Standing::Vouched,
        _ => Standing::Claiming,
    })
}

fn candidates(address: &Address, context: Context<'_>) -> Result<Vec<Candidate>> {
    let name = address.to_string();
    let mut found = Named { name: Some(&name), ..Named::default() }.stored(context.keys)?;
    found.sort_by_key(Candidate::fingerprint);
    found.dedup_by_key(|candidate| candidate.fingerprint());
    Ok(found)
}

/// Whether a key is good for a use now; if not, why not.
fn usable(candidate: &Candidate, usage: Usage, at: SystemTime, legacy: Legacy) -> std::result::Result<(), Unfit> {
    let algorithm = candidate.key.algorithm();
    if legacy == Legacy::Refuse && algorithm.strength() < Strength::Strong {
        return Err(format!("is {} ({})", algorithm.name(), algorithm.strength().name()).into());
    }
    let Some(certificate) = &candidate.certificate else { return Ok(()) };
    let (from, to) = certificate.validity();
    if at < from {
        return Err("is not valid yet".to_owned().into());
    }
    if at > to {
        return Err(Unfit::Expired("has expired".to_owned()));
    }
    if certificate.allows(usage) { Ok(()) } else { Err("is not meant for that".to_owned().into()) }
}

fn signing(candidate: Candidate, address: Option<&Address>, context: Context<'_>) -> Result<Option<SigningKey>> {
    let Some(record) = candidate.record.clone() else { return Ok(None) };
    let Some(handle) = record.secrets.first() else { return Ok(None) };
    let Some(secret) = context.keys.secret(&record, handle)? else { return Ok(None) };
    let mut issuers = match &candidate.certificate {
        Some(certificate) => path::issuers(certificate, &[], context, &Budget::new(Limits::default()))?,
        None => Vec::new(),
    };
    issuers.retain(|issuer| !issuer.is_self_issued());
    Ok(Some(SigningKey { candidate, name: address.map(Address::to_string), secret, issuers }))
}

const HINT: &str = "postseal key import FILE";
