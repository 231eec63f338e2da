//! Where a directory (LDAP) is, and how it is asked.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::base::{Error, Kind, Result, Secret};

/// A directory that the owner of this machine names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Directory {
    /// Servers with the same entries: the next one is asked where one does not answer.
    pub servers: Vec<LdapServer>,
    /// Whether connections to `ldap://` servers are in clear.
    pub clear: Clear,
    /// Root certificates of the servers, in PEM; `None`: those of this machine.
    pub roots: Option<PathBuf>,
    /// The name that logs in; `None`: anonymous.
    pub bind_dn: Option<String>,
    /// Its password.
    #[serde(with = "password")]
    pub password: Option<Secret>,
    /// The entry below which entries are searched.
    pub base: String,
    /// The entries of an address.
    pub filter: Filter,
}

/// Whether anything is sent without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Clear {
    /// Yes, with servers at `ldap://`.
    Allow,
    /// No: `ldap://` begins TLS (StartTLS).
    Refuse,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LdapServer {
    /// When TLS begins.
    pub scheme: Scheme,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Scheme {
    /// `ldap://`: in clear, port 389.
    Ldap,
    /// `ldaps://`: with TLS, port 636.
    Ldaps,
}

/// The password on its way to the process that logs in.
mod password {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::base::Secret;

    pub(super) fn serialize<S: Serializer>(password: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        password.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Vec<u8>>::deserialize(from)?.map(Secret::new))
    }
}

/// Somebody in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name of the entry.
    pub dn: String,
    /// The mail address, as it is there.
    pub address: String,
    /// The person's name.
    pub name: Option<String>,
}

impl LdapServer {
    /// Reads `ldaps://HOST` or `ldap://HOST`, with or without a port (RFC 4516, section 2). The rest of an LDAP URL has settings of its own.
    ///
    /// # Errors
    ///
    /// `Config`: it is not in this form.
    pub fn parse(text: &str) -> Result<LdapServer> {
        let wrong = || Error::new(Kind::Config, format!("{text:?}: not in the form ldaps://HOST or ldap://HOST"));
        let (scheme, rest) = match (text.strip_prefix("ldaps://"), text.strip_prefix("ldap://")) {
            (Some(rest), _) => (Scheme::Ldaps, rest),
            (None, Some(rest)) => (Scheme::Ldap, rest),
            (None, None) => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let usual = match scheme {
            Scheme::Ldap => 389,
            Scheme::Ldaps => 636,
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(Some(port).filter(|port| !port.is_empty()))),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| wrong()))?;
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b':');
        match !host.is_empty() && host.bytes().all(is_plain) {
            true => Ok(LdapServer { scheme, host: host.to_owned(), port }),
            false => Err(wrong()),
        }
    }

    /// Its address, if it is named by one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let read = |text: &str| LdapServer::parse(text).map(|server| (server.scheme, server.host, server.port));
        assert_eq!(read("ldaps://ldap.example.org"), Ok((Scheme::Ldaps, "ldap.example.org".to_owned(), 636)));
        assert_eq!(read("ldap://127.0.0.1:3890/"), Ok((Scheme::Ldap, "127.0.0.1".to_owned(), 3890)));
        assert_eq!(read("ldap://[::1]"), Ok((Scheme::Ldap, "::1".to_owned(), 389)));
        assert_eq!(read("ldap://[::1]:3890"), Ok((Scheme::Ldap, "::1".to_owned(), 3890)));
        for wrong in
            ["", "ldap.example.org", "ldap://", "http://a", "ldap://a:b", "ldap://a/dc=b", "ldap://u@a", "ldap://[::1"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
