//! How often secret keys may be used in a while: a token bucket for each key, and one for each client.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Handle, ProtocolName};
use crate::base::{Allowance, Error, Kind, Recent, Result};

/// How often secret keys may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseLimits {
    /// One key.
    pub per_key: Allowance,
    /// All keys, for one client.
    pub per_client: Allowance,
}

/// Source: docs/performance.md. Two cores sign 810 mails a second, and the copies of a post need one signature for each ten of them: twice that all the time, with
/// one key.
impl Default for UseLimits {
    fn default() -> Self {
        let in_a_minute = |most| Allowance { most, period: Duration::from_secs(60) };
        UseLimits { per_key: in_a_minute(120_000), per_client: in_a_minute(240_000) }
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
    /// The uses of the client.
    Client,
    /// The uses of the key.
    Key,
}

impl UsedUp {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            UsedUp::Client => "client",
            UsedUp::Key => "key",
        }
    }
}

/// One use of a secret key that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// For whose mail: a name that is one for each client.
    pub client: &'a str,
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
///     keys::{Handle, KeyUse, KeyUses, Operation, ProtocolName, UseLimits},
/// };
///
/// let once = Allowance { most: 1, period: Duration::from_secs(60) };
/// let uses = KeyUses::new(UseLimits { per_key: once, ..UseLimits::default() }, |_, _| {});
/// let key = Handle::from_octets(&[1; 20]);
/// let signs = KeyUse { client: "alice", protocol: ProtocolName::Pgp, key: &key, operation: Operation::Sign };
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
        let buckets = Buckets { hasher: RandomState::new(), full_at: Recent::new(BUCKETS), told_at: Recent::new(TOLD) };
        KeyUses { limits, start: Instant::now(), buckets: Mutex::new(buckets), noted: Box::new(noted) }
    }

    /// Takes one use of the key, and one of the client. Where one of them has none left, nothing is taken. The log says so once a minute for each.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the key, or the client, has none left for now.
    pub fn take(&self, asked: &KeyUse<'_>) -> Result<()> {
        let KeyUse { client, protocol, key, operation } = *asked;
        let now = self.start.elapsed();
        let taken = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(self.limits, asked, now);
        let Err((used_up, news)) = taken else {
            (self.noted)(asked, None);
            tracing::debug!(event = "key-used", %key, how = operation.name(), protocol = protocol.name(), client);
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
                client
            );
        }
        let why = match used_up {
            UsedUp::Client => format!("keys: {client} used them too often in a while"),
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
    fn take(
        &mut self,
        limits: UseLimits,
        asked: &KeyUse<'_>,
        now: Duration,
    ) -> std::result::Result<(), (UsedUp, News)> {
        let of_key = self.hasher.hash_one((UsedUp::Key.name(), asked.protocol.name(), asked.key));
        let of_client = self.hasher.hash_one((UsedUp::Client.name(), asked.client));
        let after = |bucket, allowance: Allowance| allowance.after_one(self.full_at.get(&bucket).copied(), now);
        let (key, client) = (after(of_key, limits.per_key), after(of_client, limits.per_client));
        let (used_up, bucket) = match (key, client) {
            (Some(key), Some(client)) => {
                self.full_at.put(of_key, key);
                self.full_at.put(of_client, client);
                return Ok(());
            }
            (None, _) => (UsedUp::Key, of_key),
            (Some(_), None) => (UsedUp::Client, of_client),
        };
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
        client: &str,
        key: &Handle,
        now: u64,
    ) -> (usize, (UsedUp, News)) {
        let asked = KeyUse { client, protocol: ProtocolName::Pgp, key, operation: Operation::Sign };
        let take = |times| buckets.take(limits, &asked, Duration::from_secs(now)).err().map(|why| (times, why));
        (0..10_000).find_map(take).unwrap()
    }

    fn buckets() -> Buckets {
        Buckets { hasher: RandomState::new(), full_at: Recent::new(64), told_at: Recent::new(64) }
    }

    fn limits(per_key: u32, per_client: u32) -> UseLimits {
        let in_a_minute = |most| Allowance { most, period: MINUTE };
        UseLimits { per_key: in_a_minute(per_key), per_client: in_a_minute(per_client) }
    }

    #[test]
    fn each_key_and_each_client_has_a_burst_and_then_its_rate() {
        let (mut buckets, limits) = (buckets(), limits(6, 10));
        let mut at = |client: &str, number, now| granted(&mut buckets, limits, client, &key(number), now);
        assert_eq!(at("alice", 1, 60), (6, (UsedUp::Key, News::Fresh)));
        assert_eq!(at("bob", 1, 60), (0, (UsedUp::Key, News::Told)), "the key is the same one");
        assert_eq!(at("alice", 2, 60), (4, (UsedUp::Client, News::Fresh)), "the client has ten in all");
        assert_eq!(at("bob", 2, 60), (2, (UsedUp::Key, News::Fresh)), "the refused ones took nothing");
        assert_eq!(at("bob", 3, 60), (6, (UsedUp::Key, News::Fresh)));
        assert_eq!(at("alice", 1, 70), (1, (UsedUp::Key, News::Told)), "one in ten seconds");
        assert_eq!(at("carol", 1, 400), (6, (UsedUp::Key, News::Fresh)), "the log is told again");
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut buckets, limits) = (buckets(), limits(1, 10_000));
        (0..=255).for_each(|number| assert_eq!(granted(&mut buckets, limits, "alice", &key(number), 60).0, 1));
        assert_eq!(granted(&mut buckets, limits, "alice", &key(255), 60).0, 0);
        assert_eq!(granted(&mut buckets, limits, "alice", &key(0), 60).0, 1);
    }

    #[test]
    fn each_use_is_noted() {
        let noted = std::sync::Arc::new(Mutex::new(Vec::new()));
        let told = std::sync::Arc::clone(&noted);
        let uses = KeyUses::new(limits(1, 1), move |asked, used_up| {
            told.lock().unwrap().push((asked.operation, used_up));
        });
        let (one, other) = (key(1), key(2));
        let asked = KeyUse { client: "alice", protocol: ProtocolName::Smime, key: &one, operation: Operation::Decrypt };
        uses.take(&asked).unwrap();
        assert_eq!(uses.take(&asked).unwrap_err().to_string(), format!("key {one}: used too often in a while"));
        let asked = KeyUse { key: &other, ..asked };
        assert_eq!(uses.take(&asked).unwrap_err().to_string(), "keys: alice used them too often in a while");
        let all = [None, Some(UsedUp::Key), Some(UsedUp::Client)].map(|used_up| (Operation::Decrypt, used_up));
        assert_eq!(*noted.lock().unwrap(), all);
    }
}
