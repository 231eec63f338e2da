//! Asks a responder for the status of a certificate (RFC 6960, section 4.1).

use super::encode::{octet_string, sequence, unsigned};
use crate::{crypto::Hash, pki::Certificate};

/// The request for the status of `certificate`, which `issuer` issued. It has no nonce: many responders answer with responses that were signed before
/// (RFC 5019, section 4), and nextUpdate limits how long an old one can be replayed. It names the issuer by SHA-1, which every responder knows
/// (RFC 5019, section 2.1.1).
pub fn request(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let names = Hash::Sha1.digest(certificate.issuer().der());
    let keys = Hash::Sha1.digest(issuer.public_key().octets());
    let about = sequence(&[SHA1, &octet_string(&names), &octet_string(&keys), &unsigned(certificate.serial())]);
    // OCSPRequest, TBSRequest, requestList, Request.
    sequence(&[&sequence(&[&sequence(&[&sequence(&[&about])])])])
}

/// The AlgorithmIdentifier of id-sha1, with NULL (RFC 3279, section 2.1).
const SHA1: &[u8] = b"\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00";
