//! Usage errors in one line and a hint, like every other error. clap prints a page.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use postseal::base::Error;

/// The error for what clap refuses. The hint is the word that was meant, or else the possible values, or the usage of the verb.
pub(crate) fn refusal(refusal: &clap::Error) -> Error {
    let page = refusal.render().to_string();
    let usage = page.lines().find_map(|line| line.strip_prefix("Usage: ")).map(|usage| format!("usage: {usage}"));
    if refusal.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("no command is given").with_hint(usage.unwrap_or_default() + "; --help lists them");
    }
    let said = page.strip_prefix("error: ").unwrap_or(&page).lines().map(str::trim);
    let (values, said): (Vec<&str>, Vec<&str>) =
        said.take_while(|line| !line.is_empty()).partition(|line| line.starts_with(VALUES));
    let values = values.first().map(|line| format!("one of {}", line.trim_start_matches(VALUES).trim_end_matches(']')));
    let usage = match refusal.kind() {
        // clap writes the option that it suggests into the usage.
        ErrorKind::UnknownArgument => usage.map(|usage| format!("`{} --help` lists the options", verb(&usage))),
        _ => usage,
    };
    let error = Error::usage(said.join(" "));
    match misspelt(refusal).or(values).or(usage) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// What was meant, where a word is a misspelling. clap suggests words too that are only somewhat alike, such as `--triple` for `--recipient`.
fn misspelt(refusal: &clap::Error) -> Option<String> {
    let words = |kind| match refusal.get(kind) {
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    };
    let (typed, known) = match refusal.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        ErrorKind::InvalidValue => (ContextKind::InvalidValue, ContextKind::SuggestedValue),
        _ => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
    };
    let (typed, known) = (words(typed).into_iter().next()?, words(known));
    let distance = |known: &String| strsim::damerau_levenshtein(&typed, known);
    let nearest = known.into_iter().min_by_key(distance)?;
    let letters = nearest.trim_start_matches('-').len();
    (distance(&nearest) <= (letters / 3).max(1)).then(|| format!("did you mean {nearest}?"))
}

/// `postseal key import` of `usage: postseal key import [OPTIONS] <FILE>`.
fn verb(usage: &str) -> String {
    let words = usage.trim_start_matches("usage: ").split(' ');
    words.take_while(|word| !word.starts_with(['[', '<', '-'])).collect::<Vec<_>>().join(" ")
}

/// The beginning of clap's line of possible values.
const VALUES: &str = "[possible values: ";
