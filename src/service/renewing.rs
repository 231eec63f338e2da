//! CRLs and OCSP responses are fetched again before they end, so that mail need not wait for them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    base::{Clock, Error},
    discover::Statuses,
    transport::serve::Background,
};

/// Renews what is due, whichever process of the home does it. `fetched` tells of fetches for mail.
pub(super) fn renewing(statuses: Arc<Statuses>, clock: Arc<dyn Clock>, fetched: Arc<Notify>) -> Background {
    Box::pin(async move {
        loop {
            let renewed = Arc::clone(&statuses);
            let done = spawn_blocking(move || renewed.renew_due()).await;
            let next = done.unwrap_or_else(|error| Err(Error::unavailable(error.to_string())));
            let wait = match next {
                Ok(next) => next.and_then(|next| next.duration_since(clock.now()).ok()),
                Err(error) => {
                    tracing::warn!(event = "revocations-not-renewed", %error);
                    None
                }
            };
            // It is noted a little later.
            sleep(SHORTEST).await;
            let _ = timeout(wait.unwrap_or(LONGEST).min(LONGEST).saturating_sub(SHORTEST), fetched.notified()).await;
        }
    })
}

/// What another process fetched in the meantime is seen after so long. Source: responses are current for hours at least.
const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
