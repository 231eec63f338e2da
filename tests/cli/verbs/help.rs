//! The command line as its help shows it.

use std::collections::BTreeMap;

use crate::support::lab::Lab;

/// What one verb takes.
pub(crate) struct Help {
    /// Options, by their long name where they have one, with the values that are possible.
    pub(crate) options: BTreeMap<String, Vec<String>>,
}

/// All verbs that do something, by their names with those of the verbs above: `key import`.
pub(crate) fn verbs(lab: &Lab) -> BTreeMap<String, Help> {
    let mut found = BTreeMap::new();
    let mut pending = vec![String::new()];
    while let Some(name) = pending.pop() {
        // It takes --help for an option of sendmail's.
        if name == "sendmail" {
            let mut options = options(&lab.shell("exec \"$0\" --help").code(0).text());
            options.remove("--version");
            found.insert(name, Help { options });
            continue;
        }
        let text = lab.shell(&format!("exec \"$0\" {name} --help")).code(0).text();
        let below = commands(&text);
        pending.extend(below.iter().map(|below| format!("{name} {below}").trim().to_owned()));
        if below.is_empty() {
            found.insert(name, Help { options: options(&text) });
        }
    }
    found
}

/// The words that begin the lines of the section `Commands:`.
fn commands(text: &str) -> Vec<String> {
    let section = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = section.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").map(str::to_owned).collect()
}

fn options(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [first, ..] if indent <= 6 && first.starts_with('-') => {
                let long = words.iter().find(|word| word.starts_with("--")).unwrap_or(first);
                // `--ca[=<ID>]` takes a value or none.
                last = long.split('[').next().unwrap_or(long).trim_end_matches("...").to_owned();
                options.insert(last.clone(), Vec::new());
            }
            ["-", value, ..] if indent == 10 && !last.is_empty() => {
                options.entry(last.clone()).or_default().push(value.trim_end_matches(':').to_owned());
            }
            _ => {}
        }
        // Those of an argument come before any option.
        if let Some((_, values)) = line.split_once("[possible values: ").filter(|_| !last.is_empty()) {
            let values = values.trim_end_matches(']').split(", ").map(str::to_owned);
            options.entry(last.clone()).or_default().extend(values);
        }
    }
    options
}
