//! S/MIME keys: other people's files read, ours read by openssl and gpgsm, and the home that keeps them.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Clock, Error, FixedClock, Kind, Limits, Secret, SystemClock, SystemRandom},
    crypto::{Hash, KeyAlgorithm, Legacy, Scheme},
    keys::{Binding, Handle, Keys, Memory, Passphrases, ProtocolName, Query, Record, Want},
    mail::Address,
    protocol::{
        Described,
        smime::{
            export::{self, Held, Integrity},
            generate::{Algorithm, Request, generate},
        },
    },
    store::{self, Change, Keystore, Origin},
};
use tempfile::TempDir;

use crate::support::requirements::{corpus, present};

/// PKCS#12 files of other people, with the passphrase, the private keys and the certificates in each.
const OTHERS: &[(&str, &str, usize, usize)] = &[
    ("autocrypt-protected-headers/bob.p12", "bob", 1, 2),
    ("gmime/tests/data/smime/smime.p12", "no.secret", 1, 1),
    ("gnupg/tests/cms/samplekeys/credential_private_encrypted_3DES.p12", "qeFGds84/Sf0eKkJwcp6", 1, 2),
    ("gnupg/tests/cms/samplekeys/credential_private_encrypted_AES256.p12", "qeFGds84/Sf0eKkJwcp6", 1, 2),
    ("gnupg/tests/cms/samplekeys/nistp256-openssl-self-signed.p12", "abc", 1, 1),
    ("gnupg/tests/cms/samplekeys/opensc-test.p12", "password", 1, 2),
    ("gnupg/tests/cms/samplekeys/ov-server.p12", "start", 1, 1),
    ("gnupg/tests/cms/samplekeys/ov-user.p12", "start", 1, 1),
    ("gnupg/tests/cms/samplekeys/t5793-openssl.pfx", "test", 1, 1),
    ("gnupg/tests/cms/samplekeys/t6752-ov-user-ff.p12", "start", 1, 1),
    ("gnupg/tests/extrasamples/dod-test9.p12", "password", 1, 3),
    ("mimekit/UnitTests/TestData/smime/certificate-authority.pfx", "no.secret", 1, 1),
    ("mimekit/UnitTests/TestData/smime/dnsnames/smime.pfx", "no.secret", 1, 4),
    // Its curve is written out instead of named (RFC 5480, section 2.1.1 forbids that).
    ("mimekit/UnitTests/TestData/smime/ec/smime.pfx", "no.secret", 0, 4),
    ("mimekit/UnitTests/TestData/smime/intermediate1.pfx", "no.secret", 1, 2),
    ("mimekit/UnitTests/TestData/smime/nochain/smime.pfx", "no.secret", 1, 1),
    ("mimekit/UnitTests/TestData/smime/rsa/smime.pfx", "no.secret", 1, 4),
    ("notmuch/test/smime/0xE0972A47.p12", "", 1, 1),
    ("notmuch/test/smime/bob.p12", "bob", 1, 1),
    ("rfc9216/4.5-pkcs-12-object-for-alice.p12", "alice", 2, 3),
    ("rfc9216/5.5-pkcs-12-object-for-bob.p12.pem", "bob", 2, 3),
    ("rfc9216/7.5-pkcs-12-object-for-carlos.p12", "carlos", 2, 3),
    ("rfc9216/8.5-pkcs-12-object-for-dana.p12", "dana", 2, 3),
    ("thunderbird/mail/test/browser/smime/data/Alice.p12", "nss", 1, 2),
    ("thunderbird/mailnews/test/data/smime/Alice-ec.p12", "nss", 1, 2),
    ("thunderbird/mailnews/test/data/smime/Eve.p12", "nss", 1, 2),
    ("thunderbird/mailnews/test/data/smime-interop/Fran-ec.p12", "nss", 1, 1),
];

#[test]
fn pkcs12_of_others_opens() {
    let Some(corpora) = corpus("") else { return };
    for (file, passphrase, keys, certificates) in OTHERS {
        let octets = fs::read(corpora.join(file)).unwrap();
        let loaded = load(&[(file, &octets)], &["wrong", passphrase]).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = all(&loaded);
        assert_eq!(found.len(), *certificates, "{file}");
        let with_key: Vec<_> = found.iter().filter(|record| !record.secrets().is_empty()).collect();
        assert_eq!(with_key.len(), *keys, "{file}");
        for record in with_key {
            loaded.secret(record, record.fingerprint()).unwrap().unwrap();
        }
    }
}

/// RFC 9216 gives certificates and private keys as separate files too.
#[test]
fn private_keys_find_their_certificates_across_files() {
    let Some(corpora) = corpus("") else { return };
    let read = |name: &str| fs::read(corpora.join("rfc9216").join(name)).unwrap();
    let certificate = read("8.3-dana-s-encryption-end-entity-certificate.crt.pem");
    let other = read("8.1-dana-s-signature-verification-end-entity-certificate.crt.pem");
    let key = read("8.4-dana-s-decryption-private-key-material.key.pem");
    let loaded = load(&[("key", &key), ("other", &other), ("certificate", &certificate)], &[]).unwrap();
    let held: Vec<usize> = all(&loaded).iter().map(|record| record.secrets().len()).collect();
    assert_eq!(held, [0, 1]);
    assert_eq!(all(&loaded)[1].bindings(), [], "a certificate that was handed over is believed by its issuer alone");
    let error = load(&[("key", &key), ("other", &other)], &[]).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NoKey, "key: private key 1: no certificate for it"));
}

#[test]
fn damaged_pkcs12_is_one_clear_error() {
    let described = made(Algorithm::P256, "a@example.org", None);
    let good = pkcs12(&described, "secret", Legacy::Admit);
    let octets = good.expose();
    load(&[("good", octets)], &["secret"]).unwrap();
    for length in (0..octets.len()).step_by(7) {
        let error = load(&[("cut", &octets[..length])], &["secret"]).unwrap_err();
        assert!(error.to_string().starts_with("cut: "), "{error}");
    }
    let mut refused = 0;
    for at in (0..octets.len()).step_by(3) {
        let mut flipped = octets.to_vec();
        flipped[at] ^= 1 << (at % 8);
        match load(&[("flipped", &flipped)], &["secret"]) {
            Err(error) => {
                assert!(error.to_string().starts_with("flipped: "), "{error}");
                refused += 1;
            }
            // Passed over: a wrong passphrase looks the same.
            Ok(loaded) if all(&loaded).is_empty() => refused += 1,
            // Nothing depends on some parameters that are absent or NULL.
            Ok(loaded) => assert!(all(&loaded).iter().all(|record| *record.bytes() == *described.record.bytes())),
        }
    }
    assert!(refused > octets.len() / 3 - 16, "{refused} of {}", octets.len() / 3);
}

#[test]
fn more_iterations_than_allowed_are_refused() {
    let described = made(Algorithm::P256, "a@example.org", None);
    let octets = pkcs12(&described, "secret", Legacy::Refuse);
    let tight = Limits { kdf_iterations: 99_999, ..Limits::default() };
    let passphrases = Arc::new(Passphrases::new(vec!["secret".into()]));
    let error = store::load(&[("p12", octets.expose())], &passphrases, &tight).unwrap_err();
    assert_eq!(error.to_string(), "p12: password: its key derivations cost more than 99999 iterations");
    assert_eq!(error.kind(), Kind::Malformed);
}

#[test]
fn openssl_s_files_are_read() {
    let Some(lab) = Lab::new() else { return };
    lab.certificate();
    let legacy = ["-provider", "legacy", "-provider", "default"];
    let forms: &[&[&str]] = &[
        &[],
        &["-legacy"],
        &["-nomac"],
        &["-certpbe", "NONE", "-keypbe", "NONE"],
        &["-certpbe", "NONE", "-keypbe", "AES-192-CBC"],
        &["-macalg", "sha512"],
        &["-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-RC2-128"],
        &["-certpbe", "PBE-SHA1-DES", "-keypbe", "PBE-MD5-DES"],
        &["-certpbe", "PBE-SHA1-RC2-64", "-keypbe", "PBE-MD5-RC2-64"],
    ];
    for form in forms {
        let mut arguments = vec!["pkcs12", "-export", "-in", "c.pem", "-inkey", "k.pem", "-out", "o.p12"];
        arguments.extend_from_slice(form);
        arguments.extend(["-passout", "pass:gr\u{fc}n"].iter().chain(&legacy));
        lab.run(&arguments);
        let octets = lab.read("o.p12");
        signs(&load(&[("o.p12", &octets)], &["gr\u{fc}n"]).unwrap());
        if !form.contains(&"NONE") {
            assert_eq!(
                skipped(&[("o.p12", &octets)], "green"),
                ["o.p12: locked, and no passphrase fits, or it is damaged"]
            );
        }
    }
    let forms: &[&[&str]] = &[
        &["-v2", "aes-256-cbc"],
        &["-v2", "des3", "-v2prf", "hmacWithSHA1"],
        &["-v2", "rc2"],
        &["-scrypt"],
        &["-v1", "PBE-SHA1-3DES"],
        &["-v1", "PBE-MD5-DES"],
        &["-nocrypt"],
    ];
    for form in forms {
        let mut arguments = vec!["pkcs8", "-topk8", "-in", "k.pem", "-out", "k8.pem", "-passout", "pass:secret"];
        arguments.extend(form.iter().chain(&legacy));
        lab.run(&arguments);
        signs(&load(&[("k8.pem", &lab.read("k8.pem")), ("c.pem", &lab.read("c.pem"))], &["secret"]).unwrap());
    }
    lab.run(&["rsa", "-in", "k.pem", "-traditional", "-out", "k1.pem"]);
    lab.run(&["crl2pkcs7", "-nocrl", "-certfile", "c.pem", "-outform", "DER", "-out", "c.p7c"]);
    signs(&load(&[("k1.pem", &lab.read("k1.pem")), ("c.p7c", &lab.read("c.p7c"))], &[]).unwrap());
    lab.run(&["x509", "-in", "c.pem", "-trustout", "-out", "trusted.pem"]);
    let error = load(&[("t.pem", &lab.read("trusted.pem"))], &[]).unwrap_err();
    let expected = "t.pem: TRUSTED CERTIFICATE: in OpenSSL's own form; convert it with `openssl x509`";
    assert_eq!(error.to_string(), expected);
}

/// RFC 9579, with key and code by openssl, which writes this check itself from version 3.4 on only.
#[test]
fn pbmac1_is_checked() {
    let Some(lab) = Lab::new() else { return };
    lab.certificate();
    lab.run(&[
        "pkcs12",
        "-export",
        "-nomac",
        "-in",
        "c.pem",
        "-inkey",
        "k.pem",
        "-out",
        "n.p12",
        "-passout",
        "pass:secret",
    ]);
    let whole = lab.read("n.p12");
    // SEQUENCE (4 octets), version (3), SEQUENCE (4), OID (11), [0] (4), OCTET STRING (4).
    let (head, safe) = whole.split_at(30);
    fs::write(lab.0.path().join("safe"), safe).unwrap();
    let derive = ["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", "pass:secret", "-kdfopt"];
    let rest = ["hexsalt:0102030405060708", "-kdfopt", "iter:2048", "-out", "key", "PBKDF2"];
    lab.run(&[derive.as_slice(), &rest].concat());
    let key: String = String::from_utf8(lab.read("key")).unwrap().trim().replace(':', "");
    let option = format!("hexkey:{key}");
    lab.run(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &option, "-binary", "-out", "mac", "safe"]);

    let value = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let hmac_sha256 = unhex("300c06082a864886f70d02090500");
    let pbkdf2 = [value(4, &[1, 2, 3, 4, 5, 6, 7, 8]), unhex("02020800020120"), hmac_sha256.clone()].concat();
    let pbkdf2 = value(0x30, &[unhex("06092a864886f70d01050c"), value(0x30, &pbkdf2)].concat());
    let pbmac1 = [unhex("06092a864886f70d01050e"), value(0x30, &[pbkdf2, hmac_sha256].concat())].concat();
    let digest = value(0x30, &[value(0x30, &pbmac1), value(4, &lab.read("mac"))].concat());
    let mac = value(0x30, &[digest, value(4, b"NOT USED"), vec![2, 1, 1]].concat());
    let length = u16::try_from(whole.len() - 4 + mac.len()).unwrap().to_be_bytes();
    let file = [&[0x30, 0x82], length.as_slice(), &head[4..], safe, &mac].concat();
    signs(&load(&[("pbmac1", &file)], &["secret"]).unwrap());
    let at = file.len() - mac.len() - 1;
    let mut flipped = file.clone();
    flipped[at] ^= 1;
    assert_eq!(
        skipped(&[("pbmac1", &flipped)], "secret"),
        ["pbmac1: locked, and no passphrase fits, or it is damaged"]
    );
}

/// Ours, with key and code computed again by openssl, which reads this check itself from version 3.4 on only.
#[test]
fn pbmac1_is_written() {
    let Some(lab) = Lab::new() else { return };
    let described = made(Algorithm::Rsa2048, "a@example.org", Some("secret"));
    let file = written(&described, "other", Legacy::Refuse, Integrity::Pbmac1);
    signs(&load(&[("pbmac1", file.expose())], &["other"]).unwrap());
    assert_eq!(
        skipped(&[("pbmac1", file.expose())], "secret"),
        ["pbmac1: locked, and no passphrase fits, or it is damaged"]
    );
    // The end of the file: PBKDF2's salt, 600,000 iterations, 32 octets, HMAC-SHA256; that again; the code; "NOT USED".
    let hmac_sha256 = "300c06082a864886f70d02090500";
    let (whole, tail) = (file.expose(), unhex(&format!("02030927c0020120{hmac_sha256}{hmac_sha256}0420")));
    let (safe_start, at) = (30, whole.windows(tail.len()).position(|window| window == tail).expect("its parameters"));
    let (salt, code) = (&whole[at - 16..at], &whole[at + tail.len()..at + tail.len() + 32]);
    assert_eq!(&whole[at + tail.len() + 32..], b"\x04\x08NOT USED");
    let length = usize::from(u16::from_be_bytes([whole[safe_start - 2], whole[safe_start - 1]]));
    fs::write(lab.0.path().join("safe"), &whole[safe_start..safe_start + length]).unwrap();
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let salt = format!("hexsalt:{}", hex(salt));
    let derive = ["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", "pass:other", "-kdfopt", &salt];
    lab.run(&[derive.as_slice(), &["-kdfopt", "iter:600000", "-out", "key", "PBKDF2"]].concat());
    let key = String::from_utf8(lab.read("key")).unwrap().trim().replace(':', "");
    let option = format!("hexkey:{key}");
    lab.run(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &option, "-binary", "-out", "mac", "safe"]);
    assert_eq!(hex(&lab.read("mac")), hex(code));
}

#[test]
fn ours_is_read_by_openssl() {
    let Some(lab) = Lab::new() else { return };
    for algorithm in [Algorithm::Rsa2048, Algorithm::P256, Algorithm::P384, Algorithm::P521, Algorithm::Ed25519] {
        let described = made(algorithm, "a@example.org", Some("secret"));
        for legacy in [Legacy::Refuse, Legacy::Admit] {
            fs::write(lab.0.path().join("o.p12"), pkcs12(&described, "other", legacy).expose()).unwrap();
            let read = ["pkcs12", "-in", "o.p12", "-passin", "pass:other", "-nodes", "-out", "o.pem"];
            lab.run(&[read.as_slice(), &["-provider", "legacy", "-provider", "default"]].concat());
            lab.run(&["pkey", "-in", "o.pem", "-noout", "-check"]);
            lab.run(&["verify", "-x509_strict", "-purpose", "smimesign", "-check_ss_sig", "-CAfile", "o.pem", "o.pem"]);
        }
        let keys = loaded(&described, "secret");
        let secret = keys.secret(&described.record, described.record.fingerprint()).unwrap().unwrap();
        let addresses = [address("a@example.org"), address("b@example.org")];
        let request = export::request(&described.record, secret.as_ref(), &addresses).unwrap();
        fs::write(lab.0.path().join("r.pem"), request).unwrap();
        let text = lab.run(&["req", "-in", "r.pem", "-verify", "-noout", "-text"]);
        assert!(text.contains("email:a@example.org, email:b@example.org"), "{text}");
        assert!(text.contains("E-mail Protection"), "{text}");
    }
}

#[test]
fn gpgsm_reads_ours_and_we_read_gpgsm_s() {
    let Some(lab) = Lab::new() else { return };
    if !present(&["gpgsm"]) {
        return;
    }
    let described = made(Algorithm::Rsa2048, "a@example.org", None);
    fs::write(lab.0.path().join("o.p12"), pkcs12(&described, "secret", Legacy::Admit).expose()).unwrap();
    let home = lab.0.path().join("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let gpgsm = |arguments: &[&str]| {
        let mut child = Command::new("gpgsm")
            .args([
                "--batch",
                "--homedir",
                home.to_str().unwrap(),
                "--pinentry-mode",
                "loopback",
                "--passphrase-fd",
                "0",
            ])
            .args(arguments)
            .current_dir(lab.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
        child.wait_with_output().unwrap()
    };
    let imported = gpgsm(&["--import", "o.p12"]);
    let said = String::from_utf8_lossy(&imported.stderr).into_owned();
    assert!(said.contains("secret keys imported: 1"), "{said}");
    let sha1 = &described.record.handles()[1];
    let exported = gpgsm(&["--export-secret-key-p12", sha1.as_str()]);
    let stopped = Command::new("gpgconf").args(["--homedir", home.to_str().unwrap(), "--kill", "all"]).status();
    assert!(stopped.is_ok());
    let theirs = load(&[("gpgsm", &exported.stdout)], &["secret"]).unwrap();
    assert_eq!(all(&theirs)[0].fingerprint(), described.record.fingerprint());
    signs(&theirs);
}

#[test]
fn a_home_keeps_keys_locked_and_finds_them_by_every_handle() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let described = made(Algorithm::P256, "a@example.org", Some("secret"));
    let record = described.record.clone();
    let home = |known: &[&str]| {
        let passphrases = Passphrases::new(known.iter().map(|one| Secret::from(*one)).collect());
        Keystore::open_home(&place, Arc::new(passphrases), &Limits::default()).unwrap()
    };
    assert_eq!(home(&[]).add(&[described]).unwrap(), [Change::Added]);
    let known = home(&["wrong", "secret"]);
    for handle in record.handles() {
        let found = known.find(ProtocolName::Smime, &Query::manage(Want::Handle(handle))).unwrap();
        assert_eq!(found.len(), 1, "{handle}");
        assert_eq!((found[0].handles(), found[0].secrets()), (record.handles(), record.secrets()));
        assert!(known.find(ProtocolName::Pgp, &Query::manage(Want::Handle(handle))).unwrap().is_empty());
    }
    let found = known.find(ProtocolName::Smime, &Query::manage(Want::Address(&address("A@example.org")))).unwrap();
    assert_eq!(known.secret(&found[0], record.fingerprint()).unwrap().unwrap().algorithm().name(), "p256");
    let error = home(&["wrong"]).secret(&found[0], record.fingerprint()).unwrap_err();
    let expected = format!("key {} of a@example.org: locked, and no passphrase fits", record.fingerprint());
    assert_eq!((error.kind(), error.to_string()), (Kind::NoKey, expected));

    assert!(known.anchors().unwrap().is_empty());
    known.bind(record.fingerprint(), &Binding::Anchor, Origin::Trusted, SystemTime::UNIX_EPOCH).unwrap();
    let anchors: Vec<Handle> = known.anchors().unwrap().iter().map(|one| one.fingerprint().clone()).collect();
    assert_eq!(anchors, std::slice::from_ref(record.fingerprint()));
}

/// What an authority answers to a request comes without the private key, which is here.
#[test]
fn an_issued_certificate_finds_the_key_that_asked_for_it() {
    let Some(lab) = Lab::new() else { return };
    lab.certificate();
    let place = lab.0.path().join("home");
    let home = Keystore::open_home(&place, Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    let described = made(Algorithm::P256, "a@example.org", None);
    let record = described.record.clone();
    home.add(&[described]).unwrap();
    let secret = home.secret(&record, record.fingerprint()).unwrap().unwrap();
    let request = export::request(&record, secret.as_ref(), record.claimed()).unwrap();
    fs::write(lab.0.path().join("r.pem"), request).unwrap();
    lab.run(&[
        "x509",
        "-req",
        "-in",
        "r.pem",
        "-CA",
        "c.pem",
        "-CAkey",
        "k.pem",
        "-copy_extensions",
        "copy",
        "-out",
        "i.pem",
    ]);
    let file = home.read(&[("i.pem", &lab.read("i.pem"))]).unwrap();
    assert_eq!(home.add(&file.found).unwrap(), [Change::Added]);
    let issued = home
        .find(ProtocolName::Smime, &Query::manage(Want::Handle(file.found[0].record.fingerprint())))
        .unwrap()
        .remove(0);
    assert_eq!(issued.claimed(), [address("a@example.org")]);
    assert_eq!(home.secret(&issued, issued.fingerprint()).unwrap().unwrap().algorithm(), secret.algorithm());
    assert_eq!(export::chain(&issued, &home).unwrap().len(), 1, "its issuer is not here");
    home.add(&home.read(&[("c.pem", &lab.read("c.pem"))]).unwrap().found).unwrap();
    assert_eq!(export::chain(&issued, &home).unwrap().len(), 2);
}

fn made(algorithm: Algorithm, whose: &str, passphrase: Option<&str>) -> Described {
    let mut request = Request::new(address(whose));
    request.algorithm = algorithm;
    request.passphrase = passphrase.map(Secret::from);
    let clock = FixedClock(SystemClock.now() - Duration::from_secs(60));
    generate(&request, &clock, &SystemRandom).unwrap()
}

fn pkcs12(described: &Described, passphrase: &str, legacy: Legacy) -> Secret {
    written(described, passphrase, legacy, Integrity::Classic)
}

fn written(described: &Described, passphrase: &str, legacy: Legacy, integrity: Integrity) -> Secret {
    let passphrases = Passphrases::new(vec!["secret".into()]);
    let octets = described.secret.as_ref().unwrap();
    let held = Held { octets, title: "key", passphrases: &passphrases, limits: &Limits::default() };
    let chain = export::chain(&described.record, &Memory::new()).unwrap();
    export::export_secret(&held, &chain, &passphrase.into(), legacy, integrity, &SystemRandom).unwrap()
}

fn loaded(described: &Described, passphrase: &str) -> Memory {
    load(&[("p12", pkcs12(described, passphrase, Legacy::Refuse).expose())], &[passphrase]).unwrap()
}

/// What is passed over for one run.
fn skipped(files: &[(&str, &[u8])], passphrase: &str) -> Vec<String> {
    let passphrases = Arc::new(Passphrases::new(vec![Secret::from(passphrase)]));
    store::load(files, &passphrases, &Limits::default()).unwrap().skipped
}

fn load(files: &[(&str, &[u8])], passphrases: &[&str]) -> Result<Memory, Error> {
    let passphrases = Passphrases::new(passphrases.iter().map(|one| Secret::from(*one)).collect());
    store::load(files, &Arc::new(passphrases), &Limits::default()).map(|loaded| loaded.keys)
}

fn all(keys: &Memory) -> Vec<Arc<Record>> {
    keys.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap()
}

/// The one key of `keys` makes an RSA signature of its length.
fn signs(keys: &Memory) {
    let records = all(keys);
    let [record] = records.as_slice() else { panic!("{records:?}") };
    let secret = keys.secret(record, record.fingerprint()).unwrap().unwrap();
    assert_eq!(secret.algorithm(), KeyAlgorithm::Rsa(2048));
    assert_eq!(secret.sign(Scheme::RsaPkcs1(Hash::Sha256), &Hash::Sha256.digest(b"")).unwrap().len(), 256);
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A throwaway folder for openssl; `None` when there is none.
struct Lab(TempDir);

impl Lab {
    fn new() -> Option<Lab> {
        // Short, because gpg-agent's sockets lie in it.
        let folder = tempfile::Builder::new().prefix("ps").tempdir().unwrap();
        present(&["openssl"]).then_some(Lab(folder))
    }

    /// `k.pem` and a certificate for it, `c.pem`.
    fn certificate(&self) {
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem"];
        self.run(&[request.as_slice(), &["-subj", "/CN=x", "-addext", "subjectAltName=email:x@example.org"]].concat());
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }
}
