//! Mails and outcomes as they are sent: messages as their octets, each once.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use super::{
    bounds::{Bounded, Sizes},
    channel::gone,
};
use crate::{
    base::{Budget, Error, Limits, Result},
    engine::{Asked, Judged, Outcome, Posting, Times, Unopened, UsedKeys},
    mail::{Address, Envelope, Mail, Message, Submitter},
    policy::{Decision, Group, List, Lists, Member, Origin},
};

/// A [`Mail`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct MailForm {
    envelope: Envelope,
    submitter: Submitter,
    client: Option<IpAddr>,
    octets: MessageOctets,
}

impl Bounded for MailForm {
    fn most(_: u8, sizes: &Sizes) -> u32 {
        sizes.made
    }
}

/// The octets of a message, which are sent from where they lie.
#[derive(Debug)]
enum MessageOctets {
    Received(ByteBuf),
    ToSend(Box<Message>),
}

impl Serialize for MessageOctets {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(match self {
            MessageOctets::Received(octets) => octets,
            MessageOctets::ToSend(message) => message.octets(),
        })
    }
}

impl<'de> Deserialize<'de> for MessageOctets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        ByteBuf::deserialize(deserializer).map(MessageOctets::Received)
    }
}

impl MessageOctets {
    fn into_octets(self) -> ByteBuf {
        match self {
            MessageOctets::Received(octets) => octets,
            MessageOctets::ToSend(message) => ByteBuf::from(message.into_octets()),
        }
    }
}

/// An [`Outcome`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct OutcomeForm {
    /// The messages that are not as they came, each once.
    messages: Vec<MessageOctets>,
    mails: Vec<(Envelope, Submitter, Octets)>,
    postings: Vec<PostingForm>,
    verdict: Judged,
    decision: Decision,
    aliases: Vec<(Address, Vec<Address>)>,
    joined: Vec<(Address, Address)>,
    keys: Vec<UsedKeys>,
    notes: Vec<String>,
    unopened: Vec<Unopened>,
    times: Times,
}

/// Which message a mail has.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Octets {
    /// That which the judge was given.
    AsCame,
    /// One of those that it made.
    Made(u32),
}

/// A [`Posting`], whose list both processes know.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct PostingForm {
    list: Address,
    origin: Origin,
    groups: Vec<Group>,
    copies: Vec<(Member, usize)>,
    content: MessageOctets,
    clear: MessageOctets,
    parameters: Vec<String>,
    notices: Vec<MailForm>,
    request: Option<Asked>,
}

/// The list with this address, which the process at the other end names.
///
/// # Errors
///
/// `Usage`: it is not in the configuration.
pub(super) fn named<'l>(lists: impl IntoIterator<Item = &'l Lists>, address: &Address) -> Result<&'l List> {
    let found = lists.into_iter().find_map(|lists| lists.of(address));
    found.ok_or_else(|| Error::usage(format!("list {address}: not in the configuration")))
}

impl MailForm {
    pub(super) fn of(mail: &Mail) -> MailForm {
        let Mail { envelope, submitter, client, message } = mail.clone();
        MailForm { envelope, submitter, client, octets: MessageOctets::ToSend(Box::new(message)) }
    }

    /// # Errors
    ///
    /// `Malformed`: the message is over the bounds.
    pub(super) fn mail(self, read: impl Fn(ByteBuf) -> Result<Message>) -> Result<Mail> {
        let MailForm { envelope, submitter, client, octets } = self;
        Ok(Mail { envelope, submitter, client, message: read(octets.into_octets())? })
    }
}

/// A message as the judge reads it.
///
/// # Errors
///
/// `Malformed`: the message is over the bounds.
pub(super) fn whole(octets: ByteBuf, limits: &Limits) -> Result<Message> {
    Message::received(octets.into_vec(), &mut Budget::new(limits.clone()))
}

/// A message as the service reads it: its header.
///
/// # Errors
///
/// `Malformed`: the header is over the bounds.
pub(super) fn undivided(octets: ByteBuf, limits: &Limits) -> Result<Message> {
    Message::undivided(octets.into_vec(), limits)
}

impl OutcomeForm {
    /// The outcome of a mail with the message `came`.
    pub(super) fn of(outcome: &Outcome, came: &Message) -> OutcomeForm {
        let mut made: Vec<&Message> = Vec::new();
        let mut mails = Vec::new();
        for mail in &outcome.mails {
            let octets = if mail.message.octets() == came.octets() {
                Octets::AsCame
            } else {
                let known = made.iter().position(|one| one.octets() == mail.message.octets());
                let place = known.unwrap_or_else(|| {
                    made.push(&mail.message);
                    made.len() - 1
                });
                Octets::Made(u32::try_from(place).unwrap_or(u32::MAX))
            };
            mails.push((mail.envelope.clone(), mail.submitter.clone(), octets));
        }
        OutcomeForm {
            messages: made.into_iter().map(|one| MessageOctets::ToSend(Box::new(one.clone()))).collect(),
            mails,
            postings: outcome.postings.iter().map(|posting| PostingForm::of(posting)).collect(),
            verdict: outcome.verdict.clone(),
            decision: outcome.decision.clone(),
            aliases: outcome.aliases.clone(),
            joined: outcome.joined.clone(),
            keys: outcome.keys.clone(),
            notes: outcome.notes.clone(),
            unopened: outcome.unopened.clone(),
            times: outcome.times,
        }
    }

    /// The outcome of a mail with the message `came`; `list` finds the lists.
    ///
    /// # Errors
    ///
    /// `TryAgain`: it is not the outcome of this mail. Others: a message is over the bounds.
    pub(super) fn outcome<'l>(
        self,
        came: &Message,
        list: impl Fn(&Address) -> Result<&'l List>,
        limits: &Limits,
    ) -> Result<Outcome> {
        let made: Vec<Message> =
            self.messages.into_iter().map(|octets| undivided(octets.into_octets(), limits)).collect::<Result<_>>()?;
        let mail = |(envelope, submitter, octets)| {
            let message = match octets {
                Octets::AsCame => came,
                Octets::Made(number) => {
                    let made = usize::try_from(number).ok().and_then(|number| made.get(number));
                    made.ok_or_else(|| gone(&"it names a message that it did not make"))?
                }
            };
            Ok(Mail { envelope, submitter, client: None, message: message.clone() })
        };
        let posting = |form: PostingForm| {
            let list = list(&form.list)?;
            form.posting(list, |octets| undivided(octets, limits)).map(Arc::new)
        };
        Ok(Outcome {
            mails: self.mails.into_iter().map(mail).collect::<Result<_>>()?,
            postings: self.postings.into_iter().map(posting).collect::<Result<_>>()?,
            verdict: self.verdict,
            decision: self.decision,
            aliases: self.aliases,
            joined: self.joined,
            keys: self.keys,
            notes: self.notes,
            unopened: self.unopened,
            times: self.times,
        })
    }
}

impl PostingForm {
    pub(super) fn of(posting: &Posting) -> PostingForm {
        PostingForm {
            list: posting.list.address.clone(),
            origin: posting.origin.clone(),
            groups: posting.groups.clone(),
            copies: posting.copies.clone(),
            content: MessageOctets::ToSend(Box::new(posting.content.clone())),
            clear: MessageOctets::ToSend(Box::new(posting.clear.clone())),
            parameters: posting.parameters.clone(),
            notices: posting.notices.iter().map(MailForm::of).collect(),
            request: posting.request.clone(),
        }
    }

    pub(super) fn list(&self) -> &Address {
        &self.list
    }

    /// # Errors
    ///
    /// A message is over the bounds.
    pub(super) fn posting(self, list: &List, read: impl Fn(ByteBuf) -> Result<Message>) -> Result<Posting> {
        Ok(Posting {
            list: list.clone(),
            origin: self.origin,
            groups: self.groups,
            copies: self.copies,
            content: read(self.content.into_octets())?,
            clear: read(self.clear.into_octets())?,
            parameters: self.parameters,
            notices: self.notices.into_iter().map(|form| form.mail(&read)).collect::<Result<_>>()?,
            request: self.request,
        })
    }
}
