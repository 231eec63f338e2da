//! `postseal key publish`: the keys of addresses, where others look for them.

mod choice;
mod dane;
mod vks;
mod wkd;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result},
    mail::autocrypt::{self, Announced, Preference},
    protocol::pgp::publication::Extent,
    store::Keystore,
};

use crate::cli::{
    session::Session,
    show::{data, progress, warning},
    values::Format,
};
use choice::{Published, published};
use wkd::Layout;

/// Where keys are published.
#[derive(Debug, Subcommand)]
pub(super) enum Publish {
    /// Write a Web Key Directory into a folder that a web server serves
    Wkd {
        /// Which of the two forms of the URL it is for
        #[arg(long, value_enum, default_value = "advanced")]
        layout: Layout,
        /// The root folder of the web server; .well-known/openpgpkey is made in it
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
        /// Addresses, or the fingerprints of keys [default: the addresses of all keys with a secret key here]
        #[arg(value_name = "ADDRESS|ID")]
        which: Vec<String>,
    },
    /// Print the lines for a DNS zone: OPENPGPKEY (RFC 7929) and SMIMEA (RFC 8162)
    Dane {
        /// The protocol [default: both]
        #[arg(short, long, value_enum)]
        format: Option<Format>,
        /// Write the types as TYPE61 and TYPE53 (RFC 3597), for name servers that do not know them
        #[arg(long)]
        generic: bool,
        /// Addresses, or the fingerprints of keys [default: the addresses of all keys with a secret key here]
        #[arg(value_name = "ADDRESS|ID")]
        which: Vec<String>,
    },
    /// Upload keys to a key server that verifies their addresses (VKS)
    Vks {
        /// The server
        #[arg(long, value_name = "URL", default_value = "https://keys.openpgp.org")]
        server: String,
        /// The root certificates that the server's certificate leads to, PEM [default: those of this machine]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        roots: Option<PathBuf>,
        /// Addresses, or the fingerprints of keys. There is no default: the server sends mail to each address
        #[arg(value_name = "ADDRESS|ID", required = true)]
        which: Vec<String>,
    },
    /// Print the Autocrypt header field of an address
    Autocrypt {
        /// Whether the owner wants encrypted mail
        #[arg(long, value_enum, default_value = "nopreference")]
        prefer_encrypt: PreferEncrypt,
        /// An address, or the fingerprint of a key
        #[arg(value_name = "ADDRESS|ID")]
        which: String,
    },
}

/// The preference in an Autocrypt field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PreferEncrypt {
    /// Not said
    Nopreference,
    /// Encrypted mail, from everyone who wants it too
    Mutual,
}

/// Publishes.
pub(super) fn publish(what: &Publish, home: &Keystore, session: &Session) -> Result<()> {
    let at = session.clock().now();
    match what {
        Publish::Wkd { layout, directory, which } => {
            let keys = published(which, Extent::Keys, home, at)?;
            if keys.is_empty() {
                return Err(none());
            }
            data(&wkd::write(directory, *layout, &keys)?)
        }
        Publish::Dane { format, generic, which } => {
            let form = if *generic { dane::Form::Generic } else { dane::Form::Named };
            let (mut lines, mut refused) = (Vec::new(), None);
            if matches!(format, None | Some(Format::Pgp)) {
                match published(which, Extent::Keys, home, at) {
                    Ok(keys) => lines = keys.iter().map(|key| dane::openpgpkey(key, form)).collect::<Result<_>>()?,
                    Err(error) => refused = Some(error),
                }
            }
            if matches!(format, None | Some(Format::Smime)) {
                lines.extend(dane::certificates(which, form, home, at)?);
            }
            match refused {
                // Those of the other protocol are enough.
                Some(error) if format.is_none() && !lines.is_empty() => warning(&error.to_string()),
                Some(error) => return Err(error),
                None if lines.is_empty() => return Err(none()),
                None => {}
            }
            data(&lines.concat())
        }
        Publish::Vks { server, roots, which } => {
            let keys = published(which, Extent::Keys, home, at)?;
            let server = vks::Server::new(server, roots.as_deref())?;
            let _progress = progress::begin("uploading");
            keys.iter().try_for_each(|key| data(&server.publish(key)?))
        }
        Publish::Autocrypt { prefer_encrypt, which } => {
            let preference = match prefer_encrypt {
                PreferEncrypt::Nopreference => Preference::Unsaid,
                PreferEncrypt::Mutual => Preference::Mutual,
            };
            for Published { address, key, .. } in published(std::slice::from_ref(which), Extent::Autocrypt, home, at)? {
                let announced = Announced { address, preference, key: key.octets };
                data(&format!("Autocrypt: {}\n", autocrypt::value(&announced, "\n")?))?;
            }
            Ok(())
        }
    }
}

fn none() -> Error {
    Error::no_key("no key to publish").with_hint("`postseal key generate ADDRESS` makes one")
}
