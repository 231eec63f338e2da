//! The keys of one message, each looked up once: what policy decides by, and what seals.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    time::SystemTime,
};

use super::{Context, Recipient, Seal, Sealed, Signer, blind, select::Names, unfit::Refusal};
use crate::{
    base::{Error, Result},
    keys::{Handle, KeyState},
    mail::{Address, Message, Part},
};

/// Whose keys one message needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Whom it may be encrypted to.
    pub recipients: Vec<Address>,
    /// Who may sign it. [`Signer::Author`] is not resolved: name the author's address.
    pub signers: Vec<Signer>,
    /// The time at which keys have to be usable, when it is not now.
    pub at: Option<SystemTime>,
    /// For some of the addresses, the other addresses of the same mailbox, the nearest first. Their keys are taken where those of the address itself
    /// are not trusted more ([`Policy::other_addresses`](crate::policy::Policy::other_addresses)).
    pub others: HashMap<Address, Vec<Address>>,
}

impl Needs {
    /// What `how` needs for `message`. An author that From does not name is left out: sealing refuses then.
    pub fn of(message: &Message, how: &Seal) -> Needs {
        let mut needs = Needs { at: how.at, ..Needs::default() };
        let mut seen = HashSet::new();
        for Recipient::Named(address) | Recipient::Hidden(address) in how.readers() {
            if seen.insert(address) {
                needs.recipients.push(address.clone());
            }
        }
        how.sign.iter().for_each(|signer| needs.add_signer(message.root(), signer));
        needs
    }

    fn names(&self, address: &Address) -> Names {
        Names { address: address.clone(), others: self.others.get(address).cloned().unwrap_or_default() }
    }

    /// One more signer of the message with this root.
    pub(super) fn add_signer(&mut self, root: Part<'_>, signer: &Signer) {
        let signer = match signer {
            Signer::Author => blind::author(root).ok().map(Signer::Address),
            Signer::Address(_) | Signer::Key(_) => Some(signer.clone()),
        };
        self.signers.extend(signer.filter(|signer| !self.signers.contains(signer)));
    }
}

/// The keys of one protocol for one message.
pub trait Resolved: Send + Sync {
    /// Whether `address` can be encrypted to. One that was not among the [`Needs`] cannot.
    fn recipient(&self, address: &Address) -> KeyState;

    /// Whether `signer` can sign. One that was not among the [`Needs`] cannot.
    fn signer(&self, signer: &Signer) -> KeyState;

    /// Writes `message` sealed to `out` with these keys; no key is looked up. The caller must not let `out` be seen when this fails.
    ///
    /// # Errors
    ///
    /// `NoKey` or `KeyExpired` names each recipient or signer without a key, and the reason; `Usage` for a shape or an algorithm that the
    /// message or the protocol cannot have.
    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed>;

    /// [`Resolved::seal`] once for each of `how.to`, in their order: each message is for one of them alone. What does not depend on the reader is made
    /// once: the signatures, and where the protocol allows it the ciphertext.
    ///
    /// # Errors
    ///
    /// As [`Resolved::seal`], when one of them cannot be made.
    fn seal_each(&self, message: &Message, how: &Seal, context: Context<'_>) -> Result<Vec<Vec<u8>>>;
}

/// A key that can be used.
pub(super) trait Usable {
    /// As policy sees it.
    fn state(&self) -> KeyState;
}

/// How a protocol looks up its keys, and seals with them.
pub(super) struct Sealer<R, S> {
    /// The keys to encrypt to addresses, one answer for each: what they have in common is looked at once.
    pub(super) recipients: LookUps<R>,
    /// The key to sign with for an address.
    pub(super) signer_for: LookUp<Names, S>,
    /// The key to sign with that a handle names.
    pub(super) signer_named: LookUp<Handle, S>,
    /// See [`Resolved::seal`].
    pub(super) seal: Seals<R, S>,
    /// See [`Resolved::seal_each`]; `None` from it: one after the other.
    pub(super) seal_each: SealsEach<R, S>,
}

/// The key that is usable at a time, or why there is none.
pub(super) type LookUp<N, K> = fn(&N, SystemTime, Context<'_>) -> Result<Result<K, Refusal>>;

type LookUps<K> = fn(&[Names], SystemTime, Context<'_>) -> Vec<Result<Result<K, Refusal>>>;

type Seals<R, S> = fn(&Message, &Seal, &Keyring<R, S>, Context<'_>, &mut dyn Write) -> Result<Sealed>;

type SealsEach<R, S> = fn(&Message, &Seal, &Keyring<R, S>, Context<'_>) -> Result<Option<Vec<Vec<u8>>>>;

/// What was found for each recipient and signer: a key of type `R` or `S`, or why there is none.
pub(super) struct Keyring<R, S> {
    recipients: HashMap<Address, Result<R, Refusal>>,
    signers: Vec<(Signer, Result<S, Refusal>)>,
    seal: Seals<R, S>,
    seal_each: SealsEach<R, S>,
}

impl<R: Usable, S: Usable> Keyring<R, S> {
    /// Looks up each key that is needed. Where this machine's keys fail for one of them, that one is unknown, and the others are not concerned.
    ///
    /// # Errors
    ///
    /// What was found costs more than it may.
    pub(super) fn find(needs: &Needs, context: Context<'_>, by: &Sealer<R, S>) -> Result<Self> {
        let at = needs.at.unwrap_or_else(|| context.clock.now());
        let mut seen = HashSet::with_capacity(needs.recipients.len());
        let names = needs.recipients.iter().filter(|address| seen.insert(*address)).map(|address| needs.names(address));
        let names: Vec<Names> = names.collect();
        let found = (by.recipients)(&names, at, context);
        let mut recipients = HashMap::with_capacity(names.len());
        for (Names { address, .. }, found) in names.into_iter().zip(found) {
            let found = known(&address, found)?;
            recipients.insert(address, found);
        }
        let signers = needs.signers.iter().map(|one| {
            let found = match one {
                Signer::Address(address) => known(address, (by.signer_for)(&needs.names(address), at, context))?,
                Signer::Author => Err(Refusal::missing("author: not named by an address".to_owned())),
                Signer::Key(handle) => (by.signer_named)(handle, at, context)?,
            };
            Ok((one.clone(), found))
        });
        let signers = signers.collect::<Result<_>>()?;
        Ok(Keyring { recipients, signers, seal: by.seal, seal_each: by.seal_each })
    }

    /// The key to encrypt to `address`, or why there is none.
    pub(super) fn recipient(&self, address: &Address) -> Result<&R, Refusal> {
        let found = self.recipients.get(address).ok_or_else(|| not_asked(address))?;
        found.as_ref().map_err(Clone::clone)
    }

    /// The key of one who signs the message with this root.
    ///
    /// # Errors
    ///
    /// `NoKey` or `KeyExpired`: there is none, or From does not name one author.
    pub(super) fn signer(&self, signer: &Signer, root: Part<'_>) -> Result<&S> {
        let found = match signer {
            Signer::Author => self.found(&Signer::Address(blind::author(root)?)),
            Signer::Address(_) | Signer::Key(_) => self.found(signer),
        };
        found.map_err(Error::from)
    }

    fn found(&self, signer: &Signer) -> Result<&S, Refusal> {
        let found = self.signers.iter().find(|(one, _)| one == signer);
        let (_, found) = found.ok_or_else(|| match signer {
            Signer::Address(address) => not_asked(address),
            Signer::Author => Refusal::missing("author: no key was looked up".to_owned()),
            Signer::Key(handle) => Refusal::missing(format!("key {handle}: was not looked up")),
        })?;
        found.as_ref().map_err(Clone::clone)
    }
}

impl<R: Usable + Send + Sync, S: Usable + Send + Sync> Resolved for Keyring<R, S> {
    fn recipient(&self, address: &Address) -> KeyState {
        self.recipient(address).map_or_else(Refusal::into_state, Usable::state)
    }

    fn signer(&self, signer: &Signer) -> KeyState {
        self.found(signer).map_or_else(Refusal::into_state, Usable::state)
    }

    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed> {
        (self.seal)(message, how, self, context, out)
    }

    fn seal_each(&self, message: &Message, how: &Seal, context: Context<'_>) -> Result<Vec<Vec<u8>>> {
        if let Some(sealed) = (self.seal_each)(message, how, self, context)? {
            return Ok(sealed);
        }
        let one = |reader: &Recipient| {
            let (alone, mut octets) = (how.to_one(reader), Vec::new());
            self.seal(message, &alone, context, &mut octets)?;
            Ok(octets)
        };
        how.to.iter().map(one).collect()
    }
}

/// What was found for `address`; that the keys failed is an answer.
fn known<T>(address: &Address, found: Result<Result<T, Refusal>>) -> Result<Result<T, Refusal>> {
    match found {
        Err(error) if error.is_of_machine() => Ok(Err(Refusal::unknown(address, error))),
        found => found,
    }
}

fn not_asked(address: &Address) -> Refusal {
    Refusal::missing(format!("{address}: no key was looked up"))
}
