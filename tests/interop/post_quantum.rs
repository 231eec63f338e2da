//! ML-DSA, SLH-DSA, ML-KEM, Ed448 and X448 in S/MIME, both ways with OpenSSL 3.6, which `.ci/unpack-openssl` unpacks.

mod bouncy_castle;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

use crate::support::requirements::missing;

/// OpenSSL 3.6 as a command: `run` in the folder POSTSEAL_OPENSSL36, or in target/openssl-3.6.
fn program() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openssl-3.6");
    env::var_os("POSTSEAL_OPENSSL36").map_or_else(default, PathBuf::from).join("run")
}

const TEXT: &str = "The harvest of today is safe tomorrow.";
const PART: &str = "Content-Type: text/plain\r\n\r\nThe harvest of today is safe tomorrow.\r\n";

/// A folder with OpenSSL's authority and its people, and a home of postseal that knows them.
struct Lab {
    folder: TempDir,
}

/// Who signs, and the algorithm in OpenSSL's words.
const SIGNERS: [(&str, &str, &[&str]); 6] = [
    ("dsa44", "ML-DSA-44", &["-md", "sha512"]),
    ("dsa65", "ML-DSA-65", &["-md", "sha512"]),
    ("dsa87", "ML-DSA-87", &["-md", "sha512"]),
    ("slh128s", "SLH-DSA-SHA2-128s", &["-md", "sha256"]),
    ("slh128f", "SLH-DSA-SHAKE-128f", &["-md", "shake128"]),
    ("ed448", "ED448", &["-md", "shake256"]),
];

/// Who reads.
const READERS: [(&str, &str); 4] =
    [("kem512", "ML-KEM-512"), ("kem768", "ML-KEM-768"), ("kem1024", "ML-KEM-1024"), ("rsa", "RSA")];

static LAB: LazyLock<Option<Lab>> = LazyLock::new(|| {
    if !program().is_file() {
        missing(&format!("OpenSSL 3.6 at {} (POSTSEAL_OPENSSL36)", program().display()));
        return None;
    }
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    lab.openssl(&["genpkey", "-algorithm", "ML-DSA-65", "-out", "root.key"]);
    fs::write(lab.path("root.ext"), "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n")
        .unwrap();
    let subject = "/CN=Root after quantum computers";
    lab.openssl(&["pkey", "-in", "root.key", "-pubout", "-out", "root.pub"]);
    lab.openssl(&[
        "x509",
        "-new",
        "-force_pubkey",
        "root.pub",
        "-signkey",
        "root.key",
        "-subj",
        subject,
        "-days",
        "3650",
        "-extfile",
        "root.ext",
        "-out",
        "root.crt",
    ]);
    for (name, algorithm, usage) in SIGNERS
        .map(|(name, algorithm, _)| (name, algorithm, "digitalSignature"))
        .into_iter()
        .chain(READERS.map(|(name, algorithm)| (name, algorithm, "keyEncipherment")))
    {
        lab.issue(name, algorithm, usage);
    }
    lab.postseal(&["key", "import", "--anchor", "root.crt"]);
    Some(lab)
});

impl Lab {
    /// A key, and its certificate by the root.
    fn issue(&self, name: &str, algorithm: &str, usage: &str) {
        let (key, public, certificate) = (format!("{name}.key"), format!("{name}.pub"), format!("{name}.crt"));
        self.openssl(&["genpkey", "-algorithm", algorithm, "-out", &key]);
        self.openssl(&["pkey", "-in", &key, "-pubout", "-out", &public]);
        let extensions = format!(
            "basicConstraints=CA:false\nkeyUsage=critical,{usage}\nextendedKeyUsage=emailProtection\nsubjectAltName=email:{name}@example.org\n"
        );
        fs::write(self.path("ext"), extensions).unwrap();
        let subject = format!("/CN={name}");
        self.openssl(&[
            "x509",
            "-new",
            "-force_pubkey",
            &public,
            "-subj",
            &subject,
            "-CA",
            "root.crt",
            "-CAkey",
            "root.key",
            "-days",
            "365",
            "-extfile",
            "ext",
            "-out",
            &certificate,
        ]);
        let both = [fs::read(self.path(&certificate)).unwrap(), fs::read(self.path(&key)).unwrap()].concat();
        fs::write(self.path(&format!("{name}.pem")), both).unwrap();
        self.postseal(&["key", "import", &format!("{name}.pem")]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        run(Command::new(program()).current_dir(self.folder.path()).args(arguments), arguments)
    }

    /// postseal with the home of the lab.
    fn postseal(&self, arguments: &[&str]) -> String {
        self.postseal_at("home", arguments)
    }

    fn postseal_at(&self, home: &str, arguments: &[&str]) -> String {
        let mut program = Command::new(env!("CARGO_BIN_EXE_postseal"));
        run(program.current_dir(self.folder.path()).args(["--home", home]).args(arguments), arguments)
    }

    /// A message from `name`.
    fn message(&self, name: &str, to: &str) -> String {
        let file = format!("{name}-{}.eml", to.len());
        self.write(&file, &format!("From: {name}@example.org\r\nTo: {to}\r\nSubject: harvest\r\n{PART}"));
        file
    }
}

fn run(command: &mut Command, arguments: &[&str]) -> String {
    let output = command.output().unwrap();
    let said = [output.stderr, output.stdout.clone()].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn openssl_verifies_what_we_sign() {
    let Some(lab) = LAB.as_ref() else { return };
    for (name, ..) in SIGNERS {
        // OpenSSL has no id-shake256-len, which RFC 8419, section 3.1 demands of Ed448. A small SLH-DSA signature takes seconds in a debug build.
        if ["ed448", "slh128s"].contains(&name) {
            continue;
        }
        let (message, signed) = (lab.message(name, "bob@example.org"), format!("{name}.signed"));
        lab.postseal(&["sign", "-f", "smime", "-o", &signed, &message]);
        let read = lab.openssl(&["cms", "-verify", "-in", &signed, "-CAfile", "root.crt", "-purpose", "smimesign"]);
        assert!(read.contains(TEXT), "{name}: {read}");
        assert!(lab.postseal(&["verify", &signed]).contains(": authentic"), "{name}");
    }
}

#[test]
fn we_verify_what_openssl_signs() {
    let Some(lab) = LAB.as_ref() else { return };
    lab.write("signed.part", &PART.replace('\r', ""));
    for (name, algorithm, digest) in SIGNERS {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        for (form, more) in [("clear", &[][..]), ("opaque", &["-nodetach"])] {
            let mut arguments = vec!["cms", "-sign", "-in", "signed.part", "-signer", &certificate, "-inkey", &key];
            arguments.extend(digest.iter().chain(more));
            let from = format!("From: {name}@example.org\nTo: bob@example.org\nSubject: harvest\n");
            let file = format!("{name}-{form}.theirs");
            lab.write(&file, &format!("{from}{}", lab.openssl(&arguments)));
            let said = lab.postseal(&["verify", &file]);
            assert!(said.contains(": authentic") && said.contains(&algorithm.to_lowercase()), "{name} {form}: {said}");
        }
    }
}

#[test]
fn openssl_opens_what_we_encrypt_to_old_and_new_keys_together() {
    let Some(lab) = LAB.as_ref() else { return };
    let everybody = READERS.map(|(name, _)| format!("{name}@example.org")).join(", ");
    for (aead, kind) in [(&[][..], "enveloped-data"), (&["--aead"], "authEnveloped-data")] {
        let (message, sealed) = (lab.message("dsa65", &everybody), format!("{kind}.sealed"));
        let arguments = [&["encrypt", "-f", "smime", "--sign", "-o", &sealed], aead, &[message.as_str()]].concat();
        lab.postseal(&arguments);
        let text = fs::read_to_string(lab.path(&sealed)).unwrap();
        assert!(text.contains(&format!("smime-type={kind}")) && text.contains("\r\n\r\n"), "{kind}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(body.lines().all(|line| line.len() <= 76), "{kind}: lines of MIME");
        for (name, _) in READERS {
            let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
            let inner = lab.openssl(&["cms", "-decrypt", "-in", &sealed, "-inkey", &key, "-recip", &certificate]);
            let file = format!("{kind}.{name}");
            lab.write(&file, &inner);
            let read = lab.openssl(&["cms", "-verify", "-in", &file, "-CAfile", "root.crt", "-purpose", "smimesign"]);
            assert!(read.contains(TEXT), "{name}: {read}");
        }
        let said = lab.postseal(&["verify", &sealed]);
        assert!(said.contains(": authentic"), "{said}");
    }
}

/// To keys after quantum computers alone the cipher authenticates by itself.
#[test]
fn ml_kem_alone_is_sealed_with_gcm() {
    let Some(lab) = LAB.as_ref() else { return };
    let message = lab.message("dsa44", "kem768@example.org, kem1024@example.org");
    lab.postseal(&["encrypt", "-f", "smime", "--no-self", "-o", "alone.sealed", &message]);
    assert!(fs::read_to_string(lab.path("alone.sealed")).unwrap().contains("smime-type=authEnveloped-data"));
    assert!(lab.postseal(&["decrypt", "alone.sealed"]).contains(TEXT));
}

#[test]
fn we_open_what_openssl_encrypts() {
    let Some(lab) = LAB.as_ref() else { return };
    lab.write("part", PART);
    for (name, _) in READERS {
        let certificate = format!("{name}.crt");
        for (cipher, wrap) in [("-aes-256-gcm", &[][..]), ("-aes256", &["-keyopt", "ukm:00112233"])] {
            let mut arguments = vec!["cms", "-encrypt", cipher, "-in", "part", "-recip", &certificate];
            if name.starts_with("kem") && !wrap.is_empty() {
                arguments.extend(["-recip_kdf", "HKDF-SHA512", "-recip_ukm", "00112233445566778899"]);
            }
            let sealed = format!("{name}{cipher}.theirs");
            lab.write(&sealed, &lab.openssl(&arguments));
            assert!(lab.postseal(&["decrypt", &sealed]).contains(TEXT), "{name} {cipher}");
        }
    }
}

/// Two signatures on one message: a reader that knows the old algorithms alone has the old one.
#[test]
fn a_classical_and_a_new_signature_beside_each_other() {
    let Some(lab) = LAB.as_ref() else { return };
    lab.issue("both", "RSA", "digitalSignature");
    let shown = lab.postseal(&["key", "list", "dsa65@example.org"]);
    let new = shown.split_whitespace().next().unwrap();
    let message = lab.message("both", "bob@example.org");
    lab.postseal(&["sign", "-f", "smime", "--also-sign", new, "-o", "both.signed", &message]);
    let text = fs::read_to_string(lab.path("both.signed")).unwrap();
    assert!(text.contains("micalg=\"sha-256,sha-512\""), "{text}");
    let read = lab.openssl(&["cms", "-verify", "-in", "both.signed", "-CAfile", "root.crt", "-purpose", "smimesign"]);
    assert!(read.contains(TEXT));
    let said = lab.postseal(&["verify", "both.signed"]);
    assert!(
        said.contains("rsa2048-sha256") && said.contains("ml-dsa-65") && said.matches("─ valid").count() == 2,
        "{said}"
    );
}

/// Our authority, its certificates, requests and PKCS#12 to OpenSSL, and OpenSSL's to us.
#[test]
fn certificates_requests_and_files_go_both_ways() {
    let Some(lab) = LAB.as_ref() else { return };
    let own = |arguments: &[&str]| lab.postseal_at("own", arguments);
    own(&["cert", "init-ca", "--no-passphrase", "--algorithm", "ml-dsa-65", "Quantum CA"]);
    let list = own(&["key", "list", "-f", "smime"]);
    let authority = list.split_whitespace().next().unwrap().to_owned();
    own(&["key", "export", "-o", "own-ca.pem", &authority]);
    own(&["key", "import", "--anchor", "own-ca.pem"]);
    fs::write(lab.path("pass"), "secret").unwrap();
    for algorithm in ["ml-dsa-87", "ml-kem-768", "slh-dsa-sha2-128f", "ed448", "x448"] {
        let (address, p12) = (format!("{algorithm}@example.org"), format!("{algorithm}.p12"));
        own(&["key", "generate", "-f", "smime", "--ca", "--no-passphrase", "--algorithm", algorithm, &address]);
        own(&["--passphrase-file", "pass", "key", "export", "-f", "smime", "--secret", "-o", &p12, &address]);
        let (leaf, key) = (format!("{algorithm}.own.crt"), format!("{algorithm}.own.key"));
        lab.openssl(&["pkcs12", "-in", &p12, "-passin", "pass:secret", "-nokeys", "-clcerts", "-out", &leaf]);
        lab.openssl(&["pkcs12", "-in", &p12, "-passin", "pass:secret", "-nocerts", "-noenc", "-out", &key]);
        lab.openssl(&["verify", "-CAfile", "own-ca.pem", &leaf]);
        let (public, named) =
            (lab.openssl(&["pkey", "-in", &key, "-pubout"]), lab.openssl(&["x509", "-in", &leaf, "-noout", "-pubkey"]));
        assert_eq!(public, named, "{algorithm}");
        // The same key as OpenSSL writes it.
        let theirs = format!("{algorithm}.theirs.p12");
        lab.openssl(&["pkcs12", "-export", "-in", &leaf, "-inkey", &key, "-passout", "pass:secret", "-out", &theirs]);
        let home = format!("home-{algorithm}");
        lab.postseal_at(&home, &["--passphrase-file", "pass", "key", "import", &theirs]);
        assert!(lab.postseal_at(&home, &["key", "list"]).contains("secret"), "{algorithm}");
    }
    let request = own(&["key", "request", "-f", "smime", "ml-dsa-87@example.org"]);
    lab.write("own.csr", &request);
    lab.openssl(&["req", "-in", "own.csr", "-verify", "-noout"]);
    lab.openssl(&[
        "req",
        "-new",
        "-key",
        "slh128s.key",
        "-subj",
        "/CN=x",
        "-addext",
        "subjectAltName=email:new@example.org",
        "-out",
        "their.csr",
    ]);
    let issued = own(&["cert", "issue", "their.csr"]);
    lab.write("issued.crt", &issued);
    lab.openssl(&["verify", "-CAfile", "own-ca.pem", "issued.crt"]);
}

/// RFC 8418 and RFC 8419 by ourselves; OpenSSL has neither X448 agreement nor id-shake256-len.
#[test]
fn x448_and_ed448_with_ourselves() {
    let Some(lab) = LAB.as_ref() else { return };
    let own = |arguments: &[&str]| lab.postseal_at("curves", arguments);
    own(&["cert", "init-ca", "--no-passphrase", "--algorithm", "ml-dsa-65", "Curves"]);
    for (algorithm, address) in
        [("ed448", "alice@example.org"), ("x448", "bob@example.org"), ("x25519", "carol@example.org")]
    {
        own(&["key", "generate", "-f", "smime", "--ca", "--no-passphrase", "--algorithm", algorithm, address]);
    }
    let message = lab.message("alice", "bob@example.org, carol@example.org");
    own(&["encrypt", "-f", "smime", "--sign", "-o", "curves.sealed", &message]);
    let said = own(&["verify", "curves.sealed"]);
    assert!(said.contains(": authentic") && said.contains("ed448"), "{said}");
}
