//! Any values that a judge may say, and real ones that are changed: no panic, no mail to others than the recipients of its message and the members of the list
//! that it is for, no control character in an envelope or a reply, and replies that are replies. In the other direction, any values that a judge may be told.
#![no_main]

mod script;
#[allow(dead_code, reason = "its handler is for the other targets")]
mod wire;
#[allow(dead_code, reason = "the marker and the secrets are for the target of the front")]
mod world;

use std::{
    collections::HashSet,
    fs::File,
    io::Write,
    ops::Range,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Limits, Result, SystemClock, SystemRandom},
    crypto::Scheme,
    engine::{Handler, Outcome, Posting},
    isolation::{Answers, Judge, fuzzing},
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Want},
    mail::{Address, Envelope, Mail, Message, Submitter},
    policy::{Group, Pattern, Policy},
    transport::{
        Connection, Listener, Load, Measured, MemoryLimit, SessionId,
        relay::{Host, Relay},
        smtp::{self, BareLf, Caller, Clients, Dialect, Protection, Server, Settings, Timeouts},
        tls::{Connector, Security},
    },
};
use tokio::sync::{Semaphore, watch};

use crate::{
    script::values,
    world::{Case, address, case, cases, engine, keys, now, policy},
};

struct World {
    answers: Answers,
    policy: Policy,
    limits: Limits,
    cases: Vec<Case>,
    /// What judges say: questions, outcomes and copies.
    said: Vec<Vec<u8>>,
    /// What judges are told.
    told: Vec<Vec<u8>>,
    posting: Arc<Posting>,
    /// A judge says that a copy is for somebody else.
    to_mallory: Vec<u8>,
    key: Handle,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// What is said is taken where nothing was changed: otherwise the rest would say little.
static SOUND: LazyLock<()> = LazyLock::new(|| {
    let World { cases, said, posting, .. } = &*WORLD;
    let same = |value: &Vec<u8>| values(std::slice::from_ref(value), &[0, 0]);
    let [outcomes @ .., copies] = &said[said.len() - cases.len() - 1..] else { return };
    for (case, outcome) in cases.iter().zip(outcomes) {
        known().handled(&same(outcome), &case.mail).expect("an outcome");
    }
    assert_eq!(known().copied(&same(copies), posting, 0..2).expect("copies").len(), 2);
});

fuzz_target!(|octets: &[u8]| {
    LazyLock::force(&SOUND);
    let [mode, program @ ..] = octets else { return };
    let case = &WORLD.cases[usize::from(mode >> 4) % WORLD.cases.len()];
    match mode & 3 {
        0 => outcome(case, &values(&WORLD.said, program)),
        1 => session(case, &values(&WORLD.said, program)),
        2 => copies(&values(&WORLD.said, program)),
        _ => told(&values(&WORLD.told, program)),
    }
});

fn known() -> fuzzing::Known<'static> {
    let World { answers, policy, limits, .. } = &*WORLD;
    fuzzing::Known { answers, limits, policy, now: now() }
}

fn outcome(case: &Case, said: &[u8]) {
    let Ok(outcome) = known().handled(said, &case.mail) else { return };
    for group in &outcome.decision.groups {
        look(group);
        group.recipients.iter().for_each(|path| assert!(case.allowed.contains(&path.address), "{}", path.address));
    }
    outcome.mails.iter().for_each(|mail| envelope(mail, &case.allowed));
    for posting in &outcome.postings {
        assert_eq!(posting.list().address, address("dev@example.org"));
        assert!(case.allowed.contains(&posting.list().address), "the mail is for no list");
        posting.groups().iter().for_each(look);
        // Its copies are for members, whatever the judge says next. A command is answered to whom the judge says.
        assert!(!posting.is_post() || known().copied(&WORLD.to_mallory, posting, 0..usize::MAX).is_err());
        _ = (posting.mails(), posting.octets());
    }
    _ = (outcome.refusal(), outcome.local_refusal(), outcome.octets(), outcome.authentic_author());
    _ = (outcome.copies().count(), outcome.transactions());
    for address in &case.allowed {
        _ = outcome.deliveries(address).count();
    }
}

fn copies(said: &[u8]) {
    let Ok(mails) = known().copied(said, &WORLD.posting, 0..2) else { return };
    let allowed = ["one@example.net", "two@example.net", "owner@example.net"].map(address).into();
    mails.iter().for_each(|mail| envelope(mail, &allowed));
}

fn look(group: &Group) {
    let said = [Some(group.rule.as_str()), group.cause.as_deref(), group.disposition.reason()];
    assert!(!said.into_iter().flatten().any(|word| word.contains(char::is_control)));
}

fn envelope(mail: &Mail, allowed: &HashSet<Address>) {
    let Envelope { sender, recipients } = &mail.envelope;
    for path in recipients {
        assert!(allowed.contains(&path.address), "{}", path.address);
    }
    let parameters = recipients.iter().flat_map(|path| &path.parameters).chain(&sender.parameters);
    assert!(!parameters.into_iter().any(|word| word.contains(char::is_control)));
    let addresses = recipients.iter().map(|path| &path.address).chain(&sender.address);
    assert!(!addresses.into_iter().any(|address| address.to_string().contains(char::is_control)));
}

/// What a client hears whose mail such a judge handles.
fn session(case: &Case, said: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut dialogue = "EHLO client\r\nMAIL FROM:<stranger@elsewhere.test>\r\n".to_owned();
    for path in &case.mail.envelope.recipients {
        dialogue += &format!("RCPT TO:<{}>\r\n", path.address);
    }
    dialogue += &format!("DATA\r\n{}\r\n.\r\nQUIT\r\n", String::from_utf8_lossy(case.mail.message.octets()));
    let peer = wire::Peer::new(dialogue.as_bytes());
    let heard = Arc::clone(&peer.heard);
    let metrics = Arc::default();
    let judged = Measured::new(Arc::new(Judged { said: said.to_vec() }), Arc::clone(&metrics), "relay");
    let second = Duration::from_secs(1);
    let settings = Settings {
        bounces: None,
        kind: "relay",
        dialect: Dialect::Smtp,
        clients: Clients::Anyone,
        name: "mx.example.org".to_owned(),
        protection: Protection::None,
        login: smtp::Login::None,
        login_limits: Arc::default(),
        rate_limits: Default::default(),
        metrics: Arc::clone(&metrics),
        trusted: Vec::new(),
        peers: Vec::new(),
        aliases: None,
        local: vec![Pattern::parse("*").unwrap()],
        limits: WORLD.limits.clone(),
        recipients: 10,
        per_client: 10,
        memory: MemoryLimit::new(64 * 1024 * 1024, &Limits::default()),
        timeouts: Timeouts { connect: second, command: second, block: second, end: second },
        bare_lf: BareLf::Reject,
        clock: Arc::new(SystemClock),
        quarantine: None,
    };
    let server = Arc::new(Server::new(Arc::new(judged), Arc::clone(&RELAY), Arc::new(Semaphore::new(4)), settings));
    runtime.block_on(async {
        let (_stop, stopping) = watch::channel(false);
        let connection = Connection { stream: Box::new(peer), peer: None, load: Load::none() };
        _ = server.serve(connection, SessionId::new(&SystemRandom).unwrap(), stopping).await;
    });
    let heard = heard.lock().unwrap();
    assert!(heard.ends_with(b"\r\n"));
    // One for the connection and one for each command, and the message.
    let replies = heard.split(|octet| *octet == b'\n').filter(|line| matches!(line, [_, _, _, b' ', ..])).count();
    assert_eq!(replies, 6 + case.mail.envelope.recipients.len(), "{}", String::from_utf8_lossy(&heard));
    for line in heard.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").expect("a CRLF");
        assert!(line.len() <= 510 && line.is_ascii() && !line.contains(&b'\r'));
        assert!(line.len() >= 3 && line[..3].iter().all(u8::is_ascii_digit), "{:?}", String::from_utf8_lossy(line));
    }
    _ = metrics.page();
}

/// A judge that is told this asks its questions.
fn told(said: &[u8]) {
    let (own, other) = UnixStream::pair().unwrap();
    let mut other = other;
    // What does not fit into the buffer of the kernel would wait for a reader.
    other.write_all(&said[..said.len().min(64 << 10)]).unwrap();
    other.shutdown(std::net::Shutdown::Write).unwrap();
    let Ok(judge) = Judge::start(File::from(OwnedFd::from(own))) else { return };
    let keys = judge.keys();
    _ = (judge.marker(), judge.setup().memory);
    for _ in 0..3 {
        let Ok(found) = keys.find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Secrets)) else { continue };
        for record in found {
            for handle in record.secrets().iter().chain([&WORLD.key]) {
                let Ok(Some(secret)) = keys.secret(&record, handle) else { continue };
                _ = secret.sign(Scheme::EdDsa, b"text");
                _ = secret.algorithm();
            }
        }
    }
    _ = (keys.passwords(), keys.revocations(), keys.anchors(), keys.shared_passphrase(&address("bob@example.net")));
}

/// A handler whose judge says this.
struct Judged {
    said: Vec<u8>,
}

impl Handler for Judged {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        known().handled(&self.said, &mail)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        known().copied(&self.said, posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        Ok(mail.message.clone())
    }
}

/// A next hop that nothing listens at. Made once: a connector reads the authorities of the machine.
static RELAY: LazyLock<Arc<Relay>> = LazyLock::new(|| {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { connect: second, command: second, block: second, end: second };
    let caller =
        Caller { name: "mx.example.org".to_owned(), timeouts, connector: Connector::new(), dialect: Dialect::Smtp };
    Arc::new(Relay::new(caller, Host::Unix("/nowhere".into()), Security::None))
});

impl World {
    fn new() -> World {
        let keys = Arc::new(keys().0);
        let limits = Limits { message: 64 * 1024, ..Limits::default() };
        let policy = policy();
        let found = keys.find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Secrets)).unwrap();
        let key = found[0].secrets()[0].clone();
        let engine = engine(&keys, &policy, &limits);
        let cases = cases();
        let list = address("dev@example.org");
        let mut said = fuzzing::questions(&key, &list, now());
        let mut posting = None;
        for case in &cases {
            let outcome = engine.handle(case.mail.clone()).unwrap();
            said.push(fuzzing::outcome(&outcome, &case.mail.message));
            posting = posting.or(outcome.postings.first().cloned());
        }
        let posting = posting.expect("a post");
        said.push(fuzzing::copies(&engine.copies(&posting, 0..2).unwrap()));
        let mallory = case(Submitter::Host, &["mallory@evil.test"], &[]).mail;
        let to_mallory = values(&[fuzzing::copies(&[mallory])], &[0, 0]);
        let told = fuzzing::orders(&cases[0].mail, fuzzing::start(), &found);
        let answers = Answers::new(keys, policy.lists.clone());
        World { answers, policy, limits, cases, said, told, posting, to_mallory, key }
    }
}
