//! The error of every fallible function. It means that the work could not be done; a bad signature is an answer, and is in `verdict`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Hint;

/// What every fallible function of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One lower-case sentence that names the place and the reason, and where there is something to do, a hint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Error {
    kind: Kind,
    message: String,
    // What a person at this machine can do: it is not sent to other processes.
    #[serde(skip)]
    hint: Option<Hint>,
    is_over_budget: bool,
}

/// Who has to act. The command line turns each into an exit code of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Kind {
    /// The output cannot be created (73).
    CannotCreate,
    /// The configuration is wrong (78).
    Config,
    /// What this machine keeps is not what was written (65).
    Damaged,
    /// What this machine keeps cannot be used: no or a wrong master key, a file that others can read (77).
    Inaccessible,
    /// Reading or writing failed half-way (74).
    Io,
    /// There are keys, but they have expired (77).
    KeyExpired,
    /// The input is not what it says it is, or is over a bound (65).
    Malformed,
    /// The named input does not exist (66).
    NoInput,
    /// No usable key, or not permitted (77).
    NoKey,
    /// It may work later (75).
    TryAgain,
    /// Something outside, or an algorithm, is not available (69).
    Unavailable,
    /// What is encrypted does not decrypt, or what it hid cannot be read (65). A correspondent who learns more than this kind, or who learns
    /// whether it was this or [`Kind::NoKey`], has an oracle.
    Undecryptable,
    /// The call makes no sense (64).
    Usage,
}

impl Kind {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Kind::CannotCreate => "cannot-create",
            Kind::Config => "config",
            Kind::Damaged => "damaged",
            Kind::Inaccessible => "inaccessible",
            Kind::Io => "io",
            Kind::KeyExpired => "key-expired",
            Kind::Malformed => "malformed",
            Kind::NoInput => "no-input",
            Kind::NoKey => "no-key",
            Kind::TryAgain => "try-again",
            Kind::Unavailable => "unavailable",
            Kind::Undecryptable => "undecryptable",
            Kind::Usage => "usage",
        }
    }
}

impl Error {
    /// An error of `kind`; `message` is one lower-case line without a full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, is_over_budget: false }
    }

    /// Input that cannot be read: `place` says where, `reason` says why.
    pub fn malformed(place: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::new(Kind::Malformed, format!("{place}: {reason}"))
    }

    /// Input that costs more than `base::Limits` allow: `place` says where, `reason` says what there is too much of. Its kind is `Malformed`.
    pub(crate) fn over_budget(place: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Error { is_over_budget: true, ..Self::malformed(place, reason) }
    }

    /// What this machine keeps is not what was written: `place` says where, `reason` says what.
    pub fn damaged(place: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::new(Kind::Damaged, format!("{place}: {reason}"))
    }

    /// What this machine keeps, and cannot use as it is.
    pub fn inaccessible(message: impl Into<String>) -> Self {
        Self::new(Kind::Inaccessible, message)
    }

    /// No usable key, or not permitted.
    pub fn no_key(message: impl Into<String>) -> Self {
        Self::new(Kind::NoKey, message)
    }

    /// A call that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Something that is not available here.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// The same error of something that came out of encryption: what is wrong with a plaintext is one kind, and no stranger is told which.
    #[must_use]
    pub fn within_encryption(mut self) -> Self {
        if matches!(self.kind, Kind::Malformed | Kind::Unavailable) {
            self.kind = Kind::Undecryptable;
        }
        self
    }

    /// An operating system's refusal at `place`, in its words and without its number.
    pub fn io(place: impl fmt::Display, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NoInput,
            _ => Kind::Io,
        };
        let text = error.to_string().to_lowercase();
        let number = error.raw_os_error().map(|number| format!(" (os error {number})")).unwrap_or_default();
        Self::new(kind, format!("{place}: {}", text.strip_suffix(&number).unwrap_or(&text)))
    }

    /// The same error with what can be done about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error of the input `place`, where that is not its place already.
    #[must_use]
    pub fn of(mut self, place: &str) -> Self {
        if !self.message.starts_with(&format!("{place}: ")) {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// Who has to act.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What can be done about it, if there is something.
    pub fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }

    /// Whether something is encrypted and stays so: for want of a key, or because it does not decrypt. Replies to a correspondent treat
    /// both alike.
    pub fn is_sealed(&self) -> bool {
        matches!(self.kind, Kind::NoKey | Kind::Undecryptable)
    }

    /// Whether the input costs more than it may.
    pub fn is_over_budget(&self) -> bool {
        self.is_over_budget
    }

    /// Whether this machine is at fault, and not the message: mail is tried again later, when somebody has mended it.
    pub fn is_of_machine(&self) -> bool {
        matches!(
            self.kind,
            Kind::CannotCreate | Kind::Config | Kind::Damaged | Kind::Inaccessible | Kind::Io | Kind::TryAgain
        )
    }

    /// Whether a message that met this error meets it again however often it is tried. Transports refuse mail for good then, and keep or
    /// defer it otherwise.
    pub fn is_permanent(&self) -> bool {
        match self.kind {
            // The message decides: it is malformed, costs too much, or cannot be what a rule asks for (`pem` and an HTML message).
            Kind::Malformed | Kind::Usage => true,
            // The keys and the policy decide. What does not decrypt is as permanent as a missing key: a sender must not tell them apart.
            Kind::KeyExpired | Kind::NoKey | Kind::Undecryptable => true,
            // This machine is at fault. When mail is handled, a missing input is a file of this machine too.
            Kind::CannotCreate | Kind::Config | Kind::Damaged | Kind::Inaccessible | Kind::Io | Kind::NoInput => false,
            // A service or a resource may be back later.
            Kind::TryAgain | Kind::Unavailable => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters in names taken from the message must not reach a terminal.
        for c in self.message.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
