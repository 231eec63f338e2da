//! The columns of a row, one after the other.

use crate::{
    base::{Error, Result},
    keys::FindingValue,
};

pub(super) struct Cells(std::vec::IntoIter<FindingValue>);

impl Cells {
    pub(super) fn of(row: Vec<FindingValue>) -> Cells {
        Cells(row.into_iter())
    }

    /// # Errors
    ///
    /// Each method: `Damaged` for a value of another kind.
    pub(super) fn number(&mut self) -> Result<i64> {
        match self.0.next() {
            Some(FindingValue::Number(number)) => Ok(number),
            _ => Err(damaged("a number")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        match self.0.next() {
            Some(FindingValue::Text(text)) => Ok(text),
            _ => Err(damaged("text")),
        }
    }

    pub(super) fn octets(&mut self) -> Result<Vec<u8>> {
        match self.0.next() {
            Some(FindingValue::Octets(octets)) => Ok(octets),
            _ => Err(damaged("octets")),
        }
    }
}

fn damaged(expected: &str) -> Error {
    Error::damaged("keys found", format!("a value that is not {expected}"))
}
