//! Every verb with every option, through the program: what the help lists is what is run here. A new verb or option has to be added to `calls.rs`.
//!
//! `cargo test --test cli verbs -- --nocapture` prints the verbs, and how many calls each of them had.

mod calls;
mod help;
mod manual;
mod recipes;
mod sample_home;

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use crate::support::lab::Lab;
use calls::{Call, EVERYWHERE, VERBS};
use help::Help;

#[test]
fn every_verb_takes_every_option() {
    let lab = sample_home::furnished();
    let known: BTreeMap<&str, &calls::Verb> = VERBS.iter().map(|verb| (verb.name, verb)).collect();
    let (mut calls, mut faults) = (Vec::new(), Vec::new());
    let listed = help::verbs(&lab);
    for (name, help) in &listed {
        let Some(verb) = known.get(name.as_str()) else {
            faults.push(format!("{name}: no calls for it in tests/cli/verbs/calls.rs"));
            continue;
        };
        let all: Vec<Call> =
            EVERYWHERE.iter().map(|call| for_verb(call, verb)).chain(verb.calls.iter().copied()).collect();
        faults.extend(forgotten(name, help, &all));
        println!("{name}: {} calls", all.len() + 1);
        calls.extend(std::iter::once(verb.bare).chain(all).map(|call| (*verb, call)));
    }
    let gone = VERBS.iter().filter(|verb| !listed.contains_key(verb.name));
    faults.extend(gone.map(|verb| format!("{}: is no verb", verb.name)));
    // Most of the time is spent in waiting for `serve`.
    let share = |number: usize| calls.iter().skip(number).step_by(AT_ONCE);
    thread::scope(|scope| {
        let (lab, share) = (&lab, &share);
        let work =
            |number| move || share(number).filter_map(|(verb, call)| run(lab, verb, call).err()).collect::<Vec<_>>();
        let workers: Vec<_> = (0..AT_ONCE).map(|number| scope.spawn(work(number))).collect();
        faults.extend(workers.into_iter().flat_map(|worker| worker.join().expect("no call panics here")));
    });
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    println!("{} verbs, {} calls", listed.len(), calls.len());
}

/// Calls that run at once.
const AT_ONCE: usize = 8;

/// An option of every verb, with the exit code that it has with this one.
fn for_verb(call: &Call, verb: &calls::Verb) -> Call {
    let own = verb.otherwise.iter().find(|(option, _)| *option == call.option);
    let code = own.map_or(verb.bare.code, |(_, code)| *code);
    Call { code: if call.option == "--help" { 0 } else { code }, ..*call }
}

/// Options and possible values that the help lists and no call has, and calls with options that the help does not list.
fn forgotten(name: &str, help: &Help, calls: &[Call]) -> Vec<String> {
    let mut had: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for call in calls.iter().filter(|call| !call.option.is_empty()) {
        let mut words = call.option.split(' ');
        had.entry(words.next().unwrap_or_default()).or_default().extend(words.next());
    }
    let mut faults = Vec::new();
    for (option, values) in &help.options {
        match had.get(option.as_str()) {
            None => faults.push(format!("{name} {option}: never called")),
            Some(given) => {
                let left = values.iter().filter(|value| !given.contains(value.as_str()));
                faults.extend(left.map(|value| format!("{name} {option} {value}: never called")));
            }
        }
    }
    let unlisted = had.keys().filter(|option| !help.options.contains_key(**option));
    faults.extend(unlisted.map(|option| format!("{name} {option}: is not in the help")));
    faults
}

/// One call in a copy of the folder. A panic ends the program by a signal or with 101.
fn run(lab: &Lab, verb: &calls::Verb, call: &Call) -> Result<(), String> {
    let place = sample_home::copy(lab);
    let line = call.line(verb);
    let done = place.shell(&format!(
        "export POSTSEAL_CONFIG=postseal.toml CREDENTIALS_DIRECTORY=credentials XDG_STATE_HOME=.; exec 3< pass; {line}"
    ));
    let is_right = done.code == call.code && !done.stderr.contains("panicked");
    is_right
        .then_some(())
        .ok_or_else(|| format!("{line}: exit {}, not {}: {}", done.code, call.code, done.stderr.trim()))
}
