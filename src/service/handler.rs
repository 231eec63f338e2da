//! The handler that a configuration describes.

use std::sync::Arc;

use super::{
    auditing::{Audit, AuditingHandler, audit},
    enrolling::EnrollingHandler,
    environment::Environment,
    handler_config::handler_config,
    judging::isolated,
    learning::{CapabilityStore, LearningHandler},
    provisioning::{Provisioner, ProvisioningHandler},
    roles::Roles,
};
use crate::{
    base::{Error, Kind, Result, Secret},
    config::Config,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    report::Metrics,
};

/// What [`handler`] builds.
pub type ConfiguredHandler = AuditingHandler<EnrollingHandler<LearningHandler<ProvisioningHandler<Box<dyn Handler>>>>>;

/// Builds what handles mail by `config`, and learns from it.
///
/// ```
/// # use postseal::{base::Result, config, service::{self, Environment}};
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("postseal.toml");
/// std::fs::write(&path, r#"
/// home = "home"
/// home-must-exist = false
/// hostname = "mail.example.org"
/// local-domains = ["example.org"]
///
/// [[rule]]
/// name = "internal mail stays as it is"
/// recipient = "example.org"
/// action = "clear"
/// "#).unwrap();
/// let config = config::load(&path)?;
/// assert_eq!(config.policy.rules[0].name, "internal mail stays as it is");
/// let handler = service::handler(&config, Environment::of(&config)?)?;
/// # let _ = handler;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `Config`: the marker secret cannot be read, or is too short; or there are tenants, which [`measured_handler`](super::measured_handler) is for.
/// `Unavailable`: there is no randomness.
pub fn handler(config: &Config, environment: Environment) -> Result<ConfiguredHandler> {
    if let Some(tenant) = config.tenants.first() {
        return Err(Error::new(Kind::Config, format!("tenant {}: mail of tenants is handled apart", tenant.name)));
    }
    let marker = marker(config, &environment)?;
    let audit = audit(config, environment.home.as_ref())?;
    with_marker(config, environment, marker, audit, None)
}

/// As [`handler`], with a marker that was made before. Processes of `roles` handle mail, if the configuration does not say otherwise.
///
/// Where the policy is log-only, nothing is stored, and nothing is asked of the network.
pub(super) fn with_marker(
    config: &Config,
    environment: Environment,
    marker: Secret,
    audit: Option<Audit>,
    roles: Option<(&Roles, &Arc<Metrics>)>,
) -> Result<ConfiguredHandler> {
    let environment = if config.is_log_only() {
        Environment { home: None, discovery: None, statuses: None, ..environment }
    } else {
        environment
    };
    let provisioner = Provisioner::of(config, &environment);
    let keys = environment.keys_for_mail();
    let parts = HandlerConfig { keys, ..handler_config(config, &environment, marker.clone()) };
    let pool = roles.map(|(roles, metrics)| isolated(config, &parts, roles, marker, metrics)).transpose()?.flatten();
    let handler: Box<dyn Handler> = match pool {
        Some(pool) => Box::new(pool),
        None => Box::new(ReloadableHandler::new(parts.clone())),
    };
    let handler = ProvisioningHandler::new(handler, provisioner);
    let handler = LearningHandler::new(handler, CapabilityStore::new(environment.home.clone()), environment.clock)
        .harvesting(environment.discovery);
    let handler = EnrollingHandler::new(handler, config, parts, environment.home);
    Ok(AuditingHandler::new(handler, audit))
}

/// The secret that marks copies as handled: the configured one, or a random one.
pub(super) fn marker(config: &Config, environment: &Environment) -> Result<Secret> {
    let Some(marker) = &config.marker else {
        let mut octets = vec![0; 32];
        environment.random.fill(&mut octets)?;
        return Ok(Secret::new(octets));
    };
    let secret = marker.read()?;
    if secret.expose().len() < MIN_MARKER {
        let what = format!("marker: {marker} has fewer than {MIN_MARKER} octets");
        return Err(Error::new(Kind::Config, what).with_hint("openssl rand -hex 32 makes one"));
    }
    Ok(secret)
}

/// Octets. Source: `engine::HandlerContext::marker`. An outsider can try guesses offline on a marked copy.
const MIN_MARKER: usize = 16;
