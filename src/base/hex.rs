//! Hexadecimal digits, in constant time: keys are written with them too.

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
pub(crate) fn secret_of_hex(digits: &[u8]) -> Option<super::Secret> {
    let mut octets = zeroize::Zeroizing::new(vec![0; digits.len() / 2]);
    base16ct::mixed::decode(digits, &mut octets).ok()?;
    Some(super::Secret::new(octets.to_vec()))
}

/// The octets of a test's vector.
#[cfg(test)]
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    base16ct::mixed::decode_vec(digits).expect("pairs of hexadecimal digits")
}
