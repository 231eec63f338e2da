//! `verify --html` and `scan --html`: what the pages say, and that no message can make them do anything.

mod browser;
mod hostile;
mod mailbox;

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{
    lab::{Done, Lab},
    pages::{assert_harmless, text},
};

/// The page on these messages, which are files of the lab.
fn page(lab: &Lab, messages: &[&str]) -> (String, Done) {
    let done = lab.run(&[&["verify", "--html", "page.html"], messages].concat());
    let page = String::from_utf8(lab.read("page.html")).unwrap();
    assert_harmless(&page);
    (page, done)
}

#[track_caller]
fn says(page: &str, words: &[&str]) {
    let text = text(page);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

/// The piece of a page from one heading to the next.
fn piece<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("<h3>{heading}")).unwrap_or_else(|| panic!("no {heading} in {page}"));
    let rest = &page[start + 4..];
    &rest[..rest.find("<h3>").unwrap_or(rest.len())]
}

fn lab() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.write(
        "plain.eml",
        "From: Alice <alice@example.org>\nTo: bob@example.org\nDate: Mon, 30 Nov 2026 10:00:00 +0000\nSubject: Lunch\n\nat noon\n",
    );
    lab.run(&["sign", "-o", "signed.eml", "plain.eml"]).code(0);
    lab.run(&["encrypt", "--sign", "--to", "alice@example.org", "-o", "both.eml", "plain.eml"]).code(0);
    let signed = String::from_utf8(lab.read("signed.eml")).unwrap();
    lab.write("changed.eml", signed.replace("at noon", "at nine"));
    lab
}

#[test]
fn the_verdict_comes_first_in_plain_words() {
    let lab = lab();
    for (name, code, verdict, meaning) in [
        ("signed.eml", 0, "Authentic", "alice@example.org signed this message, and nothing in it was changed since."),
        ("plain.eml", 1, "Not signed", "Anyone may have written it, whatever its From says."),
        ("changed.eml", 1, "The signature does not hold", "It was changed after it was signed"),
    ] {
        let (page, done) = page(&lab, &[name]);
        let done = done.code(code);
        // The text for the terminal is as without a page.
        assert_eq!(done.text(), lab.run(&["verify", name]).text());
        let body = text(&page);
        let at = |words: &str| body.find(words).unwrap_or_else(|| panic!("{words:?} is not in {body}"));
        assert!(
            at(name) < at(verdict) && at(verdict) < at(meaning) && at(meaning) < at("The message as a reader shows it")
        );
    }
}

#[test]
fn the_page_says_what_each_signature_covers() {
    let lab = lab();
    let (whole, _) = page(&lab, &["signed.eml"]);
    let read = piece(&whole, "The message as a reader shows it");
    says(
        read,
        &["Fromalice", "Subject"]
            .map(|word| if word == "Fromalice" { "FromAlice <alice@example.org>signed" } else { word }),
    );
    says(read, &["SubjectLunchsigned", "Part 1 text/plain", "signed by signature 1", "at noon"]);
    says(
        piece(&whole, "Signatures"),
        &["Signature 1 valid", "it makes the message authentic", "alice@example.org", "the whole payload"],
    );
    says(
        piece(&whole, "Keys and certificates"),
        &["alice@example.org", "OpenPGP certificate", "good", "Fingerprint", "Valid until"],
    );

    // A signed part beside text that anyone may have added.
    let signed = String::from_utf8(lab.read("signed.eml")).unwrap().replace("\r\n", "\n");
    let (_, part) = signed.split_once("Content-Type: multipart/signed").unwrap();
    let list = format!(
        "From: alice@example.org\nSubject: list\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=list\n\n--list\n\
         Content-Type: multipart/signed{part}\n--list\nContent-Type: text/plain\n\nbuy now\n--list--\n"
    );
    lab.write("list.eml", list);
    let (page, done) = page(&lab, &["list.eml"]);
    done.code(1);
    let read = piece(&page, "The message as a reader shows it");
    let parts: Vec<String> = read.split("<p class=what>").skip(1).map(text).collect();
    let of = |number: &str| parts.iter().find(|part| part.starts_with(&format!("Part {number} "))).unwrap();
    assert!(of("1.1.1").contains("signed by signature 1, which does not count for the message"), "{parts:?}");
    for number in ["1", "1.1", "1.1.2", "1.2"] {
        assert!(of(number).contains("not signed"), "{parts:?}");
    }
    assert!(of("1.2").contains("buy now"));
}

#[test]
fn what_was_decrypted_is_for_its_owner_alone() {
    let lab = lab();
    lab.write("page.html", "old");
    fs::set_permissions(lab.path("page.html"), fs::Permissions::from_mode(0o644)).unwrap();
    let (page, done) = page(&lab, &["both.eml"]);
    done.code(0);
    assert_eq!(fs::metadata(lab.path("page.html")).unwrap().permissions().mode() & 0o777, 0o600);
    says(&page, &["It came encrypted. This page shows its decrypted text", "at noon"]);
    says(
        piece(&page, "Layers, from the outside in"),
        &["Encrypted pgp", "changes are detected", "Signed pgp", "Signature 1: valid"],
    );
    says(piece(&page, "The message as octets"), &["What the layers held", "BEGIN PGP MESSAGE"]);
}

#[test]
fn several_messages_are_on_one_page() {
    let lab = lab();
    let (page, done) = page(&lab, &["signed.eml", "absent.eml", "plain.eml"]);
    done.code(66);
    says(&page, &["signed.eml✔ Authentic", "absent.eml✘ Not read", "plain.eml○ Not signed"]);
    assert!(page.contains("<a href=#m3>plain.eml</a>") && page.contains("<article id=m3>"));
}

#[test]
fn the_page_names_the_next_command() {
    let lab = lab();
    let bob = Lab::with_keys(&["bob"]);
    bob.write("signed.eml", lab.read("signed.eml"))
        .write("alice.asc", lab.run(&["key", "export", "alice@example.org"]).stdout);
    let (unknown, done) = page(&bob, &["signed.eml"]);
    done.code(1);
    says(&unknown, &["Signed by an unknown key", "postseal key find alice@example.org"]);
    bob.run(&["key", "import", "alice.asc"]).code(0);
    let (untrusted, _) = page(&bob, &["signed.eml"]);
    let body = text(&untrusted);
    let command = body.lines().find_map(|line| line.split_once("postseal key trust ")).expect("a command").1;
    let words: Vec<&str> = command.split_whitespace().collect();
    bob.run(&["key", "trust", words[0], words[1]]).code(0);
    bob.run(&["verify", "signed.eml"]).code(0);
}

#[test]
fn the_page_can_be_printed_and_is_no_input() {
    let lab = lab();
    let printed = lab.run(&["verify", "--html", "-", "signed.eml"]).code(0).text();
    assert_harmless(&printed);
    assert!(printed.ends_with("</html>\n"));
    lab.run(&["verify", "--json", "--html", "-", "signed.eml"]).refused(64, "would both be written to standard output");
    lab.run(&["verify", "--html", "signed.eml", "signed.eml"]).refused(64, "is the input");
    lab.run(&["verify", "--html", "none/page.html", "signed.eml"]).refused(73, "none/page.html");
}

#[test]
fn a_certificate_is_shown_with_its_path() {
    let lab = Lab::new();
    crate::support::certificates::authority(&lab.path(""), "ca");
    lab.shell(
        "openssl req -newkey rsa:2048 -nodes -keyout carol.key -out carol.csr -subj /CN=Carol 2>&1 && \
         printf 'subjectAltName=email:carol@example.org\\nkeyUsage=digitalSignature\\nextendedKeyUsage=emailProtection\\n' > ext && \
         openssl x509 -req -in carol.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out carol.pem 2>&1",
    )
    .code(0);
    lab.write("message.eml", "From: carol@example.org\r\nTo: bob@example.org\r\nSubject: hi\r\n\r\nhello\r\n");
    lab.shell(
        "openssl cms -sign -in message.eml -signer carol.pem -inkey carol.key -out signed.p7 -outform SMIME 2>&1",
    )
    .code(0);
    let signed = String::from_utf8(lab.read("signed.p7")).unwrap();
    lab.write("signed.eml", format!("From: carol@example.org\nTo: bob@example.org\nSubject: hi\n{signed}"));
    let done = lab.run(&["verify", "--anchors", "ca.pem", "--html", "page.html", "signed.eml"]).code(0);
    drop(done);
    let page = String::from_utf8(lab.read("page.html")).unwrap();
    assert_harmless(&page);
    let tree = text(piece(&page, "Keys and certificates"));
    let at = |words: &str| tree.find(words).unwrap_or_else(|| panic!("{words:?} is not in {tree}"));
    assert!(at("trust anchor, X.509 certificate") < at("CN=Carol"), "{tree}");
    assert!(at("CN=Carol") < at("signer, X.509 certificate"), "{tree}");
    // Without the anchor the path has no root, and the page says what is missing.
    let (page, done) = self::page(&lab, &["signed.eml"]);
    done.code(1);
    says(piece(&page, "Keys and certificates"), &["CN=Carol", "Pathnone: certificate \"CN=Carol\""]);
}
