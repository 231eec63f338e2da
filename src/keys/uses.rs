//! How often secret keys may be used in a while: a token bucket for each key, and one for each client.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Handle, ProtocolName,
    strangers::{Empty, Strangers},
};
use crate::base::{Allowance, Error, Kind, Recent, Result};

/// How often secret keys may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseLimits {
    /// One key.
    pub per_key: Allowance,
    /// All keys, for one client that is known.
    pub per_client: Allowance,
    /// All keys, for the strangers at one address.
    pub per_address: Allowance,
    /// All keys, for all strangers together.
    pub strangers: Allowance,
}

/// Source: docs/performance.md. Two cores sign 810 mails a second, and the copies of a post need one signature for each ten of them: twice that all the time, with
/// one key. One stranger has no more than a quarter of what all have, and half of what one key has.
impl Default for UseLimits {
    fn default() -> Self {
        let in_a_minute = |most| Allowance { most, period: Duration::from_secs(60) };
        UseLimits {
            per_key: in_a_minute(120_000),
            per_client: in_a_minute(240_000),
            per_address: in_a_minute(60_000),
            strangers: in_a_minute(240_000),
        }
    }
}

/// For whose mail a key is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UseClient {
    /// One with a name: a login, a list, the trusted networks, this host.
    Known(String),
    /// A client that is not known, by its address as [`UseClient::stranger`] shortens it; `None`: behind a relay that does not name it.
    Stranger(Option<IpAddr>),
}

impl UseClient {
    /// A client that is not known. An IPv6 address stands for its network of 64 bits, which one subscriber has (RFC 6177, section 2).
    pub fn stranger(address: Option<IpAddr>) -> UseClient {
        UseClient::Stranger(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        }))
    }
}

impl fmt::Display for UseClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UseClient::Known(name) => f.write_str(name),
            UseClient::Stranger(None) => f.write_str("unknown"),
            UseClient::Stranger(Some(IpAddr::V4(address))) => write!(f, "address {address}"),
            UseClient::Stranger(Some(IpAddr::V6(address))) => write!(f, "address {address}/64"),
        }
    }
}

/// What a secret key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A shared secret.
    Agree,
    /// The secret in a capsule.
    Decapsulate,
    /// The octets in an encrypted block.
    Decrypt,
    /// A signature.
    Sign,
}

impl Operation {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Agree => "agree",
            Operation::Decapsulate => "decapsulate",
            Operation::Decrypt => "decrypt",
            Operation::Sign => "sign",
        }
    }
}

/// What was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// The uses of the address.
    Address,
    /// The uses of the client.
    Client,
    /// The uses of the key.
    Key,
    /// The uses of all strangers.
    Strangers,
}

impl UsedUp {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            UsedUp::Address => "address",
            UsedUp::Client => "client",
            UsedUp::Key => "key",
            UsedUp::Strangers => "strangers",
        }
    }
}

/// One use of a secret key that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// For whose mail.
    pub client: &'a UseClient,
    /// The protocol of the key.
    pub protocol: ProtocolName,
    /// Its fingerprint. A certificate has a key for each purpose.
    pub key: &'a Handle,
    /// What it is used for.
    pub operation: Operation,
}

/// Counts a use, with what of it was used up.
type Noted = Box<dyn Fn(&KeyUse<'_>, Option<UsedUp>) + Send + Sync>;

/// The uses of secret keys, counted and limited.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use postseal::{
///     base::{Allowance, Kind},
///     keys::{Handle, KeyUse, KeyUses, Operation, ProtocolName, UseClient, UseLimits},
/// };
///
/// let once = Allowance { most: 1, period: Duration::from_secs(60) };
/// let uses = KeyUses::new(UseLimits { per_key: once, ..UseLimits::default() }, |_, _| {});
/// let key = Handle::from_octets(&[1; 20]);
/// let client = UseClient::Known("alice".to_owned());
/// let signs = KeyUse { client: &client, protocol: ProtocolName::Pgp, key: &key, operation: Operation::Sign };
/// assert!(uses.take(&signs).is_ok());
/// assert_eq!(uses.take(&signs).unwrap_err().kind(), Kind::TryAgain);
/// ```
pub struct KeyUses {
    limits: UseLimits,
    start: Instant,
    buckets: Mutex<Buckets>,
    noted: Noted,
}

/// Times are durations since the start. The memory is bounded: what was used longest ago goes.
struct Buckets {
    /// Names are hashed, with a random key: one may be long.
    hasher: RandomState,
    /// When each bucket is full again, if nothing follows.
    full_at: Recent<u64, Duration>,
    /// When the log was last told of each.
    told_at: Recent<u64, Duration>,
    strangers: Strangers,
}

impl Default for KeyUses {
    fn default() -> Self {
        KeyUses::new(UseLimits::default(), |_, _| {})
    }
}

impl fmt::Debug for KeyUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyUses({:?})", self.limits)
    }
}

impl KeyUses {
    /// `noted` is told of each use, and of each that is refused, with what was used up.
    pub fn new(limits: UseLimits, noted: impl Fn(&KeyUse<'_>, Option<UsedUp>) + Send + Sync + 'static) -> KeyUses {
        let buckets = Buckets::new(BUCKETS, TOLD, ADDRESSES);
        KeyUses { limits, start: Instant::now(), buckets: Mutex::new(buckets), noted: Box::new(noted) }
    }

    /// Takes one use of the key, and one of the client: of a stranger, one of the address and one of all strangers. Where one of them has none left, nothing is
    /// taken. The log says so once a minute for each.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the key, the client, or strangers have none left for now.
    pub fn take(&self, asked: &KeyUse<'_>) -> Result<()> {
        let KeyUse { client, protocol, key, operation } = *asked;
        let now = self.start.elapsed();
        let taken = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(self.limits, asked, now);
        let Err((used_up, news)) = taken else {
            (self.noted)(asked, None);
            tracing::debug!(event = "key-used", %key, how = operation.name(), protocol = protocol.name(), %client);
            return Ok(());
        };
        (self.noted)(asked, Some(used_up));
        if news == News::Fresh {
            tracing::warn!(
                event = "key-limit",
                per = used_up.name(),
                %key,
                how = operation.name(),
                protocol = protocol.name(),
                %client
            );
        }
        let why = match used_up {
            UsedUp::Address | UsedUp::Client => format!("keys: {client} used them too often in a while"),
            UsedUp::Strangers => "keys: unknown clients used them too often in a while".to_owned(),
            UsedUp::Key => format!("key {key}: used too often in a while"),
        };
        Err(Error::new(Kind::TryAgain, why))
    }
}

/// Whether the log was told of it within the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Fresh,
    Told,
}

impl Buckets {
    fn new(most: usize, told: usize, addresses: usize) -> Buckets {
        Buckets {
            hasher: RandomState::new(),
            full_at: Recent::new(most),
            told_at: Recent::new(told),
            strangers: Strangers::new(addresses),
        }
    }

    fn take(
        &mut self,
        limits: UseLimits,
        asked: &KeyUse<'_>,
        now: Duration,
    ) -> std::result::Result<(), (UsedUp, News)> {
        let name = |used_up: UsedUp| match used_up {
            UsedUp::Key => self.hasher.hash_one((asked.protocol.name(), asked.key)),
            UsedUp::Strangers => self.hasher.hash_one(used_up.name()),
            UsedUp::Address | UsedUp::Client => self.hasher.hash_one(asked.client),
        };
        let (of_key, of_client) = (name(UsedUp::Key), name(UsedUp::Client));
        let after = |bucket, allowance: Allowance| allowance.after_one(self.full_at.get(&bucket).copied(), now);
        let taken = match (after(of_key, limits.per_key), asked.client) {
            (None, _) => Err(UsedUp::Key),
            (Some(key), UseClient::Known(_)) => match after(of_client, limits.per_client) {
                None => Err(UsedUp::Client),
                Some(client) => {
                    self.full_at.put(of_client, client);
                    Ok(key)
                }
            },
            (Some(key), UseClient::Stranger(address)) => {
                let taken = self.strangers.take(*address, limits.per_address, limits.strangers, now);
                taken.map(|()| key).map_err(|empty| match empty {
                    Empty::Address => UsedUp::Address,
                    Empty::All => UsedUp::Strangers,
                })
            }
        };
        let used_up = match taken {
            Ok(key) => {
                self.full_at.put(of_key, key);
                return Ok(());
            }
            Err(used_up) => used_up,
        };
        let bucket = name(used_up);
        let is_told = self.told_at.get(&bucket).is_some_and(|told| now.saturating_sub(*told) < MINUTE);
        if is_told {
            return Err((used_up, News::Told));
        }
        self.told_at.put(bucket, now);
        Err((used_up, News::Fresh))
    }
}

/// Keys and clients. Source: 8 MiB, for the keys and the logins of a large organization.
const BUCKETS: usize = 131_072;
/// Those that the log was told of.
const TOLD: usize = 4_096;
/// Addresses of strangers. Source: 8 MiB; with the default limits, all strangers together keep no more than 240 of them from being full for a second.
const ADDRESSES: usize = 65_536;
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Handle {
        Handle::from_octets(&[number; 20])
    }

    /// How many uses at the same moment are granted, and what is used up then.
    fn granted(
        buckets: &mut Buckets,
        limits: UseLimits,
        client: &UseClient,
        key: &Handle,
        now: u64,
    ) -> (usize, (UsedUp, News)) {
        let asked = KeyUse { client, protocol: ProtocolName::Pgp, key, operation: Operation::Sign };
        let take = |times| buckets.take(limits, &asked, Duration::from_secs(now)).err().map(|why| (times, why));
        (0..10_000).find_map(take).unwrap()
    }

    fn buckets() -> Buckets {
        Buckets::new(64, 64, 64)
    }

    fn known(name: &str) -> UseClient {
        UseClient::Known(name.to_owned())
    }

    fn stranger(address: &str) -> UseClient {
        UseClient::stranger(Some(address.parse().unwrap()))
    }

    fn limits(per_key: u32, per_client: u32) -> UseLimits {
        let in_a_minute = |most| Allowance { most, period: MINUTE };
        UseLimits { per_key: in_a_minute(per_key), per_client: in_a_minute(per_client), ..UseLimits::default() }
    }

    #[test]
    fn each_key_and_each_client_has_a_burst_and_then_its_rate() {
        let (mut buckets, limits) = (buckets(), limits(6, 10));
        let mut at = |client, number, now| granted(&mut buckets, limits, &known(client), &key(number), now);
        assert_eq!(at("alice", 1, 60), (6, (UsedUp::Key, News::Fresh)));
        assert_eq!(at("bob", 1, 60), (0, (UsedUp::Key, News::Told)), "the key is the same one");
        assert_eq!(at("alice", 2, 60), (4, (UsedUp::Client, News::Fresh)), "the client has ten in all");
        assert_eq!(at("bob", 2, 60), (2, (UsedUp::Key, News::Fresh)), "the refused ones took nothing");
        assert_eq!(at("bob", 3, 60), (6, (UsedUp::Key, News::Fresh)));
        assert_eq!(at("alice", 1, 70), (1, (UsedUp::Key, News::Told)), "one in ten seconds");
        assert_eq!(at("carol", 1, 400), (6, (UsedUp::Key, News::Fresh)), "the log is told again");
    }

    #[test]
    fn strangers_are_told_apart_by_address() {
        let in_a_minute = |most| Allowance { most, period: MINUTE };
        let limits = UseLimits { per_address: in_a_minute(3), strangers: in_a_minute(10), ..UseLimits::default() };
        let mut buckets = buckets();
        let mut at = |client: &UseClient, now| granted(&mut buckets, limits, client, &key(1), now);
        let (one, other) = (stranger("192.0.2.1"), stranger("192.0.2.2"));
        assert_eq!(at(&one, 60), (3, (UsedUp::Address, News::Fresh)));
        assert_eq!(at(&stranger("::ffff:192.0.2.1"), 60), (0, (UsedUp::Address, News::Told)), "the same address");
        assert_eq!(at(&other, 60), (3, (UsedUp::Address, News::Fresh)));
        assert_eq!(at(&stranger("2001:db8::1"), 60), (3, (UsedUp::Address, News::Fresh)));
        assert_eq!(at(&stranger("2001:db8::ffff:1"), 60).0, 0, "the same network");
        assert_eq!(at(&stranger("2001:db8:0:1::1"), 60), (1, (UsedUp::Strangers, News::Fresh)));
        assert_eq!(at(&UseClient::stranger(None), 60), (0, (UsedUp::Strangers, News::Told)));
        assert_eq!(at(&one, 80), (1, (UsedUp::Address, News::Told)), "one in 20 s");
        assert_eq!(at(&UseClient::stranger(None), 200).0, 10, "behind a relay, all of them");
        let shown = [one, stranger("2001:db8::7"), UseClient::stranger(None)].map(|client| client.to_string());
        assert_eq!(shown, ["address 192.0.2.1", "address 2001:db8::/64", "unknown"]);
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut buckets, limits) = (buckets(), limits(1, 10_000));
        (0..=255).for_each(|number| assert_eq!(granted(&mut buckets, limits, &known("alice"), &key(number), 60).0, 1));
        assert_eq!(granted(&mut buckets, limits, &known("alice"), &key(255), 60).0, 0);
        assert_eq!(granted(&mut buckets, limits, &known("alice"), &key(0), 60).0, 1);
    }

    #[test]
    fn each_use_is_noted() {
        let noted = std::sync::Arc::new(Mutex::new(Vec::new()));
        let told = std::sync::Arc::clone(&noted);
        let uses = KeyUses::new(limits(1, 1), move |asked, used_up| {
            told.lock().unwrap().push((asked.operation, used_up));
        });
        let (one, other) = (key(1), key(2));
        let alice = known("alice");
        let asked = KeyUse { client: &alice, protocol: ProtocolName::Smime, key: &one, operation: Operation::Decrypt };
        uses.take(&asked).unwrap();
        assert_eq!(uses.take(&asked).unwrap_err().to_string(), format!("key {one}: used too often in a while"));
        let asked = KeyUse { key: &other, ..asked };
        assert_eq!(uses.take(&asked).unwrap_err().to_string(), "keys: alice used them too often in a while");
        let all = [None, Some(UsedUp::Key), Some(UsedUp::Client)].map(|used_up| (Operation::Decrypt, used_up));
        assert_eq!(*noted.lock().unwrap(), all);
    }
}
