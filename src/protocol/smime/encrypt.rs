//! Writes EnvelopedData (RFC 5652, section 6) and AuthEnvelopedData (RFC 5083) as a stream.

use std::io::{self, Write};

use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;

use super::{
    capabilities::{self, Known},
    content_kind::{ContentKind, TAG, unwritten},
    encode::{Frame, SEQUENCE, constructed, integer, octet_string, oid, primitive, set_of},
    mime::{Entity, measure, write_pkcs7},
    recipients::{Reader, password_info},
    sign::ID_DATA,
    suite::ContentCipher,
};
use crate::{
    base::{Error, Random, Result, Secret},
    crypto::{self, CbcWriter, Cipher, GcmWriter, Legacy},
    pki::Certificate,
    protocol::{Aead, Seal, mime_wrap::output},
};

/// The recipients and the cipher. Nothing is encrypted yet.
pub(super) struct Readers {
    people: Vec<Reader>,
    passwords: Vec<Secret>,
    cipher: ContentKind,
}

impl Readers {
    /// Chooses the algorithms for these certificates, by the ciphers that their owners support, where they have a say, and for the passwords
    /// of `how`. A weak cipher needs `Legacy::Admit`.
    pub(super) fn new(people: Vec<(Certificate, Option<Known>)>, how: &Seal, legacy: Legacy) -> Result<Self> {
        let (people, known): (Vec<Certificate>, Vec<Option<Known>>) = people.into_iter().unzip();
        let mut known: Vec<Known> = known.into_iter().flatten().collect();
        known.extend(how.passwords.first().map(|_| Known::presumed()));
        let cipher = match (how.cipher.as_deref(), how.aead) {
            (Some(name), aead) => ContentKind::parse(name, aead)?,
            (None, Aead::Always) => ContentKind::Aead(crypto::Aead::Aes256Gcm),
            // RFC 8551, sections 2.7.1.1 and 2.7.2: a recipient's list never makes the cipher weak.
            (None, Aead::Announced) => capabilities::best(&known).unwrap_or(ContentKind::Cbc(Cipher::Aes256)),
        };
        cipher.admit(legacy)?;
        let people =
            people.into_iter().map(|one| Reader::new(one, how.padding, cipher.key_length())).collect::<Result<_>>()?;
        Ok(Readers { people, passwords: how.passwords.clone(), cipher })
    }

    /// The RecipientInfos with `key` wrapped for every recipient.
    fn infos(&self, key: &Secret, random: &dyn Random) -> Result<Vec<Vec<u8>>> {
        let people = self.people.iter().map(|reader| reader.info(key));
        let passwords = self.passwords.iter().map(|password| password_info(password, key, random));
        people.chain(passwords).collect()
    }

    /// The octets around a content of `length` octets before it is encrypted.
    fn frame(&self, cipher: &ContentCipher, infos: &[u8], length: usize) -> Result<Frame> {
        let identifier = cipher.identifier().ok_or_else(|| unwritten(&cipher.name()))?;
        let encrypted = Frame::new(primitive(0), self.cipher.encrypted_length(length));
        let encrypted = encrypted.within(SEQUENCE, &[&oid(ID_DATA), &identifier], &[]);
        let (content_type, version, mac) = match cipher {
            ContentCipher::Aead { .. } => (ID_AUTH_ENVELOPED_DATA, 0, octet_string(&[0; TAG])),
            ContentCipher::Cbc { .. } => (ID_ENVELOPED_DATA, self.version(), Vec::new()),
        };
        let frame = encrypted.within(SEQUENCE, &[&integer(&[version]), infos], &[&mac]);
        Ok(frame.within(constructed(0), &[], &[]).within(SEQUENCE, &[&oid(content_type)], &[]))
    }

    /// The version of EnvelopedData (RFC 5652, section 6.1): 3 with passwords and other kinds, as KEMRecipientInfo is one.
    fn version(&self) -> u8 {
        match self.passwords.is_empty() && !self.people.iter().any(Reader::is_encapsulation) {
            false => 3,
            true if self.people.iter().all(Reader::is_transport) => 0,
            true => 2,
        }
    }
}

/// application/pkcs7-mime with smime-type enveloped-data or authEnveloped-data.
pub(super) struct Enveloped<'a> {
    content: Box<dyn Entity + 'a>,
    cipher: ContentCipher,
    key: Secret,
    length: usize,
    frame: Frame,
}

impl<'a> Enveloped<'a> {
    /// Generates a key and wraps it for every recipient.
    pub(super) fn new(readers: &Readers, content: Box<dyn Entity + 'a>, random: &dyn Random) -> Result<Self> {
        let length = measure(content.as_ref(), &mut io::sink())?;
        let key = readers.cipher.new_key(random)?;
        let infos = set_of(readers.infos(&key, random)?);
        let cipher = readers.cipher.begin(random)?;
        let frame = readers.frame(&cipher, &infos, length)?;
        Ok(Enveloped { content, cipher, key, length, frame })
    }

    fn encrypt(&self, to: &mut dyn Write) -> Result<()> {
        match &self.cipher {
            ContentCipher::Cbc { cipher, iv } => {
                to.write_all(&self.frame.head).map_err(output)?;
                let mut encrypting = CbcWriter::new(*cipher, &self.key, iv, &mut *to)?;
                self.content.write(&mut encrypting)?;
                encrypting.finish().map_err(output)?;
                to.write_all(&self.frame.tail).map_err(output)
            }
            ContentCipher::Aead { cipher, nonce, .. }
                if self.length > AT_ONCE && *cipher != crypto::Aead::ChaCha20Poly1305 =>
            {
                to.write_all(&self.frame.head).map_err(output)?;
                let mut encrypting = GcmWriter::new(*cipher, &self.key, twelve(nonce)?, &mut *to)?;
                self.content.write(&mut encrypting)?;
                let (_, tag) = encrypting.finish().map_err(output)?;
                write_tail(&self.frame, &tag, to)
            }
            ContentCipher::Aead { .. } => {
                let mut data = Vec::with_capacity(self.length);
                self.content.write(&mut data)?;
                write_framed(&self.frame, &encrypted(&self.cipher, &self.key, data)?, to)
            }
        }
    }
}

/// A ciphertext, and the tag of an authenticated one.
struct Encrypted {
    octets: Vec<u8>,
    tag: Vec<u8>,
}

fn encrypted(cipher: &ContentCipher, key: &Secret, mut data: Vec<u8>) -> Result<Encrypted> {
    match cipher {
        ContentCipher::Cbc { cipher, iv } => {
            let mut octets = Vec::with_capacity(data.len() + 32);
            let mut encrypting = CbcWriter::new(*cipher, key, iv, &mut octets)?;
            encrypting.write_all(&data).map_err(output)?;
            encrypting.finish().map_err(output)?;
            Ok(Encrypted { octets, tag: Vec::new() })
        }
        ContentCipher::Aead { cipher, nonce, .. } => {
            let tag = cipher.seal(key, twelve(nonce)?, &[], &mut data)?.to_vec();
            Ok(Encrypted { octets: data, tag })
        }
    }
}

/// The octets of a nonce.
fn twelve(nonce: &[u8]) -> Result<[u8; 12]> {
    nonce.try_into().map_err(|_| Error::unavailable("nonce: not 12 octets"))
}

fn write_framed(frame: &Frame, encrypted: &Encrypted, to: &mut dyn Write) -> Result<()> {
    to.write_all(&frame.head).and_then(|()| to.write_all(&encrypted.octets)).map_err(output)?;
    write_tail(frame, &encrypted.tag, to)
}

/// Writes what stands behind the content. The tag is the last field.
fn write_tail(frame: &Frame, tag: &[u8], to: &mut dyn Write) -> Result<()> {
    let before = frame.tail.len().saturating_sub(tag.len());
    let tail = frame.tail.get(..before).unwrap_or_default();
    to.write_all(tail).and_then(|()| to.write_all(tag)).map_err(output)
}

/// A content that is encrypted once for several messages, each with the RecipientInfo of its own reader.
pub(super) struct SharedContent {
    kind: ContentKind,
    cipher: ContentCipher,
    key: Secret,
    encrypted: Encrypted,
    length: usize,
}

impl SharedContent {
    /// Encrypts `data` as these readers can read it.
    pub(super) fn new(readers: &Readers, data: &[u8], random: &dyn Random) -> Result<Self> {
        let kind = readers.cipher;
        let (key, cipher) = (kind.new_key(random)?, kind.begin(random)?);
        let encrypted = encrypted(&cipher, &key, data.to_vec())?;
        Ok(SharedContent { kind, cipher, key, encrypted, length: data.len() })
    }

    /// Whether `readers` can read it.
    pub(super) fn is_for(&self, readers: &Readers) -> bool {
        self.kind == readers.cipher
    }

    /// Writes application/pkcs7-mime for these readers.
    pub(super) fn write(&self, readers: &Readers, random: &dyn Random, to: &mut dyn Write) -> Result<()> {
        let infos = set_of(readers.infos(&self.key, random)?);
        let frame = readers.frame(&self.cipher, &infos, self.length)?;
        write_pkcs7(smime_type(&self.cipher), to, |to| write_framed(&frame, &self.encrypted, to))
    }
}

fn smime_type(cipher: &ContentCipher) -> &'static str {
    match cipher {
        ContentCipher::Aead { .. } => "authEnveloped-data",
        ContentCipher::Cbc { .. } => "enveloped-data",
    }
}

impl Entity for Enveloped<'_> {
    fn write(&self, to: &mut dyn Write) -> Result<()> {
        write_pkcs7(smime_type(&self.cipher), to, |to| self.encrypt(to))
    }
}

/// Up to so many octets a content is authenticated as a whole, by aws-lc. A longer one is encrypted while it is written, so that it is in memory once.
const AT_ONCE: usize = 1024 * 1024;

/// Content types (RFC 5652, section 6.1; RFC 5083, section 2.1).
const ID_ENVELOPED_DATA: ObjectIdentifier = rfc5911::ID_ENVELOPED_DATA;
const ID_AUTH_ENVELOPED_DATA: ObjectIdentifier = rfc5911::ID_CT_AUTH_ENVELOPED_DATA;
