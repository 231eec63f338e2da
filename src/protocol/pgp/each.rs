//! One message for several readers, in a message of its own for each: the signatures and the ciphertext are made once, and each message has the key
//! packets of one reader.

use std::io::Write;

use zeroize::Zeroizing;

use super::{
    armored::{Armored, Block},
    encrypt::SharedContent,
    plan::Plan,
    seal::{Signing, write_encrypted, write_packets},
    select::MessageKeys,
};
use crate::{
    base::{Error, Result},
    mail::{Message, build},
    protocol::{
        Context, Seal, Shape,
        mime_wrap::{MimeWrap, output, write_outer},
    },
};

/// See [`Resolved::seal_each`](crate::protocol::Resolved::seal_each). `None` for a form that is not MIME.
pub(super) fn seal_each(
    message: &Message,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
) -> Result<Option<Vec<Vec<u8>>>> {
    if !matches!(how.shape, Shape::Mime | Shape::Nested) || !how.passwords.is_empty() || how.to.is_empty() {
        return Ok(None);
    }
    let root = message.root();
    let at = how.at.unwrap_or_else(|| context.clock.now());
    let signing = if how.sign.is_empty() {
        None
    } else {
        let plan = Plan::new(root, &Seal { to: Vec::new(), ..how.clone() }, keys, context)?;
        plan.signers.map(|signers| Signing::begin(signers, context)).transpose()?
    };
    let wrap = MimeWrap::of(message, how);
    let payload = wrap.payload();
    let [first, second] = [build::boundary(context.random)?, build::boundary(context.random)?];
    let mut plaintext = Zeroizing::new(Vec::with_capacity(message.octets().len() + 4 * 1024));
    write_packets(payload, signing, how.shape, at, &second, &mut *plaintext)?;
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
                shared.push(SharedContent::new(&readers, &plaintext)?);
                shared.len() - 1
            }
        };
        let Some(content) = shared.get(place) else { continue };
        let packets = readers.key_packets(content)?;
        let mut octets = Vec::with_capacity(outer.len() + (content.packet().len() + packets.len()) * 3 / 2 + 1024);
        octets.extend_from_slice(&outer);
        write_encrypted(&first, &mut octets, |to| {
            let mut armored = Armored::begin(Block::Message, readers.checksum(), to).map_err(output)?;
            armored.write_all(&packets).and_then(|()| armored.write_all(content.packet())).map_err(output)?;
            armored.finish().map(|_| ()).map_err(output)
        })?;
        sealed.push(octets);
    }
    Ok(Some(sealed))
}
