//! Key encapsulation: KEMRecipientInfo (RFC 9629) with ML-KEM (RFC 9936), read and written.

use der::{
    Encode, Reader, SliceReader,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    encode::{algorithm, constructed, integer, octet_string, oid, sequence, unsigned, value},
    suite,
};
use crate::{
    base::{Error, Result, Secret},
    crypto::{self, Hash, KeyAlgorithm, KeyWrap, MlKem, SecretKey, unless_refused},
};

/// A content key that a secret wraps, and the ciphertext that holds the secret.
#[derive(Debug)]
pub(super) struct Encapsulated<'a> {
    set: MlKem,
    ciphertext: &'a [u8],
    derivation: Derivation,
    wrapped: &'a [u8],
}

impl<'a> Encapsulated<'a> {
    /// Reads the fields of a KEMRecipientInfo behind the recipient's identifier (RFC 9629, section 3). The error says what is wrong with them, in words
    /// that follow "cannot be unwrapped: ".
    pub(super) fn read(fields: &mut SliceReader<'a>, version: u32) -> std::result::Result<Encapsulated<'a>, String> {
        let unreadable = |_: der::Error| "its fields cannot be read (RFC 9629, section 3)".to_owned();
        if version != 0 {
            return Err(format!("version {version} of KEMRecipientInfo is not known (RFC 9629, section 3)"));
        }
        let kem: AlgorithmIdentifierRef<'a> = fields.decode().map_err(unreadable)?;
        let ciphertext: &OctetStringRef = fields.decode().map_err(unreadable)?;
        let kdf: AlgorithmIdentifierRef<'a> = fields.decode().map_err(unreadable)?;
        let length: u16 = fields.decode().map_err(|_| "kekLength is not within 1 to 65535 (RFC 9629, section 3)")?;
        let mut next: AnyRef<'a> = fields.decode().map_err(unreadable)?;
        let mut ukm = None;
        if der::Tagged::tag(&next) == suite::explicit(0) {
            let inner = SliceReader::new(next.value()).and_then(|mut inner| inner.decode::<&OctetStringRef>());
            ukm = Some(inner.map_err(unreadable)?.as_bytes().to_vec());
            next = fields.decode().map_err(unreadable)?;
        }
        let wrap: AlgorithmIdentifierRef<'a> = next.decode_as().map_err(unreadable)?;
        let wrapped: &OctetStringRef = fields.decode().map_err(unreadable)?;
        if !fields.is_finished() {
            return Err("octets follow its fields (RFC 9629, section 3)".to_owned());
        }

        let set =
            MlKem::of_oid(kem.oid).ok_or_else(|| format!("key encapsulation algorithm {} is not known", kem.oid))?;
        if kem.parameters.is_some() {
            return Err(format!("{} has parameters (RFC 9935, section 3)", set.name()));
        }
        let (got, right) = (ciphertext.as_bytes().len(), set.ciphertext_length());
        if got != right {
            return Err(format!("its {} ciphertext has {got} octets instead of {right}", set.name()));
        }
        let hash = hash(kdf.oid).ok_or_else(|| format!("key derivation algorithm {} is not known", kdf.oid))?;
        if kdf.parameters.is_some() {
            return Err(format!("key derivation algorithm {} has parameters (RFC 8619, section 3)", kdf.oid));
        }
        let known = suite::key_wrap(wrap.oid);
        let (kind, needed) = known.ok_or_else(|| format!("key wrap algorithm {} is not known", wrap.oid))?;
        if usize::from(length) != needed {
            let lengths = format!("kekLength is {length}, and key wrap algorithm {} takes {needed} octets", wrap.oid);
            return Err(format!("{lengths} (RFC 9936, section 2.2.1)"));
        }
        let wrap_identifier = wrap.to_der().map_err(unreadable)?;
        let derivation = Derivation { hash, wrap: kind, length: needed, wrap_identifier, ukm };
        Ok(Encapsulated { set, ciphertext: ciphertext.as_bytes(), derivation, wrapped: wrapped.as_bytes() })
    }

    /// Whether a key of this kind could open it.
    pub(super) fn suits(&self, key: KeyAlgorithm) -> bool {
        key == KeyAlgorithm::MlKem(self.set)
    }

    /// Unwraps the content key. A ciphertext for another key yields another secret (FIPS 203, section 6.3), and that unwraps nothing.
    /// An error only for a key that cannot be reached.
    pub(super) fn unwrap(&self, secret: &dyn SecretKey) -> Result<Option<Secret>> {
        let Some(shared) = unless_refused(secret.decapsulate(self.ciphertext))? else { return Ok(None) };
        let kek = self.derivation.kek(&shared);
        Ok(kek.and_then(|kek| self.derivation.wrap.unwrap(&kek, self.wrapped)).ok())
    }
}

/// How the key that wraps is made of the shared secret, and what it wraps with.
#[derive(Debug)]
struct Derivation {
    hash: Hash,
    wrap: KeyWrap,
    /// Octets of the key that wraps.
    length: usize,
    /// The wrap algorithm as in the message.
    wrap_identifier: Vec<u8>,
    ukm: Option<Vec<u8>>,
}

impl Derivation {
    /// HKDF without salt over CMSORIforKEMOtherInfo (RFC 9629, section 5; RFC 9936, section 2.2.1).
    fn kek(&self, shared: &Secret) -> Result<Secret> {
        let info = sequence(&[&self.wrap_identifier, &self.written_length(), &self.written_ukm()]);
        crypto::hkdf(self.hash, &[], shared, &info, self.length)
    }

    fn written_length(&self) -> Vec<u8> {
        unsigned(&u32::try_from(self.length).unwrap_or_default().to_be_bytes())
    }

    fn written_ukm(&self) -> Vec<u8> {
        self.ukm.as_ref().map(|ukm| value(constructed(0), &[&octet_string(ukm)])).unwrap_or_default()
    }
}

/// OtherRecipientInfo with a KEMRecipientInfo that wraps `content_key` for the owner of `public`, whom `reader` identifies in DER.
///
/// # Errors
///
/// `NoKey` when `public` is no key of this set.
pub(super) fn recipient_info(set: MlKem, public: &[u8], reader: &[u8], content_key: &Secret) -> Result<Vec<u8>> {
    let key = KeyAlgorithm::MlKem(set);
    let length = set.wrap_length();
    let identifier = suite::key_wrap_identifier(KeyWrap::Aes, length).zip(set.oid());
    let (wrap, kem) = identifier.ok_or_else(|| key.refuses("be encrypted to"))?;
    let wrap_identifier = algorithm(wrap, &[]);
    let derivation = Derivation { hash: Hash::Sha256, wrap: KeyWrap::Aes, length, wrap_identifier, ukm: None };
    let (ciphertext, shared) = crypto::encapsulate(set, public)?;
    let wrapped = KeyWrap::Aes.wrap(&derivation.kek(&shared)?, content_key)?;
    let info = sequence(&[
        &integer(&[0]),
        reader,
        &algorithm(kem, &[]),
        &octet_string(&ciphertext),
        &algorithm(HKDF_SHA256, &[]),
        &derivation.written_length(),
        &derivation.wrap_identifier,
        &octet_string(&wrapped),
    ]);
    Ok(value(constructed(4), &[&oid(ID_ORI_KEM), &info]))
}

/// The reason to refuse a key transport by ML-KEM; `None` for another algorithm.
pub(super) fn misplaced(algorithm: ObjectIdentifier) -> Option<String> {
    let set = MlKem::of_oid(algorithm)?;
    let place = "in a KeyTransRecipientInfo; its place is a KEMRecipientInfo (RFC 9936, section 2.1)";
    Some(format!("{} {place}", set.name()))
}

/// The hash of a key derivation algorithm (RFC 8619, section 3); `None` for another one than HKDF.
fn hash(oid: ObjectIdentifier) -> Option<Hash> {
    match oid {
        HKDF_SHA256 => Some(Hash::Sha256),
        HKDF_SHA384 => Some(Hash::Sha384),
        HKDF_SHA512 => Some(Hash::Sha512),
        _ => None,
    }
}

/// The refusal of a content key that AES key wrap does not take (RFC 3394, section 2).
///
/// # Errors
///
/// `Usage`, with the reason.
pub(super) fn check_content_key(key: KeyAlgorithm, length: usize) -> Result<()> {
    if length >= 16 && length.is_multiple_of(8) {
        return Ok(());
    }
    let reason = format!("{} key: AES key wrap does not take a content key of {length} octets", key.name());
    Err(Error::usage(reason).with_hint("take another cipher, or an RSA certificate"))
}

/// id-ori-kem (RFC 9629, section 3).
pub(super) const ID_ORI_KEM: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.13.3");
/// RFC 8619, section 3.
const HKDF_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.28");
const HKDF_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.29");
const HKDF_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.30");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::smime::encode::NULL;

    /// What is wrong with the fields for ML-KEM-768 with these parameters of the algorithms, and what follows.
    fn refused(version: u32, kem: &[u8], kdf: &[u8], more: &[u8]) -> Option<String> {
        let set = MlKem::MlKem768;
        let wrap = suite::key_wrap_identifier(KeyWrap::Aes, 32).unwrap();
        let fields = [
            &algorithm(set.oid().unwrap(), kem)[..],
            &octet_string(&vec![7; set.ciphertext_length()]),
            &algorithm(HKDF_SHA256, kdf),
            &unsigned(&[32]),
            &algorithm(wrap, &[]),
            &octet_string(&[7; 40]),
            more,
        ];
        let fields = fields.concat();
        Encapsulated::read(&mut SliceReader::new(&fields).unwrap(), version).err()
    }

    #[test]
    fn what_rfc_9629_and_9936_do_not_have_is_refused() {
        assert_eq!(refused(0, &[], &[], &[]), None);
        for (refusal, words) in [
            (refused(1, &[], &[], &[]), "version 1 of KEMRecipientInfo is not known"),
            (refused(0, NULL, &[], &[]), "ml-kem-768 has parameters"),
            (refused(0, &[], NULL, &[]), "key derivation algorithm 1.2.840.113549.1.9.16.3.28 has parameters"),
            (refused(0, &[], &[], NULL), "octets follow its fields"),
        ] {
            assert!(refusal.as_ref().is_some_and(|refusal| refusal.starts_with(words)), "{words}: {refusal:?}");
        }
    }

    #[test]
    fn aes_key_wrap_takes_whole_blocks_from_16_octets_on() {
        let key = KeyAlgorithm::MlKem(MlKem::MlKem768);
        let taken: Vec<usize> = (0..=40).filter(|length| check_content_key(key, *length).is_ok()).collect();
        assert_eq!(taken, [16, 24, 32, 40]);
    }
}
