//! Keys as text. Text out of a certificate is escaped.

use std::{fmt::Write, sync::Arc, time::SystemTime};

use super::{
    bare,
    facts::{Facts, KeyFacts, Name, time},
    layout::{BOLD, GREEN, RED, addresses, day, grouped, trusted},
    x509,
};
use postseal::{
    base::Result,
    crypto::Legacy,
    keys::{Kept, Keys, ProtocolName, Record, TokenKeys, TokenUri},
    pki,
    protocol::pgp::summary::{Key, Summary, Validity, summarize},
    report::printable,
    store::{Change, Keystore},
};

/// One line for each key: fingerprint, protocol, algorithm, uses, secret or public, state, names, addresses and whether they are trusted.
pub(super) fn rows(found: &[(Arc<Record>, Facts)]) -> String {
    let row = |(record, facts): &(Arc<Record>, Facts)| {
        let secret = match (facts.secret, facts.tokens.first()) {
            (true, Some(name)) => {
                let title = TokenUri::parse(name).map_or_else(|_| name.clone(), |uri| uri.title());
                format!("secret on {}", printable(&title))
            }
            (true, None) => "secret".to_owned(),
            (false, _) => "public".to_owned(),
        };
        let quantum = if facts.quantum_safe { ", quantum-safe" } else { "" };
        let columns = [
            facts.fingerprint.clone(),
            facts.protocol.to_owned(),
            facts.algorithm.clone(),
            facts.uses.join(", "),
            secret,
            format!("{}{quantum}", worth(record, facts)),
        ];
        columns.into_iter().chain([whose(record, facts)]).collect()
    };
    aligned(&found.iter().map(row).collect::<Vec<_>>())
}

/// Its state, in words.
fn worth(record: &Record, facts: &Facts) -> String {
    let day = |time: &Option<String>| time.as_deref().map(|time| time.chars().take(10).collect::<String>());
    match (facts.state, day(&facts.expires), &facts.why) {
        _ if record.protocol() == ProtocolName::Pem => "bare".to_owned(),
        _ if record.withdrawal().is_some() => format!("{RED}revoked here: {}{RED:#}", words_of(facts)),
        ("good", None, _) => "good".to_owned(),
        ("good", Some(end), _) => format!("good until {end}"),
        ("expired", Some(end), _) => format!("{RED}expired {end}{RED:#}"),
        ("not-yet-valid", _, _) => format!("{RED}not yet valid{RED:#}"),
        (state, _, Some(why)) => format!("{RED}{}: {}{RED:#}", state.replace('-', " "), printable(why)),
        (state, _, None) => format!("{RED}{state}{RED:#}"),
    }
}

fn words_of(facts: &Facts) -> String {
    facts.why.as_deref().unwrap_or_default().trim_end_matches(", declared here").to_owned()
}

/// Its addresses, or else its subject; the name of its owner; and whether it is a trust anchor.
fn whose(record: &Record, facts: &Facts) -> String {
    let subject = facts.x509.as_ref().map(|x509| printable(&x509.subject)).unwrap_or_default();
    let mut whose = match addresses(record) {
        none if none.is_empty() => subject,
        addresses => addresses,
    };
    let name = facts.names.first().and_then(|name| display_name(&name.text)).filter(|name| !whose.contains(name));
    if let Some(name) = name {
        whose = format!("{whose}  {name}");
    }
    match facts.anchor {
        true => format!("{whose} {GREEN}(trust anchor){GREEN:#}"),
        false => whose,
    }
}

/// The name in `Alice <alice@example.org>`, and in `CN=Alice`.
fn display_name(text: &str) -> Option<String> {
    let name = match text.split_once('<') {
        Some((name, _)) => name,
        None => text.strip_prefix("CN=").filter(|name| !name.contains(['@', '=']))?,
    };
    Some(printable(name.trim())).filter(|name| !name.is_empty())
}

/// Everything that is known about each key.
pub(super) fn certificates(records: &[Arc<Record>], at: SystemTime, home: &Keystore) -> Result<String> {
    let keys: &dyn Keys = home;
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
        if !record.secrets().is_empty() {
            for key in home.token_keys(record.fingerprint())?.iter().flat_map(TokenKeys::keys) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{BOLD}{:<12}{BOLD:#} {}", "on a token", printable(&key.uri.to_string()));
            }
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
        Err(_) => format!("{what:<9}  OCSP response{why}\n"),
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
    field("certificate", &format!("{}  OpenPGP version {}", grouped(record.fingerprint()), summary.version));
    for user_id in &summary.user_ids {
        field("user id", &format!("{}{}", printable(&user_id.text), flaw(&user_id.state)));
    }
    for (number, key) in summary.keys.iter().enumerate() {
        let secret = if record.secrets().contains(&key.fingerprint) { "secret" } else { "public" };
        let what =
            format!("{}  {}  {}  {secret}", grouped(&key.fingerprint), key.algorithm.name(), key.uses.join(", "));
        field(if number == 0 { "key" } else { "subkey" }, &what);
        let quantum = if key.algorithm.is_quantum_safe() { ", quantum-safe" } else { "" };
        field("", &format!("made {}, {}{quantum}", day(key.created), key_worth(key)));
    }
    match trusted(record).as_slice() {
        [] => field("trusted for", "nothing"),
        all => all.iter().for_each(|one| field("trusted for", one)),
    }
}

fn key_worth(key: &Key) -> String {
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
fn aligned(rows: &[Vec<String>]) -> String {
    let seen = |text: &str| anstream::adapter::strip_str(text).to_string().chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|field| seen(field)).max().unwrap_or_default())
        .collect();
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

/// What is known of an OpenPGP certificate.
pub(super) fn facts(record: &Record, at: SystemTime, keys: &dyn Keys) -> Result<Facts> {
    let summary = summarize(record, at, Legacy::Refuse, keys)?;
    let names = summary.user_ids.iter().map(|user_id| {
        let (state, why) = words(&user_id.state);
        Name { text: user_id.text.clone(), state, why }
    });
    let all = summary.keys.iter().map(|key| {
        let (state, why) = words(&key.state);
        KeyFacts {
            fingerprint: key.fingerprint.to_string(),
            algorithm: key.algorithm.name(),
            strength: key.algorithm.strength().name(),
            quantum_safe: key.algorithm.is_quantum_safe(),
            created: time(key.created),
            expires: key.expires.and_then(time),
            uses: key.uses.clone(),
            state,
            why,
            secret: record.secrets().contains(&key.fingerprint),
        }
    });
    let good = summary.keys.iter().filter(|key| key.state == Validity::Good);
    let end = good.filter_map(|key| key.expires).min();
    let facts = Facts { version: Some(summary.version), names: names.collect(), end, ..Facts::bare(record) };
    Ok(facts.with_keys(all.collect()))
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
