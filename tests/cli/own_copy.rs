//! The author can read what `encrypt` writes, unless told otherwise.

use crate::support::lab::Lab;

const LETTER: &str = "From: alice@example.org\nTo: bob@example.org\nSubject: x\n\nthe plan\n";

/// Homes of alice and of bob, who trust each other's key.
fn homes(format: &str) -> Lab {
    let lab = Lab::new();
    let run = |line: &str| lab.run(&line.split(' ').collect::<Vec<_>>()).code(0).text();
    for (home, other, owner) in [("home", "bobs", "alice@example.org"), ("bobs", "home", "bob@example.org")] {
        run(&format!("--home {home} key generate -f {format} --no-passphrase {owner}"));
        run(&format!("--home {home} key export -o key {owner}"));
        let key = run(&format!("--home {other} key import key")).split_whitespace().nth(1).unwrap().to_owned();
        run(&format!("--home {other} key trust {key} {owner}"));
    }
    lab.write("m", LETTER);
    lab
}

#[test]
fn the_author_can_read_the_copy_that_is_kept() {
    for format in ["pgp", "smime"] {
        let lab = homes(format);
        lab.run(&["encrypt", "-f", format, "-o", "both", "--to", "bob@example.org", "--", "m"]).code(0);
        lab.run(&["encrypt", "-f", format, "--no-self", "-o", "one", "--to", "bob@example.org", "--", "m"]).code(0);
        for (home, file, code) in [("home", "both", 0), ("bobs", "both", 0), ("home", "one", 77), ("bobs", "one", 0)] {
            let done = lab.run(&["--home", home, "decrypt", file]).code(code);
            assert_eq!(done.text().contains("the plan"), code == 0, "{format} {home} {file}");
        }
        // Of another author nothing is added, and a recipient is one reader.
        lab.write("other", LETTER.replace("alice", "carol"));
        lab.run(&["encrypt", "-f", format, "-o", "out", "--to", "bob@example.org", "--", "other"]).code(0);
        lab.run(&["decrypt", "out"]).code(77);
        for (to, count) in [("bob@example.org", 2), ("alice@example.org", 1)] {
            lab.run(&["encrypt", "-f", format, "-o", "out", "--to", to, "--", "m"]).code(0);
            let seen = lab.run(&["verify", "out"]).text();
            let line = seen.lines().find(|line| line.contains(", to ")).unwrap_or_else(|| panic!("{seen}"));
            let readers = line.split_once(", to ").map_or(0, |(_, readers)| readers.split(", ").count());
            assert_eq!(readers, count, "{format} {to}: {line}");
        }
    }
    let lab = homes("pgp");
    lab.run(&["encrypt", "-o", "hidden", "--hidden-to", "bob@example.org", "--", "m"]).code(0);
    let seen = lab.run(&["verify", "hidden"]).text();
    assert!(seen.contains("to hidden, hidden"), "{seen}");
    lab.run(&["decrypt", "hidden"]).code(0);
}

/// The author's copy does not weaken the message: bob announced AES-GCM, and the author did not.
#[test]
fn the_author_has_no_say_in_the_cipher() {
    let lab = homes("smime");
    lab.write("answer", LETTER.replace("alice", "bob"));
    lab.run(&["--home", "bobs", "sign", "-f", "smime", "-o", "signed", "answer"]).code(0);
    lab.run(&["verify", "signed"]).code(0);
    lab.run(&["encrypt", "-f", "smime", "-o", "out", "--to", "bob@example.org", "--", "m"]).code(0);
    let seen = lab.run(&["decrypt", "out"]).code(0).stderr;
    assert!(seen.contains("aes256-gcm"), "{seen}");
}
