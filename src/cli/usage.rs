//! Usage errors in one line and a hint, like every other error. clap prints a page.

use clap::error::ErrorKind;
use postseal::base::Error;

/// The error for what clap refuses. The hint is clap's suggestion, or else the possible values, or the usage of the verb.
pub(crate) fn refusal(refusal: &clap::Error) -> Error {
    let page = refusal.render().to_string();
    let usage = page.lines().find_map(|line| line.strip_prefix("Usage: ")).map(|usage| format!("usage: {usage}"));
    if refusal.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("no command is given").with_hint(usage.unwrap_or_default() + "; --help lists them");
    }
    let said = page.strip_prefix("error: ").unwrap_or(&page).lines().map(str::trim);
    let (values, said): (Vec<&str>, Vec<&str>) =
        said.take_while(|line| !line.is_empty()).partition(|line| line.starts_with(VALUES));
    let tips: Vec<&str> =
        page.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).filter(|tip| is_near(&said, tip)).collect();
    let values = values.first().map(|line| format!("one of {}", line.trim_start_matches(VALUES).trim_end_matches(']')));
    let tip = (!tips.is_empty()).then(|| tips.join("; "));
    let error = Error::usage(said.join(" "));
    match tip.or(values).or(usage) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether a suggestion is a misspelling of the word that was typed: clap also suggests words that are only somewhat alike, such as `--triple`
/// for `--recipient`, and how to pass an option as a value. Both words are the first in quotes.
fn is_near(said: &[&str], tip: &str) -> bool {
    let quoted = |text: &str| text.split('\'').nth(1).map(|word| word.trim_start_matches('-').to_owned());
    let typed = said.iter().find_map(|line| quoted(line)).unwrap_or_default();
    tip.contains("similar")
        && quoted(tip).is_some_and(|near| strsim::damerau_levenshtein(&typed, &near) <= (near.len() / 3).max(1))
}

/// The beginning of clap's line of possible values.
const VALUES: &str = "[possible values: ";
