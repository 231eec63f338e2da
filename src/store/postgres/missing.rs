//! In place of PostgreSQL, in a build without it (Cargo feature `postgres`).

use crate::{
    base::{Error, Result},
    store::{backend::Backend, elsewhere::Server as Place},
};

pub(super) fn open(_: &[String]) -> Result<Box<dyn Backend>> {
    Err(missing())
}

pub(super) fn upgrade(_: &str) -> Result<(i32, i32)> {
    Err(missing())
}

pub(super) fn places(_: &str) -> Result<Vec<Place>> {
    Err(missing())
}

pub(super) const ROLES: &str = "";

fn missing() -> Error {
    Error::unavailable("PostgreSQL: not in this build (Cargo feature `postgres`)")
}
