//! Login names, compared in one way everywhere.

use std::fmt;

use icu_normalizer::ComposingNormalizer;

/// The name that somebody logged in by: a SASL authentication identity (RFC 4954), or the name of a local user.
///
/// It holds the normal form alone, so that two names that differ in case, in the width or composition of letters, in white space around them or
/// in characters that nobody sees are one name. The form is NFKC with full case folding (Unicode, section 3.13, `toNFKC_Casefold`) and without
/// control characters. A configuration, a client and another program may write a name differently; there is no way to compare what they wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login(String);

impl Login {
    /// The normal form of `name`; `None` when nothing is left of it.
    pub fn new(name: &str) -> Option<Login> {
        let normal = if name.is_ascii() {
            name.chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_lowercase()).collect()
        } else {
            let visible: String = name.chars().filter(|c| !is_invisible(*c)).collect();
            let nfkc = ComposingNormalizer::new_nfkc();
            let folded: String = nfkc.normalize(&visible).chars().flat_map(folded).collect();
            // Folding may take a composition apart.
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

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Full case folding (Unicode, CaseFolding.txt, status C and F) by the mappings of the standard library: lower, upper and lower case once more. A
/// dotless i is another letter than i, and stays one.
fn folded(c: char) -> Vec<char> {
    match c {
        '\u{131}' => vec![c],
        c => c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect(),
    }
}

/// Control characters, and those that are Default_Ignorable_Code_Point (Unicode, section 5.21).
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
