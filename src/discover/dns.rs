//! Names of hosts, looked up in DNS with a deadline.
//!
//! The system's own function (`getaddrinfo`) has no deadline, and does not say whether a name is missing or could not be asked for.

use std::{
    fmt, fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::Query,
        rr::{Name, RData, RecordType},
    },
    system_conf::parse_resolv_conf,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::base::{Error, Kind, Result};

/// Looks names up. Its functions block: call them outside of asynchronous code.
pub struct Resolver {
    resolver: TokioResolver,
    /// Names of `/etc/hosts`.
    hosts: Hosts,
    /// `None` after its end alone.
    runtime: Option<Runtime>,
}

/// Which name servers are asked, and the names that none is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct NameServers {
    servers: Named,
    /// The content of `/etc/hosts`.
    hosts: Vec<u8>,
}

/// What names them.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Named {
    Configuration(Vec<SocketAddr>),
    /// The content of `/etc/resolv.conf`.
    Machine(Vec<u8>),
}

impl NameServers {
    /// These name servers, or those of this machine if there are none.
    ///
    /// # Errors
    ///
    /// `Config`: this machine has no name servers configured.
    pub(super) fn read(servers: &[SocketAddr]) -> Result<NameServers> {
        let servers = match servers {
            [] => Named::Machine(fs::read(RESOLV_CONF).map_err(|error| Error::io(RESOLV_CONF, &error)).map_err(wrong)?),
            servers => Named::Configuration(servers.to_vec()),
        };
        Ok(NameServers { servers, hosts: fs::read(HOSTS).unwrap_or_default() })
    }

    /// Their addresses.
    ///
    /// # Errors
    ///
    /// As [`NameServers::read`].
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>> {
        match &self.servers {
            Named::Configuration(servers) => Ok(servers.clone()),
            Named::Machine(text) => {
                let (config, _) = parse_resolv_conf(text).map_err(wrong)?;
                Ok(config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
            }
        }
    }
}

/// What DNS has under a name.
pub(super) enum Proved {
    /// These records, and signatures prove them.
    Secure(Vec<RData>),
    /// Records of a zone that is not signed.
    Insecure,
    /// No record.
    Nothing,
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// The name does not exist, or has no address.
    Missing,
    /// The name servers did not say; the reason.
    Unknown(String),
}

impl Resolver {
    /// Asks these name servers, or those of this machine if there are none.
    ///
    /// # Errors
    ///
    /// `Config`: this machine has no name servers configured. `TryAgain`: no thread can be started.
    pub fn new(name_servers: &[SocketAddr]) -> Result<Resolver> {
        Resolver::of(&NameServers::read(name_servers)?)
    }

    /// As [`Resolver::new`]; no file is opened.
    ///
    /// # Errors
    ///
    /// As [`Resolver::new`].
    pub(super) fn of(name_servers: &NameServers) -> Result<Resolver> {
        Self::built(name_servers, None)
    }

    /// Makes what all runtimes of a process have in common (a pair of sockets for signals).
    ///
    /// # Errors
    ///
    /// `TryAgain`: the system refuses it.
    pub(super) fn prepare() -> Result<()> {
        let made = Builder::new_current_thread().enable_all().build();
        made.map(drop).map_err(|error| Error::new(Kind::TryAgain, format!("dns: {error}")))
    }

    fn built(name_servers: &NameServers, anchors: Option<TrustAnchors>) -> Result<Resolver> {
        let (config, mut options) = match &name_servers.servers {
            Named::Configuration(servers) => {
                let servers = servers.iter().copied().map(name_server).collect();
                (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
            }
            Named::Machine(text) => parse_resolv_conf(text).map_err(wrong)?,
        };
        // They are read here.
        options.use_hosts_file = ResolveHosts::Never;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        let mut hosts = Hosts::default();
        // As far as it can be read.
        let _ = hosts.read_hosts_conf(name_servers.hosts.as_slice());
        let builder = match anchors {
            Some(anchors) => builder.with_trust_anchor(Arc::new(anchors)),
            None => builder,
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("dns").enable_all().build();
        let runtime = runtime.map_err(|error| Error::new(Kind::TryAgain, format!("dns: {error}")))?;
        Ok(Resolver { resolver: builder.build().map_err(wrong)?, hosts, runtime: Some(runtime) })
    }

    /// As [`Resolver::new`], and proves answers by these trust anchors.
    ///
    /// # Errors
    ///
    /// As [`Resolver::new`].
    pub(super) fn validating(name_servers: &NameServers, anchors: TrustAnchors) -> Result<Resolver> {
        Self::built(name_servers, Some(anchors))
    }

    /// Records with their proof (RFC 4035, section 4.3). The reason where nothing can be said: a wrong signature is one.
    pub(super) fn records(&self, name: &Name, kind: RecordType, deadline: Instant) -> Result<Proved, String> {
        let Some(runtime) = &self.runtime else { return Err("the resolver has ended".to_owned()) };
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = async { tokio::time::timeout(left, self.resolver.lookup(name.clone(), kind)).await };
        let found = match runtime.block_on(asked).map_err(|_| "no answer of the name servers in time".to_owned())? {
            Ok(found) => found,
            Err(NetError::Dns(DnsError::Nsec { proof: Proof::Secure | Proof::Insecure, .. })) => {
                return Ok(Proved::Nothing);
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => return Ok(Proved::Nothing),
            Err(error) => return Err(error.to_string().to_lowercase()),
        };
        let records: Vec<_> = found.answers().iter().filter(|record| record.record_type() == kind).collect();
        match records.iter().map(|record| record.proof).min() {
            None => Ok(Proved::Nothing),
            Some(Proof::Secure) => Ok(Proved::Secure(records.into_iter().map(|record| record.data.clone()).collect())),
            Some(Proof::Insecure) => Ok(Proved::Insecure),
            Some(Proof::Bogus | Proof::Indeterminate) => Err("the signature is wrong (DNSSEC)".to_owned()),
        }
    }

    /// The addresses of a host, IPv4 first.
    pub(super) fn addresses(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, Unresolved> {
        let failed = |error: &dyn fmt::Display| Unresolved::Unknown(format!("{host}: {error}").to_lowercase());
        let name = format!("{}.", host.trim_end_matches('.'));
        let name = Name::from_ascii(&name).map_err(|_| Unresolved::Missing)?;
        let Some(runtime) = &self.runtime else { return Err(Unresolved::Missing) };
        let left = deadline.saturating_duration_since(Instant::now());
        let answers = runtime.block_on(async {
            let both =
                async { tokio::join!(self.of_family(&name, RecordType::A), self.of_family(&name, RecordType::AAAA)) };
            tokio::time::timeout(left, both).await
        });
        let (four, six) = answers.map_err(|_| failed(&"no answer of the name servers in time"))?;
        let (mut found, mut failure) = (Vec::new(), None);
        for answer in [four, six] {
            match answer {
                Ok(addresses) => found.extend(addresses),
                Err(error) if error.is_nx_domain() || error.is_no_records_found() => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            _ if !found.is_empty() => Ok(found),
            Some(error) => Err(failed(&error)),
            None => Err(Unresolved::Missing),
        }
    }

    async fn of_family(&self, name: &Name, family: RecordType) -> Result<Vec<IpAddr>, NetError> {
        let found = match self.hosts.lookup_static_host(&Query::query(name.clone(), family)) {
            Some(found) => found,
            None => self.resolver.lookup(name.clone(), family).await?,
        };
        Ok(found.answers().iter().filter_map(|record| record.data.ip_addr()).collect())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which asynchronous code must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn wrong(error: impl fmt::Display) -> Error {
    Error::new(Kind::Config, format!("dns: {error}").to_lowercase())
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}
