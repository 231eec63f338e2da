//! A new expiry, a new subkey, a new address, a new passphrase of an OpenPGP key. GnuPG takes each.

use super::MESSAGE;
use crate::support::{lab::Lab, requirements::present};

/// What GnuPG lists of the certificate of alice, imported once more into its ring: lines of colons.
fn in_gnupg(lab: &Lab, line: &str) -> String {
    lab.write("alice.asc", lab.run(&["key", "export", "alice@example.org"]).code(0).stdout);
    let line = format!(
        "mkdir -p -m 700 g && gpg --homedir g --batch -q --import alice.asc && {line}; code=$?; gpgconf --homedir g --kill all; exit $code"
    );
    lab.shell(&line).code(0).text()
}

const LIST: &str = "gpg --homedir g --with-colons -k alice@example.org";

fn field(line: &str, number: usize) -> &str {
    line.split(':').nth(number).unwrap_or_default()
}

#[test]
fn an_expired_key_is_renewed() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    for profile in ["rfc4880", "rfc9580"] {
        let home = |arguments: &[&str]| lab.run(&[&["--home", profile], arguments].concat());
        let generate = ["key", "generate", "--no-passphrase", "--expires", "90d", "--profile", profile];
        home(&[&["--at", "2026-01-01T00:00:00Z"], &generate[..], &["alice@example.org", "a@example.net"]].concat())
            .code(0);
        home(&["sign", "m.eml"]).refused(77, "expired");
        home(&["key", "renew", "--expires", "2y", "alice@example.org"]).code(0);
        let listed = home(&["key", "show", "--json", "alice@example.org"]).code(0).text();
        let object: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let ends: Vec<&str> =
            object["keys"].as_array().unwrap().iter().map(|key| key["expires"].as_str().unwrap()).collect();
        assert_eq!(ends.len(), 2, "{listed}");
        assert!(ends[0] == ends[1] && ends[0] > "2028", "{listed}");
        home(&["sign", "-o", "s.eml", "m.eml"]).code(0);
        home(&["verify", "s.eml"]).code(0);
        home(&["encrypt", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        home(&["decrypt", "e.eml"]).code(0);
        // The other user ID too, and a secret key that is exported and imported.
        home(&["encrypt", "--to", "a@example.net", "m.eml"]).code(0);
        lab.write("secret.asc", home(&["key", "export", "--secret", "alice@example.org"]).code(0).stdout);
        lab.run(&["--home", &format!("{profile}-copy"), "key", "import", "secret.asc"]).code(0);
        lab.run(&["--home", &format!("{profile}-copy"), "sign", "m.eml"]).code(0);
    }
}

#[test]
fn gnupg_takes_what_is_renewed() {
    if !present(&["gpg"]) {
        return;
    }
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    let at = ["--at", "2026-01-01T00:00:00Z"];
    let generate = ["key", "generate", "--no-passphrase", "--expires", "90d", "--name", "Alice", "alice@example.org"];
    lab.run(&[&at[..], &generate[..]].concat()).code(0);
    let before = in_gnupg(&lab, LIST);
    assert!(before.contains("pub:e:") && before.contains("sub:e:"), "{before}");

    lab.run(&["key", "renew", "--expires", "1y", "alice@example.org"]).code(0);
    let after = in_gnupg(&lab, LIST);
    assert!(!after.contains("pub:e:") && !after.contains("sub:e:") && after.matches("sub:").count() == 1, "{after}");
    in_gnupg(&lab, "echo hello | gpg --homedir g --batch -q --trust-model always -ear alice@example.org > e.asc");

    // GnuPG takes the newest subkey, and postseal has its secret part.
    lab.run(&["key", "renew", "--new-subkey", "--expires", "2y", "alice@example.org"]).code(0);
    let listed = in_gnupg(&lab, LIST);
    let subkeys: Vec<&str> = listed.lines().filter(|line| line.starts_with("sub:")).collect();
    assert_eq!(subkeys.len(), 2, "{listed}");
    assert!(subkeys.iter().all(|line| field(line, 11) == "e"), "{listed}");
    in_gnupg(
        &lab,
        "printf 'Content-Type: text/plain\n\nhello\n' | gpg --homedir g --batch -q --trust-model always -ear alice@example.org > e.asc",
    );
    let newest = subkeys.iter().max_by_key(|line| field(line, 5)).map(|line| field(line, 4)).unwrap();
    let packets = lab.shell("gpg --homedir g --batch --list-packets e.asc; gpgconf --homedir g --kill all").text();
    assert!(packets.contains(&format!("keyid {newest}")), "{packets}");
    let head = "From: bob@example.org\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=b;\n protocol=\"application/pgp-encrypted\"\n\n\
                --b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n\n";
    lab.write("e.eml", [head.as_bytes(), &lab.read("e.asc"), b"\n--b--\n"].concat());
    assert!(lab.run(&["decrypt", "e.eml"]).code(0).text().contains("hello"));

    lab.run(&["key", "add-address", "alice@example.org", "a.smith@example.net"]).code(0);
    let listed = in_gnupg(&lab, LIST);
    assert!(listed.contains("Alice <a.smith@example.net>") && listed.contains("Alice <alice@example.org>"), "{listed}");
    lab.run(&["key", "add-address", "alice@example.org", "a.smith@example.net"]).refused(64, "already");
    // It is trusted for the new address as for the others, and signs for it.
    lab.write("n.eml", MESSAGE.replace("alice@example.org", "a.smith@example.net"));
    lab.run(&["sign", "-o", "s.eml", "n.eml"]).code(0);
    lab.run(&["verify", "s.eml"]).code(0);
}

#[test]
fn a_passphrase_is_changed_set_and_removed() {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE).write("old", "old one\n").write("new", "new one\n");
    for profile in ["rfc4880", "rfc9580"] {
        let home = |arguments: &[&str]| lab.run(&[&["--home", profile], arguments].concat());
        home(&["key", "generate", "--profile", profile, "--passphrase-file", "old", "alice@example.org"]).code(0);
        home(&["encrypt", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        let change = ["key", "passphrase", "--new-passphrase-file", "new", "alice@example.org"];
        home(&change).refused(77, "locked");
        home(&[&["--passphrase-file", "old"], &change[..]].concat()).code(0);
        for (file, code) in [("old", 77), ("new", 0)] {
            home(&["--passphrase-file", file, "sign", "m.eml"]).code(code);
            home(&["--passphrase-file", file, "decrypt", "e.eml"]).code(code);
        }
        home(&["--passphrase-file", "new", "key", "passphrase", "--no-passphrase", "alice@example.org"]).code(0);
        home(&["sign", "m.eml"]).code(0);
        home(&["decrypt", "e.eml"]).code(0);
        home(&change).code(0);
        home(&["sign", "m.eml"]).refused(77, "locked");
        // A new subkey is locked as the primary key is.
        home(&["--passphrase-file", "new", "key", "renew", "--new-subkey", "alice@example.org"]).code(0);
        home(&["encrypt", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        home(&["decrypt", "e.eml"]).refused(77, "locked");
        home(&["--passphrase-file", "new", "decrypt", "e.eml"]).code(0);
    }
    if present(&["gpg"]) {
        lab.write(
            "secret.asc",
            lab.run(&["--home", "rfc4880", "key", "export", "--secret", "alice@example.org"]).code(0).stdout,
        );
        let sign = "mkdir -m 700 g && gpg --homedir g --batch -q --import secret.asc && echo x | gpg --homedir g --batch -q \
                    --pinentry-mode loopback --passphrase 'new one' -s > /dev/null; code=$?; gpgconf --homedir g --kill all; exit $code";
        lab.shell(sign).code(0);
    }
}
