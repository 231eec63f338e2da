//! Why no key serves: what is wrong with each that was found for an address.

use std::fmt;

use crate::{
    base::{Error, Hint, Kind, Result},
    keys::KeyState,
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

/// Why a mailbox or a named key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    kind: RefusalKind,
    /// One line that names the mailbox or the key.
    reason: String,
    /// What to do about it.
    hint: Option<Hint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RefusalKind {
    /// All that is wrong is that keys have expired.
    Expired,
    /// There is no key, or none that may be used.
    Missing,
    /// The keys could not be asked.
    Unknown(Box<Error>),
}

impl Refusal {
    /// There are keys, and all have expired.
    pub(super) fn expired(reason: String) -> Self {
        Refusal { kind: RefusalKind::Expired, reason, hint: None }
    }

    /// There is no key, or none that may be used.
    pub(super) fn missing(reason: String) -> Self {
        Refusal { kind: RefusalKind::Missing, reason, hint: None }
    }

    /// The keys of `whose` could not be asked.
    pub(super) fn unknown(whose: impl fmt::Display, error: Error) -> Self {
        let reason = format!("{whose}: keys cannot be looked up now: {error}");
        Refusal { kind: RefusalKind::Unknown(Box::new(error)), reason, hint: None }
    }

    /// The same with something that the user can do about it.
    #[must_use]
    pub(super) fn with_hint(self, hint: impl Into<Hint>) -> Self {
        Refusal { hint: Some(hint.into()), ..self }
    }

    /// As policy sees it.
    pub(super) fn into_state(self) -> KeyState {
        match self.kind {
            RefusalKind::Expired => KeyState::Expired(self.reason),
            RefusalKind::Missing => KeyState::Missing(self.reason),
            RefusalKind::Unknown(_) => KeyState::Unknown(self.reason),
        }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { kind, reason, hint }: Refusal) -> Error {
        let error = match kind {
            RefusalKind::Expired => Error::new(Kind::KeyExpired, reason),
            RefusalKind::Missing => Error::no_key(reason),
            RefusalKind::Unknown(error) => return *error,
        };
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
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

    /// That there is none for `address`. `what` is `signing key`.
    pub(super) fn refusal(&self, address: &Address, what: &str, hint: Hint) -> Refusal {
        let refusal = match self.reasons.as_slice() {
            [] => Refusal::missing(format!("{address}: no {what}")),
            reasons => {
                let reason = format!("{address}: no usable {what}: {}", reasons.join("; "));
                if self.has_other_than_expired { Refusal::missing(reason) } else { Refusal::expired(reason) }
            }
        };
        refusal.with_hint(hint)
    }
}

/// The recipients without a key. All of them are named in one error.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<Refusal>);

impl Missing {
    /// The key of one recipient; `None` when there is none, and then [`Missing::refuse`] says so.
    pub(super) fn found<T>(&mut self, found: Result<T, Refusal>) -> Option<T> {
        match found {
            Ok(key) => Some(key),
            Err(refusal) => {
                if !self.0.contains(&refusal) {
                    self.0.push(refusal);
                }
                None
            }
        }
    }

    /// # Errors
    ///
    /// A key is missing: of kind `KeyExpired` when all that is wrong is expired keys, else `NoKey`. When keys could not be asked, that error.
    pub(super) fn refuse(self) -> Result<()> {
        if let Some(unknown) = self.0.iter().find(|one| matches!(one.kind, RefusalKind::Unknown(_))) {
            return Err(unknown.clone().into());
        }
        match self.0.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone().into()),
            several => {
                let is_expired = several.iter().all(|one| one.kind == RefusalKind::Expired);
                let kind = if is_expired { RefusalKind::Expired } else { RefusalKind::Missing };
                let reasons: Vec<&str> = several.iter().map(|one| one.reason.as_str()).collect();
                Err(Refusal { kind, reason: reasons.join("; "), hint: Some(Hint::FindCertificates) }.into())
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
            |name: &str| Err::<(), _>(Refusal::missing(format!("{name}: no encryption key")).with_hint(Hint::ListKeys));
        let expired = |name: &str| Err::<(), _>(Refusal::expired(format!("{name}: expired")));
        assert_eq!(Missing::default().refuse(), Ok(()));
        let mut missing = Missing::default();
        assert_eq!(missing.found(Ok(1)), Some(1));
        assert_eq!(missing.found(no_key("a@x.org")), None);
        assert_eq!(missing.found(no_key("a@x.org")), None);
        let alone = Missing(missing.0.clone()).refuse().unwrap_err();
        assert_eq!((alone.to_string().as_str(), alone.hint()), ("a@x.org: no encryption key", Some(&Hint::ListKeys)));
        assert_eq!(missing.found(expired("c@x.org")), None);
        let both = missing.refuse().unwrap_err();
        assert_eq!((both.kind(), both.hint()), (Kind::NoKey, Some(&Hint::FindCertificates)));
        assert_eq!(both.to_string(), "a@x.org: no encryption key; c@x.org: expired");
        let mut missing = Missing::default();
        assert_eq!(missing.found(expired("c@x.org")), None);
        assert_eq!(missing.found(expired("d@x.org")), None);
        assert_eq!(missing.refuse().unwrap_err().kind(), Kind::KeyExpired);
    }

    #[test]
    fn keys_that_have_all_expired_are_an_answer_of_their_own() {
        let address = Address::parse("a@x.org").unwrap();
        let state = |refused: &Refused| refused.refusal(&address, "signing key", Hint::ListKeys).into_state();
        let mut refused = Refused::default();
        assert_eq!(state(&refused), KeyState::Missing("a@x.org: no signing key".to_owned()));
        refused.push("AB", Unfit::Expired("expired on 2020-01-01".to_owned()));
        assert!(matches!(state(&refused), KeyState::Expired(_)));
        refused.push("CD", "is revoked".to_owned());
        let words = "a@x.org: no usable signing key: AB expired on 2020-01-01; CD is revoked";
        assert_eq!(state(&refused), KeyState::Missing(words.to_owned()));
    }
}
