//! The policy by which certificates are read.

use sequoia_openpgp::{
    Error as PgpError, Packet,
    cert::amalgamation::key::ValidErasedKeyAmalgamation,
    packet::{Signature as Packed, key, signature::subpacket::SubpacketTag},
    policy::{HashAlgoSecurity, Policy},
    types::{AEADAlgorithm, SymmetricAlgorithm},
};

/// A policy that accepts old certificates with any algorithm. `crypto::Strength` rates the signature.
#[derive(Debug)]
pub(super) struct Lenient;

/// See [`Lenient`].
pub(super) const LENIENT: Lenient = Lenient;

impl Policy for Lenient {
    fn signature(&self, signature: &Packed, _: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        match unknown_critical(signature) {
            Some(reason) => Err(PgpError::BadSignature(reason).into()),
            None => Ok(()),
        }
    }

    fn key(&self, _: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn symmetric_algorithm(&self, _: SymmetricAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn aead_algorithm(&self, _: AEADAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn packet(&self, _: &Packet) -> sequoia_openpgp::Result<()> {
        Ok(())
    }
}

/// Unknown critical subpackets and notations make a signature invalid (RFC 9580, sections 5.2.3.7 and 5.2.3.24).
pub(super) fn unknown_critical(packed: &Packed) -> Option<String> {
    packed.hashed_area().iter().filter(|subpacket| subpacket.critical()).find_map(|subpacket| match subpacket.tag() {
        SubpacketTag::Reserved(_) | SubpacketTag::Private(_) | SubpacketTag::Unknown(_) => {
            Some(format!("its critical subpacket {} is not known", u8::from(subpacket.tag())))
        }
        SubpacketTag::NotationData => Some("its critical notation is not known".to_owned()),
        _ => None,
    })
}
