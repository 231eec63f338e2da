//! Steps 1 to 3 of the corridor: what a decision is made from.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Opening};
use crate::{
    base::{Kind, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, Mail, header},
    policy::{Direction, Facts, Policy, RecipientFacts, Wrapping},
    protocol::Purpose,
    verdict::{LayerKind, Verdict},
};

/// What is known of one mail, for [`Facts`] to borrow from.
#[derive(Debug)]
pub struct Gathered {
    pub(super) verdict: Verdict,
    /// `None` when the message is larger than what is opened.
    pub(super) opening: Option<Opening>,
    wrapping: Wrapping,
    signing: BTreeMap<ProtocolName, KeyState>,
    recipients: Vec<RecipientFacts>,
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
            signing: self.signing.clone(),
            recipients: self.recipients.clone(),
        }
    }

    /// What was found in the message.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

impl Engine<'_> {
    /// Opens and judges `mail`, and asks for the keys that `policy` may want for its author and its recipients.
    ///
    /// # Errors
    ///
    /// The keys could not be asked, or the message is over the bounds. A message that cannot be read is [`Wrapping::Malformed`].
    pub fn gather(&self, mail: &Mail, policy: &Policy) -> Result<Gathered> {
        let (verdict, opening, wrapping) = if mail.message.octets().len() > policy.max_size {
            (self.unopened(mail), None, Wrapping::Plain)
        } else {
            let opening = self.open(mail.message.clone())?;
            (opening.verdict().clone(), Some(opening), Wrapping::Plain)
        };
        let wrapping = opening.as_ref().map_or(wrapping, wrapping_of);
        let mut asked: BTreeMap<Direction, BTreeSet<ProtocolName>> = BTreeMap::new();
        let mut recipients = Vec::with_capacity(mail.envelope.recipients.len());
        for path in &mail.envelope.recipients {
            let direction = policy.direction(&mail.submitter, &path.address);
            let protocols = asked.entry(direction).or_insert_with(|| policy.protocols(direction));
            let keys = self.readiness(&path.address, Purpose::Encrypt, protocols)?;
            recipients.push(RecipientFacts { path: path.clone(), keys });
        }
        let protocols: BTreeSet<ProtocolName> = asked.into_values().flatten().collect();
        let signing = match verdict.author() {
            Some(author) => self.readiness(author, Purpose::Sign, &protocols)?,
            None => BTreeMap::new(),
        };
        Ok(Gathered { verdict, opening, wrapping, signing, recipients })
    }

    /// The verdict on a message that nobody looked into.
    pub(super) fn unopened(&self, mail: &Mail) -> Verdict {
        Verdict::new(header::author(mail.message.root()), Vec::new(), Vec::new(), self.context.legacy)
    }

    pub(crate) fn readiness(
        &self,
        address: &Address,
        purpose: Purpose,
        protocols: &BTreeSet<ProtocolName>,
    ) -> Result<BTreeMap<ProtocolName, KeyState>> {
        let asked = self.protocols.iter().filter(|one| protocols.contains(&one.name()));
        asked.map(|one| Ok((one.name(), one.readiness(address, purpose, self.context)?))).collect()
    }
}

/// A message that nobody here can decrypt was read up to the keys of its readers; anything else that cannot be opened may hold clear text.
fn wrapping_of(opening: &Opening) -> Wrapping {
    let is_signed = opening.verdict().layers().iter().any(|layer| matches!(layer.kind, LayerKind::Signed { .. }));
    match opening.error() {
        Some(error) if error.kind() == Kind::NoKey => Wrapping::Encrypted,
        Some(error) => Wrapping::Malformed(error.to_string()),
        None if opening.verdict().is_confidential() => Wrapping::Encrypted,
        None if is_signed => Wrapping::Signed,
        None => Wrapping::Plain,
    }
}
