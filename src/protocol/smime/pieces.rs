//! What key files are made of: certificates and private keys, before the ones find the others.

use der::{Decode, Reader, SliceReader, Tag, Tagged, asn1::AnyRef};

use super::{
    pem_bundle::{self, PemBlock},
    pkcs8,
};
use crate::{
    base::{Error, Kind, Limits, Result, Secret},
    keys::Passphrases,
    pki::Certificate,
};

/// Everything that several files hold.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// In the order of the files.
    pub(super) certificates: Vec<Certificate>,
    /// In the order of the files.
    pub(super) keys: Vec<Piece>,
    /// What was passed over, one line each.
    pub(super) skipped: Vec<String>,
}

/// A private key.
#[derive(Debug)]
pub(super) struct Piece {
    /// What errors call it: `bundle.pem: private key 1`.
    pub(super) place: String,
    /// PKCS#8, as locked as it came.
    pub(super) secret: Secret,
    /// PKCS#8, unlocked.
    pub(super) plain: Secret,
}

/// Whether `octets` are a SEQUENCE, or text with a block of PEM.
pub(super) fn recognizes(octets: &[u8]) -> bool {
    octets.first() == Some(&SEQUENCE) || !pem_bundle::blocks(octets).is_empty()
}

/// The PrivateKeyInfo in `octets`, PKCS#8 that may be encrypted. An error of kind `NoKey` when no passphrase fits.
pub(super) fn unlocked(octets: &Secret, what: &str, _passphrases: &Passphrases, _limits: &Limits) -> Result<Secret> {
    match shape(octets.expose()) {
        Ok(Shape::Pkcs8) => Ok(octets.clone()),
        _ => Err(Error::malformed(what, "not in the form of PKCS#8")),
    }
}

impl Pieces {
    /// Reads a file. One in which nothing was found is an error.
    pub(super) fn read(
        &mut self,
        octets: &[u8],
        place: &str,
        passphrases: &Passphrases,
        limits: &Limits,
    ) -> Result<()> {
        let (certificates, keys, skipped) = (self.certificates.len(), self.keys.len(), self.skipped.len());
        match octets.first() {
            Some(&SEQUENCE) => self.read_der(octets, place, passphrases, limits)?,
            _ => {
                for block in pem_bundle::blocks(octets) {
                    self.read_block(&block, place, passphrases, limits)?;
                }
            }
        }
        if self.certificates.len() == certificates && self.keys.len() == keys {
            let reason = self.skipped.get(skipped).cloned();
            return Err(Error::new(Kind::Malformed, reason.unwrap_or_else(|| format!("{place}: holds no key")))
                .with_hint("give certificates and private keys in PEM, DER or PKCS#12"));
        }
        Ok(())
    }

    /// One DER value after the other, as `gpgsm --export` writes certificates.
    fn read_der(&mut self, octets: &[u8], place: &str, passphrases: &Passphrases, limits: &Limits) -> Result<()> {
        let broken = |_| Error::malformed(place, "not in DER, or cut short");
        let mut values = SliceReader::new(octets).map_err(broken)?;
        while !values.is_finished() {
            let value = values.tlv_bytes().map_err(broken)?;
            self.read_value(value, place, passphrases, limits)?;
        }
        Ok(())
    }

    fn read_block(
        &mut self,
        block: &PemBlock<'_>,
        place: &str,
        passphrases: &Passphrases,
        limits: &Limits,
    ) -> Result<()> {
        let Some(octets) = &block.octets else {
            self.skipped.push(format!("{place}: {}: no base64, or cut short", block.label));
            return Ok(());
        };
        if !KNOWN.contains(&block.label) {
            self.skipped.push(format!("{place}: {}: neither certificate nor private key", block.label));
            return Ok(());
        }
        self.read_value(octets.expose(), place, passphrases, limits)
    }

    /// By what it is, whatever its label says.
    fn read_value(&mut self, octets: &[u8], place: &str, passphrases: &Passphrases, limits: &Limits) -> Result<()> {
        let key = format!("{place}: private key {}", self.keys.len() + 1);
        let unreadable = |_| Error::malformed(&key, "cannot be read");
        let secret = match shape(octets).unwrap_or(Shape::Other) {
            Shape::Signed => {
                match Certificate::parse(octets) {
                    Ok(certificate) => self.certificates.push(certificate),
                    Err(error) => self.skipped.push(format!("{place}: {error}")),
                }
                return Ok(());
            }
            Shape::Pkcs1 => pkcs8::of_pkcs1(octets).map_err(unreadable)?,
            Shape::Sec1 => pkcs8::of_sec1(octets).map_err(unreadable)?,
            Shape::Pkcs8 => Secret::new(octets.to_vec()),
            Shape::Other => {
                self.skipped.push(format!("{place}: neither certificate nor private key"));
                return Ok(());
            }
        };
        let plain = unlocked(&secret, &key, passphrases, limits)?;
        match pkcs8::unserved(plain.expose()).map_err(unreadable)? {
            Some(algorithm) => self.skipped.push(format!("{key}: its algorithm is not served here: {algorithm}")),
            None => self.keys.push(Piece { place: key, secret, plain }),
        }
        Ok(())
    }
}

/// What a SEQUENCE is, by the tags of its first fields.
enum Shape {
    Other,
    /// RSAPrivateKey (RFC 8017, appendix A.1.2).
    Pkcs1,
    /// PrivateKeyInfo (RFC 5208, section 5).
    Pkcs8,
    /// ECPrivateKey (RFC 5915, section 3).
    Sec1,
    /// What is signed: a certificate, and things that are none.
    Signed,
}

fn shape(octets: &[u8]) -> der::Result<Shape> {
    let whole = AnyRef::from_der(octets)?;
    whole.tag().assert_eq(Tag::Sequence)?;
    let mut fields = SliceReader::new(whole.value())?;
    let mut tags = Vec::new();
    while tags.len() < 3 && !fields.is_finished() {
        tags.push(AnyRef::decode(&mut fields)?.tag());
    }
    Ok(match tags.as_slice() {
        [Tag::Integer, Tag::Sequence, Tag::OctetString] => Shape::Pkcs8,
        [Tag::Integer, Tag::Integer, ..] => Shape::Pkcs1,
        [Tag::Integer, Tag::OctetString, ..] => Shape::Sec1,
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => Shape::Signed,
        _ => Shape::Other,
    })
}

const KNOWN: [&str; 5] = ["CERTIFICATE", "EC PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "X509 CERTIFICATE"];
const SEQUENCE: u8 = 0x30;
