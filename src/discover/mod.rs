//! Keys and revocations on the network: an HTTP client that only asks public addresses, within bounds of time and size.

mod addresses;
mod dns;
pub mod http;

pub use addresses::Addresses;
pub use dns::Resolver;
