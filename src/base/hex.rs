//! Hexadecimal digits, in constant time: keys are written with them too.

use zeroize::Zeroizing;

use super::Secret;

/// Two lower-case digits for each octet.
pub fn hex(octets: &[u8]) -> String {
    base16ct::lower::encode_string(octets)
}

/// Two upper-case digits for each octet.
pub fn upper_hex(octets: &[u8]) -> String {
    base16ct::upper::encode_string(octets)
}

/// The octets of digits of either case; `None` when they are not pairs of digits.
#[cfg(feature = "store")]
pub(crate) fn unhex(digits: &[u8]) -> Option<Secret> {
    let mut octets = Zeroizing::new(vec![0; digits.len() / 2]);
    base16ct::mixed::decode(digits, &mut octets).ok()?;
    Some(Secret::new(octets.to_vec()))
}
