//! Input: messages from files and standard input, and addresses from the command line.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use postseal::{
    base::{Budget, Error, Kind, Limits, Result},
    mail::{Address, Message, mbox},
};

use rustix::fs::fstat;

use super::show::{
    self,
    progress::{self, Counted},
};

/// The octets of a file, or of standard input for `None` and `-`; refused when there are more than the Budget allows.
pub(crate) fn octets(name: Option<&Path>, budget: &Budget) -> Result<Vec<u8>> {
    match name.filter(|name| name.as_os_str() != "-") {
        None if io::stdin().is_terminal() => {
            show::aside("reading from the terminal; Ctrl-D ends the message\n");
            progress::quietly(|| limited(io::stdin().lock(), 0, "standard input", budget))
        }
        None => {
            // Of a file that the shell opened the size is known too. It may have been read in part.
            let size = fstat(io::stdin()).map_or(0, |status| usize::try_from(status.st_size).unwrap_or(0));
            limited(io::stdin().lock(), size.min(budget.limits().message), "standard input", budget)
        }
        Some(name) => {
            let place = name.display().to_string();
            let file = File::open(name).map_err(|e| missing(&place, &e))?;
            let metadata = file.metadata().map_err(|e| missing(&place, &e))?;
            if metadata.is_dir() {
                return Err(Error::new(Kind::NoInput, format!("{place}: is a directory")));
            }
            limited(file, usize::try_from(metadata.len()).unwrap_or(0), &place, budget)
        }
    }
}

/// The one message in a file or on standard input.
pub(crate) fn message(name: Option<&Path>, budget: &mut Budget) -> Result<Message> {
    let octets = octets(name, budget)?;
    // Otherwise the second message would be read as text of the first.
    let count = mbox::messages(&octets);
    if count > 1 {
        let place = name.map_or_else(|| "-".to_owned(), |name| name.display().to_string());
        return Err(Error::malformed(place, format!("an mbox of {count} messages"))
            .with_hint("give each message by itself: `git mailsplit -oDIR MBOX` takes them apart"));
    }
    Message::parse(octets, budget)
}

/// The message on standard input, for a transport: what exceeds a bound of its parts is refused only where it has to be taken apart.
pub(crate) fn received(limits: &Limits) -> Result<Message> {
    let mut budget = Budget::new(limits.clone());
    let mut octets = Vec::new();
    // One octet above the limit shows that the message is too large.
    let mut input = io::stdin().lock().take(limits.message as u64 + 1);
    input.read_to_end(&mut octets).map_err(|error| Error::io("standard input", &error))?;
    budget.message(octets.len())?;
    Message::received(octets, &mut budget)
}

/// The name of the file in reports.
pub(crate) fn label(name: Option<&PathBuf>) -> String {
    name.map_or_else(|| "-".to_owned(), |name| name.display().to_string())
}

/// An address from the command line. One that cannot be read is a wrong call (64) and not a malformed message.
pub(crate) fn address(typed: &str) -> Result<Address> {
    Address::parse(typed).map_err(|error| Error::usage(error.to_string()))
}

fn limited(from: impl Read, expected: usize, place: &str, budget: &Budget) -> Result<Vec<u8>> {
    let limit = budget.limits().message;
    let too_large =
        || Error::malformed(place, format!("more than {limit} octets")).with_hint("--max-size takes larger messages");
    if expected > limit {
        return Err(too_large());
    }
    // One octet more than expected, so that the end of the file is found without growing the buffer.
    let mut octets = Vec::with_capacity(expected.saturating_add(1));
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    Counted(from).take(more).read_to_end(&mut octets).map_err(|e| Error::io(place, &e))?;
    if octets.len() > limit { Err(too_large()) } else { Ok(octets) }
}

/// Each failure to open an input is reported as a missing input (66).
fn missing(place: &str, error: &io::Error) -> Error {
    Error::new(Kind::NoInput, Error::io(place, error).to_string())
}
