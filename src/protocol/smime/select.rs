//! Chooses the certificate for an address, a use and a time, by the rule of [`crate::protocol::select`].

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use super::{
    capabilities::Known,
    chain::{self, Chain},
    record,
};
use crate::{
    base::{Budget, Error, KeyForm, Limits, Result},
    crypto::{Conveys, Legacy, SecretKey, Signs},
    keys::{Capabilities, Forms, Handle, KeyState, Keys, ProtocolName, Purpose, Query, Source, Want},
    mail::Address,
    pki::{Certificate, Revocation, Statements, Usage},
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

/// A certificate to encrypt to.
#[derive(Clone)]
pub(super) struct Chosen {
    /// The certificate.
    pub(super) certificate: Certificate,
    /// What ties it to the address.
    pub(super) tie: Source,
    /// A warning about the choice.
    pub(super) warning: Option<String>,
    /// The ciphers that its owner supports.
    pub(super) known: Known,
}

/// A key to sign with.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// The public part.
    pub(super) certificate: Certificate,
    /// The private part.
    pub(super) secret: Arc<dyn SecretKey>,
    /// The certificates above it that a recipient may not have, without the root (RFC 8551, section 2.3).
    pub(super) chain: Vec<Certificate>,
}

impl Usable for Chosen {
    fn state(&self) -> KeyState {
        let (warning, note) = (self.warning.clone(), self.known.words());
        let quantum_safe = self.certificate.public_key().algorithm().is_quantum_safe();
        let (key, forms) = (record::fingerprint(&self.certificate), Forms::ALL);
        KeyState::Usable { key, source: self.tie, warning, note, quantum_safe, forms }
    }
}

impl Usable for SigningKey {
    fn state(&self) -> KeyState {
        let key = record::fingerprint(&self.certificate);
        let quantum_safe = self.certificate.public_key().algorithm().is_quantum_safe();
        KeyState::Usable { key, source: Source::Owner, warning: None, note: None, quantum_safe, forms: Forms::ALL }
    }
}

/// The certificate to encrypt to for each of `all`, with the errors of [`select::choose`].
pub(super) fn recipients(all: &[Names], at: SystemTime, context: Context<'_>) -> Vec<Result<Result<Chosen, Refusal>>> {
    let found = || {
        let revocations = context.keys.revocations()?;
        let revocations: Vec<&[u8]> =
            revocations.iter().map(AsRef::as_ref).filter(|_| context.revocation != Revocation::Off).collect();
        let statements = Statements::read(&revocations, &[]);
        let mut paths = Paths::new(context)?;
        paths.chain = paths.chain.reading(&statements);
        Ok(all.iter().map(|names| recipient(names, at, paths.anew())).collect())
    };
    found().unwrap_or_else(|error: Error| all.iter().map(|_| Err(error.clone())).collect())
}

fn recipient(names: &Names, at: SystemTime, paths: &mut Paths<'_>) -> Result<Result<Chosen, Refusal>> {
    let context = paths.context;
    let find = |address: &Address| candidates(context.keys, Role::Recipient, address);
    let (address, candidates) = select::of_mailbox(names, Role::Recipient, paths, find)?;
    let wanted = Wanted { address, role: Role::Recipient, words: WORDS };
    let serve = |candidate: &Candidate| Ok(candidate.usable(Role::Recipient, at, context.legacy).cloned().into());
    let select::Chosen { candidate, key, tie, warning } = match select::choose(wanted, &candidates, paths, serve)? {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let said = match candidate.said() {
        None => {
            let others = candidates.iter().filter(|other| !std::ptr::eq(*other, candidate));
            said_with(others, address, at, paths)?
        }
        said => said,
    };
    Ok(Ok(Chosen { known: Known::of(&key, said.as_ref()), certificate: key, tie, warning }))
}

/// The latest announcement in `others`, certificates for the same address: a person may sign with another certificate
/// than they decrypt with, or have a new one. It counts only if the owner or an authority ties that certificate to the
/// address too.
fn said_with<'c>(
    others: impl Iterator<Item = &'c Candidate>,
    address: &Address,
    at: SystemTime,
    paths: &mut Paths<'_>,
) -> Result<Option<Capabilities>> {
    let mut latest: Option<Capabilities> = None;
    for other in others {
        let Some(said) = other.said() else { continue };
        if other.usable(Role::Signer, at, paths.context.legacy).is_err() {
            continue;
        }
        let is_tied = match other.authority(paths)? {
            Authority::Ties(mailboxes) => mailboxes.contains(address) || other.copies.is_bound_to(address),
            Authority::Silent(_) | Authority::Unknown(_) => other.copies.is_bound_to(address),
            Authority::Revoked(_) => false,
        };
        if is_tied {
            latest = Capabilities::later(latest.as_ref(), Some(&said));
        }
    }
    Ok(latest)
}

/// The key to sign with for `address`.
///
/// # Errors
///
/// As [`select::choose`].
pub(super) fn signer_for(names: &Names, at: SystemTime, context: Context<'_>) -> Result<Result<SigningKey, Refusal>> {
    let mut paths = Paths::new(context)?;
    let find = |address: &Address| candidates(context.keys, Role::Signer, address);
    let (address, candidates) = select::of_mailbox(names, Role::Signer, &mut paths, find)?;
    let wanted = Wanted { address, role: Role::Signer, words: WORDS };
    let serve = |candidate: &Candidate| candidate.signing(at, context);
    Ok(select::choose(wanted, &candidates, &mut paths, serve)?.map(|chosen| chosen.key))
}

/// The key to sign with that `handle` names.
pub(super) fn signer_named(
    handle: &Handle,
    at: SystemTime,
    context: Context<'_>,
) -> Result<Result<SigningKey, Refusal>> {
    let candidate = match Copies::named(
        handle,
        context.keys.find(ProtocolName::Smime, &Query::new(Purpose::Sign, Want::Handle(handle)))?,
    ) {
        Ok(copies) => Candidate::of(copies),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let refuse = |why: &str| Refusal::missing(format!("certificate {}: {why}", candidate.copies.fingerprint()));
    if let Authority::Revoked(why) = candidate.authority(&mut Paths::new(context)?)? {
        return Ok(Err(refuse(&why)));
    }
    Ok(candidate.signing(at, context)?.only(refuse))
}

/// A certificate that was found for an address.
struct Candidate {
    copies: Copies,
    /// The certificate, or why it cannot be read.
    certificate: Result<Certificate>,
}

impl Candidate {
    fn of(copies: Copies) -> Candidate {
        // All copies have the same fingerprint, hence the same octets.
        let first =
            copies.records().first().ok_or_else(|| Error::no_key(format!("key {}: not found", copies.fingerprint())));
        let certificate = first.and_then(|record| Ok(Certificate::clone(&*record.bytes().read(Certificate::parse)?)));
        Candidate { copies, certificate }
    }

    /// The owner's latest announcement of supported ciphers.
    fn said(&self) -> Option<Capabilities> {
        let said = self.copies.records().iter().filter_map(|record| record.capabilities());
        said.max_by_key(|said| said.said).cloned()
    }

    /// The certificate, if it is usable by itself for `role`; otherwise the reason, worded to follow its
    /// fingerprint.
    fn usable(&self, role: Role, at: SystemTime, legacy: Legacy) -> Result<&Certificate, Unfit> {
        let certificate = self.certificate.as_ref().map_err(|error| format!("cannot be read: {error}"))?;
        let algorithm = certificate.public_key().algorithm();
        let usage = match (role, algorithm.conveys()) {
            (Role::Signer, _) if algorithm.signs() == Signs::Nothing => {
                return Err(format!("has a key that cannot sign: {}", algorithm.name()).into());
            }
            (Role::Signer, _) => Usage::Sign,
            (Role::Recipient, Conveys::Wraps | Conveys::Encapsulates) => Usage::Wrap,
            (Role::Recipient, Conveys::Agrees) => Usage::Agree,
            (Role::Recipient, _) => {
                return Err(format!("has a key that cannot encrypt: {}", algorithm.name()).into());
            }
        };
        x509::fit(certificate, usage, at, legacy)?;
        Ok(certificate)
    }

    /// The key to sign with; otherwise the reason, worded to follow its fingerprint.
    fn signing(&self, at: SystemTime, context: Context<'_>) -> Result<Served<SigningKey>> {
        let certificate = match self.usable(Role::Signer, at, context.legacy) {
            Ok(certificate) => certificate.clone(),
            Err(why) => return Ok(Served::Unfit(why)),
        };
        for record in self.copies.with_secrets() {
            match select::secret(context.keys, record, record.fingerprint())? {
                Ok(Some(secret)) => {
                    let mut chain = above(&certificate, context.keys)?;
                    chain.retain(|above| !above.is_self_issued());
                    return Ok(Served::Key(SigningKey { certificate, secret, chain }));
                }
                Ok(None) => {}
                Err(refusal) => return Ok(Served::Locked(refusal)),
            }
        }
        Ok(Served::Unfit("its secret key is missing".to_owned().into()))
    }
}

impl placeholder::Found for Candidate {
    fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref().ok()
    }

    fn stored(&mut self) -> &mut Copies {
        &mut self.copies
    }
}

/// The state for searching certificate paths.
struct Paths<'a> {
    chain: Chain<'a>,
    budget: Budget,
    context: Context<'a>,
}

impl<'a> Paths<'a> {
    fn new(context: Context<'a>) -> Result<Paths<'a>> {
        Ok(Paths { chain: Chain::new(&[], &[], context)?, budget: Budget::new(Limits::default()), context })
    }

    /// For another address, whose certificates take nothing from what the others may cost.
    fn anew(&mut self) -> &mut Self {
        self.chain.forget_issuers();
        self.budget = Budget::new(Limits::default());
        self
    }
}

impl select::Candidate<Paths<'_>> for Candidate {
    fn copies(&self) -> &Copies {
        &self.copies
    }

    fn made(&self) -> Option<SystemTime> {
        self.certificate.as_ref().ok().map(|certificate| certificate.validity().0)
    }

    /// An ML-KEM certificate is taken before a classical one that is as trusted.
    fn is_quantum_safe(&self) -> bool {
        let conveys = self.certificate.as_ref().ok().map(|certificate| certificate.public_key().algorithm().conveys());
        conveys == Some(Conveys::Encapsulates)
    }

    fn is_placeholder(&self) -> bool {
        placeholder::is_placeholder(self.certificate.as_ref().ok(), &self.copies)
    }

    fn authority(&self, paths: &mut Paths<'_>) -> Result<Authority> {
        let Ok(certificate) = &self.certificate else { return Ok(Authority::Silent(None)) };
        x509::authority(certificate, paths.context.clock.now(), |at| {
            let found = paths.chain.path_at(certificate, at, &mut paths.budget)?;
            Ok(found.map(|path| path.mailboxes().to_vec()).map_err(x509::NoPath::from))
        })
    }
}

fn candidates(keys: &dyn Keys, role: Role, address: &Address) -> Result<Vec<Candidate>> {
    let found = Copies::grouped(keys.find(ProtocolName::Smime, &Query::new(role.purpose(), Want::Address(address)))?);
    Ok(placeholder::replaced(found.into_iter().map(Candidate::of).collect(), address))
}

/// The certificates in the store that may be above `leaf`, nearest first.
fn above(leaf: &Certificate, keys: &dyn Keys) -> Result<Vec<Certificate>> {
    let mut found: Vec<Certificate> = Vec::new();
    let mut names: Vec<Handle> = (!leaf.is_self_signed()).then(|| record::subject(leaf.issuer())).into_iter().collect();
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

const WORDS: Words = Words { noun: "certificate", kind: "", signing: KeyForm::X509 };

/// Maximum certificates above one. Source: real chains have up to 4, and a bridge between authorities twice that.
const ABOVE: usize = 16;
