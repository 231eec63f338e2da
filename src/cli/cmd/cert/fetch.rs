//! `cert fetch`: CRLs, OCSP responses and missing issuers, from where certificates say that they are.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Limits, Network, Result},
    discover::{Nonce, Occasion, RevocationFetch, Settings, Statuses, Told},
    keys::{Keys, Memory, ProtocolName, Query, Record, Want},
    pki::{Certificate, Path},
    protocol::{Described, smime::record},
    report::printable,
    store::{self, Intake, Keystore},
};

use super::parse::parsed;
use crate::cli::{
    cmd::key::show::{change, statement, word},
    session::Session,
    show::{self, data, progress, warning},
};

/// `cert fetch`.
#[derive(Args, Debug)]
pub(super) struct Fetch {
    /// What is asked for the status of a certificate
    #[arg(long, value_enum, default_value = "both")]
    by: By,
    /// Fetch also where a current status is known
    #[arg(long)]
    again: bool,
    /// Send a nonce to OCSP responders (RFC 9654), and refuse a response that has another one
    #[arg(long)]
    nonce: bool,
    /// A network that may be asked beside public addresses: 192.0.2.0/24
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
    /// Certificates; those of their issuers may be in the same file [default: all in the home with a path to a trust anchor]
    #[arg(value_name = "CERTIFICATE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// Sources of revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// OCSP, and CRLs where that does not answer
    Both,
    /// CRLs
    Crl,
    /// OCSP
    Ocsp,
}

/// Fetches, and imports what is of use.
pub(super) fn fetch(what: &Fetch, session: &Session) -> Result<ExitCode> {
    let _progress = progress::begin("fetching");
    let leaves = match what.files.is_empty() {
        true => parsed(&session.keys()?.find(ProtocolName::Smime, &Query::manage(Want::All))?)?,
        false => parsed(&session.certificates(&what.files)?)?,
    };
    let session = session.fetching(settings(what, session.limits())?, session.limits().network)?;
    let mut fetching = Fetching {
        what,
        statuses: session.statuses()?,
        home: session.home()?,
        session: &session,
        certificates: leaves.clone(),
        asked: Vec::new(),
        unknown: 0,
    };
    for leaf in leaves.iter().filter(|leaf| !leaf.is_self_signed()) {
        fetching.leaf(leaf)?;
    }
    Ok(match fetching.unknown {
        0 => ExitCode::SUCCESS,
        _ => show::exit_code(postseal::base::Kind::Unavailable).into(),
    })
}

fn settings(what: &Fetch, limits: &Limits) -> Result<Settings> {
    let allowed = what.allow.iter().map(|text| Network::parse(text)).collect::<Result<Vec<_>>>();
    Ok(Settings {
        allowed: allowed.map_err(|error| Error::usage(error.to_string()))?,
        source_timeout: limits.network,
        revocation_fetch: match what.by {
            By::Both => RevocationFetch::Both,
            By::Crl => RevocationFetch::Crl,
            By::Ocsp => RevocationFetch::Ocsp,
        },
        nonce: if what.nonce { Nonce::Send } else { Nonce::Omit },
        ..Settings::default()
    })
}

/// One run.
struct Fetching<'a> {
    what: &'a Fetch,
    statuses: &'a Statuses,
    home: Keystore,
    session: &'a Session,
    /// Those that may be part of a path, beside those in the home.
    certificates: Vec<Certificate>,
    /// Fingerprints of the certificates that were asked about.
    asked: Vec<[u8; 32]>,
    /// Certificates whose status stays unknown.
    unknown: usize,
}

impl Fetching<'_> {
    fn leaf(&mut self, leaf: &Certificate) -> Result<()> {
        let Some(path) = self.path(leaf)? else { return Ok(()) };
        for from in 0..path.certificates().len() - 1 {
            let path = &path.certificates()[from..];
            if !self.asked.contains(&path[0].fingerprint()) {
                self.asked.push(path[0].fingerprint());
                self.status(path)?;
            }
        }
        Ok(())
    }

    /// The path, with issuers that are not here fetched and imported.
    fn path(&mut self, leaf: &Certificate) -> Result<Option<Path>> {
        let found = self.statuses.path(leaf, &self.certificates, certificates)?;
        found.failures.iter().for_each(|failure| warning(failure));
        match found.path {
            Ok(path) => {
                self.import(&found.fetched)?;
                self.certificates.extend(found.fetched);
                Ok(Some(path))
            }
            // Only what belongs to a trusted authority is asked for: others could have anything fetched.
            Err(refusal) => {
                if !self.what.files.is_empty() {
                    warning(&format!("no path to a trust anchor, nothing is fetched: {refusal}"));
                    self.unknown += 1;
                }
                Ok(None)
            }
        }
    }

    fn import(&self, certificates: &[Certificate]) -> Result<()> {
        let described = |one: &Certificate| Described { record: record::record(one), secret: None, proven: Vec::new() };
        let described: Vec<Described> = certificates.iter().map(described).collect();
        let intake = Intake { certificates: &described, ..Intake::default() };
        let taken = self.home.take_in(&intake, &Memory::new(), self.session.clock().now())?;
        described.iter().zip(taken.certificates).try_for_each(|(one, done)| data(&change(word(done), &one.record)))
    }

    /// Makes the status of the first certificate of a path known.
    fn status(&mut self, path: &[Certificate]) -> Result<()> {
        let occasion = if self.what.again { Occasion::OwnerAgain } else { Occasion::Owner };
        // Each place has its own time.
        let deadline = Instant::now() + MAX_PLACES * self.session.limits().network;
        let Told { status, fetched } = self.statuses.status(path, &self.certificates, occasion, deadline)?;
        let shown = printable(&path[0].subject().to_string());
        if let Some((kept, der)) = &fetched {
            data(&statement(*kept, der))?;
        }
        match (status, fetched) {
            (Ok(status), Some(_)) => data(&format!("           {}  {shown}\n", status.name())),
            (Ok(status), None) => data(&format!("known      {}  {shown}\n", status.name())),
            (Err(reasons), _) => {
                self.unknown += 1;
                warning(&format!("{shown}: status unknown: {}", reasons.join("; ")));
                Ok(())
            }
        }
    }
}

/// The certificates in a file that was fetched.
fn certificates(name: &str, octets: &[u8], limits: &Limits) -> Result<Vec<Arc<Record>>> {
    let loaded = store::load_untrusted(&[(name, octets)], &Arc::default(), limits)?;
    loaded.keys.find(ProtocolName::Smime, &Query::manage(Want::All))
}

/// Places that one certificate names. Source: four responders and four lists are looked at.
const MAX_PLACES: u32 = 8;
