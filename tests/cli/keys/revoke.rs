//! Revoking, distrusting and removing.

use super::{MESSAGE, id};
use crate::support::{lab::Lab, requirements::present};

#[test]
fn a_revoked_openpgp_key_is_used_for_nothing_and_others_learn_of_it() {
    let lab = Lab::with_keys(&["alice"]);
    let colleague = Lab::with_keys(&["bob"]);
    lab.write("m.eml", MESSAGE);
    let public = lab.run(&["key", "export", "alice@example.org"]).code(0).stdout;
    let alice = id(&lab, "pgp", "alice@example.org");
    colleague.write("alice.asc", public).write("m.eml", MESSAGE);
    colleague.run(&["key", "import", "alice.asc"]).code(0);
    colleague.run(&["key", "trust", &alice, "alice@example.org"]).code(0);
    colleague.run(&["encrypt", "--to", "alice@example.org", "m.eml"]).code(0);

    let revoked =
        lab.run(&["key", "revoke", &alice, "--reason", "superseded", "--message", "see my new key", "-o", "-"]);
    let revoked = revoked.code(0);
    assert!(revoked.text().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"), "{}", revoked.text());
    assert!(lab.run(&["key", "list"]).code(0).text().contains("revoked: see my new key"));
    lab.run(&["sign", "m.eml"]).refused(77, "revoked");
    lab.run(&["key", "revoke", &alice]).refused(77, "is revoked already");
    lab.run(&["key", "renew", &alice]).refused(77, "is revoked already");
    // The file in the home is the same, and both are what others import.
    let kept = lab.read(&format!("home/revocations/{alice}.asc"));
    assert_eq!(kept, revoked.stdout);
    colleague.write("revocation.asc", kept);
    colleague.run(&["key", "import", "revocation.asc"]).code(0);
    colleague.run(&["encrypt", "--to", "alice@example.org", "m.eml"]).refused(77, "see my new key");
    // Exported with its secret part it is revoked too.
    lab.write("secret.asc", lab.run(&["key", "export", "--secret", &alice]).code(0).stdout);
    lab.run(&["--home", "other", "key", "import", "secret.asc"]).code(0);
    assert!(lab.run(&["--home", "other", "key", "list"]).code(0).text().contains("revoked"));
    if present(&["gpg"]) {
        let listed = lab.shell(
            "mkdir -m 700 g && gpg --homedir g --batch -q --import secret.asc && gpg --homedir g --with-colons -k; gpgconf --homedir g --kill all",
        );
        assert!(listed.text().contains("pub:r:"), "{}{}", listed.text(), listed.stderr);
    }
}

#[test]
fn a_key_of_somebody_else_cannot_be_revoked() {
    let (lab, colleague) = (Lab::with_keys(&["alice"]), Lab::with_keys(&["bob"]));
    lab.write("bob.asc", colleague.run(&["key", "export", "bob@example.org"]).code(0).stdout);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    let bob = id(&lab, "pgp", "bob@example.org");
    lab.run(&["key", "revoke", &bob]).refused(77, "only that can revoke it");
}

#[test]
fn the_revocation_file_of_a_lost_key_revokes_it() {
    let lab = Lab::with_keys(&["alice"]);
    let alice = id(&lab, "pgp", "alice@example.org");
    lab.run(&["key", "import", &format!("home/revocations/{alice}.asc")]).code(0);
    assert!(lab.run(&["key", "list"]).code(0).text().contains("revoked"));
}

/// The signature is good, and the certificate is declared revoked here: nothing that comes later undoes that.
#[test]
fn a_certificate_that_is_declared_revoked_stays_so() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    let generate = ["key", "generate", "-f", "smime", "--algorithm", "p256", "--no-passphrase"];
    lab.run(&[&generate[..], &["alice@example.org"]].concat()).code(0);
    let alice = id(&lab, "smime", "alice@example.org");
    lab.write("alice.pem", lab.run(&["key", "export", &alice]).code(0).stdout);
    lab.write("signed.eml", lab.run(&["sign", "-f", "smime", "m.eml"]).code(0).stdout);
    lab.run(&["verify", "signed.eml"]).code(0);

    let said = lab.run(&["key", "revoke", &alice, "--reason", "compromised"]).code(0).stderr;
    assert!(said.contains("declared revoked here: key compromised"), "{said}");
    let refused = || {
        let verdict = lab.run(&["verify", "signed.eml"]).code(1).text();
        assert!(verdict.contains("revoked"), "{verdict}");
        lab.run(&["sign", "-f", "smime", "m.eml"]).refused(77, "key compromised, as declared here");
        lab.run(&["sign", "-f", "smime", "--key", &alice, "m.eml"]).refused(77, "as declared here");
        lab.run(&["--revocation", "off", "sign", "-f", "smime", "m.eml"]).refused(77, "as declared here");
    };
    refused();
    lab.run(&["key", "import", "alice.pem"]).code(0);
    lab.run(&["key", "trust", &alice, "alice@example.org"]).code(0);
    refused();
    // The certificate from a file of this run is the same certificate.
    assert!(lab.run(&["--keys", "alice.pem", "verify", "signed.eml"]).code(1).text().contains("revoked"));
    lab.run(&["key", "untrust", &alice]).code(0);
    refused();
    lab.run(&["key", "remove", "--secret", &alice]).refused(77, "is declared revoked");
    let listed = lab.run(&["key", "list"]).code(0).text();
    assert!(listed.contains("revoked here"), "{listed}");
    lab.run(&["key", "check"]).code(0);

    lab.run(&["key", "revoke", "--undo", &alice]).code(0);
    lab.run(&["key", "trust", &alice, "alice@example.org"]).code(0);
    lab.run(&["verify", "signed.eml"]).code(0);
    lab.run(&["key", "remove", "--secret", &alice]).code(0);
}

#[test]
fn trust_is_taken_back() {
    let (lab, colleague) = (Lab::with_keys(&["alice"]), Lab::with_keys(&["bob"]));
    lab.write("bob.asc", colleague.run(&["key", "export", "bob@example.org"]).code(0).stdout).write("m.eml", MESSAGE);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    let bob = id(&lab, "pgp", "bob@example.org");
    let encrypt = || lab.run(&["encrypt", "--to", "bob@example.org", "m.eml"]).code(0).stderr;
    for address in ["bob@example.org", "robert@example.org"] {
        lab.run(&["key", "trust", &bob, address]).code(0);
    }
    assert!(!encrypt().contains("not trusted"));
    let said = lab.run(&["key", "untrust", &bob, "bob@example.org"]).code(0).stderr;
    assert!(said.contains("no longer trusted for bob@example.org"), "{said}");
    assert!(encrypt().contains("not trusted"));
    let said = lab.run(&["key", "untrust", &bob, "bob@example.org"]).code(0).stderr;
    assert!(said.contains("was not trusted for bob@example.org"), "{said}");
    // The other address is still found by.
    assert!(lab.run(&["key", "show", "robert@example.org"]).code(0).text().contains("robert@example.org"));
    lab.run(&["key", "untrust", &bob]).code(0);
    lab.run(&["key", "show", "robert@example.org"]).refused(77, "no certificate here");
    lab.run(&["key", "check"]).code(0);
    // A key that was made here is trusted for its user IDs as a whole.
    let alice = id(&lab, "pgp", "alice@example.org");
    lab.run(&["key", "untrust", &alice, "alice@example.org"]).refused(64, "as a whole");
    lab.run(&["key", "untrust", &alice]).code(0);
    assert!(!lab.run(&["key", "list"]).code(0).text().contains("(trusted)"));
}

#[test]
fn several_keys_are_removed_or_none() {
    let (lab, colleague) = (Lab::with_keys(&["alice"]), Lab::with_keys(&["bob", "carol"]));
    lab.write(
        "both.asc",
        colleague.shell("\"$0\" key export bob@example.org; \"$0\" key export carol@example.org").stdout,
    );
    lab.run(&["key", "import", "both.asc"]).code(0);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| id(&lab, "pgp", &format!("{name}@example.org")));
    lab.run(&["key", "remove", &bob, &alice, &carol]).refused(77, "there is a secret key to it");
    assert_eq!(lab.run(&["key", "ls"]).code(0).text().lines().count(), 3);
    lab.run(&["key", "delete", &bob, &carol, &bob]).code(0);
    assert_eq!(lab.run(&["key", "list"]).code(0).text().lines().count(), 1);
}
