//! What comes out of one wrap of CMS.

use der::asn1::ObjectIdentifier;

use crate::verdict::LayerKind;

/// Content without what was around it.
#[derive(Debug)]
pub(super) struct Unwrapped {
    /// What was around it, for the verdict.
    pub(super) layer: LayerKind,
    /// What `octets` are: [`DATA`], or another content type of CMS without its ContentInfo.
    pub(super) content_type: ObjectIdentifier,
    /// The content itself.
    pub(super) octets: Vec<u8>,
}

/// id-data: a MIME entity (RFC 5652, section 4; RFC 8551, section 3.1).
pub(super) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
