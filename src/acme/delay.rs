//! When a certificate may be ordered again for an address, after a failure or a success.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::order::digest;
use crate::{
    base::{Result, Secret},
    mail::Address,
    store::Keystore,
};

/// When, as it is kept in the home.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Delay {
    /// Seconds since 1970.
    until: u64,
    /// One after the other.
    failures: u32,
}

impl Delay {
    /// That of an address. What cannot be read is none.
    pub(super) fn of(address: &Address, home: &Keystore) -> Result<Delay> {
        let kept = home.sealed_file(&file(address))?;
        Ok(kept.and_then(|octets| serde_json::from_slice(octets.expose()).ok()).unwrap_or_default())
    }

    /// Stores it.
    pub(super) fn keep(&self, address: &Address, home: &Keystore) -> Result<()> {
        home.seal_file(&file(address), &Secret::new(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// One more failure: an hour, and then twice as long each time, up to a day; at least what the authority asks for.
    pub(super) fn after_failure(self, now: SystemTime, asked: Option<Duration>) -> Delay {
        let wait = FIRST.saturating_mul(1 << self.failures.min(5)).min(DAY).max(asked.unwrap_or_default());
        Delay { until: seconds(now).saturating_add(wait.as_secs()), failures: self.failures.saturating_add(1) }
    }

    /// Whatever the authority issued, it is not asked again for a day.
    pub(super) fn after_success(now: SystemTime) -> Delay {
        Delay { until: seconds(now).saturating_add(DAY.as_secs()), failures: 0 }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.until <= seconds(now)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn file(address: &Address) -> String {
    format!("delay-{}", digest(address))
}

const FIRST: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time() {
        let now = SystemTime::UNIX_EPOCH + DAY * 100;
        let mut delay = Delay::default();
        let mut hours = Vec::new();
        for _ in 0..7 {
            assert!(delay.is_over(now + DAY * 2));
            delay = delay.after_failure(now, None);
            hours.push((delay.until - seconds(now)) / 3600);
            assert!(!delay.is_over(now + FIRST - Duration::from_secs(1)));
        }
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
        assert_eq!(Delay::default().after_failure(now, Some(DAY * 3)).until, seconds(now + DAY * 3));
        assert_eq!(Delay::after_success(now).until, seconds(now + DAY));
    }
}
