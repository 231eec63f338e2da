//! Errors, bounds, networks, time, randomness and secrets. Knows nothing of mail.

mod allowance;
mod budget;
mod clock;
mod error;
mod hex;
mod hint;
mod network;
mod printable;
mod random;
mod recent;
mod secret;
#[cfg(any(feature = "mailbox", feature = "service", feature = "store"))]
mod temporary;

pub use allowance::Allowance;
pub use budget::{Budget, Limits};
pub use clock::{Clock, FixedClock, SystemClock, parse_rfc3339, parse_rfc5322, rfc3339, rfc5322, rfc5322_in_utc};
pub use error::{Error, Kind, Result};
#[cfg(feature = "store")]
pub(crate) use hex::secret_of_hex;
#[cfg(test)]
pub(crate) use hex::unhex;
pub use hex::{hex, upper_hex};
pub use hint::{Hint, KeyForm};
pub use network::Network;
pub use printable::printable;
pub use random::{Random, SystemRandom};
pub(crate) use recent::Recent;
pub use secret::Secret;
#[cfg(any(feature = "mailbox", feature = "service", feature = "store"))]
pub use temporary::{Temporary, sweep};
