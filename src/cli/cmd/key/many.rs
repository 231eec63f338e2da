//! Keys for many people: all of them, or none.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use postseal::{
    base::{Error, Kind, Result, Secret, SystemRandom},
    keys::{Binding, Handle, Keys as _, Memory, ProtocolName, Query, Want},
    mail::Address,
    protocol::{Described, pgp, smime},
    report::printable,
    store::{Intake, Keystore, Origin},
};

use super::{
    choose::find,
    generate::{Generate, pgp_request, smime_shape},
    validity::Validity,
};
use crate::cli::{
    output::{Output, Privacy},
    session::Session,
    show::{aside, data, error, progress},
    values::Format,
};

/// Somebody who gets a key.
pub(super) struct Person {
    /// Where they are named: `users.csv:3`, or the name of an entry.
    pub(super) place: String,
    pub(super) address: Address,
    pub(super) name: Option<String>,
    pub(super) expires: Option<Validity>,
}

/// A key that was made, and is not stored yet.
struct Made {
    described: Described,
    binding: Binding,
    revocation: Option<Vec<u8>>,
}

/// Refuses the list at `place` when something in it is wrong: `faults` says what.
pub(super) fn refuse(place: &str, faults: &[Error], items: &str) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    faults.iter().for_each(error);
    Err(Error::malformed(place, format!("{} of its {items} cannot be used; no key is made", faults.len())))
}

/// Generates a key for each of `people`, and prints a line for each.
pub(super) fn generate(what: &Generate, people: &[Person], home: &Keystore, session: &Session) -> Result<()> {
    let passphrase = what.passphrase(session)?;
    let _progress = progress::begin("making keys");
    let mut made = Vec::with_capacity(people.len());
    for person in people {
        progress::now(&format!("making a key for {}", person.address));
        made.push(key(what, person, passphrase.clone(), session)?);
    }
    store(&made, home, session)?;
    let mut text = String::new();
    for (person, made) in people.iter().zip(&made) {
        let fingerprint = made.described.record.fingerprint();
        if let Some(folder) = &what.requests {
            request(fingerprint, person, folder, home)?;
        }
        let (place, address) = (printable(&person.place), printable(&person.address.to_string()));
        text.push_str(&format!("{place}  {fingerprint}  {address}\n"));
    }
    data(&text)?;
    aside(&format!("{} keys are made\n", made.len()));
    Ok(())
}

/// The key that an address has already.
pub(super) fn own_key(address: &Address, format: Format, home: &Keystore) -> Result<Option<Handle>> {
    let found = find(home, Some(format), Want::Address(address))?;
    Ok(found.iter().find(|record| !record.secrets().is_empty()).map(|own| own.fingerprint().clone()))
}

/// Everything as one change.
fn store(made: &[Made], home: &Keystore, session: &Session) -> Result<()> {
    let fingerprint = |one: &Made| one.described.record.fingerprint().clone();
    let beliefs: Vec<_> = made.iter().map(|one| (fingerprint(one), one.binding.clone(), Origin::Generated)).collect();
    let revocations: Vec<(Handle, &[u8])> =
        made.iter().filter_map(|one| Some((fingerprint(one), one.revocation.as_deref()?))).collect();
    let certificates: Vec<Described> = made
        .iter()
        .map(|Made { described: Described { record, secret, proven }, .. }| Described {
            record: record.clone(),
            secret: secret.clone(),
            proven: proven.clone(),
        })
        .collect();
    let intake =
        Intake { certificates: &certificates, beliefs: &beliefs, revocations: &revocations, ..Intake::default() };
    home.take_in(&intake, &Memory::new(), session.clock().now()).map(drop)
}

fn key(what: &Generate, person: &Person, passphrase: Option<Secret>, session: &Session) -> Result<Made> {
    let addresses = vec![person.address.clone()];
    let expires = person.expires.unwrap_or(what.expires());
    if what.format == Format::Smime {
        let mut request = smime_shape("key generate", what.shape(), addresses, passphrase)?;
        request.name.clone_from(&person.name);
        request.validity = expires.duration();
        let described = smime::generate::generate(&request, session.clock(), &SystemRandom)?;
        return Ok(Made { described, binding: Binding::Address(person.address.clone()), revocation: None });
    }
    let mut request = pgp_request(what, addresses, passphrase)?;
    request.name.clone_from(&person.name);
    request.validity = expires.duration();
    let pgp::generate::Generated { described, revocation } = pgp::generate::generate(&request, session.clock())?;
    Ok(Made { described, binding: Binding::UserIds, revocation: Some(revocation) })
}

/// Writes the request for the certificate of a new key: `ADDRESS.csr`.
fn request(fingerprint: &Handle, person: &Person, folder: &Path, home: &Keystore) -> Result<()> {
    let stored = home.find(ProtocolName::Smime, &Query::manage(Want::Certificate(fingerprint)))?.pop();
    let gone = || Error::no_key(format!("key {fingerprint}: was removed at once"));
    let record = stored.ok_or_else(gone)?;
    let secret = home.secret(&record, fingerprint)?.ok_or_else(gone)?;
    let octets = smime::export::request(&record, secret.as_ref(), std::slice::from_ref(&person.address))?;
    let cannot = |error| Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string());
    fs::create_dir_all(folder).map_err(cannot)?;
    let name: PathBuf = folder.join(format!("{}.csr", person.address).replace('/', "_"));
    let mut output = Output::create(Some(&name), &[], Privacy::Umask)?;
    output.write_all(&octets).map_err(|error| Error::io(name.display(), &error))?;
    output.commit()
}
