//! Removes one layer of CMS: EnvelopedData and its variants, CompressedData.

use const_oid::db::{rfc5911, rfc6268};
use der::{
    Reader, SliceReader,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::{
    compressed,
    encode::{self, Frame},
    enveloped,
};
use crate::{
    base::{Budget, Error, Result},
    pki::tlv,
    protocol::Context,
    verdict::LayerKind,
};

/// The content of one removed layer.
#[derive(Debug)]
pub(super) struct Decapsulated {
    /// The layer, for the verdict.
    pub(super) layer: LayerKind,
    /// The type of `octets`: [`DATA`], or another CMS content type without its ContentInfo.
    pub(super) content_type: ObjectIdentifier,
    /// The content.
    pub(super) octets: Vec<u8>,
    /// The signatures of a SignedAndEnvelopedData, as the ContentInfo of a SignedData without content.
    pub(super) signed: Option<Vec<u8>>,
    /// See [`Opened::refusal`](crate::protocol::Opened::refusal).
    pub(super) refusal: Option<Error>,
}

impl Decapsulated {
    /// The content as ContentInfo, if its type is not [`DATA`].
    pub(super) fn into_content_info(self) -> Vec<u8> {
        let mut octets = self.octets;
        octets.splice(..0, content_info(self.content_type, octets.len()));
        octets
    }
}

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

/// The octets before a content of `length` octets in a ContentInfo (RFC 5652, section 3).
pub(super) fn content_info(content_type: ObjectIdentifier, length: usize) -> Vec<u8> {
    Frame::new(tlv::constructed(0), length).within(tlv::SEQUENCE, &[&encode::oid(content_type)], &[]).head
}

/// id-data: a MIME entity (RFC 5652, section 4; RFC 8551, section 3.1).
pub(super) const DATA: ObjectIdentifier = rfc5911::ID_DATA;
/// Signed data (RFC 5652, section 5.1).
pub(super) const SIGNED: ObjectIdentifier = rfc5911::ID_SIGNED_DATA;
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
