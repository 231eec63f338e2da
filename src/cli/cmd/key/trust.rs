//! The trust that importing gives.

/// The trust that importing gives to certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Anchor,
    Nothing,
}
