//! The hash functions that X.509 and CMS name, and the parameters of RSASSA-PSS (RFC 4055, section 3.1), which name two.

use const_oid::db::rfc5912::ID_MGF_1;
use der::asn1::ObjectIdentifier;

use super::tlv::{Element, INTEGER, OID, Reader, constructed};
use crate::{
    base::{Error, Result},
    crypto::Hash,
};

/// RSASSA-PSS-params (RFC 4055, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pss {
    pub(super) hash: Hash,
    pub(super) mgf1: Hash,
    pub(super) salt: u32,
}

impl Pss {
    /// Reads the parameters; what is absent has its default.
    pub(super) fn read(parameters: Element<'_>) -> Result<Pss> {
        let mut fields = parameters.reader();
        let mut pss = Pss { hash: Hash::Sha1, mgf1: Hash::Sha1, salt: 20 };
        if let Some(hash) = fields.optional(constructed(0))? {
            pss.hash = hash_algorithm(hash.value)?;
        }
        if let Some(mask) = fields.optional(constructed(1))? {
            let mut mask = mask.reader().sequence()?;
            if !mask.expect(OID)?.is(&ID_MGF_1) {
                return Err(mask.refuse("a mask generation function that is not MGF1"));
            }
            pss.mgf1 = hash_algorithm(mask.any()?.whole)?;
        }
        if let Some(salt) = fields.optional(constructed(2))? {
            pss.salt = salt.reader().expect(INTEGER)?.count()?;
        }
        if let Some(trailer) = fields.optional(constructed(3))?
            && trailer.reader().expect(INTEGER)?.count()? != 1
        {
            return Err(fields.refuse("a trailer field that is not 1"));
        }
        fields.finish()?;
        Ok(pss)
    }

    /// RFC 4055, section 3.3: hash functions must be those of the key, the salt at least as long.
    pub(super) fn admits(&self, signature: &Pss) -> bool {
        self.hash == signature.hash && self.mgf1 == signature.mgf1 && self.salt <= signature.salt
    }
}

/// The hash function that an AlgorithmIdentifier names.
///
/// # Errors
///
/// `Unavailable` names one that is not supported.
pub(crate) fn hash_algorithm(algorithm: &[u8]) -> Result<Hash> {
    let mut fields = Reader::new(algorithm, "digest algorithm").sequence()?;
    let kind = fields.expect(OID)?;
    if kind.is(&ID_SHAKE_256_LEN) {
        // RFC 8419, section 2.3: the output of Ed448's digest.
        let bits = fields.expect(INTEGER)?.count()?;
        return match bits {
            512 => Ok(Hash::Shake256),
            bits => Err(Error::unavailable(format!("digest algorithm shake256: {bits} bits of output instead of 512"))),
        };
    }
    kind.oid()
        .and_then(Hash::of_oid)
        .ok_or_else(|| Error::unavailable(format!("digest algorithm {}: not known", super::tlv::dotted(kind.value))))
}

/// id-shake256-len (RFC 8419, section 2.3).
const ID_SHAKE_256_LEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.18");
