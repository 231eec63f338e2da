//! Mailing lists: who may post, what each member gets, and that nobody is shown, lost or served in clear who should not be.

mod copies;
mod members;
mod others;
mod posting;
mod random;
mod requests;
mod service;
mod whole;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use postseal::{
    base::{Clock, FixedClock, Limits, SystemClock, SystemRandom},
    engine::{Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::{Memory, Passphrases, ProtocolName},
    mail::{Mail, Submitter},
    policy::{
        FixedMembers, Forward, FromField, Gets, List, Lists, MailboxCopy, Member, Members, Obstacle, Order, Otherwise,
        Policy, Posters, ReplyTo, Resort, ReturnPath, Rule, Subscription, WithoutKey,
    },
    protocol::{Recipient, Seal, pgp, smime},
    store,
};
use std::time::Duration;

use crate::support::handler::{address, hook, mail, parse, policy, rule, to};

pub(crate) const LIST: &str = "dev@example.org";
const OWNER: &str = "bob@example.net";

/// The keys of the list in both protocols; alice, bob and erin with OpenPGP, of whom erin's expires in a day; carol with S/MIME.
fn keys() -> Memory {
    static KEYS: OnceLock<Memory> = OnceLock::new();
    let generated = || {
        let mut files: Vec<Vec<u8>> = Vec::new();
        for name in [LIST, "alice@example.org", "bob@example.net", "erin@example.net"] {
            let mut request = pgp::generate::Request::new(address(name));
            if name.starts_with("erin") {
                request.validity = Some(Duration::from_secs(86_400));
            }
            let generated = pgp::generate::generate(&request, &SystemClock).unwrap();
            files.push(generated.described.secret.unwrap().expose().to_vec());
        }
        for name in [LIST, "carol@bank.example"] {
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

fn member(text: &str, gets: Option<Gets>) -> Member {
    Member { address: address(text), gets, protocols: Vec::new() }
}

/// Alice, bob and carol are members and get it encrypted.
fn list() -> List {
    let members = ["alice@example.org", "bob@example.net", "carol@bank.example"].map(|one| member(one, None));
    List {
        address: address(LIST),
        owners: vec![address(OWNER)],
        description: Some("The developers".to_owned()),
        members: fixed(&members),
        post: Posters::Members,
        otherwise: Otherwise::Reject,
        moderators: Vec::new(),
        requires: Default::default(),
        gets: Gets::Encrypt,
        without_key: WithoutKey::Skip,
        rule: Rule {
            name: format!("list {LIST}"),
            protocols: vec![ProtocolName::Pgp, ProtocolName::Smime],
            ..Rule::default()
        },
        from: FromField::Keep,
        reply_to: ReplyTo::Author,
        subscription: Subscription::Closed,
        unsubscribe: None,
    }
}

fn fixed(members: &[Member]) -> Members {
    Members(Arc::new(FixedMembers(members.into())))
}

/// Handles mail for these lists, `later` than now. Inbound mail is annotated; users' mail for the list goes to it in clear.
fn handler_at(lists: &[List], forwards: &[Forward], later: Duration) -> ReloadableHandler {
    let mut policy = policy();
    policy.rules.insert(0, rule("internal", to("example.org"), &[Order::Clear, Order::Annotate], &[]));
    let mut all = Lists::default();
    for list in lists {
        all.insert(list.clone());
        for of in [list.owner(), list.bounces(), list.request()] {
            let rule = Rule {
                name: format!("owner of {}", list.name()),
                orders: [Order::Clear].into(),
                obstacles: [(Obstacle::AlreadyEncrypted, Resort::Keep)].into(),
                ..Rule::default()
            };
            let to = list.owners.clone();
            policy.forwards.insert(Forward { of, to, mailbox: MailboxCopy::None, sender: ReturnPath::Own, rule });
        }
    }
    forwards.iter().for_each(|one| drop(policy.forwards.insert(one.clone())));
    let policy = Policy { lists: all, ..policy };
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(SystemClock.now() + later));
    let config = HandlerConfig { policy, clock, keys: Arc::new(keys()), ..HandlerConfig::clone(&hook().config()) };
    ReloadableHandler::new(config)
}

fn handler(list: List) -> ReloadableHandler {
    handler_at(&[list], &[], Duration::ZERO)
}

/// A mail from the world.
fn sent_by(sender: &str, recipients: &[&str], message: impl Into<Vec<u8>>) -> Mail {
    let mut mail = mail(Submitter::Unknown, recipients, message);
    mail.envelope.sender.address = (!sender.is_empty()).then(|| address(sender));
    mail
}

/// Every mail of every posting, made in ranges of `step`.
fn copies(handler: &ReloadableHandler, outcome: &Outcome, step: usize) -> Vec<Mail> {
    let mut all = Vec::new();
    for posting in &outcome.postings {
        for start in (0..posting.mails()).step_by(step) {
            all.extend(handler.copies(posting, start..start + step).unwrap());
        }
    }
    all
}

/// The copies of a post that is expected to be posted, by their recipients.
fn posted(handler: &ReloadableHandler, message: impl Into<Vec<u8>>) -> BTreeMap<String, Mail> {
    let outcome = handler.handle(sent_by("alice@example.org", &[LIST], message)).unwrap();
    assert_eq!(outcome.postings.len(), 1, "{:?}", outcome.decision);
    let copies = copies(handler, &outcome, 2);
    let count = copies.len();
    let by: BTreeMap<String, Mail> = copies.into_iter().map(|mail| (recipient(&mail), mail)).collect();
    assert_eq!(by.len(), count, "each has one");
    by
}

fn recipient(mail: &Mail) -> String {
    let [path] = mail.envelope.recipients.as_slice() else { panic!("{:?}", mail.envelope) };
    path.address.to_string()
}

fn sign(text: &str) -> Vec<u8> {
    postseal::sign(text.as_bytes(), ProtocolName::Pgp, &keys()).unwrap()
}

/// Encrypted, and not signed.
fn encrypt(text: &[u8], to: &str) -> Vec<u8> {
    let seal =
        Seal { to: vec![Recipient::Named(address(to))], ..Seal::default() }.with_usual_headers(ProtocolName::Pgp);
    let (config, mut octets) = (handler_at(&[], &[], Duration::ZERO).config(), Vec::new());
    config.engine().seal(ProtocolName::Pgp, &parse(text), &seal, &mut octets).unwrap();
    octets
}

const PLAIN: &str = "From: Alice <alice@example.org>\r\nTo: dev@example.org\r\nSubject: the topic\r\nMessage-ID: <1@example.org>\r\n\
Disposition-Notification-To: alice@example.org\r\n\r\nthe plan\r\n";
