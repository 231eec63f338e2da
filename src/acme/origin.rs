//! Which URLs of an authority are asked: those at the host of its directory, and no others.

use std::net::IpAddr;

use crate::{
    base::{Error, Kind, Result},
    discover::http::Plain,
};

/// Scheme, host and port of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    text: String,
    plain: Plain,
}

impl Origin {
    /// That of a directory: `https`, or `http` at an address of loopback, which no other machine can listen to.
    pub(super) fn of(directory: &str) -> Result<Origin> {
        let refused = |why: &str| Error::new(Kind::Config, format!("acme server {directory:?}: {why}"));
        let is_plain_text = directory.bytes().all(|octet| octet.is_ascii_graphic());
        let (scheme, rest) =
            directory.split_once("://").filter(|_| is_plain_text).ok_or_else(|| refused("not a URL"))?;
        let (authority, _) = rest.split_once('/').ok_or_else(|| refused("has no path; the directory has one"))?;
        if authority.is_empty() || authority.contains(['@', '?', '#', '\\']) {
            return Err(refused("not a URL of a host alone"));
        }
        let plain = match scheme {
            "https" => Plain::Refuse,
            "http" if is_loopback(authority) => Plain::Allow,
            "http" => return Err(refused("only https is asked, and http at an address of loopback")),
            _ => return Err(refused("only https is asked")),
        };
        Ok(Origin { text: format!("{scheme}://{authority}"), plain })
    }

    /// Whether `http` is asked.
    pub(super) fn plain(&self) -> Plain {
        self.plain
    }

    /// A URL that the server named.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is at another host: the authority could otherwise choose what this machine asks.
    pub(super) fn url(&self, url: String) -> Result<String> {
        let rest = url.strip_prefix(&self.text);
        let is_within =
            rest.is_some_and(|rest| rest.starts_with('/')) && url.bytes().all(|octet| octet.is_ascii_graphic());
        match is_within {
            true => Ok(url),
            false => Err(Error::malformed(&self.text, format!("names {url:?}, which is at another host"))),
        }
    }
}

/// Whether the host is an address of loopback. A name may lead elsewhere.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked_and_http_on_loopback() {
        for good in
            ["https://ca.example/directory", "https://10.0.0.1:8443/d", "http://127.0.0.1:80/d", "http://[::1]:1/d"]
        {
            assert!(Origin::of(good).is_ok(), "{good}");
        }
        for bad in [
            "http://ca.example/directory",
            "http://localhost/d",
            "http://10.0.0.1/d",
            "http://127.0.0.1@ca.example/d",
            "https://ca.example",
            "https:///d",
            "https://a b/d",
            "ftp://ca.example/d",
            "ca.example/d",
        ] {
            assert!(Origin::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_url_of_another_host_is_asked() {
        let origin = Origin::of("https://ca.example:8443/directory").unwrap();
        assert!(origin.url("https://ca.example:8443/order/1".to_owned()).is_ok());
        for bad in [
            "https://ca.example/order/1",
            "https://ca.example:8443",
            "https://ca.example:84431/x",
            "https://ca.example:8443@10.0.0.1/x",
            "http://ca.example:8443/x",
            "http://169.254.169.254/x",
            "https://ca.example:8443/a b",
        ] {
            assert!(origin.url(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
