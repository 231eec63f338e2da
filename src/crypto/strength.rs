//! How strong each algorithm is, decided in one table with a source for each line.

/// Weakest first, so that `min` of several is the strength of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Forged or recovered by a hobbyist: stands at Unsigned, whatever it verifies to.
    Broken,
    /// Within reach of a well-funded attacker: stands at most at Signed.
    Weak,
    /// No known attack.
    Strong,
}

impl Strength {
    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Broken => "broken",
            Strength::Weak => "weak",
            Strength::Strong => "strong",
        }
    }
}

/// Whether what is obsolete may be used, for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Legacy {
    /// They count, and are written on request; the report still names them.
    Admit,
    /// Weak and broken algorithms are read and reported, count for nothing, and are never written.
    #[default]
    Refuse,
}
