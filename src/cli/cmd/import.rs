//! `postseal import`: keys of other programs.

mod folder;
mod found;
mod gnupg;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::SystemTime};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Result},
    keys::{Binding, Chain, Handle, Keys, Memory, Query, Record, Want},
    mail::Address,
    protocol::Described,
    store::{self, Intake, Keystore, Origin},
};

use super::key;
use crate::cli::{
    session::Session,
    show::{self, data},
};
use found::KeyFile;

/// Import keys and certificates from GnuPG or from a folder of openssl files.
#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// OpenPGP keys of gpg (must be installed); keys with ultimate trust there are trusted for their user IDs
    GpgHome {
        /// GnuPG's home, such as ~/.gnupg
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// S/MIME keys of gpgsm (must be installed); certificates in its trustlist.txt become trust anchors
    Gpgsm {
        /// GnuPG's home, such as ~/.gnupg
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// PEM, DER and PKCS#12 files; one named after an address (alice@example.org.pem) is trusted for it
    OpensslDir {
        /// The folder
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// Imports everything that can be read, as one change. The rest is reported, and the exit code is that of the first error.
pub(crate) fn run(import: &Import, session: &Session) -> Result<ExitCode> {
    let home = Arc::new(session.home()?);
    let found = match &import.from {
        From::GpgHome { directory } => gnupg::openpgp(directory, &home, session)?,
        From::Gpgsm { directory } => gnupg::x509(directory, &home, session)?,
        From::OpensslDir { directory } => folder::read(directory, session)?,
    };
    // Not earlier: gpg-agent may have used the terminal to ask for a passphrase.
    let _progress = show::progress::begin("importing");
    let mut coming = Coming { home: Arc::clone(&home), files: Vec::new() };
    let mut left = found.left;
    // A private key whose certificate is in a later file is tried again after that file.
    let (again, _) = coming.read(found.files, Turn::First);
    let (_, refused) = coming.read(again, Turn::Last);
    left.extend(refused);
    let mut beliefs = Vec::new();
    for (protocol, fingerprint, binding) in found.beliefs {
        for record in coming.keys().find(protocol, &Query::manage(Want::Handle(&fingerprint)))? {
            beliefs.push((record.fingerprint().clone(), binding.clone(), Origin::Trusted));
        }
    }
    data(&coming.take_in(beliefs, session.clock().now())?)?;
    left.iter().for_each(show::error);
    Ok(left.first().map_or(ExitCode::SUCCESS, |error| show::exit_code(error.kind()).into()))
}

/// The files that will be imported.
struct Coming {
    home: Arc<Keystore>,
    files: Vec<ReadFile>,
}

/// The first or the second attempt to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Last,
}

/// A file that could be read.
struct ReadFile {
    found: Vec<Described>,
    /// CRLs and OCSP responses, DER.
    statements: Vec<Arc<[u8]>>,
    belief: Option<(Handle, Binding, Origin)>,
}

impl Coming {
    /// Reads each file; returns those that could not be read, with the reasons.
    fn read(&mut self, files: Vec<KeyFile>, turn: Turn) -> (Vec<KeyFile>, Vec<Error>) {
        let mut refused = (Vec::new(), Vec::new());
        for file in files {
            if let Err(error) = self.file(&file, turn) {
                refused.0.push(file);
                refused.1.push(error);
            }
        }
        refused
    }

    fn file(&mut self, file: &KeyFile, turn: Turn) -> Result<()> {
        let read = self.home.read_beside(&[(file.place.as_str(), file.octets.expose())], &self.keys())?;
        // The certificate of a revocation may be in a later file.
        read.lost.first().filter(|_| turn == Turn::First).map_or(Ok(()), |lost| Err(lost.clone()))?;
        read.skipped.iter().for_each(|skipped| show::warning(skipped));
        let named = file.named.as_ref().filter(|_| read.lost.is_empty());
        let own = named.and_then(|address| Some((owner(&read.found, address)?, address)));
        if let Some((own, address)) = own
            && !own.claimed().contains(address)
        {
            show::warning(&format!(
                "{}: {} does not name {address} itself; it is trusted for it by the file's name",
                file.place,
                own.fingerprint()
            ));
        }
        let belief = |(own, address): (&Record, &Address)| {
            (own.fingerprint().clone(), Binding::Address(address.clone()), Origin::Trusted)
        };
        let belief = own.map(belief);
        let statements = read.statements.iter().map(|der| Arc::from(der.as_slice())).collect();
        self.files.push(ReadFile { found: read.found, statements, belief });
        read.lost.first().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// The certificates of the home and of the files.
    fn keys(&self) -> Chain {
        let mut coming = Memory::new();
        self.files.iter().flat_map(|file| &file.found).for_each(|one| coming.add(one.record.clone()));
        let sources: [Arc<dyn Keys>; 2] = [Arc::clone(&self.home) as Arc<dyn Keys>, Arc::new(coming)];
        Chain::new(sources.into(), store::merge)
    }

    /// Imports all files and the trust in `others`; returns the lines that say what changed.
    fn take_in(self, others: Vec<(Handle, Binding, Origin)>, at: SystemTime) -> Result<String> {
        let (mut certificates, mut beliefs, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut statements: Vec<Arc<[u8]>> = Vec::new();
        for file in self.files {
            counts.push((file.found.len(), usize::from(file.belief.is_some())));
            certificates.extend(file.found);
            statements.extend(file.statements);
            beliefs.extend(file.belief);
        }
        counts.push((0, others.len()));
        beliefs.extend(others);
        let intake =
            Intake { certificates: &certificates, beliefs: &beliefs, statements: &statements, ..Intake::default() };
        let taken = self.home.take_in(&intake, &Memory::new(), at)?;
        let mut changes = certificates.iter().zip(taken.certificates);
        let mut said = beliefs.iter().zip(taken.beliefs);
        let mut text = String::new();
        for (list, kept) in statements.iter().zip(taken.statements) {
            text.push_str(&key::show::statement(kept, list));
        }
        for (found, believed) in counts {
            for (one, change) in changes.by_ref().take(found) {
                text.push_str(&key::show::change(key::show::word(change), &one.record));
            }
            for ((fingerprint, binding, _), is_new) in said.by_ref().take(believed) {
                if is_new {
                    text.push_str(&format!("{fingerprint} is {}\n", what(binding)));
                }
            }
        }
        Ok(text)
    }
}

fn what(binding: &Binding) -> String {
    match binding {
        Binding::Address(address) => format!("trusted for {address}"),
        Binding::Anchor => "a trust anchor".to_owned(),
        _ => "trusted for its user IDs".to_owned(),
    }
}

/// The certificate that a file named after `address` is about. The file may hold the chain too.
fn owner<'a>(found: &'a [Described], address: &Address) -> Option<&'a Record> {
    let record = |is_theirs: &dyn Fn(&Record) -> bool| found.iter().map(|one| &one.record).find(|one| is_theirs(one));
    let own = record(&|one| one.claimed().contains(address)).or_else(|| record(&|one| !one.secrets().is_empty()));
    own.or_else(|| record(&|_| true))
}
