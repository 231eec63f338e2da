//! How much of something there may be in a while.

use std::time::Duration;

/// So many at once, and as many more in each period: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many; not 0.
    pub most: u32,
    /// In which time.
    pub period: Duration,
}

impl Allowance {
    /// When a bucket is full again after one more is taken at `now`; `None`: it is empty. `full_at`: when it is full without that. Times are durations since any
    /// one moment.
    pub(crate) fn after_one(self, full_at: Option<Duration>, now: Duration) -> Option<Duration> {
        let full_at = full_at.unwrap_or_default().max(now).saturating_add(self.period / self.most.max(1));
        // A division leaves a rest.
        (full_at.saturating_sub(now) <= self.period).then_some(full_at)
    }
}
