//! What one page has.

/// What the page of one verb has.
pub(crate) struct Entry {
    /// The verb: `key generate`. Empty for the program.
    pub(crate) verb: &'static str,
    /// A paragraph of its description. May be empty.
    pub(crate) text: &'static str,
    /// What is done, and the lines for a shell.
    pub(crate) examples: Examples,
    /// Related verbs, beside those above and below it.
    pub(crate) see: &'static [&'static str],
    /// Environment variables that only this verb reads, and their meaning.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

type Examples = &'static [(&'static str, &'static str)];

pub(crate) const fn entry(
    verb: &'static str,
    text: &'static str,
    examples: Examples,
    see: &'static [&'static str],
) -> Entry {
    Entry { verb, text, examples, see, environment: &[] }
}
