//! Certificates around keys that are elsewhere, on a token.

use super::{
    encode::{NULL, algorithm, bit_string, oid, sequence, unsigned},
    generate::{Request, checked_name, self_signed},
    pkcs8,
    record::{certificate, record},
};
use crate::{
    base::{Clock, Error, Random, Result},
    crypto::{PublicParts, SecretKey},
    keys::Record,
    pki::{Certificate, PublicKey},
    protocol::Described,
};

/// Whether the certificate of `record` is for this key.
///
/// # Errors
///
/// `Malformed` if the certificate cannot be read.
pub fn has_key(record: &Record, key: &PublicParts) -> Result<bool> {
    let certified = certificate(record)?;
    Ok(public_key(key).is_ok_and(|key| {
        key.algorithm() == certified.public_key().algorithm() && {
            // The parameters of an RSA key may be written in several ways.
            key.octets() == certified.public_key().octets()
        }
    }))
}

/// A self-signed certificate for a key that is elsewhere and that `secret` signs with. Its [`Described::secret`] is for the caller to set; the
/// algorithm and the passphrase of `request` are not used.
///
/// # Errors
///
/// As [`generate`](super::generate::generate), and those of `secret`.
pub fn generate(
    request: &Request,
    key: &PublicParts,
    secret: &dyn SecretKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Described> {
    let (name, public) = (checked_name(request)?, public_key(key)?);
    let certificate = self_signed(request, &name, (&public, secret), clock, random)?;
    let mut record = record(&Certificate::parse(&certificate)?);
    record.set_secrets([record.fingerprint().clone()]);
    let proven = record.secrets().to_vec();
    Ok(Described { record, secret: None, proven })
}

/// SubjectPublicKeyInfo (RFC 3279, section 2.3.1; RFC 5480, section 2; RFC 8410, section 4).
fn public_key(key: &PublicParts) -> Result<PublicKey> {
    let (identifier, octets) = match key {
        PublicParts::Ed25519(octets) => (algorithm(pkcs8::ED25519, &[]), octets.clone()),
        PublicParts::Elliptic { curve, point } => {
            let name = curve.oid().ok_or_else(|| key.algorithm().refuses("be in a certificate"))?;
            (algorithm(pkcs8::EC, &oid(name)), point.clone())
        }
        PublicParts::Rsa { n, e } => (algorithm(pkcs8::RSA, NULL), sequence(&[&unsigned(n), &unsigned(e)])),
        PublicParts::X25519(octets) => (algorithm(pkcs8::X25519, &[]), octets.clone()),
    };
    PublicKey::parse(&sequence(&[&identifier, &bit_string(&octets)]))
        .map_err(|_| Error::no_key(format!("{} key: its public part is none", key.algorithm().name())))
}
