//! Keys as text and as JSON. Text out of a certificate is escaped.

use std::{fmt::Write, sync::Arc, time::SystemTime};

use postseal::{
    base::{Error, Result, rfc3339},
    crypto::Legacy,
    keys::{Binding, Keys, ProtocolName, Record},
    pki,
    protocol::pgp::summary::{Key, Summary, Validity, summarize},
    report::printable,
    store::{Change, Kept},
};
use serde::Serialize;

use super::{
    bare,
    layout::{BOLD, RED, addresses, day, trusted},
    x509,
};

/// One line for each key: fingerprint, algorithm, secret or public, state, addresses and whether they are trusted.
pub(super) fn list(records: &[Arc<Record>], at: SystemTime, keys: &dyn Keys) -> Result<String> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        if record.protocol() == ProtocolName::Smime {
            rows.push(x509::row(record, at)?);
            continue;
        }
        if record.protocol() == ProtocolName::Pem {
            rows.push(bare::row(record)?);
            continue;
        }
        let summary = summarize(record, at, Legacy::Refuse, keys)?;
        let Some(primary) = summary.keys.first() else { continue };
        rows.push([
            record.fingerprint().to_string(),
            primary.algorithm.name(),
            (if record.secrets().is_empty() { "public" } else { "secret" }).to_owned(),
            worth(primary),
            addresses(record),
        ]);
    }
    Ok(aligned(&rows))
}

/// Everything that is known about each key.
pub(super) fn certificates(records: &[Arc<Record>], at: SystemTime, keys: &dyn Keys) -> Result<String> {
    let mut text = String::new();
    for (number, record) in records.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        match record.protocol() {
            ProtocolName::Pem => bare::text(&mut text, record)?,
            ProtocolName::Smime => x509::certificate_text(&mut text, record, at)?,
            _ => certificate(&mut text, record, &summarize(record, at, Legacy::Refuse, keys)?),
        }
    }
    Ok(text)
}

/// One line for a CRL or an OCSP response that was imported.
pub(in crate::cli::cmd) fn statement(kept: Kept, der: &[u8]) -> String {
    let (what, why) = match kept {
        Kept::Added => ("added", ""),
        Kept::Outdated => ("not kept", ": a newer one is here"),
        Kept::Replaced => ("added", " in the place of an older one"),
        Kept::Unchanged => ("unchanged", ""),
    };
    match pki::list_issuer(der) {
        Ok(issuer) => format!("{what:<9}  revocation list of {}{why}\n", printable(&issuer.to_string())),
        Err(_) => format!("{what:<9}  OCSP response\n"),
    }
}

/// What adding a certificate did, in a word.
pub(in crate::cli::cmd) fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Unchanged => "unchanged",
        Change::Updated => "updated",
    }
}

/// One line for an imported key.
pub(in crate::cli::cmd) fn change(what: &str, record: &Record) -> String {
    let secret = if record.secrets().is_empty() { "" } else { " with its secret key" };
    let claimed: Vec<String> = record.claimed().iter().map(|address| printable(&address.to_string())).collect();
    let owner = if claimed.is_empty() { x509::subject(record) } else { claimed.join(", ") };
    let line = format!("{what:<9}  {}  {owner}{secret}", record.fingerprint());
    format!("{}\n", line.trim_end())
}

fn certificate(text: &mut String, record: &Record, summary: &Summary) {
    let mut field = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{BOLD}{name:<12}{BOLD:#} {value}");
    };
    field("certificate", &format!("{}  OpenPGP version {}", record.fingerprint(), summary.version));
    for user_id in &summary.user_ids {
        field("user id", &format!("{}{}", printable(&user_id.text), flaw(&user_id.state)));
    }
    for (number, key) in summary.keys.iter().enumerate() {
        let secret = if record.secrets().contains(&key.fingerprint) { "secret" } else { "public" };
        let what = format!("{}  {}  {}  {secret}", key.fingerprint, key.algorithm.name(), key.uses.join(", "));
        field(if number == 0 { "key" } else { "subkey" }, &what);
        field("", &format!("made {}, {}", day(key.created), worth(key)));
    }
    match trusted(record).as_slice() {
        [] => field("trusted for", "nothing"),
        all => all.iter().for_each(|one| field("trusted for", one)),
    }
}

fn worth(key: &Key) -> String {
    match (&key.state, key.expires) {
        (Validity::Good, None) => "good".to_owned(),
        (Validity::Good, Some(end)) => format!("good until {}", day(end)),
        (Validity::Expired, Some(end)) => format!("{RED}expired {}{RED:#}", day(end)),
        (state, _) => flaw(state).trim_start().to_owned(),
    }
}

fn flaw(state: &Validity) -> String {
    let why = match state {
        Validity::Good => return String::new(),
        Validity::Expired => "expired".to_owned(),
        Validity::NotYetValid => "not yet valid".to_owned(),
        Validity::Rejected(why) => format!("rejected: {}", printable(why)),
        Validity::PerhapsRevoked(by) => format!("perhaps revoked: by {by}, which is not here"),
        Validity::Revoked(why) => format!("revoked: {}", printable(why)),
        _ => "of no known worth".to_owned(),
    };
    format!("  {RED}{why}{RED:#}")
}

/// Aligns columns. Widths are measured as displayed, without colour.
fn aligned(rows: &[[String; 5]]) -> String {
    let seen = |text: &str| anstream::adapter::strip_str(text).to_string().chars().count();
    let mut widths = [0; 5];
    for row in rows {
        for (width, field) in widths.iter_mut().zip(row) {
            *width = seen(field).max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, field) in widths.iter().zip(row) {
            line.push_str(field);
            line.extend(std::iter::repeat_n(' ', width - seen(field) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One JSON object a line.
pub(super) fn objects(records: &[Arc<Record>], at: SystemTime, keys: &dyn Keys) -> Result<String> {
    let mut text = String::new();
    for record in records {
        if record.protocol() == ProtocolName::Smime {
            text.push_str(&x509::object(record, at)?);
        } else if record.protocol() == ProtocolName::Pem {
            text.push_str(&bare::object(record)?);
        } else {
            let summary = summarize(record, at, Legacy::Refuse, keys)?;
            let object = serde_json::to_string(&Certificate::new(record, &summary));
            text.push_str(&object.map_err(|error| Error::usage(error.to_string()))?);
        }
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
struct Certificate {
    fingerprint: String,
    protocol: &'static str,
    version: u8,
    user_ids: Vec<UserIdObject>,
    keys: Vec<KeyObject>,
    trusted_addresses: Vec<String>,
    trusted_user_ids: bool,
}

#[derive(Serialize)]
struct UserIdObject {
    text: String,
    state: &'static str,
    why: Option<String>,
}

#[derive(Serialize)]
struct KeyObject {
    fingerprint: String,
    algorithm: String,
    strength: &'static str,
    created: String,
    expires: Option<String>,
    uses: Vec<&'static str>,
    state: &'static str,
    why: Option<String>,
    secret: bool,
}

impl Certificate {
    fn new(record: &Record, summary: &Summary) -> Self {
        let user_ids = summary.user_ids.iter().map(|user_id| {
            let (state, why) = words(&user_id.state);
            UserIdObject { text: user_id.text.clone(), state, why }
        });
        let keys = summary.keys.iter().map(|key| {
            let (state, why) = words(&key.state);
            KeyObject {
                fingerprint: key.fingerprint.to_string(),
                algorithm: key.algorithm.name(),
                strength: key.algorithm.strength().name(),
                created: rfc3339(key.created),
                expires: key.expires.map(rfc3339),
                uses: key.uses.clone(),
                state,
                why,
                secret: record.secrets().contains(&key.fingerprint),
            }
        });
        let bound = record.bindings().iter().filter_map(|binding| match binding {
            Binding::Address(address) => Some(address.to_string()),
            _ => None,
        });
        Certificate {
            fingerprint: record.fingerprint().to_string(),
            protocol: record.protocol().name(),
            version: summary.version,
            user_ids: user_ids.collect(),
            keys: keys.collect(),
            trusted_addresses: bound.collect(),
            trusted_user_ids: record.bindings().contains(&Binding::UserIds),
        }
    }
}

fn words(state: &Validity) -> (&'static str, Option<String>) {
    match state {
        Validity::Expired => ("expired", None),
        Validity::Good => ("good", None),
        Validity::NotYetValid => ("not-yet-valid", None),
        Validity::Rejected(why) => ("rejected", Some(why.clone())),
        Validity::PerhapsRevoked(by) => ("perhaps-revoked", Some(format!("by {by}, which is not here"))),
        Validity::Revoked(why) => ("revoked", Some(why.clone())),
        _ => ("unknown", None),
    }
}
