//! Pages for recipients without a key are opened by Chromium, and by Python as docs/manual/pages.md says.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    lab::Lab,
    requirements::{present, readers_packages},
};

const PASSPHRASE: &str = "blaue Tür, 7 Äpfel";

const LETTER: &str = "From: =?utf-8?q?J=C3=BCrgen?= <alice@example.org>\r\nTo: bob@example.net\r\nBcc: hidden@example.net\r\n\
    Date: Mon, 30 Nov 2026 12:00:00 +0100\r\nSubject: =?utf-8?q?Kontoauszug_f=C3=BCr_M=C3=A4rz?=\r\nMessage-ID: <1@example.org>\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n\
    --m\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGuten Tag,\r\n\r\n<b>anbei</b> die <script>alert(1)</script> Zahlen.\r\n\
    --m\r\nContent-Type: text/html; name=\"../r\u{e9}sum\u{e9}.html\"\r\nContent-Disposition: attachment\r\n\r\n<script>alert(document.domain)</script>\r\n\
    --m\r\nContent-Type: application/pdf; name=zahlen.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--m--\r\n";

/// A folder with the page of `message`, taken out of the mail by Python's email package.
fn paged(message: &[u8]) -> Lab {
    let lab = Lab::new();
    lab.write("m.eml", message).write("pass", format!("{PASSPHRASE}\n"));
    lab.run(&["encrypt", "--page", "--passphrase-file", "pass", "--to", "bob@example.net", "-o", "sent.eml", "m.eml"])
        .code(0);
    let taken = lab.shell(
        "/usr/bin/python3 -c '
import email, email.policy
mail = email.message_from_binary_file(open(\"sent.eml\", \"rb\"), policy=email.policy.default)
text, page = mail.iter_parts()
open(\"text\", \"w\").write(text.get_content())
assert page.get_content_type() == \"text/html\" and page.get_filename() == \"message.html\"
assert page.get_content_disposition() == \"attachment\" and not mail.defects
open(\"message.html\", \"wb\").write(page.get_payload(decode=True))'",
    );
    taken.code(0);
    lab
}

fn in_browser(cases: &Value) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/pages/browser.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .env("POSTSEAL_READERS_PACKAGES", readers_packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn page(lab: &Lab) -> PathBuf {
    lab.path("message.html")
}

/// The page with one bit of the sealed octet at `place` changed.
fn changed(lab: &Lab, place: usize) -> PathBuf {
    let html = fs::read_to_string(page(lab)).unwrap();
    let start = html.find("octet-stream\">").unwrap();
    let start = start + html[start..].find('\n').unwrap() + 1;
    let end = start + html[start..].find("</script>").unwrap();
    // Each line has 76 characters for 57 octets.
    let line_length = html[start..].find('\n').unwrap() + 1;
    let last = html[start..end].trim_end().len() - 3;
    let at = start + (place / 57 * line_length + place % 57 / 3 * 4).min(last);
    let other = if &html[at..=at] == "A" { "B" } else { "A" };
    let path = lab.path(&format!("changed-{place}.html"));
    fs::write(&path, format!("{}{other}{}", &html[..at], &html[at + 1..])).unwrap();
    path
}

#[test]
fn pages_open_in_a_browser() {
    if !present(&["chromium", "node", "playwright-core"]) {
        return;
    }
    let letter = paged(LETTER.as_bytes());
    let html = paged(b"From: alice@example.org\nTo: bob@example.net\nSubject: hi\nContent-Type: text/html; charset=utf-8\n\n<p>Hello <i>you</i><img src=http://192.0.2.1/x.png onerror=alert(2)></p><script>alert(3)</script>\n");
    // 20 MB that are no text.
    let large: Vec<u8> =
        (0_u32..5_242_880).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let encoded = postseal::mail::encoding::base64_encode(&large);
    let head = "From: alice@example.org\r\nTo: bob@example.net\r\nSubject: large\r\nContent-Type: application/octet-stream; name=large.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let large_mail = paged(&[head.as_bytes(), &encoded].concat());

    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    // Magic, iterations, salt, nonce, ciphertext, tag.
    let places = [0, 9, 13, 30, 60, usize::MAX / 128];
    let mut cases = vec![
        json!({"page": page(&letter), "passphrases": ["blaue Tür, 7 Apfel", PASSPHRASE], "screenshot": pictures}),
        // Typed with combining marks, and with white space around it.
        json!({"page": page(&html), "passphrases": [" blaue Tu\u{308}r, 7 A\u{308}pfel "]}),
        json!({"page": page(&large_mail), "passphrases": [PASSPHRASE]}),
    ];
    cases.extend(places.map(|place| json!({"page": changed(&letter, place), "passphrases": [PASSPHRASE]})));
    let results = in_browser(&json!(cases));
    assert_eq!(results.len(), cases.len());

    let refused = "refused: The message cannot be opened: the passphrase is wrong, or the file was changed.";
    for result in &results {
        assert_eq!(result["complaints"], json!([]));
        assert!(
            result["asked"]
                .as_array()
                .unwrap()
                .iter()
                .all(|url| url == "file" || url == "blob" || url == "http://192.0.2.1/x.png"),
            "{result}"
        );
        assert_eq!(result["refused"], json!(["connect-src", "img-src", "script-src-elem"]));
    }
    let [first, second, third, broken @ ..] = results.as_slice() else { panic!() };
    assert_eq!(first["states"], json!([refused, "opened"]));
    assert_eq!(
        first["header"],
        json!([
            ["From", "Jürgen <alice@example.org>"],
            ["To", "bob@example.net"],
            ["Date", "Mon, 30 Nov 2026 12:00:00 +0100"],
            ["Subject", "Kontoauszug für März"],
        ])
    );
    assert_eq!(first["text"], "Guten Tag,\n\n<b>anbei</b> die <script>alert(1)</script> Zahlen.");
    let names: Vec<&str> = first["files"].as_array().unwrap().iter().map(|file| file[0].as_str().unwrap()).collect();
    assert_eq!(names, ["résumé.html", "zahlen.pdf"]);
    assert_eq!(first["files"][1][1], 9);
    assert_eq!(first["typed"], "");

    assert_eq!((&second["states"], &second["text"]), (&json!(["opened"]), &json!("Hello you")));

    let digest = postseal::base::hex(&postseal::crypto::Hash::Sha256.digest(&large));
    assert_eq!(third["states"], json!(["opened"]));
    assert_eq!(third["files"], json!([["large.bin", large.len(), digest]]));

    for (place, result) in places.iter().zip(broken) {
        assert_eq!((&result["states"], &result["text"]), (&json!([refused]), &json!("")), "octet {place}");
    }
}

#[test]
fn nothing_of_the_message_is_outside_of_the_page() {
    if !present(&["/usr/bin/python3"]) {
        return;
    }
    let lab = paged(LETTER.as_bytes());
    let (mail, html) = (lab.read("sent.eml"), fs::read_to_string(page(&lab)).unwrap());
    let mail = String::from_utf8(mail).unwrap();
    for secret in ["Kontoauszug", "Guten", "zahlen", "document.domain", "hidden@", "blaue", "Bcc"] {
        assert!(!mail.contains(secret), "{secret}");
    }
    assert!(mail.starts_with("From: =?utf-8?q?J=C3=BCrgen?= <alice@example.org>\r\nTo: bob@example.net\r\nDate: Mon, 30 Nov 2026 12:00:00 +0100\r\nSubject: [...]\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"), "{}", &mail[..400]);
    assert!(mail.lines().all(|line| line.len() <= 998) && mail.is_ascii());
    let text = String::from_utf8(lab.read("text")).unwrap();
    assert!(
        text.contains("alice@example.org sent you an encrypted message")
            && text.contains("alice@example.org hat Ihnen"),
        "{text}"
    );
    // The page of another message differs in the sealed octets alone.
    let other = fs::read_to_string(page(&paged(b"From: a@example.org\r\nTo: b@example.org\r\n\r\nshort\r\n"))).unwrap();
    let around = |html: &str| {
        let (above, rest) = html.split_once("octet-stream\">").unwrap();
        let (sealed, below) = rest.split_once("</script>").unwrap();
        (format!("{above}{below}"), sealed.len())
    };
    assert_eq!(around(&html).0, around(&other).0);
    assert!(around(&html).1 > around(&other).1);
}

/// The program in docs/manual/pages.md.
#[test]
fn pages_are_opened_without_a_browser() {
    if !present(&["/usr/bin/python3", "python3-cryptography"]) {
        return;
    }
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual/pages.md")).unwrap();
    let recipe = manual.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let lab = paged(LETTER.as_bytes());
    lab.write("open.py", recipe);
    let said = lab.shell("/usr/bin/python3 open.py message.html pass").code(0).text();
    assert!(
        said.contains("Subject: Kontoauszug für März\n") && said.contains("\nGuten Tag,\n\n<b>anbei</b>"),
        "{said}"
    );
    assert_eq!(lab.read("zahlen.pdf"), b"%PDF-1.4\n");
    lab.write("pass", "another passphrase\n");
    let said = lab.shell("/usr/bin/python3 open.py message.html pass");
    assert!(said.code != 0 && said.stderr.contains("InvalidTag") && said.stdout.is_empty(), "{said:?}");
}
