//! `postseal key check`.

use std::process::ExitCode;

use postseal::{
    base::{Kind, Result},
    report::printable,
    store::{Keystore, Outcome, Repair},
};

use crate::cli::show::{aside, data, exit_code, hint};

/// One line for each thing that is not what was written: what became of it, and what it is.
pub(super) fn check(repair: Repair, home: &Keystore) -> Result<ExitCode> {
    let found = home.check(repair)?;
    let mut text = String::new();
    let mut advice: Vec<&str> = Vec::new();
    for damage in &found {
        let outcome = match damage.outcome {
            Outcome::Repaired => "repaired",
            Outcome::Lost => "lost",
            _ => "damaged",
        };
        text.push_str(&format!("{outcome} {}\n", printable(&damage.what)));
        advice.extend(damage.advice().filter(|new| !advice.contains(new)));
    }
    data(&text)?;
    advice.iter().for_each(|line| hint(line));
    if found.is_empty() {
        aside("everything is what was written\n");
    }
    let is_whole = found.iter().all(|damage| damage.outcome == Outcome::Repaired);
    Ok(if is_whole { ExitCode::SUCCESS } else { exit_code(Kind::Damaged).into() })
}
