//! What people type every day: recipients of the header, several files at once, quiet runs, help, misspelt words.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::lab::Lab;

/// With lines that relays and mboxes would change.
const MESSAGE: &str = "From: alice@example.org\nTo: Bob <bob@example.org>\nCc: carol@example.org\nSubject: hi\n\n\
                       hello  \nFrom here\n-- \nAlice\n";

fn lab() -> Lab {
    let lab = Lab::with_keys(&["alice", "bob", "carol"]);
    lab.write("m.eml", MESSAGE);
    lab
}

/// How many keys open it.
fn readers(lab: &Lab, name: &str) -> usize {
    let shown = lab.run(&["decrypt", "-o", "opened", name]).code(0).stderr;
    let keys = shown.lines().find_map(|line| Some(line.split_once("authenticated, to ")?.1.split(", ").count()));
    keys.unwrap_or_else(|| panic!("no recipients in {shown}"))
}

#[test]
fn the_recipients_are_those_of_the_header() {
    let lab = lab();
    lab.run(&["encrypt", "-o", "e.eml", "m.eml"]).code(0);
    // Bob, Carol, and Alice's own copy.
    assert_eq!(readers(&lab, "e.eml"), 3);
    for to in [["--to", "Bob <bob@example.org>"], ["-r", "bob@example.org"], ["--recipient", "bob@example.org"]] {
        lab.run(&[&["encrypt", "--no-self", "-o", "one.eml"][..], &to, &["--", "m.eml"]].concat()).code(0);
        assert_eq!(readers(&lab, "one.eml"), 1, "{to:?}");
    }
    lab.run(&["encrypt", "--no-self", "-o", "two.eml", "--to", "bob@example.org,carol@example.org", "m.eml"]).code(0);
    assert_eq!(readers(&lab, "two.eml"), 2);
    // A file whose name is an address.
    lab.write("mail@2026.eml", MESSAGE);
    lab.run(&["encrypt", "--no-self", "-o", "two.eml", "--to", "bob@example.org", "mail@2026.eml"]).code(0);

    lab.write("bcc.eml", format!("Bcc: dave@example.org\n{MESSAGE}"));
    lab.run(&["encrypt", "bcc.eml"]).refused(64, "Bcc names recipients");
    lab.run(&["encrypt", "--to", "bob@example.org", "--", "bcc.eml"]).code(0);
    lab.write("none.eml", "From: alice@example.org\nTo: undisclosed-recipients:;\n\nhello\n");
    lab.run(&["encrypt", "none.eml"]).refused(64, "no recipient: To and Cc name none");
    // One of them without a key: nothing is written.
    lab.write("far.eml", MESSAGE.replace("carol@", "nobody@"));
    lab.run(&["encrypt", "-o", "far", "far.eml"]).refused(77, "nobody@example.org");
    assert!(!lab.path("far").exists());
}

/// No relay changes what is encrypted, so nothing in it has to be protected from relays.
#[test]
fn what_is_decrypted_is_what_was_sealed() {
    let lab = lab();
    lab.run(&["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "--no-passphrase", "alice@example.org"])
        .code(0);
    for how in [
        &["-f", "pgp"][..],
        &["-f", "pgp", "--sign"],
        &["-f", "pgp", "--sign", "--nested"],
        &["-f", "smime"],
        &["-f", "smime", "--sign"],
        &["-f", "smime", "--sign", "--opaque"],
    ] {
        lab.run(&[&["encrypt", "-o", "e.eml"][..], how, &["--to", "alice@example.org", "m.eml"]].concat()).code(0);
        lab.run(&["decrypt", "--quiet", "-o", "d.eml", "e.eml"]).code(0);
        assert_eq!(String::from_utf8(lab.read("d.eml")).unwrap(), MESSAGE, "{how:?}");
    }
    // What is signed in clear is protected as before.
    assert!(String::from_utf8(lab.run(&["sign", "m.eml"]).code(0).stdout).unwrap().contains("=2D-=20"));
}

#[test]
fn several_files_go_to_a_folder() {
    let lab = lab();
    lab.write("n.eml", MESSAGE.replace("hi", "ho")).write("bad.eml", "no mail\n");
    lab.run(&["sign", "--output-dir", "signed", "m.eml", "n.eml"]).code(0);
    lab.run(&["verify", "signed/m.eml", "signed/n.eml"]).code(0);
    // An error of one does not stop the others, and is the exit code.
    let done = lab.run(&["encrypt", "--output-dir", "sealed", "m.eml", "bad.eml", "n.eml", "missing.eml"]).code(65);
    let errors: Vec<&str> = done.stderr.lines().filter(|line| line.contains("error:")).collect();
    assert!(errors.len() == 2 && errors[0].contains("bad.eml: ") && errors[1].contains("missing.eml: "), "{errors:?}");
    lab.run(&["encrypt", "--output-dir", "other", "--to", "bob@example.org", "m.eml", "n.eml"]).code(0);
    assert_eq!(fs::read_dir(lab.path("other")).unwrap().count(), 2);
    lab.run(&["decrypt", "--quiet", "--output-dir", "opened", "sealed/m.eml", "sealed/n.eml"]).code(0);
    assert_eq!(lab.read("opened/m.eml"), lab.read("m.eml"));
    assert_eq!(lab.read("opened/n.eml"), lab.read("n.eml"));
    assert_eq!(fs::metadata(lab.path("opened/m.eml")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(lab.path("sealed")).unwrap().count(), 2);

    for verb in ["sign", "decrypt"] {
        lab.run(&[verb, "m.eml", "n.eml"]).refused(64, "more than one message");
        lab.run(&[verb, "--output-dir", "x"]).refused(64, "no FILE is given");
        lab.run(&[verb, "--output-dir", "x", "m.eml", "signed/m.eml"]).refused(64, "would both be written to x/m.eml");
    }
    lab.run(&["sign", "--output-dir", ".", "m.eml"]).refused(64, "is the input");
    lab.run(&["sign", "--output-dir", "none/x", "m.eml"]).refused(73, "none/x");
}

#[test]
fn quiet_runs_print_data_and_errors() {
    let lab = lab();
    lab.run(&["sign", "-o", "s.eml", "m.eml"]).code(0);
    lab.run(&["encrypt", "-o", "e.eml", "m.eml"]).code(0);
    let done = lab.run(&["verify", "--quiet", "s.eml"]).code(0);
    assert_eq!((done.stdout.as_slice(), done.stderr.as_str()), (&b""[..], ""));
    let done = lab.run(&["verify", "--quiet", "m.eml"]).code(1);
    assert_eq!((done.stdout.as_slice(), done.stderr.as_str()), (&b""[..], ""));
    assert!(lab.run(&["verify", "--quiet", "--json", "s.eml"]).code(0).text().contains("\"authentic\""));
    let done = lab.run(&["decrypt", "--quiet", "e.eml"]).code(0);
    assert_eq!((done.stdout.as_slice(), done.stderr.as_str()), (MESSAGE.as_bytes(), ""));
    assert!(lab.run(&["verify", "--quiet", "missing"]).code(66).stderr.contains("error:"));
    assert!(lab.run(&["--color", "always", "verify", "s.eml"]).code(0).text().contains('\u{1b}'));
    assert!(!lab.run(&["--color", "never", "verify", "s.eml"]).code(0).text().contains('\u{1b}'));
}

#[test]
fn help_is_there_in_each_way_that_people_ask_for_it() {
    let lab = Lab::new();
    let page = lab.run(&["verify", "--help"]).code(0).text();
    assert_eq!(lab.run(&["help", "verify"]).code(0).text(), page);
    assert_eq!(lab.run(&["help"]).code(0).text(), lab.run(&["--help"]).code(0).text());
    assert_eq!(lab.run(&["help", "key", "trust"]).code(0).text(), lab.run(&["key", "trust", "--help"]).code(0).text());
    let sendmail = lab.run(&["sendmail", "--help"]).code(0).text();
    assert!(sendmail.contains("Replace sendmail") && sendmail.contains("-f SENDER"), "{sendmail}");
}

#[test]
fn only_a_misspelling_is_suggested() {
    let lab = Lab::new();
    for (typed, hint) in [
        (&["vrify"][..], "did you mean verify?"),
        (&["key", "trast"], "did you mean trust?"),
        (&["encrypt", "--sgin"], "did you mean --sign?"),
        // Not --triple, not `generate`, not how to pass it as a value.
        (&["encrypt", "--receiver"], "`postseal encrypt --help` lists the options"),
        (&["sign", "-x"], "`postseal sign --help` lists the options"),
        (&["key", "destroy"], "usage: postseal key [OPTIONS] <COMMAND>"),
    ] {
        let done = lab.run(typed).code(64);
        assert!(done.stderr.ends_with(&format!("hint: {hint}\n")), "{typed:?}: {}", done.stderr);
    }
}

#[test]
fn verify_says_what_to_type_next() {
    let (alice, bob) = (Lab::with_keys(&["alice"]), Lab::with_keys(&["bob"]));
    alice.write("m.eml", MESSAGE).run(&["sign", "-o", "s.eml", "m.eml"]).code(0);
    bob.write("s.eml", alice.read("s.eml"));
    let hint = |done: &str| done.lines().find_map(|line| line.strip_prefix("hint: ").map(str::to_owned));
    let unknown = hint(&bob.run(&["verify", "s.eml"]).code(1).stderr).unwrap();
    assert_eq!(
        unknown,
        "look for the key: postseal key find alice@example.org, or import it: postseal key import FILE"
    );
    bob.write("alice.asc", alice.run(&["key", "export", "alice@example.org"]).code(0).stdout);
    bob.run(&["key", "import", "alice.asc"]).code(0);
    let untrusted = hint(&bob.run(&["verify", "s.eml"]).code(1).stderr).unwrap();
    let command = untrusted.strip_prefix("compare the fingerprint with its owner, then: postseal ").unwrap();
    bob.run(&command.split(' ').collect::<Vec<_>>()).code(0);
    assert_eq!(hint(&bob.run(&["verify", "s.eml"]).code(0).stderr), None);
    // A key that claims another than the author is not to be trusted for the author.
    bob.write("f.eml", String::from_utf8(bob.read("s.eml")).unwrap().replace("alice@", "mallory@"));
    assert_eq!(hint(&bob.run(&["verify", "f.eml"]).code(1).stderr), None);
}

/// S/MIME: of an authority that is not known here, and of a certificate that has ended since.
#[test]
fn verify_says_what_to_do_about_certificates() {
    let (alice, bob) = (Lab::new(), Lab::new());
    alice.run(&["cert", "init-ca", "--no-passphrase", "--algorithm", "p384", "Example CA"]).code(0);
    let generate = ["key", "generate", "-f", "smime", "--ca", "--algorithm", "p256", "--no-passphrase"];
    alice.run(&[&generate[..], &["alice@example.org"]].concat()).code(0);
    alice.write("m.eml", MESSAGE).run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
    let listed = alice.run(&["key", "list", "Example CA"]).code(0).text();
    alice.run(&["key", "export", "-o", "root.pem", listed.split(' ').next().unwrap()]).code(0);
    bob.write("s.eml", alice.read("s.eml")).write("root.pem", alice.read("root.pem"));
    let hint = |done: &str| done.lines().find_map(|line| line.strip_prefix("hint: ").map(str::to_owned));
    let unknown = hint(&bob.run(&["verify", "s.eml"]).code(1).stderr).unwrap();
    let command = unknown.strip_prefix("if you trust the authority, import its root certificate: postseal ").unwrap();
    let command = command.replace("FILE", "root.pem");
    bob.run(&command.split(' ').collect::<Vec<_>>()).code(0);
    assert_eq!(hint(&bob.run(&["verify", "s.eml"]).code(0).stderr), None);
    let ended = hint(&bob.run(&["--at", "2099-01-01T00:00:00Z", "verify", "s.eml"]).code(1).stderr).unwrap();
    assert_eq!(
        ended,
        "if you know when the message came, before the certificate ended, judge it as of then: postseal verify --at TIME FILE"
    );
}

/// A user of a service has no home directory.
#[test]
fn the_keys_of_the_run_are_enough() {
    let lab = lab();
    lab.run(&["sign", "-o", "s.eml", "m.eml"]).code(0);
    lab.run(&["key", "export", "-o", "alice.asc", "alice@example.org"]).code(0);
    lab.shell("env -u HOME -u XDG_DATA_HOME -u POSTSEAL_HOME \"$0\" verify --keys alice.asc s.eml").code(0);
    lab.shell("env -u HOME -u XDG_DATA_HOME -u POSTSEAL_HOME \"$0\" verify s.eml")
        .refused(78, "no home directory is known");
}
