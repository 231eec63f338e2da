//! Files with many certificates, which are imported one after another.

use std::{fs, path::Path};

use crate::support::lab::Lab;

fn certificate(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/smime/{name}.pem"))).expect("a certificate")
}

#[test]
fn many_certificates_in_a_file_are_imported_as_those_of_any_file() {
    let lab = Lab::new();
    let bundle = ["root", "middle", "rsa", "root", "expired"].map(certificate).concat();
    // Text before the first block: the file is read as a whole.
    lab.write("any.pem", [b"certificates of a partner\n".as_slice(), &bundle].concat());
    lab.write("bundle.pem", &bundle);
    for _ in 0..2 {
        let said = lab.run(&["key", "import", "bundle.pem"]).code(0).text();
        assert_eq!(said, lab.run(&["--home", "other", "key", "import", "any.pem"]).code(0).text());
        assert_eq!(said.lines().count(), 4, "each once: {said}");
    }
    let list = lab.run(&["key", "list"]).code(0).text();
    assert!(list.lines().count() == 4 && list == lab.run(&["--home", "other", "key", "list"]).code(0).text(), "{list}");

    // The key of a certificate that is here: a renewed certificate shares it.
    let lab = Lab::new();
    lab.write("key.pem", ["ed25519", "ed25519.key"].map(certificate).concat());
    lab.run(&["key", "import", "key.pem"]).code(0);
    lab.write("bundle.pem", ["root", "ed25519"].map(certificate).concat());
    let said = lab.run(&["key", "import", "bundle.pem"]).code(0).text();
    assert!(
        said.starts_with("added ") && said.lines().nth(1).is_some_and(|line| line.starts_with("unchanged ")),
        "{said}"
    );
    assert!(lab.run(&["key", "list"]).text().contains("secret"));
}

#[test]
fn what_is_wrong_in_a_bundle_is_named() {
    let lab = Lab::new();
    let broken = b"-----BEGIN CERTIFICATE-----\n####\n-----END CERTIFICATE-----\n".to_vec();
    lab.write("bundle.pem", [certificate("root"), broken.clone(), certificate("rsa")].concat());
    let done = lab.run(&["key", "import", "bundle.pem"]).code(0);
    assert_eq!(done.text().lines().count(), 2, "{}", done.text());
    assert!(done.stderr.contains("bundle.pem: CERTIFICATE: not base64, or cut short"), "{}", done.stderr);
    lab.write("broken.pem", broken);
    lab.run(&["--home", "other", "key", "import", "broken.pem"]).code(65);
    assert!(!lab.path("other").exists());
}
