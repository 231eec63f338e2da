//! A headless Chromium.

use std::{path::Path, process::Command};

use super::{postfix::run_with, requirements::present};

/// Whether it is here.
pub(crate) fn is_here() -> bool {
    present(&["chromium"])
}

/// The document of a page after it was loaded, as Chromium writes it.
pub(crate) fn document(url: &str) -> String {
    let (text, _) = run(url, &["--dump-dom"]);
    text
}

/// Writes a picture of a page that is `width` pixels wide.
pub(crate) fn picture(url: &str, width: u32, to: &Path) {
    let (size, file) = (format!("--window-size={width},900"), format!("--screenshot={}", to.display()));
    let (_, said) = run(url, &[&size, &file]);
    assert!(to.is_file(), "no picture: {said}");
}

fn run(url: &str, arguments: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).args(arguments).arg(url);
    let output = run_with(&mut command, b"");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
