//! What an error of a module means for the caller.

use cryptoki::error::{Error as Failed, RvError};

use crate::base::{Error, Kind};

/// Why an operation was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The token or the session is gone. Another try may find it again.
    Lost(String),
    /// The key refuses what it was asked, and would refuse it again.
    Refused,
    /// The module or the key does not do this at all, whatever it is asked.
    Unsupported(String),
    /// One or the other: many modules have one error for everything.
    Unclear(String),
    /// Neither helps until somebody acts: no PIN, a wrong PIN, no module.
    Stopped(Error),
}

impl Failure {
    /// What `failed` says of an operation with a key.
    pub(super) fn of(failed: &Failed) -> Failure {
        let Failed::Pkcs11(code, _) = failed else {
            return match failed {
                Failed::NotSupported | Failed::NullFunctionPointer => Failure::Unsupported(words(failed)),
                Failed::InvalidValue => Failure::Refused,
                _ => Failure::Unclear(words(failed)),
            };
        };
        match code {
            RvError::CryptokiNotInitialized
            | RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::OperationActive
            | RvError::OperationNotInitialized
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::SlotIdInvalid
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn => Failure::Lost(words(failed)),
            RvError::DeviceMemory | RvError::FunctionCanceled | RvError::HostMemory | RvError::SessionCount => {
                Failure::Stopped(Error::new(Kind::TryAgain, format!("token: {}", words(failed))))
            }
            RvError::ArgumentsBad
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::KeySizeRange
            | RvError::MechanismParamInvalid
            | RvError::TemplateInconsistent => Failure::Refused,
            RvError::FunctionNotSupported
            | RvError::KeyFunctionNotPermitted
            | RvError::KeyTypeInconsistent
            | RvError::MechanismInvalid => Failure::Unsupported(words(failed)),
            _ => Failure::Unclear(words(failed)),
        }
    }
}

impl Failure {
    /// What `failed` says before the key is asked: of the token and never of the key.
    pub(super) fn before(failed: &Failed) -> Failure {
        match Failure::of(failed) {
            Failure::Refused => Failure::Lost(words(failed)),
            Failure::Unclear(why) | Failure::Unsupported(why) => Failure::Lost(why),
            other => other,
        }
    }

    /// The error of an operation that is not one of a key: `what` was asked of a token.
    pub(super) fn error(self, what: impl std::fmt::Display) -> Error {
        match self {
            Failure::Stopped(error) => error,
            Failure::Lost(why) => gone(what, &why),
            Failure::Refused => Error::unavailable(format!("{what}: the token refuses it")),
            Failure::Unclear(why) | Failure::Unsupported(why) => Error::unavailable(format!("{what}: {why}")),
        }
    }
}

/// The error in words: `device removed`.
pub(super) fn words(failed: &Failed) -> String {
    match failed {
        Failed::LibraryLoading(error) => error.to_string(),
        Failed::Pkcs11(code, _) => {
            let mut words = String::new();
            for letter in format!("{code:?}").chars() {
                if letter.is_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.extend(letter.to_lowercase());
            }
            words
        }
        other => other.to_string().to_lowercase(),
    }
}

/// The error of a token that is not there.
pub(super) fn gone(what: impl std::fmt::Display, why: &str) -> Error {
    Error::new(Kind::TryAgain, format!("{what}: cannot be reached: {why}"))
        .with_hint("plug in the token, or start what provides it, and try again")
}
