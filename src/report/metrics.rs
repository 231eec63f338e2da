//! What is counted since the start.

mod counts;
mod page;
mod words;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::{
    counts::{Counts, PassedCounts},
    words::{Bounced, Cause, Ended, Enrolment, Fate, Limit, TenantMail},
};
use super::day::{Counted, Day, ListenerFigures, Overview};
use crate::{
    base::Kind,
    policy::{Action, Group, Trial},
    verdict::Standing,
};

/// The counters since the start, shared by all threads. They contain no personal data.
#[derive(Debug, Default)]
pub struct Metrics {
    figures: Mutex<Figures>,
}

/// A word of this program, or one that another of its processes counted.
type Word = Cow<'static, str>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Figures {
    /// By listener: open connections, and all connections so far.
    #[serde(skip)]
    connections: BTreeMap<Word, (u64, u64)>,
    /// By listener.
    mails: BTreeMap<Word, Mails>,
    /// By listener and standing.
    messages: BTreeMap<(Word, Word), u64>,
    #[serde(skip)]
    day: Day,
    /// By kind of statement.
    fetch_times: BTreeMap<Word, Times>,
    /// By kind of statement and outcome.
    fetches: BTreeMap<(Word, Word), u64>,
    /// By listener and kind of error.
    failures: BTreeMap<(Word, Word), u64>,
    /// By listener, direction and disposition.
    recipients: BTreeMap<(Word, Word, Word), u64>,
    /// By listener.
    not_opened: BTreeMap<Word, u64>,
    /// By listener, rule and disposition: recipients of rules that are log-only.
    trials: BTreeMap<(Word, String, Word), u64>,
    reloads: BTreeMap<Word, u64>,
    /// By role: processes that ended before their work was done.
    processes_ended: BTreeMap<Word, u64>,
    /// By protocol and operation: uses of secret keys for mail.
    key_uses: BTreeMap<(Word, Word), u64>,
    /// By what was used up: uses that were refused.
    key_limits: BTreeMap<Word, u64>,
    /// By listener and result.
    logins: BTreeMap<(Word, Word), u64>,
    /// By listener, fate and cause: recipients.
    ends: BTreeMap<(Word, Word, Word), u64>,
    /// By class.
    replies: BTreeMap<Word, u64>,
    /// By listener: messages that wait for memory or a worker now.
    #[serde(skip)]
    waiting: BTreeMap<Word, u64>,
    /// By listener and limit.
    limits: BTreeMap<(Word, Word), u64>,
    /// By source and outcome: look-ups of keys on the network.
    lookups: BTreeMap<(Word, Word), u64>,
    /// By source.
    lookup_times: BTreeMap<Word, Times>,
    /// By what was done.
    enrolments: BTreeMap<Word, u64>,
    /// Decisions that could not be written into an audit log.
    audit_failures: u64,
    /// By result: notifications to senders.
    bounces: BTreeMap<Word, u64>,
    /// By tenant and result. The configuration bounds the names.
    tenants: BTreeMap<(String, Word), u64>,
    #[serde(skip)]
    readiness: Option<Readiness>,
    #[serde(skip)]
    keys: Option<KeyFigures>,
    #[serde(skip)]
    clock_skew: Option<Duration>,
}

impl Figures {
    /// Under which name a trial is counted. Another process says what the rules are called.
    fn trial(&self, key: (Word, String, Word)) -> (Word, String, Word) {
        let is_known = self.trials.contains_key(&key) || self.trials.len() < MOST_TRIALS;
        if is_known { key } else { (key.0, OTHERS.to_owned(), key.2) }
    }
}

/// Whether mail can be handled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It would be put off.
    NotReady,
    /// It can.
    Ready,
}

/// What is known of the keys here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct KeyFigures {
    /// How many own addresses can no longer sign in as many days as [`KeyFigures::DAYS`] says.
    pub expiring: [usize; 3],
    /// How old the oldest CRL is, of the newest of each issuer.
    pub age_of_oldest_crl: Option<Duration>,
}

impl KeyFigures {
    /// The days of [`KeyFigures::expiring`].
    pub const DAYS: [u64; 3] = [1, 7, 30];
}

/// A message that waits for memory or a worker, as long as this exists.
pub struct Waiting<'a> {
    metrics: &'a Metrics,
    listener: &'static str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.metrics.figures().waiting.get_mut(self.listener) {
            *waiting = waiting.saturating_sub(1);
        }
    }
}

/// Times to handle mails, and the sum of their octets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Mails {
    times: Times,
    octets: u64,
}

/// A histogram of seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        for (bucket, limit) in self.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(time <= Duration::from_millis(limit));
        }
    }
}

impl Metrics {
    /// Counts a new connection to `listener`.
    pub fn connected(&self, listener: &'static str) {
        let mut figures = self.figures();
        let (open, total) = figures.connections.entry(listener.into()).or_default();
        *open += 1;
        *total += 1;
    }

    /// Counts the end of a connection to `listener`.
    pub fn disconnected(&self, listener: &'static str) {
        let mut figures = self.figures();
        let (open, _) = figures.connections.entry(listener.into()).or_default();
        *open = open.saturating_sub(1);
    }

    /// Counts a handled mail of this standing, size and duration, and its recipients.
    pub fn handled(&self, listener: &'static str, standing: Standing, octets: usize, time: Duration, groups: &[Group]) {
        let mut figures = self.figures();
        *figures.messages.entry((listener.into(), standing.name().into())).or_default() += 1;
        figures.day.count(Counted::Standing, standing.name(), 1);
        let actions: BTreeSet<String> = groups.iter().flat_map(|group| &group.actions).map(Action::name).collect();
        actions.iter().for_each(|action| figures.day.count(Counted::Action, action, 1));
        let mails = figures.mails.entry(listener.into()).or_default();
        mails.times.add(time);
        mails.octets += octets as u64;
        for group in groups {
            let key = (listener.into(), group.direction.name().into(), group.disposition.name().into());
            *figures.recipients.entry(key).or_default() += group.recipients.len() as u64;
        }
    }

    /// Counts recipients for whom a rule, or the service, only says what it would do.
    pub fn tried(&self, listener: &'static str, trials: &[Trial]) {
        let mut figures = self.figures();
        for Trial { group, .. } in trials {
            // The name of a forward or a list is an address, which not every user of the machine may read.
            let rule = if group.origin.is_as_addressed() { group.rule.as_str() } else { SENT_ON };
            let key = figures.trial((listener.into(), rule.to_owned(), group.disposition.name().into()));
            *figures.trials.entry(key).or_default() += group.recipients.len() as u64;
        }
    }

    /// Counts a mail that could not be handled.
    pub fn failed(&self, listener: &'static str, kind: Kind) {
        *self.figures().failures.entry((listener.into(), kind.name().into())).or_default() += 1;
    }

    /// Counts what became of `recipients` of a message.
    pub fn ended(&self, listener: &'static str, fate: Fate, cause: Cause, recipients: usize) {
        let mut figures = self.figures();
        figures.day.count(Counted::Fate, fate.name(), recipients);
        *figures.ends.entry((listener.into(), fate.name().into(), cause.name().into())).or_default() +=
            recipients as u64;
    }

    /// Counts an answer of the next hop: `2xx`, `4xx`, `5xx` or `network`.
    pub fn next_hop_replied(&self, class: &'static str) {
        *self.figures().replies.entry(class.into()).or_default() += 1;
    }

    /// Counts a message that waits, until the result is dropped.
    #[must_use]
    pub fn waiting(&self, listener: &'static str) -> Waiting<'_> {
        *self.figures().waiting.entry(listener.into()).or_default() += 1;
        Waiting { metrics: self, listener }
    }

    /// Counts a client, a login or a message that `limit` turned away.
    pub fn limit_reached(&self, listener: &'static str, limit: Limit) {
        *self.figures().limits.entry((listener.into(), limit.name().into())).or_default() += 1;
    }

    /// Counts a look-up of the keys of an address that `source` was asked for: `found`, `missing` or `failed`.
    pub fn looked_up(&self, source: &'static str, outcome: &'static str, time: Duration) {
        let mut figures = self.figures();
        *figures.lookups.entry((source.into(), outcome.into())).or_default() += 1;
        figures.lookup_times.entry(source.into()).or_default().add(time);
    }

    /// Counts recipients for whom a message could not be opened.
    pub fn not_opened(&self, listener: &'static str, recipients: usize) {
        if recipients > 0 {
            *self.figures().not_opened.entry(listener.into()).or_default() += recipients as u64;
        }
    }

    /// Counts a successful login at `listener`.
    pub fn logged_in(&self, listener: &'static str) {
        *self.figures().logins.entry((listener.into(), "done".into())).or_default() += 1;
    }

    /// Counts a refused login at `listener`.
    pub fn login_refused(&self, listener: &'static str) {
        *self.figures().logins.entry((listener.into(), "refused".into())).or_default() += 1;
    }

    /// Counts what was done to get certificates.
    pub fn enrolled(&self, what: Enrolment) {
        *self.figures().enrolments.entry(what.name().into()).or_default() += 1;
    }

    /// Counts a decision that could not be written into the audit log.
    pub fn audit_failed(&self) {
        self.figures().audit_failures += 1;
    }

    /// Counts a delivery status notification that was sent, or could not be.
    pub fn bounced(&self, what: Bounced) {
        *self.figures().bounces.entry(what.name().into()).or_default() += 1;
    }

    /// Counts a mail that a tenant has a part in.
    pub fn of_tenant(&self, name: &str, result: TenantMail) {
        let mut figures = self.figures();
        *figures.tenants.entry((name.to_owned(), result.name().into())).or_default() += 1;
    }

    /// Counts a successful reload of the configuration.
    pub fn reloaded(&self) {
        *self.figures().reloads.entry("done".into()).or_default() += 1;
    }

    /// Counts a process of the service that ended before its work was done.
    pub fn process_ended(&self, which: Ended) {
        *self.figures().processes_ended.entry(which.name().into()).or_default() += 1;
    }

    /// Counts a use of a secret key of `protocol` for a mail.
    pub fn key_used(&self, protocol: &'static str, operation: &'static str) {
        *self.figures().key_uses.entry((protocol.into(), operation.into())).or_default() += 1;
    }

    /// Counts a use that was refused, because those of a key or of a client were used up.
    pub fn key_limit_reached(&self, per: &'static str) {
        *self.figures().key_limits.entry(per.into()).or_default() += 1;
    }

    /// Counts a failed reload; the old configuration stays in force.
    pub fn reload_failed(&self) {
        *self.figures().reloads.entry("failed".into()).or_default() += 1;
    }

    /// Counts an attempt to fetch a `kind` of statement about revocations.
    pub fn revocation_fetched(&self, kind: &'static str, outcome: &'static str, time: Duration) {
        let mut figures = self.figures();
        *figures.fetches.entry((kind.into(), outcome.into())).or_default() += 1;
        figures.fetch_times.entry(kind.into()).or_default().add(time);
    }

    /// Notes whether mail can be handled now, and what is known of keys, for the next page.
    pub fn note_health(&self, readiness: Readiness, keys: Option<KeyFigures>, clock_skew: Option<Duration>) {
        let mut figures = self.figures();
        (figures.readiness, figures.keys, figures.clock_skew) = (Some(readiness), keys, clock_skew);
    }

    /// What the status page shows.
    pub(super) fn overview(&self) -> Overview {
        let figures = self.figures();
        let listeners = figures.connections.iter().map(|(name, (open, total))| {
            let waiting = figures.waiting.get(name).copied().unwrap_or_default();
            ListenerFigures { name: name.clone(), open: *open, total: *total, waiting }
        });
        figures.day.overview(listeners.collect())
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the metrics call the rules of forwards and lists.
const SENT_ON: &str = "sent on";
/// What the metrics call rules that there is no room for.
const OTHERS: &str = "others";
/// Rules that are log-only, by listener and disposition. Source: more than people write.
const MOST_TRIALS: usize = 10_000;

/// Upper bounds in milliseconds, from an Ed25519 signature to the key derivation of a passphrase.
const BUCKETS: [u64; 9] = [1, 2, 5, 10, 25, 100, 500, 2_500, 10_000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Address, ForwardPath};

    #[test]
    fn the_page_adds_up() {
        let metrics = Metrics::default();
        metrics.connected("milter");
        metrics.connected("milter");
        metrics.disconnected("milter");
        metrics.handled("milter", Standing::Signed, 1_000, Duration::from_millis(3), &[]);
        metrics.handled("milter", Standing::Unsigned, 24, Duration::from_secs(60), &[]);
        metrics.failed("lmtp", Kind::TryAgain);
        metrics.reload_failed();
        metrics.logged_in("submission");
        metrics.login_refused("submission");
        metrics.login_refused("submission");
        metrics.ended("lmtp", Fate::Relayed, Cause::NextHop, 3);
        metrics.next_hop_replied("2xx");
        metrics.looked_up("wkd", "found", Duration::from_millis(30));
        metrics.looked_up("wkd", "missing", Duration::from_secs(1));
        metrics.limit_reached("lmtp", Limit::Memory);
        drop(metrics.waiting("lmtp"));
        let _waiting = metrics.waiting("lmtp");
        let page = metrics.page();
        for line in [
            "postseal_connections{listener=\"milter\"} 1",
            "postseal_connections_total{listener=\"milter\"} 2",
            "postseal_mail_octets_total{listener=\"milter\"} 1024",
            "postseal_messages_total{listener=\"milter\",standing=\"signed\"} 1",
            "postseal_failures_total{listener=\"lmtp\",kind=\"try-again\"} 1",
            "postseal_recipients_ended_total{listener=\"lmtp\",fate=\"relayed\",by=\"next-hop\"} 3",
            "postseal_next_hop_replies_total{class=\"2xx\"} 1",
            "postseal_limits_reached_total{listener=\"lmtp\",limit=\"memory\"} 1",
            "postseal_messages_waiting{listener=\"lmtp\"} 1",
            "postseal_reloads_total{result=\"failed\"} 1",
            "postseal_logins_total{listener=\"submission\",result=\"done\"} 1",
            "postseal_logins_total{listener=\"submission\",result=\"refused\"} 2",
            "postseal_handle_seconds_bucket{listener=\"milter\",le=\"0.002\"} 0",
            "postseal_handle_seconds_bucket{listener=\"milter\",le=\"0.005\"} 1",
            "postseal_handle_seconds_bucket{listener=\"milter\",le=\"10\"} 1",
            "postseal_handle_seconds_bucket{listener=\"milter\",le=\"+Inf\"} 2",
            "postseal_handle_seconds_sum{listener=\"milter\"} 60.003",
            "# TYPE postseal_handle_seconds histogram",
            "postseal_lookups_total{source=\"wkd\",outcome=\"found\"} 1",
            "postseal_lookup_seconds_bucket{source=\"wkd\",le=\"0.1\"} 1",
            "postseal_lookup_seconds_sum{source=\"wkd\"} 1.03",
        ] {
            assert!(page.lines().any(|own| own == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn rules_that_another_process_makes_up_take_no_memory_for_ever() {
        let metrics = Metrics::default();
        let trial = |rule: &str| Trial {
            group: Group {
                recipients: vec![ForwardPath {
                    address: Address::parse("a@example.org").unwrap(),
                    parameters: Vec::new(),
                }],
                origin: Default::default(),
                direction: crate::policy::Direction::Inbound,
                rule: rule.to_owned(),
                obstacle: None,
                cause: None,
                actions: Vec::new(),
                sealing: Default::default(),
                disposition: crate::policy::Disposition::Relay,
            },
            instead: "log-only".to_owned(),
        };
        metrics.tried("lmtp", &[trial("first")]);
        (0..2 * MOST_TRIALS).for_each(|number| metrics.tried("lmtp", &[trial(&number.to_string())]));
        metrics.tried("lmtp", &[trial("first")]);
        let page = metrics.page();
        let line =
            |rule: &str| format!("postseal_log_only_total{{listener=\"lmtp\",rule=\"{rule}\",disposition=\"relay\"}}");
        assert!(page.contains(&format!("{} 2\n", line("first"))), "what is known is counted on");
        assert!(page.contains(&format!("{} {}\n", line(OTHERS), MOST_TRIALS + 1)));
        assert_eq!(page.matches("\npostseal_log_only_total").count(), MOST_TRIALS + 1);
    }
}
