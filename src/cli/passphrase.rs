//! Asks for new passphrases.

use std::path::Path;

use postseal::{
    base::{Error, Kind, Result, Secret},
    keys::Passphrases,
};

use super::{ask, input, session::Session};

/// The first line of a file.
pub(crate) fn of_file(file: &Path, session: &Session) -> Result<Secret> {
    let octets = Secret::new(input::octets(Some(file), &session.budget())?);
    let none = || Error::new(Kind::NoInput, format!("{}: no passphrase in it", file.display()));
    Passphrases::of_lines(octets.expose()).into_iter().next().ok_or_else(none)
}

/// The first line of what is given for passphrases, or what is typed twice. Errors begin with `verb`; `what` is what the passphrase is for.
/// `instead` starts with a comma and names an alternative to giving a passphrase; it may be empty.
pub(crate) fn new(verb: &str, what: &str, instead: &str, session: &Session) -> Result<Secret> {
    match session.given_passphrases()?.into_iter().next() {
        Some(given) => Ok(given),
        None => typed(verb, what, instead),
    }
}

/// What is typed twice, as [`new`] says.
pub(crate) fn typed(verb: &str, what: &str, instead: &str) -> Result<Secret> {
    if !ask::is_possible() {
        return Err(Error::usage(format!("{verb}: there is no terminal to ask for a passphrase"))
            .with_hint(format!("give --passphrase-file or --passphrase-fd{instead}")));
    }
    let Some(first) = ask::secret(&format!("new passphrase for {what}: "))? else {
        return Err(
            Error::usage(format!("{verb}: an empty passphrase locks nothing")).with_hint(format!("type one{instead}"))
        );
    };
    match ask::secret("the same again: ")? {
        Some(again) if first == again => Ok(first),
        _ => Err(Error::usage(format!("{verb}: the two passphrases differ"))),
    }
}
