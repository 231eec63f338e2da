//! Counts over the last 24 hours, by the hour.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) enum Counted {
    /// Messages, by what was done to them.
    Action,
    /// Recipients, by what became of them.
    Fate,
    /// Messages, by their standing.
    Standing,
}

/// The counts of the last 24 hours. Hours are numbered from the start.
#[derive(Clone, Debug)]
pub(super) struct Day {
    started: Instant,
    /// The last hours in which something was counted, each with its number, the latest at the end.
    hours: VecDeque<(u64, Counts)>,
}

impl Default for Day {
    fn default() -> Self {
        Day { started: Instant::now(), hours: VecDeque::new() }
    }
}

/// The names that are counted are words of this program, so that there are few of them.
pub(super) type Counts = BTreeMap<(Counted, String), u64>;

impl Day {
    /// Counts now.
    pub(super) fn count(&mut self, counted: Counted, name: &str, count: usize) {
        self.count_at(self.hour(), counted, name, count);
    }

    /// All that was counted, which begins anew.
    pub(super) fn take(&mut self) -> Counts {
        let sum = self.sum(self.hour());
        self.hours.clear();
        sum
    }

    /// What the status page shows, with what goes on at the listeners.
    pub(super) fn overview(&self, listeners: Vec<ListenerFigures>) -> Overview {
        let now = self.hour();
        Overview { uptime: self.started.elapsed(), listeners, hours: self.hours(now), day: self.sum(now) }
    }

    fn hour(&self) -> u64 {
        self.started.elapsed().as_secs() / 3600
    }

    fn count_at(&mut self, now: u64, counted: Counted, name: &str, count: usize) {
        self.forget(now);
        if self.hours.back().is_none_or(|(hour, _)| *hour < now) {
            self.hours.push_back((now, Counts::new()));
        }
        if let Some((_, counts)) = self.hours.back_mut() {
            let own = counts.entry((counted, name.to_owned())).or_default();
            *own = own.saturating_add(count as u64);
        }
    }

    /// All that was counted in the 24 hours that end with the hour `now`.
    fn sum(&self, now: u64) -> Counts {
        let mut sum = Counts::new();
        for (key, count) in self.hours.iter().filter(|(hour, _)| hour + HOURS > now).flat_map(|(_, counts)| counts) {
            let own: &mut u64 = sum.entry(key.clone()).or_default();
            *own = own.saturating_add(*count);
        }
        sum
    }

    /// The messages of each of the 24 hours that end with the hour `now`, by standing.
    fn hours(&self, now: u64) -> Vec<Hour> {
        let of = |hour: u64| {
            let counts = self.hours.iter().find(|(other, _)| *other == hour).map(|(_, counts)| counts);
            let count = |name: &str| counts.and_then(|counts| counts.get(&(Counted::Standing, name.to_owned())));
            Overview::STANDINGS.map(|name| count(name).copied().unwrap_or_default())
        };
        let earlier = |ago: u64| now.checked_sub(ago).map(of).unwrap_or_default();
        (0..HOURS).rev().map(|ago| Hour { ago, standings: earlier(ago) }).collect()
    }

    fn forget(&mut self, now: u64) {
        while self.hours.front().is_some_and(|(hour, _)| hour + HOURS <= now) {
            self.hours.pop_front();
        }
    }
}

/// The messages of one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour {
    /// How many hours ago it ended; the present one has not.
    pub(super) ago: u64,
    /// By standing, in the order of [`Overview::STANDINGS`].
    pub(super) standings: [u64; 3],
}

/// What the status page shows of the counts.
#[derive(Debug)]
pub(super) struct Overview {
    /// How long it has counted.
    pub(super) uptime: Duration,
    /// What goes on at each listener.
    pub(super) listeners: Vec<ListenerFigures>,
    /// The last 24 hours, the present one last.
    pub(super) hours: Vec<Hour>,
    /// The same, summed up.
    pub(super) day: Counts,
}

impl Overview {
    /// The standings, the best first.
    pub(super) const STANDINGS: [&'static str; 3] = ["authentic", "signed", "unsigned"];

    /// The counts of the last 24 hours, the most first.
    pub(super) fn most(&self, counted: Counted) -> Vec<(&str, u64)> {
        let of = self.day.iter().filter(|((other, _), _)| *other == counted);
        let mut rows: Vec<(&str, u64)> = of.map(|((_, name), count)| (name.as_str(), *count)).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rows
    }
}

/// What goes on at a listener.
#[derive(Clone, Debug)]
pub(super) struct ListenerFigures {
    /// Its kind.
    pub(super) name: Cow<'static, str>,
    /// Open connections.
    pub(super) open: u64,
    /// All connections so far.
    pub(super) total: u64,
    /// Messages that wait for memory or a worker.
    pub(super) waiting: u64,
}

const HOURS: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Standing;

    #[test]
    fn the_standings_are_those_of_verdicts() {
        let all = [Standing::Authentic, Standing::Signed, Standing::Unsigned];
        assert_eq!(all.map(Standing::name), Overview::STANDINGS);
    }

    #[test]
    fn what_is_older_than_a_day_is_not_counted() {
        let mut day = Day::default();
        day.count_at(0, Counted::Standing, "signed", 2);
        day.count_at(5, Counted::Standing, "signed", 3);
        day.count_at(5, Counted::Fate, "relayed", 1);
        let signed = |now: u64, day: &Day| day.sum(now).get(&(Counted::Standing, "signed".to_owned())).copied();
        assert_eq!(signed(5, &day), Some(5));
        assert_eq!(signed(23, &day), Some(5));
        assert_eq!(signed(24, &day), Some(3));
        assert_eq!(signed(29, &day), None);
        let hours = day.hours(23);
        assert_eq!(hours.len(), 24);
        assert_eq!(hours.first(), Some(&Hour { ago: 23, standings: [0, 2, 0] }));
        assert_eq!(hours.get(5), Some(&Hour { ago: 18, standings: [0, 3, 0] }));
        day.count_at(100, Counted::Action, "sign:pgp", 1);
        assert_eq!(day.hours.len(), 1);
    }
}
