//! `postseal key generate --from-file`: keys for many users, all of them or none.

use std::{
    collections::HashSet,
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
    validity::{Validity, validity},
};
use crate::cli::{
    input,
    output::{Output, Privacy},
    session::Session,
    show::{aside, data, error, progress},
    values::Format,
};

/// One line of the file.
struct Person {
    line: usize,
    address: Address,
    name: Option<String>,
    expires: Option<Validity>,
}

/// Generates a key for each line of `file`, and prints a line for each.
pub(super) fn generate(what: &Generate, file: &Path, home: &Keystore, session: &Session) -> Result<()> {
    what.check()?;
    let place = file.display().to_string();
    let octets = input::octets(Some(file), &session.budget())?;
    let text = String::from_utf8(octets).map_err(|_| Error::malformed(&place, "not UTF-8"))?;
    let (people, mut faults) = people(&text, &place);
    for person in &people {
        faults.extend(taken(person, what.format, home)?.map(|why| Error::malformed(at(&place, person.line), why)));
    }
    if !faults.is_empty() {
        faults.iter().for_each(error);
        let reason = format!("{} of its lines cannot be used; no key is made", faults.len());
        return Err(Error::malformed(place, reason));
    }
    if people.is_empty() {
        return Err(Error::malformed(place, "names nobody").with_hint("a line is ADDRESS,NAME or ADDRESS,NAME,EXPIRES"));
    }
    let authority = what.authority(home)?;
    let passphrase = what.passphrase(session)?;
    let _progress = progress::begin("making keys");
    let mut made = Vec::with_capacity(people.len());
    for person in &people {
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
        let address = printable(&person.address.to_string());
        text.push_str(&format!("{}  {fingerprint}  {address}\n", at(&place, person.line)));
    }
    data(&text)?;
    aside(&format!("{} keys are made\n", fingerprints.len()));
    Ok(())
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
    let mut request = pgp_request(what, addresses, passphrase)?;
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

/// Why no key is made for a person.
fn taken(person: &Person, format: Format, home: &Keystore) -> Result<Option<String>> {
    let found = find(home, Some(format), Want::Address(&person.address))?;
    let own = found.iter().find(|record| !record.secrets().is_empty());
    Ok(own.map(|own| format!("{} has a key already: {}", person.address, own.fingerprint())))
}

/// The people in a file, and what is wrong with its lines. Empty lines, and those that begin with #, are skipped; so is a first line `address,...`.
fn people(text: &str, place: &str) -> (Vec<Person>, Vec<Error>) {
    let (mut people, mut faults, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let is_head = number == 1 && line.trim_start_matches('\u{feff}').starts_with("address,");
        if is_head || line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match person(number, line.trim_start_matches('\u{feff}')) {
            Ok(one) if known.insert(one.address.to_string().to_lowercase()) => people.push(one),
            Ok(one) => faults.push(Error::malformed(at(place, number), format!("{} is named twice", one.address))),
            Err(why) => faults.push(Error::malformed(at(place, number), why)),
        }
    }
    (people, faults)
}

fn person(line: usize, text: &str) -> Result<Person, String> {
    let fields = fields(text)?;
    let [address, rest @ ..] = fields.as_slice() else { return Err("is empty".to_owned()) };
    let address = Address::parse(address).map_err(|error| error.to_string())?;
    let (name, expires) = match rest {
        [] => (None, None),
        [name] => (Some(name), None),
        [name, expires] => (Some(name), Some(expires).filter(|text| !text.is_empty())),
        _ => return Err("more than three fields".to_owned()),
    };
    let expires = expires.map(|text| validity(text)).transpose()?;
    Ok(Person { line, address, name: name.cloned().filter(|name| !name.is_empty()), expires })
}

/// The fields of a line, with or without quotes around them (RFC 4180).
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted || field.trim().is_empty() => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field).trim().to_owned()),
            other => field.push(other),
        }
    }
    if is_quoted {
        return Err("a quotation mark is open".to_owned());
    }
    fields.push(field.trim().to_owned());
    Ok(fields)
}

/// `users.csv:3`.
fn at(place: &str, line: usize) -> String {
    format!("{place}:{line}")
}
