//! What sealed mail comes in: files without a header, parts beside others, attached messages, HTML, and keys in mail.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::lab::{Done, Lab};

use crate::support::requirements::missing;

/// A file of `testdata/`, by other programs.
fn data(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(data(name)).unwrap()
}

/// The object in a message of application/pkcs7-mime.
fn object(name: &str) -> Vec<u8> {
    let message = text(name).replace('\r', "");
    let base64: String = message.split_once("\n\n").unwrap().1.split_whitespace().collect();
    BASE64_STANDARD.decode(base64).unwrap()
}

/// That message with other octets in it.
fn holding(name: &str, octets: &[u8]) -> String {
    let message = text(name).replace('\r', "");
    format!("{}\n\n{}\n", message.split_once("\n\n").unwrap().0, BASE64_STANDARD.encode(octets))
}

/// A folder in which openssl's and gpg's messages of the past are judged as of their time.
struct Past(Lab);

impl Past {
    fn new() -> Self {
        let lab = Lab::new();
        lab.write("root.pem", data("smime/root.pem"));
        lab.write("bob", data("attack/keys/bob.secret.asc")).write("alice", data("attack/keys/alice.asc"));
        Past(lab)
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let given = ["--at", "2026-04-01T00:00:00Z", "--anchors", "root.pem", "--keys", "bob", "--keys", "alice"];
        self.0.run(&[&given[..], arguments].concat())
    }
}

const SIGNED: &str = "The bearer may pass.";
const LUNCH: &str = "Lunch";

/// Security case 07: what stands behind an object is no part of it.
#[test]
fn octets_behind_an_object_take_its_author_away() {
    let lab = Past::new();
    for name in ["smime/opaque.eml", "smime/opaque-stream.eml"] {
        let intact = object(name);
        lab.0.write("m", holding(name, &intact));
        assert!(lab.run(&["verify", "m"]).code(0).text().starts_with("m: authentic\n"), "{name}");
        for behind in [b"g".as_slice(), b"garbage", b"garbage\0\0", b"\0\0", b"\n", &intact] {
            lab.0.write("m", holding(name, &[&intact, behind].concat()));
            let done = lab.run(&["verify", "m"]).code(1);
            assert!(done.text().starts_with("m: unsigned"), "{name} {behind:?}: {}", done.text());
        }
        // An element more within the outermost.
        let mut longer = intact.clone();
        if longer[1] == 0x82 {
            let length = u16::from_be_bytes([longer[2], longer[3]]) + 3;
            longer.splice(2..4, length.to_be_bytes());
            longer.extend(b"\x04\x01x");
            lab.0.write("m", holding(name, &longer));
            lab.run(&["verify", "m"]).code(65);
        }
    }
    // A detached signature likewise.
    let clear = text("smime/clear.eml").replace('\r', "");
    let (before, last) = clear.rsplit_once("\n\n--").unwrap();
    let (head, base64) = before.rsplit_once("\n\n").unwrap();
    let signature = BASE64_STANDARD.decode(base64.split_whitespace().collect::<String>()).unwrap();
    for (behind, code) in [(b"".as_slice(), 0), (b"garbage", 1), (b"\0\0", 1)] {
        let base64 = BASE64_STANDARD.encode([&signature, behind].concat());
        lab.0.write("m", format!("{head}\n\n{base64}\n\n--{last}"));
        lab.run(&["verify", "m"]).code(code);
    }
}

/// Security case 07 in the policy: clear text behind an object is not "encrypted already".
#[test]
fn clear_text_behind_a_ciphertext_is_plain_to_the_policy() {
    let lab = Lab::with_keys(&["bob"]);
    lab.write(
        "postseal.toml",
        "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\
         [identities]\nalice = [\"alice@example.org\"]\n[obstacles]\nalready-encrypted = \"keep\"\n\
         [[rule]]\nname = \"out\"\ndirection = \"outbound\"\naction = \"encrypt\"\nprotocol = \"pgp\"\n",
    );
    let explained = |message: &str| {
        lab.write("m", message);
        lab.run(&["config", "explain", "-c", "postseal.toml", "alice@example.org", "bob@example.org", "m"])
            .code(0)
            .text()
    };
    let name = "smime/enveloped-stream.eml";
    let intact = object(name);
    let kept = explained(&holding(name, &intact));
    assert!(kept.contains("the message is encrypted") && kept.contains("encrypted already"), "{kept}");
    for behind in [b"The secret is 42.".as_slice(), b"The secret is 42.\0\0", b"\0\0", &object("smime/opaque.eml")] {
        let sealed = explained(&holding(name, &[&intact, behind].concat()));
        assert!(
            sealed.contains("the message is plain") && sealed.contains("encrypted, pgp key"),
            "{behind:?}: {sealed}"
        );
    }
    // Words in the base64, and before and behind the part.
    let message = holding(name, &intact);
    for words in
        [format!("{message}forty two\n"), message.replace("\n\n", "\n\nforty two\n"), format!("{message}fortytwo\n")]
    {
        let sealed = explained(&words);
        assert!(!sealed.contains("encrypted already"), "{words}: {sealed}");
    }
}

/// Bug 08: files without a header.
#[test]
fn an_object_alone_is_a_message_without_a_header() {
    let lab = Past::new();
    for name in ["smime/opaque.eml", "smime/opaque-stream.eml"] {
        let der = object(name);
        let pem = |label: &str| {
            let base64 = BASE64_STANDARD.encode(&der);
            format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n").into_bytes()
        };
        let marked = ["\u{feff}".as_bytes(), &pem("PKCS7")].concat();
        for file in [der.clone(), [&der[..], b"\r\n"].concat(), pem("PKCS7"), pem("CMS"), marked] {
            lab.0.write("smime.p7m", &file);
            let verified = lab.run(&["verify", "smime.p7m"]).code(1);
            assert!(verified.text().starts_with("smime.p7m: signed"), "{name}: {}", verified.text());
            assert!(lab.run(&["decrypt", "smime.p7m"]).code(0).text().contains(SIGNED));
            let tree = lab.run(&["inspect", "smime.p7m"]).code(0).text();
            assert!(tree.starts_with("application/pkcs7-mime [smime message]"), "{tree}");
        }
        lab.0.write("smime.p7m", [&der[..], b"garbage"].concat());
        assert!(lab.run(&["verify", "smime.p7m"]).code(1).text().starts_with("smime.p7m: unsigned"));
    }
    // OpenPGP's packets, by gpg.
    let sealed = text("attack/efail-intact.eml").replace('\r', "");
    let (_, armor) = sealed.split_once("-----BEGIN PGP MESSAGE-----\n\n").unwrap();
    let base64: String = armor.lines().take_while(|line| !line.starts_with(['=', '-'])).collect();
    lab.0.write("lunch.gpg", BASE64_STANDARD.decode(base64).unwrap());
    assert!(lab.run(&["decrypt", "lunch.gpg"]).code(0).text().contains(LUNCH));
    assert!(lab.run(&["verify", "lunch.gpg"]).text().contains("author   no"));
    // What is no message is named.
    lab.0.write("key", data("attack/keys/alice.asc"));
    assert!(lab.run(&["verify", "key"]).code(1).text().contains("it is an OpenPGP key, and no message"));
    lab.run(&["decrypt", "key"]).refused(65, "it is an OpenPGP key, and no message");
    lab.0.write("nothing", "").write("lunch.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0");
    assert!(lab.run(&["verify", "nothing"]).code(1).text().contains("it is empty, and no message"));
    assert!(
        lab.run(&["verify", "lunch.msg"]).code(1).text().contains("it is an item of Outlook (.msg), and no message")
    );
}

/// Bugs 04 and 05: signed parts that nothing shows, and messages within messages.
#[test]
fn sealed_parts_are_opened_wherever_they_are() {
    let lab = Past::new();
    let (head, body) = ("From: alice@example.org\nMIME-Version: 1.0\nContent-Type: multipart/", "; boundary=m\n\n");
    let banner = "--m\nContent-Type: text/plain\n\n[EXTERNAL] be careful\n";
    let opaque = text("smime/opaque.eml").replace('\r', "");
    let part = opaque.split_once("MIME-Version: 1.0\n").unwrap().1;
    let encrypted = text("attack/efail-intact.eml");
    let report = "--m\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\n";
    let attached = |message: &str| format!("--m\nContent-Type: message/rfc822\n\n{message}\n--m--\n");
    for (message, shown) in [
        (format!("{head}mixed{body}{banner}--m\n{part}\n--m--\n"), SIGNED),
        (format!("{head}mixed{body}--m\n{part}\n--m--\n"), SIGNED),
        (format!("{head}mixed{body}{banner}{}", attached(&opaque)), SIGNED),
        (format!("{head}mixed{body}{banner}{}", attached(&encrypted)), "noon"),
        (format!("{head}report; report-type=delivery-status{body}{banner}{report}{}", attached(&encrypted)), "noon"),
        // Nothing of a signed part can be carried away.
        (format!("{head}mixed{body}--m\nContent-Type: text/html\n\n<img src=x>\n--m\n{part}\n--m--\n"), SIGNED),
    ] {
        lab.0.write("m", &message);
        let done = lab.run(&["decrypt", "--parts", "m"]).code(0);
        assert!(done.text().contains(shown), "{message}\n{}", done.text());
        assert!(done.stderr.contains("m: unsigned"), "{}", done.stderr);
    }
    // HTML within the attached message, and a message that cannot be looked into.
    let html = "--m\nContent-Type: text/html\n\n<img src=\"https://eve.example.org/\n";
    let inner = format!("Content-Type: multipart/mixed; boundary=n\n\n{}--n--\n", html.replace("--m", "--n"));
    let encoded = "--m\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nRnJvbTogeAoKaGkK\n";
    for beside in [html, &format!("--m\nContent-Type: message/rfc822\n\n{inner}"), encoded] {
        lab.0.write("m", format!("{head}mixed{body}{beside}{}", attached(&encrypted)));
        lab.run(&["decrypt", "--parts", "m"]).refused(65, "stands beside what is encrypted");
    }
}

/// Bug 14: OpenPGP in HTML.
#[test]
fn openpgp_in_html_is_named_and_not_opened() {
    let lab = Past::new();
    let sealed = text("attack/efail-intact.eml");
    let armor = &sealed[sealed.find("-----BEGIN PGP").unwrap()..sealed.find("\n--=_encrypted--").unwrap()];
    let header = "From: alice@example.org\nMIME-Version: 1.0\nContent-Type: ";
    let html = format!("text/html\n\n<html><body><pre>{armor}</pre></body></html>\n");
    lab.0.write("m", format!("{header}{html}"));
    let words = "an OpenPGP block stands in HTML";
    assert!(lab.run(&["verify", "m"]).code(1).text().contains(words));
    for arguments in [&["decrypt", "m"][..], &["decrypt", "--parts", "m"]] {
        lab.run(arguments).refused(65, words);
    }
    let plain = format!("text/plain\n\n{armor}\n");
    let alternative =
        format!("multipart/alternative; boundary=b\n\n--b\nContent-Type: {plain}--b\nContent-Type: {html}--b--\n");
    for message in [
        format!("{header}{alternative}"),
        format!("{header}multipart/mixed; boundary=m\n\n--m\nContent-Type: {alternative}\n--m--\n"),
    ] {
        lab.0.write("m", message);
        lab.run(&["decrypt", "m"]).refused(65, words);
        let done = lab.run(&["decrypt", "--parts", "m"]).code(0);
        assert!(done.text().contains("noon") && !done.text().contains("html"), "{}", done.text());
        assert!(done.stderr.contains("text/html is left out"), "{}", done.stderr);
    }
    // What Exchange makes of PGP/MIME beside HTML that shows nothing.
    let mangled = |html: &str| {
        format!(
            "{header}multipart/mixed; boundary=m\n\n--m\nContent-Type: text/html\n\n{html}\n--m\nContent-Type: \
             application/pgp-encrypted\n\nVersion: 1\n--m\nContent-Type: application/octet-stream\n\n{armor}\n--m--\n"
        )
    };
    lab.0.write("m", mangled("<html><body></body></html>"));
    let done = lab.run(&["decrypt", "m"]).code(0);
    assert!(done.text().contains("noon") && !done.text().contains("html"), "{}", done.text());
    assert!(!done.stderr.contains("m: authentic"), "{}", done.stderr);
    lab.0.write("m", mangled("<p>Pay Mallory.</p>"));
    lab.run(&["decrypt", "m"]).refused(65, "");
}

/// Bugs 07 and 13: keys by their octets.
#[test]
fn keys_are_found_in_mail_and_behind_marks() {
    let imported = |octets: &[u8]| {
        let lab = Lab::new();
        let done = lab.write("file", octets).run(&["key", "import", "file"]).code(0);
        done.text().matches("added").count()
    };
    for name in ["smime/opaque.eml", "smime/opaque-stream.eml", "smime/clear.eml", "smime/certificates.eml"] {
        assert_eq!(imported(&data(name)), 2, "{name}");
    }
    assert_eq!(imported(&object("smime/opaque-stream.eml")), 2);
    let key = text("attack/keys/alice.asc");
    let encoded = BASE64_STANDARD.encode(&key);
    let mail = |part: &str| {
        format!("From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n0 keys\n{part}--b--\n")
    };
    let attached = "--b\nContent-Type: application/pgp-keys\nContent-Transfer-Encoding: base64\n\n";
    assert_eq!(imported(mail(&format!("{attached}{encoded}\n")).as_bytes()), 1);
    let both = format!("{attached}{encoded}\n--b\n{}\n", text("smime/opaque.eml").replace('\r', ""));
    assert_eq!(imported(mail(&both).as_bytes()), 3);
    let utf16: Vec<u8> = format!("\u{feff}{key}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for marked in
        [format!("\u{feff}{key}").into_bytes(), utf16, format!("\u{feff}{}", text("smime/root.pem")).into_bytes()]
    {
        assert_eq!(imported(&marked), 1);
    }
    let lab = Lab::new();
    lab.write("m", mail("")).run(&["key", "import", "m"]).refused(65, "m: holds no certificate and no key");
    lab.write("m", data("smime/certificates.eml"));
    assert!(lab.run(&["verify", "m"]).code(1).text().contains("it only brings certificates, and no text"));
    lab.run(&["decrypt", "m"]).refused(65, "it only brings certificates, and no text");
}

/// A certificate whose point is compressed has the key of a private key whose point is not, and the other way round.
#[test]
fn keys_are_compared_as_keys_and_not_as_octets() {
    let lab = Lab::new();
    let made = lab.shell(
        "openssl ecparam -name prime256v1 -genkey -noout -out long.key && \
         openssl ec -in long.key -conv_form compressed -out short.key 2>/dev/null && \
         for form in long short; do openssl req -new -x509 -key $form.key -subj /CN=eve -days 300 -out $form.pem \
         -addext subjectAltName=email:eve@example.org -addext keyUsage=digitalSignature,keyAgreement || exit 1; done",
    );
    if made.code != 0 {
        missing(&format!("openssl that makes such keys: {}", made.stderr));
        return;
    }
    lab.write("m", "From: eve@example.org\nTo: eve@example.org\nSubject: x\n\nhi\n");
    for (certificate, key) in [("short.pem", "long.key"), ("short.pem", "short.key"), ("long.pem", "short.key")] {
        let run = |arguments: &[&str]| {
            let given = ["--keys", certificate, "--keys", key, "--anchors", certificate];
            lab.run(&[&given[..], arguments].concat()).code(0)
        };
        run(&["sign", "-f", "smime", "-o", "s", "m"]);
        assert!(run(&["verify", "s"]).text().starts_with("s: authentic\n"));
        run(&["encrypt", "-f", "smime", "--to", "eve@example.org", "-o", "e", "m"]);
        assert!(run(&["decrypt", "e"]).text().ends_with("hi\n"));
    }
}
