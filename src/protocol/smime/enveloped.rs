//! EnvelopedData (RFC 5652, section 6), AuthEnvelopedData (RFC 5083), and SignedAndEnvelopedData of PKCS #7 (RFC 2315, section 11).
//!
//! Plaintext leaves this file whole and after its last check. What CBC hid may have been changed all the same (RFC 8551, section 6;
//! Poddebniak et al. 2018, EFAIL): the layer says so, and only a signature within speaks for its author.

use der::{
    Encode, Reader, SliceReader, Tag, Tagged,
    asn1::{AnyRef, ObjectIdentifier},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    encode::{self, octet_string, sequence, value},
    suite::{self, ContentCipher},
    unlock::{Recipients, changed},
    unwrapped::{DATA, SIGNED, Unwrapped, content_info},
};
use crate::{
    base::{Budget, Error, Kind as Why, Result, Secret},
    crypto::{self, Cipher, Legacy},
    protocol::Context,
    verdict::LayerKind,
};

/// Decrypts an EnvelopedData or AuthEnvelopedData: `data` is its DER without the content octets, `encrypted` are those.
///
/// Errors: `NoKey` when no key of a recipient is here, `Malformed` when it cannot be read or was changed, `Unavailable` when its cipher is
/// not known, or is one that only `Legacy::Admit` opens.
pub(super) fn decrypt(data: &[u8], encrypted: Vec<u8>, context: Context<'_>, budget: &mut Budget) -> Result<Unwrapped> {
    let envelope = Envelope::read(data, Kind::Enveloped)?;
    envelope.open(encrypted, context, budget).map(|(content, _)| content)
}

/// Decrypts a SignedAndEnvelopedData likewise, whose signatures come with what is in it.
pub(super) fn decrypt_signed(
    data: &[u8],
    encrypted: Vec<u8>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Unwrapped> {
    let envelope = Envelope::read(data, Kind::SignedAndEnveloped)?;
    let (content, key) = envelope.open(encrypted, context, budget)?;
    let signed = envelope.signed(&key).map_err(|_| unreadable())?;
    Ok(Unwrapped { signed: Some(signed), ..content })
}

/// The fields of an envelope that matter to a reader.
struct Envelope<'a> {
    recipients: AnyRef<'a>,
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    /// authAttrs.
    attributes: Option<AnyRef<'a>>,
    mac: Option<&'a [u8]>,
    /// Of SignedAndEnvelopedData: digest algorithms first, then what follows the content.
    signature: Vec<AnyRef<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Enveloped,
    SignedAndEnveloped,
}

impl<'a> Envelope<'a> {
    fn read(data: &'a [u8], kind: Kind) -> Result<Self> {
        Self::fields(data, kind).map_err(|_| unreadable())
    }

    fn fields(data: &'a [u8], kind: Kind) -> der::Result<Self> {
        let mut fields = inside(SliceReader::new(data)?.decode()?)?;
        let _version: u32 = fields.decode()?;
        let mut recipients: AnyRef<'a> = fields.decode()?;
        if recipients.tag() == suite::explicit(0) {
            recipients = fields.decode()?;
        }
        recipients.tag().assert_eq(Tag::Set)?;
        let mut signature = Vec::new();
        if kind == Kind::SignedAndEnveloped {
            signature.push(fields.decode()?);
        }
        let mut info = inside(fields.decode()?)?;
        let (content_type, algorithm) = (info.decode()?, info.decode()?);
        let (mut attributes, mut mac) = (None, None);
        while !fields.is_finished() {
            let field: AnyRef<'a> = fields.decode()?;
            match field.tag() {
                _ if kind == Kind::SignedAndEnveloped => signature.push(field),
                tag if tag == suite::explicit(1) => attributes = Some(field),
                Tag::OctetString => mac = Some(field.value()),
                // Attributes that nobody protects.
                _ => {}
            }
        }
        Ok(Envelope { recipients, content_type, algorithm, attributes, mac, signature })
    }

    fn open(&self, encrypted: Vec<u8>, context: Context<'_>, budget: &mut Budget) -> Result<(Unwrapped, Secret)> {
        let cipher = ContentCipher::read(&self.algorithm)?;
        if cipher.is_historic() && context.legacy == Legacy::Refuse {
            return Err(Error::unavailable(format!("enveloped data: {} hides nothing from anybody", cipher.name()))
                .with_hint("--legacy opens it for this run, and it proves nothing"));
        }
        let recipients = Recipients::read(inside(self.recipients).map_err(|_| unreadable())?, budget)?;
        let authenticated = matches!(cipher, ContentCipher::Aead { .. });
        let tag = self.tag(&cipher)?;
        let keys = recipients.content_keys(context, budget)?;
        let layer = LayerKind::Encrypted { cipher: cipher.name(), authenticated, recipients: recipients.names() };
        let (octets, key) = match &cipher {
            ContentCipher::Aead { cipher, nonce, .. } => {
                let open = |key: &Secret, aad: &[u8], octets: &mut Vec<u8>| cipher.open(key, nonce, aad, octets, tag);
                first_right(keys, &self.covered(), encrypted, open, |_| true)?
            }
            ContentCipher::Cbc { cipher, iv } => {
                let open = |key: &Secret, _: &[u8], octets: &mut Vec<u8>| crypto::cbc_decrypt(*cipher, key, iv, octets);
                let keys = padded(keys, *cipher, &encrypted);
                first_right(keys, &[Vec::new()], encrypted, open, |octets| self.is_plausible(octets))?
            }
        };
        Ok((Unwrapped { layer, content_type: self.content_type, octets, signed: None }, key))
    }

    /// The authentication tag, which has exactly the length that the parameters say (RFC 5084, section 3.2): a shorter one would be easier
    /// to forge. Empty where the cipher has none.
    fn tag(&self, cipher: &ContentCipher) -> Result<&'a [u8]> {
        let ContentCipher::Aead { tag, .. } = cipher else { return Ok(&[]) };
        let mac = self.mac.ok_or_else(|| Error::malformed("enveloped data", "it has no authentication tag"))?;
        if mac.len() != *tag {
            let lengths = format!("its authentication tag has {} octets and not {tag}", mac.len());
            return Err(Error::malformed("enveloped data", lengths));
        }
        Ok(mac)
    }

    /// What the tag covers beside the content (RFC 5083, section 2.2): the attributes as a SET OF in DER, or as they are if that differs.
    fn covered(&self) -> Vec<Vec<u8>> {
        let Some(attributes) = self.attributes else { return vec![Vec::new()] };
        let as_it_is = value(crate::pki::tlv::SET, &[attributes.value()]);
        let mut covered = Vec::new();
        if let Ok(elements) = inside_all(attributes) {
            covered
                .extend(elements.into_iter().map(|one| one.to_der()).collect::<der::Result<_>>().map(encode::set_of));
        }
        if !covered.contains(&as_it_is) {
            covered.push(as_it_is);
        }
        covered
    }

    /// Whether the content starts as its type does: with text, or with a SEQUENCE.
    fn is_plausible(&self, octets: &[u8]) -> bool {
        let is_text = |octet: &u8| *octet >= b' ' || b"\t\r\n".contains(octet);
        match self.content_type {
            DATA => octets.iter().take(START).all(is_text),
            _ => octets.first() == Some(&crate::pki::tlv::SEQUENCE),
        }
    }

    /// The signatures as a ContentInfo of SignedData without content. Each was encrypted once more with the content key (RFC 2315, section 11.1).
    fn signed(&self, key: &Secret) -> der::Result<Vec<u8>> {
        let cipher = ContentCipher::read(&self.algorithm).map_err(|_| Tag::Sequence.value_error())?;
        let mut fields = vec![encode::integer(&[1])];
        for field in &self.signature {
            let is_signers = field.tag() == Tag::Set && fields.len() > 1;
            if is_signers {
                let signers: der::Result<Vec<Vec<u8>>> =
                    inside_all(*field)?.into_iter().map(|signer| revealed(signer, &cipher, key)).collect();
                fields.push(value(crate::pki::tlv::SET, &signers?.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            } else {
                fields.push(field.to_der()?);
            }
            if fields.len() == 2 {
                fields.push(sequence(&[&encode::oid(self.content_type)]));
            }
        }
        let data = joined(&fields);
        Ok([content_info(SIGNED, data.len()), data].concat())
    }
}

/// A SignerInfo whose encryptedDigest is the signature itself.
fn revealed(signer: AnyRef<'_>, cipher: &ContentCipher, key: &Secret) -> der::Result<Vec<u8>> {
    let mut fields = Vec::new();
    for field in inside_all(signer)? {
        let mut signature = field.value().to_vec();
        fields.push(match cipher {
            // OpenSSL and others leave this second encryption out: then it is a number of the key's length, without padding.
            ContentCipher::Cbc { cipher, iv }
                if field.tag() == Tag::OctetString
                    && signature.len() % SIGNATURE != 0
                    && crypto::cbc_decrypt(*cipher, key, iv, &mut signature).is_ok() =>
            {
                octet_string(&signature)
            }
            _ => field.to_der()?,
        });
    }
    Ok(joined(&fields))
}

fn joined(fields: &[Vec<u8>]) -> Vec<u8> {
    sequence(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The plaintext under the first key, with the first of `covered`, that opens it to something that `convinces`. The last try, usually the
/// only one, works in place and has nothing to be compared with. There are others when no recipient is known by name, or when attributes
/// are not in DER.
fn first_right(
    keys: Vec<Secret>,
    covered: &[Vec<u8>],
    encrypted: Vec<u8>,
    open: impl Fn(&Secret, &[u8], &mut Vec<u8>) -> Result<()>,
    convinces: impl Fn(&[u8]) -> bool,
) -> Result<(Vec<u8>, Secret)> {
    let mut tries: Vec<(&Secret, &Vec<u8>)> =
        keys.iter().flat_map(|key| covered.iter().map(move |aad| (key, aad))).collect();
    let (last_key, last_covered) = tries.pop().ok_or_else(changed)?;
    for (key, aad) in tries {
        let mut octets = encrypted.clone();
        if open(key, aad, &mut octets).is_ok() && convinces(&octets) {
            return Ok((octets, key.clone()));
        }
    }
    let mut octets = encrypted;
    open(last_key, last_covered, &mut octets).map_err(uniform)?;
    Ok((octets, last_key.clone()))
}

/// Of several keys those that find padding at the end; of one key that one, untried.
fn padded(mut keys: Vec<Secret>, cipher: Cipher, encrypted: &[u8]) -> Vec<Secret> {
    let block = cipher.block_length();
    let (end, Some(before)) = (encrypted.len().saturating_sub(block), encrypted.len().checked_sub(2 * block)) else {
        return keys;
    };
    if keys.len() > 1 {
        let iv = encrypted.get(before..end).unwrap_or_default();
        let last = encrypted.get(end..).unwrap_or_default();
        keys.retain(|key| crypto::cbc_decrypt(cipher, key, iv, &mut last.to_vec()).is_ok());
    }
    keys
}

/// Every failure of a key is one answer; what no key can mend is told as it is.
fn uniform(error: Error) -> Error {
    if error.kind() == Why::NoKey { changed() } else { error }
}

fn unreadable() -> Error {
    Error::malformed("enveloped data", "its fields cannot be read")
}

fn inside(any: AnyRef<'_>) -> der::Result<SliceReader<'_>> {
    SliceReader::new(any.value())
}

fn inside_all(any: AnyRef<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    let mut fields = inside(any)?;
    let mut all = Vec::new();
    while !fields.is_finished() {
        all.push(fields.decode()?);
    }
    Ok(all)
}

/// How much of the content is looked at to tell right from wrong: one block.
const START: usize = 16;

/// RSA signatures are this many octets long, or a multiple of it.
const SIGNATURE: usize = 64;
