//! From a configuration to its listeners.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZero,
    sync::Arc,
    thread,
};

use tokio::sync::Semaphore;

use super::{
    next_hop::relay,
    quarantine::{bounces, quarantine},
};
use crate::{
    base::{Clock, Error, Kind, Random, Result},
    config::{self, Auth, Config, Copies, ListenerKind, Strangers, Tls, Users, Vrfy},
    engine::Handler,
    report::Metrics,
    transport::{
        Endpoint, Health, Listener, MemoryLimit, Monitor, NextHop, RateLimits, SentMail,
        milter::{self, Copying, Deferrals, Milter},
        serve::{self, Listeners},
        smtp::{
            self, Authenticator, CheckPermits, Clients, Dialect, Login, LoginLimits, Names, Protection, Server,
            Timeouts,
        },
        tls::Identity,
    },
};

/// Builds the listeners anew for each load of the configuration.
pub(super) struct ListenersBuilder {
    metrics: Arc<Metrics>,
    /// Permits for passwords that are being checked.
    hashing: CheckPermits,
    /// These outlive reloads, so that a reload does not forget who guessed, who logged in, who sent how much, and what was put off.
    login_limits: Arc<LoginLimits>,
    sent_mail: Arc<SentMail>,
    deferrals: Arc<Deferrals>,
    /// Memory for messages. It outlives a reload that does not change its limits, because messages hold it.
    memory: Option<MemoryLimit>,
}

/// What is behind the listeners.
pub(super) struct Behind {
    /// What handles the mail of each kind of listener.
    pub(super) handlers: Handlers,
    pub(super) health: Arc<dyn Health>,
    /// The next hop for copies of a milter.
    pub(super) next_hop: NextHops,
    /// What is done beside serving mail.
    pub(super) background: Vec<serve::Background>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

/// Gives the handler for the kind of listener with this name.
pub(super) type Handlers = Box<dyn Fn(&'static str) -> Arc<dyn Handler>>;

/// The program or server that a configuration names.
pub(super) type NextHops = Box<dyn Fn(&Config, &Arc<dyn Random>) -> Result<Box<dyn NextHop>>>;

/// The kinds of listeners that take mail.
pub(super) const KINDS: [&str; 4] = ["lmtp", "milter", "relay", "submission"];

impl ListenersBuilder {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        // Checking a password takes a core and 64 MiB for a while.
        let hashing = CheckPermits::new(thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN));
        ListenersBuilder {
            metrics,
            hashing,
            login_limits: Arc::default(),
            sent_mail: Arc::default(),
            deferrals: Arc::default(),
            memory: None,
        }
    }

    /// Builds the listeners of `config`.
    pub(super) fn build(&mut self, config: &Config, behind: Behind) -> Result<Listeners> {
        let Behind { handlers, health, next_hop, background, clock, random } = behind;
        let bounds = &config.bounds;
        let memory = match &self.memory {
            Some(memory) if memory.is_of(bounds.memory, &bounds.message) => memory.clone(),
            _ => MemoryLimit::new(bounds.memory, &bounds.message),
        };
        self.memory = Some(memory.clone());
        let held = quarantine(config, &clock, &random)?;
        let work = Arc::new(Semaphore::new(bounds.work));
        let (metrics, hashing, login_limits) = (&self.metrics, &self.hashing, &self.login_limits);
        let (deferrals, sent_mail) = (&self.deferrals, &self.sent_mail);
        let ids = Arc::clone(&random);
        let parts = Parts {
            config,
            metrics,
            hashing,
            login_limits,
            sent_mail,
            deferrals,
            memory,
            handlers,
            next_hop,
            work,
            clock,
            random,
        };
        let mut by_endpoint: BTreeMap<Endpoint, Arc<dyn Listener>> = BTreeMap::new();
        let listeners = config
            .listeners
            .iter()
            .map(|listener| Ok::<_, Error>((listener.endpoint.clone(), parts.listener(listener)?)));
        let monitor: Arc<dyn Listener> = Arc::new(Monitor::new(Arc::clone(&self.metrics), health, held));
        let monitor = config.metrics.map(|address| Ok((Endpoint::Tcp(address), monitor)));
        for built in listeners.chain(monitor) {
            let (endpoint, listener) = built?;
            match by_endpoint.entry(endpoint) {
                Entry::Vacant(vacant) => drop(vacant.insert(listener)),
                Entry::Occupied(taken) => {
                    return Err(Error::new(Kind::Config, format!("{}: two listeners at one address", taken.key())));
                }
            }
        }
        if by_endpoint.is_empty() {
            return Err(Error::new(Kind::Config, format!("{}: no listener is configured", config.path.display()))
                .with_hint("[[listener]] kind = \"milter\" address = \"127.0.0.1:8891\""));
        }
        Ok(Listeners { by_endpoint, background, connections: bounds.connections, drain: serve::DRAIN, random: ids })
    }
}

/// What the listeners of one configuration are built from.
struct Parts<'a> {
    config: &'a Config,
    metrics: &'a Arc<Metrics>,
    hashing: &'a CheckPermits,
    login_limits: &'a Arc<LoginLimits>,
    sent_mail: &'a Arc<SentMail>,
    deferrals: &'a Arc<Deferrals>,
    memory: MemoryLimit,
    handlers: Handlers,
    next_hop: NextHops,
    /// One permit per message that is being handled.
    work: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Parts<'_> {
    fn listener(&self, listener: &config::Listener) -> Result<Arc<dyn Listener>> {
        match listener.kind {
            ListenerKind::Lmtp => self.smtp(listener, Dialect::Lmtp, "lmtp"),
            ListenerKind::Milter => self.milter(listener),
            ListenerKind::Relay => self.smtp(listener, Dialect::Smtp, "relay"),
            ListenerKind::Submission => self.smtp(listener, Dialect::Smtp, "submission"),
        }
    }

    fn rate_limits(&self, listener: &'static str) -> RateLimits {
        let config = self.config;
        RateLimits::new(&config.rate_limits, config.policy.mode, self.sent_mail, self.metrics, listener)
    }

    fn milter(&self, listener: &config::Listener) -> Result<Arc<dyn Listener>> {
        let config = self.config;
        let settings = milter::Settings {
            trusted: config.trusted.clone(),
            limits: config.bounds.message.clone(),
            recipients: config.bounds.recipients,
            rate_limits: self.rate_limits("milter"),
            memory: self.memory.clone(),
            copying: match listener.copies {
                Copies::Submit => Copying::Submit((self.next_hop)(config, &self.random)?.into()),
                Copies::Tempfail => Copying::Tempfail(Arc::clone(self.deferrals)),
            },
            bounces: bounces(config, &self.clock, &self.random)?,
            progress: milter::PROGRESS,
            idle: milter::IDLE,
            metrics: Arc::clone(self.metrics),
        };
        Ok(Arc::new(Milter::new((self.handlers)("milter"), Arc::clone(&self.work), settings)))
    }

    fn smtp(&self, listener: &config::Listener, dialect: Dialect, kind: &'static str) -> Result<Arc<dyn Listener>> {
        let config = self.config;
        let identity = |files: &config::Identity| Identity::read(&files.certificate, &files.key);
        let settings = smtp::Settings {
            kind,
            dialect,
            clients: match (listener.kind, listener.strangers) {
                (ListenerKind::Submission, Strangers::Refuse) => Clients::Known,
                _ => Clients::Anyone,
            },
            name: config.hostname.clone(),
            protection: match &listener.tls {
                Tls::Implicit(files) => Protection::Implicit(identity(files)?),
                Tls::None => Protection::None,
                Tls::Starttls(files) => Protection::Starttls(identity(files)?),
            },
            login: match &listener.auth {
                Auth::Here(users) => {
                    let users = Arc::new(Users::read(users)?);
                    Login::Here(Authenticator::new(users, self.hashing.clone()))
                }
                Auth::None => Login::None,
                Auth::Relay => Login::Relayed,
                Auth::Sender => Login::Sender,
            },
            login_limits: Arc::clone(self.login_limits),
            rate_limits: self.rate_limits(kind),
            metrics: Arc::clone(self.metrics),
            trusted: config.trusted.clone(),
            peers: config.peers.clone(),
            aliases: match listener.vrfy {
                Vrfy::Aliases => Some(Names { aliases: config.aliases.clone(), ..Names::default() }),
                Vrfy::Lists => Some(Names { aliases: config.aliases.clone(), lists: config.policy.lists.clone() }),
                Vrfy::Refuse => None,
            },
            local: config.all_local(),
            limits: config.bounds.message.clone(),
            recipients: config.bounds.recipients,
            per_client: PER_CLIENT,
            memory: self.memory.clone(),
            timeouts: Timeouts::default(),
            bare_lf: listener.bare_lf,
            clock: Arc::clone(&self.clock),
            quarantine: quarantine(config, &self.clock, &self.random)?,
            bounces: bounces(config, &self.clock, &self.random)?,
        };
        let relay = Arc::new(relay(config, &self.random)?);
        Ok(Arc::new(Server::new((self.handlers)(kind), relay, Arc::clone(&self.work), settings)))
    }
}

/// Source: Postfix's `smtpd_client_connection_count_limit`.
const PER_CLIENT: usize = 50;
