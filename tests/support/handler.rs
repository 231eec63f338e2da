//! A handler of mail for alice@example.org: her keys and those of the people she writes to, and the policy by which her mail is handled.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use postseal::{
    base::{Budget, Limits, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{HandlerConfig, ReloadableHandler},
    keys::{Memory, Passphrases, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{Action, Condition, Direction, Obstacle, Order, Pattern, Policy, Resort, Rule},
    protocol::{pgp, smime},
    store,
};

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Alice has both kinds of key, bob and ben OpenPGP, carol and carl S/MIME, dora none. Generated once.
pub(crate) fn keys() -> Memory {
    static KEYS: OnceLock<Memory> = OnceLock::new();
    let generated = || {
        let mut files: Vec<Vec<u8>> = Vec::new();
        for name in ["alice@example.org", "bob@example.net", "ben@example.net"] {
            let request = pgp::generate::Request::new(address(name));
            let generated = pgp::generate::generate(&request, &SystemClock).unwrap();
            files.push(generated.described.secret.unwrap().expose().to_vec());
        }
        for name in ["alice@example.org", "carol@bank.example", "carl@bank.example"] {
            let mut request = smime::generate::Request::new(address(name));
            request.algorithm = smime::generate::Algorithm::P256;
            let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
            files.push(described.record.bytes().to_vec());
            files.push(described.secret.unwrap().expose().to_vec());
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("generated", file.as_slice())).collect();
        store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys
    };
    KEYS.get_or_init(generated).clone()
}

pub(crate) fn rule(name: &str, conditions: Vec<Condition>, orders: &[Order], protocols: &[ProtocolName]) -> Rule {
    let orders: BTreeSet<Order> = orders.iter().copied().collect();
    Rule { name: name.to_owned(), conditions, orders, protocols: protocols.to_vec(), ..Rule::default() }
}

pub(crate) fn to(pattern: &str) -> Vec<Condition> {
    vec![Condition::Recipient(vec![Pattern::parse(pattern).unwrap()])]
}

pub(crate) fn policy() -> Policy {
    let alice = || vec![Pattern::parse("alice@example.org").unwrap()];
    let mut tagged = rule("tagged", to("tag@example.net"), &[Order::Clear], &[]);
    tagged.edits =
        vec![Action::TagSubject("[ok]".to_owned()), Action::AddHeader("X-Seen".to_owned(), "yes".to_owned())];
    Policy {
        local: vec![Pattern::parse("example.org").unwrap()],
        identities: [(Login::new("alice").unwrap(), alice())].into(),
        trusted: alice(),
        rules: vec![
            rule("in", vec![Condition::Direction(Direction::Inbound)], &[Order::Decrypt, Order::Annotate], &[]),
            rule("bank", to("bank.example"), &[Order::Sign, Order::Encrypt], &[ProtocolName::Smime]),
            tagged,
            rule("list", to("list@example.net"), &[Order::Sign, Order::Clear], &[ProtocolName::Pgp]),
            rule("plain", to("plain@example.net"), &[Order::Clear], &[]),
            rule("partner", to("example.net"), &[Order::Sign, Order::Encrypt], &[ProtocolName::Pgp]),
        ],
        obstacles: [(Obstacle::AlreadyEncrypted, Resort::Keep)].into(),
        max_size: 1024 * 1024,
        mailboxes: Default::default(),
        aliases: Default::default(),
        forwards: Default::default(),
        lists: Default::default(),
        mode: Default::default(),
    }
}

pub(crate) fn hook() -> ReloadableHandler {
    hook_by(policy())
}

pub(crate) fn hook_by(policy: Policy) -> ReloadableHandler {
    ReloadableHandler::new(HandlerConfig {
        keys: Arc::new(keys()),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: Limits::default(),
        policy,
        name: "mx.example.org".to_owned(),
        authserv_ids: vec!["dkim.example.org".to_owned()],
        marker: Secret::from("0123456789abcdef"),
    })
}

pub(crate) fn parse(octets: impl Into<Vec<u8>>) -> Message {
    Message::parse(octets.into(), &mut Budget::new(Limits::default())).unwrap()
}

pub(crate) fn mail(submitter: Submitter, recipients: &[&str], message: impl Into<Vec<u8>>) -> Mail {
    let path = |one: &&str| ForwardPath { address: address(one), parameters: vec!["NOTIFY=NEVER".to_owned()] };
    let sender = ReversePath { address: Some(address("bounces@example.org")), parameters: vec!["RET=HDRS".to_owned()] };
    let envelope = Envelope { sender, recipients: recipients.iter().map(path).collect() };
    Mail { envelope, submitter, client: None, message: parse(message) }
}

pub(crate) fn alice() -> Submitter {
    Submitter::Authenticated(Login::new("alice").unwrap())
}

pub(crate) fn text(mail: &Mail) -> String {
    String::from_utf8(mail.message.octets().to_vec()).unwrap()
}

pub(crate) const LETTER: &str = "From: Alice <alice@example.org>\r\nTo: bob@example.net, carol@bank.example\r\nCc: list@example.net\r\n\
Bcc: ben@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n";
