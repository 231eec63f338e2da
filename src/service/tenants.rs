//! Mail of several tenants in one process: each part of a mail is handled with the keys and rules of one tenant, as if each had a host of its own.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::Instrument;

use super::{
    auditing::audit,
    environment::{Environment, SharedMaker, make},
    handler::{self, ConfiguredHandler},
    handler_config::handler_config,
    joining::{add, put_copy, take_copies, unhandled},
    network,
    roles::Roles,
};
use crate::{
    base::{Error, Kind, Limits, Result, Secret},
    config::{Config, Owner, Tenancy, Tenant},
    engine::{Handler, HandlerConfig, Outcome, Posting},
    mail::{Envelope, Mail, Message, Submitter},
    policy::{Direction, Disposition, Origin},
    report::{Metrics, TenantMail},
    transport::{Measured, serve::Background},
};

/// The tenants of a configuration.
pub(super) struct Tenants {
    tenancy: Tenancy,
    /// In their order.
    desks: Vec<Arc<Desk>>,
    /// Knows marks, which are those of the whole service.
    marking: HandlerConfig,
}

/// What handles the mail of one tenant.
struct Desk {
    tenant: Tenant,
    marker: Secret,
    maker: SharedMaker,
    roles: Option<Roles>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// Whether its keys are open.
enum State {
    Open(Arc<ConfiguredHandler>),
    /// When that was tried last, and why they are not.
    Closed(Option<Instant>, String),
}

impl Tenants {
    /// Those of `config`. No home is opened before its tenant has mail.
    pub(super) fn new(
        config: &Config,
        marking: HandlerConfig,
        maker: &SharedMaker,
        roles: Option<&Roles>,
        metrics: &Arc<Metrics>,
    ) -> Tenants {
        let desk = |tenant: &Tenant| {
            Arc::new(Desk {
                tenant: tenant.clone(),
                marker: marking.marker.clone(),
                maker: Arc::clone(maker),
                roles: roles.cloned(),
                metrics: Arc::clone(metrics),
                state: Mutex::new(State::Closed(None, String::new())),
            })
        };
        Tenants { tenancy: Tenancy::of(config), desks: config.tenants.iter().map(desk).collect(), marking }
    }

    /// The same, with every home open that can be, and what is done beside serving mail. A tenant that cannot be used stays as it was `before`, like the
    /// service itself when a configuration cannot be loaded; if there was none, its mail is put off.
    pub(super) fn opened(mut self, before: Option<&Tenants>) -> (Tenants, Vec<Background>) {
        let mut background = Vec::new();
        for desk in &mut self.desks {
            let span = desk.span();
            match span.in_scope(|| desk.open()) {
                Ok((handler, environment)) => {
                    if let Ok(config) = desk.tenant.config() {
                        let beside = network::background(config, &environment, &desk.metrics).into_iter();
                        background.extend(beside.map(|one| Box::pin(one.instrument(span.clone())) as Background));
                    }
                    desk.set(State::Open(Arc::new(handler)));
                }
                Err(error) => {
                    let _within = span.entered();
                    match before.and_then(|before| before.same(desk)) {
                        Some(same) => {
                            tracing::error!(event = "tenant-failed", %error, in_force = "before");
                            *desk = same;
                        }
                        None => {
                            tracing::error!(event = "tenant-failed", %error, in_force = "none");
                            desk.set(State::Closed(Some(Instant::now()), error.to_string()));
                        }
                    }
                }
            }
        }
        (self, background)
    }

    /// An open desk for the same domains under the same name.
    fn same(&self, desk: &Desk) -> Option<Arc<Desk>> {
        let is_same = |other: &&Arc<Desk>| {
            other.tenant.name == desk.tenant.name && other.tenant.domains == desk.tenant.domains && other.is_open()
        };
        self.desks.iter().find(is_same).cloned()
    }
}

impl Desk {
    /// Its lines of the log.
    fn span(&self) -> tracing::Span {
        tracing::error_span!("tenant", tenant = self.tenant.name)
    }

    fn open(&self) -> Result<(ConfiguredHandler, Environment)> {
        let config = self.tenant.config()?;
        let environment = make(&self.maker, config)?;
        let audit = audit(config, environment.home.as_ref())?;
        let roles = self.roles.as_ref().map(|program| (program, &self.metrics));
        let handler = handler::with_marker(config, environment.clone(), self.marker.clone(), audit, roles)?;
        Ok((handler.counting(&self.metrics), environment))
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn is_open(&self) -> bool {
        matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Open(_))
    }

    /// What handles its mail. A home that could not be opened is tried again after a while.
    fn handler(&self) -> Result<Arc<ConfiguredHandler>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |why: &str| Err(Error::new(Kind::TryAgain, format!("tenant {}: {why}", self.tenant.name)));
        match &*state {
            State::Open(handler) => return Ok(Arc::clone(handler)),
            State::Closed(Some(tried), why) if tried.elapsed() < AGAIN => return failed(why),
            State::Closed(..) => {}
        }
        match self.open() {
            Ok((handler, _)) => {
                let handler = Arc::new(handler);
                *state = State::Open(Arc::clone(&handler));
                Ok(handler)
            }
            Err(error) => {
                tracing::error!(event = "tenant-failed", %error, in_force = "none");
                *state = State::Closed(Some(Instant::now()), error.to_string());
                failed(&error.to_string())
            }
        }
    }
}

/// What handles the mail of a configuration, whether it has tenants or not.
#[derive(Clone)]
pub(super) struct MailHandler {
    rest: Arc<dyn Handler>,
    tenants: Arc<Tenants>,
}

impl MailHandler {
    /// `rest` handles the mail of no tenant.
    pub(super) fn new(rest: Arc<dyn Handler>, tenants: Arc<Tenants>) -> MailHandler {
        MailHandler { rest, tenants }
    }

    /// The same for one listener, counted and logged.
    pub(super) fn measured(&self, metrics: &Arc<Metrics>, listener: &'static str) -> Arc<dyn Handler> {
        let rest = Measured::new(Arc::clone(&self.rest), Arc::clone(metrics), listener);
        if self.tenants.desks.is_empty() {
            return Arc::new(rest);
        }
        Arc::new(TenantHandler { rest, tenants: Arc::clone(&self.tenants), metrics: Arc::clone(metrics), listener })
    }
}

/// What handles mail for a program that runs for a few messages, counted and logged: also of the tenants of `config`, whose homes are opened when they have
/// mail.
///
/// ```no_run
/// use std::sync::Arc;
/// use postseal::{base::Result, config, report::Metrics, service::{self, Environment}};
///
/// # fn main() -> Result<()> {
/// let config = config::load("/etc/postseal/postseal.toml".as_ref())?;
/// let environment = Environment::of(&config)?;
/// let handler = service::measured_handler(&config, environment, Arc::new(Metrics::default()), "filter")?;
/// # let _ = handler;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`handler()`](super::handler()).
pub fn measured_handler(
    config: &Config,
    environment: Environment,
    metrics: Arc<Metrics>,
    listener: &'static str,
) -> Result<Arc<dyn Handler>> {
    let marker = handler::marker(config, &environment)?;
    let marking = handler_config(config, &environment, marker.clone());
    let clock = Arc::clone(&environment.clock);
    // Where the clock stands still, nothing is stored.
    let stores = environment.home.is_some();
    let maker: SharedMaker = Arc::new(Mutex::new(Box::new(move |config: &Config| {
        let own = Environment::of(config)?;
        let home = own.home.clone().filter(|_| stores);
        Ok(Environment { clock: Arc::clone(&clock), home, ..own })
    })));
    let audit = audit(config, environment.home.as_ref())?;
    let rest = Arc::new(handler::with_marker(config, environment, marker, audit, None)?);
    let tenants = Arc::new(Tenants::new(config, marking, &maker, None, &metrics));
    Ok(MailHandler::new(rest, tenants).measured(&metrics, listener))
}

/// Handles each part of a mail with the keys and rules of one tenant.
struct TenantHandler {
    rest: Measured,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    listener: &'static str,
}

impl Handler for TenantHandler {
    /// Mail of a known submitter is handled by the sender's tenant, and other mail by those of its recipients. What one tenant relays to an address of another
    /// is handled by that one too, as mail of a stranger.
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        if self.tenants.marking.is_marked(&mail) {
            return self.by_recipients(mail, &mut Crossings::new(None));
        }
        let mut crossings = Crossings::new(Some(CROSSINGS));
        match self.tenants.tenancy.sender(&mail)? {
            None => self.by_recipients(mail, &mut crossings),
            Some(owner) => self.settled(owner, mail, &mut crossings),
        }
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let own = self.tenants.tenancy.owner(&posting.list().address).unwrap_or(Owner::Rest);
        let made = match own {
            Owner::Rest => self.rest.copies(posting, numbers)?,
            Owner::Tenant(_) => {
                let desk = self.desk(own)?;
                let _within = desk.span().entered();
                desk.handler()?.copies(posting, numbers)?
            }
        };
        let mut all = Vec::with_capacity(made.len());
        for mail in made {
            self.to_members(own, mail, &mut all)?;
        }
        Ok(all)
    }

    /// A mark is made with the secret of the whole service.
    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.rest.mark(mail)
    }

    /// All of them have processes, or none.
    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        self.rest.receive(octets, limits)
    }
}

impl TenantHandler {
    fn desk(&self, owner: Owner) -> Result<&Desk> {
        let desk = match owner {
            Owner::Tenant(at) => self.tenants.desks.get(at),
            Owner::Rest => None,
        };
        desk.map(|desk| &**desk).ok_or_else(|| Error::unavailable("no such tenant"))
    }

    /// What one tenant makes of a mail.
    fn by(&self, owner: Owner, mail: Mail) -> Result<Outcome> {
        if owner == Owner::Rest {
            return self.rest.handle(mail);
        }
        let desk = self.desk(owner)?;
        let _within = desk.span().entered();
        let handler: Arc<dyn Handler> = match desk.handler() {
            Ok(handler) => handler,
            Err(error) => Arc::new(Closed(error.to_string())),
        };
        let outcome = Measured::new(handler, Arc::clone(&self.metrics), self.listener).handle(mail);
        let result = if outcome.is_ok() { TenantMail::Handled } else { TenantMail::Failed };
        self.metrics.of_tenant(&desk.tenant.name, result);
        outcome
    }

    /// What each tenant makes of its recipients' part of a mail. What fails for one is refused for its recipients alone.
    fn by_recipients(&self, mail: Mail, crossings: &mut Crossings) -> Result<Outcome> {
        let mut by_owner = self.tenants.tenancy.recipients(&mail);
        if by_owner.len() < 2 {
            let owner = by_owner.pop_first().map_or(Owner::Rest, |(owner, _)| owner);
            return self.settled(owner, mail, crossings);
        }
        let (mut joined, mut failed): (Option<Outcome>, Vec<_>) = (None, Vec::new());
        for (owner, recipients) in by_owner {
            let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: recipients.clone() };
            let part = Mail {
                envelope,
                submitter: mail.submitter.clone(),
                client: mail.client,
                message: mail.message.clone(),
            };
            match (self.settled(owner, part, crossings), &mut joined) {
                (Ok(mut part), Some(joined)) => {
                    // What only one of them found authentic is not authentic for all.
                    if part.verdict.standing() < joined.verdict.standing() {
                        std::mem::swap(&mut part.verdict, &mut joined.verdict);
                    }
                    add(joined, part, &Origin::default());
                }
                (Ok(part), none) => *none = Some(part),
                (Err(error), _) => failed.push((owner, recipients, error)),
            }
        }
        let Some(mut joined) = joined else {
            // What is worth another attempt for one is so for the mail.
            let at = failed.iter().position(|(_, _, error)| !error.is_permanent()).unwrap_or_default();
            let error = (at < failed.len()).then(|| failed.swap_remove(at).2);
            return Err(error.unwrap_or_else(|| Error::usage("envelope: no recipients")));
        };
        for (owner, recipients, error) in failed {
            self.log(owner, &error);
            put_copy(&mut joined, unhandled(recipients, Origin::default(), Direction::Inbound, &error));
        }
        Ok(joined)
    }

    /// What becomes of a mail that `owner` handles: what it relays to the addresses of another is handled by that one too.
    fn settled(&self, owner: Owner, mail: Mail, crossings: &mut Crossings) -> Result<Outcome> {
        crossings.octets = crossings.octets.saturating_add(mail.message.octets().len());
        self.tenants.marking.engine().budget().copies(crossings.octets)?;
        let (submitter, client) = (mail.submitter.clone(), mail.client);
        let mut outcome = self.by(owner, mail)?;
        if crossings.left.is_none() {
            return Ok(outcome);
        }
        for copy in take_copies(&mut outcome) {
            let (staying, others) = copy.split(owner, &self.tenants.tenancy);
            staying.into_iter().for_each(|copy| put_copy(&mut outcome, copy));
            for (other, (origin, part)) in others {
                let recipients = part.envelope.recipients.clone();
                let part = Mail { client, ..part };
                match crossings.take().and_then(|()| self.settled(other, self.crossing(part, &submitter)?, crossings)) {
                    Ok(mut part) => {
                        // The client that sent it is known to each tenant that handles it.
                        let unknown = part.mails.iter_mut().filter(|mail| mail.submitter == Submitter::Unknown);
                        unknown.for_each(|mail| mail.submitter = submitter.clone());
                        add(&mut outcome, part, &origin);
                    }
                    Err(error) => {
                        self.log(other, &error);
                        put_copy(&mut outcome, unhandled(recipients, origin, Direction::Inbound, &error));
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// What goes on from one tenant to another. What a user or a list of this host wrote was seen by no verifier, so that no results in it are of one.
    fn crossing(&self, part: Mail, submitter: &Submitter) -> Result<Mail> {
        match submitter {
            Submitter::Authenticated(_) | Submitter::Host => {
                match self.tenants.marking.without_results(&part.message) {
                    Some(octets) => Ok(Mail { message: self.receive(octets, &self.tenants.marking.limits)?, ..part }),
                    None => Ok(part),
                }
            }
            Submitter::Trusted | Submitter::Unknown => Ok(part),
        }
    }

    /// The copies of a list of `own` for these members: those of another tenant get what that one makes of them.
    fn to_members(&self, own: Owner, mail: Mail, all: &mut Vec<Mail>) -> Result<()> {
        let (mut staying, mut others) = (Vec::new(), Vec::new());
        for path in mail.envelope.recipients.iter().cloned() {
            match self.tenants.tenancy.owner(&path.address).filter(|owner| *owner != own) {
                Some(other) => others.push((other, path)),
                None => staying.push(path),
            }
        }
        for (other, path) in others {
            let to = path.address.to_string();
            let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: vec![path] };
            let part = Mail { envelope, submitter: Submitter::Unknown, client: None, message: mail.message.clone() };
            let part = self.crossing(part, &Submitter::Host)?;
            let outcome = self.settled(other, part, &mut Crossings::new(Some(CROSSINGS)))?;
            if let Some(Disposition::Tempfail(why)) = outcome
                .decision
                .groups
                .iter()
                .map(|group| &group.disposition)
                .find(|one| matches!(one, Disposition::Tempfail(_)))
            {
                return Err(Error::new(Kind::TryAgain, format!("{to}: {why}")));
            }
            for group in outcome.decision.groups.iter().filter(|group| group.disposition != Disposition::Relay) {
                // As with what the next hop refuses: it does not concern the other members.
                let reason = group.disposition.reason().unwrap_or_else(|| group.disposition.name());
                tracing::warn!(event = "list-copy-refused", to, origin = %group.origin, reason);
            }
            all.extend(outcome.transactions());
        }
        if !staying.is_empty() {
            let envelope = Envelope { sender: mail.envelope.sender, recipients: staying };
            all.push(Mail { envelope, submitter: mail.submitter, client: None, message: mail.message });
        }
        Ok(())
    }

    fn log(&self, owner: Owner, error: &Error) {
        let tenant = self.tenants.tenancy.name(owner);
        tracing::warn!(event = "part-failed", tenant, kind = error.kind().name(), %error);
    }
}

/// How the mail came so far.
struct Crossings {
    /// How often it may still go from one tenant to another; `None`: it was handled before, by all that it is for.
    left: Option<usize>,
    /// The octets that were handled, once for each part: each can be a copy.
    octets: usize,
}

impl Crossings {
    fn new(left: Option<usize>) -> Crossings {
        Crossings { left, octets: 0 }
    }

    fn take(&mut self) -> Result<()> {
        match &mut self.left {
            Some(left @ 1..) => {
                *left -= 1;
                Ok(())
            }
            None | Some(_) => Err(Error::new(Kind::NoKey, "the mail goes from one tenant to another too often")),
        }
    }
}

/// The tenant cannot be used now.
struct Closed(String);

impl Closed {
    fn error<T>(&self) -> Result<T> {
        Err(Error::new(Kind::TryAgain, self.0.clone()))
    }
}

impl Handler for Closed {
    fn handle(&self, _: Mail) -> Result<Outcome> {
        self.error()
    }

    fn copies(&self, _: &Posting, _: Range<usize>) -> Result<Vec<Mail>> {
        self.error()
    }

    fn mark(&self, _: &Mail) -> Result<Message> {
        self.error()
    }
}

/// How often one mail may go from one tenant to another. Source: more than any chain of forwards that people make, and few enough that a circle of aliases
/// costs no more than a mail with as many signatures.
const CROSSINGS: usize = 16;

/// How long a tenant that cannot be used is left alone. Source: as long as clients wait at most for a reply that is put off; opening a home takes milliseconds.
const AGAIN: Duration = Duration::from_secs(10);
