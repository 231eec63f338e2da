//! Known keys are asked for again from time to time: revocations and new expiry dates arrive, for keys that are in use and before they are.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    base::{Error, Result},
    discover::Discovery,
    store::{Change, Keystore},
    transport::serve::Background,
};

/// Asks for each key once in a `period`, whichever process of the home does it.
pub(super) fn refreshing(discovery: Arc<Discovery>, home: Option<Arc<Keystore>>, period: Duration) -> Background {
    Box::pin(async move {
        loop {
            let (discovery, home) = (Arc::clone(&discovery), home.clone());
            let done = spawn_blocking(move || refresh(&discovery, home.as_deref(), period)).await;
            if let Err(error) = done.unwrap_or_else(|error| Err(Error::unavailable(error.to_string()))) {
                tracing::warn!(event = "keys-not-refreshed", %error);
            }
            sleep(BETWEEN).await;
        }
    })
}

fn refresh(discovery: &Discovery, home: Option<&Keystore>, period: Duration) -> Result<()> {
    let mut failure = None;
    discovery.refresh_due(period, |refreshed| {
        let Some(home) = home else { return };
        match home.refresh(&refreshed.copies) {
            Ok(changes) => {
                for (record, _) in changes.iter().filter(|(_, change)| *change != Change::Unchanged) {
                    tracing::info!(event = "key-refreshed", key = %record.fingerprint());
                }
            }
            Err(error) => failure = Some(error),
        }
    })?;
    failure.map_or(Ok(()), Err)
}

/// Between two looks at what is due. A period has days.
const BETWEEN: Duration = Duration::from_secs(60 * 60);
