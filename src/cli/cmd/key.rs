//! `postseal key`: the keys in the home.

mod add_address;
mod algorithm;
mod bare;
mod check;
mod choose;
mod export;
mod facts;
mod find;
mod from_file;
mod from_ldap;
pub(super) mod generate;
mod keep;
mod layout;
mod list;
pub(super) mod mail;
mod many;
mod own_issue;
mod passphrase;
mod password;
mod pending;
mod publish;
pub(super) mod reason;
mod refresh;
mod remove;
mod renew;
mod revoke;
mod second;
mod selection;
pub(super) mod show;
mod token;
pub(super) mod tree;
mod trust;
mod untrust;
pub(super) mod validity;
mod x509;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Result, Secret},
    keys::{Binding, Memory, ProtocolName, Record},
    mail::Address,
    policy::{domain_reader, domain_signer},
    protocol::{Described, pem, pgp::summary::doubt, smime::revocation_files},
    report::printable,
    store::{Intake, Keystore, MasterKey, Origin, Repair},
};

use choose::one;
pub(super) use choose::own;
pub(super) use layout::{day, grouped};
pub(super) use list::line;
use trust::Trust;

use crate::cli::{
    input, passphrase as typed,
    session::Session,
    show::{aside, data, error, hint, progress, warning},
};

/// Generate, import, export, list, trust, renew, revoke and remove keys.
#[derive(Args, Debug)]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Generate a key for one or more addresses, and trust it for them
    Generate(generate::Generate),
    /// Import certificates and secret keys: OpenPGP, PEM, DER or PKCS#12, one or many in a file, and those that messages carry
    Import {
        /// Trust every certificate in the files as a root certificate (S/MIME)
        #[arg(long)]
        anchor: bool,
        /// The files; `-` is standard input. `pkcs11:...` is a token (RFC 7512): its certificates, and its keys for them and for those of the home
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Export certificates, or secret keys
    Export(export::Export),
    /// List the keys, one line each
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show everything that is known about a key
    Show(list::Show),
    /// Trust a key for an address; compare its fingerprint with the owner first
    Trust {
        /// A fingerprint or key ID
        id: String,
        /// The address of its owner; `@example.org`: it is the key of that domain
        address: String,
    },
    /// Take back the trust in a key, for an address or for everything
    Untrust(untrust::Untrust),
    /// Give a key another expiry, or write a request for a new certificate (S/MIME)
    Renew(renew::Renew),
    /// Add an address to a key, or write a request for a certificate with it (S/MIME)
    AddAddress(add_address::AddAddress),
    /// Change the passphrase of a secret key
    Passphrase(passphrase::Passphrase),
    /// Store a passphrase for messages to a recipient without a key, or list the recipients that have one
    Password(password::Password),
    /// Revoke a key: from now on it is used for nothing, and others are told with what this writes
    Revoke(revoke::Revoke),
    /// Remove keys; one with a secret key needs --secret
    #[command(visible_alias = "delete")]
    Remove(remove::Remove),
    /// Publish the keys of addresses, each with nothing but what belongs to its address
    #[command(subcommand)]
    Publish(publish::Publish),
    /// Check the home for damage; damage is listed, and the exit code is 65
    Check {
        /// Repair what can be repaired, set aside in the database what cannot, and erase remains of removed secret keys
        #[arg(long)]
        repair: bool,
    },
    /// Choose what protects the stored secret keys (at first: a key file in the home)
    #[command(group = clap::ArgGroup::new("master").required(true))]
    Master {
        /// A key file of 64 hexadecimal digits, made if it does not exist; keep a copy of it elsewhere
        #[arg(long, group = "master", value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// A key file in the home, beside the database. `--home` without a folder means the same here
        #[arg(long, group = "master")]
        in_home: bool,
        /// A systemd credential of this name (LoadCredential=), with the same content
        #[arg(long, group = "master", value_name = "NAME")]
        credential: Option<String>,
        /// A passphrase: the first line of --passphrase-file, or typed
        #[arg(long, group = "master")]
        passphrase: bool,
    },
    /// Look for the keys of an address on the network: what each source says, and what it would be used for
    Find(find::Find),
    /// Ask the network again for keys that are here: revocations and new expiry dates arrive
    Refresh(refresh::Refresh),
    /// List keys that were found for addresses that have another key, and accept or reject them
    Pending(pending::Pending),
    /// Write a certificate request (PKCS#10) to send to a CA, for a key that is here or a new one
    Request(generate::Request),
}

/// Runs one verb of `key`.
pub(crate) fn run(key: &Key, session: &Session) -> Result<ExitCode> {
    let home = session.home()?;
    match &key.verb {
        Verb::Generate(what) => match (&what.from_file, &what.from_ldap) {
            (Some(file), _) => from_file::generate(what, file, &home, session)?,
            (None, Some(filter)) => from_ldap::generate(what, filter, &home, session)?,
            (None, None) => generate::generate(what, &home, session)?,
        },
        Verb::Import { anchor, files } => {
            let (tokens, files): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|name| token::is_uri(name));
            let trust = if *anchor { Trust::Anchor } else { Trust::Nothing };
            tokens.iter().try_for_each(|uri| token::import(uri, &trust, &home, session))?;
            if !files.is_empty() {
                import(&files, trust, &home, session)?;
            }
        }
        Verb::Export(what) => export::export(what, &home, session)?,
        Verb::List(what) => list::list(what, &home, session)?,
        Verb::Show(what) => list::show(what, &home, session)?,
        Verb::Trust { id, address } => trust(id, address, &home, session)?,
        Verb::Untrust(what) => untrust::untrust(what, &home)?,
        Verb::Renew(what) => renew::renew(what, &home, session)?,
        Verb::AddAddress(what) => add_address::add_address(what, &home, session)?,
        Verb::Passphrase(what) => passphrase::change(what, &home, session)?,
        Verb::Password(what) => password::change(what, &home, session)?,
        Verb::Revoke(what) => revoke::revoke(what, &home, session)?,
        Verb::Remove(what) => remove::remove(what, &home, session.clock().now())?,
        Verb::Publish(what) => publish::publish(what, &home, session)?,
        Verb::Check { repair } => return check::check(if *repair { Repair::Yes } else { Repair::No }, &home),
        Verb::Master { file, credential, passphrase, .. } => {
            let master = match (file, credential) {
                (Some(file), _) => MasterKey::File(file.clone()),
                (_, Some(name)) => MasterKey::Credential(name.clone()),
                _ if *passphrase => MasterKey::Passphrase(typed::new("key master", "the home", "", session)?),
                _ => MasterKey::Home,
            };
            home.set_master(&master)?;
        }
        Verb::Find(what) => return find::run(what, session),
        Verb::Refresh(what) => return refresh::run(what, session),
        Verb::Pending(what) => pending::run(what, session)?,
        Verb::Request(what) => generate::request(what, &home, session)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn import(names: &[PathBuf], trust: Trust, home: &Keystore, session: &Session) -> Result<()> {
    let _progress = progress::begin("importing");
    let read =
        |name: &PathBuf| Ok((input::label(Some(name)), Secret::new(input::octets(Some(name), &session.budget())?)));
    let read: Vec<(String, Secret)> = names.iter().map(read).collect::<Result<_>>()?;
    let (mut mails, mut bare) = (Vec::new(), Vec::with_capacity(read.len()));
    for (place, octets) in read {
        match mail::messages(octets.expose(), session) {
            Some(messages) => mails.push((place, messages)),
            None => bare.push((place, octets)),
        }
    }
    let read = bare;
    let (mut lists, mut text) = (Vec::new(), String::new());
    let mut stored = |record: &Record, change| text.push_str(&show::change(show::word(change), record));
    if trust == Trust::Nothing && mails.is_empty() && home.add_certificates(&named(&read), &mut stored)? {
        return data(&text);
    }
    let mut files = Vec::with_capacity(names.len());
    for (place, octets) in read {
        let found = session.statements(octets.expose(), &place).unwrap_or_default();
        // A PEM message holds the issuers' certificates beside their CRLs.
        let is_message = pem::services::carried(octets.expose(), &place, session.limits())?.is_some();
        if found.is_empty() || is_message || revocation_files::has_certificates(octets.expose()) {
            files.push((place, octets));
        }
        lists.extend(found);
    }
    let mut file = home.read(&named(&files))?;
    let (mut carriers, is_mail) = (vec![None; file.found.len()], !mails.is_empty());
    for (place, messages) in mails {
        mail::append(&mut file, &mut carriers, (&place, messages), trust, (home, session))?;
    }
    // They may be as large as what was read from them.
    drop(files);
    for list in &file.statements {
        if !lists.iter().any(|known| **known == **list) {
            lists.push(Arc::from(list.as_slice()));
        }
    }
    file.skipped.iter().for_each(|skipped| warning(skipped));
    let foreign = file.found.iter().find(|one| one.record.protocol() != ProtocolName::Smime);
    if let (Trust::Anchor, Some(one)) = (trust, foreign) {
        return Err(Error::usage(format!(
            "key {}: an OpenPGP certificate is no trust anchor",
            one.record.fingerprint()
        )));
    }
    let belief = |one: &Described| (one.record.fingerprint().clone(), Binding::Anchor, Origin::Trusted);
    let beliefs: Vec<_> = file.found.iter().filter(|_| trust == Trust::Anchor).map(belief).collect();
    let intake = Intake { certificates: &file.found, beliefs: &beliefs, statements: &lists, ..Intake::default() };
    let taken = match lists.is_empty() {
        true => home.take_in(&intake, &Memory::new(), session.clock().now())?,
        false => home.take_in(&intake, session.keys()?, session.clock().now())?,
    };
    for (list, kept) in lists.iter().zip(taken.statements) {
        text.push_str(&show::statement(kept, list));
    }
    for ((one, change), carrier) in file.found.iter().zip(taken.certificates).zip(&carriers) {
        let change = if trust == Trust::Anchor { "anchor" } else { show::word(change) };
        text.push_str(&show::change(change, &one.record));
        if let Some(carrier) = carrier {
            text.push_str(&format!("           found in {}\n", printable(carrier)));
        }
        if one.record.protocol() == ProtocolName::Pgp {
            doubt(&one.record, session.clock().now(), home)?.iter().for_each(|doubt| warning(doubt));
        }
    }
    data(&text)?;
    if is_mail && trust == Trust::Nothing {
        aside("no key is trusted because of the mail that it came with\n");
        hint("compare its fingerprint with the owner, and then `postseal key trust FINGERPRINT ADDRESS`");
    }
    // What was imported stays. A revocation that could not be applied is an error.
    let mut lost = file.lost.into_iter();
    let first = lost.next();
    lost.for_each(|other| error(&other));
    first.map_or(Ok(()), Err)
}

fn named(files: &[(String, Secret)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(place, octets)| (place.as_str(), octets.expose())).collect()
}

fn trust(id: &str, address: &str, home: &Keystore, session: &Session) -> Result<()> {
    let record = one(home, id)?;
    let addresses = match address.strip_prefix('@') {
        Some(domain) => {
            let any = input::address(&format!("x@{domain}"))?;
            vec![domain_reader(&any), domain_signer(&any)]
        }
        None => vec![input::address(address)?],
    };
    if let [only] = addresses.as_slice()
        && !record.claimed().contains(only)
    {
        warning(&format!("key {}: does not name {only} itself", record.fingerprint()));
    }
    addresses.iter().try_for_each(|address| trust_for(address, &record, home, session))
}

fn trust_for(address: &Address, record: &Record, home: &Keystore, session: &Session) -> Result<()> {
    let binding = Binding::Address(address.clone());
    let new = home.bind(record.fingerprint(), &binding, Origin::Trusted, session.clock().now())?;
    aside(&format!(
        "{} is {}trusted for {address}\n",
        layout::grouped(record.fingerprint()),
        if new { "" } else { "already " }
    ));
    Ok(())
}
