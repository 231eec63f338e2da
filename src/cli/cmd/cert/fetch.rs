//! `cert fetch`: CRLs, OCSP responses and missing issuers, from where certificates say that they are.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Instant, SystemTime},
};

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Network, Result},
    discover::{
        Addresses, Resolver,
        http::{Bounds, Client, Plain},
    },
    keys::{Chain, Keys, Memory, ProtocolName, Query, Want},
    pki::{self, Certificate, Path, Policies, Purpose, Question, Refusal, Revocation, Rule},
    protocol::{Described, smime::ocsp_request, smime::record},
    report::printable,
    store::{self, Intake, Keystore},
};

use super::{issuers::issuers, parse::parsed};
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
    let keys = session.keys()?;
    let leaves = match what.files.is_empty() {
        true => parsed(&keys.find(ProtocolName::Smime, &Query::manage(Want::All))?)?,
        false => parsed(&session.certificates(&what.files)?)?,
    };
    let allowed = what.allow.iter().map(|text| Network::parse(text)).collect::<Result<Vec<_>>>();
    let allowed = allowed.map_err(|error| Error::usage(error.to_string()))?;
    let mut fetching = Fetching {
        what,
        client: Client::new(Arc::new(Resolver::new(&[])?), Addresses::public_and(allowed), None)?,
        home: session.home()?,
        keys,
        session,
        at: session.clock().now(),
        certificates: leaves.clone(),
        statements: keys.revocations()?,
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

/// One run.
struct Fetching<'a> {
    what: &'a Fetch,
    client: Client,
    home: Keystore,
    keys: &'a Chain,
    session: &'a Session,
    at: SystemTime,
    /// Those that may be part of a path, beside those in the home.
    certificates: Vec<Certificate>,
    statements: Vec<Arc<[u8]>>,
    /// Fingerprints of the certificates that were asked about.
    asked: Vec<[u8; 32]>,
    /// Certificates whose status stays unknown.
    unknown: usize,
}

impl Fetching<'_> {
    fn leaf(&mut self, leaf: &Certificate) -> Result<()> {
        let path = match self.path_with_fetched_issuers(leaf)? {
            Ok(path) => path,
            // Only what belongs to a trusted authority is asked for: others could have anything fetched.
            Err(refusal) => {
                if !self.what.files.is_empty() {
                    warning(&format!("no path to a trust anchor, nothing is fetched: {refusal}"));
                    self.unknown += 1;
                }
                return Ok(());
            }
        };
        for pair in path.certificates().windows(2) {
            let [certificate, issuer] = pair else { continue };
            if !self.asked.contains(&certificate.fingerprint()) {
                self.asked.push(certificate.fingerprint());
                self.status(certificate, issuer)?;
            }
        }
        Ok(())
    }

    /// The path, with issuers that are not here fetched and imported. They are part of a path and never its end.
    fn path_with_fetched_issuers(&mut self, leaf: &Certificate) -> Result<std::result::Result<Path, Refusal>> {
        let before = self.certificates.len();
        let mut found = self.path(leaf)?;
        for _ in 0..MAX_ISSUERS {
            let Err(refusal) = &found else { break };
            let Rule::NoIssuer = refusal.rule() else { break };
            let fetched = self.issuers_of(&refusal.certificate().clone())?;
            if fetched.is_empty() {
                break;
            }
            self.certificates.extend(fetched);
            found = self.path(leaf)?;
        }
        // What led nowhere is of no use to anybody.
        let fetched = self.certificates.split_off(before);
        if let Ok(path) = &found {
            let used: Vec<Certificate> = fetched.into_iter().filter(|one| path.certificates().contains(one)).collect();
            self.import(&used)?;
            self.certificates.extend(used);
        }
        Ok(found)
    }

    fn path(&self, leaf: &Certificate) -> Result<std::result::Result<Path, Refusal>> {
        let anchors = parsed(&self.keys.anchors()?)?;
        let mut intermediates = self.certificates.clone();
        intermediates.extend(issuers(leaf, &intermediates, self.keys)?);
        let question = self.question(&anchors, &intermediates, &[], Revocation::Off);
        pki::validate(leaf, &question, &mut self.session.budget())
    }

    /// The certificates at the caIssuers URLs that have the issuer's name.
    fn issuers_of(&self, certificate: &Certificate) -> Result<Vec<Certificate>> {
        let mut found = Vec::new();
        for url in certificate.issuer_urls() {
            let octets = match self.client.get(&url, &self.bounds(MAX_CERTIFICATES)) {
                Ok(octets) => octets,
                Err(failure) => {
                    warning(&format!("{url}: {failure}"));
                    continue;
                }
            };
            let loaded = store::load_untrusted(&[(&url, &octets)], &Arc::default(), self.session.limits());
            let records = match loaded {
                Ok(loaded) => loaded.keys.find(ProtocolName::Smime, &Query::manage(Want::All))?,
                Err(error) => {
                    warning(&error.to_string());
                    continue;
                }
            };
            let named = parsed(&records)?.into_iter();
            found.extend(named.filter(|one| one.subject() == certificate.issuer() && !self.certificates.contains(one)));
        }
        Ok(found)
    }

    fn import(&self, certificates: &[Certificate]) -> Result<()> {
        let described = |one: &Certificate| Described { record: record::record(one), secret: None, proven: Vec::new() };
        let described: Vec<Described> = certificates.iter().map(described).collect();
        let taken =
            self.home.take_in(&Intake { certificates: &described, ..Intake::default() }, &Memory::new(), self.at)?;
        described.iter().zip(taken.certificates).try_for_each(|(one, done)| data(&change(word(done), &one.record)))
    }

    /// Makes the status of one certificate known.
    fn status(&mut self, certificate: &Certificate, issuer: &Certificate) -> Result<()> {
        let shown = printable(&certificate.subject().to_string());
        let statements = self.statements.clone();
        if !self.what.again
            && let Some(status) = self.known(certificate, issuer, &statements)?
        {
            return data(&format!("known      {status}  {shown}\n"));
        }
        let mut reasons = Vec::new();
        let is_asked = |by| self.what.by == By::Both || self.what.by == by;
        let mut sources: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        if is_asked(By::Ocsp) {
            let request = ocsp_request::request(certificate, issuer);
            sources.extend(certificate.ocsp_urls().into_iter().map(|url| (url, Some(request.clone()))));
        }
        if is_asked(By::Crl) {
            sources.extend(certificate.crl_urls().into_iter().map(|url| (url, None)));
        }
        if sources.is_empty() {
            reasons.push("it names no place to ask".to_owned());
        }
        for (url, request) in sources {
            match self.statement(certificate, issuer, &url, request.as_deref())? {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{url}: {reason}")),
            }
        }
        self.unknown += 1;
        warning(&format!("{shown}: status unknown: {}", reasons.join("; ")));
        Ok(())
    }

    /// Fetches one statement, and imports it if it says what the status is now. Otherwise, the reason.
    fn statement(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        url: &str,
        request: Option<&[u8]>,
    ) -> Result<std::result::Result<(), String>> {
        let answer = match request {
            Some(request) => self.client.post(url, "application/ocsp-request", request, &self.bounds(MAX_RESPONSE)),
            None => self.client.get(url, &self.bounds(MAX_LIST)),
        };
        let der: Arc<[u8]> = match answer {
            Ok(octets) => octets.into(),
            Err(failure) => return Ok(Err(failure.to_string())),
        };
        if let Err(error) = pki::check_statement(&der) {
            return Ok(Err(error.to_string()));
        }
        // By itself: nothing is stored that is not signed by whom it must be, or that is not of this time.
        if let Err(reason) = self.judged(certificate, issuer, &[Arc::clone(&der)])? {
            return Ok(Err(reason));
        }
        let mut beside = Memory::new();
        beside.add(record::record(issuer));
        let known: [Arc<dyn Keys>; 1] = [Arc::new(beside)];
        let beside = Chain::new(known.into(), store::merge);
        let kept = self.home.keep_statement(&der, &beside, self.at)?;
        data(&statement(kept, &der))?;
        self.statements.push(der);
        // With all that was known: an older list takes nothing back.
        let statements = self.statements.clone();
        let status = self.known(certificate, issuer, &statements)?.unwrap_or("unknown");
        data(&format!("           {status}  {}\n", printable(&certificate.subject().to_string())))?;
        Ok(Ok(()))
    }

    fn known(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        all: &[Arc<[u8]>],
    ) -> Result<Option<&'static str>> {
        Ok(self.judged(certificate, issuer, all)?.ok())
    }

    /// What the statements say of the certificate now, or why they say nothing.
    fn judged(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        statements: &[Arc<[u8]>],
    ) -> Result<std::result::Result<&'static str, String>> {
        let statements: Vec<&[u8]> = statements.iter().map(AsRef::as_ref).collect();
        // The path above was found already. The issuer stands for it.
        let anchors = [issuer.clone()];
        let question = self.question(&anchors, &self.certificates, &statements, Revocation::Hard);
        Ok(match pki::validate(certificate, &question, &mut self.session.budget())? {
            Ok(_) => Ok("good"),
            Err(refusal) => match refusal.rule() {
                Rule::Revoked { .. } => Ok("revoked"),
                rule => Err(rule.to_string()),
            },
        })
    }

    fn question<'q>(
        &self,
        anchors: &'q [Certificate],
        intermediates: &'q [Certificate],
        revocations: &'q [&'q [u8]],
        revocation: Revocation,
    ) -> Question<'q> {
        Question {
            at: self.at,
            anchors,
            intermediates,
            revocations,
            enclosed: &[],
            revocation,
            policies: Policies::default(),
            purpose: Purpose::Any,
            legacy: self.session.legacy(),
        }
    }

    fn bounds(&self, octets: usize) -> Bounds {
        // What is fetched is signed by itself.
        Bounds { octets, deadline: Instant::now() + self.session.limits().network, plain: Plain::Allow }
    }
}

/// Issuers that one path may lack. Source: an authority has two certificates below its root.
const MAX_ISSUERS: usize = 4;
/// Octets. Source: a bundle of authorities has some hundred certificates.
const MAX_CERTIFICATES: usize = 1024 * 1024;
/// Octets of a CRL. Source: the largest of public authorities for mail have 4 MB.
const MAX_LIST: usize = 16 * 1024 * 1024;
/// Octets of an OCSP response with the certificates in it.
const MAX_RESPONSE: usize = 256 * 1024;
