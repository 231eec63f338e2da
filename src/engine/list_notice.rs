//! What the owners of a list are told.

use super::Engine;
use crate::{
    base::Result,
    keys::{KeyState, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Mail, Part, ReversePath, Submitter, Template, address, compose::Draft},
    policy::{List, ListText, ListTexts},
    protocol::{Recipient, Role, Seal, Signer},
};

impl Engine<'_> {
    /// What the owners are told of members who get nothing. It names members only where it is encrypted.
    ///
    /// # Errors
    ///
    /// The keys could not be asked, or there is no randomness.
    pub(super) fn notices(
        &self,
        list: &List,
        root: Part<'_>,
        skipped: &[(Address, String)],
        texts: &ListTexts,
    ) -> Result<Vec<Mail>> {
        if skipped.is_empty() {
            return Ok(Vec::new());
        }
        let text = texts.text(ListText::Notice)?;
        list.owners.iter().map(|owner| self.notice(list, owner, root, skipped, &text)).collect()
    }

    fn notice(
        &self,
        list: &List,
        owner: &Address,
        root: Part<'_>,
        skipped: &[(Address, String)],
        text: &Template,
    ) -> Result<Mail> {
        let count = skipped.len();
        let id = root.header("Message-ID").unwrap_or_default();
        let id: String = id.chars().filter(|c| c.is_ascii_graphic()).take(200).collect();
        let protocol = self.protocol_for(list, owner)?;
        let members = match protocol {
            None => vec!["postseal list check names them.".to_owned()],
            Some(_) => skipped.iter().take(NAMED).map(|(address, why)| format!("{address}: {why}")).collect(),
        };
        let value = |name: &str| match name {
            "count" => count.to_string(),
            "id" => id.clone(),
            "name" => list.address.local().to_owned(),
            _ => list.address.to_string(),
        };
        let (subject, text) = text.filled(value, &[("members", members)]);
        let from = address::Mailbox { name: None, address: list.owner() };
        let draft = Draft { from, to: vec![owner.clone()], subject: Some(subject) };
        let mut octets = b"Auto-Submitted: auto-generated\r\n".to_vec();
        octets.extend(draft.message(text.as_bytes(), self.context.clock, self.context.random)?);
        self.told(list, owner, octets, protocol)
    }

    /// The first protocol in which the list can sign, and encrypt for `reader`.
    ///
    /// # Errors
    ///
    /// The keys could not be asked.
    pub(super) fn protocol_for(&self, list: &List, reader: &Address) -> Result<Option<ProtocolName>> {
        let protocols = list.rule.protocols.iter().copied().collect();
        let readable = self.key_states(reader, Role::Recipient, &protocols)?;
        let signing = self.key_states(&list.address, Role::Signer, &protocols)?;
        let is_usable = |state: Option<&KeyState>| state.is_some_and(KeyState::is_usable);
        let suits = |protocol: &&ProtocolName| is_usable(readable.get(protocol)) && is_usable(signing.get(protocol));
        Ok(list.rule.protocols.iter().find(suits).copied())
    }

    /// A mail of the list to `reader`, sealed in the protocol that [`Engine::protocol_for`] gives, with the null sender: nothing answers it.
    ///
    /// # Errors
    ///
    /// The message is over the bounds, or cannot be sealed.
    pub(super) fn told(
        &self,
        list: &List,
        reader: &Address,
        octets: Vec<u8>,
        protocol: Option<ProtocolName>,
    ) -> Result<Mail> {
        let mut message = self.parsed(octets)?;
        if let Some(protocol) = protocol {
            let seal = Seal {
                sign: vec![Signer::Address(list.address.clone())],
                to: vec![Recipient::Named(reader.clone())],
                ..Seal::default()
            };
            let mut octets = Vec::new();
            self.seal(protocol, &message, &seal.with_usual_headers(protocol), &mut octets)?;
            message = self.parsed(octets)?;
        }
        let recipients = vec![ForwardPath { address: reader.clone(), parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        Ok(Mail { envelope, submitter: Submitter::Host, client: None, message })
    }
}

/// Members that a notice names.
const NAMED: usize = 200;
