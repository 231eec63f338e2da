//! What is asked of an HTTP server, in builds with and without the client.

use std::time::Instant;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Yes: what is fetched is signed by itself (CRLs, OCSP responses, certificates).
    Allow,
    /// No.
    Refuse,
}
