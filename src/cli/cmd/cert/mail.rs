//! `cert reply`, `cert crl-request` and `cert crl-message`: the messages of RFC 1424.

use std::{io::Write, path::PathBuf};

use clap::{Args, ValueHint};
use postseal::{
    base::{Error, Result},
    pki::{Certificate, Name},
    protocol::pem::services,
};

use super::parse::parsed;
use crate::cli::{
    input,
    output::{Output, Privacy},
    session::Session,
};

/// `cert reply`.
#[derive(Args, Debug)]
pub(super) struct Reply {
    /// The new certificate, followed by those of its issuers
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    certificate: PathBuf,
    #[command(flatten)]
    to: To,
    /// The request
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    request: Option<PathBuf>,
}

/// `cert crl-request`.
#[derive(Args, Debug)]
pub(super) struct ListRequest {
    #[command(flatten)]
    to: To,
    /// Certificates whose issuers are asked for their CRLs
    #[arg(required = true, value_name = "CERTIFICATE", value_hint = ValueHint::FilePath)]
    certificates: Vec<PathBuf>,
}

/// `cert crl-message`.
#[derive(Args, Debug)]
pub(super) struct ListMessage {
    /// Certificates of the issuers and of their issuers
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    to: To,
    /// Revocation lists
    #[arg(required = true, value_name = "CRL", value_hint = ValueHint::FilePath)]
    lists: Vec<PathBuf>,
}

#[derive(Args, Debug)]
struct To {
    /// The output file [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub(super) fn reply(what: &Reply, session: &Session) -> Result<()> {
    let request = input::octets(what.request.as_deref(), &session.budget())?;
    let mut certificates = parsed(&session.certificates(std::slice::from_ref(&what.certificate))?)?;
    if certificates.is_empty() {
        return Err(Error::malformed(what.certificate.display(), "holds no X.509 certificate"));
    }
    let certificate = certificates.remove(0);
    what.to.write(&services::certification_reply(&request, &certificate, &certificates)?)
}

pub(super) fn list_request(what: &ListRequest, session: &Session) -> Result<()> {
    let certificates = parsed(&session.certificates(&what.certificates)?)?;
    let mut issuers: Vec<&Name> = Vec::new();
    for certificate in &certificates {
        if !issuers.contains(&certificate.issuer()) {
            issuers.push(certificate.issuer());
        }
    }
    if issuers.is_empty() {
        return Err(Error::usage("cert crl-request: no X.509 certificate is given"));
    }
    what.to.write(&services::list_request(&issuers))
}

pub(super) fn list_message(what: &ListMessage, session: &Session) -> Result<()> {
    let mut lists = Vec::new();
    for name in &what.lists {
        lists.extend(session.statements(&input::octets(Some(name), &session.budget())?, &input::label(Some(name)))?);
    }
    let certificates: Vec<Certificate> = parsed(&session.certificates(&what.certificates)?)?;
    what.to.write(&services::list_message(&lists, &certificates))
}

impl To {
    fn write(&self, octets: &[u8]) -> Result<()> {
        let mut output = Output::create(self.output.as_deref(), &[], Privacy::Umask)?;
        output.write_all(octets).map_err(|error| Error::io("output", &error))?;
        output.commit()
    }
}
