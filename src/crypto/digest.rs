//! Digests by name.

use std::{fmt, io};

use aws_lc_rs::digest as fast;
use md5::{Digest as _, digest::DynDigest};
use sha3::digest::{ExtendableOutput, Update, XofReader};

use super::{Hash, Legacy, Strength};
use crate::base::{Error, Result};

impl Hash {
    /// `sha256`, `sha3-256`, `md5`, `ripemd160`: as on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Reads a name, in any case and with dashes anywhere or nowhere: `SHA-256`, `sha256`, `sha3_256`, `RIPEMD-160`, `SHA-512/256`.
    ///
    /// # Errors
    ///
    /// `Usage` for another name.
    pub fn parse(name: &str) -> Result<Hash> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_', '/'], "");
        let wanted = plain(name);
        Self::ALL.into_iter().find(|hash| plain(hash.name()) == wanted).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|hash| hash.name()).collect();
            Error::usage(format!("digest {name:?}: not known")).with_hint(format!("one of {}", known.join(", ")))
        })
    }

    /// The digest's length in octets.
    pub fn length(self) -> usize {
        self.facts().length
    }

    /// How many octets it takes at a time (for HMAC and the like).
    pub(super) fn block_length(self) -> usize {
        self.facts().block
    }

    /// How strong it is in signatures.
    pub fn strength(self) -> Strength {
        self.facts().strength
    }

    /// How long it takes, in passes of SHA-1 without instructions of its own (300 MB/s). Source: `cargo bench --bench crypto`, rounded up.
    pub fn cost(self) -> usize {
        self.facts().cost
    }

    /// Whether it is computed for signatures: MD2 and MD5 prove nothing (RFC 6149, RFC 6151), and are computed on request only.
    pub fn is_computed(self, legacy: Legacy) -> bool {
        legacy == Legacy::Admit || !matches!(self, Hash::Md2 | Hash::Md5)
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let mut digester = self.digester();
        digester.update(data);
        digester.finish()
    }

    /// The digest of signed `data`; `None` when a collision attack is detected: see [`Hash::guarded`].
    pub fn guarded_digest(self, data: &[u8]) -> Option<Vec<u8>> {
        let mut digester = self.guarded();
        digester.update(data);
        digester.finish_guarded()
    }

    /// A running digest of signed data. For SHA-1 it detects octets that were made to collide with others (Stevens, Shumow 2017, "Speeding up
    /// detection of SHA-1 collision attacks using unavoidable attack conditions"); it is slower for that. For every other hash function it is the
    /// same as [`Hash::digester`].
    pub fn guarded(self) -> Digester {
        match self {
            Hash::Sha1 => Digester { hash: self, state: State::Sha1(Box::default()) },
            _ => self.digester(),
        }
    }

    /// A running digest.
    pub fn digester(self) -> Digester {
        let state = match self {
            Hash::Md2 => State::slow(md2::Md2::new()),
            Hash::Md5 => State::slow(md5::Md5::new()),
            Hash::Ripemd160 => State::slow(ripemd::Ripemd160::new()),
            Hash::Sha1 => State::fast(&fast::SHA1_FOR_LEGACY_USE_ONLY),
            Hash::Sha224 => State::fast(&fast::SHA224),
            Hash::Sha256 => State::fast(&fast::SHA256),
            Hash::Sha384 => State::fast(&fast::SHA384),
            Hash::Sha512 => State::fast(&fast::SHA512),
            Hash::Sha512_224 => State::slow(rsa::sha2::Sha512_224::new()),
            Hash::Sha512_256 => State::fast(&fast::SHA512_256),
            Hash::Sha3_224 => State::slow(sha3::Sha3_224::new()),
            Hash::Sha3_256 => State::fast(&fast::SHA3_256),
            Hash::Sha3_384 => State::fast(&fast::SHA3_384),
            Hash::Sha3_512 => State::fast(&fast::SHA3_512),
            Hash::Shake128 => State::Shake128(sha3::Shake128::default()),
            Hash::Shake256 => State::Shake256(sha3::Shake256::default()),
        };
        Digester { hash: self, state }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A running digest. `Clone` keeps the state, so that one pass over the data serves several signatures.
#[derive(Clone)]
pub struct Digester {
    hash: Hash,
    state: State,
}

impl Digester {
    /// Which hash function it runs.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Adds octets.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Fast(state) => state.update(data),
            State::Shake128(state) => Update::update(state, data),
            State::Shake256(state) => Update::update(state, data),
            State::Sha1(state) => sha1_checked::Digest::update(state.as_mut(), data),
            State::Slow(state) => state.update(data),
        }
    }

    /// The digest; `None` when the octets were made to collide with others, as far as [`Hash::guarded`] detects it.
    pub fn finish_guarded(self) -> Option<Vec<u8>> {
        match self.state {
            State::Sha1(state) => {
                let result = state.try_finalize();
                (!result.has_collision()).then(|| result.hash().to_vec())
            }
            _ => Some(self.finish()),
        }
    }

    /// The digest, of [`Hash::length`] octets. One that [`Hash::guarded`] began is not SHA-1's when a collision was detected.
    pub fn finish(self) -> Vec<u8> {
        let length = self.hash.length();
        match self.state {
            State::Fast(state) => state.finish().as_ref().to_vec(),
            State::Sha1(state) => sha1_checked::Digest::finalize(*state).to_vec(),
            State::Slow(state) => state.finalize().into_vec(),
            shake => shake.squeeze(length).unwrap_or_default(),
        }
    }

    /// So many octets, of a hash that gives as many as one likes; `None` of the others.
    pub(super) fn squeeze(self, length: usize) -> Option<Vec<u8>> {
        self.state.squeeze(length)
    }
}

impl fmt::Debug for Digester {
    /// The state is left out: it may hold what is left of a secret message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digester({})", self.hash)
    }
}

/// Adds everything that is written; never fails.
impl io::Write for Digester {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
enum State {
    Fast(fast::Context),
    /// With detection of collisions.
    Sha1(Box<sha1_checked::Sha1>),
    Shake128(sha3::Shake128),
    Shake256(sha3::Shake256),
    /// On RustCrypto.
    Slow(Box<dyn Slow>),
}

impl State {
    fn fast(algorithm: &'static fast::Algorithm) -> Self {
        State::Fast(fast::Context::new(algorithm))
    }

    fn slow(state: impl Slow + 'static) -> Self {
        State::Slow(Box::new(state))
    }

    fn squeeze(self, length: usize) -> Option<Vec<u8>> {
        let mut output = vec![0; length];
        match self {
            State::Shake128(state) => state.finalize_xof().read(&mut output),
            State::Shake256(state) => state.finalize_xof().read(&mut output),
            _ => return None,
        }
        Some(output)
    }
}

/// What [`DynDigest`] is, between threads.
trait Slow: DynDigest + Send + Sync {
    fn cloned(&self) -> Box<dyn Slow>;
}

impl<D: DynDigest + Clone + Send + Sync + 'static> Slow for D {
    fn cloned(&self) -> Box<dyn Slow> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Slow> {
    fn clone(&self) -> Self {
        (**self).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::base::hex;

    /// RFC 1319 A.5; RFC 1321 A.5; Dobbertin, Bosselaers, Preneel 1996; FIPS 180-4 and FIPS 202 examples by NIST.
    const ABC: [(Hash, &str); 16] = [
        (Hash::Md2, "da853b0d3f88d99b30283a69e6ded6bb"),
        (Hash::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (Hash::Ripemd160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Hash::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Hash::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Hash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Hash::Sha512_224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
        (Hash::Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        (Hash::Sha3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
        (Hash::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (
            Hash::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
        ),
        (
            Hash::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e\
             10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
        (Hash::Shake128, "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"),
        (
            Hash::Shake256,
            "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739\
             d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4",
        ),
    ];

    #[test]
    fn published_digests_of_abc() {
        for (hash, expected) in ABC {
            assert_eq!(hex(&hash.digest(b"abc")), expected, "{hash}");
            assert_eq!(hash.length() * 2, expected.len(), "{hash}");
        }
    }

    #[test]
    fn a_clone_keeps_the_state_and_runs_on_alone() {
        for hash in Hash::ALL {
            let mut first = hash.digester();
            first.write_all(b"a").unwrap();
            let mut second = first.clone();
            first.update(b"bc");
            second.update(b"xy");
            assert_eq!(first.finish(), hash.digest(b"abc"), "{hash}");
            assert_eq!(second.finish(), hash.digest(b"axy"), "{hash}");
        }
    }

    /// The first octets of the two files of Stevens and others 2017.
    #[test]
    fn the_published_collision_is_detected() {
        let files: [&[u8]; 2] = [
            include_bytes!("../../testdata/pgp/shattered-1.bin"),
            include_bytes!("../../testdata/pgp/shattered-2.bin"),
        ];
        let [one, other] = files;
        assert!(one != other && Hash::Sha1.digest(one) == Hash::Sha1.digest(other));
        for file in files {
            assert_eq!(Hash::Sha1.guarded_digest(file), None);
            let mut digester = Hash::Sha1.guarded();
            file.chunks(7).for_each(|piece| digester.update(piece));
            digester.update(b"what follows");
            assert_eq!(digester.clone().finish_guarded(), None);
            assert_ne!(digester.finish(), Hash::Sha1.digest(&[file, b"what follows"].concat()));
        }
    }

    #[test]
    fn what_does_not_collide_has_the_same_digest_guarded() {
        for hash in Hash::ALL {
            assert_eq!(hash.guarded_digest(b"abc"), Some(hash.digest(b"abc")), "{hash}");
            let mut first = hash.guarded();
            first.update(b"ab");
            let mut second = first.clone();
            first.update(b"c");
            second.update(b"x");
            assert_eq!(first.finish_guarded(), Some(hash.digest(b"abc")), "{hash}");
            assert_eq!(second.finish(), hash.digest(b"abx"), "{hash}");
        }
    }

    #[test]
    fn names_are_read_in_every_spelling() {
        for hash in Hash::ALL {
            assert_eq!(Hash::parse(hash.name()), Ok(hash));
            assert_eq!(Hash::parse(&hash.name().to_ascii_uppercase()), Ok(hash));
        }
        assert_eq!(Hash::parse("SHA-256"), Ok(Hash::Sha256));
        assert_eq!(Hash::parse("SHA3-256"), Ok(Hash::Sha3_256));
        assert_eq!(Hash::parse("SHA-512/256"), Ok(Hash::Sha512_256));
        assert_eq!(Hash::parse("RIPEMD-160"), Ok(Hash::Ripemd160));
        assert_eq!(Hash::parse("sha257").unwrap_err().to_string(), "digest \"sha257\": not known");
    }

    #[test]
    fn debug_shows_no_state() {
        assert_eq!(format!("{:?}", Hash::Sha256.digester()), "Digester(sha256)");
    }
}
