//! Logins (RFC 4422): what a client says in each mechanism. IMAP and POP3 carry it in their own ways.

use zeroize::Zeroizing;

use super::{Access, Server, scram::Scram};
use crate::base::{Error, Kind, Result, Secret};

/// A login in progress.
pub(in crate::mailbox) struct Exchange {
    state: State,
    /// Challenges answered.
    answered: usize,
}

enum State {
    /// RFC 4616.
    Plain(Zeroizing<Vec<u8>>),
    /// draft-murchison-sasl-login: the name, then the password.
    Login { user: String, password: Secret },
    /// RFC 7677.
    Scram(Box<Scram>),
    /// Google's and Microsoft's mechanism. An error comes as a challenge, and is answered with nothing.
    Xoauth2 { response: Zeroizing<Vec<u8>>, error: Option<String> },
}

/// The strongest mechanism that the server offers and this program has, or the one that the URL asks for. `None`: the server offers none of them, and the URL
/// asks for none.
///
/// # Errors
///
/// `Unavailable`: the one of the URL is not offered. Others: there is no password.
pub(in crate::mailbox) fn choose(server: &Server, offered: &[String], access: &Access) -> Result<Option<Exchange>> {
    let is_offered = |name: &str| offered.iter().any(|offer| offer.eq_ignore_ascii_case(name));
    let asked = server.mechanism.as_deref().filter(|name| *name != "*");
    let mechanism = match asked {
        Some(asked) => {
            let known = MECHANISMS.iter().chain(&[XOAUTH2]).find(|name| asked.eq_ignore_ascii_case(name));
            let Some(name) = known else {
                return Err(Error::usage(format!("{}: no mechanism {asked:?} here", server.place()))
                    .with_hint(format!("those that are: {}, {XOAUTH2}", MECHANISMS.join(", "))));
            };
            if !is_offered(name) {
                let offers = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
                let why = format!("{}: the server does not offer {name}; it offers {offers}", server.place());
                return Err(Error::unavailable(why));
            }
            *name
        }
        None => match MECHANISMS.iter().find(|name| is_offered(name)) {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    let secret = access.credentials.secret(server, mechanism)?;
    let user = server.user.as_str();
    let state = match mechanism {
        "SCRAM-SHA-256" => State::Scram(Box::new(Scram::new(user, secret, access)?)),
        "PLAIN" => {
            let response = [b"\0", user.as_bytes(), b"\0", secret.expose()].concat();
            State::Plain(Zeroizing::new(response))
        }
        "LOGIN" => State::Login { user: user.to_owned(), password: secret },
        _ => {
            let response = [b"user=", user.as_bytes(), b"\x01auth=Bearer ", secret.expose(), b"\x01\x01"].concat();
            State::Xoauth2 { response: Zeroizing::new(response), error: None }
        }
    };
    Ok(Some(Exchange { state, answered: 0 }))
}

impl Exchange {
    /// The name of the mechanism.
    pub(in crate::mailbox) fn name(&self) -> &'static str {
        match self.state {
            State::Plain(_) => "PLAIN",
            State::Login { .. } => "LOGIN",
            State::Scram(_) => "SCRAM-SHA-256",
            State::Xoauth2 { .. } => XOAUTH2,
        }
    }

    /// What the client says first; `None` where the server begins.
    pub(in crate::mailbox) fn initial(&self) -> Option<Zeroizing<Vec<u8>>> {
        match &self.state {
            State::Plain(response) | State::Xoauth2 { response, .. } => Some(response.clone()),
            State::Scram(scram) => Some(Zeroizing::new(scram.first())),
            State::Login { .. } => None,
        }
    }

    /// The answer to a challenge.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is none of the mechanism. `NoKey`: the server could not show that it knows the password.
    pub(in crate::mailbox) fn answer(&mut self, challenge: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.answered += 1;
        let excess = || Error::malformed("login", "the server asks for more than the mechanism has");
        match &mut self.state {
            State::Plain(_) => Err(excess()),
            State::Login { user, password } => match self.answered {
                1 => Ok(Zeroizing::new(user.clone().into_bytes())),
                2 => Ok(Zeroizing::new(password.expose().to_vec())),
                _ => Err(excess()),
            },
            State::Scram(scram) => Ok(Zeroizing::new(scram.answer(challenge)?)),
            State::Xoauth2 { error, .. } if self.answered == 1 => {
                *error = Some(super::quoted(challenge));
                Ok(Zeroizing::default())
            }
            State::Xoauth2 { .. } => Err(excess()),
        }
    }

    /// Ends a login that the server calls good.
    ///
    /// # Errors
    ///
    /// `NoKey`: the mechanism has the server show that it knows the password, and it did not.
    pub(in crate::mailbox) fn finish(&self) -> Result<()> {
        match &self.state {
            State::Scram(scram) if !scram.is_verified() => Err(Error::no_key(
                "login: the server did not show that it knows the password, so it may be another server",
            )),
            _ => Ok(()),
        }
    }

    /// The error for a login that the server refused with these words.
    pub(in crate::mailbox) fn refused(&self, place: &str, user: &str, said: &str) -> Error {
        let detail = match &self.state {
            State::Xoauth2 { error: Some(error), .. } => format!(" {error}"),
            _ => String::new(),
        };
        refused(place, user, &format!("{said}{detail}"))
    }
}

/// The error for a login that the server refused with these words.
pub(in crate::mailbox) fn refused(place: &str, user: &str, said: &str) -> Error {
    Error::new(Kind::NoKey, format!("{place}: the server refused the login of {user:?}: {said}"))
}

/// Best first. A server with the first learns nothing from the login.
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-256", "PLAIN", "LOGIN"];
/// Its secret is a token, and so it is used only if asked for.
const XOAUTH2: &str = "XOAUTH2";
