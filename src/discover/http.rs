//! HTTP requests to hosts that strangers name: blocking, with a deadline and a bound on the answer.
//!
//! - The addresses of a host are looked up once, checked ([`Addresses`]), and used as they were checked.
//! - HTTPS unless a request allows HTTP. Certificates must lead to a root certificate of this machine, or of a file.
//! - Redirects lead to the same host only, never away from HTTPS, and three times at most. A POST is not redirected.
//! - No proxy, no cookies, no compression. A connection serves one request.

use std::{
    fmt, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ureq::{
    Agent, Timeout,
    config::Config,
    http::{HeaderMap, Response, StatusCode, Uri, header, uri::Scheme},
    tls::{Certificate, RootCerts, TlsConfig},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver as Resolving},
        transport::{DefaultConnector, NextTimeout},
    },
};

pub use super::request::{Ask, Bounds, Failure, Plain};
use super::{
    Addresses, Resolver,
    dns::Unresolved,
    roots::{self, Roots},
};
use crate::base::{Network, Result};

/// Redirects that one request follows.
const MAX_REDIRECTS: usize = 3;

/// Octets of the status line and the header fields of an answer. Source: the 8 KiB for one field of Apache's `LimitRequestFieldSize`, twice.
const MAX_HEADER: usize = 16 * 1024;

/// An HTTP client. It can be used by several threads at once.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
}

/// What a server answers to a request of a protocol over HTTP, whatever its status is.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status (RFC 9110, section 15).
    pub status: u16,
    /// The content.
    pub octets: Vec<u8>,
    header: HeaderMap,
}

impl Answer {
    /// The value of a header field, if there is exactly one of this name, in ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.header.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }
}

impl Client {
    /// A client that looks names up by `resolver`, asks servers at `addresses`, and trusts the root certificates of the PEM file `roots`, or those of
    /// this machine.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or has no certificate in it.
    pub fn new(resolver: Arc<Resolver>, addresses: Addresses, roots: Option<&Path>) -> Result<Client> {
        Ok(Client::trusting(resolver, addresses, &roots::read(roots)?))
    }

    /// The same, with root certificates that were read.
    pub(super) fn trusting(resolver: Arc<Resolver>, addresses: Addresses, roots: &Roots) -> Client {
        let certificates: Vec<_> = roots.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&certificates))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADER)
            .max_idle_connections(0)
            .user_agent("postseal")
            .build();
        let checked = Checked { resolver, addresses };
        Client { agent: Agent::with_parts(config, DefaultConnector::new(), checked) }
    }

    /// A client for a server that the owner of this machine names, at whatever address.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn of_named_server(roots: Option<&Path>) -> Result<Client> {
        let all = ["0.0.0.0/0", "::/0"].into_iter().map(Network::parse).collect::<Result<_>>()?;
        Client::new(Arc::new(Resolver::new(&[])?), Addresses::public_and(all), roots)
    }

    /// Asks, and returns the answer with its status and header. Redirects are answers.
    ///
    /// # Errors
    ///
    /// [`Failure`]: there is no answer, or it is not within the bounds.
    pub fn ask(&self, url: &str, ask: Ask<'_>, bounds: &Bounds) -> Result<Answer, Failure> {
        let at = parsed(url, bounds.plain)?;
        let left = Some(time_left(bounds)?);
        let response = match ask {
            Ask::Get => self.agent.get(&at).config().timeout_global(left).build().call(),
            Ask::Head => self.agent.head(&at).config().timeout_global(left).build().call(),
            Ask::Post(media_type, octets) => {
                let request = self.agent.post(&at).config().timeout_global(left).build();
                request.header(header::CONTENT_TYPE, media_type).send(octets)
            }
        };
        let response = response.map_err(failure)?;
        let (status, header) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, header, octets: octets(response, bounds)? })
    }

    /// Fetches a URL.
    ///
    /// # Errors
    ///
    /// [`Failure`]
    pub fn get(&self, url: &str, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        let mut at = parsed(url, bounds.plain)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.agent.get(&at).config().timeout_global(Some(time_left(bounds)?)).build();
            let response = request.call().map_err(failure)?;
            if !response.status().is_redirection() {
                return body(response, bounds);
            }
            at = redirected(&at, &response)?;
        }
        Err(Failure::Failed(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Posts `octets` of this media type.
    ///
    /// # Errors
    ///
    /// [`Failure`]; a redirect is one.
    pub fn post(&self, url: &str, media_type: &str, octets: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        let at = parsed(url, bounds.plain)?;
        let request = self.agent.post(&at).config().timeout_global(Some(time_left(bounds)?)).build();
        let response = request.header(header::CONTENT_TYPE, media_type).send(octets).map_err(failure)?;
        body(response, bounds)
    }
}

/// Looks names up for ureq, which connects to the addresses that it gets.
#[derive(Debug)]
struct Checked {
    resolver: Arc<Resolver>,
    addresses: Addresses,
}

/// A [`Failure`] on its way through ureq.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Resolving for Checked {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let refused = |reason: String| ureq::Error::Other(Box::new(Refused(reason)));
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse();
        let found = match literal {
            Ok(address) => vec![address],
            Err(_) => self.resolver.addresses(host, Instant::now() + *timeout.after).map_err(|error| match error {
                Unresolved::Missing => ureq::Error::HostNotFound,
                Unresolved::Unknown(reason) => refused(reason),
            })?,
        };
        let mut usable = self.empty();
        let mut reason = None;
        // ureq keeps as many.
        for address in found.into_iter().take(16) {
            match self.addresses.check(address, port) {
                Ok(()) => usable.push((address, port).into()),
                Err(why) => reason = reason.or(Some(format!("{host}: {why}"))),
            }
        }
        match reason {
            Some(reason) if usable.is_empty() => Err(refused(reason)),
            _ => Ok(usable),
        }
    }
}

/// The URL, if its scheme may be asked and it names no user.
fn parsed(url: &str, plain: Plain) -> Result<Uri, Failure> {
    let refused = |why: &str| Failure::Failed(format!("{url}: {why}"));
    let uri: Uri = url.parse().map_err(|_| refused("not a URL"))?;
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err(refused("not a URL of a host alone"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain == Plain::Allow => Ok(uri),
        Some("http") => Err(refused("only https is asked")),
        _ => Err(refused("only https and http are asked")),
    }
}

fn time_left(bounds: &Bounds) -> Result<Duration, Failure> {
    let left = bounds.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn late() -> Failure {
    Failure::Failed("no answer in time".to_owned())
}

/// Where a redirect leads: to the same host, and not from HTTPS to HTTP.
fn redirected(from: &Uri, response: &Response<ureq::Body>) -> Result<Uri, Failure> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| Failure::Failed("a redirect to nowhere".to_owned()))?;
    let (scheme, authority) = (from.scheme_str().unwrap_or_default(), from.authority().map_or("", |a| a.as_str()));
    let absolute = match location {
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => location.to_owned(),
    };
    let plain = if scheme == "http" { Plain::Allow } else { Plain::Refuse };
    let to = parsed(&absolute, plain)?;
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    match host(&to) == host(from) {
        true => Ok(to),
        false => Err(Failure::Failed(format!("a redirect to another host, {}", host(&to)))),
    }
}

fn body(response: Response<ureq::Body>, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
    match response.status() {
        StatusCode::OK => octets(response, bounds),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Failure::NotFound),
        status if status.is_redirection() => Err(Failure::Failed("a redirect".to_owned())),
        status => Err(Failure::Failed(format!("the server answers {}", status.as_u16()))),
    }
}

fn octets(mut response: Response<ureq::Body>, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::Unfit("the answer is compressed".to_owned()));
    }
    let too_large = || Failure::Unfit(format!("the answer is larger than {} octets", bounds.octets));
    // One more than allowed: an answer of exactly the bound ends, and is no error.
    let limit = u64::try_from(bounds.octets).unwrap_or(u64::MAX).saturating_add(1);
    if response.body().content_length().is_some_and(|length| length >= limit) {
        return Err(too_large());
    }
    match response.body_mut().with_config().limit(limit).read_to_vec() {
        Ok(octets) if octets.len() > bounds.octets => Err(too_large()),
        Ok(octets) => Ok(octets),
        Err(ureq::Error::BodyExceedsLimit(_)) => Err(too_large()),
        Err(error) => Err(failure(error)),
    }
}

/// In our words: those of ureq are for programmers.
fn failure(error: ureq::Error) -> Failure {
    let failed = |reason: &dyn fmt::Display| Failure::Failed(reason.to_string().to_lowercase());
    match error {
        ureq::Error::HostNotFound => Failure::NoHost,
        ureq::Error::Timeout(Timeout::Resolve) => failed(&"no answer of the name servers in time"),
        ureq::Error::Timeout(_) => late(),
        ureq::Error::Other(refused) => Failure::Failed(refused.to_string()),
        ureq::Error::LargeResponseHeader(..) => failed(&format_args!("more than {MAX_HEADER} octets of header")),
        ureq::Error::Rustls(error) => failed(&format_args!("tls: {error}")),
        ureq::Error::Io(error) => lost(error),
        error => failed(&error),
    }
}

/// What became of a connection.
pub(super) fn lost(error: io::Error) -> Failure {
    let failed = |reason: &dyn fmt::Display| Failure::Failed(reason.to_string().to_lowercase());
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => late(),
        io::ErrorKind::ConnectionRefused => failed(&"the connection is refused"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => failed(&"the server ended the connection"),
        // The reason of rustls is within.
        io::ErrorKind::InvalidData => failed(&format_args!("tls: {error}")),
        _ => failed(&error),
    }
}
