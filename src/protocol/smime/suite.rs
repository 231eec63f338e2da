//! Maps the algorithms of CMS (object identifiers and parameters) to those of `crypto`.

use const_oid::db::{rfc5911, rfc5912};
use der::{
    Decode, Reader, SliceReader, Tag, TagNumber, Tagged,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::encode;
use crate::{
    base::{Error, Result},
    crypto::{Aead, Cipher, Hash, KeyWrap},
};

/// A content encryption algorithm with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ContentCipher {
    /// Authenticated: RFC 5084, RFC 8103.
    Aead {
        /// The cipher.
        cipher: Aead,
        /// The nonce.
        nonce: Vec<u8>,
        /// The length of the tag in octets, from the parameters.
        tag: usize,
    },
    /// Cipher block chaining, without authentication: RFC 3370, section 5; RFC 3565, section 2.3.
    Cbc {
        /// The cipher.
        cipher: Cipher,
        /// The initialization vector, of any length.
        iv: Vec<u8>,
    },
}

impl ContentCipher {
    /// The cost of decrypting, in passes of AES.
    pub(super) fn cost(&self) -> usize {
        match self {
            ContentCipher::Aead { .. } => 1,
            ContentCipher::Cbc { cipher, .. } => cipher.cost(),
        }
    }

    /// Reads a ContentEncryptionAlgorithmIdentifier (RFC 5652, section 10.1.4). An error of kind `Unavailable` if the
    /// algorithm is unknown, `Malformed` if its parameters are invalid.
    pub(super) fn read(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<ContentCipher> {
        let unreadable = |_| Error::malformed("content encryption algorithm", "its parameters cannot be read");
        let parameters = || algorithm.parameters.ok_or_else(|| Tag::Null.value_error().into());
        let octets =
            || parameters().and_then(|any| any.decode_as::<&OctetStringRef>()).map(|iv| iv.as_bytes().to_vec());
        if let Some(cipher) = Aead::of_oid(algorithm.oid) {
            let (nonce, tag) = match cipher {
                Aead::ChaCha20Poly1305 => (octets(), TAG),
                _ => match parameters().and_then(gcm) {
                    Ok((nonce, tag)) => (Ok(nonce), tag),
                    Err(error) => (Err(error), 0),
                },
            };
            return Ok(ContentCipher::Aead { cipher, nonce: nonce.map_err(unreadable)?, tag });
        }
        if algorithm.oid == RC2_CBC {
            let (bits, iv) = parameters().and_then(rc2).map_err(unreadable)?;
            let cipher = match bits {
                40 => Cipher::Rc2_40,
                64 => Cipher::Rc2_64,
                128 => Cipher::Rc2_128,
                bits => {
                    return Err(Error::unavailable(format!(
                        "enveloped data: rc2 with {bits} effective bits is not known"
                    )));
                }
            };
            return Ok(ContentCipher::Cbc { cipher, iv });
        }
        match Cipher::of_oid(algorithm.oid) {
            Some(cipher) => Ok(ContentCipher::Cbc { cipher, iv: octets().map_err(unreadable)? }),
            None => Err(Error::unavailable(format!("enveloped data: cipher {} is not known", algorithm.oid))),
        }
    }

    /// The ContentEncryptionAlgorithmIdentifier; `None` if CMS has no identifier for the cipher.
    pub(super) fn identifier(&self) -> Option<Vec<u8>> {
        let rc2 = |version: u8, iv| encode::sequence(&[&encode::unsigned(&[version]), &encode::octet_string(iv)]);
        match self {
            ContentCipher::Aead { cipher, nonce, tag } => {
                let parameters = match cipher {
                    Aead::ChaCha20Poly1305 => encode::octet_string(nonce),
                    _ => {
                        let tag = u8::try_from(*tag).ok().filter(|tag| *tag != SHORT_TAG);
                        let tag = tag.map(|tag| encode::unsigned(&[tag])).unwrap_or_default();
                        encode::sequence(&[&encode::octet_string(nonce), &tag])
                    }
                };
                Some(encode::algorithm(cipher.oid()?, &parameters))
            }
            ContentCipher::Cbc { cipher: Cipher::Rc2_40, iv } => Some(encode::algorithm(RC2_CBC, &rc2(160, iv))),
            ContentCipher::Cbc { cipher: Cipher::Rc2_64, iv } => Some(encode::algorithm(RC2_CBC, &rc2(120, iv))),
            ContentCipher::Cbc { cipher: Cipher::Rc2_128, iv } => Some(encode::algorithm(RC2_CBC, &rc2(58, iv))),
            ContentCipher::Cbc { cipher, iv } => Some(encode::algorithm(cipher.oid()?, &encode::octet_string(iv))),
        }
    }

    /// The name used in reports: `aes256-gcm`, `aes256-cbc`, `rc2-40-cbc`.
    pub(super) fn name(&self) -> String {
        match self {
            ContentCipher::Aead { cipher, .. } => cipher.name().to_owned(),
            ContentCipher::Cbc { cipher, .. } => format!("{}-cbc", cipher.name()),
        }
    }

    /// Whether it is too weak to be opened without `Legacy::Admit`. RFC 8551, section 2.7 requires reading triple DES,
    /// and lists none of these.
    pub(super) fn is_historic(&self) -> bool {
        use Cipher::{Des, Rc2_40, Rc2_64, Rc2_128};
        matches!(self, ContentCipher::Cbc { cipher: Des | Rc2_40 | Rc2_64 | Rc2_128, .. })
    }
}

/// The key wrap algorithm for an identifier, and the length in octets of the key that wraps (RFC 3370, section 4.3; RFC
/// 3565, section 2.3.2; RFC 5649); `None` if unknown.
pub(super) fn key_wrap(oid: ObjectIdentifier) -> Option<(KeyWrap, usize)> {
    find(&WRAPS, oid)
}

/// The identifier of a key wrap algorithm; `None` if it has none.
pub(super) fn key_wrap_identifier(wrap: KeyWrap, length: usize) -> Option<ObjectIdentifier> {
    identifier(&WRAPS, (wrap, length))
}

/// The hash function of a digest algorithm (RFC 3370, section 2; RFC 5754, section 2; RFC 8702); `None` if unknown.
pub(super) fn hash(oid: ObjectIdentifier) -> Option<Hash> {
    Hash::of_oid(oid).filter(|hash| !UNWRITTEN.contains(hash))
}

/// The identifier of a hash function; `None` if it has none.
pub(super) fn hash_identifier(hash: Hash) -> Option<ObjectIdentifier> {
    hash.oid().filter(|_| !UNWRITTEN.contains(&hash))
}

/// GCMParameters (RFC 5084, section 3.2): the nonce, and the length of the tag.
fn gcm(parameters: AnyRef<'_>) -> der::Result<(Vec<u8>, usize)> {
    parameters.sequence(|fields| {
        let nonce: &OctetStringRef = fields.decode()?;
        let tag = if fields.is_finished() { SHORT_TAG } else { fields.decode::<u8>()? };
        Ok((nonce.as_bytes().to_vec(), usize::from(tag)))
    })
}

/// RC2-CBCParameter (RFC 2268, section 6; RFC 3370, section 5.2): effective bits, and the initialization vector.
fn rc2(parameters: AnyRef<'_>) -> der::Result<(u32, Vec<u8>)> {
    // Without a version: 32 bits.
    if parameters.tag() == Tag::OctetString {
        return Ok((32, parameters.value().to_vec()));
    }
    parameters.sequence(|fields| {
        let version: u32 = fields.decode()?;
        let iv: &OctetStringRef = fields.decode()?;
        let bits = match version {
            160 => 40,
            120 => 64,
            58 => 128,
            other => other,
        };
        Ok((bits, iv.as_bytes().to_vec()))
    })
}

/// RSAES-OAEP-params (RFC 8017, appendix A.2.1; RFC 4055, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Oaep<'a> {
    /// The hash function over the label.
    pub(super) hash: Hash,
    /// The hash function of the mask generation function, MGF1.
    pub(super) mgf: Hash,
    /// The label.
    pub(super) label: &'a [u8],
}

impl<'a> Oaep<'a> {
    /// Reads the parameters of id-RSAES-OAEP; absent ones have defaults. `None` if they are invalid or name an unknown
    /// algorithm.
    pub(super) fn read(parameters: Option<AnyRef<'a>>) -> Option<Self> {
        let mut oaep = Oaep { hash: Hash::Sha1, mgf: Hash::Sha1, label: &[] };
        let Some(parameters) = parameters.filter(|parameters| parameters.tag() != Tag::Null) else { return Some(oaep) };
        parameters.tag().assert_eq(Tag::Sequence).ok()?;
        let mut fields = SliceReader::new(parameters.value()).ok()?;
        while !fields.is_finished() {
            let field: AnyRef<'a> = fields.decode().ok()?;
            let algorithm = AlgorithmIdentifierRef::from_der(field.value()).ok()?;
            match field.tag() {
                tag if tag == explicit(0) => oaep.hash = hash(algorithm.oid)?,
                tag if tag == explicit(1) && algorithm.oid == MGF1 => {
                    let inner = algorithm.parameters?.decode_as::<AlgorithmIdentifierRef<'_>>().ok()?;
                    oaep.mgf = hash(inner.oid)?;
                }
                tag if tag == explicit(2) && algorithm.oid == P_SPECIFIED => {
                    oaep.label = algorithm.parameters?.decode_as::<&OctetStringRef>().ok()?.as_bytes();
                }
                _ => return None,
            }
        }
        Some(oaep)
    }
}

/// The context-specific constructed tag `[number]`.
pub(super) fn explicit(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn find<T: Copy>(table: &[(T, ObjectIdentifier)], oid: ObjectIdentifier) -> Option<T> {
    table.iter().find(|(_, known)| *known == oid).map(|(value, _)| *value)
}

fn identifier<T: Copy + PartialEq>(table: &[(T, ObjectIdentifier)], value: T) -> Option<ObjectIdentifier> {
    table.iter().find(|(known, _)| *known == value).map(|(_, oid)| *oid)
}

/// The full length of a tag in octets.
const TAG: usize = 16;

/// The default length of a GCM tag (RFC 5084, section 3.2).
const SHORT_TAG: u8 = 12;

/// RFC 3565, section 4; RFC 5649, section 4; RFC 3370, section 4.3.
const WRAPS: [((KeyWrap, usize), ObjectIdentifier); 8] = [
    ((KeyWrap::Aes, 16), rfc5911::ID_AES_128_WRAP),
    ((KeyWrap::Aes, 24), rfc5911::ID_AES_192_WRAP),
    ((KeyWrap::Aes, 32), rfc5911::ID_AES_256_WRAP),
    ((KeyWrap::AesPadded, 16), ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.8")),
    ((KeyWrap::AesPadded, 24), ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.28")),
    ((KeyWrap::AesPadded, 32), ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.48")),
    ((KeyWrap::Rc2, 16), rfc5911::ID_ALG_CMSRC_2_WRAP),
    ((KeyWrap::TripleDes, 24), rfc5911::ID_ALG_CMS_3_DE_SWRAP),
];

/// No digest algorithms of S/MIME (RFC 3370, section 2; RFC 5754, section 2; RFC 9688). RFC 8702 has SHAKE as part of a signature algorithm alone.
const UNWRITTEN: [Hash; 6] =
    [Hash::Md2, Hash::Sha3_224, Hash::Sha512_224, Hash::Sha512_256, Hash::Shake128, Hash::Shake256];

/// rc2-cbc (RFC 3370, section 5.2).
const RC2_CBC: ObjectIdentifier = rfc5911::RC_2_CBC;
/// id-mgf1 (RFC 8017, appendix A.2.1).
const MGF1: ObjectIdentifier = rfc5912::ID_MGF_1;
/// id-pSpecified (RFC 8017, appendix A.2.1).
const P_SPECIFIED: ObjectIdentifier = rfc5912::ID_P_SPECIFIED;
