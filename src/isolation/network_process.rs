//! The process that asks the network, from outside: a new one takes the place of one that ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_bytes::ByteBuf;

use super::{
    asked::{Asked, Found},
    network_link::{Ended, Link},
    processes::{Ends, Process},
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

/// Starts a process.
type Start = Box<dyn Fn(Ends) -> io::Result<Process> + Send + Sync>;

/// A process that asks the network for several configurations.
pub struct NetworkProcess {
    start: Start,
    ended: Ended,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The process that is asked now.
    link: Option<Arc<Link>>,
    /// The ports of the configurations, by the numbers of their settings.
    ports: BTreeMap<u64, Option<BTreeSet<u16>>>,
    /// The number of the next settings.
    next: u64,
}

/// [`NetworkAccess`] by another process.
pub struct RemoteAccess {
    process: Arc<NetworkProcess>,
    number: u64,
    settings: NetworkSettings,
    enforced: Enforced,
}

impl NetworkProcess {
    /// `start` starts a process that calls [`NetworkRole::serve`](super::NetworkRole::serve) with its standard input; `ended` is called when one ended that was
    /// still needed.
    pub fn new(
        start: impl Fn(Ends) -> io::Result<Process> + Send + Sync + 'static,
        ended: impl Fn() + Send + Sync + 'static,
    ) -> Arc<NetworkProcess> {
        let (start, ended) = (Box::new(start), Arc::new(ended));
        Arc::new(NetworkProcess { start, ended, state: Mutex::default() })
    }

    /// Asks by these settings. Starts a process if none runs, or none that may ask their servers.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub fn access(self: &Arc<Self>, settings: NetworkSettings) -> Result<RemoteAccess> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.ports.insert(number, settings.ports());
        let link = self.link(&mut state).inspect_err(|_| drop(state.ports.remove(&number)))?;
        Ok(RemoteAccess { process: Arc::clone(self), number, settings, enforced: link.enforced() })
    }

    /// The process that is asked now.
    fn link(&self, state: &mut State) -> Result<Arc<Link>> {
        // Those of all configurations: one process works for them.
        let ports = state.ports.values().try_fold(BTreeSet::new(), |mut all, ports| {
            all.extend(ports.as_ref()?);
            Some(all)
        });
        match &state.link {
            Some(link) if link.reaches(ports.as_ref()) && link.is_usable() => Ok(Arc::clone(link)),
            _ => {
                let link = Arc::new(Link::start(&self.start, ports, Arc::clone(&self.ended))?);
                Ok(Arc::clone(state.link.insert(link)))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RemoteAccess {
    /// How much of what the process gave up the kernel enforces.
    pub fn enforced(&self) -> Enforced {
        self.enforced
    }

    /// What `read` finds in the answer to a question. A process that answers another question is ended.
    fn ask<T>(
        &self,
        question: Asked,
        most: usize,
        deadline: Instant,
        read: impl FnOnce(Found) -> Option<T>,
    ) -> Result<T, Failure> {
        let link = self.process.link(&mut self.process.state());
        let link = link.map_err(|error| Failure::Failed(error.to_string()))?;
        let found = link.ask((self.number, &self.settings), question, most, deadline)?;
        read(found).ok_or_else(|| link.end(&"it answers another question"))
    }
}

impl Drop for RemoteAccess {
    fn drop(&mut self) {
        let mut state = self.process.state();
        state.ports.remove(&self.number);
        let link = state.link.clone();
        drop(state);
        if let Some(link) = link {
            link.forget(self.number);
        }
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
        self.ask(question, method.octets(), deadline, signed)
    }

    fn directory_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        let question = Asked::DirectoryKeys { method, address: address.clone() };
        self.ask(question, method.octets(), deadline, values)
    }
}

pub(super) fn octets(found: Found) -> Option<Vec<u8>> {
    match found {
        Found::Octets(octets) => Some(octets.into_vec()),
        _ => None,
    }
}

pub(super) fn signed(found: Found) -> Option<SignedKeys> {
    match found {
        Found::Signed(SignedKeys::Missing(why)) if why.chars().any(char::is_control) => None,
        Found::Signed(signed) => Some(signed),
        _ => None,
    }
}

pub(super) fn values(found: Found) -> Option<Vec<Vec<u8>>> {
    match found {
        Found::Values(values) => values.values(),
        _ => None,
    }
}
