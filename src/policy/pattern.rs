//! Patterns over mailboxes and over header values.

use std::fmt;

use crate::{
    base::{Error, Result},
    mail::Address,
};

/// Which mailboxes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One mailbox.
    Address(Address),
    /// Every mailbox: `*`.
    Any,
    /// Every mailbox of this domain: `example.org`. In lower case, A-labels.
    Domain(String),
    /// The null sender, or a message without an author: `<>`.
    Null,
    /// Every mailbox of the domains below this one: `.example.org`.
    Subdomains(String),
}

impl Pattern {
    /// Reads `bob@example.org`, `example.org`, `.example.org`, `*` or `<>`.
    ///
    /// # Errors
    ///
    /// `Config` when it is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let error = |_| {
            Error::new(crate::base::Kind::Config, format!("{text:?}: neither an address nor a domain")).with_hint(
                "bob@example.org, example.org, .example.org (what is below it), * (everyone) or <> (the null sender)",
            )
        };
        // A domain is read as part of an address, so that both are compared in the same form.
        let domain = |name: &str| match name.contains(['@', '"', '(', '<', ' ']) {
            true => Err(Error::usage("")),
            false => Address::parse(&format!("x@{name}")).map(|address| address.domain().to_owned()),
        };
        match text {
            "*" => Ok(Pattern::Any),
            "<>" => Ok(Pattern::Null),
            _ if text.contains('@') => Address::parse(text).map(Pattern::Address).map_err(error),
            _ => match text.strip_prefix('.') {
                Some(parent) => domain(parent).map(Pattern::Subdomains).map_err(error),
                None => domain(text).map(Pattern::Domain).map_err(error),
            },
        }
    }

    /// Whether `address` is meant; `None` is the null sender, or a message without an author.
    pub fn covers(&self, address: Option<&Address>) -> bool {
        match (self, address) {
            (Pattern::Any, _) | (Pattern::Null, None) => true,
            (Pattern::Address(own), Some(address)) => own == address,
            (Pattern::Domain(own), Some(address)) => own == address.domain(),
            (Pattern::Subdomains(own), Some(address)) => {
                address.domain().strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Pattern::Null, Some(_)) | (_, None) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Address(address) => address.fmt(f),
            Pattern::Any => f.write_str("*"),
            Pattern::Domain(domain) => f.write_str(domain),
            Pattern::Null => f.write_str("<>"),
            Pattern::Subdomains(domain) => write!(f, ".{domain}"),
        }
    }
}

/// Whether `text` is what `glob` says, in any ASCII case; `*` stands for anything. Takes time in the product of both lengths at most.
pub(super) fn is_like(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut last: Option<(usize, usize)> = None;
    while from < text.len() {
        match (glob.get(at), text.get(from)) {
            (Some(b'*'), _) => {
                last = Some((at, from));
                at += 1;
            }
            (Some(wanted), Some(found)) if wanted.eq_ignore_ascii_case(found) => {
                at += 1;
                from += 1;
            }
            _ => match last {
                None => return false,
                Some((star, start)) => {
                    last = Some((star, start + 1));
                    at = star + 1;
                    from = start + 1;
                }
            },
        }
    }
    glob.iter().skip(at).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, address: &str) -> bool {
        Pattern::parse(pattern).unwrap().covers(Some(&Address::parse(address).unwrap()))
    }

    #[test]
    fn patterns_cover_addresses_domains_and_what_is_below() {
        assert!(covers("bob@example.org", "BOB@Example.ORG"));
        assert!(!covers("bob@example.org", "bob@sub.example.org"));
        assert!(covers("Example.org", "x@example.org"));
        assert!(!covers("example.org", "x@sub.example.org"));
        assert!(!covers("example.org", "x@notexample.org"));
        assert!(covers(".example.org", "x@a.b.example.org"));
        assert!(!covers(".example.org", "x@example.org"));
        assert!(!covers(".example.org", "x@evilexample.org"));
        assert!(covers("bücher.example", "x@xn--bcher-kva.example"));
        assert!(covers("*", "x@y.z"));
        assert!(!covers("<>", "x@y.z"));
        assert!(Pattern::parse("<>").unwrap().covers(None) && !Pattern::parse("y.z").unwrap().covers(None));
        for wrong in ["", "@", "@example.org", "a b", "<bob@example.org>", ".", "a@b@c"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn globs_are_compared_in_any_case() {
        for (glob, text, like) in [
            ("yes", "YES", true),
            ("yes", "yes!", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "a--b-b--c", true),
            ("a*b*c", "a--c", false),
            ("*enc*", "please ENCrypt", true),
            ("**x", "aax", true),
        ] {
            assert_eq!(is_like(glob, text), like, "{glob:?} {text:?}");
        }
    }
}
