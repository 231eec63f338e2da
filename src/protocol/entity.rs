//! Converts decrypted or signed content to a message: a MIME entity, a text, or a file.

use crate::{
    base::{Budget, Result},
    mail::{Message, Part},
};

/// Parses the content as a MIME entity. A text without MIME that was put into a MIME container is kept as text: parsed as
/// an entity, its first paragraph would be taken for a header.
///
/// # Errors
///
/// `Malformed` if the content exceeds `budget`.
pub(super) fn entity(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
    let message = Message::parse(octets, budget)?;
    match is_entity(message.root()) {
        true => Ok(message),
        false => as_text(message.into_octets(), budget),
    }
}

/// Whether the header has a MIME field (RFC 2045, section 3), or is empty.
pub(super) fn is_entity(part: Part<'_>) -> bool {
    let is_mime = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("content-") || name == "mime-version"
    };
    part.header_octets().is_empty() || part.fields().any(|field| is_mime(field.name))
}

/// A text without a header as a message.
pub(super) fn as_text(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
    Message::parse(text_message(&charset(&octets, None, None), octets), budget)
}

/// The charset of a decrypted text: the one `named` by its armor or packet, otherwise UTF-8 if it is valid UTF-8, otherwise
/// that of the outer part.
pub(super) fn charset(text: &[u8], named: Option<&str>, outer: Option<&str>) -> String {
    let guessed = match std::str::from_utf8(text) {
        Ok(_) => "utf-8",
        Err(_) => outer.unwrap_or("windows-1252"),
    };
    let token = |name: &&str| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.:+".contains(&octet))
    };
    named.filter(token).or(Some(guessed).filter(token)).unwrap_or("utf-8").to_ascii_lowercase()
}

/// A text as a message, whose body is the text, octet for octet.
pub(super) fn text_message(charset: &str, text: Vec<u8>) -> Vec<u8> {
    let header = format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    prepended(header, text)
}

/// A file as a message, with the file name of the encrypted one without its last suffix.
pub(super) fn file_message(name: Option<&str>, octets: Vec<u8>) -> Vec<u8> {
    let stem = name.and_then(|name| name.rsplit_once('.')).map(|(stem, _)| stem).unwrap_or_default();
    let safe: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || " ._-+".contains(*c)).collect();
    let name = if safe.is_empty() { String::new() } else { format!("; filename=\"{safe}\"") };
    let header = format!(
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: attachment{name}\r\n\r\n"
    );
    prepended(header, octets)
}

fn prepended(header: String, mut octets: Vec<u8>) -> Vec<u8> {
    octets.splice(..0, header.into_bytes());
    octets
}
