//! One run of `fetch`, and the loop of `watch`.

use std::{
    collections::BTreeSet,
    env,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use postseal::{
    base::{Error, Kind, Limits, Result, SystemRandom, hex},
    config,
    crypto::Hash,
    engine::Handler,
    mail::Address,
    mailbox::{
        MessageId,
        location::{self, Location},
        remote::{Access, Purpose, RemoteSource, Removal},
    },
    service,
    transport::SessionId,
};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::{
    state::State,
    target::Target,
    transfer::{Destination, Plan, Policy, Tally, Transfer},
};
use crate::cli::{log, servers::ServerOptions, session::Session, show};

/// What is to be done.
pub(super) struct Job {
    pub(super) from: Location,
    pub(super) to: Location,
    pub(super) destination: Destination,
    pub(super) removal: Option<Removal>,
    pub(super) purpose: Purpose,
    pub(super) config: Option<PathBuf>,
    pub(super) recipient: Option<Address>,
    pub(super) state: Option<PathBuf>,
    pub(super) servers: ServerOptions,
    pub(super) poll: Duration,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// To standard error, for a service manager.
    Standard,
    /// To the system log.
    System,
}

/// A run that is ready: all that does not change while it lasts.
pub(super) struct Start {
    job: Job,
    access: Access,
    limits: Limits,
    handler: Option<Arc<dyn Handler>>,
    id: SessionId,
    state: State,
    stop: Arc<AtomicBool>,
}

/// A connection with the mailbox, and the target.
struct Open {
    source: Box<dyn RemoteSource + Send>,
    target: Target,
    failed: BTreeSet<MessageId>,
    leaving: Vec<MessageId>,
}

impl Start {
    /// Reads the configuration and the state. Connects with no server.
    ///
    /// # Errors
    ///
    /// Those of the configuration, of the keys and of the state.
    pub(super) fn new(job: Job, session: &Session, log: Log) -> Result<Start> {
        let id = SessionId::new(&SystemRandom)?;
        let mut limits = session.limits().clone();
        let handler = match &job.config {
            None => None,
            Some(path) => {
                let config = config::load(path)?;
                match log {
                    Log::Standard => log::start(&config.log),
                    Log::System => log::start_for_message(&config.log),
                }
                let environment = session.configured(&config)?.environment()?;
                limits = config.bounds.message.clone();
                Some(service::measured_handler(&config, environment, Arc::default(), "fetch")?)
            }
        };
        let mut access = job.servers.access(&limits);
        access.timeouts.poll = job.poll;
        let (from, to) = (job.from.to_string(), job.to.to_string());
        let path = match &job.state {
            Some(path) => path.clone(),
            None => state_file(&from, &to)?,
        };
        let state = State::open(&path, &from, &to)?;
        let stop = Arc::new(AtomicBool::new(false));
        // The second SIGINT, which a user types, ends the process at once.
        let interrupt = signal_hook::flag::register_conditional_shutdown(SIGINT, 75, Arc::clone(&stop));
        let signals = interrupt.and_then(|_| {
            [SIGINT, SIGTERM]
                .into_iter()
                .try_for_each(|signal| signal_hook::flag::register(signal, Arc::clone(&stop)).map(drop))
        });
        signals.map_err(|error| Error::io("signals", &error))?;
        Ok(Start { job, access, limits, handler, id, state, stop })
    }

    /// One pass over the mailbox.
    ///
    /// # Errors
    ///
    /// A server or the target cannot be used. `TryAgain` or the error of a message, when some messages could not be fetched.
    pub(super) fn once(mut self) -> Result<ExitCode> {
        let _progress = show::progress::begin(&format!("fetching {}", self.job.from));
        let mut tally = Tally::default();
        let mut open = self.connect()?;
        let done = self.pass(&mut open, &mut tally);
        // What is done is done, whatever ended the run.
        let done = done.and_then(|()| open.source.finish()).and_then(|()| self.state.settle(&open.leaving));
        self.say(&tally);
        done?;
        match tally.error {
            Some(error) => Err(Error::new(
                error.kind(),
                format!("{} of the messages stay where they are; one of them: {error}", tally.failed),
            )),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Passes over the mailbox whenever something arrives, until a signal.
    ///
    /// # Errors
    ///
    /// The first connection failed for a reason that time does not change.
    pub(super) fn forever(mut self) -> Result<ExitCode> {
        let mut failures = 0_u32;
        let mut was_connected = false;
        while !self.is_stopped() {
            match self.watched(&mut failures, &mut was_connected) {
                Ok(()) => break,
                Err(error) if !was_connected && error.kind() != Kind::TryAgain => return Err(error),
                Err(error) if error.kind() == Kind::Damaged || error.kind() == Kind::Usage => return Err(error),
                Err(error) => {
                    let pause = Duration::from_secs(1 << failures.min(8)).min(MAX_PAUSE);
                    failures += 1;
                    show::warning(&format!("{error}; connecting again in {} s", pause.as_secs()));
                    self.pause(pause);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One connection of `watch`. Ends well by a signal only.
    fn watched(&mut self, failures: &mut u32, was_connected: &mut bool) -> Result<()> {
        let mut open = self.connect()?;
        *was_connected = true;
        let mut since = Instant::now();
        loop {
            let mut tally = Tally::default();
            let done = self.pass(&mut open, &mut tally);
            self.say(&tally);
            done?;
            *failures = 0;
            if self.is_stopped() {
                break;
            }
            let stop = Arc::clone(&self.stop);
            open.source.wait(&|| stop.load(Ordering::Relaxed))?;
            self.state.settle(&std::mem::take(&mut open.leaving))?;
            open.target.keep_alive()?;
            // Messages that failed are tried again with a new connection.
            if since.elapsed() > RETRY && !open.failed.is_empty() {
                open.source.finish()?;
                since = Instant::now();
                open = self.connect()?;
            }
        }
        open.source.finish()?;
        self.state.settle(&open.leaving)
    }

    fn connect(&self) -> Result<Open> {
        let source = location::connect(&self.job.from, &self.access, self.job.purpose)?;
        let source = source.ok_or_else(|| Error::usage(format!("{}: not a mailbox on a server", self.job.from)))?;
        let target = Target::open(&self.job.to, self.job.recipient.as_ref(), &self.access)?;
        Ok(Open { source, target, failed: BTreeSet::new(), leaving: Vec::new() })
    }

    fn pass(&mut self, open: &mut Open, tally: &mut Tally) -> Result<()> {
        let policy = self.handler.as_ref().zip(self.job.recipient.as_ref());
        let policy = policy.map(|(handler, recipient)| Policy { handler: &**handler, recipient, session: &self.id });
        let plan =
            Plan { policy, destination: self.job.destination, removal: self.job.removal.clone(), limits: &self.limits };
        let stop = Arc::clone(&self.stop);
        let stop = || stop.load(Ordering::Relaxed);
        let Open { source, target, failed, leaving } = open;
        let state = &mut self.state;
        Transfer { plan: &plan, source: &mut **source, target, state, tally, failed, leaving, stop: &stop }.run()
    }

    fn say(&self, tally: &Tally) {
        let Tally { fetched, left, failed, .. } = tally;
        if fetched + left + failed > 0 {
            show::aside(&format!("{}: {fetched} fetched, {left} left as they are, {failed} failed\n", self.job.from));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.is_stopped() && Instant::now() < end {
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The state of this source and target, for this user.
fn state_file(from: &str, to: &str) -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    let folder = folder
        .ok_or_else(|| Error::new(Kind::Config, "no place for the state is known").with_hint("give --state FILE"))?;
    let digest = hex(&Hash::Sha256.digest(format!("{from}\n{to}").as_bytes()));
    Ok(folder.join("postseal").join(format!("fetch-{}", &digest[..16])))
}

/// Between two attempts to connect, at most.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// How long a message that failed is left alone.
const RETRY: Duration = Duration::from_secs(3600);
