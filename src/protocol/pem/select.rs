//! Chooses the key for an address, to sign with or to encrypt to, by the rule of [`crate::protocol::select`].

use std::{sync::Arc, time::SystemTime};

use super::{path, record};
use crate::{
    base::{Budget, Error, FixedClock, KeyForm, Limits, Result},
    crypto::{Legacy, SecretKey},
    keys::{Forms, Handle, KeyState, Keys, ProtocolName, Purpose, Query, Record, Source, Want},
    mail::Address,
    pki::{Certificate, Usage},
    protocol::{
        Context, Role,
        resolved::{Keyring, Usable},
        select::{self, Authority, Candidate as _, Copies, Names, Served, Wanted, Words},
        unfit::{Refusal, Unfit},
        x509::{self, placeholder},
    },
};

/// The keys of one message.
pub(super) type MessageKeys = Keyring<Chosen, SigningKey>;

/// A key to encrypt to.
#[derive(Clone)]
pub(super) struct Chosen {
    /// The key.
    pub(super) candidate: record::Candidate,
    /// What ties it to the address.
    pub(super) tie: Source,
    /// A warning about the choice.
    pub(super) warning: Option<String>,
}

/// A key to sign with.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// The public key, with its certificate or record.
    pub(super) candidate: record::Candidate,
    /// The name to write if there is no certificate.
    pub(super) name: Option<String>,
    /// The secret key.
    pub(super) secret: Arc<dyn SecretKey>,
    /// The certificates above it that a recipient may not have, nearest first, without the root.
    pub(super) issuers: Vec<Certificate>,
}

impl Usable for Chosen {
    fn state(&self) -> KeyState {
        let (key, warning) = (self.candidate.handle().clone(), self.warning.clone());
        KeyState::Usable { key, source: self.tie, warning, note: None, quantum_safe: false, forms: Forms::ALL }
    }
}

impl Usable for SigningKey {
    fn state(&self) -> KeyState {
        let key = self.candidate.handle().clone();
        KeyState::Usable {
            key,
            source: Source::Owner,
            warning: None,
            note: None,
            quantum_safe: false,
            forms: Forms::ALL,
        }
    }
}

/// The key to encrypt to for each of `all`, with the errors of [`select::choose`].
pub(super) fn recipients(all: &[Names], at: SystemTime, context: Context<'_>) -> Vec<Result<Result<Chosen, Refusal>>> {
    all.iter().map(|names| recipient(names, at, context)).collect()
}

fn recipient(names: &Names, at: SystemTime, context: Context<'_>) -> Result<Result<Chosen, Refusal>> {
    let mut paths = Paths::new(context);
    let find = |address: &Address| candidates(context.keys, Role::Recipient, address);
    let (address, candidates) = select::of_mailbox(names, Role::Recipient, &mut paths, find)?;
    let wanted = Wanted { address, role: Role::Recipient, words: WORDS };
    let serve = |candidate: &Candidate| Ok(candidate.usable(Usage::Wrap, at, context.legacy).cloned().into());
    let chosen = select::choose(wanted, &candidates, &mut paths, serve)?;
    Ok(chosen.map(|select::Chosen { key, tie, warning, .. }| Chosen { candidate: key, tie, warning }))
}

/// The key to sign with for `address`.
///
/// # Errors
///
/// As [`select::choose`].
pub(super) fn signer_for(names: &Names, at: SystemTime, context: Context<'_>) -> Result<Result<SigningKey, Refusal>> {
    let mut paths = Paths::new(context);
    let find = |address: &Address| candidates(context.keys, Role::Signer, address);
    let (address, candidates) = select::of_mailbox(names, Role::Signer, &mut paths, find)?;
    let wanted = Wanted { address, role: Role::Signer, words: WORDS };
    let serve = |candidate: &Candidate| candidate.signing(Some(address), at, context);
    Ok(select::choose(wanted, &candidates, &mut paths, serve)?.map(|chosen| chosen.key))
}

/// The key to sign with that `handle` names.
pub(super) fn signer_named(
    handle: &Handle,
    at: SystemTime,
    context: Context<'_>,
) -> Result<Result<SigningKey, Refusal>> {
    let candidate =
        match Copies::named(handle, records(context.keys, &Query::new(Purpose::Sign, Want::Handle(handle)))?) {
            Ok(copies) => Candidate::of(copies),
            Err(refusal) => return Ok(Err(refusal)),
        };
    let refuse = |why: &str| Refusal::missing(format!("key {}: {why}", candidate.copies.fingerprint()));
    if let Authority::Revoked(why) = candidate.authority(&mut Paths::new(context))? {
        return Ok(Err(refuse(&why)));
    }
    let name = candidate.copies.records().iter().find_map(|record| record.claimed().first());
    Ok(candidate.signing(name, at, context)?.only(refuse))
}

/// A certificate or a bare key that was found for an address.
struct Candidate {
    copies: Copies,
    /// The key, or why PEM cannot use it.
    key: Result<record::Candidate>,
}

impl Candidate {
    fn of(copies: Copies) -> Candidate {
        // All copies have the same fingerprint, hence the same octets.
        let first = copies.records().first();
        let first = first.ok_or_else(|| Error::no_key(format!("key {}: not found", copies.fingerprint())));
        Candidate { key: first.and_then(record::Candidate::of_record), copies }
    }

    fn certificate(&self) -> Option<&Certificate> {
        self.key.as_ref().ok()?.certificate.as_ref()
    }

    /// The key, if it is usable by itself for `usage`; otherwise the reason, worded to follow its fingerprint.
    fn usable(&self, usage: Usage, at: SystemTime, legacy: Legacy) -> Result<&record::Candidate, Unfit> {
        let key = self.key.as_ref().map_err(|error| format!("cannot be used in PEM: {error}"))?;
        match &key.certificate {
            Some(certificate) => x509::fit(certificate, usage, at, legacy)?,
            None => x509::strong(&key.key, legacy)?,
        }
        Ok(key)
    }

    /// The key to sign with; otherwise the reason, worded to follow its fingerprint.
    fn signing(&self, name: Option<&Address>, at: SystemTime, context: Context<'_>) -> Result<Served<SigningKey>> {
        let candidate = match self.usable(Usage::Sign, at, context.legacy) {
            Ok(candidate) => candidate.clone(),
            Err(why) => return Ok(Served::Unfit(why)),
        };
        for record in self.copies.with_secrets() {
            let Some(handle) = record.secrets().first() else { continue };
            let secret = match select::secret(context.keys, record, handle)? {
                Ok(Some(secret)) => secret,
                Ok(None) => continue,
                Err(refusal) => return Ok(Served::Locked(refusal)),
            };
            let mut issuers = match &candidate.certificate {
                Some(certificate) => path::issuers(certificate, &[], context, &Budget::new(Limits::default()))?,
                None => Vec::new(),
            };
            issuers.retain(|issuer| !issuer.is_self_issued());
            return Ok(Served::Key(SigningKey { candidate, name: name.map(Address::to_string), secret, issuers }));
        }
        Ok(Served::Unfit("its secret key is missing".to_owned().into()))
    }
}

impl placeholder::Found for Candidate {
    fn certificate(&self) -> Option<&Certificate> {
        Candidate::certificate(self)
    }

    fn stored(&mut self) -> &mut Copies {
        &mut self.copies
    }
}

/// The state for searching certificate paths.
struct Paths<'a> {
    context: Context<'a>,
    budget: Budget,
}

impl<'a> Paths<'a> {
    fn new(context: Context<'a>) -> Paths<'a> {
        Paths { context, budget: Budget::new(Limits::default()) }
    }
}

impl select::Candidate<Paths<'_>> for Candidate {
    fn copies(&self) -> &Copies {
        &self.copies
    }

    fn made(&self) -> Option<SystemTime> {
        self.certificate().map(|certificate| certificate.validity().0)
    }

    fn is_placeholder(&self) -> bool {
        placeholder::is_placeholder(self.certificate(), &self.copies)
    }

    fn authority(&self, paths: &mut Paths<'_>) -> Result<Authority> {
        let Some(certificate) = self.certificate() else { return Ok(Authority::Silent(None)) };
        x509::authority(certificate, paths.context.clock.now(), |at| {
            path::mailboxes(certificate, &[], Context { clock: &FixedClock(at), ..paths.context }, &mut paths.budget)
        })
    }
}

fn candidates(keys: &dyn Keys, role: Role, address: &Address) -> Result<Vec<Candidate>> {
    let query = Query::new(role.purpose(), Want::Address(address));
    let found = Copies::grouped(records(keys, &query)?);
    Ok(placeholder::replaced(found.into_iter().map(Candidate::of).collect(), address))
}

/// Bare keys, and the certificates that S/MIME uses too.
fn records(keys: &dyn Keys, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
    let mut records = keys.find(ProtocolName::Pem, query)?;
    records.extend(keys.find(ProtocolName::Smime, query)?);
    Ok(records)
}

const WORDS: Words = Words { noun: "key", kind: " of rsa", signing: KeyForm::Rsa };
