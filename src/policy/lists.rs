//! Mailing lists: who may post, and what each member gets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{
    Action, Carried, Direction, Disposition, Group, ListTexts, Obstacle, Order, Origin, Policy, Request, Rule,
    Subscription, Wrapping, ruling::Ready,
};
use crate::{
    base::{Error, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, ForwardPath, NoAuthor, address::Mailbox},
    protocol::Role,
    verdict::Standing,
};

/// An address whose mail goes to members, to each in a copy of their own.
///
/// The rules of the policy decide first, as for any recipient. What they would deliver to the address is the post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The address. The list signs with its key, and opens posts with it.
    pub address: Address,
    /// Who gets what is not for the members: bounces, automatic mail, notices.
    pub owners: Vec<Address>,
    /// What people call it, in List-Id.
    pub description: Option<String>,
    /// Who the members are.
    pub members: Members,
    /// Who may post.
    pub post: Posters,
    /// What becomes of posts by others.
    pub otherwise: Otherwise,
    /// Who may post to a moderated list, as to any other.
    pub moderators: Vec<Address>,
    /// What a post must be.
    pub requires: BTreeSet<Requirement>,
    /// What members get who have no word of their own.
    pub gets: Gets,
    /// What a member gets who is to have it encrypted and has no usable key.
    pub without_key: WithoutKey,
    /// How copies are sealed: the protocols, the choices of sealing, and changes of the header. It has no conditions and no orders.
    pub rule: Rule,
    /// The From field of copies.
    pub from: FromField,
    /// Where replies go.
    pub reply_to: ReplyTo,
    /// What members may change by signed mail.
    pub subscription: Subscription,
    /// An https URL by which a member leaves, with `{member}` for their address (RFC 8058).
    pub unsubscribe: Option<String>,
}

/// One member of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Member {
    /// The address.
    pub address: Address,
    /// What they get; `None`: what the list says.
    pub gets: Option<Gets>,
    /// The protocols for their copies, the preferred one first; none: those of the list.
    pub protocols: Vec<ProtocolName>,
}

/// Where the members of a list are. Policy never reads them.
pub trait Membership: fmt::Debug + Send + Sync {
    /// All members now, each address once.
    ///
    /// # Errors
    ///
    /// They cannot be read: nothing is posted then.
    fn read(&self) -> Result<Arc<[Member]>>;

    /// Whether requests of members can be carried out.
    fn takes_requests(&self) -> bool {
        false
    }

    /// The file that requests change; `None`: there is none.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Carries out a request, unless it was before.
    ///
    /// # Errors
    ///
    /// It cannot be carried out now, or not here.
    fn carry_out(&self, _: &Request, _: SystemTime) -> Result<Carried> {
        Err(Error::unavailable("members of a list: they cannot be changed here"))
    }
}

/// A shared [`Membership`]. Two are equal when they are the same one.
#[derive(Clone, Debug)]
pub struct Members(pub Arc<dyn Membership>);

/// Members that do not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedMembers(pub Arc<[Member]>);

/// Who may post to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Posters {
    /// Everybody.
    Anybody,
    /// Members and moderators.
    Members,
    /// Moderators.
    Moderators,
}

/// What becomes of a post by one who may not post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Otherwise {
    /// It is held for the moderators.
    Hold,
    /// It is refused.
    Reject,
}

/// What a post must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// Signed by its author, with a key that is trusted here.
    Authentic,
    /// Encrypted.
    Encrypted,
}

/// What a member gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Gets {
    /// The post as it came, or in clear if it was encrypted.
    Clear,
    /// The post signed by the list, and encrypted for this member alone.
    Encrypt,
    /// Nothing: the member may post.
    Nothing,
    /// The post signed by the list, in clear.
    Sign,
}

/// What a member gets without a usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WithoutKey {
    /// What [`Gets::Clear`] says.
    Clear,
    /// Nothing now: the post is held for them.
    Hold,
    /// Nothing. The owner is told.
    Skip,
}

/// The From field of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FromField {
    /// The author's.
    Keep,
    /// The address of the list, with the author's name: DMARC of the author's domain does not concern the copies.
    Rewrite,
}

/// Where replies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyTo {
    /// To this address.
    Address(Address),
    /// To where the author says: to the author.
    Author,
    /// To the list.
    List,
}

/// What is known of a post.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// From's one mailbox, or why there is none.
    pub author: std::result::Result<&'a Address, &'a NoAuthor>,
    /// What its signatures are worth.
    pub standing: Standing,
    /// What it is as it came.
    pub wrapping: &'a Wrapping,
    /// Whether it hides nothing, or a key of the list opened it.
    pub is_opened: bool,
}

/// What becomes of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is held for the moderators; why.
    Hold(String),
    /// The members get it.
    Post,
    /// It is refused; why.
    Reject(String),
}

/// Lists by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    by_address: BTreeMap<String, List>,
    /// What they write by themselves.
    pub texts: ListTexts,
}

impl PartialEq for Members {
    fn eq(&self, other: &Members) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Members {}

impl Membership for FixedMembers {
    fn read(&self) -> Result<Arc<[Member]>> {
        Ok(Arc::clone(&self.0))
    }
}

impl List {
    /// What its groups call their rule.
    pub fn name(&self) -> String {
        format!("list {}", self.address)
    }

    /// The address of its owners.
    pub fn owner(&self) -> Address {
        self.named("owner")
    }

    /// The address that bounces go to.
    pub fn bounces(&self) -> Address {
        self.named("bounces")
    }

    /// The address for requests.
    pub fn request(&self) -> Address {
        self.named("request")
    }

    /// The identifier in List-Id (RFC 2919, section 2).
    pub fn id(&self) -> String {
        format!("{}.{}", self.address.local(), self.address.domain())
    }

    /// The envelope sender of the copy for `member`: bounces name them (VERP). Where that is no plain local part of 64 octets, [`List::bounces`].
    pub fn sender(&self, member: &Address) -> Address {
        let bounces = self.bounces();
        let local = format!("{}+{}={}", bounces.local(), member.local(), member.domain());
        let is_plain =
            local.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-./=?^_`{|}~".contains(&octet));
        if is_plain && local.len() <= MAX_LOCAL { bounces.with_local(&local) } else { bounces }
    }

    /// What becomes of a post.
    ///
    /// What is encrypted is never refused: the answer would depend on what is within, and tell the sender whether a key here opens it.
    pub fn admit(&self, post: Post<'_>, members: &[Member], policy: &Policy) -> Admission {
        if let Wrapping::Malformed(_) = post.wrapping {
            return Admission::Reject(Obstacle::Malformed.reply().to_owned());
        }
        let is_encrypted = *post.wrapping == Wrapping::Encrypted;
        let refused = |why: &str, otherwise: Otherwise| match otherwise {
            Otherwise::Reject if !is_encrypted => Admission::Reject(why.to_owned()),
            Otherwise::Reject | Otherwise::Hold => Admission::Hold(why.to_owned()),
        };
        let requires = |requirement| self.requires.contains(&requirement);
        if !post.is_opened {
            return refused("no key of the list opens the post", Otherwise::Reject);
        }
        if requires(Requirement::Encrypted) && !is_encrypted {
            return refused("posts to this list must be encrypted", Otherwise::Reject);
        }
        if requires(Requirement::Authentic) && post.standing < Standing::Authentic {
            return refused("posts to this list must be signed by their author", Otherwise::Reject);
        }
        let Ok(author) = post.author else { return refused("the post names no author", Otherwise::Reject) };
        let mut names = policy.other_addresses(author);
        names.insert(0, author.clone());
        let is_among = |all: &mut dyn Iterator<Item = &Address>| {
            let mut all = all.map(key);
            let names: Vec<String> = names.iter().map(key).collect();
            all.any(|one| names.contains(&one))
        };
        let is_moderator = || is_among(&mut self.moderators.iter());
        let may_post = match self.post {
            Posters::Anybody => true,
            Posters::Members => is_moderator() || is_among(&mut members.iter().map(|member| &member.address)),
            Posters::Moderators => is_moderator(),
        };
        match self.post {
            _ if may_post => Admission::Post,
            Posters::Moderators => refused("the list is moderated", self.otherwise),
            Posters::Anybody | Posters::Members => refused("only members may post to this list", self.otherwise),
        }
    }

    /// What `member` gets, who has these keys. `signing`: those of the list.
    ///
    /// It is [`Relay`](Disposition::Relay) with one action that seals, or with [`Action::Clear`] where the list says so; `Discard`: nothing;
    /// `Quarantine`: it is held for them; `Tempfail`: the post cannot be handled now.
    pub fn decide(
        &self,
        member: &Member,
        keys: &BTreeMap<ProtocolName, KeyState>,
        signing: &BTreeMap<ProtocolName, KeyState>,
    ) -> Group {
        let group = |actions: Vec<Action>, disposition| Group {
            recipients: vec![ForwardPath { address: member.address.clone(), parameters: Vec::new() }],
            origin: Origin::default(),
            direction: Direction::Outbound,
            rule: self.name(),
            obstacle: None,
            cause: None,
            actions,
            sealing: self.rule.sealing.clone(),
            disposition,
        };
        let clear = || group(vec![Action::Clear], Disposition::Relay);
        let later = |obstacle: Obstacle, why: String| Group {
            obstacle: Some(obstacle),
            cause: Some(why),
            ..group(Vec::new(), Disposition::Tempfail(obstacle.reply().to_owned()))
        };
        let roles: &[Role] = match member.gets.unwrap_or(self.gets) {
            Gets::Nothing => return group(Vec::new(), Disposition::Discard),
            Gets::Clear => return clear(),
            Gets::Encrypt => &[Role::Recipient, Role::Signer],
            Gets::Sign => &[Role::Signer],
        };
        let state = |protocol: ProtocolName, role: &Role| match role {
            Role::Recipient => keys.get(&protocol),
            Role::Signer => signing.get(&protocol),
        };
        let protocols = self.protocols_of(member);
        for protocol in protocols.iter().copied() {
            match Ready::of(roles.iter().map(|role| state(protocol, role))) {
                Ready::No => {}
                // Do not fall back to the next protocol: this one may have a key.
                Ready::Unknown(why) => return later(Obstacle::KeysUnavailable, why),
                Ready::Yes if roles.contains(&Role::Recipient) => {
                    return group(vec![Action::SignAndEncrypt(protocol)], Disposition::Relay);
                }
                Ready::Yes => return group(vec![Action::Sign(protocol), Action::Clear], Disposition::Relay),
            }
        }
        let is_usable = |role| protocols.iter().any(|one| state(*one, &role).is_some_and(KeyState::is_usable));
        if !is_usable(Role::Signer) {
            return later(Obstacle::NoSigningKey, format!("{}: no key to sign with", self.address));
        }
        let mut states = protocols.iter().filter_map(|one| keys.get(one));
        let obstacle = if is_usable(Role::Recipient) {
            Obstacle::NoSigningKey
        } else if states.any(|one| matches!(one, KeyState::Expired(_))) {
            Obstacle::ExpiredKey
        } else {
            Obstacle::MissingKey
        };
        let lacking = match self.without_key {
            WithoutKey::Clear => clear(),
            WithoutKey::Hold => group(Vec::new(), Disposition::Quarantine(format!("{}: no usable key", self.name()))),
            WithoutKey::Skip => group(Vec::new(), Disposition::Discard),
        };
        Group { obstacle: Some(obstacle), ..lacking }
    }

    /// The protocols for the copies of `member`, the preferred one first.
    pub fn protocols_of<'a>(&'a self, member: &'a Member) -> &'a [ProtocolName] {
        if member.protocols.is_empty() { &self.rule.protocols } else { &member.protocols }
    }

    /// The protocols in which it may seal for one of `members`.
    pub fn protocols(&self, members: &[Member]) -> BTreeSet<ProtocolName> {
        let own = self.rule.protocols.iter();
        own.chain(members.iter().flat_map(|member| &member.protocols)).copied().collect()
    }

    /// The From field of copies of a post by `author`.
    pub fn from_field(&self, author: &Mailbox) -> Mailbox {
        let who = author.name.clone().unwrap_or_else(|| author.address.local().to_owned());
        Mailbox { name: Some(format!("{who} via {}", self.address.local())), address: self.address.clone() }
    }

    /// The orders of the rule by which a post is opened.
    pub fn opening(&self) -> Rule {
        Rule { name: self.name(), orders: [Order::Decrypt].into(), ..Rule::default() }
    }

    fn named(&self, role: &str) -> Address {
        self.address.with_local(&format!("{}-{role}", self.address.local()))
    }
}

impl Lists {
    /// The same lists, which write these texts by themselves.
    #[must_use]
    pub fn writing(self, texts: ListTexts) -> Lists {
        Lists { texts, ..self }
    }

    /// The same lists over other members.
    #[must_use]
    pub fn over(mut self, members: impl Fn(&List) -> Members) -> Lists {
        for list in self.by_address.values_mut() {
            list.members = members(list);
        }
        self
    }

    /// Adds one; the one of the same address that was there before.
    pub fn insert(&mut self, list: List) -> Option<List> {
        self.by_address.insert(key(&list.address), list)
    }

    /// The one of exactly this address. Upper case is lower case.
    pub fn of(&self, address: &Address) -> Option<&List> {
        self.by_address.get(&key(address))
    }

    /// The one that has this address for requests.
    pub fn of_requests(&self, address: &Address) -> Option<&List> {
        let name = address.local().to_lowercase();
        self.of(&address.with_local(name.strip_suffix("-request")?))
    }

    /// All, by address.
    pub fn iter(&self) -> impl Iterator<Item = &List> {
        self.by_address.values()
    }

    /// The address for bounces of a list, when `address` is one that names a member ([`List::sender`]).
    pub(super) fn bounces(&self, address: &Address) -> Option<Address> {
        let (role, _) = address.local().split_once('+')?;
        let (name, role) = role.rsplit_once('-')?;
        let list = self.of(&address.with_local(name)).filter(|_| role.eq_ignore_ascii_case("bounces"))?;
        Some(list.bounces())
    }
}

/// The address as the key of a map.
fn key(address: &Address) -> String {
    address.to_string().to_lowercase()
}

/// Octets of a local part (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
