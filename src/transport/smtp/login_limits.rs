//! Limits on login attempts, by the client's address and by the login name. A refused attempt costs no hash.
//!
//! An address that logged in with a name before has a limit of its own for that name, so that strangers who guess do not lock its user out.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{base::Recent, mail::Login, report::Limit};

/// The limits of all listeners of a service.
#[derive(Debug)]
pub struct LoginLimits {
    start: Instant,
    tables: Mutex<Tables>,
}

/// An attempt that is within the limits. It counts as failed until [`LoginLimits::settle`] tells how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    name: u64,
    place: Place,
    pub(super) client: Client,
}

/// What is known of the client of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Its address logged in with this name before.
    Known,
    /// Any other.
    Other,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The password is wrong.
    Failed,
    /// The password is right.
    Succeeded,
    /// The password was not checked.
    Undecided,
}

impl Default for LoginLimits {
    fn default() -> Self {
        LoginLimits { start: Instant::now(), tables: Mutex::new(Tables::new()) }
    }
}

impl LoginLimits {
    /// Whether a password may be checked; otherwise the limit that refuses the attempt.
    pub(super) fn admit(&self, client: Option<IpAddr>, name: &Login) -> Result<Attempt, Limit> {
        self.tables().admit(client, name, self.start.elapsed())
    }

    /// Tells how an attempt ended.
    pub(super) fn settle(&self, attempt: Attempt, ending: Ending) {
        self.tables().settle(attempt, ending);
    }

    /// Whether a client at this address logged in before, with any name.
    pub(super) fn has_logged_in(&self, client: IpAddr) -> bool {
        self.tables().places.get(&Place::of(Some(client))).is_some()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attempts so far. Times are durations since any one moment. The memory is bounded: the oldest entries go.
#[derive(Debug)]
struct Tables {
    /// Names are hashed, because a client may send long ones. The hash has a random key.
    hasher: RandomState,
    by_place: Recent<Place, Bucket>,
    by_name: Recent<u64, Bucket>,
    /// By name and place, where a login succeeded before.
    known: Recent<(u64, Place), Bucket>,
    /// Where any login succeeded before.
    places: Recent<Place, ()>,
}

/// An address, or the network of an IPv6 address that one customer has; `None`: a local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place(Option<IpAddr>);

/// Attempts that are left: [`BURST`] at first, and one more after each [`REFILL`].
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it is full again, if no attempt follows.
    full_at: Duration,
}

impl Tables {
    fn new() -> Tables {
        Tables {
            hasher: RandomState::new(),
            by_place: Recent::new(OTHERS),
            by_name: Recent::new(OTHERS),
            known: Recent::new(KNOWN),
            places: Recent::new(KNOWN),
        }
    }

    fn admit(&mut self, client: Option<IpAddr>, name: &Login, now: Duration) -> Result<Attempt, Limit> {
        let (place, name) = (Place::of(client), self.hasher.hash_one(name));
        if let Some(bucket) = self.known.get(&(name, place)) {
            let bucket = bucket.take(now).ok_or(Limit::LoginsOfClient)?;
            self.known.put((name, place), bucket);
            return Ok(Attempt { name, place, client: Client::Known });
        }
        let by_place = self.by_place.get(&place).copied().unwrap_or_default().take(now).ok_or(Limit::LoginsOfClient)?;
        // A client that is over its own limit takes nothing from the name's.
        let by_name = self.by_name.get(&name).copied().unwrap_or_default().take(now).ok_or(Limit::LoginsOfName)?;
        self.by_place.put(place, by_place);
        self.by_name.put(name, by_name);
        Ok(Attempt { name, place, client: Client::Other })
    }

    fn settle(&mut self, attempt: Attempt, ending: Ending) {
        let Attempt { name, place, client } = attempt;
        if ending == Ending::Failed {
            return;
        }
        match client {
            Client::Known => {
                if let Some(bucket) = self.known.get(&(name, place)).map(|bucket| bucket.give_back()) {
                    self.known.put((name, place), bucket);
                }
            }
            Client::Other => {
                if let Some(bucket) = self.by_place.get(&place).map(|bucket| bucket.give_back()) {
                    self.by_place.put(place, bucket);
                }
                if let Some(bucket) = self.by_name.get(&name).map(|bucket| bucket.give_back()) {
                    self.by_name.put(name, bucket);
                }
            }
        }
        if ending == Ending::Succeeded {
            if client == Client::Other {
                self.known.put((name, place), Bucket::default());
            }
            self.places.put(place, ());
        }
    }
}

impl Place {
    fn of(address: Option<IpAddr>) -> Place {
        Place(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
            address => address,
        }))
    }
}

impl Bucket {
    /// The bucket after one more attempt; `None` if none is left.
    fn take(self, now: Duration) -> Option<Bucket> {
        let full_at = self.full_at.max(now) + REFILL;
        (full_at - now <= REFILL * BURST).then_some(Bucket { full_at })
    }

    fn give_back(self) -> Bucket {
        Bucket { full_at: self.full_at.saturating_sub(REFILL) }
    }
}

/// Attempts that may follow one another at once. Source: more than a person, or an office behind one address, needs to correct a password.
const BURST: u32 = 20;
/// The time for each attempt after those. Source: the greatest delay of Dovecot's `auth_penalty`.
const REFILL: Duration = Duration::from_secs(15);
/// The first 64 bits of an IPv6 address.
const NETWORK: u128 = !0 << 64;
/// Addresses and names of strangers. Source: 2 MiB, and more addresses than a botnet needs, which makes one attempt from each anyway.
const OTHERS: usize = 16_384;
/// Pairs of name and address that logged in. Source: 8 MiB, for the users of a large organization.
const KNOWN: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    fn login(name: &str) -> Login {
        Login::new(name).unwrap()
    }

    /// How many attempts at the same moment are admitted.
    fn admitted(tables: &mut Tables, address: &str, name: &str, now: Duration) -> usize {
        (0..200).take_while(|_| tables.admit(at(address), &login(name), now).is_ok()).count()
    }

    #[test]
    fn an_address_has_a_burst_and_then_one_attempt_in_a_while() {
        let mut tables = Tables::new();
        let burst = usize::try_from(BURST).unwrap();
        let tried = (0..burst).filter(|one| tables.admit(at("192.0.2.1"), &login(&format!("user{one}")), NOW).is_ok());
        assert_eq!(tried.count(), burst);
        assert_eq!(tables.admit(at("192.0.2.1"), &login("x"), NOW).unwrap_err(), Limit::LoginsOfClient);
        assert_eq!(tables.admit(at("192.0.2.1"), &login("x"), NOW + REFILL / 2).unwrap_err(), Limit::LoginsOfClient);
        assert!(tables.admit(at("192.0.2.1"), &login("x"), NOW + REFILL).is_ok());
        assert_eq!(admitted(&mut tables, "192.0.2.1", "x", NOW + REFILL), 0);
        assert_eq!(admitted(&mut tables, "192.0.2.1", "y", NOW + REFILL * 10 * BURST), burst);
        // Others are not affected.
        assert!(tables.admit(at("192.0.2.2"), &login("z"), NOW).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let mut tables = Tables::new();
        let count = |address: &str, tables: &mut Tables| {
            (0..).take_while(|one| tables.admit(at(address), &login(&format!("{address}{one}")), NOW).is_ok()).count()
        };
        assert_eq!(count("2001:db8::1", &mut tables), 20);
        assert_eq!(count("2001:db8::ffff:2", &mut tables), 0);
        assert_eq!(count("2001:db8:0:1::1", &mut tables), 20);
        assert_eq!(count("::ffff:192.0.2.1", &mut tables), 20);
        assert_eq!(count("192.0.2.1", &mut tables), 0);
    }

    #[test]
    fn guessers_of_a_name_do_not_lock_out_an_address_that_logged_in_with_it() {
        let mut tables = Tables::new();
        let attempt = tables.admit(at("192.0.2.1"), &login("alice"), NOW).unwrap();
        assert_eq!(attempt.client, Client::Other);
        tables.settle(attempt, Ending::Succeeded);
        // 200 addresses guess: the name's burst, and no more.
        let guesses =
            (0..200).filter(|one| tables.admit(at(&format!("198.51.100.{one}")), &login("Alice"), NOW).is_ok());
        assert_eq!(guesses.count(), 20);
        assert_eq!(tables.admit(at("203.0.113.1"), &login("alice"), NOW).unwrap_err(), Limit::LoginsOfName);
        for _ in 0..1_000 {
            let attempt = tables.admit(at("192.0.2.1"), &login("alice"), NOW).unwrap();
            assert_eq!(attempt.client, Client::Known);
            tables.settle(attempt, Ending::Succeeded);
        }
        // Guesses from that very address are bounded too.
        assert_eq!(admitted(&mut tables, "192.0.2.1", "alice", NOW), 20);
        // It has no privilege for other names.
        assert_eq!(tables.admit(at("192.0.2.1"), &login("bob"), NOW).unwrap().client, Client::Other);
    }

    #[test]
    fn attempts_that_did_not_fail_cost_nothing() {
        let mut tables = Tables::new();
        for _ in 0..100 {
            let attempt = tables.admit(None, &login("alice"), NOW).unwrap();
            tables.settle(attempt, Ending::Undecided);
        }
        for one in 0..100 {
            let attempt = tables.admit(at("192.0.2.1"), &login(&format!("user{one}")), NOW).unwrap();
            tables.settle(attempt, Ending::Succeeded);
        }
        let attempt = tables.admit(at("192.0.2.1"), &login("eve"), NOW).unwrap();
        tables.settle(attempt, Ending::Failed);
        assert_eq!(admitted(&mut tables, "192.0.2.1", "eve", NOW), 19);
    }
}
