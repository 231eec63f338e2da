//! Passphrases that a sender and a recipient share, for messages to recipients without a key.

use serde::{Deserialize, Serialize};

use icu_normalizer::ComposingNormalizer;

use crate::base::{Error, Random, Result, Secret};

/// A passphrase for the messages of one sender to one recipient, in the form from which keys are derived: NFKC, without white space around it, in
/// UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedPassphrase {
    text: Secret,
    from: PassphraseFrom,
}

/// Where a shared passphrase came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum PassphraseFrom {
    /// The sender gave it with the message. It is for all recipients.
    Message,
    /// It is stored for the recipient.
    Store,
}

impl PassphraseFrom {
    /// The word in the log and in reports.
    pub fn name(self) -> &'static str {
        match self {
            PassphraseFrom::Message => "message",
            PassphraseFrom::Store => "store",
        }
    }
}

impl SharedPassphrase {
    /// Reads a passphrase that a person chose.
    ///
    /// # Errors
    ///
    /// `Usage` for one that is too easy to guess: fewer than [`SharedPassphrase::SHORTEST`] characters, or of a few characters that are repeated;
    /// and for one with control characters, which nobody can type into a form.
    pub fn parse(text: &str, from: PassphraseFrom) -> Result<SharedPassphrase> {
        let normal = ComposingNormalizer::new_nfkc().normalize(text);
        // What JavaScript's trim() removes: the page does the same.
        let normal = Secret::from(normal.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}'));
        let read = std::str::from_utf8(normal.expose()).unwrap_or_default();
        if read.chars().any(char::is_control) {
            return Err(Error::usage("passphrase: holds a control character"));
        }
        let mut different: Vec<char> = read.chars().collect();
        let count = different.len();
        different.sort_unstable();
        different.dedup();
        if count < Self::SHORTEST || different.len() < FEWEST_DIFFERENT {
            return Err(Error::usage(format!(
                "passphrase: too easy to guess; at least {} characters, {FEWEST_DIFFERENT} of them different",
                Self::SHORTEST
            )));
        }
        Ok(SharedPassphrase { text: normal, from })
    }

    /// Makes one with 100 random bits: five groups of four letters and digits that are not taken for one another.
    ///
    /// # Errors
    ///
    /// Errors of `random`.
    pub fn generate(random: &dyn Random) -> Result<SharedPassphrase> {
        let mut octets = [0; 20];
        random.fill(&mut octets)?;
        let mut text = String::with_capacity(24);
        for (at, octet) in octets.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                text.push('-');
            }
            text.extend(LETTERS.get(usize::from(octet % 32)).copied().map(char::from));
        }
        Ok(SharedPassphrase { text: Secret::new(text.into_bytes()), from: PassphraseFrom::Store })
    }

    /// Its octets, UTF-8.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// Where it came from.
    pub fn origin(&self) -> PassphraseFrom {
        self.from
    }

    /// The fewest characters of a passphrase. Who intercepts the mail can guess without being noticed: NIST SP 800-63B, section 5.1.1.2, asks for
    /// 8 where guesses are counted.
    pub const SHORTEST: usize = 12;
}

/// `aaaaaaaaaaaa` is long, and no passphrase.
const FEWEST_DIFFERENT: usize = 5;

/// 32 of them, so that each octet gives five bits. Without 0, 1, l and o.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemRandom;

    fn read(text: &str) -> Option<String> {
        let read = SharedPassphrase::parse(text, PassphraseFrom::Store).ok()?;
        Some(String::from_utf8(read.text().expose().to_vec()).unwrap())
    }

    #[test]
    fn one_passphrase_has_one_form() {
        for (text, expected) in [
            (" correct horse\u{feff} ", Some("correct horse")),
            ("korrekt fu\u{308}nfzehn", Some("korrekt f\u{fc}nfzehn")),
            ("\u{ff21}\u{ff22}CDEFGHIJKL", Some("ABCDEFGHIJKL")),
            ("elevenchars", None),
            ("elevenchars    ", None),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", None),
            ("abababcdcdcdabab", None),
            ("correct\nhorse battery", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn one_that_is_made_can_be_typed() {
        let made = || SharedPassphrase::generate(&SystemRandom).unwrap();
        let text = String::from_utf8(made().text().expose().to_vec()).unwrap();
        assert_eq!(text.len(), 24);
        assert_eq!(read(&text), Some(text));
        assert_ne!(made(), made());
        let mut letters = LETTERS.to_vec();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), 32);
    }
}
