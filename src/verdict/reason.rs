//! Why a message, or one of its signatures, is not authentic.

use std::fmt;

use super::finding::Why;
use crate::mail::{Address, NoAuthor};

/// Why a message stands below [`Standing::Authentic`](super::Standing::Authentic), or what keeps one signature from raising it there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The signature is around a ciphertext: its maker need not have seen what is within.
    AroundCiphertext,
    /// The signature holds, and is of the author's domain (RFC 3183): the message left the domain, and nothing says who wrote it. The domain.
    ByDomain(String),
    /// Signatures lie deeper in the message than its root; they count for nothing.
    Errant,
    /// The signature does not hold.
    Invalid(Why),
    /// The signature holds, and there is no author whom it could be of.
    NoAuthor(NoAuthor),
    /// The signature holds, and is of another than the author; whose.
    NotByAuthor(Vec<Address>),
    /// The message was not looked into: it is over the size that is opened, or was handled before.
    NotExamined,
    /// The message could not be opened to its payload.
    NotOpened,
    /// Nothing is signed.
    NotSigned,
    /// The signature covers a part of the message.
    Partial,
    /// The signature holds, with a reservation: a weak algorithm, or a certificate path that does not hold.
    Reserved(Why),
    /// The signature cannot be judged.
    Unknown {
        /// The key that the signature names.
        signer: Option<String>,
        /// What is missing.
        why: Why,
    },
    /// The signature holds, and no owner, path or authority ties its key to an address.
    Untrusted {
        /// The key.
        signer: Option<String>,
        /// The addresses that the key claims.
        claimed: Vec<Address>,
    },
}

impl Reason {
    /// The words for scripts ([`Reason::code`]).
    pub const CODES: [&str; 25] = [
        "ambiguous-message",
        "around-ciphertext",
        "certificate-path",
        "errant",
        "from-contradicted",
        "from-deceptive",
        "from-empty",
        "from-group",
        "from-missing",
        "from-repeated",
        "from-route",
        "from-several-addresses",
        "from-unreadable",
        "invalid-signature",
        "not-by-author",
        "not-examined",
        "not-opened",
        "not-signed",
        "partial",
        "reservation",
        "signed-by-domain",
        "unknown-key",
        "unknown-signature",
        "untrusted-key",
        "weak-algorithm",
    ];

    /// A word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::AroundCiphertext => "around-ciphertext",
            Reason::ByDomain(_) => "signed-by-domain",
            Reason::Errant => "errant",
            Reason::Invalid(_) => "invalid-signature",
            Reason::NoAuthor(why) => why.code(),
            Reason::NotByAuthor(_) => "not-by-author",
            Reason::NotExamined => "not-examined",
            Reason::NotOpened => "not-opened",
            Reason::NotSigned => "not-signed",
            Reason::Partial => "partial",
            Reason::Reserved(Why::BrokenAlgorithm(_) | Why::WeakAlgorithm(_)) => "weak-algorithm",
            Reason::Reserved(Why::Path(_)) => "certificate-path",
            Reason::Reserved(_) => "reservation",
            Reason::Unknown { why: Why::NoKey, .. } => "unknown-key",
            Reason::Unknown { .. } => "unknown-signature",
            Reason::Untrusted { .. } => "untrusted-key",
        }
    }

    /// How near to authentic it is; of several signatures the nearest gives the reason for the message.
    pub(super) fn nearness(&self) -> u8 {
        match self {
            Reason::NotExamined | Reason::NotOpened | Reason::NotSigned => 0,
            Reason::Errant => 1,
            Reason::AroundCiphertext => 2,
            Reason::Unknown { .. } => 3,
            Reason::Invalid(_) => 4,
            Reason::Partial | Reason::Reserved(Why::BrokenAlgorithm(_)) => 5,
            Reason::Untrusted { .. } => 6,
            Reason::NotByAuthor(_) => 7,
            Reason::ByDomain(_) => 8,
            Reason::Reserved(_) => 9,
            Reason::NoAuthor(_) => 10,
        }
    }
}

/// One lower-case line. Text out of the message may hold any character.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |signer: &Option<String>| signer.clone().unwrap_or_else(|| "a key that is not named".to_owned());
        match self {
            Reason::AroundCiphertext => {
                f.write_str("the signature is around a ciphertext, and covers nothing of what is in it")
            }
            Reason::ByDomain(domain) => {
                write!(f, "signed by the domain {domain}, which does not say who in it is the author")
            }
            Reason::Errant => f.write_str("only parts within the message are signed"),
            Reason::Invalid(why) => write!(f, "the signature is invalid: {why}"),
            Reason::NoAuthor(why) => write!(f, "no author: {why}"),
            Reason::NotByAuthor(signers) => write!(f, "signed by {}, not by the author", listed(signers)),
            Reason::NotExamined => f.write_str("the message was not examined"),
            Reason::NotOpened => f.write_str("the message could not be opened"),
            Reason::NotSigned => f.write_str("there is no signature"),
            Reason::Partial => f.write_str("the signature covers only a part of the message"),
            Reason::Reserved(why) => write!(f, "valid, but {why}"),
            Reason::Unknown { signer, why: Why::NoKey } => write!(f, "signed by {}, which is not here", key(signer)),
            Reason::Unknown { why, .. } => write!(f, "the signature cannot be checked: {why}"),
            Reason::Untrusted { signer, claimed } => {
                write!(f, "signed by {}; nobody here says whose key that is", key(signer))?;
                if claimed.is_empty() { Ok(()) } else { write!(f, " (it claims {})", listed(claimed)) }
            }
        }
    }
}

fn listed(addresses: &[Address]) -> String {
    let shown: Vec<String> = addresses.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    let more = if addresses.len() > shown.len() { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The local part of the address that a domain signs as (RFC 3183, section 3.1.1).
pub const DOMAIN_SIGNER: &str = "domain-signing-authority";
/// How many addresses a line names. Source: a line of text stays a line.
const MAX_LISTED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule can name each of them, and the manual explains each.
    #[test]
    fn every_code_is_listed_and_explained() {
        let code_of = |line: &'static str| line.split_once(" => \"")?.1.strip_suffix("\",");
        let sources = [include_str!("reason.rs"), include_str!("../mail/author.rs")];
        let mut codes: Vec<&str> = sources.iter().flat_map(|source| source.lines()).filter_map(code_of).collect();
        codes.sort_unstable();
        assert_eq!(codes, Reason::CODES);
        let manual = include_str!("../../docs/manual/verify.md");
        for code in codes {
            assert!(manual.contains(&format!("`{code}`")), "docs/manual/verify.md says nothing of {code}");
        }
    }
}
