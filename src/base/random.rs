//! Randomness as an argument.

use super::{Error, Result};

/// Where random octets come from. Implement it for another source than the operating system; what it returns must be unpredictable.
pub trait Random: Send + Sync {
    /// Fills `octets`, or fails if the source is not ready.
    fn fill(&self, octets: &mut [u8]) -> Result<()>;
}

/// The operating system's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, octets: &mut [u8]) -> Result<()> {
        getrandom::fill(octets).map_err(|e| Error::unavailable(format!("random source: {e}").to_lowercase()))
    }
}
