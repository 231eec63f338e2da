//! SLH-DSA (FIPS 205) without pre-hashing and with an empty context, on RustCrypto's crate, which Sequoia uses too: aws-lc has no SLH-DSA.

use std::thread;

use slh_dsa::{
    Signature, SigningKey, VerifyingKey,
    signature::rand_core::{CryptoRng, RngCore},
};

use super::{PostQuantumSecret, SlhDsa, Unverified};
use crate::base::Secret;

/// Runs `$body` with `$P` as the crate's type for a parameter set.
macro_rules! with_set {
    ($set:expr, $P:ident => $body:expr) => {
        match $set {
            SlhDsa::Sha2_128s => with_set!(@ Sha2_128s, $P, $body),
            SlhDsa::Sha2_128f => with_set!(@ Sha2_128f, $P, $body),
            SlhDsa::Sha2_192s => with_set!(@ Sha2_192s, $P, $body),
            SlhDsa::Sha2_192f => with_set!(@ Sha2_192f, $P, $body),
            SlhDsa::Sha2_256s => with_set!(@ Sha2_256s, $P, $body),
            SlhDsa::Sha2_256f => with_set!(@ Sha2_256f, $P, $body),
            SlhDsa::Shake128s => with_set!(@ Shake128s, $P, $body),
            SlhDsa::Shake128f => with_set!(@ Shake128f, $P, $body),
            SlhDsa::Shake192s => with_set!(@ Shake192s, $P, $body),
            SlhDsa::Shake192f => with_set!(@ Shake192f, $P, $body),
            SlhDsa::Shake256s => with_set!(@ Shake256s, $P, $body),
            SlhDsa::Shake256f => with_set!(@ Shake256f, $P, $body),
        }
    };
    (@ $name:ident, $P:ident, $body:expr) => {{
        type $P = slh_dsa::$name;
        $body
    }};
}

/// Runs what needs a larger stack than threads have: in a debug build the crate moves signatures of 50 kB by value, more than two MiB of them. `None` when
/// there is no thread to be had.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok()?.join().ok())
}

/// Octets of address space. Source: measured, five times what a verification needs in a debug build.
const STACK: usize = 16 << 20;

/// A private key: the octets of FIPS 205, section 9.1.
pub(super) struct SlhDsaKey {
    set: SlhDsa,
    octets: Secret,
}

impl SlhDsaKey {
    /// The key with these octets; there is no seed to expand. `None` when it is of another length.
    pub(super) fn new(set: SlhDsa, secret: &PostQuantumSecret) -> Option<SlhDsaKey> {
        let PostQuantumSecret::Expanded(octets) = secret else { return None };
        (octets.expose().len() == set.private_length()).then(|| SlhDsaKey { set, octets: octets.clone() })
    }

    /// A new key.
    pub(super) fn generate(set: SlhDsa) -> Option<Secret> {
        apart(|| {
            let mut random = Random { failed: false };
            let octets = with_set!(set, P => Secret::new(SigningKey::<P>::new(&mut random).to_bytes().to_vec()));
            (!random.failed).then_some(octets)
        })?
    }

    /// The public key: the second half.
    pub(super) fn public(&self) -> Vec<u8> {
        self.octets.expose().get(self.set.public_length()..).unwrap_or_default().to_vec()
    }

    /// A signature over a message (FIPS 205, algorithm 22), with randomness; `None` when there is none.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut salt = vec![0; self.set.n()];
        aws_lc_rs::rand::fill(&mut salt).ok()?;
        apart(|| {
            with_set!(self.set, P => {
                let key = SigningKey::<P>::try_from(self.octets.expose()).ok()?;
                Some(key.try_sign_with_context(message, &[], Some(&salt)).ok()?.to_bytes().to_vec())
            })
        })?
    }
}

/// Verifies a signature over a message (FIPS 205, algorithm 24).
pub(super) fn verify_slh_dsa(set: SlhDsa, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    if signature.len() != set.signature_length() {
        return Err(Unverified::Signature);
    }
    let verified = apart(|| {
        with_set!(set, P => {
            let key = VerifyingKey::<P>::try_from(key).map_err(|_| Unverified::Key)?;
            let signature = Signature::<P>::try_from(signature).map_err(|_| Unverified::Signature)?;
            key.try_verify_with_context(message, &[], &signature).map_err(|_| Unverified::Signature)
        })
    });
    verified.unwrap_or(Err(Unverified::Algorithm))
}

/// The operating system's randomness, as this crate's version of rand_core wants it. After a failure it gives zeros, and says so.
struct Random {
    failed: bool,
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        let mut octets = [0; 4];
        self.fill_bytes(&mut octets);
        u32::from_le_bytes(octets)
    }

    fn next_u64(&mut self) -> u64 {
        let mut octets = [0; 8];
        self.fill_bytes(&mut octets);
        u64::from_le_bytes(octets)
    }

    fn fill_bytes(&mut self, octets: &mut [u8]) {
        self.failed |= aws_lc_rs::rand::fill(octets).is_err();
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), slh_dsa::signature::rand_core::Error> {
        self.fill_bytes(octets);
        Ok(())
    }
}

impl CryptoRng for Random {}
