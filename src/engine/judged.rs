//! What a transport needs of a verdict, as plain facts: they can be sent from one process to another, and a verdict cannot.

use serde::{Deserialize, Serialize};

use crate::{
    keys::Announcement,
    mail::Address,
    report::{encryption_keys, signing_keys},
    verdict::{Standing, Verdict},
};

/// The facts of a [`Verdict`] for the log, for notifications and for what is learned from mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Judged {
    standing: Standing,
    author: Option<Address>,
    reason: Option<String>,
    signers: Vec<String>,
    readers: Vec<String>,
    announcements: Vec<Announcement>,
}

impl Judged {
    /// Those of `verdict`.
    pub fn of(verdict: &Verdict) -> Judged {
        Judged {
            standing: verdict.standing(),
            author: verdict.author().ok().cloned(),
            reason: verdict.reason().map(|reason| reason.code().to_owned()),
            signers: signing_keys(verdict),
            readers: encryption_keys(verdict),
            announcements: verdict.announcements().cloned().collect(),
        }
    }

    /// See [`Verdict::standing`].
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The one address in From, if it has one and the message has an author.
    pub fn author(&self) -> Option<&Address> {
        self.author.as_ref()
    }

    /// Why it is not authentic, in one word: see [`Reason::code`](crate::verdict::Reason::code).
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// See [`signing_keys`].
    pub fn signing_keys(&self) -> &[String] {
        &self.signers
    }

    /// See [`encryption_keys`].
    pub fn encryption_keys(&self) -> &[String] {
        &self.readers
    }

    /// See [`Verdict::announcements`].
    pub fn announcements(&self) -> &[Announcement] {
        &self.announcements
    }
}
