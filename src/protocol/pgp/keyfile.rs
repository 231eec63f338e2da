//! Reads, merges and writes key files: Transferable Public and Secret Keys (RFC 9580, sections 10.1 and 10.2), armored
//! or binary, one or many in a file.

use std::{
    borrow::Cow,
    io::{Read, Write},
};

use sequoia_openpgp::{
    Cert, Error as PgpError, Packet, armor as sequoia_armor,
    cert::{CertParser, amalgamation::key::ErasedKeyAmalgamation},
    crypto::S2K,
    packet::UserID,
    packet::key::{SecretKeyMaterial, SecretParts},
    parse::Parse,
    serialize::MarshalInto,
};

use super::{
    cert::{self, handle},
    counting::within_limits,
    locked::{Stub, stub},
    loose::Loose,
    words::reason,
};
pub use super::{locked::LockedKeys, loose::apply_revocations};
use crate::{
    base::{Error, Limits, Result, Secret},
    keys::{Deprecated, Handle, ProtocolName, Record},
    mail::{
        Address, address,
        armor::{Label, pgp_blocks},
    },
    protocol::{Described, KeyFile},
};

/// The encoding of written keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armor {
    /// ASCII armor (RFC 9580, section 6.2).
    Ascii,
    /// Binary packets.
    Binary,
}

/// Whether `octets` look like a key file: binary packets, or text with an OpenPGP armor block.
pub fn recognizes(octets: &[u8]) -> bool {
    is_binary(octets) || pgp_blocks(&without_colon(octets)).next().is_some()
}

/// Reads every certificate and secret key in `octets`. `place` names the file in errors. Secret parts stay encrypted as
/// they are. Blocks that are not keys, and certificates that cannot be read, are skipped and listed.
///
/// # Errors
///
/// `Malformed` if the file holds no key, not even one of a deprecated version.
pub fn describe(octets: &[u8], place: &str) -> Result<KeyFile> {
    let mut file = KeyFile::default();
    if is_binary(octets) {
        read(&mut file, octets, place);
    } else {
        let octets = without_colon(octets);
        for block in pgp_blocks(&octets) {
            let armored = octets.get(block.span.start..block.span.end).unwrap_or_default();
            match block.label {
                Label::PgpPublicKey | Label::PgpPrivateKey | Label::PgpSignature => {
                    let mut packets = Vec::with_capacity(armored.len());
                    let mode = sequoia_armor::ReaderMode::Tolerant(None);
                    let whole = sequoia_armor::Reader::from_bytes(armored, mode).read_to_end(&mut packets).is_ok();
                    read(&mut file, Secret::new(packets).expose(), place);
                    if !whole {
                        file.skipped.push(format!("{place}: its armor is damaged"));
                    }
                }
                _ => file.skipped.push(format!("{place}: an OpenPGP block that holds no key")),
            }
        }
    }
    if file.found.is_empty() && file.deprecated.is_empty() && file.revocations.is_empty() {
        let reason = file.skipped.first().cloned().unwrap_or_else(|| format!("{place}: holds no OpenPGP key"));
        return Err(Error::new(crate::base::Kind::Malformed, reason)
            .with_hint("give an OpenPGP certificate or key, armoured or binary"));
    }
    Ok(file)
}

/// Merges two copies of one certificate: every key, user ID, signature, revocation and binding of both.
///
/// # Errors
///
/// `Malformed` if one of them cannot be read, or they are different certificates.
pub fn merge(old: &Record, new: &Record) -> Result<Record> {
    if old.bytes() == new.bytes() {
        return Ok(old.clone().merged_with(new));
    }
    let both = parse(old.bytes(), old.fingerprint())?.merge_public(parse(new.bytes(), new.fingerprint())?);
    let merged = describe_cert(&both.map_err(|error| failed(old.fingerprint(), &error))?)?.record;
    Ok(merged.merged_with(old).merged_with(new))
}

/// Writes the certificate for publication, without signatures that are marked as not exportable (RFC 9580, section
/// 5.2.3.19).
///
/// # Errors
///
/// `Malformed` if the record cannot be read; `NoKey` if it has no valid self-signature.
pub fn export(record: &Record, form: Armor) -> Result<Vec<u8>> {
    let cert = parse(record.bytes(), record.fingerprint())?;
    let octets = cert.export_to_vec().map_err(|error| failed(record.fingerprint(), &error))?;
    if octets.is_empty() {
        // Sequoia leaves out keys and user IDs without a valid self-signature.
        return Err(Error::no_key(format!("key {}: it has no valid self-signature", record.fingerprint())));
    }
    armored(octets, sequoia_armor::Kind::PublicKey, form)
}

/// Writes the secret key, encrypted as it is stored. Keys whose secret part is missing are written as GnuPG stubs,
/// because GnuPG would otherwise refuse the whole file.
///
/// # Errors
///
/// `Malformed` if `secret` cannot be read or written.
pub fn export_secret(secret: &Secret, form: Armor) -> Result<Secret> {
    let cert = cert::read(secret.expose()).map_err(|error| Error::malformed("secret key", reason(&error)))?;
    let octets = cert.as_tsk().emit_secret_key_stubs(true).to_vec();
    let octets = octets.map_err(|error| failed(&handle(&cert.fingerprint()), &error))?;
    armored(octets, sequoia_armor::Kind::SecretKey, form).map(Secret::new)
}

fn read(file: &mut KeyFile, octets: &[u8], place: &str) {
    let packets = match within_limits(octets, place, &Limits::default()) {
        Ok(packets) => packets,
        Err(error) => return file.skipped.push(error.to_string()),
    };
    if packets.len() < octets.len() {
        file.skipped.push(format!("{place}: the octets after {} are not an OpenPGP packet", packets.len()));
    }
    let mut loose = Loose::read(packets);
    let certs = match CertParser::from_bytes(packets) {
        Ok(certs) => certs,
        Err(error) => return file.skipped.push(format!("{place}: {}", reason(&error))),
    };
    for (number, cert) in (1..).zip(certs) {
        match &cert {
            Ok(cert) => loose.held_by(cert),
            // Signatures before the first certificate are not certificates.
            Err(_) if number == 1 && starts_with_signature(packets) => {
                if loose.is_empty() {
                    file.skipped.push(format!("{place}: a signature without a key"));
                }
                continue;
            }
            Err(_) => {}
        }
        let described = cert.map_err(|error| match deprecated(&error) {
            Some(key) => {
                let name = key.to_string();
                file.deprecated.push(key);
                name
            }
            None => reason(&error),
        });
        let described = described.and_then(|cert| {
            let described = describe_cert(&cert).map_err(|error| error.to_string())?;
            Ok((described, absent(&cert)))
        });
        match described {
            Ok((described, absent)) => {
                file.found.push(described);
                file.skipped.extend(absent.into_iter().map(|why| format!("{place}: {why}")));
            }
            Err(reason) => file.skipped.push(format!("{place}: certificate {number}: {reason}")),
        }
    }
    file.revocations.extend(loose.left(place));
}

/// The deprecated key that Sequoia refused to parse because of its version.
fn deprecated(error: &sequoia_openpgp::anyhow::Error) -> Option<Deprecated> {
    let Some(PgpError::UnsupportedCert(_, packets)) = error.downcast_ref::<PgpError>() else { return None };
    let Some(Packet::Unknown(primary)) = packets.first() else { return None };
    version_3(primary.body())
}

/// Reads a key of version 2 or 3 (RFC 4880, sections 5.5.2 and 12.2). Its key ID is the end of its modulus.
fn version_3(body: &[u8]) -> Option<Deprecated> {
    let [version @ (2 | 3), _, _, _, _, _, _, 1..=3, high, low, numbers @ ..] = body else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low])).div_ceil(8);
    let id = numbers.get(..length)?.last_chunk::<8>()?;
    Some(Deprecated { id: Handle::from_octets(id), version: *version })
}

/// The record and the secret parts of `cert`.
pub(super) fn describe_cert(cert: &Cert) -> Result<Described> {
    let fingerprint = handle(&cert.fingerprint());
    let mut claimed: Vec<Address> = Vec::new();
    for address in cert.userids().filter_map(|user_id| claim(user_id.userid())) {
        if !claimed.contains(&address) {
            claimed.push(address);
        }
    }
    // Stubs are kept too: they tell where the secret part is.
    let secret = match cert.is_tsk() {
        false => None,
        true => Some(Secret::new(cert.as_tsk().to_vec().map_err(|error| failed(&fingerprint, &error))?)),
    };
    let octets = cert.to_vec().map_err(|error| failed(&fingerprint, &error))?;
    let record = Record::new(ProtocolName::Pgp, fingerprint, octets, secrets(cert))
        .with_handles(cert.keys().map(|key| handle(&key.key().fingerprint())))
        .with_claimed(claimed);
    Ok(Described { record, secret, proven: Vec::new() })
}

/// The keys of `cert` that come with their secret part rather than a stub.
pub(super) fn secrets(cert: &Cert) -> Vec<Handle> {
    let secrets = cert.keys().secret().filter(|held| !is_stub(held.key().secret()));
    secrets.map(|held| handle(&held.key().fingerprint())).collect()
}

pub(super) fn claim(user_id: &UserID) -> Option<Address> {
    std::str::from_utf8(user_id.value()).ok().and_then(address::of_user_id)
}

/// One line for each secret key that came as a stub, telling where its secret part is.
fn absent(cert: &Cert) -> Vec<String> {
    let words = |held: ErasedKeyAmalgamation<'_, SecretParts>| {
        let words = is_stub(held.key().secret()).then(|| stub(held.key()).map_or(Stub::UNKNOWN, Stub::words))?;
        Some(format!("key {}: its secret part {words}", handle(&held.key().fingerprint())))
    };
    cert.keys().secret().filter_map(words).collect()
}

pub(super) fn is_stub(secret: &SecretKeyMaterial) -> bool {
    matches!(secret, SecretKeyMaterial::Encrypted(locked) if matches!(locked.s2k(), S2K::Private { .. }))
}

/// Removes the colon that GnuPG puts before the first line of stored revocation certificates to prevent accidental
/// import.
fn without_colon(octets: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(octets, COLON_AND_BEGIN).is_none() {
        return Cow::Borrowed(octets);
    }
    let mut lines: Vec<u8> = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        lines.extend_from_slice(if line.starts_with(COLON_AND_BEGIN) {
            line.get(1..).unwrap_or_default()
        } else {
            line
        });
    }
    Cow::Owned(lines)
}

/// Whether the first packet is a signature, in either header format (RFC 9580, sections 4.2 and 5.2).
fn starts_with_signature(octets: &[u8]) -> bool {
    matches!(octets.first(), Some(0xc2 | 0x88..=0x8b))
}

/// The first octet of a packet has its high bit set (RFC 9580, section 4.2). Armor is ASCII.
fn is_binary(octets: &[u8]) -> bool {
    octets.first().is_some_and(|first| first & 0x80 != 0)
}

fn parse(octets: &[u8], fingerprint: &Handle) -> Result<Cert> {
    cert::read(octets).map_err(|error| failed(fingerprint, &error))
}

pub(super) fn armored(octets: Vec<u8>, kind: sequoia_armor::Kind, form: Armor) -> Result<Vec<u8>> {
    if form == Armor::Binary {
        return Ok(octets);
    }
    let octets = Secret::new(octets);
    // Base64 and line breaks take 65 octets for 48. The buffer is sized once, so that reallocation leaves no copy of a
    // secret behind.
    let room = Vec::with_capacity(octets.expose().len() / 48 * 65 + 256);
    let written = sequoia_armor::Writer::new(room, kind).and_then(|mut writer| {
        writer.write_all(octets.expose())?;
        writer.finalize()
    });
    written.map_err(|error| Error::io("armor", &error))
}

pub(super) fn failed(key: &Handle, error: &sequoia_openpgp::anyhow::Error) -> Error {
    Error::malformed(format!("key {key}"), reason(error))
}

const COLON_AND_BEGIN: &[u8] = b":-----BEGIN PGP ";

#[cfg(test)]
mod tests {
    use super::*;

    /// A public key of version 3 as PGP 2.6 wrote it, and a user ID.
    fn version_3_key() -> Vec<u8> {
        let mut body = vec![3, 0x38, 0x6d, 0x43, 0x80, 0, 0, 1, 4, 0];
        body.extend([0xc1; 120]);
        body.extend([0x9a, 0x71, 0x5b, 0x32, 0xbe, 0x04, 0x09, 0x57]);
        body.extend([0, 17, 1, 0, 1]);
        let mut octets = vec![0x99, 0, u8::try_from(body.len()).unwrap()];
        octets.extend(body);
        octets.extend([0xb4, 17]);
        octets.extend(b"o <o@example.org>");
        octets
    }

    #[test]
    fn a_key_of_version_3_is_named() {
        let file = describe(&version_3_key(), "old.pgp").unwrap();
        assert_eq!(
            file.skipped,
            [
                "old.pgp: certificate 1: key 9A715B32BE040957 is of version 3, which RFC 4880 gave up and nothing here reads"
            ]
        );
        assert_eq!(file.deprecated, [Deprecated { id: Handle::parse("9A715B32BE040957").unwrap(), version: 3 }]);
    }

    #[test]
    fn a_version_3_key_among_others_is_skipped_and_named() {
        let newer = include_bytes!("../../../testdata/attack/keys/alice.asc");
        let newer = describe(newer, "alice.asc").unwrap().found.remove(0).record.bytes().to_vec();
        for octets in [[version_3_key(), newer.clone()].concat(), [newer, version_3_key()].concat()] {
            let file = describe(&octets, "both.pgp").unwrap();
            assert_eq!((file.found.len(), file.skipped.len(), file.deprecated.len()), (1, 1, 1));
            assert!(file.skipped[0].contains("key 9A715B32BE040957 is of version 3"), "{:?}", file.skipped);
        }
    }

    /// A packet that is cut short anywhere is not read, and no key is named from it.
    #[test]
    fn truncated_keys_are_not_named() {
        let whole = version_3_key();
        assert_eq!(version_3(&whole[3..131]), None);
        assert!(version_3(&whole[3..146]).is_some());
        for length in 0..146 {
            assert!(describe(&whole[..length], "short").is_err());
        }
    }
}
