//! How good a thing is, as a colour; the words say it too.

use super::markup::Markup;
use crate::verdict::Standing;

/// How good something is. Each has a colour and a kind of line, and is never shown without words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It does not hold.
    Bad,
    /// It says nothing.
    Calm,
    /// It holds, with a reservation.
    Doubt,
    /// It holds.
    Good,
    /// It is about encryption.
    Seal,
}

impl Tone {
    /// The end of a class attribute and of its tag: ` good">`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Bad => " bad\">",
            Tone::Calm => " calm\">",
            Tone::Doubt => " doubt\">",
            Tone::Good => " good\">",
            Tone::Seal => " seal\">",
        }
    }

    /// Of a whole message.
    pub(super) fn of_standing(standing: Standing) -> Tone {
        match standing {
            Standing::Authentic => Tone::Good,
            Standing::Signed => Tone::Doubt,
            Standing::Unsigned => Tone::Calm,
        }
    }
}

impl Markup {
    /// A few words with a colour.
    pub(super) fn tag(&mut self, tone: Tone, words: &str) -> &mut Self {
        self.raw("<span class=\"tag").raw(tone.class()).text(words).raw("</span> ")
    }
}
