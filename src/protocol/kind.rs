//! What ciphertext cannot look like.

/// Whether a run of printable ASCII stands in `octets` that is too long for ciphertext: random octets of this number hold one with a chance below one in
/// a million.
///
/// 98 of 256 octets are printable or white space; a run of n starts at a place with a chance of (98/256)^n, 2^-(1.385 n).
pub fn reads_as_text(octets: &[u8]) -> bool {
    let longest = octets.split(|octet| !is_text(*octet)).map(<[u8]>::len).max().unwrap_or_default();
    // log2 of a million is 20.
    let places = usize::BITS - octets.len().leading_zeros();
    longest * 1_385 > (20 + places as usize) * 1_000
}

fn is_text(octet: u8) -> bool {
    matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, SystemRandom};

    #[test]
    fn text_is_told_from_random_octets() {
        assert!(reads_as_text(b"The secret is 42. The secret is 42."));
        let mut octets = vec![0; 1 << 20];
        SystemRandom.fill(&mut octets).unwrap();
        assert!(!reads_as_text(&octets));
        octets[1_000..1_032].copy_from_slice(b"The secret is 42. The secret is ");
        assert!(reads_as_text(&octets));
        assert!(!reads_as_text(b""));
    }
}
