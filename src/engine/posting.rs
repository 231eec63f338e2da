//! The copies of a post for the members of a list, made as they are sent.

use std::ops::Range;

use super::{
    Engine, HandlerContext,
    accounting::Unopened,
    edit::Edits,
    leg::{Leg, Made},
    list::{ForList, Found, Shares, no_copy},
    marker,
    onward::Origins,
};
use crate::{
    base::Result,
    keys::{KeyState, ProtocolName, Snapshot},
    mail::{
        Address, Envelope, ForwardPath, Mail, Message, Part, ReversePath, Submitter, address, compose::Draft,
        encoding::encode_phrase,
    },
    policy::{Action, Disposition, FromField, Group, List, Member, Origin, Otherwise, Posters, ReplyTo},
    protocol::{Recipient, Role, Seal, Signer},
};

/// A post that was opened once, with what each member of the list gets. Its copies are made a few at a time ([`Handler::copies`](super::Handler::copies)),
/// so that all of them are never in memory.
#[derive(Debug)]
pub struct Posting {
    list: List,
    path: ForwardPath,
    origin: Origin,
    /// What is done for the members, who are in exactly one of them.
    groups: Vec<Group>,
    /// Those who get a copy, with their groups by place.
    copies: Vec<(Member, usize)>,
    /// What the list seals.
    content: Message,
    /// What goes in clear.
    clear: Message,
    /// The ESMTP parameters of the sender of each copy.
    parameters: Vec<String>,
    /// What the owners are told.
    notices: Vec<Mail>,
}

impl Posting {
    pub(super) fn new(
        engine: &Engine<'_>,
        mail: &ForList<'_>,
        list: &List,
        found: Found,
        shares: Shares,
        origin: Origin,
        handler: HandlerContext<'_>,
    ) -> Result<Posting> {
        let is_clear = |group: &Group| group.actions == [Action::Clear];
        let content = engine.written(list, &found.content, &found, handler)?;
        let is_hidden = found.verdict.is_confidential() || mail.one.results.is_some();
        let clear = if shares.groups.iter().any(is_clear) && !is_hidden {
            engine.written(list, mail.delivered(), &found, handler)?
        } else {
            content.clone()
        };
        let notices = engine.notices(list, mail.came.message.root(), &shares.skipped)?;
        let parameters = &mail.came.envelope.sender.parameters;
        let parameters = parameters.iter().filter(|one| one.eq_ignore_ascii_case("SMTPUTF8")).cloned().collect();
        let Shares { groups, copies, .. } = shares;
        let (list, path) = (list.clone(), mail.path.clone());
        Ok(Posting { list, path, origin, groups, copies, content, clear, parameters, notices })
    }

    /// The address of the list, as it is in the envelope.
    pub fn recipient(&self) -> &ForwardPath {
        &self.path
    }

    /// The list.
    pub fn list(&self) -> &List {
        &self.list
    }

    /// How the members came to be recipients.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is done for the members. Each is in exactly one group.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many mails it is: the copies, and the notices to the owners at the end.
    pub fn mails(&self) -> usize {
        self.copies.len() + self.notices.len()
    }

    /// Octets that it has in memory.
    pub fn octets(&self) -> usize {
        self.content.octets().len() + self.clear.octets().len()
    }
}

impl Engine<'_> {
    /// See [`Handler::copies`](super::Handler::copies).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn copies(&self, posting: &Posting, range: Range<usize>, handler: HandlerContext<'_>) -> Result<Vec<Mail>> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        self.with_keys(&keys).copies_from_snapshot(posting, range, handler)
    }

    fn copies_from_snapshot(
        &self,
        posting: &Posting,
        range: Range<usize>,
        handler: HandlerContext<'_>,
    ) -> Result<Vec<Mail>> {
        let count = posting.copies.len();
        let some = posting.copies.get(range.start.min(count)..range.end.min(count));
        let some = some.ok_or_else(|| no_copy("a range that ends before it starts"))?;
        let members: Vec<Member> = some.iter().map(|(member, _)| member.clone()).collect();
        let keys = self.member_keys(&posting.list, &members, handler)?;
        let mut mails: Vec<Option<Mail>> = some.iter().map(|_| None).collect();
        for (place, group) in posting.groups.iter().enumerate() {
            let own: Vec<usize> =
                some.iter().enumerate().filter(|(_, (_, at))| *at == place).map(|(at, _)| at).collect();
            let to: Vec<Address> =
                own.iter().filter_map(|at| members.get(*at)).map(|one| one.address.clone()).collect();
            if to.is_empty() {
                continue;
            }
            let sealing = group.actions.iter().find_map(|action| match action {
                Action::Sign(protocol) | Action::SignAndEncrypt(protocol) => Some(*protocol),
                _ => None,
            });
            let signing = Seal { sign: vec![Signer::Address(posting.list.address.clone())], ..Seal::default() };
            let copies = match sealing {
                None => vec![posting.clear.octets().to_vec(); to.len()],
                Some(protocol) if group.encrypts() => {
                    let to = to.iter().cloned().map(Recipient::Named).collect();
                    let seal = group.sealing.applied_to(Seal { to, ..signing }, protocol);
                    self.seal_each(keys.of(protocol)?, protocol, &posting.content, &seal)?
                }
                Some(protocol) => {
                    let seal = group.sealing.applied_to(signing, protocol);
                    let mut octets = Vec::with_capacity(posting.content.octets().len() * 3 / 2);
                    self.seal_with(keys.of(protocol)?, protocol, &posting.content, &seal, &mut octets)?;
                    vec![octets; to.len()]
                }
            };
            for ((at, to), octets) in own.into_iter().zip(to).zip(copies) {
                let mail = posting.copy_for(to, self.parsed(posting.addressed(octets, &members, at))?);
                mails.get_mut(at).into_iter().for_each(|place| *place = Some(mail.clone()));
            }
        }
        let mut all = Vec::with_capacity(mails.len());
        for mail in mails {
            let mail = mail.ok_or_else(|| no_copy("a member without a group"))?;
            self.follow(mail, posting, handler, &mut all)?;
        }
        let after = |at: usize| at.saturating_sub(count).min(posting.notices.len());
        all.extend(posting.notices.get(after(range.start)..after(range.end)).unwrap_or_default().iter().cloned());
        Ok(all)
    }

    /// The copy, or what becomes of it where the member forwards their mail.
    fn follow(&self, mail: Mail, posting: &Posting, handler: HandlerContext<'_>, all: &mut Vec<Mail>) -> Result<()> {
        let goes_on = mail.envelope.recipients.iter().any(|path| handler.policy.onward(&path.address).is_some());
        if !goes_on {
            all.push(mail);
            return Ok(());
        }
        let group = posting.groups.iter().find(|group| group.recipients.first() == mail.envelope.recipients.first());
        let group = group.or(posting.groups.first()).ok_or_else(|| no_copy("no group"))?;
        let group = Group { recipients: mail.envelope.recipients.clone(), ..group.clone() };
        let made =
            Made { mail: Some(mail.clone()), ..Made::nothing(Group { disposition: Disposition::Relay, ..group }) };
        let verdict = self.unopened(&mail);
        let leg = Leg {
            mail,
            verdict,
            made: vec![made],
            notes: Vec::new(),
            unopened: Vec::<Unopened>::new(),
            times: Default::default(),
        };
        let sent_on = self.send_on(leg, &Origins::all(posting.origin.clone()), handler)?;
        for made in sent_on.made {
            match (made.mail, made.group.disposition) {
                (Some(mail), Disposition::Relay) => all.push(mail),
                (_, disposition) => {
                    let to: Vec<String> = made.group.recipients.iter().map(|path| path.address.to_string()).collect();
                    let (origin, reason) = (made.group.origin.to_string(), disposition.reason().map(str::to_owned));
                    tracing::warn!(event = "list-copy-refused", to = to.join(","), origin, reason);
                }
            }
        }
        Ok(())
    }

    /// `message` with the fields of the list.
    fn written(&self, list: &List, message: &Message, found: &Found, handler: HandlerContext<'_>) -> Result<Message> {
        let believed = handler.believed();
        let mut edits = Edits::default();
        for action in &list.rule.edits {
            match action {
                Action::AddHeader(name, value) => edits.add(name, value),
                Action::RemoveHeader(name) => edits.remove(name),
                Action::TagSubject(words) => edits.tag(words),
                _ => {}
            }
        }
        // Fields that others wrote for their lists, or that ask members for receipts.
        REMOVED.iter().for_each(|name| edits.remove(name));
        let root = message.root();
        from_and_reply_to(list, root, &mut edits);
        let (address, owner, request) = (&list.address, list.owner(), list.request());
        let description = list.description.as_deref().map(|text| format!("{} ", encode_phrase(text)));
        edits.add_raw(format!("List-Id: {}<{}>", description.unwrap_or_default(), list.id()));
        let takes_none = list.post == Posters::Moderators && list.otherwise == Otherwise::Reject;
        edits.add_raw(if takes_none { "List-Post: NO".to_owned() } else { format!("List-Post: <mailto:{address}>") });
        edits.add_raw(format!("List-Owner: <mailto:{owner}>"));
        if list.unsubscribe.is_none() {
            edits.add_raw(format!("List-Unsubscribe: <mailto:{request}?subject=unsubscribe>"));
        }
        edits.add_raw("Precedence: list".to_owned());
        edits.add_raw(found.results.clone());
        let unwanted = |field: &crate::mail::header::Field<'_>| believed.removes(field) || field.is(marker::NAME);
        let octets = edits.apply(message, unwanted).unwrap_or_else(|| message.octets().to_vec());
        self.parsed(octets)
    }

    /// What the owners are told of members who get nothing. It names members only where it is encrypted.
    fn notices(&self, list: &List, root: Part<'_>, skipped: &[(Address, String)]) -> Result<Vec<Mail>> {
        if skipped.is_empty() {
            return Ok(Vec::new());
        }
        list.owners.iter().map(|owner| self.notice(list, owner, root, skipped)).collect()
    }

    fn notice(&self, list: &List, owner: &Address, root: Part<'_>, skipped: &[(Address, String)]) -> Result<Mail> {
        let count = skipped.len();
        let id = root.header("Message-ID").unwrap_or_default();
        let id: String = id.chars().filter(|c| c.is_ascii_graphic()).take(200).collect();
        let mut text = format!(
            "The post {id} to {} was not sent to {count} members:\r\nthere is no usable key.\r\n",
            list.address
        );
        let protocols = list.rule.protocols.iter().copied().collect();
        let readable = self.key_states(owner, Role::Recipient, &protocols)?;
        let signing = self.key_states(&list.address, Role::Signer, &protocols)?;
        let is_usable = |state: Option<&KeyState>| state.is_some_and(KeyState::is_usable);
        let suits = |protocol: &&ProtocolName| is_usable(readable.get(protocol)) && is_usable(signing.get(protocol));
        let protocol = list.rule.protocols.iter().find(suits);
        match protocol {
            None => text += "\r\nWho they are says: postseal list check\r\n",
            Some(_) => {
                text += "\r\n";
                for (address, why) in skipped.iter().take(NAMED) {
                    let why: String = why.chars().filter(|c| !c.is_control()).collect();
                    text += &format!("{address}: {why}\r\n");
                }
            }
        }
        let from = address::Mailbox { name: None, address: list.owner() };
        let subject = Some(format!("{}: not sent to {count} members", list.address.local()));
        let draft = Draft { from, to: vec![owner.clone()], subject };
        let mut octets = b"Auto-Submitted: auto-generated\r\n".to_vec();
        octets.extend(draft.message(text.as_bytes(), self.context.clock, self.context.random)?);
        let mut message = self.parsed(octets)?;
        if let Some(protocol) = protocol {
            let seal = Seal {
                sign: vec![Signer::Address(list.address.clone())],
                to: vec![Recipient::Named(owner.clone())],
                ..Seal::default()
            };
            let mut octets = Vec::new();
            self.seal(*protocol, &message, &seal.with_usual_headers(*protocol), &mut octets)?;
            message = self.parsed(octets)?;
        }
        let recipients = vec![ForwardPath { address: owner.clone(), parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        Ok(Mail { envelope, submitter: Submitter::Host, message })
    }
}

impl Posting {
    fn copy_for(&self, member: Address, message: Message) -> Mail {
        let sender = ReversePath { address: Some(self.list.sender(&member)), parameters: self.parameters.clone() };
        let recipients = vec![ForwardPath { address: member, parameters: Vec::new() }];
        Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Host, message }
    }

    /// With the fields that are for this member alone, above what is sealed.
    fn addressed(&self, octets: Vec<u8>, members: &[Member], at: usize) -> Vec<u8> {
        let (Some(url), Some(member)) = (&self.list.unsubscribe, members.get(at)) else { return octets };
        let encoded: String = member.address.to_string().bytes().map(percent).collect();
        let line_break = if octets.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" };
        let url = url.replace("{member}", &encoded);
        let request = self.list.request();
        let fields = format!(
            "List-Unsubscribe: <{url}>, <mailto:{request}?subject=unsubscribe>{line_break}\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click{line_break}"
        );
        [fields.into_bytes(), octets].concat()
    }
}

/// The author's field, or that of the list with the author's name; and where replies go.
fn from_and_reply_to(list: &List, root: Part<'_>, edits: &mut Edits) {
    let from = root.fields().find(|field| field.is("From"));
    let author = from.and_then(|field| address::list(&field.unfolded()).ok()?.into_iter().next());
    let named = match &list.reply_to {
        ReplyTo::Address(address) => Some(address.to_string()),
        ReplyTo::List => Some(list.address.to_string()),
        ReplyTo::Author => None,
    };
    let mut reply_to = named;
    if let (FromField::Rewrite, Some(author)) = (list.from, &author) {
        edits.remove("X-Original-From");
        edits.remove("From");
        edits.add_raw(format!("X-Original-From: {author}"));
        edits.add_raw(format!("From: {}", list.from_field(author)));
        let has_own = root.fields().any(|field| field.is("Reply-To"));
        reply_to = reply_to.or_else(|| (!has_own).then(|| author.to_string()));
    }
    if let Some(reply_to) = reply_to {
        edits.remove("Reply-To");
        edits.add_raw(format!("Reply-To: {reply_to}"));
    }
}

/// RFC 3986, section 2.1.
fn percent(octet: u8) -> String {
    let is_plain = octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    if is_plain { char::from(octet).to_string() } else { format!("%{octet:02X}") }
}

/// Fields that go from a post: those of other lists, and those that name or answer to the author alone.
const REMOVED: [&str; 15] = [
    "List-Id",
    "List-Post",
    "List-Owner",
    "List-Help",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Archive",
    "Precedence",
    "Return-Path",
    "Bcc",
    "Resent-Bcc",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "X-Confirm-Reading-To",
];
/// Members that a notice names.
const NAMED: usize = 200;
