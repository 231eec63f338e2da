//! The library without some of its protocols (Cargo features `pem`, `pgp`, `smime`): their mail is reported as unread, nothing of it is
//! authentic, nothing is sent in clear in its place, and errors name the feature.
//!
//! In a binary of its own, because it needs a build of its own:
//! `cargo test --test missing --no-default-features --features smime`

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use postseal::{
    base::{Error, Limits, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Memory, Passphrases, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{Disposition, Obstacle, Order, Pattern, Policy, Resort, Rule},
    store,
    verdict::Standing,
};

/// Those that this build leaves out.
const MISSING: &[ProtocolName] = &[
    #[cfg(not(feature = "pem"))]
    ProtocolName::Pem,
    #[cfg(not(feature = "pgp"))]
    ProtocolName::Pgp,
    #[cfg(not(feature = "smime"))]
    ProtocolName::Smime,
];

const LETTER: &str = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: x\r\n\r\nhello\r\n";
const PEM: &str = "From: alice@example.org\r\nTo: bob@example.net\r\n\r\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\n\
                   Proc-Type: 4,MIC-CLEAR\r\n\r\nhello\r\n-----END PRIVACY-ENHANCED MESSAGE-----\r\n";

/// Mail of each protocol, signed and encrypted, by other programs.
fn sealed(protocol: ProtocolName) -> Vec<Vec<u8>> {
    let files: &[&str] = match protocol {
        ProtocolName::Pem => return vec![PEM.into()],
        ProtocolName::Pgp => {
            &["attack/johnny-intact.eml", "attack/cleartext-intact.eml", "attack/efail-intact.eml", "pgp/ocb.eml"]
        }
        ProtocolName::Smime => &["home/signed-smime.eml", "attack/pki/plain.eml", "attack/pki/oaep.eml"],
    };
    files.iter().map(|file| testdata(file)).collect()
}

fn testdata(file: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file)).unwrap()
}

fn feature(protocol: ProtocolName) -> String {
    format!("protocol {0}: not in this build (Cargo feature `{0}`)", protocol.name())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[track_caller]
fn names<T>(found: Result<T, Error>, protocol: ProtocolName) {
    let error = found.err().expect("it is not in this build").to_string();
    assert!(error.contains(&feature(protocol)), "{error}");
}

#[test]
fn its_mail_is_unread_and_nothing_of_it_is_authentic() {
    assert!(!MISSING.is_empty(), "run it with a protocol left out");
    for protocol in MISSING {
        for mail in sealed(*protocol) {
            let opening = postseal::verify(&mail, &Memory::new()).unwrap();
            assert_eq!(opening.verdict().standing(), Standing::Unsigned, "{protocol:?}");
            let error = opening.error().expect("it is not read").to_string();
            assert!(error.contains(&feature(*protocol)), "{error}");
            names(postseal::decrypt(&mail, &Memory::new()), *protocol);
        }
    }
}

#[test]
fn nothing_is_sealed_by_it() {
    for protocol in MISSING {
        names(postseal::sign(LETTER.as_bytes(), *protocol, &Memory::new()), *protocol);
        names(
            postseal::encrypt(LETTER.as_bytes(), *protocol, &[address("bob@example.net")], &Memory::new()),
            *protocol,
        );
    }
}

#[test]
fn its_key_files_are_refused() {
    for (protocol, file) in [(ProtocolName::Pgp, "pgp/alice.asc"), (ProtocolName::Smime, "home/ca.pem")] {
        if MISSING.contains(&protocol) {
            let octets = testdata(file);
            names(store::load(&[(file, &octets)], &Arc::new(Passphrases::default()), &Limits::default()), protocol);
        }
    }
}

/// Rules that try to encrypt, and send in clear when there is no key: with the protocol that would know of keys absent, nobody knows.
#[test]
fn nothing_is_sent_in_clear_in_its_place() {
    for protocol in MISSING {
        let rule = |name: &str, order| Rule {
            name: name.to_owned(),
            orders: [order].into(),
            protocols: vec![*protocol],
            ..Rule::default()
        };
        let mut encrypt = rule("encrypt", Order::Encrypt);
        encrypt.obstacles = [(Obstacle::MissingKey, Resort::Next)].into();
        let policy = Policy {
            local: vec![Pattern::parse("example.org").unwrap()],
            trusted: vec![Pattern::parse("alice@example.org").unwrap()],
            rules: vec![encrypt, rule("clear", Order::Clear)],
            identities: BTreeMap::new(),
            mailboxes: Default::default(),
            aliases: Default::default(),
            forwards: Default::default(),
            lists: Default::default(),
            mode: Default::default(),
            obstacles: BTreeMap::new(),
            max_size: 1024 * 1024,
        };
        let handler = ReloadableHandler::new(HandlerConfig {
            keys: Arc::new(Memory::new()),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            legacy: Legacy::Refuse,
            revocation: Revocation::Soft,
            limits: Limits::default(),
            policy,
            name: "mx.example.org".to_owned(),
            authserv_ids: Vec::new(),
            marker: Secret::from("0123456789abcdef"),
        });
        // Its ciphertext too, though others could have encrypted it: here nothing can tell.
        for message in [vec![LETTER.into()], sealed(*protocol)].concat() {
            let envelope = Envelope {
                sender: ReversePath { address: Some(address("alice@example.org")), parameters: Vec::new() },
                recipients: vec![ForwardPath { address: address("bob@example.net"), parameters: Vec::new() }],
            };
            let message = Message::parse(message, &mut postseal::base::Budget::new(Limits::default())).unwrap();
            let outcome =
                handler.handle(Mail { envelope, submitter: Submitter::Trusted, client: None, message }).unwrap();
            assert!(outcome.mails.is_empty(), "{protocol:?}: {:?}", outcome.decision);
            assert!(!matches!(outcome.decision.groups[0].disposition, Disposition::Relay), "{:?}", outcome.decision);
        }
    }
}
