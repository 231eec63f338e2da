//! `postseal cert list`, `cert revoke` and `cert crl`: what an authority issued, and what it takes back.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Result, upper_hex},
    keys::StatementStore as _,
    protocol::smime::{
        authority::{Issued, issued_by},
        record::certificate,
    },
    report::printable,
    store::Keystore,
};

use super::authority::Which;
use crate::cli::{
    cmd::key::{day, reason::Reason, validity::span},
    input,
    output::{Output, Privacy},
    session::Session,
    show::{aside, data, hint},
};

#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
pub(super) struct Revoke {
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long, value_enum)]
    reason: Option<Reason>,
    /// The serial number of a certificate, or an address: all certificates that it has
    #[arg(value_name = "SERIAL|ADDRESS")]
    what: String,
}

#[derive(Args, Debug)]
pub(super) struct Crl {
    #[command(flatten)]
    which: Which,
    /// When the next list is issued at the latest, from now on; a list is good until then
    #[arg(long, value_name = "TIME", default_value = "10d", value_parser = span)]
    next_update: Duration,
    /// The file for the list (DER), written whole or not at all
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Lists what an authority issued.
pub(super) fn list(what: &List, session: &Session) -> Result<()> {
    let (home, now) = (session.home()?, session.clock().now());
    let mut text = String::new();
    for one in issued(&what.which, &home)? {
        let (begin, end) = one.certificate.validity();
        let state = match one.record.withdrawal() {
            Some(taken) => format!("{RED}revoked {}: {}{RED:#}", day(taken.since), taken.reason),
            None if end < now => format!("expired {}", day(end)),
            None if now < begin => format!("not valid before {}", day(begin)),
            None => format!("good until {}", day(end)),
        };
        text.push_str(&format!("{}  {state}  {}\n", upper_hex(one.certificate.serial()), addresses(&one)));
    }
    data(&text)
}

/// Revokes certificates.
pub(super) fn revoke(what: &Revoke, session: &Session) -> Result<()> {
    let (home, now) = (session.home()?, session.clock().now());
    let mut found = issued(&what.which, &home)?;
    if what.what.contains('@') {
        let address = input::address(&what.what)?;
        found.retain(|one| one.record.claimed().contains(&address) && one.certificate.validity().1 >= now);
    } else {
        let serial = digits(&what.what);
        found.retain(|one| digits(&upper_hex(one.certificate.serial())) == serial);
    }
    if found.is_empty() {
        return Err(Error::no_key(format!("{}: the authority issued no such certificate", printable(&what.what)))
            .with_hint("`postseal cert list` shows those that it issued"));
    }
    let reason = Reason::of(what.reason);
    for one in found {
        let is_new = home.withdraw(one.record.fingerprint(), reason, now)?;
        let (serial, already) = (upper_hex(one.certificate.serial()), if is_new { "" } else { "already " });
        aside(&format!("{serial} of {} is {already}revoked: {reason}\n", addresses(&one)));
    }
    hint("others learn of it by the revocation list: `postseal cert crl FILE`, and publish the file");
    Ok(())
}

/// Writes a revocation list, and keeps it in the home.
pub(super) fn crl(what: &Crl, session: &Session) -> Result<()> {
    let (home, now) = (session.home()?, session.clock().now());
    let authority = what.which.open(&home, session)?;
    let next = now.checked_add(what.next_update).ok_or_else(|| Error::usage("cert crl: --next-update is too late"))?;
    let issued = authority.issued(&home)?;
    let list: Arc<[u8]> = authority.revocation_list(&issued, now, next)?.into();
    home.keep_statement(&list, session.keys()?, now)?;
    let mut output = Output::create(Some(&what.file), &[], Privacy::Umask)?;
    output.write_all(&list).map_err(|error| Error::io("output", &error))?;
    output.commit()?;
    let count = issued.iter().filter(|one| one.record.withdrawal().is_some()).count();
    let revoked = match count {
        1 => "1 certificate is".to_owned(),
        _ => format!("{count} certificates are"),
    };
    aside(&format!("{revoked} revoked; the next list has to be there before {}\n", day(next)));
    match authority.places().crl.as_slice() {
        [] => {}
        urls => hint(&format!("publish it at {}", urls.join(", "))),
    }
    Ok(())
}

fn issued(which: &Which, home: &Keystore) -> Result<Vec<Issued>> {
    issued_by(&*certificate(&*which.record(home)?)?, home)
}

fn addresses(one: &Issued) -> String {
    let all: Vec<String> = one.record.claimed().iter().map(|address| printable(&address.to_string())).collect();
    all.join(", ")
}

/// The digits of a serial number as programs write it: in either case, with colons or without, with zeros before it or without.
fn digits(serial: &str) -> String {
    let digits: String = serial.chars().filter(|one| *one != ':').map(|one| one.to_ascii_uppercase()).collect();
    digits.trim_start_matches('0').to_owned()
}

const RED: Style = AnsiColor::Red.on_default();
