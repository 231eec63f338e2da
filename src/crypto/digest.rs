//! Digests by name.

use crate::base::{Error, Result};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hash {
    /// RFC 1321.
    Md5,
    /// ISO/IEC 10118-3.
    Ripemd160,
    /// FIPS 180-4.
    Sha1,
    /// FIPS 180-4.
    Sha224,
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha384,
    /// FIPS 180-4.
    Sha512,
    /// FIPS 202.
    Sha3_256,
    /// FIPS 202.
    Sha3_384,
    /// FIPS 202.
    Sha3_512,
}

impl Hash {
    /// `sha256`, `sha3-256`, `md5`, `ripemd160`: as on the command line and in reports.
    pub fn name(self) -> &'static str {
        todo!()
    }

    /// Reads a name, in any case, with or without the dash after `sha`.
    pub fn parse(name: &str) -> Result<Hash> {
        let _ = name;
        Err(Error::usage("todo"))
    }

    /// The digest's length in octets.
    pub fn length(self) -> usize {
        todo!()
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let mut digester = self.digester();
        digester.update(data);
        digester.finish()
    }

    /// A running digest.
    pub fn digester(self) -> Digester {
        todo!()
    }
}

/// A running digest. `Clone` keeps the state, so that one pass over the data serves several signatures.
#[derive(Clone)]
pub struct Digester(std::convert::Infallible);

impl Digester {
    /// Adds octets.
    pub fn update(&mut self, data: &[u8]) {
        let _ = data;
    }

    /// The digest.
    pub fn finish(self) -> Vec<u8> {
        todo!()
    }
}
