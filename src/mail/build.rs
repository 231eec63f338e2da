//! Boundaries and unique identifiers.

use crate::base::{Random, Result, hex};

/// A boundary with 128 random bits. It starts with `=_`, which neither quoted-printable nor base64 can contain (RFC
/// 2045, section 6.7).
///
/// # Errors
///
/// Errors of `random`.
pub fn boundary(random: &dyn Random) -> Result<String> {
    Ok(format!("=_{}", unique(random)?))
}

/// 128 random bits in 32 lower-case hexadecimal digits, for boundaries and message identifiers.
///
/// # Errors
///
/// Errors of `random`.
pub fn unique(random: &dyn Random) -> Result<String> {
    let mut octets = [0; 16];
    random.fill(&mut octets)?;
    Ok(hex(&octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemRandom;

    #[test]
    fn boundaries_differ() {
        let first = boundary(&SystemRandom).unwrap();
        assert!(first.starts_with("=_") && first.len() == 34);
        assert_ne!(first, boundary(&SystemRandom).unwrap());
    }
}
