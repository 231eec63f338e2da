//! When the keys of a certificate expire, without checking a signature.

use std::time::SystemTime;

use sequoia_openpgp::{
    Packet,
    parse::{PacketParser, PacketParserResult, Parse},
};

use super::words;
use crate::base::{Error, Result};

/// When the keys of a certificate expire, by each signature in it that says so (RFC 9580, section 5.2.3.13).
pub(in crate::protocol) fn ends(octets: &[u8]) -> Result<Vec<SystemTime>> {
    let failed = |error: &sequoia_openpgp::anyhow::Error| Error::malformed("certificate", words::reason(error));
    let mut ends = Vec::new();
    let mut created = None;
    let mut next = PacketParser::from_bytes(octets).map_err(|error| failed(&error))?;
    while let PacketParserResult::Some(parser) = next {
        let (packet, rest) = parser.next().map_err(|error| failed(&error))?;
        match packet {
            Packet::PublicKey(key) => created = Some(key.creation_time()),
            Packet::PublicSubkey(key) => created = Some(key.creation_time()),
            Packet::Signature(signature) => {
                let end =
                    created.zip(signature.key_validity_period()).and_then(|(from, period)| from.checked_add(period));
                ends.extend(end);
            }
            _ => {}
        }
        next = rest;
    }
    Ok(ends)
}
