//! Keys that withstand quantum computers: `key renew --add-pq`, and rules that require them.

use crate::support::lab::Lab;

const CONFIG: &str = "home = \"home\"\nhostname = \"mx.example.net\"\nlocal-domains = [\"example.net\"]\n\
    [[rule]]\nname = \"research\"\nrecipient = \"bob@example.org\"\naction = \"encrypt\"\nrequire-quantum-safe = true\n";

#[test]
fn a_rule_requires_what_renew_adds() {
    let lab = Lab::with_keys(&["bob"]);
    lab.write("c.toml", CONFIG).write("m.eml", "From: alice@example.net\nTo: bob@example.org\nSubject: x\n\nText.\n");
    let checked = |lab: &Lab| {
        let done = lab.run(&["config", "check", "c.toml"]).code(0);
        done.text() + &done.stderr
    };
    let explained = |lab: &Lab| {
        let explain = ["config", "explain", "-c", "c.toml", "alice@example.net", "bob@example.org", "m.eml"];
        lab.run(&explain).code(0).text()
    };
    assert!(checked(&lab).contains("does not withstand quantum computers"), "{}", checked(&lab));
    assert!(explained(&lab).contains("(missing-key)"), "{}", explained(&lab));
    lab.run(&["key", "renew", "--add-pq", "bob@example.org"]).code(0);
    assert!(!checked(&lab).contains("quantum"), "{}", checked(&lab));
    assert!(explained(&lab).contains("(quantum-safe)"), "{}", explained(&lab));

    // Once is enough; another new subkey is as good, and the old one stays for old programs.
    let again = lab.run(&["key", "renew", "--add-pq", "bob@example.org"]).code(64);
    assert!(again.stderr.contains("has an encryption subkey that withstands quantum computers"), "{}", again.stderr);
    lab.run(&["key", "renew", "--new-subkey", "--expires", "5y", "bob@example.org"]).code(0);
    let shown = lab.run(&["key", "show", "bob@example.org"]).code(0).text();
    assert_eq!((shown.matches("mlkem768-x25519").count(), shown.matches("  x25519").count()), (2, 1), "{shown}");
    // The primary key, the subkey of old programs, and the new one end together; the one that it takes the place of ends before.
    let ends: Vec<&str> = shown.lines().filter_map(|line| line.split_once("good until ")?.1.get(..10)).collect();
    let last = ends.iter().max().expect("it has ends");
    // The subkeys are in no order.
    assert_eq!((ends.len(), ends.iter().filter(|end| *end == last).count()), (4, 3), "{shown}");

    // What most programs know is in the Autocrypt field.
    let field = lab.run(&["key", "publish", "autocrypt", "bob@example.org"]).code(0).text();
    assert!(field.len() < 1_500, "{field}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let lab = Lab::new();
    let refused = |arguments: &[&str], words: &str| {
        let done = lab.run(&[&["key", "generate", "--no-passphrase"], arguments].concat()).code(64);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    };
    refused(
        &["--algorithm", "mldsa65-ed25519", "a@example.org"],
        "post-quantum signatures are for the profile rfc9980",
    );
    refused(&["--algorithm", "curve448", "a@example.org"], "Ed448 and X448 are for version 6");
    refused(&["-f", "smime", "--algorithm", "mldsa87-ed448", "a@example.org"], "mldsa87-ed448 is two keys of OpenPGP");
}
