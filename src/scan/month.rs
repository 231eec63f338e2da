//! Months, in which the messages of a mailbox are counted.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::base::rfc3339;

/// A month in universal time, counted from January of the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(u32);

impl Month {
    /// The month of a time.
    pub fn of(time: SystemTime) -> Month {
        let text = rfc3339(time);
        let mut numbers = text.splitn(3, '-').map(|number| number.parse::<u32>().unwrap_or_default());
        let (year, month) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        Month(year * 12 + month.saturating_sub(1))
    }

    /// So many months before this one.
    pub fn before(self, count: u32) -> Month {
        Month(self.0.saturating_sub(count))
    }

    /// The months from `first` to this one, both with them.
    pub fn since(self, first: Month) -> impl Iterator<Item = Month> {
        (first.0..=self.0).map(Month)
    }
}

/// `2026-11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn months_are_counted_over_the_end_of_a_year() {
        let january = Month::of(SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_000_000));
        assert_eq!(january.to_string(), "2026-01");
        assert_eq!(january.before(1).to_string(), "2025-12");
        let names: Vec<String> = january.since(january.before(2)).map(|month| month.to_string()).collect();
        assert_eq!(names, ["2025-11", "2025-12", "2026-01"]);
    }
}
