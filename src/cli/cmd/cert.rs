//! `cert`: checks certificates without a message.

mod acme;
pub(super) mod authority;
mod fetch;
mod init_ca;
mod issue;
mod issued;
mod mail;
mod parse;

use std::{fmt::Write, path::PathBuf, process::ExitCode, time::Instant};

use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result, hex, rfc3339},
    discover::issuers,
    keys::Keys,
    pki::{self, Certificate, Policies, Question, Refusal, Require, Rule},
    protocol::smime::declared_revoked,
    report::printable,
};
use serde::Serialize;

use parse::parsed;

use crate::cli::{fetching::Fetching, session::Session, show};

/// Check certificates.
#[derive(Args, Debug)]
pub(crate) struct Cert {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a certificate: its path to a trust anchor, or the rule that it breaks (RFC 5280, section 6)
    Verify(Verify),
    /// Fetch CRLs, OCSP responses and missing issuers from where certificates say that they are, and import them
    Fetch(fetch::Fetch),
    /// Make a certification authority of your own, which issues certificates for the mail addresses of an organisation
    InitCa(init_ca::InitCa),
    /// Issue a certificate for a request (PKCS#10), or for an address whose secret key is here
    Issue(issue::Issue),
    /// List the certificates that the authority issued
    List(issued::List),
    /// Revoke certificates that the authority issued
    Revoke(issued::Revoke),
    /// Write the revocation list of the authority
    Crl(issued::Crl),
    /// Get a certificate from an authority by ACME, for an address that proves itself by mail (RFC 8555, RFC 8823)
    Acme(Box<acme::Acme>),
    /// Answer a certification request of classic PEM with the certificate that was issued for it (RFC 1424)
    Reply(mail::Reply),
    /// Ask the issuers of certificates for their revocation lists, in a message of classic PEM (RFC 1424)
    CrlRequest(mail::ListRequest),
    /// Put revocation lists into a message of classic PEM (RFC 1424)
    CrlMessage(mail::ListMessage),
}

#[derive(Args, Debug)]
struct Verify {
    /// The certificate; others in the same file may be part of the path
    #[arg(value_name = "LEAF", value_hint = ValueHint::FilePath)]
    leaf: PathBuf,
    /// Certificates that may be part of the path, beside those in the home and in --keys
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    intermediates: Vec<PathBuf>,
    /// Acceptable policies (user-initial-policy-set), as dotted object identifiers; one of them is required with --explicit-policy or if a
    /// certificate requires it [default: any]
    #[arg(long, value_name = "OID", num_args = 1..)]
    policy: Vec<String>,
    /// Require an acceptable policy (initial-explicit-policy)
    #[arg(long)]
    explicit_policy: bool,
    /// Refuse policy mappings (initial-policy-mapping-inhibit)
    #[arg(long)]
    inhibit_policy_mapping: bool,
    /// Do not accept anyPolicy for a policy (initial-any-policy-inhibit)
    #[arg(long)]
    inhibit_any_policy: bool,
    /// The purpose that the certificate must allow
    #[arg(long, value_enum, default_value = "email")]
    purpose: Purpose,
    #[command(flatten)]
    fetching: Fetching,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// Any purpose: extended key usage is not checked
    Any,
    /// Mail: emailProtection, or no extended key usage at all
    Email,
}

/// Runs one verb of `cert`.
pub(crate) fn run(cert: &Cert, session: &Session) -> Result<ExitCode> {
    match &cert.action {
        Action::Verify(verify) => verify.fetching.run(session, |session| self::verify(verify, session)),
        Action::Fetch(fetch) => fetch::fetch(fetch, session),
        Action::InitCa(what) => init_ca::init_ca(what, session).map(|()| ExitCode::SUCCESS),
        Action::Issue(what) => issue::issue(what, session).map(|()| ExitCode::SUCCESS),
        Action::List(what) => issued::list(what, session).map(|()| ExitCode::SUCCESS),
        Action::Revoke(what) => issued::revoke(what, session).map(|()| ExitCode::SUCCESS),
        Action::Crl(what) => issued::crl(what, session).map(|()| ExitCode::SUCCESS),
        Action::Acme(acme) => acme::run(acme, session).map(|()| ExitCode::SUCCESS),
        Action::Reply(reply) => mail::reply(reply, session).map(|()| ExitCode::SUCCESS),
        Action::CrlRequest(request) => mail::list_request(request, session).map(|()| ExitCode::SUCCESS),
        Action::CrlMessage(message) => mail::list_message(message, session).map(|()| ExitCode::SUCCESS),
    }
}

fn verify(verify: &Verify, session: &Session) -> Result<ExitCode> {
    let mut given = parsed(&session.certificates(std::slice::from_ref(&verify.leaf))?)?.into_iter();
    let Some(leaf) = given.next() else {
        return Err(Error::malformed(verify.leaf.display(), "holds no X.509 certificate"));
    };
    if let Some(policy) = verify.policy.iter().find(|policy| !is_object_identifier(policy)) {
        return Err(
            Error::usage(format!("policy {policy:?}: not an object identifier")).with_hint("write it like 2.5.29.32.0")
        );
    }
    let keys = session.keys()?;
    let mut given: Vec<Certificate> = given.collect();
    given.extend(parsed(&session.certificates(&verify.intermediates)?)?);
    given.extend(issuers(&leaf, &given, keys)?);
    let mut intermediates = Vec::with_capacity(given.len());
    for one in given {
        if declared_revoked(&one, keys)?.is_none() {
            intermediates.push(one);
        }
    }
    let anchors = parsed(&keys.anchors()?)?;
    let statements = keys.revocations()?;
    let required = |flag| if flag { Require::Set } else { Require::Unset };
    let question = Question {
        at: session.clock().now(),
        anchors: &anchors,
        intermediates: &intermediates,
        revocations: &statements.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(),
        enclosed: &[],
        revocation: session.revocation(),
        policies: Policies {
            initial: verify.policy.clone(),
            explicit: required(verify.explicit_policy),
            inhibit_mapping: required(verify.inhibit_policy_mapping),
            inhibit_any: required(verify.inhibit_any_policy),
        },
        purpose: match verify.purpose {
            Purpose::Any => pki::Purpose::Any,
            Purpose::Email => pki::Purpose::Email,
        },
        legacy: session.legacy(),
    };
    let deadline = Instant::now() + session.limits().network;
    let judged = match (declared_revoked(&leaf, keys)?, keys.status_source()) {
        (Some(refusal), _) => Err(refusal),
        (None, None) => pki::validate(&leaf, &question, &mut session.budget())?,
        (None, Some(source)) => pki::validate_asking(&leaf, &question, &mut session.budget(), &mut |path| {
            let path: Vec<&[u8]> = path.certificates().iter().map(Certificate::der).collect();
            source.statements_about(&path, Some(deadline))
        })?,
    };
    show::data(&if verify.json { json(&judged) } else { text(&leaf, &judged) })?;
    if let (false, Some(hint)) = (verify.json, judged.as_ref().err().and_then(remedy)) {
        show::hint(hint);
    }
    Ok(if judged.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Two or more numbers separated by dots.
fn is_object_identifier(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The JSON output.
#[derive(Serialize)]
struct Report {
    valid: bool,
    why: Option<String>,
    path: Vec<String>,
    addresses: Vec<String>,
    policies: Vec<String>,
}

fn json(judged: &Result<pki::Path, Refusal>) -> String {
    let report = match judged {
        Ok(path) => Report {
            valid: true,
            why: None,
            path: path.certificates().iter().map(|one| one.subject().to_string()).collect(),
            addresses: path.mailboxes().iter().map(ToString::to_string).collect(),
            policies: path.policies().to_vec(),
        },
        Err(refusal) => Report {
            valid: false,
            why: Some(refusal.to_string()),
            path: Vec::new(),
            addresses: Vec::new(),
            policies: Vec::new(),
        },
    };
    // Strings and booleans always serialize.
    serde_json::to_string(&report).map_or_else(|_| String::new(), |line| line + "\n")
}

/// The path as a tree with the anchor at its root, and below it the purposes of the leaf.
fn text(leaf: &Certificate, judged: &Result<pki::Path, Refusal>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let path = match judged {
        Ok(path) => path,
        Err(refusal) => {
            let _ = writeln!(text, "{BAD}not valid{BAD:#}  {}", shown(leaf));
            let _ = writeln!(text, "{}", printable(&refusal.to_string()));
            return text;
        }
    };
    let _ = writeln!(text, "{GOOD}valid{GOOD:#}  {}", shown(leaf));
    for (depth, certificate) in path.certificates().iter().rev().enumerate() {
        let branch = if depth == 0 { String::new() } else { "   ".repeat(depth - 1) + "└─ " };
        let role = if depth == 0 { "trust anchor, " } else { "" };
        let (_, until) = certificate.validity();
        let _ = writeln!(text, "{branch}{} {DIM}({role}until {}){DIM:#}", shown(certificate), rfc3339(until));
    }
    let mut list = |name: &str, all: &[String]| {
        if !all.is_empty() {
            let _ = writeln!(text, "{BOLD}{name:<10}{BOLD:#} {}", printable(&all.join(", ")));
        }
    };
    list("addresses", &path.mailboxes().iter().map(ToString::to_string).collect::<Vec<_>>());
    list("policies", path.policies());
    text
}

/// An option that may make the path valid.
fn remedy(refusal: &Refusal) -> Option<&'static str> {
    match refusal.rule() {
        Rule::Expired(_) | Rule::NotYetValid(_) => Some("--at judges at another time"),
        Rule::NoIssuer => {
            Some("name a trust anchor with --anchors FILE, and what lies between with --intermediates FILE")
        }
        Rule::Purpose => Some("--purpose any judges it for whatever use"),
        Rule::UnknownStatus(_) => {
            Some("give CRLs or OCSP responses with --crls FILE, or fetch them with --revocation-fetch both")
        }
        Rule::WeakAlgorithm(_) => Some("--legacy admits it, and it proves little"),
        _ => None,
    }
}

/// The subject, or serial number and issuer when the subject is empty.
fn shown(certificate: &Certificate) -> String {
    if !certificate.subject().is_empty() {
        return printable(&certificate.subject().to_string());
    }
    let serial = hex(certificate.serial());
    printable(&format!("number {serial} of {}", certificate.issuer()))
}

const BAD: Style = AnsiColor::Red.on_default().bold();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
