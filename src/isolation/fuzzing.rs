//! The service at a connection without a process at the other end, for the fuzz targets `isolation`, `front` and `network`.

pub mod front;
pub mod network;

use std::{
    io::{self, Read, Write},
    ops::Range,
};

use serde::Serialize;
use serde_bytes::ByteBuf;

use super::{
    acceptance::Acceptance,
    answers::{Answers, Told},
    bounds::Sizes,
    channel::{Channel, gone},
    foreseen,
    forms::{MailForm, OutcomeForm, PostingForm},
    orders::{Order, Said, Task},
    questions::{Memory, QueryForm, Question, UnwrapForm},
};
use crate::{
    base::{Clock, FixedClock, Limits, Result, Secret},
    crypto::{Scheme, Unwrap},
    engine::{Outcome, Posting},
    keys::{Handle, ProtocolName, Purpose, Query, UseClient, Want},
    mail::{Address, Mail, Message},
    policy::{Command, Policy, Request},
};

/// A process that says this, whatever it is told.
struct Script<'a> {
    said: &'a [u8],
    heard: Vec<u8>,
}

impl Script<'_> {
    fn of(said: &[u8]) -> Script<'_> {
        Script { said, heard: Vec::new() }
    }
}

impl Read for Script<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.said.read(buffer)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.heard.extend(octets);
        assert!(self.heard.len() < MOST_HEARD, "one message costs too much");
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the service knows.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The keys and the members.
    pub answers: &'a Answers,
    /// What one message may cost.
    pub limits: &'a Limits,
    /// The time.
    pub now: FixedClock,
    /// The rules.
    pub policy: &'a Policy,
}

impl Known<'_> {
    /// What becomes of `mail` when the judge says these octets: values, each after its length in four octets, the least one first.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`](crate::engine::Handler::handle).
    pub fn handled(self, said: &[u8], mail: &Mail) -> Result<Outcome> {
        let acceptance = Acceptance::of(&mail.envelope.recipients, self.policy);
        let foreseen = foreseen::of_mail(mail, self.policy);
        match self.attend(said, &acceptance, foreseen, |task| Order::Handle { mail: MailForm::of(mail), task })? {
            Said::Handled(form) => {
                acceptance.outcome(*form?, &mail.message, |list| self.answers.list(list), self.limits)
            }
            _ => Err(gone(&"it does other work")),
        }
    }

    /// The copies of a post when the judge says these octets.
    ///
    /// # Errors
    ///
    /// As [`Handler::copies`](crate::engine::Handler::copies).
    pub fn copied(self, said: &[u8], posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let acceptance = Acceptance::of_copies(posting, &numbers, self.policy);
        let order = |task| Order::Copies { posting: PostingForm::of(posting), numbers: numbers.clone(), task };
        match self.attend(said, &acceptance, Vec::new(), order)? {
            Said::Copies(forms) => acceptance.copies(forms?, self.limits),
            _ => Err(gone(&"it does other work")),
        }
    }

    fn attend(
        self,
        said: &[u8],
        acceptance: &Acceptance,
        foreseen: Vec<Question>,
        order: impl FnOnce(Task) -> Order,
    ) -> Result<Said> {
        let mut told = Told::default();
        let now = self.now.now();
        let memory = told.next_message(UseClient::stranger(None), now);
        let ahead = self.answers.foretold(foreseen, &mut told, acceptance);
        let order = order(Task { now, context: String::new(), memory, ahead });
        let mut channel = Channel::new(Script::of(said)).with(Sizes::of(self.limits, 10));
        self.answers.attend(&mut channel, &order, &mut told, acceptance)
    }
}

/// A judge says that this is the outcome of a mail with the message `came`.
pub fn outcome(outcome: &Outcome, came: &Message) -> Vec<u8> {
    octets(&Said::Handled(Ok(Box::new(OutcomeForm::of(outcome, came)))))
}

/// A judge says that these are the copies.
pub fn copies(mails: &[Mail]) -> Vec<u8> {
    octets(&Said::Copies(Ok(mails.iter().map(MailForm::of).collect())))
}

/// A question of each kind, about this key and this address of a list, and of `now`.
pub fn questions(key: &Handle, list: &Address, now: FixedClock) -> Vec<Vec<u8>> {
    let some = || ByteBuf::from(vec![7; 32]);
    let signatures = vec![("key".to_owned(), now.now())];
    let request = Request { author: list.clone(), command: Command::Unsubscribe, signatures };
    let find = |protocol, want| {
        let query = QueryForm::of(&Query::new(Purpose::Sign, want));
        Question::Find { protocol, query }
    };
    let unwrap = UnwrapForm::of(Unwrap::RsaPkcs1);
    let expected = || vec![find(ProtocolName::Smime, Want::Certificate(key)), Question::Passwords];
    let all = [
        find(ProtocolName::Pgp, Want::Secrets),
        Question::Secret { record: 0, key: key.clone() },
        Question::Sign { key: 0, scheme: Scheme::EdDsa, digest: some() },
        Question::Decrypt { key: 0, unwrap, wrapped: some() },
        Question::Agree { key: 0, peer: some() },
        Question::Decapsulate { key: 0, ciphertext: some() },
        find(ProtocolName::Pgp, Want::Address(list)),
        find(ProtocolName::Pem, Want::All),
        find(ProtocolName::Smime, Want::Handle(key)),
        Question::Anchors,
        Question::CarryOut { list: list.clone(), request },
        Question::Deprecated(key.clone()),
        Question::Members(list.clone()),
        Question::Passwords,
        Question::Revocations,
        Question::SharedPassphrase(list.clone()),
        Question::Statements { path: vec![some()], left: Some(std::time::Duration::from_secs(1)) },
        Question::TakesRequests(list.clone()),
    ];
    all.into_iter().map(|question| octets(&Said::Question { question, expected: expected() })).collect()
}

/// The first order of a service whose version is that of this program, one for `mail`, and the answers `found`: what a judge is told.
pub fn orders(mail: &Mail, start: super::Setup, found: &[std::sync::Arc<crate::keys::Record>]) -> Vec<Vec<u8>> {
    use super::questions::{Answer, Foretold, Known, RecordForm};
    let version = super::setup::VERSION.to_owned();
    let records = || Answer::Records(found.iter().map(|record| Known::New(RecordForm::of(record))).collect());
    let foretold = || Foretold { question: Question::Anchors, answer: records() };
    let now = std::time::SystemTime::UNIX_EPOCH;
    let task = Task { now, context: String::new(), memory: Memory::Kept, ahead: vec![foretold()] };
    let answer = |answer| octets(&Order::Answer { answer: Ok(answer), ahead: vec![foretold()] });
    vec![
        octets(&Order::Start { version, setup: Box::new(start) }),
        octets(&Order::Handle { mail: MailForm::of(mail), task }),
        answer(records()),
        answer(Answer::Octets(ByteBuf::from(vec![7; 64]))),
        answer(Answer::Secret(Some((0, crate::crypto::KeyAlgorithm::Ed25519)))),
    ]
}

/// What every judge is told first.
pub fn start() -> super::Setup {
    super::Setup {
        path: Default::default(),
        texts: Default::default(),
        tenant: None,
        legacy: crate::crypto::Legacy::Refuse,
        memory: 1 << 28,
        sizes: Sizes { received: 1 << 20, made: 1 << 20 },
        marker: ByteBuf::from(Secret::from("0123456789abcdef").expose().to_vec()),
        fetching: super::questions::Fetching::No,
    }
}

/// A value without its length.
fn octets(value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, Vec::new()).expect("the values of this program are written")
}

/// Octets that are said to one process, in answer to at most 16 KiB.
const MOST_HEARD: usize = 64 << 20;
