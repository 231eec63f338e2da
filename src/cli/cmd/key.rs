//! `postseal key`: the keys in the home.

mod show;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result, Secret},
    keys::{Binding, Handle, Keys, ProtocolName, Record, Want},
    protocol::pgp::{
        generate::{self, Request},
        keyfile::{self, Armor},
    },
    store::{Change, Home, Origin, Removal},
};

use crate::cli::{
    args::Format,
    input,
    output::{Output, Privacy},
    session::Session,
    show::{aside, data, warning},
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
    Generate(Generate),
    /// Take certificates and secret keys in, armoured or binary, one or many in a file
    Import {
        /// What to read; `-` is standard input
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Write certificates, or secret keys, for others to import
    Export(Export),
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
}

#[derive(Args, Debug)]
struct Generate {
    /// The protocol
    #[arg(short, long, value_enum, default_value = "pgp")]
    format: Format,
    /// The standard that the key follows: GnuPG reads rfc4880 only
    #[arg(long, value_enum, default_value = "rfc4880")]
    profile: Profile,
    /// What the key is
    #[arg(long, value_enum, default_value = "curve25519")]
    algorithm: Algorithm,
    /// The owner's name
    #[arg(long)]
    name: Option<String>,
    /// How long it is good for: 90d, 6m, 3y or never
    #[arg(long, value_name = "TIME", default_value = "3y", value_parser = validity)]
    expires: Validity,
    /// Do not lock the secret key; otherwise the first line of --passphrase-file or the answer to a prompt locks it
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    no_passphrase: bool,
    /// The owner's addresses
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
}

#[derive(Args, Debug)]
struct Export {
    /// The secret key, as locked as it is held
    #[arg(long)]
    secret: bool,
    /// Packets instead of ASCII armour
    #[arg(long)]
    binary: bool,
    /// Where it goes; appears whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// An address, a fingerprint or a key ID
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    Curve25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// Version 4 keys
    Rfc4880,
    /// Version 6 keys
    Rfc9580,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    For(Duration),
    Never,
}

/// Does what was asked of the home.
pub(crate) fn run(key: &Key, session: &Session) -> Result<ExitCode> {
    let home = session.home()?;
    match &key.verb {
        Verb::Generate(what) => generate(what, &home, session)?,
        Verb::Import { files } => import(files, &home, session)?,
        Verb::Export(what) => export(what, &home)?,
        Verb::List { json } => {
            let (found, at) = (home.find(ProtocolName::Pgp, &Want::All)?, session.clock().now());
            data(&if *json { show::objects(&found, at)? } else { show::list(&found, at)? })?
        }
        Verb::Show { json, which } => {
            let (found, at) = (select(&home, which)?, session.clock().now());
            data(&if *json { show::objects(&found, at)? } else { show::certificates(&found, at)? })?
        }
        Verb::Trust { id, address } => trust(id, address, &home, session)?,
        Verb::Remove { secret, id } => {
            remove(id, if *secret { Removal::WithSecret } else { Removal::Certificate }, &home)?
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(what: &Generate, home: &Home, session: &Session) -> Result<()> {
    if what.format != Format::Pgp {
        return Err(Error::unavailable("key generate: makes OpenPGP keys alone"));
    }
    let mut addresses = what.addresses.iter().map(|address| typed(address));
    let first = addresses.next().unwrap_or_else(|| Err(Error::usage("key generate: needs an address")))?;
    let mut request = Request::new(first);
    for address in addresses {
        request.addresses.push(address?);
    }
    request.profile = match what.profile {
        Profile::Rfc4880 => generate::Profile::Rfc4880,
        Profile::Rfc9580 => generate::Profile::Rfc9580,
    };
    request.algorithm = match what.algorithm {
        Algorithm::Curve25519 => generate::Algorithm::Curve25519,
        Algorithm::Rsa2048 => generate::Algorithm::Rsa2048,
        Algorithm::Rsa3072 => generate::Algorithm::Rsa3072,
        Algorithm::Rsa4096 => generate::Algorithm::Rsa4096,
    };
    request.name = what.name.clone();
    request.validity = match what.expires {
        Validity::For(duration) => Some(duration),
        Validity::Never => None,
    };
    request.passphrase = if what.no_passphrase { None } else { Some(new_passphrase(session)?) };

    let generated = generate::generate(&request, session.clock())?;
    let fingerprint = generated.described.record.fingerprint.clone();
    // The revocation first: a key that cannot be revoked must not be in use.
    let revocation = home.keep_revocation(&fingerprint, &generated.revocation)?;
    home.add(&[generated.described])?;
    home.bind(&fingerprint, &Binding::UserIds, Origin::Generated, session.clock().now())?;
    aside(&format!("to revoke the key should it be lost or stolen, publish {}\n", revocation.display()));
    data(&show::list(&home.find(ProtocolName::Pgp, &Want::Handle(&fingerprint))?, session.clock().now())?)
}

fn import(files: &[PathBuf], home: &Home, session: &Session) -> Result<()> {
    let mut found = Vec::new();
    for name in files {
        let place = input::label(Some(name));
        let octets = Secret::new(input::octets(Some(name), &session.budget())?);
        let file = keyfile::describe(octets.expose(), &place)?;
        file.skipped.iter().for_each(|skipped| warning(skipped));
        found.extend(file.found);
    }
    let changes = home.add(&found)?;
    let mut text = String::new();
    for (one, change) in found.iter().zip(changes) {
        let change = match change {
            Change::Added => "added",
            Change::Unchanged => "unchanged",
            Change::Updated => "updated",
        };
        text.push_str(&show::change(change, &one.record));
    }
    data(&text)
}

fn export(what: &Export, home: &Home) -> Result<()> {
    let form = if what.binary { Armor::Binary } else { Armor::Ascii };
    let privacy = if what.secret { Privacy::Owner } else { Privacy::Umask };
    let mut written = Vec::new();
    for record in select(home, &what.which)? {
        written.push(match what.secret {
            false => Secret::new(keyfile::export(&record, form)?),
            true => match home.secret_parts(&record.fingerprint)? {
                Some(secret) => keyfile::export_secret(&secret, form)?,
                None => continue,
            },
        });
    }
    if written.is_empty() {
        return Err(Error::no_key(format!("{}: there is no secret key to it", what.which)));
    }
    let mut output = Output::create(what.output.as_deref(), &[], privacy)?;
    for octets in &written {
        output.write_all(octets.expose()).map_err(|error| Error::io("output", &error))?;
    }
    output.commit()
}

fn trust(id: &str, address: &str, home: &Home, session: &Session) -> Result<()> {
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

fn remove(id: &str, removal: Removal, home: &Home) -> Result<()> {
    let record = one(home, id)?;
    home.remove(&record, removal)?;
    aside(&format!("{} is removed\n", record.fingerprint));
    Ok(())
}

/// The certificates that an address, fingerprint or key ID names; none is an error.
fn select(home: &Home, which: &str) -> Result<Vec<Arc<Record>>> {
    let found = match which.contains('@') {
        true => home.find(ProtocolName::Pgp, &Want::Address(&typed(which)?))?,
        false => home.find(ProtocolName::Pgp, &Want::Handle(&Handle::parse(which)?))?,
    };
    if found.is_empty() {
        return Err(
            Error::no_key(format!("{which}: no certificate here")).with_hint("`postseal key list` shows what is here")
        );
    }
    Ok(found)
}

/// The one certificate that a fingerprint or key ID names.
fn one(home: &Home, id: &str) -> Result<Arc<Record>> {
    if id.contains('@') {
        return Err(Error::usage(format!("{id}: an address says nothing about which certificate is meant"))
            .with_hint("give the fingerprint; `postseal key show` tells it"));
    }
    match select(home, id)?.as_slice() {
        [record] => Ok(Arc::clone(record)),
        _ => {
            Err(Error::usage(format!("{id}: several certificates have a key of this id"))
                .with_hint("give the fingerprint"))
        }
    }
}

/// The first line of the passphrase file or descriptor, or what is typed twice.
fn new_passphrase(session: &Session) -> Result<Secret> {
    if let Some(given) = session.given_passphrases()?.into_iter().next() {
        return Ok(given);
    }
    if !io::stderr().is_terminal() {
        return Err(Error::usage("key generate: nobody can be asked for a passphrase")
            .with_hint("give --passphrase-file, --passphrase-fd or --no-passphrase"));
    }
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map(|typed| Secret::new(typed.into_bytes()));
    let typed = ask("new passphrase: ").and_then(|first| Ok((first, ask("the same again: ")?)));
    match typed.map_err(|error| Error::io("terminal", &error))? {
        (first, _) if first.expose().is_empty() => {
            Err(Error::usage("key generate: an empty passphrase locks nothing")
                .with_hint("say so with --no-passphrase"))
        }
        (first, again) if first == again => Ok(first),
        _ => Err(Error::usage("key generate: the two passphrases differ")),
    }
}

/// `90d`, `6m`, `3y`, `never`; months and years are the mean Gregorian ones.
fn validity(text: &str) -> Result<Validity, String> {
    if text == "never" {
        return Ok(Validity::Never);
    }
    let seconds = |text: &str| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit: u64 = match unit {
            "d" => 86_400,
            "w" => 7 * 86_400,
            "m" => 2_629_746,
            "y" => 31_556_952,
            _ => return None,
        };
        // OpenPGP counts in 32 bits (RFC 9580, section 5.2.3.13), and 0 would mean never.
        digits.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds))
    };
    let seconds = seconds(text).ok_or("not a time like 90d, 6m or 3y, nor never")?;
    Ok(Validity::For(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_counted_in_32_bits() {
        assert_eq!(validity("90d"), Ok(Validity::For(Duration::from_secs(90 * 86_400))));
        assert_eq!(validity("never"), Ok(Validity::Never));
        for wrong in ["", "0d", "3", "y", "-1d", "3é", "137y", "99999999999999999999d"] {
            assert_eq!(validity(wrong), Err("not a time like 90d, 6m or 3y, nor never".to_owned()), "{wrong:?}");
        }
    }
}
