//! `postseal key generate --from-file`: keys for the people of a file.

use std::{collections::HashSet, path::Path};

use postseal::{
    base::{Error, Result},
    mail::Address,
    store::Keystore,
};

use super::{
    generate::Generate,
    many::{self, Person},
    validity::validity,
};
use crate::cli::{input, session::Session};

/// Generates a key for each line of `file`, and prints a line for each.
pub(super) fn generate(what: &Generate, file: &Path, home: &Keystore, session: &Session) -> Result<()> {
    what.check()?;
    let place = file.display().to_string();
    let octets = input::octets(Some(file), &session.budget())?;
    let text = String::from_utf8(octets).map_err(|_| Error::malformed(&place, "not UTF-8"))?;
    let (people, mut faults) = people(&text, &place);
    for Person { place, address, .. } in &people {
        let own = many::own_key(address, what.format, home)?;
        faults.extend(own.map(|own| Error::malformed(place, format!("{address} has a key already: {own}"))));
    }
    many::refuse(&place, &faults, "lines")?;
    if people.is_empty() {
        return Err(Error::malformed(place, "names nobody").with_hint("a line is ADDRESS,NAME or ADDRESS,NAME,EXPIRES"));
    }
    many::generate(what, &people, home, session)
}

/// The people in a file, and what is wrong with its lines. Empty lines, and those that begin with #, are skipped; so is a first line `address,...`.
fn people(text: &str, place: &str) -> (Vec<Person>, Vec<Error>) {
    let (mut people, mut faults, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let is_head = number == 1 && line.trim_start_matches('\u{feff}').starts_with("address,");
        if is_head || line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match person(at(place, number), line.trim_start_matches('\u{feff}')) {
            Ok(one) if known.insert(one.address.to_string().to_lowercase()) => people.push(one),
            Ok(one) => faults.push(Error::malformed(at(place, number), format!("{} is named twice", one.address))),
            Err(why) => faults.push(Error::malformed(at(place, number), why)),
        }
    }
    (people, faults)
}

fn person(place: String, text: &str) -> Result<Person, String> {
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
    Ok(Person { place, address, name: name.cloned().filter(|name| !name.is_empty()), expires })
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
