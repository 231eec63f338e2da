//! Putting parts together.

use crate::base::{Random, Result};

/// A boundary of 128 random bits that occurs in no text: starts with `=_`, which neither quoted-printable nor base64 can hold (RFC 2045, 6.7).
pub fn boundary(random: &dyn Random) -> Result<String> {
    let _ = random;
    todo!()
}
