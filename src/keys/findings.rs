//! Where the sources on the network keep what they found, for several machines.

use crate::base::Result;

/// Tables of what was found, which several machines share. `discover` knows what is in them, and has a file where there is no such place.
///
/// # Errors
///
/// Each method: `TryAgain` when it cannot be reached now, `Inaccessible` when it may not be written to, `Damaged` when it cannot be read as what it is.
pub trait Findings: Send + Sync {
    /// Runs `work` as one change: all of it, or nothing when it fails. `work` may run twice, unless its last statement was answered; only the last run
    /// counts. Others may change the same tables at once; a row that one of them has changed and not finished is waited for.
    fn change(&self, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()>;
}

/// Rows of what was found, within one change. Statements are in the SQL that SQLite and PostgreSQL share, with ?1, ?2 and so on for the values.
///
/// # Errors
///
/// As [`Findings`].
pub trait FindingRows {
    /// Runs a statement; returns how many rows it has changed.
    fn execute(&self, sql: &str, values: &[FindingValue]) -> Result<u64>;

    /// Runs a query; returns its rows. No column may be NULL.
    fn query(&self, sql: &str, values: &[FindingValue]) -> Result<Vec<Vec<FindingValue>>>;
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingValue {
    /// A number; a time is in milliseconds since 1970.
    Number(i64),
    /// Octets.
    Octets(Vec<u8>),
    /// Text.
    Text(String),
}

impl From<i64> for FindingValue {
    fn from(number: i64) -> Self {
        FindingValue::Number(number)
    }
}

impl From<&str> for FindingValue {
    fn from(text: &str) -> Self {
        FindingValue::Text(text.to_owned())
    }
}

impl From<&[u8]> for FindingValue {
    fn from(octets: &[u8]) -> Self {
        FindingValue::Octets(octets.to_vec())
    }
}
