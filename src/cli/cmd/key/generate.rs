//! `postseal key generate` and `postseal key request`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum, ValueHint};
use postseal::{
    base::{Error, Result, Secret, SystemRandom},
    keys::{Keys, ProtocolName, Record, Want},
    mail::{Address, Message},
    protocol::{
        Seal, Signer, pgp,
        smime::{self, authority::Authority, keyfile::newest},
    },
    store::{Keystore, NewKey},
};

use super::{
    algorithm::{self, Algorithm},
    choose::{find, select},
    keep::store,
    list,
    second::{self, Choice},
    token::{self, OnToken},
    validity::{Validity, validity},
};
use crate::cli::{
    cmd::cert::authority::{self, ISSUED},
    input,
    output::{Output, Privacy},
    passphrase,
    session::Session,
    show::{aside, progress},
    values::Format,
};

#[derive(Args, Debug)]
pub(super) struct Generate {
    /// The protocol
    #[arg(short, long, value_enum, default_value = "pgp")]
    pub(super) format: Format,
    /// The format of an OpenPGP key; GnuPG supports rfc4880 only, and few programs rfc9980 [default: rfc4880]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    #[command(flatten)]
    shape: Shape,
    /// Sign with the new key from now on, when there is one for the address already
    #[arg(long)]
    replace: bool,
    /// Sign with the key that there is for the address already [default, without a terminal to ask at]
    #[arg(long, conflicts_with = "replace")]
    keep: bool,
    /// Generate a key for each line of this file: ADDRESS,NAME or ADDRESS,NAME,EXPIRES; all of them, or none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "many", conflicts_with_all = ["addresses", "name", "replace", "keep"])]
    pub(super) from_file: Option<PathBuf>,
    /// Generate a key for each person that this filter finds in the directory of [discovery.ldap] and that has none; all of them, or none
    #[arg(long, value_name = "FILTER", group = "many", conflicts_with_all = ["addresses", "name", "replace", "keep"])]
    pub(super) from_ldap: Option<String>,
    /// The configuration with the directory [default: $POSTSEAL_CONFIG]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "from_ldap")]
    pub(super) config: Option<PathBuf>,
    /// Write a request for the certificate of each key into this directory: ADDRESS.csr (with --from-file or --from-ldap, S/MIME)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "many")]
    pub(super) requests: Option<PathBuf>,
    /// Issue the certificate with the certification authority of this home (S/MIME), with =ID if there are several
    #[arg(long, value_name = "ID", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with_all = ["name", "requests"])]
    ca: Option<String>,
    /// Make the key on this token, which it never leaves: pkcs11:token=NAME?module-path=FILE (RFC 7512)
    #[arg(long, value_name = "URI", conflicts_with_all = ["many", "ca", "no_passphrase"])]
    token: Option<String>,
    /// The owner's addresses
    #[arg(value_name = "ADDRESS", required_unless_present = "many")]
    addresses: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Request {
    /// The form: smime is PKCS#10 (RFC 2986), pem is a request of classic PEM (RFC 1424, RSA keys)
    #[arg(short, long, value_enum, default_value = "smime")]
    format: RequestFormat,
    #[command(flatten)]
    shape: CertifiedShape,
    /// The output file, written whole or not at all [default: standard output]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// An address, or the fingerprint of a key; a new key is generated for an address without one
    #[arg(value_name = "ADDRESS|ID")]
    which: String,
}

/// Options of a new key that an authority certifies: the validity period is the authority's choice.
#[derive(Args, Debug)]
pub(in crate::cli::cmd) struct CertifiedShape {
    /// The algorithm of a new key [default: rsa3072]
    #[arg(long, value_parser = algorithm::certified())]
    algorithm: Option<Algorithm>,
    /// The owner's name, of a new key
    #[arg(long)]
    name: Option<String>,
    /// Do not lock a new secret key with a passphrase [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd", "passphrase_command"])]
    no_passphrase: bool,
}

/// Options of a new key.
#[derive(Args, Debug)]
pub(super) struct Shape {
    /// The algorithm [default: curve25519 for OpenPGP, with --profile rfc9980 mldsa65-ed25519; rsa3072 for S/MIME]
    #[arg(long, value_enum)]
    pub(super) algorithm: Option<Algorithm>,
    /// The owner's name
    #[arg(long)]
    name: Option<String>,
    /// The validity period: 90d, 6m, 3y or never [default: 3y, with --ca 1y]
    #[arg(long, value_name = "TIME", value_parser = validity)]
    expires: Option<Validity>,
    /// Do not lock the secret key with a passphrase [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd", "passphrase_command"])]
    no_passphrase: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RequestFormat {
    Pem,
    Smime,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// Version 4 keys
    Rfc4880,
    /// Version 6 keys
    Rfc9580,
    /// Version 6 keys that withstand quantum computers
    Rfc9980,
}

/// Generates a key and prints its line.
pub(super) fn generate(what: &Generate, home: &Keystore, session: &Session) -> Result<()> {
    what.check()?;
    let addresses: Vec<Address> =
        what.addresses.iter().map(|address| input::address(address)).collect::<Result<_>>()?;
    let authority = what.authority(home, session)?;
    let is_for_encryption = what.format == Format::Smime && what.shape.signs_nothing()?;
    if is_for_encryption && authority.is_none() {
        return Err(Error::usage("key generate: this key cannot sign its own certificate").with_hint(
            "--ca issues it with the certification authority of this home; `postseal cert init-ca` makes one",
        ));
    }
    let kept = match is_for_encryption {
        // Another key signs in any case.
        true => Vec::new(),
        false => second::kept(what.choice(), what.format, &addresses, home, session)?,
    };
    if let Some(uri) = &what.token {
        return generate_on_token(
            &OnToken { uri, algorithm: what.shape.algorithm, kept: &kept },
            what,
            addresses,
            home,
            session,
        );
    }
    let passphrase = what.passphrase(session)?;
    let record = match what.format {
        Format::Smime => {
            let mut shape = smime_shape("key generate", &what.shape, addresses, passphrase)?;
            shape.validity = what.expires().duration();
            match authority {
                Some(authority) => {
                    let _progress = progress::begin("making a key");
                    let made = authority.generate(&shape, session.clock(), &SystemRandom)?;
                    store(NewKey::of_person(made).not_for(&kept), home, session)?
                }
                None => {
                    let made = generate_smime(&shape, &kept, home, session)?;
                    aside(
                        "it is self-signed, so others do not trust it; `postseal key request` writes a request for a CA\n",
                    );
                    made
                }
            }
        }
        _ => generate_pgp(&pgp_request(what, what.shape.algorithm, addresses, passphrase)?, &kept, home, session)?,
    };
    list::line(&record, home, session)
}

fn generate_on_token(
    how: &OnToken<'_>,
    what: &Generate,
    addresses: Vec<Address>,
    home: &Keystore,
    session: &Session,
) -> Result<()> {
    let plain =
        Shape { algorithm: None, name: what.shape.name.clone(), expires: what.shape.expires, no_passphrase: true };
    let record = match what.format {
        Format::Smime => {
            token::generate_smime(how, &smime_shape("key generate", &plain, addresses, None)?, home, session)?
        }
        _ => token::generate_pgp(how, &pgp_request(what, None, addresses, None)?, home, session)?,
    };
    list::line(&record, home, session)
}

/// Writes a certificate request. Generates a key first for an address without one.
pub(super) fn request(what: &Request, home: &Keystore, session: &Session) -> Result<()> {
    let by_address = what.which.contains('@');
    let record = held_or_new("key request", &what.which, &what.shape, home, session)?;
    if what.format == RequestFormat::Pem {
        return certification_request(&record, what, session);
    }
    let mut addresses = record.claimed().to_vec();
    if by_address {
        let asked = input::address(&what.which)?;
        addresses = if addresses.contains(&asked) { addresses } else { vec![asked] };
    }
    write_request(&record, &addresses, what.output.as_deref(), home)
}

/// The S/MIME key that an address or a fingerprint names, for a certificate to be asked for: the newest certificate of it, or that of a new key for an
/// address without one.
pub(in crate::cli::cmd) fn held_or_new(
    verb: &str,
    which: &str,
    shape: &CertifiedShape,
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    let by_address = which.contains('@');
    let mut held = match by_address {
        true => find(home, Some(Format::Smime), Want::Address(&input::address(which)?))?,
        false => select(home, Some(Format::Smime), which)?,
    };
    held.retain(|record| !record.secrets().is_empty());
    match newest(held)?.as_slice() {
        [] if by_address => {
            let shape = shape.of_key();
            let passphrase = shape.passphrase(verb, session)?;
            // The new key signs the request.
            passphrase.iter().cloned().try_for_each(|new| session.passphrases().map(|known| known.remember(new)))?;
            let shape = smime_shape(verb, &shape, vec![input::address(which)?], passphrase)?;
            let made = generate_smime(&shape, &[], home, session)?;
            aside(&format!("{} is a new key; import the certificate when it comes\n", made.fingerprint()));
            Ok(made)
        }
        [] => Err(Error::no_key(format!("{which}: there is no secret key to it"))),
        [record] => Ok(Arc::clone(record)),
        _ => Err(Error::usage(format!("{which}: several keys are here")).with_hint("give the fingerprint")),
    }
}

/// Writes a request (PKCS#10) for the key of `record` and these addresses.
pub(super) fn write_request(
    record: &Record,
    addresses: &[Address],
    output: Option<&Path>,
    home: &Keystore,
) -> Result<()> {
    if addresses.is_empty() {
        return Err(
            Error::usage(format!("key {}: names no address", record.fingerprint())).with_hint("give the address")
        );
    }
    let secret = home.secret(record, record.fingerprint())?;
    let secret = secret.ok_or_else(|| Error::no_key(format!("key {}: its secret is gone", record.fingerprint())))?;
    let octets = smime::export::request(record, secret.as_ref(), addresses)?;
    let mut output = Output::create(output, &[], Privacy::Umask)?;
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

/// What the options say of a new OpenPGP key.
pub(super) fn pgp_request(
    what: &Generate,
    algorithm: Option<Algorithm>,
    addresses: Vec<Address>,
    passphrase: Option<Secret>,
) -> Result<pgp::generate::Request> {
    use pgp::generate::{Algorithm as Pgp, Profile as Version, Request};
    let mut addresses = addresses.into_iter();
    let mut request = Request::new(addresses.next().ok_or_else(|| Error::usage("key generate: needs an address"))?);
    request.addresses.extend(addresses);
    request.profile = match what.profile {
        None | Some(Profile::Rfc4880) => Version::Rfc4880,
        Some(Profile::Rfc9580) => Version::Rfc9580,
        Some(Profile::Rfc9980) => Version::Rfc9980,
    };
    request.algorithm = match algorithm {
        None if request.profile == Version::Rfc9980 => Pgp::MlDsa65,
        None => Pgp::Curve25519,
        Some(algorithm) => algorithm.pgp()?,
    };
    request.name = what.shape.name.clone();
    request.validity = what.expires().duration();
    request.passphrase = passphrase;
    Ok(request)
}

/// Generates a key, and trusts it for its user IDs; not for the addresses of `kept`, which have another key.
fn generate_pgp(
    request: &pgp::generate::Request,
    kept: &[Address],
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    let _progress = progress::begin("making a key");
    let generated = pgp::generate::generate(request, session.clock())?;
    store(NewKey::of_person(generated.described).with_revocation(generated.revocation).not_for(kept), home, session)
}

/// What `shape` says of a new S/MIME key.
pub(super) fn smime_shape(
    verb: &str,
    shape: &Shape,
    addresses: Vec<Address>,
    passphrase: Option<Secret>,
) -> Result<smime::generate::Request> {
    use smime::generate::Request;
    let first = addresses.first().ok_or_else(|| Error::usage(format!("{verb}: needs an address")))?;
    let mut request = Request::new(first.clone());
    if let Some(algorithm) = shape.algorithm {
        request.algorithm = algorithm.smime(verb)?;
    }
    request.addresses = addresses;
    request.name = shape.name.clone();
    request.validity = shape.expires.unwrap_or(THREE_YEARS).duration();
    request.passphrase = passphrase;
    Ok(request)
}

/// Generates a key with a self-signed certificate, and trusts it for its addresses, but not for those of `kept`, which have another key.
pub(super) fn generate_smime(
    request: &smime::generate::Request,
    kept: &[Address],
    home: &Keystore,
    session: &Session,
) -> Result<Arc<Record>> {
    let _progress = progress::begin("making a key");
    let described = smime::generate::generate(request, session.clock(), &SystemRandom)?;
    // It is self-signed, so the owner's trust is what ties it to the address.
    store(NewKey::of_person(described).not_for(kept), home, session)
}

impl Generate {
    /// Refuses options of another protocol.
    pub(super) fn check(&self) -> Result<()> {
        match self.format {
            Format::Pem => Err(Error::usage("key generate: PEM takes RSA keys of X.509").with_hint("-f smime")),
            Format::Smime if self.profile.is_some() => Err(Error::usage("key generate: --profile is for OpenPGP")),
            Format::Pgp if self.ca.is_some() => {
                Err(Error::usage("key generate: --ca is for S/MIME").with_hint("-f smime"))
            }
            Format::Pgp if self.requests.is_some() => {
                Err(Error::usage("key generate: --requests is for S/MIME").with_hint("-f smime"))
            }
            _ => Ok(()),
        }
    }

    /// What is asked of each key.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How long each is valid, unless its line says otherwise.
    pub(super) fn expires(&self) -> Validity {
        self.shape.expires.unwrap_or(if self.ca.is_some() { Validity::For(ISSUED) } else { THREE_YEARS })
    }

    /// The authority that issues the certificates, if one does.
    pub(super) fn authority(&self, home: &Keystore, session: &Session) -> Result<Option<Authority>> {
        let which = self.ca.as_deref().map(|id| Some(id).filter(|id| !id.is_empty()));
        which.map(|id| authority::open(id, home, session)).transpose()
    }

    /// What locks the new keys.
    pub(super) fn passphrase(&self, session: &Session) -> Result<Option<Secret>> {
        self.shape.passphrase("key generate", session)
    }

    fn choice(&self) -> Choice {
        match (self.replace, self.keep) {
            (true, _) => Choice::Replace,
            (_, true) => Choice::Keep,
            _ => Choice::Ask,
        }
    }
}

impl CertifiedShape {
    fn of_key(&self) -> Shape {
        Shape { algorithm: self.algorithm, name: self.name.clone(), expires: None, no_passphrase: self.no_passphrase }
    }
}

impl Shape {
    /// Whether the algorithm of an S/MIME key is for encryption alone.
    fn signs_nothing(&self) -> Result<bool> {
        Ok(match self.algorithm {
            Some(algorithm) => !algorithm.smime("key generate")?.signs(),
            None => false,
        })
    }

    fn passphrase(&self, verb: &str, session: &Session) -> Result<Option<Secret>> {
        if self.no_passphrase {
            Ok(None)
        } else {
            passphrase::new(verb, "the new key", ", or say --no-passphrase", session).map(Some)
        }
    }
}

const THREE_YEARS: Validity = Validity::For(smime::generate::DEFAULT_VALIDITY);

/// RFC 1424, section 2.1: something innocuous.
const ASKING: &[u8] = b"Please certify my key.\r\n";
