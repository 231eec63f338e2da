//! What a person at a terminal sees: that work goes on when it takes long, and nothing of that elsewhere. `script` of util-linux plays the terminal.

use std::process::{Command, Stdio};

use crate::support::requirements::missing;

const MESSAGE: &str = "From: alice@example.org\nSubject: Lunch\n\nAt noon.\n";

#[test]
fn long_work_says_that_it_goes_on() {
    let Some(said) = at_a_terminal("{ sleep 1.5; cat; } | \"$POSTSEAL\" canon --form pgp > /dev/null") else { return };
    assert!(said.contains("reading -"), "{said:?}");
    // The line is cleared away at the end.
    assert!(said.trim_end_matches(['\r', '\n']).ends_with("\u{1b}[2K") || said.contains("\u{1b}[2K"), "{said:?}");
}

#[test]
fn short_work_says_nothing() {
    let Some(said) = at_a_terminal("\"$POSTSEAL\" canon --form pgp > /dev/null") else { return };
    assert_eq!(said, "");
}

#[test]
fn nothing_is_said_where_no_terminal_is() {
    let Some(said) = at_a_terminal("{ sleep 1; cat; } | \"$POSTSEAL\" canon --form pgp 2>&1 > /dev/null | cat") else {
        return;
    };
    assert_eq!(said, "");
}

/// The line is out of the way while the report is printed below it.
#[test]
fn a_report_is_not_mixed_with_it() {
    let Some(said) = at_a_terminal("{ sleep 1; cat; } | \"$POSTSEAL\" --home /nonexistent verify") else { return };
    assert!(said.contains("verifying -") || said.contains("reading"), "{said:?}");
    let report = said.split_once("author").expect("a report").1;
    assert!(report.contains("alice@example.org"), "{said:?}");
    assert!(said.rsplit("\u{1b}[2K").any(|piece| piece.contains("-: ")), "the report begins a line: {said:?}");
}

/// What a terminal shows of `command`, which reads a message from standard input; `None` when there is no `script` here.
fn at_a_terminal(command: &str) -> Option<String> {
    let mut script = Command::new("script");
    script.args(["-qec", &format!("printf '%s' \"$MESSAGE\" | {{ {command}; }}"), "/dev/null"]);
    script
        .env("POSTSEAL", env!("CARGO_BIN_EXE_postseal"))
        .env("MESSAGE", MESSAGE)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    let output = script.stdin(Stdio::null()).output();
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            missing(&format!("script: {error}"));
            None
        }
    }
}
