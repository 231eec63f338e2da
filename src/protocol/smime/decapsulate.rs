//! Removes one layer of CMS: EnvelopedData and its variants, CompressedData.

use const_oid::db::{rfc5911, rfc6268};
use der::{
    Reader, SliceReader,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::{compressed, enveloped, removed::Decapsulated};
use crate::{
    base::{Budget, Error, Result},
    protocol::Context,
};

/// Removes the layer if `skeleton` is the ContentInfo of one. `skeleton` is its DER without the content octets, which
/// are in `content`. `None` for every other content type. Errors as [`enveloped::decrypt`] and [`compressed::unpack`].
pub(super) fn decapsulate(
    skeleton: &[u8],
    content: Option<Vec<u8>>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Option<Decapsulated>> {
    let (kind, data) = fields(skeleton).map_err(|_| Error::malformed(PLACE, "its fields cannot be read"))?;
    let content = || content.ok_or_else(|| Error::malformed(PLACE, "it holds no content"));
    let unwrapped = match kind {
        COMPRESSED => compressed::unpack(data, content()?, budget)?,
        AUTH_ENVELOPED | ENVELOPED => enveloped::decrypt(data, content()?, context, budget)?,
        SIGNED_AND_ENVELOPED => enveloped::decrypt_signed(data, content()?, context, budget)?,
        _ => return Ok(None),
    };
    Ok(Some(unwrapped))
}

/// The content type, and the DER of the content.
fn fields(skeleton: &[u8]) -> der::Result<(ObjectIdentifier, &[u8])> {
    let info: AnyRef<'_> = SliceReader::new(skeleton)?.decode()?;
    let mut fields = SliceReader::new(info.value())?;
    let kind = fields.decode()?;
    let content: AnyRef<'_> = fields.decode()?;
    Ok((kind, content.value()))
}

/// Enveloped data (RFC 5652, section 6.1).
const ENVELOPED: ObjectIdentifier = rfc5911::ID_ENVELOPED_DATA;
/// Signed and enveloped data (RFC 2315, section 14).
const SIGNED_AND_ENVELOPED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.4");
/// Compressed data (RFC 3274, section 1.1).
const COMPRESSED: ObjectIdentifier = rfc6268::ID_CT_COMPRESSED_DATA;
/// Authenticated enveloped data (RFC 5083, section 2.1).
const AUTH_ENVELOPED: ObjectIdentifier = rfc5911::ID_CT_AUTH_ENVELOPED_DATA;

/// The place that errors name.
const PLACE: &str = "application/pkcs7-mime";
