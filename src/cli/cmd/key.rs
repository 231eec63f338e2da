//! `postseal key`: the keys in the home.

mod bare;
mod check;
mod export;
mod generate;
pub(super) mod show;
mod x509;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Result, Secret},
    keys::{Binding, Handle, Keys, Memory, ProtocolName, Record, Want},
    protocol::{Described, pem, pgp::summary::doubt, smime::statements},
    store::{Change, Intake, Keystore, MasterKey, Origin, Removal, Repair},
};

use crate::cli::{
    args::Format,
    input,
    session::Session,
    show::{aside, data, error, progress, warning},
    typed,
};

/// Generate, import, export, list, trust and remove keys.
#[derive(Args, Debug)]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key for one or more addresses; it is trusted for them
    Generate(generate::Generate),
    /// Take certificates and secret keys in: OpenPGP, PEM, DER or PKCS#12, one or many in a file
    Import {
        /// Trust every certificate in the files as an end of certificate paths (S/MIME)
        #[arg(long)]
        anchor: bool,
        /// What to read; `-` is standard input
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Write certificates, or secret keys, for others to import
    Export(export::Export),
    /// One line for each certificate
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Everything that a certificate says
    Show {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// An address, a fingerprint or a key ID
        #[arg(value_name = "ADDRESS|ID")]
        which: String,
    },
    /// Say that a certificate belongs to an address; compare the fingerprint with its owner first
    Trust {
        /// A fingerprint or key ID
        id: String,
        /// Whose it is
        address: String,
    },
    /// Remove a certificate, and its secret key only with --secret
    Remove {
        /// Remove the secret key too: what was encrypted to it can never be read again
        #[arg(long)]
        secret: bool,
        /// A fingerprint or key ID
        id: String,
    },
    /// Look whether everything in the home is what was written; what is not is named, and the exit code is 65
    Check {
        /// Repair what can be repaired, and set aside within the database what cannot; erase what is left of removed secret keys
        #[arg(long)]
        repair: bool,
    },
    /// Change what opens the secret keys of the home: a file of its own at first
    #[command(group = clap::ArgGroup::new("master").required(true))]
    Master {
        /// A file of 64 hexadecimal digits, made if it is not there; keep a copy of it elsewhere
        #[arg(long, group = "master", value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// A file in the home: what has just the database has no secret key. `--home` without a folder means the same here
        #[arg(long, group = "master")]
        in_home: bool,
        /// A credential of this name that systemd gives the service (LoadCredential=), with the same content
        #[arg(long, group = "master", value_name = "NAME")]
        credential: Option<String>,
        /// A passphrase: the first line of --passphrase-file, or the answer to a prompt
        #[arg(long, group = "master")]
        passphrase: bool,
    },
    /// Ask an authority for an S/MIME certificate: a request (PKCS#10) for a key that is here, or for a new one
    Request(generate::Request),
}

/// Does what was asked of the home.
pub(crate) fn run(key: &Key, session: &Session) -> Result<ExitCode> {
    let home = session.home()?;
    match &key.verb {
        Verb::Generate(what) => generate::generate(what, &home, session)?,
        Verb::Import { anchor, files } => {
            import(files, if *anchor { Trust::Anchor } else { Trust::Nothing }, &home, session)?;
        }
        Verb::Export(what) => export::export(what, &home, session)?,
        Verb::List { json } => {
            let (found, at) = (find(&home, None, &Want::All)?, session.clock().now());
            data(&if *json { show::objects(&found, at, &home)? } else { show::list(&found, at, &home)? })?;
        }
        Verb::Show { json, which } => {
            let (found, at) = (select(&home, None, which)?, session.clock().now());
            data(&if *json { show::objects(&found, at, &home)? } else { show::certificates(&found, at, &home)? })?;
        }
        Verb::Trust { id, address } => trust(id, address, &home, session)?,
        Verb::Remove { secret, id } => {
            remove(id, if *secret { Removal::WithSecret } else { Removal::Certificate }, &home)?;
        }
        Verb::Check { repair } => return check::check(if *repair { Repair::Yes } else { Repair::No }, &home),
        Verb::Master { file, credential, passphrase, .. } => {
            let master = match (file, credential) {
                (Some(file), _) => MasterKey::File(file.clone()),
                (_, Some(name)) => MasterKey::Credential(name.clone()),
                _ if *passphrase => MasterKey::Passphrase(new_passphrase("key master", "", session)?),
                _ => MasterKey::Home,
            };
            home.set_master(&master)?;
        }
        Verb::Request(what) => generate::request(what, &home, session)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What importing says of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Anchor,
    Nothing,
}

fn import(names: &[PathBuf], trust: Trust, home: &Keystore, session: &Session) -> Result<()> {
    let _progress = progress::begin("importing");
    let mut files = Vec::with_capacity(names.len());
    let (mut lists, mut text) = (Vec::new(), String::new());
    for name in names {
        let (place, octets) = (input::label(Some(name)), Secret::new(input::octets(Some(name), &session.budget())?));
        let found = session.statements(octets.expose(), &place).unwrap_or_default();
        // A message of PEM has the certificates of the issuers beside their lists.
        let is_message = pem::services::carried(octets.expose(), &place, session.limits())?.is_some();
        if found.is_empty() || is_message || statements::has_certificates(octets.expose()) {
            files.push((place, octets));
        }
        lists.extend(found);
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(place, octets)| (place.as_str(), octets.expose())).collect();
    let file = home.read(&files)?;
    for list in &file.statements {
        if !lists.iter().any(|known| **known == **list) {
            lists.push(Arc::from(list.as_slice()));
        }
    }
    file.skipped.iter().for_each(|skipped| warning(skipped));
    let foreign = file.found.iter().find(|one| one.record.protocol != ProtocolName::Smime);
    if let (Trust::Anchor, Some(one)) = (trust, foreign) {
        return Err(Error::usage(format!("key {}: an OpenPGP certificate is no trust anchor", one.record.fingerprint)));
    }
    let belief = |one: &Described| (one.record.fingerprint.clone(), Binding::Anchor, Origin::Trusted);
    let beliefs: Vec<_> = file.found.iter().filter(|_| trust == Trust::Anchor).map(belief).collect();
    let intake = Intake { certificates: &file.found, beliefs: &beliefs, statements: &lists, revocation: None };
    let taken = match lists.is_empty() {
        true => home.take_in(&intake, &Memory::new(), session.clock().now())?,
        false => home.take_in(&intake, session.keys()?, session.clock().now())?,
    };
    for (list, kept) in lists.iter().zip(taken.statements) {
        text.push_str(&show::statement(kept, list));
    }
    for (one, change) in file.found.iter().zip(taken.certificates) {
        let change = if trust == Trust::Anchor { "anchor" } else { word(change) };
        text.push_str(&show::change(change, &one.record));
        if one.record.protocol == ProtocolName::Pgp {
            doubt(&one.record, session.clock().now(), home)?.iter().for_each(|doubt| warning(doubt));
        }
    }
    data(&text)?;
    // What is taken in stays; a revocation that is lost is no success.
    let mut lost = file.lost.into_iter();
    let first = lost.next();
    lost.for_each(|other| error(&other));
    first.map_or(Ok(()), Err)
}

/// What adding a certificate did, in a word.
pub(super) fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Unchanged => "unchanged",
        Change::Updated => "updated",
    }
}

fn trust(id: &str, address: &str, home: &Keystore, session: &Session) -> Result<()> {
    let record = one(home, id)?;
    let address = typed(address)?;
    if !record.claimed.contains(&address) {
        warning(&format!("key {}: does not name {address} itself", record.fingerprint));
    }
    let binding = Binding::Address(address.clone());
    let new = home.bind(&record.fingerprint, &binding, Origin::Trusted, session.clock().now())?;
    aside(&format!("{} is {}trusted for {address}\n", record.fingerprint, if new { "" } else { "already " }));
    Ok(())
}

fn remove(id: &str, removal: Removal, home: &Keystore) -> Result<()> {
    let record = one(home, id)?;
    home.remove(&record, removal)?;
    aside(&format!("{} is removed\n", record.fingerprint));
    Ok(())
}

/// The certificates that an address, fingerprint or key ID names, of one protocol or of all; none is an error.
fn select(home: &Keystore, format: Option<Format>, which: &str) -> Result<Vec<Arc<Record>>> {
    let found = match which.contains('@') {
        true => find(home, format, &Want::Address(&typed(which)?))?,
        false => find(home, format, &Want::Handle(&Handle::parse(which)?))?,
    };
    if found.is_empty() {
        return Err(
            Error::no_key(format!("{which}: no certificate here")).with_hint("`postseal key list` shows what is here")
        );
    }
    Ok(found)
}

fn find(home: &Keystore, format: Option<Format>, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
    let protocols = match format {
        None => vec![ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime],
        Some(Format::Pem) => vec![ProtocolName::Pem],
        Some(Format::Pgp) => vec![ProtocolName::Pgp],
        Some(Format::Smime) => vec![ProtocolName::Smime],
    };
    let mut found = Vec::new();
    for protocol in protocols {
        found.extend(home.find(protocol, want)?);
    }
    Ok(found)
}

/// The one certificate that a fingerprint or key ID names.
fn one(home: &Keystore, id: &str) -> Result<Arc<Record>> {
    if id.contains('@') {
        return Err(Error::usage(format!("{id}: an address says nothing about which certificate is meant"))
            .with_hint("give the fingerprint; `postseal key show` tells it"));
    }
    match select(home, None, id)?.as_slice() {
        [record] => Ok(Arc::clone(record)),
        _ => {
            Err(Error::usage(format!("{id}: several certificates have a key of this id"))
                .with_hint("give the fingerprint"))
        }
    }
}

/// The first line of the passphrase file or descriptor, or what is typed twice. `verb` is what errors begin with; `instead` says, after
/// a comma, what else there is to do than to give one.
pub(super) fn new_passphrase(verb: &str, instead: &str, session: &Session) -> Result<Secret> {
    if let Some(given) = session.given_passphrases()?.into_iter().next() {
        return Ok(given);
    }
    if !io::stderr().is_terminal() {
        return Err(Error::usage(format!("{verb}: nobody can be asked for a passphrase"))
            .with_hint(format!("give --passphrase-file or --passphrase-fd{instead}")));
    }
    let ask = |prompt: &str| {
        progress::quietly(|| rpassword::prompt_password(prompt)).map(|typed| Secret::new(typed.into_bytes()))
    };
    let typed = ask("new passphrase: ").and_then(|first| Ok((first, ask("the same again: ")?)));
    match typed.map_err(|error| Error::io("terminal", &error))? {
        (first, _) if first.expose().is_empty() => {
            Err(Error::usage(format!("{verb}: an empty passphrase locks nothing"))
                .with_hint(format!("type one{instead}")))
        }
        (first, again) if first == again => Ok(first),
        _ => Err(Error::usage(format!("{verb}: the two passphrases differ"))),
    }
}
