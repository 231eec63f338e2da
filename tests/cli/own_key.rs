//! The author's own key on outgoing mail: `autocrypt` and `attach-key` of a rule, through `filter`.

use crate::support::lab::{Done, Lab};

const MAIL: &str = "From: Alice <alice@example.org>\nTo: bob@example.net\nSubject: hi\n\nh\u{e4}llo\n";

/// A home with a key for alice@example.org and mallory's name in it, and a configuration with this rule.
fn lab(rule: &str) -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.write(
        "c.toml",
        format!("home = \"home\"\nhostname = \"mx.example.org\"\n[trusted]\nsign-as = [\"example.org\"]\n[[rule]]\nname = \"out\"\n{rule}\n"),
    );
    lab
}

fn filter(lab: &Lab, mail: &str) -> Done {
    lab.write("mail", mail);
    lab.shell("\"$0\" filter -c c.toml --trusted -f alice@example.org -- bob@example.net < mail")
}

#[test]
fn the_field_is_outside_of_the_signature_and_the_attachment_within() {
    let lab = lab("action = \"sign+clear\"\nautocrypt = \"mutual\"\nattach-key = true");
    let text = filter(&lab, MAIL).code(0).text();
    assert!(text.starts_with("Autocrypt: addr=alice@example.org; prefer-encrypt=mutual;"), "{text}");
    assert_eq!(text.matches("Autocrypt:").count(), 1, "{text}");
    lab.write("sent", &text);
    let report = lab.run(&["verify", "sent"]).code(0).text();
    assert!(report.starts_with("sent: authentic"), "{report}");
    let inspected = lab.run(&["inspect", "sent"]).code(0).text();
    assert!(inspected.contains("application/pgp-keys"), "{inspected}");
    // A stranger has the key from both places.
    let other = Lab::new();
    other.write("sent", &text);
    let found = other.run(&["key", "import", "sent"]).code(0).text();
    assert!(found.contains("Autocrypt field of alice@example.org"), "{found}");
    let attached = Lab::new();
    attached.write("sent", text.replace("Autocrypt:", "X-Other:"));
    let found = attached.run(&["key", "import", "sent"]).code(0).text();
    assert!(found.contains("attachment public-key.asc"), "{found}");
    assert!(String::from_utf8_lossy(&lab.run(&["decrypt", "sent"]).code(0).stdout).contains("h"));
}

#[test]
fn what_would_break_something_or_say_it_twice_is_left_out() {
    let lab = lab("action = \"clear\"\nautocrypt = \"nopreference\"\nattach-key = true");
    let plain = filter(&lab, MAIL).code(0).text();
    assert!(plain.starts_with("Autocrypt: addr=alice@example.org;\n keydata="), "{plain}");
    assert!(plain.contains("h\u{e4}llo\n") && plain.contains("public-key.asc"), "{plain}");
    // The author's program has announced a key.
    let own = format!("Autocrypt: addr=alice@example.org; keydata=aGVsbG8=\n{MAIL}");
    let text = filter(&lab, &own).code(0).text();
    assert_eq!(text.matches("Autocrypt:").count(), 1, "{text}");
    assert!(text.contains("keydata=aGVsbG8="), "{text}");
    // A DKIM signature covers the body, and perhaps that there is no such field.
    let signed = |fields: &str| format!("DKIM-Signature: v=1; d=example.org; h=From:{fields}; bh=x; b=y\n{MAIL}");
    let text = filter(&lab, &signed("Subject")).code(0).text();
    assert!(text.contains("Autocrypt:") && !text.contains("public-key.asc"), "{text}");
    let text = filter(&lab, &signed("Autocrypt:Subject")).code(0).text();
    assert_eq!(text, signed("Autocrypt:Subject"));
    // Of another author there is no secret key.
    let other = MAIL.replace("alice@", "bob@");
    assert_eq!(filter(&lab, &other).code(0).text(), other);
    // A report is left as it is.
    let report = MAIL
        .replace("Subject: hi", "MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b")
        .replace("h\u{e4}llo", "--b\n\nx\n--b--");
    assert!(!filter(&lab, &report).code(0).text().contains("public-key.asc"));
    // It is signed already.
    lab.write("m", MAIL);
    let signed = lab.run(&["sign", "m"]).code(0).text();
    let text = filter(&lab, &signed).code(0).text();
    assert!(text.contains("Autocrypt:") && !text.contains("public-key.asc"), "{text}");
    lab.write("sent", &text);
    lab.run(&["verify", "sent"]).code(0);
}

#[test]
fn encrypted_mail_shows_the_field_and_hides_the_attachment() {
    let lab = lab("action = \"sign+encrypt\"\nautocrypt = \"mutual\"\nattach-key = true");
    let other = Lab::new();
    other.run(&["key", "generate", "--no-passphrase", "bob@example.net"]).code(0);
    lab.write("bob.asc", other.run(&["key", "export", "bob@example.net"]).code(0).stdout);
    let imported = lab.run(&["key", "import", "bob.asc"]).code(0).text();
    lab.run(&["key", "trust", imported.split_whitespace().nth(1).unwrap(), "bob@example.net"]).code(0);
    let text = filter(&lab, MAIL).code(0).text();
    assert!(text.starts_with("Autocrypt: ") && !text.contains("pgp-keys"), "{text}");
    other.write("sent", text.replace("Autocrypt:", "X-Other:"));
    let found = other.run(&["key", "import", "sent"]).code(0).text();
    assert!(found.contains("attachment public-key.asc"), "{found}");
}
