//! Keys for many people: all of them, or none.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use postseal::{
    base::{Error, Kind, Result, Secret, SystemRandom},
    keys::{Handle, Keys as _, ProtocolName, Query, Want},
    mail::Address,
    protocol::{
        pgp,
        smime::{self, authority::Authority},
    },
    report::printable,
    store::{Keystore, NewKey},
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
    let authority = what.authority(home, session)?;
    let passphrase = what.passphrase(session)?;
    let _progress = progress::begin("making keys");
    let mut made = Vec::with_capacity(people.len());
    for person in people {
        progress::now(&format!("making a key for {}", person.address));
        made.push(key(what, person, passphrase.clone(), authority.as_ref(), session)?);
    }
    let fingerprints: Vec<Handle> = made.iter().map(|one| one.record().fingerprint().clone()).collect();
    home.take_new(made, session.clock().now())?;
    let mut text = String::new();
    for (person, fingerprint) in people.iter().zip(&fingerprints) {
        if let Some(folder) = &what.requests {
            request(fingerprint, person, folder, home)?;
        }
        let (place, address) = (printable(&person.place), printable(&person.address.to_string()));
        text.push_str(&format!("{place}  {fingerprint}  {address}\n"));
    }
    data(&text)?;
    aside(&format!("{} keys are made\n", fingerprints.len()));
    Ok(())
}

/// The key that an address has already.
pub(super) fn own_key(address: &Address, format: Format, home: &Keystore) -> Result<Option<Handle>> {
    let found = find(home, Some(format), Want::Address(address))?;
    Ok(found.iter().find(|record| !record.secrets().is_empty()).map(|own| own.fingerprint().clone()))
}

fn key(
    what: &Generate,
    person: &Person,
    passphrase: Option<Secret>,
    authority: Option<&Authority>,
    session: &Session,
) -> Result<NewKey> {
    let addresses = vec![person.address.clone()];
    let expires = person.expires.unwrap_or(what.expires());
    if what.format == Format::Smime {
        let mut request = smime_shape("key generate", what.shape(), addresses, passphrase)?;
        request.name.clone_from(&person.name);
        request.validity = expires.duration();
        let described = match authority {
            Some(authority) => authority.generate(&request, session.clock(), &SystemRandom)?,
            None => smime::generate::generate(&request, session.clock(), &SystemRandom)?,
        };
        return Ok(NewKey::of_person(described));
    }
    let mut request = pgp_request(what, what.shape().algorithm, addresses, passphrase)?;
    request.name.clone_from(&person.name);
    request.validity = expires.duration();
    let pgp::generate::Generated { described, revocation } = pgp::generate::generate(&request, session.clock())?;
    Ok(NewKey::of_person(described).with_revocation(revocation))
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
