//! What the supervisor of the service and the process with the keys say to each other.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    bounds::{Bounded, SHORT, Sizes, TEXTS},
    requests::Family,
};
use crate::{base::Error, mail::Envelope};

/// What the process with the keys begins with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Told {
    /// The place of the configuration.
    pub path: PathBuf,
    /// The texts that it was read from.
    pub texts: BTreeMap<PathBuf, String>,
    /// The home that takes the place of that of the configuration.
    pub home: Option<PathBuf>,
    /// How many processes with the keys ended before it.
    pub ended: u64,
}

/// What the process with the keys says.
#[derive(Debug, Deserialize, Serialize)]
pub enum Word {
    /// It cannot serve, and ends.
    Failed(Error),
    /// It serves.
    Ready,
    /// It loads the configuration again.
    Reloading,
    /// It accepts nothing more.
    Stopping,
    /// The configuration could not be loaded again: the one before stays in force.
    Unchanged,
}

/// What it is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Load the configuration again.
    Reload,
    /// Accept nothing more, and end with the messages in progress.
    Stop,
}

/// What the process with the keys is told.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// Load the configuration again.
    Reload,
    /// The first order. The listening sockets with these names come over the other connection.
    Start { version: String, told: Told, sockets: Vec<(String, Family)> },
    /// Accept nothing more, and end with the messages in progress.
    Stop,
}

/// The octet for the program that takes mail, among those of the processes of the service.
pub(super) const PROGRAM: u8 = u8::MAX;

impl Bounded for Order {
    fn most(kind: u8, _: &Sizes) -> u32 {
        match kind {
            0 | 2 => SHORT,
            1 => TEXTS,
            _ => 0,
        }
    }
}

impl Bounded for Word {
    fn most(_: u8, _: &Sizes) -> u32 {
        SHORT
    }
}

/// That of a mail for the program that takes mail: 1,000 recipients, each with its parameters.
impl Bounded for Envelope {
    fn most(_: u8, _: &Sizes) -> u32 {
        ENVELOPE
    }
}

/// Octets of an envelope for the program that takes mail. Source: 1,000 recipients, each a line of SMTP.
const ENVELOPE: u32 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_bound() {
        let first = |order: &Order| postcard::to_extend(order, Vec::new()).unwrap()[0];
        let told = Told { path: PathBuf::new(), texts: BTreeMap::new(), home: None, ended: 0 };
        let start = Order::Start { version: String::new(), told, sockets: Vec::new() };
        for (order, most) in [(Order::Reload, SHORT), (start, TEXTS), (Order::Stop, SHORT)] {
            assert_eq!(Order::most(first(&order), &Sizes::default()), most, "{order:?}");
        }
    }
}
