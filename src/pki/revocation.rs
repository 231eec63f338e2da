//! How much must be known about revocation.

/// `--revocation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// Every certificate of a path must be known not to be revoked.
    Hard,
    /// Nothing is looked at.
    Off,
    /// What is known to be revoked is refused; where nothing current is known, the path holds.
    #[default]
    Soft,
}
