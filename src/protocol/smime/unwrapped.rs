//! One wrap of CMS taken off: EnvelopedData and its kin, CompressedData.

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

/// Content without what was around it.
#[derive(Debug)]
pub(super) struct Unwrapped {
    /// What was around it, for the verdict.
    pub(super) layer: LayerKind,
    /// What `octets` are: [`DATA`], or another content type of CMS without its ContentInfo.
    pub(super) content_type: ObjectIdentifier,
    /// The content itself.
    pub(super) octets: Vec<u8>,
    /// The signatures that came along with SignedAndEnvelopedData: the ContentInfo of a SignedData without content.
    pub(super) signed: Option<Vec<u8>>,
    /// See [`Opened::refusal`](crate::protocol::Opened::refusal).
    pub(super) refusal: Option<Error>,
}

impl Unwrapped {
    /// The ContentInfo of what is within, which is not [`DATA`].
    pub(super) fn into_content_info(self) -> Vec<u8> {
        let mut octets = self.octets;
        octets.splice(..0, content_info(self.content_type, octets.len()));
        octets
    }
}

/// Takes the wrap off, if `skeleton` is the ContentInfo of one: its DER without the content octets, and `content` those. `None` for every
/// other content type. Errors as [`enveloped::decrypt`] and [`compressed::unpack`].
pub(super) fn unwrap(
    skeleton: &[u8],
    content: Option<Vec<u8>>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Option<Unwrapped>> {
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

/// The octets before the content of a ContentInfo (RFC 5652, section 3), an element of so many octets.
pub(super) fn content_info(content_type: ObjectIdentifier, length: usize) -> Vec<u8> {
    Frame::new(tlv::constructed(0), length).within(tlv::SEQUENCE, &[&encode::oid(content_type)], &[]).head
}

/// id-data: a MIME entity (RFC 5652, section 4; RFC 8551, section 3.1).
pub(super) const DATA: ObjectIdentifier = rfc5911::ID_DATA;
/// RFC 5652, section 5.1.
pub(super) const SIGNED: ObjectIdentifier = rfc5911::ID_SIGNED_DATA;
/// RFC 5652, section 6.1.
const ENVELOPED: ObjectIdentifier = rfc5911::ID_ENVELOPED_DATA;
/// RFC 2315, section 14.
const SIGNED_AND_ENVELOPED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.4");
/// RFC 3274, section 1.1.
const COMPRESSED: ObjectIdentifier = rfc6268::ID_CT_COMPRESSED_DATA;
/// RFC 5083, section 2.1.
const AUTH_ENVELOPED: ObjectIdentifier = rfc5911::ID_CT_AUTH_ENVELOPED_DATA;

/// Where errors are.
const PLACE: &str = "application/pkcs7-mime";
