//! What the process that asks the network is told, and what it says.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

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
