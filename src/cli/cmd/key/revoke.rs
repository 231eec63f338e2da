//! `postseal key revoke`.

use std::{io::Write, path::PathBuf, time::SystemTime};

use clap::{Args, ValueHint};
use postseal::{
    audit::Event,
    base::{Error, Result, upper_hex},
    keys::{Memory, ProtocolName, Record, RevocationReason},
    protocol::{pgp::own_cert::OwnCert, smime::record::certificate},
    report::printable,
    store::{Intake, Keystore},
};

use super::{choose::one, layout, own_issue, reason::Reason};
use crate::cli::{
    output::{Output, Privacy},
    session::Session,
    show::{aside, hint},
};

#[derive(Args, Debug)]
pub(super) struct Revoke {
    /// Why; a key that is compromised, or revoked without a reason, makes all its signatures invalid, old ones too
    #[arg(long, value_enum)]
    reason: Option<Reason>,
    /// An explanation for those who see the revocation
    #[arg(long, value_name = "TEXT", default_value = "")]
    message: String,
    /// Take back that a certificate is declared revoked here (S/MIME); an OpenPGP key stays revoked for ever
    #[arg(long, conflicts_with_all = ["reason", "message", "output"])]
    undo: bool,
    /// Write here what others need: the revocation to publish (OpenPGP), or the request to the CA (S/MIME); `-` is standard output
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// A fingerprint or key ID
    id: String,
}

impl Revoke {
    fn reason(&self) -> RevocationReason {
        Reason::of(self.reason)
    }
}

/// Revokes a key.
pub(super) fn revoke(what: &Revoke, home: &Keystore, session: &Session) -> Result<()> {
    let record = one(home, &what.id)?;
    match record.protocol() {
        ProtocolName::Smime if what.undo => {
            if let Some(authority) = own_issue::issuer(&record, home)? {
                let why = "a revocation by an authority is for ever (RFC 5280, section 3.3)";
                return Err(Error::usage(format!("key {}: is issued by {authority}: {why}", record.fingerprint())));
            }
            let known = home.reinstate(record.fingerprint())?;
            let words = if known { "is no longer declared revoked" } else { "was not declared revoked" };
            aside(&format!("{} {words}\n", record.fingerprint()));
            Ok(())
        }
        _ if what.undo => {
            Err(Error::usage(format!("key {}: a revocation of OpenPGP is for ever", record.fingerprint())))
        }
        ProtocolName::Pgp => revoke_pgp(what, &record, home, session),
        ProtocolName::Smime => withdraw(what, &record, home, session.clock().now()),
        ProtocolName::Pem => Err(Error::usage(format!("key {}: a bare key cannot be revoked", record.fingerprint()))
            .with_hint("`postseal key untrust` and `key remove` end its use")),
    }
}

fn revoke_pgp(what: &Revoke, record: &Record, home: &Keystore, session: &Session) -> Result<()> {
    let fingerprint = record.fingerprint();
    if record.secrets().is_empty() {
        return Err(Error::no_key(format!("key {fingerprint}: its secret key is not here, and only that can revoke it"))
            .with_hint(format!(
                "`postseal key untrust {fingerprint}` ends your trust in it; `postseal key import` takes a revocation by its owner"
            )));
    }
    let mut own = OwnCert::open(record, home, session.clock().now())?;
    let revoked = own.revoke(what.reason(), &what.message)?;
    let intake = Intake {
        certificates: &[revoked.described],
        revocations: &[(fingerprint.clone(), &revoked.revocation)],
        event: Event::Revoke,
        ..Intake::default()
    };
    let taken = home.take_in(&intake, &Memory::new(), session.clock().now())?;
    session.wait_until(own.since());
    aside(&format!("{fingerprint} is revoked: {}\n", what.reason()));
    match (&what.output, taken.revocations.first()) {
        (Some(output), _) => write(&revoked.revocation, output),
        (None, Some(place)) => {
            aside(&format!("publish {}: others learn of it by that\n", place.display()));
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

fn withdraw(what: &Revoke, record: &Record, home: &Keystore, at: SystemTime) -> Result<()> {
    let fingerprint = record.fingerprint();
    let is_new = home.withdraw(fingerprint, what.reason(), at)?;
    aside(&format!(
        "{fingerprint} is {}declared revoked here: {}\n",
        if is_new { "" } else { "already " },
        what.reason()
    ));
    let read = certificate(record)?;
    if read.is_self_signed() {
        hint("it is self-signed, so no authority tells others: tell your correspondents");
        return Ok(());
    }
    let text = request(what, record)?;
    match &what.output {
        Some(output) => write(text.as_bytes(), output),
        None => {
            hint("its authority has to revoke it for all others: -o FILE writes the request");
            Ok(())
        }
    }
}

/// What the CA has to know (RFC 5280, section 5.3.1, names the reasons).
fn request(what: &Revoke, record: &Record) -> Result<String> {
    let read = certificate(record)?;
    let code = match what.reason() {
        RevocationReason::Compromised => "keyCompromise",
        RevocationReason::NoLongerUsed => "cessationOfOperation",
        RevocationReason::Superseded => "superseded",
        _ => "unspecified",
    };
    let addresses: Vec<String> = record.claimed().iter().map(|address| printable(&address.to_string())).collect();
    let mut text = format!(
        "Please revoke this certificate.\n\nIssuer:       {}\nSerial:       {}\nSubject:      {}\nAddresses:    {}\nValid:        {} to {}\n\
         SHA-256:      {}\nReason:       {code}\n",
        printable(&read.issuer().to_string()),
        upper_hex(read.serial()),
        printable(&read.subject().to_string()),
        addresses.join(", "),
        layout::day(read.validity().0),
        layout::day(read.validity().1),
        record.fingerprint(),
    );
    if !what.message.is_empty() {
        text.push_str(&format!("\n{}\n", what.message));
    }
    Ok(text)
}

fn write(octets: &[u8], name: &std::path::Path) -> Result<()> {
    let mut output = Output::create(Some(name), &[], Privacy::Umask)?;
    output.write_all(octets).map_err(|error| Error::io("output", &error))?;
    output.commit()
}
