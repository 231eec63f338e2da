//! Why a message has no author.

use std::fmt;

use super::skeleton::Deviation;

/// Why a message has no author: From does not name exactly one mailbox, or mail readers may disagree about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAuthor {
    /// Mail readers may parse the message differently; the first deviation from the canonical form.
    Ambiguous(Deviation),
    /// The protected header has another From (RFC 9788, section 4.4); its decoded value.
    Contradicted(String),
    /// Mail readers may take the local part for another address: it has an encoded word, or characters that end an
    /// address.
    Deceptive(String),
    /// From has no address.
    Empty,
    /// From is a group (RFC 5322, section 3.4).
    Group,
    /// There is no From field.
    Missing,
    /// There are several From fields, at least for some readers; their number.
    Repeated(usize),
    /// The address has a route (RFC 5322, section 4.4), which readers may take for the address.
    Route,
    /// From has several addresses; their number.
    Several(usize),
    /// From is not an address list (RFC 5322, section 3.4); the reason.
    Unreadable(String),
}

impl NoAuthor {
    /// A code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            NoAuthor::Ambiguous(_) => "ambiguous-message",
            NoAuthor::Contradicted(_) => "from-contradicted",
            NoAuthor::Deceptive(_) => "from-deceptive",
            NoAuthor::Empty => "from-empty",
            NoAuthor::Group => "from-group",
            NoAuthor::Missing => "from-missing",
            NoAuthor::Repeated(_) => "from-repeated",
            NoAuthor::Route => "from-route",
            NoAuthor::Several(_) => "from-several-addresses",
            NoAuthor::Unreadable(_) => "from-unreadable",
        }
    }
}

/// One lower-case line, except for names of header fields. Text from the message is quoted, and its control characters
/// are escaped.
impl fmt::Display for NoAuthor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAuthor::Ambiguous(what) => write!(f, "readers may parse the message differently: {what}"),
            NoAuthor::Contradicted(inside) => write!(f, "the protected From differs: {:?}", shortened(inside)),
            NoAuthor::Deceptive(address) => {
                write!(f, "readers may take {:?} in From for another address", shortened(address))
            }
            NoAuthor::Empty => f.write_str("From holds no address"),
            NoAuthor::Group => f.write_str("From is a group"),
            NoAuthor::Missing => f.write_str("there is no From field"),
            NoAuthor::Repeated(count) => write!(f, "{} From fields", number(*count)),
            NoAuthor::Route => f.write_str("From has a route before the address"),
            NoAuthor::Several(count) => write!(f, "From has {} addresses", number(*count)),
            NoAuthor::Unreadable(what) => write!(f, "From cannot be read: {what}"),
        }
    }
}

/// The start of text from a message, for use in one line.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

fn number(count: usize) -> String {
    if count == 2 { "two".to_owned() } else { count.to_string() }
}

/// Maximum characters. Source: an address with its name fits, in a line of reasonable length.
const MAX_QUOTED: usize = 80;
