//! The encodings of RSA that take two hashes, PSS and OAEP (RFC 8017, sections 9.1 and 7.1), for those pairs, salts and
//! hashes that aws-lc does not take.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::Hash;
use crate::base::{Random as _, Secret, SystemRandom};

/// EMSA-PSS-ENCODE with a random salt, for a modulus of one bit more than `bits`; `None` when it does not fit, or the
/// digest is not one of the hash.
pub(super) fn pss_encode(hash: Hash, mgf: Hash, salt: usize, digest: &[u8], bits: usize) -> Option<Vec<u8>> {
    let length = bits.div_ceil(8);
    let before = length.checked_sub(hash.length() + 2)?.checked_sub(salt)?;
    if digest.len() != hash.length() {
        return None;
    }
    let mut masked = vec![0; before + 1 + salt];
    masked[before] = 1;
    SystemRandom.fill(&mut masked[before + 1..]).ok()?;
    let inner = salted(hash, digest, &masked[before + 1..]);
    mask(mgf, &inner, &mut masked);
    masked[0] &= first_octet(bits);
    masked.extend_from_slice(&inner);
    masked.push(TRAILER);
    Some(masked)
}

/// EMSA-PSS-VERIFY; `encoded` has the modulus' length, which is one bit more than `bits`.
pub(super) fn pss_verify(hash: Hash, mgf: Hash, salt: usize, digest: &[u8], encoded: &[u8], bits: usize) -> bool {
    let length = bits.div_ceil(8);
    // With bits = 8n the modulus is an octet longer.
    let (extra, encoded) = encoded.split_at(encoded.len().saturating_sub(length));
    let Some(before) = length.checked_sub(hash.length() + 2).and_then(|rest| rest.checked_sub(salt)) else {
        return false;
    };
    let (masked, rest) = encoded.split_at(before + 1 + salt);
    let (inner, trailer) = rest.split_at(hash.length());
    if extra.iter().any(|octet| *octet != 0) || trailer != [TRAILER] || masked[0] & !first_octet(bits) != 0 {
        return false;
    }
    let mut block = masked.to_vec();
    mask(mgf, inner, &mut block);
    block[0] &= first_octet(bits);
    let padded = block[..before].iter().all(|octet| *octet == 0) && block[before] == 1;
    padded && digest.len() == hash.length() && salted(hash, digest, &block[before + 1..]) == inner
}

/// EME-OAEP-ENCODE for a modulus of `length` octets; `None` when the message does not fit.
pub(super) fn oaep_encode(
    hash: Hash,
    mgf: Hash,
    label: &[u8],
    message: &[u8],
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    let digest = hash.length();
    let before = length.checked_sub(2 * digest + 2)?.checked_sub(message.len())?;
    let mut encoded = Zeroizing::new(vec![0; length]);
    let (seed, block) = encoded[1..].split_at_mut(digest);
    SystemRandom.fill(seed).ok()?;
    block[..digest].copy_from_slice(&hash.digest(label));
    block[digest + before] = 1;
    block[digest + before + 1..].copy_from_slice(message);
    mask(mgf, seed, block);
    mask(mgf, block, seed);
    Some(encoded)
}

/// EME-OAEP-DECODE of a number of the modulus' length. `None` for whatever is wrong, without a
/// branch that tells what (Manger 2001).
pub(super) fn oaep_decode(hash: Hash, mgf: Hash, label: &[u8], mut encoded: Zeroizing<Vec<u8>>) -> Option<Secret> {
    let digest = hash.length();
    if encoded.len() < 2 * digest + 2 {
        return None;
    }
    let mut right = encoded[0].ct_eq(&0);
    let (seed, block) = encoded[1..].split_at_mut(digest);
    mask(mgf, block, seed);
    mask(mgf, seed, block);
    right &= block[..digest].ct_eq(&hash.digest(label));
    let mut found = Choice::from(0);
    let mut separator = 0;
    for (at, octet) in (0_u32..).zip(block.iter()).skip(digest) {
        let one = octet.ct_eq(&1);
        separator.conditional_assign(&at, one & !found);
        right &= found | one | octet.ct_eq(&0);
        found |= one;
    }
    // From here on only the length of a valid message may affect the timing.
    bool::from(right & found).then(|| Secret::new(block[separator as usize + 1..].to_vec()))
}

/// MGF1 (RFC 8017, appendix B.2.1), or the output of a SHAKE as long as `block` (RFC 8702, section 4.1), added to it.
fn mask(hash: Hash, seed: &[u8], block: &mut [u8]) {
    let mut seeded = hash.digester();
    seeded.update(seed);
    if let Some(output) = seeded.clone().squeeze(block.len()).map(Zeroizing::new) {
        return block.iter_mut().zip(output.iter()).for_each(|(octet, other)| *octet ^= other);
    }
    for (counter, part) in (0_u32..).zip(block.chunks_mut(hash.length())) {
        let mut digester = seeded.clone();
        digester.update(&counter.to_be_bytes());
        let digest = Zeroizing::new(digester.finish());
        part.iter_mut().zip(digest.iter()).for_each(|(octet, other)| *octet ^= other);
    }
}

/// `H` of EMSA-PSS.
fn salted(hash: Hash, digest: &[u8], salt: &[u8]) -> Vec<u8> {
    hash.digest(&[&[0; 8], digest, salt].concat())
}

/// The bits of the first octet that a number of so many bits has.
fn first_octet(bits: usize) -> u8 {
    0xff >> (8 * bits.div_ceil(8) - bits)
}

/// `0xbc` of EMSA-PSS.
const TRAILER: u8 = 0xbc;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_of_every_pair_and_of_every_number_of_bits() {
        for (hash, mgf) in [(Hash::Sha256, Hash::Sha1), (Hash::Md5, Hash::Sha512), (Hash::Sha3_256, Hash::Sha3_256)] {
            let digest = hash.digest(b"text");
            for (bits, salt) in [(1023, 0), (1024, 20), (1025, 32), (1030, 33), (1031, 61)] {
                let mut encoded = pss_encode(hash, mgf, salt, &digest, bits).unwrap();
                assert!(encoded[0].leading_zeros() as usize >= encoded.len() * 8 - bits);
                assert!(pss_verify(hash, mgf, salt, &digest, &encoded, bits), "{hash} {mgf} {bits}");
                assert!(!pss_verify(hash, mgf, salt + 1, &digest, &encoded, bits));
                assert!(!pss_verify(hash, hash, salt, &digest, &encoded, bits) || hash == mgf);
                assert!(!pss_verify(hash, mgf, salt, &hash.digest(b"texT"), &encoded, bits));
                for at in 0..encoded.len() {
                    encoded[at] ^= 0x80;
                    assert!(!pss_verify(hash, mgf, salt, &digest, &encoded, bits));
                    encoded[at] ^= 0x80;
                }
            }
            assert_eq!(pss_encode(hash, mgf, 128 - hash.length() - 1, &digest, 1024), None);
            assert!(!pss_verify(hash, mgf, 128, &digest, &[0; 128], 1023));
        }
    }

    #[test]
    fn oaep_of_every_pair() {
        for (hash, mgf) in [(Hash::Sha256, Hash::Sha1), (Hash::Sha224, Hash::Sha224), (Hash::Md5, Hash::Sha512)] {
            for length in [0, 1, 128 - 2 * hash.length() - 2] {
                let message = vec![1; length];
                let mut encoded = oaep_encode(hash, mgf, b"", &message, 128).unwrap();
                assert_eq!(oaep_decode(hash, mgf, b"", encoded.clone()), Some(Secret::new(message)));
                assert!(oaep_decode(hash, mgf, b"label", encoded.clone()).is_none());
                assert!(hash == mgf || oaep_decode(mgf, hash, b"", encoded.clone()).is_none());
                for at in 0..encoded.len() {
                    encoded[at] ^= 1;
                    assert_eq!(oaep_decode(hash, mgf, b"", encoded.clone()), None, "{at}");
                    encoded[at] ^= 1;
                }
            }
            assert_eq!(oaep_encode(hash, mgf, b"", &vec![1; 128 - 2 * hash.length() - 1], 128), None);
            assert_eq!(oaep_decode(hash, mgf, b"", Zeroizing::new(vec![0; 2 * hash.length() + 1])), None);
        }
    }
}
