//! The verbs about the program.

use super::entry::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry("demo", "", &[("Run it:", "postseal demo")], &["sign", "verify", "encrypt"]),
    entry(
        "completions",
        "",
        &[(
            "For bash, for yourself:",
            "mkdir -p ~/.local/share/bash-completion/completions\npostseal completions bash > ~/.local/share/bash-completion/completions/postseal",
        )],
        &["man"],
    ),
    Entry {
        environment: &[(
            "SOURCE_DATE_EPOCH",
            "Seconds since 1970: the date in the footer. Without it, the date is today's.",
        )],
        ..entry(
            "man",
            "The directory is made, with those above it.",
            &[("Read them without installing them:", "postseal man pages\nman -l pages/postseal-sign.1")],
            &["completions"],
        )
    },
];
