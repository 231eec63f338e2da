//! When a process that ended is started again.

use std::time::{Duration, Instant};

/// One that ends again and again is not started without a pause.
pub(super) struct Restarts {
    /// When it was started.
    started: Instant,
    /// When it is started again, if there is none.
    again: Option<Instant>,
    pause: Duration,
}

impl Restarts {
    /// It is started now.
    pub(super) fn begin() -> Restarts {
        Restarts { started: Instant::now(), again: None, pause: LEAST_PAUSE }
    }

    /// It is started again now.
    pub(super) fn started(&mut self) {
        (self.started, self.again) = (Instant::now(), None);
    }

    /// It ended, or did not start.
    pub(super) fn ended(&mut self) {
        self.pause = if self.started.elapsed() < LONG { (self.pause * 2).min(MOST_PAUSE) } else { LEAST_PAUSE };
        self.again = Some(Instant::now() + self.pause);
    }

    /// When it is to be started again, if there is none.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }
}

const LEAST_PAUSE: Duration = Duration::from_millis(20);
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// One that served for so long did not end because of its configuration. It is also how long a process may take to stop beyond the messages in progress.
pub(super) const LONG: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        let mut restarts = Restarts::begin();
        assert!(restarts.again().is_none());
        restarts.ended();
        assert_eq!(restarts.pause, 2 * LEAST_PAUSE);
        restarts.started();
        assert!(restarts.again().is_none());
        (0..20).for_each(|_| restarts.ended());
        assert_eq!(restarts.pause, MOST_PAUSE);
        restarts.started = restarts.started.checked_sub(2 * LONG).unwrap();
        restarts.ended();
        assert_eq!(restarts.pause, LEAST_PAUSE);
        assert!(restarts.again().is_some());
    }
}
