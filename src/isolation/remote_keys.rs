//! The keys of another process.

use std::{
    fmt,
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde_bytes::ByteBuf;

use super::{
    channel::{Channel, gone},
    orders::{Order, Said},
    questions::{
        Answer, Fetching, Foretold, Known, Memory, QueryForm, Question, RecordForm, TakesRequests, UnwrapForm, left,
    },
};
use crate::{
    base::{Error, Result, Secret},
    crypto::{KeyAlgorithm, Scheme, SecretKey, Unwrap},
    keys::{Deprecated, Handle, Keys, PassphraseFrom, ProtocolName, Query, Record, SharedPassphrase, StatusSource},
    mail::Address,
    policy::{Carried, Member, Membership, Request},
};

/// [`Keys`] that the process answers which started this one. Secret keys stay there: this process is given signatures and session keys.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    link: Arc<Link>,
    fetching: Fetching,
}

/// The connection to the process that started this one. One question or order at a time.
pub(super) struct Link(Mutex<State>);

struct State {
    channel: Channel<File>,
    records: Vec<Arc<Record>>,
    statements: Vec<Arc<[u8]>>,
    /// What was told before it was asked. Each of it is used once.
    ahead: Vec<Ahead>,
    /// What is said to come with the next question.
    expected: Vec<Question>,
}

/// The answer to a question that is expected, and until when it counts.
struct Ahead {
    until: Instant,
    question: Question,
    heard: Heard,
}

/// An answer, with what its numbers stand for.
enum Heard {
    Other(Answer),
    Records(Vec<Arc<Record>>),
    Statements(Vec<Arc<[u8]>>),
}

impl Link {
    pub(super) fn new(channel: Channel<File>) -> Link {
        let (records, statements) = (Vec::new(), Vec::new());
        Link(Mutex::new(State { channel, records, statements, ahead: Vec::new(), expected: Vec::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, said: &Said) -> Result<()> {
        self.state().channel.send(said)
    }

    pub(super) fn order(&self) -> Result<Order> {
        self.state().channel.receive()
    }

    /// # Errors
    ///
    /// `TryAgain`: the other process names what it did not tell.
    pub(super) fn next_message(&self, memory: Memory, ahead: Vec<Foretold>) -> Result<()> {
        let mut state = self.state();
        if memory == Memory::Cleared {
            state.records.clear();
            state.statements.clear();
        }
        state.ahead.clear();
        state.expected.clear();
        state.hear_ahead(ahead)
    }

    fn ask(&self, question: Question) -> Result<Answer> {
        match self.state().ask(question)? {
            Heard::Other(answer) => Ok(answer),
            Heard::Records(_) | Heard::Statements(_) => Err(other()),
        }
    }

    fn octets(&self, question: Question) -> Result<Vec<u8>> {
        match self.ask(question)? {
            Answer::Octets(octets) => Ok(octets.into_vec()),
            _ => Err(other()),
        }
    }

    fn records(&self, question: Question) -> Result<Vec<Arc<Record>>> {
        match self.state().ask(question)? {
            Heard::Records(found) => Ok(found),
            Heard::Other(_) | Heard::Statements(_) => Err(other()),
        }
    }

    fn statements(&self, question: Question) -> Result<Vec<Arc<[u8]>>> {
        match self.state().ask(question)? {
            Heard::Statements(found) => Ok(found),
            Heard::Other(_) | Heard::Records(_) => Err(other()),
        }
    }
}

impl State {
    fn ask(&mut self, question: Question) -> Result<Heard> {
        if question.fetches() {
            // What is fetched may be a revocation, or another key.
            self.ahead.clear();
        }
        if let Some(place) = self.ahead.iter().position(|ahead| question.is(&ahead.question)) {
            let Ahead { until, heard, .. } = self.ahead.swap_remove(place);
            if Instant::now() < until {
                return Ok(heard);
            }
        }
        let mut expected = std::mem::take(&mut self.expected);
        expected.retain(|one| !one.is(&question));
        self.channel.send(&Said::Question { question, expected })?;
        let Order::Answer { answer, ahead } = self.channel.receive()? else { return Err(other()) };
        // Numbers are given in the order of the answers.
        let heard = answer.and_then(|answer| self.hear(answer));
        self.hear_ahead(ahead)?;
        heard
    }

    fn hear_ahead(&mut self, ahead: Vec<Foretold>) -> Result<()> {
        let until = Instant::now() + AHEAD;
        for Foretold { question, answer } in ahead {
            let heard = self.hear(answer)?;
            self.ahead.push(Ahead { until, question, heard });
        }
        Ok(())
    }

    fn hear(&mut self, answer: Answer) -> Result<Heard> {
        Ok(match answer {
            Answer::Records(found) => {
                let record = |form: RecordForm| Arc::new(form.record());
                let found = found.into_iter().map(|one| known(&mut self.records, one, record));
                Heard::Records(found.collect::<Result<_>>()?)
            }
            Answer::Statements(found) => {
                let statement = |der: ByteBuf| der.into_vec().into();
                let found = found.into_iter().map(|one| known(&mut self.statements, one, statement));
                Heard::Statements(found.collect::<Result<_>>()?)
            }
            answer => Heard::Other(answer),
        })
    }
}

/// The value that an answer has or names.
fn known<T: ?Sized, F>(values: &mut Vec<Arc<T>>, one: Known<F>, read: impl Fn(F) -> Arc<T>) -> Result<Arc<T>> {
    match one {
        Known::New(form) => {
            let value = read(form);
            values.push(Arc::clone(&value));
            Ok(value)
        }
        Known::Numbered(number) => {
            let place = usize::try_from(number).ok();
            place.and_then(|place| values.get(place)).cloned().ok_or_else(other)
        }
    }
}

fn other() -> Error {
    gone(&"it answers another question")
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(..)")
    }
}

impl RemoteKeys {
    pub(super) fn new(link: Arc<Link>, fetching: Fetching) -> RemoteKeys {
        RemoteKeys { link, fetching }
    }

    /// The members of a list, as the other process knows them.
    pub(super) fn members(&self, list: &Address) -> RemoteMembers {
        RemoteMembers { link: Arc::clone(&self.link), list: list.clone() }
    }
}

impl Keys for RemoteKeys {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        self.link.records(Question::Find { protocol, query: QueryForm::of(query) })
    }

    fn expect(&self, protocol: ProtocolName, queries: &[Query<'_>]) {
        let mut state = self.link.state();
        for query in queries {
            let question = Question::Find { protocol, query: QueryForm::of(query) };
            if !state.ahead.iter().any(|ahead| question.is(&ahead.question)) {
                state.expected.push(question);
            }
        }
        state.expected.truncate(MOST_EXPECTED);
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let number = {
            let state = self.link.state();
            let is_it = |known: &Arc<Record>| {
                known.protocol() == record.protocol() && known.fingerprint() == record.fingerprint()
            };
            // The last one: what is known of it by now. A copy without the secret part may have come from another source since.
            let has = |known: &Arc<Record>| is_it(known) && known.secrets().contains(key);
            state.records.iter().rposition(has).or_else(|| state.records.iter().rposition(is_it))
        };
        let Some(number) = number.and_then(|number| u32::try_from(number).ok()) else { return Ok(None) };
        match self.link.ask(Question::Secret { record: number, key: key.clone() })? {
            Answer::Secret(found) => Ok(found.map(|(number, algorithm)| {
                let secret = RemoteSecret { link: Arc::clone(&self.link), number, algorithm };
                Arc::new(secret) as Arc<dyn SecretKey>
            })),
            _ => Err(other()),
        }
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        match self.link.ask(Question::Deprecated(id.clone()))? {
            Answer::Deprecated(found) => Ok(found),
            _ => Err(other()),
        }
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        self.link.records(Question::Anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.link.statements(Question::Revocations)
    }

    fn status_source(&self) -> Option<&dyn StatusSource> {
        (self.fetching == Fetching::Yes).then_some(self)
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        match self.link.ask(Question::Passwords)? {
            Answer::Passwords(found) => Ok(found.into_iter().map(|one| Secret::new(one.into_vec())).collect()),
            _ => Err(other()),
        }
    }

    fn shared_passphrase(&self, recipient: &Address) -> Result<Option<SharedPassphrase>> {
        let Answer::Passphrase(found) = self.link.ask(Question::SharedPassphrase(recipient.clone()))? else {
            return Err(other());
        };
        let read = |(text, from): (ByteBuf, PassphraseFrom)| {
            let text = Secret::new(text.into_vec());
            let text = std::str::from_utf8(text.expose()).map_err(|_| other())?;
            SharedPassphrase::parse(text, from)
        };
        found.map(read).transpose()
    }
}

impl StatusSource for RemoteKeys {
    fn statements_about(&self, path: &[&[u8]], deadline: Option<Instant>) -> Result<Vec<Arc<[u8]>>> {
        let path = path.iter().map(|der| ByteBuf::from(der.to_vec())).collect();
        self.link.statements(Question::Statements { path, left: deadline.map(left) })
    }
}

/// A secret key of the other process.
struct RemoteSecret {
    link: Arc<Link>,
    number: u32,
    algorithm: KeyAlgorithm,
}

impl fmt::Debug for RemoteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSecret({})", self.algorithm.name())
    }
}

impl SecretKey for RemoteSecret {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        self.link.octets(Question::Sign { key: self.number, scheme, digest: ByteBuf::from(digest.to_vec()) })
    }

    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret> {
        let (unwrap, wrapped) = (UnwrapForm::of(unwrap), ByteBuf::from(wrapped.to_vec()));
        self.link.octets(Question::Decrypt { key: self.number, unwrap, wrapped }).map(Secret::new)
    }

    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let peer = ByteBuf::from(peer.to_vec());
        self.link.octets(Question::Agree { key: self.number, peer }).map(Secret::new)
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        let ciphertext = ByteBuf::from(ciphertext.to_vec());
        self.link.octets(Question::Decapsulate { key: self.number, ciphertext }).map(Secret::new)
    }
}

/// The members of a list of the other process.
#[derive(Debug)]
pub(super) struct RemoteMembers {
    link: Arc<Link>,
    list: Address,
}

impl Membership for RemoteMembers {
    fn read(&self) -> Result<Arc<[Member]>> {
        match self.link.ask(Question::Members(self.list.clone()))? {
            Answer::Members(members) => Ok(members.into()),
            _ => Err(other()),
        }
    }

    fn takes_requests(&self) -> bool {
        let answer = self.link.ask(Question::TakesRequests(self.list.clone()));
        matches!(answer, Ok(Answer::TakesRequests(TakesRequests::Yes)))
    }

    /// At the time of the other process.
    fn carry_out(&self, request: &Request, _: SystemTime) -> Result<Carried> {
        let (list, request) = (self.list.clone(), request.clone());
        match self.link.ask(Question::CarryOut { list, request })? {
            Answer::Carried(carried) => Ok(carried),
            _ => Err(other()),
        }
    }
}

/// Questions that are said to come. Source: the certificates of a message, of which there are rarely more than a path.
const MOST_EXPECTED: usize = 32;
/// How long an answer counts that was told before it was asked: what changes in the home meanwhile is not in it. Source: a message is handled in a few
/// milliseconds. Where it takes longer, the judge asks.
const AHEAD: Duration = Duration::from_millis(100);
