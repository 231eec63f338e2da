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
    crypto::{self, CbcWriter, Cipher, Legacy},
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
    /// Chooses the algorithms for these certificates, by the ciphers that their owners support, and for the passwords
    /// of `how`. A weak cipher needs `Legacy::Admit`.
    pub(super) fn new(people: Vec<(Certificate, Known)>, how: &Seal, legacy: Legacy) -> Result<Self> {
        let (people, mut known): (Vec<Certificate>, Vec<Known>) = people.into_iter().unzip();
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

    /// The version of EnvelopedData (RFC 5652, section 6.1).
    fn version(&self) -> u8 {
        match self.passwords.is_empty() {
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
        let identifier = cipher.identifier().ok_or_else(|| unwritten(&cipher.name()))?;
        let encrypted = Frame::new(primitive(0), readers.cipher.encrypted_length(length));
        let encrypted = encrypted.within(SEQUENCE, &[&oid(ID_DATA), &identifier], &[]);
        let (content_type, version, mac) = match cipher {
            ContentCipher::Aead { .. } => (ID_AUTH_ENVELOPED_DATA, 0, octet_string(&[0; TAG])),
            ContentCipher::Cbc { .. } => (ID_ENVELOPED_DATA, readers.version(), Vec::new()),
        };
        let frame = encrypted.within(SEQUENCE, &[&integer(&[version]), &infos], &[&mac]);
        let frame = frame.within(constructed(0), &[], &[]).within(SEQUENCE, &[&oid(content_type)], &[]);
        Ok(Enveloped { content, cipher, key, length, frame })
    }

    fn encrypt(&self, to: &mut dyn Write) -> Result<()> {
        to.write_all(&self.frame.head).map_err(output)?;
        match &self.cipher {
            ContentCipher::Cbc { cipher, iv } => {
                let mut encrypting = CbcWriter::new(*cipher, &self.key, iv, &mut *to)?;
                self.content.write(&mut encrypting)?;
                encrypting.finish().map_err(output)?;
                to.write_all(&self.frame.tail).map_err(output)
            }
            ContentCipher::Aead { cipher, nonce, .. } => {
                let mut data = Vec::with_capacity(self.length);
                self.content.write(&mut data)?;
                let nonce = nonce.as_slice().try_into().map_err(|_| Error::unavailable("nonce: not 12 octets"))?;
                let tag = cipher.seal(&self.key, nonce, &[], &mut data)?;
                to.write_all(&data).map_err(output)?;
                // The tag is the last field.
                let before = self.frame.tail.len().saturating_sub(TAG);
                to.write_all(self.frame.tail.get(..before).unwrap_or_default()).map_err(output)?;
                to.write_all(&tag).map_err(output)
            }
        }
    }
}

impl Entity for Enveloped<'_> {
    fn write(&self, to: &mut dyn Write) -> Result<()> {
        let smime_type = match self.cipher {
            ContentCipher::Aead { .. } => "authEnveloped-data",
            ContentCipher::Cbc { .. } => "enveloped-data",
        };
        write_pkcs7(smime_type, to, |to| self.encrypt(to))
    }
}

/// Content types (RFC 5652, section 6.1; RFC 5083, section 2.1).
const ID_ENVELOPED_DATA: ObjectIdentifier = rfc5911::ID_ENVELOPED_DATA;
const ID_AUTH_ENVELOPED_DATA: ObjectIdentifier = rfc5911::ID_CT_AUTH_ENVELOPED_DATA;
