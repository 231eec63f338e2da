//! RFC 9980 with gosop (GopenPGP) and with the OpenPGP.js of Proton: keys made by us, sealed by each and opened by the other. gosop makes no such keys.

use std::{fs, path::Path};

use super::{ADDRESS, Identity, assert_same_content, judged, made_by_us, mime, parts, present, text};
use crate::support::openpgp_programs::Lab;

const GOSOP: &[&str] = &["gosop"];
const PROTON: &[&str] = &["node", "@protontech/openpgp"];

#[test]
fn gosop_reads_our_post_quantum_keys() {
    if !present(GOSOP) {
        return;
    }
    for algorithm in ["mldsa65-ed25519", "mldsa87-ed448", "slh-dsa-shake-128f", "curve25519"] {
        let lab = Lab::new();
        let alice = made_by_us(&lab, &["--profile", "rfc9980", "--algorithm", algorithm]);
        with_gosop(&lab, &alice, Quantum::Safe);
    }
}

/// A key of today, with a subkey that withstands quantum computers.
#[test]
fn gosop_reads_our_version_4_with_a_post_quantum_subkey() {
    if present(GOSOP) {
        let lab = Lab::new();
        with_gosop(&lab, &with_added_subkey(&lab), Quantum::Safe);
    }
}

#[test]
fn gosop_and_we_read_each_others_curve448() {
    if !present(GOSOP) {
        return;
    }
    let lab = Lab::new();
    with_gosop(&lab, &made_by_us(&lab, &["--profile", "rfc9580", "--algorithm", "curve448"]), Quantum::Open);
    let lab = Lab::new();
    let secret = lab.gosop(&["generate-key", "--profile=security", super::USER_ID], b"");
    let public = lab.gosop(&["extract-cert"], &secret);
    let theirs = Identity { secret: lab.write("secret.asc", secret), public: lab.write("public.asc", public) };
    with_gosop(&lab, &theirs, Quantum::Open);
}

#[test]
fn protons_openpgpjs_reads_our_post_quantum_keys() {
    if present(PROTON) {
        let lab = Lab::new();
        with_proton(&lab, &made_by_us(&lab, &["--profile", "rfc9980"]));
        let lab = Lab::new();
        with_proton(&lab, &with_added_subkey(&lab));
    }
}

#[test]
fn we_read_post_quantum_keys_made_by_protons_openpgpjs() {
    if present(PROTON) {
        let lab = Lab::new();
        let alice = Identity { public: lab.path("public.asc"), secret: lab.path("secret.asc") };
        lab.protonjs(&["generate", &text(&alice.secret), &text(&alice.public), "pqc"]);
        with_proton(&lab, &alice);
    }
}

/// Whether what is encrypted to a key withstands quantum computers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantum {
    Open,
    Safe,
}

/// A key as `key generate` makes it without options, and `key renew --add-pq`.
fn with_added_subkey(lab: &Lab) -> Identity {
    lab.postseal(["key", "generate", "--no-passphrase", "--name", "Alice", ADDRESS]);
    lab.postseal(["key", "renew", "--add-pq", ADDRESS]);
    Identity {
        public: lab.write("public.asc", lab.postseal(["key", "export", ADDRESS])),
        secret: lab.write("secret.asc", lab.postseal(["key", "export", "--secret", ADDRESS])),
    }
}

fn with_gosop(lab: &Lab, alice: &Identity, quantum: Quantum) {
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let (our_part, signature, data) = sealed_by_us(lab, &secret);
    let said = lab.gosop(&["verify", &signature, &public], &fs::read(our_part).expect("signed"));
    assert!(!said.is_empty());
    let found = text(&lab.path("verifications"));
    let _ = fs::remove_file(&found);
    let with = format!("--verify-with={public}");
    let out = format!("--verifications-out={found}");
    let opened = lab.gosop(&["decrypt", &with, &out, &secret], &fs::read(data).expect("sealed"));
    assert_same_content(&opened, mime::MESSAGE.as_bytes());
    assert!(!fs::read(&found).expect("verifications").is_empty());

    let signed = lab.gosop(&["sign", &secret], mime::PART.as_bytes());
    let sealed = lab.gosop(&["encrypt", &format!("--sign-with={secret}"), &public], mime::PART.as_bytes());
    opened_by_us(lab, alice, &signed, &sealed, quantum);
}

fn with_proton(lab: &Lab, alice: &Identity) {
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let (our_part, signature, data) = sealed_by_us(lab, &secret);
    lab.protonjs(&["verify", &public, &our_part, &signature]);
    let opened = text(&lab.path("opened"));
    lab.protonjs(&["decrypt", &secret, &public, &data, &opened]);
    assert_same_content(&fs::read(&opened).expect("opened"), mime::MESSAGE.as_bytes());

    let part = text(&lab.write("theirs.part", mime::PART));
    let (signed, sealed) = (text(&lab.path("theirs.sig")), text(&lab.path("theirs.asc")));
    lab.protonjs(&["sign", &secret, &part, &signed]);
    lab.protonjs(&["encrypt", &secret, &public, &part, &sealed]);
    let read = |path: &str| fs::read(path).expect("written");
    opened_by_us(lab, alice, &read(&signed), &read(&sealed), Quantum::Safe);
}

/// The signed part, its signature and an encrypted message, in files.
fn sealed_by_us(lab: &Lab, secret: &str) -> (String, String, String) {
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let (signed, sealed) = (text(&lab.path("signed.eml")), text(&lab.path("sealed.eml")));
    for file in [&signed, &sealed] {
        let _ = fs::remove_file(file);
    }
    lab.postseal(["--keys", secret, "sign", "-o", &signed, &plain]);
    let (part, signature) = parts(lab, &signed);
    lab.postseal(["--keys", secret, "encrypt", "--sign", "--to", ADDRESS, "-o", &sealed, &plain]);
    let (_, data) = mime::two_parts(&fs::read(&sealed).expect("sealed"));
    (part, signature, text(&lab.write("data.asc", mime::body(&data))))
}

fn opened_by_us(lab: &Lab, alice: &Identity, signed: &[u8], sealed: &[u8], quantum: Quantum) {
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let message = lab.write("theirs.eml", mime::signed(signed, "pgp-sha512"));
    let verdict = judged(lab, &["--keys", &public], &message);
    assert_eq!(verdict["standing"], "authentic", "{verdict}");
    let message = lab.write("theirs-sealed.eml", mime::encrypted(sealed));
    let verdict = judged(lab, &["--keys", &secret], Path::new(&message));
    assert_eq!((&verdict["standing"], &verdict["confidential"]), (&"authentic".into(), &true.into()), "{verdict}");
    assert_eq!(verdict["layers"][0]["quantum_safe"], quantum == Quantum::Safe, "{verdict}");
    assert_same_content(&lab.postseal(["--keys", &secret, "decrypt", &text(&message)]), mime::PART.as_bytes());
}
