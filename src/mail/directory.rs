//! The name of an address in a Web Key Directory.

use super::Address;
use crate::crypto::Hash;

/// The file name of `address` in a Web Key Directory (draft-koch-openpgp-webkey-service-22, section 3.1).
pub fn directory_name(address: &Address) -> String {
    z_base_32(&Hash::Sha1.digest(address.local().to_ascii_lowercase().as_bytes()))
}

/// RFC 6189, section 5.1.6, of octets whose number is a multiple of five.
fn z_base_32(octets: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
    let groups = octets.chunks(5).flat_map(|five| {
        let number = five.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        (0..8).rev().map(move |place| (number >> (5 * place) & 31) as usize)
    });
    groups.filter_map(|digit| DIGITS.get(digit)).map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of draft-koch-openpgp-webkey-service-22, section 3.1.
    #[test]
    fn the_name_in_a_directory_is_that_of_the_draft() {
        let address = Address::parse("Joe.Doe@Example.ORG").unwrap();
        assert_eq!(directory_name(&address), "iy9q119eutrkn8s1mk4r39qejnbu3n5q");
    }
}
