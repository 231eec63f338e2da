//! What is asked of an HTTP server, in builds with and without the client.

use std::{fmt, time::Instant};

use serde::{Deserialize, Serialize};

use crate::base::Error;

/// The bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Octets of the answer.
    pub octets: usize,
    /// When the request has to end, with everything that it needs: look-up of the name, connection, TLS, redirects, the last octet.
    pub deadline: Instant,
    /// Whether an `http:` URL is asked.
    pub plain: Plain,
}

/// A request of a protocol over HTTP.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST of these octets, of this media type.
    Post(&'a str, &'a [u8]),
}

/// Whether a URL without TLS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Plain {
    /// Yes: what is fetched is signed by itself (CRLs, OCSP responses, certificates).
    Allow,
    /// No.
    Refuse,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Failure {
    /// The host does not exist, or has no address.
    NoHost,
    /// The server has nothing at this URL (404 or 410: RFC 9110, sections 15.5.5 and 15.5.11).
    NotFound,
    /// The server answers, and the answer is too large or compressed; the reason. It may work later.
    Unfit(String),
    /// Anything else, with the reason. It may work later.
    Failed(String),
}

impl Failure {
    /// The error of a look-up, which may work later: `place` says what was asked.
    pub fn error(&self, place: impl fmt::Display) -> Error {
        Error::unavailable(format!("{place}: {self}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoHost => f.write_str("the host does not exist"),
            Failure::NotFound => f.write_str("not found"),
            Failure::Unfit(reason) | Failure::Failed(reason) => f.write_str(reason),
        }
    }
}
