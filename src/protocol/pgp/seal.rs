//! Signs and encrypts in the forms of RFC 3156. Everything is decided first ([`Plan`]); then the message is written in
//! one pass.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use super::{
    armored::{Armored, Block, Checksum},
    encrypt::{Encrypting, Encryption, Readers},
    inline,
    partial::Partial,
    plan::{Plan, Signers},
    select::MessageKeys,
    sign::{Kind, Signatures},
    suite,
};
use crate::{
    base::{Error, Hint, Result},
    mail::{Message, build},
    protocol::{
        Context, Seal, Sealed, Shape,
        mime_wrap::{MimeWrap, Payload, output, write_outer},
    },
};

/// Writes the signed or encrypted `message` to `out`, with CRLF line breaks.
///
/// Errors of kind `NoKey` name the address, the key and the reason. `Usage`: an algorithm is not admitted, or the
/// message does not fit the requested form. These come before the first octet is written. `Malformed`, for a message
/// that no encoding makes fit to be signed, may come later.
pub(super) fn seal(
    message: &Message,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Sealed> {
    let root = message.root();
    if matches!(how.shape, Shape::Inline | Shape::Opaque) {
        inline::fits(root, how)?;
    }
    if how.shape == Shape::Triple {
        return Err(Error::usage("triple wrapping: OpenPGP has no such form").with_hint(Hint::UseProtocol(&["smime"])));
    }
    let plan = Plan::new(root, how, keys, context)?;
    let sealed = plan.sealed.clone();
    match how.shape {
        Shape::Inline | Shape::Opaque => inline::write(root, how.shape, plan, context, out)?,
        Shape::Mime | Shape::Nested | Shape::Triple => write_mime(message, how, plan, context, out)?,
    }
    Ok(sealed)
}

fn write_mime(message: &Message, how: &Seal, plan: Plan, context: Context<'_>, out: &mut dyn Write) -> Result<()> {
    let wrap = MimeWrap::of(message, how);
    let payload = wrap.payload();
    // Everything that can fail for a missing resource is done before the first octet is written.
    let boundaries = [build::boundary(context.random)?, build::boundary(context.random)?];
    let signing = plan.signers.map(|signers| Signing::begin(signers, context)).transpose()?;
    let encryption = plan.readers.as_ref().map(Readers::begin).transpose()?;

    write_outer(message.root(), &wrap.outer, out)?;
    let [first, second] = &boundaries;
    match (signing, encryption.zip(plan.readers.as_ref())) {
        (Some(signing), None) => write_signed(payload, signing, plan.at, first, out),
        (signing, Some((encryption, readers))) => write_encrypted(first, out, |to| {
            write_encrypted_block(encryption, readers.checksum(), to, |to| {
                write_packets(payload, signing, how.shape, plan.at, second, to)
            })
        }),
        (None, None) => Err(Error::usage("neither a signer nor a recipient is given")),
    }
}

/// Writes the packets that are encrypted: the signed or plain payload. `boundary` is for [`Shape::Nested`].
pub(super) fn write_packets(
    payload: Payload<'_>,
    signing: Option<Signing>,
    shape: Shape,
    at: SystemTime,
    boundary: &str,
    to: &mut dyn Write,
) -> Result<()> {
    match (signing, shape) {
        (Some(signing), Shape::Nested) => {
            let mut literal = Partial::literal(to).map_err(output)?;
            write_signed(payload, signing, at, boundary, &mut literal)?;
            literal.finish().map_err(output)?;
        }
        (Some(mut signing), _) => {
            to.write_all(&signing.signatures.one_pass()?).map_err(output)?;
            let mut literal = Partial::literal(&mut *to).map_err(output)?;
            write_payload(payload, &mut signing.signatures, &mut literal)?;
            literal.finish().map_err(output)?;
            to.write_all(&signing.signatures.finish(at)?).map_err(output)?;
        }
        (None, _) => {
            let mut literal = Partial::literal(to).map_err(output)?;
            payload.write(&mut literal)?;
            literal.finish().map_err(output)?;
        }
    }
    Ok(())
}

/// Signatures in progress, and the `micalg` that is written before them.
pub(super) struct Signing {
    signatures: Signatures,
    micalg: String,
}

impl Signing {
    /// Makes the signatures with these keys.
    pub(super) fn begin(signers: Signers, context: Context<'_>) -> Result<Self> {
        let micalg = suite::micalg(signers.hash);
        Ok(Signing { signatures: Signatures::begin(signers.keys, Kind::Binary, signers.hash, context.random)?, micalg })
    }
}

/// Writes the payload in 7-bit form to `to` and to the signatures.
fn write_payload(payload: Payload<'_>, signatures: &mut Signatures, to: &mut dyn Write) -> Result<()> {
    payload.write_signable(&mut Tee { signatures, to })
}

/// Writes the same octets to the signatures and to an output.
pub(super) struct Tee<'a> {
    /// The signatures that hash them.
    pub(super) signatures: &'a mut Signatures,
    /// The output.
    pub(super) to: &'a mut dyn Write,
}

impl Write for Tee<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.to.write_all(octets)?;
        self.signatures.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes multipart/signed, from its Content-Type on (RFC 3156, section 5).
fn write_signed(
    payload: Payload<'_>,
    mut signing: Signing,
    at: SystemTime,
    boundary: &str,
    to: &mut dyn Write,
) -> Result<()> {
    let micalg = &signing.micalg;
    write!(
        to,
        "Content-Type: multipart/signed; micalg={micalg};\r\n protocol=\"application/pgp-signature\";\r\n \
         boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
    )
    .map_err(output)?;
    write_payload(payload, &mut signing.signatures, to)?;
    write!(
        to,
        "\r\n--{boundary}\r\nContent-Type: application/pgp-signature; name=\"signature.asc\"\r\n\
         Content-Description: OpenPGP digital signature\r\n\
         Content-Disposition: attachment; filename=\"signature.asc\"\r\n\r\n"
    )
    .map_err(output)?;
    write_signature_block(signing.signatures, at, to)?;
    write!(to, "\r\n--{boundary}--\r\n").map_err(output)
}

/// Makes the signatures, and writes them as one armor block.
pub(super) fn write_signature_block(signatures: Signatures, at: SystemTime, to: &mut dyn Write) -> Result<()> {
    let checksum = if signatures.has_v4() { Checksum::Present } else { Checksum::Absent };
    let packets = signatures.finish(at)?;
    let mut armored = Armored::begin(Block::Signature, checksum, to).map_err(output)?;
    armored.write_all(&packets).map_err(output)?;
    armored.finish().map(|_| ()).map_err(output)
}

/// Writes multipart/encrypted, from its Content-Type on (RFC 3156, section 4). `block` writes the armored message.
pub(super) fn write_encrypted(
    boundary: &str,
    to: &mut dyn Write,
    block: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    write!(
        to,
        "Content-Type: multipart/encrypted;\r\n protocol=\"application/pgp-encrypted\";\r\n \
         boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\
         Content-Type: application/pgp-encrypted\r\n\
         Content-Description: PGP/MIME version identification\r\n\r\n\
         Version: 1\r\n\r\n--{boundary}\r\n\
         Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
         Content-Description: OpenPGP encrypted message\r\n\
         Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n"
    )
    .map_err(output)?;
    block(&mut *to)?;
    write!(to, "\r\n--{boundary}--\r\n").map_err(output)
}

/// Writes one armored encrypted message. `packets` writes the plaintext packets.
pub(super) fn write_encrypted_block(
    encryption: Encryption<'_>,
    checksum: Checksum,
    to: &mut dyn Write,
    packets: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let armored = Armored::begin(Block::Message, checksum, to).map_err(output)?;
    let mut encrypting: Encrypting<'_, _> = encryption.to(armored);
    packets(&mut encrypting)?;
    encrypting.finish()?.finish().map(|_| ()).map_err(output)
}
