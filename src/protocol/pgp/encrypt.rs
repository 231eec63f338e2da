//! Writes encrypted messages as a stream: encrypted session keys, then the container (RFC 9580, sections 5.1, 5.3 and
//! 5.13).

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use sequoia_openpgp::{
    KeyHandle, Packet, anyhow,
    crypto::{Password, S2K, SessionKey},
    packet::{
        Key, PKESK, SKESK,
        key::{PublicParts, UnspecifiedRole},
        pkesk::{PKESK3, PKESK6},
        skesk::SKESK4,
    },
    serialize::{
        Marshal,
        stream::{Encryptor, Message, Recipient},
    },
    types::{AEADAlgorithm, Features, PublicKeyAlgorithm, SymmetricAlgorithm},
};

use super::{
    armored::Checksum,
    brainpool,
    protected::{self, Protected},
    select::Chosen,
    suite,
    wishes::{Container, Wishes},
    words,
};
use crate::{
    base::{Error, Hint, Result, Secret},
    crypto::{Cipher, Legacy, Strength},
    keys::Forms,
};

/// The recipients and the chosen algorithms. Nothing is written yet.
pub(super) struct Readers {
    keys: Vec<(Naming, Key<PublicParts, UnspecifiedRole>)>,
    passwords: Vec<Password>,
    cipher: SymmetricAlgorithm,
    container: Container,
}

/// Whether the message names a recipient's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// A wildcard in place of the key ID (RFC 9580, section 5.1.8).
    Hidden,
    /// By key ID or fingerprint.
    Named,
}

impl Readers {
    /// Chooses the algorithms for these certificates and passwords. `asked` is the name of a requested cipher; a weak
    /// one needs `Legacy::Admit`.
    pub(super) fn new(
        people: Vec<(Naming, Chosen)>,
        passwords: &[Secret],
        asked: Option<&str>,
        legacy: Legacy,
    ) -> Result<Self> {
        let wishes = || people.iter().map(|(_, chosen)| &chosen.wishes);
        let cipher = match asked {
            Some(name) => cipher(name, legacy)?,
            None => common_cipher(&wishes().collect::<Vec<_>>()),
        };
        let common = wishes().map(|one| one.forms).reduce(Forms::in_common);
        let everyone = common.is_some_and(|common| !common.in_common(Container::V2.form()).is_empty());
        // OCB is defined only for ciphers with blocks of 128 bits (RFC 9580, section 9.6).
        let container = if everyone && is_aes(cipher) { Container::V2 } else { Container::V1 };
        if container == Container::V1 {
            people.iter().try_for_each(|(_, chosen)| is_readable(chosen, cipher))?;
        }
        let keys =
            people.into_iter().flat_map(|(naming, chosen)| chosen.keys.into_iter().map(move |key| (naming, key)));
        let passwords = passwords.iter().map(|password| Password::from(password.expose())).collect();
        Ok(Readers { keys: keys.collect(), passwords, cipher, container })
    }

    /// Whether the armor around the message gets a checksum.
    pub(super) fn checksum(&self) -> Checksum {
        match self.container {
            Container::V1 => Checksum::Present,
            Container::V2 => Checksum::Absent,
        }
    }

    /// Encrypts the session key to every recipient. Nothing is written yet.
    pub(super) fn begin(&self) -> Result<Encryption<'_>> {
        let features = match self.container {
            Container::V1 => Features::empty().set_seipdv1(),
            Container::V2 => Features::empty().set_seipdv2(),
        };
        let handle = |naming: Naming, key: &Key<PublicParts, UnspecifiedRole>| match naming {
            Naming::Hidden => None,
            Naming::Named => Some(key.key_handle()),
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = self.keys.iter().partition(|(_, key)| brainpool::is_on(key));
        let recipients =
            theirs.into_iter().map(|(naming, key)| Recipient::new(features.clone(), handle(*naming, key), key));
        let mut ciphertext = Ciphertext::default();
        if let Some(cipher) = written_here(self.cipher, self.container) {
            let session = self.session_keys(&mut ciphertext).map_err(|error| failed(&error))?;
            let plaintext = Plaintext::Ours(Box::new(Protected::begin(cipher, &session, ciphertext.clone())?));
            return Ok(Encryption { plaintext, ciphertext });
        }
        let message = Message::new(ciphertext.clone());
        let mut encryptor = if ours.is_empty() {
            Encryptor::for_recipients(message, recipients).symmetric_algo(self.cipher)
        } else {
            let session = self.cipher.key_size().and_then(SessionKey::new).map_err(|error| failed(&error))?;
            for (naming, key) in ours {
                let handle = handle(*naming, key);
                let packet = match self.container {
                    Container::V1 => brainpool::encrypted(key, handle, Some(self.cipher), &session),
                    Container::V2 => brainpool::encrypted(key, handle, None, &session),
                };
                packet.and_then(|packet| packet.serialize(&mut ciphertext)).map_err(|error| failed(&error))?;
            }
            let encryptor = Encryptor::with_session_key(message, self.cipher, session);
            encryptor.map_err(|error| failed(&error))?.add_recipients(recipients)
        };
        encryptor = encryptor.add_passwords(self.passwords.iter().cloned());
        if self.container == Container::V2 {
            encryptor = encryptor.aead_algo(AEADAlgorithm::OCB);
        }
        let plaintext = Plaintext::Sequoia(encryptor.build().map_err(|error| failed(&error))?);
        Ok(Encryption { plaintext, ciphertext })
    }

    /// The packets by which these recipients read `content`.
    pub(super) fn key_packets(&self, content: &SharedContent) -> Result<Vec<u8>> {
        let mut packets = Vec::new();
        for (naming, key) in &self.keys {
            let handle = (*naming == Naming::Named).then(|| key.key_handle());
            let cipher = (self.container == Container::V1).then_some(self.cipher);
            let packet = key_packet(key, handle, cipher, &content.session);
            packet.and_then(|packet| packet.serialize(&mut packets)).map_err(|error| failed(&error))?;
        }
        Ok(packets)
    }

    /// Creates a session key and encrypts it to every recipient, in packets of version 3 and 4, for a container of
    /// version 1.
    fn session_keys(&self, to: &mut Ciphertext) -> anyhow::Result<SessionKey> {
        let session = SessionKey::new(self.cipher.key_size()?)?;
        for (naming, key) in &self.keys {
            let handle = (*naming == Naming::Named).then(|| key.key_handle());
            let packet = key_packet(key, handle, Some(self.cipher), &session)?;
            packet.serialize(to)?;
        }
        for password in &self.passwords {
            // The password's key is for AES-128, which every reader supports.
            let cipher = SymmetricAlgorithm::AES128;
            let packet = SKESK4::with_password(self.cipher, cipher, S2K::default(), &session, password)?;
            Packet::from(SKESK::from(packet)).serialize(to)?;
        }
        Ok(session)
    }
}

/// Our cipher for a container that we write ourselves. For Sequoia's a buffer of 4 MiB is taken and given back for each message.
fn written_here(cipher: SymmetricAlgorithm, container: Container) -> Option<Cipher> {
    match (container, cipher) {
        (Container::V1, SymmetricAlgorithm::AES128) => Some(Cipher::Aes128),
        (Container::V1, SymmetricAlgorithm::AES192) => Some(Cipher::Aes192),
        (Container::V1, SymmetricAlgorithm::AES256) => Some(Cipher::Aes256),
        _ => protected::ours(cipher),
    }
}

/// A session key encrypted to `key`: a packet of version 3 with `cipher`, of version 6 without.
fn key_packet(
    key: &Key<PublicParts, UnspecifiedRole>,
    handle: Option<KeyHandle>,
    cipher: Option<SymmetricAlgorithm>,
    session: &SessionKey,
) -> anyhow::Result<Packet> {
    match cipher {
        _ if brainpool::is_on(key) => brainpool::encrypted(key, handle, cipher, session),
        Some(cipher) => {
            let mut packet = PKESK3::for_recipient(cipher, session, key)?;
            packet.set_recipient(handle.map(Into::into));
            Ok(PKESK::from(packet).into())
        }
        None => {
            let mut packet = PKESK6::for_recipient(session, key)?;
            packet.set_recipient(handle.map(TryInto::try_into).transpose()?);
            Ok(PKESK::from(packet).into())
        }
    }
}

/// A container that several messages can have, each with the key packets of its own readers.
pub(super) struct SharedContent {
    cipher: SymmetricAlgorithm,
    container: Container,
    session: SessionKey,
    packet: Vec<u8>,
}

impl SharedContent {
    /// Encrypts `plaintext`, which is packets, as these readers can read it.
    pub(super) fn new(readers: &Readers, plaintext: &[u8]) -> Result<Self> {
        let Readers { cipher, container, .. } = *readers;
        let session = cipher.key_size().and_then(SessionKey::new).map_err(|error| failed(&error))?;
        let packet = Ciphertext::default();
        if let Some(cipher) = written_here(cipher, container) {
            let mut protected = Protected::begin(cipher, &session, packet.clone())?;
            protected.write_all(plaintext).map_err(|error| Error::io("output", &error))?;
            protected.finish().map_err(|error| Error::io("output", &error))?;
        } else {
            let encrypted = || {
                let message = Message::new(packet.clone());
                let mut encryptor = Encryptor::with_session_key(message, cipher, session.clone())?;
                if container == Container::V2 {
                    encryptor = encryptor.aead_algo(AEADAlgorithm::OCB);
                }
                let mut message = encryptor.build()?;
                message.write_all(plaintext)?;
                message.finalize()
            };
            encrypted().map_err(|error| failed(&error))?;
        }
        let packet = packet.take();
        Ok(SharedContent { cipher, container, session, packet })
    }

    /// Whether `readers` can read it.
    pub(super) fn is_for(&self, readers: &Readers) -> bool {
        (self.cipher, self.container) == (readers.cipher, readers.container)
    }

    /// The container.
    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }
}

/// The encryption backend in use.
enum Plaintext<'a> {
    Ours(Box<Protected<Ciphertext>>),
    Sequoia(Message<'a>),
}

/// An encrypted message, ready to be written.
pub(super) struct Encryption<'a> {
    plaintext: Plaintext<'a>,
    ciphertext: Ciphertext,
}

impl<'a> Encryption<'a> {
    /// A writer for OpenPGP packets that writes their ciphertext to `to`.
    pub(super) fn to<W: Write>(self, to: W) -> Encrypting<'a, W> {
        Encrypting { plaintext: self.plaintext, ciphertext: self.ciphertext, to }
    }
}

/// Encrypts the octets written to it.
pub(super) struct Encrypting<'a, W: Write> {
    plaintext: Plaintext<'a>,
    ciphertext: Ciphertext,
    to: W,
}

impl<W: Write> Encrypting<'_, W> {
    /// Writes the final integrity check or tag.
    pub(super) fn finish(self) -> Result<W> {
        let Encrypting { plaintext, ciphertext, mut to } = self;
        match plaintext {
            Plaintext::Ours(protected) => drop(protected.finish().map_err(|error| Error::io("output", &error))?),
            Plaintext::Sequoia(message) => message.finalize().map_err(|error| failed(&error))?,
        }
        to.write_all(&ciphertext.take()).map_err(|error| Error::io("output", &error))?;
        Ok(to)
    }
}

impl<W: Write> Write for Encrypting<'_, W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let (now, _) = octets.split_at(octets.len().min(CHUNK));
        match &mut self.plaintext {
            Plaintext::Ours(protected) => protected.write_all(now)?,
            Plaintext::Sequoia(message) => message.write_all(now)?,
        }
        self.to.write_all(&self.ciphertext.take())?;
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A buffer between Sequoia's writers, which must be `Send`, and an output writer that need not be.
#[derive(Clone, Default)]
struct Ciphertext(Arc<Mutex<Vec<u8>>>);

impl Ciphertext {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Ciphertext {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses a container of version 1 for keys that cannot have it: those of ML-KEM have no other cipher than AES in it, and ML-KEM-1024+X448 has it not at
/// all (RFC 9980, section 4.3.1).
fn is_readable(chosen: &Chosen, cipher: SymmetricAlgorithm) -> Result<()> {
    for key in &chosen.keys {
        let (fingerprint, name) = (key.fingerprint().to_hex(), suite::public_name(key.pk_algo()));
        if key.pk_algo() == PublicKeyAlgorithm::MLKEM1024_X448 {
            let why = "does not go with the older container, which another reader needs";
            return Err(
                Error::usage(format!("key {fingerprint}: {name} {why}")).with_hint("encrypt to each of them alone")
            );
        }
        if key.pk_algo() == PublicKeyAlgorithm::MLKEM768_X25519 && !is_aes(cipher) {
            let cipher = suite::cipher_name(cipher);
            return Err(Error::usage(format!("key {fingerprint}: {name} does not go with {cipher}")));
        }
    }
    Ok(())
}

/// The strongest AES that all recipients list; AES-128 if there is none, which every reader must support (RFC 9580,
/// section 9.3). Recipients without a list are taken to support AES-256. 3DES, the implicit last preference of RFC
/// 4880, section 13.2, is never used.
fn common_cipher(wishes: &[&Wishes]) -> SymmetricAlgorithm {
    let everyone = |cipher: &SymmetricAlgorithm| wishes.iter().all(|one| one.reads(*cipher));
    AES.into_iter().find(everyone).unwrap_or(SymmetricAlgorithm::AES128)
}

fn cipher(name: &str, legacy: Legacy) -> Result<SymmetricAlgorithm> {
    let wanted = Cipher::parse(name)?;
    if wanted.strength() < Strength::Strong && legacy == Legacy::Refuse {
        return Err(Error::usage(format!("cipher {} is weak", wanted.name())).with_hint(Hint::WriteLegacy));
    }
    suite::cipher(wanted.name())
        .filter(SymmetricAlgorithm::is_supported)
        .ok_or_else(|| Error::usage(format!("cipher {}: OpenPGP cannot write it here", wanted.name())))
}

fn is_aes(cipher: SymmetricAlgorithm) -> bool {
    AES.contains(&cipher)
}

fn failed(error: &anyhow::Error) -> Error {
    Error::unavailable(format!("encryption: {}", words::reason(error)))
}

/// Strongest first.
const AES: [SymmetricAlgorithm; 3] =
    [SymmetricAlgorithm::AES256, SymmetricAlgorithm::AES192, SymmetricAlgorithm::AES128];

/// Octets of plaintext encrypted at a time.
const CHUNK: usize = 1 << 16;
