//! `postseal key export`.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Limits, Result, Secret, SystemRandom},
    keys::{Keys as _, ProtocolName, Record},
    pki::Certificate,
    protocol::{
        pem,
        pgp::keyfile::{self, Armor},
        smime::{
            export::{self, Form, Held, Integrity},
            keyfile::newest,
        },
    },
    store::Keystore,
};

use super::choose::select;
use crate::cli::{
    output::{Output, Privacy},
    passphrase,
    session::Session,
    values::Format,
};

#[derive(Args, Debug)]
pub(super) struct Export {
    /// The protocol [default: all that match]
    #[arg(short, long, value_enum)]
    format: Option<Format>,
    /// Export the secret key. OpenPGP: locked as it is stored. S/MIME: PKCS#12, locked with the first line of --passphrase-file or a typed
    /// passphrase; with --legacy in the form that GnuPG before 2.4 reads
    #[arg(long)]
    secret: bool,
    /// Protect PKCS#12 with PBMAC1 (RFC 9579) instead of the older key derivation; needs OpenSSL 3.4 to read
    #[arg(long, requires = "secret", conflicts_with = "legacy")]
    pbmac1: bool,
    /// Write binary packets or DER instead of text
    #[arg(long)]
    binary: bool,
    /// The output file, written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// An address, a fingerprint or a key ID
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Writes certificates, S/MIME ones with their issuers, or secret keys.
pub(super) fn export(what: &Export, home: &Keystore, session: &Session) -> Result<()> {
    let privacy = if what.secret { Privacy::Owner } else { Privacy::Umask };
    let records = select(home, what.format, &what.which)?;
    let written = if what.secret { secret(what, &records, home, session)? } else { public(what, &records, home)? };
    let mut output = Output::create(what.output.as_deref(), &[], privacy)?;
    for octets in &written {
        output.write_all(octets.expose()).map_err(|error| Error::io("output", &error))?;
    }
    output.commit()
}

fn public(what: &Export, records: &[Arc<Record>], home: &Keystore) -> Result<Vec<Secret>> {
    let (armor, form) = if what.binary { (Armor::Binary, Form::Der) } else { (Armor::Ascii, Form::Pem) };
    let mut written = Vec::new();
    let mut certificates: Vec<Arc<Certificate>> = Vec::new();
    for record in records {
        match record.protocol() {
            ProtocolName::Smime => {
                for certificate in export::chain(record, home)? {
                    if !certificates.iter().any(|known| known.der() == certificate.der()) {
                        certificates.push(certificate);
                    }
                }
            }
            ProtocolName::Pem if what.binary => written.push(Secret::new(record.bytes().to_vec())),
            ProtocolName::Pem => written.push(Secret::new(pem::keyfile::labelled(record))),
            _ => written.push(Secret::new(keyfile::export(record, armor)?)),
        }
    }
    written.push(Secret::new(export::export(&certificates, form)));
    Ok(written)
}

fn secret(what: &Export, records: &[Arc<Record>], home: &Keystore, session: &Session) -> Result<Vec<Secret>> {
    let held = records.iter().filter(|record| !record.secrets().is_empty()).cloned().collect();
    let held = newest(held)?;
    // PKCS#12 files cannot be concatenated.
    if held.len() > 1 && held.iter().any(|record| record.protocol() == ProtocolName::Smime) {
        return Err(Error::usage(format!("{}: several secret keys are here", what.which))
            .with_hint(if what.format.is_some() { BY_ID } else { BY_FORMAT }));
    }
    let armor = if what.binary { Armor::Binary } else { Armor::Ascii };
    let mut written = Vec::new();
    for record in &held {
        let Some(octets) = home.secret_parts(record.fingerprint())? else { continue };
        written.push(match record.protocol() {
            ProtocolName::Pem => pem::keyfile::labelled_secret(record, &octets),
            ProtocolName::Smime => pkcs12(what, record, &octets, home, session)?,
            _ => keyfile::export_secret(record, &octets, armor)?,
        });
    }
    if written.is_empty() {
        return Err(Error::no_key(format!("{}: there is no secret key to it", what.which)));
    }
    Ok(written)
}

fn pkcs12(what: &Export, record: &Record, octets: &Secret, home: &Keystore, session: &Session) -> Result<Secret> {
    let integrity = if what.pbmac1 { Integrity::Pbmac1 } else { Integrity::Classic };
    let passphrases = session.passphrases()?;
    let title = format!("key {}", record.fingerprint());
    let held = Held { octets, title: &title, passphrases: &passphrases, limits: &Limits::default() };
    // The one that opens the key is asked for first.
    home.secret(record, record.fingerprint())?;
    let name = what.output.as_ref().map_or_else(|| "the PKCS#12 file".to_owned(), |name| name.display().to_string());
    let passphrase = passphrase::new("key export", &name, "", session)?;
    export::export_secret(&held, &export::chain(record, home)?, &passphrase, session.legacy(), integrity, &SystemRandom)
}

const BY_ID: &str = "give the fingerprint; `postseal key list` shows it";
const BY_FORMAT: &str = "give -f, or the fingerprint; `postseal key list` shows it";
