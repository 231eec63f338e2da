//! `postseal key renew`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use postseal::{
    audit::Event,
    base::{Error, Result},
    crypto::{Curve, KeyAlgorithm},
    keys::{Keys as _, Memory, ProtocolName, Query, Record, Want},
    protocol::{
        Described,
        pgp::own_cert::{Held, NewSubkey, OwnCert, Subkeys},
        smime::{
            generate::{Algorithm, Request},
            record::certificate,
        },
    },
    store::{Intake, Keystore},
};

use super::{
    choose::own,
    generate::{generate_smime, write_request},
    list,
    validity::{Validity, validity},
};
use crate::cli::{passphrase, session::Session, show::aside};

#[derive(Args, Debug)]
pub(super) struct Renew {
    /// The validity period from now on: 90d, 6m, 3y or never (OpenPGP; of a certificate, the CA says)
    #[arg(long, value_name = "TIME", default_value = "3y", value_parser = validity)]
    expires: Validity,
    /// Add a new encryption subkey instead of giving the old one more time (OpenPGP)
    #[arg(long)]
    new_subkey: bool,
    /// Add an encryption subkey that withstands quantum computers, beside the one that other programs need (OpenPGP)
    #[arg(long, conflicts_with = "new_subkey")]
    add_pq: bool,
    /// Request a certificate for a new key instead of the same one (S/MIME)
    #[arg(long, conflicts_with_all = ["new_subkey", "add_pq"])]
    new_key: bool,
    /// Do not lock the new key with a passphrase (with --new-key) [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, requires = "new_key", conflicts_with_all = ["passphrase_file", "passphrase_fd", "passphrase_command"])]
    no_passphrase: bool,
    /// The file for the request (S/MIME), written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// A fingerprint or key ID, or an address with one key
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Renews a key.
pub(super) fn renew(what: &Renew, home: &Keystore, session: &Session) -> Result<()> {
    let record = own(home, None, &what.which)?;
    match record.protocol() {
        ProtocolName::Pgp if what.new_key || what.output.is_some() => {
            Err(Error::usage("key renew: --new-key and -o are for S/MIME")
                .with_hint("--new-subkey makes a new encryption key; `postseal key generate` makes a new key"))
        }
        ProtocolName::Pgp => renew_pgp(what, &record, home, session),
        ProtocolName::Smime if what.add_pq => Err(Error::usage("key renew: --add-pq is for OpenPGP")
            .with_hint("an S/MIME certificate has one key; request another certificate")),
        ProtocolName::Smime if what.new_subkey => Err(Error::usage("key renew: --new-subkey is for OpenPGP")),
        ProtocolName::Smime => renew_smime(what, &record, home, session),
        ProtocolName::Pem => Err(Error::usage(format!("key {}: a bare key has no expiry", record.fingerprint()))),
    }
}

fn renew_pgp(what: &Renew, record: &Record, home: &Keystore, session: &Session) -> Result<()> {
    let mut own = OwnCert::open(record, home, session.clock().now())?;
    let validity = what.expires.duration();
    let mut changed = vec![own.renew(validity, if what.new_subkey { Subkeys::Signing } else { Subkeys::All })?];
    if what.new_subkey || what.add_pq {
        let gone = || Error::no_key(format!("key {}: its secret is gone", record.fingerprint()));
        let octets = home.secret_parts(record.fingerprint())?.ok_or_else(gone)?;
        let passphrases = session.passphrases()?;
        let held = Held { octets: &octets, passphrases: &passphrases, limits: session.limits() };
        let kind = if what.add_pq { NewSubkey::QuantumSafe } else { NewSubkey::Same };
        changed.push(own.add_subkey(kind, validity, record, &held)?);
    }
    store(&changed, home, session)?;
    session.wait_until(own.since());
    aside("give it to your correspondents: `postseal key export` writes it\n");
    listed(record, home, session)
}

fn renew_smime(what: &Renew, record: &Record, home: &Keystore, session: &Session) -> Result<()> {
    if !what.new_key {
        aside(&format!(
            "the request is for the key of {}; import the certificate when it comes\n",
            record.fingerprint()
        ));
        return write_request(record, record.claimed(), what.output.as_deref(), home);
    }
    let request = same_shape(record, what, session)?;
    let made = generate_smime(&request, &[], home, session)?;
    aside(&format!("{} is a new key; import the certificate when it comes\n", made.fingerprint()));
    write_request(&made, record.claimed(), what.output.as_deref(), home)
}

/// A new key of the same kind as that of `record`, with its subject and addresses.
fn same_shape(record: &Record, what: &Renew, session: &Session) -> Result<Request> {
    let (read, addresses) = (certificate(record)?, record.claimed().to_vec());
    let first = addresses.first().cloned();
    let nameless = || Error::usage(format!("key {}: names no address", record.fingerprint()));
    let mut request = Request::new(first.ok_or_else(nameless)?);
    request.algorithm = match read.public_key().algorithm() {
        KeyAlgorithm::Ed25519 => Algorithm::Ed25519,
        KeyAlgorithm::Ed448 => Algorithm::Ed448,
        KeyAlgorithm::MlDsa(set) => Algorithm::MlDsa(set),
        KeyAlgorithm::MlKem(set) => Algorithm::MlKem(set),
        KeyAlgorithm::SlhDsa(set) => Algorithm::SlhDsa(set),
        KeyAlgorithm::X25519 => Algorithm::X25519,
        KeyAlgorithm::X448 => Algorithm::X448,
        KeyAlgorithm::Ecdsa(Curve::P256) => Algorithm::P256,
        KeyAlgorithm::Ecdsa(Curve::P384) => Algorithm::P384,
        KeyAlgorithm::Ecdsa(Curve::P521) => Algorithm::P521,
        KeyAlgorithm::Rsa(bits) if bits > 3072 => Algorithm::Rsa4096,
        _ => Algorithm::Rsa3072,
    };
    request.addresses = addresses;
    request.subject = Some(read.subject().der().to_vec());
    request.validity = what.expires.duration();
    if !what.no_passphrase {
        request.passphrase = Some(passphrase::new("key renew", "the new key", ", or say --no-passphrase", session)?);
    }
    Ok(request)
}

/// Stores a changed certificate.
pub(super) fn store(changed: &[Described], home: &Keystore, session: &Session) -> Result<()> {
    let intake = Intake { certificates: changed, event: Event::Renew, ..Intake::default() };
    home.take_in(&intake, &Memory::new(), session.clock().now())?;
    Ok(())
}

/// Prints the line of a key as it is now.
pub(super) fn listed(record: &Record, home: &Keystore, session: &Session) -> Result<()> {
    let found = home.find(record.protocol(), &Query::manage(Want::Certificate(record.fingerprint())))?;
    found.iter().try_for_each(|record| list::line(record, home, session))
}
