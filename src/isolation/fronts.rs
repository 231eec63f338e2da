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
    bounds::Sizes,
    channel::{Channel, gone},
    forms::{MailForm, OutcomeForm, PostingForm, named, undivided},
    passing,
    posted::Posted,
    processes::{Ends, Process},
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
        while let Ok(Some(connection)) = passing::take_one(passing) {
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
        let faulty = Arc::clone(&process);
        let end: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            // Where it cannot be locked, its end is waited for.
            let _ = faulty.try_lock().map(|mut process| process.end());
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{
        engine::Posting,
        isolation::bounds,
        mail::{Address, Envelope, ForwardPath, Message, ReversePath, Submitter},
        policy::{
            FixedMembers, FromField, Gets, List, Member, Members, Origin, Otherwise, Posters, ReplyTo, Rule,
            Subscription, WithoutKey,
        },
    };

    /// Says for each mail that there is nothing to do, and makes no copies.
    struct Idle;

    impl Handler for Idle {
        fn handle(&self, _: Mail) -> Result<Outcome> {
            Err(Error::usage("handled"))
        }

        fn copies(&self, _: &Posting, _: std::ops::Range<usize>) -> Result<Vec<Mail>> {
            Err(Error::usage("copied"))
        }

        fn mark(&self, _: &Mail) -> Result<Message> {
            Err(Error::usage("marked"))
        }
    }

    fn backend() -> Backend {
        let mut lists = Lists::default();
        lists.insert(list());
        Backend {
            handlers: [("relay", Arc::new(Idle) as Arc<dyn Handler>)].into(),
            lists: vec![lists],
            limits: Limits { message: 1_000, ..Limits::default() },
            recipients: 1,
            health: Box::new(|_| HealthAnswer::ClockSkew(None)),
            counts: Arc::default(),
            context: Arc::new(drop),
            program: None,
            mailer: Arc::default(),
            posted: PostedMail::default(),
        }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn list() -> List {
        let member = Member { address: address("one@example.net"), gets: None, protocols: Vec::new() };
        List {
            address: address("dev@example.org"),
            owners: Vec::new(),
            description: None,
            members: Members(Arc::new(FixedMembers([member].into()))),
            post: Posters::Members,
            otherwise: Otherwise::Reject,
            moderators: Vec::new(),
            requires: Default::default(),
            gets: Gets::Sign,
            without_key: WithoutKey::Skip,
            rule: Rule::default(),
            from: FromField::Keep,
            reply_to: ReplyTo::Author,
            subscription: Subscription::Closed,
            unsubscribe: None,
        }
    }

    fn message(octets: usize) -> Message {
        let text = format!("From: a@example.org\r\n\r\n{}", "x".repeat(octets));
        Message::undivided(text.into_bytes(), &Limits::default()).unwrap()
    }

    fn mail(octets: usize) -> MailForm {
        let recipients = vec![ForwardPath { address: address("a@example.org"), parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        MailForm::of(&Mail { envelope, submitter: Submitter::Unknown, client: None, message: message(octets) })
    }

    /// What a front is answered, and whether it is ended, when it says this on a connection of its own.
    fn serve(say: impl FnOnce(&mut Channel<UnixStream>) + Send) -> (Result<()>, usize) {
        let backends = Backends::default();
        backends.add(1, backend());
        let (own, other) = UnixStream::pair().unwrap();
        let ended = AtomicUsize::new(0);
        let served = thread::scope(|scope| {
            scope.spawn(move || {
                let mut channel = Channel::new(own);
                channel.send(&Purpose::Requests(1)).unwrap();
                let limits = Limits { message: 1_000, ..Limits::default() };
                say(&mut channel.with(Sizes::of(&limits, 1)));
            });
            backends.serve(OwnedFd::from(other), &|| _ = ended.fetch_add(1, Ordering::SeqCst))
        });
        (served, ended.into_inner())
    }

    fn handle(octets: usize) -> Request {
        Request::Handle { listener: "relay".to_owned(), mail: mail(octets), context: String::new() }
    }

    #[test]
    fn a_front_that_says_too_much_is_ended() {
        let most = 1_000 + Limits::default().unread_header() + 2_048 + bounds::STRUCTURE;
        let (served, ended) = serve(|channel| {
            channel.send(&handle(1_000)).unwrap();
            let response: Response = channel.receive().unwrap();
            assert!(matches!(response.said, Said::Handled(Err(error)) if error.to_string() == "handled"));
            // One that is unchanged cannot say more either.
            assert!(channel.send(&handle(most)).unwrap_err().is_over_budget());
            // A mail, of one octet more than a mail has.
            let length = u32::try_from(most + 1).unwrap().to_le_bytes();
            (&mut channel.stream()).write_all(&[&length, &[1_u8][..]].concat()).unwrap();
            assert!(channel.receive::<Response>().is_err());
        });
        assert!(served.unwrap_err().to_string().ends_with("it says more than it may"));
        assert_eq!(ended, 1);
        let (served, ended) = serve(|channel| (&mut channel.stream()).write_all(&[1, 0, 0, 0, 99]).unwrap());
        assert!(served.is_err() && ended == 1, "no such request");
        let (served, ended) = serve(|channel| channel.send(&handle(1)).unwrap());
        assert!(ended == 0, "it left before it was answered: {served:?}");
    }

    /// What is posted was decided here: a front cannot have a list sign what it likes, nor carry out a command that nobody sent.
    #[test]
    fn copies_are_made_of_posts_that_the_front_was_told_of() {
        let posting = |text: &str| {
            let content = Message::undivided(text.as_bytes().to_vec(), &Limits::default()).unwrap();
            Posting {
                list: list(),
                origin: Origin::default(),
                groups: Vec::new(),
                copies: Vec::new(),
                content: content.clone(),
                clear: content,
                parameters: Vec::new(),
                notices: Vec::new(),
                request: None,
            }
        };
        let backend = backend();
        let asked = |posting: &Posting| {
            let (posting, listener) = (PostingForm::of(posting), "relay".to_owned());
            match backend.answer(Request::Copies { listener, posting, numbers: 0..1, context: String::new() }) {
                Said::Copies(Err(error)) => error.to_string(),
                said => panic!("{said:?}"),
            }
        };
        let known = posting("Subject: a\r\n\r\nx\r\n");
        assert_eq!(asked(&known), "lists: a post that nobody sent");
        backend.posted.0.note(&PostingForm::of(&known));
        assert_eq!(asked(&known), "copied");
        // As the front has it.
        let sent = postcard::to_extend(&PostingForm::of(&known), Vec::new()).unwrap();
        let form: PostingForm = postcard::from_bytes(&sent).unwrap();
        let read = form.posting(&list(), |octets| undivided(octets, &Limits::default())).unwrap();
        assert_eq!(asked(&read), "copied");
        assert_eq!(asked(&posting("Subject: b\r\n\r\nx\r\n")), "lists: a post that nobody sent");
        let author = address("carol@example.com");
        let request =
            crate::policy::Request { author, command: crate::policy::Command::Unsubscribe, signatures: Vec::new() };
        let asks = Some(crate::engine::Asked { request, id: None });
        assert_eq!(asked(&Posting { request: asks, ..known }), "lists: a post that nobody sent");
    }
}
