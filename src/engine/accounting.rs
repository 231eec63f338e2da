//! What the handling of a mail used, keys and time, and whom it did not serve.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mail::Address;

/// A recipient for whom a message could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Unopened {
    /// The address in the envelope.
    pub recipient: Address,
    /// Why not, for the log only.
    pub reason: String,
}

/// The keys that a message was sealed with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct UsedKeys {
    /// The fingerprints of those that signed.
    pub signers: Vec<String>,
    /// The fingerprints of those that it was encrypted to.
    pub readers: Vec<String>,
    /// What is doubtful about one of them, one line each.
    pub warnings: Vec<String>,
}

/// How long the steps of handling one mail took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Times {
    /// To open and judge it.
    pub open: Duration,
    /// To look up the keys of its author and its recipients.
    pub resolve: Duration,
    /// To make what each group gets.
    pub act: Duration,
}
