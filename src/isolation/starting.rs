//! What the supervisor of the service and the process with the keys say to each other.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::requests::Family;
use crate::base::Error;

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
