//! What it costs to derive a key from a password, in one unit for all ways: an iteration of PBKDF2 with HMAC-SHA-256 that makes up to 32 octets,
//! a fifth of a microsecond. Weights are measured, rounded up: `cargo test --lib derivation_cost -- --ignored --nocapture` prints the times.

use super::Hash;

/// PBKDF2 (RFC 8018, section 5.2) that makes `length` octets.
pub fn pbkdf2_cost(hash: Hash, iterations: u32, length: usize) -> u64 {
    let weight = match hash {
        Hash::Sha1 | Hash::Sha256 => 1,
        Hash::Sha384 | Hash::Sha512 => 4,
        // Not by aws-lc: each iteration begins HMAC anew, which hashes four times.
        _ => 4 * digest_weight(hash),
    };
    blocks(hash, length).saturating_mul(weight).saturating_mul(iterations.into())
}

/// PBKDF1 (RFC 8018, section 5.1).
pub fn pbkdf1_cost(hash: Hash, iterations: u32) -> u64 {
    digest_weight(hash).saturating_mul(iterations.into())
}

/// The KDF of PKCS#12 (RFC 7292, appendix B.2) that makes `length` octets.
pub fn pkcs12_cost(hash: Hash, iterations: u32, length: usize) -> u64 {
    blocks(hash, length).saturating_mul(pbkdf1_cost(hash, iterations))
}

/// scrypt (RFC 7914): `cost` is N.
pub fn scrypt_cost(cost: u64, block: u32, parallel: u32) -> u64 {
    // 128 octets each, eight of them in a KiB.
    let octets = cost.saturating_mul(block.into()).saturating_mul(parallel.into()).saturating_mul(128);
    (octets / 1024).saturating_mul(16)
}

/// Argon2 (RFC 9106): `memory` in KiB, filled so many times.
pub fn argon2_cost(memory: u64, passes: u32) -> u64 {
    memory.saturating_mul(passes.into())
}

/// Iterated and salted S2K (RFC 9580, section 3.7.1.3) of `octets` octets that makes `length` octets.
pub fn s2k_cost(hash: Hash, octets: u64, length: usize) -> u64 {
    // A block of the usual hashes has 64 octets, and an iteration of PBKDF2 hashes two.
    blocks(hash, length).saturating_mul(digest_weight(hash)).saturating_mul(octets / 128)
}

fn blocks(hash: Hash, length: usize) -> u64 {
    length.div_ceil(hash.length()).max(1) as u64
}

/// How long one digest of a few octets takes.
fn digest_weight(hash: Hash) -> u64 {
    match hash {
        Hash::Md2 => 16,
        Hash::Sha1 | Hash::Sha224 | Hash::Sha256 => 1,
        Hash::Md5 | Hash::Sha384 | Hash::Sha512 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        base::Secret,
        crypto::{Pkcs12Use, argon2id, pbkdf1, pbkdf2, pkcs12_kdf, scrypt},
    };

    #[test]
    fn what_takes_twice_as_long_costs_twice_as_much() {
        assert_eq!(pbkdf2_cost(Hash::Sha256, 1_000, 32), 1_000);
        assert_eq!(pbkdf2_cost(Hash::Sha256, 1_000, 33), 2_000);
        // 1,024 octets out of SHA-1 are 52 blocks.
        assert_eq!(pbkdf2_cost(Hash::Sha1, 10_000_000, 1024), 520_000_000);
        assert_eq!(pkcs12_cost(Hash::Sha1, 1_000, 24), 2_000);
        assert_eq!(argon2_cost(2 << 20, 4), 8 << 20);
        assert_eq!(s2k_cost(Hash::Sha1, 65_011_712, 32), 2 * 507_904);
        assert_eq!(scrypt_cost(u64::MAX, u32::MAX, u32::MAX), u64::MAX / 1024 * 16);
    }

    /// Prints how long a million units take.
    #[test]
    #[ignore = "prints times"]
    fn times() {
        let password = Secret::from("correct horse");
        let print = |what: String, units: u64, work: &dyn Fn()| {
            let start = Instant::now();
            work();
            let time = start.elapsed().as_secs_f64() * 1e6 / units as f64;
            println!("{what:>24}: {time:.2} s for a million units");
        };
        use Hash::{Md2, Md5, Ripemd160, Sha1, Sha224, Sha256, Sha384, Sha512};
        for hash in [Md2, Md5, Ripemd160, Sha1, Sha224, Sha256, Sha384, Sha512] {
            let iterations = 50_000;
            print(format!("pbkdf2 {hash}"), pbkdf2_cost(hash, iterations, 20), &|| {
                drop(pbkdf2(hash, &password, b"salt", iterations, 20).unwrap());
            });
            print(format!("pbkdf1 {hash}"), pbkdf1_cost(hash, iterations), &|| {
                drop(pbkdf1(hash, &password, b"salt", iterations, 16).unwrap());
            });
            print(format!("pkcs12 {hash}"), pkcs12_cost(hash, iterations, 20), &|| {
                drop(pkcs12_kdf(hash, Pkcs12Use::Mac, &password, b"salt", iterations, 20));
            });
        }
        for (cost, block) in [(1 << 14, 8), (1 << 17, 8), (1 << 10, 1024), (1 << 17, 1)] {
            print(format!("scrypt {cost} {block}"), scrypt_cost(cost, block, 1), &|| {
                drop(scrypt(&password, b"salt", cost, block, 1, 32).unwrap());
            });
        }
        for (memory, passes) in [(1 << 21, 1), (1 << 16, 3), (1 << 10, 255)] {
            print(format!("argon2 {memory} {passes}"), argon2_cost(memory.into(), passes), &|| {
                drop(argon2id(&password, b"saltsalt", memory, passes, 4, 32).unwrap());
            });
        }
    }
}
