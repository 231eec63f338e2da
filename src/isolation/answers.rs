//! What answers the questions of one judge: the keys and the lists of the service.

use std::{
    collections::{HashMap, VecDeque},
    io::{Read, Write},
    sync::Arc,
    time::SystemTime,
};

use serde_bytes::ByteBuf;

use super::{
    acceptance::Acceptance,
    channel::Channel,
    forms::named,
    orders::{Order, Said},
    questions::{Answer, Fetching, Foretold, Known, Memory, QueryForm, Question, RecordForm, TakesRequests, deadline},
};
use crate::{
    base::{self, Error, Kind, Result},
    crypto::{KeyAlgorithm, SecretKey},
    keys::{Handle, KeyUse, KeyUses, Keys, Operation, ProtocolName, Purpose, Query, Record, UseClient, Want},
    mail::Address,
    policy::{List, Lists},
};

/// The keys and lists that judges ask for. Clones share them.
#[derive(Clone)]
pub struct Answers {
    keys: Arc<dyn Keys>,
    lists: Arc<Lists>,
    uses: Arc<KeyUses>,
}

impl Answers {
    /// These keys, and the members of these lists.
    pub fn new(keys: Arc<dyn Keys>, lists: Lists) -> Answers {
        Answers { keys, lists: Arc::new(lists), uses: Arc::default() }
    }

    /// The same, whose secret keys are used as often as `uses` says.
    #[must_use]
    pub fn limited(self, uses: KeyUses) -> Answers {
        Answers { uses: Arc::new(uses), ..self }
    }

    /// The list with this address.
    pub(super) fn list(&self, address: &Address) -> Result<&List> {
        named([&*self.lists], address)
    }

    /// Whether something fetches the status of certificates.
    pub(super) fn fetching(&self) -> Fetching {
        if self.keys.status_source().is_some() { Fetching::Yes } else { Fetching::No }
    }

    /// Gives an order, answers the questions about it, and returns what comes of it.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the judge is gone, or says what is no value.
    pub(super) fn attend<S: Read + Write>(
        &self,
        channel: &mut Channel<S>,
        order: &Order,
        told: &mut Told,
        acceptance: &Acceptance,
    ) -> Result<Said> {
        channel.send(order)?;
        loop {
            match channel.receive()? {
                Said::Question { question, expected } => {
                    let answer = self.answer(&question, told, acceptance);
                    let ahead = self.foretold(expected, told, acceptance);
                    channel.send(&Order::Answer { answer, ahead })?;
                }
                said => return Ok(said),
            }
        }
    }

    /// The answers to those of `questions` that may be foretold, and to what they lead to. They are the answers that the judge would get if it asked.
    pub(super) fn foretold(&self, questions: Vec<Question>, told: &mut Told, acceptance: &Acceptance) -> Vec<Foretold> {
        told.foreseen.extend(questions.into_iter().filter(Question::may_be_foretold));
        let mut all = Vec::new();
        while let Some(question) = told.foreseen.pop_front() {
            if all.len() >= MOST_FORETOLD {
                told.foreseen.clear();
                break;
            }
            // What fails is left to be asked: then the judge gets the error.
            if let Ok(answer) = self.answer(&question, told, acceptance) {
                all.push(Foretold { question, answer });
            }
        }
        all
    }

    /// The list with this address, for a mail that is for it.
    fn list_of_mail(&self, address: &Address, acceptance: &Acceptance) -> Result<&List> {
        if !acceptance.has_list(address) {
            return Err(Error::usage("lists: a judge asks for one that its message is not for"));
        }
        self.list(address)
    }

    /// The answer to a question of a judge that was told this before, and works for a mail to whom `acceptance` names.
    pub(super) fn answer(&self, question: &Question, told: &mut Told, acceptance: &Acceptance) -> Result<Answer> {
        told.asked += 1;
        if told.asked > MOST_QUESTIONS {
            return Err(Error::new(Kind::TryAgain, "keys: too many questions for one message"));
        }
        Ok(match question {
            Question::Agree { key, peer } => {
                Answer::octets(&told.used(*key, Operation::Agree, &self.uses)?.agree(peer)?)
            }
            Question::Anchors => {
                if !std::mem::replace(&mut told.has_anchors, true) {
                    told.foreseen.push_back(Question::Revocations);
                }
                Answer::Records(told.records(&self.keys.anchors()?))
            }
            Question::CarryOut { list, request } => {
                let list = self.list_of_mail(list, acceptance)?;
                // What the engine asks for is both. Who signed it is the judge's word.
                if !list.subscription.permits(request.command) || !request.is_current(told.now) {
                    return Err(Error::usage("lists: a judge asks for what no signed mail can"));
                }
                Answer::Carried(list.members.0.carry_out(request, told.now)?)
            }
            Question::Decapsulate { key, ciphertext } => {
                Answer::octets(&told.used(*key, Operation::Decapsulate, &self.uses)?.decapsulate(ciphertext)?)
            }
            Question::Decrypt { key, unwrap, wrapped } => {
                let secret = told.used(*key, Operation::Decrypt, &self.uses)?;
                Answer::octets(&secret.decrypt(unwrap.unwrap(), wrapped)?)
            }
            Question::Deprecated(id) => Answer::Deprecated(self.keys.deprecated(id)?),
            Question::Find { protocol, query } => {
                let query = query.query();
                // Only PEM has names that no index knows. A home may have a million certificates of the others.
                if query.want == Want::All && *protocol != ProtocolName::Pem {
                    return Err(Error::usage("keys: a judge asks for every certificate"));
                }
                let found = self.keys.find(*protocol, &query)?;
                let answer = Answer::Records(told.records(&found));
                told.foresee(*protocol, query.purpose, &found);
                answer
            }
            Question::Members(list) => Answer::Members(self.list_of_mail(list, acceptance)?.members.0.read()?.to_vec()),
            Question::Passwords => {
                let passwords = self.keys.passwords()?;
                Answer::Passwords(passwords.iter().map(|one| ByteBuf::from(one.expose().to_vec())).collect())
            }
            Question::Revocations => Answer::Statements(told.statements(&self.keys.revocations()?)),
            Question::Secret { record, key } => {
                let record = told.records.get(*record)?;
                // What the table of algorithms does not have cannot be named, and works for nothing.
                let named = |secret: &Arc<dyn SecretKey>| !matches!(secret.algorithm(), KeyAlgorithm::Other(_));
                let secret = self.keys.secret(&record, key)?.filter(named);
                Answer::Secret(secret.map(|secret| {
                    let algorithm = secret.algorithm();
                    told.secrets.push(Secret { protocol: record.protocol(), key: key.clone(), secret });
                    (number(told.secrets.len() - 1), algorithm)
                }))
            }
            Question::SharedPassphrase(recipient) => {
                if !acceptance.has(recipient) {
                    return Err(Error::usage("keys: a judge asks for the passphrase of another recipient"));
                }
                let shared = self.keys.shared_passphrase(recipient)?;
                let form = shared.map(|one| (ByteBuf::from(one.text().expose().to_vec()), one.origin()));
                Answer::Passphrase(form)
            }
            Question::Sign { key, scheme, digest } => {
                let secret = told.used(*key, Operation::Sign, &self.uses)?;
                Answer::Octets(ByteBuf::from(secret.sign(*scheme, digest)?))
            }
            Question::Statements { path, left } => {
                let path: Vec<&[u8]> = path.iter().map(|certificate| certificate.as_slice()).collect();
                let fetched = self.keys.status_source().map(|source| source.statements_about(&path, deadline(*left)));
                Answer::Statements(told.statements(&fetched.transpose()?.unwrap_or_default()))
            }
            Question::TakesRequests(list) => {
                let takes = self.list_of_mail(list, acceptance)?.members.0.takes_requests();
                Answer::TakesRequests(if takes { TakesRequests::Yes } else { TakesRequests::No })
            }
        })
    }
}

impl Answer {
    fn octets(secret: &base::Secret) -> Answer {
        Answer::Octets(ByteBuf::from(secret.expose().to_vec()))
    }
}

/// What one judge was told, so that it can name it.
pub(super) struct Told {
    records: Numbered<Record>,
    statements: Numbered<[u8]>,
    /// The secret keys of the message that it works for.
    secrets: Vec<Secret>,
    /// What it is expected to ask next.
    foreseen: VecDeque<Question>,
    /// Whether it was told the trust anchors, for this message.
    has_anchors: bool,
    /// Questions about this message that were answered.
    asked: usize,
    /// Uses of secret keys for it.
    uses: usize,
    /// Whose mail it is.
    client: UseClient,
    /// When it was given.
    now: SystemTime,
    /// Why it is put off: a limit of keys or of clients was reached, whatever the judge makes of that.
    put_off: Option<Error>,
}

/// A secret key that a judge can name.
struct Secret {
    protocol: ProtocolName,
    key: Handle,
    secret: Arc<dyn SecretKey>,
}

impl Default for Told {
    fn default() -> Self {
        Told {
            records: Numbered::default(),
            statements: Numbered::default(),
            secrets: Vec::new(),
            foreseen: VecDeque::new(),
            has_anchors: false,
            asked: 0,
            uses: 0,
            client: UseClient::stranger(None),
            now: SystemTime::UNIX_EPOCH,
            put_off: None,
        }
    }
}

impl Told {
    /// Another message: the judge can name no key of the one before. Where it was told much, it has to forget that too.
    pub(super) fn next_message(&mut self, client: UseClient, now: SystemTime) -> Memory {
        let known = self.records.values.len() + self.statements.values.len();
        let memory = if known < MANY { Memory::Kept } else { Memory::Cleared };
        let before = std::mem::take(self);
        let (records, statements) = match memory {
            Memory::Cleared => Default::default(),
            Memory::Kept => (before.records, before.statements),
        };
        *self = Told { records, statements, client, now, ..Told::default() };
        memory
    }

    /// Why the message is put off, whatever the judge says.
    pub(super) fn put_off(&mut self) -> Option<Error> {
        self.put_off.take()
    }

    /// The secret key with this number, which is used now.
    fn used(&mut self, number: u32, operation: Operation, uses: &KeyUses) -> Result<&dyn SecretKey> {
        self.uses += 1;
        if self.uses > MOST_USES {
            return Err(Error::new(Kind::TryAgain, "keys: used too often for one message"));
        }
        let place = usize::try_from(number).ok();
        let Secret { protocol, key, secret } = place.and_then(|place| self.secrets.get(place)).ok_or_else(unknown)?;
        let asked = KeyUse { client: &self.client, protocol: *protocol, key, operation };
        if let Err(error) = uses.take(&asked) {
            self.put_off = Some(error.clone());
            return Err(error);
        }
        Ok(&**secret)
    }

    /// What a judge asks next, which found these certificates: to sign, for the secret part of the primary key, if the client may be one whose mail is signed: for
    /// a stranger who writes a name of this host into From, no secret part is opened. To find paths, for whether the owner withdrew them, and for what all
    /// paths end in and are checked with.
    fn foresee(&mut self, protocol: ProtocolName, purpose: Purpose, found: &[Arc<Record>]) {
        if purpose == Purpose::Sign && matches!(self.client, UseClient::Known(_)) {
            let own = found.iter().filter(|record| record.secrets().contains(record.fingerprint()));
            let secret = |record: &Arc<Record>| {
                let key = record.fingerprint().clone();
                self.records.number_of(record).map(|record| Question::Secret { record, key })
            };
            self.foreseen.extend(own.filter_map(secret));
        }
        if protocol == ProtocolName::Smime && matches!(purpose, Purpose::Encrypt | Purpose::Sign) && found.len() <= FEW
        {
            self.foreseen.extend(found.iter().map(|record| certificate(record)));
        }
        if protocol == ProtocolName::Smime && !self.has_anchors {
            self.has_anchors = true;
            self.foreseen.extend([Question::Anchors, Question::Revocations]);
        }
    }

    fn records(&mut self, records: &[Arc<Record>]) -> Vec<Known<RecordForm>> {
        records.iter().map(|record| self.records.known(record, RecordForm::of)).collect()
    }

    fn statements(&mut self, statements: &[Arc<[u8]>]) -> Vec<Known<ByteBuf>> {
        let form = |der: &[u8]| ByteBuf::from(der.to_vec());
        statements.iter().map(|der| self.statements.known(der, form)).collect()
    }
}

/// Shared values by their numbers. Each is held, so that its place in memory stays its own.
struct Numbered<T: ?Sized> {
    numbers: HashMap<usize, u32>,
    values: Vec<Arc<T>>,
}

impl<T: ?Sized> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: ?Sized> Numbered<T> {
    fn known<F>(&mut self, value: &Arc<T>, form: impl FnOnce(&T) -> F) -> Known<F> {
        if let Some(number) = self.number_of(value) {
            return Known::Numbered(number);
        }
        self.numbers.insert(place(value), number(self.values.len()));
        self.values.push(Arc::clone(value));
        Known::New(form(value))
    }

    fn number_of(&self, value: &Arc<T>) -> Option<u32> {
        self.numbers.get(&place(value)).copied()
    }

    fn get(&self, number: u32) -> Result<Arc<T>> {
        let place = usize::try_from(number).ok();
        place.and_then(|place| self.values.get(place)).cloned().ok_or_else(unknown)
    }
}

/// A question for all that is known of this certificate.
fn certificate(record: &Record) -> Question {
    let query = QueryForm::of(&Query::new(Purpose::Verify, Want::Certificate(record.fingerprint())));
    Question::Find { protocol: record.protocol(), query }
}

/// Where it lies in memory.
fn place<T: ?Sized>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).cast::<()>().addr()
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn unknown() -> Error {
    Error::usage("a judge names what it was not told")
}

/// Certificates and statements that a judge is told before it has to forget them. Source: memory, a few KiB each.
const MANY: usize = 4_096;
/// Certificates for one address, of which each is looked at.
const FEW: usize = 4;
/// Questions that are answered before they are asked, at once. Source: 16 recipients in three protocols, and what leads from them.
const MOST_FORETOLD: usize = 64;
/// Questions about one message. Source: a list with 10,000 members asks a few for each ten of them, and a mail to 1,000 recipients in three protocols ten for each.
const MOST_QUESTIONS: usize = 20_000;
/// Uses of secret keys for one message. Source: far above what the Budget admits of keys to try and of layers.
const MOST_USES: usize = 4_096;
