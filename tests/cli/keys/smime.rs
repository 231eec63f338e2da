//! A certificate that an authority issued, and the self-signed one that asked for it. The authority is openssl's.

use super::{MESSAGE, id};
use crate::support::{lab::Lab, requirements::present};

/// `$1` is the request, `$2` the certificate: the authority of the folder issues it.
const ISSUE: &str =
    "openssl x509 -req -in $1 -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -copy_extensions copy -out $2";

fn authority() -> Option<Lab> {
    if !present(&["openssl"]) {
        return None;
    }
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE).write("issue", ISSUE);
    let ca = "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=CA";
    lab.shell(ca).code(0);
    Some(lab)
}

fn issued_fingerprint(lab: &Lab, file: &str) -> String {
    let said = lab.shell(&format!("openssl x509 -in {file} -noout -fingerprint -sha256")).code(0).text();
    said.trim().rsplit('=').next().expect("a fingerprint").replace(':', "")
}

#[test]
fn an_issued_certificate_takes_the_place_of_the_one_that_asked_for_it() {
    let Some(lab) = authority() else { return };
    let request = ["key", "request", "--algorithm", "rsa2048", "--no-passphrase", "--name", "Alice", "-o", "a.csr"];
    lab.run(&[&request[..], &["alice@example.org"]].concat()).code(0);
    let placeholder = id(&lab, "smime", "alice@example.org");
    lab.run(&["encrypt", "-f", "smime", "--to", "alice@example.org", "-o", "old.eml", "m.eml"]).code(0);
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    let issued = issued_fingerprint(&lab, "a.pem");

    // Without the authority's certificate, and with it.
    for has_anchor in [false, true] {
        if has_anchor {
            lab.run(&["key", "import", "--anchor", "ca.pem"]).code(0);
        }
        lab.run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
        lab.shell("openssl cms -verify -in s.eml -CAfile ca.pem -out /dev/null").code(0);
        let encrypted =
            lab.run(&["encrypt", "-f", "smime", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        assert!(!encrypted.stderr.contains("not trusted"), "{}", encrypted.stderr);
    }
    assert!(lab.run(&["verify", "s.eml"]).code(0).text().contains(&issued[..8]));
    lab.write("pass", "p\n");
    lab.run(&["key", "export", "--secret", "--passphrase-file", "pass", "-o", "a.p12", &issued]).code(0);
    lab.shell("openssl pkcs12 -in a.p12 -passin pass:p -nodes -nocerts -out a.key").code(0);
    lab.shell("openssl cms -decrypt -in e.eml -recip a.pem -inkey a.key").code(0);

    // A second request is for the same key, and no question of several keys.
    lab.run(&["key", "request", "-o", "again.csr", "alice@example.org"]).code(0);

    // The placeholder goes without a word about the secret key, which stays.
    lab.run(&["key", "remove", &placeholder]).code(0);
    lab.run(&["sign", "-f", "smime", "m.eml"]).code(0);
    for message in ["e.eml", "old.eml"] {
        assert!(lab.run(&["decrypt", message]).code(0).text().contains("At noon."), "{message}");
    }
    lab.run(&["key", "remove", &issued]).refused(77, "there is a secret key to it");
    lab.run(&["key", "check"]).code(0);
}

#[test]
fn a_new_key_is_not_used_before_its_certificate_comes() {
    let Some(lab) = authority() else { return };
    lab.run(&["key", "import", "--anchor", "ca.pem"]).code(0);
    let request = ["key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "a.csr", "alice@example.org"];
    lab.run(&request).code(0);
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    let old = issued_fingerprint(&lab, "a.pem");
    let signer = || {
        lab.run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
        lab.run(&["verify", "--json", "s.eml"]).code(0).text()
    };
    // The same key: the request asks for it again.
    lab.run(&["key", "renew", "-o", "same.csr", &old]).code(0);
    let key = |file: &str| lab.shell(&format!("openssl req -in {file} -noout -pubkey")).code(0).text();
    assert_eq!(key("same.csr"), key("a.csr"));
    let said = lab.shell("openssl req -in same.csr -noout -text").code(0).text();
    assert!(said.contains("email:alice@example.org"), "{said}");

    lab.run(&["key", "renew", "--new-key", "--no-passphrase", "-o", "new.csr", &old]).code(0);
    assert_ne!(key("new.csr"), key("a.csr"));
    assert!(signer().contains(&old));
    // Certificates begin at whole seconds, and the newer one is taken.
    lab.shell("sleep 1.1; sh issue new.csr new.pem").code(0);
    lab.run(&["key", "import", "new.pem"]).code(0);
    assert!(signer().contains(&issued_fingerprint(&lab, "new.pem")));
}

#[test]
fn the_authority_is_asked_to_revoke() {
    let Some(lab) = authority() else { return };
    lab.run(&["key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "a.csr", "alice@example.org"]).code(0);
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    let issued = issued_fingerprint(&lab, "a.pem");
    let arguments = ["key", "revoke", "--reason", "compromised", "--message", "stolen laptop", "-o", "-", &issued];
    let text = lab.run(&arguments).code(0).text();
    let serial = lab.shell("openssl x509 -in a.pem -noout -serial").code(0).text();
    let serial = serial.trim().trim_start_matches("serial=");
    for part in ["Issuer:       CN=CA", serial, &issued, "keyCompromise", "stolen laptop", "alice@example.org"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // The key is used neither with this certificate nor with the self-signed one.
    lab.run(&["sign", "-f", "smime", "m.eml"]).refused(77, "as declared here");
}

#[test]
fn cert_verify_says_what_is_declared_revoked() {
    let Some(lab) = authority() else { return };
    lab.run(&["key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "a.csr", "alice@example.org"]).code(0);
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    let verify = || lab.run(&["cert", "verify", "--anchors", "ca.pem", "a.pem"]);
    verify().code(0);
    let issued = issued_fingerprint(&lab, "a.pem");
    lab.run(&["key", "revoke", "--reason", "superseded", &issued]).code(0);
    let said = verify().code(1).text();
    assert!(said.contains("not valid") && said.contains("superseded, as declared here"), "{said}");
    lab.run(&["key", "revoke", "--undo", &issued]).code(0);
    verify().code(0);
}

#[test]
fn classic_pem_signs_with_the_issued_certificate() {
    let Some(lab) = authority() else { return };
    let request = ["key", "request", "--algorithm", "rsa2048", "--no-passphrase", "-o", "a.csr", "alice@example.org"];
    lab.run(&request).code(0);
    let signed = || {
        lab.run(&["sign", "-f", "pem", "-o", "s.eml", "m.eml"]).code(0);
        lab.run(&["verify", "--json", "s.eml"]).text()
    };
    let placeholder = id(&lab, "smime", "alice@example.org");
    assert!(signed().contains(&placeholder));
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    // Without the authority's certificate the owner's trust in the key counts, and with it the authority's word too.
    for _ in 0..2 {
        let said = signed();
        assert!(said.contains(&issued_fingerprint(&lab, "a.pem")) && !said.contains(&placeholder), "{said}");
        lab.run(&["encrypt", "-f", "pem", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        lab.run(&["key", "import", "--anchor", "ca.pem"]).code(0);
    }
}

#[test]
fn an_authority_that_is_declared_revoked_vouches_for_nothing() {
    let Some(lab) = authority() else { return };
    lab.run(&["key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "a.csr", "alice@example.org"]).code(0);
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    lab.run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
    let reader = |arguments: &[&str]| lab.run(&[&["--home", "reader"], arguments].concat());
    reader(&["key", "import", "--anchor", "ca.pem"]).code(0);
    reader(&["verify", "s.eml"]).code(0);
    let ca = issued_fingerprint(&lab, "ca.pem");
    reader(&["key", "revoke", &ca]).code(0);
    reader(&["verify", "s.eml"]).code(1);
    reader(&["key", "import", "--anchor", "ca.pem"]).code(0);
    reader(&["verify", "s.eml"]).code(1);
}

#[test]
fn a_new_passphrase_locks_every_certificate_of_the_key() {
    let Some(lab) = authority() else { return };
    lab.write("old", "old one\n").write("new", "new one\n");
    let request = ["key", "request", "--algorithm", "p256", "--passphrase-file", "old", "-o", "a.csr"];
    lab.run(&[&request[..], &["alice@example.org"]].concat()).code(0);
    let placeholder = id(&lab, "smime", "alice@example.org");
    lab.shell("sh issue a.csr a.pem").code(0);
    lab.run(&["key", "import", "a.pem"]).code(0);
    let change = ["key", "passphrase", "--new-passphrase-file", "new", "alice@example.org"];
    lab.run(&[&["--passphrase-file", "new"], &change[..]].concat()).refused(77, "no passphrase fits");
    lab.run(&[&["--passphrase-file", "old"], &change[..]].concat()).code(0);
    let sign = |file: &str| lab.run(&["--passphrase-file", file, "sign", "-f", "smime", "m.eml"]);
    sign("old").refused(77, "no passphrase fits");
    sign("new").code(0);
    let named = ["--passphrase-file", "new", "sign", "-f", "smime", "--key", &placeholder, "m.eml"];
    lab.run(&named).code(0);
    let none = ["--passphrase-file", "new", "key", "passphrase", "--no-passphrase", "alice@example.org"];
    lab.run(&none).code(0);
    lab.run(&["sign", "-f", "smime", "m.eml"]).code(0);
    lab.run(&["key", "check"]).code(0);
}
