//! The octets that a signature hashes after its data, for signing and verifying.

use sequoia_openpgp::{
    packet::signature::subpacket::SubpacketArea,
    serialize::MarshalInto,
    types::{HashAlgorithm, PublicKeyAlgorithm, SignatureType},
};

/// The hashed fields of a version 4 or 6 signature packet, in order.
pub(super) struct Fields<'a> {
    pub(super) version: u8,
    pub(super) kind: SignatureType,
    pub(super) key: PublicKeyAlgorithm,
    pub(super) hash: HashAlgorithm,
    pub(super) hashed: &'a SubpacketArea,
}

impl Fields<'_> {
    /// The packet up to its hashed subpackets, and the length of those octets (RFC 9580, section 5.2.4); `None` if the
    /// subpackets do not fit into the packet.
    pub(super) fn octets(&self) -> Option<Vec<u8>> {
        let area = self.hashed.to_vec().ok()?;
        let mut octets = vec![self.version, self.kind.into(), self.key.into(), self.hash.into()];
        match self.version {
            6 => octets.extend(u32::try_from(area.len()).ok()?.to_be_bytes()),
            _ => octets.extend(u16::try_from(area.len()).ok()?.to_be_bytes()),
        }
        octets.extend(area);
        let count = u32::try_from(octets.len()).ok()?;
        octets.extend([self.version, 0xff]);
        octets.extend(count.to_be_bytes());
        Some(octets)
    }
}
