//! One process that asks the network, from outside, and the questions that it has not answered.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::ExitStatus,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    asked::{Asked, Call, Found, Reply},
    channel::{Channel, gone},
    processes::{Ends, Process},
    setup::VERSION,
};
use crate::{
    base::{Error, Result},
    discover::{NetworkSettings, http::Failure},
    sandbox::Enforced,
};

/// Is called when a process ended that was still needed.
pub(super) type Ended = Arc<dyn Fn() + Send + Sync>;

/// A running process.
pub(super) struct Link {
    sending: Mutex<Sending>,
    shared: Arc<Shared>,
    enforced: Enforced,
    /// It connects to these ports by TCP; `None`: to all.
    ports: Option<BTreeSet<u16>>,
    since: Instant,
}

struct Sending {
    channel: Channel<UnixStream>,
    /// The settings that it knows.
    told: HashSet<u64>,
}

/// What the thread that reads its answers knows too.
struct Shared {
    state: Mutex<State>,
    /// A question was answered, so that there is room for others.
    freed: Condvar,
    stream: UnixStream,
    ended: Ended,
}

struct State {
    process: Process,
    waiting: HashMap<u64, Waiting>,
    /// How many questions it was asked: the number of the next one.
    asked: u64,
    /// Octets that the answers to come may have.
    octets: usize,
    /// How it ended.
    over: Option<String>,
}

/// A question that is not answered.
struct Waiting {
    /// Who waits; `None`: nobody any more.
    to: Option<SyncSender<std::result::Result<Found, Failure>>>,
    octets: usize,
    deadline: Instant,
}

impl Link {
    /// Starts a process, which connects to these ports by TCP; `None`: to all.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub(super) fn start(
        start: impl FnOnce(Ends) -> io::Result<Process>,
        ports: Option<BTreeSet<u16>>,
        ended: Ended,
    ) -> Result<Link> {
        let io = |error: io::Error| Error::unavailable(format!("the process for the network: {error}").to_lowercase());
        let (own, other) = UnixStream::pair().map_err(io)?;
        own.set_read_timeout(Some(STARTING)).and_then(|()| own.set_write_timeout(Some(STUCK))).map_err(io)?;
        let mut process = start(Ends { input: OwnedFd::from(other), output: None }).map_err(io)?;
        let started = (|| {
            let mut reading = Channel::new(own.try_clone().map_err(io)?);
            let mut channel = Channel::new(own.try_clone().map_err(io)?);
            channel.send(&Call::Start { version: VERSION.to_owned(), ports: ports.clone() })?;
            let Reply::Ready(enforced) = reading.receive()? else {
                return Err(gone(&"it does not say that it is ready"));
            };
            own.set_read_timeout(None).map_err(io)?;
            Ok((reading, channel, enforced))
        })();
        let (reading, channel, enforced) = match started {
            Ok(started) => started,
            Err(error) => {
                let how = how_ended(process.end());
                return Err(Error::unavailable(format!("the process for the network does not start ({how}): {error}")));
            }
        };
        let state = State { process, waiting: HashMap::new(), asked: 0, octets: 0, over: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), freed: Condvar::new(), stream: own, ended });
        let read = Arc::clone(&shared);
        let sending = Mutex::new(Sending { channel, told: HashSet::new() });
        // From here on, what is dropped ends the process.
        let link = Link { sending, shared, enforced, ports, since: Instant::now() };
        let reader = thread::Builder::new().name("network".to_owned()).spawn(move || read.read(reading));
        reader.map_err(io)?;
        Ok(link)
    }

    /// How much of what it gave up the kernel enforces.
    pub(super) fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Whether servers at these ports may be asked.
    pub(super) fn reaches(&self, ports: Option<&BTreeSet<u16>>) -> bool {
        match (&self.ports, ports) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(ports)) => ports.is_subset(own),
        }
    }

    /// Whether it may be asked: it runs, answers, and was not asked for too long.
    pub(super) fn is_usable(&self) -> bool {
        let now = Instant::now();
        let mut state = self.shared.state();
        if state.over.is_some() || state.asked >= MOST_ASKED || self.since.elapsed() >= LONGEST {
            return false;
        }
        let fault = match state.process.ended() {
            Ok(None) if state.waiting.values().any(|one| one.deadline + STUCK < now) => "it does not answer",
            Ok(None) => return true,
            _ => "it is gone",
        };
        drop(state);
        self.end(&fault);
        false
    }

    /// The answer to a question, by these settings with this number. It has `most` octets.
    ///
    /// # Errors
    ///
    /// [`Failure`]: that of the look-up, or the process ended.
    pub(super) fn ask(
        &self,
        (settings_number, settings): (u64, &NetworkSettings),
        question: Asked,
        most: usize,
        deadline: Instant,
    ) -> std::result::Result<Found, Failure> {
        let (to, answer) = sync_channel(1);
        let number = self.shared.admit(to, most.max(LEAST), deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let sent = {
            let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = sending.told.insert(settings_number);
            let told = if is_new {
                let settings = Box::new(settings.clone());
                sending.channel.send(&Call::Settings { number: settings_number, settings })
            } else {
                Ok(())
            };
            told.and_then(|()| sending.channel.send(&Call::Ask { number, settings: settings_number, question, left }))
        };
        if let Err(error) = sent {
            self.shared.end(&error);
        }
        match answer.recv_timeout(left + GRACE) {
            Ok(answer) => bounded(answer, most).unwrap_or_else(|| Err(self.end(&"it says more than it may"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.shared.failure()),
            Err(RecvTimeoutError::Timeout) => {
                // Its answer is still counted, and nobody waits for it.
                if let Some(waiting) = self.shared.state().waiting.get_mut(&number) {
                    waiting.to = None;
                }
                Err(late())
            }
        }
    }

    /// Nothing more is asked by these settings.
    pub(super) fn forget(&self, settings: u64) {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        if sending.told.remove(&settings) {
            // Where it is gone, it knows nothing.
            let _ = sending.channel.send(&Call::Forget(settings));
        }
    }

    /// Ends a process that says what it may not, or nothing.
    pub(super) fn end(&self, why: &dyn std::fmt::Display) -> Failure {
        self.shared.end(&gone(why));
        self.shared.failure()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.over.is_none() {
            state.over = Some("it is needed no more".to_owned());
            let _ = state.process.end();
        }
        drop(state);
        let _ = self.shared.stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a question whose answer may have so many octets, as soon as there is room for them.
    fn admit(
        &self,
        to: SyncSender<std::result::Result<Found, Failure>>,
        octets: usize,
        deadline: Instant,
    ) -> std::result::Result<u64, Failure> {
        let mut state = self.state();
        while state.over.is_none() && state.octets > 0 && state.octets.saturating_add(octets) > MOST_AT_ONCE {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.over.is_some() {
            drop(state);
            return Err(self.failure());
        }
        let number = state.asked;
        state.asked += 1;
        state.octets += octets;
        state.waiting.insert(number, Waiting { to: Some(to), octets, deadline });
        Ok(number)
    }

    /// Gives out the answers until the process ends.
    fn read(&self, mut channel: Channel<UnixStream>) {
        loop {
            let (number, answer) = match channel.receive() {
                Ok(Reply::Answer { number, answer }) => (number, answer),
                Ok(Reply::Ready(_)) => return self.end(&gone(&"it is ready twice")),
                Err(error) => return self.end(&error),
            };
            let mut state = self.state();
            let Some(waiting) = state.waiting.remove(&number) else {
                drop(state);
                return self.end(&gone(&"it answers what was not asked"));
            };
            state.octets = state.octets.saturating_sub(waiting.octets);
            drop(state);
            self.freed.notify_all();
            if let Some(to) = waiting.to {
                let _ = to.send(answer);
            }
        }
    }

    /// The process ended, or has to. Those who wait for its answers learn it.
    fn end(&self, error: &Error) {
        let mut state = self.state();
        if state.over.is_some() {
            return;
        }
        let how = how_ended(state.process.end());
        state.over = Some(how.clone());
        drop(state);
        let _ = self.stream.shutdown(Shutdown::Both);
        tracing::error!(event = "network-ended", how, %error);
        (self.ended)();
        self.state().waiting.clear();
        self.freed.notify_all();
    }

    /// Why there is no answer.
    fn failure(&self) -> Failure {
        let how = self.state().over.clone().unwrap_or_default();
        Failure::Failed(format!("the process that asks the network ended ({how})"))
    }
}

fn how_ended(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// An answer of a process that may have been changed; `None`: it has more than `most` octets.
pub(super) fn bounded(
    answer: std::result::Result<Found, Failure>,
    most: usize,
) -> Option<std::result::Result<Found, Failure>> {
    match answer {
        Ok(found) if found.octets() > most => None,
        Ok(found) => Some(Ok(found)),
        Err(failure) => Some(Err(plain(failure))),
    }
}

/// A reason of a process that may have been changed: one line, not too long.
fn plain(failure: Failure) -> Failure {
    let line = |why: String| {
        let shown = why.chars().take(MAX_REASON);
        shown.map(|one| if one.is_control() { ' ' } else { one }).collect()
    };
    match failure {
        Failure::Unfit(why) => Failure::Unfit(line(why)),
        Failure::Failed(why) => Failure::Failed(line(why)),
        Failure::NoHost | Failure::NotFound => failure,
    }
}

fn late() -> Failure {
    Failure::Failed("no answer in time".to_owned())
}

/// How long one may take to start. Source: a machine that starts hundreds of processes at once.
const STARTING: Duration = Duration::from_secs(30);
/// How long after a deadline an answer is waited for, because it says more than that the time is over.
const GRACE: Duration = Duration::from_millis(250);
/// How long after a deadline a process that has not answered is one that never will.
const STUCK: Duration = Duration::from_secs(10);
/// Questions to one process, and its age. Source: as many as messages of a judge; a process that was changed does not stay for ever.
const MOST_ASKED: u64 = 1_000;
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Octets of all answers that are on their way. Source: the largest CRL 16 times, or 256 look-ups of keys at once.
const MOST_AT_ONCE: usize = 256 << 20;
/// Octets that each question counts for at least: the memory of its thread and its buffers.
const LEAST: usize = 1 << 20;
/// Characters of a reason.
const MAX_REASON: usize = 1_000;
