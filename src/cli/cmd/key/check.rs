//! `postseal key check`.

use std::process::ExitCode;

use postseal::{
    base::{Hint, Kind, Result},
    report::printable,
    store::{Keystore, Outcome, Repair},
};

use crate::cli::{
    hint::words,
    show::{aside, data, exit_code, hint},
};

/// Prints one line for each damage: whether it was repaired, and what it is.
pub(super) fn check(repair: Repair, home: &Keystore) -> Result<ExitCode> {
    let found = home.check(repair)?;
    let mut text = String::new();
    let mut hints: Vec<Hint> = Vec::new();
    for damage in &found {
        let outcome = match damage.outcome {
            Outcome::Repaired => "repaired",
            Outcome::Lost => "lost",
            _ => "damaged",
        };
        text.push_str(&format!("{outcome} {}\n", printable(&damage.what)));
        hints.extend(damage.hint().filter(|new| !hints.contains(new)));
    }
    data(&text)?;
    hints.iter().for_each(|one| hint(&words(one)));
    if found.is_empty() {
        aside("no damage\n");
    }
    let is_whole = found.iter().all(|damage| damage.outcome == Outcome::Repaired);
    Ok(if is_whole { ExitCode::SUCCESS } else { exit_code(Kind::Damaged).into() })
}
