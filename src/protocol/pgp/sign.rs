//! Makes signature packets over a stream, hashed by our own digests.
//!
//! Sequoia's hash contexts cannot be replaced and are slower than the machine allows. So the hashed part of the packet
//! is built here (RFC 9580, section 5.2.4), and Sequoia serializes the finished packet.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use sequoia_openpgp::{
    Packet, anyhow,
    crypto::Signer as _,
    packet::{
        Key, Signature,
        key::{PublicParts, UnspecifiedRole},
        one_pass_sig::{OnePassSig3, OnePassSig6},
        signature::{
            Signature4, Signature6,
            subpacket::{Subpacket, SubpacketArea, SubpacketValue},
        },
    },
    serialize::MarshalInto,
    types::{HashAlgorithm, SignatureType, Timestamp},
};

use super::{secret::Handled, select::SigningKey, suite, trailer::Fields, words};
use crate::{
    base::{Error, Hint, Random, Result},
    crypto::{Digester, Hash, KeyAlgorithm, Legacy, Strength},
};

/// The signature type (RFC 9580, section 5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The octets, unchanged.
    Binary,
    /// Text with CRLF line breaks, which the caller provides.
    Text,
}

/// Signatures in progress, one per signer, all with the same digest algorithm. Octets written to it are signed.
pub(super) struct Signatures {
    making: Vec<Making>,
}

/// One signature in progress.
struct Making {
    signer: Handled,
    kind: Kind,
    hash: Hash,
    salt: Option<Vec<u8>>,
    digester: Digester,
}

impl Signatures {
    /// Starts one signature for each of `keys`. `random` fills the salts of version 6 (RFC 9580, section 5.2.3).
    pub(super) fn begin(keys: Vec<SigningKey>, kind: Kind, hash: Hash, random: &dyn Random) -> Result<Self> {
        let begin = |key| Making::begin(key, kind, hash, random);
        Ok(Signatures { making: keys.into_iter().map(begin).collect::<Result<_>>()? })
    }

    /// The serialized one-pass signature packets that go before the data (RFC 9580, section 5.4), the last signer's
    /// first.
    pub(super) fn one_pass(&self) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        for (index, making) in self.making.iter().enumerate().rev() {
            let mut packet = making.one_pass();
            // The flag says that no other one-pass packet follows, so only the innermost has it.
            packet.set_last(index == 0);
            octets.extend(serialized(&Packet::from(packet))?);
        }
        Ok(octets)
    }

    /// Whether any signature is of version 4, which older software reads and for which it expects a checksum.
    pub(super) fn has_v4(&self) -> bool {
        self.making.iter().any(|making| making.salt.is_none())
    }

    /// Signs. Returns the serialized packets that go after the data, the first signer's first. `at` is their time.
    pub(super) fn finish(self, at: SystemTime) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        for making in self.making {
            octets.extend(serialized(&Packet::from(making.finish(at)?))?);
        }
        Ok(octets)
    }
}

impl Write for Signatures {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for making in &mut self.making {
            making.digester.update(octets);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digest for all signers, since RFC 3156, section 5 has exactly one `micalg`: the one `asked` for, or the longest
/// that any key needs. A weak one needs `Legacy::Admit`.
pub(super) fn digest(keys: &[SigningKey], asked: Option<Hash>, legacy: Legacy) -> Result<Hash> {
    let hash = match asked {
        Some(hash) => hash,
        None => keys.iter().map(fitting).max_by_key(|hash| hash.length()).unwrap_or(Hash::Sha512),
    };
    if hash.strength() < Strength::Strong && legacy == Legacy::Refuse {
        return Err(Error::usage(format!("digest {} is weak", hash.name())).with_hint(Hint::WriteLegacy));
    }
    number(hash)?;
    for key in keys {
        if key.key.version() == 6 && number(hash)?.salt_size().is_err() {
            let name = hash.name();
            return Err(Error::usage(format!("digest {name}: not for version 6 keys (RFC 9580, section 9.5)")));
        }
        let algorithm = key.secret.algorithm();
        if algorithm.is_quantum_safe() && hash.length() < 32 {
            let (name, key) = (hash.name(), algorithm.name());
            return Err(Error::usage(format!("digest {name}: too short for {key} (RFC 9980, section 5.3.1)")));
        }
    }
    Ok(hash)
}

/// The value of the `Hash` armor header for a digest (RFC 9580, section 9.5): `SHA512`.
pub(super) fn text_name(hash: Hash) -> Result<String> {
    number(hash).map(|number| number.to_string())
}

impl Making {
    fn begin(key: SigningKey, kind: Kind, hash: Hash, random: &dyn Random) -> Result<Self> {
        let mut digester = hash.digester();
        let salt = match key.key.version() {
            6 => {
                let size = number(hash)?.salt_size().map_err(|error| failed(&error))?;
                let mut salt = vec![0; size];
                random.fill(&mut salt)?;
                digester.update(&salt);
                Some(salt)
            }
            _ => None,
        };
        Ok(Making { signer: Handled::new(key.key, key.secret), kind, hash, salt, digester })
    }

    fn one_pass(&self) -> sequoia_openpgp::packet::OnePassSig {
        let key = self.signer.public();
        let hash = number(self.hash).unwrap_or_default();
        match &self.salt {
            None => {
                let mut packet = OnePassSig3::new(self.kind.number());
                packet.set_issuer(key.keyid());
                packet.set_pk_algo(key.pk_algo());
                packet.set_hash_algo(hash);
                packet.into()
            }
            Some(salt) => {
                let mut packet = OnePassSig6::new(self.kind.number(), key.fingerprint());
                packet.set_salt(salt.clone());
                packet.set_pk_algo(key.pk_algo());
                packet.set_hash_algo(hash);
                packet.into()
            }
        }
    }

    fn finish(mut self, at: SystemTime) -> Result<Signature> {
        let key = self.signer.public().clone();
        let (kind, hash) = (self.kind.number(), number(self.hash)?);
        let hashed = self.hashed_area(at)?;
        let trailer = Fields { version: self.version(), kind, key: key.pk_algo(), hash, hashed: &hashed };
        let trailer = trailer.octets().ok_or_else(|| Error::unavailable("signature: too many subpackets"))?;
        self.digester.update(&trailer);

        let digest = self.digester.finish();
        let prefix = match digest.as_slice() {
            [first, second, ..] => [*first, *second],
            _ => return Err(Error::unavailable(format!("digest {}: too short", self.hash.name()))),
        };
        let signature = self.signer.sign(hash, &digest).map_err(|error| refused(&key, &error))?;
        match self.salt {
            None => {
                Ok(Signature4::new(kind, key.pk_algo(), hash, hashed, SubpacketArea::default(), prefix, signature)
                    .into())
            }
            Some(salt) => {
                Signature6::new(kind, key.pk_algo(), hash, hashed, SubpacketArea::default(), prefix, salt, signature)
                    .map(Into::into)
                    .map_err(|error| failed(&error))
            }
        }
    }

    fn version(&self) -> u8 {
        if self.salt.is_some() { 6 } else { 4 }
    }

    /// Creation time and issuer. The key ID is only for version 4 (RFC 9580, section 5.2.3.12).
    fn hashed_area(&self, at: SystemTime) -> Result<SubpacketArea> {
        let key = self.signer.public();
        let time = Timestamp::try_from(at).map_err(|error| failed(&error))?;
        let mut values =
            vec![SubpacketValue::SignatureCreationTime(time), SubpacketValue::IssuerFingerprint(key.fingerprint())];
        if self.salt.is_none() {
            values.push(SubpacketValue::Issuer(key.keyid()));
        }
        let packets: sequoia_openpgp::Result<Vec<Subpacket>> =
            values.into_iter().map(|value| Subpacket::new(value, false)).collect();
        packets.and_then(SubpacketArea::new).map_err(|error| failed(&error))
    }
}

impl Kind {
    fn number(self) -> SignatureType {
        match self {
            Kind::Binary => SignatureType::Binary,
            Kind::Text => SignatureType::Text,
        }
    }
}

/// The digest that fits a key: by the size of its curve for ECDSA (RFC 9580, section 9.2), SHA-512 for the rest.
fn fitting(key: &SigningKey) -> Hash {
    match key.secret.algorithm() {
        KeyAlgorithm::Ecdsa(curve) => curve.hash(),
        // A DSA key uses the leftmost bits of any digest. Old 160-bit keys gain nothing from a longer one.
        KeyAlgorithm::Dsa(_) => Hash::Sha256,
        _ => Hash::Sha512,
    }
}

fn number(hash: Hash) -> Result<HashAlgorithm> {
    suite::hash_algorithm(hash)
        .ok_or_else(|| Error::usage(format!("digest {}: OpenPGP has no number for it", hash.name())))
}

fn serialized(packet: &Packet) -> Result<Vec<u8>> {
    packet.to_vec().map_err(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> Error {
    words::of_machine(error).unwrap_or_else(|| Error::unavailable(format!("signature: {}", words::reason(error))))
}

fn refused(key: &Key<PublicParts, UnspecifiedRole>, error: &anyhow::Error) -> Error {
    let refusal = || format!("key {}: cannot sign: {}", key.fingerprint().to_hex(), words::reason(error));
    words::of_machine(error).unwrap_or_else(|| Error::no_key(refusal()))
}
