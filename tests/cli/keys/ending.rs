//! Keys that end soon, and a second key for an address.

use std::{thread, time::Duration};

use postseal::base::{Clock as _, SystemClock, rfc3339};

use super::MESSAGE;
use crate::support::lab::Lab;

#[test]
fn signing_with_a_key_that_ends_soon_warns() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    for (format, more) in [("pgp", &[][..]), ("smime", &["--algorithm", "p256"])] {
        let home = |arguments: &[&str]| lab.run(&[&["--home", format], arguments].concat());
        let generate = ["key", "generate", "--no-passphrase", "--expires", "40d", "-f", format, "alice@example.org"];
        home(&[&generate[..], more].concat()).code(0);
        let said = home(&["sign", "-f", format, "m.eml"]).code(0).stderr;
        assert_eq!(said, "", "{format}");
        let then = later(20);
        let said = home(&["--at", &then, "sign", "-f", format, "m.eml"]).code(0).stderr;
        assert!(said.contains(" ends on 20") && said.contains("hint: postseal key renew "), "{format}: {said}");
        let encrypted = ["--at", &then, "encrypt", "-f", format, "--sign", "--to", "alice@example.org", "m.eml"];
        assert!(home(&encrypted).code(0).stderr.contains(" ends on 20"), "{format}");
    }
    // Renewed, it ends later; what it said before is still in the certificate.
    lab.run(&["--home", "pgp", "key", "renew", "--expires", "2y", "alice@example.org"]).code(0);
    assert_eq!(lab.run(&["--home", "pgp", "--at", &later(20), "sign", "m.eml"]).code(0).stderr, "");
}

/// As with gpg, the first key signs on, unless the owner says otherwise.
#[test]
fn the_first_key_of_an_address_goes_on_signing() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    for format in ["pgp", "smime"] {
        let home = |arguments: &[&str]| lab.run(&[&["--home", format], arguments].concat());
        let generate = |more: &[&str]| {
            let mut words = vec!["key", "generate", "--no-passphrase", "-f", format, "alice@example.org"];
            if format == "smime" {
                words.extend(["--algorithm", "p256"]);
            }
            home(&[&words[..], more].concat()).code(0)
        };
        let new = |text: String| text.split_whitespace().next().expect("a fingerprint").to_owned();
        let signer = || {
            home(&["sign", "-f", format, "-o", "s.eml", "m.eml"]).code(0);
            home(&["verify", "--json", "s.eml"]).text()
        };
        let first = new(generate(&[]).text());
        // Keys are told apart by whole seconds.
        thread::sleep(Duration::from_millis(1100));
        let made = generate(&[]);
        assert!(made.stderr.contains("signs for alice@example.org as before"), "{}", made.stderr);
        let second = new(made.text());
        assert!(signer().contains(&first), "{format}");
        home(&["key", "trust", &second, "alice@example.org"]).code(0);
        assert!(signer().contains(&second), "{format}");
        thread::sleep(Duration::from_millis(1100));
        let third = new(generate(&["--replace"]).text());
        assert!(signer().contains(&third), "{format}");
        generate(&["--keep"]);
        assert!(signer().contains(&third), "{format}");
    }
    // Another address is not concerned.
    let said = lab.run(&["--home", "pgp", "key", "generate", "--no-passphrase", "bob@example.org"]).code(0).stderr;
    assert!(!said.contains("as before"), "{said}");
}

/// The time in some days, RFC 3339.
fn later(days: u64) -> String {
    rfc3339(SystemClock.now() + Duration::from_secs(days * 86_400))
}
