//! Why no key serves: what is wrong with each that was found for an address.

use std::fmt;

use crate::{
    base::{Error, Hint, Kind, Result},
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

    /// Whether none was found.
    pub(super) fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// That there is none for `address`; of kind `KeyExpired` when there are some that have all expired. `what` is `signing key`.
    pub(super) fn error(&self, address: &Address, what: &str, hint: Hint) -> Error {
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

/// The readers for whom there is no key: all of them are named at once, so that nobody has to ask once for each.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<Error>);

impl Missing {
    /// What was found for one reader; `None` when there is no key for him, and then [`Missing::refuse`] says so. Other errors are passed on.
    pub(super) fn found<T>(&mut self, found: Result<T>) -> Result<Option<T>> {
        match found {
            Err(error) if matches!(error.kind(), Kind::NoKey | Kind::KeyExpired) => {
                if !self.0.contains(&error) {
                    self.0.push(error);
                }
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The refusal, if anybody is missing; of kind `KeyExpired` when all that is wrong is expired keys.
    pub(super) fn refuse(self) -> Result<()> {
        match self.0.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone()),
            errors => {
                let expired = errors.iter().all(|error| error.kind() == Kind::KeyExpired);
                let kind = if expired { Kind::KeyExpired } else { Kind::NoKey };
                let words: Vec<String> = errors.iter().map(Error::to_string).collect();
                Err(Error::new(kind, words.join("; ")).with_hint(Hint::FindCertificates))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_are_missing_are_named_once() {
        let no_key =
            |name: &str| Err::<(), _>(Error::no_key(format!("{name}: no encryption key")).with_hint(Hint::ListKeys));
        let expired = || Err::<(), _>(Error::new(Kind::KeyExpired, "c@x.org: expired"));
        assert_eq!(Missing::default().refuse(), Ok(()));
        let mut missing = Missing::default();
        assert_eq!(missing.found(Ok(1)), Ok(Some(1)));
        assert_eq!(missing.found(no_key("a@x.org")), Ok(None));
        assert_eq!(missing.found(no_key("a@x.org")), Ok(None));
        assert_eq!(missing.found(Err::<(), _>(Error::usage("no"))), Err(Error::usage("no")));
        let alone = Missing(missing.0.clone()).refuse().unwrap_err();
        assert_eq!((alone.to_string().as_str(), alone.hint()), ("a@x.org: no encryption key", Some(&Hint::ListKeys)));
        assert_eq!(missing.found(expired()), Ok(None));
        let both = missing.refuse().unwrap_err();
        assert_eq!((both.kind(), both.hint()), (Kind::NoKey, Some(&Hint::FindCertificates)));
        assert_eq!(both.to_string(), "a@x.org: no encryption key; c@x.org: expired");
        let mut missing = Missing::default();
        assert_eq!(missing.found(expired()), Ok(None));
        assert_eq!(missing.found(Err::<(), _>(Error::new(Kind::KeyExpired, "d@x.org: expired"))), Ok(None));
        assert_eq!(missing.refuse().unwrap_err().kind(), Kind::KeyExpired);
    }

    #[test]
    fn keys_that_have_all_expired_are_an_answer_of_their_own() {
        let address = Address::parse("a@x.org").unwrap();
        let error = |refused: &Refused| refused.error(&address, "signing key", Hint::ListKeys);
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
