//! From a configuration to its listeners.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use tokio::sync::Semaphore;

use super::{
    auditing::audit,
    enrolling,
    environment::{MakeEnvironment, SharedMaker, make},
    handler,
    handler_config::handler_config,
    health::ServiceHealth,
    network,
    next_hop::{program_or_relay, relay},
    quarantine::{bounces, quarantine},
    reminders::Reminders,
    roles::Roles,
    tenants::{MailHandler, Tenants},
};
use crate::{
    base::{Clock, Error, Kind, Random, Result, Secret},
    config::{self, Auth, Config, Copies, KeySource, ListenerKind, Strangers, Tls, Users, Vrfy},
    engine::{Handler, HandlerConfig},
    report::Metrics,
    transport::{
        Endpoint, Listener, MemoryLimit, Monitor, RateLimits, SentMail,
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
pub(super) struct Builder {
    path: PathBuf,
    environment: SharedMaker,
    /// Those of the configuration in force.
    tenants: Option<Arc<Tenants>>,
    /// What starts the processes that handle mail.
    roles: Option<Roles>,
    metrics: Arc<Metrics>,
    /// Permits for passwords that are being checked.
    hashing: CheckPermits,
    /// These outlive reloads, so that a reload does not forget who guessed, who logged in, who sent how much, and what was put off.
    login_limits: Arc<LoginLimits>,
    sent_mail: Arc<SentMail>,
    deferrals: Arc<Deferrals>,
    /// Memory for messages. It outlives a reload that does not change its limits, because messages hold it.
    memory: Option<MemoryLimit>,
    /// Marks copies as handled. A random one outlives a reload, because marked copies do.
    marker: Option<Secret>,
}

impl Builder {
    pub(super) fn new(
        path: PathBuf,
        environment: MakeEnvironment,
        roles: Option<Roles>,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Checking a password takes a core and 64 MiB for a while.
        let hashing = CheckPermits::new(thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN));
        let login_limits = Arc::default();
        Builder {
            path,
            environment: Arc::new(Mutex::new(environment)),
            tenants: None,
            roles,
            metrics,
            hashing,
            login_limits,
            sent_mail: Arc::default(),
            deferrals: Arc::default(),
            memory: None,
            marker: None,
        }
    }

    /// Loads the configuration, and builds its listeners.
    pub(super) fn build(&mut self) -> Result<Listeners> {
        let config = config::load(&self.path)?;
        let bounds = &config.bounds;
        let memory = match &self.memory {
            Some(memory) if memory.is_of(bounds.memory, &bounds.message) => memory.clone(),
            _ => MemoryLimit::new(bounds.memory, &bounds.message),
        };
        self.memory = Some(memory.clone());
        let environment = make(&self.environment, &config)?;
        let marker = match (&config.marker, &self.marker) {
            (None, Some(marker)) => marker.clone(),
            _ => handler::marker(&config, &environment)?,
        };
        self.marker = Some(marker.clone());
        let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
        let health = ServiceHealth::new(
            handler_config(&config, &environment, marker.clone()),
            environment.home.clone(),
            quarantine(&config, &clock, &random)?,
        )
        .with_tokens(&config.tokens);
        let mut background = self::background(&config, handler_config(&config, &environment, marker.clone()))?;
        background.extend(network::background(&config, &environment, &self.metrics));
        let marking = handler_config(&config, &environment, marker.clone());
        let acme = match (&config.acme, &environment.home) {
            // It stores keys, and takes part in the mail.
            _ if config.is_log_only() => None,
            (Some(acme), Some(home)) => {
                let parts = handler_config(&config, &environment, marker.clone());
                Some((enrolling::agent(acme, &parts)?, Arc::clone(home)))
            }
            (Some(_), None) if config.home().is_none() => {
                return Err(Error::new(Kind::Config, "acme: there is no home"));
            }
            // Where the clock stands still, nothing is stored.
            _ => None,
        };
        let audit = audit(&config, environment.home.as_ref())?;
        let roles = self.roles.as_ref().map(|program| (program, &self.metrics));
        let handler = handler::with_marker(&config, environment, marker, audit, roles)?.counting(&self.metrics);
        if let Some((agent, home)) = acme {
            let next_hop = program_or_relay(&config, &random)?;
            background.push(enrolling::enrolling(
                agent,
                home,
                next_hop,
                handler.within().noted(),
                Arc::clone(&self.metrics),
            ));
        }
        let tenants = Tenants::new(&config, marking, &self.environment, self.roles.as_ref(), &self.metrics);
        let (tenants, beside) = tenants.opened(self.tenants.as_deref());
        background.extend(beside);
        let tenants = Arc::new(tenants);
        self.tenants = Some(Arc::clone(&tenants));
        let handler = MailHandler::new(Arc::new(handler), Arc::clone(&tenants));
        let work = Arc::new(Semaphore::new(config.bounds.work));
        let (metrics, hashing, login_limits) = (&self.metrics, &self.hashing, &self.login_limits);
        let (deferrals, sent_mail) = (&self.deferrals, &self.sent_mail);
        let ids = Arc::clone(&random);
        let parts = Parts {
            config: &config,
            metrics,
            hashing,
            login_limits,
            sent_mail,
            deferrals,
            memory,
            handler,
            work,
            clock,
            random,
        };
        let mut by_endpoint: BTreeMap<Endpoint, Arc<dyn Listener>> = BTreeMap::new();
        let listeners = config
            .listeners
            .iter()
            .map(|listener| Ok::<_, Error>((listener.endpoint.clone(), parts.listener(listener)?)));
        let monitor: Arc<dyn Listener> = Arc::new(Monitor::new(Arc::clone(&self.metrics), Arc::new(health)));
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
            return Err(Error::new(Kind::Config, format!("{}: no listener is configured", self.path.display()))
                .with_hint("[[listener]] kind = \"milter\" address = \"127.0.0.1:8891\""));
        }
        let connections = config.bounds.connections;
        Ok(Listeners { by_endpoint, background, connections, drain: serve::DRAIN, random: ids })
    }
}

/// What is done beside serving mail. Must be called within a runtime.
fn background(config: &Config, handler: HandlerConfig) -> Result<Vec<serve::Background>> {
    let Some(notice) = &config.expiry_notice else { return Ok(Vec::new()) };
    let home = config.keys.iter().find_map(|source| match source {
        KeySource::Home(home, _) => Some(home.clone()),
        _ => None,
    });
    let home = home.ok_or_else(|| Error::new(Kind::Config, "expiry-notice: there is no home"))?;
    let next_hop = program_or_relay(config, &handler.random)?;
    Ok(vec![Reminders::new(notice, home, handler)?.run(next_hop)])
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
    handler: MailHandler,
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

    fn measured(&self, name: &'static str) -> Arc<dyn Handler> {
        self.handler.measured(self.metrics, name)
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
                Copies::Submit => Copying::Submit(program_or_relay(config, &self.random)?.into()),
                Copies::Tempfail => Copying::Tempfail(Arc::clone(self.deferrals)),
            },
            bounces: bounces(config, &self.clock, &self.random)?,
            progress: milter::PROGRESS,
            idle: milter::IDLE,
            metrics: Arc::clone(self.metrics),
        };
        Ok(Arc::new(Milter::new(self.measured("milter"), Arc::clone(&self.work), settings)))
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
        Ok(Arc::new(Server::new(self.measured(kind), relay, Arc::clone(&self.work), settings)))
    }
}

/// Source: Postfix's `smtpd_client_connection_count_limit`.
const PER_CLIENT: usize = 50;
