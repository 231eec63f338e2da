//! What ciphertexts a key can read.

/// The forms of a ciphertext in which a key can be a reader. What they are is the protocol's own, as OpenPGP's two containers. Readers without a
/// form in common cannot share a ciphertext.
///
/// # Example
///
/// ```
/// use postseal::keys::Forms;
///
/// let (older, newer) = (Forms::one(0), Forms::one(1));
/// assert!((older | newer).in_common(newer) == newer && older.in_common(newer).is_empty());
/// assert_eq!(Forms::ALL.in_common(older), older);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms(u8);

impl Forms {
    /// Every form: the key is in the way of no other reader.
    pub const ALL: Forms = Forms(u8::MAX);

    /// The form with this number, below 8; of others, none.
    pub const fn one(number: u32) -> Forms {
        match 1_u8.checked_shl(number) {
            Some(form) => Forms(form),
            None => Forms(0),
        }
    }

    /// Those that are among `other` too.
    #[must_use]
    pub fn in_common(self, other: Forms) -> Forms {
        Forms(self.0 & other.0)
    }

    /// Whether it is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Forms {
    type Output = Forms;

    fn bitor(self, other: Forms) -> Forms {
        Forms(self.0 | other.0)
    }
}
