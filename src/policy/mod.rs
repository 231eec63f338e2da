//! Policy: a pure function from what is known of a mail to what is done with it. No key, no clock, no network.

mod facts;
mod rules;

pub use facts::{Direction, Facts, KeyState, RecipientFacts};
pub use rules::Action;

use crate::mail::ForwardPath;

/// What is done with one mail: its recipients, grouped by what they get. Each recipient is in exactly one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// In the order of each one's first recipient.
    pub groups: Vec<Group>,
}

/// Recipients that get the same octets, or the same refusal, because of the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who. A recipient whose presence the others must not learn (Bcc) is alone in his group.
    pub recipients: Vec<ForwardPath>,
    /// The name of the rule that decided.
    pub rule: String,
    /// What is done, in this order.
    pub actions: Vec<Action>,
    /// What becomes of the result.
    pub disposition: Disposition,
}

/// What becomes of a mail for some of its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It goes on its way.
    Relay,
    /// It is refused for good; one line for the sender, without a reply code (`5.7.1` is added by the transport).
    Reject(String),
    /// It is refused for now.
    Tempfail(String),
    /// It is held where the administrator can look at it.
    Quarantine(String),
    /// It is accepted and thrown away.
    Discard,
}
