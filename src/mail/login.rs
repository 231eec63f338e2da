//! Login names, compared in the same way everywhere.

use std::fmt;

use icu_normalizer::ComposingNormalizer;
use serde::{Deserialize, Serialize};

/// The login name of a client: a SASL authentication identity (RFC 4954), or the name of a local user.
///
/// Only the normal form is stored. So names are equal if they differ only in case, in the width or composition of
/// letters, in white space around them or in invisible characters. The form is NFKC with full case folding (Unicode,
/// section 3.13, `toNFKC_Casefold`), without control characters. This matters because the configuration, a client and
/// other programs may write a name differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Login(String);

impl Login {
    /// Normalizes `name`; `None` if nothing remains.
    pub fn new(name: &str) -> Option<Login> {
        let normal = if name.is_ascii() {
            name.chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_lowercase()).collect()
        } else {
            let visible: String = name.chars().filter(|c| !is_invisible(*c)).collect();
            let nfkc = ComposingNormalizer::new_nfkc();
            let folded: String = nfkc.normalize(&visible).chars().flat_map(folded).collect();
            // Folding may decompose characters.
            nfkc.normalize(&folded).into_owned()
        };
        let trimmed = normal.trim();
        (!trimmed.is_empty()).then(|| Login(trimmed.to_owned()))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Login {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Login, &'static str> {
        Login::new(&name).ok_or("a login without a name")
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Full case folding (Unicode, CaseFolding.txt, status C and F), done with the standard library: lower, upper, then
/// lower case. The dotless i differs from i and is kept.
fn folded(c: char) -> Vec<char> {
    match c {
        '\u{131}' => vec![c],
        c => c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect(),
    }
}

/// Whether the character is a control character or Default_Ignorable_Code_Point (Unicode, section 5.21).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_form_alone_is_one_name() {
        for (one, other) in [
            ("alice", "ALICE"),
            ("alice", " Alice\t"),
            ("alice", "al\0ice\r\n"),
            ("alice", "\u{ff21}\u{ff4c}ice"),
            ("alice", "al\u{200b}i\u{ad}ce"),
            ("kim", "\u{212a}im"),
            ("j\u{fc}rgen", "J\u{dc}RGEN"),
            ("j\u{fc}rgen", "ju\u{308}rgen"),
            ("stra\u{df}e", "STRASSE"),
            ("stra\u{1e9e}e", "strasse"),
            ("\u{3c3}\u{3c2}", "\u{3a3}\u{3a3}"),
            ("\u{1f80}", "\u{1f88}"),
            ("alice@example.org", "Alice@Example.ORG"),
        ] {
            assert_eq!(Login::new(one), Login::new(other), "{one:?} {other:?}");
            let normal = Login::new(one).unwrap();
            assert_eq!(
                Login::new(normal.as_str()),
                Some(normal),
                "{one:?}: the normal form of a normal form is itself"
            );
        }
        for (one, other) in [
            ("alice", "alice@example.org"),
            ("alice", "al ice"),
            ("al.ice", "alice"),
            ("i", "\u{131}"),
            ("a", "\u{430}"),
        ] {
            assert_ne!(Login::new(one), Login::new(other), "{one:?} {other:?}");
        }
        for none in ["", " \t", "\0", "\u{200b}", "\u{feff} "] {
            assert_eq!(Login::new(none), None, "{none:?}");
        }
    }
}
