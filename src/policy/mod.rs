//! Policy: a pure function from what is known of a mail to what is done with it. No key, no clock, no network.

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod cases;
mod comparison;
mod condition;
mod content;
mod expansion;
mod explain;
mod facts;
mod groups;
mod key_choice;
mod list_texts;
mod lists;
mod mailboxes;
mod onward;
mod page;
mod pattern;
#[cfg(test)]
mod properties;
mod record;
mod requests;
mod rules;
mod ruling;
mod sealing;

use std::collections::{BTreeMap, BTreeSet};

pub use comparison::{Change, Comparison, Effect};
pub use condition::{Condition, Party, WrappingKind};
pub use content::{AutoSubmitted, Content};
pub use expansion::{Aliases, Delivery, Origin, Step, Unaliased};
pub use explain::{Passed, Trace};
pub use facts::{Direction, Facts, KeyStates, RecipientFacts, Wrapping};
pub use list_texts::{ListText, ListTexts};
pub use lists::{
    Admission, FixedMembers, FromField, Gets, List, Lists, Member, Members, Membership, Otherwise, Post, Posters,
    ReplyTo, Requirement, WithoutKey,
};
pub use mailboxes::Mailboxes;
pub use onward::{Forward, Forwards, MailboxCopy, Onward, RETURN, ReturnPath};
pub use page::{PageLanguage, PageText, PageTexts};
pub use pattern::Pattern;
pub use record::{Described, Guess, Record, RecordLine, key_state};
pub use requests::{Carried, Command, REQUEST_AGE, Request, Subscription};
pub use rules::{Action, KeySearch, Mode, Obstacle, Order, Resort, Rule, Unauthenticated};
pub use sealing::{AlsoTo, KeyOwner, QuantumSafety, Sealing, domain_reader, domain_signer};

use crate::{
    keys::ProtocolName,
    mail::{Address, ForwardPath, Login, Mail, Submitter},
};

/// The rules by which a mail server handles mail: who may sign as whom, and what is done with each mail.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
/// use postseal::{
///     base::{Budget, Limits, Result},
///     mail::{Address, ForwardPath, Message, Submitter},
///     policy::{Disposition, Facts, Order, Pattern, Policy, RecipientFacts, Rule, Wrapping},
///     verdict::Standing,
/// };
///
/// # fn main() -> Result<()> {
/// let policy = Policy {
///     local: vec![Pattern::parse("example.org")?],
///     rules: vec![Rule { name: "closed".to_owned(), orders: [Order::Reject].into(), ..Rule::default() }],
///     ..Policy::default()
/// };
/// let (author, to) = (Address::parse("eve@example.com")?, Address::parse("bob@example.org")?);
/// let text = b"From: eve@example.com\r\n\r\nHello.\r\n".to_vec();
/// let decision = policy.decide(&Facts {
///     submitter: &Submitter::Unknown,
///     sender: Some(&author),
///     author: Ok(&author),
///     message: &Message::parse(text, &mut Budget::new(Limits::default()))?,
///     wrapping: &Wrapping::Plain,
///     standing: Standing::Unsigned,
///     reason: Some("not-signed"),
///     signing: BTreeMap::new(),
///     domain_signing: BTreeMap::new(),
///     others: Default::default(),
///     recipients: vec![RecipientFacts {
///         path: ForwardPath { address: to, parameters: Vec::new() },
///         keys: BTreeMap::new(),
///         is_reader: false,
///         passphrase: None,
///     }],
/// });
/// assert!(matches!(decision.groups[0].disposition, Disposition::Reject(_)));
/// assert_eq!(decision.groups[0].rule, "closed");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether decisions are carried out. [`Policy::decide`] does not ask it.
    pub mode: Mode,
    /// The local domains.
    pub local: Vec<Pattern>,
    /// As whom each SASL identity (or local user) may sign.
    pub identities: BTreeMap<Login, Vec<Pattern>>,
    /// As whom clients in trusted networks may sign.
    pub trusted: Vec<Pattern>,
    /// In order: the first whose conditions hold decides, for each recipient.
    pub rules: Vec<Rule>,
    /// What is done about obstacles that a rule says nothing of; what is not here is [`Obstacle::resort`].
    pub obstacles: BTreeMap<Obstacle, Resort>,
    /// Messages of more octets are neither opened nor sealed ([`Obstacle::Oversized`]).
    pub max_size: usize,
    /// Which addresses are names of one mailbox.
    pub mailboxes: Mailboxes,
    /// The aliases whose members get mail in their place.
    pub aliases: Aliases,
    /// The addresses whose mail goes on.
    pub forwards: Forwards,
    /// The addresses whose mail goes to members.
    pub lists: Lists,
}

/// No local domain, no identity and no rule: outbound mail is refused, and inbound mail is annotated.
impl Default for Policy {
    fn default() -> Self {
        Policy {
            mode: Mode::Enforce,
            local: Vec::new(),
            identities: BTreeMap::new(),
            trusted: Vec::new(),
            rules: Vec::new(),
            obstacles: BTreeMap::new(),
            max_size: MAX_SIZE,
            mailboxes: Default::default(),
            aliases: Default::default(),
            forwards: Default::default(),
            lists: Default::default(),
        }
    }
}

/// What is done with one mail: its recipients, grouped by what they get. Each recipient is in exactly one group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Decision {
    /// In the order of each one's first recipient.
    pub groups: Vec<Group>,
    /// What was not done because a rule, or the service, is log-only.
    pub trials: Vec<Trial>,
}

/// Recipients whose mail would have been decided otherwise, if nothing were log-only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Trial {
    /// What would have been done.
    pub group: Group,
    /// The rule that decided; [`LOG_ONLY`] when the service is log-only.
    pub instead: String,
}

/// Recipients that get the same octets, or the same refusal, because of the same rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Group {
    /// Who. A recipient who is in neither To nor Cc is alone in a group that is encrypted: a ciphertext tells how many recipients it has.
    pub recipients: Vec<ForwardPath>,
    /// How they came to be recipients.
    pub origin: Origin,
    /// Which way it goes.
    pub direction: Direction,
    /// The name of the rule that decided; `no rule` when none did.
    pub rule: String,
    /// Why the rule's orders could not be followed, if so.
    pub obstacle: Option<Obstacle>,
    /// What this machine's log and its own users may read of the obstacle, and clients may not: it can name a path.
    pub cause: Option<String>,
    /// What is done, in this order; nothing unless it is relayed.
    pub actions: Vec<Action>,
    /// How it is sealed, if it is.
    #[serde(skip)]
    pub sealing: Sealing,
    /// What becomes of the result.
    pub disposition: Disposition,
}

/// What becomes of a mail for some of its recipients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Disposition {
    /// It is accepted and thrown away.
    Discard,
    /// The recipient is a list, and the members get copies of their own.
    Post,
    /// It is held as it came where the administrator can look at it; the reason.
    Quarantine(String),
    /// It is refused for good; one line for the sender, without a reply code (`5.7.1` is added by the transport).
    Reject(String),
    /// It goes on its way.
    Relay,
    /// It is refused for now.
    Tempfail(String),
}

impl Disposition {
    /// The word in the log, in metrics and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Disposition::Discard => "discard",
            Disposition::Post => "post",
            Disposition::Quarantine(_) => "quarantine",
            Disposition::Reject(_) => "reject",
            Disposition::Relay => "relay",
            Disposition::Tempfail(_) => "tempfail",
        }
    }

    /// Why it is held or refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Disposition::Discard | Disposition::Post | Disposition::Relay => None,
            Disposition::Quarantine(why) | Disposition::Reject(why) | Disposition::Tempfail(why) => Some(why),
        }
    }
}

impl Group {
    /// Whether what it gets is encrypted to its recipients.
    pub fn encrypts(&self) -> bool {
        self.actions.iter().any(Action::encrypts)
    }
}

impl Policy {
    /// What is done with a mail.
    ///
    /// - The first rule whose conditions hold decides, for each recipient separately.
    /// - Outbound mail is relayed in clear only when that rule says [`Order::Clear`]. When no rule decides, or what it orders cannot be
    ///   done, it is refused. Inbound mail that no rule decides is annotated and relayed as it came.
    /// - A rule that asks a header field is passed over unless it protects at least as much as what would be decided without such rules.
    /// - Nothing is signed as an author whom the submitter may not use.
    /// - A rule that is log-only decides nothing. What it would have done is among the [`Decision::trials`].
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        groups::group(self, facts, self.rulings(facts))
    }

    /// Which way a mail goes to `recipient`: mail of a known submitter is outbound; other mail is inbound for local recipients.
    pub fn direction(&self, submitter: &Submitter, recipient: &Address) -> Direction {
        let known = !matches!(submitter, Submitter::Unknown);
        if known || !self.is_local(recipient) { Direction::Outbound } else { Direction::Inbound }
    }

    /// Whether `address` is local.
    pub fn is_local(&self, address: &Address) -> bool {
        self.local.iter().any(|pattern| pattern.covers(Some(address)))
    }

    /// Whether the submitter may sign as `author`: by the tables, or because the login is that very address and it is local; or because this holds
    /// for another address of the same mailbox.
    pub fn may_use(&self, submitter: &Submitter, author: &Address) -> bool {
        let others = self.other_addresses(author);
        std::iter::once(author).chain(&others).any(|address| self.may_use_address(submitter, address))
    }

    fn may_use_address(&self, submitter: &Submitter, author: &Address) -> bool {
        let listed = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.covers(Some(author)));
        match submitter {
            Submitter::Authenticated(name) => {
                let login_of = |address: &Address| Login::new(&address.to_string());
                let is_own = || Address::parse(name.as_str()).is_ok_and(|own| login_of(&own) == login_of(author));
                self.identities.get(name).is_some_and(|patterns| listed(patterns))
                    || (self.is_local(author) && is_own())
            }
            Submitter::Trusted => listed(&self.trusted),
            Submitter::Host | Submitter::Unknown => false,
        }
    }

    /// The protocols whose keys may matter for a mail in `direction`.
    pub fn protocols(&self, direction: Direction) -> BTreeSet<ProtocolName> {
        let fails = |condition: &Condition| matches!(condition, Condition::Direction(other) if *other != direction);
        asked_by(self.rules.iter().filter(|rule| !rule.conditions.iter().any(fails)))
    }

    /// The protocols whose keys may matter for a mail from `sender` to `recipient`; of others, [`Facts`] need say nothing.
    pub fn protocols_for(
        &self,
        submitter: &Submitter,
        sender: Option<&Address>,
        recipient: &Address,
    ) -> BTreeSet<ProtocolName> {
        asked_by(self.rules_for(submitter, sender, recipient))
    }

    /// The recipients of `mail` whose keys may be looked for on the network: a rule that says so may decide, as far as the envelope says.
    pub fn discovered(&self, mail: &Mail) -> Vec<Address> {
        if self.mode == Mode::LogOnly || !self.rules.iter().any(Rule::asks_network) {
            return Vec::new();
        }
        let sender = mail.envelope.sender.address.as_ref();
        let is_asked = |recipient: &Address| self.discovers(&mail.submitter, sender, recipient);
        let recipients = self.unalias(mail.envelope.recipients.clone()).recipients.into_iter();
        recipients.map(|(path, _)| path.address).filter(is_asked).collect()
    }

    /// Whether the keys of `recipient` may be looked for on the network, as far as the envelope says.
    pub(crate) fn discovers(&self, submitter: &Submitter, sender: Option<&Address>, recipient: &Address) -> bool {
        self.rules_for(submitter, sender, recipient).any(Rule::asks_network)
    }

    /// Whether `recipient` may get a page that opens with a passphrase, as far as the envelope says.
    pub fn pages(&self, submitter: &Submitter, sender: Option<&Address>, recipient: &Address) -> bool {
        let is_known = matches!(submitter, Submitter::Authenticated(_) | Submitter::Trusted);
        let says = |all: &BTreeMap<Obstacle, Resort>| all.values().any(|resort| *resort == Resort::Page);
        let pages = |rule: &Rule| says(&rule.obstacles) || says(&self.obstacles);
        is_known && self.rules_for(submitter, sender, recipient).any(pages)
    }

    /// The rules that may decide about a mail from `sender` to `recipient`, as far as the envelope says.
    fn rules_for(
        &self,
        submitter: &Submitter,
        sender: Option<&Address>,
        recipient: &Address,
    ) -> impl Iterator<Item = &Rule> {
        let fails = move |condition: &Condition| condition.fails_by_envelope(self, submitter, sender, recipient);
        self.rules.iter().filter(move |rule| !rule.conditions.iter().any(fails))
    }
}

/// The protocols that these rules seal in, or ask about.
fn asked_by<'p>(rules: impl Iterator<Item = &'p Rule>) -> BTreeSet<ProtocolName> {
    let asked = |condition: &Condition| match condition {
        Condition::Key(protocols) | Condition::NoKey(protocols) => protocols.clone(),
        _ => Vec::new(),
    };
    let named = |rule: &Rule| {
        let seals = rule.says(Order::Encrypt) || rule.says(Order::Sign);
        let sealing = if seals { rule.protocols.clone() } else { Vec::new() };
        sealing.into_iter().chain(rule.conditions.iter().flat_map(asked)).collect::<Vec<_>>()
    };
    rules.flat_map(named).collect()
}

/// The default of [`Policy::max_size`]: that of [`Limits::message`](crate::base::Limits::message).
const MAX_SIZE: usize = 64 * 1024 * 1024;

/// What a group calls its rule when none decided.
pub const NO_RULE: &str = "no rule";

/// What a group calls its rule when the service is log-only.
pub const LOG_ONLY: &str = "log-only";
