//! `postseal import`: what people have elsewhere moves in with one command.

mod folder;
mod gnupg;

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use clap::{Args, Subcommand, ValueHint};
use postseal::{
    base::{Error, Result, Secret},
    keys::{Binding, Handle, Keys as _, Memory, ProtocolName, Record, Want},
    mail::Address,
    protocol::Described,
    store::{Home, Intake, Origin},
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

/// Takes everything in that can be. What cannot is named, and the exit code is that of its error.
pub(crate) fn run(import: &Import, session: &Session) -> Result<ExitCode> {
    let home = session.home()?;
    let found = match &import.from {
        From::GpgHome { directory } => gnupg::openpgp(directory, &home, session)?,
        From::Gpgsm { directory } => gnupg::x509(directory, &home, session)?,
        From::OpensslDir { directory } => folder::read(directory, session)?,
    };
    // Only now: before, gpg-agent may have asked for a passphrase at the same terminal.
    let _progress = show::progress::begin("importing");
    let mut taken = Taken { home, at: session.clock().now(), text: String::new() };
    let mut left = found.left;
    // A private key whose certificate is in a file after it is tried again when that is here.
    let (again, _) = taken.files(found.files);
    let (_, refused) = taken.files(again);
    left.extend(refused);
    for (protocol, fingerprint, binding) in found.beliefs {
        left.extend(taken.believe(protocol, &fingerprint, &binding).err());
    }
    data(&taken.text)?;
    left.iter().for_each(show::error);
    Ok(left.first().map_or(ExitCode::SUCCESS, |error| show::exit_code(error.kind()).into()))
}

/// The home, and what is said of what came into it.
struct Taken {
    home: Home,
    at: SystemTime,
    text: String,
}

impl Taken {
    /// Takes files in, each for itself; gives back those that could not be, with the reasons.
    fn files(&mut self, files: Vec<KeyFile>) -> (Vec<KeyFile>, Vec<Error>) {
        let mut refused = (Vec::new(), Vec::new());
        for file in files {
            if let Err(error) = self.file(&file) {
                refused.0.push(file);
                refused.1.push(error);
            }
        }
        refused
    }

    fn file(&mut self, file: &KeyFile) -> Result<()> {
        let read = self.home.read(&[(file.place.as_str(), file.octets.expose())])?;
        let belief = file.named.as_ref().and_then(|address| Some((owner(&read.found, address)?, address)));
        let beliefs: Vec<_> = belief
            .iter()
            .map(|(own, address)| {
                (own.fingerprint.clone(), Binding::Address(Address::clone(address)), Origin::Trusted)
            })
            .collect();
        let intake = Intake { certificates: &read.found, beliefs: &beliefs, ..Intake::default() };
        let taken = self.home.take_in(&intake, &Memory::new(), self.at)?;
        read.skipped.iter().for_each(|skipped| show::warning(skipped));
        for (one, change) in read.found.iter().zip(taken.certificates) {
            self.text.push_str(&key::show::change(key::word(change), &one.record));
        }
        if let Some((own, address)) = belief
            && !own.claimed.contains(address)
        {
            show::warning(&format!(
                "{}: {} does not name {address} itself; it is trusted for it by the file's name",
                file.place, own.fingerprint
            ));
        }
        for ((fingerprint, binding, _), _) in beliefs.iter().zip(taken.beliefs).filter(|(_, is_new)| *is_new) {
            self.say(fingerprint, binding);
        }
        read.lost.first().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// Believes what is believed elsewhere, if the certificate came along.
    fn believe(&mut self, protocol: ProtocolName, handle: &Handle, binding: &Binding) -> Result<()> {
        for record in self.home.find(protocol, &Want::Handle(handle))? {
            self.bind(&record.fingerprint, binding)?;
        }
        Ok(())
    }

    fn bind(&mut self, fingerprint: &Handle, binding: &Binding) -> Result<()> {
        if self.home.bind(fingerprint, binding, Origin::Trusted, self.at)? {
            self.say(fingerprint, binding);
        }
        Ok(())
    }

    fn say(&mut self, fingerprint: &Handle, binding: &Binding) {
        let what = match binding {
            Binding::Address(address) => format!("trusted for {address}"),
            Binding::Anchor => "a trust anchor".to_owned(),
            _ => "trusted for its user IDs".to_owned(),
        };
        self.text.push_str(&format!("{fingerprint} is {what}\n"));
    }
}

/// Whose file it is that is named after an address: the chain is in the file too.
fn owner<'a>(found: &'a [Described], address: &Address) -> Option<&'a Record> {
    let record =
        |is_theirs: &dyn Fn(&Record) -> bool| found.iter().map(|one| &one.record).find(|one| is_theirs(one));
    let own = record(&|one| one.claimed.contains(address)).or_else(|| record(&|one| !one.secrets.is_empty()));
    own.or_else(|| record(&|_| true))
}
