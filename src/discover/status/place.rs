//! One place where a certificate says that its status is, and what is asked there.

use std::{sync::Arc, time::Instant};

use crate::{
    base::hex,
    discover::{
        NetworkAccess, RevocationFetch, StatementKind,
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

    /// Asks about a certificate and its issuer, with this nonce if it is a responder. What comes is a CRL or a response with the same nonce, or none.
    pub(super) fn ask(
        &self,
        network: &dyn NetworkAccess,
        (certificate, issuer): (&Certificate, &Certificate),
        nonce: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Arc<[u8]>, Unfetched> {
        // What is fetched is signed by itself.
        let bounds = |octets| Bounds { octets, deadline, plain: Plain::Allow };
        let answer = match self.kind {
            StatementKind::Crl => network.get(&self.url, &bounds(MAX_LIST)),
            StatementKind::Ocsp => {
                let request = ocsp_request::request(certificate, issuer, nonce);
                network.post(&self.url, "application/ocsp-request", &request, &bounds(MAX_RESPONSE))
            }
        };
        let octets = answer.map_err(|failure| Unfetched::Server(failure.to_string()))?;
        read(&octets, nonce).map_err(Unfetched::Statement)?;
        Ok(octets.into())
    }
}

/// Why this is no statement that could be meant.
fn read(der: &[u8], nonce: Option<&[u8]>) -> Result<(), String> {
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

/// Octets of a CRL. Source: the largest of public authorities for mail have 4 MB.
const MAX_LIST: usize = 16 * 1024 * 1024;
/// Octets of an OCSP response with the certificates in it.
const MAX_RESPONSE: usize = 256 * 1024;
