//! Keys as records of the DNS: OPENPGPKEY (RFC 7929) and SMIMEA (RFC 8162), as lines of a master file (RFC 1035, section 5).

use std::{cmp::Reverse, fmt::Write, sync::Arc, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use postseal::{
    base::{Error, Result, hex},
    crypto::Hash,
    keys::{Handle, ProtocolName, Record, Source, Want},
    mail::Address,
    pki::Certificate,
    protocol::smime::record::certificate,
    store::Keystore,
};

use super::{
    super::choose::find,
    choice::{Published, Wanted, wanted},
};
use crate::cli::{show::warning, values::Format};

/// How the types of the records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With their names.
    Named,
    /// With their numbers (RFC 3597, section 5).
    Generic,
}

/// The record of an OpenPGP key.
pub(super) fn openpgpkey(published: &Published, form: Form) -> Result<String> {
    let Published { address, record, key } = published;
    let data = match form {
        Form::Named => format!("OPENPGPKEY ( {} )", in_pieces(&BASE64_STANDARD.encode(&key.octets))),
        Form::Generic => generic(61, &key.octets),
    };
    lines(address, record.fingerprint(), "_openpgpkey", &data, key.octets.len())
}

/// The records of the certificates of the addresses.
pub(super) fn certificates(which: &[String], form: Form, home: &Keystore, at: SystemTime) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for Wanted { address, record } in wanted(which, ProtocolName::Smime, home)? {
        let candidates = match record {
            Some(record) => vec![record],
            None => find(home, Some(Format::Smime), Want::Address(&address))?,
        };
        let Some((record, read)) = newest(&address, &candidates, at)? else { continue };
        let mut octets = USAGE.to_vec();
        octets.extend_from_slice(read.der());
        let data = match form {
            Form::Named => format!("SMIMEA 3 0 0 ( {} )", in_pieces(&hex(read.der()))),
            Form::Generic => generic(53, &octets),
        };
        all.push(lines(&address, record.fingerprint(), "_smimecert", &data, octets.len())?);
    }
    Ok(all)
}

/// The certificate that is published for an address: of those in their validity period, one with a secret key, issued by a CA, and the newest.
fn newest(
    address: &Address,
    candidates: &[Arc<Record>],
    at: SystemTime,
) -> Result<Option<(Arc<Record>, Arc<Certificate>)>> {
    let mut usable = Vec::new();
    for record in
        candidates.iter().filter(|record| record.source(address) == Source::Owner || !record.secrets().is_empty())
    {
        let read = certificate(record)?;
        let (from, to) = read.validity();
        if (from..=to).contains(&at) && !read.is_authority() && read.mailboxes().contains(address) {
            usable.push((Arc::clone(record), read));
        }
    }
    usable
        .sort_by_key(|(record, read)| (record.secrets().is_empty(), read.is_self_issued(), Reverse(read.validity().0)));
    Ok(usable.into_iter().next())
}

/// A record with a comment that names the key, for the address as it is written, and in lower case, as most programs ask.
fn lines(address: &Address, key: &Handle, label: &str, data: &str, length: usize) -> Result<String> {
    if length > MAX_RECORD {
        return Err(Error::usage(format!("{address}: key {key} has {length} octets, too many for the DNS")));
    }
    if length > WARN_RECORD {
        warning(&format!(
            "{address}: the record has {length} octets; answers that large need TCP, and some resolvers do not ask again"
        ));
    }
    if address.domain().starts_with('[') {
        return Err(Error::usage(format!("{address}: has no domain")));
    }
    let mut text = format!("; {address}, key {key}\n");
    let mut locals = vec![address.local().to_ascii_lowercase()];
    if address.local() != locals[0] {
        locals.push(address.local().to_owned());
    }
    for local in locals {
        let digest = Hash::Sha256.digest(local.as_bytes());
        let name = hex(digest.get(..28).unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}.{label}.{}. IN {data}", address.domain());
    }
    Ok(text)
}

fn generic(kind: u16, octets: &[u8]) -> String {
    format!("TYPE{kind} \\# {} ( {} )", octets.len(), in_pieces(&hex(octets)))
}

/// Within parentheses, in lines that editors show.
fn in_pieces(text: &str) -> String {
    let pieces: Vec<&str> = text.as_bytes().chunks(64).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    pieces.join("\n    ")
}

/// DANE-EE, the whole certificate, as it is (RFC 6698, section 2.1).
const USAGE: [u8; 3] = [3, 0, 0];
/// Octets of a record that fit into a message (RFC 1035, section 4.2.2), with its names and a signature.
const MAX_RECORD: usize = 60_000;
/// Octets of an answer over UDP. Source: the default of resolvers before 2020; those of today ask for less, and go on by TCP.
const WARN_RECORD: usize = 4096;
