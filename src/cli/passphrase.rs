//! Asks for new passphrases.

use std::path::Path;

use postseal::{
    base::{Error, Kind, Result, Secret, SystemRandom},
    keys::{PassphraseFrom, Passphrases, SharedPassphrase},
};

use super::{ask, input, session::Session, show};

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

/// A passphrase to share with `whom`: the first line of what is given, or what is typed twice. An empty line makes one, which is printed.
pub(crate) fn shared(verb: &str, whom: &str, session: &Session) -> Result<SharedPassphrase> {
    if let Some(given) = session.given_passphrases()?.into_iter().next() {
        return read(&given);
    }
    if !ask::is_possible() {
        return Err(Error::usage(format!("{verb}: there is no terminal to ask for a passphrase"))
            .with_hint("give --passphrase-file, or let `postseal key password --generate ADDRESS` make one"));
    }
    let Some(first) = ask::secret(&format!("passphrase to share with {whom} (empty: one is made): "))? else {
        let (made, text) = generated(whom)?;
        // Standard output may be the message.
        show::always(&text);
        return Ok(made);
    };
    let chosen = read(&first)?;
    match ask::secret("the same again: ")? {
        Some(again) if first == again => Ok(chosen),
        _ => Err(Error::usage(format!("{verb}: the two passphrases differ"))),
    }
}

/// A passphrase that is made here, and the line that shows it to the sender.
pub(crate) fn generated(whom: &str) -> Result<(SharedPassphrase, String)> {
    let made = SharedPassphrase::generate(&SystemRandom)?;
    let text = format!("{}\n", String::from_utf8_lossy(made.text().expose()));
    show::hint(&format!("tell it to {whom} by telephone or in person, not by mail"));
    Ok((made, text))
}

fn read(given: &Secret) -> Result<SharedPassphrase> {
    let text = std::str::from_utf8(given.expose()).map_err(|_| Error::usage("passphrase: not UTF-8"))?;
    SharedPassphrase::parse(text, PassphraseFrom::Message)
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
