//! Statements are fetched again before they end, so that mail need not wait for them.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{Asked, Occasion, Statuses, place::Place};
use crate::{
    base::Result,
    discover::{
        StatementKind,
        cache::{FetchTurn, Renewal},
    },
    pki::{self, Certificate, tlv::Reader},
};

impl Statuses {
    /// Fetches the statements that end soon, of those that mail or the owner needed within the last 30 days. Returns when the next is due.
    ///
    /// # Errors
    ///
    /// What is kept cannot be read or written.
    pub fn renew_due(&self) -> Result<Option<SystemTime>> {
        let now = self.now();
        let (due, next) = self.cache.renewals(now, now.checked_sub(NEEDED).unwrap_or(SystemTime::UNIX_EPOCH))?;
        let mut next = next;
        for renewal in due {
            if let Some(then) = self.renew(renewal)? {
                next = Some(next.map_or(then, |next| next.min(then)));
            }
        }
        Ok(next)
    }

    /// Renews one statement; returns when it is due again.
    fn renew(&self, renewal: Renewal) -> Result<Option<SystemTime>> {
        let path = read_path(&renewal.path);
        let anchors = self.local.keys.anchors()?;
        let is_trusted = |last: &Certificate| anchors.iter().any(|anchor| **anchor.bytes() == *last.der());
        let kind = StatementKind::of_name(&renewal.kind);
        // Only what belongs to a trusted authority is asked for.
        let (Some(kind), Ok(asked), true) = (kind, Asked::of(&path, &[]), path.last().is_some_and(is_trusted)) else {
            self.cache.forget_renewal(&renewal.place)?;
            return Ok(None);
        };
        let place = Place::new(kind, renewal.url.clone(), asked.certificate);
        let deadline = Instant::now() + self.local.limits.network;
        let FetchTurn::Fetch = self.turn(&place, Occasion::Mail, deadline)? else {
            return self.put_off(renewal);
        };
        let done = self.fetch(&place, &asked, deadline).and_then(|fetched| match fetched {
            Ok(der) => self.keep(&der, &asked).map(|_| Some(der)),
            Err(_) => Ok(None),
        });
        self.cache.end_fetch(&place.key)?;
        match done? {
            Some(der) => {
                let renewal = self.next(renewal, &der);
                self.cache.note_fetched(&[&place.key, &place.url], &renewal, None)?;
                Ok(Some(renewal.due))
            }
            None => self.put_off(renewal),
        }
    }

    /// Notes what to renew, when a statement was fetched because it was needed.
    pub(super) fn watch(&self, place: &Place, asked: &Asked<'_>, der: &Arc<[u8]>) -> Result<()> {
        let path = asked.path.iter().flat_map(|certificate| certificate.der().iter().copied()).collect();
        let now = self.now();
        let new = Renewal {
            place: place.key.clone(),
            kind: place.kind.name().to_owned(),
            url: place.url.clone(),
            path,
            until: now,
            due: now,
        };
        self.cache.note_fetched(&[&place.key, &place.url], &self.next(new, der), Some(now))
    }

    /// When a statement that is here now is due again: after three quarters of the time that is left, so that an authority that issues the next one late
    /// is asked more often towards the end.
    fn next(&self, renewal: Renewal, der: &[u8]) -> Renewal {
        let now = self.now();
        let until = pki::period(der).map_or(now, |(_, until)| until);
        let left = until.duration_since(now).unwrap_or_default();
        // One whose end has come counts for some minutes more (the clocks of responders differ).
        let wait = if left.is_zero() { self.settings.keep_failed } else { left * 3 / 4 };
        let wait = wait.clamp(SOONEST, LATEST);
        Renewal { until, due: now + wait, ..renewal }
    }

    /// When a statement is due again that could not be had now.
    fn put_off(&self, renewal: Renewal) -> Result<Option<SystemTime>> {
        let now = self.now();
        let left = renewal.until.duration_since(now).unwrap_or_default();
        let wait = (left / 4).max(self.settings.keep_failed).clamp(SOONEST, LATEST);
        let renewal = Renewal { due: now + wait, ..renewal };
        self.cache.note_fetched(&[], &renewal, None)?;
        Ok(Some(renewal.due))
    }
}

/// The certificates of a path, one after the other.
fn read_path(octets: &[u8]) -> Vec<Certificate> {
    let mut reader = Reader::new(octets, "path");
    let mut path = Vec::new();
    while !reader.is_finished() {
        match reader.any().and_then(|element| Certificate::parse(element.whole)) {
            Ok(certificate) => path.push(certificate),
            Err(_) => return Vec::new(),
        }
    }
    path
}

/// How long a statement is renewed after it was needed. Source: who writes once a month is a correspondent.
const NEEDED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const SOONEST: Duration = Duration::from_secs(1);
/// Source: authorities for mail issue lists once a week at least (CA/Browser Forum, S/MIME Baseline Requirements, section 4.9.7); those of a root may be
/// current for a year.
const LATEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
