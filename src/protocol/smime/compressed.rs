//! Decompresses CompressedData (RFC 3274) within the Budget.

use const_oid::db::rfc6268;
use der::{
    Reader, SliceReader,
    asn1::{AnyRef, ObjectIdentifier},
};
use flate2::{Decompress, FlushDecompress, Status};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::removed::Decapsulated;
use crate::{
    base::{Budget, Error, Result},
    verdict::LayerKind,
};

/// Decompresses a CompressedData: `data` is its DER without the content octets, `packed` are the content octets.
/// Errors: `Malformed` if it cannot be read or its expansion exceeds the Budget, `Unavailable` if it does not use zlib.
pub(super) fn unpack(data: &[u8], packed: Vec<u8>, budget: &mut Budget) -> Result<Decapsulated> {
    let (algorithm, content_type) = fields(data).map_err(|_| malformed("its fields cannot be read"))?;
    if algorithm != ZLIB {
        return Err(Error::unavailable(format!("compressed data: algorithm {algorithm} is not known")));
    }
    let octets = inflate(&packed, budget)?;
    Ok(Decapsulated {
        layer: LayerKind::Compressed { algorithm: "zlib".to_owned() },
        content_type,
        octets,
        signed: None,
        refusal: None,
    })
}

fn fields(data: &[u8]) -> der::Result<(ObjectIdentifier, ObjectIdentifier)> {
    let whole: AnyRef<'_> = SliceReader::new(data)?.decode()?;
    let mut fields = SliceReader::new(whole.value())?;
    let _version: u32 = fields.decode()?;
    let algorithm: AlgorithmIdentifierRef<'_> = fields.decode()?;
    let content: AnyRef<'_> = fields.decode()?;
    Ok((algorithm.oid, SliceReader::new(content.value())?.decode()?))
}

/// Octets after the end of the zlib stream are ignored.
fn inflate(packed: &[u8], budget: &mut Budget) -> Result<Vec<u8>> {
    let damaged = || malformed("its zlib stream is damaged");
    let mut octets = Vec::new();
    let mut stream = Decompress::new(true);
    loop {
        let (read, written) = (stream.total_in(), octets.len());
        let rest = usize::try_from(read).ok().and_then(|read| packed.get(read..)).unwrap_or_default();
        // Small steps, so that a decompression bomb is detected early.
        budget.make_room(&mut octets, PIECE);
        let status = stream.decompress_vec(rest, &mut octets, FlushDecompress::None).map_err(|_| damaged())?;
        budget.expanded(packed.len(), octets.len())?;
        budget.decompressed(octets.len() - written)?;
        match status {
            Status::StreamEnd => return Ok(octets),
            _ if stream.total_in() == read && octets.len() == written => return Err(damaged()),
            _ => {}
        }
    }
}

fn malformed(reason: &str) -> Error {
    Error::malformed("compressed data", reason)
}

/// id-alg-zlibCompress (RFC 3274, section 2).
const ZLIB: ObjectIdentifier = rfc6268::ID_ALG_ZLIB_COMPRESS;

/// Minimum octets decompressed between two checks of the Budget.
const PIECE: usize = 1024 * 1024;
