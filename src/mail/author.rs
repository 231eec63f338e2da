//! Why a message has no author.

use std::fmt;

use super::skeleton::Deviation;

/// Why a message has no author: From does not name exactly one mailbox, or readers of mail may take it for different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAuthor {
    /// Readers may take the message apart differently; what deviates from the canonical form, and where.
    Ambiguous(Deviation),
    /// The protected header has another From (RFC 9788, section 4.4); its value, decoded.
    Contradicted(String),
    /// Readers may take the local part for another address: it holds an encoded word, or characters that end an address elsewhere.
    Deceptive(String),
    /// From holds no address.
    Empty,
    /// From is a group (RFC 5322, section 3.4).
    Group,
    /// There is no From field.
    Missing,
    /// There are several From fields, at least for some readers; how many.
    Repeated(usize),
    /// The address has a route (RFC 5322, section 4.4), which readers may take for the address.
    Route,
    /// From has several addresses; how many.
    Several(usize),
    /// From is no address list (RFC 5322, section 3.4); what is wrong with it.
    Unreadable(String),
}

impl NoAuthor {
    /// A word for scripts.
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

/// One lower-case line, but for names of header fields. Text out of the message is quoted, and its control characters are escaped.
impl fmt::Display for NoAuthor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAuthor::Ambiguous(what) => write!(f, "readers may take the message apart differently: {what}"),
            NoAuthor::Contradicted(inside) => write!(f, "the protected From is another, {:?}", shortened(inside)),
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

/// The start of what somebody else wrote, for a line about it.
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

/// In characters. Source: an address with its name fits, and a line of text stays a line.
const MAX_QUOTED: usize = 80;
