//! What the process with the sockets and the process with the keys say to each other.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    bounds::{Bounded, FIGURES, SHORT, Sizes, TEXTS},
    forms::{MailForm, OutcomeForm, PostingForm},
};
use crate::{
    base::{Error, Result},
    report::{Counts, KeyFigures, html::KeyEnd},
};

/// The configuration of the front, from one load to the next.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Loaded {
    /// Which load it is. Connections keep the one that they began with.
    pub number: u64,
    /// The place of the configuration.
    pub path: PathBuf,
    /// The texts that it was read from.
    pub texts: BTreeMap<PathBuf, String>,
    /// The home that takes the place of that of the configuration.
    pub home: Option<PathBuf>,
}

/// What the front is told.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// Take this configuration instead.
    Load(Loaded),
    /// The first order. A front of another version does not read it. The listening sockets with these names come over the other connection.
    Start { version: String, loaded: Loaded, sockets: Vec<(String, Family)> },
    /// Accept nothing more, and end with the messages in progress.
    Stop,
}

/// What a listening socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Family {
    /// TCP.
    Tcp,
    /// A local socket.
    Unix,
}

/// What the front reports.
#[derive(Debug, Deserialize, Serialize)]
pub enum Report {
    /// It cannot serve, and ends.
    Failed(Error),
    /// It keeps the configuration that it has: that of the load with this number has an error.
    Kept(u64),
    /// No connection of this load is left.
    Left(u64),
    /// It serves with the configuration of the load with this number.
    Serving(u64),
}

/// The first value on a connection that the front makes.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Purpose {
    /// Mails of the service itself, which the front sends, for the load with this number.
    Outgoing(u64),
    /// Requests, for the load with this number.
    Requests(u64),
}

/// What the front asks for.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Request {
    Copies {
        listener: String,
        posting: PostingForm,
        numbers: Range<usize>,
        context: String,
    },
    Handle {
        listener: String,
        mail: MailForm,
        context: String,
    },
    Health(HealthQuestion),
    Mark {
        listener: String,
        mail: MailForm,
        context: String,
    },
    /// Hand this mail over to the program that takes mail.
    Send {
        mail: MailForm,
        context: String,
    },
}

/// An answer, and what was counted meanwhile.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Response {
    pub(super) said: Said,
    pub(super) counts: Counts,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Said {
    Copies(Result<Vec<MailForm>>),
    Handled(Result<Box<OutcomeForm>>),
    Health(HealthAnswer),
    Marked(Result<ByteBuf>),
    Sent(Result<()>),
}

/// What is asked about the keys and whether mail can be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum HealthQuestion {
    /// How far another clock is from this one's.
    ClockSkew,
    /// Which own keys end soon.
    Endings,
    /// The figures about keys.
    Keys,
    /// Whether mail can be handled.
    Ready,
}

/// The answers.
#[derive(Debug, Deserialize, Serialize)]
pub enum HealthAnswer {
    /// To [`HealthQuestion::ClockSkew`].
    ClockSkew(Option<Duration>),
    /// To [`HealthQuestion::Endings`].
    Endings(Vec<KeyEnd>),
    /// To [`HealthQuestion::Keys`].
    Keys(Option<KeyFigures>),
    /// To [`HealthQuestion::Ready`].
    Ready(Result<()>),
}

impl Bounded for Order {
    fn most(kind: u8, _: &Sizes) -> u32 {
        match kind {
            0 | 1 => TEXTS,
            2 => SHORT,
            _ => 0,
        }
    }
}

impl Bounded for Report {
    fn most(_: u8, _: &Sizes) -> u32 {
        SHORT
    }
}

impl Bounded for Purpose {
    fn most(_: u8, _: &Sizes) -> u32 {
        SHORT
    }
}

impl Bounded for Request {
    fn most(kind: u8, sizes: &Sizes) -> u32 {
        match kind {
            1 => sizes.received,
            2 => SHORT,
            // With what was made of a mail before.
            0 | 3 | 4 => sizes.made,
            _ => 0,
        }
    }
}

impl Bounded for Response {
    fn most(kind: u8, sizes: &Sizes) -> u32 {
        match kind {
            0 | 1 | 3 => sizes.made,
            2 | 4 => FIGURES,
            _ => 0,
        }
    }
}

impl Said {
    /// In the place of an answer that is too long to be said.
    pub(super) fn refused(&self, error: Error) -> Said {
        match self {
            Said::Copies(_) => Said::Copies(Err(error)),
            Said::Handled(_) => Said::Handled(Err(error)),
            Said::Health(_) => Said::Health(HealthAnswer::Ready(Err(error))),
            Said::Marked(_) => Said::Marked(Err(error)),
            Said::Sent(_) => Said::Sent(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    fn first(value: &impl Serialize) -> u8 {
        postcard::to_extend(value, Vec::new()).unwrap()[0]
    }

    #[test]
    fn each_kind_has_its_bound() {
        let sizes = Sizes::of(&Limits::default(), 100);
        let loaded = Loaded { number: 1, path: PathBuf::new(), texts: BTreeMap::new(), home: None };
        assert_eq!(Order::most(first(&Order::Load(loaded.clone())), &sizes), TEXTS);
        let start = Order::Start { version: String::new(), loaded, sockets: Vec::new() };
        assert_eq!(Order::most(first(&start), &sizes), TEXTS);
        assert_eq!(Order::most(first(&Order::Stop), &sizes), SHORT);
        assert_eq!(Request::most(first(&Request::Health(HealthQuestion::Ready)), &sizes), SHORT);
        assert_eq!(
            [0, 1, 3, 4, 5].map(|kind| Request::most(kind, &sizes)),
            [sizes.made, sizes.received, sizes.made, sizes.made, 0]
        );
        let failed = || Error::usage("x");
        for (said, most) in [
            (Said::Copies(Err(failed())), sizes.made),
            (Said::Handled(Err(failed())), sizes.made),
            (Said::Health(HealthAnswer::Keys(None)), FIGURES),
            (Said::Marked(Err(failed())), sizes.made),
            (Said::Sent(Err(failed())), FIGURES),
        ] {
            let response = Response { said, counts: Counts::default() };
            assert_eq!(Response::most(first(&response), &sizes), most, "{response:?}");
            let refused = response.said.refused(Error::over_budget("message", "x"));
            assert_eq!(first(&refused), first(&response.said));
            assert!(format!("{refused:?}").contains("Malformed"));
        }
    }
}
