//! What is done beside serving mail about keys and the status of certificates on the network, and what is counted of it.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{environment::Environment, refreshing::refreshing, renewing::renewing};
use crate::{config::Config, discover::FetchOutcome, report::Metrics, transport::serve::Background};

/// Counts the look-ups of an environment, and gives what renews what it knows.
pub(super) fn background(config: &Config, environment: &Environment, metrics: &Arc<Metrics>) -> Vec<Background> {
    let mut background = Vec::new();
    if let Some(discovery) = &environment.discovery {
        let metrics = Arc::clone(metrics);
        discovery.observe(move |source, outcome, took| metrics.looked_up(source, outcome, took));
        if let Some(period) = config.discovery.refresh {
            background.push(refreshing(Arc::clone(discovery), environment.home.clone(), period));
        }
    }
    if let Some(statuses) = &environment.statuses {
        let metrics = Arc::clone(metrics);
        let fetched = Arc::new(Notify::new());
        let fetches = Arc::clone(&fetched);
        statuses.observe(move |fetch| {
            if !matches!(fetch.outcome, FetchOutcome::LeftAlone(_)) {
                metrics.revocation_fetched(fetch.kind.name(), fetch.outcome.name(), fetch.took);
            }
            fetches.notify_one();
        });
        background.push(renewing(Arc::clone(statuses), Arc::clone(&environment.clock), fetched));
    }
    background
}
