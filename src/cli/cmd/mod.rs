//! The verbs. Each builds what it needs from its options and calls the engine.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod cert;
pub(crate) mod config;
pub(crate) mod demo;
mod ending;
pub(crate) mod fetch;
pub(crate) mod filter;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod look;
pub(crate) mod manual;
mod many;
pub(crate) mod open;
pub(crate) mod pieces;
pub(crate) mod quarantine;
pub(crate) mod scan;
pub(crate) mod seal;
pub(crate) mod sendmail;
pub(crate) mod serve;
pub(crate) mod store;
