//! The cost of deriving a key from a password, in one unit for all functions: an iteration of PBKDF2 with HMAC-SHA-256 that makes up to 32 octets, a
//! fifth of a microsecond. Weights are measured, rounded up: `cargo bench --bench crypto derivation` measures the units in a second, five million for
//! each function.

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
    hash.facts().derivation_cost
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
