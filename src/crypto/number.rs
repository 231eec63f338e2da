//! Big-endian numbers.

use crate::base::Secret;

/// The number of significant bits of a big-endian number.
pub(super) fn bits(number: &[u8]) -> usize {
    let number = trimmed(number);
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// A big-endian number without leading zeros.
pub(super) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    &number[zeros..]
}

/// A big-endian number of exactly `length` octets, if it fits.
pub(super) fn padded(number: &Secret, length: usize) -> Option<Secret> {
    let number = trimmed(number.expose());
    let mut octets = vec![0; length.checked_sub(number.len())?];
    octets.reserve_exact(number.len());
    octets.extend_from_slice(number);
    Some(Secret::new(octets))
}
