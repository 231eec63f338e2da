//! Orders that a service makes, answers and carries on by itself.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Enrolment, Order, Progress, Settings, Writing, delay::Delay, server::Refusal};
use crate::{
    audit::Event as Change,
    base::{Clock, Error, Limits, Random, Result},
    keys::{Binding, Handle, Keys as _, Memory, ProtocolName, Query, Record, Want},
    mail::{Address, Mail},
    protocol::smime::{
        generate::{Request, generate},
        keyfile::newest,
        record::certificate,
    },
    store::{Intake, Keystore, Origin},
};

/// Keeps the certificates of a home current.
pub struct Agent {
    /// The authority.
    pub settings: Settings,
    /// Whether it may order for an address.
    pub orders_for: Box<dyn Fn(&Address) -> bool + Send + Sync>,
    /// Addresses that get a key if they have none.
    pub named: Vec<Address>,
    /// How long before its end a certificate is renewed; less for one that is valid for less than three times as long.
    pub renew_before: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For new keys and for Message-ID.
    pub random: Arc<dyn Random>,
    /// Limits on one message, and how long one request may take.
    pub limits: Limits,
}

/// What was done for an address.
#[derive(Clone, Debug)]
pub enum Event {
    /// A challenge was answered.
    Answered,
    /// There is no certificate, for this reason. It is tried again later.
    Failed(Error),
    /// The certificate with this fingerprint was issued and imported.
    Issued(Handle),
    /// A certificate was ordered.
    Ordered,
}

/// Sends a mail; an error means that it was not sent.
pub type Sender<'a> = &'a dyn Fn(Mail) -> Result<()>;

/// Learns what was done.
pub type Tell<'a> = &'a mut dyn FnMut(&Address, Event);

impl Agent {
    /// Does what there is to do now, while no other process of the home does; returns when to call it again at the latest.
    ///
    /// # Errors
    ///
    /// The home cannot be used, or the authority cannot be reached.
    pub fn round(&self, home: &Keystore, send: Sender<'_>, tell: Tell<'_>) -> Result<Duration> {
        let _lock = home.lock_sealed_files()?;
        let now = self.clock.now();
        let (mut orders, mut is_idle) = (Vec::new(), true);
        for order in Order::all(home)? {
            // With the lock held, no other process is at it.
            if order.is_opening() {
                order.forget(home)?;
            } else if order.directory == self.settings.directory {
                is_idle &= order.waits_for_mail() && !is_late(&order, now) && order.noted(home)?.is_empty();
                orders.push(order);
            }
        }
        let mut due = self.due(home, now)?;
        let mut next = if orders.is_empty() { IDLE } else { LOOK };
        if is_idle && due.is_empty() {
            return Ok(next);
        }
        let enrolment = Enrolment::open(&self.settings, home, now, self.limits.network).map_err(Error::from)?;
        due.truncate(MAX_ORDERS.saturating_sub(orders.len()));
        for mut order in orders {
            let address = order.address()?;
            match self.carry_on(&enrolment, &mut order, home, send, tell) {
                Ok(wait) => next = next.min(wait),
                Err(refusal) => {
                    // The order is of no use to the authority when it refuses for good.
                    match refusal.error.is_permanent() {
                        true => order.forget(home)?,
                        false => next = next.min(refusal.wait.unwrap_or(RETRY)),
                    }
                    self.failed(&address, refusal, home, tell)?;
                }
            }
        }
        for (address, record) in due {
            let ordered = self.order(&enrolment, &address, record, home);
            match ordered {
                Ok(order) => {
                    tell(&address, Event::Ordered);
                    // Without a challenge it goes on at once.
                    next = next.min(if order.waits_for_mail() { LOOK } else { BUSY });
                }
                Err(refusal) => {
                    let is_permanent = refusal.error.is_permanent();
                    self.failed(&address, refusal, home, tell)?;
                    if !is_permanent {
                        break;
                    }
                }
            }
        }
        Ok(next)
    }

    /// The addresses whose certificate is to be ordered now, with the certificate whose key it is for; none is there for an address without a key.
    fn due(&self, home: &Keystore, now: SystemTime) -> Result<Vec<(Address, Option<Arc<Record>>)>> {
        /// Of one address the best: one that an authority issued, and the longest of those.
        struct Best {
            address: Address,
            rank: (bool, SystemTime),
            record: Arc<Record>,
            is_due: bool,
        }
        let mut known: BTreeMap<String, Option<Best>> = BTreeMap::new();
        for record in newest(home.find(ProtocolName::Smime, &Query::manage(Want::Secrets))?)? {
            let read = certificate(&record)?;
            let (begin, end) = read.validity();
            let span = self.renew_before.min(end.duration_since(begin).unwrap_or_default() / 3);
            let rank = (!read.is_self_signed(), end);
            for address in record.claimed().iter().filter(|address| (self.orders_for)(address)) {
                let best = known.entry(address.to_string().to_ascii_lowercase()).or_default();
                // What was revoked here stays so: that is for the administrator to decide.
                if record.withdrawal().is_none() && best.as_ref().is_none_or(|best| best.rank < rank) {
                    let is_due = !rank.0 || end <= now.checked_add(span).unwrap_or(end);
                    *best = Some(Best { address: address.clone(), rank, record: Arc::clone(&record), is_due });
                }
            }
        }
        let mut due: Vec<(Address, Option<Arc<Record>>)> = Vec::new();
        for address in &self.named {
            if !known.contains_key(&address.to_string().to_ascii_lowercase()) {
                due.push((address.clone(), None));
            }
        }
        let found = known.into_values().flatten().filter(|best| best.is_due);
        due.extend(found.map(|best| (best.address, Some(best.record))));
        let mut left = Vec::new();
        for (address, record) in due {
            if Order::of(&address, home)?.is_none() && Delay::of(&address, home)?.is_over(now) {
                left.push((address, record));
            }
        }
        Ok(left)
    }

    fn order(
        &self,
        enrolment: &Enrolment<'_>,
        address: &Address,
        record: Option<Arc<Record>>,
        home: &Keystore,
    ) -> Result<Order, Refusal> {
        let record = record.map_or_else(|| self.new_key(address, home), |record| Ok(Arc::unwrap_or_clone(record)))?;
        enrolment.order(address, &record)
    }

    fn new_key(&self, address: &Address, home: &Keystore) -> Result<Record> {
        let described = generate(&Request::new(address.clone()), &*self.clock, &*self.random)?;
        let record = described.record.clone();
        let belief = (record.fingerprint().clone(), Binding::Address(address.clone()), Origin::Generated);
        let intake =
            Intake { certificates: &[described], beliefs: &[belief], event: Change::Enrol, ..Intake::default() };
        home.take_in(&intake, &Memory::new(), self.clock.now())?;
        Ok(record)
    }

    /// Answers what was noted for an order, and takes its next step; returns when to look again.
    fn carry_on(
        &self,
        enrolment: &Enrolment<'_>,
        order: &mut Order,
        home: &Keystore,
        send: Sender<'_>,
        tell: Tell<'_>,
    ) -> Result<Duration, Refusal> {
        let (address, now) = (order.address()?, self.clock.now());
        for challenge in order.noted(home)? {
            let before = order.clone();
            let writing = Writing { clock: &*self.clock, random: &*self.random, limits: &self.limits };
            match enrolment.reply(order, &challenge, &writing) {
                Ok(mail) => {
                    if let Err(error) = send(mail) {
                        before.keep(home)?;
                        *order = before;
                        return Err(error.into());
                    }
                    tell(&address, Event::Answered);
                }
                // It was answered before a crash, or came from elsewhere before the authority said from where it comes.
                Err(reason) => tracing::warn!(event = "acme-challenge-ignored", %address, %reason),
            }
            order.answered_noted(&challenge, home)?;
        }
        if order.waits_for_mail() {
            if !is_late(order, now) {
                return Ok(LOOK);
            }
            order.forget(home)?;
            return Err(Error::unavailable(format!("no challenge of {} came within three days", order.from()?)).into());
        }
        enrolment.answered(order)?;
        match enrolment.advance(order)? {
            Progress::Issued(certificates) => {
                let issued = order.install(&certificates, home, now)?;
                order.forget(home)?;
                Delay::after_success(now).keep(&address, home)?;
                tell(&address, Event::Issued(issued.fingerprint().clone()));
                // There may be others to order for.
                Ok(BUSY)
            }
            Progress::Failed(why) => {
                order.forget(home)?;
                Err(Error::unavailable(format!("the authority issues no certificate: {why}")).into())
            }
            Progress::Waiting(wait) => Ok(wait.unwrap_or(BUSY).max(BUSY)),
        }
    }

    fn failed(&self, address: &Address, refusal: Refusal, home: &Keystore, tell: Tell<'_>) -> Result<()> {
        let delay = Delay::of(address, home)?.after_failure(self.clock.now(), refusal.wait);
        delay.keep(address, home)?;
        tell(address, Event::Failed(refusal.error));
        Ok(())
    }
}

fn is_late(order: &Order, now: SystemTime) -> bool {
    order.waits_for_mail() && now.duration_since(order.begun()).is_ok_and(|age| age > MAX_AGE)
}

/// Until the next look, when nothing is to be done.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// Until the next look for a challenge that another process of the home noted.
const LOOK: Duration = Duration::from_secs(60);
/// Until an order is carried on after a failure.
const RETRY: Duration = Duration::from_secs(5 * 60);
/// Until the next look, when the authority is at work.
const BUSY: Duration = Duration::from_secs(2);
/// Orders in progress at once.
const MAX_ORDERS: usize = 20;
/// How long a challenge mail may take.
const MAX_AGE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
