//! How often clients that are not known use secret keys, by their addresses.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use crate::base::Allowance;

/// The bucket that has none left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// That of the address.
    Address,
    /// That of all strangers.
    All,
}

/// Token buckets for addresses, and one for all strangers. Times are durations since any one moment.
///
/// An attacker may have any number of addresses, so the buckets are bounded. One that is full again says nothing, and is forgotten. None is forgotten before:
/// addresses for which there is no place share one bucket.
pub(super) struct Strangers {
    most: usize,
    /// When each bucket is full again, if nothing follows.
    full_at: HashMap<IpAddr, Duration>,
    /// The same, the next one first.
    order: BTreeSet<(Duration, IpAddr)>,
    /// The bucket of the addresses without a place.
    others: Option<Duration>,
    /// That of all strangers.
    all: Option<Duration>,
}

impl Strangers {
    /// Buckets for `most` addresses.
    pub(super) fn new(most: usize) -> Strangers {
        Strangers { most, full_at: HashMap::new(), order: BTreeSet::new(), others: None, all: None }
    }

    /// Takes one from the bucket of an address, and one from that of all; where the address is not known, from the latter alone. Where one is empty, nothing is
    /// taken.
    ///
    /// # Errors
    ///
    /// Which one is empty.
    pub(super) fn take(
        &mut self,
        address: Option<IpAddr>,
        per_address: Allowance,
        together: Allowance,
        now: Duration,
    ) -> Result<(), Empty> {
        self.forget(now);
        let known = address.and_then(|address| self.full_at.get(&address).copied());
        let own = address.filter(|_| known.is_some() || self.full_at.len() < self.most);
        let before = if own.is_some() { known } else { self.others };
        let after = address.map(|_| per_address.after_one(before, now).ok_or(Empty::Address)).transpose()?;
        self.all = Some(together.after_one(self.all, now).ok_or(Empty::All)?);
        match (own, after) {
            (Some(address), Some(after)) => {
                self.order.extend([(after, address)]);
                if let Some(before) = self.full_at.insert(address, after) {
                    self.order.remove(&(before, address));
                }
            }
            (None, Some(_)) => self.others = after,
            (_, None) => {}
        }
        Ok(())
    }

    /// Forgets the buckets that are full.
    fn forget(&mut self, now: Duration) {
        while let Some((_, address)) = self.order.first().filter(|(full_at, _)| *full_at <= now).copied() {
            self.order.pop_first();
            self.full_at.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(most: u32, seconds: u64) -> Allowance {
        Allowance { most, period: Duration::from_secs(seconds) }
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[test]
    fn addresses_without_a_place_share_one_bucket() {
        let mut strangers = Strangers::new(3);
        let mut take =
            |number, now| strangers.take(address(number), of(2, 60), of(1_000, 60), Duration::from_secs(now));
        (1..=3).for_each(|number| assert_eq!(take(number, 0), Ok(())));
        assert_eq!([take(4, 0), take(5, 0), take(6, 0)], [Ok(()), Ok(()), Err(Empty::Address)]);
        assert_eq!([take(1, 0), take(1, 0)], [Ok(()), Err(Empty::Address)], "one with a place has its own");
        // 2 and 3 are full again after half a minute, and 1 after a minute.
        assert_eq!([take(6, 30), take(6, 30), take(6, 30)], [Ok(()), Ok(()), Err(Empty::Address)]);
        assert_eq!([take(7, 30), take(8, 30), take(9, 30)], [Ok(()), Ok(()), Err(Empty::Address)], "7 has a place");
    }

    #[test]
    fn many_addresses_take_no_more_memory_and_no_more_than_all_may() {
        let mut strangers = Strangers::new(100);
        let granted = |strangers: &mut Strangers, range: std::ops::Range<u32>, now| {
            let take = |number: &u32| {
                strangers.take(address(*number), of(50, 60), of(500, 60), Duration::from_secs(now)).is_ok()
            };
            range.filter(take).count()
        };
        assert_eq!(granted(&mut strangers, 0..10_000, 60), 150, "100 addresses, and one bucket of 50 for the others");
        assert_eq!((strangers.full_at.len(), strangers.order.len()), (100, 100));
        assert_eq!(granted(&mut strangers, 0..400, 600), 150);
        let mut wide = Strangers::new(10_000);
        assert_eq!(granted(&mut wide, 0..10_000, 60), 500);
    }
}
