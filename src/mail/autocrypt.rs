//! The header fields of Autocrypt (Autocrypt Level 1, specification 1.1): a key that comes with a message.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{
    Address, Part, address,
    encoding::{base64_decode, base64_encode, is_base64},
    header::{author, times_read},
};
use crate::base::{Error, Result};

/// Whether the owner of a key wants encrypted mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Preference {
    /// Not said: `nopreference`.
    #[default]
    Unsaid,
    /// `mutual`: from everyone who wants it too.
    Mutual,
}

/// A key as a header field announces it. Nothing ties it to the address but the mail that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The address that the key is for.
    pub address: Address,
    /// What the owner of the address prefers.
    pub preference: Preference,
    /// The OpenPGP certificate in binary form, not parsed yet.
    pub key: Vec<u8>,
}

/// The key that the author of a message announces in its Autocrypt field. `None` when no field is valid, when several are, when the address is not
/// that of the one author, and for a report.
pub fn of_author(root: Part<'_>) -> Option<Announced> {
    if root.content_type().is("multipart", "report") {
        return None;
    }
    let author = author(root).ok()?;
    let mut valid = fields(root, "Autocrypt").filter(|one| one.address == author);
    valid.next().filter(|_| valid.next().is_none())
}

/// The keys of the other recipients, in the Autocrypt-Gossip fields of `payload`, the root of what was encrypted. Those for addresses that are not in To,
/// Cc or Reply-To of `payload` or `outer` are left out.
pub fn of_recipients(payload: Part<'_>, outer: Part<'_>) -> Vec<Announced> {
    let mut addressed = Vec::new();
    for part in [payload, outer] {
        let named = part.fields().filter(|field| ["to", "cc", "reply-to"].iter().any(|name| field.is(name)));
        addressed.extend(named.filter_map(|field| address::list(&field.unfolded()).ok()).flatten());
    }
    let is_addressed = |one: &Announced| addressed.iter().any(|mailbox| mailbox.address == one.address);
    fields(payload, "Autocrypt-Gossip").filter(is_addressed).take(MAX_GOSSIP).collect()
}

/// The value of an Autocrypt field, folded with `line_break`, without the field's name.
///
/// # Errors
///
/// `Usage` when the field would exceed 10 KiB, which readers must not accept.
pub fn value(announced: &Announced, line_break: &str) -> Result<String> {
    let mut value = format!("addr={};", announced.address);
    if announced.preference == Preference::Mutual {
        value.push_str(" prefer-encrypt=mutual;");
    }
    let _ = write!(value, "{line_break} keydata=");
    let encoded = base64_encode(&announced.key);
    for line in encoded.split(|octet| matches!(octet, b'\r' | b'\n')).filter(|line| !line.is_empty()) {
        let _ = write!(value, "{line_break} {}", String::from_utf8_lossy(line));
    }
    match value.len() + FIELD_NAME.len() > MAX_FIELD {
        true => Err(Error::usage(format!("the Autocrypt field of {} has more than 10 KiB", announced.address))
            .with_hint("a key with fewer subkeys, or an elliptic-curve key, is smaller")),
        false => Ok(value),
    }
}

/// The fields of this name that are valid by themselves.
fn fields<'a>(root: Part<'a>, name: &'static str) -> impl Iterator<Item = Announced> + use<'a> {
    // What readers may find more often than we do is none.
    let count = root.fields().filter(|field| field.is(name)).count();
    let agreed = times_read(root, &name.to_ascii_lowercase()) == count;
    root.fields()
        .filter(move |field| agreed && field.is(name) && field.raw.len() <= MAX_FIELD)
        .filter_map(|field| read(&field.unfolded()))
}

fn read(value: &str) -> Option<Announced> {
    let (mut address, mut preference, mut key) = (None, Preference::Unsaid, None);
    for attribute in value.split(';').map(str::trim).filter(|attribute| !attribute.is_empty()) {
        // keydata is the last attribute.
        if key.is_some() {
            return None;
        }
        let (name, value) = attribute.split_once('=')?;
        match name.trim() {
            "addr" if address.is_none() => address = Some(Address::parse(value.trim()).ok()?),
            "prefer-encrypt" if value.trim() == "mutual" => preference = Preference::Mutual,
            "prefer-encrypt" => {}
            "keydata" => {
                let encoded: Vec<u8> = value.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
                key = Some(base64_decode(&encoded)).filter(|_| is_base64(&encoded));
                key.as_ref()?;
            }
            name if name.starts_with('_') => {}
            // A critical attribute that is not known.
            _ => return None,
        }
    }
    Some(Announced { address: address?, preference, key: key.filter(|key| !key.is_empty())? })
}

const FIELD_NAME: &str = "Autocrypt: ";
/// Octets. Source: Autocrypt Level 1, "The Autocrypt Header".
const MAX_FIELD: usize = 10 * 1024;
/// Recipients of one message. Source: more than people write in To and Cc.
const MAX_GOSSIP: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn message(text: &str) -> Message {
        Message::parse(text.as_bytes().to_vec(), &mut Budget::new(Limits::default())).unwrap()
    }

    #[test]
    fn the_key_of_the_author_is_taken_from_one_valid_field_only() {
        let valid = "Autocrypt: addr=a@example.org; prefer-encrypt=mutual; _x=y; keydata=\r\n aGVs\r\n bG8=\r\n";
        for (fields, is_taken) in [
            (valid.to_owned(), true),
            // The unknown critical attribute makes one of the two invalid.
            (format!("{valid}Autocrypt: addr=a@example.org; new=1; keydata=aGVsbG8=\r\n"), true),
            (format!("{valid}{valid}"), false),
            ("Autocrypt: addr=b@example.org; keydata=aGVsbG8=\r\n".to_owned(), false),
            ("Autocrypt: keydata=aGVsbG8=\r\n".to_owned(), false),
            ("Autocrypt: addr=a@example.org; keydata=\r\n".to_owned(), false),
            ("Autocrypt: addr=a@example.org; keydata=aGVsbG8=; _x=y\r\n".to_owned(), false),
            (format!("{valid}From: b@example.org\r\n"), false),
            (format!("{valid}Content-Type: multipart/report; boundary=b\r\n"), false),
            (format!("Autocrypt: addr=a@example.org; keydata={}\r\n", "QUFB".repeat(2560)), false),
        ] {
            let message = message(&format!("From: A <a@example.org>\r\n{fields}\r\nhi\r\n"));
            let found = of_author(message.root());
            assert_eq!(
                found.as_ref().map(|found| found.key.as_slice()),
                is_taken.then_some(b"hello".as_slice()),
                "{fields}"
            );
            assert!(found.is_none_or(|found| found.preference == Preference::Mutual));
        }
    }

    #[test]
    fn keys_of_others_are_taken_for_addresses_of_the_message_only() {
        let of = |address: &str| format!("Autocrypt-Gossip: addr={address}; keydata=aGVsbG8=\r\n");
        let payload =
            message(&format!("{}{}{}\r\nhi\r\n", of("b@example.org"), of("c@example.org"), of("x@example.org")));
        let outer = message("From: a@example.org\r\nTo: b@example.org, X <c@example.org>\r\n\r\n");
        let found: Vec<String> =
            of_recipients(payload.root(), outer.root()).iter().map(|one| one.address.to_string()).collect();
        assert_eq!(found, ["b@example.org", "c@example.org"]);
    }

    #[test]
    fn a_field_is_read_as_it_was_written_and_a_large_one_refused() {
        let announced = Announced {
            address: Address::parse("a@example.org").unwrap(),
            preference: Preference::Mutual,
            key: vec![7; 3000],
        };
        let written = value(&announced, "\r\n").unwrap();
        assert!(written.split("\r\n").all(|line| line.len() <= 78), "{written}");
        let message = message(&format!("From: a@example.org\r\nAutocrypt: {written}\r\n\r\nhi\r\n"));
        assert_eq!(of_author(message.root()), Some(announced.clone()));
        assert!(value(&Announced { key: vec![7; 8000], ..announced }, "\r\n").is_err());
    }
}
