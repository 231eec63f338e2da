//! The URL of a database, in the form of libpq, with parameters of our own.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::tls::Verified;
use crate::{
    base::{Error, Kind, Result},
    store::elsewhere::Server as Place,
};

/// A server, and how it is used.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    /// `None`: in clear.
    pub(super) tls: Option<Verified>,
    /// The URL without credentials.
    pub(super) name: String,
    /// The most connections at once.
    pub(super) connections: usize,
    /// How long a statement, or making a connection, may take.
    pub(super) timeout: Duration,
    /// How long it is left alone when it could not be reached, at first and at most.
    pub(super) pauses: (Duration, Duration),
}

/// What a server is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is written to.
    Primary,
    /// It is read only.
    Replica,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Server {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// `Config` for one that cannot be used, without its password in the message.
    pub(super) fn of_url(url: &str, part: Part) -> Result<Server> {
        let (mut config, own) = read(url)?;
        let name = name(&config);
        let tls = own.security(&mut config, &name)?;
        if let Some(file) = &own.password_file {
            let text = fs::read_to_string(file)
                .map_err(|error| Error::new(Kind::Config, Error::io(file.display(), &error).to_string()))?;
            config.password(text.lines().next().unwrap_or_default());
        }
        let timeout = own.timeout.unwrap_or(TIMEOUT);
        let milliseconds = timeout.as_millis();
        let given = config.get_options().unwrap_or_default();
        // What another program, or this one when it hangs, may hold.
        let options = format!(
            "{given} -c search_path=postseal -c statement_timeout={milliseconds} -c lock_timeout={milliseconds} \
             -c idle_in_transaction_session_timeout={}",
            IDLE.as_millis()
        );
        config.options(options.trim()).application_name("postseal").connect_timeout(timeout);
        config.keepalives_idle(timeout).keepalives_interval(Duration::from_secs(1)).keepalives_retries(3);
        config.tcp_user_timeout(timeout);
        if part == Part::Primary && config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let pauses = match part {
            Part::Primary => (Duration::from_millis(100), Duration::from_secs(2)),
            // The primary answers meanwhile.
            Part::Replica => (Duration::from_secs(5), Duration::from_secs(60)),
        };
        Ok(Server { config, tls, name, connections: own.connections.unwrap_or(CONNECTIONS), timeout, pauses })
    }
}

/// A URL, and the parameters in it that are our own.
fn read(url: &str) -> Result<(Config, Own)> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut own = Own::default();
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !own.take(pair)? {
            others.push(pair);
        }
    }
    let text = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
        refused(&format!("not a URL of PostgreSQL: {}", error.to_string().to_lowercase()))
    })?;
    if config.get_hosts().is_empty() {
        config.host_path(SOCKETS);
    }
    Ok((config, own))
}

/// Where the servers of a URL are.
pub(super) fn places(url: &str) -> Result<Vec<Place>> {
    let (config, _) = read(url)?;
    let places = config.get_hosts().iter().enumerate().map(|(at, host)| match host {
        Host::Tcp(_) => Place::Port(port(&config, at)),
        Host::Unix(_) => Place::Local,
    });
    Ok(places.collect())
}

/// The port of the host with this number.
fn port(config: &Config, at: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(at).or(ports.first()).copied().unwrap_or(PORT)
}

/// The parameters that are not those of tokio-postgres.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password_file: Option<PathBuf>,
    connections: Option<usize>,
    timeout: Option<Duration>,
}

impl Own {
    /// Takes a parameter; `false` when it is not one of these.
    fn take(&mut self, pair: &str) -> Result<bool> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = percent_decode_str(value).decode_utf8().map_err(|_| refused(&format!("{name}: not UTF-8")))?;
        let number = |most: usize| {
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.ok_or_else(|| refused(&format!("{name}: a number from 1 to {most}")))
        };
        match name {
            "sslmode" => self.mode = Some(text.into_owned()),
            "sslrootcert" => self.roots = Some(PathBuf::from(&*text)),
            "sslcert" => self.certificate = Some(PathBuf::from(&*text)),
            "sslkey" => self.key = Some(PathBuf::from(&*text)),
            "passwordfile" => self.password_file = Some(PathBuf::from(&*text)),
            "connections" => self.connections = Some(number(MAX_CONNECTIONS)?),
            "timeout" => self.timeout = Some(Duration::from_secs(number(MAX_TIMEOUT)? as u64)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// TLS, or none over a socket of this machine, or where the URL says so.
    fn security(&self, config: &mut Config, name: &str) -> Result<Option<Verified>> {
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => return Err(refused(&format!("{name}: sslcert and sslkey go together"))),
        };
        match self.mode.as_deref() {
            None if is_local => {}
            None | Some("verify-full") => {
                config.ssl_mode(SslMode::Require);
                return Verified::new(self.roots.as_deref().map(Path::new), client).map(Some);
            }
            Some("disable") => {}
            Some(other) => {
                let reason = format!("{name}: sslmode={other}: only verify-full, the default, and disable");
                return Err(Error::new(Kind::Config, reason)
                    .with_hint("the other modes do not notice a server in the middle; disable sends all in clear"));
            }
        }
        config.ssl_mode(SslMode::Disable);
        Ok(None)
    }
}

/// The URL without user, password and parameters.
fn name(config: &Config) -> String {
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let mut names = Vec::new();
    for (at, host) in config.get_hosts().iter().enumerate() {
        match host {
            Host::Tcp(host) => names.push(format!("{host}:{}", port(config, at))),
            Host::Unix(folder) => {
                return format!("postgres:///{database}?host={}&port={}", folder.display(), port(config, at));
            }
        }
    }
    format!("postgres://{}/{database}", names.join(","))
}

fn refused(reason: &str) -> Error {
    Error::new(Kind::Config, format!("the URL of the key store: {reason}"))
}

/// Where Debian's server has its socket.
const SOCKETS: &str = "/var/run/postgresql";
const PORT: u16 = 5432;
/// Without `connections`.
const CONNECTIONS: usize = 8;
const MAX_CONNECTIONS: usize = 1000;
/// Without `timeout`.
const TIMEOUT: Duration = Duration::from_secs(5);
/// In seconds.
const MAX_TIMEOUT: usize = 3600;
/// How long the server keeps a transaction of a program that hangs. It holds up every other writer.
const IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server> {
        Server::of_url(url, Part::Primary)
    }

    #[test]
    fn a_remote_server_is_verified_unless_the_url_says_otherwise() {
        let remote = server("postgres://db.example.org/keys").unwrap();
        assert!(remote.tls.is_some() && remote.config.get_ssl_mode() == SslMode::Require);
        let loopback = server("postgres://127.0.0.1:5433/keys").unwrap();
        assert!(loopback.tls.is_some(), "another user of this machine may listen there");
        let clear = server("postgres://db.example.org/keys?sslmode=disable").unwrap();
        assert!(clear.tls.is_none() && clear.config.get_ssl_mode() == SslMode::Disable);
        let socket = server("postgres:///keys?host=/run/postgresql").unwrap();
        assert!(socket.tls.is_none() && socket.config.get_ssl_mode() == SslMode::Disable);
        for mode in ["prefer", "allow", "require", "verify-ca"] {
            let error = server(&format!("postgres://db.example.org/keys?sslmode={mode}")).unwrap_err();
            let expected = format!(
                "postgres://db.example.org:5432/keys: sslmode={mode}: only verify-full, the default, and disable"
            );
            assert_eq!((error.kind(), error.to_string()), (Kind::Config, expected));
        }
    }

    #[test]
    fn no_password_is_in_a_name_or_an_error() {
        let url = "postgres://service:s3cret@db.example.org,db2.example.org:5433/keys?connections=3&timeout=2";
        let found = server(url).unwrap();
        assert_eq!(format!("{found:?}"), "postgres://db.example.org:5432,db2.example.org:5433/keys");
        assert_eq!((found.connections, found.timeout), (3, Duration::from_secs(2)));
        assert_eq!(found.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        for wrong in ["&connections=0", "&timeout=x", "&colour=red", "&sslcert=/a", "&passwordfile=/none"] {
            let error = server(&format!("{url}{wrong}")).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{wrong}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
