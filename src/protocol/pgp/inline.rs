//! Writes the inline forms: the cleartext signature framework (RFC 9580, section 7) and armored messages in the text.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use super::{
    armored::{Armored, Block, Checksum},
    encrypt::Readers,
    partial::Partial,
    plan::{Plan, Signers},
    seal::{Tee, write_encrypted_block, write_signature_block},
    sign::{self, Kind, Signatures},
};
use crate::{
    base::{Error, Result},
    mail::{
        Part,
        canonical::{Canonical, Form},
        encoding,
        header::Edit,
    },
    protocol::{
        Context, Headers, Seal, Shape,
        mime_wrap::{hide_bcc, output, write_outer},
    },
};

/// Refuses (kind `Usage`) messages that the inline forms cannot hold: anything but one text, or a protected header.
pub(super) fn fits(root: Part<'_>, how: &Seal) -> Result<()> {
    let hint = "leave the shape out: MIME takes any message";
    if !root.content_type().is("text", "plain") {
        let kind = root.content_type();
        let what = format!("{}/{}", kind.kind, kind.subtype);
        return Err(Error::usage(format!("inline: the message is {what}, not text/plain")).with_hint(hint));
    }
    if how.headers != Headers::Outside {
        return Err(Error::usage("inline: the header cannot be protected").with_hint(hint));
    }
    Ok(())
}

/// Writes the message with its text signed or encrypted in place. Content-Type is kept, because it describes the text
/// inside.
pub(super) fn write(root: Part<'_>, shape: Shape, plan: Plan, context: Context<'_>, out: &mut dyn Write) -> Result<()> {
    let mut header = Edit::new(root);
    let text = root.decoded();
    let cleartext = shape == Shape::Inline && plan.readers.is_none();
    let kind = if cleartext { Kind::Text } else { Kind::Binary };
    let hash = plan.signers.as_ref().map(|signers| signers.hash);
    let begin = |signers: Signers| Signatures::begin(signers.keys, kind, signers.hash, context.random);
    let signatures = plan.signers.map(begin).transpose()?;
    let encryption = plan.readers.as_ref().map(Readers::begin).transpose()?;

    match (signatures, encryption.zip(plan.readers.as_ref())) {
        (signatures, Some((encryption, readers))) => {
            hide_bcc(&mut header);
            write_header(root, header, "7bit", out)?;
            write_encrypted_block(encryption, readers.checksum(), out, |to| {
                write_packets(&text, signatures, plan.at, to)
            })
        }
        (Some(signatures), None) if cleartext => {
            let mut block = Vec::with_capacity(text.len() + text.len() / 16);
            let name = hash.map(sign::text_name).transpose()?.filter(|_| signatures.has_v4());
            write_cleartext(&text, name.as_deref(), signatures, plan.at, &mut block)?;
            if is_seven_bit(&block) {
                write_header(root, header, "7bit", out)?;
                out.write_all(&block).map_err(output)
            } else {
                write_header(root, header, "quoted-printable", out)?;
                out.write_all(&encoding::quoted_printable_encode(&block)).map_err(output)
            }
        }
        (Some(signatures), None) => {
            write_header(root, header, "7bit", out)?;
            let checksum = if signatures.has_v4() { Checksum::Present } else { Checksum::Absent };
            let mut armored = Armored::begin(Block::Message, checksum, out).map_err(output)?;
            write_packets(&text, Some(signatures), plan.at, &mut armored)?;
            armored.finish().map(|_| ()).map_err(output)
        }
        (None, None) => Err(Error::usage("neither a signer nor a recipient is given")),
    }
}

/// Writes a literal data packet, with signatures around it if there are any (RFC 9580, section 10.3).
fn write_packets(text: &[u8], signatures: Option<Signatures>, at: SystemTime, to: &mut dyn Write) -> Result<()> {
    let Some(mut signatures) = signatures else {
        let literal = Partial::literal(to).map_err(output)?;
        return write_crlf(text, literal).and_then(Partial::finish).map(|_| ()).map_err(output);
    };
    to.write_all(&signatures.one_pass()?).map_err(output)?;
    let mut literal = Partial::literal(&mut *to).map_err(output)?;
    write_crlf(text, Tee { signatures: &mut signatures, to: &mut literal }).map_err(output)?;
    literal.finish().map_err(output)?;
    to.write_all(&signatures.finish(at)?).map_err(output)
}

fn write_crlf<W: Write>(text: &[u8], to: W) -> io::Result<W> {
    let mut to = Canonical::new(Form::Crlf, to);
    to.write_all(text)?;
    to.finish()
}

/// Writes the cleartext signature framework. Lines are dash-escaped. The signature covers them without trailing white
/// space and without the last line break (RFC 9580, sections 7.1 and 7.2).
fn write_cleartext(
    text: &[u8],
    hash: Option<&str>,
    mut signatures: Signatures,
    at: SystemTime,
    to: &mut Vec<u8>,
) -> Result<()> {
    to.extend_from_slice(b"-----BEGIN PGP SIGNED MESSAGE-----\r\n");
    if let Some(hash) = hash {
        to.extend_from_slice(format!("Hash: {hash}\r\n").as_bytes());
    }
    to.extend_from_slice(b"\r\n");
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut separator: &[u8] = b"";
    for line in text.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        signatures.write_all(separator).map_err(output)?;
        signatures.write_all(trimmed(line)).map_err(output)?;
        separator = b"\r\n";
        if line.starts_with(b"-") || line.starts_with(b"From ") {
            to.extend_from_slice(b"- ");
        }
        to.extend_from_slice(line);
        to.extend_from_slice(b"\r\n");
    }
    write_signature_block(signatures, at, to)
}

/// The line without trailing white space. RFC 9580, section 7.2 names space and tab. GnuPG also strips CR, so a stray
/// CR before the line break must not be signed.
fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
    line.get(..end).unwrap_or(line)
}

fn write_header(root: Part<'_>, mut header: Edit<'_>, encoding: &str, to: &mut dyn Write) -> Result<()> {
    header.delete("Content-Transfer-Encoding");
    write_outer(root, &header, to)?;
    write!(to, "Content-Transfer-Encoding: {encoding}\r\n\r\n").map_err(output)
}

/// RFC 2045, section 2.7. The maximum line length without the line break is from RFC 5322, section 2.1.1.
fn is_seven_bit(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&0) && text.split(|octet| *octet == b'\n').all(|line| line.len() <= 999)
}
