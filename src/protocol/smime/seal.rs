//! Signs and encrypts in the forms of RFC 8551, section 3, with triple wrapping (RFC 2634, section 1.1). Everything is
//! decided first ([`Plan`]).

use std::io::Write;

use super::{
    encrypt::Enveloped,
    mime::{Entity, Form, Plain},
    plan::Plan,
    select::MessageKeys,
    sign::{ClearSigned, OpaqueSigned, Signers},
};
use crate::{
    base::{Error, Hint, Random, Result},
    mail::{Message, build},
    protocol::{
        Context, Seal, Sealed, Shape,
        mime_wrap::{MimeWrap, write_outer},
    },
};

/// Writes the signed or encrypted `message` to `out`, with CRLF line breaks.
///
/// Errors of kind `NoKey` name the address, the certificate and the reason. `Usage`: an algorithm is not admitted, or
/// the message does not fit the requested form. These come before the first octet is written. `Malformed`, for a
/// message that no encoding makes fit to be signed, may come later.
pub(super) fn seal(
    message: &Message,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Sealed> {
    if how.shape == Shape::Inline {
        return Err(Error::usage("inline: S/MIME has no such form").with_hint(Hint::UseOpaque));
    }
    let Plan { signers, readers, sealed } = Plan::new(message.root(), how, keys, context)?;
    let wrap = MimeWrap::of(message, how);
    let form = if signers.is_some() { Form::Signable } else { Form::AsItIs };
    let payload = wrap.payload();
    let content: Box<dyn Entity + '_> = Box::new(Plain { payload, form });
    let entity = match (signers, readers) {
        (Some(signers), Some(readers)) if how.shape == Shape::Triple => {
            let innermost = signed(signers.clone(), Shape::Mime, content, context.random)?;
            let enveloped = Box::new(Enveloped::new(&readers, innermost, context.random)?);
            signed(signers, Shape::Mime, enveloped, context.random)?
        }
        (_, _) if how.shape == Shape::Triple => {
            return Err(Error::usage("triple wrapping: needs a signer and a recipient"));
        }
        (Some(signers), None) => signed(signers, how.shape, content, context.random)?,
        (Some(signers), Some(readers)) => {
            let within = signed(signers, how.shape, content, context.random)?;
            Box::new(Enveloped::new(&readers, within, context.random)?)
        }
        (None, Some(readers)) => Box::new(Enveloped::new(&readers, content, context.random)?),
        (None, None) => content,
    };
    write_outer(message.root(), &wrap.outer, out)?;
    entity.write(out)?;
    Ok(sealed)
}

/// The entity signed, in this shape.
pub(super) fn signed<'a>(
    signers: Signers,
    shape: Shape,
    content: Box<dyn Entity + 'a>,
    random: &dyn Random,
) -> Result<Box<dyn Entity + 'a>> {
    Ok(match shape {
        Shape::Opaque => Box::new(OpaqueSigned::new(&signers, content)?),
        _ => Box::new(ClearSigned::new(signers, content, build::boundary(random)?)),
    })
}
