//! The next hop that a configuration names.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::{
    base::{Error, Kind, Random, Result},
    config::{self, Config, Upstream, Xforward},
    mail::Mail,
    transport::{
        Blocking, MxResolver, NextHop, SendError, Sending,
        relay::{Account, Host, Relay},
        smtp::{Caller, Dialect, Origin, Reply, Timeouts},
        tls::{Connector, Security},
    },
};

/// The SMTP server in `[upstream]`. Must be called within a runtime.
pub(super) fn relay(config: &Config, random: &Arc<dyn Random>) -> Result<Relay> {
    let dialect = match &config.upstream {
        Some(Upstream::SmartHost { protocol: config::NextProtocol::Lmtp, .. }) => Dialect::Lmtp,
        _ => Dialect::Smtp,
    };
    let (name, timeouts) = (config.hostname.clone(), Timeouts::default());
    let caller = Caller { name, connector: Connector::new(), timeouts, dialect };
    match &config.upstream {
        None => Err(Error::new(Kind::Config, "upstream: no server for outgoing mail is configured")
            .with_hint("[upstream] smart-host = \"127.0.0.1:10026\"")),
        Some(Upstream::Mx) => Ok(Relay::direct(caller, MxResolver::of_system(Arc::clone(random))?)),
        Some(Upstream::SmartHost { server, security, account, xforward, .. }) => {
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
            let relay = if *xforward == Xforward::On { relay.sending_origin() } else { relay };
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

/// The program in `[sendmail]`, else the server in `[upstream]`. Must be called within a runtime.
pub(super) fn program_or_relay(config: &Config, random: &Arc<dyn Random>) -> Result<Box<dyn NextHop>> {
    match config.sendmail_program()? {
        Some(program) => Ok(Box::new(program.clone())),
        None if config.upstream.is_some() => Ok(Box::new(relay(config, random)?)),
        None => Err(Error::new(Kind::Config, "no next hop for mail is configured").with_hint(
            "[upstream] smart-host = \"127.0.0.1:25\", or [sendmail] program = \"/usr/sbin/sendmail.postfix\"",
        )),
    }
}

/// Has a mail sent by another process of the service, and waits for it.
type SentElsewhere = dyn Fn(&Mail) -> Result<()> + Send + Sync;

/// A next hop that another process of the service reaches.
pub(super) struct Elsewhere(pub(super) Arc<SentElsewhere>);

impl NextHop for Elsewhere {
    fn send_all<'a>(&'a self, mails: &'a [Mail], _: Option<&'a Origin>) -> Sending<'a, Vec<Result<Reply, SendError>>> {
        Box::pin(async move {
            let mut sent = Vec::new();
            for mail in mails {
                let (send, mail) = (Arc::clone(&self.0), mail.clone());
                let done = spawn_blocking(move || send(&mail)).await;
                let done = done.unwrap_or_else(|error| Err(Error::unavailable(error.to_string())));
                sent.push(done.map(|()| Reply::new(250, "2.0.0", "Ok")).map_err(SendError::Failed));
            }
            Ok(sent)
        })
    }
}

/// The next hop of messages that are released from the quarantine: the server in `[upstream]`, which is behind the rules, else the program in
/// `[sendmail]`.
///
/// # Errors
///
/// `Config`: neither is configured, or a password cannot be read.
pub fn release_next_hop(config: &Config, random: &Arc<dyn Random>) -> Result<Blocking> {
    Blocking::new(|| match config.upstream {
        Some(_) => Ok(Box::new(relay(config, random)?)),
        None => program_or_relay(config, random),
    })
}

/// The next hop of `postseal sendmail`: the program in `[sendmail]`, else the server in `[upstream]`.
///
/// # Errors
///
/// `Config`: neither is configured, or a password cannot be read.
pub fn sendmail_next_hop(config: &Config, random: &Arc<dyn Random>) -> Result<Blocking> {
    Blocking::new(|| program_or_relay(config, random))
}
