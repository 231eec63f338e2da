//! What the pages of the command line say beyond the options. tests/cli/verbs/manual.rs types the examples.

mod entry;
mod homes;
mod keys;
mod messages;
mod program;
mod service;

pub(super) use entry::Entry;

/// The entry of a verb.
pub(super) fn of(verb: &str) -> Option<&'static Entry> {
    let all = [messages::ENTRIES, keys::ENTRIES, homes::ENTRIES, service::ENTRIES, program::ENTRIES];
    all.into_iter().flatten().find(|entry| entry.verb == verb)
}
