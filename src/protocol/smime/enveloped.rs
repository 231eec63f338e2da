//! Opens EnvelopedData (RFC 5652, section 6), AuthEnvelopedData (RFC 5083), and SignedAndEnvelopedData of PKCS #7 (RFC
//! 2315, section 11).
//!
//! Plaintext is returned whole and after its last check. CBC does not detect changes (RFC 8551, section 6; Poddebniak
//! et al. 2018, EFAIL): the layer is marked so, and only a signature inside can confirm the author.

use der::{
    Encode, Reader, SliceReader, Tag, Tagged,
    asn1::{AnyRef, ObjectIdentifier},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    encode::{self, octet_string, sequence, value},
    removed::{DATA, Decapsulated, SIGNED, content_info},
    suite::{self, ContentCipher},
    unlock::{Found, Recipients},
};
use crate::{
    base::{Budget, Error, Hint, Kind as Why, Result, Secret},
    crypto::{self, Legacy},
    keys::ProtocolName,
    pki::tlv,
    protocol::{Context, undecryptable},
    verdict::LayerKind,
};

/// Decrypts an EnvelopedData or AuthEnvelopedData: `data` is its DER without the content octets, which are in
/// `encrypted`.
///
/// Errors: `NoKey` if no recipient's key is available, `Malformed` if it cannot be read, `Undecryptable` if it was
/// changed, `Unavailable` if its cipher is unknown or needs `Legacy::Admit`.
pub(super) fn decrypt(
    data: &[u8],
    encrypted: Vec<u8>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Decapsulated> {
    let envelope = Envelope::read(data, Kind::Enveloped)?;
    envelope.open(encrypted, context, budget).map(|(content, _)| content)
}

/// Decrypts a SignedAndEnvelopedData in the same way, and returns its signatures too.
pub(super) fn decrypt_signed(
    data: &[u8],
    encrypted: Vec<u8>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Decapsulated> {
    let envelope = Envelope::read(data, Kind::SignedAndEnveloped)?;
    let (content, key) = envelope.open(encrypted, context, budget)?;
    let refused = || content.refusal.clone().unwrap_or_else(unreadable);
    let signed = envelope.signed(&key).map_err(|_| refused())?;
    Ok(Decapsulated { signed: Some(signed), ..content })
}

/// The fields of an envelope needed for reading.
struct Envelope<'a> {
    recipients: AnyRef<'a>,
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    /// authAttrs.
    attributes: Option<AnyRef<'a>>,
    mac: Option<&'a [u8]>,
    /// For SignedAndEnvelopedData: digest algorithms, then the fields after the content.
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
                // Unauthenticated attributes are ignored.
                _ => {}
            }
        }
        Ok(Envelope { recipients, content_type, algorithm, attributes, mac, signature })
    }

    fn open(&self, encrypted: Vec<u8>, context: Context<'_>, budget: &mut Budget) -> Result<(Decapsulated, Secret)> {
        let cipher = ContentCipher::read(&self.algorithm)?;
        if cipher.is_historic() && context.legacy == Legacy::Refuse {
            return Err(Error::unavailable(format!("enveloped data: {} is too weak", cipher.name()))
                .with_hint(Hint::ReadLegacy));
        }
        let recipients = Recipients::read(inside(self.recipients).map_err(|_| unreadable())?, budget)?;
        let authenticated = matches!(cipher, ContentCipher::Aead { .. });
        let tag = self.tag(&cipher)?;
        let found = recipients.content_key(context, budget).map_err(Error::within_encryption)?;
        let (names, quantum_safe) = (recipients.names(), recipients.is_quantum_safe());
        let layer = LayerKind::Encrypted { cipher: cipher.name(), authenticated, recipients: names, quantum_safe };
        let covered = self.covered();
        let open = |key: &Secret, covered: &[u8], octets: &mut Vec<u8>| match &cipher {
            ContentCipher::Aead { cipher, nonce, .. } => cipher.open(key, nonce, covered, octets, tag),
            ContentCipher::Cbc { cipher, iv } => crypto::cbc_decrypt(*cipher, key, iv, octets),
        };
        let work = encrypted.len().saturating_mul(cipher.cost()).saturating_mul(covered.len());
        let refusal = match found {
            Found::Named(_) => undecryptable(ProtocolName::Smime),
            Found::Candidates(_) => recipients.no_recipient(),
        };
        let (octets, key) = match found {
            Found::Named(key) => {
                budget.deciphered(work).map_err(|_| refusal.clone())?;
                (first_right(&key, &covered, encrypted, open)?, key)
            }
            Found::Candidates(keys) => {
                // Over the Budget there are no more tries. No separate error, which would reveal how many keys are
                // available.
                let mut fitting: Vec<&Secret> = keys.iter().filter(|key| is_padded(key, &cipher, &encrypted)).collect();
                if fitting.is_empty() {
                    // Try one anyway, so that the time taken does not reveal that no key found padding.
                    fitting.extend(keys.first());
                }
                let affordable = |_: &&Secret| budget.deciphered(work).is_ok();
                let mut opened = fitting.into_iter().take_while(affordable).filter_map(|key| {
                    first_right(key, &covered, encrypted.clone(), open).ok().map(|octets| (octets, key.clone()))
                });
                let right = opened.find(|(octets, _)| authenticated || self.is_plausible(octets));
                right.ok_or_else(|| refusal.clone())?
            }
        };
        let refusal = (!authenticated).then_some(refusal);
        Ok((Decapsulated { layer, content_type: self.content_type, octets, signed: None, refusal }, key))
    }

    /// The authentication tag. Its length must be exactly that in the parameters (RFC 5084, section 3.2), because a
    /// shorter one is easier to forge. Empty if the cipher has none.
    fn tag(&self, cipher: &ContentCipher) -> Result<&'a [u8]> {
        let ContentCipher::Aead { tag, .. } = cipher else { return Ok(&[]) };
        let mac = self.mac.ok_or_else(|| Error::malformed("enveloped data", "it has no authentication tag"))?;
        if mac.len() != *tag {
            let lengths = format!("its authentication tag has {} octets instead of {tag}", mac.len());
            return Err(Error::malformed("enveloped data", lengths));
        }
        Ok(mac)
    }

    /// The additional data that the tag covers (RFC 5083, section 2.2): the attributes as a SET OF in DER, and as
    /// received if that differs.
    fn covered(&self) -> Vec<Vec<u8>> {
        let Some(attributes) = self.attributes else { return vec![Vec::new()] };
        let as_it_is = value(tlv::SET, &[attributes.value()]);
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

    /// Whether the content starts as its type requires: with text, or with a SEQUENCE.
    fn is_plausible(&self, octets: &[u8]) -> bool {
        let is_text = |octet: &u8| *octet >= b' ' || b"\t\r\n".contains(octet);
        match self.content_type {
            DATA => octets.iter().take(START).all(is_text),
            _ => octets.first() == Some(&tlv::SEQUENCE),
        }
    }

    /// The signatures as a ContentInfo of SignedData without content. Each signature value is also encrypted with the
    /// content key (RFC 2315, section 11.1).
    fn signed(&self, key: &Secret) -> der::Result<Vec<u8>> {
        let cipher = ContentCipher::read(&self.algorithm).map_err(|_| Tag::Sequence.value_error())?;
        let mut fields = vec![encode::integer(&[1])];
        for field in &self.signature {
            let is_signers = field.tag() == Tag::Set && fields.len() > 1;
            if is_signers {
                let signers: der::Result<Vec<Vec<u8>>> =
                    inside_all(*field)?.into_iter().map(|signer| revealed(signer, &cipher, key)).collect();
                fields.push(value(tlv::SET, &signers?.iter().map(Vec::as_slice).collect::<Vec<_>>()));
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

/// A SignerInfo with its encryptedDigest decrypted to the signature value.
fn revealed(signer: AnyRef<'_>, cipher: &ContentCipher, key: &Secret) -> der::Result<Vec<u8>> {
    let mut fields = Vec::new();
    for field in inside_all(signer)? {
        let mut signature = field.value().to_vec();
        fields.push(match cipher {
            // OpenSSL and others omit this second encryption: the value then has the key's length, without padding.
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

/// The plaintext, authenticated with the first of `covered` that fits the tag. The last try, usually the only one,
/// works in place.
fn first_right(
    key: &Secret,
    covered: &[Vec<u8>],
    encrypted: Vec<u8>,
    open: impl Fn(&Secret, &[u8], &mut Vec<u8>) -> Result<()>,
) -> Result<Vec<u8>> {
    let (last, others) = covered.split_last().ok_or_else(unreadable)?;
    for one in others {
        let mut octets = encrypted.clone();
        if open(key, one, &mut octets).is_ok() {
            return Ok(octets);
        }
    }
    let mut octets = encrypted;
    open(key, last, &mut octets).map_err(uniform)?;
    Ok(octets)
}

/// Whether a key yields valid padding in the last block: a quick check before decrypting everything.
fn is_padded(key: &Secret, cipher: &ContentCipher, encrypted: &[u8]) -> bool {
    let ContentCipher::Cbc { cipher, .. } = cipher else { return true };
    let block = cipher.block_length();
    let Some(before) = encrypted.len().checked_sub(2 * block) else { return true };
    let (iv, last) = encrypted.get(before..).unwrap_or_default().split_at_checked(block).unwrap_or_default();
    crypto::cbc_decrypt(*cipher, key, iv, &mut last.to_vec()).is_ok()
}

/// Makes all key failures the same error. Other errors are reported, but hidden from the sender like the rest.
fn uniform(error: Error) -> Error {
    if error.kind() == Why::NoKey { undecryptable(ProtocolName::Smime) } else { error.within_encryption() }
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

/// Octets checked for plausibility: 64 random octets are all text once in 3,000 times.
const START: usize = 64;

/// RSA signatures have a multiple of this many octets.
const SIGNATURE: usize = 64;
