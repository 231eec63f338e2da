//! Mail handed over to the real sendmail.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use super::Onward;
use crate::{
    base::{Error, Kind, Result},
    mail::{ForwardPath, Mail},
    transport::lines::to_lf,
};

/// A program with sendmail's options.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is. It must not be postseal itself.
    pub path: PathBuf,
    /// What stands before our options: `-C`, a directory.
    pub arguments: Vec<String>,
}

impl Onward for Program {
    /// Runs the program once for at most 1,000 recipients that ask for the same notices.
    fn hand_over(&self, mail: &Mail) -> Result<()> {
        let recipients = &mail.envelope.recipients;
        let octets = to_lf(mail.message.octets());
        for alike in recipients.chunk_by(|one, other| one.parameters == other.parameters) {
            for few in alike.chunks(MOST_RECIPIENTS) {
                self.run(mail, few, &octets)?;
            }
        }
        Ok(())
    }
}

impl Program {
    fn run(&self, mail: &Mail, recipients: &[ForwardPath], octets: &[u8]) -> Result<()> {
        let name = self.path.display();
        let sender = &mail.envelope.sender;
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
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_run(&name, &error))?;
        let stdin = child.stdin.take();
        // Whoever refuses early need not read it all; what he says of it counts.
        let (written, output) = thread::scope(|scope| {
            let writing = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(octets)));
            let output = child.wait_with_output();
            (writing.join().unwrap_or(Err(io::ErrorKind::Other.into())), output)
        });
        let output = output.map_err(|error| not_run(&name, &error))?;
        if !output.status.success() {
            return Err(refused(&name, output.status, &output.stderr));
        }
        written.map_err(|error| not_run(&name, &error))
    }
}

fn value_of<'a>(parameter: &'a str, keyword: &str) -> Option<&'a str> {
    let (name, value) = parameter.split_at_checked(keyword.len())?;
    name.eq_ignore_ascii_case(keyword).then_some(value)
}

fn not_run(name: &impl std::fmt::Display, error: &io::Error) -> Error {
    Error::new(Kind::TryAgain, format!("{name}: {}", error.to_string().to_lowercase()))
}

/// What the program said, with the kind that its exit status of sysexits.h stands for.
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
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Error::new(kind, format!("{name}: {status}: {last}"))
}

/// Source: 1,000 addresses of 254 octets (RFC 5321, section 4.5.3.1) are an eighth of the 2 MiB that Linux gives arguments.
const MOST_RECIPIENTS: usize = 1_000;
