//! What one process counted, on its way to the process with the page.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Figures, Mails, Metrics, Times};
use crate::report::day;

/// What was counted since the last [`Metrics::take`]. Open connections, waiting messages and what is known of health are not part of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Counts {
    figures: Figures,
    day: day::Counts,
}

/// Counts on their way to a process that may end: the next one begins with all of them.
#[derive(Debug, Default)]
pub struct PassedCounts {
    metrics: Arc<Metrics>,
    passed: Metrics,
}

impl PassedCounts {
    /// Passes on what `metrics` count.
    pub fn of(metrics: Arc<Metrics>) -> PassedCounts {
        PassedCounts { metrics, passed: Metrics::default() }
    }

    /// What was counted since the last call.
    pub fn next_counts(&self) -> Counts {
        let counts = self.metrics.take();
        self.passed.add(counts.clone());
        counts
    }

    /// The process that they were passed to is gone. The next one gets all of them, but not those of the last 24 hours by the hour.
    pub fn begin_anew(&self) {
        let mut counts = self.passed.take();
        counts.day.clear();
        self.metrics.add(counts);
    }
}

impl Metrics {
    /// Takes what was counted. For a process without a page, whose counts are [added](Metrics::add) in another.
    pub fn take(&self) -> Counts {
        let mut figures = std::mem::take(&mut *self.figures());
        Counts { day: figures.day.take(), figures }
    }

    /// Adds what another process counted.
    pub fn add(&self, counts: Counts) {
        let Counts { figures: other, day } = counts;
        let mut own = self.figures();
        for ((counted, name), count) in day {
            own.day.count(counted, &name, usize::try_from(count).unwrap_or(usize::MAX));
        }
        own.audit_failures = own.audit_failures.saturating_add(other.audit_failures);
        sum(&mut own.processes_ended, other.processes_ended);
        sum(&mut own.key_uses, other.key_uses);
        sum(&mut own.key_limits, other.key_limits);
        sum(&mut own.messages, other.messages);
        sum(&mut own.fetches, other.fetches);
        sum(&mut own.failures, other.failures);
        sum(&mut own.recipients, other.recipients);
        sum(&mut own.not_opened, other.not_opened);
        for (key, count) in other.trials {
            let key = own.trial(key);
            let trials = own.trials.entry(key).or_default();
            *trials = trials.saturating_add(count);
        }
        sum(&mut own.reloads, other.reloads);
        sum(&mut own.logins, other.logins);
        sum(&mut own.ends, other.ends);
        sum(&mut own.replies, other.replies);
        sum(&mut own.limits, other.limits);
        sum(&mut own.lookups, other.lookups);
        sum(&mut own.enrolments, other.enrolments);
        sum(&mut own.bounces, other.bounces);
        sum(&mut own.tenants, other.tenants);
        merge(&mut own.fetch_times, other.fetch_times, Times::join);
        merge(&mut own.lookup_times, other.lookup_times, Times::join);
        merge(&mut own.mails, other.mails, |own: &mut Mails, other: Mails| {
            own.times.join(other.times);
            own.octets = own.octets.saturating_add(other.octets);
        });
    }
}

impl Times {
    fn join(&mut self, other: Times) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(own, other)| *own = own.saturating_add(other));
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

fn sum<K: Ord>(own: &mut BTreeMap<K, u64>, other: BTreeMap<K, u64>) {
    merge(own, other, |own, other: u64| *own = own.saturating_add(other));
}

fn merge<K: Ord, V: Default>(own: &mut BTreeMap<K, V>, other: BTreeMap<K, V>, add: impl Fn(&mut V, V)) {
    other.into_iter().for_each(|(key, value)| add(own.entry(key).or_default(), value));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Ended;
    use crate::{base::Kind, verdict::Standing};

    #[test]
    fn the_next_process_has_the_counts_of_the_one_before() {
        let metrics = Arc::new(Metrics::default());
        let passed = PassedCounts::of(Arc::clone(&metrics));
        metrics.failed("lmtp", Kind::TryAgain);
        let first = Metrics::default();
        first.add(passed.next_counts());
        first.add(passed.next_counts());
        metrics.process_ended(Ended::Front);
        passed.begin_anew();
        let second = Metrics::default();
        second.add(passed.next_counts());
        metrics.process_ended(Ended::Front);
        passed.begin_anew();
        let third = Metrics::default();
        third.add(passed.next_counts());
        let line = "postseal_failures_total{listener=\"lmtp\",kind=\"try-again\"} 1\n";
        assert!([&first, &second, &third].iter().all(|one| one.page().contains(line)));
        assert!(third.page().contains("postseal_processes_ended_total{role=\"front\"} 2\n"), "{}", third.page());
    }

    #[test]
    fn what_two_processes_count_is_as_what_one_counts() {
        let (one, two, page) = (Metrics::default(), Metrics::default(), Metrics::default());
        let count = |metrics: &Metrics| {
            metrics.handled("milter", Standing::Signed, 1_000, Duration::from_millis(3), &[]);
            metrics.failed("lmtp", Kind::TryAgain);
            metrics.looked_up("wkd", "found", Duration::from_millis(30));
            metrics.revocation_fetched("crl", "fetched", Duration::from_millis(30));
            metrics.process_ended(Ended::Judge);
            metrics.audit_failed();
        };
        count(&one);
        count(&one);
        page.add(one.take());
        count(&two);
        let sent = postcard::to_allocvec(&two.take()).unwrap();
        page.add(postcard::from_bytes(&sent).unwrap());
        page.add(two.take());
        let alone = Metrics::default();
        (0..3).for_each(|_| count(&alone));
        assert_eq!(page.page(), alone.page());
        assert_eq!(page.overview().day, alone.overview().day);
        assert_eq!(one.page(), Metrics::default().page());
    }
}
