//! One message for several readers, in a message of its own for each: the signatures and the ciphertext are made once, and each message has the
//! RecipientInfo of one reader.

use zeroize::Zeroizing;

use super::{
    encrypt::SharedContent,
    mime::{Entity, Form, Plain},
    plan::Plan,
    seal::signed,
    select::MessageKeys,
};
use crate::{
    base::{Error, Result},
    mail::Message,
    protocol::{
        Context, Seal, Shape,
        mime_wrap::{MimeWrap, write_outer},
    },
};

/// See [`Resolved::seal_each`](crate::protocol::Resolved::seal_each). `None` for triple wrapping, where the outer signature is over the ciphertext.
pub(super) fn seal_each(
    message: &Message,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
) -> Result<Option<Vec<Vec<u8>>>> {
    if matches!(how.shape, Shape::Triple | Shape::Inline) || !how.passwords.is_empty() || how.to.is_empty() {
        return Ok(None);
    }
    let root = message.root();
    let signers = if how.sign.is_empty() {
        None
    } else {
        Plan::new(root, &Seal { to: Vec::new(), ..how.clone() }, keys, context)?.signers
    };
    let wrap = MimeWrap::of(message, how);
    let form = if signers.is_some() { Form::Signable } else { Form::AsItIs };
    let payload = wrap.payload();
    let content: Box<dyn Entity + '_> = Box::new(Plain { payload, form });
    let content = match signers {
        Some(signers) => signed(signers, how.shape, content, context.random)?,
        None => content,
    };
    let mut data = Zeroizing::new(Vec::with_capacity(message.octets().len() + 8 * 1024));
    content.write(&mut *data)?;
    let mut outer = Vec::new();
    write_outer(root, &wrap.outer, &mut outer)?;
    let mut shared: Vec<SharedContent> = Vec::new();
    let mut sealed = Vec::with_capacity(how.to.len());
    for reader in &how.to {
        let alone = Seal { sign: Vec::new(), ..how.to_one(reader) };
        let readers = Plan::new(root, &alone, keys, context)?.readers;
        let readers = readers.ok_or_else(|| Error::usage("no recipient is given"))?;
        let place = match shared.iter().position(|content| content.is_for(&readers)) {
            Some(place) => place,
            None => {
                shared.push(SharedContent::new(&readers, &data, context.random)?);
                shared.len() - 1
            }
        };
        let Some(content) = shared.get(place) else { continue };
        let mut octets = Vec::with_capacity(outer.len() + data.len() * 3 / 2 + 8 * 1024);
        octets.extend_from_slice(&outer);
        content.write(&readers, context.random, &mut octets)?;
        sealed.push(octets);
    }
    Ok(Some(sealed))
}
