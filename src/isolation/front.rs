//! The process with the sockets, from within: it asks the process with the keys what becomes of each mail.

use std::{
    fs::File,
    io,
    net::Shutdown,
    ops::Range,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{
    bounds::Sizes,
    channel::{Channel, gone},
    forms::{MailForm, PostingForm, named, undivided},
    passing::{self, GivenSocket},
    requests::{HealthAnswer, HealthQuestion, Loaded, Order, Purpose, Report, Request, Response, Said},
    setup::check_version,
};
use crate::{
    base::{Limits, Result},
    engine::{Handler, Outcome, Posting},
    mail::{Mail, Message},
    policy::Lists,
    report::Metrics,
};

/// This process, which has the sockets.
pub struct Front {
    orders: Channel<UnixStream>,
    link: FrontLink,
}

/// What all of this process speaks to the process with the keys by.
#[derive(Clone)]
pub struct FrontLink {
    reports: Arc<Mutex<Channel<UnixStream>>>,
    /// Over it goes one end of each connection that this process makes.
    passing: Arc<UnixStream>,
}

impl Front {
    /// The front that was just started with `control` and `passing`; its configuration, and the listening sockets that it was given.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or of another version.
    pub fn start(control: File, passing: File) -> Result<(Front, Loaded, Vec<GivenSocket>)> {
        // Other processes of the same user must not read its memory, which has passwords and the keys of TLS.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let io = |error: io::Error| gone(&error);
        let control = UnixStream::from(OwnedFd::from(control));
        let passing = UnixStream::from(OwnedFd::from(passing));
        let reports = control.try_clone().map_err(io)?;
        let mut orders = Channel::new(control);
        let Order::Start { version, loaded, sockets } = orders.receive()? else {
            return Err(gone(&"its first order is not to start"));
        };
        check_version(&version)?;
        let given = passing::take_sockets(&passing, sockets)?;
        Ok((Front { orders, link: FrontLink::new(reports, passing) }, loaded, given))
    }

    /// Waits for the next configuration; `None`: this process is to stop.
    pub fn next_load(&mut self) -> Option<Loaded> {
        match self.orders.receive() {
            Ok(Order::Load(loaded)) => Some(loaded),
            Ok(Order::Start { .. } | Order::Stop) | Err(_) => None,
        }
    }

    /// What other threads speak to the other process by.
    pub fn link(&self) -> FrontLink {
        self.link.clone()
    }
}

impl FrontLink {
    pub(super) fn new(reports: UnixStream, passing: UnixStream) -> FrontLink {
        FrontLink { reports: Arc::new(Mutex::new(Channel::new(reports))), passing: Arc::new(passing) }
    }

    /// The process with the keys, for the load with this number, and messages within `limits` to so many recipients. `context` is what the log has of the current
    /// connection and message.
    pub fn remote(
        &self,
        number: u64,
        lists: Vec<Lists>,
        (limits, recipients): (Limits, usize),
        metrics: Arc<Metrics>,
        context: impl Fn() -> String + Send + Sync + 'static,
    ) -> Arc<Remote> {
        let (context, sizes) = (Box::new(context), Sizes::of(&limits, recipients));
        Arc::new(Remote { number, lists, limits, sizes, metrics, context, link: self.clone(), idle: Mutex::default() })
    }

    /// Reports to the process with the keys.
    pub fn tell(&self, report: &Report) {
        // A process that is gone needs no report.
        let _ = self.reports.lock().unwrap_or_else(PoisonError::into_inner).send(report);
    }

    /// A new connection.
    fn connect(&self, purpose: &Purpose, sizes: Sizes) -> Result<Channel<UnixStream>> {
        let (own, other) = UnixStream::pair().map_err(|error| gone(&error))?;
        passing::pass(&self.passing, 0, &[&other]).map_err(|error| gone(&error))?;
        let mut channel = Channel::new(own);
        channel.send(purpose)?;
        Ok(channel.with(sizes))
    }
}

/// The process with the keys, as one configuration of the front has it.
pub struct Remote {
    number: u64,
    lists: Vec<Lists>,
    limits: Limits,
    sizes: Sizes,
    metrics: Arc<Metrics>,
    context: Box<dyn Fn() -> String + Send + Sync>,
    link: FrontLink,
    /// Connections without a request.
    idle: Mutex<Vec<Channel<UnixStream>>>,
}

impl Remote {
    /// What handles the mail of one listener.
    pub fn handler(self: &Arc<Self>, listener: &'static str) -> Arc<dyn Handler> {
        Arc::new(RemoteHandler { remote: Arc::clone(self), listener })
    }

    /// Asks about the keys.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone.
    pub fn health(&self, question: HealthQuestion) -> Result<HealthAnswer> {
        match self.ask(&Request::Health(question))? {
            Said::Health(answer) => Ok(answer),
            _ => Err(gone(&"it answers something else")),
        }
    }

    /// Has the other process hand a mail over to the program that takes mail.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone. Others: what comes of it.
    pub fn send(&self, mail: &Mail) -> Result<()> {
        match self.ask(&Request::Send { mail: MailForm::of(mail), context: (self.context)() })? {
            Said::Sent(sent) => sent,
            _ => Err(gone(&"it answers something else")),
        }
    }

    /// A connection over which the other process has mails sent.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone.
    pub fn outgoing(&self) -> Result<Outgoing> {
        let channel = self.link.connect(&Purpose::Outgoing(self.number), self.sizes)?;
        Ok(Outgoing { channel, limits: self.limits.clone() })
    }

    fn ask(&self, request: &Request) -> Result<Said> {
        let idle = self.idle().pop();
        let mut channel = match idle {
            Some(channel) => channel,
            None => self.link.connect(&Purpose::Requests(self.number), self.sizes)?,
        };
        channel.send(request)?;
        let Response { said, counts } = channel.receive()?;
        self.metrics.add(counts);
        self.idle().push(channel);
        Ok(said)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Channel<UnixStream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.link.tell(&Report::Left(self.number));
    }
}

/// A [`Handler`] whose mail is handled by the process with the keys.
struct RemoteHandler {
    remote: Arc<Remote>,
    listener: &'static str,
}

impl RemoteHandler {
    fn context(&self) -> String {
        (self.remote.context)()
    }

    fn mails(&self, forms: Vec<MailForm>) -> Result<Vec<Mail>> {
        forms.into_iter().map(|form| form.mail(|octets| undivided(octets, &self.remote.limits))).collect()
    }
}

impl Handler for RemoteHandler {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let came = mail.message.clone();
        let form = MailForm::of(&mail);
        drop(mail);
        let request = Request::Handle { listener: self.listener.to_owned(), mail: form, context: self.context() };
        match self.remote.ask(&request)? {
            Said::Handled(handled) => {
                handled?.outcome(&came, |list| named(&self.remote.lists, list), &self.remote.limits)
            }
            _ => Err(gone(&"it answers something else")),
        }
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let (listener, posting) = (self.listener.to_owned(), PostingForm::of(posting));
        match self.remote.ask(&Request::Copies { listener, posting, numbers, context: self.context() })? {
            Said::Copies(made) => self.mails(made?),
            _ => Err(gone(&"it answers something else")),
        }
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        let (listener, mail) = (self.listener.to_owned(), MailForm::of(mail));
        match self.remote.ask(&Request::Mark { listener, mail, context: self.context() })? {
            Said::Marked(marked) => undivided(marked?, &self.remote.limits),
            _ => Err(gone(&"it answers something else")),
        }
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        Message::undivided(octets, limits)
    }
}

/// The mails of the service itself, which this process sends.
pub struct Outgoing {
    channel: Channel<UnixStream>,
    limits: Limits,
}

/// Ends the work of an [`Outgoing`] when it is dropped.
pub struct Ending(UnixStream);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Outgoing {
    /// What ends its work.
    ///
    /// # Errors
    ///
    /// `TryAgain`: there is no descriptor left.
    pub fn ending(&self) -> Result<Ending> {
        self.channel.stream().try_clone().map(Ending).map_err(|error| gone(&error))
    }

    /// Sends each mail with `send`, until the other process is gone, or the work is ended.
    pub fn work(mut self, send: impl Fn(Mail) -> Result<()>) {
        while let Ok(form) = self.channel.receive::<MailForm>() {
            let sent = form.mail(|octets| undivided(octets, &self.limits)).and_then(&send);
            if self.channel.send(&sent).is_err() {
                return;
            }
        }
    }
}
