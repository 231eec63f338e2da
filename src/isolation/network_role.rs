//! The process that asks the network, from within.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{DumpableBehavior, Resource, set_dumpable_behavior};
use serde_bytes::ByteBuf;

use super::{
    asked::{Asked, Call, Found, Reply, Values},
    channel::{Channel, gone},
    limits::limit,
    setup::check_version,
};
use crate::{
    base::{Error, Result},
    discover::{
        DirectAccess, NetworkAccess, NetworkSettings,
        http::{Bounds, Failure},
    },
    sandbox::Sandbox,
};

/// This process, which asks the network.
#[derive(Debug)]
pub struct NetworkRole {
    reading: Channel<File>,
    saying: Channel<File>,
    ports: Option<BTreeSet<u16>>,
}

impl NetworkRole {
    /// The process at the other end of `connection`, which was just started.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or of another version.
    pub fn start(connection: File) -> Result<NetworkRole> {
        let saying = connection.try_clone().map_err(|error| Error::io("the connection to the service", &error))?;
        let mut reading = Channel::new(connection);
        let Call::Start { version, ports } = reading.receive()? else {
            return Err(gone(&"its first order is not to start"));
        };
        check_version(&version)?;
        Ok(NetworkRole { reading, saying: Channel::new(saying), ports })
    }

    /// Gives up everything but its connection and the network, and answers questions until the other process is gone: each in a thread of its own, so that a
    /// server that does not answer holds up no other look-up. `open` makes what asks by some settings; [`DirectAccess::by`] does.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process says what it may not. `Unavailable`: the kernel refuses a limit.
    pub fn serve(mut self, open: impl Fn(NetworkSettings) -> Arc<dyn NetworkAccess>) -> Result<()> {
        limit(Resource::Data, MEMORY)?;
        limit(Resource::Nofile, FILES)?;
        // Other processes of the same user must not read its memory, which has the password of the directory.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        DirectAccess::prepare()?;
        let enforced = Sandbox::network(self.ports).enter()?;
        self.saying.send(&Reply::Ready(enforced))?;
        let saying = Arc::new(Mutex::new(self.saying));
        let mut known: HashMap<u64, Arc<dyn NetworkAccess>> = HashMap::new();
        while let Ok(call) = self.reading.receive() {
            match call {
                Call::Ask { number, settings, question, left } => {
                    let access = known.get(&settings).ok_or_else(|| gone(&"settings that were not told"))?;
                    answer(number, Arc::clone(access), question, left, Arc::clone(&saying));
                }
                Call::Forget(settings) => drop(known.remove(&settings)),
                Call::Settings { number, settings } => drop(known.insert(number, open(*settings))),
                Call::Start { .. } => return Err(gone(&"an order that is out of place")),
            }
        }
        Ok(())
    }
}

/// Answers in a thread of its own.
fn answer(
    number: u64,
    access: Arc<dyn NetworkAccess>,
    question: Asked,
    left: Duration,
    saying: Arc<Mutex<Channel<File>>>,
) {
    let say = move |saying: &Mutex<Channel<File>>, answer| {
        let mut saying = saying.lock().unwrap_or_else(PoisonError::into_inner);
        // Where nobody hears it, this process ends.
        let _ = saying.send(&Reply::Answer { number, answer });
    };
    let deadline = Instant::now() + left.min(LONGEST);
    let within = Arc::clone(&saying);
    let work = move || {
        let found = catch_unwind(AssertUnwindSafe(|| found(access.as_ref(), question, deadline)));
        say(&within, found.unwrap_or_else(|_| Err(Failure::Failed("a fault of this program".to_owned()))));
    };
    if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(work) {
        say(&saying, Err(Failure::Failed(error.to_string())));
    }
}

pub(super) fn found(access: &dyn NetworkAccess, question: Asked, deadline: Instant) -> Result<Found, Failure> {
    Ok(match question {
        Asked::DirectoryKeys { method, address } => {
            let mut values = access.directory_keys(method, &address, deadline)?;
            values.retain(|value| !value.is_empty());
            Found::Values(Values::of(&values))
        }
        Asked::Get { url, most, plain } => {
            Found::Octets(ByteBuf::from(access.get(&url, &Bounds { octets: most, deadline, plain })?))
        }
        Asked::Post { url, media_type, octets, most, plain } => {
            let bounds = Bounds { octets: most, deadline, plain };
            Found::Octets(ByteBuf::from(access.post(&url, &media_type, &octets, &bounds)?))
        }
        Asked::SignedKeys { method, address } => Found::Signed(access.signed_keys(method, &address, deadline)?),
    })
}

/// Octets of memory: the program, and all answers on their way a few times over (network_link.rs).
const MEMORY: u64 = (256 << 20) + 4 * (256 << 20);
/// Descriptors: 256 look-ups at once, each with a connection and questions to name servers.
const FILES: u64 = 2_048;
/// Octets of the stack of a thread.
const STACK: usize = 1 << 20;
/// How long a look-up may take at most, whatever it is told.
const LONGEST: Duration = Duration::from_secs(600);
