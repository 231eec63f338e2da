//! The process with the keys, from outside: how it is started, and the processes that are started for it.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{
    channel::{Channel, gone},
    fronts::PassedSocket,
    passing,
    setup::VERSION,
    starting::{Order, PROGRAM, Told, Word},
};
use crate::{
    base::{Error, Result},
    mail::Envelope,
};

/// What the process with the keys may have started.
pub struct Startable {
    /// The processes of the service, by their octets; `None`: there is no such process.
    pub process: Box<Starts<u8>>,
    /// The program that takes mail, for the mail with this envelope; `None`: the configuration names none.
    pub program: Box<Starts<Envelope>>,
}

/// What starts a process for what is asked.
type Starts<T> = dyn Fn(&T) -> Option<Command> + Send + Sync;

/// A process with the keys that runs.
pub struct KeysProcess {
    orders: Channel<UnixStream>,
    child: Arc<Mutex<Child>>,
}

/// What is heard of it.
pub enum HeardOfKeys {
    /// It ended, and all that was started for it.
    Ended(io::Result<ExitStatus>),
    /// What it says.
    Word(Word),
}

impl KeysProcess {
    /// Starts one. `hear` is told what is heard of it, by another thread.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it does not start.
    pub fn start(
        mut command: Command,
        told: Told,
        sockets: &[PassedSocket<'_>],
        startable: Arc<Startable>,
        hear: impl Fn(HeardOfKeys) + Send + 'static,
    ) -> Result<KeysProcess> {
        let io = |error: io::Error| Error::unavailable(format!("the process with the keys: {error}").to_lowercase());
        let (control, its_control) = UnixStream::pair().map_err(io)?;
        let (passing, its_passing) = UnixStream::pair().map_err(io)?;
        let child = command.stdin(OwnedFd::from(its_control)).stdout(OwnedFd::from(its_passing)).spawn().map_err(io)?;
        // The command holds the other ends of the connections.
        drop(command);
        let child = Arc::new(Mutex::new(child));
        let mut words = Channel::new(control.try_clone().map_err(io)?);
        let mut keys = KeysProcess { orders: Channel::new(control), child: Arc::clone(&child) };
        let names = sockets.iter().map(|(name, family, _)| (name.clone(), *family)).collect();
        // One that ends at once says so below.
        let _ = keys.orders.send(&Order::Start { version: VERSION.to_owned(), told, sockets: names });
        sockets.iter().try_for_each(|(_, _, socket)| passing::pass(&passing, 0, &[socket])).map_err(io)?;
        let starting = thread::Builder::new().name("starting".to_owned());
        let starting = starting.spawn(move || start_all(&passing, &startable)).map_err(io)?;
        let hearing = move || {
            while let Ok(word) = words.receive() {
                hear(HeardOfKeys::Word(word));
            }
            let status = lock(&child).wait();
            // Those that were started for it end with it.
            let _ = starting.join();
            hear(HeardOfKeys::Ended(status));
        };
        thread::Builder::new().name("words".to_owned()).spawn(hearing).map_err(io)?;
        Ok(keys)
    }

    /// Tells it to load the configuration again.
    pub fn reload(&mut self) {
        // One that is gone is heard of.
        let _ = self.orders.send(&Order::Reload);
    }

    /// Tells it to stop after the messages in progress.
    pub fn stop(&mut self) {
        let _ = self.orders.send(&Order::Stop);
    }
}

impl Drop for KeysProcess {
    fn drop(&mut self) {
        let _ = self.orders.stream().shutdown(Shutdown::Both);
        // Where it did not end by itself.
        if let Ok(mut child) = self.child.try_lock() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts what is asked for, until the process with the keys is gone and all of it ended.
fn start_all(passing: &UnixStream, startable: &Arc<Startable>) {
    let running = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        while let Ok(Some((what, files))) = passing::take(passing) {
            if running.load(Ordering::SeqCst) >= MOST_PROCESSES {
                tracing::error!(event = "keys-failed", error = "too many processes");
                // Its end of the connection is closed: the process did not start.
                continue;
            }
            running.fetch_add(1, Ordering::SeqCst);
            let ended = Arc::clone(&running);
            let attending = thread::Builder::new().name("process".to_owned()).spawn_scoped(scope, move || {
                if let Err(error) = attend(what, files, startable) {
                    tracing::error!(event = "keys-failed", %error);
                }
                ended.fetch_sub(1, Ordering::SeqCst);
            });
            if let Err(error) = attending {
                running.fetch_sub(1, Ordering::SeqCst);
                tracing::error!(event = "keys-failed", %error);
            }
        }
    });
}

/// Starts one, says how it ended, and ends it when it is needed no more.
fn attend(what: u8, files: Vec<OwnedFd>, startable: &Startable) -> Result<()> {
    let io = |error: io::Error| gone(&error);
    let mut files = files.into_iter();
    let (Some(connection), Some(input)) = (files.next(), files.next()) else {
        return Err(gone(&"it passes too few files"));
    };
    let mut connection = UnixStream::from(connection);
    let command = if what == PROGRAM {
        let envelope = Channel::new(connection.try_clone().map_err(io)?).receive()?;
        let command = (startable.program)(&envelope).ok_or_else(|| gone(&"it names no program"))?;
        Started { command, error: files.next(), output: None }
    } else {
        let command = (startable.process)(&what).ok_or_else(|| gone(&"it names no process"))?;
        Started { command, error: None, output: files.next() }
    };
    let child = match command.spawn(input) {
        Ok(child) => child,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
            return connection.write_all(&number.to_le_bytes()).map_err(io);
        }
    };
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let child = Arc::new(Mutex::new(child));
    // One that needs it no more may be gone already.
    let _ = connection.write_all(&0_i32.to_le_bytes());
    thread::scope(|scope| {
        let (mut needed, killed) = (connection.try_clone().map_err(io)?, Arc::clone(&child));
        let ending = move || {
            // Nothing comes: it is closed.
            let _ = needed.read(&mut [0]);
            // One that ended was waited for by then, and is left alone.
            let _ = lock(&killed).kill();
        };
        let ending = thread::Builder::new().name("ending".to_owned()).spawn_scoped(scope, ending).map_err(io);
        if let Err(error) = ending {
            let mut child = lock(&child);
            let _ = child.kill().and_then(|()| child.wait());
            return Err(error);
        }
        // Its number stays its own until it is waited for below, while nobody ends it.
        if let Some(process) = process {
            let ended = || waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            while matches!(ended(), Err(rustix::io::Errno::INTR)) {}
        }
        let status = lock(&child).wait().map_err(io)?;
        let _ = connection.write_all(&status.into_raw().to_le_bytes());
        let _ = connection.shutdown(Shutdown::Both);
        Ok(())
    })
}

/// A command with its files.
struct Started {
    command: Command,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
}

impl Started {
    fn spawn(self, input: OwnedFd) -> io::Result<Child> {
        let Started { mut command, output, error } = self;
        command.stdin(input).stdout(output.map_or_else(Stdio::null, Stdio::from));
        if let Some(error) = error {
            command.stderr(error);
        }
        command.spawn()
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes at once. Source: as many as the connections of a front.
const MOST_PROCESSES: usize = 4_096;
