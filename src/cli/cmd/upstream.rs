//! The way on by SMTP, and the doors that lead to it, by the configuration.

use std::sync::Arc;

use postseal::{
    base::{Error, Kind, Result},
    config::{self, Auth, Config, Listener, ListenerKind, Tls, Upstream, Users, Vrfy, Xforward},
    engine::Handler,
    mail::Mail,
    report::Metrics,
    transport::{
        Door, Exchangers, MemoryLimit, Quarantine,
        milter::Courier,
        relay::{Account, Host, Relay},
        sendmail::Onward,
        smtp::{Caller, Dialect, Keeper, Login, Patience, Protection, Server, Settings},
        tls::{Connector, Identity, Security},
    },
};
use tokio::{runtime, sync::Semaphore};

/// The way on.
pub(super) fn relay(config: &Config) -> Result<Relay> {
    let caller = Caller { name: config.hostname.clone(), connector: Connector::new(), patience: Patience::default() };
    match &config.upstream {
        None => Err(Error::new(Kind::Config, "upstream: nobody to pass mail on to")
            .with_hint("[upstream] smart-host = \"127.0.0.1:10026\"")),
        Some(Upstream::Mx) => Ok(Relay::direct(caller, Exchangers::of_system()?)),
        Some(Upstream::SmartHost { server, security, account, xforward }) => {
            let (host, name) = match server {
                config::Server::Named(name, port) => (Host::Name(name.clone(), *port), name.clone()),
                config::Server::Tcp(address) => (Host::Address(*address), address.ip().to_string()),
                config::Server::Unix(path) => (Host::Unix(path.clone()), "localhost".to_owned()),
            };
            let security = match security {
                config::Security::None => Security::None,
                config::Security::Opportunistic => Security::Opportunistic,
                config::Security::Required => Security::Verified(name),
            };
            let relay = Relay::new(caller, host, security);
            let relay = if *xforward == Xforward::On { relay.naming_clients() } else { relay };
            Ok(match account {
                Some(account) => {
                    let password = account.password.read()?;
                    relay.logging_in(Account { name: account.name.clone(), password })
                }
                None => relay,
            })
        }
    }
}

/// The way on for somebody who waits for it. He must not be of a runtime.
pub(super) fn waiting(config: &Config) -> Result<Waiting> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::io("sockets", &error))?;
    let relay = runtime.block_on(async { relay(config) })?;
    Ok(Waiting { runtime, relay })
}

/// Mail handed over by SMTP.
pub(super) struct Waiting {
    runtime: runtime::Runtime,
    relay: Relay,
}

impl Onward for Waiting {
    fn hand_over(&self, mail: &Mail) -> Result<()> {
        self.runtime.block_on(self.relay.submit(mail.clone()))
    }
}

/// What all listeners have in common, and what outlives a reload.
pub(super) struct Shared {
    /// For messages, by the configuration that is in force.
    pub(super) memory: MemoryLimit,
    pub(super) metrics: Arc<Metrics>,
    /// One permit for each password that is checked.
    pub(super) hashing: Arc<Semaphore>,
}

/// A listener of SMTP or LMTP.
pub(super) fn door(
    listener: &Listener,
    config: &Config,
    handler: Arc<dyn Handler>,
    work: &Arc<Semaphore>,
    shared: &Shared,
) -> Result<Arc<dyn Door>> {
    let identity = |files: &config::Identity| Identity::read(&files.certificate, &files.key);
    let settings = Settings {
        dialect: if listener.kind == ListenerKind::Lmtp { Dialect::Lmtp } else { Dialect::Smtp },
        name: config.hostname.clone(),
        protection: match &listener.tls {
            Tls::Implicit(files) => Protection::Implicit(identity(files)?),
            Tls::None => Protection::None,
            Tls::Starttls(files) => Protection::Starttls(identity(files)?),
        },
        login: match &listener.auth {
            Auth::Here(users) => Login::Here(Keeper::new(Arc::new(Users::read(users)?), Arc::clone(&shared.hashing))),
            Auth::None => Login::None,
            Auth::Relay => Login::Relayed,
        },
        metrics: Arc::clone(&shared.metrics),
        trusted: config.trusted.clone(),
        peers: config.peers.clone(),
        aliases: match listener.vrfy {
            Vrfy::Aliases => Some(config.aliases.clone()),
            Vrfy::Refuse => None,
        },
        local: config.policy.local.clone(),
        limits: config.bounds.message.clone(),
        recipients: config.bounds.recipients,
        per_client: PER_CLIENT,
        memory: shared.memory.clone(),
        patience: Patience::default(),
        quarantine: config.quarantine.clone().map(Quarantine::new),
    };
    Ok(Arc::new(Server::new(handler, Arc::new(relay(config)?), Arc::clone(work), settings)))
}

/// Source: Postfix's `smtpd_client_connection_count_limit`.
const PER_CLIENT: usize = 50;
