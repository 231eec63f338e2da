//! `key list` and `key show`: filters, and JSON in one shape for all protocols.

use std::path::Path;

use serde_json::Value;

use super::id;
use crate::support::{lab::Lab, schema::faults};

/// An OpenPGP key that ends soon, a self-signed certificate, a colleague's key, and an anchor.
fn furnished() -> Lab {
    let (lab, colleague) = (Lab::new(), Lab::with_keys(&["bob"]));
    let generate = ["key", "generate", "--no-passphrase", "--name", "Alice Smith", "alice@example.org"];
    lab.run(&[&generate[..], &["--expires", "20d"]].concat()).code(0);
    lab.run(&[&generate[..], &["-f", "smime", "--algorithm", "p256"]].concat()).code(0);
    lab.write("bob.asc", colleague.run(&["key", "export", "bob@example.org"]).code(0).stdout);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    let anchor = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl/ca.der");
    lab.run(&["key", "import", "--anchor", anchor.to_str().expect("UTF-8")]).code(0);
    lab
}

fn objects(lab: &Lab, arguments: &[&str]) -> Vec<Value> {
    let text = lab.run(&[&["key", "list", "--json"], arguments].concat()).code(0).text();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn filters_choose_what_is_listed() {
    let lab = furnished();
    let count = |arguments: &[&str]| {
        let lines = lab.run(&[&["key", "list"], arguments].concat()).code(0).text().lines().count();
        assert_eq!(lines, objects(&lab, arguments).len(), "{arguments:?}");
        lines
    };
    let bob = id(&lab, "pgp", "bob@example.org");
    let spaced = format!("{} {}", &bob[..4], &bob[4..8]);
    for (arguments, expected) in [
        (&[][..], 4),
        (&["--secret"], 2),
        (&["--anchors"], 1),
        (&["-f", "pgp"], 2),
        (&["-f", "smime", "--secret"], 1),
        (&["--expiring", "30d"], 1),
        (&["--expiring", "10d"], 0),
        (&["--expiring", "5y", "--secret"], 2),
        (&["ALICE"], 2),
        (&["smith"], 2),
        (&["bob@example.org", "--secret"], 0),
        (&[&bob[30..]], 1),
        (&[&spaced], 1),
        (&["nobody"], 0),
    ] {
        assert_eq!(count(arguments), expected, "{arguments:?}");
    }
    let text = lab.run(&["key", "list", "-f", "pgp", "alice"]).code(0).text();
    for part in
        ["  pgp  ed25519  certify, sign, encrypt  secret  good until ", "alice@example.org (trusted)  Alice Smith"]
    {
        assert!(text.contains(part), "{text}");
    }
    // To compare with the owner.
    let grouped: Vec<&str> = bob.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).expect("ASCII")).collect();
    let shown = lab.run(&["key", "show", "bob@example.org"]).code(0).text();
    assert!(shown.contains(&grouped.join(" ")), "{shown}");
    // As it is printed, it is a name of the key.
    lab.run(&["key", "trust", &grouped.join(" "), "bob@example.org"]).code(0);
}

#[test]
fn json_has_one_shape_for_all_protocols() {
    let lab = furnished();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bare = root.join("testdata/pem/bare.pub");
    if bare.exists() {
        lab.run(&["key", "import", bare.to_str().expect("UTF-8")]).code(0);
    }
    lab.run(&["key", "revoke", "--reason", "compromised", &id(&lab, "smime", "alice@example.org")]).code(0);
    let found = objects(&lab, &[]);
    for object in &found {
        let faults = faults("keys.schema.json", object);
        assert!(faults.is_empty(), "{faults:?} in {object}");
        let address = object["addresses"].as_array().and_then(|all| all.first()).and_then(Value::as_str);
        let Some(address) = address else { continue };
        let shown = lab.run(&["key", "show", "--json", address]).code(0).text();
        assert!(shown.lines().any(|line| serde_json::from_str::<Value>(line).ok().as_ref() == Some(object)), "{shown}");
    }
    let of = |protocol: &str, secret: bool| {
        found.iter().find(|one| one["protocol"] == protocol && one["secret"] == secret).expect("such a key")
    };
    let (own, certificate, anchor) = (of("pgp", true), of("smime", true), of("smime", false));
    assert_eq!(own["names"][0]["text"], "Alice Smith <alice@example.org>");
    assert_eq!((&own["keys"][1]["uses"][0], &own["trusted_user_ids"]), (&"encrypt".into(), &true.into()));
    assert_eq!((&certificate["state"], &certificate["keys"][0]["state"]), (&"revoked".into(), &"revoked".into()));
    assert_eq!(
        (&certificate["x509"]["self_signed"], &certificate["trusted_addresses"][0]),
        (&true.into(), &"alice@example.org".into())
    );
    assert_eq!((&anchor["anchor"], &own["anchor"]), (&true.into(), &false.into()));
    // The schema is not so wide that anything fits it.
    let mut other = own.clone();
    other["state"] = "fine".into();
    other["more"] = 1.into();
    other.as_object_mut().expect("an object").remove("names");
    assert_eq!(faults("keys.schema.json", &other).len(), 3);
}
