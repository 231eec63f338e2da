//! Keys out of mail: `key import` of messages, and `verify --save-key`.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::lab::Lab;

/// The home of a colleague, with an OpenPGP and an S/MIME key for carol@example.org.
fn colleague() -> Lab {
    let lab = Lab::with_keys(&["carol"]);
    lab.run(&["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "--no-passphrase", "carol@example.org"])
        .code(0);
    lab.write("m", "From: carol@example.org\nTo: alice@example.org\nSubject: hi\n\nhi\n");
    lab
}

fn exported(lab: &Lab, arguments: &[&str]) -> Vec<u8> {
    lab.run(&[&["key", "export"], arguments].concat()).code(0).stdout
}

/// A message with one attachment of this header and body.
fn with_attachment(header: &str, body: &str) -> String {
    format!(
        "From: carol@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n{header}\n\n{body}\n--b--\n"
    )
}

fn autocrypt(name: &str, address: &str, key: &[u8]) -> String {
    format!("{name}: addr={address}; prefer-encrypt=mutual; keydata=\n {}\n", BASE64_STANDARD.encode(key))
}

#[test]
fn attachments_of_any_encoding_are_imported_and_not_trusted() {
    let other = colleague();
    let pgp = exported(&other, &["-f", "pgp", "--binary", "carol@example.org"]);
    let armored = String::from_utf8(exported(&other, &["-f", "pgp", "carol@example.org"])).unwrap();
    let pem = String::from_utf8(exported(&other, &["-f", "smime", "carol@example.org"])).unwrap();
    let der = exported(&other, &["-f", "smime", "--binary", "carol@example.org"]);
    other.write("c.pem", &pem);
    other.shell("openssl crl2pkcs7 -nocrl -certfile c.pem -outform DER -out c.p7c").code(0);
    let quoted = armored.replace('=', "=3D");
    for (header, body, found) in [
        ("Content-Type: application/pgp-keys", armored.clone(), "attachment of type application/pgp-keys"),
        (
            "Content-Type: application/octet-stream; name=carol.asc\nContent-Transfer-Encoding: base64",
            BASE64_STANDARD.encode(&armored),
            "attachment carol.asc",
        ),
        (
            "Content-Type: application/pgp-keys\nContent-Disposition: attachment; filename=\"our key.asc\"\nContent-Transfer-Encoding: quoted-printable",
            quoted,
            "attachment our key.asc",
        ),
        (
            "Content-Type: application/octet-stream; name=carol.gpg\nContent-Transfer-Encoding: base64",
            BASE64_STANDARD.encode(&pgp),
            "attachment carol.gpg",
        ),
        ("Content-Type: text/plain; name=carol.pem", pem.clone(), "attachment carol.pem"),
        (
            "Content-Type: application/pkix-cert; name=carol.cer\nContent-Transfer-Encoding: base64",
            BASE64_STANDARD.encode(&der),
            "attachment carol.cer",
        ),
        (
            "Content-Type: application/pkcs7-mime; smime-type=certs-only; name=c.p7c\nContent-Transfer-Encoding: base64",
            BASE64_STANDARD.encode(other.read("c.p7c")),
            "attachment c.p7c",
        ),
    ] {
        let lab = Lab::new();
        lab.write("mail.eml", with_attachment(header, &body));
        let done = lab.run(&["key", "import", "mail.eml"]).code(0);
        let text = done.text();
        assert!(text.starts_with("added      ") && text.contains("carol@example.org\n"), "{header}: {text}");
        assert!(text.ends_with(&format!("           found in mail.eml, {found}\n")), "{header}: {text}");
        assert!(done.stderr.contains("no key is trusted because of the mail"), "{}", done.stderr);
        let shown = lab.run(&["key", "show", "carol@example.org"]).code(0).text();
        assert!(shown.contains("trusted for  nothing"), "{header}: {shown}");
    }
}

#[test]
fn the_certificate_in_a_signature_is_imported_also_out_of_an_encrypted_message() {
    let other = colleague();
    let lab = Lab::new();
    lab.run(&["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "--no-passphrase", "alice@example.org"])
        .code(0);
    other.write("alice.pem", exported(&lab, &["-f", "smime", "alice@example.org"]));
    other.run(&["key", "import", "alice.pem"]).code(0);
    other.run(&["sign", "-f", "smime", "-o", "clear", "m"]).code(0);
    other.run(&["encrypt", "-f", "smime", "--sign", "--to", "alice@example.org", "-o", "sealed", "m"]).code(0);
    for name in ["clear", "sealed"] {
        let fresh = Lab::new();
        fresh.write(name, other.read(name));
        let home = lab.path("home").display().to_string();
        fresh.shell(&format!("cp -r '{home}' home")).code(0);
        let before = fresh.run(&["key", "list"]).code(0).text();
        assert!(!before.contains("carol"), "{before}");
        let text = fresh.run(&["key", "import", name]).code(0).text();
        assert!(
            text.contains("carol@example.org\n           found in ") && text.contains(", S/MIME signature\n"),
            "{text}"
        );
        // A signature names no trust anchors.
        let refused = fresh.run(&["key", "import", "--anchor", name]);
        assert_eq!(refused.code, 65, "{}", refused.stderr);
    }
}

#[test]
fn the_signer_of_a_valid_signature_is_saved() {
    let other = colleague();
    let lab = Lab::with_keys(&["alice"]);
    other.run(&["sign", "-f", "smime", "-o", "signed", "m"]).code(0);
    let signed = String::from_utf8(other.read("signed")).unwrap();
    lab.write("signed", &signed).write("forged", signed.replace("\nhi", "\nho")).write("m", other.read("m"));
    let done = lab.run(&["verify", "--save-key", "forged"]).code(1);
    assert!(done.stderr.contains("forged: no valid signature, and no key is saved"), "{}", done.stderr);
    lab.run(&["encrypt", "-f", "smime", "--to", "carol@example.org", "m"]).code(77);
    let done = lab.run(&["verify", "--save-key", "--json", "signed"]).code(1);
    assert_eq!(done.text().lines().count(), 1, "{}", done.text());
    assert!(done.stderr.contains("added      ") && done.stderr.contains("carol@example.org"), "{}", done.stderr);
    let shown = lab.run(&["key", "show", "carol@example.org"]).code(0).text();
    assert!(shown.contains("trusted for  nothing"), "{shown}");
    let done = lab.run(&["verify", "--save-key", "signed"]).code(1);
    assert!(done.stderr.contains("unchanged"), "{}", done.stderr);
}

#[test]
fn autocrypt_fields_are_read_and_those_about_others_only_out_of_encryption() {
    let other = colleague();
    other.run(&["key", "generate", "--no-passphrase", "bob@example.org"]).code(0);
    let carol = exported(&other, &["-f", "pgp", "--binary", "carol@example.org"]);
    let bob = exported(&other, &["-f", "pgp", "--binary", "bob@example.org"]);
    let gossip = autocrypt("Autocrypt-Gossip", "bob@example.org", &bob);
    let head = "From: carol@example.org\nTo: alice@example.org, bob@example.org\nSubject: hi\n";
    let lab = Lab::with_keys(&["alice"]);
    lab.write("plain", format!("{head}{}{gossip}\nhi\n", autocrypt("Autocrypt", "carol@example.org", &carol)));
    let text = lab.run(&["key", "import", "plain"]).code(0).text();
    assert!(
        text.contains("carol@example.org\n           found in plain, Autocrypt field of carol@example.org\n"),
        "{text}"
    );
    assert!(!text.contains("bob@example.org"), "{text}");
    // Encrypted, with the field in the payload.
    other.write("alice.asc", exported(&lab, &["-f", "pgp", "alice@example.org"]));
    other.run(&["key", "import", "alice.asc"]).code(0);
    other.write("payload", format!("{head}{gossip}\nhi\n"));
    other.run(&["encrypt", "-f", "pgp", "--to", "alice@example.org", "-o", "sealed", "payload"]).code(0);
    let sealed = String::from_utf8(other.read("sealed")).unwrap();
    // The field is where other readers can see it, too, where this program puts all fields that it does not know to be confidential.
    let (header, body) = sealed.split_once("\n\n").or_else(|| sealed.split_once("\r\n\r\n")).unwrap();
    let stays = |line: &&str| {
        !line.starts_with("Autocrypt-Gossip") && !line.starts_with(' ')
            || line.contains("boundary")
            || line.contains("protocol")
    };
    let header: Vec<&str> = header.lines().filter(stays).collect();
    lab.write("sealed", format!("{}\n\n{body}", header.join("\n")));
    let text = lab.run(&["key", "import", "sealed"]).code(0).text();
    assert!(
        text.contains("bob@example.org\n           found in sealed, Autocrypt-Gossip field for bob@example.org\n"),
        "{text}"
    );
    // An Autocrypt field for another address than the author's is none.
    lab.write("other", format!("{head}{}\nhi\n", autocrypt("Autocrypt", "bob@example.org", &bob)));
    lab.run(&["key", "import", "other"]).refused(65, "other: holds no certificate and no key");
}

#[test]
fn all_messages_of_an_mbox_are_searched() {
    let other = colleague();
    let armored = String::from_utf8(exported(&other, &["-f", "pgp", "carol@example.org"])).unwrap();
    other.run(&["sign", "-f", "smime", "-o", "signed", "m"]).code(0);
    let signed = String::from_utf8(other.read("signed")).unwrap().replace('\r', "");
    let attached = with_attachment("Content-Type: application/pgp-keys", &armored);
    let lab = Lab::new();
    let from = "From x@y Mon Jan  1 00:00:00 2026\n";
    lab.write("mbox", format!("{from}{attached}\n{from}From: x@example.org\n\nnothing\n\n{from}{signed}\n"));
    let text = lab.run(&["key", "import", "mbox"]).code(0).text();
    assert!(text.contains("found in mbox, message 1, attachment of type application/pgp-keys\n"), "{text}");
    assert!(text.contains("found in mbox, message 3, S/MIME signature\n"), "{text}");
    assert_eq!(text.matches("carol@example.org").count(), 2, "{text}");
}
