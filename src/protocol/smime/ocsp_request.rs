//! Asks a responder for the status of a certificate (RFC 6960, section 4.1).

use const_oid::db::rfc6960;
use der::asn1::ObjectIdentifier;

use super::encode::{constructed, octet_string, oid, sequence, unsigned, value};
use crate::{crypto::Hash, pki::Certificate};

/// The request for the status of `certificate`, which `issuer` issued, with this nonce if any (RFC 9654). Without one, nextUpdate limits how long an old
/// response can be replayed; many responders answer with responses that were signed before (RFC 5019, section 4). It names the issuer by SHA-1, which
/// every responder knows (RFC 5019, section 2.1.1).
pub fn request(certificate: &Certificate, issuer: &Certificate, nonce: Option<&[u8]>) -> Vec<u8> {
    let names = Hash::Sha1.digest(certificate.issuer().der());
    let keys = Hash::Sha1.digest(issuer.public_key().octets());
    let about = sequence(&[SHA1, &octet_string(&names), &octet_string(&keys), &unsigned(certificate.serial())]);
    let list = sequence(&[&sequence(&[&about])]);
    let extensions = nonce.map(|nonce| {
        let extension = sequence(&[&oid(NONCE), &octet_string(&octet_string(nonce))]);
        value(constructed(2), &[&sequence(&[&extension])])
    });
    // OCSPRequest, TBSRequest.
    sequence(&[&sequence(&[&list, &extensions.unwrap_or_default()])])
}

const NONCE: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_NONCE;

/// The AlgorithmIdentifier of id-sha1, with NULL (RFC 3279, section 2.1).
const SHA1: &[u8] = b"\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00";
