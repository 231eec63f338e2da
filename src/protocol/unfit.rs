//! Why no key serves: what is wrong with each that was found for an address.

use std::fmt;

use crate::{
    base::{Error, Kind},
    mail::Address,
};

/// Why one key does not serve, in words that follow its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It did once.
    Expired(String),
    /// Any other reason.
    Otherwise(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unfit::Expired(words) | Unfit::Otherwise(words)) = self;
        f.write_str(words)
    }
}

impl From<String> for Unfit {
    fn from(words: String) -> Self {
        Unfit::Otherwise(words)
    }
}

/// The keys that were found for an address, and do not serve.
#[derive(Debug, Default)]
pub(super) struct Refused {
    reasons: Vec<String>,
    has_other_than_expired: bool,
}

impl Refused {
    /// One more.
    pub(super) fn push(&mut self, key: impl fmt::Display, why: impl Into<Unfit>) {
        let why = why.into();
        self.has_other_than_expired |= matches!(why, Unfit::Otherwise(_));
        self.reasons.push(format!("{key} {why}"));
    }

    /// A record that cannot be read.
    pub(super) fn unreadable(&mut self, error: &Error) {
        self.has_other_than_expired = true;
        self.reasons.push(error.to_string());
    }

    /// That there is none for `address`; of kind `KeyExpired` when there are some that have all expired. `what` is `signing key`.
    pub(super) fn error(&self, address: &Address, what: &str, hint: String) -> Error {
        let error = match self.reasons.as_slice() {
            [] => Error::no_key(format!("{address}: no {what}")),
            reasons => {
                let kind = if self.has_other_than_expired { Kind::NoKey } else { Kind::KeyExpired };
                Error::new(kind, format!("{address}: no usable {what}: {}", reasons.join("; ")))
            }
        };
        error.with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_have_all_expired_are_an_answer_of_their_own() {
        let address = Address::parse("a@x.org").unwrap();
        let error = |refused: &Refused| refused.error(&address, "signing key", "do".to_owned());
        let mut refused = Refused::default();
        assert_eq!(
            (error(&refused).kind(), error(&refused).to_string().as_str()),
            (Kind::NoKey, "a@x.org: no signing key")
        );
        refused.push("AB", Unfit::Expired("expired on 2020-01-01".to_owned()));
        assert_eq!(error(&refused).kind(), Kind::KeyExpired);
        refused.push("CD", "is revoked".to_owned());
        assert_eq!(error(&refused).kind(), Kind::NoKey);
        let words = "a@x.org: no usable signing key: AB expired on 2020-01-01; CD is revoked";
        assert_eq!(error(&refused).to_string(), words);
    }
}
