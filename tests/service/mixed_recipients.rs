//! An incoming message that one of its recipients can open, and the other cannot: both get it, each as the rules say.

use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER, TRUSTED},
};

#[test]
fn each_recipient_gets_a_copy_of_their_own() {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["key", "export", "alice@example.org", "-o", "alice.asc"]).code(0);
    lab.run(&["--home", "partner", "key", "import", "alice.asc"]).code(0);
    lab.write("in", "From: buyer@partner.example\r\nTo: alice@example.org\r\nSubject: s\r\n\r\nthe secret is 42\r\n");
    lab.run(&["--home", "partner", "encrypt", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    let encrypted = String::from_utf8(lab.read("in.eml")).expect("ASCII");
    let configured = Configured::new(&lab, "220 next ESMTP", &[["in", "direction = \"inbound\"", "decrypt+annotate"]]);
    let service = configured.serve().expect("it starts");
    // Without a word on copies in the configuration: the milter sends the other copy to the next server.
    let letter = Letter {
        client: STRANGER,
        sender: "buyer@partner.example",
        recipient: "alice@example.org,bob@example.org",
        message: &encrypted,
    };
    for (transport, reply) in service.replies(&letter) {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    // Two by SMTP, two by LMTP, and the one that the milter's mail server does not have.
    let delivered = service.delivered();
    let opened = delivered.iter().filter(|one| one.contains("the secret is 42")).count();
    let sealed = delivered.iter().filter(|one| one.contains("BEGIN PGP MESSAGE")).count();
    assert_eq!((delivered.len(), opened + sealed), (5, 5), "{delivered:#?}");
    assert!(opened >= 2 && sealed >= 2, "{opened} opened, {sealed} not");
}

/// A reader with GnuPG, and one whose key has no place in the older container: each gets a ciphertext of their own, and those who can share one do.
#[test]
fn readers_who_cannot_read_one_ciphertext_get_one_each() {
    let lab = Lab::with_keys(&["alice"]);
    let theirs = |arguments: &[&str]| lab.run(&[&["--home", "theirs"], arguments].concat()).code(0);
    for (who, algorithm) in [("carol", "curve448"), ("dave", "mldsa65-ed25519")] {
        let name = format!("{who}@partner.example");
        theirs(&["key", "generate", "--no-passphrase", "--profile", "rfc9980", "--algorithm", algorithm, &name]);
        theirs(&["key", "export", &name, "-o", &format!("{who}.asc")]);
    }
    // What `gpg` of this machine makes and reads.
    lab.shell("umask 77; mkdir gnupg").code(0);
    let gpg = "GNUPGHOME=$PWD/gnupg gpg --batch --quiet --pinentry-mode loopback --passphrase ''";
    lab.shell(&format!("{gpg} --quick-generate-key bob@partner.example default default never")).code(0);
    lab.shell(&format!("{gpg} --armor --export bob@partner.example > bob.asc")).code(0);
    for who in ["bob", "carol", "dave"] {
        let imported = lab.run(&["key", "import", &format!("{who}.asc")]).code(0).text();
        let key = imported.split_whitespace().nth(1).expect("a fingerprint");
        lab.run(&["key", "trust", key, &format!("{who}@partner.example")]).code(0);
    }
    let recipients = ["bob", "carol", "dave"].map(|who| format!("{who}@partner.example"));
    let message =
        format!("From: alice@example.org\r\nTo: {}\r\nSubject: s\r\n\r\nthe secret is 42\r\n", recipients.join(", "));
    // The command line has one output. Nobody is left out of it.
    lab.write("in", &message);
    let refused = lab.run(&["encrypt", "--no-self", "-o", "out", "in"]).code(64);
    assert!(refused.stderr.contains("mlkem1024-x448 does not go with the older container"), "{}", refused.stderr);
    assert!(refused.stderr.contains("encrypt to each of them alone"), "{}", refused.stderr);
    assert!(!lab.path("out").exists());

    let rule = ["out", "recipient = \"partner.example\"", "encrypt"];
    let configured = Configured::new(&lab, "220 next ESMTP", &[rule]);
    let explained = lab.run(
        &[
            &["config", "explain", "-c", "postseal.toml", "alice@example.org"],
            &[recipients.join(",").as_str(), "in"][..],
        ]
        .concat(),
    );
    let explained = explained.code(0).text();
    let shares = |who: &str| explained.contains(&format!("in one copy with {who}@partner.example"));
    assert_eq!(["bob", "carol", "dave"].map(shares), [true, false, true], "{explained}");
    let service = configured.serve().expect("it starts");
    let letter =
        Letter { client: TRUSTED, sender: "alice@example.org", recipient: &recipients.join(","), message: &message };
    for (transport, reply) in service.replies(&letter) {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    // As above: the milter's mail server has the copy of the third pair that is for bob and dave.
    let mut readers: Vec<(bool, i32)> = Vec::new();
    for one in &service.delivered() {
        assert!(!one.contains("the secret is 42"));
        lab.write("copy", one);
        let opened = lab.shell(&format!("{gpg} --decrypt copy"));
        let by_us = lab.run(&["--home", "theirs", "decrypt", "copy"]);
        assert!(by_us.text().contains("the secret is 42"), "{}", by_us.stderr);
        readers.push((opened.text().contains("the secret is 42"), by_us.code));
    }
    readers.sort();
    let (carols, bobs_and_daves) = ((false, 0), (true, 0));
    assert_eq!(readers, [carols, carols, carols, bobs_and_daves, bobs_and_daves]);
}
