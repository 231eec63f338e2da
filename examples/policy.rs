//! Policy by code: rules that are built by the program instead of read from a file, and what they make of four mails.
//!
//! `cargo run --example policy --no-default-features --features pgp`

use std::sync::Arc;

use postseal::{
    base::{Budget, Error, Limits, Result, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Memory, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{Condition, Direction, Order, Pattern, Policy, Rule},
    protocol::pgp::generate::{Request, generate},
    store,
    verdict::Standing,
};

fn login() -> Result<Login> {
    Login::new("alice").ok_or_else(|| Error::usage("an empty login"))
}

/// Partners get encrypted mail, everybody else signed mail. Mail from outside that claims to be from here has to be authentic.
fn policy() -> Result<Policy> {
    let rule = |name: &str, conditions: Vec<Condition>, orders: &[Order]| Rule {
        name: name.to_owned(),
        conditions,
        orders: orders.iter().copied().collect(),
        protocols: vec![ProtocolName::Pgp],
        ..Rule::default()
    };
    let partners = Condition::Recipient(vec![Pattern::parse("partner.example")?]);
    let from_here = Condition::Author(vec![Pattern::parse("example.org")?]);
    let forged = Condition::Standing(vec![Standing::Unsigned, Standing::Signed]);
    let (inbound, outbound) = (Condition::Direction(Direction::Inbound), Condition::Direction(Direction::Outbound));
    Ok(Policy {
        local: vec![Pattern::parse("example.org")?],
        identities: [(login()?, vec![Pattern::parse("alice@example.org")?])].into(),
        rules: vec![
            rule("partners", vec![outbound.clone(), partners], &[Order::Sign, Order::Encrypt]),
            rule("everybody else", vec![outbound], &[Order::Sign, Order::Clear]),
            rule("not from us", vec![inbound, from_here, forged], &[Order::Reject]),
        ],
        ..Policy::default()
    })
}

fn main() -> Result<()> {
    let handler = ReloadableHandler::new(HandlerConfig {
        keys: Arc::new(keys(&["alice@example.org", "bob@partner.example"])?),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: Limits::default(),
        policy: policy()?,
        name: "mail.example.org".to_owned(),
        authserv_ids: Vec::new(),
        marker: Secret::new(vec![0; 32]), // Random octets, where copies of handled mail come by again.
    });
    let alice = Submitter::Authenticated(login()?);
    for (submitter, from, to) in [
        (alice.clone(), "alice@example.org", "bob@partner.example"),
        (alice.clone(), "alice@example.org", "carol@example.net"),
        (alice, "mallory@example.org", "carol@example.net"),
        (Submitter::Unknown, "alice@example.org", "dave@example.org"),
    ] {
        let outcome = handler.handle(mail(submitter, from, to)?)?;
        for group in &outcome.decision.groups {
            let why = group.disposition.reason().unwrap_or_default();
            println!("{from} to {to}: {} by {:?} {why}", group.disposition.name(), group.rule);
        }
        for note in &outcome.notes {
            println!("  {note}");
        }
    }
    Ok(())
}

fn mail(submitter: Submitter, from: &str, to: &str) -> Result<Mail> {
    let text = format!("From: {from}\r\nTo: {to}\r\nSubject: Hello\r\n\r\nHello.\r\n");
    let sender = ReversePath { address: Some(Address::parse(from)?), parameters: Vec::new() };
    let recipient = ForwardPath { address: Address::parse(to)?, parameters: Vec::new() };
    let limits = &mut Budget::new(Limits::default());
    let envelope = Envelope { sender, recipients: vec![recipient] };
    Ok(Mail { envelope, submitter, client: None, message: Message::parse(text.into_bytes(), limits)? })
}

/// New keys for these addresses. A service has key files, or a [`Keystore`](postseal::store::Keystore).
fn keys(addresses: &[&str]) -> Result<Memory> {
    let mut files = Vec::new();
    for address in addresses {
        let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
        files.push(key.secret.map(|secret| secret.expose().to_vec()).unwrap_or_default());
    }
    let named: Vec<(&str, &[u8])> = addresses.iter().copied().zip(files.iter().map(Vec::as_slice)).collect();
    Ok(store::load(&named, &Arc::default(), &Limits::default())?.keys)
}
