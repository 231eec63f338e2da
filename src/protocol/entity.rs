//! What was sealed, as a message: a MIME entity, a text, or a file.

use crate::{
    base::{Budget, Result},
    mail::{Message, Part},
};

/// The MIME entity that was sealed. A text that was sealed without MIME, and then put into a container of it, comes out as the text that
/// it is: read as an entity it would lose its first paragraph, taken for a header.
pub(super) fn entity(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
    let message = Message::parse(octets, budget)?;
    match is_entity(message.root()) {
        true => Ok(message),
        false => as_text(message.into_octets(), budget),
    }
}

/// Whether a header says that it is one of MIME, or there is none (RFC 2045, section 3).
pub(super) fn is_entity(part: Part<'_>) -> bool {
    let is_mime = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("content-") || name == "mime-version"
    };
    part.header_octets().is_empty() || part.fields().any(|field| is_mime(field.name))
}

/// Text without a header as a message of its own.
pub(super) fn as_text(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
    Message::parse(text_message(&charset(&octets, None, None), octets), budget)
}

/// The charset of a decrypted text: what its armor or its packet says, else UTF-8 if it is that, else what the outer part says.
pub(super) fn charset(text: &[u8], said: Option<&str>, outer: Option<&str>) -> String {
    let guessed = match std::str::from_utf8(text) {
        Ok(_) => "utf-8",
        Err(_) => outer.unwrap_or("windows-1252"),
    };
    let token = |name: &&str| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.:+".contains(&octet))
    };
    said.filter(token).or(Some(guessed).filter(token)).unwrap_or("utf-8").to_ascii_lowercase()
}

/// Text as a message of its own. Its body is the text, octet for octet.
pub(super) fn text_message(charset: &str, text: Vec<u8>) -> Vec<u8> {
    let header = format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    prepended(header, text)
}

/// A file as a message of its own, named as the sealed one without its last suffix.
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
