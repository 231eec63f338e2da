//! Text for people: colour on a terminal (unless NO_COLOR is set), errors as one line and a hint.

pub(crate) mod progress;
pub(crate) mod quiet;

use std::io::Write;

use anstyle::{AnsiColor, Style};
use postseal::{
    base::{Error, Kind, Result},
    report::printable,
};

use super::{args::Colors, hint::words, output::forgive_closed_pipe};

/// Sets when colours are used, before anything is shown.
pub(crate) fn use_colors(colors: Colors) {
    match colors {
        Colors::Auto => {}
        Colors::Always => anstream::ColorChoice::AlwaysAnsi.write_global(),
        Colors::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Writes data to standard output. ANSI escapes are stripped unless it is a terminal.
pub(crate) fn data(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let written = progress::quietly(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    forgive_closed_pipe(written).map_err(|e| Error::io("standard output", &e))
}

/// Writes to standard error what is not data, unless `--quiet` is given.
pub(crate) fn aside(text: &str) {
    if !quiet::is_on() {
        always(text);
    }
}

/// Writes to standard error.
pub(crate) fn always(text: &str) {
    // A closed standard error cannot be reported anywhere.
    let _ = progress::quietly(|| anstream::stderr().lock().write_all(text.as_bytes()));
}

/// `postseal: warning: ...`.
pub(crate) fn warning(text: &str) {
    aside(&format!("postseal: {YELLOW}warning:{YELLOW:#} {}\n", printable(text)));
}

/// One lower-case line, then the hint.
pub(crate) fn error(error: &Error) {
    always(&format!("postseal: {RED}error:{RED:#} {}\n", printable(&error.to_string())));
    if let Some(hint) = error.hint() {
        self::hint(&words(hint));
    }
}

/// `hint: ...`.
pub(crate) fn hint(text: &str) {
    aside(&format!("{CYAN}hint:{CYAN:#} {}\n", printable(text)));
}

/// The exit code of `sysexits.h` for an error.
pub(crate) fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Usage => 64,
        Kind::Damaged | Kind::Malformed | Kind::Undecryptable => 65,
        Kind::NoInput => 66,
        Kind::Unavailable => 69,
        Kind::CannotCreate => 73,
        Kind::Io => 74,
        Kind::TryAgain => 75,
        Kind::Inaccessible | Kind::KeyExpired | Kind::NoKey => 77,
        Kind::Config => 78,
        _ => 70,
    }
}

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
