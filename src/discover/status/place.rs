//! One place where a certificate says that its status is, and what is asked there.

use std::{sync::Arc, time::Instant};

use super::{Asked, Statuses};
use crate::{
    base::{Result, hex},
    discover::{
        Nonce, RevocationFetch, StatementKind,
        http::{Bounds, Plain},
    },
    pki::{self, Certificate, OcspResponse},
    protocol::smime::ocsp_request,
};

/// A place.
pub(super) struct Place {
    pub(super) kind: StatementKind,
    pub(super) url: String,
    /// By which processes know that they want the same: a CRL is for all certificates, a response for one.
    pub(super) key: String,
}

/// Why there is no statement.
pub(super) enum Unfetched {
    /// The server has none for any certificate.
    Server(String),
    /// What it has does not say what the status of this certificate is.
    Statement(String),
}

impl Place {
    /// Those that a certificate names, in the order in which they are asked: a response is smaller than a list.
    pub(super) fn all_of(certificate: &Certificate, by: RevocationFetch) -> Vec<Place> {
        let responders = certificate.ocsp_urls().into_iter().map(|url| (StatementKind::Ocsp, url));
        let lists = certificate.crl_urls().into_iter().map(|url| (StatementKind::Crl, url));
        let is_asked = |kind| match by {
            RevocationFetch::Off => false,
            RevocationFetch::Crl => kind == StatementKind::Crl,
            RevocationFetch::Ocsp => kind == StatementKind::Ocsp,
            RevocationFetch::Both => true,
        };
        let all = responders.chain(lists).filter(|(kind, _)| is_asked(*kind));
        all.map(|(kind, url)| Place::new(kind, url, certificate)).collect()
    }

    pub(super) fn new(kind: StatementKind, url: String, certificate: &Certificate) -> Place {
        let key = match kind {
            StatementKind::Crl => url.clone(),
            StatementKind::Ocsp => format!("{url} {}", hex(&certificate.fingerprint())),
        };
        Place { kind, url, key }
    }
}

impl Statuses {
    /// Asks one place. What comes is a CRL or a response with the nonce that was sent, or none.
    pub(super) fn ask(
        &self,
        place: &Place,
        asked: &Asked<'_>,
        deadline: Instant,
    ) -> Result<std::result::Result<Arc<[u8]>, Unfetched>> {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Ok(Err(Unfetched::Server(error.to_string()))),
        };
        let deadline = deadline.min(Instant::now() + self.settings.source_timeout);
        // What is fetched is signed by itself.
        let bounds = |octets| Bounds { octets, deadline, plain: Plain::Allow };
        let nonce = self.nonce(place.kind)?;
        let answer = match place.kind {
            StatementKind::Crl => client.get(&place.url, &bounds(MAX_LIST)),
            StatementKind::Ocsp => {
                let request = ocsp_request::request(asked.certificate, asked.issuer, nonce.as_deref());
                client.post(&place.url, "application/ocsp-request", &request, &bounds(MAX_RESPONSE))
            }
        };
        Ok(match answer {
            Err(failure) => Err(Unfetched::Server(failure.to_string())),
            Ok(octets) => match read(&octets, nonce.as_deref()) {
                Ok(()) => Ok(octets.into()),
                Err(why) => Err(Unfetched::Statement(why)),
            },
        })
    }

    fn nonce(&self, kind: StatementKind) -> Result<Option<Vec<u8>>> {
        if kind == StatementKind::Crl || self.settings.nonce == Nonce::Omit {
            return Ok(None);
        }
        let mut nonce = vec![0; NONCE];
        self.local.random.fill(&mut nonce)?;
        Ok(Some(nonce))
    }
}

/// Why this is no statement that could be meant.
fn read(der: &[u8], nonce: Option<&[u8]>) -> std::result::Result<(), String> {
    pki::check_statement(der).map_err(|error| error.to_string())?;
    let returned = OcspResponse::parse(der).ok().and_then(|response| response.nonce().map(<[u8]>::to_vec));
    match (nonce, returned) {
        (Some(sent), Some(returned)) if sent != returned => {
            Err("the response has another nonce (RFC 9654, section 2.1)".to_owned())
        }
        // Many responders sign ahead, without nonces.
        _ => Ok(()),
    }
}

/// Octets. Source: RFC 9654, section 2.1.
const NONCE: usize = 32;
/// Octets of a CRL. Source: the largest of public authorities for mail have 4 MB.
const MAX_LIST: usize = 16 * 1024 * 1024;
/// Octets of an OCSP response with the certificates in it.
const MAX_RESPONSE: usize = 256 * 1024;
