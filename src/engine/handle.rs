//! The whole corridor for one mail: open, judge, gather facts, decide, act.

use crate::{base::Result, mail::Mail, policy::Decision, verdict::Verdict};

/// What a mail became.
#[derive(Debug)]
pub struct Outcome {
    /// What goes on: one mail for each group of recipients that [`Relay`](crate::policy::Disposition::Relay) or [`Quarantine`](crate::policy::Disposition::Quarantine) concerns.
    pub mails: Vec<Mail>,
    /// What was found in it as it came.
    pub verdict: Verdict,
    /// Who gets what, and which rule said so.
    pub decision: Decision,
}

/// The one thing that every transport calls.
pub trait Handler: Send + Sync {
    /// Carries one mail through the corridor.
    ///
    /// # Errors
    ///
    /// The work could not be done: nothing went on, and the sender keeps the mail. `TryAgain` and `Unavailable` are worth a retry.
    fn handle(&self, mail: Mail) -> Result<Outcome>;
}
