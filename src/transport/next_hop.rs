//! The next hop: the server or program that takes mail over from us.

use std::{future::Future, pin::Pin, slice};

use tokio::runtime;

use super::{
    rejection::rejection,
    smtp::{Origin, Reply},
};
use crate::{
    base::{Error, Result},
    mail::Mail,
};

/// What a [`NextHop`] answers, when it has.
pub type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, SendError>> + Send + 'a>>;

/// Takes mail over. After a positive reply for a recipient, that recipient's copy is the next hop's responsibility.
pub trait NextHop: Send + Sync {
    /// Splits a mail into those that go to one server each. The other methods take only mails that were split.
    fn split(&self, mail: Mail) -> Vec<Mail> {
        vec![mail]
    }

    /// Sends several mails, each to all its recipients or to none. The result has one entry per mail, in order. `origin` is the client
    /// that the mails came from, for a server that takes XFORWARD.
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    fn send_all<'a>(
        &'a self,
        mails: &'a [Mail],
        origin: Option<&'a Origin>,
    ) -> Sending<'a, Vec<Result<Reply, SendError>>>;

    /// Sends a mail to those of its recipients that the next hop accepts. The result has one reply per recipient, in order.
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    fn send_each<'a>(&'a self, mail: &'a Mail, origin: Option<&'a Origin>) -> Sending<'a, Vec<Reply>> {
        Box::pin(async move {
            let results = self.send_all(slice::from_ref(mail), origin).await?;
            let reply = results.into_iter().next().unwrap_or_else(|| Err(SendError::no_result()))?;
            Ok(vec![reply; mail.envelope.recipients.len()])
        })
    }

    /// Sends a mail to all its recipients, split where necessary. The parts go one after the other; the first failure ends it.
    ///
    /// # Errors
    ///
    /// A part was not sent; those before it were.
    fn send(&self, mail: Mail) -> Sending<'_, ()> {
        Box::pin(async move {
            for part in self.split(mail) {
                let results = self.send_all(slice::from_ref(&part), None).await?;
                results.into_iter().next().unwrap_or_else(|| Err(SendError::no_result()))?;
            }
            Ok(())
        })
    }
}

/// Why a next hop did not take a mail.
#[derive(Clone, Debug)]
pub enum SendError {
    /// The program that takes mail could not be run, or it failed.
    Failed(Error),
    /// The server's reply, or the reply that stands for a server that cannot be reached.
    Refused(Reply),
}

impl SendError {
    fn no_result() -> SendError {
        SendError::Refused(Reply::later("4.3.0", "Temporary failure, try again later"))
    }

    /// The reply to the client whose mail it is.
    pub fn reply(&self) -> Reply {
        match self {
            SendError::Failed(error) => rejection(error),
            SendError::Refused(reply) => reply.clone(),
        }
    }
}

impl From<Reply> for SendError {
    fn from(reply: Reply) -> SendError {
        SendError::Refused(reply)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Error {
        match error {
            SendError::Failed(error) => error,
            SendError::Refused(reply) => reply.into(),
        }
    }
}

/// A next hop for code that has no asynchronous runtime. It waits for each mail.
pub struct Blocking {
    runtime: runtime::Runtime,
    next_hop: Box<dyn NextHop>,
}

impl Blocking {
    /// `build` runs within the runtime, where sockets can be made.
    ///
    /// # Errors
    ///
    /// Those of `build`; `Io`: there is no runtime.
    pub fn new(build: impl FnOnce() -> Result<Box<dyn NextHop>>) -> Result<Blocking> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("sockets", &error))?;
        let next_hop = runtime.block_on(async { build() })?;
        Ok(Blocking { runtime, next_hop })
    }

    /// Sends a mail to all its recipients. Must not be called within a runtime.
    ///
    /// # Errors
    ///
    /// As [`NextHop::send`].
    pub fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.runtime.block_on(self.next_hop.send(mail.clone()))
    }
}
