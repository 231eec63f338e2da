//! Rules: on which conditions, and what they order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    condition::Condition,
    sealing::{KeyOwner, QuantumSafety, Sealing},
};
use crate::{
    keys::{KeyState, PassphraseFrom, ProtocolName, Reach, Source},
    mail::autocrypt::Preference,
};

/// One rule. Any combination of orders is safe ([`Policy::decide`](super::Policy::decide)); those that make no sense are named by
/// [`Rule::contradiction`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rule {
    /// Unique in a policy.
    pub name: String,
    /// Whether it decides, or says only what it would do.
    pub mode: Mode,
    /// All must hold; none: it always decides.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub orders: BTreeSet<Order>,
    /// For signing and encrypting, the preferred one first.
    pub protocols: Vec<ProtocolName>,
    /// How it signs and encrypts.
    pub sealing: Sealing,
    /// Where keys of recipients may come from.
    pub search: KeySearch,
    /// Changes of the message, made before anything is sealed: [`Action::TagSubject`], [`Action::AddHeader`], [`Action::RemoveHeader`],
    /// [`Action::AttachKey`]; and [`Action::Autocrypt`], made after that.
    pub edits: Vec<Action>,
    /// What a refusal says; otherwise the rule's name.
    pub text: Option<String>,
    /// What [`Order::Decrypt`] does with a plaintext that is not authenticated.
    pub unauthenticated: Unauthenticated,
    /// What is done when the orders cannot be followed; what is not here comes from [`Policy::obstacles`](super::Policy::obstacles).
    pub obstacles: BTreeMap<Obstacle, Resort>,
}

/// Whether what is decided is also done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is said, and mail is handled as if there were no such rule, or no policy.
    LogOnly,
}

impl Mode {
    /// Both.
    pub const ALL: [Mode; 2] = [Mode::Enforce, Mode::LogOnly];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::LogOnly => "log-only",
        }
    }
}

/// Where the keys of recipients may come from, and how well they must be tied to the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeySearch {
    /// Whether the network is asked when no key is here.
    pub reach: Reach,
    /// The least tie. `None`: [`Source::Domain`] where the network is asked; otherwise any key of this machine.
    pub least: Option<Source>,
}

impl KeySearch {
    /// Whether a key with this tie may be used.
    pub fn admits(self, source: Source) -> bool {
        match (self.least, self.reach) {
            (Some(least), _) => source >= least,
            (None, Reach::Network) => source >= Source::Domain,
            // What another rule found on the network is not for this one.
            (None, Reach::Local) => source == Source::Claim || source.is_trusted(),
        }
    }

    /// The states of a recipient's keys as the rule sees them: a key that it does not admit is missing. `None` when it admits all of them.
    pub(super) fn of(self, keys: &BTreeMap<ProtocolName, KeyState>) -> Option<BTreeMap<ProtocolName, KeyState>> {
        let seen = |state: &KeyState| match state {
            KeyState::Usable { key, source, .. } if !self.admits(*source) => {
                Some(KeyState::Missing(format!("key {key} is not trusted enough (source: {source})")))
            }
            _ => None,
        };
        if !keys.values().any(|state| seen(state).is_some()) {
            return None;
        }
        Some(keys.iter().map(|(protocol, state)| (*protocol, seen(state).unwrap_or_else(|| state.clone()))).collect())
    }
}

/// What a rule may order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Write what was found into Authentication-Results.
    Annotate,
    /// The mail may be read on its way.
    Clear,
    /// Take layers off where the recipient's key is here; not of what is sealed or kept by the same rule. For inbound mail.
    Decrypt,
    /// Accept it and throw it away.
    Discard,
    /// Encrypt to the recipient.
    Encrypt,
    /// Hold it where the administrator can look at it.
    Quarantine,
    /// Refuse it for good.
    Reject,
    /// Sign as the author.
    Sign,
    /// Refuse it for now.
    Tempfail,
    /// Pass it on as it came, judged and logged. For inbound mail.
    Verify,
}

/// What becomes of a plaintext that may have been changed on the way: it came out of encryption that protects nothing against changes (CBC of
/// S/MIME and PEM, OpenPGP without an integrity check), and no valid signature is within. The least is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, Serialize)]
pub enum Unauthenticated {
    /// The message stays sealed and goes on as it came.
    #[default]
    Leave,
    /// Its text/plain alone is delivered, with a field that says so.
    Text,
    /// All of it is delivered, with a field that says so.
    Open,
}

impl Unauthenticated {
    /// All, the least first.
    pub const ALL: [Unauthenticated; 3] = [Unauthenticated::Leave, Unauthenticated::Text, Unauthenticated::Open];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Unauthenticated::Leave => "leave",
            Unauthenticated::Text => "text",
            Unauthenticated::Open => "open",
        }
    }
}

/// One thing that is done to a mail, with nothing left to choose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Action {
    /// A header field on top: name and value.
    AddHeader(String, String),
    /// The author's OpenPGP key is attached, before anything is sealed.
    AttachKey,
    /// The Autocrypt field of the author is added, outside of what is sealed.
    Autocrypt(Preference),
    /// What was found is written into Authentication-Results (RFC 8601).
    Annotate,
    /// It may be read on its way, because the rule says so. A mail that goes out without this, [`Action::Keep`] or encryption is a
    /// mistake, and must be refused.
    Clear,
    /// Its layers are taken off where a key is here, as far as they are authenticated or this says.
    Decrypt(Unauthenticated),
    /// It is encrypted to the group's recipients.
    Encrypt(ProtocolName),
    /// It goes as it came: it is encrypted already.
    Keep,
    /// It becomes a page that opens itself in a browser with this passphrase, for recipients without a key.
    Page(PassphraseFrom),
    /// Every header field of this name goes.
    RemoveHeader(String),
    /// It is signed as its author.
    Sign(ProtocolName),
    /// Both.
    SignAndEncrypt(ProtocolName),
    /// These words go before the subject.
    TagSubject(String),
}

/// Why the orders of a rule cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Obstacle {
    /// It is to be sealed, and is encrypted already.
    AlreadyEncrypted,
    /// It is to be signed, and is signed already.
    AlreadySigned,
    /// The recipient has keys, but they have expired.
    ExpiredKey,
    /// The address forwards its mail, and forwarded this message before. Always a refusal.
    ForwardingLoop,
    /// Whether there is a key cannot be known now. Always a refusal for now.
    KeysUnavailable,
    /// It says that it is sealed and cannot be read, or From does not name one author to sign as.
    Malformed,
    /// The members of a list cannot be read now. Always a refusal for now.
    MembersUnavailable,
    /// The recipient has no key that may be used.
    MissingKey,
    /// The author has no key to sign with.
    NoSigningKey,
    /// The recipient is to get a page, and no passphrase for it is known.
    NoPassphrase,
    /// No rule's conditions hold. Always a refusal.
    NoRule,
    /// The submitter may not sign as the author. Always a refusal.
    NotPermitted,
    /// The recipient is a list, and it does not take this post, or holds it for the moderators.
    NotPosted,
    /// It is too large to be opened or sealed.
    Oversized,
    /// The recipient's local part names another mailbox, to which mail servers may pass it on: `bob%bank.example@example.org`. Always a
    /// refusal.
    Routed,
    /// The rule neither encrypts nor says that the mail may be read. Always a refusal.
    Unsaid,
    /// The recipient is a rewritten sender, and this host did not make it, or the mail is no bounce. Always a refusal.
    UnknownReturnPath,
}

/// What is done about an [`Obstacle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resort {
    /// Accept it and throw it away.
    Discard,
    /// Leave the layer that is there, and do the rest. For what is signed or encrypted already; elsewhere it refuses.
    Keep,
    /// Let the rules after this one decide.
    Next,
    /// Send a page that opens itself in a browser with a passphrase. For mail of known submitters to a recipient without a usable key; elsewhere it
    /// refuses.
    Page,
    /// Hold it where the administrator can look at it.
    Quarantine,
    /// Refuse it for good.
    Reject,
    /// Refuse it for now.
    Tempfail,
}

impl Action {
    /// The word in the log; with its protocol, and without names or values of header fields: `sign:smime`.
    pub fn name(&self) -> String {
        match self {
            Action::AddHeader(..) => "add-header".to_owned(),
            Action::Annotate => "annotate".to_owned(),
            Action::AttachKey => "attach-key".to_owned(),
            Action::Autocrypt(_) => "autocrypt".to_owned(),
            Action::Clear => "clear".to_owned(),
            Action::Decrypt(_) => "decrypt".to_owned(),
            Action::Encrypt(protocol) => format!("encrypt:{}", protocol.name()),
            Action::Keep => "keep".to_owned(),
            Action::Page(from) => format!("page:{}", from.name()),
            Action::RemoveHeader(_) => "remove-header".to_owned(),
            Action::Sign(protocol) => format!("sign:{}", protocol.name()),
            Action::SignAndEncrypt(protocol) => format!("sign-and-encrypt:{}", protocol.name()),
            Action::TagSubject(_) => "tag-subject".to_owned(),
        }
    }

    /// The protocol in which it encrypts to keys.
    pub(super) fn encrypts_in(&self) -> Option<ProtocolName> {
        match self {
            Action::Encrypt(protocol) | Action::SignAndEncrypt(protocol) => Some(*protocol),
            _ => None,
        }
    }

    /// Whether what it makes can be read by its readers alone.
    pub fn encrypts(&self) -> bool {
        matches!(self, Action::Encrypt(_) | Action::Page(_) | Action::SignAndEncrypt(_))
    }
}

impl Rule {
    /// Whether it decides.
    pub fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Whether it asks a header field, which the writer of the message chooses. Such a rule may only tighten.
    pub fn asks_header(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Header(..)))
    }

    /// Whether it orders `order`.
    pub fn says(&self, order: Order) -> bool {
        self.orders.contains(&order)
    }

    /// Whether keys may be looked for on the network for it. A rule that is log-only asks nobody: others learn from a look-up to whom mail goes, and it
    /// takes time.
    pub(super) fn asks_network(&self) -> bool {
        self.is_enforced() && self.search.reach == Reach::Network && self.says(Order::Encrypt)
    }

    /// Whether it says that a page takes the place of a missing key.
    fn sends_pages(&self) -> bool {
        self.obstacles.values().any(|resort| *resort == Resort::Page)
    }

    /// What makes no sense in its orders, in words; such a rule still never lets a mail out in clear.
    pub fn contradiction(&self) -> Option<&'static str> {
        let says = |order| self.says(order);
        let seals = says(Order::Encrypt) || says(Order::Sign);
        let ends = [Order::Discard, Order::Quarantine, Order::Reject, Order::Tempfail];
        let ends = ends.into_iter().filter(|order| says(*order)).count();
        if self.orders.is_empty() {
            Some("orders nothing")
        } else if ends > 1 || ends == 1 && self.orders.len() > 1 {
            Some("refuses, and orders something else")
        } else if says(Order::Clear) && says(Order::Encrypt) {
            Some("orders both encrypt and clear")
        } else if says(Order::Decrypt) && (seals || says(Order::Clear)) {
            Some("decrypts, and seals or sends on: decrypt is for inbound mail")
        } else if !says(Order::Decrypt) && self.unauthenticated != Unauthenticated::Leave {
            Some("says what becomes of unauthenticated mail, and decrypts nothing")
        } else if ends == 0 && !self.is_inbound() && !says(Order::Encrypt) && !says(Order::Clear) {
            Some("may decide outbound mail, and says neither encrypt nor clear")
        } else if seals && self.protocols.is_empty() {
            Some("seals, and names no protocol")
        } else if !seals && self.sealing != Sealing::default() {
            Some("says how to seal, and seals nothing")
        } else if !says(Order::Encrypt) && self.sealing.names_readers() {
            Some("says who can read it, and does not encrypt")
        } else if !says(Order::Sign) && self.sealing.sign_with == KeyOwner::Domain {
            Some("says whose key signs, and does not sign")
        } else if self.sends_pages() && self.sealing.further_readers(None).next().is_some() {
            Some("says also-to, and page: an address could not read the page")
        } else if !says(Order::Encrypt) && self.sealing.quantum != QuantumSafety::Indifferent {
            Some("says what quantum computers must not open, and does not encrypt")
        } else if !says(Order::Encrypt) && self.search != KeySearch::default() {
            Some("says where keys of recipients may come from, and does not encrypt")
        } else {
            self.sealing.contradiction(&self.protocols)
        }
    }

    fn is_inbound(&self) -> bool {
        self.conditions.contains(&Condition::Direction(super::Direction::Inbound))
    }
}

impl Order {
    /// All, by name.
    pub const ALL: [Order; 10] = [
        Order::Annotate,
        Order::Clear,
        Order::Decrypt,
        Order::Discard,
        Order::Encrypt,
        Order::Quarantine,
        Order::Reject,
        Order::Sign,
        Order::Tempfail,
        Order::Verify,
    ];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Order::Annotate => "annotate",
            Order::Clear => "clear",
            Order::Decrypt => "decrypt",
            Order::Discard => "discard",
            Order::Encrypt => "encrypt",
            Order::Quarantine => "quarantine",
            Order::Reject => "reject",
            Order::Sign => "sign",
            Order::Tempfail => "tempfail",
            Order::Verify => "verify",
        }
    }
}

impl Obstacle {
    /// All, by name.
    pub const ALL: [Obstacle; 17] = [
        Obstacle::AlreadyEncrypted,
        Obstacle::AlreadySigned,
        Obstacle::ExpiredKey,
        Obstacle::ForwardingLoop,
        Obstacle::KeysUnavailable,
        Obstacle::Malformed,
        Obstacle::MembersUnavailable,
        Obstacle::MissingKey,
        Obstacle::NoPassphrase,
        Obstacle::NoRule,
        Obstacle::NoSigningKey,
        Obstacle::NotPermitted,
        Obstacle::NotPosted,
        Obstacle::Oversized,
        Obstacle::Routed,
        Obstacle::UnknownReturnPath,
        Obstacle::Unsaid,
    ];

    /// Those that a policy says something about.
    pub const CONFIGURABLE: [Obstacle; 8] = [
        Obstacle::AlreadyEncrypted,
        Obstacle::AlreadySigned,
        Obstacle::ExpiredKey,
        Obstacle::Malformed,
        Obstacle::MissingKey,
        Obstacle::NoPassphrase,
        Obstacle::NoSigningKey,
        Obstacle::Oversized,
    ];

    /// The word in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Obstacle::AlreadyEncrypted => "already-encrypted",
            Obstacle::AlreadySigned => "already-signed",
            Obstacle::ExpiredKey => "expired-key",
            Obstacle::ForwardingLoop => "forwarding-loop",
            Obstacle::KeysUnavailable => "keys-unavailable",
            Obstacle::Malformed => "malformed",
            Obstacle::MembersUnavailable => "members-unavailable",
            Obstacle::MissingKey => "missing-key",
            Obstacle::NoSigningKey => "no-signing-key",
            Obstacle::NoPassphrase => "no-passphrase",
            Obstacle::NoRule => "no-rule",
            Obstacle::NotPermitted => "not-permitted",
            Obstacle::NotPosted => "not-posted",
            Obstacle::Oversized => "oversized",
            Obstacle::Routed => "routed",
            Obstacle::UnknownReturnPath => "unknown-return-path",
            Obstacle::Unsaid => "unsaid",
        }
    }

    /// What a client that is not known is told. It depends on nothing that is in the message or in the keys.
    pub fn reply(self) -> &'static str {
        match self {
            Obstacle::AlreadyEncrypted => "the message is encrypted already",
            Obstacle::AlreadySigned => "the message is signed already",
            // Which keys are here is not told.
            Obstacle::ExpiredKey | Obstacle::MissingKey | Obstacle::NoPassphrase => "no encryption key",
            Obstacle::ForwardingLoop => "mail forwarding loop",
            Obstacle::KeysUnavailable => "keys cannot be looked up now, try again later",
            Obstacle::Malformed => "the message cannot be read",
            Obstacle::MembersUnavailable => "the members of the list cannot be read now, try again later",
            Obstacle::NoSigningKey => "no signing key",
            Obstacle::NoRule | Obstacle::NotPermitted | Obstacle::Unsaid => "not permitted",
            Obstacle::NotPosted => "the list does not take this post",
            Obstacle::Oversized => "the message exceeds a limit",
            Obstacle::Routed => "the recipient names a way to another mailbox",
            Obstacle::UnknownReturnPath => "the recipient takes bounces of forwarded mail alone, for a limited time",
        }
    }

    /// What is done when the policy says nothing: refused, for now where the administrator's own keys are to blame.
    pub fn resort(self) -> Resort {
        match self {
            Obstacle::KeysUnavailable | Obstacle::MembersUnavailable | Obstacle::NoSigningKey => Resort::Tempfail,
            _ => Resort::Reject,
        }
    }

    /// Whether a layer that is there can be left there.
    pub fn can_keep(self) -> bool {
        matches!(self, Obstacle::AlreadyEncrypted | Obstacle::AlreadySigned)
    }

    /// Whether a page can take the place of the key that is not there.
    pub fn can_page(self) -> bool {
        matches!(self, Obstacle::ExpiredKey | Obstacle::MissingKey)
    }
}

impl Resort {
    /// All, by name.
    pub const ALL: [Resort; 7] = [
        Resort::Discard,
        Resort::Keep,
        Resort::Next,
        Resort::Page,
        Resort::Quarantine,
        Resort::Reject,
        Resort::Tempfail,
    ];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Resort::Discard => "discard",
            Resort::Keep => "keep",
            Resort::Next => "next",
            Resort::Page => "page",
            Resort::Quarantine => "quarantine",
            Resort::Reject => "reject",
            Resort::Tempfail => "tempfail",
        }
    }
}
