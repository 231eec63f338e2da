//! Which key is meant by an address, for a role: one rule for all protocols.
//!
//! What ties a candidate to the address ([`Source`]) is the owner's word, an authority that the owner trusts, a key source that found it for the
//! address, or only the candidate's own claim. The best tie found decides, and candidates with a lesser tie are not looked at:
//!
//! | Best tie found | Taken | Refused |
//! |---|---|---|
//! | owner, authority | the newest that can be used; to encrypt, one that resists quantum computers first | none of them can be used |
//! | less, to encrypt | the only one that can be used, with a warning | none or several can be used |
//! | less, to sign | the newest that can be used | none of them can be used |
//!
//! A candidate that cannot be used (revoked, expired, not valid yet, weak, made for something else) keeps its tie. So an unusable trusted key is a
//! refusal, and never a reason to take a key that is trusted less: otherwise an attacker who gets a certificate into the key store would read the
//! mail from the day on which the trusted key expires. This holds between owner and authority too: an owner who named one key for an address
//! has decided against the others until the owner names another.
//!
//! To sign, only keys count whose secret part is here. That is why several claims do not matter then: each of them is the owner's own.

mod copies;

use std::{cmp::Reverse, sync::Arc, time::SystemTime};

pub(super) use copies::Copies;

use super::{
    Role,
    unfit::{Refusal, Refused, Unfit},
};
use crate::{
    base::{Hint, KeyForm, Kind, Result},
    crypto::SecretKey,
    keys::{Handle, Keys, Record, Source},
    mail::Address,
};

/// One certificate or bare key that was found for an address. `J` is what a protocol needs to look for paths; `()` if it has no authorities.
pub(super) trait Candidate<J> {
    /// Its copies in the key store.
    fn copies(&self) -> &Copies;

    /// When it was made, or became valid. Of two that are equally good the newer one is taken; `None` is older than any time.
    fn made(&self) -> Option<SystemTime>;

    /// Whether it only stands in for a certificate that is still to be issued: one that can be used and is as trusted is taken before it.
    fn is_placeholder(&self) -> bool {
        false
    }

    /// Whether what is encrypted to it stays confidential against quantum computers: one that can be used and is as trusted is taken before others.
    fn is_quantum_safe(&self) -> bool {
        false
    }

    /// Whether it is considered for signing: its secret part is here, or it is to be said where that is.
    fn may_sign(&self) -> bool {
        self.copies().has_secrets()
    }

    /// What authorities say of it. An error means that the keys could not be asked, or that the Budget is spent.
    fn authority(&self, judge: &mut J) -> Result<Authority>;
}

/// What the authorities that the owner trusts say of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// They tie it to these mailboxes. A candidate that is out of its time is judged at the nearest time of its validity.
    Ties(Vec<Address>),
    /// There is a path to one, but whether it is revoked has to be known and is not; the reason follows the candidate's name.
    Unknown(String),
    /// They took it back; the reason follows the candidate's name.
    Revoked(String),
    /// There is no path to one; the reason, if there is more to say.
    Silent(Option<String>),
}

/// An address, and the other addresses of the same mailbox, the nearest first.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The address that is asked for.
    pub(super) address: Address,
    /// The others.
    pub(super) others: Vec<Address>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Whose key.
    pub(super) address: &'a Address,
    /// For what.
    pub(super) role: Role,
    /// The protocol's words in messages.
    pub(super) words: Words,
}

/// How messages of one protocol speak of what is selected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// `key`, `certificate`.
    pub(super) noun: &'static str,
    /// What is said behind the noun where it has to be exact: ` of rsa`, or nothing.
    pub(super) kind: &'static str,
    /// The command that makes one; the address follows.
    pub(super) signing: KeyForm,
}

/// The candidate that was taken.
#[derive(Debug)]
pub(super) struct Chosen<'c, C, K> {
    /// It.
    pub(super) candidate: &'c C,
    /// What `serve` made of it.
    pub(super) key: K,
    /// What ties it to the address.
    pub(super) tie: Source,
    /// What the user should know: it is not trusted.
    pub(super) warning: Option<String>,
}

/// What becomes of a candidate that is tried.
#[derive(Debug)]
pub(super) enum Served<K> {
    /// It is the one.
    Key(K),
    /// Its secret part is here and cannot be unlocked. No other key is taken in its place.
    Locked(Refusal),
    /// It cannot be used, in words that follow its name.
    Unfit(Unfit),
}

impl<K> From<std::result::Result<K, Unfit>> for Served<K> {
    fn from(served: std::result::Result<K, Unfit>) -> Self {
        served.map_or_else(Served::Unfit, Served::Key)
    }
}

impl<K> Served<K> {
    /// The key, where there is no other to take; `refuse` puts the name before the words.
    pub(super) fn only(self, refuse: impl FnOnce(&str) -> Refusal) -> std::result::Result<K, Refusal> {
        match self {
            Served::Key(key) => Ok(key),
            Served::Locked(refusal) => Err(refusal),
            Served::Unfit(why) => Err(refuse(&why.to_string())),
        }
    }
}

/// The secret key `handle` of `record`; `None` when it is not here. The inner error says that it cannot be unlocked.
///
/// # Errors
///
/// The keys could not be asked.
pub(super) fn secret(
    keys: &dyn Keys,
    record: &Record,
    handle: &Handle,
) -> Result<std::result::Result<Option<Arc<dyn SecretKey>>, Refusal>> {
    match keys.secret(record, handle) {
        Ok(secret) => Ok(Ok(secret)),
        // As `Keys::secret` says of a key that is locked.
        Err(error) if error.kind() == Kind::NoKey => {
            let refusal = Refusal::missing(error.to_string());
            Ok(Err(match error.hint().cloned() {
                Some(hint) => refusal.with_hint(hint),
                None => refusal,
            }))
        }
        Err(error) => Err(error),
    }
}

/// Takes one of `candidates`, or refuses. `serve` makes the key of a candidate, or says why it cannot be used in words that follow its name; it is
/// asked in the order of preference, and not at all about a candidate that is revoked or has a lesser tie.
///
/// The refusal names each candidate with the best tie and what is wrong with it.
///
/// # Errors
///
/// Those of `serve` and of the key store.
pub(super) fn choose<'c, J, C: Candidate<J>, K>(
    wanted: Wanted<'_>,
    candidates: &'c [C],
    judge: &mut J,
    mut serve: impl FnMut(&'c C) -> Result<Served<K>>,
) -> Result<std::result::Result<Chosen<'c, C, K>, Refusal>> {
    let mut refused = Refused::default();
    let mut claiming: Vec<Chosen<'c, C, K>> = Vec::new();
    for Ranked { candidate, tie, obstacle, doubt } in ranked(wanted.address, wanted.role, candidates, judge)? {
        let fingerprint = candidate.copies().fingerprint();
        let served = match obstacle {
            Some(why) => Served::Unfit(Unfit::Otherwise(why)),
            None => serve(candidate)?,
        };
        match (served, tie, wanted.role) {
            (Served::Locked(refusal), _, _) => return Ok(Err(refusal)),
            (Served::Unfit(why), _, _) => refused.push(fingerprint, why),
            (Served::Key(key), tie, Role::Recipient) if !tie.is_trusted() => {
                let warning = Some(wanted.warning(fingerprint, tie, doubt));
                claiming.push(Chosen { candidate, key, tie, warning });
            }
            (Served::Key(key), tie, _) => return Ok(Ok(Chosen { candidate, key, tie, warning: None })),
        }
    }
    Ok(match (claiming.pop(), claiming.as_slice()) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let all = others.iter().chain([&last]).map(|one| one.candidate.copies().fingerprint());
            Err(wanted.ambiguous(all))
        }
        (None, _) => Err(wanted.nothing(&refused)),
    })
}

/// The candidates, and the one among the addresses of the mailbox that they are for. `find` looks up those of one address.
///
/// The rule is that of [`choose`]: the best tie decides, and of equal ties that of the nearer address. So a trusted certificate for the address itself,
/// usable or not, is the answer; one that only claims the address does not take the place of a trusted one for the mailbox.
///
/// # Errors
///
/// Those of `find` and of the key store.
pub(super) fn of_mailbox<'n, J, C: Candidate<J>>(
    names: &'n Names,
    role: Role,
    judge: &mut J,
    find: impl Fn(&Address) -> Result<Vec<C>>,
) -> Result<(&'n Address, Vec<C>)> {
    let mut best = (&names.address, find(&names.address)?);
    if names.others.is_empty() {
        return Ok(best);
    }
    let mut tie = best_tie(best.0, role, &best.1, judge)?;
    for address in &names.others {
        if tie.is_some_and(Source::is_trusted) {
            break;
        }
        let candidates = find(address)?;
        let found = best_tie(address, role, &candidates, judge)?;
        if found > tie {
            (best, tie) = ((address, candidates), found);
        }
    }
    Ok(best)
}

fn best_tie<J, C: Candidate<J>>(
    address: &Address,
    role: Role,
    candidates: &[C],
    judge: &mut J,
) -> Result<Option<Source>> {
    Ok(ranked(address, role, candidates, judge)?.first().map(|one| one.tie))
}

/// A candidate with the best tie.
struct Ranked<'c, C> {
    candidate: &'c C,
    tie: Source,
    /// Why it cannot be used, as far as authorities know.
    obstacle: Option<String>,
    /// Why there is no path to an authority.
    doubt: Option<String>,
}

/// The candidates with the best tie: placeholders last, to encrypt those that resist quantum computers first, newest first, then by fingerprint, so that the order is always the same.
fn ranked<'c, J, C: Candidate<J>>(
    address: &Address,
    role: Role,
    candidates: &'c [C],
    judge: &mut J,
) -> Result<Vec<Ranked<'c, C>>> {
    let is_bound = |candidate: &C| candidate.copies().is_bound_to(address);
    let mut found: Vec<&C> = candidates.iter().collect();
    if role == Role::Signer {
        found.retain(|candidate| candidate.may_sign());
    }
    // Paths are not looked for on behalf of what is not considered.
    let any_bound = found.iter().any(|candidate| is_bound(candidate));
    found.retain(|candidate| !any_bound || is_bound(candidate));

    let mut ranked = Vec::with_capacity(found.len());
    for candidate in found {
        let (authority, obstacle, doubt) = match candidate.authority(judge)? {
            Authority::Revoked(why) => (Source::Authority, Some(why), None),
            Authority::Unknown(why) => (Source::Authority, (!any_bound).then_some(why), None),
            Authority::Ties(mailboxes) if mailboxes.contains(address) => (Source::Authority, None, None),
            Authority::Ties(_) => (Source::Claim, None, None),
            Authority::Silent(why) => (Source::Claim, None, why),
        };
        let tie = authority.max(candidate.copies().source(address));
        ranked.push(Ranked { candidate, tie, obstacle, doubt });
    }
    let best = ranked.iter().map(|one| one.tie).max();
    ranked.retain(|one| Some(one.tie) == best);
    ranked.sort_by_cached_key(|one| {
        let Ranked { candidate, .. } = one;
        let is_behind = role == Role::Recipient && !candidate.is_quantum_safe();
        (candidate.is_placeholder(), is_behind, Reverse(candidate.made()), candidate.copies().fingerprint().clone())
    });
    Ok(ranked)
}

impl Wanted<'_> {
    fn warning(&self, fingerprint: &Handle, tie: Source, doubt: Option<String>) -> String {
        let Wanted { address, words: Words { noun, .. }, .. } = self;
        let found = (tie != Source::Claim).then(|| format!("source: {tie}"));
        let doubt = found.or(doubt).map_or_else(String::new, |why| format!(" ({why})"));
        format!("{address}: {noun} {fingerprint} is not trusted{doubt}")
    }

    fn ambiguous<'h>(&self, fingerprints: impl Iterator<Item = &'h Handle>) -> Refusal {
        let Wanted { address, words: Words { noun, .. }, .. } = self;
        let list: Vec<&str> = fingerprints.map(Handle::as_str).collect();
        Refusal::missing(format!("{address}: none of several {noun}s is trusted: {}", list.join(", ")))
            .with_hint(Hint::TrustKey(address.to_string()))
    }

    fn nothing(&self, refused: &Refused) -> Refusal {
        let Wanted { address, words: Words { noun, kind, signing }, .. } = self;
        let (use_, hint) = match self.role {
            Role::Recipient => ("encryption", Hint::FindCertificate(address.to_string())),
            Role::Signer => {
                let has_others = !refused.is_empty();
                ("signing", Hint::FindSigningKey { address: address.to_string(), kind: *signing, has_others })
            }
        };
        refused.refusal(address, &format!("{use_} {noun}{kind}"), hint)
    }
}

#[cfg(test)]
mod tests;
