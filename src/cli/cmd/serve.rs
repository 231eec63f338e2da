//! `serve`: the listeners of the configuration file, until told to stop.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    env,
    io::{self, IsTerminal},
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use clap::{Args, ValueHint};
use listenfd::ListenFd;
use postseal::{
    base::{Error, Kind, Result, Secret},
    config::{self, Config, Copies, Level, ListenerKind, LogForm},
    engine::{Handler, Hook},
    report::Metrics,
    transport::{
        Door, Endpoint, Inherited, Listener, Measured, MemoryLimit, Monitor,
        milter::{self, Copying, Milter},
        serve::{self, Event, House, State},
    },
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
};
use tracing_subscriber::filter::LevelFilter;

use super::{
    sendmail::onward,
    upstream::{self, Shared},
};
use crate::cli::{notebook::Attentive, session::Session};

/// Serve. SIGHUP reads the configuration again; a bad one leaves the old in force. SIGTERM ends it when the mails under way are done.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(what: &Serve, session: &Session) -> Result<ExitCode> {
    let path = super::config::path(what.config.as_deref());
    // systemd's sockets are taken over before there is a second thread, because that changes the environment.
    let inherited = inherited()?;
    let config = config::load(&path)?;
    log(&config);
    allow_connections();
    let metrics = Arc::new(Metrics::default());
    // A password takes a core and 64 MiB for a while.
    let hashing = Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, NonZero::get)));
    let memory = MemoryLimit::new(config.bounds.memory, &config.bounds.message);
    let shared = Shared { memory, metrics: Arc::clone(&metrics), hashing };
    let mut builder = Builder { path: &path, session, shared, marker: None };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::io("threads", &error))?;
    runtime.block_on(async {
        let events = events().map_err(|error| Error::io("signals", &error))?;
        serve::serve(|| builder.house(), &inherited, metrics, events, tell).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Builds a house from the configuration, each time anew.
struct Builder<'a> {
    path: &'a Path,
    session: &'a Session,
    shared: Shared,
    /// The mark of copies under way outlives a reload.
    marker: Option<Secret>,
}

impl Builder<'_> {
    fn house(&mut self) -> Result<House> {
        let config = config::load(self.path)?;
        if !self.shared.memory.is_of(config.bounds.memory, &config.bounds.message) {
            self.shared.memory = MemoryLimit::new(config.bounds.memory, &config.bounds.message);
        }
        let session = self.session.configured(&config)?;
        let notebook = session.notebook()?;
        let mut setup = session.setup(&config)?;
        match (&config.marker, &self.marker) {
            (None, Some(marker)) => setup.marker = marker.clone(),
            _ => self.marker = Some(setup.marker.clone()),
        }
        let hook: Arc<dyn Handler> = Arc::new(Attentive::new(Hook::new(setup), notebook));
        let work = Arc::new(Semaphore::new(config.bounds.work));
        let mut doors: BTreeMap<Endpoint, Arc<dyn Door>> = BTreeMap::new();
        let listeners = config.listeners.iter().map(|listener| {
            let door = self.door(listener, &config, &hook, &work)?;
            Ok::<_, Error>((listener.endpoint.clone(), door))
        });
        let monitor: Arc<dyn Door> = Arc::new(Monitor::new(Arc::clone(&self.shared.metrics)));
        let monitor = config.metrics.map(|address| Ok((Endpoint::Tcp(address), monitor)));
        for listener in listeners.chain(monitor) {
            let (endpoint, door) = listener?;
            match doors.entry(endpoint) {
                Entry::Vacant(vacant) => drop(vacant.insert(door)),
                Entry::Occupied(taken) => {
                    return Err(Error::new(Kind::Config, format!("{}: two listeners at one address", taken.key())));
                }
            }
        }
        if doors.is_empty() {
            return Err(Error::new(Kind::Config, format!("{}: nothing to listen on", self.path.display()))
                .with_hint("[[listener]] kind = \"milter\" address = \"127.0.0.1:8891\""));
        }
        Ok(House { doors, connections: config.bounds.connections, drain: serve::DRAIN })
    }

    fn door(
        &self,
        listener: &config::Listener,
        config: &Config,
        hook: &Arc<dyn Handler>,
        work: &Arc<Semaphore>,
    ) -> Result<Arc<dyn Door>> {
        let measured = |door| Arc::new(Measured::new(Arc::clone(hook), Arc::clone(&self.shared.metrics), door));
        match listener.kind {
            ListenerKind::Milter => {
                let copying = match listener.copies {
                    Copies::Submit if config.sendmail.is_none() => Copying::Submit(Arc::new(upstream::relay(config)?)),
                    Copies::Submit => Copying::Submit(Arc::new(milter::Blocking(onward(config)?.into()))),
                    Copies::Tempfail => Copying::Tempfail,
                };
                let settings = milter::Settings {
                    trusted: config.trusted.clone(),
                    limits: config.bounds.message.clone(),
                    recipients: config.bounds.recipients,
                    memory: self.shared.memory.clone(),
                    copying,
                    progress: milter::PROGRESS,
                    idle: milter::IDLE,
                };
                Ok(Arc::new(Milter::new(measured("milter"), Arc::clone(work), settings)))
            }
            ListenerKind::Lmtp => upstream::door(listener, config, measured("lmtp"), work, &self.shared),
            ListenerKind::Submission => upstream::door(listener, config, measured("submission"), work, &self.shared),
        }
    }
}

/// As many file descriptors as the system lets us have: most give a process 1,024 unless it asks, and every connection is one.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    // Without them, some wait at the door.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Events on standard error, where systemd's journal adds the time itself. A failure here only means that somebody else logs already.
fn log(config: &Config) {
    let level = match config.log.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Error => LevelFilter::ERROR,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    let builder = builder.with_ansi(io::stderr().is_terminal());
    let is_journal = env::var_os("JOURNAL_STREAM").is_some();
    let _ = match (config.log.form, is_journal) {
        (LogForm::Json, _) => builder.json().flatten_event(true).try_init(),
        (LogForm::Text, true) => builder.without_time().try_init(),
        (LogForm::Text, false) => builder.try_init(),
    };
}

/// SIGHUP, SIGTERM and SIGINT, as long as somebody listens.
fn events() -> io::Result<mpsc::Receiver<Event>> {
    let (tell, told) = mpsc::channel(1);
    let signals = [
        (SignalKind::hangup(), Event::Reload),
        (SignalKind::terminate(), Event::Stop),
        (SignalKind::interrupt(), Event::Stop),
    ];
    for (kind, event) in signals {
        let (mut signals, tell) = (signal(kind)?, tell.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if tell.send(event).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(told)
}

/// Tells systemd, if it started us (sd_notify(3)); RELOADING needs the monotonic time with it.
fn tell(state: State) {
    let told = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        State::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "systemd was not told");
    }
}

/// The sockets that systemd opened for us (sd_listen_fds(3)).
fn inherited() -> Result<Vec<Inherited>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut inherited = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let listener = match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => Listener::Tcp(listener),
            _ => match passed.take_unix_listener(index) {
                Ok(Some(listener)) => Listener::Unix(listener),
                _ => {
                    return Err(Error::new(
                        Kind::Config,
                        format!("socket {name:?} of systemd: not a stream that listens"),
                    ));
                }
            },
        };
        inherited.push(Inherited { name, listener });
    }
    Ok(inherited)
}
