//! The process with the keys, from within: what it is told, and how it has other processes started.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Output,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{
    channel::{Channel, gone},
    passing::{self, GivenSocket},
    processes::{Ends, Process},
    setup::check_version,
    starting::{Order, PROGRAM, Told, Wish, Word},
};
use crate::{base::Result, mail::Envelope};

/// This process, which has the keys.
pub struct Supervised {
    orders: Channel<UnixStream>,
    link: KeysLink,
}

/// What all of this process speaks to its supervisor by.
#[derive(Clone)]
pub struct KeysLink {
    words: Arc<Mutex<Channel<UnixStream>>>,
    passing: Arc<UnixStream>,
}

impl Supervised {
    /// The process that was just started with `control` and `passing`; what it begins with, and the listening sockets that it was given.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the other process is gone, or of another version.
    pub fn start(control: File, passing: File) -> Result<(Supervised, Told, Vec<GivenSocket>)> {
        // Other processes of the same user must not read its memory.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let io = |error: io::Error| gone(&error);
        let control = UnixStream::from(OwnedFd::from(control));
        let passing = Arc::new(UnixStream::from(OwnedFd::from(passing)));
        let words = Arc::new(Mutex::new(Channel::new(control.try_clone().map_err(io)?)));
        let mut orders = Channel::new(control);
        let Order::Start { version, told, sockets } = orders.receive()? else {
            return Err(gone(&"its first order is not to start"));
        };
        check_version(&version)?;
        let given = passing::take_sockets(&passing, sockets)?;
        Ok((Supervised { orders, link: KeysLink { words, passing } }, told, given))
    }

    /// Waits for the next order; `None`: the other process is gone.
    pub fn next_wish(&mut self) -> Option<Wish> {
        match self.orders.receive() {
            Ok(Order::Reload) => Some(Wish::Reload),
            Ok(Order::Start { .. } | Order::Stop) => Some(Wish::Stop),
            Err(_) => None,
        }
    }

    /// What other threads speak to the other process by.
    pub fn link(&self) -> KeysLink {
        self.link.clone()
    }
}

impl KeysLink {
    /// Says it to the supervisor.
    pub fn tell(&self, word: &Word) {
        // One that is gone need not know.
        let _ = self.words.lock().unwrap_or_else(PoisonError::into_inner).send(word);
    }

    /// Has a process of the service started.
    ///
    /// # Errors
    ///
    /// It does not start, or the supervisor is gone.
    pub fn start(&self, what: u8, ends: Ends) -> io::Result<Process> {
        Process::elsewhere(&self.passing, what, ends, None)
    }

    /// Has the program run that takes mail, with these octets as its standard input.
    ///
    /// # Errors
    ///
    /// It does not start, it ends well and did not read everything, or the supervisor is gone.
    pub fn run_program(&self, envelope: &Envelope, octets: &[u8]) -> io::Result<Output> {
        let (its_input, mut input) = io::pipe()?;
        let (mut error, its_error) = io::pipe()?;
        let ends = Ends { input: its_input.into(), output: Some(its_error.into()) };
        let mut process = Process::elsewhere(&self.passing, PROGRAM, ends, Some(envelope))?;
        let (written, stderr) = thread::scope(|scope| {
            let writing = scope.spawn(move || input.write_all(octets));
            let mut said = Vec::new();
            let read = (&mut error).take(MOST_WORDS).read_to_end(&mut said);
            // What it says beyond that is not kept, and must not hold it up.
            let read = read.and_then(|_| io::copy(&mut error, &mut io::sink()));
            (writing.join().unwrap_or(Err(io::ErrorKind::Other.into())), read.map(|_| said))
        });
        let status = process.wait()?;
        if status.success() {
            written?;
        }
        Ok(Output { status, stdout: Vec::new(), stderr: stderr? })
    }
}

/// Octets of what the program says.
const MOST_WORDS: u64 = 64 << 10;
