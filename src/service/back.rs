//! What is behind the listeners: keys, rules, and all that is done with them.

use std::sync::{Arc, Mutex};

use super::{
    auditing::audit,
    enrolling,
    environment::{MakeEnvironment, SharedMaker, make},
    handler,
    handler_config::handler_config,
    health::ServiceHealth,
    network,
    reminders::Reminders,
    roles::Roles,
    tenants::{MailHandler, Tenants},
};
use crate::{
    base::{Clock, Error, Kind, Random, Result, Secret},
    config::Config,
    engine::{Handler, HandlerConfig},
    policy::Lists,
    report::Metrics,
    transport::{Health, NextHop, serve::Background},
};

/// Builds it anew for each load of the configuration.
pub(super) struct BackBuilder {
    environment: SharedMaker,
    /// Those of the configuration in force.
    tenants: Option<Arc<Tenants>>,
    /// What starts the processes that handle mail.
    roles: Option<Roles>,
    metrics: Arc<Metrics>,
    /// Marks copies as handled. A random one outlives a reload, because marked copies do.
    marker: Option<Secret>,
}

/// What is behind the listeners of one configuration.
pub(super) struct Back {
    handler: MailHandler,
    metrics: Arc<Metrics>,
    pub(super) health: Arc<dyn Health>,
    /// What is done beside serving mail.
    pub(super) background: Vec<Background>,
    /// The lists of the configuration, and of its tenants.
    pub(super) lists: Vec<Lists>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl Back {
    /// What handles the mail of one kind of listener.
    pub(super) fn measured(&self, listener: &'static str) -> Arc<dyn Handler> {
        self.handler.measured(&self.metrics, listener)
    }
}

/// The lists of a configuration, and of its tenants.
pub(super) fn lists(config: &Config) -> Vec<Lists> {
    let mut all = vec![config.policy.lists.clone()];
    for tenant in &config.tenants {
        // A tenant whose configuration has an error has no mail.
        all.extend(tenant.config().ok().map(|config| config.policy.lists.clone()));
    }
    all
}

/// Whether the service sends mails of its own.
pub(super) fn sends_mail(config: &Config) -> bool {
    config.expiry_notice.is_some() || config.acme.is_some() && !config.is_log_only()
}

impl BackBuilder {
    pub(super) fn new(environment: MakeEnvironment, roles: Option<Roles>, metrics: Arc<Metrics>) -> Self {
        BackBuilder { environment: Arc::new(Mutex::new(environment)), tenants: None, roles, metrics, marker: None }
    }

    /// Opens the keys of `config`. `next_hop` takes the mails of the service itself. Must be called within a runtime.
    pub(super) fn build(
        &mut self,
        config: &Config,
        next_hop: impl Fn(&Config, &Arc<dyn Random>) -> Result<Box<dyn NextHop>>,
    ) -> Result<Back> {
        let environment = make(&self.environment, config)?;
        let marker = match (&config.marker, &self.marker) {
            (None, Some(marker)) => marker.clone(),
            _ => handler::marker(config, &environment)?,
        };
        self.marker = Some(marker.clone());
        let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
        let parts = || handler_config(config, &environment, marker.clone());
        let health = ServiceHealth::new(parts(), environment.home.clone()).with_tokens(&config.tokens);
        let mut background = network::background(config, &environment, &self.metrics);
        if let Some((reminders, home)) = config.expiry_notice.as_ref().map(|reminders| (reminders, config.home())) {
            let home = home.ok_or_else(|| Error::new(Kind::Config, "expiry-notice: there is no home"))?;
            background.push(Reminders::new(reminders, home.to_path_buf(), parts())?.run(next_hop(config, &random)?));
        }
        let acme = match (&config.acme, &environment.home) {
            // It stores keys, and takes part in the mail.
            _ if config.is_log_only() => None,
            (Some(acme), Some(home)) => Some((enrolling::agent(acme, &parts())?, Arc::clone(home))),
            (Some(_), None) if config.home().is_none() => {
                return Err(Error::new(Kind::Config, "acme: there is no home"));
            }
            // Where the clock stands still, nothing is stored.
            _ => None,
        };
        let marking: HandlerConfig = parts();
        let audit = audit(config, environment.home.as_ref())?;
        let roles = self.roles.as_ref().map(|roles| (roles, &self.metrics));
        let handler = handler::with_marker(config, environment, marker, audit, roles)?.counting(&self.metrics);
        if let Some((agent, home)) = acme {
            let noted = handler.within().noted();
            let metrics = Arc::clone(&self.metrics);
            background.push(enrolling::enrolling(agent, home, next_hop(config, &random)?, noted, metrics));
        }
        let tenants = Tenants::new(config, marking, &self.environment, self.roles.as_ref(), &self.metrics);
        let (tenants, beside) = tenants.opened(self.tenants.as_deref());
        background.extend(beside);
        let tenants = Arc::new(tenants);
        self.tenants = Some(Arc::clone(&tenants));
        Ok(Back {
            handler: MailHandler::new(Arc::new(handler), tenants),
            metrics: Arc::clone(&self.metrics),
            health: Arc::new(health),
            background,
            lists: lists(config),
            clock,
            random,
        })
    }
}
