//! A process that reads mail, from within.

use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    time::{ClockId, clock_gettime},
};
use serde_bytes::ByteBuf;

use super::{
    channel::{Channel, gone},
    forms::{MailForm, OutcomeForm, whole},
    limits::limit,
    orders::{Order, Said, Task},
    remote_keys::{Link, RemoteKeys},
    setup::{Setup, check_version},
};
use crate::{
    base::{Clock, Error, Limits, Result, Secret},
    engine::Handler,
    policy::{Lists, Members},
    sandbox::Sandbox,
};

/// This process, which is a judge.
#[derive(Debug)]
pub struct Judge {
    link: Arc<Link>,
    setup: Setup,
    clock: Arc<TaskClock>,
}

/// The time of the process that gave the mail.
#[derive(Debug)]
struct TaskClock(Mutex<SystemTime>);

impl Clock for TaskClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judge {
    /// The judge at the other end of `connection`, which was just started.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or of another version.
    pub fn start(connection: File) -> Result<Judge> {
        let mut channel = Channel::new(connection);
        let Order::Start { version, setup } = channel.receive()? else {
            return Err(gone(&"its first order is not to start"));
        };
        check_version(&version)?;
        let clock = Arc::new(TaskClock(Mutex::new(SystemTime::UNIX_EPOCH)));
        let channel = channel.with(setup.sizes);
        Ok(Judge { link: Arc::new(Link::new(channel)), setup: *setup, clock })
    }

    /// What it knows.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The secret that marks copies as handled.
    pub fn marker(&self) -> Secret {
        Secret::new(self.setup.marker.to_vec())
    }

    /// The time, as the other process has it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// The keys of the other process.
    pub fn keys(&self) -> RemoteKeys {
        RemoteKeys::new(Arc::clone(&self.link), self.setup.fetching)
    }

    /// The same lists, with the members that the other process knows.
    pub fn lists(&self, lists: Lists) -> Lists {
        let keys = self.keys();
        lists.over(|list| Members(Arc::new(keys.members(&list.address))))
    }

    /// Gives up everything but its connection, and handles mail with `handler`, whose lists are `lists`, until the other process is gone. `limits` are those of one message;
    /// `context` is told what the log has of each.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process says what it may not. `Unavailable`: the kernel refuses a limit.
    pub fn serve(self, handler: &dyn Handler, lists: &Lists, limits: &Limits, context: impl Fn(String)) -> Result<()> {
        limit(Resource::Data, self.setup.memory)?;
        limit(Resource::Nofile, FILES)?;
        // Other processes of the same user must not read its memory.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let enforced = Sandbox::computing().enter()?;
        self.link.say(&Said::Ready(enforced))?;
        while let Ok(order) = self.link.order() {
            let said = match order {
                Order::Handle { mail, task } => {
                    self.begin(task, &context)?;
                    Said::Handled(self.handle(mail, handler, limits))
                }
                Order::Copies { posting, numbers, task } => {
                    self.begin(task, &context)?;
                    let list = lists.of(posting.list()).ok_or_else(|| gone(&"a list that is not configured"))?;
                    let made = posting
                        .posting(list, |octets| whole(octets, limits))
                        .and_then(|posting| handler.copies(&posting, numbers));
                    Said::Copies(made.map(|mails| mails.iter().map(MailForm::of).collect()))
                }
                Order::Mark { mail, task } => {
                    self.begin(task, &context)?;
                    let marked = mail.mail(|octets| whole(octets, limits)).and_then(|mail| handler.mark(&mail));
                    Said::Marked(marked.map(|message| ByteBuf::from(message.into_octets())))
                }
                Order::Answer { .. } | Order::Start { .. } => return Err(gone(&"an order that is out of place")),
            };
            match self.link.say(&said) {
                // Another time it would be as long.
                Err(error) if error.is_over_budget() => self.link.say(&said.refused(error))?,
                said => said?,
            }
        }
        Ok(())
    }

    fn handle(&self, mail: MailForm, handler: &dyn Handler, limits: &Limits) -> Result<Box<OutcomeForm>> {
        let mail = mail.mail(|octets| whole(octets, limits))?;
        let came = mail.message.clone();
        handler.handle(mail).map(|outcome| Box::new(OutcomeForm::of(&outcome, &came)))
    }

    fn begin(&self, task: Task, context: &impl Fn(String)) -> Result<()> {
        let Task { now, context: of_log, memory, ahead } = task;
        self.link.next_message(memory, ahead)?;
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        context(of_log);
        let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
        let maximum = getrlimit(Resource::Cpu).maximum;
        let most = maximum.map_or(used + SECONDS, |maximum| maximum.min(used + SECONDS));
        let limited = setrlimit(Resource::Cpu, Rlimit { current: Some(most), maximum });
        limited.map_err(|error| Error::unavailable(format!("limits of a judge: {error}")))
    }
}

/// Descriptors: the three that it is born with, and a few for the libraries.
const FILES: u64 = 16;
/// Seconds of processor time for one message. Source: ten times what the Budget admits on a slow machine.
const SECONDS: u64 = 120;
