//! Parts of the output that OpenPGP certificates, X.509 certificates and bare keys share.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use postseal::{
    base::rfc3339,
    keys::{Binding, Handle, Record},
    report::printable,
};

/// What the key is trusted for, in words.
pub(super) fn trusted(record: &Record) -> Vec<String> {
    purposes(record.bindings())
}

/// What bindings trust a key for, in words.
pub(super) fn purposes(bindings: &[Binding]) -> Vec<String> {
    let name = |binding: &Binding| match binding {
        Binding::Address(address) => Some(printable(&address.to_string())),
        Binding::Anchor => Some("certificate paths (trust anchor)".to_owned()),
        Binding::UserIds => Some("its user IDs".to_owned()),
        _ => None,
    };
    bindings.iter().filter_map(name).collect()
}

/// The addresses, the trusted ones marked.
pub(super) fn addresses(record: &Record) -> String {
    let whole = record.bindings().contains(&Binding::UserIds);
    let bound = record.bindings().iter().filter_map(|binding| match binding {
        Binding::Address(address) => Some(address),
        _ => None,
    });
    let claimed = record.claimed().iter().filter(|address| !bound.clone().any(|one| one == *address));
    let name = |address: &_, trusted: bool| {
        let mark = if trusted { format!(" {GREEN}(trusted){GREEN:#}") } else { String::new() };
        format!("{}{mark}", printable(&format!("{address}")))
    };
    let all = bound.clone().map(|address| name(address, true)).chain(claimed.map(|address| name(address, whole)));
    all.collect::<Vec<_>>().join(", ")
}

/// The digits of a fingerprint in groups of four, as people compare them.
pub(in crate::cli::cmd) fn grouped(fingerprint: &Handle) -> String {
    let digits: Vec<char> = fingerprint.as_str().chars().collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// `2026-11-23`.
pub(in crate::cli::cmd) fn day(time: SystemTime) -> String {
    rfc3339(time).chars().take_while(|c| *c != 'T').collect()
}

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const RED: Style = AnsiColor::Red.on_default();
