//! `postseal key generate` and `postseal key request`.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result, Secret, SystemRandom},
    keys::{Binding, Handle, Keys, Memory, ProtocolName, Query, Record, Want},
    mail::{Address, Message},
    protocol::{Seal, Signer, pgp, smime},
    store::{Intake, Keystore, Origin},
};

use super::{
    choose::{find, select},
    show,
};
use crate::cli::{
    input,
    output::{Output, Privacy},
    passphrase,
    session::Session,
    show::{aside, data, progress},
    values::Format,
};

#[derive(Args, Debug)]
pub(super) struct Generate {
    /// The protocol
    #[arg(short, long, value_enum, default_value = "pgp")]
    format: Format,
    /// The format of an OpenPGP key; GnuPG supports rfc4880 only [default: rfc4880]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    #[command(flatten)]
    shape: Shape,
    /// The owner's addresses
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Request {
    /// The form: smime is PKCS#10 (RFC 2986), pem is a request of classic PEM (RFC 1424, RSA keys)
    #[arg(short, long, value_enum, default_value = "smime")]
    format: RequestFormat,
    #[command(flatten)]
    shape: Shape,
    /// The output file, written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// An address, or the fingerprint of a key; a new key is generated for an address without one
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Options of a new key.
#[derive(Args, Debug)]
struct Shape {
    /// The algorithm [default: curve25519 for OpenPGP, rsa3072 for S/MIME]
    #[arg(long, value_enum)]
    algorithm: Option<Algorithm>,
    /// The owner's name
    #[arg(long)]
    name: Option<String>,
    /// The validity period: 90d, 6m, 3y or never
    #[arg(long, value_name = "TIME", default_value = "3y", value_parser = validity)]
    expires: Validity,
    /// Do not lock the secret key with a passphrase [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    no_passphrase: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RequestFormat {
    Pem,
    Smime,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    /// Ed25519 and X25519 (OpenPGP)
    Curve25519,
    /// For signing only (S/MIME)
    Ed25519,
    /// S/MIME
    P256,
    /// S/MIME
    P384,
    /// S/MIME
    P521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// Version 4 keys
    Rfc4880,
    /// Version 6 keys
    Rfc9580,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    For(Duration),
    Never,
}

/// Generates a key and prints its line.
pub(super) fn generate(what: &Generate, home: &Keystore, session: &Session) -> Result<()> {
    let addresses: Vec<Address> =
        what.addresses.iter().map(|address| input::address(address)).collect::<Result<_>>()?;
    let record = match what.format {
        Format::Pem => {
            return Err(Error::usage("key generate: PEM takes RSA keys of X.509").with_hint("-f smime"));
        }
        Format::Pgp => generate_pgp(what, addresses, home, session)?,
        Format::Smime if what.profile.is_some() => {
            return Err(Error::usage("key generate: --profile is for OpenPGP"));
        }
        Format::Smime => {
            let made = generate_smime("key generate", &what.shape, addresses, home, session)?;
            aside("it is self-signed, so others do not trust it; `postseal key request` writes a request for a CA\n");
            made
        }
    };
    data(&show::list(&[record], session.clock().now(), home)?)
}

/// Writes a certificate request. Generates a key first for an address without one.
pub(super) fn request(what: &Request, home: &Keystore, session: &Session) -> Result<()> {
    let by_address = what.which.contains('@');
    let mut held = match by_address {
        true => find(home, Some(Format::Smime), Want::Address(&input::address(&what.which)?))?,
        false => select(home, Some(Format::Smime), &what.which)?,
    };
    held.retain(|record| !record.secrets().is_empty());
    let record = match held.as_slice() {
        [] if by_address => {
            let made = generate_smime("key request", &what.shape, vec![input::address(&what.which)?], home, session)?;
            aside(&format!("{} is a new key; import the certificate when it comes\n", made.fingerprint()));
            made
        }
        [] => return Err(Error::no_key(format!("{}: there is no secret key to it", what.which))),
        [record] => Arc::clone(record),
        _ => {
            return Err(
                Error::usage(format!("{}: several keys are here", what.which)).with_hint("give the fingerprint")
            );
        }
    };
    let secret = home.secret(&record, record.fingerprint())?;
    let secret = secret.ok_or_else(|| Error::no_key(format!("key {}: its secret is gone", record.fingerprint())))?;
    if what.format == RequestFormat::Pem {
        return certification_request(&record, what, session);
    }
    let mut addresses = record.claimed().to_vec();
    if by_address {
        let asked = input::address(&what.which)?;
        addresses = if addresses.contains(&asked) { addresses } else { vec![asked] };
    }
    if addresses.is_empty() {
        return Err(
            Error::usage(format!("key {}: names no address", record.fingerprint())).with_hint("give the address")
        );
    }
    let octets = smime::export::request(&record, secret.as_ref(), &addresses)?;
    let mut output = Output::create(what.output.as_deref(), &[], Privacy::Umask)?;
    output.write_all(&octets).map_err(|error| Error::io("output", &error))?;
    output.commit()
}

/// A certification request of classic PEM: any text, signed by the key of a self-signed certificate (RFC 1424, section 3.1).
fn certification_request(record: &Record, what: &Request, session: &Session) -> Result<()> {
    if !smime::record::certificate(record)?.is_self_signed() {
        return Err(Error::usage(format!("key {}: has a certificate that an authority issued", record.fingerprint()))
            .with_hint(
                "a request of PEM holds one that its own key signed; `postseal key generate -f smime` makes one",
            ));
    }
    let message = Message::parse(ASKING.to_vec(), &mut session.budget())?;
    let how = Seal { sign: vec![Signer::Key(record.fingerprint().clone())], ..Seal::default() };
    let mut output = Output::create(what.output.as_deref(), &[], Privacy::Umask)?;
    session.seal(ProtocolName::Pem, &message, &how, &mut output)?;
    output.commit()
}

fn generate_pgp(what: &Generate, addresses: Vec<Address>, home: &Keystore, session: &Session) -> Result<Arc<Record>> {
    use pgp::generate::{Algorithm as Pgp, Profile as Version, Request, generate};
    let mut addresses = addresses.into_iter();
    let mut request = Request::new(addresses.next().ok_or_else(|| Error::usage("key generate: needs an address"))?);
    request.addresses.extend(addresses);
    request.profile = match what.profile {
        None | Some(Profile::Rfc4880) => Version::Rfc4880,
        Some(Profile::Rfc9580) => Version::Rfc9580,
    };
    request.algorithm = match what.shape.algorithm {
        None | Some(Algorithm::Curve25519) => Pgp::Curve25519,
        Some(Algorithm::Rsa2048) => Pgp::Rsa2048,
        Some(Algorithm::Rsa3072) => Pgp::Rsa3072,
        Some(Algorithm::Rsa4096) => Pgp::Rsa4096,
        Some(_) => {
            return Err(Error::usage("key generate: not an algorithm of OpenPGP keys here")
                .with_hint("curve25519, rsa2048, rsa3072 or rsa4096"));
        }
    };
    request.name = what.shape.name.clone();
    request.validity = what.shape.expires.duration();
    request.passphrase = what.shape.passphrase("key generate", session)?;

    let _progress = progress::begin("making a key");
    let generated = generate(&request, session.clock())?;
    let fingerprint = generated.described.record.fingerprint().clone();
    let intake = Intake {
        certificates: &[generated.described],
        beliefs: &[(fingerprint.clone(), Binding::UserIds, Origin::Generated)],
        revocation: Some((&fingerprint, &generated.revocation)),
        ..Intake::default()
    };
    let taken = home.take_in(&intake, &Memory::new(), session.clock().now())?;
    if let Some(place) = taken.revocation {
        aside(&format!("to revoke the key should it be lost or stolen, publish {}\n", place.display()));
    }
    kept(home, ProtocolName::Pgp, &fingerprint)
}

fn generate_smime(
    verb: &str,
    shape: &Shape,
    addresses: Vec<Address>,
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    use smime::generate::{Algorithm as Smime, Request, generate};
    let first = addresses.first().ok_or_else(|| Error::usage(format!("{verb}: needs an address")))?;
    let mut request = Request::new(first.clone());
    request.algorithm = match shape.algorithm {
        Some(Algorithm::Curve25519) => {
            return Err(Error::usage(format!("{verb}: curve25519 is two keys of OpenPGP"))
                .with_hint("ed25519, p256, p384, p521, rsa2048, rsa3072 or rsa4096"));
        }
        Some(Algorithm::Ed25519) => Smime::Ed25519,
        Some(Algorithm::P256) => Smime::P256,
        Some(Algorithm::P384) => Smime::P384,
        Some(Algorithm::P521) => Smime::P521,
        Some(Algorithm::Rsa2048) => Smime::Rsa2048,
        None | Some(Algorithm::Rsa3072) => Smime::Rsa3072,
        Some(Algorithm::Rsa4096) => Smime::Rsa4096,
    };
    request.addresses = addresses;
    request.name = shape.name.clone();
    request.validity = shape.expires.duration();
    request.passphrase = shape.passphrase(verb, session)?;

    let _progress = progress::begin("making a key");
    let described = generate(&request, session.clock(), &SystemRandom)?;
    let fingerprint = described.record.fingerprint().clone();
    // It is self-signed, so the owner's trust is what ties it to the address.
    let belief = |address: &Address| (fingerprint.clone(), Binding::Address(address.clone()), Origin::Generated);
    let beliefs: Vec<_> = request.addresses.iter().map(belief).collect();
    let intake = Intake { certificates: &[described], beliefs: &beliefs, ..Intake::default() };
    home.take_in(&intake, &Memory::new(), session.clock().now())?;
    kept(home, ProtocolName::Smime, &fingerprint)
}

/// The key that was just stored.
fn kept(home: &Keystore, protocol: ProtocolName, fingerprint: &Handle) -> Result<Arc<Record>> {
    home.find(protocol, &Query::manage(Want::Certificate(fingerprint)))?
        .pop()
        .ok_or_else(|| Error::no_key(format!("key {fingerprint}: was removed at once")))
}

impl Shape {
    fn passphrase(&self, verb: &str, session: &Session) -> Result<Option<Secret>> {
        if self.no_passphrase { Ok(None) } else { passphrase::new(verb, ", or say --no-passphrase", session).map(Some) }
    }
}

impl Validity {
    fn duration(self) -> Option<Duration> {
        match self {
            Validity::For(duration) => Some(duration),
            Validity::Never => None,
        }
    }
}

/// `90d`, `6m`, `3y`, `never`; months and years are the mean Gregorian ones.
fn validity(text: &str) -> Result<Validity, String> {
    if text == "never" {
        return Ok(Validity::Never);
    }
    let seconds = |text: &str| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit: u64 = match unit {
            "d" => 86_400,
            "w" => 7 * 86_400,
            "m" => 2_629_746,
            "y" => 31_556_952,
            _ => return None,
        };
        // OpenPGP counts in 32 bits (RFC 9580, section 5.2.3.13), and 0 would mean never.
        digits.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds))
    };
    let seconds = seconds(text).ok_or("not a time like 90d, 6m or 3y, nor never")?;
    Ok(Validity::For(Duration::from_secs(seconds)))
}

/// RFC 1424, section 2.1: something innocuous.
const ASKING: &[u8] = b"Please certify my key.\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_counted_in_32_bits() {
        assert_eq!(validity("90d"), Ok(Validity::For(Duration::from_secs(90 * 86_400))));
        assert_eq!(validity("never"), Ok(Validity::Never));
        for wrong in ["", "0d", "3", "y", "-1d", "3é", "137y", "99999999999999999999d"] {
            assert_eq!(validity(wrong), Err("not a time like 90d, 6m or 3y, nor never".to_owned()), "{wrong:?}");
        }
    }
}
