//! The public operation of short RSA keys, in numbers of a fixed size on the stack: many times as fast as numbers of any size, which allocate.

use ruint::Uint;

use super::number::{bits, trimmed};

/// The signature to the power of the exponent, of the modulus' length (RFC 8017, section 5.2.2).
///
/// `None` when the modulus has more than 1024 bits or is even, when the exponent is even, 1, or of more than 33 bits, and when the signature
/// is no number of the modulus' length below it.
pub(super) fn power(n: &[u8], e: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    match bits(n) {
        1..=512 => power_in::<512, 8>(n, e, signature),
        513..=1024 => power_in::<1024, 16>(n, e, signature),
        _ => None,
    }
}

fn power_in<const BITS: usize, const LIMBS: usize>(n: &[u8], e: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (n, e) = (trimmed(n), trimmed(e));
    let exponent: u64 = Uint::<64, 1>::try_from_be_slice(e)?.to();
    let modulus = Uint::<BITS, LIMBS>::try_from_be_slice(n)?;
    let base = Uint::try_from_be_slice(signature)?;
    let is_usual = exponent & 1 == 1 && exponent > 1 && exponent.ilog2() < MAX_BITS;
    if !is_usual || signature.len() != n.len() || base >= modulus {
        return None;
    }
    // Montgomery's form, which only an odd modulus has (Menezes, van Oorschot, Vanstone: Handbook of Applied Cryptography, 14.3.2).
    let inverse = Uint::<64, 1>::from(*modulus.as_limbs().first()?).inv_ring()?.wrapping_neg().to();
    let radix = Uint::MAX.checked_rem(modulus)?.add_mod(Uint::from(1), modulus);
    let form = base.mul_mod(radix, modulus);
    // Exponents have two bits set, as a rule: from the highest, a square for each and a product for each that is set.
    let middle = (1..exponent.ilog2()).rev();
    let power = middle.fold(form, |power, bit| {
        let square = power.mul_redc(power, modulus, inverse);
        if exponent >> bit & 1 == 1 { square.mul_redc(form, modulus, inverse) } else { square }
    });
    // The last bit is set. A product with what has not that form leaves it.
    let power = power.mul_redc(power, modulus, inverse).mul_redc(base, modulus, inverse);
    let octets = power.to_be_bytes_vec();
    octets.get(octets.len() - n.len()..).map(<[u8]>::to_vec)
}

/// The limit of the rsa crate: longer exponents are not used, and are slow.
const MAX_BITS: u32 = 33;

#[cfg(test)]
mod tests {
    use rsa::{BoxedUint, PublicKey, hazmat::rsa_encrypt};

    use super::*;
    use crate::base::{Random, SystemRandom};

    /// Another library's powers, for every length that there is.
    #[test]
    fn powers_are_those_of_numbers_of_any_size() {
        let number = |octets: &[u8]| BoxedUint::from_be_slice_vartime(octets);
        for length in 1..=128 {
            for e in [3u64, 5, 17, 257, 65_537, 0x1_8000_0001, 0x1_ffff_ffff] {
                let (mut n, mut signature) = (vec![0; length], vec![0; length]);
                SystemRandom.fill(&mut n).unwrap();
                SystemRandom.fill(&mut signature).unwrap();
                (n[0], signature[0]) = (n[0] | 1, 0);
                n[length - 1] |= 1;
                if length == 1 {
                    n[0] |= 2;
                }
                let key = PublicKey::new_unchecked(number(&n), number(&e.to_be_bytes()));
                let expected = rsa_encrypt(&key, &number(&signature)).unwrap().to_be_bytes();
                let expected = &expected[expected.len() - length..];
                assert_eq!(power(&n, &e.to_be_bytes(), &signature).as_deref(), Some(expected), "{length} {e}");
            }
        }
    }

    #[test]
    fn what_is_no_key_has_no_power() {
        assert_eq!(power(&[35], &[3], &[2]), Some(vec![8]));
        assert_eq!(power(&[0, 0, 35], &[0, 3], &[2]), Some(vec![8]));
        for (n, e, signature) in [
            (&[36][..], &[3][..], &[2][..]),
            (&[35], &[2], &[2]),
            (&[35], &[1], &[2]),
            (&[35], &[0], &[2]),
            (&[35], &[], &[2]),
            (&[35], &[4, 0, 0, 0, 1], &[2]),
            (&[35], &[1, 0, 0, 0, 0, 0, 0, 0, 1], &[2]),
            (&[35], &[3], &[0, 2]),
            (&[35], &[3], &[]),
            (&[35], &[3], &[35]),
            (&[0], &[3], &[0]),
            (&[], &[3], &[]),
            (&[255; 129], &[3], &[2; 129]),
        ] {
            assert_eq!(power(n, e, signature), None, "{n:?} {e:?} {signature:?}");
        }
    }
}
