//! Keys that cannot be used.

use super::KeyAlgorithm;
use crate::base::Error;

/// The refusal of a key whose parts do not belong together.
pub(crate) fn unfit(algorithm: KeyAlgorithm) -> Error {
    Error::no_key(format!("{} key: its parts do not belong together", algorithm.name()))
}

/// The refusal of a key on a curve that is not supported.
pub(super) fn unserved(algorithm: KeyAlgorithm) -> Error {
    algorithm.refuses("work: the curve is not supported")
}
