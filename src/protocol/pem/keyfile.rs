//! Reads PEM's key files: RIPEM's `PublicKeyInfo:`, `CertificateInfo:` and `EncryptedPrivateKeyInfo:`, and bare RSA
//! public keys.

use super::{boundary, canonical::printable, private_key, record, services, text};
use crate::{
    base::{Budget, Error, Kind, Limits, Result, Secret, upper_hex},
    crypto::{Hash, SoftwareKey},
    keys::{Passphrases, Record},
    mail::encoding::base64_decode,
    pki::{
        PublicKey,
        tlv::{self, INTEGER},
    },
    protocol::Described,
};

pub use super::private_key::LockedKey;

/// The contents of a file.
#[derive(Debug, Default)]
pub struct Contents {
    /// Bare keys, and private keys with their public keys.
    pub found: Vec<Described>,
    /// Certificates in DER.
    pub certificates: Vec<Vec<u8>>,
    /// Skipped items, one line each.
    pub skipped: Vec<String>,
    /// Private keys that no passphrase opened, each an error of kind `NoKey`.
    pub locked: Vec<Error>,
}

/// Whether `octets` are a RIPEM file, a PEM message that may carry certificates (RFC 1424), or a bare RSA public key:
/// in DER, labelled PUBLIC KEY (RFC 7468, section 13), or in plain base64.
pub fn recognizes(octets: &[u8]) -> bool {
    is_ripem(octets) || bare(octets).is_some() || is_message(octets)
}

/// Reads a file. `place` names it in errors. Keys that do not match the digest next to them, and private keys that no
/// passphrase opens, are skipped and listed.
///
/// # Errors
///
/// `Malformed` if a message or a private key cannot be read, or unlocking exceeds the limits; `Unavailable` if a private key is encrypted
/// with an unsupported algorithm.
pub fn read(octets: &[u8], place: &str, passphrases: &Passphrases, limits: &Limits) -> Result<Contents> {
    let mut contents = Contents::default();
    let budget = &mut Budget::new(limits.clone());
    if let Some(spki) = bare(octets) {
        contents.found.push(public(&spki, None)?);
        return Ok(contents);
    }
    if is_message(octets) {
        contents.certificates = services::carried(octets, place, limits)?.unwrap_or_default().certificates;
        return Ok(contents);
    }
    let mut user: Option<String> = None;
    let fields = fields(octets);
    for (at, (name, value)) in fields.iter().enumerate() {
        match name.as_str() {
            "User" => user = Some(value.clone()),
            "PublicKeyInfo" => {
                let spki = base64_decode(value.as_bytes());
                let digest = fields.get(at + 1).filter(|(name, _)| name == "MD5OfPublicKey").map(|(_, value)| value);
                if digest.is_some_and(|digest| !digest.eq_ignore_ascii_case(&md5(&spki))) {
                    contents.skipped.push(format!("{place}: public key {}: does not match its MD5OfPublicKey", at + 1));
                    continue;
                }
                match public(&spki, user.as_deref()) {
                    Ok(found) => contents.found.push(found),
                    Err(error) => contents.skipped.push(format!("{place}: {error}")),
                }
            }
            "CertificateInfo" => contents.certificates.push(base64_decode(value.as_bytes())),
            "EncryptedPrivateKeyInfo" | "PrivateKeyInfo" => {
                let octets = Secret::new(base64_decode(value.as_bytes()));
                let owner = user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
                let tried = private_key::open(&octets, &format!("{place}: private key{owner}"), passphrases, budget);
                let parts = match tried {
                    Err(error) if error.kind() == Kind::NoKey => {
                        contents.locked.push(error);
                        continue;
                    }
                    tried => tried?,
                };
                if let Err(error) = SoftwareKey::rsa(&parts) {
                    contents.skipped.push(format!("{place}: private key{owner}: {error}"));
                    continue;
                }
                let mut record = record::record(&record::of_numbers(&parts.n, &parts.e)?, user.as_deref())?;
                record.set_secrets([record.fingerprint().clone()]);
                let proven = record.secrets().to_vec();
                contents.found.push(Described { record, secret: Some(octets), proven });
            }
            _ => {}
        }
    }
    Ok(contents)
}

/// Reads a bare public key as stored in the home.
///
/// # Errors
///
/// `Malformed` if it is not an RSA public key.
pub fn describe(octets: &[u8], place: &str) -> Result<Described> {
    let spki = bare(octets).ok_or_else(|| Error::malformed(place, "not an rsa public key"))?;
    public(&spki, None)
}

/// Writes a bare key with the label PUBLIC KEY (RFC 7468, section 13).
pub fn labelled(record: &Record) -> Vec<u8> {
    let lines = printable(record.bytes(), "").replace("\r\n", "\n");
    format!("-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n").into_bytes()
}

/// Writes the secret part of a bare key in RIPEM's format, which [`read`] reads. It stays encrypted as it is stored.
pub fn labelled_secret(record: &Record, held: &Secret) -> Secret {
    // PrivateKeyInfo starts with its version, EncryptedPrivateKeyInfo with an algorithm (RFC 5958, sections 2 and 3).
    let is_open =
        tlv::Reader::new(held.expose(), "private key").sequence().is_ok_and(|mut key| key.expect(INTEGER).is_ok());
    let name = if is_open { "PrivateKeyInfo" } else { "EncryptedPrivateKeyInfo" };
    let mut text = String::new();
    for address in record.claimed() {
        text.push_str(&format!("User: {address}\n"));
    }
    text.push_str(&format!("{name}:\n{}", printable(held.expose(), " ").replace("\r\n", "\n")));
    Secret::new(text.into_bytes())
}

/// Merges two copies of one key: its addresses, the owner's bindings, and its secret part.
pub fn merge(old: &Record, new: &Record) -> Record {
    old.clone().merged_with(new)
}

fn public(spki: &[u8], user: Option<&str>) -> Result<Described> {
    Ok(Described { record: record::record(&PublicKey::parse(spki)?, user)?, secret: None, proven: Vec::new() })
}

/// The key, if the file is only a public key.
fn bare(octets: &[u8]) -> Option<Vec<u8>> {
    let is_key = |spki: &Vec<u8>| PublicKey::parse(spki).is_ok_and(|key| record::rsa(&key).is_ok());
    if octets.first() == Some(&0x30) {
        return Some(octets.to_vec()).filter(is_key);
    }
    let text = std::str::from_utf8(octets.get(..octets.len().min(LONGEST))?).ok()?.trim();
    let inside = match text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
        Some(rest) => rest.strip_suffix("-----END PUBLIC KEY-----")?,
        None => text,
    };
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/=".contains(c);
    let only = !inside.is_empty() && inside.chars().all(is_base64);
    only.then(|| base64_decode(inside.as_bytes())).filter(is_key)
}

/// Whether a line starts with one of RIPEM's field names.
fn is_ripem(octets: &[u8]) -> bool {
    let begins = |line: &[u8]| NAMES.iter().any(|name| line.starts_with(name));
    // Binary keys have no lines.
    octets.first() != Some(&0x30) && octets.split(|octet| *octet == b'\n').any(begins)
}

fn is_message(octets: &[u8]) -> bool {
    boundary::blocks(octets).any(|block| text::proc_type_of(block.inside.of(octets)).is_some())
}

/// Names and values, unfolded. Lines that are not fields are skipped.
fn fields(octets: &[u8]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in octets.split(|octet| *octet == b'\n') {
        let line = String::from_utf8_lossy(line);
        match (line.starts_with([' ', '\t']), line.split_once(':'), fields.last_mut()) {
            (true, _, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (false, Some((name, value)), _) => fields.push((name.trim().to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    fields
}

fn md5(octets: &[u8]) -> String {
    upper_hex(&Hash::Md5.digest(octets))
}

/// RIPEM's field names.
const NAMES: [&[u8]; 4] = [b"PublicKeyInfo:", b"CertificateInfo:", b"EncryptedPrivateKeyInfo:", b"PrivateKeyInfo:"];
/// Maximum characters of an RSA key: those of 16,384 bits, with a margin.
const LONGEST: usize = 8_192;
