//! Time as an argument. The only place that reads the machine's clock.

use std::time::SystemTime;

use super::{Error, Kind, Result};

/// A clock. Implement it for another time than the machine's.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use postseal::base::{Clock, SystemClock};
///
/// /// The time of an hour ago.
/// struct Slow;
///
/// impl Clock for Slow {
///     fn now(&self) -> SystemTime {
///         SystemClock.now() - Duration::from_secs(3600)
///     }
/// }
///
/// assert!(Slow.now() < SystemClock.now());
/// ```
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock with a fixed time, for `--at` and for tests.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub SystemTime);

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// `2026-11-23T19:46:46Z` (RFC 3339), whole seconds.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    };
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// `Tue, 24 Nov 2026 03:00:00 +0000` (RFC 5322, section 3.3), in universal time.
pub fn rfc5322(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |after| after.as_secs());
    let timestamp = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default();
    timestamp.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A date of RFC 5322, section 3.3, as [`rfc5322`] writes it; `None` when it cannot be read.
pub fn rfc5322_in_utc(date: &str) -> Option<String> {
    let time = SystemTime::try_from(jiff::fmt::rfc2822::parse(date).ok()?.timestamp()).ok()?;
    (time >= SystemTime::UNIX_EPOCH).then(|| rfc5322(time))
}

/// Reads an RFC 3339 time.
///
/// # Errors
///
/// `Usage` for anything else.
pub fn parse_rfc3339(text: &str) -> Result<SystemTime> {
    let time = text.parse::<jiff::Timestamp>().ok().and_then(|time| SystemTime::try_from(time).ok());
    time.ok_or_else(|| {
        Error::new(Kind::Usage, format!("time {text:?}: not in the form of RFC 3339"))
            .with_hint("write it like 2026-11-23T19:46:46Z")
    })
}
