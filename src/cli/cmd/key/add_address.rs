//! `postseal key add-address`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Result},
    keys::ProtocolName,
    protocol::pgp::own_cert::OwnCert,
    store::Keystore,
};

use super::{
    choose::own,
    generate::write_request,
    renew::{listed, store},
};
use crate::cli::{input, session::Session, show::aside};

#[derive(Args, Debug)]
pub(super) struct AddAddress {
    /// The owner's name with this address (OpenPGP) [default: that of the primary user ID]
    #[arg(long)]
    name: Option<String>,
    /// The file for the request (S/MIME), written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// A fingerprint or key ID, or an address with one key
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
    /// The new address
    address: String,
}

/// Adds an address.
pub(super) fn add_address(what: &AddAddress, home: &Keystore, session: &Session) -> Result<()> {
    let (record, address) = (own(home, None, &what.which)?, input::address(&what.address)?);
    match record.protocol() {
        ProtocolName::Pgp => {
            let mut own = OwnCert::open(&record, home, session.clock().now())?;
            let changed = own.add_address(&address, what.name.as_deref())?;
            store(&[changed], home, session)?;
            session.wait_until(own.since());
            aside("give it to your correspondents: `postseal key export` writes it\n");
            listed(&record, home, session)
        }
        ProtocolName::Smime => {
            let mut addresses = record.claimed().to_vec();
            if addresses.contains(&address) {
                return Err(Error::usage(format!("key {}: names {address} already", record.fingerprint())));
            }
            addresses.push(address);
            aside("a certificate cannot be changed; import the new one when it comes\n");
            write_request(&record, &addresses, what.output.as_deref(), home)
        }
        ProtocolName::Pem => Err(Error::usage(format!("key {}: a bare key names no address", record.fingerprint()))
            .with_hint("`postseal key trust` ties it to one")),
    }
}
