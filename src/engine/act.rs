//! Step 5 of the pipeline: do what was decided.

use std::collections::HashSet;

use super::{
    Engine,
    accounting::UsedKeys,
    annotate::Shown,
    edit::Edits,
    facts::Gathered,
    marker, own_key,
    page::{self, Page},
    plaintext::{self, Plaintext},
};
use crate::{
    base::{Budget, Error, Kind, Result},
    crypto::{Hash, pbkdf2_cost},
    keys::ProtocolName,
    mail::{Mail, Message, Submitter, header::Field, header_protection::Confidentiality},
    policy::{Action, Direction, Group, KeyOwner, Sealing},
    protocol::{Headers, Recipient, Seal, Signer},
    report::{
        authres::{self, Examined},
        authserv::Believed,
    },
};

/// One mail while groups of its recipients are served.
pub(super) struct Acting<'a> {
    pub(super) engine: &'a Engine<'a>,
    pub(super) mail: &'a Mail,
    pub(super) gathered: &'a Gathered,
    /// Whose Authentication-Results fields are believed.
    pub(super) believed: Believed<'a>,
    /// How many groups there are.
    pub(super) groups: usize,
    /// The field with what was found in the message before it was opened, if it was.
    pub(super) results: Option<String>,
    /// What was made for groups whose ciphertext does not depend on who they are.
    pub(super) made: Vec<(Vec<Action>, Sealing, Written)>,
    /// For the keys of its pages.
    pub(super) budget: Budget,
    /// One line for each thing done.
    pub(super) notes: Vec<String>,
}

impl Acting<'_> {
    /// The message that `group` gets.
    ///
    /// # Errors
    ///
    /// It cannot be made, or the decision would let it out in clear without a rule that says so.
    pub(super) fn message_for(&mut self, group: &Group) -> Result<Written> {
        refuse_unsaid(group)?;
        let same =
            self.made.iter().find(|(actions, sealing, ..)| *actions == group.actions && *sealing == group.sealing);
        if let Some((_, _, written)) = same {
            return Ok(written.clone());
        }
        let written = self.make(group)?;
        if !group.encrypts() {
            self.made.push((group.actions.clone(), group.sealing.clone(), written.clone()));
        }
        Ok(written)
    }

    /// When the message cannot be made from its plaintext, it is made from the message as it came: the reply to the sender depends on no plaintext.
    fn make(&mut self, group: &Group) -> Result<Written> {
        let opened = plaintext::of(self, group);
        let made = self.made_of(opened.as_ref(), group);
        match (opened, made) {
            (Some(opened), Ok(made)) => {
                self.notes.push(opened.note());
                Ok(made)
            }
            (Some(_), Err(error)) => {
                tracing::debug!(event = "content-not-delivered", %error);
                self.made_of(None, group)
            }
            (None, made) => made,
        }
    }

    fn made_of(&mut self, opened: Option<&Plaintext>, group: &Group) -> Result<Written> {
        let mut keys = UsedKeys::default();
        let mut message = opened.map_or(&self.mail.message, |opened| &opened.message).clone();
        let mut edits = Edits::default();
        opened.into_iter().for_each(|opened| opened.announce(&mut edits));
        for action in &group.actions {
            match action {
                Action::AddHeader(name, value) => edits.add(name, value),
                Action::AttachKey => {
                    let author = self.gathered.verdict().author().ok();
                    let attached = author.map(|author| own_key::attached(self.engine, author, &message)).transpose()?;
                    if let Some(octets) = attached.flatten() {
                        message = self.parse(octets)?;
                    }
                }
                Action::Annotate | Action::Autocrypt(_) | Action::Clear | Action::Decrypt(_) | Action::Keep => {}
                Action::Page(_) => {
                    message = self.edited(message, &std::mem::take(&mut edits), Bcc::Removed)?;
                    message = self.paged(&message, group)?;
                }
                Action::RemoveHeader(name) => edits.remove(name),
                Action::TagSubject(words) => edits.tag(words),
                Action::Encrypt(protocol) | Action::Sign(protocol) | Action::SignAndEncrypt(protocol) => {
                    message = self.edited(message, &std::mem::take(&mut edits), Bcc::Kept)?;
                    message = self.sealed(&message, *protocol, action, group, &mut keys)?;
                }
            }
        }
        for action in &group.actions {
            if let (Action::Autocrypt(preference), Ok(author)) = (action, self.gathered.verdict().author()) {
                own_key::announce(self.engine, author, &message, *preference, &mut edits);
            }
        }
        // Above what is sealed: it is a trace field, for the hosts and programs that come next.
        if group.actions.contains(&Action::Annotate) {
            edits.add_raw(self.results.clone().unwrap_or_else(|| self.results_of(opened)));
        }
        let message = self.edited(message, &edits, Bcc::Removed)?;
        let results = opened.map(|_| self.results_of(opened));
        Ok(Written { message, keys, results })
    }

    /// The message as a page for `group`, whose members have one passphrase.
    fn paged(&mut self, message: &Message, group: &Group) -> Result<Message> {
        let mut known = None;
        for path in &group.recipients {
            let found = self.engine.context.keys.shared_passphrase(&path.address)?;
            if known.is_some() && known != found {
                return Err(Error::unavailable(format!("{}: another passphrase than that of its group", path.address)));
            }
            known = found;
        }
        let passphrase = known.ok_or_else(|| Error::no_key("page: there is no passphrase any more"))?;
        self.budget.derivation(pbkdf2_cost(Hash::Sha256, page::ITERATIONS, page::KEY))?;
        let texts = group.sealing.page.clone().unwrap_or_default();
        let hidden = group.sealing.headers.and_then(Headers::confidentiality).unwrap_or(Confidentiality::Baseline);
        let page = Page { passphrase: &passphrase, texts: &texts, hidden };
        let octets = self.engine.page(message, &page)?;
        self.notes.push("sealed with a passphrase, as a page".to_owned());
        self.parse(octets)
    }

    fn results_of(&self, opened: Option<&Plaintext>) -> String {
        let Some(opening) = &self.gathered.opening else {
            let examined = self.mail.message.unread().map_or(Examined::Whole, Examined::Stopped);
            return authres::field(self.believed.own, &self.gathered.verdict, examined);
        };
        opening.results(self.believed.own, if opened.is_some() { Shown::Plaintext } else { Shown::AsItCame })
    }

    /// As it came, without fields that others wrote in our name: it may be released later.
    pub(super) fn held(&self) -> Result<Message> {
        self.edited(self.mail.message.clone(), &Edits::default(), Bcc::Kept)
    }

    /// With its changes. Removes Authentication-Results of hosts that are not believed (RFC 8601, section 5), also from our own users; marks that
    /// do not fit; and Bcc (RFC 5322, section 3.6.3). The sealing protocols read Bcc to know whom to hide, and remove it themselves.
    fn edited(&self, message: Message, edits: &Edits, bcc: Bcc) -> Result<Message> {
        let is_of_user = matches!(self.mail.submitter, Submitter::Authenticated(_) | Submitter::Trusted);
        let hides = is_of_user && bcc == Bcc::Removed;
        let unwanted = |field: &Field<'_>| {
            self.believed.removes(field)
                || field.is(marker::NAME)
                || hides && (field.is("Bcc") || field.is("Resent-Bcc"))
        };
        match edits.apply(&message, unwanted) {
            Some(octets) => self.parse(octets),
            None => Ok(message),
        }
    }

    fn sealed(
        &mut self,
        message: &Message,
        protocol: ProtocolName,
        how: &Action,
        group: &Group,
        keys: &mut UsedKeys,
    ) -> Result<Message> {
        let mut seal = Seal::default();
        if matches!(how, Action::Sign(_) | Action::SignAndEncrypt(_)) {
            seal.sign.push(match (group.sealing.sign_with, self.gathered.verdict().author()) {
                (KeyOwner::Domain, Ok(author)) => Signer::Address(group.sealing.signer(author)),
                (KeyOwner::Address, _) | (_, Err(_)) => Signer::Author,
            });
        }
        if how.encrypts() {
            let mut seen = HashSet::new();
            let readers = group.recipients.iter().map(|path| Recipient::Named(group.sealing.reader(&path.address)));
            seal.to.extend(readers.filter(|reader| seen.insert(reader.clone())));
            let further = group.sealing.further_readers(self.gathered.verdict().author().ok());
            seal.also.extend(further.cloned().map(Recipient::Named));
        }
        let seal = group.sealing.applied_to(seal, protocol);
        let mut octets = Vec::with_capacity(message.octets().len() * 3 / 2 + 8 * 1024);
        let sealed = self.engine.seal_with(self.gathered.keys.of(protocol)?, protocol, message, &seal, &mut octets)?;
        keys.signers.extend(sealed.signers);
        keys.readers.extend(sealed.readers);
        keys.warnings.extend(sealed.warnings.iter().cloned());
        self.notes.extend(sealed.did.into_iter().chain(sealed.warnings));
        self.parse(octets)
    }

    pub(super) fn parse(&self, octets: Vec<u8>) -> Result<Message> {
        Message::received(octets, &mut self.engine.budget())
    }
}

/// A message that was made for a group.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) message: Message,
    /// The keys that it was sealed with.
    pub(super) keys: UsedKeys,
    /// When it was made from the plaintext: the field with what was found in the message.
    pub(super) results: Option<String>,
}

impl Written {
    /// A message that nothing was done to.
    pub(super) fn unsealed(message: Message) -> Written {
        Written { message, keys: UsedKeys::default(), results: None }
    }
}

/// Who removes the Bcc field.
#[derive(Clone, Copy, PartialEq)]
enum Bcc {
    Kept,
    Removed,
}

/// The last check before a message leaves: nothing goes out in clear unless the deciding rule says clear.
fn refuse_unsaid(group: &Group) -> Result<()> {
    let is_said = |action: &Action| action.encrypts() || matches!(action, Action::Clear | Action::Keep);
    if group.direction == Direction::Inbound || group.actions.iter().any(is_said) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!("rule {:?}: would let the message out in clear without saying so", group.rule),
    ))
}
