//! Content keys wrapped with a password or a shared symmetric key: PasswordRecipientInfo (RFC 3211; RFC 5652, section
//! 6.2.4) and KEKRecipientInfo (RFC 5652, section 6.2.3).

use const_oid::db::rfc5911;
use der::{
    Reader, SliceReader, Tag, Tagged,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::suite::{self, ContentCipher};
use crate::{
    base::{Budget, Result, Secret},
    crypto::{self, Cipher, Hash, KeyWrap},
};

/// A PasswordRecipientInfo.
#[derive(Debug)]
pub(super) struct PasswordRecipient<'a> {
    /// `None` if the password is the key itself.
    derivation: Option<Pbkdf2<'a>>,
    cipher: Cipher,
    iv: Vec<u8>,
    wrapped: &'a [u8],
}

impl<'a> PasswordRecipient<'a> {
    /// Reads its fields. `None` if they are invalid or name an unknown algorithm.
    pub(super) fn read(mut fields: SliceReader<'a>) -> Option<Self> {
        let _version: u32 = fields.decode().ok()?;
        let mut next: AnyRef<'a> = fields.decode().ok()?;
        let mut derivation = None;
        if next.tag() == suite::explicit(0) {
            // An implicit tag, with the content of an AlgorithmIdentifier.
            let mut algorithm = SliceReader::new(next.value()).ok()?;
            let oid: ObjectIdentifier = algorithm.decode().ok()?;
            let parameters: AnyRef<'a> = algorithm.decode().ok()?;
            derivation = Some(Pbkdf2::read(parameters).filter(|_| oid == PBKDF2)?);
            next = fields.decode().ok()?;
        }
        let algorithm: AlgorithmIdentifierRef<'a> = next.decode_as().ok()?;
        let inner = algorithm.parameters.filter(|_| algorithm.oid == PWRI_KEK)?;
        let inner = inner.decode_as::<AlgorithmIdentifierRef<'a>>().ok()?;
        let ContentCipher::Cbc { cipher, iv } = ContentCipher::read(&inner).ok()? else { return None };
        let wrapped: &OctetStringRef = fields.decode().ok()?;
        Some(PasswordRecipient { derivation, cipher, iv, wrapped: wrapped.as_bytes() })
    }

    /// The content key, if `password` is right. Errors only if the derivation exceeds the Budget.
    pub(super) fn unwrap(&self, password: &Secret, budget: &mut Budget) -> Result<Option<Secret>> {
        let kek = match &self.derivation {
            None => password.clone(),
            Some(derivation) => {
                let Pbkdf2 { hash, salt, iterations } = *derivation;
                let length = self.cipher.key_length();
                budget.derivation(crypto::pbkdf2_cost(hash, iterations, length))?;
                crypto::pbkdf2(hash, password, salt, iterations, length)?
            }
        };
        Ok(crypto::unwrap_for_password(self.cipher, &kek, &self.iv, self.wrapped).ok())
    }
}

/// PBKDF2-params (RFC 8018, appendix A.2). Its key length is ignored: the cipher decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pbkdf2<'a> {
    hash: Hash,
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Pbkdf2<'a> {
    fn read(parameters: AnyRef<'a>) -> Option<Self> {
        parameters.tag().assert_eq(Tag::Sequence).ok()?;
        let mut fields = SliceReader::new(parameters.value()).ok()?;
        let salt: &OctetStringRef = fields.decode().ok()?;
        let iterations = fields.decode().ok()?;
        let mut hash = Hash::Sha1;
        while !fields.is_finished() {
            let field: AnyRef<'a> = fields.decode().ok()?;
            if field.tag() == Tag::Sequence {
                hash = Hash::of_hmac(field.decode_as::<AlgorithmIdentifierRef<'a>>().ok()?.oid)?;
            }
        }
        Some(Pbkdf2 { hash, salt: salt.as_bytes(), iterations })
    }
}

/// A KEKRecipientInfo.
#[derive(Debug)]
pub(super) struct KekRecipient<'a> {
    /// The identifier of the shared key.
    pub(super) identifier: &'a [u8],
    wrap: KeyWrap,
    length: usize,
    wrapped: &'a [u8],
}

impl<'a> KekRecipient<'a> {
    /// Reads its fields. `None` if they are invalid or name an unknown algorithm.
    pub(super) fn read(mut fields: SliceReader<'a>) -> Option<Self> {
        let _version: u32 = fields.decode().ok()?;
        let named: AnyRef<'a> = fields.decode().ok()?;
        let identifier: &OctetStringRef = SliceReader::new(named.value()).ok()?.decode().ok()?;
        let algorithm: AlgorithmIdentifierRef<'a> = fields.decode().ok()?;
        let (wrap, length) = suite::key_wrap(algorithm.oid)?;
        let wrapped: &OctetStringRef = fields.decode().ok()?;
        Some(KekRecipient { identifier: identifier.as_bytes(), wrap, length, wrapped: wrapped.as_bytes() })
    }

    /// The content key, if `password` is the key that wraps it, given as octets or in hexadecimal.
    pub(super) fn unwrap(&self, password: &Secret) -> Option<Secret> {
        let raw = Some(password.clone()).filter(|key| key.expose().len() == self.length);
        let octets = unhex(password).filter(|key| key.expose().len() == self.length);
        [octets, raw].into_iter().flatten().find_map(|key| self.wrap.unwrap(&key, self.wrapped).ok())
    }
}

/// Decodes hexadecimal digits with optional `:` and spaces.
fn unhex(text: &Secret) -> Option<Secret> {
    let mut octets = Vec::with_capacity(text.expose().len() / 2);
    let mut high = None;
    for digit in text.expose().iter().filter(|octet| !matches!(octet, b':' | b' ')) {
        let value = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(value << 4),
            Some(high) => octets.push(high | value),
        }
    }
    high.is_none().then(|| Secret::new(octets))
}

/// id-PBKDF2 (RFC 8018, appendix A.2).
const PBKDF2: ObjectIdentifier = rfc5911::ID_PBKDF_2;
/// id-alg-PWRI-KEK (RFC 3211, section 2.3).
const PWRI_KEK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.9");
