//! Asks for a new passphrase.

use std::io::{self, IsTerminal};

use postseal::base::{Error, Result, Secret};

use super::{session::Session, show::progress};

/// The first line of the passphrase file or descriptor, or what is typed twice. Errors begin with `verb`. `instead` starts with a comma
/// and names an alternative to giving a passphrase; it may be empty.
pub(crate) fn new(verb: &str, instead: &str, session: &Session) -> Result<Secret> {
    if let Some(given) = session.given_passphrases()?.into_iter().next() {
        return Ok(given);
    }
    if !io::stderr().is_terminal() {
        return Err(Error::usage(format!("{verb}: there is no terminal to ask for a passphrase"))
            .with_hint(format!("give --passphrase-file or --passphrase-fd{instead}")));
    }
    let ask = |prompt: &str| {
        progress::quietly(|| rpassword::prompt_password(prompt)).map(|typed| Secret::new(typed.into_bytes()))
    };
    let typed = ask("new passphrase: ").and_then(|first| Ok((first, ask("the same again: ")?)));
    match typed.map_err(|error| Error::io("terminal", &error))? {
        (first, _) if first.expose().is_empty() => {
            Err(Error::usage(format!("{verb}: an empty passphrase locks nothing"))
                .with_hint(format!("type one{instead}")))
        }
        (first, again) if first == again => Ok(first),
        _ => Err(Error::usage(format!("{verb}: the two passphrases differ"))),
    }
}
