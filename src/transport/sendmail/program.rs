//! Mail handed over to the sendmail of the mail server.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitStatus, Output, Stdio},
    thread,
};

use crate::{
    base::{Error, Kind, Result},
    mail::{Envelope, Mail},
    transport::{
        NextHop, SendError, Sending,
        line_ends::to_lf,
        smtp::{Origin, Reply},
    },
};

/// A program that takes sendmail's options.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path. It must not be postseal itself.
    pub path: PathBuf,
    /// Arguments before ours: `-C`, a directory.
    pub arguments: Vec<String>,
}

impl NextHop for Program {
    /// One mail after the other; the first failure ends it.
    fn send_all<'a>(&'a self, mails: &'a [Mail], _: Option<&'a Origin>) -> Sending<'a, Vec<Result<Reply, SendError>>> {
        Box::pin(async move {
            let mut results = Vec::new();
            for mail in mails {
                let (program, copy) = (self.clone(), mail.clone());
                let done = tokio::task::spawn_blocking(move || program.hand_over(&copy)).await;
                match done.unwrap_or_else(|_| Err(Error::new(Kind::TryAgain, "the mail was not handed over"))) {
                    Ok(()) => results.push(Ok(Reply::new(250, "2.0.0", "Ok"))),
                    Err(error) if results.is_empty() => return Err(SendError::Failed(error)),
                    Err(error) => {
                        results.resize(mails.len(), Err(SendError::Failed(error)));
                        break;
                    }
                }
            }
            Ok(results)
        })
    }
}

impl Program {
    /// Runs the program once per 1,000 recipients that request the same notifications.
    ///
    /// # Errors
    ///
    /// `TryAgain`: it does not run. Others: what its exit status says.
    pub fn hand_over(&self, mail: &Mail) -> Result<()> {
        self.hand_over_by(mail, |envelope, octets| run(self.command(envelope), octets))
    }

    /// The same. `run` runs the program for an envelope, with octets as its standard input, and fails if it ends well and did not read everything.
    ///
    /// # Errors
    ///
    /// As [`Program::hand_over`].
    pub fn hand_over_by(&self, mail: &Mail, run: impl Fn(&Envelope, &[u8]) -> io::Result<Output>) -> Result<()> {
        let Envelope { sender, recipients } = &mail.envelope;
        let octets = to_lf(mail.message.octets());
        let name = self.path.display();
        for group in recipients.chunk_by(|one, other| one.parameters == other.parameters) {
            for chunk in group.chunks(MAX_RECIPIENTS) {
                let envelope = Envelope { sender: sender.clone(), recipients: chunk.to_vec() };
                let output = run(&envelope, &octets).map_err(|error| not_run(&name, &error))?;
                if !output.status.success() {
                    return Err(refused(&name, output.status, &output.stderr));
                }
            }
        }
        Ok(())
    }

    /// What runs it for the recipients of an envelope, who request the same notifications.
    pub fn command(&self, envelope: &Envelope) -> Command {
        let Envelope { sender, recipients } = envelope;
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).arg("-i").arg("-f");
        command.arg(sender.address.as_ref().map_or_else(|| "<>".to_owned(), ToString::to_string));
        let noted = recipients.first().map(|path| path.parameters.as_slice()).unwrap_or_default();
        for (keyword, option) in [("NOTIFY=", "-N"), ("RET=", "-R"), ("ENVID=", "-V")] {
            let found = noted.iter().chain(&sender.parameters).find_map(|parameter| value_of(parameter, keyword));
            if let Some(value) = found {
                command.arg(option).arg(value);
            }
        }
        command.arg("--").args(recipients.iter().map(|path| path.address.to_string()));
        command
    }
}

fn run(mut command: Command, octets: &[u8]) -> io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    // A program that refuses early need not read everything; its exit status decides.
    let (written, output) = thread::scope(|scope| {
        let writing = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(octets)));
        let output = child.wait_with_output();
        (writing.join().unwrap_or(Err(io::ErrorKind::Other.into())), output)
    });
    let output = output?;
    if output.status.success() {
        written?;
    }
    Ok(output)
}

fn value_of<'a>(parameter: &'a str, keyword: &str) -> Option<&'a str> {
    let (name, value) = parameter.split_at_checked(keyword.len())?;
    name.eq_ignore_ascii_case(keyword).then_some(value)
}

fn not_run(name: &impl std::fmt::Display, error: &io::Error) -> Error {
    Error::new(Kind::TryAgain, format!("{name}: {}", error.to_string().to_lowercase()))
}

/// The program's last line of output, with the kind of its exit status in sysexits.h.
fn refused(name: &impl std::fmt::Display, status: ExitStatus, said: &[u8]) -> Error {
    let kind = match status.code() {
        Some(64) => Kind::Usage,
        Some(65) => Kind::Malformed,
        Some(67 | 68 | 77) => Kind::NoKey,
        Some(69) => Kind::Unavailable,
        Some(78) => Kind::Config,
        _ => Kind::TryAgain,
    };
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
    Error::new(kind, format!("{name}: {status}: {last}"))
}

/// Source: 1,000 addresses of 254 octets (RFC 5321, section 4.5.3.1) are an eighth of the 2 MiB that Linux gives arguments.
const MAX_RECIPIENTS: usize = 1_000;
