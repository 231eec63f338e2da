//! The home and every other store of keys.

mod audit;
mod contract;
mod home;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
