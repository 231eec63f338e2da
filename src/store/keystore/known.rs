//! What was read, and of which moment it is.
//!
//! No lock is held while a backend is asked. What is remembered belongs to a [`Moment`], and a look takes part in one only if its rows are those of that
//! moment. So an answer that comes late is remembered where no later look finds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{keys::Record, store::backend::Records};

/// What was read of one moment of a store.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) records: Records,
    statements: Mutex<Option<Vec<Arc<[u8]>>>>,
}

impl Moment {
    pub(super) fn remember(&self, found: &[Arc<Record>]) {
        found.iter().for_each(|record| self.records.put(record));
    }

    /// The statements, which `read` reads if that was not done yet.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn statements<E>(&self, read: impl FnOnce() -> Result<Vec<Arc<[u8]>>, E>) -> Result<Vec<Arc<[u8]>>, E> {
        if let Some(known) = &*locked(&self.statements) {
            return Ok(known.clone());
        }
        let found = read()?;
        *locked(&self.statements) = Some(found.clone());
        Ok(found)
    }
}

/// The last moment of which something was read.
///
/// A moment is told by two numbers: the version of the store, which is another one after a change by others and may stay after one of this process, and
/// the number of the changes that this process has begun and ended.
#[derive(Debug, Default)]
pub(super) struct Known {
    last: Mutex<Last>,
    /// One change at a time, so that those that wait take no connection from the looks.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Last {
    /// Odd while this process changes something.
    changes: u64,
    /// `None`: nothing was read since the last change.
    version: Option<i64>,
    moment: Arc<Moment>,
}

/// When a look began, in changes of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl Known {
    /// To be called before the first row is read.
    pub(super) fn begin(&self) -> Begun {
        Begun(locked(&self.last).changes)
    }

    /// Where to remember what is read of `version`, by a look that began at `begun`. When this process has changed something meanwhile, or does so
    /// now, that is a moment of which no one else knows.
    pub(super) fn moment(&self, begun: Begun, version: i64) -> Arc<Moment> {
        let mut last = locked(&self.last);
        if last.changes != begun.0 || last.changes % 2 == 1 {
            return Arc::default();
        }
        if last.version != Some(version) {
            (last.version, last.moment) = (Some(version), Arc::default());
        }
        Arc::clone(&last.moment)
    }

    /// Waits for other changes of this process, and begins one, which ends when the result is dropped. What was read before counts no more.
    pub(super) fn change(&self) -> Changing<'_> {
        let turn = locked(&self.turn);
        self.count();
        Changing { known: self, _turn: turn }
    }

    fn count(&self) {
        let mut last = locked(&self.last);
        last.changes += 1;
        (last.version, last.moment) = (None, Arc::default());
    }
}

/// A change of this process.
pub(super) struct Changing<'a> {
    known: &'a Known,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.known.count();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(one: &Arc<Moment>, other: &Arc<Moment>) -> bool {
        Arc::ptr_eq(one, other)
    }

    #[test]
    fn looks_of_one_moment_share_what_they_read() {
        let known = Known::default();
        let one = known.moment(known.begin(), 7);
        assert!(is_same(&one, &known.moment(known.begin(), 7)));
        assert!(!is_same(&one, &known.moment(known.begin(), 8)), "others changed something");
        // A look at older rows that comes late.
        let late = known.moment(known.begin(), 7);
        assert!(!is_same(&late, &known.moment(known.begin(), 8)));
    }

    #[test]
    fn what_was_asked_before_or_during_a_change_is_for_no_other_look() {
        let known = Known::default();
        let (before, early) = (known.moment(known.begin(), 7), known.begin());
        let changing = known.change();
        let during = known.moment(known.begin(), 7);
        let begun = known.begin();
        drop(changing);
        // The version of the store may be the same after a change of this process.
        let after = known.moment(known.begin(), 7);
        assert!(is_same(&after, &known.moment(known.begin(), 7)));
        for other in [before, during, known.moment(early, 7), known.moment(begun, 7)] {
            assert!(!is_same(&after, &other));
        }
    }
}
