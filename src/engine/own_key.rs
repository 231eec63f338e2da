//! The author's own key on outgoing mail: in the Autocrypt field, and as an attachment.

use std::cmp::Reverse;

use super::{Engine, edit::Edits, lines::uses_crlf};
use crate::{
    base::Result,
    keys::{ProtocolName, Query, Source, Want},
    mail::{
        Address, Message, Part,
        autocrypt::{self, Announced, Preference},
        build::boundary,
    },
    protocol::pgp::publication::{Extent, Publication, publication},
};

/// Adds the Autocrypt field of the author to `edits`. A message that has one keeps it, as does one whose DKIM signature says that there is none.
pub(super) fn announce(
    engine: &Engine<'_>,
    author: &Address,
    message: &Message,
    preference: Preference,
    edits: &mut Edits,
) {
    let root = message.root();
    if root.header("Autocrypt").is_some() || dkim(root).any(|value| covers(&value, "autocrypt")) {
        return;
    }
    let Some(key) = of_author(engine, author, Extent::Autocrypt) else { return };
    match autocrypt::value(&Announced { address: author.clone(), preference, key: key.octets }, "\n") {
        Ok(value) => edits.add_raw(format!("Autocrypt: {value}")),
        Err(error) => tracing::debug!(event = "key-not-announced", %error),
    }
}

/// The message with the author's key as an attachment; `None` when it stays as it is: it is signed or encrypted already, it is a report, it has a
/// key, or nothing here is the author's key.
///
/// # Errors
///
/// Those of randomness, and of writing the key.
pub(super) fn attached(engine: &Engine<'_>, author: &Address, message: &Message) -> Result<Option<Vec<u8>>> {
    let root = message.root();
    let is_key = |part: Part<'_>| part.content_type().is("application", "pgp-keys");
    let is_closed = engine.claim(root).is_some() || dkim(root).next().is_some();
    if is_closed || root.content_type().is("multipart", "report") || is_key(root) || root.children().any(is_key) {
        return Ok(None);
    }
    let Some(key) = of_author(engine, author, Extent::Keys) else { return Ok(None) };
    let boundary = boundary(engine.context.random)?;
    let mut text = Vec::with_capacity(message.octets().len() + key.octets.len() * 2);
    let mut content = Vec::new();
    let mut is_mime = false;
    for field in root.fields() {
        let is_of_content = field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        is_mime |= field.is("MIME-Version");
        if is_of_content { &mut content } else { &mut text }.extend_from_slice(field.raw);
    }
    let line = if uses_crlf(root) { "\r\n" } else { "\n" };
    let mut write = |octets: &[u8]| text.extend_from_slice(octets);
    if !is_mime {
        write(format!("MIME-Version: 1.0{line}").as_bytes());
    }
    write(format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"{line}").as_bytes());
    let encoding = root.transfer_encoding();
    if encoding == "8bit" || encoding == "binary" {
        write(format!("Content-Transfer-Encoding: {encoding}{line}").as_bytes());
    }
    write(format!("{line}--{boundary}{line}").as_bytes());
    write(&content);
    write(line.as_bytes());
    write(root.body());
    let armored = key.armored()?.replace("\r\n", "\n").replace('\n', line);
    write(
        format!(
            "{line}--{boundary}{line}Content-Type: application/pgp-keys; name=\"public-key.asc\"{line}\
             Content-Disposition: attachment; filename=\"public-key.asc\"{line}{line}{armored}{line}--{boundary}--{line}"
        )
        .as_bytes(),
    );
    Ok(Some(text))
}

/// The key with a secret part that the owner trusts for the author: the newest in good standing.
fn of_author(engine: &Engine<'_>, author: &Address, extent: Extent) -> Option<Publication> {
    let context = engine.context;
    let found = context.keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(author)));
    let found = found.inspect_err(|error| tracing::debug!(event = "key-not-announced", %error)).ok()?;
    let own = found.iter().filter(|record| !record.secrets().is_empty() && record.source(author) == Source::Owner);
    let now = context.clock.now();
    let published = own.filter_map(|record| publication(record, author, extent, now, context.keys).ok());
    published.filter(|key| !key.is_revoked).min_by_key(|key| Reverse(key.created))
}

/// The values of the DKIM signatures (RFC 6376, section 3.5).
fn dkim<'a>(root: Part<'a>) -> impl Iterator<Item = String> + use<'a> {
    root.fields().filter(|field| field.is("DKIM-Signature")).map(|field| field.unfolded())
}

/// Whether a DKIM signature covers fields of this name, so that another one would break it (RFC 6376, section 5.4.2).
fn covers(signature: &str, name: &str) -> bool {
    let mut tags = signature.split(';').filter_map(|tag| tag.split_once('='));
    tags.any(|(tag, value)| tag.trim() == "h" && value.split(':').any(|field| field.trim().eq_ignore_ascii_case(name)))
}
