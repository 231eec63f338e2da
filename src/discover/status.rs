//! The revocation status of certificates, fetched from where the certificates say that it is.
//!
//! Only the certificates of a path to a trust anchor are asked about, each at the places that it names. What is fetched is kept when it says by itself what
//! the status is now: signed by the issuer or by whom the issuer authorized, for this certificate, and current. One process of a home fetches from a
//! place at a time, and a place that failed is left alone for a while.

mod ahead;
mod issuers;
mod judge;
mod place;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

pub use self::{
    issuers::{FetchedPath, ReadCertificates, issuers},
    judge::Status,
};
use self::{
    judge::{Asked, Judge, Proof},
    place::{Place, Unfetched},
};
use super::{
    Fetch, FetchOutcome, Nonce, Settings, StatusLocal,
    cache::{Cache, FetchTurn},
};
use crate::{
    base::{Error, Result},
    keys::{Kept, Memory, StatusSource},
    pki::{self, Certificate},
    protocol::smime::record,
};

/// The places that certificates name, and what was fetched from there. Nothing is opened before the first question.
pub struct Statuses {
    settings: Settings,
    local: StatusLocal,
    cache: Cache,
    /// What could not be stored.
    unstored: Mutex<Vec<Arc<[u8]>>>,
    /// What says that a certificate is good, by its fingerprint and that of its issuer.
    proofs: Mutex<HashMap<[[u8; 32]; 2], Proof>>,
    observer: OnceLock<Observer>,
}

type Observer = Box<dyn Fn(&Fetch) + Send + Sync>;

/// Why a status is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The owner wants to know. Places that failed are asked.
    Owner,
    /// The same, also where a current status is known.
    OwnerAgain,
    /// A message needs it.
    Mail,
}

/// What came of asking for the status of a certificate.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status, or why it is not known: a reason for each place.
    pub status: std::result::Result<Status, Vec<String>>,
    /// The statement that was fetched, and what was done with it.
    pub fetched: Option<(Kept, Arc<[u8]>)>,
}

impl Statuses {
    /// The places that `settings` allow, on this machine.
    pub fn new(settings: Settings, local: StatusLocal) -> Arc<Statuses> {
        Arc::new(Statuses {
            settings,
            cache: Cache::new(local.home.as_deref(), local.findings.as_ref()),
            local,
            unstored: Mutex::default(),
            proofs: Mutex::default(),
            observer: OnceLock::new(),
        })
    }

    /// Calls `observer` for each attempt from now on. The first caller's stays.
    pub fn observe(&self, observer: impl Fn(&Fetch) + Send + Sync + 'static) {
        let _ = self.observer.set(Box::new(observer));
    }

    /// The status of the first certificate of a path, which ends with a trust anchor: from what is here or, if that does not say it, from where the
    /// certificate says. `beside` are other certificates that may have signed CRLs.
    ///
    /// # Errors
    ///
    /// What is here cannot be read. For the owner, also: what was fetched cannot be stored.
    pub fn status(
        &self,
        path: &[Certificate],
        beside: &[Certificate],
        occasion: Occasion,
        deadline: Instant,
    ) -> Result<Told> {
        let asked = Asked::of(path, beside)?;
        if let Some(status) = self.known(&asked, occasion)? {
            return Ok(Told { status: Ok(status), fetched: None });
        }
        let mut reasons = Vec::new();
        let places = Place::all_of(asked.certificate, self.settings.revocation_fetch);
        if places.is_empty() {
            reasons.push("it names no place to ask".to_owned());
        }
        for place in places {
            let mut failed = |why: &str| reasons.push(format!("{}: {why}", place.url));
            match self.turn(&place, occasion, deadline)? {
                FetchTurn::Fetch => {}
                FetchTurn::Failed(why) => {
                    failed(&why);
                    self.report(&place, FetchOutcome::LeftAlone(why), Duration::ZERO);
                    continue;
                }
                FetchTurn::Wait => {
                    failed("no time is left to ask");
                    break;
                }
            }
            // Another process may have fetched it meanwhile.
            let told = match self.known(&asked, occasion) {
                Ok(None) => self.fetched(&place, &asked, occasion, deadline),
                known => known.map(|status| Ok(Told { status: status.ok_or_else(Vec::new), fetched: None })),
            };
            self.cache.end_fetch(&place.key)?;
            match told? {
                Ok(told) => return Ok(told),
                Err(why) => failed(&why),
            }
        }
        Ok(Told { status: Err(reasons), fetched: None })
    }

    /// The status by what is here, where that is enough.
    fn known(&self, asked: &Asked<'_>, occasion: Occasion) -> Result<Option<Status>> {
        match occasion {
            Occasion::OwnerAgain => Ok(None),
            Occasion::Mail | Occasion::Owner => Ok(self.judged(asked, &self.statements()?)?.ok()),
        }
    }

    /// The turn to fetch from a place, or why there is none.
    fn turn(&self, place: &Place, occasion: Occasion, deadline: Instant) -> Result<FetchTurn> {
        let all = [place.key.as_str(), place.url.as_str()];
        let heeded: &[&str] = if occasion == Occasion::Mail { &all } else { &[] };
        let lease = self.settings.source_timeout + Duration::from_secs(1);
        loop {
            if Instant::now() >= deadline {
                return Ok(FetchTurn::Wait);
            }
            match self.cache.fetch_turn(&place.key, heeded, self.local.clock.as_ref(), lease)? {
                FetchTurn::Wait => thread::sleep(Duration::from_millis(25)),
                turn => return Ok(turn),
            }
        }
    }

    /// Fetches from one place in turn, and what the status is then. Otherwise, the reason.
    fn fetched(
        &self,
        place: &Place,
        asked: &Asked<'_>,
        occasion: Occasion,
        deadline: Instant,
    ) -> Result<std::result::Result<Told, String>> {
        let der = match self.fetch(place, asked, deadline)? {
            Ok(der) => der,
            Err(why) => return Ok(Err(why)),
        };
        let kept = match (self.keep(&der, asked), occasion) {
            (Err(error), Occasion::Mail) => {
                self.unstored(&der, &error);
                None
            }
            (kept, _) => Some((kept?, Arc::clone(&der))),
        };
        // With all that was known: an older list takes nothing back.
        let mut all = self.statements()?;
        all.push(Arc::clone(&der));
        let status = self.judged(asked, &all)?;
        match &status {
            Ok(_) => self.watch(place, asked, &der)?,
            Err(why) => self.cache.note_unfetched(&place.key, why, self.now(), self.settings.keep_failed)?,
        }
        Ok(Ok(Told { status: status.map_err(|why| vec![format!("{}: {why}", place.url)]), fetched: kept }))
    }

    /// Fetches from one place in turn, and notes what came of it.
    fn fetch(
        &self,
        place: &Place,
        asked: &Asked<'_>,
        deadline: Instant,
    ) -> Result<std::result::Result<Arc<[u8]>, String>> {
        let start = Instant::now();
        let answer = match self.ask(place, asked, deadline)? {
            Ok(der) => match self.judged(asked, &[Arc::clone(&der)])? {
                Ok(_) => Ok(der),
                Err(why) => Err(Unfetched::Statement(why)),
            },
            Err(unfetched) => Err(unfetched),
        };
        let (noted, outcome) = match &answer {
            Ok(_) => (None, FetchOutcome::Fetched),
            Err(Unfetched::Statement(why)) => (Some(&place.key), FetchOutcome::Refused(why.clone())),
            // It is the time of the message that was over.
            Err(Unfetched::Server(why)) if Instant::now() >= deadline => (None, FetchOutcome::Failed(why.clone())),
            Err(Unfetched::Server(why)) => (Some(&place.url), FetchOutcome::Failed(why.clone())),
        };
        if let Some(failed) = noted {
            self.cache.note_unfetched(failed, outcome.reason(), self.now(), self.settings.keep_failed)?;
        }
        self.report(place, outcome, start.elapsed());
        Ok(answer.map_err(|(Unfetched::Server(why) | Unfetched::Statement(why))| why))
    }

    fn report(&self, place: &Place, outcome: FetchOutcome, took: Duration) {
        if !matches!(outcome, FetchOutcome::LeftAlone(_)) {
            tracing::info!(
                event = "revocation-fetched",
                kind = place.kind.name(),
                url = %place.url,
                outcome = outcome.name(),
                reason = outcome.reason(),
                took_ms = took.as_millis(),
            );
        }
        if let Some(observer) = self.observer.get() {
            observer(&Fetch { kind: place.kind, url: place.url.clone(), outcome, took });
        }
    }

    fn keep(&self, der: &Arc<[u8]>, asked: &Asked<'_>) -> Result<Kept> {
        let Some(store) = &self.local.store else {
            self.remember(der);
            return Ok(Kept::Added);
        };
        let mut beside = Memory::new();
        asked.path.iter().skip(1).for_each(|issuer| beside.add(record::record(issuer)));
        store.keep_statement(der, &beside, self.now())
    }

    /// What was fetched counts for this process, if it cannot be stored for others.
    fn unstored(&self, der: &Arc<[u8]>, error: &Error) {
        tracing::warn!(event = "revocation-not-stored", %error);
        self.remember(der);
    }

    fn remember(&self, der: &Arc<[u8]>) {
        let mut unstored = locked(&self.unstored);
        if unstored.len() >= MAX_UNSTORED {
            unstored.remove(0);
        }
        unstored.push(Arc::clone(der));
    }

    /// What the statements say of the certificate now, or why they say nothing.
    fn judged(&self, asked: &Asked<'_>, statements: &[Arc<[u8]>]) -> Result<std::result::Result<Status, String>> {
        let StatusLocal { keys, legacy, limits, .. } = &self.local;
        Judge { keys: keys.as_ref(), at: self.now(), legacy: *legacy, limits }.judged(asked, statements)
    }

    /// The statements that say what the status of the first certificate of a path is, if that can be found out.
    pub(super) fn proof(&self, path: &[Certificate], deadline: Instant) -> Result<Vec<Arc<[u8]>>> {
        let asked = Asked::of(path, &[])?;
        let key = [asked.certificate.fingerprint(), asked.issuer.fingerprint()];
        let now = self.now();
        if let Some(proof) = locked(&self.proofs).get(&key).filter(|proof| now < proof.until) {
            return Ok(vec![Arc::clone(&proof.statement)]);
        }
        let Ok(status) = self.status(path, &[], Occasion::Mail, deadline)?.status else { return Ok(Vec::new()) };
        let all = self.statements()?;
        for statement in &all {
            if self.judged(&asked, std::slice::from_ref(statement))? != Ok(status) {
                continue;
            }
            if let (Status::Good, Some((_, until))) = (status, pki::period(statement)) {
                let mut proofs = locked(&self.proofs);
                if proofs.len() >= MAX_PROOFS {
                    proofs.clear();
                }
                proofs.insert(key, Proof { statement: Arc::clone(statement), until });
            }
            return Ok(vec![Arc::clone(statement)]);
        }
        // They say it together.
        Ok(all)
    }

    /// Asks one place.
    fn ask(
        &self,
        place: &Place,
        asked: &Asked<'_>,
        deadline: Instant,
    ) -> Result<std::result::Result<Arc<[u8]>, Unfetched>> {
        let mut nonce = None;
        if self.settings.nonce == Nonce::Send {
            let octets = nonce.insert([0; NONCE]);
            self.local.random.fill(octets)?;
        }
        let deadline = deadline.min(Instant::now() + self.settings.source_timeout);
        let pair = (asked.certificate, asked.issuer);
        Ok(place.ask(self.local.network.as_ref(), pair, nonce.as_ref().map(|nonce| nonce.as_slice()), deadline))
    }

    /// All statements that are here.
    fn statements(&self) -> Result<Vec<Arc<[u8]>>> {
        let mut all = self.local.keys.revocations()?;
        all.extend(locked(&self.unstored).iter().cloned());
        Ok(all)
    }

    fn now(&self) -> SystemTime {
        self.local.clock.now()
    }
}

impl StatusSource for Statuses {
    fn statements_about(&self, path: &[&[u8]], deadline: Option<Instant>) -> Result<Vec<Arc<[u8]>>> {
        let path: Vec<Certificate> = path.iter().map(|der| Certificate::parse(der)).collect::<Result<_>>()?;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + self.local.limits.network);
        let mut found: Vec<Arc<[u8]>> = Vec::new();
        for from in 0..path.len().saturating_sub(1) {
            let Some(path) = path.get(from..) else { break };
            match self.proof(path, deadline) {
                Ok(proof) => found.extend(proof),
                // What is not known stays unknown.
                Err(error) => tracing::warn!(event = "revocation-not-fetched", %error),
            }
        }
        Ok(found)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Statements in memory, where they cannot be stored. Source: an installation has some tens of authorities; a list may have 16 MB.
const MAX_UNSTORED: usize = 32;
/// Certificates whose proof is remembered. Source: with it, a message costs no second reading of the lists; each takes some 100 octets.
const MAX_PROOFS: usize = 10_000;
/// Octets of a nonce. Source: RFC 9654, section 2.1.
const NONCE: usize = 32;
