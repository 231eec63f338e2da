//! `postseal import`: what people have elsewhere moves in with one command.

mod folder;
mod gnupg;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::SystemTime};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Result, Secret},
    keys::{Binding, Chain, Handle, Keys, Memory, ProtocolName, Record, Want},
    mail::Address,
    protocol::Described,
    store::{self, Intake, Keystore, Origin},
};

use super::key;
use crate::cli::{
    session::Session,
    show::{self, data},
};

/// Take keys and certificates over from GnuPG or from a folder of openssl's files.
#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// OpenPGP keys of gpg, which has to be installed; its owner's own, trusted ultimately there, are trusted for their user IDs
    GpgHome {
        /// GnuPG's home, such as ~/.gnupg
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// S/MIME keys of gpgsm, which has to be installed; what its trustlist.txt names becomes a trust anchor
    Gpgsm {
        /// GnuPG's home, such as ~/.gnupg
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// PEM, DER and PKCS#12 files; one named after an address (alice@example.org.pem) is trusted for it
    OpensslDir {
        /// Where they lie
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// What was found elsewhere.
#[derive(Default)]
struct Found {
    /// Key files.
    files: Vec<KeyFile>,
    /// What its owner believes there of certificates, by fingerprint.
    beliefs: Vec<(ProtocolName, Handle, Binding)>,
    /// Why something does not come along.
    left: Vec<Error>,
}

/// A file as somebody else's program wrote it.
struct KeyFile {
    /// What errors call it.
    place: String,
    octets: Secret,
    /// Whose it is by its name.
    named: Option<Address>,
}

/// Takes everything in that can be read, as one change. What cannot is named, and the exit code is that of its error.
pub(crate) fn run(import: &Import, session: &Session) -> Result<ExitCode> {
    let home = Arc::new(session.home()?);
    let found = match &import.from {
        From::GpgHome { directory } => gnupg::openpgp(directory, &home, session)?,
        From::Gpgsm { directory } => gnupg::x509(directory, &home, session)?,
        From::OpensslDir { directory } => folder::read(directory, session)?,
    };
    // Only now: before, gpg-agent may have asked for a passphrase at the same terminal.
    let _progress = show::progress::begin("importing");
    let mut coming = Coming { home: Arc::clone(&home), files: Vec::new() };
    let mut left = found.left;
    // A private key whose certificate is in a file after it is tried again when that is known.
    let (again, _) = coming.read(found.files, Turn::First);
    let (_, refused) = coming.read(again, Turn::Last);
    left.extend(refused);
    let mut beliefs = Vec::new();
    for (protocol, fingerprint, binding) in found.beliefs {
        for record in coming.keys().find(protocol, &Want::Handle(&fingerprint))? {
            beliefs.push((record.fingerprint.clone(), binding.clone(), Origin::Trusted));
        }
    }
    data(&coming.take_in(beliefs, session.clock().now())?)?;
    left.iter().for_each(show::error);
    Ok(left.first().map_or(ExitCode::SUCCESS, |error| show::exit_code(error.kind()).into()))
}

/// What is on its way into the home.
struct Coming {
    home: Arc<Keystore>,
    files: Vec<ReadFile>,
}

/// How often a file was tried.
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
    /// Reads files, each for itself; gives back those that could not be, with the reasons.
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
        // Perhaps the certificate that a revocation is about is in a later file.
        read.lost.first().filter(|_| turn == Turn::First).map_or(Ok(()), |lost| Err(lost.clone()))?;
        read.skipped.iter().for_each(|skipped| show::warning(skipped));
        let named = file.named.as_ref().filter(|_| read.lost.is_empty());
        let own = named.and_then(|address| Some((owner(&read.found, address)?, address)));
        if let Some((own, address)) = own
            && !own.claimed.contains(address)
        {
            show::warning(&format!(
                "{}: {} does not name {address} itself; it is trusted for it by the file's name",
                file.place, own.fingerprint
            ));
        }
        let belief = |(own, address): (&Record, &Address)| {
            (own.fingerprint.clone(), Binding::Address(address.clone()), Origin::Trusted)
        };
        let belief = own.map(belief);
        let statements = read.statements.iter().map(|der| Arc::from(der.as_slice())).collect();
        self.files.push(ReadFile { found: read.found, statements, belief });
        read.lost.first().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// The certificates that are in the home, and those that come.
    fn keys(&self) -> Chain {
        let mut coming = Memory::new();
        self.files.iter().flat_map(|file| &file.found).for_each(|one| coming.add(one.record.clone()));
        let sources: [Arc<dyn Keys>; 2] = [Arc::clone(&self.home) as Arc<dyn Keys>, Arc::new(coming)];
        Chain::new(sources.into(), store::merge)
    }

    /// Takes it all in with what else is believed, and says what has changed.
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
                text.push_str(&key::show::change(key::word(change), &one.record));
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

/// Whose file it is that is named after an address: the chain is in the file too.
fn owner<'a>(found: &'a [Described], address: &Address) -> Option<&'a Record> {
    let record = |is_theirs: &dyn Fn(&Record) -> bool| found.iter().map(|one| &one.record).find(|one| is_theirs(one));
    let own = record(&|one| one.claimed.contains(address)).or_else(|| record(&|one| !one.secrets.is_empty()));
    own.or_else(|| record(&|_| true))
}
