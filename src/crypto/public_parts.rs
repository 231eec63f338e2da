//! A public key in the format of no protocol.

use super::{Curve, KeyAlgorithm, number::bits};
use crate::base::{Error, Result, hex};

/// The numbers or octets of a public key: what a token says of its keys, for the format of any protocol.
///
/// # Example
///
/// ```
/// use postseal::crypto::{KeyAlgorithm, PublicParts};
///
/// let key = PublicParts::Ed25519(vec![7; 32]);
/// assert_eq!(key.algorithm(), KeyAlgorithm::Ed25519);
/// assert_eq!(PublicParts::parse(&key.to_string()), Ok(key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicParts {
    /// 32 octets of RFC 8032.
    Ed25519(Vec<u8>),
    /// A key on a Weierstrass curve, which signs and agrees.
    Elliptic {
        /// The curve it is on.
        curve: Curve,
        /// The uncompressed point (X9.62): `4 || x || y`.
        point: Vec<u8>,
    },
    /// Big-endian numbers without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The public exponent.
        e: Vec<u8>,
    },
    /// 32 octets of RFC 7748.
    X25519(Vec<u8>),
}

impl PublicParts {
    /// What kind of key this is. One on a curve calls itself an ECDSA key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match self {
            PublicParts::Ed25519(_) => KeyAlgorithm::Ed25519,
            PublicParts::Elliptic { curve, .. } => KeyAlgorithm::Ecdsa(*curve),
            PublicParts::Rsa { n, .. } => KeyAlgorithm::Rsa(bits(n)),
            PublicParts::X25519(_) => KeyAlgorithm::X25519,
        }
    }

    /// Reads what [`Display`](std::fmt::Display) writes.
    ///
    /// # Errors
    ///
    /// `Malformed` for anything else.
    pub fn parse(text: &str) -> Result<PublicParts> {
        let unreadable = || Error::malformed("public key", "not in the form of a name and its numbers");
        let mut fields = text.split(':');
        let (name, first) = (fields.next().unwrap_or_default(), fields.next().ok_or_else(unreadable)?);
        let first = base16ct::mixed::decode_vec(first).map_err(|_| unreadable())?;
        let second = fields.next().map(base16ct::mixed::decode_vec).transpose().map_err(|_| unreadable())?;
        match (name, second, fields.next()) {
            ("ed25519", None, None) => Ok(PublicParts::Ed25519(first)),
            ("rsa", Some(e), None) => Ok(PublicParts::Rsa { n: first, e }),
            ("x25519", None, None) => Ok(PublicParts::X25519(first)),
            (name, None, None) => {
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name).ok_or_else(unreadable)?;
                Ok(PublicParts::Elliptic { curve, point: first })
            }
            _ => Err(unreadable()),
        }
    }
}

impl std::fmt::Display for PublicParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PublicParts::Ed25519(octets) => write!(f, "ed25519:{}", hex(octets)),
            PublicParts::Elliptic { curve, point } => write!(f, "{}:{}", curve.name(), hex(point)),
            PublicParts::Rsa { n, e } => write!(f, "rsa:{}:{}", hex(n), hex(e)),
            PublicParts::X25519(octets) => write!(f, "x25519:{}", hex(octets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_as_it_is_written() {
        let all = [
            PublicParts::Ed25519(vec![1; 32]),
            PublicParts::Elliptic { curve: Curve::P384, point: vec![4; 97] },
            PublicParts::Rsa { n: vec![0xc5; 256], e: vec![1, 0, 1] },
            PublicParts::X25519(vec![2; 32]),
        ];
        for key in all {
            assert_eq!(PublicParts::parse(&key.to_string()), Ok(key));
        }
        for wrong in ["", "rsa", "rsa:00", "rsa:00:01:02", "p999:04", "ed25519:0", "ed25519:00:00"] {
            assert!(PublicParts::parse(wrong).is_err(), "{wrong}");
        }
    }
}
