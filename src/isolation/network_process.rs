//! The process that asks the network, from outside: a new one takes the place of one that ended.

use std::{
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_bytes::ByteBuf;

use super::{
    asked::{Asked, Found},
    network_link::{Ended, Link},
};
use crate::{
    base::Result,
    discover::{
        Method, NetworkAccess, NetworkSettings, SignedKeys,
        http::{Bounds, Failure},
    },
    mail::Address,
    sandbox::Enforced,
};

/// A process that asks the network for several configurations.
pub struct NetworkProcess {
    program: Box<dyn Fn() -> Command + Send + Sync>,
    ended: Ended,
    link: Mutex<Arc<Link>>,
    enforced: Enforced,
    /// The number of the next settings.
    next: AtomicU64,
}

/// [`NetworkAccess`] by another process.
pub struct RemoteAccess {
    process: Arc<NetworkProcess>,
    number: u64,
    settings: NetworkSettings,
}

impl NetworkProcess {
    /// Starts the first one. `program` starts a process that calls [`NetworkRole::serve`](super::NetworkRole::serve) with its standard input; `ended` is called
    /// when one ended that was still needed.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub fn new(
        program: impl Fn() -> Command + Send + Sync + 'static,
        ended: impl Fn() + Send + Sync + 'static,
    ) -> Result<NetworkProcess> {
        let ended: Ended = Arc::new(ended);
        let (link, enforced) = Link::start(program(), Arc::clone(&ended))?;
        let link = Mutex::new(Arc::new(link));
        Ok(NetworkProcess { program: Box::new(program), ended, link, enforced, next: AtomicU64::new(0) })
    }

    /// How much of what it gives up the kernel enforces.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// Asks by these settings.
    pub fn access(self: &Arc<Self>, settings: NetworkSettings) -> RemoteAccess {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RemoteAccess { process: Arc::clone(self), number, settings }
    }

    /// The process that is asked now.
    fn link(&self) -> Result<Arc<Link>> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.is_usable() {
            *link = Arc::new(Link::start((self.program)(), Arc::clone(&self.ended))?.0);
        }
        Ok(Arc::clone(&link))
    }
}

impl RemoteAccess {
    /// What `read` finds in the answer to a question. A process that answers another question is ended.
    fn ask<T>(
        &self,
        question: Asked,
        most: usize,
        deadline: Instant,
        read: impl FnOnce(Found) -> Option<T>,
    ) -> Result<T, Failure> {
        let link = self.process.link().map_err(|error| Failure::Failed(error.to_string()))?;
        let found = link.ask((self.number, &self.settings), question, most, deadline)?;
        read(found).ok_or_else(|| link.end(&"it answers another question"))
    }
}

impl Drop for RemoteAccess {
    fn drop(&mut self) {
        let link = Arc::clone(&self.process.link.lock().unwrap_or_else(PoisonError::into_inner));
        link.forget(self.number);
    }
}

impl NetworkAccess for RemoteAccess {
    fn get(&self, url: &str, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        let Bounds { octets: most, deadline, plain } = *bounds;
        self.ask(Asked::Get { url: url.to_owned(), most, plain }, most, deadline, octets)
    }

    fn post(&self, url: &str, media_type: &str, content: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        let Bounds { octets: most, deadline, plain } = *bounds;
        let (url, media_type) = (url.to_owned(), media_type.to_owned());
        let question = Asked::Post { url, media_type, octets: ByteBuf::from(content.to_vec()), most, plain };
        self.ask(question, most, deadline, octets)
    }

    fn signed_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<SignedKeys, Failure> {
        let question = Asked::SignedKeys { method, address: address.clone() };
        self.ask(question, method.octets(), deadline, |found| match found {
            Found::Signed(SignedKeys::Missing(why)) if why.chars().any(char::is_control) => None,
            Found::Signed(signed) => Some(signed),
            _ => None,
        })
    }

    fn directory_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        let question = Asked::DirectoryKeys { method, address: address.clone() };
        self.ask(question, method.octets(), deadline, |found| match found {
            Found::Values(values) => values.values(),
            _ => None,
        })
    }
}

fn octets(found: Found) -> Option<Vec<u8>> {
    match found {
        Found::Octets(octets) => Some(octets.into_vec()),
        _ => None,
    }
}
