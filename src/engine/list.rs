//! Step 5 of the pipeline for a list: who may post, and what each member is to get.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Engine, HandlerContext, Posting, annotate::Shown, edit::Edits, facts::Readers, leg::Made, marker,
    resolve::MessageKeys, sent_on::SentOn,
};
use crate::{
    base::Result,
    keys::{KeyState, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Mail, Message, Part, ReversePath, Submitter},
    policy::{
        Action, Admission, Direction, Disposition, Gets, Group, List, Member, Obstacle, Onward, Origin, Policy, Post,
        Sealing, Step, Wrapping,
    },
    protocol::{Needs, Role, Signer},
    verdict::Verdict,
};

/// Whether there is a key for an address, in each protocol.
pub type KeyStates = BTreeMap<ProtocolName, KeyState>;

/// A post with what was found in it.
pub(super) struct Found {
    /// What was found, as it came.
    pub(super) verdict: Verdict,
    /// Without its layers, as far as a key of the list opens them.
    pub(super) content: Message,
    /// The field that tells of it.
    pub(super) results: String,
    wrapping: Wrapping,
    /// Whether it hides nothing, or a key of the list opened it.
    pub(super) is_opened: bool,
}

/// What members get.
#[derive(Default)]
pub(super) struct Shares {
    /// What is done, with the members that it is done for.
    pub(super) groups: Vec<Group>,
    /// Those who get a copy, with their groups by place.
    pub(super) copies: Vec<(Member, usize)>,
    /// Those who get none for want of a key, and why.
    pub(super) skipped: Vec<(Address, String)>,
}

/// A mail for a list, on its way from the address that it came to.
pub(super) struct ForList<'a> {
    /// As it came.
    pub(super) came: &'a Mail,
    /// What was found in it.
    pub(super) verdict: &'a Verdict,
    /// What the rules deliver.
    pub(super) one: &'a Made,
    /// The list among the recipients.
    pub(super) path: &'a ForwardPath,
    /// How it became one.
    pub(super) origin: &'a Origin,
}

impl Engine<'_> {
    /// What becomes of a mail for `list`.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`](super::Handler::handle).
    pub(super) fn post(&self, mail: &ForList<'_>, list: &List, handler: HandlerContext<'_>) -> Result<SentOn> {
        let root = mail.came.message.root();
        if is_of(list, root) {
            let reject = Disposition::Reject(format!("{}: {}", list.address, Obstacle::ForwardingLoop.reply()));
            return Ok(mail.answered(list, Obstacle::ForwardingLoop, reject));
        }
        let owner = list.owner();
        if mail.came.envelope.sender.address.is_none() || is_automatic(root) {
            let path = ForwardPath { address: owner.clone(), parameters: Vec::new() };
            return match handler.policy.onward(&owner) {
                Some(onward @ Onward::Forward(_)) => {
                    let origin = mail.origin.then(Step::List(list.address.clone()));
                    self.next_leg(mail.came, mail.one, &path, onward, &origin, handler)
                }
                _ => Ok(mail.refused(list, "it takes no automatic mail")),
            };
        }
        let members = match list.members.0.read() {
            Ok(members) => members,
            Err(error) => return Ok(mail.later(list, Obstacle::MembersUnavailable, error.to_string())),
        };
        let found = match self.found(mail, list, handler)? {
            Ok(found) => found,
            Err(obstacle) => {
                return Ok(mail.answered(list, obstacle, Disposition::Reject(obstacle.reply().to_owned())));
            }
        };
        let admitted = || {
            let post = Post {
                author: found.verdict.author(),
                standing: found.verdict.standing(),
                wrapping: &found.wrapping,
                is_opened: found.is_opened,
            };
            match list.admit(post, &members, handler.policy) {
                Admission::Post if is_of(list, found.content.root()) || is_automatic(found.content.root()) => {
                    Admission::Hold("its header within is that of a loop or of automatic mail".to_owned())
                }
                admission => admission,
            }
        };
        // What the keys of the members say is told before anything that depends on a plaintext.
        let is_encrypted = found.wrapping == Wrapping::Encrypted;
        if !is_encrypted {
            match admitted() {
                Admission::Post => {}
                Admission::Hold(why) => return self.held(mail, list, &why, handler),
                Admission::Reject(why) => return Ok(mail.refused(list, &why)),
            }
        }
        let shares = self.shares(list, &members, handler.policy)?;
        let is_for_now = |group: &&Group| matches!(group.disposition, Disposition::Tempfail(_));
        if let Some(Group { obstacle: Some(obstacle), cause, .. }) = shares.groups.iter().find(is_for_now) {
            return Ok(mail.later(list, *obstacle, cause.clone().unwrap_or_default()));
        }
        match if is_encrypted { admitted() } else { Admission::Post } {
            Admission::Post => self.posted(mail, list, found, shares, handler),
            Admission::Hold(why) => self.held(mail, list, &why, handler),
            Admission::Reject(why) => Ok(mail.refused(list, &why)),
        }
    }

    /// The post opened by the keys of the list, or why it cannot be read.
    pub(super) fn found(
        &self,
        mail: &ForList<'_>,
        list: &List,
        handler: HandlerContext<'_>,
    ) -> Result<std::result::Result<Found, Obstacle>> {
        let delivered = mail.delivered();
        if let Some(results) = &mail.one.results {
            return Ok(Ok(Found {
                verdict: mail.verdict.clone(),
                content: delivered.clone(),
                results: results.clone(),
                wrapping: Wrapping::Encrypted,
                is_opened: true,
            }));
        }
        let policy = Onward::List(list).policy(handler.policy);
        let owners = handler.policy.owners(&list.address);
        let envelope = Envelope { sender: mail.came.envelope.sender.clone(), recipients: vec![mail.path.clone()] };
        let message = Mail { envelope, submitter: Submitter::Host, client: None, message: delivered.clone() };
        let gathered = self.gather_from_snapshot(&message, &policy, Readers::Mailbox(&owners))?;
        let Some(opening) = gathered.opening else { return Ok(Err(Obstacle::Oversized)) };
        let verdict = gathered.verdict;
        let own = handler.believed().own;
        let wrapping = match opening.error() {
            Some(error) if !error.is_sealed() => return Ok(Err(Obstacle::Malformed)),
            None if !verdict.is_confidential() => Wrapping::Plain,
            Some(_) | None => Wrapping::Encrypted,
        };
        let results = opening.results(own, Shown::AsItCame);
        let mut content = None;
        if opening.error().is_none() {
            let mut octets = Vec::with_capacity(delivered.octets().len());
            let written = opening.write(&mut octets).and_then(|()| self.parsed(octets));
            match written {
                Ok(written) => content = Some(written),
                // As if it had not decrypted.
                Err(error) if verdict.is_confidential() => {
                    tracing::debug!(event = "content-not-delivered", %error);
                }
                Err(error) => return Err(error),
            }
        }
        let is_opened = content.is_some();
        let content = content.unwrap_or_else(|| delivered.clone());
        Ok(Ok(Found { verdict, content, results, wrapping, is_opened }))
    }

    /// What each member of a list is to get, as policy decides it, with the states of their keys.
    ///
    /// # Errors
    ///
    /// The members cannot be read, or the keys could not be asked at all.
    pub fn members_of(&self, list: &List, policy: &Policy) -> Result<Vec<(Member, Group, KeyStates)>> {
        let mut all = Vec::new();
        self.decide_each(list, &list.members.0.read()?, policy, |member, group, states| {
            all.push((member.clone(), group, states));
        })?;
        Ok(all)
    }

    /// What is done for these members.
    pub(super) fn shares(&self, list: &List, members: &[Member], policy: &Policy) -> Result<Shares> {
        let mut shares = Shares::default();
        let mut known: BTreeMap<(Vec<String>, Option<Obstacle>, &'static str), usize> = BTreeMap::new();
        self.decide_each(list, members, policy, |member, mut group, states| {
            if let (Disposition::Discard, Some(obstacle)) = (&group.disposition, group.obstacle) {
                shares.skipped.push((member.address.clone(), lack(obstacle, states.values())));
            }
            let actions: Vec<String> = group.actions.iter().map(Action::name).collect();
            let place = *known.entry((actions, group.obstacle, group.disposition.name())).or_insert_with(|| {
                shares.groups.push(Group { recipients: Vec::new(), ..group.clone() });
                shares.groups.len() - 1
            });
            if group.disposition == Disposition::Relay {
                shares.copies.push((member.clone(), place));
            }
            shares.groups.get_mut(place).into_iter().for_each(|known| known.recipients.append(&mut group.recipients));
        })?;
        Ok(shares)
    }

    /// Decides for each member. The keys of some of them at a time are in memory.
    fn decide_each(
        &self,
        list: &List,
        members: &[Member],
        policy: &Policy,
        mut decided: impl FnMut(&Member, Group, KeyStates),
    ) -> Result<()> {
        let signing = self.key_states(&list.address, Role::Signer, &list.protocols(members))?;
        for batch in members.chunks(BATCH) {
            let keys = self.member_keys(list, batch, policy)?;
            for member in batch {
                let states = keys.recipient(&member.address, &list.protocols_of(member).iter().copied().collect());
                let mut group = list.decide(member, &states, &signing);
                if policy.lists.of(&member.address).is_some() {
                    let (obstacle, disposition) = (Some(Obstacle::ForwardingLoop), Disposition::Discard);
                    group = Group { obstacle, actions: Vec::new(), disposition, ..group };
                }
                decided(member, group, states);
            }
        }
        Ok(())
    }

    /// The keys of these members, and of the list, in each protocol that may be used for one of them.
    pub(super) fn member_keys(&self, list: &List, members: &[Member], policy: &Policy) -> Result<MessageKeys> {
        let mut needs: BTreeMap<ProtocolName, Needs> = BTreeMap::new();
        let signers = vec![Signer::Address(list.address.clone())];
        for member in members.iter().filter(|one| !matches!(one.gets.unwrap_or(list.gets), Gets::Clear | Gets::Nothing))
        {
            for protocol in list.protocols_of(member) {
                let needs =
                    needs.entry(*protocol).or_insert_with(|| Needs { signers: signers.clone(), ..Needs::default() });
                needs.recipients.push(member.address.clone());
                needs.others.insert(member.address.clone(), policy.other_addresses(&member.address));
            }
        }
        self.resolve(&needs)
    }

    /// The post for those who get it, and what is held for the others.
    pub(super) fn posted(
        &self,
        mail: &ForList<'_>,
        list: &List,
        found: Found,
        shares: Shares,
        handler: HandlerContext<'_>,
    ) -> Result<SentOn> {
        let origin = mail.origin.then(Step::List(list.address.clone()));
        let mut sent_on = mail.answered_as(list, None, Disposition::Post);
        for group in shares.groups.iter().filter(|group| matches!(group.disposition, Disposition::Quarantine(_))) {
            let sender = ReversePath { address: Some(list.bounces()), parameters: Vec::new() };
            let group = Group { origin: origin.clone(), ..group.clone() };
            sent_on.made.push(self.held_for(mail, group, sender, handler)?);
        }
        let is_clear = |group: &Group| group.actions == [Action::Clear];
        let content = self.written(list, &found.content, &found.results, handler)?;
        let clear = if shares.groups.iter().any(is_clear) && found.wrapping != Wrapping::Encrypted {
            self.written(list, mail.delivered(), &found.results, handler)?
        } else {
            content.clone()
        };
        let parameters = &mail.came.envelope.sender.parameters;
        let Shares { mut groups, copies, skipped } = shares;
        groups.iter_mut().for_each(|group| group.origin = origin.clone());
        sent_on.postings.push(Arc::new(Posting {
            list: list.clone(),
            origin,
            groups,
            copies,
            content,
            clear,
            parameters: parameters.iter().filter(|one| one.eq_ignore_ascii_case("SMTPUTF8")).cloned().collect(),
            notices: self.notices(list, mail.came.message.root(), &skipped, &handler.policy.lists.texts)?,
            request: None,
        }));
        Ok(sent_on)
    }

    fn held(&self, mail: &ForList<'_>, list: &List, why: &str, handler: HandlerContext<'_>) -> Result<SentOn> {
        let group =
            mail.group(list, Some(Obstacle::NotPosted), Disposition::Quarantine(format!("{}: {why}", list.name())));
        let made = self.held_for(mail, group, mail.came.envelope.sender.clone(), handler)?;
        Ok(SentOn { made: vec![made], ..SentOn::default() })
    }

    /// The message as it came, for a group that it is held for.
    fn held_for(
        &self,
        mail: &ForList<'_>,
        group: Group,
        sender: ReversePath,
        handler: HandlerContext<'_>,
    ) -> Result<Made> {
        let believed = handler.believed();
        let message = &mail.came.message;
        let unwanted = Edits::default().apply(message, |field| believed.removes(field) || field.is(marker::NAME));
        let message = unwanted.map_or_else(|| Ok(message.clone()), |octets| self.parsed(octets))?;
        let envelope = Envelope { sender, recipients: group.recipients.clone() };
        let held = Mail { envelope, submitter: mail.came.submitter.clone(), client: None, message };
        Ok(Made { mail: Some(held), ..Made::nothing(group) })
    }

    pub(super) fn parsed(&self, octets: Vec<u8>) -> Result<Message> {
        Message::received(octets, &mut self.budget())
    }
}

impl ForList<'_> {
    /// What the rules deliver.
    pub(super) fn delivered(&self) -> &Message {
        self.one.mail.as_ref().map_or(&self.came.message, |mail| &mail.message)
    }

    fn group(&self, list: &List, obstacle: Option<Obstacle>, disposition: Disposition) -> Group {
        Group {
            recipients: vec![self.path.clone()],
            origin: self.origin.clone(),
            direction: Direction::Outbound,
            rule: list.name(),
            obstacle,
            cause: None,
            actions: Vec::new(),
            sealing: Sealing::default(),
            disposition,
        }
    }

    pub(super) fn answered_as(&self, list: &List, obstacle: Option<Obstacle>, disposition: Disposition) -> SentOn {
        SentOn { made: vec![Made::nothing(self.group(list, obstacle, disposition))], ..SentOn::default() }
    }

    fn answered(&self, list: &List, obstacle: Obstacle, disposition: Disposition) -> SentOn {
        self.answered_as(list, Some(obstacle), disposition)
    }

    fn refused(&self, list: &List, why: &str) -> SentOn {
        self.answered(list, Obstacle::NotPosted, Disposition::Reject(format!("{}: {why}", list.address)))
    }

    fn later(&self, list: &List, obstacle: Obstacle, cause: String) -> SentOn {
        let group = self.group(list, Some(obstacle), Disposition::Tempfail(obstacle.reply().to_owned()));
        SentOn { made: vec![Made::nothing(Group { cause: Some(cause), ..group })], ..SentOn::default() }
    }
}

/// Why a member gets nothing, for the owner.
fn lack<'a>(obstacle: Obstacle, states: impl Iterator<Item = &'a KeyState>) -> String {
    let words = states.filter_map(|state| match state {
        KeyState::Expired(why) | KeyState::Missing(why) | KeyState::Unknown(why) => Some(why.as_str()),
        KeyState::Usable { .. } => None,
    });
    let words: Vec<&str> = words.collect();
    match obstacle {
        Obstacle::ExpiredKey | Obstacle::MissingKey if !words.is_empty() => words.join("; "),
        Obstacle::ForwardingLoop => "is a list of this host".to_owned(),
        Obstacle::NoSigningKey => "the list has no key to sign with in the protocol of the member's key".to_owned(),
        _ => obstacle.reply().to_owned(),
    }
}

/// Whether the message went through `list` before (RFC 2919, section 2).
pub(super) fn is_of(list: &List, root: Part<'_>) -> bool {
    let own = format!("<{}>", list.id()).to_lowercase();
    root.fields().filter(|field| field.is("List-Id")).any(|field| field.unfolded().to_lowercase().contains(&own))
}

/// Whether the message was sent without a person (RFC 3834, section 5).
pub(super) fn is_automatic(root: Part<'_>) -> bool {
    root.fields().filter(|field| field.is("Auto-Submitted")).any(|field| {
        let value = field.unfolded();
        let word = value.split([';', ' ', '\t', '(']).map(str::trim).find(|word| !word.is_empty());
        !word.is_some_and(|word| word.eq_ignore_ascii_case("no"))
    })
}

/// Members whose keys are in memory at once.
const BATCH: usize = 100;
