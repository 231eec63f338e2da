//! Which sources are asked for keys, and how long their answers are kept.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{Directory, Method, NetworkAccess};
use crate::{
    base::{Clock, Limits, Network, Result},
    keys::{Findings, Keys, Record},
};

/// Which sources are asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In order: the next one is asked when those before it have no usable key.
    pub methods: Vec<Method>,
    /// The key server of [`Method::Vks`], without a path.
    pub vks: String,
    /// The key server of [`Method::Hkp`], without a path.
    pub hkp: String,
    /// How long one source may take. All of them together: [`Limits::network`](crate::base::Limits::network).
    pub source_timeout: Duration,
    /// How long an answer with keys is kept.
    pub keep_found: Duration,
    /// How long an answer without keys is kept.
    pub keep_missing: Duration,
    /// How long a source that failed for an address is not asked for it again.
    pub keep_failed: Duration,
    /// How often the service asks for known keys again; `None`: never.
    pub refresh: Option<Duration>,
    /// Networks that may be asked beside public addresses.
    pub allowed: Vec<Network>,
    /// Root certificates of HTTPS servers, in PEM; `None`: those of this machine.
    pub roots: Option<PathBuf>,
    /// Name servers; empty: those of this machine.
    pub name_servers: Vec<SocketAddr>,
    /// Who proves the answers of [`Method::Openpgpkey`] and [`Method::Smimea`].
    pub dnssec: Dnssec,
    /// From where the status of certificates is fetched.
    pub revocation_fetch: RevocationFetch,
    /// Whether requests to OCSP responders have a nonce.
    pub nonce: Nonce,
    /// What [`Method::LdapPgp`] and [`Method::LdapSmime`] ask.
    pub directory: Option<Directory>,
}

/// From where the revocation status of certificates is fetched, when what is here does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationFetch {
    /// Nothing is fetched.
    #[default]
    Off,
    /// CRLs.
    Crl,
    /// OCSP responders.
    Ocsp,
    /// OCSP responders, and CRLs where they do not answer.
    Both,
}

impl RevocationFetch {
    /// All, with the words in the configuration.
    pub const ALL: [(&'static str, RevocationFetch); 4] = [
        ("off", RevocationFetch::Off),
        ("crl", RevocationFetch::Crl),
        ("ocsp", RevocationFetch::Ocsp),
        ("both", RevocationFetch::Both),
    ];
}

/// Whether requests to OCSP responders have a nonce (RFC 9654).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nonce {
    /// They have none.
    #[default]
    Omit,
    /// They have one. A response with another one is refused; a response without one is taken.
    Send,
}

/// Who validates signatures of DNS (RFC 4035).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dnssec {
    /// The name server, which is on this machine: the AD bit of its answers counts.
    Resolver,
    /// This program, with the trust anchors of a file (DNSKEY records), or those of the root zone.
    Validate(Option<PathBuf>),
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            methods: vec![Method::Wkd],
            vks: "https://keys.openpgp.org".to_owned(),
            hkp: "https://keyserver.ubuntu.com".to_owned(),
            source_timeout: Duration::from_secs(5),
            keep_found: Duration::from_secs(24 * 60 * 60),
            keep_missing: Duration::from_secs(60 * 60),
            keep_failed: Duration::from_secs(5 * 60),
            refresh: None,
            allowed: Vec::new(),
            roots: None,
            name_servers: Vec::new(),
            dnssec: Dnssec::Resolver,
            revocation_fetch: RevocationFetch::Off,
            nonce: Nonce::Omit,
            directory: None,
        }
    }
}

/// What a [`Discovery`](super::Discovery) takes of this machine.
#[derive(Clone)]
pub struct Local {
    /// Its keys.
    pub keys: Arc<dyn Keys>,
    /// What asks the network.
    pub network: Arc<dyn NetworkAccess>,
    /// Merges two copies of one certificate.
    pub merge: fn(&Record, &Record) -> Result<Record>,
    /// Where what is found is kept, for all processes; `None`: in memory.
    pub home: Option<PathBuf>,
    /// Where it is kept for several machines, instead of `home`.
    pub findings: Option<Arc<dyn Findings>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Bounds of what is read.
    pub limits: Limits,
}
