//! Steps 1 to 3 of the pipeline: the facts that a decision is made from.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Instant,
};

use super::{
    Engine, Opening,
    accounting::{Times, Unopened},
    opaque::is_opaque,
    resolve::MessageKeys,
};
use crate::{
    base::{Budget, Result},
    keys::{KeyState, ProtocolName, Purpose, Query, RestrictedKeys, SharedPassphrase, Snapshot, Want},
    mail::{Address, ForwardPath, Mail, Message, Part, header},
    policy::{
        Action, Direction, Facts, Group, KeyStates, Order, Policy, RecipientFacts, Rule, Unauthenticated, Wrapping,
        domain_signer,
    },
    protocol::{Needs, Signer},
    verdict::{LayerKind, Reached, Standing, Verdict},
};

/// What is known of one mail, for [`Facts`] to borrow from.
#[derive(Debug)]
pub struct Gathered {
    pub(super) verdict: Verdict,
    /// `None` when the message is larger than what is opened.
    pub(super) opening: Option<Opening>,
    /// The keys that the policy may want, of the author and of the recipients.
    pub(super) keys: MessageKeys,
    wrapping: Wrapping,
    signing: BTreeMap<ProtocolName, KeyState>,
    domain_signing: BTreeMap<ProtocolName, KeyState>,
    others: KeyStates,
    recipients: Vec<RecipientFacts>,
    /// How long the steps so far took.
    pub(super) times: Times,
}

impl Gathered {
    /// The facts about `mail`, from which this was gathered.
    pub fn facts<'a>(&'a self, mail: &'a Mail) -> Facts<'a> {
        Facts {
            submitter: &mail.submitter,
            sender: mail.envelope.sender.address.as_ref(),
            author: self.verdict.author(),
            message: &mail.message,
            wrapping: &self.wrapping,
            standing: self.verdict.standing(),
            reason: self.verdict.reason().map(|reason| reason.code()),
            signing: self.signing.clone(),
            domain_signing: self.domain_signing.clone(),
            others: self.others.clone(),
            recipients: self.recipients.clone(),
        }
    }

    /// Whether it is encrypted as it came.
    pub(super) fn is_encrypted(&self) -> bool {
        self.wrapping == Wrapping::Encrypted
    }

    /// The recipients of a relayed `group` for whom a rule decrypts, when nothing was decrypted for them: no key of theirs opens the message, or it
    /// cannot be opened at all.
    pub(super) fn unopened(&self, group: &Group, policy: &Policy) -> Vec<Unopened> {
        let is_rule = |rule: &Rule| rule.name == group.rule && rule.says(Order::Decrypt);
        let Some(opening) = self.opening.as_ref().filter(|_| policy.rules.iter().any(is_rule)) else {
            return Vec::new();
        };
        let decrypts = group.actions.iter().any(|action| matches!(action, Action::Decrypt(_)));
        let reason = match opening.error() {
            Some(error) => error.to_string(),
            None if opening.verdict().is_confidential() && !decrypts => "no key of the recipient opens it".to_owned(),
            None => return Vec::new(),
        };
        let of = |path: &ForwardPath| Unopened { recipient: path.address.clone(), reason: reason.clone() };
        group.recipients.iter().map(of).collect()
    }

    /// What was found in the message.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

/// Whose keys open a message.
#[derive(Clone, Copy)]
pub(super) enum Readers<'a> {
    /// The recipients', each for themselves.
    Recipients,
    /// Those of the one mailbox with these addresses, for all recipients: it sends its mail on.
    Mailbox(&'a [Address]),
}

impl Engine<'_> {
    /// Opens and judges `mail`, and asks for the keys that `policy` may want for its author and its recipients. `passphrase` came with the mail
    /// ([`Submitted`](super::page::Submitted)).
    ///
    /// # Errors
    ///
    /// The keys could not be asked, or the message is over the bounds. A message that cannot be read is [`Wrapping::Malformed`].
    pub fn gather(&self, mail: &Mail, policy: &Policy, passphrase: Option<SharedPassphrase>) -> Result<Gathered> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        let keys = keys.reaching(policy.discovered(mail)).bringing(passphrase);
        self.with_keys(&keys).gather_from_snapshot(mail, policy, Readers::Recipients)
    }

    /// [`Engine::gather`] by an engine whose keys are a [`Snapshot`].
    pub(super) fn gather_from_snapshot(&self, mail: &Mail, policy: &Policy, by: Readers<'_>) -> Result<Gathered> {
        let start = Instant::now();
        let mut budget = Budget::of_message(self.limits.clone(), mail.message.octets().len());
        let opening = if mail.message.octets().len() > policy.max_size || mail.message.unread().is_some() {
            None
        } else {
            // By the keys of its readers alone: an attacker could send another person's ciphertext to their own address.
            let owners = match by {
                Readers::Recipients => {
                    mail.envelope.recipients.iter().flat_map(|path| policy.owners(&path.address)).collect()
                }
                Readers::Mailbox(addresses) => addresses.to_vec(),
            };
            let opening = self.opened_by(mail, owners, &mut budget)?;
            if let Some(error) = opening.error().filter(|_| opening.is_over_bounds) {
                return Err(error.clone());
            }
            Some(opening)
        };
        let (opening, readers) = match by {
            Readers::Recipients => self.shared(mail, opening, policy, budget)?,
            Readers::Mailbox(_) => opened_for_all(opening, policy),
        };
        let verdict = opening.as_ref().map_or_else(|| self.unopened(mail), |opening| told(opening).clone());
        let goes_out = |address: &Address| policy.direction(&mail.submitter, address) == Direction::Outbound;
        let mut wrapping = opening.as_ref().map_or(Wrapping::Plain, wrapping_of);
        if let Some(opening) = &opening
            && mail.envelope.recipients.iter().any(|path| goes_out(&path.address))
        {
            let is_signed = || {
                let author = verdict.author().ok().filter(|_| verdict.standing() == Standing::Authentic);
                author.is_some_and(|author| policy.may_use(&mail.submitter, author))
            };
            wrapping = match wrapping {
                Wrapping::Encrypted if hides_all(opening, mail.message.root(), &self.budget()) => Wrapping::Encrypted,
                Wrapping::Encrypted | Wrapping::Signed if is_signed() => Wrapping::Signed,
                Wrapping::Encrypted | Wrapping::Signed => Wrapping::Plain,
                Wrapping::Malformed(_) | Wrapping::Plain => wrapping,
            };
        }
        let open = start.elapsed();
        let sender = mail.envelope.sender.address.as_ref();
        let asked = |address: &Address| policy.protocols_for(&mail.submitter, sender, address);
        let author = verdict.author().ok();
        let further = |recipient: &Address| policy.further_readers(&mail.submitter, sender, author, recipient);
        let domain = author.filter(|_| policy.signs_with_domain()).map(domain_signer);
        let signers: Vec<Signer> = author.into_iter().chain(&domain).cloned().map(Signer::Address).collect();
        let mut needs: BTreeMap<ProtocolName, Needs> = BTreeMap::new();
        let mut readers_beside: BTreeMap<ProtocolName, Vec<Address>> = BTreeMap::new();
        for path in &mail.envelope.recipients {
            let further = further(&path.address);
            for protocol in asked(&path.address) {
                let needs =
                    needs.entry(protocol).or_insert_with(|| Needs { signers: signers.clone(), ..Needs::default() });
                needs.recipients.push(path.address.clone());
                needs.recipients.extend(further.iter().cloned());
                for address in author.into_iter().chain([&path.address]).chain(&further) {
                    needs.others.entry(address.clone()).or_insert_with(|| policy.other_addresses(address));
                }
                readers_beside.entry(protocol).or_default().extend(further.iter().cloned());
            }
        }
        let keys = self.resolve(&needs)?;
        let mut others = KeyStates::new();
        for (protocol, addresses) in readers_beside {
            for address in addresses {
                others
                    .entry(address.clone())
                    .or_default()
                    .extend(keys.recipient(&address, &BTreeSet::from([protocol])));
            }
        }
        let recipients = mail.envelope.recipients.iter().map(|path| RecipientFacts {
            path: path.clone(),
            keys: keys.recipient(&path.address, &asked(&path.address)),
            is_reader: readers.as_ref().is_none_or(|readers| readers.contains(&path.address)),
            passphrase: None,
        });
        let mut recipients: Vec<RecipientFacts> = recipients.collect();
        for one in &mut recipients {
            if policy.pages(&mail.submitter, sender, &one.path.address) {
                let found = self.context.keys.shared_passphrase(&one.path.address)?;
                one.passphrase = found.map(|passphrase| passphrase.origin());
            }
        }
        let signing = author.map(|author| keys.signer(author)).unwrap_or_default();
        let domain_signing = domain.map(|address| keys.signer(&address)).unwrap_or_default();
        let times = Times { open, resolve: start.elapsed().saturating_sub(open), ..Times::default() };
        Ok(Gathered { verdict, opening, keys, wrapping, signing, domain_signing, others, recipients, times })
    }

    /// `mail` opened by the keys of `owners` alone.
    fn opened_by(&self, mail: &Mail, owners: Vec<Address>, budget: &mut Budget) -> Result<Opening> {
        let own = RestrictedKeys::new(self.context.keys, owners);
        let opening = self.with_keys(&own).open_within(mail.message.clone(), budget)?;
        match opening.error().filter(|error| error.is_of_machine()) {
            Some(error) => Err(error.clone()),
            None => Ok(opening),
        }
    }

    /// The opening by which `mail` is handled, and those whose own keys open it ([`Engine::readers`]).
    ///
    /// An unauthenticated plaintext counts as if it had not decrypted, unless a rule says otherwise and every recipient may read it: where there is
    /// one reply or one copy for all recipients, copies that differ tell the sender that it decrypted.
    fn shared<'m>(
        &self,
        mail: &'m Mail,
        opening: Option<Opening>,
        policy: &Policy,
        mut budget: Budget,
    ) -> Result<(Option<Opening>, Option<HashSet<&'m Address>>)> {
        let Some(opening) = opening else { return Ok((None, None)) };
        if let Some(error) = opening.error() {
            tracing::debug!(event = "layer-not-opened", kind = error.kind().name(), %error);
        }
        if !opening.is_unauthenticated() {
            let readers = self.readers(mail, &opening, policy, &mut budget)?;
            return Ok((Some(opening), readers));
        }
        let readers = if opens_unauthenticated(policy) {
            self.readers(mail, &opening, policy, &mut budget)?
        } else {
            Some(HashSet::new())
        };
        let is_for_all = readers.is_none_or(|readers| readers.len() == mail.envelope.recipients.len());
        tracing::debug!(event = "content-not-authenticated", is_for_all);
        Ok((Some(if is_for_all { opening } else { opening.resealed() }), None))
    }

    /// The recipients whose own keys open `mail` to the payload of `opening`; `None` when all of them are: it hides nothing, or there is only one.
    /// A key that opens the ciphertext to another payload does not count: CBC is not authenticated, and a second content key opens it to noise.
    fn readers<'m>(
        &self,
        mail: &'m Mail,
        opening: &Opening,
        policy: &Policy,
        budget: &mut Budget,
    ) -> Result<Option<HashSet<&'m Address>>> {
        let is_opened = opening.error().is_none() && opening.verdict().is_confidential();
        let is_asked = policy.rules.iter().any(|rule| rule.says(Order::Decrypt));
        if !is_opened || !is_asked || mail.envelope.recipients.len() == 1 {
            return Ok(None);
        }
        let mut owners = Vec::new();
        for path in &mail.envelope.recipients {
            if self.has_secret(&policy.owners(&path.address))? {
                owners.push(&path.address);
            }
        }
        // Opening it once for each owner would exceed the bounds of a message: it goes to all recipients as it came.
        if mail.message.octets().len().saturating_mul(owners.len())
            > self.limits.message.saturating_mul(self.limits.expansion)
        {
            return Ok(Some(HashSet::new()));
        }
        let mut readers = HashSet::new();
        for owner in owners {
            // The cost is counted over all owners: an expensive message is opened for some of them and stays sealed for the others.
            *budget = budget.once_more();
            let own = self.opened_by(mail, policy.owners(owner), budget)?;
            if own.error().is_none() && own.payload().map(Message::octets) == opening.payload().map(Message::octets) {
                readers.insert(owner);
            }
        }
        Ok(Some(readers))
    }

    /// Whether there is a secret key for one of `addresses`.
    fn has_secret(&self, addresses: &[Address]) -> Result<bool> {
        for address in addresses {
            for protocol in &self.protocols {
                let query = Query::new(Purpose::Decrypt, Want::Address(address));
                let found = self.context.keys.find(protocol.name(), &query)?;
                if found.iter().any(|record| !record.secrets().is_empty()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The verdict on a message that was not opened.
    pub(super) fn unopened(&self, mail: &Mail) -> Verdict {
        let author = header::author(mail.message.root());
        Verdict::new(author, Vec::new(), Vec::new(), Reached::Nothing, self.context.legacy)
    }
}

/// As `Engine::shared`, where one mailbox reads for all recipients: all of them may read what it opens, or none.
fn opened_for_all<'m>(opening: Option<Opening>, policy: &Policy) -> (Option<Opening>, Option<HashSet<&'m Address>>) {
    let opening = opening
        .map(|one| if one.is_unauthenticated() && !opens_unauthenticated(policy) { one.resealed() } else { one });
    let is_closed = opening.as_ref().is_some_and(|one| one.error().is_some());
    (opening, is_closed.then(HashSet::new))
}

/// Whether a rule opens what is not authenticated.
fn opens_unauthenticated(policy: &Policy) -> bool {
    policy.rules.iter().any(|rule| rule.is_enforced() && rule.unauthenticated != Unauthenticated::Leave)
}

/// The verdict that others may see: of an unauthenticated plaintext, the one of a message that does not decrypt.
fn told(opening: &Opening) -> &Verdict {
    opening.sealed.as_ref().map_or(&opening.verdict, |sealed| &sealed.verdict)
}

/// A message without a key here, and one that does not decrypt, were both read up to their recipients: the sender cannot tell them apart.
/// Any other message that cannot be opened may hold clear text.
fn wrapping_of(opening: &Opening) -> Wrapping {
    match opening.error() {
        Some(error) if error.is_sealed() => Wrapping::Encrypted,
        Some(error) => Wrapping::Malformed(error.to_string()),
        None if opening.verdict().is_confidential() => Wrapping::Encrypted,
        None if is_signed(opening.verdict()) => Wrapping::Signed,
        None => Wrapping::Plain,
    }
}

fn is_signed(verdict: &Verdict) -> bool {
    verdict.layers().iter().any(|layer| matches!(layer.kind, LayerKind::Signed { .. }))
}

/// Whether an encrypted message shows nothing to those who cannot decrypt it: it is ciphertext octet by octet, and the layers around the
/// ciphertext are valid signatures of the author. Anything can stand in the place of an invalid one.
fn hides_all(opening: &Opening, root: Part<'_>, budget: &Budget) -> bool {
    let verdict = opening.verdict();
    let mut outside = verdict.layers().iter().take_while(|layer| !matches!(layer.kind, LayerKind::Encrypted { .. }));
    outside.all(|layer| verdict.is_by_author(layer)) && is_opaque(root, budget)
}
