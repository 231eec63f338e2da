//! Ours to theirs and theirs to ours: GnuPG, Sequoia's sq and sqv, and OpenPGP.js. Debian 12's gpg and sq know versions 3 and 4 alone; OpenPGP.js
//! knows version 6.

mod mime;
mod post_quantum;

use std::{fs, path::Path};

use crate::support::{
    openpgp_programs::{Identity, Lab},
    requirements::present,
};
use postseal::{
    base::{Budget, Limits},
    mail::{Message, Part},
};

const GPG: &[&str] = &["gpg", "gpgconf", "gpg-agent"];
const SEQUOIA: &[&str] = &["sq", "sqv"];
const OPENPGPJS: &[&str] = &["node", "openpgp.js"];

// ------------------------------------------------------------------------------------------------------------- GnuPG

#[test]
fn gpg_made_rsa3072() {
    if present(GPG) {
        let lab = Lab::new();
        with_gpg(&lab, &made_by_gpg(&lab, "rsa3072", "rsa3072"));
    }
}

#[test]
fn gpg_made_curve25519() {
    if present(GPG) {
        let lab = Lab::new();
        with_gpg(&lab, &made_by_gpg(&lab, "ed25519", "cv25519"));
    }
}

/// Sequoia's backend does not know these curves; `crypto` does.
#[test]
fn gpg_made_brainpool() {
    if present(GPG) {
        for curve in ["brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"] {
            let lab = Lab::new();
            let alice = made_by_gpg(&lab, curve, curve);
            with_gpg(&lab, &alice);
            brainpool_in_a_home(&lab, &alice);
        }
    }
}

/// Bindings by a signing subkey and its back signature; one reader on such a curve beside one on another; what `key export` writes.
fn brainpool_in_a_home(lab: &Lab, alice: &Identity) {
    let fingerprint = fingerprint_in_gpg(lab);
    lab.gpg(["--quick-add-key", &fingerprint, "brainpoolP256r1/ecdsa", "sign"]);
    fs::write(&alice.secret, lab.gpg(["--armor", "--export-secret-keys", ADDRESS])).expect("written");
    let secret = text(&alice.secret);

    // The newest signing subkey signs, here and there.
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let signed = text(&lab.path("signed.eml"));
    lab.postseal(["--keys", &secret, "sign", "-o", &signed, &plain]);
    gpg_verifies(lab, &signed);
    let verdict = judged(lab, &["--keys", &secret], Path::new(&signed));
    assert_eq!(verdict["standing"], "authentic", "{verdict}");
    assert_eq!(verdict["layers"][0]["signatures"][0]["algorithms"], "brainpoolp256-sha256", "{verdict}");

    lab.postseal(["key", "import", &secret]);
    let exported = lab.write("exported.asc", lab.postseal(["key", "export", ADDRESS]));
    let verdict = judged(lab, &["--keys", &text(&exported)], Path::new(&signed));
    assert_eq!(verdict["standing"], "authentic", "{verdict}");

    // With a recipient whose key Sequoia supports, and one with a password.
    lab.postseal(["key", "generate", "--no-passphrase", "bob@example.org"]);
    let bob = lab.write("bob.asc", lab.postseal(["key", "export", "--secret", "bob@example.org"]));
    let words = text(&lab.write("words", "correct horse\n"));
    let sealed = text(&lab.path("both.eml"));
    let readers = ["encrypt", "--to", ADDRESS, "--to", "bob@example.org", "--password", "-o", &sealed, &plain];
    lab.postseal(["--passphrase-file", &words].into_iter().chain(readers));
    let status = gpg_decrypts(lab, &sealed);
    assert!(status.contains("[GNUPG:] DECRYPTION_OKAY"), "{status}");
    let opens = |option: &str, file: &str| {
        let opened = Lab::new().postseal([option, file, "decrypt", &sealed]);
        assert_same_content(&opened, mime::MESSAGE.as_bytes());
    };
    opens("--keys", &text(&bob));
    opens("--keys", &secret);
    opens("--passphrase-file", &words);
}

#[test]
fn gpg_reads_our_rsa3072() {
    if present(GPG) {
        let lab = Lab::new();
        with_gpg(&lab, &made_by_us(&lab, &["--algorithm", "rsa3072"]));
    }
}

#[test]
fn gpg_reads_our_curve25519() {
    if present(GPG) {
        let lab = Lab::new();
        with_gpg(&lab, &made_by_us(&lab, &["--algorithm", "curve25519"]));
    }
}

#[test]
fn gpg_and_we_read_each_others_locked_keys() {
    if !present(GPG) {
        return;
    }
    let lab = Lab::new();
    let passphrase = lab.write("passphrase", "correct horse\n");
    let (passphrase, locked) = (text(&passphrase), text(&lab.path("locked.asc")));
    lab.gpg(["--passphrase=correct horse", "--quick-generate-key", USER_ID, "rsa3072", "cert,sign", "never"]);
    let exported = lab.gpg(["--passphrase=correct horse", "--armor", "--export-secret-keys", ADDRESS]);
    fs::write(&locked, exported).expect("written");
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let signed = text(&lab.path("signed.eml"));
    lab.postseal(["--keys", &locked, "--passphrase-file", &passphrase, "sign", "-o", &signed, &plain]);
    gpg_verifies(&lab, &signed);

    // And the other way: a key that we lock, signed with in gpg.
    let theirs = Lab::new();
    lab.postseal(["--passphrase-file", &passphrase, "key", "generate", "--name", "Alice", ADDRESS]);
    let secret = lab.postseal(["--passphrase-file", &passphrase, "key", "export", "--secret", ADDRESS]);
    let secret = theirs.write("secret.asc", secret);
    theirs.gpg([text(&"--passphrase=correct horse"), "--import".into(), text(&secret)]);
    let part = theirs.write("part", mime::PART);
    theirs.gpg([
        "--passphrase=correct horse",
        "--armor",
        "--detach-sign",
        "--output",
        &text(&theirs.path("part.asc")),
        &text(&part),
    ]);
    let message = mime::signed(&fs::read(theirs.path("part.asc")).expect("signed"), "pgp-sha512");
    let message = lab.write("theirs.eml", message);
    assert_eq!(judged(&lab, &[], &message)["standing"], "authentic");
}

/// What both sides owe each other, with one key.
fn with_gpg(lab: &Lab, alice: &Identity) {
    lab.gpg(["--import".as_ref(), alice.secret.as_os_str()]);
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let (signed, sealed) = (text(&lab.path("signed.eml")), text(&lab.path("sealed.eml")));

    // Ours, signed: gpg verifies the two parts.
    lab.postseal(["--keys", &secret, "sign", "-o", &signed, &plain]);
    gpg_verifies(lab, &signed);
    assert_same_content(&fs::read(&signed).expect("signed"), mime::MESSAGE.as_bytes());

    // Ours, signed and encrypted: gpg opens it, and finds the signature good.
    for (to, shape) in [("--to", None), ("--to", Some("--nested")), ("--hidden-to", None)] {
        let arguments = ["--keys", &secret, "encrypt", "--sign", to, ADDRESS, "-o", &sealed];
        lab.postseal(arguments.into_iter().chain(shape).chain([plain.as_str()]));
        let status = gpg_decrypts(lab, &sealed);
        assert!(status.contains("[GNUPG:] DECRYPTION_OKAY"), "{status}");
        let payload = fs::read(lab.path("opened")).expect("gpg wrote it");
        if shape.is_some() {
            let inner = lab.write("inner.eml", &payload);
            gpg_verifies(lab, &text(&inner));
        } else {
            assert!(status.contains("[GNUPG:] GOODSIG"), "{status}");
            assert_same_content(&payload, mime::MESSAGE.as_bytes());
        }
    }

    // Theirs, signed.
    let part = text(&lab.write("part", mime::PART));
    let signature =
        lab.gpg(["--armor", "--digest-algo=SHA512", "--local-user", ADDRESS, "--output=-", "--detach-sign", &part]);
    let message = lab.write("theirs.eml", mime::signed(&signature, "pgp-sha512"));
    let verdict = judged(lab, &["--keys", &public], &message);
    assert_eq!((&verdict["standing"], &verdict["author"]), (&"authentic".into(), &ADDRESS.into()), "{verdict}");

    // Theirs, signed with a changed octet.
    let changed = mime::signed(&signature, "pgp-sha512").replace("on it is", "on it was");
    let changed = lab.write("changed.eml", changed);
    let verdict = judged(lab, &["--keys", &public], &changed);
    assert_eq!((&verdict["standing"], signature_of(&verdict)), (&"unsigned".into(), "invalid"), "{verdict}");

    // Theirs, signed and encrypted.
    let armored = lab.gpg(["--armor", "--sign", "--encrypt", "--recipient", ADDRESS, "--output=-", &part]);
    let message = lab.write("theirs-sealed.eml", mime::encrypted(&armored));
    let verdict = judged(lab, &["--keys", &secret], &message);
    assert_eq!((&verdict["standing"], &verdict["confidential"]), (&"authentic".into(), &true.into()), "{verdict}");
    let opened = lab.postseal(["--keys", &secret, "decrypt", &text(&message)]);
    assert_same_content(&opened, mime::PART.as_bytes());

    // Theirs, as files without a mail around them: they have no author.
    let words = text(&lab.write("words.txt", "From: eve@example.org\n\nThe bearer may pass.\n"));
    let clear = lab.write("clear.asc", lab.gpg(["--local-user", ADDRESS, "--output=-", "--clearsign", &words]));
    let verdict = judged(lab, &["--keys", &public], &clear);
    let found = (&verdict["standing"], signature_of(&verdict), &verdict["author"]);
    assert_eq!(found, (&"signed".into(), "valid", &serde_json::Value::Null), "{verdict}");
    let armored = lab.gpg(["--armor", "--encrypt", "--recipient", ADDRESS, "--output=-", &words]);
    let message = lab.write("words.asc", armored);
    let opened = lab.postseal(["--keys", &secret, "decrypt", &text(&message)]);
    assert!(
        opened.ends_with(b"\n\nFrom: eve@example.org\n\nThe bearer may pass.\n"),
        "{}",
        String::from_utf8_lossy(&opened)
    );
}

#[test]
fn gpg_reads_our_legacy_digests() {
    if !present(GPG) {
        return;
    }
    let lab = Lab::new();
    let alice = made_by_gpg(&lab, "rsa3072", "rsa3072");
    let (secret, plain) = (text(&alice.secret), text(&lab.write("plain.eml", mime::MESSAGE)));
    let signed = text(&lab.path("signed.eml"));
    for digest in ["sha1", "md5", "ripemd160"] {
        let arguments = ["--keys", &secret, "--legacy", "sign", "--digest", digest, "-o", &signed, &plain];
        lab.postseal(arguments);
        let (part, signature) = parts(&lab, &signed);
        let status = lab.gpg(["--allow-weak-digest-algos", "--status-fd=1", "--verify", &signature, &part]);
        let status = String::from_utf8_lossy(&status).into_owned();
        assert!(status.contains("[GNUPG:] VALIDSIG"), "{digest}: {status}");
        assert!(fs::read_to_string(&signed).expect("signed").contains(&format!("micalg=pgp-{digest}")), "{digest}");
        // Legacy admits it for one run; without, it counts for nothing (RFC 9580, section 9.5).
        assert_eq!(judged(&lab, &["--keys", &secret, "--legacy"], Path::new(&signed))["standing"], "authentic");
        assert_eq!(judged(&lab, &["--keys", &secret], Path::new(&signed))["standing"], "unsigned", "{digest}");
    }
}

#[test]
fn gpg_and_we_read_each_others_legacy_ciphers() {
    if !present(GPG) {
        return;
    }
    let lab = Lab::new();
    let alice = made_by_gpg(&lab, "rsa3072", "rsa3072");
    let (secret, plain) = (text(&alice.secret), text(&lab.write("plain.eml", mime::MESSAGE)));
    let sealed = text(&lab.path("sealed.eml"));
    let part = text(&lab.write("part", mime::PART));
    for cipher in ["3des", "cast5", "idea"] {
        lab.postseal([
            "--keys", &secret, "--legacy", "encrypt", "--to", ADDRESS, "--cipher", cipher, "-o", &sealed, &plain,
        ]);
        let status = gpg_decrypts(&lab, &sealed);
        assert!(status.contains("[GNUPG:] DECRYPTION_OKAY"), "{cipher}: {status}");
        assert_same_content(&fs::read(lab.path("opened")).expect("gpg wrote it"), mime::MESSAGE.as_bytes());

        let armored =
            lab.gpg(["--armor", "--cipher-algo", cipher, "--encrypt", "--recipient", ADDRESS, "--output=-", &part]);
        let theirs = text(&lab.write("theirs.eml", mime::encrypted(&armored)));
        assert_same_content(&lab.postseal(["--keys", &secret, "decrypt", &theirs]), mime::PART.as_bytes());
    }
}

#[test]
fn gpg_shares_a_password_with_us() {
    if !present(GPG) {
        return;
    }
    let lab = Lab::new();
    let passwords = text(&lab.write("passwords", "correct horse\n"));
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let sealed = text(&lab.path("sealed.eml"));
    lab.postseal(["--passphrase-file", &passwords, "encrypt", "--password", "-o", &sealed, &plain]);
    let (_, data) = mime::two_parts(&fs::read(&sealed).expect("sealed"));
    let data = text(&lab.write("data.asc", mime::body(&data)));
    let opened = lab.gpg(["--passphrase=correct horse", "--output=-", "--decrypt", &data]);
    assert_same_content(&opened, mime::MESSAGE.as_bytes());

    let part = text(&lab.write("part", mime::PART));
    let armored = lab.gpg(["--passphrase=correct horse", "--armor", "--symmetric", "--output=-", &part]);
    let theirs = text(&lab.write("theirs.eml", mime::encrypted(&armored)));
    assert_same_content(&lab.postseal(["--passphrase-file", &passwords, "decrypt", &theirs]), mime::PART.as_bytes());
}

/// Takes the two parts apart and has gpg judge them.
fn gpg_verifies(lab: &Lab, signed: &str) {
    let (part, signature) = parts(lab, signed);
    let status = String::from_utf8_lossy(&lab.gpg(["--status-fd=1", "--verify", &signature, &part])).into_owned();
    assert!(status.contains("[GNUPG:] GOODSIG") && status.contains("[GNUPG:] VALIDSIG"), "{status}");
}

/// Has gpg decrypt into `opened`; gives its status lines.
fn gpg_decrypts(lab: &Lab, sealed: &str) -> String {
    let (version, data) = mime::two_parts(&fs::read(sealed).expect("sealed"));
    assert_eq!(mime::body(&version).trim_end(), "Version: 1");
    let data = text(&lab.write("data.asc", mime::body(&data)));
    let opened = text(&lab.path("opened"));
    String::from_utf8_lossy(&lab.gpg(["--status-fd=1", "--output", &opened, "--decrypt", &data])).into_owned()
}

// ----------------------------------------------------------------------------------------------------------- Sequoia

#[test]
fn sq_and_sqv_agree_about_our_keys() {
    if present(SEQUOIA) {
        for algorithm in ["rsa3072", "curve25519"] {
            let lab = Lab::new();
            with_sequoia(&lab, &made_by_us(&lab, &["--algorithm", algorithm]));
        }
    }
}

#[test]
fn we_agree_about_keys_made_by_sq() {
    if present(SEQUOIA) {
        for suite in ["rsa3k", "cv25519"] {
            let lab = Lab::new();
            let (public, secret) = (lab.path("public.asc"), lab.path("secret.asc"));
            lab.run(
                "sq",
                ["key", "generate", "--userid", USER_ID, "--cipher-suite", suite, "--export", &text(&secret)],
            );
            fs::write(&public, lab.run("sq", ["key", "extract-cert", &text(&secret)])).expect("written");
            with_sequoia(&lab, &Identity { public, secret });
        }
    }
}

fn with_sequoia(lab: &Lab, alice: &Identity) {
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let (signed, sealed) = (text(&lab.path("signed.eml")), text(&lab.path("sealed.eml")));

    lab.postseal(["--keys", &secret, "sign", "-o", &signed, &plain]);
    let (part, signature) = parts(lab, &signed);
    lab.run("sqv", ["--keyring", &public, &signature, &part]);
    lab.run("sq", ["verify", "--signer-cert", &public, "--detached", &signature, &part]);

    lab.postseal(["--keys", &secret, "encrypt", "--sign", "--to", ADDRESS, "-o", &sealed, &plain]);
    let (_, data) = mime::two_parts(&fs::read(&sealed).expect("sealed"));
    let data = text(&lab.write("data.asc", mime::body(&data)));
    let opened =
        lab.run("sq", ["decrypt", "--signer-cert", &public, "--signatures=1", "--recipient-key", &secret, &data]);
    assert_same_content(&opened, mime::MESSAGE.as_bytes());

    let part = text(&lab.write("part", mime::PART));
    let signature = lab.run("sq", ["sign", "--detached", "--signer-key", &secret, &part]);
    let message = lab.write("theirs.eml", mime::signed(&signature, "pgp-sha512"));
    assert_eq!(judged(lab, &["--keys", &public], &message)["standing"], "authentic");

    let armored = lab.run("sq", ["encrypt", "--signer-key", &secret, "--recipient-cert", &public, &part]);
    let message = lab.write("theirs-sealed.eml", mime::encrypted(&armored));
    let verdict = judged(lab, &["--keys", &secret], &message);
    assert_eq!((&verdict["standing"], &verdict["confidential"]), (&"authentic".into(), &true.into()), "{verdict}");
    assert_same_content(&lab.postseal(["--keys", &secret, "decrypt", &text(&message)]), mime::PART.as_bytes());
}

// ------------------------------------------------------------------------------------------------- OpenPGP.js, version 6

#[test]
fn openpgpjs_reads_our_version_6() {
    if present(OPENPGPJS) {
        let lab = Lab::new();
        with_openpgpjs(&lab, &made_by_us(&lab, &["--algorithm", "curve25519", "--profile", "rfc9580"]));
    }
}

#[test]
fn we_read_version_6_made_by_openpgpjs() {
    if present(OPENPGPJS) {
        let lab = Lab::new();
        let alice = Identity { public: lab.path("public.asc"), secret: lab.path("secret.asc") };
        lab.openpgpjs(["generate".as_ref(), alice.secret.as_os_str(), alice.public.as_os_str()]);
        with_openpgpjs(&lab, &alice);
    }
}

fn with_openpgpjs(lab: &Lab, alice: &Identity) {
    let (public, secret) = (text(&alice.public), text(&alice.secret));
    let plain = text(&lab.write("plain.eml", mime::MESSAGE));
    let (signed, sealed) = (text(&lab.path("signed.eml")), text(&lab.path("sealed.eml")));
    let part = text(&lab.write("theirs.part", mime::PART));
    let theirs = text(&lab.path("theirs.asc"));

    lab.postseal(["--keys", &secret, "sign", "-o", &signed, &plain]);
    let (our_part, signature) = parts(lab, &signed);
    lab.openpgpjs(["verify", &public, &our_part, &signature]);

    lab.postseal(["--keys", &secret, "encrypt", "--sign", "--to", ADDRESS, "-o", &sealed, &plain]);
    let (_, data) = mime::two_parts(&fs::read(&sealed).expect("sealed"));
    let data = text(&lab.write("data.asc", mime::body(&data)));
    let opened = text(&lab.path("opened"));
    lab.openpgpjs(["decrypt", &secret, &public, &data, &opened]);
    assert_same_content(&fs::read(&opened).expect("opened"), mime::MESSAGE.as_bytes());

    lab.openpgpjs(["sign", &secret, &part, &theirs]);
    let message = lab.write("theirs.eml", mime::signed(&fs::read(&theirs).expect("signed"), "pgp-sha512"));
    assert_eq!(judged(lab, &["--keys", &public], &message)["standing"], "authentic");

    lab.openpgpjs(["encrypt", &secret, &public, &part, &theirs]);
    let message = lab.write("theirs-sealed.eml", mime::encrypted(&fs::read(&theirs).expect("sealed")));
    let verdict = judged(lab, &["--keys", &secret], &message);
    assert_eq!(verdict["standing"], "authentic", "{verdict}");
    let cipher = verdict["layers"][0]["cipher"].as_str().expect("an encrypted layer").to_owned();
    assert!(["ocb", "gcm", "eax"].iter().any(|mode| cipher.contains(mode)), "AEAD, but {cipher}");
    assert_same_content(&lab.postseal(["--keys", &secret, "decrypt", &text(&message)]), mime::PART.as_bytes());
}

// -------------------------------------------------------------------------------------------------------------- both

fn made_by_gpg(lab: &Lab, signing: &str, encryption: &str) -> Identity {
    lab.gpg(["--quick-generate-key", USER_ID, signing, "cert,sign", "never"]);
    let fingerprint = fingerprint_in_gpg(lab);
    lab.gpg(["--quick-add-key", &fingerprint, encryption, "encr", "never"]);
    Identity {
        public: lab.write("public.asc", lab.gpg(["--armor", "--export", ADDRESS])),
        secret: lab.write("secret.asc", lab.gpg(["--armor", "--export-secret-keys", ADDRESS])),
    }
}

fn fingerprint_in_gpg(lab: &Lab) -> String {
    let listed = String::from_utf8(lab.gpg(["--with-colons", "--list-keys", ADDRESS])).expect("colons");
    let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
    line.split(':').nth(9).expect("ten fields").to_owned()
}

fn made_by_us(lab: &Lab, options: &[&str]) -> Identity {
    lab.postseal(["key", "generate", "--no-passphrase", "--name", "Alice"].iter().chain(options).chain([&ADDRESS]));
    Identity {
        public: lab.write("public.asc", lab.postseal(["key", "export", ADDRESS])),
        secret: lab.write("secret.asc", lab.postseal(["key", "export", "--secret", ADDRESS])),
    }
}

/// What `verify --json` says, whatever it exits with.
fn judged(lab: &Lab, options: &[&str], message: &Path) -> serde_json::Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(lab.path("h")).args(options).args(["verify", "--json"]).arg(message);
    let output = command.output().expect("postseal starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn signature_of(verdict: &serde_json::Value) -> &str {
    verdict["layers"][0]["signatures"][0]["state"].as_str().unwrap_or("none")
}

/// The signed part and the signature of a message, in files.
fn parts(lab: &Lab, signed: &str) -> (String, String) {
    let (part, signature) = mime::two_parts(&fs::read(signed).expect("signed"));
    assert!(part.is_ascii(), "what is signed is 7-bit (RFC 3156, section 3)");
    (text(&lab.write("signed.part", &part)), text(&lab.write("signature.asc", mime::body(&signature))))
}

/// The leaves of both messages hold the same octets, whatever the transfer encodings.
fn assert_same_content(one: &[u8], other: &[u8]) {
    let leaves = |octets: &[u8]| {
        let message = Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).expect("parses");
        let mut found = Vec::new();
        collect(message.root(), &mut found);
        found
    };
    assert_eq!(leaves(one), leaves(other));
}

fn collect(part: Part<'_>, found: &mut Vec<(String, String)>) {
    if part.content_type().is("application", "pgp-signature") {
        return;
    }
    let kind = part.content_type();
    if part.children().len() == 0 {
        let content = String::from_utf8_lossy(&part.decoded()).trim_end_matches(['\r', '\n']).to_owned();
        found.push((format!("{}/{}", kind.kind, kind.subtype), content));
    }
    part.children().for_each(|child| collect(child, found));
}

fn text(path: &(impl AsRef<Path> + ?Sized)) -> String {
    path.as_ref().to_str().expect("a UTF-8 path").to_owned()
}

const ADDRESS: &str = "alice@example.org";
const USER_ID: &str = "Alice <alice@example.org>";
