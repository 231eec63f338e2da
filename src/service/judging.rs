//! Processes that handle mail: how the service starts them, and what they do.

use std::{fs::File, sync::Arc};

use super::{
    environment::Environment,
    handler_config::handler_config,
    roles::{Role, Roles},
};
use crate::{
    base::{Error, Kind, Result, Secret, SystemRandom},
    config::{self, Config, Isolation, Log, Texts},
    engine::{HandlerConfig, ReloadableHandler},
    isolation::{Answers, Judge, Pool, PoolSettings},
    keys::KeyUses,
    policy::Policy,
    report::{Ended, Metrics},
    sandbox::Enforced,
};

/// A handler whose mail is handled in other processes, as far as `config` says so.
///
/// # Errors
///
/// `Config`: the kernel enforces less than `config` requires. `Unavailable`: a process does not start.
pub(super) fn isolated(
    config: &Config,
    parts: &HandlerConfig,
    roles: &Roles,
    marker: Secret,
    metrics: &Arc<Metrics>,
) -> Result<Option<Pool>> {
    if config.isolation == Isolation::None {
        return Ok(None);
    }
    let start = roles.clone();
    let context = roles.clone();
    let counted = Arc::clone(metrics);
    let uses = KeyUses::new(config.key_uses, move |asked, used_up| match used_up {
        None => counted.key_used(asked.protocol.name(), asked.operation.name()),
        Some(used_up) => counted.key_limit_reached(used_up.name()),
    });
    let metrics = Arc::clone(metrics);
    let settings = PoolSettings {
        start: Box::new(move |ends| start.start(Role::Judge, ends)),
        path: config.path.clone(),
        texts: config.texts.all(),
        tenant: config.tenant.clone(),
        marker,
        legacy: parts.legacy,
        policy: parts.policy.clone(),
        limits: parts.limits.clone(),
        recipients: config.bounds.recipients,
        // There may be hundreds of tenants, and most of them have no mail now.
        kept: if config.tenant.is_some() { 1 } else { config.bounds.work.clamp(2, MOST_IDLE) },
        clock: Arc::clone(&parts.clock),
        ended: Box::new(move || metrics.process_ended(Ended::Judge)),
        context: Box::new(move || context.context()),
    };
    let answers = Answers::new(Arc::clone(&parts.keys), parts.policy.lists.clone()).limited(uses);
    let pool = Pool::new(settings, answers);
    let pool = pool.map_err(|error| error.with_hint("isolation = \"none\" handles mail in one process"))?;
    check_enforced(Role::Judge, pool.enforced(), config.isolation)?;
    Ok(Some(pool))
}

/// Whether a process gave up enough.
///
/// # Errors
///
/// `Config`: the kernel enforces less than the configuration requires.
pub(super) fn check_enforced(role: Role, enforced: Enforced, required: Isolation) -> Result<()> {
    match (enforced, required) {
        (Enforced::Fully, _) => {}
        (enforced, Isolation::Required) => {
            let what =
                format!("isolation: the kernel enforces {} of it, and \"require\" asks for all", enforced.name());
            return Err(Error::new(Kind::Config, what).with_hint("isolation = \"processes\" takes what there is"));
        }
        (enforced, _) => {
            tracing::warn!(event = "isolation-incomplete", process = role.name(), enforced = enforced.name());
        }
    }
    Ok(())
}

/// Handles mail for the service at the other end of `connection` until it is gone. This process gives up everything else before it reads the first message. `log`
/// starts the log, and `context` is told what the log has of each message.
///
/// # Errors
///
/// `TryAgain`: the service says what it may not. Others: its configuration cannot be used here.
pub fn judge(connection: File, log: impl FnOnce(&Log), context: impl Fn(String)) -> Result<()> {
    let judge = Judge::start(connection)?;
    let setup = judge.setup();
    let service = config::load_from(&setup.path, &Texts::given(setup.texts.clone()))?;
    let config = match &setup.tenant {
        Some(name) => service.of_tenant(name)?,
        None => &service,
    };
    log(&config.log);
    let environment = Environment {
        keys: Arc::new(judge.keys()),
        home: None,
        discovery: None,
        statuses: None,
        clock: judge.clock(),
        random: Arc::new(SystemRandom),
        legacy: setup.legacy,
    };
    let parts = handler_config(config, &environment, judge.marker());
    let lists = judge.lists(parts.policy.lists.clone());
    let policy = Policy { lists: lists.clone(), ..parts.policy.clone() };
    let limits = parts.limits.clone();
    let handler = ReloadableHandler::new(HandlerConfig { policy, ..parts });
    judge.serve(&handler, &lists, &limits, context)
}

/// Processes that wait for mail. Source: four for each core of a machine with four; more of them take memory and no less time.
const MOST_IDLE: usize = 16;
