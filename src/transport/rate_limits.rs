//! How much mail a sender may send in a while: token buckets in memory, for the listeners of one service.
//!
//! Clients that are not known are not counted: they can write any sender, and would use up what another sender may send.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::smtp::Reply;
use crate::{
    base::{Allowance, Recent},
    mail::{Address, Submitter},
    policy::{Mode, Pattern},
    report::{Limit, Metrics},
};

/// How much mail each sender may send in a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Unique in a configuration.
    pub name: String,
    /// What counts as one sender.
    pub per: SenderKind,
    /// The envelope senders that it is for; none: all.
    pub from: Vec<Pattern>,
    /// How many messages.
    pub messages: Option<Allowance>,
    /// How many recipients.
    pub recipients: Option<Allowance>,
    /// Whether it is for clients in trusted networks too.
    pub trusted: TrustedClients,
    /// Whether it refuses.
    pub mode: Mode,
}

/// What counts as one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderKind {
    /// An address in MAIL FROM. The null sender is not counted.
    Address,
    /// The domain of that address.
    Domain,
    /// A login. Clients without one are not counted.
    Login,
}

impl SenderKind {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            SenderKind::Address => "address",
            SenderKind::Domain => "domain",
            SenderKind::Login => "login",
        }
    }
}

/// Whether clients in trusted networks are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedClients {
    /// They are.
    Counted,
    /// They are not.
    Exempt,
}

/// What was sent, by all listeners and across reloads.
#[derive(Debug)]
pub struct SentMail {
    start: Instant,
    buckets: Mutex<Buckets>,
}

impl Default for SentMail {
    fn default() -> Self {
        SentMail { start: Instant::now(), buckets: Mutex::new(Buckets::new(SENDERS)) }
    }
}

/// The limits of one configuration, at one listener.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    limits: Arc<[RateLimit]>,
    sent: Arc<SentMail>,
    metrics: Arc<Metrics>,
    listener: &'static str,
    mode: Mode,
}

impl RateLimits {
    /// `limits` at `listener`. Where `mode` says so, none of them refuses.
    pub fn new(
        limits: &[RateLimit],
        mode: Mode,
        sent: &Arc<SentMail>,
        metrics: &Arc<Metrics>,
        listener: &'static str,
    ) -> RateLimits {
        let (sent, metrics) = (Arc::clone(sent), Arc::clone(metrics));
        RateLimits { limits: limits.into(), sent, metrics, listener, mode }
    }

    /// Counts a message.
    ///
    /// # Errors
    ///
    /// The reply, when the sender has sent too much.
    pub(super) fn message(&self, submitter: &Submitter, sender: Option<&Address>) -> Result<(), Reply> {
        self.count(Limit::MessagesOfSender, submitter, sender)
    }

    /// Counts a recipient.
    ///
    /// # Errors
    ///
    /// The reply, when the sender has sent to too many.
    pub(super) fn recipient(&self, submitter: &Submitter, sender: Option<&Address>) -> Result<(), Reply> {
        self.count(Limit::RecipientsOfSender, submitter, sender)
    }

    fn count(&self, what: Limit, submitter: &Submitter, sender: Option<&Address>) -> Result<(), Reply> {
        if self.limits.is_empty() {
            return Ok(());
        }
        let asked: Vec<Asked<'_>> =
            self.limits.iter().filter_map(|limit| limit.asked(what, submitter, sender)).collect();
        let mut buckets = self.sent.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let exceeded = buckets.take(what, &asked, self.mode, self.sent.start.elapsed());
        drop(buckets);
        let mut refusal = Ok(());
        for one in exceeded {
            let is_enforced = self.mode == Mode::Enforce && one.limit.mode == Mode::Enforce;
            let mode = if is_enforced { Mode::Enforce } else { Mode::LogOnly };
            self.metrics.limit_reached(self.listener, what);
            tracing::warn!(
                event = "rate-limited",
                limit = what.name(),
                rate_limit = one.limit.name,
                sender = one.who,
                mode = mode.name()
            );
            if is_enforced && refusal.is_ok() {
                let words = if what == Limit::MessagesOfSender { "too much mail" } else { "too many recipients" };
                refusal = Err(Reply::new(450, "4.7.1", format!("Error: {words} from <{}>", one.who)));
            }
        }
        refusal
    }
}

/// A limit that a message or a recipient counts for.
struct Asked<'l> {
    limit: &'l RateLimit,
    allowance: Allowance,
    who: String,
}

impl RateLimit {
    fn asked(&self, what: Limit, submitter: &Submitter, sender: Option<&Address>) -> Option<Asked<'_>> {
        let allowance = if what == Limit::MessagesOfSender { self.messages } else { self.recipients }?;
        let is_for = self.from.is_empty() || self.from.iter().any(|pattern| pattern.covers(sender));
        let is_counted = match submitter {
            Submitter::Authenticated(_) => true,
            Submitter::Trusted => self.trusted == TrustedClients::Counted,
            Submitter::Host | Submitter::Unknown => false,
        };
        let who = match (self.per, submitter) {
            (SenderKind::Address, _) => sender?.to_string(),
            (SenderKind::Domain, _) => sender?.domain().to_owned(),
            (SenderKind::Login, Submitter::Authenticated(login)) => login.to_string(),
            (SenderKind::Login, _) => return None,
        };
        (is_for && is_counted).then_some(Asked { limit: self, allowance, who })
    }
}

/// What each sender has left. Times are durations since any one moment. The memory is bounded: who sent longest ago goes.
#[derive(Debug)]
struct Buckets {
    /// Senders are hashed, with a random key: a name may be long.
    hasher: RandomState,
    /// When each bucket is full again, if nothing follows.
    full_at: Recent<u64, Duration>,
}

impl Buckets {
    fn new(most: usize) -> Buckets {
        Buckets { hasher: RandomState::new(), full_at: Recent::new(most) }
    }

    /// Takes one from each bucket. Those that are empty are returned; when one of them refuses, nothing is taken.
    fn take<'a>(&mut self, what: Limit, asked: &'a [Asked<'a>], mode: Mode, now: Duration) -> Vec<&'a Asked<'a>> {
        let mut exceeded = Vec::new();
        let mut taken = Vec::new();
        for one in asked {
            let Allowance { most, period } = one.allowance;
            // A limit that a reload changes starts anew.
            let key = self.hasher.hash_one((what.name(), &one.limit.name, most, period, &one.who));
            match one.allowance.after_one(self.full_at.get(&key).copied(), now) {
                Some(full_at) => taken.push((key, full_at)),
                None => exceeded.push(one),
            }
        }
        let is_refused = mode == Mode::Enforce && exceeded.iter().any(|one| one.limit.mode == Mode::Enforce);
        for (key, full_at) in taken.into_iter().filter(|_| !is_refused) {
            self.full_at.put(key, full_at);
        }
        exceeded
    }
}

/// Buckets. Source: 8 MiB, for the users of a large organization and two limits for each.
const SENDERS: usize = 131_072;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Login;

    const MINUTE: Duration = Duration::from_secs(60);
    const WHAT: Limit = Limit::MessagesOfSender;

    fn limit(per: SenderKind, most: u32) -> RateLimit {
        RateLimit {
            name: format!("{most} per {}", per.name()),
            per,
            from: Vec::new(),
            messages: Some(Allowance { most, period: MINUTE }),
            recipients: None,
            trusted: TrustedClients::Exempt,
            mode: Mode::Enforce,
        }
    }

    fn user(name: &str) -> Submitter {
        Submitter::Authenticated(Login::new(name).unwrap())
    }

    /// How many messages at the same moment are accepted.
    fn accepted(buckets: &mut Buckets, limits: &[RateLimit], who: &Submitter, sender: &str, now: Duration) -> usize {
        let sender = Address::parse(sender).ok();
        let is_accepted = |_: &i32| {
            let asked: Vec<_> = limits.iter().filter_map(|one| one.asked(WHAT, who, sender.as_ref())).collect();
            buckets.take(WHAT, &asked, Mode::Enforce, now).is_empty()
        };
        (0..1_000).take_while(is_accepted).count()
    }

    #[test]
    fn a_sender_has_a_burst_and_then_its_rate() {
        let (mut buckets, limits) = (Buckets::new(100), [limit(SenderKind::Address, 7)]);
        let mut at = |who: &str, sender: &str, now| accepted(&mut buckets, &limits, &user(who), sender, now);
        assert_eq!(at("alice", "a@x.org", MINUTE), 7);
        assert_eq!(at("alice", "a@x.org", MINUTE), 0, "what is refused takes nothing");
        assert_eq!(at("alice", "b@x.org", MINUTE), 7);
        assert_eq!(at("bob", "a@x.org", MINUTE), 0, "it is by the address");
        assert_eq!(at("alice", "a@x.org", MINUTE + MINUTE / 7), 1);
        assert_eq!(at("alice", "a@x.org", MINUTE * 10), 7);
        assert_eq!(at("alice", "<>", MINUTE), 1_000, "the null sender is no sender");
    }

    #[test]
    fn strangers_and_trusted_clients_are_not_counted() {
        let mut counted = limit(SenderKind::Domain, 1);
        let at = |limit: &RateLimit, who: &Submitter| {
            accepted(&mut Buckets::new(9), std::slice::from_ref(limit), who, "a@x.org", MINUTE)
        };
        assert_eq!(at(&counted, &user("alice")), 1);
        assert_eq!(at(&counted, &Submitter::Unknown), 1_000);
        assert_eq!(at(&counted, &Submitter::Trusted), 1_000);
        counted.trusted = TrustedClients::Counted;
        assert_eq!(at(&counted, &Submitter::Trusted), 1);
        counted.per = SenderKind::Login;
        assert_eq!(at(&counted, &Submitter::Trusted), 1_000);
        assert_eq!(at(&counted, &user("alice")), 1);
        counted.from = vec![Pattern::parse("y.org").unwrap()];
        assert_eq!(at(&counted, &user("alice")), 1_000);
    }

    #[test]
    fn a_message_that_one_limit_refuses_takes_nothing_from_others() {
        let (mut buckets, limits) = (Buckets::new(100), [limit(SenderKind::Login, 2), limit(SenderKind::Domain, 5)]);
        let mut at = |who: &str| accepted(&mut buckets, &limits, &user(who), "a@x.org", MINUTE);
        assert_eq!([at("alice"), at("alice"), at("bob"), at("carol"), at("dora")], [2, 0, 2, 1, 0]);
        // A limit that is log-only is told, and what it counts goes on.
        let mut quiet = limit(SenderKind::Login, 1);
        quiet.mode = Mode::LogOnly;
        let metrics: Arc<Metrics> = Arc::default();
        let limits = RateLimits::new(&[quiet.clone()], Mode::Enforce, &Arc::default(), &metrics, "submission");
        let sender = Address::parse("a@x.org").ok();
        for _ in 0..5 {
            assert_eq!(limits.message(&user("alice"), sender.as_ref()), Ok(()));
        }
        let line = "postseal_limits_reached_total{listener=\"submission\",limit=\"messages-of-sender\"} 4";
        assert!(metrics.page().contains(line), "{}", metrics.page());
        quiet.mode = Mode::Enforce;
        let limits = RateLimits::new(&[quiet], Mode::Enforce, &Arc::default(), &metrics, "submission");
        assert_eq!(limits.message(&user("alice"), sender.as_ref()), Ok(()));
        let refused = limits.message(&user("alice"), sender.as_ref()).unwrap_err();
        assert_eq!(refused.to_string(), "450 4.7.1 Error: too much mail from <alice>");
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut buckets, limits) = (Buckets::new(10), [limit(SenderKind::Address, 1)]);
        for one in 0..100 {
            assert_eq!(accepted(&mut buckets, &limits, &user("alice"), &format!("a{one}@x.org"), MINUTE), 1);
        }
        assert_eq!(accepted(&mut buckets, &limits, &user("alice"), "a99@x.org", MINUTE), 0);
        assert_eq!(accepted(&mut buckets, &limits, &user("alice"), "a0@x.org", MINUTE), 1);
    }
}
