//! `filter`: one message from standard input to standard output, by the configuration.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, ValueHint};
use postseal::{
    base::{Clock, Error, Limits, Random, Result},
    config::{self, Config},
    engine::Handler,
    mail::{Envelope, ForwardPath, Login, Mail, ReversePath, Submitter},
    service,
    transport::{
        Blocking, HandingOver, SessionId,
        filter::{filter, temporary, try_again},
    },
};

use crate::cli::{input, log, session::Session};

/// Filter. Exit status 0: standard output has the message, or nothing if it is to be discarded; 75: keep it and try again; 64, 65 and 77:
/// refuse it.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    /// The sender; <> or nothing is the null sender
    #[arg(short = 'f', long = "from", value_name = "SENDER", default_value = "", allow_hyphen_values = true)]
    sender: String,
    /// The recipients, after --; all of them get the output
    #[arg(value_name = "RECIPIENT", required = true)]
    recipients: Vec<String>,
    /// The name by which the sender logged in, as Postfix's ${sasl_username}; none when empty
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    user: Option<String>,
    /// The client is in a trusted network
    #[arg(long)]
    trusted: bool,
    /// Hand the result over to the next hop of the configuration, and print nothing
    #[arg(long)]
    reinject: bool,
    /// The configuration [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Refuses an argument that clap would take as an option and that may be a recipient: senders choose recipients, and one may begin with a
/// hyphen.
///
/// # Errors
///
/// `Usage`: without `--`, an argument begins with a hyphen, is no value of an option before it, and has an @.
pub(crate) fn unambiguous(typed: &[OsString]) -> Result<()> {
    let mut arguments = typed.iter().map(|argument| argument.to_string_lossy());
    // The first of the two words is the verb. A recipient may be called like the other.
    let verb = arguments.find(|word| word == "filter" || word == "sendmail");
    if verb.as_deref() != Some("filter") || typed.iter().any(|argument| argument == "--") {
        return Ok(());
    }
    while let Some(argument) = arguments.next() {
        if VALUED.contains(&argument.as_ref()) {
            arguments.next();
        } else if argument.starts_with('-') && argument.contains('@') {
            return Err(Error::usage(format!("{argument}: an option or a recipient"))
                .with_hint("filter --from=SENDER --user=NAME -- RECIPIENT ..."));
        }
    }
    Ok(())
}

/// Options whose value is the next argument.
const VALUED: [&str; 5] = ["-c", "--config", "-f", "--from", "--user"];

/// Runs the verb. Faults of this machine are temporary errors: the caller keeps the mail.
pub(crate) fn run(what: &Filter, session: &Session) -> Result<ExitCode> {
    let ready = Ready::new(what, session).map_err(try_again)?;
    let _within = ready.id.span("filter").entered();
    let mail = mail(what, &ready.config.bounds.message).map_err(temporary)?;
    let Some(next_hop) = &ready.next_hop else {
        return print(filter(&*ready.handler, &ready.id, mail).map_err(temporary)?);
    };
    let quarantine = service::quarantine(&ready.config, &ready.clock, &ready.random).map_err(try_again)?;
    let bounces = service::bounces(&ready.config, &ready.clock, &ready.random).map_err(try_again)?;
    let (handler, session) = (&*ready.handler, &ready.id);
    let copies = HandingOver {
        handler,
        next_hop,
        quarantine: quarantine.as_ref(),
        bounces: bounces.as_ref(),
        name: "filter",
        session,
    };
    copies.deliver(mail, 1).map_err(temporary)?;
    Ok(ExitCode::SUCCESS)
}

fn print(written: Option<Vec<u8>>) -> Result<ExitCode> {
    if let Some(octets) = written {
        let mut out = io::stdout().lock();
        let done = out.write_all(&octets).and_then(|()| out.flush());
        done.map_err(|error| temporary(Error::io("standard output", &error)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything but the message.
struct Ready {
    config: Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    handler: Arc<dyn Handler>,
    /// With `--reinject`.
    next_hop: Option<Blocking>,
    id: SessionId,
}

impl Ready {
    fn new(what: &Filter, session: &Session) -> Result<Ready> {
        let config = config::load(&super::config::path(what.config.as_deref()))?;
        log::start_for_message(&config.log);
        let environment = session.configured(&config)?.environment()?;
        let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
        let next_hop = what.reinject.then(|| service::sendmail_next_hop(&config, &random)).transpose()?;
        let handler = service::measured_handler(&config, environment, Arc::default(), "filter")?;
        Ok(Ready { id: SessionId::new(&*random)?, config, clock, random, handler, next_hop })
    }
}

fn mail(what: &Filter, limits: &Limits) -> Result<Mail> {
    let path = |one: &String| Ok(ForwardPath { address: input::address(one)?, parameters: Vec::new() });
    let recipients = what.recipients.iter().map(path).collect::<Result<Vec<_>>>()?;
    let address = match what.sender.as_str() {
        "" | "<>" => None,
        sender => Some(input::address(sender)?),
    };
    let submitter = match what.user.as_deref().and_then(Login::new) {
        Some(name) => Submitter::Authenticated(name),
        None if what.trusted => Submitter::Trusted,
        None => Submitter::Unknown,
    };
    let sender = ReversePath { address, parameters: Vec::new() };
    Ok(Mail { envelope: Envelope { sender, recipients }, submitter, client: None, message: input::received(limits)? })
}
