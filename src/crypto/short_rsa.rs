//! The public operation of short RSA keys, in numbers of a fixed size on the stack: four times as fast as numbers of any size, which allocate.

use crypto_bigint::{
    Odd, U64, U512, U1024, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};

use super::software::{bits, trimmed};

/// The signature to the power of the exponent, of the modulus' length (RFC 8017, section 5.2.2).
///
/// `None` when the modulus has more than 1024 bits or is even, when the exponent is even, 1, or of more than 33 bits, and when the signature
/// is no number of the modulus' length below it.
pub(super) fn power(n: &[u8], e: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    match bits(n) {
        1..=512 => power_in(U512::ZERO, n, e, signature),
        513..=1024 => power_in(U1024::ZERO, n, e, signature),
        _ => None,
    }
}

/// In numbers of as many limbs as `zero` has.
fn power_in<const LIMBS: usize>(zero: Uint<LIMBS>, n: &[u8], e: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (n, e) = (trimmed(n), trimmed(e));
    let exponent = number(U64::ZERO, e)?;
    let modulus = Odd::new(number(zero, n)?).into_option()?;
    let base = number(zero, signature)?;
    let is_usual = e.last()? & 1 == 1 && exponent != U64::ONE && exponent.bit_width_vartime() <= MOST_BITS;
    if !is_usual || signature.len() != n.len() || base >= *modulus.as_ref() {
        return None;
    }
    let parameters = FixedMontyParams::new_vartime(modulus);
    let base = FixedMontyForm::new(&base, &parameters);
    // Exponents have two bits set, as a rule: from the highest, a square for each and a product for each that is set. The library's powers
    // go by tables, which cost more than that.
    let bits = (0..exponent.bit_width_vartime() - 1).rev();
    let power = bits.fold(base, |power, bit| {
        let square = power.square();
        if exponent.bit_vartime(bit) { square.mul(&base) } else { square }
    });
    let octets = power.retrieve().to_be_bytes();
    let octets = octets.as_ref();
    octets.get(octets.len() - n.len()..).map(<[u8]>::to_vec)
}

/// Big-endian octets; `None` when they are too many.
fn number<const LIMBS: usize>(_: Uint<LIMBS>, octets: &[u8]) -> Option<Uint<LIMBS>> {
    let mut padded = [0; U1024::BYTES];
    let padded = padded.get_mut(..Uint::<LIMBS>::BYTES)?;
    let start = padded.len().checked_sub(octets.len())?;
    padded.get_mut(start..)?.copy_from_slice(octets);
    Some(Uint::from_be_slice(padded))
}

/// As the rsa crate has it: longer exponents are nobody's, and cost.
const MOST_BITS: u32 = 33;
