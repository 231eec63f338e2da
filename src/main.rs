//! The command line.

use std::{
    alloc::System,
    panic::{UnwindSafe, catch_unwind},
    process::ExitCode,
};

use zeroizing_alloc::ZeroAlloc;

mod cli;

/// Memory is wiped when it is given back: messages, keys and passphrases go through buffers of many crates, and none of them is left in a core, in
/// swap or for a read beyond the end of a buffer.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// EX_TEMPFAIL of sysexits.h: a mail server that runs this program tries the message again later.
const TRY_AGAIN: u8 = 75;

fn main() -> ExitCode {
    guarded(cli::run)
}

/// Runs `work`. A panic has been printed by then; it ends with a code that makes no mail server give the message up.
fn guarded(work: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    catch_unwind(work).unwrap_or(ExitCode::from(TRY_AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_temporary() {
        assert_eq!(guarded(|| panic!("for the test")), ExitCode::from(TRY_AGAIN));
        assert_eq!(guarded(|| ExitCode::from(1)), ExitCode::from(1));
    }
}
