//! What the process that asks the network is told, and what it says.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::bounds::{Bounded, FOUND, SHORT, Sizes, TEXTS};
use crate::{
    discover::{
        Method, NetworkSettings, SignedKeys,
        http::{Failure, Plain},
    },
    mail::Address,
    sandbox::Enforced,
};

/// What it is told. It may be asked anything before it has answered.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Call {
    /// Answer this by the settings with this number.
    Ask { number: u64, settings: u64, question: Asked, left: Duration },
    /// Nothing more is asked by the settings with this number.
    Forget(u64),
    /// Settings, and their number.
    Settings { number: u64, settings: Box<NetworkSettings> },
    /// The first one. A process of another version does not read it. `ports` are those that it connects to by TCP; `None`: all.
    Start { version: String, ports: Option<BTreeSet<u16>> },
}

/// What is asked: a method of [`NetworkAccess`](crate::discover::NetworkAccess).
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Asked {
    DirectoryKeys { method: Method, address: Address },
    Get { url: String, most: usize, plain: Plain },
    Post { url: String, media_type: String, octets: ByteBuf, most: usize, plain: Plain },
    SignedKeys { method: Method, address: Address },
}

/// What it says.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Reply {
    Answer { number: u64, answer: Result<Found, Failure> },
    Ready(Enforced),
}

impl Bounded for Call {
    fn most(kind: u8, _: &Sizes) -> u32 {
        match kind {
            0 | 1 | 3 => SHORT,
            2 => TEXTS,
            _ => 0,
        }
    }
}

impl Bounded for Reply {
    fn most(kind: u8, _: &Sizes) -> u32 {
        match kind {
            0 => FOUND,
            1 => SHORT,
            _ => 0,
        }
    }
}

/// What came of a question.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Found {
    Octets(ByteBuf),
    Signed(SignedKeys),
    Values(Values),
}

/// Several values, one after the other. A length takes little memory, however many there are.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Values {
    lengths: Vec<u32>,
    octets: ByteBuf,
}

impl Values {
    pub(super) fn of(values: &[Vec<u8>]) -> Values {
        let lengths = values.iter().map(|value| u32::try_from(value.len()).unwrap_or(u32::MAX)).collect();
        Values { lengths, octets: ByteBuf::from(values.concat()) }
    }

    /// `None`: the lengths are not those of the octets.
    pub(super) fn values(&self) -> Option<Vec<Vec<u8>>> {
        let (mut values, mut rest) = (Vec::new(), self.octets.as_slice());
        for length in &self.lengths {
            // Nothing is no value, and there could be millions of it.
            let length = usize::try_from(*length).ok().filter(|length| *length > 0)?;
            let (value, after) = rest.split_at_checked(length)?;
            values.push(value.to_vec());
            rest = after;
        }
        rest.is_empty().then_some(values)
    }
}

impl Found {
    /// Its octets, without the names.
    pub(super) fn octets(&self) -> usize {
        match self {
            Found::Octets(octets) => octets.len(),
            Found::Signed(SignedKeys::Found(octets)) => octets.len(),
            Found::Signed(SignedKeys::Missing(why)) => why.len(),
            Found::Values(values) => values.octets.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_bound() {
        let sizes = Sizes::default();
        let most = |call: &Call| Call::most(postcard::to_extend(call, Vec::new()).unwrap()[0], &sizes);
        let question =
            Asked::SignedKeys { method: Method::Openpgpkey, address: Address::parse("a@example.org").unwrap() };
        assert_eq!(most(&Call::Ask { number: 0, settings: 0, question, left: Duration::ZERO }), SHORT);
        assert_eq!(most(&Call::Forget(0)), SHORT);
        assert_eq!(most(&Call::Start { version: String::new(), ports: None }), SHORT);
        assert_eq!((Call::most(2, &sizes), Call::most(4, &sizes)), (TEXTS, 0));
        let most = |reply: &Reply| Reply::most(postcard::to_extend(reply, Vec::new()).unwrap()[0], &sizes);
        assert_eq!(most(&Reply::Answer { number: 0, answer: Err(Failure::NotFound) }), FOUND);
        assert_eq!(most(&Reply::Ready(Enforced::Fully)), SHORT);
        assert_eq!(Reply::most(2, &sizes), 0);
    }
}
