//! `fetch` and `watch`: messages of a mailbox on a server go to another place, through the policy.

mod run;
mod state;
mod target;
mod transfer;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgGroup, Args, ValueHint};
use postseal::{
    base::{Error, Result},
    mailbox::{
        location::Location,
        remote::{Purpose, Removal},
    },
};

use self::{
    run::{Job, Start},
    transfer::Destination,
};
use crate::cli::{input, servers::ServerOptions, session::Session};

/// Fetch the new messages of a mailbox on a server, each once. With --config, they go through the policy of the configuration: decrypted, annotated, refused,
/// as its rules say. What was fetched is kept in a state file, so that a run that was interrupted can be repeated.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("destination").required(true))]
pub(crate) struct Fetch {
    /// The mailbox: imap://USER@HOST/MAILBOX, imaps:, pop3://USER@HOST, pop3s:
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    url: String,
    /// Where the messages go: maildir:DIR, lmtp:HOST:PORT, lmtp:unix:PATH, imap://USER@HOST/MAILBOX
    #[arg(long, value_name = "TARGET", group = "destination")]
    to: Option<String>,
    /// Put what the policy makes of a message into the same mailbox, with its flags and its date
    #[arg(long, group = "destination", requires = "config")]
    append: bool,
    /// Move each original to this folder, after the target has confirmed the message
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["keep", "delete"])]
    move_to: Option<String>,
    /// Delete each original, after the target has confirmed the message
    #[arg(long, conflicts_with = "keep")]
    delete: bool,
    /// Leave the originals where they are, which is the default
    #[arg(long)]
    keep: bool,
    /// The configuration whose policy is applied; without it, messages are copied as they are
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "recipient")]
    config: Option<PathBuf>,
    /// The address that the mailbox belongs to: the recipient of each message
    #[arg(long = "for", value_name = "ADDRESS")]
    recipient: Option<String>,
    /// The file that keeps what was fetched [default: one for this URL and target in $XDG_STATE_HOME/postseal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,
    #[command(flatten)]
    servers: ServerOptions,
}

/// Fetch as fetch does, and stay connected: messages are fetched as they arrive. A lost connection is made again. SIGTERM ends it after the current message.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    #[command(flatten)]
    fetch: Fetch,
    /// Seconds between two questions for new mail, where the server does not tell by itself
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    poll: u64,
}

/// Runs `fetch`.
pub(crate) fn run(what: &Fetch, session: &Session) -> Result<ExitCode> {
    Start::new(what.job()?, session, run::Log::System)?.once()
}

/// Runs `watch`.
pub(crate) fn watch(what: &Watch, session: &Session) -> Result<ExitCode> {
    let mut job = what.fetch.job()?;
    if matches!(job.from, Location::Imap(_, None)) {
        return Err(
            Error::usage(format!("{}: one mailbox can be watched", job.from)).with_hint("imap://USER@HOST/INBOX")
        );
    }
    job.poll = std::time::Duration::from_secs(what.poll);
    Start::new(job, session, run::Log::Standard)?.forever()
}

impl Fetch {
    fn job(&self) -> Result<Job> {
        let from = Location::parse(&self.url)?;
        if !matches!(from, Location::Imap(..) | Location::Pop3(_)) {
            return Err(Error::usage(format!("{}: not a mailbox on a server", self.url))
                .with_hint("imap://USER@HOST/MAILBOX, imaps:, pop3://USER@HOST, pop3s:"));
        }
        let removal = match &self.move_to {
            Some(folder) => Some(Removal::MoveTo(folder.clone())),
            None => self.delete.then_some(Removal::Delete),
        };
        let (to, destination) = match &self.to {
            Some(to) => (Location::parse(to)?, Destination::Elsewhere),
            None => (from.clone(), Destination::SameMailbox),
        };
        if destination == Destination::SameMailbox {
            if !matches!(from, Location::Imap(_, Some(_))) {
                return Err(Error::usage(format!("--append: {from} is not one mailbox of an IMAP server")));
            }
            if removal.is_none() {
                return Err(Error::usage("--append: each message would be in the mailbox twice")
                    .with_hint("--move-to FOLDER names a folder for the originals"));
            }
        } else if from == to {
            return Err(Error::usage(format!("--to {to}: is where the messages are")).with_hint("--append"));
        }
        Ok(Job {
            from,
            to,
            destination,
            purpose: if removal.is_some() { Purpose::Remove } else { Purpose::Read },
            removal,
            config: self.config.clone(),
            recipient: self.recipient.as_deref().map(input::address).transpose()?,
            state: self.state.clone(),
            servers: self.servers.clone(),
            poll: std::time::Duration::from_secs(60),
        })
    }
}
