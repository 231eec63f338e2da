//! One removed layer of CMS, and its content as ContentInfo.

use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;

use super::encode::{self, Frame};
use crate::{base::Error, pki::tlv, verdict::LayerKind};

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

/// The octets before a content of `length` octets in a ContentInfo (RFC 5652, section 3).
pub(super) fn content_info(content_type: ObjectIdentifier, length: usize) -> Vec<u8> {
    Frame::new(tlv::constructed(0), length).within(tlv::SEQUENCE, &[&encode::oid(content_type)], &[]).head
}

/// id-data: a MIME entity (RFC 5652, section 4; RFC 8551, section 3.1).
pub(super) const DATA: ObjectIdentifier = rfc5911::ID_DATA;
/// Signed data (RFC 5652, section 5.1).
pub(super) const SIGNED: ObjectIdentifier = rfc5911::ID_SIGNED_DATA;
