//! What a judge is told to do, and what it says.

use std::{ops::Range, time::SystemTime};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    bounds::{ANSWER, Bounded, QUESTION, SHORT, Sizes, TEXTS},
    forms::{MailForm, OutcomeForm, PostingForm},
    questions::{Answer, Foretold, Memory, Question},
    setup::Setup,
};
use crate::{
    base::{Error, Result},
    sandbox::Enforced,
};

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

impl Bounded for Order {
    fn most(kind: u8, sizes: &Sizes) -> u32 {
        match kind {
            // Beside it what is told ahead, which is as long at most.
            0 => ANSWER.saturating_mul(2),
            // A mail that is marked is one that was made.
            1 | 3 => sizes.made.saturating_add(ANSWER),
            2 => sizes.received.saturating_add(ANSWER),
            4 => TEXTS,
            _ => 0,
        }
    }
}

impl Bounded for Said {
    fn most(kind: u8, sizes: &Sizes) -> u32 {
        match kind {
            0..=2 => sizes.made,
            3 => QUESTION,
            4 => SHORT,
            _ => 0,
        }
    }
}

impl Said {
    /// In the place of a result that is too long to be said.
    pub(super) fn refused(self, error: Error) -> Said {
        match self {
            Said::Copies(_) => Said::Copies(Err(error)),
            Said::Handled(_) => Said::Handled(Err(error)),
            Said::Marked(_) => Said::Marked(Err(error)),
            Said::Question { .. } | Said::Ready(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Limits,
        isolation::{bounds, setup::VERSION},
    };

    #[test]
    fn each_kind_has_its_bound() {
        let limits = Limits { message: 1_000_000, ..Limits::default() };
        let sizes = Sizes::of(&limits, 100);
        let rest = u32::try_from(bounds::STRUCTURE).unwrap();
        assert_eq!(sizes.made, 16_000_000 + rest);
        assert_eq!(sizes.received, 1_000_000 + 1_048_576 + 204_800 + rest);
        let most = |said: &Said| Said::most(postcard::to_extend(said, Vec::new()).unwrap()[0], &sizes);
        let failed = || Error::usage("x");
        for said in [Said::Copies(Err(failed())), Said::Handled(Err(failed())), Said::Marked(Err(failed()))] {
            assert_eq!(most(&said), sizes.made, "{said:?}");
            let over = Error::over_budget("message", "x");
            assert!(format!("{:?}", said.refused(over)).contains("Malformed"));
        }
        assert_eq!(most(&Said::Question { question: Question::Anchors, expected: Vec::new() }), QUESTION);
        assert_eq!(most(&Said::Ready(Enforced::Fully)), SHORT);
        assert_eq!(Said::most(5, &sizes), 0, "there is no such kind");
        let most = |order: &Order| Order::most(postcard::to_extend(order, Vec::new()).unwrap()[0], &sizes);
        assert_eq!(most(&Order::Answer { answer: Err(failed()), ahead: Vec::new() }), 2 * ANSWER);
        let setup = Box::new(Setup {
            path: Default::default(),
            texts: Default::default(),
            tenant: None,
            legacy: Default::default(),
            memory: 0,
            sizes,
            marker: Default::default(),
            fetching: super::super::questions::Fetching::No,
        });
        assert_eq!(most(&Order::Start { version: VERSION.to_owned(), setup }), TEXTS);
        assert_eq!((Order::most(1, &sizes), Order::most(2, &sizes)), (sizes.made + ANSWER, sizes.received + ANSWER));
        let huge = Limits { message: usize::MAX, ..Limits::default() };
        assert_eq!(Sizes::of(&huge, usize::MAX), Sizes { received: u32::MAX, made: u32::MAX });
    }
}
