//! The process with the sockets, from outside: how it is started, and what answers it.

use std::{
    collections::BTreeMap,
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitStatus,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_bytes::ByteBuf;

use super::{
    channel::{Channel, gone},
    forms::{MailForm, OutcomeForm, named, undivided},
    passing,
    processes::{Ends, Process},
    requests::{Family, HealthAnswer, HealthQuestion, Loaded, Order, Purpose, Report, Request, Response, Said},
    setup::VERSION,
};
use crate::{
    base::{Error, Limits, Result},
    engine::Handler,
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
}

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

    fn answer(&self, request: Request) -> Said {
        let read = |octets: ByteBuf| undivided(octets, &self.limits);
        match request {
            Request::Copies { listener, posting, numbers, context } => {
                self.enter(context);
                let made = named(&self.lists, posting.list()).and_then(|list| {
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

    /// Answers on one connection, until it ends.
    fn serve(&self, connection: OwnedFd) -> Result<()> {
        let mut channel = Channel::new(UnixStream::from(connection));
        match channel.receive()? {
            Purpose::Outgoing(number) => {
                let backend = self.get(number)?;
                backend.mailer.open(channel);
                Ok(())
            }
            Purpose::Requests(number) => {
                let backend = self.get(number)?;
                // A front that ends closes its end.
                while let Ok(request) = channel.receive() {
                    let said = backend.answer(request);
                    channel.send(&Response { said, counts: backend.counts.next_counts() })?;
                }
                Ok(())
            }
        }
    }

    /// Takes connections, until the front is gone.
    fn take(&self, passing: &UnixStream) {
        while let Ok(Some(connection)) = passing::take_one(passing) {
            if self.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                tracing::error!(event = "front-failed", error = "too many connections");
                continue;
            }
            let backends = self.clone();
            let started = thread::Builder::new().name("front".to_owned()).spawn(move || {
                if let Err(error) = backends.serve(connection) {
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
    process: Arc<Mutex<Process>>,
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
        start: impl FnOnce(Ends) -> io::Result<Process>,
        loaded: Loaded,
        sockets: &[PassedSocket<'_>],
        backends: &Backends,
        hear: impl Fn(Heard) + Send + 'static,
    ) -> Result<FrontProcess> {
        let io = |error: io::Error| Error::unavailable(format!("the front: {error}").to_lowercase());
        let (control, its_control) = UnixStream::pair().map_err(io)?;
        let (passing, its_passing) = UnixStream::pair().map_err(io)?;
        let ends = Ends { input: OwnedFd::from(its_control), output: Some(OwnedFd::from(its_passing)) };
        let process = Arc::new(Mutex::new(start(ends).map_err(io)?));
        let mut reports = Channel::new(control.try_clone().map_err(io)?);
        let mut front = FrontProcess { orders: Channel::new(control), process: Arc::clone(&process) };
        let names = sockets.iter().map(|(name, family, _)| (name.clone(), *family)).collect();
        let first = Order::Start { version: VERSION.to_owned(), loaded, sockets: names };
        // A front that ends at once says so below.
        let _ = front.orders.send(&first);
        sockets.iter().try_for_each(|(_, _, socket)| passing::pass(&passing, 0, &[socket])).map_err(io)?;
        let backends = backends.clone();
        thread::Builder::new().name("connections".to_owned()).spawn(move || backends.take(&passing)).map_err(io)?;
        let hearing = move || {
            while let Ok(report) = reports.receive() {
                hear(Heard::Report(report));
            }
            hear(Heard::Ended(process.lock().unwrap_or_else(PoisonError::into_inner).wait()));
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
        if let Ok(mut process) = self.process.try_lock() {
            let _ = process.end();
        }
    }
}

/// How long a mail of the service waits for a front.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of the front at once. Source: one for each message that is handled, of which there are as many as processors, and a few for the monitor.
const MOST_CONNECTIONS: usize = 4_096;
