//! Version 1 of the integrity-protected packet (RFC 9580, section 5.13.1) with Blowfish. Sequoia 2.4 pads the Blowfish
//! key with zeros, which no other program reads.

use std::io::{self, Write};

use sequoia_openpgp::{
    crypto::{SessionKey, random},
    types::SymmetricAlgorithm,
};

use super::{partial::Partial, words};
use crate::{
    base::{Error, Result, Secret},
    crypto::{CfbEncryptor, Cipher, Digester, Hash},
};

/// Our cipher for an algorithm that Sequoia implements differently.
pub(super) fn ours(algorithm: SymmetricAlgorithm) -> Option<Cipher> {
    #[allow(deprecated)]
    match algorithm {
        SymmetricAlgorithm::Blowfish => Some(Cipher::Blowfish),
        _ => None,
    }
}

/// Encrypts octets into a version 1 integrity-protected packet.
pub(super) struct Protected<W: Write> {
    cfb: CfbEncryptor,
    hash: Digester,
    to: Partial<W>,
}

impl<W: Write> Protected<W> {
    /// Starts the packet with the random prefix.
    pub(super) fn begin(cipher: Cipher, key: &SessionKey, to: W) -> Result<Self> {
        let mut prefix = vec![0; cipher.block_length()];
        random(&mut prefix).map_err(|error| Error::unavailable(format!("encryption: {}", words::reason(&error))))?;
        let repeated = prefix.get(prefix.len() - 2..).unwrap_or_default().to_vec();
        prefix.extend(repeated);
        let cfb = CfbEncryptor::new(cipher, &Secret::new(key.to_vec()))?;
        let to = Partial::protected(to).map_err(|error| Error::io("output", &error))?;
        let mut protected = Protected { cfb, hash: Hash::Sha1.digester(), to };
        protected.write_all(&prefix).map_err(|error| Error::io("output", &error))?;
        Ok(protected)
    }

    /// Writes the modification detection code.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.write_all(&MDC_PACKET)?;
        let code = self.hash.clone().finish();
        self.write_all(&code)?;
        self.to.finish()
    }
}

impl<W: Write> Write for Protected<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut octets = octets.to_vec();
        self.hash.update(&octets);
        self.cfb.encrypt(&mut octets);
        self.to.write_all(&octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The header of the modification detection code packet (RFC 9580, section 5.13.1).
const MDC_PACKET: [u8; 2] = [0xd3, 0x14];
