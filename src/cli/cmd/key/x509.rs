//! X.509 certificates as text and as JSON.

use std::{fmt::Write, time::SystemTime};

use postseal::{
    base::{Error, Result, rfc3339, upper_hex},
    keys::{Binding, ProtocolName, Record},
    pki::{Certificate, Usage},
    protocol::smime::{
        capabilities::{Known, Source},
        record::certificate,
    },
    report::printable,
};
use serde::Serialize;

use super::layout::{BOLD, GREEN, RED, addresses, day, trusted};

/// The columns of `key list`.
pub(super) fn row(record: &Record, at: SystemTime) -> Result<[String; 5]> {
    let read = certificate(record)?;
    Ok([
        record.fingerprint().to_string(),
        read.public_key().algorithm().name(),
        secret(record).to_owned(),
        worth(&read, at),
        whose(record, &read),
    ])
}

/// The subject; empty unless the record is an X.509 certificate.
pub(super) fn subject(record: &Record) -> String {
    let read = (record.protocol() == ProtocolName::Smime).then(|| certificate(record).ok()).flatten();
    read.map(|read| printable(&read.subject().to_string())).unwrap_or_default()
}

/// Its addresses, or else its subject; and whether it is a trust anchor.
fn whose(record: &Record, read: &Certificate) -> String {
    let whose = match addresses(record) {
        none if none.is_empty() => printable(&read.subject().to_string()),
        addresses => addresses,
    };
    match record.bindings().contains(&Binding::Anchor) {
        true => format!("{whose} {GREEN}(trust anchor){GREEN:#}"),
        false => whose,
    }
}

/// The text of `key show`.
pub(super) fn certificate_text(text: &mut String, record: &Record, at: SystemTime) -> Result<()> {
    let read = certificate(record)?;
    let mut field = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{BOLD}{name:<12}{BOLD:#} {value}");
    };
    field("certificate", &format!("{}  X.509", record.fingerprint()));
    field("subject", &printable(&read.subject().to_string()));
    field("issuer", &printable(&read.issuer().to_string()));
    field("serial", &upper_hex(read.serial()));
    for address in record.claimed() {
        field("address", &printable(&address.to_string()));
    }
    let algorithm = read.public_key().algorithm().name();
    field("key", &format!("{algorithm}  {}  {}", uses(&read).join(", "), secret(record)));
    field("", &format!("from {}, {}", day(read.validity().0), worth(&read, at)));
    let known = Known::of(&read, record.capabilities());
    let source = match known.source() {
        Source::Certificate => Some("according to the certificate".to_owned()),
        Source::Announced(time) => Some(format!("announced on {}", day(time))),
        Source::Presumed => None,
    };
    if let Some(source) = source {
        field("reads", &format!("{}  {source}", known.names().join(", ")));
    }
    match trusted(record).as_slice() {
        [] => field("trusted for", "nothing but by its issuer"),
        all => all.iter().for_each(|one| field("trusted for", one)),
    }
    Ok(())
}

/// One line of JSON, without a line feed.
pub(super) fn object(record: &Record, at: SystemTime) -> Result<String> {
    let read = certificate(record)?;
    let (begin, end) = read.validity();
    let algorithm = read.public_key().algorithm();
    let bound = record.bindings().iter().filter_map(|binding| match binding {
        Binding::Address(address) => Some(address.to_string()),
        _ => None,
    });
    let object = Object {
        fingerprint: record.fingerprint().to_string(),
        protocol: record.protocol().name(),
        subject: read.subject().to_string(),
        issuer: read.issuer().to_string(),
        serial: upper_hex(read.serial()),
        addresses: record.claimed().iter().map(ToString::to_string).collect(),
        algorithm: algorithm.name(),
        strength: algorithm.strength().name(),
        not_before: rfc3339(begin),
        not_after: rfc3339(end),
        uses: uses(&read),
        state: state(&read, at),
        secret: !record.secrets().is_empty(),
        trusted_addresses: bound.collect(),
        anchor: record.bindings().contains(&Binding::Anchor),
        reads: Reads::new(record, &read),
    };
    serde_json::to_string(&object).map_err(|error| Error::usage(error.to_string()))
}

#[derive(Serialize)]
struct Object {
    fingerprint: String,
    protocol: &'static str,
    subject: String,
    issuer: String,
    serial: String,
    addresses: Vec<String>,
    algorithm: String,
    strength: &'static str,
    not_before: String,
    not_after: String,
    uses: Vec<&'static str>,
    state: &'static str,
    secret: bool,
    trusted_addresses: Vec<String>,
    anchor: bool,
    reads: Option<Reads>,
}

/// The capabilities that the owner announced.
#[derive(Serialize)]
struct Reads {
    ciphers: Vec<String>,
    /// When the owner announced them; `null` when the certificate does.
    said: Option<String>,
}

impl Reads {
    fn new(record: &Record, read: &Certificate) -> Option<Self> {
        let known = Known::of(read, record.capabilities());
        let said = match known.source() {
            Source::Certificate => None,
            Source::Presumed => return None,
            Source::Announced(time) => Some(rfc3339(time)),
        };
        Some(Reads { ciphers: known.names(), said })
    }
}

/// Whether it is within its validity period. `cert verify` checks its path.
fn state(read: &Certificate, at: SystemTime) -> &'static str {
    match read.validity() {
        (begin, _) if at < begin => "not-yet-valid",
        (_, end) if end < at => "expired",
        _ => "good",
    }
}

fn worth(read: &Certificate, at: SystemTime) -> String {
    let (begin, end) = read.validity();
    match state(read, at) {
        "good" => format!("good until {}", day(end)),
        "expired" => format!("{RED}expired {}{RED:#}", day(end)),
        _ => format!("{RED}not valid before {}{RED:#}", day(begin)),
    }
}

/// Its uses: for mail, or to issue certificates.
fn uses(read: &Certificate) -> Vec<&'static str> {
    let all = [
        (read.is_authority(), "certify"),
        (!read.is_authority() && read.allows(Usage::Sign), "sign"),
        (!read.is_authority() && (read.allows(Usage::Wrap) || read.allows(Usage::Agree)), "encrypt"),
    ];
    all.into_iter().filter_map(|(allowed, name)| allowed.then_some(name)).collect()
}

fn secret(record: &Record) -> &'static str {
    if record.secrets().is_empty() { "public" } else { "secret" }
}
