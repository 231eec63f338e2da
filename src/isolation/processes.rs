//! A process of the service as its starter has it, whether it is a child, or one that another process started for it.

use std::{
    io::{self, Read},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::net::{RecvFlags, recv};

use super::{channel::Channel, passing};
use crate::mail::Envelope;

/// What a process gets when it starts.
pub struct Ends {
    /// Its standard input: its connection.
    pub input: OwnedFd,
    /// Its standard output, if it has a second connection.
    pub output: Option<OwnedFd>,
}

/// A process that was started. When this is dropped, a child runs on, and one that another process started is ended.
pub struct Process(Kind);

enum Kind {
    Child(Child),
    /// Of the process at the other end, which says how it ended, and ends it when this end is closed.
    Elsewhere(UnixStream),
}

impl Process {
    /// Starts a child.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`].
    pub fn spawn(mut command: Command, ends: Ends) -> io::Result<Process> {
        let output = ends.output.map_or_else(Stdio::null, Stdio::from);
        command.stdin(ends.input).stdout(output).spawn().map(|child| Process(Kind::Child(child)))
    }

    /// Has the process at the other end of `passing` start what it knows by this octet, for a mail with this envelope if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`] there; `UnexpectedEof`: the other process is gone.
    pub(super) fn elsewhere(
        passing: &UnixStream,
        what: u8,
        ends: Ends,
        envelope: Option<&Envelope>,
    ) -> io::Result<Process> {
        let (mut own, other) = UnixStream::pair()?;
        let files = [Some(OwnedFd::from(other)), Some(ends.input), ends.output];
        passing::pass(passing, what, &files.into_iter().flatten().collect::<Vec<_>>())?;
        if let Some(envelope) = envelope {
            Channel::new(own.try_clone()?).send(envelope).map_err(io::Error::other)?;
        }
        match number(&mut own)? {
            0 => Ok(Process(Kind::Elsewhere(own))),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    ///
    /// Nobody knows any more.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.0 {
            Kind::Child(child) => child.try_wait(),
            Kind::Elsewhere(own) => match recv(&own, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Err(rustix::io::Errno::AGAIN) => Ok(None),
                Ok(_) => number(own).map(ExitStatus::from_raw).map(Some),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Waits until it ended.
    ///
    /// # Errors
    ///
    /// As [`Process::ended`].
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.0 {
            Kind::Child(child) => child.wait(),
            Kind::Elsewhere(own) => number(own).map(ExitStatus::from_raw),
        }
    }

    /// Ends it, whatever it does. One that ended by itself says how.
    ///
    /// # Errors
    ///
    /// As [`Process::ended`].
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        match &mut self.0 {
            Kind::Child(child) => child.kill()?,
            Kind::Elsewhere(own) => own.shutdown(Shutdown::Write)?,
        }
        self.wait()
    }
}

/// A number of the process that starts others: an error of the operating system (0: none), then a status.
fn number(stream: &mut UnixStream) -> io::Result<i32> {
    let mut octets = [0; 4];
    stream.read_exact(&mut octets)?;
    Ok(i32::from_le_bytes(octets))
}
