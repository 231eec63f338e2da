//! An incoming message that one of its recipients can open, and the other cannot: both get it, each as the rules say.

use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER},
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
