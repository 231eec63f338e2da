//! How mailboxes on servers are reached: passwords, time limits, TLS. Options of each verb that reads from servers.

use std::{
    fs::File,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Kind, Limits, Result, Secret, SystemRandom},
    config::SecretFrom,
    mailbox::remote::{Access, Credentials, Plaintext, Server, Timeouts},
};

use super::ask;

/// Options for mailboxes on servers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options for imap: and pop3:")]
pub(crate) struct ServerOptions {
    /// The file with the password, which no other user may read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Read the password from this file descriptor
    #[arg(long, value_name = "N", conflicts_with = "password_file")]
    password_fd: Option<u32>,
    /// The credential with the password that systemd provides (LoadCredential=)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["password_file", "password_fd"])]
    password_credential: Option<String>,
    /// A command that prints the password, or the token for ;AUTH=XOAUTH2; it is run by sh for each login
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["password_file", "password_fd", "password_credential"])]
    password_command: Option<String>,
    /// Seconds that a server may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Connect without TLS, so that the networks on the way can read the password and the mail
    #[arg(long)]
    insecure_plaintext: bool,
}

impl ServerOptions {
    /// How servers are reached, with these limits for a message.
    pub(crate) fn access(&self, limits: &Limits) -> Access {
        let silence = Duration::from_secs(self.timeout);
        let usual = Timeouts::default();
        Access {
            credentials: Arc::new(Passwords { from: self.source(), read: Mutex::default() }),
            plaintext: if self.insecure_plaintext { Plaintext::Anywhere } else { Plaintext::Loopback },
            timeouts: Timeouts { connect: silence.min(usual.connect), silence, ..usual },
            limits: limits.clone(),
            random: Arc::new(SystemRandom),
        }
    }

    fn source(&self) -> Source {
        if let Some(file) = &self.password_file {
            Source::Kept(SecretFrom::File(file.clone()))
        } else if let Some(name) = &self.password_credential {
            Source::Kept(SecretFrom::Credential(name.clone()))
        } else if let Some(number) = self.password_fd {
            Source::Descriptor(number)
        } else if let Some(command) = &self.password_command {
            Source::Command(command.clone())
        } else {
            Source::Terminal
        }
    }
}

/// Where a password comes from. Never from an argument: the list of processes shows those to every user.
enum Source {
    Kept(SecretFrom),
    Descriptor(u32),
    Command(String),
    Terminal,
}

struct Passwords {
    from: Source,
    /// What was typed or read from a descriptor, for the next login.
    read: Mutex<Option<Secret>>,
}

impl Credentials for Passwords {
    fn secret(&self, server: &Server, mechanism: &str) -> Result<Secret> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &*read {
            return Ok(secret.clone());
        }
        let secret = match &self.from {
            // Those two may say something else for the next login.
            Source::Kept(from) => return from.read(),
            Source::Command(command) => return printed_by(command),
            Source::Descriptor(number) => from_descriptor(*number)?,
            Source::Terminal => typed(server, mechanism)?,
        };
        *read = Some(secret.clone());
        Ok(secret)
    }
}

fn from_descriptor(number: u32) -> Result<Secret> {
    let path = format!("/proc/self/fd/{number}");
    let mut octets = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_SECRET).read_to_end(&mut octets));
    read.map_err(|error| Error::new(Kind::NoInput, Error::io(&path, &error).to_string()))?;
    first_line(octets, &format!("file descriptor {number}"))
}

/// What a command prints, which sh runs.
pub(super) fn printed(option: &str, command: &str) -> Result<Secret> {
    let mut running = Command::new("/bin/sh");
    running.arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit());
    let place = format!("{option} {command:?}");
    let output = running.output().map_err(|error| Error::io(&place, &error))?;
    if !output.status.success() {
        return Err(Error::new(Kind::NoKey, format!("{place}: {}", output.status)));
    }
    Ok(Secret::new(output.stdout))
}

fn printed_by(command: &str) -> Result<Secret> {
    let option = "--password-command";
    first_line(printed(option, command)?.expose().to_vec(), &format!("{option} {command:?}"))
}

fn typed(server: &Server, mechanism: &str) -> Result<Secret> {
    if !ask::is_possible() || mechanism == "XOAUTH2" {
        return Err(Error::usage(format!("{}: no password for {:?}", server.place(), server.user)).with_hint(
            "--password-file FILE, --password-command COMMAND, --password-fd N or --password-credential NAME",
        ));
    }
    let prompt = format!("password of {} at {}: ", postseal::report::printable(&server.user), server.place());
    let none = || Error::new(Kind::NoInput, "terminal: no password in it");
    ask::secret(&prompt)?.ok_or_else(none)
}

/// The first line, which is not empty.
fn first_line(octets: Vec<u8>, place: &str) -> Result<Secret> {
    let octets = Secret::new(octets);
    let line = octets.expose().split(|octet| *octet == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Error::new(Kind::NoInput, format!("{place}: no password in it")));
    }
    Ok(Secret::new(line.to_vec()))
}

/// Octets of a password or a token.
const MAX_SECRET: u64 = 64 * 1024;
