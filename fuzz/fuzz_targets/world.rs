//! Keys, rules and mails of the targets `isolation` and `front`.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::SystemTime,
};

use postseal::{
    base::{Budget, FixedClock, Limits, Result, Secret, SystemClock, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::{HandlerConfig, ReloadableHandler},
    keys::{Keys, Memory, Passphrases, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{
        Carried, Condition, Direction, Forward, Forwards, FromField, Gets, List, Lists, MailboxCopy, Member, Members,
        Membership, Order, Otherwise, Pattern, Policy, Posters, ReplyTo, Request, ReturnPath, Rule, Subscription,
        WithoutKey,
    },
    protocol::{pgp, smime},
    store,
};

/// A mail, what a judge may say of it, and whom it may name.
pub struct Case {
    pub mail: Mail,
    pub allowed: HashSet<Address>,
}

/// What marks a copy as handled.
pub const MARKER: &str = "0123456789abcdef";

pub fn engine(keys: &Arc<Memory>, policy: &Policy, limits: &Limits) -> ReloadableHandler {
    ReloadableHandler::new(HandlerConfig {
        keys: Arc::clone(keys) as Arc<dyn Keys>,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: limits.clone(),
        policy: policy.clone(),
        name: "mx.example.org".to_owned(),
        authserv_ids: Vec::new(),
        marker: Secret::from(MARKER),
    })
}

/// Mail of a user, mail to a list, and mail to an address that forwards.
pub fn cases() -> Vec<Case> {
    let alice = Submitter::Authenticated(Login::new("alice").unwrap());
    let members = ["one@example.net", "two@example.net", "owner@example.net"];
    vec![
        case(alice, &["bob@example.net", "carol@example.net"], &[]),
        case(Submitter::Unknown, &["dev@example.org"], &members),
        case(Submitter::Unknown, &["away@example.org"], &["new@elsewhere.test"]),
    ]
}

pub fn now() -> FixedClock {
    FixedClock(parse_rfc3339("2026-11-30T12:00:00Z").unwrap())
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Members that change by themselves.
#[derive(Debug)]
struct ChangingMembers(Arc<[Member]>);

impl Membership for ChangingMembers {
    fn read(&self) -> Result<Arc<[Member]>> {
        Ok(Arc::clone(&self.0))
    }

    fn takes_requests(&self) -> bool {
        true
    }

    fn carry_out(&self, request: &Request, now: SystemTime) -> Result<Carried> {
        assert!(request.is_current(now));
        Ok(Carried::Done)
    }
}

pub fn case(submitter: Submitter, recipients: &[&str], others: &[&str]) -> Case {
    let path = |one: &&str| ForwardPath { address: address(one), parameters: Vec::new() };
    let sender = ReversePath { address: Some(address("alice@example.org")), parameters: Vec::new() };
    let envelope = Envelope { sender, recipients: recipients.iter().map(path).collect() };
    let message =
        format!("From: Alice <alice@example.org>\r\nTo: {}\r\nSubject: hello\r\n\r\nhello\r\n", recipients[0]);
    let message = Message::received(message.into_bytes(), &mut Budget::new(Limits::default())).unwrap();
    let allowed = recipients.iter().chain(others).map(|one| address(one)).collect();
    Case { mail: Mail { envelope, submitter, client: None, message }, allowed }
}

/// Keys, and the files with their secret parts, each with its public part.
pub fn keys() -> (Memory, Vec<(Vec<u8>, Vec<u8>)>) {
    let (mut files, mut secrets): (Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>) = Default::default();
    for name in ["alice@example.org", "bob@example.net", "dev@example.org", "one@example.net"] {
        let generated = pgp::generate::generate(&pgp::generate::Request::new(address(name)), &SystemClock).unwrap();
        let (secret, public) = (generated.described.secret.unwrap(), generated.described.record);
        secrets.push((secret.expose().to_vec(), public.bytes().to_vec()));
    }
    for algorithm in [smime::generate::Algorithm::P256, smime::generate::Algorithm::Rsa2048] {
        let mut request = smime::generate::Request::new(address("alice@example.org"));
        request.algorithm = algorithm;
        let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
        let (secret, public) = (described.secret.unwrap(), described.record.bytes().to_vec());
        files.push(public.clone());
        secrets.push((secret.expose().to_vec(), public));
    }
    let files = files.iter().chain(secrets.iter().map(|(secret, _)| secret));
    let files: Vec<(&str, &[u8])> = files.map(|file| ("generated", file.as_slice())).collect();
    (store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys, secrets)
}

pub fn policy() -> Policy {
    let rule = |name: &str, conditions, orders: &[Order]| Rule {
        name: name.to_owned(),
        conditions,
        orders: orders.iter().copied().collect(),
        protocols: vec![ProtocolName::Pgp],
        ..Rule::default()
    };
    let to = |pattern: &str| vec![Condition::Recipient(vec![Pattern::parse(pattern).unwrap()])];
    let member = |name: &str, gets| Member { address: address(name), gets: Some(gets), protocols: Vec::new() };
    let members = [member("one@example.net", Gets::Encrypt), member("two@example.net", Gets::Sign)];
    let mut lists = Lists::default();
    lists.insert(List {
        address: address("dev@example.org"),
        owners: vec![address("owner@example.net")],
        description: None,
        members: Members(Arc::new(ChangingMembers(members.into()))),
        post: Posters::Anybody,
        otherwise: Otherwise::Reject,
        moderators: Vec::new(),
        requires: BTreeSet::new(),
        gets: Gets::Sign,
        without_key: WithoutKey::Skip,
        rule: rule("list", Vec::new(), &[]),
        from: FromField::Keep,
        reply_to: ReplyTo::Author,
        subscription: Subscription::Moderated,
        unsubscribe: None,
    });
    let mut forwards = Forwards::default();
    forwards.insert(Forward {
        of: address("away@example.org"),
        to: vec![address("new@elsewhere.test")],
        mailbox: MailboxCopy::Delivered,
        sender: ReturnPath::Own,
        rule: rule("forward", Vec::new(), &[Order::Clear]),
    });
    let alice = || vec![Pattern::parse("alice@example.org").unwrap()];
    Policy {
        local: vec![Pattern::parse("example.org").unwrap()],
        identities: [(Login::new("alice").unwrap(), alice())].into(),
        trusted: alice(),
        rules: vec![
            rule("in", vec![Condition::Direction(Direction::Inbound)], &[Order::Decrypt, Order::Annotate]),
            rule("bob", to("bob@example.net"), &[Order::Sign, Order::Encrypt]),
            rule("others", to("example.net"), &[Order::Sign, Order::Clear]),
        ],
        obstacles: Default::default(),
        max_size: 1024 * 1024,
        mailboxes: Default::default(),
        aliases: Default::default(),
        forwards,
        lists,
        mode: Default::default(),
    }
}
