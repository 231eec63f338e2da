//! The command line as its users see it: one scenario a file in tests/cmd, and every command that the documents show.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

#[test]
fn scenarios() {
    trycmd::TestCases::new().case("tests/cmd/*.toml");
}

/// The `postseal` lines of README.md's quick start, run in order by somebody who has a message and a colleague's certificate.
#[test]
fn the_quick_start_works() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let put = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).expect("written");
    put("message.eml", b"From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Lunch\n\nAt noon.\n");
    put("passphrase", b"correct horse\n");
    let run = |home: &str, words: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.current_dir(folder.path()).args(["--home", home, "--passphrase-file", "passphrase"]).args(words);
        command.output().expect("postseal starts")
    };

    // The colleague, elsewhere.
    let made = run("elsewhere", &["key", "generate", "colleague@example.net"]);
    assert!(made.status.success(), "{made:?}");
    put("colleague.asc", &run("elsewhere", &["key", "export", "colleague@example.net"]).stdout);
    let listed = String::from_utf8(run("elsewhere", &["key", "list"]).stdout).expect("UTF-8");
    let fingerprint = listed.split_whitespace().next().expect("a fingerprint").to_owned();

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("README.md");
    let (_, quick_start) = readme.split_once("## Quick start").expect("the quick start");
    let commands: Vec<&str> = quick_start.lines().filter_map(|line| line.strip_prefix("postseal ")).collect();
    assert!(commands.len() >= 8, "the quick start shows commands: {commands:?}");
    for line in commands {
        let words: Vec<&str> = line.split('#').next().unwrap_or(line).split_whitespace().collect();
        let words: Vec<&str> =
            words.into_iter().map(|word| if word == "FINGERPRINT" { &fingerprint } else { word }).collect();
        let output = run("home", &words);
        assert!(output.status.success(), "postseal {line}: {output:?}");
    }

    // It leaves what was written, and a colleague whose messages can be authentic.
    let opened = fs::read_to_string(folder.path().join("opened.eml")).expect("decrypt wrote it");
    assert!(opened.contains("At noon."), "{opened}");
    let listed = String::from_utf8(run("home", &["key", "list"]).stdout).expect("UTF-8");
    assert!(listed.contains("colleague@example.net (trusted)"), "{listed}");
}
