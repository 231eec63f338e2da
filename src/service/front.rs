//! The process with the sockets: listeners, dialogues with clients, TLS, and the next hop. It holds no keys, and reads of a message the header alone.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::net::UnixListener,
    sync::{Arc, Mutex, PoisonError},
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
    listeners::{Behind, ListenersBuilder},
    next_hop::program_or_relay,
};
use crate::{
    base::{Error, Random, Result, SystemClock, SystemRandom},
    config::{self, Config, Log, Texts},
    isolation::{Family, Front, GivenSocket, HealthAnswer, HealthQuestion, Loaded, Remote, Report},
    report::{KeyFigures, Metrics, html::KeyEnd},
    transport::{
        Health, Inherited, ListeningSocket, NextHop,
        serve::{self, Background, Event, Listeners, State},
    },
};

/// Serves the sockets of the service at the other end of `control` and `passing` until it says to stop, or is gone. `log` starts the log, and `context` is what
/// the log has of the current connection and message.
///
/// # Errors
///
/// `TryAgain`: the service says what it may not. Others: the listeners cannot be opened.
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
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("threads", &error))?;
        runtime.block_on(serve(front, loaded, inherited(sockets), context))
    });
    if let Err(error) = &served {
        link.tell(&Report::Failed(error.clone()));
    }
    served
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
        while let Some(loaded) = front.next() {
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
    let load = move || {
        let loaded = next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = configuration(&loaded)?;
        let limits = config.bounds.message.clone();
        let remote = link.remote(loaded.number, lists(&config), limits, Arc::clone(&counted), context.clone());
        built(&mut listeners, &config, &remote)
    };
    let tell = move |state| match state {
        State::Ready => reports.tell(&Report::Serving),
        State::Unchanged => reports.tell(&Report::Kept),
        State::Reloading | State::Stopping => {}
    };
    serve::serve(load, &inherited, metrics, events, tell).await
}

/// The listeners of a configuration, whose mail `remote` handles.
fn built(listeners: &mut ListenersBuilder, config: &Config, remote: &Arc<Remote>) -> Result<Listeners> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let mut background = Vec::new();
    if sends_mail(config) {
        background.push(sending(remote, program_or_relay(config, &random)?.into())?);
    }
    let behind = Arc::clone(remote);
    listeners.build(
        config,
        Behind {
            handlers: Box::new(move |listener| behind.handler(listener)),
            health: Arc::new(RemoteHealth(Arc::clone(remote))),
            background,
            clock: Arc::new(SystemClock),
            random,
        },
    )
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

fn inherited(sockets: Vec<GivenSocket>) -> Vec<Inherited> {
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
