//! The process with the sockets, from outside: how it is started, and what answers it.

use std::{
    collections::BTreeMap,
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_bytes::ByteBuf;

use super::{
    bounds::Sizes,
    channel::{Channel, gone},
    forms::{MailForm, OutcomeForm, PostingForm, named, undivided},
    passing,
    posted::Posted,
    requests::{Family, HealthAnswer, HealthQuestion, Loaded, Order, Purpose, Report, Request, Response, Said},
    setup::VERSION,
};
use crate::{
    base::{Error, Limits, Result},
    engine::{Handler, Outcome},
    mail::Mail,
    policy::Lists,
    report::PassedCounts,
};

/// What answers the front about one configuration.
pub struct Backend {
    /// What handles the mail of each listener.
    pub handlers: BTreeMap<&'static str, Arc<dyn Handler>>,
    /// The lists of the configuration, and of its tenants.
    pub lists: Vec<Lists>,
    /// What one message may cost.
    pub limits: Limits,
    /// Recipients that one may have.
    pub recipients: usize,
    /// Answers what is asked about the keys.
    pub health: Box<dyn Fn(HealthQuestion) -> HealthAnswer + Send + Sync>,
    /// What is counted here, on its way to the front.
    pub counts: Arc<PassedCounts>,
    /// Is told what the log has of the message that this thread handles from now on.
    pub context: Arc<dyn Fn(String) + Send + Sync>,
    /// Hands a mail over to the program that takes mail, if there is one.
    pub program: Option<HandOver>,
    /// The front, as far as it sends mails of the service itself.
    pub mailer: Arc<Mailer>,
    /// The posts that the front was told of.
    pub posted: PostedMail,
}

/// The posts that a front was told of, for [`Backend`]. By default none.
#[derive(Debug, Default)]
pub struct PostedMail(Posted);

/// Hands a mail over.
pub type HandOver = Box<dyn Fn(&Mail) -> Result<()> + Send + Sync>;

impl Backend {
    fn handler(&self, listener: &str) -> Result<&dyn Handler> {
        self.handlers.get(listener).map(|handler| &**handler).ok_or_else(|| Error::usage("no such listener"))
    }

    /// This thread works for what the log has so. A line ends where this process ends it.
    fn enter(&self, mut context: String) {
        context.retain(|character| !character.is_control());
        (self.context)(context);
    }

    /// The front asks for the copies of these posts from now on.
    pub(super) fn tell(&self, outcome: &Outcome) {
        outcome.postings.iter().for_each(|posting| self.posted.0.note(&PostingForm::of(posting)));
    }

    pub(super) fn answer(&self, request: Request) -> Said {
        let read = |octets: ByteBuf| undivided(octets, &self.limits);
        match request {
            Request::Copies { listener, posting, numbers, context } => {
                self.enter(context);
                let made = named(&self.lists, posting.list()).and_then(|list| {
                    self.posted.0.check(&posting)?;
                    let posting = posting.posting(list, read)?;
                    self.handler(&listener)?.copies(&posting, numbers)
                });
                Said::Copies(made.map(|mails| mails.iter().map(MailForm::of).collect()))
            }
            Request::Handle { listener, mail, context } => {
                self.enter(context);
                let handled = mail.mail(read).and_then(|mail| {
                    let came = mail.message.clone();
                    let outcome = self.handler(&listener)?.handle(mail)?;
                    self.tell(&outcome);
                    Ok(Box::new(OutcomeForm::of(&outcome, &came)))
                });
                Said::Handled(handled)
            }
            Request::Health(question) => Said::Health((self.health)(question)),
            Request::Mark { listener, mail, context } => {
                self.enter(context);
                let marked = mail.mail(read).and_then(|mail| self.handler(&listener)?.mark(&mail));
                Said::Marked(marked.map(|message| ByteBuf::from(message.into_octets())))
            }
            Request::Send { mail, context } => {
                self.enter(context);
                let program = self.program.as_ref().ok_or_else(|| Error::usage("no program takes mail"));
                Said::Sent(program.and_then(|program| program(&mail.mail(read)?)))
            }
        }
    }
}

/// Has mails sent by the front.
#[derive(Default)]
pub struct Mailer {
    channel: Mutex<Option<Channel<UnixStream>>>,
    /// Notified of a connection.
    opened: Condvar,
}

impl Mailer {
    /// Sends one, and waits until the next hop has it.
    ///
    /// # Errors
    ///
    /// `TryAgain`: there is no front now. Others: what the next hop says.
    pub fn send(&self, mail: &Mail) -> Result<()> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        // A front that was just started, or started again, opens it soon.
        let waited = self.opened.wait_timeout_while(channel, PATIENCE, |channel| channel.is_none());
        let (mut channel, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(open) = channel.as_mut() else { return Err(gone(&"it is not there")) };
        let sent = open.send(&MailForm::of(mail)).and_then(|()| open.receive::<Result<()>>());
        sent.unwrap_or_else(|error| {
            *channel = None;
            Err(error)
        })
    }

    fn open(&self, channel: Channel<UnixStream>) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
        self.opened.notify_one();
    }
}

/// The configurations of which the front may have connections.
#[derive(Clone, Default)]
pub struct Backends {
    by_number: Arc<Mutex<BTreeMap<u64, Arc<Backend>>>>,
    connections: Arc<AtomicUsize>,
}

impl Backends {
    /// Answers about the load with this number from now on.
    pub fn add(&self, number: u64, backend: Backend) {
        self.lock().insert(number, Arc::new(backend));
    }

    /// Answers no more about it. Its connections end.
    pub fn remove(&self, number: u64) {
        drop(self.lock().remove(&number));
    }

    /// Answers about this load alone: the front that had connections of others is gone.
    pub fn keep(&self, number: u64) {
        self.lock().retain(|other, _| *other == number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Backend>>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, number: u64) -> Result<Arc<Backend>> {
        self.lock().get(&number).cloned().ok_or_else(|| gone(&"it names a configuration that is not in force"))
    }

    /// Answers on one connection, until it ends. `end` ends a front that says what it may not.
    fn serve(&self, connection: OwnedFd, end: &dyn Fn()) -> Result<()> {
        let mut channel = Channel::new(UnixStream::from(connection));
        let Some(purpose) = channel.receive_next().inspect_err(|_| end())? else { return Ok(()) };
        let (Purpose::Outgoing(number) | Purpose::Requests(number)) = purpose;
        let backend = self.get(number)?;
        let mut channel = channel.with(Sizes::of(&backend.limits, backend.recipients));
        if matches!(purpose, Purpose::Outgoing(_)) {
            backend.mailer.open(channel);
            return Ok(());
        }
        while let Some(request) = channel.receive_next().inspect_err(|_| end())? {
            let response = Response { said: backend.answer(request), counts: backend.counts.next_counts() };
            match channel.send(&response) {
                // Another time it would be as long.
                Err(error) if error.is_over_budget() => {
                    channel.send(&Response { said: response.said.refused(error), ..response })?;
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    /// Takes connections, until the front is gone. `end` ends it.
    fn take(&self, passing: &UnixStream, end: &Arc<dyn Fn() + Send + Sync>) {
        while let Ok(Some(connection)) = passing::take(passing) {
            if self.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                tracing::error!(event = "front-failed", error = "too many connections");
                continue;
            }
            let (backends, end) = (self.clone(), Arc::clone(end));
            let started = thread::Builder::new().name("front".to_owned()).spawn(move || {
                if let Err(error) = backends.serve(connection, &*end) {
                    tracing::error!(event = "front-failed", %error);
                }
                backends.connections.fetch_sub(1, Ordering::SeqCst);
            });
            if let Err(error) = started {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                tracing::error!(event = "front-failed", %error);
            }
        }
    }
}

/// A front that runs.
pub struct FrontProcess {
    orders: Channel<UnixStream>,
    child: Arc<Mutex<Child>>,
}

/// A listening socket for the front.
pub type PassedSocket<'a> = (String, Family, BorrowedFd<'a>);

/// What is heard of a front.
pub enum Heard {
    /// It ended.
    Ended(io::Result<ExitStatus>),
    /// What it reports.
    Report(Report),
}

impl FrontProcess {
    /// Starts one with a configuration. `hear` is told what is heard of it, by another thread.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub fn start(
        mut command: Command,
        loaded: Loaded,
        sockets: &[PassedSocket<'_>],
        backends: &Backends,
        hear: impl Fn(Heard) + Send + 'static,
    ) -> Result<FrontProcess> {
        let io = |error: io::Error| Error::unavailable(format!("the front: {error}").to_lowercase());
        let (control, its_control) = UnixStream::pair().map_err(io)?;
        let (passing, its_passing) = UnixStream::pair().map_err(io)?;
        let child = command.stdin(OwnedFd::from(its_control)).stdout(OwnedFd::from(its_passing)).spawn().map_err(io)?;
        // The command holds the other ends of the connections.
        drop(command);
        let child = Arc::new(Mutex::new(child));
        let mut reports = Channel::new(control.try_clone().map_err(io)?);
        let mut front = FrontProcess { orders: Channel::new(control), child: Arc::clone(&child) };
        let names = sockets.iter().map(|(name, family, _)| (name.clone(), *family)).collect();
        let start = Order::Start { version: VERSION.to_owned(), loaded, sockets: names };
        // A front that ends at once says so below.
        let _ = front.orders.send(&start);
        sockets.iter().try_for_each(|(_, _, socket)| passing::pass(&passing, socket)).map_err(io)?;
        let backends = backends.clone();
        let faulty = Arc::clone(&child);
        let end: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            // Where it cannot be locked, its end is waited for.
            let _ = faulty.try_lock().map(|mut child| child.kill());
        });
        let ends = Arc::clone(&end);
        thread::Builder::new()
            .name("connections".to_owned())
            .spawn(move || backends.take(&passing, &ends))
            .map_err(io)?;
        let hearing = move || {
            while let Some(report) = reports.receive_next().unwrap_or_else(|error| {
                tracing::error!(event = "front-failed", %error);
                end();
                None
            }) {
                hear(Heard::Report(report));
            }
            hear(Heard::Ended(child.lock().unwrap_or_else(PoisonError::into_inner).wait()));
        };
        thread::Builder::new().name("reports".to_owned()).spawn(hearing).map_err(io)?;
        Ok(front)
    }

    /// Tells it to take another configuration.
    pub fn load(&mut self, loaded: Loaded) {
        // One that is gone is heard of.
        let _ = self.orders.send(&Order::Load(loaded));
    }

    /// Tells it to stop.
    pub fn stop(&mut self) {
        let _ = self.orders.send(&Order::Stop);
    }
}

impl Drop for FrontProcess {
    fn drop(&mut self) {
        let _ = self.orders.stream().shutdown(std::net::Shutdown::Both);
        // Where it did not end by itself.
        if let Ok(mut child) = self.child.try_lock() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How long a mail of the service waits for a front.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of the front at once. Source: one for each message that is handled, of which there are as many as processors, and a few for the monitor.
const MOST_CONNECTIONS: usize = 4_096;
