//! `serve`: the listeners of the configuration file, until told to stop.

use std::{env, fs::File, os::fd::AsFd, path::PathBuf, process::ExitCode};

use clap::{Args, ValueHint};
use listenfd::ListenFd;
use postseal::{
    base::{Error, Kind, Result},
    config,
    service::Service,
    transport::{Inherited, ListeningSocket, serve::State},
};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};
use sd_notify::NotifyState;

use crate::cli::{log, programs, session::Session};

/// Serve. SIGHUP loads the configuration again; one with an error leaves the current one in force. SIGTERM stops the service after the mails
/// in progress.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(what: &Serve, session: Session) -> Result<ExitCode> {
    let path = super::config::path(what.config.as_deref());
    // Before there is a second thread, because taking systemd's sockets changes the environment.
    let inherited = inherited()?;
    log::start(&config::load(&path)?.log);
    raise_descriptor_limit();
    hide_memory();
    service(path, session).with_sockets(inherited).with_supervisor(notify).run()?;
    Ok(ExitCode::SUCCESS)
}

/// Serves as the process with the keys of another one that runs the verb.
pub(crate) fn keys(what: &Serve, session: Session, control: File, passing: File) -> Result<()> {
    // Later this process starts no program that prints them.
    let read = session.given_passphrases().map(drop);
    service(super::config::path(what.config.as_deref()), session).keys(control, passing, |log| {
        log::start(log);
        read
    })
}

fn service(path: PathBuf, session: Session) -> Service {
    Service::new(path)
        .with_home(session.named_home())
        .with_environment(move |config, asking| {
            let access = asking.access(config)?;
            session.configured(config)?.asking(access).environment()
        })
        .with_roles(programs::programs())
}

/// Raises the limit on file descriptors as far as the system allows. Most systems start a process with 1,024, and every connection is one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Without it, connections wait to be accepted.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Keeps keys out of core files, and out of reach of other processes of the same user.
fn hide_memory() {
    // Where the system refuses it, the unit of systemd says the same of core files.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Tells systemd the state, if it started this process (sd_notify(3)). RELOADING needs the monotonic time.
fn notify(state: State) {
    let done = match state {
        State::Ready | State::Unchanged => sd_notify::notify(&[NotifyState::Ready]),
        State::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
    };
    if let Err(error) = done {
        tracing::warn!(event = "supervisor-not-notified", %error);
    }
}

/// The same socket, which no program that this one starts has.
fn kept<S: AsFd>(socket: S) -> Result<S> {
    let set = fcntl_setfd(&socket, FdFlags::CLOEXEC);
    set.map_err(|error| Error::unavailable(format!("a socket of systemd: {error}").to_lowercase()))?;
    Ok(socket)
}

/// The sockets that systemd opened (sd_listen_fds(3)).
fn inherited() -> Result<Vec<Inherited>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut inherited = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let listener = match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => ListeningSocket::Tcp(kept(listener)?),
            _ => match passed.take_unix_listener(index) {
                Ok(Some(listener)) => ListeningSocket::Unix(kept(listener)?),
                _ => {
                    return Err(Error::new(
                        Kind::Config,
                        format!("socket {name:?} of systemd: not a listening stream socket"),
                    ));
                }
            },
        };
        inherited.push(Inherited { name, listener });
    }
    Ok(inherited)
}
