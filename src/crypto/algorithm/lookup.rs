//! Looks algorithms up: by object identifier, OpenPGP's number, or name.

use const_oid::ObjectIdentifier as Oid;

use super::{Cipher, Curve, Hash, KEYS, KeyFacts, UNKNOWN, post_quantum};
use crate::crypto::Strength;

/// The name of a public-key algorithm without its size, by OpenPGP's number; `unknown` for one without a line.
pub(crate) fn openpgp_key_name(number: u8) -> &'static str {
    key_lines().find(|line| line.openpgp.contains(&number)).unwrap_or(&UNKNOWN).name
}

/// The facts of the kind of key with this name.
pub(in crate::crypto) fn key_facts(name: &str) -> &'static KeyFacts {
    key_lines().find(|line| line.name == name).unwrap_or(&UNKNOWN)
}

/// All lines of keys.
fn key_lines() -> impl Iterator<Item = &'static KeyFacts> {
    KEYS.iter().chain(post_quantum::KEYS)
}

impl KeyFacts {
    /// How strong a key of so many bits is; unknown without a line for it.
    pub(in crate::crypto) fn strength(&self, bits: usize) -> Strength {
        let line = self.strength.iter().find(|(range, _)| range.contains(&bits));
        line.map_or(Strength::Unknown, |(_, strength)| *strength)
    }
}

impl Hash {
    /// The one with this number in OpenPGP (RFC 9580, section 9.5).
    pub(crate) fn of_openpgp(number: u8) -> Option<Hash> {
        Self::ALL.into_iter().find(|hash| hash.facts().openpgp == Some(number))
    }

    /// Its number in OpenPGP; `None` where it has none.
    pub(crate) fn openpgp(self) -> Option<u8> {
        self.facts().openpgp
    }

    /// The one of the pseudo-random function HMAC with this identifier (RFC 8018, appendix B.1).
    pub(crate) fn of_hmac(oid: Oid) -> Option<Hash> {
        Self::ALL.into_iter().find(|hash| hash.facts().hmac == Some(oid))
    }

    /// The one that PEM calls so (RFC 1423, section 2).
    pub(crate) fn of_pem(name: &str) -> Option<Hash> {
        Self::ALL.into_iter().find(|hash| hash.facts().pem == Some(name))
    }

    /// What PEM calls it; `None` where it has no name.
    pub(crate) fn pem(self) -> Option<&'static str> {
        self.facts().pem
    }

    /// The identifiers of RSASSA-PKCS1-v1_5 with it, the one that we write first (RFC 8017, appendix A.2.4).
    pub(crate) fn with_rsa(self) -> &'static [Oid] {
        self.facts().rsa
    }

    /// The identifiers of ECDSA with it, the one that we write first (RFC 5758, section 3.2; RFC 8702; RFC 9688).
    pub(crate) fn with_ecdsa(self) -> &'static [Oid] {
        self.facts().ecdsa
    }

    /// The identifiers of DSA with it (RFC 5758, section 3.1).
    pub(crate) fn with_dsa(self) -> &'static [Oid] {
        self.facts().dsa
    }
}

impl Cipher {
    /// The one with this number in OpenPGP (RFC 9580, section 9.3).
    pub fn of_openpgp(number: u8) -> Option<Cipher> {
        Self::ALL.into_iter().find(|cipher| cipher.facts().openpgp == Some(number))
    }

    /// The one that PEM calls so in CBC mode.
    pub(crate) fn of_pem(name: &str) -> Option<Cipher> {
        Self::ALL.into_iter().find(|cipher| cipher.facts().pem.contains(&name))
    }

    /// What PEM calls it in CBC mode; `None` where it has no name.
    pub(crate) fn pem(self) -> Option<&'static str> {
        self.facts().pem.first().copied()
    }
}

impl Curve {
    /// The name in reports: `p256`, `brainpoolp256`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The length in octets of a coordinate, and of a scalar.
    pub fn length(self) -> usize {
        self.facts().length
    }

    /// The hash function of its size (RFC 9580, section 9.2; RFC 5753, section 7.2).
    pub fn hash(self) -> Hash {
        self.facts().hash
    }

    pub(in crate::crypto) fn strength(self) -> Strength {
        self.facts().strength
    }

    /// One verification, in those of RSA with 4096 bits.
    pub(in crate::crypto) fn cost(self) -> usize {
        self.facts().cost
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crypto::{Aead, MlDsa, MlKem, SlhDsa};

    #[test]
    fn no_identifier_stands_on_two_lines() {
        let mut seen = BTreeSet::new();
        let mut once = |oid: Oid| assert!(seen.insert(oid), "{oid}");
        for hash in Hash::ALL {
            let facts = hash.facts();
            facts.oid.iter().chain(&facts.hmac).for_each(|oid| once(*oid));
            [facts.rsa, facts.ecdsa, facts.dsa].concat().into_iter().for_each(&mut once);
        }
        let ciphers =
            Cipher::ALL.into_iter().filter_map(Cipher::oid).chain(Aead::ALL.into_iter().filter_map(Aead::oid));
        let sets = MlDsa::ALL.into_iter().filter_map(MlDsa::oid).chain(MlKem::ALL.into_iter().filter_map(MlKem::oid));
        let sets = sets.chain(SlhDsa::ALL.into_iter().filter_map(SlhDsa::oid));
        ciphers.chain(Curve::ALL.into_iter().filter_map(Curve::oid)).chain(sets).for_each(once);

        let numbers = |lists: Vec<Vec<u8>>| {
            let all = lists.concat();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        };
        numbers(Hash::ALL.map(|hash| hash.openpgp().into_iter().collect()).to_vec());
        numbers(Cipher::ALL.map(|cipher| cipher.facts().openpgp.into_iter().collect()).to_vec());
        numbers(key_lines().map(|line| line.openpgp.to_vec()).collect());
    }

    #[test]
    fn every_line_has_a_name_and_a_strength() {
        let mut names = BTreeSet::new();
        let mut once = |name: &'static str, strength: Strength| {
            assert!(!name.is_empty() && names.insert(name) && strength > Strength::Unknown, "{name}");
        };
        Hash::ALL.iter().for_each(|hash| once(hash.name(), hash.strength()));
        Cipher::ALL.iter().for_each(|cipher| once(cipher.name(), cipher.strength()));
        Aead::ALL.iter().for_each(|cipher| once(cipher.name(), cipher.strength()));
        Curve::ALL.iter().for_each(|curve| once(curve.name(), curve.strength()));
        for line in key_lines() {
            assert!(names.insert(line.name), "{}", line.name);
            let gaps =
                line.strength.iter().zip(line.strength.iter().skip(1)).filter(|(one, next)| one.0.end != next.0.start);
            assert_eq!(gaps.count(), 0, "{}", line.name);
        }
    }
}
