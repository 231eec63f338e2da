//! The verdict: pure data, built by the engine alone.

mod align;
mod finding;
mod reason;
mod standing;

pub use align::Aligned;
pub use finding::{Covers, Layer, LayerKind, Matches, Signature, State, Why};
pub use reason::{DOMAIN_SIGNER, Reason};
pub use standing::{Reached, Standing, Verdict};
