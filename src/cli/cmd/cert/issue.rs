//! `postseal cert issue`.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::{Args, ValueHint};
use postseal::{
    audit::Event,
    base::{Error, Result, SystemRandom, upper_hex},
    keys::{Binding, Handle, Keys as _, Memory, ProtocolName, Query, Want},
    mail::Address,
    pki::{Certificate, PublicKey},
    protocol::{
        Described,
        smime::{
            authority::{Authority, Places, read_request},
            export::{Form, export},
            record::{certificate, fingerprint, record},
        },
    },
    report::printable,
    store::{Intake, Keystore, Origin},
};

use super::authority::Which;
use crate::cli::{
    cmd::key::{
        day, own,
        validity::{Validity, validity},
    },
    input,
    output::{Output, Privacy},
    session::Session,
    show::{aside, warning},
    values::Format,
};

#[derive(Args, Debug)]
pub(super) struct Issue {
    #[command(flatten)]
    which: Which,
    /// Issue the certificate for these addresses instead of those that the request names
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// The validity period: 90d, 6m, 3y, never; it ends with that of the authority
    #[arg(long, value_name = "TIME", default_value = "1y", value_parser = validity)]
    expires: Validity,
    /// Where the revocation list is published [default: what the authority's certificate says]
    #[arg(long, value_name = "URL")]
    crl_url: Vec<String>,
    /// Where the certificate of the authority is published [default: what the authority's certificate says]
    #[arg(long, value_name = "URL")]
    issuer_url: Vec<String>,
    /// The file for the certificate, written whole or not at all [default: standard output for a request, none for an address]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// A certification request (PKCS#10), or an address whose secret key is here
    #[arg(value_name = "REQUEST|ADDRESS", value_hint = ValueHint::FilePath)]
    what: PathBuf,
}

/// What a certificate is issued for.
struct Subject {
    key: PublicKey,
    addresses: Vec<Address>,
}

/// Issues a certificate.
pub(super) fn issue(what: &Issue, session: &Session) -> Result<()> {
    let home = session.home()?;
    let places = Places { crl: what.crl_url.clone(), issuer: what.issuer_url.clone() };
    let authority = what.which.open(&home, session)?.with_places(places)?;
    let typed = what.what.to_str().filter(|text| !what.what.exists() && Address::parse(text).is_ok());
    let mut subject = match typed {
        Some(address) => of_address(address, &home)?,
        None => of_request(what, session)?,
    };
    if !what.addresses.is_empty() {
        subject.addresses = what.addresses.iter().map(|address| input::address(address)).collect::<Result<_>>()?;
    }
    if subject.addresses.is_empty() {
        return Err(Error::usage(format!("{}: names no address", input::label(Some(&what.what))))
            .with_hint("--address says for which one the certificate is"));
    }
    let now = session.clock().now();
    let issued = authority.issue(&subject.key, &subject.addresses, what.expires.duration(), now, &SystemRandom)?;
    others(&authority, &issued, &home)?.iter().for_each(|other| warning(other));
    let beliefs = trusted_before(&issued, &home)?;
    let described = Described { record: record(&issued), secret: None, proven: Vec::new() };
    let intake = Intake { certificates: &[described], beliefs: &beliefs, event: Event::Issue, ..Intake::default() };
    // First, so that no certificate is given away that cannot be revoked.
    home.take_in(&intake, &Memory::new(), now)?;
    let addresses: Vec<String> = subject.addresses.iter().map(|one| printable(&one.to_string())).collect();
    let (serial, until) = (upper_hex(issued.serial()), day(issued.validity().1));
    aside(&format!("{serial} is issued for {}, good until {until}\n", addresses.join(", ")));
    if typed.is_some() && what.output.is_none() {
        return Ok(());
    }
    let mut output = Output::create(what.output.as_deref(), &[], Privacy::Umask)?;
    let written = output.write_all(&export(&[Arc::new(issued)], Form::Pem));
    written.map_err(|error| Error::io("output", &error))?;
    output.commit()
}

/// The key of an address, and all addresses that it names.
fn of_address(address: &str, home: &Keystore) -> Result<Subject> {
    let record = own(home, Some(Format::Smime), address)
        .map_err(|error| error.with_hint(format!("postseal key generate -f smime --ca {address}")))?;
    Ok(Subject { key: certificate(&record)?.public_key().clone(), addresses: record.claimed().to_vec() })
}

/// What a request asks for, as far as it is granted; warns of the rest.
fn of_request(what: &Issue, session: &Session) -> Result<Subject> {
    let place = input::label(Some(&what.what));
    let request = read_request(&input::octets(Some(&what.what), &session.budget())?, &place)?;
    for beyond in request.beyond_mail() {
        warning(&format!("{place}: asks for {}, which is not granted", printable(&beyond)));
    }
    Ok(Subject { key: request.public_key().clone(), addresses: request.mailboxes() })
}

/// A line for each certificate for another key that one of the addresses has from the authority.
fn others(authority: &Authority, issued: &Certificate, home: &Keystore) -> Result<Vec<String>> {
    let (start, mailboxes) = (issued.validity().0, issued.mailboxes());
    let all = authority.issued(home)?.into_iter().filter(|other| {
        let is_in_use = other.record.withdrawal().is_none() && other.certificate.validity().1 > start;
        is_in_use && other.certificate.public_key() != issued.public_key()
    });
    let named = all.filter_map(|other| {
        let shared = mailboxes.iter().find(|mailbox| other.record.claimed().contains(mailbox))?;
        let serial = upper_hex(other.certificate.serial());
        Some(format!("{} has another certificate, for another key: {serial}", printable(&shared.to_string())))
    });
    Ok(named.collect())
}

/// The addresses for which the owner trusts a certificate of the same key. The new one must not stand behind it.
fn trusted_before(issued: &Certificate, home: &Keystore) -> Result<Vec<(Handle, Binding, Origin)>> {
    let (mut beliefs, mailboxes) = (Vec::new(), issued.mailboxes());
    for record in home.find(ProtocolName::Smime, &Query::manage(Want::Secrets))? {
        if certificate(&record)?.public_key() == issued.public_key() {
            let bound = mailboxes.iter().map(|mailbox| Binding::Address(mailbox.clone()));
            let bound = bound.filter(|binding| record.bindings().contains(binding));
            beliefs.extend(bound.map(|binding| (fingerprint(issued), binding, Origin::Generated)));
        }
    }
    Ok(beliefs)
}
