//! What a mail server has to do in a day: mail that is sealed, opened, verified, posted to a list and held, and some that is hostile.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Write,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::hostile;
use crate::{
    proxy::Proxy,
    submission::crash::{Connection, connected, say},
    support::postfix::Sink,
};

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Work {
    Sealed,
    /// By a key on the token.
    Signed,
    /// By the tenant whose keys are in the database.
    SealedForTenant,
    OpenedPgp,
    OpenedSmime,
    /// By a key on the token.
    OpenedByToken,
    OpenedForTenant,
    Verified,
    Posted,
    Held,
    Hostile,
}

/// The messages, by their numbers, and when each was sent.
pub(super) struct Traffic {
    port: u16,
    /// Each without its Message-ID, which stands on top.
    bodies: HashMap<Work, String>,
    hostile: Vec<Vec<u8>>,
    sent: Mutex<BTreeMap<usize, Instant>>,
    /// When each copy arrived, by its number and its reader.
    arrived: Mutex<HashMap<(usize, String), Vec<Instant>>>,
}

impl Work {
    /// Of 20 messages one is hostile.
    fn of(number: usize) -> Work {
        match number % 20 {
            0 => Work::Hostile,
            1..=4 => Work::Sealed,
            5 => Work::Signed,
            6 => Work::SealedForTenant,
            7..=8 => Work::OpenedPgp,
            9 => Work::OpenedByToken,
            10..=11 => Work::OpenedSmime,
            12..=15 => Work::Verified,
            16 => Work::OpenedForTenant,
            17..=18 => Work::Posted,
            // So many that the disk does not fill up by them alone.
            _ if number < 10_000 => Work::Held,
            _ => Work::Sealed,
        }
    }

    /// What is done instead where there is neither a token nor a database.
    fn at_home(self) -> Work {
        match self {
            Work::Signed | Work::SealedForTenant => Work::Sealed,
            Work::OpenedByToken | Work::OpenedForTenant => Work::OpenedPgp,
            other => other,
        }
    }

    /// Who sends it, from which host, and to whom.
    fn envelope(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Work::Sealed => (TRUSTED, "alice@example.org", &["bob@example.net", "dave@plain.test"]),
            Work::Signed => (TRUSTED, "tom@example.org", &["carol@signed.test"]),
            Work::SealedForTenant => (TRUSTED, "ann@shared.example", &["bob@example.net"]),
            Work::Posted => (TRUSTED, "alice@example.org", &["dev@example.org"]),
            Work::Held => (TRUSTED, "alice@example.org", &["carol@held.test"]),
            Work::OpenedPgp | Work::OpenedSmime | Work::Verified => {
                (STRANGER, "NUMBER@example.net", &["alice@example.org"])
            }
            Work::OpenedByToken => (STRANGER, "NUMBER@example.net", &["tom@example.org"]),
            Work::OpenedForTenant => (STRANGER, "NUMBER@example.net", &["ann@shared.example"]),
            Work::Hostile => (STRANGER, "eve@evil.example.org", &["alice@example.org"]),
        }
    }

    /// Who gets a copy.
    fn readers(self) -> &'static [&'static str] {
        match self {
            Work::Posted => &["bob@example.net", "dave@plain.test"],
            Work::Held | Work::Hostile => &[],
            _ => self.envelope().2,
        }
    }
}

impl Traffic {
    /// Makes the messages with the keys of the proxy; they are sent to `port`.
    pub(super) fn new(proxy: &Proxy, port: u16) -> Traffic {
        let to = "alice@example.org";
        let bodies = HashMap::from([
            (Work::OpenedPgp, made(proxy, to, &["encrypt", "-f", "pgp", "--no-self", "--sign", "--to", to])),
            (Work::OpenedSmime, made(proxy, to, &["encrypt", "-f", "smime", "--aead", "--no-self", "--to", to])),
            (Work::Verified, made(proxy, to, &["sign", "-f", "pgp"])),
            (Work::Posted, plain(to, "dev@example.org")),
            (Work::Held, plain(to, "bob@example.net")),
            (Work::Sealed, plain(to, "bob@example.net")),
        ]);
        Traffic { port, bodies, hostile: hostile::messages(), sent: Mutex::default(), arrived: Mutex::default() }
    }

    /// The same, with mail of those whose keys are on a token and in a database.
    pub(super) fn with_keys_elsewhere(mut self, proxy: &Proxy) -> Traffic {
        let opened = |to| made(proxy, to, &["encrypt", "-f", "pgp", "--no-self", "--sign", "--to", to]);
        let (tom, ann) = ("tom@example.org", "ann@shared.example");
        self.bodies.extend([
            (Work::Signed, plain(tom, "carol@signed.test")),
            (Work::SealedForTenant, plain(ann, "bob@example.net")),
            (Work::OpenedByToken, opened(tom)),
            (Work::OpenedForTenant, opened(ann)),
        ]);
        self
    }

    /// What is done with this message.
    fn work(&self, number: usize) -> Work {
        let work = Work::of(number);
        if work == Work::Hostile || self.bodies.contains_key(&work) { work } else { work.at_home() }
    }

    pub(super) fn hostile(&self) -> usize {
        self.hostile.len()
    }

    /// Sends one, and says how long the answer to its end took; `None` when it was not taken. A hostile one may be refused.
    pub(super) fn send(&self, connection: &mut Option<Connection>, number: usize) -> Option<Duration> {
        self.sent.lock().expect("nobody panics with it").entry(number).or_insert_with(Instant::now);
        let work = self.work(number);
        let (host, from, to) = work.envelope();
        let mut client = connected(connection, self.port)?;
        say(&mut client, "RSET\r\n", "250")?;
        say(&mut client, &format!("XFORWARD ADDR={host}\r\n"), "250")?;
        // The header of an opened message is that within: these have their number in the envelope.
        let from = from.replace("NUMBER", &format!("soak.{number}"));
        say(&mut client, &format!("MAIL FROM:<{from}>\r\n"), "250")?;
        for address in to {
            say(&mut client, &format!("RCPT TO:<{address}>\r\n"), "250")?;
        }
        say(&mut client, "DATA\r\n", "354")?;
        let begun = match self.bodies.get(&work) {
            Some(body) => {
                let text = format!("Message-ID: <soak.{number}@example.org>\r\n{body}");
                client.get_mut().write_all(text.as_bytes()).ok()?;
                let begun = Instant::now();
                say(&mut client, ".\r\n", "250")?;
                begun
            }
            None => {
                client.get_mut().write_all(&self.hostile[number / 20 % self.hostile.len()]).ok()?;
                let begun = Instant::now();
                // Taken or refused, and answered in any case.
                say(&mut client, "", "")?;
                begun
            }
        };
        *connection = Some(client);
        Some(begun.elapsed())
    }

    /// Takes what has arrived so far off the sink; each copy is as it has to be.
    pub(super) fn collect(&self, sink: &Sink) {
        for received in sink.drain() {
            let text = received.text();
            let number = number_after("<soak.", &received.sender).or_else(|| number_of(&text));
            let Some(number) = number else { continue };
            let work = self.work(number);
            for address in received.addresses() {
                let is_clear = text.contains("the secret");
                // What is sealed is for bob alone; what comes in is opened or refused for now, and never passed on as it is.
                assert_eq!(is_clear, address != "bob@example.net", "{number}, {work:?}, for {address}: {text}");
                let is_good = work != Work::Verified || text.contains("x-pgp=pass");
                assert!(is_good, "{number}, for {address}: not verified: {text}");
                let is_good = work != Work::Signed || text.contains("BEGIN PGP SIGNATURE");
                assert!(is_good, "{number}, for {address}: not signed: {text}");
                let mut arrived = self.arrived.lock().expect("nobody panics with it");
                arrived.entry((number, address.to_owned())).or_default().push(received.at);
            }
        }
    }

    /// The numbers of all messages that were sent, from this one on.
    pub(super) fn sent(&self, from: usize) -> Vec<usize> {
        self.sent.lock().expect("nobody panics with it").range(from..).map(|(number, _)| *number).collect()
    }

    /// That each of these messages arrived; the times from sending to arrival, in order, and how many more copies than one there are. `held` are the texts of the
    /// messages in quarantine.
    pub(super) fn check(&self, numbers: &[usize], held: &[String]) -> (Vec<Duration>, usize) {
        let held: HashSet<usize> = held.iter().filter_map(|text| number_of(text)).collect();
        let (mut times, mut more) = (Vec::new(), 0);
        let (sent, arrived) = (self.sent.lock().expect("no panic"), self.arrived.lock().expect("no panic"));
        for number in numbers {
            let work = self.work(*number);
            for reader in work.readers() {
                let copies = arrived.get(&(*number, (*reader).to_owned()));
                let copies = copies.unwrap_or_else(|| panic!("lost: {number}, {work:?}, for {reader}"));
                times.push(copies[0].saturating_duration_since(sent[number]));
                more += copies.len() - 1;
            }
            assert!(work != Work::Held || held.contains(number), "lost: {number} is not in quarantine");
        }
        times.sort_unstable();
        (times, more)
    }
}

/// A message in clear.
fn plain(from: &str, to: &str) -> String {
    format!("From: {from}\r\nTo: {to}\r\nSubject: x\r\n\r\nthe secret\r\n")
}

/// A message to this address that the program made of one in clear, as SMTP has it.
fn made(proxy: &Proxy, to: &str, arguments: &[&str]) -> String {
    let path = proxy.path("in.eml");
    std::fs::write(&path, plain("bob@example.net", to)).expect("a file");
    let input = path.display().to_string();
    let message = String::from_utf8(proxy.postseal(&[arguments, &[&input]].concat())).expect("text");
    message.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..")
}

fn number_of(text: &str) -> Option<usize> {
    number_after("Message-ID: <soak.", text)
}

fn number_after(words: &str, text: &str) -> Option<usize> {
    text.split(words).nth(1)?.split('@').next()?.parse().ok()
}

/// Postfix passes on which of its clients are local.
const TRUSTED: &str = "127.0.0.1 SOURCE=LOCAL";
const STRANGER: &str = "192.0.2.1 SOURCE=REMOTE";
