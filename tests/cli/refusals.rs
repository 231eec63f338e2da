//! What is refused says everything at once, and says it to scripts too.

use serde_json::Value;

use crate::support::lab::{Done, Lab};

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Lunch\n\nToday?\n";

#[test]
fn every_reader_without_a_key_is_named() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", MESSAGE);
    let readers = ["--to", "carol@example.org", "bob@example.org", "dave@example.org", "carol@example.org"];
    for format in ["pgp", "smime"] {
        let what = if format == "pgp" { "key" } else { "certificate" };
        let missing = |name: &str| format!("{name}@example.org: no encryption {what}");
        let named: &[&str] = if format == "pgp" { &["carol", "dave"] } else { &["carol", "bob", "dave"] };
        let words = named.iter().map(|name| missing(name)).collect::<Vec<_>>().join("; ");
        let arguments = [&["encrypt", "-f", format], &readers[..], &["-o", "sealed", "m"]].concat();
        lab.run(&arguments)
            .refused(77, &format!("postseal: error: {words}\nhint: for each of them: postseal key import"));
    }
    assert!(!lab.path("sealed").exists());
}

#[test]
fn pem_names_every_reader_without_a_key() {
    let lab = Lab::new();
    lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", "--algorithm", "rsa2048", "alice@example.org"])
        .code(0);
    lab.write("m", MESSAGE);
    let arguments = ["encrypt", "-f", "pem", "--to", "carol@example.org", "dave@example.org", "-o", "sealed", "m"];
    let words = "carol@example.org: no encryption key of rsa; dave@example.org: no encryption key of rsa\n";
    lab.run(&arguments).refused(77, words);
}

#[test]
fn a_key_from_the_future_is_not_valid_yet() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE);
    let early = ["--at", "2020-01-01T00:00:00Z"];
    let why = |done: Done, use_: &str| {
        let done = done.refused(77, &format!("postseal: error: alice@example.org: no usable {use_} key: "));
        assert!(done.stderr.lines().next().unwrap_or_default().contains(" not valid before 20"), "{}", done.stderr);
    };
    why(lab.run(&[&early[..], &["sign", "m"]].concat()), "signing");
    why(lab.run(&[&early[..], &["encrypt", "--to", "alice@example.org", "-o", "sealed", "m"]].concat()), "encryption");
}

#[test]
fn decrypt_tells_scripts_why_it_failed() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE).run(&["encrypt", "--to", "alice@example.org", "-o", "sealed", "m"]).code(0);
    let sealed = String::from_utf8(lab.read("sealed")).unwrap();
    let armor = sealed.find("\n\n").and_then(|start| sealed[start..].find("BEGIN PGP").map(|at| start + at)).unwrap();
    let damaged = armor + 200;
    let other = if sealed.as_bytes()[damaged] == b'A' { "B" } else { "A" };
    lab.write("damaged", [&sealed[..damaged], other, &sealed[damaged + 1..]].concat());

    let object = |done: Done, code: i32, error: &str| -> Value {
        let done = done.refused(code, &format!("postseal: error: {error}"));
        let objects: Vec<&str> = done.stderr.lines().filter(|line| line.starts_with('{')).collect();
        let [object] = objects.as_slice() else { panic!("{}", done.stderr) };
        let object: Value = serde_json::from_str(object).unwrap();
        assert!(object["error"].as_str().unwrap().starts_with(error), "{object}");
        assert_eq!((&object["standing"], &object["layers"]), (&"unsigned".into(), &Value::Array(Vec::new())));
        object
    };
    let nobody = ["--home", "nobody", "decrypt", "--json", "sealed"];
    let said = object(lab.run(&nobody), 77, "openpgp message: no secret key for any recipient");
    assert_eq!((&said["file"], &said["author"]), (&"sealed".into(), &"alice@example.org".into()));
    object(lab.run(&["decrypt", "--json", "damaged"]), 65, "openpgp message: ");
    object(lab.run(&["decrypt", "--json", "m"]), 65, "m: nothing in it is encrypted");
    object(lab.run(&["decrypt", "--json", "nothing"]), 66, "nothing: no such file");
    // Without --json there is none.
    assert!(!lab.run(&["decrypt", "m"]).refused(65, "m: nothing in it").stderr.contains('{'));
}

/// The schema names both of every layer.
#[test]
fn every_layer_has_a_cipher_or_null() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE)
        .run(&["encrypt", "--sign", "--nested", "--to", "alice@example.org", "-o", "s", "m"])
        .code(0);
    let object: Value = serde_json::from_slice(&lab.run(&["verify", "--json", "s"]).code(0).stdout).unwrap();
    let layers: Vec<_> = object["layers"].as_array().unwrap().iter().map(|layer| layer.as_object().unwrap()).collect();
    let shown = |name: &str| layers.iter().map(|layer| layer[name].clone()).collect::<Vec<_>>();
    assert_eq!(shown("kind"), ["encrypted", "signed"]);
    assert_eq!(shown("authenticated"), [Value::Bool(true), Value::Null]);
    assert!(shown("cipher")[0].is_string() && shown("cipher")[1].is_null(), "{object}");
}
