//! The key files of each protocol: how they are recognized, read, merged and unlocked.

mod interface;
#[cfg(not(all(feature = "pem", feature = "pgp", feature = "smime")))]
mod missing;
#[cfg(feature = "pem")]
mod pem;
#[cfg(feature = "pgp")]
mod pgp;
#[cfg(feature = "smime")]
mod smime;

pub(super) use interface::{Certificates, Format, Reading};

use super::carried::{Carried, in_mail, unmarked};
use crate::{
    base::{Error, Kind, Result},
    keys::ProtocolName,
    protocol::KeyFile,
};

/// Reads key files of any format; a file may hold several, and may be a mail. A file without keys is an error of kind `Malformed`.
pub(super) fn read(files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
    let mut all = KeyFile::default();
    let mut bare = Vec::new();
    for (place, octets) in files {
        let octets = unmarked(octets);
        match in_mail(&octets, reading.limits) {
            Some(carried) => all.append(read_mail(place, &carried, reading)?),
            None => bare.push((*place, octets)),
        }
    }
    let bare: Vec<(&str, &[u8])> = bare.iter().map(|(place, octets)| (*place, octets.as_ref())).collect();
    if let Some((place, _)) = bare.iter().find(|(_, octets)| of_octets(octets).is_none()) {
        return Err(without_keys(place));
    }
    for format in FORMATS {
        let of_this = |(_, octets): &&(&str, &[u8])| format.recognizes(octets);
        let files: Vec<(&str, &[u8])> = bare.iter().filter(of_this).copied().collect();
        if !files.is_empty() {
            all.append(format.read(&files, reading)?);
        }
    }
    Ok(all)
}

/// The certificates of files that hold nothing else, each read when it is reached; `None` if a file holds something else.
#[cfg_attr(not(feature = "store"), expect(dead_code, reason = "only a home takes so many"))]
pub(super) fn certificates<'a>(files: &[(&'a str, &'a [u8])]) -> Option<Certificates<'a>> {
    let each = |(place, octets): &(&'a str, &'a [u8])| of_octets(octets)?.certificates(octets, place);
    let files: Vec<Certificates<'a>> = files.iter().map(each).collect::<Option<_>>()?;
    Some(Box::new(files.into_iter().flatten()))
}

/// Reads the parts of a mail one by one, and skips those without keys.
fn read_mail(place: &str, carried: &[Carried], reading: &Reading<'_>) -> Result<KeyFile> {
    let mut all = KeyFile::default();
    for Carried { carrier, octets } in carried {
        let place = &format!("{place}, {carrier}");
        for format in FORMATS.into_iter().filter(|format| format.recognizes(octets)) {
            match format.read(&[(place, octets)], reading) {
                Err(error) if error.kind() == Kind::Malformed => all.skipped.push(error.to_string()),
                read => all.append(read?),
            }
        }
    }
    let is_empty = all.found.is_empty()
        && all.deprecated.is_empty()
        && all.locked.is_empty()
        && all.revocations.is_empty()
        && all.elsewhere.is_empty()
        && all.statements.is_empty()
        && all.lost.is_empty();
    if is_empty { Err(without_keys(place)) } else { Ok(all) }
}

/// The error about a file `place` of which nothing is a key.
pub fn without_keys(place: &str) -> Error {
    Error::malformed(place, "holds no certificate and no key")
        .with_hint("OpenPGP, PEM, DER and PKCS#12 are understood, and mail that carries them")
}

/// The format of the keys of `protocol`.
pub(super) fn of(protocol: ProtocolName) -> Result<&'static dyn Format> {
    let found = FORMATS.into_iter().find(|format| format.protocol() == protocol);
    found.ok_or_else(|| Error::usage(format!("keys of {}: are not kept here", protocol.name())))
}

/// The first format that recognizes `octets`.
pub(super) fn of_octets(octets: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.recognizes(octets))
}

/// Of every protocol, in this build or not.
const FORMATS: [&dyn Format; 3] = [
    #[cfg(feature = "pem")]
    &pem::Pem,
    #[cfg(not(feature = "pem"))]
    &missing::Missing(ProtocolName::Pem),
    #[cfg(feature = "pgp")]
    &pgp::Pgp,
    #[cfg(not(feature = "pgp"))]
    &missing::Missing(ProtocolName::Pgp),
    #[cfg(feature = "smime")]
    &smime::Smime,
    #[cfg(not(feature = "smime"))]
    &missing::Missing(ProtocolName::Smime),
];
