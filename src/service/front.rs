//! The process with the sockets: listeners, dialogues with clients, TLS, and the next hop. It holds no keys, and reads of a message the header alone.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    sync::mpsc,
    task::spawn_blocking,
};

use super::{
    back::{lists, sends_mail},
    judging::check_enforced,
    listeners::{Behind, ListenersBuilder},
    next_hop::{Elsewhere, program_or_relay},
    roles::Role,
};
use crate::{
    base::{Error, Kind, Random, Result, SystemClock, SystemRandom},
    config::{self, Auth, Config, Isolation, KeySource, Log, Texts, Tls, Upstream},
    isolation::{Family, Front, GivenSocket, HealthAnswer, HealthQuestion, Loaded, Remote, Report},
    report::{KeyFigures, Metrics, html::KeyEnd},
    sandbox::{Enforced, Sandbox},
    transport::{
        Endpoint, Health, Inherited, ListeningSocket, NextHop,
        serve::{self, Background, Event, Listeners, State},
    },
};

/// Serves the sockets of the service at the other end of `control` and `passing` until it says to stop, or is gone. `log` starts the log, and `context` is what
/// the log has of the current connection and message.
///
/// # Errors
///
/// `TryAgain`: the service says what it may not. What fails else is reported to the service.
pub fn front(
    control: File,
    passing: File,
    log: impl FnOnce(&Log),
    context: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Result<()> {
    let (front, loaded, sockets) = Front::start(control, passing)?;
    let link = front.link();
    let served = configuration(&loaded).and_then(|config| {
        log(&config.log);
        enter(&config, loaded.home.as_deref())?;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("threads", &error))?;
        runtime.block_on(serve(front, loaded, inherited(sockets), context))
    });
    if let Err(error) = served {
        link.tell(&Report::Failed(error));
    }
    Ok(())
}

/// Gives up everything that the sockets of `config` do not need.
fn enter(config: &Config, home: Option<&Path>) -> Result<()> {
    let mut others = of_keys(config);
    others.extend(home.map(|home| fs::canonicalize(home).unwrap_or_else(|_| home.to_path_buf())));
    let enforced = files(config, &others)?.enter()?;
    check_enforced(Role::Front, enforced, config.isolation)?;
    let held = config.quarantine.as_ref().map(|folder| fs::canonicalize(folder).unwrap_or_else(|_| folder.clone()));
    match held.filter(|folder| others.iter().any(|other| other.starts_with(folder))) {
        None => Ok(()),
        Some(folder) if config.isolation == Isolation::Required => {
            let what = format!("quarantine {}: the home, or a file of secrets, is below it", folder.display());
            Err(Error::new(Kind::Config, what)
                .with_hint("isolation = \"require\" takes a folder that holds messages alone"))
        }
        Some(_) => {
            tracing::warn!(
                event = "isolation-incomplete",
                process = Role::Front.name(),
                enforced = Enforced::Partly.name()
            );
            Ok(())
        }
    }
}

/// The files that the sockets of a configuration need. A file may be replaced by another one of its name: so its folder can be read, unless something of the
/// process with the keys is in it.
fn files(config: &Config, others: &[PathBuf]) -> Result<Sandbox> {
    let mut files = config::authorities_of_environment();
    let mut sandbox = Sandbox::serving();
    for listener in &config.listeners {
        if let Tls::Implicit(identity) | Tls::Starttls(identity) = &listener.tls {
            files.extend([identity.certificate.clone(), identity.key.clone()]);
        }
        if let Auth::Here(users) = &listener.auth {
            files.push(users.clone());
        }
        if let Endpoint::Unix(path) = &listener.endpoint {
            sandbox = path.parent().into_iter().fold(sandbox, Sandbox::makes_sockets);
        }
    }
    if let Some(Upstream::SmartHost { account: Some(account), .. }) = &config.upstream {
        files.push(account.password.path()?);
    }
    files.extend(config.notice.iter().map(|notice| notice.template.clone()));
    files.extend(config.templates.bounce.clone());
    for file in files {
        // What a link leads to is what is opened.
        for path in [fs::canonicalize(&file).ok(), Some(file)].into_iter().flatten() {
            let folder = path.parent().filter(|folder| !others.iter().any(|other| other.starts_with(folder)));
            sandbox = sandbox.reads(folder.map_or_else(|| path.clone(), Path::to_path_buf));
        }
    }
    Ok(config.quarantine.iter().fold(sandbox, Sandbox::writes))
}

/// What is of the process with the keys alone, of a configuration and of its tenants.
fn of_keys(config: &Config) -> Vec<PathBuf> {
    let tenants = config.tenants.iter().filter_map(|tenant| tenant.config().ok());
    let mut all = Vec::new();
    for config in std::iter::once(config).chain(tenants) {
        all.extend(config.keys.iter().map(|source| match source {
            KeySource::File(path) | KeySource::Home(path, _) => path.clone(),
        }));
        let secrets = [&config.passphrases, &config.marker, &config.directory_password].into_iter().flatten();
        let secrets = secrets.chain(config.tokens.iter().filter_map(|token| token.pin.as_ref()));
        let binding = config.acme.as_ref().and_then(|acme| acme.binding.as_ref()).map(|(_, key)| key);
        all.extend(secrets.chain(binding).filter_map(|secret| secret.path().ok()));
    }
    all.extend(config::credentials_directory().map(|folder| folder.join("any")));
    all.into_iter().map(|path| fs::canonicalize(&path).unwrap_or(path)).collect()
}

async fn serve(
    mut front: Front,
    loaded: Loaded,
    inherited: Vec<Inherited>,
    context: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Result<()> {
    let link = front.link();
    let next = Arc::new(Mutex::new(loaded));
    let (sender, events) = mpsc::channel(1);
    let told = Arc::clone(&next);
    let listening = thread::Builder::new().name("orders".to_owned()).spawn(move || {
        while let Some(loaded) = front.next_load() {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
            if sender.blocking_send(Event::Reload).is_err() {
                return;
            }
        }
        // One that ended by itself hears no more.
        let _ = sender.blocking_send(Event::Stop);
    });
    listening.map_err(|error| Error::io("threads", &error))?;
    let metrics = Arc::new(Metrics::default());
    let mut listeners = ListenersBuilder::new(Arc::clone(&metrics));
    let (counted, reports) = (Arc::clone(&metrics), link.clone());
    // The load that was tried last.
    let number = Arc::new(AtomicU64::new(0));
    let tried = Arc::clone(&number);
    let load = move || {
        let loaded = next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tried.store(loaded.number, Ordering::SeqCst);
        let config = configuration(&loaded)?;
        let limits = (config.bounds.message.clone(), config.bounds.recipients);
        let remote = link.remote(loaded.number, lists(&config), limits, Arc::clone(&counted), context.clone());
        let built = built(&mut listeners, &config, &remote);
        if loaded.number > 1 { built.map_err(late) } else { built }
    };
    let tell = move |state| match state {
        State::Ready => reports.tell(&Report::Serving(number.load(Ordering::SeqCst))),
        State::Unchanged => reports.tell(&Report::Kept(number.load(Ordering::SeqCst))),
        State::Reloading | State::Stopping => {}
    };
    serve::serve(load, &inherited, metrics, events, tell).await
}

/// The listeners of a configuration, whose mail `remote` handles.
fn built(listeners: &mut ListenersBuilder, config: &Config, remote: &Arc<Remote>) -> Result<Listeners> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let mut background = Vec::new();
    // What a program takes, the other process hands over.
    if sends_mail(config) && config.sendmail_program()?.is_none() {
        background.push(sending(remote, program_or_relay(config, &random)?.into())?);
    }
    let (behind, sender) = (Arc::clone(remote), Arc::clone(remote));
    listeners.build(
        config,
        Behind {
            handlers: Box::new(move |listener| behind.handler(listener)),
            health: Arc::new(RemoteHealth(Arc::clone(remote))),
            next_hop: Box::new(move |config, random| next_hop(config, random, &sender)),
            background,
            clock: Arc::new(SystemClock),
            random,
        },
    )
}

/// A file that came after the start may be one that cannot be read.
fn late(error: Error) -> Error {
    match error.to_string().contains("permission denied") {
        true => {
            error.with_hint("restart the service: the process with the sockets may not read this file since it started")
        }
        false => error,
    }
}

/// The program that takes mail, which the other process starts, else the server.
fn next_hop(config: &Config, random: &Arc<dyn Random>, remote: &Arc<Remote>) -> Result<Box<dyn NextHop>> {
    if config.sendmail_program()?.is_none() {
        return program_or_relay(config, random);
    }
    let remote = Arc::clone(remote);
    Ok(Box::new(Elsewhere(Arc::new(move |mail| remote.send(mail)))))
}

/// Sends the mails of the service itself.
fn sending(remote: &Remote, next_hop: Arc<dyn NextHop>) -> Result<Background> {
    let outgoing = remote.outgoing()?;
    let ending = outgoing.ending()?;
    Ok(Box::pin(async move {
        let _ended_with_this = ending;
        let runtime = Handle::current();
        let send = move |mail| runtime.block_on(next_hop.send(mail)).map_err(Error::from);
        // It ends with the connection.
        let _ = spawn_blocking(move || outgoing.work(send)).await;
    }))
}

fn configuration(loaded: &Loaded) -> Result<Config> {
    config::load_from(&loaded.path, &Texts::given(loaded.texts.clone()))
}

pub(super) fn inherited(sockets: Vec<GivenSocket>) -> Vec<Inherited> {
    let listener = |family, socket| match family {
        Family::Tcp => ListeningSocket::Tcp(TcpListener::from(socket)),
        Family::Unix => ListeningSocket::Unix(UnixListener::from(socket)),
    };
    let inherited =
        sockets.into_iter().map(|(name, family, socket)| Inherited { name, listener: listener(family, socket) });
    inherited.collect()
}

/// What the process with the keys says of them.
struct RemoteHealth(Arc<Remote>);

impl Health for RemoteHealth {
    fn ready(&self) -> Result<()> {
        match self.0.health(HealthQuestion::Ready)? {
            HealthAnswer::Ready(ready) => ready,
            _ => Ok(()),
        }
    }

    fn keys(&self) -> Option<KeyFigures> {
        match self.0.health(HealthQuestion::Keys) {
            Ok(HealthAnswer::Keys(keys)) => keys,
            _ => None,
        }
    }

    fn endings(&self) -> Vec<KeyEnd> {
        match self.0.health(HealthQuestion::Endings) {
            Ok(HealthAnswer::Endings(endings)) => endings,
            _ => Vec::new(),
        }
    }

    fn clock_skew(&self) -> Option<Duration> {
        match self.0.health(HealthQuestion::ClockSkew) {
            Ok(HealthAnswer::ClockSkew(skew)) => skew,
            _ => None,
        }
    }
}
