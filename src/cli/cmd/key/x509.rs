//! X.509 certificates as text, and what is known of them.

use std::{fmt::Write, time::SystemTime};

use super::{
    facts::{Facts, KeyFacts, Name, Reads, X509Facts, time},
    layout::{BOLD, RED, day, grouped, trusted},
};
use postseal::{
    base::{Result, rfc3339, upper_hex},
    keys::{ProtocolName, Record, Withdrawal},
    pki::{Certificate, Usage},
    protocol::smime::{
        capabilities::{Known, Source},
        record::certificate,
    },
    report::printable,
};

/// The subject; empty unless the record is an X.509 certificate.
pub(super) fn subject(record: &Record) -> String {
    let read = (record.protocol() == ProtocolName::Smime).then(|| certificate(record).ok()).flatten();
    read.map(|read| printable(&read.subject().to_string())).unwrap_or_default()
}

/// The text of `key show`.
pub(super) fn certificate_text(text: &mut String, record: &Record, at: SystemTime) -> Result<()> {
    let read = certificate(record)?;
    let mut field = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{BOLD}{name:<12}{BOLD:#} {value}");
    };
    field("certificate", &format!("{}  X.509", grouped(record.fingerprint())));
    field("subject", &printable(&read.subject().to_string()));
    field("issuer", &printable(&read.issuer().to_string()));
    field("serial", &upper_hex(read.serial()));
    for address in record.claimed() {
        field("address", &printable(&address.to_string()));
    }
    let algorithm = read.public_key().algorithm().name();
    field("key", &format!("{algorithm}  {}  {}", uses(&read).join(", "), secret(record)));
    let quantum = if read.public_key().algorithm().is_quantum_safe() { ", quantum-safe" } else { "" };
    field("", &format!("from {}, {}{quantum}", day(read.validity().0), worth(record, &read, at)));
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

/// What is known of it.
pub(super) fn facts(record: &Record, at: SystemTime) -> Result<Facts> {
    let read = certificate(record)?;
    let (begin, end) = read.validity();
    let algorithm = read.public_key().algorithm();
    let (facts, state) = (Facts::bare(record), state(record, &read, at));
    let why = record.withdrawal().map(|withdrawal| format!("{}, declared here", withdrawal.reason));
    let key = KeyFacts {
        fingerprint: facts.fingerprint.clone(),
        algorithm: algorithm.name(),
        strength: algorithm.strength().name(),
        quantum_safe: algorithm.is_quantum_safe(),
        created: time(begin),
        expires: time(end),
        uses: uses(&read),
        state,
        why,
        secret: facts.secret,
    };
    let x509 = X509Facts {
        subject: read.subject().to_string(),
        issuer: read.issuer().to_string(),
        serial: upper_hex(read.serial()),
        self_signed: read.is_self_signed(),
    };
    let names = [x509.subject.clone()].into_iter().chain(facts.addresses.iter().cloned());
    let names = names.filter(|text| !text.is_empty()).map(|text| Name { text, state: "good", why: None }).collect();
    let reads = Reads::new(record, &read);
    let end = (state == "good").then_some(end);
    Ok(Facts { version: Some(3), names, x509: Some(x509), reads, end, ..facts }.with_keys(vec![key]))
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

/// Whether it is declared revoked, and within its validity period. `cert verify` checks its path.
fn state(record: &Record, read: &Certificate, at: SystemTime) -> &'static str {
    match read.validity() {
        _ if record.withdrawal().is_some() => "revoked",
        (begin, _) if at < begin => "not-yet-valid",
        (_, end) if end < at => "expired",
        _ => "good",
    }
}

pub(super) fn worth(record: &Record, read: &Certificate, at: SystemTime) -> String {
    let (begin, end) = read.validity();
    if let Some(Withdrawal { reason, since }) = record.withdrawal() {
        return format!("{RED}revoked here {}: {reason}{RED:#}", day(*since));
    }
    match state(record, read, at) {
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
