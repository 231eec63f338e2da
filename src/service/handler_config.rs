//! What the engine needs of a configuration and its environment.

use std::sync::Arc;

use super::{environment::Environment, members::recorded};
use crate::{base::Secret, config::Config, engine::HandlerConfig};

/// The part of it that handles mail.
pub(super) fn handler_config(config: &Config, environment: &Environment, marker: Secret) -> HandlerConfig {
    let mut policy = config.policy.clone();
    if let Some(home) = &environment.home {
        policy.lists = recorded(policy.lists, home);
    }
    HandlerConfig {
        keys: Arc::clone(&environment.keys),
        clock: Arc::clone(&environment.clock),
        random: Arc::clone(&environment.random),
        legacy: environment.legacy,
        revocation: config.revocation,
        limits: config.bounds.message.clone(),
        policy,
        name: config.authserv_id.clone(),
        authserv_ids: config.authserv_ids.clone(),
        marker,
    }
}
