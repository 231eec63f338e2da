//! `--quiet`: only data and errors are shown.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// From here on only data and errors are shown.
pub(crate) fn begin() {
    QUIET.store(true, Relaxed);
}

/// Whether only data and errors are shown.
pub(crate) fn is_on() -> bool {
    QUIET.load(Relaxed)
}

static QUIET: AtomicBool = AtomicBool::new(false);
