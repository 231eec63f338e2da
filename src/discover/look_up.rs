//! One source as a tier of [`Chain`](crate::keys::Chain), and what was found until the owner has to decide.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Choice, Chosen, Local, Method, Pending, Settings, SignedKeys,
    cache::{Answer, Cache, InUse, Turn, not_pending},
    http::{Bounds, Failure, Plain},
    key_server, wkd,
};
use crate::{
    base::{Error, Hint, Kind, Result},
    crypto::SecretKey,
    keys::{Binding, Handle, Keys, ProtocolName, Purpose, Query, Reach, Record, Source, Want},
    mail::Address,
    protocol,
};

/// The sources of one configuration, and what they said. Nothing is opened before the first question.
pub struct Discovery {
    pub(super) settings: Settings,
    pub(super) cache: Cache,
    observer: OnceLock<Observer>,
    recorder: OnceLock<Recorder>,
    pub(super) local: Local,
}

/// Is told of each choice of a key before it counts.
type Recorder = Box<dyn Fn(&Chosen<'_>) -> Result<()> + Send + Sync>;

/// Is told of each look-up.
type Observer = Box<dyn Fn(&'static str, &'static str, Duration) + Send + Sync>;

/// What one source said of an address.
#[derive(Clone, Debug)]
pub struct Said {
    /// The source.
    pub method: Method,
    /// How long it took.
    pub took: Duration,
    /// Its keys, or why there is none.
    pub outcome: Outcome,
}

/// What a source answered.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// These keys, as far as they belong to the address.
    Found(Vec<Candidate>),
    /// None; the reason if there is more to say.
    Missing(String),
    /// No answer; the reason.
    Failed(String),
}

/// A key that a source has for an address.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The certificate, reduced to what belongs to the address.
    pub record: Record,
    /// What it would be used for.
    pub standing: Standing,
}

/// Whether a key that was found would be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Mail would be encrypted to it.
    Used,
    /// The address has another key: this one is held for the owner.
    Held,
    /// It cannot be used; the reason.
    Unfit(String),
}

impl Discovery {
    /// The sources of `settings`, on this machine.
    pub fn new(settings: Settings, local: Local) -> Arc<Discovery> {
        Arc::new(Discovery {
            settings,
            cache: Cache::new(local.home.as_deref(), local.findings.as_ref()),
            observer: OnceLock::new(),
            recorder: OnceLock::new(),
            local,
        })
    }

    /// Each source by its name, in order, for [`Chain::then`](crate::keys::Chain::then).
    pub fn sources(self: &Arc<Self>) -> Vec<(&'static str, Arc<dyn Keys>)> {
        let source = |method: &Method| {
            let look_up = LookUp { discovery: Arc::clone(self), method: *method };
            (method.name(), Arc::new(look_up) as Arc<dyn Keys>)
        };
        self.settings.methods.iter().map(source).collect()
    }

    /// Whether a message for `address` can be encrypted to `record`, so that no later source need be asked: it is usable, and more than a claim.
    pub fn suffices(&self, record: &Record, address: &Address) -> bool {
        // Authorities are asked later, and by the selection of keys alone.
        let is_tied = record.protocol() != ProtocolName::Pgp || record.source(address) > Source::Claim;
        is_tied && self.unfit(record, address).is_none()
    }

    /// Asks every source for `address`, whatever was answered before. No key is put in use.
    pub fn ask_all(&self, address: &Address, deadline: Instant) -> Vec<Said> {
        let ask = |method: &Method| {
            let start = Instant::now();
            let asked = match method {
                Method::Mail => self.answer(*method, address, deadline),
                _ => {
                    let answer = self.ask(*method, address, deadline);
                    self.keep(*method, address, &answer).map(|()| answer)
                }
            };
            let outcome = match asked {
                Err(error) => Outcome::Failed(error.to_string()),
                Ok(Answer::Found(octets)) => self.candidates(*method, address, &octets),
                Ok(Answer::Missing(why)) => Outcome::Missing(why),
                Ok(Answer::Failed(why) | Answer::Down(why)) => Outcome::Failed(why),
            };
            Said { method: *method, took: start.elapsed(), outcome }
        };
        self.settings.methods.iter().map(ask).collect()
    }

    /// Tells `observer` of each look-up from now on: the source, `found`, `missing` or `failed`, and how long it took. There can be one.
    pub fn observe(&self, observer: impl Fn(&'static str, &'static str, Duration) + Send + Sync + 'static) {
        self.observer.get_or_init(|| Box::new(observer));
    }

    /// Tells `recorder` of each choice of a key from now on, before it counts: one that cannot be recorded is not made. There can be one.
    pub fn record(&self, recorder: impl Fn(&Chosen<'_>) -> Result<()> + Send + Sync + 'static) {
        self.recorder.get_or_init(|| Box::new(recorder));
    }

    fn chosen(&self, chosen: &Chosen<'_>) -> Result<()> {
        self.recorder.get().map_or(Ok(()), |recorder| recorder(chosen))
    }

    /// Whether keys that come with mail are kept: [`Method::Mail`] is among the sources.
    pub fn harvests(&self) -> bool {
        self.settings.methods.contains(&Method::Mail)
    }

    /// Keeps an OpenPGP certificate that came with authentic mail from `address`, in the place of an earlier one. Call it for the author of the mail alone.
    /// Returns whether it has a key of the address.
    ///
    /// # Errors
    ///
    /// What was found cannot be written.
    pub fn harvest(&self, address: &Address, octets: &[u8]) -> Result<bool> {
        let answer = self.reduced(Method::Mail, address, &[octets]);
        let is_found = matches!(answer, Answer::Found(_));
        if is_found {
            self.cache.keep(Method::Mail, address, &answer, self.local.clock.as_ref(), HARVEST)?;
        }
        Ok(is_found)
    }

    /// The keys that are held for the owner, oldest first.
    ///
    /// # Errors
    ///
    /// What was found cannot be read.
    pub fn pending(&self) -> Result<Vec<Pending>> {
        self.cache.pending()
    }

    /// Puts the pending key `id` in use for its address.
    ///
    /// # Errors
    ///
    /// `NoKey`: there is no such key, or the owner trusts another one. Others: what was found cannot be read or written.
    pub fn accept(&self, id: i64) -> Result<Pending> {
        let pending = self.one_pending(id)?;
        let address = Address::parse(&pending.address)?;
        let owned = self.owned(pending.protocol, &address)?;
        if let Some(trusted) = owned.iter().find(|owned| owned.as_str() != pending.fingerprint) {
            return Err(Error::no_key(format!(
                "{address}: key {trusted} is trusted, and comes before every key that was found"
            ))
            .with_hint(Hint::TrustKey(pending.address)));
        }
        let in_use = InUse { fingerprint: Handle::parse(&pending.fingerprint)?, octets: pending.octets.clone() };
        let choose = || self.chosen(&pending.chosen(Choice::Accepted));
        self.cache.accept(id, pending.protocol, &address, &in_use, self.now(), &choose)?;
        Ok(pending)
    }

    /// Never uses the pending key `id`, and no longer lists it.
    ///
    /// # Errors
    ///
    /// As [`Discovery::accept`].
    pub fn reject(&self, id: i64) -> Result<Pending> {
        let pending = self.one_pending(id)?;
        self.cache.reject(id, &|| self.chosen(&pending.chosen(Choice::Rejected)))?;
        Ok(pending)
    }

    fn one_pending(&self, id: i64) -> Result<Pending> {
        let found = self.cache.pending()?.into_iter().find(|pending| pending.id == id);
        found.ok_or_else(|| not_pending(id))
    }

    /// The answer of a source, from what was kept or from the source.
    fn answer(&self, method: Method, address: &Address, deadline: Instant) -> Result<Answer> {
        loop {
            match self.cache.turn(
                method,
                address,
                self.local.clock.as_ref(),
                self.settings.source_timeout + Duration::from_secs(1),
            )? {
                Turn::Known(answer) => return Ok(answer),
                Turn::Ask => break,
                Turn::Wait if Instant::now() >= deadline => {
                    return Err(later(format!("{address}: it is asked already, and has not answered")));
                }
                Turn::Wait => thread::sleep(Duration::from_millis(25)),
            }
        }
        let answer = self.ask(method, address, deadline);
        self.keep(method, address, &answer)?;
        Ok(answer)
    }

    pub(super) fn keep(&self, method: Method, address: &Address, answer: &Answer) -> Result<()> {
        let period = match answer {
            Answer::Found(_) => self.settings.keep_found,
            Answer::Missing(_) => self.settings.keep_missing,
            Answer::Failed(_) | Answer::Down(_) => self.settings.keep_failed,
        };
        self.cache.keep(method, address, answer, self.local.clock.as_ref(), period)
    }

    pub(super) fn ask(&self, method: Method, address: &Address, deadline: Instant) -> Answer {
        let start = Instant::now();
        let deadline = deadline.min(start + self.settings.source_timeout);
        let answer = match method {
            // What came with mail is among the answers that are kept.
            Method::Mail => return Answer::Missing(String::new()),
            Method::Hkp | Method::Vks | Method::Wkd => self.ask_server(method, address, deadline),
            Method::LdapPgp | Method::LdapSmime => self.ask_directory(method, address, deadline),
            Method::Openpgpkey | Method::Smimea => match self.local.network.signed_keys(method, address, deadline) {
                Ok(SignedKeys::Found(octets)) => self.reduced(method, address, &[&octets]),
                Ok(SignedKeys::Missing(why)) => Answer::Missing(why),
                Err(failure) => Answer::Failed(failure.to_string()),
            },
        };
        let (outcome, reason) = match &answer {
            Answer::Found(_) => ("found", ""),
            Answer::Missing(why) => ("missing", why.as_str()),
            Answer::Failed(why) | Answer::Down(why) => ("failed", why.as_str()),
        };
        let took = start.elapsed();
        if let Some(observer) = self.observer.get() {
            observer(method.name(), outcome, took);
        }
        let took_ms = took.as_millis();
        tracing::info!(
            event = "key-looked-up",
            method = method.name(),
            domain = address.domain(),
            outcome,
            reason,
            took_ms
        );
        answer
    }

    fn ask_server(&self, method: Method, address: &Address, deadline: Instant) -> Answer {
        let bounds = Bounds { octets: method.octets(), deadline, plain: Plain::Refuse };
        let network = self.local.network.as_ref();
        let asked = match method {
            Method::Hkp => key_server::look_up(network, &self.settings.hkp, address, &bounds),
            Method::Vks => key_server::by_email(network, &self.settings.vks, address, &bounds),
            _ => wkd::ask(network, address, &bounds),
        };
        match asked {
            Ok(Some(octets)) => self.reduced(method, address, &[&octets]),
            Ok(None) => Answer::Missing(String::new()),
            Err(failure) => failed(failure),
        }
    }

    fn ask_directory(&self, method: Method, address: &Address, deadline: Instant) -> Answer {
        match self.local.network.directory_keys(method, address, deadline) {
            Ok(values) if values.is_empty() => Answer::Missing(String::new()),
            Ok(values) => self.reduced(method, address, &values.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            Err(failure) => failed(failure),
        }
    }

    /// What of an answer, which has certificates in these places, belongs to the address. A place that cannot be read does not spoil the others, and
    /// copies of one certificate are merged: one of them may be revoked.
    pub(super) fn reduced(&self, method: Method, address: &Address, values: &[&[u8]]) -> Answer {
        if values.len() > self.local.limits.certificates {
            return Answer::Failed(format!("certificates: more than {}", self.local.limits.certificates));
        }
        let (mut found, mut unreadable): (Vec<Record>, _) = (Vec::new(), None);
        for value in values {
            match self.read(method.protocol(), value, address).and_then(|records| self.joined(&mut found, records)) {
                Ok(()) => {}
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
        match unreadable {
            _ if !found.is_empty() => {
                Answer::Found(found.iter().flat_map(|record| record.bytes().iter().copied()).collect())
            }
            Some(error) => Answer::Failed(error.to_string()),
            None => Answer::Missing("no certificate there names the address".to_owned()),
        }
    }

    /// Adds `records` to `found`.
    fn joined(&self, found: &mut Vec<Record>, records: Vec<Record>) -> Result<()> {
        for record in records {
            match found.iter_mut().find(|known| known.fingerprint() == record.fingerprint()) {
                Some(known) => *known = (self.local.merge)(known, &record)?,
                None => found.push(record),
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, protocol: ProtocolName, octets: &[u8], address: &Address) -> Result<Vec<Record>> {
        protocol::published(protocol, octets, address, &self.local.limits)
    }

    fn now(&self) -> SystemTime {
        self.local.clock.now()
    }

    fn unfit(&self, record: &Record, address: &Address) -> Option<String> {
        match protocol::encrypts(record, address, self.now(), self.local.keys.as_ref()) {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(error) => Some(error.to_string()),
        }
    }

    /// For people: what would become of the keys in an answer.
    fn candidates(&self, method: Method, address: &Address, octets: &[u8]) -> Outcome {
        let judged = || {
            let others = self.others(method.protocol(), address)?;
            let found = self.read(method.protocol(), octets, address)?;
            let judge = |record: Record| {
                let is_other = !others.is_empty() && !others.contains(record.fingerprint());
                let standing = match self.unfit(&record, address) {
                    Some(why) => Standing::Unfit(why),
                    None if is_other => Standing::Held,
                    None => Standing::Used,
                };
                Candidate { record: bound(record, address, method), standing }
            };
            Ok(found.into_iter().map(judge).collect())
        };
        judged().map_or_else(|error: Error| Outcome::Failed(error.to_string()), Outcome::Found)
    }

    /// The fingerprints that the address has already: the key that the owner trusts, or the one that is in use.
    fn others(&self, protocol: ProtocolName, address: &Address) -> Result<Vec<Handle>> {
        let owned = self.owned(protocol, address)?;
        if !owned.is_empty() {
            return Ok(owned);
        }
        Ok(self.cache.in_use(protocol, address)?.map(|one| one.fingerprint).into_iter().collect())
    }

    /// The fingerprints of what the owner trusts for the address.
    fn owned(&self, protocol: ProtocolName, address: &Address) -> Result<Vec<Handle>> {
        let found = self.local.keys.find(protocol, &Query::manage(Want::Address(address)))?;
        let owned = found.iter().filter(|record| record.source(address) == Source::Owner);
        Ok(owned.map(|record| record.fingerprint().clone()).collect())
    }

    /// The keys that may be used, of those in an answer. Others are held.
    pub(super) fn admitted(&self, method: Method, address: &Address, found: Vec<Record>) -> Result<Vec<Record>> {
        let (protocol, now) = (method.protocol(), self.now());
        let owned = self.owned(protocol, address)?;
        let (known, others): (Vec<Record>, Vec<Record>) =
            found.into_iter().partition(|record| owned.contains(record.fingerprint()));
        if !owned.is_empty() {
            // What the owner trusts gets what is new in the copy, such as a revocation.
            self.hold(method, address, &others, now)?;
            return Ok(known);
        }
        let in_use = match self.cache.in_use(protocol, address)? {
            Some(in_use) => in_use,
            None => match self.first(method, address, &others, now)? {
                Some(in_use) => in_use,
                None => return Ok(others),
            },
        };
        let mut used = self.restored(protocol, address, &in_use)?;
        let (same, others): (Vec<Record>, Vec<Record>) =
            others.into_iter().partition(|record| *record.fingerprint() == in_use.fingerprint);
        for copy in same {
            // A revocation of either copy stays.
            used = Some(match used {
                Some(used) => (self.local.merge)(&used, &copy)?,
                None => copy,
            });
        }
        self.hold(method, address, &others, now)?;
        if let Some(used) = &used
            && **used.bytes() != *in_use.octets
        {
            self.cache.renew(protocol, address, &in_use, &InUse::of(used))?;
        }
        Ok(used.into_iter().collect())
    }

    /// The keys of an address that has none yet. The only usable one is in use from now on, unless another process has put one in use meanwhile: that one
    /// is returned.
    fn first(&self, method: Method, address: &Address, found: &[Record], now: SystemTime) -> Result<Option<InUse>> {
        let mut usable = found.iter().filter(|record| self.unfit(record, address).is_none());
        let (Some(only), None) = (usable.next(), usable.next()) else { return Ok(None) };
        let (text, fingerprint, name) = (address.to_string(), only.fingerprint().as_str(), method.name());
        let chosen = Chosen { address: &text, fingerprint, method: name, choice: Choice::First };
        self.cache.first(method.protocol(), address, &InUse::of(only), now, &|| self.chosen(&chosen))
    }

    fn hold(&self, method: Method, address: &Address, others: &[Record], now: SystemTime) -> Result<()> {
        for other in others.iter().filter(|record| self.unfit(record, address).is_none()) {
            if self.cache.hold(method, address, &InUse::of(other), now)? {
                tracing::warn!(event = "key-pending", method = method.name(), %address, key = %other.fingerprint());
            }
        }
        Ok(())
    }

    fn restored(&self, protocol: ProtocolName, address: &Address, in_use: &InUse) -> Result<Option<Record>> {
        Ok(self.read(protocol, &in_use.octets, address)?.into_iter().next())
    }
}

impl InUse {
    fn of(record: &Record) -> InUse {
        InUse { fingerprint: record.fingerprint().clone(), octets: record.bytes().to_vec() }
    }
}

/// How long a key that came with mail is kept.
const HARVEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// One source of a [`Discovery`].
struct LookUp {
    discovery: Arc<Discovery>,
    method: Method,
}

impl Keys for LookUp {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let Want::Address(address) = query.want else { return Ok(Vec::new()) };
        let is_meant = query.purpose == Purpose::Encrypt && query.reach == Reach::Network;
        if !is_meant || protocol != self.method.protocol() {
            return Ok(Vec::new());
        }
        let deadline = query.deadline.unwrap_or_else(|| Instant::now() + self.discovery.settings.source_timeout);
        let octets = match self.discovery.answer(self.method, address, deadline)? {
            Answer::Found(octets) => octets,
            Answer::Missing(_) => return Ok(Vec::new()),
            Answer::Failed(why) | Answer::Down(why) => return Err(later(format!("{address}: {why}"))),
        };
        let found = self.discovery.read(protocol, &octets, address)?;
        let admitted = self.discovery.admitted(self.method, address, found)?;
        Ok(admitted.into_iter().map(|record| Arc::new(bound(record, address, self.method))).collect())
    }

    fn secret(&self, _: &Record, _: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        Ok(None)
    }
}

/// An answer that is too large or the like is about one address; anything else is about the server.
fn failed(failure: Failure) -> Answer {
    match failure {
        Failure::Unfit(why) => Answer::Failed(why),
        failure => Answer::Down(failure.to_string()),
    }
}

/// Whether there is a key is not known now.
fn later(message: String) -> Error {
    Error::new(Kind::TryAgain, message)
}

fn bound(record: Record, address: &Address, method: Method) -> Record {
    record.with_bindings([Binding::Found { address: address.clone(), source: method.source() }])
}
