//! Keys and revocations on the network.
//!
//! [`http`] asks hosts that strangers name, within bounds of time, size and address. Whatever asks the network for keys does so by [`NetworkAccess`]:
//! [`DirectAccess`] is the one of this process. [`Discovery`] asks the sources of keys of a configuration
//! (Web Key Directory, DANE, key servers, LDAP), keeps their answers for all processes of a home, and holds a second key of an address for the owner. Its sources are
//! tiers of [`Chain`](crate::keys::Chain): they are asked to encrypt, and only where the caller says [`Reach::Network`](crate::keys::Reach::Network).
//!
//! [`Statuses`] fetches CRLs and OCSP responses for certificates whose revocation status is not known here.

mod access;
#[cfg(feature = "discover")]
mod addresses;
mod ber;
#[cfg(feature = "discover")]
mod cache;
mod chosen;
#[cfg(feature = "discover")]
mod dane;
#[cfg(feature = "discover")]
mod direct;
mod directory;
#[cfg(feature = "discover")]
mod dns;
mod fetch;
mod filter;
#[cfg(feature = "discover")]
pub mod http;
#[cfg(feature = "discover")]
mod key_server;
#[cfg(feature = "discover")]
#[cfg_attr(not(feature = "ldap"), path = "ldap/missing.rs")]
mod ldap;
#[cfg(feature = "discover")]
mod look_up;
mod method;
#[cfg(not(feature = "discover"))]
mod missing;
#[cfg(not(feature = "discover"))]
pub mod missing_http;
#[cfg(feature = "discover")]
mod network_settings;
#[cfg(feature = "discover")]
mod percent;
#[cfg(feature = "discover")]
mod refresh;
mod request;
#[cfg(feature = "discover")]
mod roots;
mod settings;
#[cfg(feature = "discover")]
mod status;
#[cfg(feature = "discover")]
mod wkd;

pub use access::{NetworkAccess, SignedKeys};
#[cfg(feature = "discover")]
pub use addresses::Addresses;
#[cfg(feature = "discover")]
pub use cache::{Carried, Pending, carry};
pub use chosen::{Choice, Chosen};
#[cfg(feature = "discover")]
pub use direct::DirectAccess;
pub use directory::{Clear, Directory, LdapServer, Person, Scheme};
#[cfg(feature = "discover")]
pub use dns::Resolver;
pub use fetch::{Fetch, FetchOutcome, StatementKind, StatusLocal};
pub use filter::Filter;
#[cfg(feature = "discover")]
pub use look_up::{Candidate, Discovery, Outcome, Said, Standing};
pub use method::Method;
#[cfg(not(feature = "discover"))]
pub use missing::{DirectAccess, Discovery, NetworkSettings, Refreshed, Statuses};
#[cfg(not(feature = "discover"))]
pub use missing_http as http;
#[cfg(feature = "discover")]
pub use network_settings::NetworkSettings;
#[cfg(feature = "discover")]
pub use refresh::Refreshed;
pub use settings::{Dnssec, Local, Nonce, RevocationFetch, Settings};
#[cfg(feature = "discover")]
pub use status::{FetchedPath, Occasion, ReadCertificates, Status, Statuses, Told, issuers};
