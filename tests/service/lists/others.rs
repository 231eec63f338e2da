//! Posts of other list managers arrive here.

use std::path::Path;

use crate::support::lab::Lab;

/// Mailman 3 wrote its own address into From, and a footer beside what the author signed: the message is nobody's, and the part is reported.
#[test]
fn what_mailman_made_of_a_signed_post_is_not_signed_as_a_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lists");
    let at = |name: &str| folder.join(name).display().to_string();
    let lab = Lab::new();
    let added = lab.run(&["key", "import", &at("alice.asc")]).code(0).text();
    let key = added.split_whitespace().nth(1).unwrap();
    lab.run(&["key", "trust", key, "alice@example.org"]).code(0);
    let verify = ["verify", "--at", "2026-12-01T00:00:00Z", &at("mailman3.eml")];
    let said = lab.run(&verify);
    assert_eq!(said.code, 1, "{said:?}");
    let text = said.text();
    for words in
        ["unsigned\n  author   ann@lists.example.org\n", "only parts within the message are signed", "└─ valid\n", key]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Nor is it with Alice in From: a footer that anybody wrote would be hers.
    let message = String::from_utf8(std::fs::read(folder.join("mailman3.eml")).unwrap()).unwrap();
    lab.write(
        "kept",
        message.replace("\nFrom: Alice via Ann <ann@lists.example.org>", "\nFrom: Alice <alice@example.org>"),
    );
    let text = lab.run(&["verify", "--at", "2026-12-01T00:00:00Z", "kept"]).code(1).text();
    assert!(text.contains("unsigned\n  author   alice@example.org\n"), "{text}");
}
