//! The judges of a service, from outside: each handles one mail at a time.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_bytes::ByteBuf;

use super::{
    acceptance::Acceptance,
    answers::{Answers, Told},
    bounds::Sizes,
    channel::{Channel, gone},
    foreseen,
    forms::{MailForm, OutcomeForm, PostingForm, undivided},
    orders::{Order, Said, Task},
    processes::{Ends, Process},
    questions::Question,
    setup::{Setup, VERSION},
};
use crate::{
    base::{Clock, Error, Kind, Limits, Result, Secret},
    crypto::Legacy,
    engine::{Handler, Outcome, Posting},
    keys::UseClient,
    mail::{Mail, Message, Submitter},
    policy::Policy,
    sandbox::Enforced,
};

/// What a [`Pool`] is made of.
pub struct PoolSettings {
    /// Starts a judge. What it writes to standard error is its log.
    pub start: Box<dyn Fn(Ends) -> io::Result<Process> + Send + Sync>,
    /// The configuration, by its place and texts.
    pub path: PathBuf,
    /// The texts that it was read from.
    pub texts: BTreeMap<PathBuf, String>,
    /// The tenant whose mail is handled; `None`: that of the rest.
    pub tenant: Option<String>,
    /// What marks copies as handled.
    pub marker: Secret,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// The rules: what a judge says is compared with whom they send mail to.
    pub policy: Policy,
    /// What one message may cost.
    pub limits: Limits,
    /// Recipients that one may have.
    pub recipients: usize,
    /// Judges that are kept when there is no work. Where it is one, none is kept before there was work.
    pub kept: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Called when a judge ended before its work was done.
    pub ended: Box<dyn Fn() + Send + Sync>,
    /// What the log has of the current connection and message.
    pub context: Box<dyn Fn() -> String + Send + Sync>,
}

/// A [`Handler`] whose mail is handled in other processes.
pub struct Pool {
    settings: PoolSettings,
    answers: Answers,
    idle: Mutex<Vec<Worker>>,
    enforced: Enforced,
}

/// A judge that waits for work.
struct Worker {
    process: Process,
    channel: Channel<UnixStream>,
    told: Told,
    handled: usize,
}

impl Pool {
    /// Starts the first judge.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub fn new(settings: PoolSettings, answers: Answers) -> Result<Pool> {
        let (worker, enforced) = Worker::start(&settings, &answers)?;
        let idle = if settings.kept > 1 { vec![worker] } else { Vec::new() };
        Ok(Pool { settings, answers, idle: Mutex::new(idle), enforced })
    }

    /// How much of what judges give up the kernel enforces.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// What a judge makes of one order, told what it is foreseen to ask. A judge that ends is replaced, and the work is to be tried again.
    fn work<T>(
        &self,
        acceptance: &Acceptance,
        client: UseClient,
        foreseen: Vec<Question>,
        order: impl FnOnce(Task) -> Order,
        read: impl FnOnce(Said) -> Option<Result<T>>,
    ) -> Result<T> {
        let mut worker = match self.waiting() {
            Some(worker) => worker,
            None => Worker::start(&self.settings, &self.answers)?.0,
        };
        let now = self.settings.clock.now();
        let memory = worker.told.next_message(client, now);
        let ahead = self.answers.foretold(foreseen, &mut worker.told, acceptance);
        let task = Task { now, context: (self.settings.context)(), memory, ahead };
        match worker.work(&order(task), &self.answers, acceptance) {
            Ok(said) => {
                let put_off = worker.told.put_off().map_or(Ok(()), Err);
                let Some(result) = read(said) else { return Err(self.ended(worker, &gone(&"it does other work"))) };
                // What it could not read may have been made to change it, and one that says what it may not was changed.
                let mut idle = self.idle();
                if result.is_ok() && worker.handled < MOST_HANDLED && idle.len() < self.settings.kept {
                    idle.push(worker);
                }
                put_off.and(result)
            }
            Err(error) => Err(self.ended(worker, &error)),
        }
    }

    /// A judge that waits for work. One that was ended meanwhile costs no message.
    fn waiting(&self) -> Option<Worker> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find_map(|mut worker| worker.is_running().then_some(worker))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a judge that did not do its work. The error is for this machine: the message may be tried again.
    fn ended(&self, mut worker: Worker, error: &Error) -> Error {
        let status = worker.end();
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::error!(event = "judge-ended", how, %error);
        (self.settings.ended)();
        Error::new(Kind::TryAgain, format!("the process that read the message ended ({how})"))
    }
}

impl Handler for Pool {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let came = mail.message.clone();
        let acceptance = Acceptance::of(&mail.envelope.recipients, &self.settings.policy);
        let (client, foreseen) = (client(&mail), foreseen::of_mail(&mail, &self.settings.policy));
        let form = MailForm::of(&mail);
        drop(mail);
        let limits = &self.settings.limits;
        let outcome = |form: Box<OutcomeForm>| acceptance.outcome(*form, &came, |list| self.answers.list(list), limits);
        self.work(
            &acceptance,
            client,
            foreseen,
            |task| Order::Handle { mail: form, task },
            |said| match said {
                Said::Handled(handled) => Some(handled.and_then(outcome)),
                _ => None,
            },
        )
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let form = PostingForm::of(posting);
        let acceptance = Acceptance::of_copies(posting, &numbers, &self.settings.policy);
        let mails = |forms: Vec<MailForm>| acceptance.copies(forms, &self.settings.limits);
        self.work(
            &acceptance,
            UseClient::Known(format!("list {}", posting.list.address)),
            Vec::new(),
            |task| Order::Copies { posting: form, numbers, task },
            |said| match said {
                Said::Copies(made) => Some(made.and_then(mails)),
                _ => None,
            },
        )
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        let form = MailForm::of(mail);
        let marked = self.work(
            &Acceptance::default(),
            client(mail),
            Vec::new(),
            |task| Order::Mark { mail: form, task },
            |said| match said {
                Said::Marked(marked) => Some(marked),
                _ => None,
            },
        );
        undivided(marked?, &self.settings.limits)
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        Message::undivided(octets, limits)
    }
}

impl Worker {
    fn start(settings: &PoolSettings, answers: &Answers) -> Result<(Worker, Enforced)> {
        let io = |error: io::Error| Error::unavailable(format!("a judge: {error}").to_lowercase());
        let (own, other) = UnixStream::pair().map_err(io)?;
        own.set_read_timeout(Some(SILENCE)).and_then(|()| own.set_write_timeout(Some(SILENCE))).map_err(io)?;
        let process = (settings.start)(Ends { input: OwnedFd::from(other), output: None }).map_err(io)?;
        let sizes = Sizes::of(&settings.limits, settings.recipients);
        let mut worker = Worker { process, channel: Channel::new(own).with(sizes), told: Told::default(), handled: 0 };
        let setup = Box::new(Setup {
            path: settings.path.clone(),
            texts: settings.texts.clone(),
            tenant: settings.tenant.clone(),
            legacy: settings.legacy,
            memory: memory(&settings.limits),
            sizes,
            marker: ByteBuf::from(settings.marker.expose().to_vec()),
            fetching: answers.fetching(),
        });
        let started = worker.channel.send(&Order::Start { version: VERSION.to_owned(), setup });
        let ready = started.and_then(|()| worker.channel.receive());
        match ready {
            Ok(Said::Ready(enforced)) => Ok((worker, enforced)),
            other => {
                let status = worker.end();
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                let why = other.err().unwrap_or_else(|| gone(&"it does not say that it is ready"));
                Err(Error::unavailable(format!("a judge does not start ({how}): {why}")))
            }
        }
    }

    /// Gives an order, answers the questions about it, and returns what comes of it.
    fn work(&mut self, order: &Order, answers: &Answers, acceptance: &Acceptance) -> Result<Said> {
        self.handled += 1;
        answers.attend(&mut self.channel, order, &mut self.told, acceptance)
    }

    fn is_running(&mut self) -> bool {
        matches!(self.process.ended(), Ok(None))
    }

    /// Ends the process, whatever it does.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.process.end()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The client that a mail came from. One that is unknown is told from others by its address: what it names itself by is free to choose.
fn client(mail: &Mail) -> UseClient {
    match &mail.submitter {
        Submitter::Authenticated(login) => UseClient::Known(format!("login {login}")),
        Submitter::Host => UseClient::Known("host".to_owned()),
        Submitter::Trusted => UseClient::Known("trusted".to_owned()),
        Submitter::Unknown => UseClient::stranger(mail.client),
    }
}

/// Octets of memory that a judge may take: the program, the memory of one password, and a message that grew as far as it may, a few times over.
fn memory(limits: &Limits) -> u64 {
    let grown = limits.message.saturating_mul(limits.expansion.saturating_add(1)).saturating_mul(4);
    u64::try_from(grown.saturating_add(limits.argon2_memory)).unwrap_or(u64::MAX).saturating_add(PROGRAM)
}

/// How long a judge may work without a question or a result. Source: below the ten minutes that a client waits for the reply to its message (RFC 5321,
/// section 4.5.3.2.6).
const SILENCE: Duration = Duration::from_secs(300);
/// Messages for which one judge is used.
const MOST_HANDLED: usize = 1_000;
/// Octets of a judge without a message.
const PROGRAM: u64 = 256 << 20;
