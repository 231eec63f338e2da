//! `postseal key passphrase`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Result, SystemRandom},
    keys::{Handle, Keys as _, ProtocolName, Want},
    protocol::{
        pgp::relock,
        smime::{
            export::{self, Held},
            keyfile,
        },
    },
    store::Keystore,
};

use super::choose::{find, own};
use crate::cli::{passphrase, session::Session, show::aside, values::Format};

#[derive(Args, Debug)]
pub(super) struct Passphrase {
    /// Leave the secret key without a passphrase
    #[arg(long)]
    no_passphrase: bool,
    /// The file whose first line is the new passphrase [default: a prompt]; --passphrase-file has the old one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    /// A fingerprint or key ID, or an address with one key
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Changes the passphrase of a secret key. Certificates of one key have one passphrase.
pub(super) fn change(what: &Passphrase, home: &Keystore, session: &Session) -> Result<()> {
    let record = own(home, None, &what.which)?;
    let mut records = vec![record.clone()];
    if record.protocol() == ProtocolName::Smime {
        for other in find(home, Some(Format::Smime), Want::Secrets)? {
            if other.fingerprint() != record.fingerprint() && keyfile::share_key(&other, &record)? {
                records.push(other);
            }
        }
    }
    let (passphrases, fingerprint) = (session.passphrases()?, record.fingerprint());
    let new = match (&what.new_passphrase_file, what.no_passphrase) {
        (_, true) => None,
        (Some(file), _) => Some(passphrase::of_file(file, session)?),
        (None, _) => None,
    };
    let is_asked = new.is_none() && !what.no_passphrase;
    let mut held = Vec::with_capacity(records.len());
    for record in &records {
        let gone = || Error::no_key(format!("key {}: there is no secret key to it", record.fingerprint()));
        held.push(home.secret_parts(record.fingerprint())?.ok_or_else(gone)?);
    }
    // The old one is asked for first.
    for handle in record.secrets() {
        home.secret(&record, handle)?;
    }
    let new = match is_asked {
        true => {
            let what = format!("key {fingerprint}");
            Some(passphrase::typed("key passphrase", &what, ", or --new-passphrase-file, or say --no-passphrase")?)
        }
        false => new,
    };
    let mut changed: Vec<(Handle, _)> = Vec::with_capacity(records.len());
    for (record, octets) in records.iter().zip(&held) {
        let secret = match record.protocol() {
            ProtocolName::Pgp => relock::relock(octets, new.as_ref(), &passphrases, session.limits())?,
            ProtocolName::Smime => {
                let title = format!("key {}", record.fingerprint());
                let held = Held { octets, title: &title, passphrases: &passphrases, limits: session.limits() };
                export::relock(&held, new.as_ref(), &SystemRandom)?
            }
            ProtocolName::Pem => {
                return Err(Error::usage(format!("key {fingerprint}: the passphrase of a bare key cannot be changed"))
                    .with_hint("export it, change the file with openssl, and import it again"));
            }
        };
        changed.push((record.fingerprint().clone(), secret));
    }
    home.relock(&changed)?;
    let how = if new.is_some() { "has a new passphrase" } else { "has no passphrase any more" };
    aside(&format!("{fingerprint} {how}\n"));
    Ok(())
}
