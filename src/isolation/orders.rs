//! What a judge is told to do, and what it says.

use std::{ops::Range, time::SystemTime};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    forms::{MailForm, OutcomeForm, PostingForm},
    questions::{Answer, Foretold, Memory, Question},
    setup::Setup,
};
use crate::{base::Result, sandbox::Enforced};

/// What a judge is told.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// The answer to its question, and to some that it is expected to ask next.
    Answer { answer: Result<Answer>, ahead: Vec<Foretold> },
    /// Make these copies of a posting.
    Copies { posting: PostingForm, numbers: Range<usize>, task: Task },
    /// Handle this mail.
    Handle { mail: MailForm, task: Task },
    /// Mark this mail as handled.
    Mark { mail: MailForm, task: Task },
    /// The first order. A judge of another version does not read it.
    Start { version: String, setup: Box<Setup> },
}

/// What every piece of work has.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Task {
    /// The time.
    pub(super) now: SystemTime,
    /// What the log has of the connection and the message, to be written behind every line.
    pub(super) context: String,
    pub(super) memory: Memory,
    /// What it is expected to ask.
    pub(super) ahead: Vec<Foretold>,
}

/// What a judge says.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Said {
    Copies(Result<Vec<MailForm>>),
    Handled(Result<Box<OutcomeForm>>),
    Marked(Result<ByteBuf>),
    /// A question, and what it will ask next, if nothing fails.
    Question {
        question: Question,
        expected: Vec<Question>,
    },
    Ready(Enforced),
}
