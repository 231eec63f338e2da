//! S/MIME envelopes opened: what openssl and gpgsm write, other people's suites, and every way to tamper with a ciphertext.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
};

use crate::support::der::{KEK, NONCE, Sealed, content_info, kek_recipients, octets, oid, sequence, tlv};
use ::der::{Decode as _, Reader as _, SliceReader, asn1::AnyRef};
use postseal::{
    base::{Budget, Clock, FixedClock, Kind, Limits, Result, Secret, SystemClock, SystemRandom, parse_rfc3339},
    crypto::{Aead, Cipher, Legacy, cbc_encrypt},
    engine::Engine,
    keys::{Memory, Passphrases},
    mail::Message,
    pki::Revocation,
    protocol::{
        Context, Opened, Protocol,
        smime::{Smime, keyfile},
    },
    verdict::{LayerKind, Signature, Standing, State, Why},
};
use proptest::prelude::*;

use crate::support::requirements::{corpus, present};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nThe bearer may pass, and so may all who come with him.\r\n";

/// Keys made by openssl, once for all tests.
struct Lab {
    folder: tempfile::TempDir,
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    fs::write(lab.path("text"), TEXT).unwrap();
    let ec = |curve: &str| {
        ["-newkey".to_owned(), "ec".to_owned(), "-pkeyopt".to_owned(), format!("ec_paramgen_curve:{curve}")]
    };
    let rsa = |bits: u32| ["-newkey".to_owned(), format!("rsa:{bits}")];
    for (name, kind) in [
        ("rsa", rsa(2048).to_vec()),
        ("other", rsa(2048).to_vec()),
        ("third", rsa(3072).to_vec()),
        ("p256", ec("P-256").to_vec()),
        ("p384", ec("P-384").to_vec()),
        ("p521", ec("P-521").to_vec()),
        ("brainpoolp256", ec("brainpoolP256r1").to_vec()),
        ("brainpoolp384", ec("brainpoolP384r1").to_vec()),
        ("brainpoolp512", ec("brainpoolP512r1").to_vec()),
    ] {
        let mut command = lab.openssl(&["req", "-x509", "-nodes", "-days", "3650"]);
        command.args(kind).args(["-subj", &format!("/CN={name}/emailAddress={name}@example.org")]);
        command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]);
        assert!(command.output().unwrap().status.success(), "{name}");
    }
    lab
});

impl Lab {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// `openssl cms -encrypt` of the text, as mail.
    fn encrypted(&self, arguments: &[&str]) -> Vec<u8> {
        let legacy = ["-provider", "legacy", "-provider", "default"];
        let mut command = self.openssl(&["cms", "-encrypt", "-binary", "-in", "text"]);
        let output = command.args(legacy).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The certificates of these names, with their keys.
    fn keys(&self, names: &[&str]) -> Memory {
        let files: Vec<(String, Vec<u8>)> = names
            .iter()
            .flat_map(|name| [format!("{name}.crt"), format!("{name}.key")])
            .map(|name| (name.clone(), fs::read(self.path(&name)).unwrap()))
            .collect();
        memory(&files, &[])
    }
}

fn memory(files: &[(String, Vec<u8>)], passphrases: &[&str]) -> Memory {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())).collect();
    let passphrases = Arc::new(Passphrases::new(passphrases.iter().map(|one| Secret::from(*one)).collect()));
    let mut memory = Memory::new();
    let limits = Limits::default();
    for one in keyfile::read(&files, &passphrases, &limits, &Memory::new()).unwrap().found {
        if let Some(secret) = one.secret {
            let locked = keyfile::LockedKey::new(&one.record, secret, Arc::clone(&passphrases), &limits).unwrap();
            memory.add_locked(one.record.secrets().to_vec(), Arc::new(locked));
        }
        memory.add(one.record);
    }
    memory
}

fn passwords(passwords: &[&str]) -> Memory {
    let mut memory = Memory::new();
    passwords.iter().for_each(|password| memory.add_password(Secret::from(*password)));
    memory
}

fn open_with(mail: &[u8], keys: &Memory, legacy: Legacy, limits: Limits) -> Result<Opened> {
    open_at(&FixedClock(parse_rfc3339("2026-11-23T12:00:00Z")?), mail, keys, legacy, limits)
}

fn open_at(clock: &dyn Clock, mail: &[u8], keys: &Memory, legacy: Legacy, limits: Limits) -> Result<Opened> {
    let mut budget = Budget::new(limits);
    let message = Message::parse(mail.to_vec(), &mut budget)?;
    let context = Context { keys, clock, random: &SystemRandom, legacy, revocation: Revocation::Off };
    let claim = Smime.claim(message.root()).expect("it says that it is S/MIME");
    Smime.open(message, &claim, context, &mut budget)
}

fn open(mail: &[u8], keys: &Memory) -> Result<Opened> {
    open_with(mail, keys, Legacy::Refuse, Limits::default())
}

/// The text of the error, which must be one.
fn refusal(opened: Result<Opened>) -> (Kind, String) {
    let error = opened.expect_err("it must not open");
    (error.kind(), error.to_string())
}

fn mail(der: &[u8]) -> Vec<u8> {
    let header = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    [header, der].concat()
}

/// `(cipher, authenticated)` of the one layer, whose payload must be the text.
fn layer(opened: &Opened) -> (&str, bool) {
    assert_eq!(opened.payload.octets(), TEXT);
    match opened.layers.as_slice() {
        [one] => match &one.kind {
            LayerKind::Encrypted { cipher, authenticated, .. } => (cipher, *authenticated),
            other => panic!("{other:?}"),
        },
        layers => panic!("{layers:?}"),
    }
}

#[test]
fn every_cipher_of_openssl() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = LAB.keys(&["rsa"]);
    for (option, name, authenticated, historic) in [
        ("-aes128", "aes128-cbc", false, false),
        ("-aes192", "aes192-cbc", false, false),
        ("-aes256", "aes256-cbc", false, false),
        ("-camellia256", "camellia256-cbc", false, false),
        ("-des3", "3des-cbc", false, false),
        ("-des", "des-cbc", false, true),
        ("-rc2-40", "rc2-40-cbc", false, true),
        ("-rc2-64", "rc2-64-cbc", false, true),
        ("-rc2-128", "rc2-128-cbc", false, true),
        ("-aes-128-gcm", "aes128-gcm", true, false),
        ("-aes-192-gcm", "aes192-gcm", true, false),
        ("-aes-256-gcm", "aes256-gcm", true, false),
    ] {
        for form in [&["-nodetach"][..], &["-stream"], &["-stream", "-outform", "DER"], &["-outform", "PEM"]] {
            let mut sealed = LAB.encrypted(&[&[option][..], form, &["rsa.crt"]].concat());
            if form.contains(&"-outform") {
                sealed = mail(&sealed);
            }
            let opened = open_with(&sealed, &keys, Legacy::Admit, Limits::default()).unwrap();
            assert_eq!(layer(&opened), (name, authenticated), "{form:?}");
            if historic {
                let (kind, text) = refusal(open(&sealed, &keys));
                assert_eq!(kind, Kind::Unavailable);
                assert_eq!(text, format!("enveloped data: {name} is too weak"));
            } else {
                assert_eq!(layer(&open(&sealed, &keys).unwrap()), (name, authenticated), "{form:?}");
            }
        }
    }
}

#[test]
fn every_curve_derivation_and_wrap_of_openssl() {
    if !present(&["openssl"]) {
        return;
    }
    for curve in ["p256", "p384", "p521", "brainpoolp256", "brainpoolp384", "brainpoolp512"] {
        let keys = LAB.keys(&[curve]);
        let certificate = format!("{curve}.crt");
        for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
            for cofactor in ["0", "1"] {
                let derivation = format!("ecdh_kdf_md:{digest}");
                let mode = format!("ecdh_cofactor_mode:{cofactor}");
                let recipient = ["-recip", &certificate, "-keyopt", &derivation, "-keyopt", &mode];
                let sealed = LAB.encrypted(&[&["-aes256"][..], &recipient].concat());
                assert_eq!(layer(&open(&sealed, &keys).unwrap()).0, "aes256-cbc", "{curve} {digest} {cofactor}");
            }
        }
        for (cipher, wrap) in [
            ("-aes128", "-aes128-wrap"),
            ("-aes192", "-aes192-wrap"),
            ("-aes-256-gcm", "-aes256-wrap"),
            ("-des3", "-des3-wrap"),
        ] {
            let sealed = LAB.encrypted(&[cipher, "-recip", &certificate, wrap]);
            layer(&open(&sealed, &keys).unwrap_or_else(|error| panic!("{curve} {wrap}: {error}")));
        }
    }
}

#[test]
fn every_oaep_of_openssl() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = LAB.keys(&["third"]);
    for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        for mask in ["sha1", "sha256", "sha512"] {
            let (digest, mask) = (format!("rsa_oaep_md:{digest}"), format!("rsa_mgf1_md:{mask}"));
            let padding = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", &digest, "-keyopt", &mask];
            let sealed = LAB.encrypted(&[&["-aes256", "-recip", "third.crt"][..], &padding].concat());
            layer(&open(&sealed, &keys).unwrap_or_else(|error| panic!("{padding:?}: {error}")));
        }
    }
}

#[test]
fn one_of_several_recipients_is_enough() {
    if !present(&["openssl"]) {
        return;
    }
    for identifier in [&[][..], &["-keyid"]] {
        for cipher in ["-aes128", "-des3"] {
            let recipients = [
                "-recip",
                "other.crt",
                "-recip",
                "p256.crt",
                "-recip",
                "rsa.crt",
                "-recip",
                "p384.crt",
                "-pwri_password",
                "sesame",
            ];
            let sealed = LAB.encrypted(&[&[cipher][..], identifier, &recipients].concat());
            for name in ["other", "p256", "rsa", "p384"] {
                layer(&open(&sealed, &LAB.keys(&[name])).unwrap());
            }
            layer(&open(&sealed, &passwords(&["wrong", "sesame"])).unwrap());
            let (kind, text) = refusal(open(&sealed, &LAB.keys(&["p521"])));
            assert_eq!(kind, Kind::NoKey);
            assert!(text.starts_with("enveloped data: no secret key for any recipient ("), "{text}");
        }
    }
}

#[test]
fn recipients_are_reported_as_the_message_names_them() {
    if !present(&["openssl"]) {
        return;
    }
    let sealed = LAB.encrypted(&["-aes128", "-recip", "rsa.crt", "-pwri_password", "sesame"]);
    let opened = open(&sealed, &LAB.keys(&["rsa"])).unwrap();
    let LayerKind::Encrypted { recipients, .. } = &opened.layers[0].kind else { panic!("{:?}", opened.layers) };
    assert!(recipients.contains(&"password".to_owned()), "{recipients:?}");
    assert!(
        recipients.iter().any(|one| one.starts_with("serial ") && one.contains("rsa@example.org")),
        "{recipients:?}"
    );
}

/// The certificate that the message names is not here, but its key is, under another: a renewed one.
#[test]
fn a_key_under_another_certificate_opens() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = &*LAB;
    for key in ["rsa", "p256"] {
        let (from, renewed) = (format!("{key}.key"), format!("{key}-renewed.crt"));
        let mut command =
            lab.openssl(&["req", "-x509", "-days", "99", "-subj", "/CN=renewed", "-key", &from, "-out", &renewed]);
        assert!(command.output().unwrap().status.success());
        let mut files = Vec::new();
        for name in ["other.crt", "other.key", "third.crt", "third.key", &renewed, &from, "p384.crt", "p384.key"] {
            files.push((name.to_owned(), fs::read(lab.path(name)).unwrap()));
        }
        let keys = memory(&files, &[]);
        for cipher in ["-aes256", "-des3", "-aes-128-gcm"] {
            // With RSA each wrong key makes a content key too; which one is right shows in the content.
            for _ in 0..8 {
                let sealed = lab.encrypted(&[cipher, "-recip", &format!("{key}.crt")]);
                layer(&open(&sealed, &keys).unwrap());
            }
        }
    }
}

#[test]
fn shared_keys_and_passwords() {
    if !present(&["openssl"]) {
        return;
    }
    let key = "000102030405060708090A0B0C0D0E0F1011121314151617";
    for (length, name) in [(16, "aes128"), (24, "aes192")] {
        let secret = &key[..2 * length];
        let sealed = LAB.encrypted(&["-aes256", "-secretkey", secret, "-secretkeyid", "C0FFEE"]);
        let raw: String = (0..length).map(|octet| char::from(octet as u8)).collect();
        for given in [secret, &secret.to_lowercase(), &raw] {
            layer(&open(&sealed, &passwords(&["wrong", given])).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
        let (kind, text) = refusal(open(&sealed, &passwords(&["wrong", &key[2..34]])));
        assert_eq!((kind, text.as_str()), (Kind::NoKey, "enveloped data: encrypted to a password that was not given"));
    }
    // With GCM openssl fails: it takes the content cipher for the wrap too, and GCM wraps nothing (RFC 3211, section 2.3).
    for cipher in ["-aes128", "-aes256", "-des3"] {
        let sealed = LAB.encrypted(&[cipher, "-pwri_password", "pässword"]);
        let (kind, text) = refusal(open(&sealed, &passwords(&["wrong"])));
        assert_eq!((kind, text.as_str()), (Kind::NoKey, "enveloped data: encrypted to a password that was not given"));
        layer(&open(&sealed, &passwords(&["wrong", "pässword"])).unwrap());
    }
}

#[test]
fn gpgsm_is_read() {
    if !present(&["gpgsm", "openssl"]) {
        return;
    }
    let lab = &*LAB;
    let home = tempfile::Builder::new().prefix("ps").tempdir().unwrap();
    let gpgsm = |arguments: &[&str]| {
        let mut command = Command::new("gpgsm");
        command.args(["--batch", "--yes", "--disable-crl-checks", "--disable-dirmngr", "--homedir"]).arg(home.path());
        command.args(arguments).current_dir(lab.folder.path()).output().unwrap()
    };
    // Not with curves: gpgsm 2.2.40 fails to encrypt to them (`ksba_cms_set_enc_val failed`).
    for name in ["rsa", "third"] {
        let certificate = format!("{name}.crt");
        let imported = gpgsm(&["--import", &certificate]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        let fingerprint =
            lab.openssl(&["x509", "-noout", "-fingerprint", "-sha1", "-in", &certificate]).output().unwrap();
        let fingerprint = String::from_utf8(fingerprint.stdout).unwrap();
        let fingerprint = fingerprint.trim().rsplit('=').next().unwrap();
        fs::write(home.path().join("trustlist.txt"), format!("{fingerprint} S relax\n")).unwrap();
        let reload = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "gpg-agent"]).output();
        assert!(reload.unwrap().status.success());
        for cipher in ["AES128", "AES256", "3DES"] {
            let recipient = format!("<{name}@example.org>");
            let sealed = gpgsm(&["--cipher-algo", cipher, "-e", "-r", &recipient, "text"]);
            assert!(sealed.status.success(), "{name}: {}", String::from_utf8_lossy(&sealed.stderr));
            layer(
                &open(&mail(&sealed.stdout), &lab.keys(&[name]))
                    .unwrap_or_else(|error| panic!("{name} {cipher}: {error}")),
            );
        }
    }
    _ = Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).output();
}

fn gcm<'a>(cipher: Aead, identifier: &'a str) -> Sealed<'a> {
    let parameters = sequence(&[&octets(&NONCE), &[2, 1, 16]]);
    Sealed { cipher, identifier, parameters, attributes: &[], aad: Vec::new(), tag: 16 }
}

const AES128_GCM: &str = "2.16.840.1.101.3.4.1.6";

#[test]
fn aead_of_every_kind() {
    let keys = passwords(&[KEK]);
    for (cipher, identifier) in [
        (Aead::Aes128Gcm, AES128_GCM),
        (Aead::Aes192Gcm, "2.16.840.1.101.3.4.1.26"),
        (Aead::Aes256Gcm, "2.16.840.1.101.3.4.1.46"),
    ] {
        assert_eq!(layer(&open(&mail(&gcm(cipher, identifier).around(TEXT)), &keys).unwrap()), (cipher.name(), true));
    }
    let cipher = Aead::ChaCha20Poly1305;
    let sealed = Sealed { parameters: octets(&NONCE), ..gcm(cipher, "1.2.840.113549.1.9.16.3.18") };
    assert_eq!(layer(&open(&mail(&sealed.around(TEXT)), &keys).unwrap()), (cipher.name(), true));
}

#[test]
fn a_tag_has_the_length_that_is_said() {
    let keys = passwords(&[KEK]);
    let tagged = |said: Option<u8>, written: usize| {
        let length = said.map(|length| vec![2, 1, length]).unwrap_or_default();
        let parameters = sequence(&[&octets(&NONCE), &length]);
        open(&mail(&Sealed { parameters, tag: written, ..gcm(Aead::Aes128Gcm, AES128_GCM) }.around(TEXT)), &keys)
    };
    for length in 12..=16 {
        assert!(tagged(Some(length), usize::from(length)).is_ok(), "{length}");
    }
    assert!(tagged(None, 12).is_ok());
    let differs = |written: usize, said: usize| {
        (Kind::Malformed, format!("enveloped data: its authentication tag has {written} octets instead of {said}"))
    };
    assert_eq!(refusal(tagged(Some(16), 12)), differs(12, 16));
    assert_eq!(refusal(tagged(Some(12), 16)), differs(16, 12));
    assert_eq!(refusal(tagged(None, 16)), differs(16, 12));
    assert_eq!(refusal(tagged(Some(16), 0)), differs(0, 16));
    for short in [0, 1, 4, 8, 11] {
        let (kind, text) = refusal(tagged(Some(short), usize::from(short)));
        assert_eq!(kind, Kind::Undecryptable);
        assert_eq!(text, format!("encrypted content: aes128-gcm with a tag of {short} octets"));
    }
}

#[test]
fn authenticated_attributes_are_covered() {
    let keys = passwords(&[KEK]);
    let attribute = |last: u8| sequence(&[&oid("1.2.840.113549.1.9.3"), &tlv(0x31, &[&[2, 1, last]])]);
    let (first, second) = (attribute(1), attribute(2));
    let sealed = |attributes: &[&[u8]], covered: &[&[u8]]| {
        let aad = tlv(0x31, covered);
        open(&mail(&Sealed { attributes, aad, ..gcm(Aead::Aes128Gcm, AES128_GCM) }.around(TEXT)), &keys)
    };
    let (one, two) = (first.as_slice(), second.as_slice());
    assert!(sealed(&[one, two], &[one, two]).is_ok());
    // DER sorts them, whatever order they came in; some covered them as they are.
    assert!(sealed(&[two, one], &[one, two]).is_ok());
    assert!(sealed(&[two, one], &[two, one]).is_ok());
    let changed = (Kind::Undecryptable, "enveloped data: it does not decrypt: it was damaged or changed".to_owned());
    assert_eq!(refusal(sealed(&[one], &[one, two])), changed);
    assert_eq!(refusal(sealed(&[one, one], &[one, two])), changed);
    assert_eq!(refusal(sealed(&[one, two], &[two, one])), changed);
}

/// PKCS #7 v1.5: signed and encrypted in one (RFC 2315, section 11). No program here writes it any more, so that openssl's signature is
/// put into one: encrypted once more with the content key, as the RFC says, or as it is, as OpenSSL's library writes it.
fn signed_and_enveloped(content: &[u8], signature_is_encrypted: bool) -> Vec<u8> {
    let signed = LAB
        .openssl(&[
            "smime",
            "-sign",
            "-binary",
            "-noattr",
            "-nodetach",
            "-md",
            "sha256",
            "-outform",
            "DER",
            "-in",
            "text",
        ])
        .args(["-signer", "rsa.crt", "-inkey", "rsa.key"])
        .output()
        .unwrap();
    assert!(signed.status.success(), "{signed:?}");
    let [_, explicit] = fields(&signed.stdout).try_into().unwrap();
    let signed_data = fields(&explicit).remove(0);
    let [_, digests, _, certificates, signers]: [Vec<u8>; 5] = fields(&signed_data).try_into().unwrap();
    let mut signer = fields(&fields(&signers)[0]);
    let (key, iv) = (Secret::new(vec![3; 16]), [9; 16]);
    let encrypted = |octets: &[u8]| {
        let mut octets = octets.to_vec();
        cbc_encrypt(Cipher::Aes128, &key, &iv, &mut octets).unwrap();
        octets
    };
    if signature_is_encrypted {
        let signature = AnyRef::from_der(signer.last().unwrap()).unwrap().value().to_vec();
        *signer.last_mut().unwrap() = octets(&encrypted(&signature));
    }
    let algorithm = sequence(&[&oid("2.16.840.1.101.3.4.1.2"), &octets(&iv)]);
    let content = sequence(&[&oid("1.2.840.113549.1.7.1"), &algorithm, &tlv(0x80, &[&encrypted(content)])]);
    let signer = sequence(&signer.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let data =
        sequence(&[&[2, 1, 1], &kek_recipients(&key), &digests, &content, &certificates, &tlv(0x31, &[&signer])]);
    content_info("1.2.840.113549.1.7.4", &data)
}

/// The elements within an element.
fn fields(element: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = SliceReader::new(AnyRef::from_der(element).unwrap().value()).unwrap();
    let mut fields = Vec::new();
    while !reader.is_finished() {
        fields.push(reader.tlv_bytes().unwrap().to_vec());
    }
    fields
}

#[test]
fn signed_and_enveloped_data_is_read() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = passwords(&[KEK]);
    let now = |mail: &[u8]| open_at(&SystemClock, mail, &keys, Legacy::Refuse, Limits::default());
    for signature_is_encrypted in [true, false] {
        let opened = now(&mail(&signed_and_enveloped(TEXT, signature_is_encrypted))).unwrap();
        assert_eq!(opened.payload.octets(), TEXT);
        let [outer, inner] = opened.layers.as_slice() else { panic!("{:?}", opened.layers) };
        assert!(matches!(outer.kind, LayerKind::Encrypted { authenticated: false, .. }), "{outer:?}");
        let LayerKind::Signed { signatures } = &inner.kind else { panic!("{inner:?}") };
        assert!(matches!(signatures.as_slice(), [Signature { state: State::Valid(_), .. }]), "{signatures:?}");

        let changed = TEXT.to_ascii_uppercase();
        let opened = now(&mail(&signed_and_enveloped(&changed, signature_is_encrypted))).unwrap();
        let LayerKind::Signed { signatures } = &opened.layers[1].kind else { panic!("{:?}", opened.layers) };
        assert_eq!(signatures[0].state, State::Invalid(Why::Mismatch));
    }
    let (kind, text) = refusal(open(&mail(&signed_and_enveloped(TEXT, true)), &passwords(&["wrong"])));
    assert_eq!((kind, text.as_str()), (Kind::NoKey, "enveloped data: encrypted to a password that was not given"));
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    compressed_with(&encoder.finish().unwrap())
}

fn compressed_with(packed: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[&oid("1.2.840.113549.1.9.16.3.8")]);
    let content = sequence(&[&oid("1.2.840.113549.1.7.1"), &tlv(0xa0, &[&octets(packed)])]);
    content_info("1.2.840.113549.1.9.16.1.9", &sequence(&[&[2, 1, 0], &algorithm, &content]))
}

#[test]
fn compressed_data_is_unpacked_within_the_budget() {
    let keys = Memory::new();
    let opened = open(&mail(&compressed(TEXT)), &keys).unwrap();
    assert_eq!(opened.payload.octets(), TEXT);
    assert_eq!(opened.layers[0].kind, LayerKind::Compressed { algorithm: "zlib".to_owned() });

    let bomb = compressed(&vec![b' '; 64 * 1024 * 1024]);
    let (kind, text) = refusal(open(&mail(&bomb), &keys));
    assert_eq!(kind, Kind::Malformed);
    assert!(text.starts_with("decompressed data: more than "), "{text}");

    let whole = compressed(TEXT);
    let packed = &whole[whole.len() - 60..];
    assert!(packed.len() < TEXT.len());
    let damaged = (Kind::Malformed, "compressed data: its zlib stream is damaged".to_owned());
    assert_eq!(refusal(open(&mail(&compressed_with(b"\x78\xda\x73")), &keys)), damaged);
    assert_eq!(refusal(open(&mail(&compressed_with(b"no zlib")), &keys)), damaged);
    assert_eq!(refusal(open(&mail(&compressed_with(b"")), &keys)), damaged);
}

/// Layers that stand directly in one another, without MIME between them.
#[test]
fn wraps_within_wraps_are_bounded() {
    let keys = Memory::new();
    let nested = |depth: usize| {
        let mut content = compressed(TEXT);
        for _ in 1..depth {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
            // The content of the ContentInfo within: past its tag, length, content type and the explicit tag.
            let inside = inner(&content);
            encoder.write_all(inside).unwrap();
            let packed = encoder.finish().unwrap();
            let algorithm = sequence(&[&oid("1.2.840.113549.1.9.16.3.8")]);
            let info = sequence(&[&oid("1.2.840.113549.1.9.16.1.9"), &tlv(0xa0, &[&octets(&packed)])]);
            content = content_info("1.2.840.113549.1.9.16.1.9", &sequence(&[&[2, 1, 0], &algorithm, &info]));
        }
        open(&mail(&content), &keys)
    };
    let opened = nested(4).unwrap();
    assert_eq!((opened.layers.len(), opened.payload.octets()), (4, TEXT));
    let (kind, text) = refusal(nested(12));
    assert_eq!((kind, text.as_str()), (Kind::Malformed, "message: more than 8 cryptographic layers"));
}

/// The content of a ContentInfo that was made here.
fn inner(info: &[u8]) -> &[u8] {
    let value = |element: &[u8]| if element[1] < 0x80 { 2 } else { 6 }..element.len();
    let fields = &info[value(info)];
    let explicit = &fields[2 + usize::from(fields[1])..];
    &explicit[value(explicit)]
}

fn pwri(iterations: u32) -> Vec<u8> {
    let number = [&[0][..], &iterations.to_be_bytes()].concat();
    let zeros = number.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0).count();
    let derivation = sequence(&[&octets(&[1; 8]), &tlv(2, &[&number[zeros..]])]);
    let derivation = tlv(0xa0, &[&oid("1.2.840.113549.1.5.12"), &derivation]);
    let cipher = sequence(&[&oid("2.16.840.1.101.3.4.1.2"), &octets(&[7; 16])]);
    let wrap = sequence(&[&oid("1.2.840.113549.1.9.16.3.9"), &cipher]);
    tlv(0xa3, &[&[2, 1, 0], &derivation, &wrap, &octets(&[5; 32])])
}

fn enveloped(recipients: &[&[u8]]) -> Vec<u8> {
    let algorithm = sequence(&[&oid("2.16.840.1.101.3.4.1.2"), &octets(&[7; 16])]);
    let info = sequence(&[&oid("1.2.840.113549.1.7.1"), &algorithm, &tlv(0x80, &[&[1; 32]])]);
    let data = sequence(&[&[2, 1, 0], &tlv(0x31, recipients), &info]);
    mail(&content_info("1.2.840.113549.1.7.3", &data))
}

#[test]
fn what_costs_too_much_is_refused() {
    let keys = passwords(&["one", "two", "three"]);
    let over = (Kind::Undecryptable, "password: its key derivations cost more than 10000000 iterations".to_owned());
    assert_eq!(refusal(open(&enveloped(&[&pwri(10_000_001)]), &keys)), over);
    assert_eq!(refusal(open(&enveloped(&[&pwri(u32::MAX)]), &keys)), over);
    let limits = Limits { kdf_iterations: 1_000, ..Limits::default() };
    let (kind, text) = refusal(open_with(&enveloped(&[&pwri(400)]), &keys, Legacy::Refuse, limits));
    assert_eq!(
        (kind, text.as_str()),
        (Kind::Undecryptable, "password: its key derivations cost more than 1000 iterations")
    );

    let many = pwri(1);
    let many: Vec<&[u8]> = vec![&many; 1_001];
    let (kind, text) = refusal(open(&enveloped(&many), &keys));
    assert_eq!((kind, text.as_str()), (Kind::Malformed, "layer: more than 1000 encrypted session keys"));

    // However many parts a message has, what is tried is counted once.
    let mut budget = Budget::new(Limits { session_keys: 3, ..Limits::default() });
    let clock = FixedClock(parse_rfc3339("2026-11-23T12:00:00Z").unwrap());
    let (legacy, revocation) = (Legacy::Refuse, Revocation::Off);
    let context = Context { keys: &keys, clock: &clock, random: &SystemRandom, legacy, revocation };
    let mut again = || {
        let message = Message::parse(enveloped(&[&pwri(1)]), &mut budget).unwrap();
        let claim = Smime.claim(message.root()).unwrap();
        refusal(Smime.open(message, &claim, context, &mut budget))
    };
    assert_eq!(again().0, Kind::NoKey);
    assert_eq!(again(), (Kind::Undecryptable, "message: more than 3 encrypted session keys to try".to_owned()));
}

#[test]
fn recipients_of_unknown_kinds_are_passed_over() {
    let other = tlv(0xa4, &[&oid("1.2.840.113549.1.9.16.13.3"), &sequence(&[])]);
    let future = tlv(0xa9, &[&[2, 1, 9]]);
    let broken = sequence(&[&[2, 1, 0]]);
    let (kind, text) = refusal(open(&enveloped(&[&other, &future, &broken]), &Memory::new()));
    assert_eq!(kind, Kind::NoKey);
    assert_eq!(text, "enveloped data: no secret key for any recipient (unknown)");
    let (kind, text) = refusal(open(&enveloped(&[]), &Memory::new()));
    assert_eq!((kind, text.as_str()), (Kind::NoKey, "enveloped data: encrypted, but it holds no encrypted key"));
}

/// The octets with one bit changed.
fn flipped(der: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut changed = der.to_vec();
    let at = at % changed.len();
    changed[at] ^= 1 << bit;
    changed
}

/// One message each, sealed by openssl: CBC and GCM.
static SEALED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    ["-aes256", "-aes-256-gcm"].map(|cipher| LAB.encrypted(&[cipher, "-outform", "DER", "-recip", "p256.crt"]))
});

static RSA_SEALED: LazyLock<Vec<u8>> =
    LazyLock::new(|| LAB.encrypted(&["-aes-256-gcm", "-outform", "DER", "-recip", "rsa.crt"]));

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// With AEAD a changed bit is never plaintext, unless it changed nothing that matters: then the plaintext is the same.
    #[test]
    fn a_flipped_bit_under_aead(at in 0_usize..4096, bit in 0_u8..8, rsa in any::<bool>()) {
        if present(&["openssl"]) {
            let (sealed, name) = if rsa { (&*RSA_SEALED, "rsa") } else { (&SEALED[1], "p256") };
            if let Ok(opened) = open(&mail(&flipped(sealed, at, bit)), &LAB.keys(&[name])) {
                prop_assert_eq!(opened.payload.octets(), TEXT);
            }
        }
    }

    /// With CBC a changed bit may open to other text; it is not authenticated, and the layer says so.
    #[test]
    fn a_flipped_bit_under_cbc(at in 0_usize..4096, bit in 0_u8..8) {
        if present(&["openssl"])
            && let Ok(opened) = open(&mail(&flipped(&SEALED[0], at, bit)), &LAB.keys(&["p256"]))
        {
            let authenticated = opened.layers.iter().any(|layer| {
                matches!(layer.kind, LayerKind::Encrypted { authenticated: true, .. } | LayerKind::Signed { .. })
            });
            prop_assert!(!authenticated);
        }
    }

    /// Any octets: an answer, never a panic.
    #[test]
    fn any_octets_are_answered(octets in proptest::collection::vec(any::<u8>(), 0..512)) {
        _ = open(&mail(&octets), &passwords(&["a"]));
        _ = open(&enveloped(&[&octets]), &passwords(&["a"]));
        _ = open(&mail(&compressed_with(&octets)), &Memory::new());
    }
}

#[test]
fn every_failure_of_a_key_is_one_answer() {
    if !present(&["openssl"]) {
        return;
    }
    let changed = (Kind::Undecryptable, "enveloped data: it does not decrypt: it was damaged or changed".to_owned());
    let keys = LAB.keys(&["rsa", "p256"]);
    // The last octets are those of the tag.
    let sealed = &SEALED[1];
    assert_eq!(refusal(open(&mail(&flipped(sealed, sealed.len() - 1, 0)), &keys)), changed);
    let sealed = &*RSA_SEALED;
    assert_eq!(refusal(open(&mail(&flipped(sealed, sealed.len() - 1, 0)), &keys)), changed);
    // In the middle of the wrapped key.
    let at = sealed.windows(4).position(|window| window == [0x04, 0x82, 0x01, 0x00]).unwrap() + 100;
    assert_eq!(refusal(open(&mail(&flipped(sealed, at, 0)), &keys)), changed);
}

/// Messages of a suite, and what opens them.
struct Suite {
    keys: &'static [&'static str],
    /// Of key files and of messages.
    passphrases: &'static [&'static str],
    folder: &'static str,
    /// The cipher of the outermost layer.
    messages: &'static [(&'static str, &'static str)],
}

const SUITES: [Suite; 7] = [
    Suite {
        keys: &["bc-test-data/rfc4134/BobRSASignByCarl.cer", "bc-test-data/rfc4134/BobPrivRSAEncrypt.pri"],
        passphrases: &[],
        folder: "bc-test-data/rfc4134",
        messages: &[("5.1.bin", "3des-cbc"), ("5.2.bin", "rc2-40-cbc"), ("5.3.eml", "3des-cbc")],
    },
    Suite {
        keys: &["thunderbird/mailnews/test/data/smime/Bob.p12"],
        passphrases: &["nss"],
        folder: "thunderbird/mailnews/test/data/smime",
        messages: &[
            ("alice.env.eml", "aes128-cbc"),
            ("alice.dsig.SHA1.multipart.env.eml", "aes128-cbc"),
            ("alice.dsig.SHA256.multipart.env.eml", "aes128-cbc"),
            ("alice.dsig.SHA384.multipart.env.eml", "aes128-cbc"),
            ("alice.dsig.SHA512.multipart.env.eml", "aes128-cbc"),
            ("alice.html.sig.SHA256.opaque.env.eml", "aes128-cbc"),
            ("alice.sig.SHA1.opaque.env.eml", "aes128-cbc"),
            ("alice.sig.SHA256.opaque.env.eml", "aes128-cbc"),
            ("alice.sig.SHA384.opaque.env.eml", "aes128-cbc"),
            ("alice.sig.SHA512.opaque.env.eml", "aes128-cbc"),
        ],
    },
    Suite {
        keys: &[
            "thunderbird/mailnews/test/data/smime-interop/Fran.p12",
            "thunderbird/mailnews/test/data/smime-interop/Fran-ec.p12",
        ],
        passphrases: &["nss"],
        folder: "thunderbird/mailnews/test/data/smime-interop",
        messages: &[
            ("fran-ec_ossl-aes128-sha256.env", "aes128-cbc"),
            ("fran-ec_ossl-aes256-sha512.env", "aes256-cbc"),
            ("fran-oaep-label_ossl.env", "aes256-cbc"),
            ("fran-oaep-sha256hash-sha256mgf_ossl.env", "aes256-cbc"),
            ("fran-oaep-sha256hash_ossl.env", "aes128-cbc"),
            ("fran-oaep_ossl.env", "3des-cbc"),
        ],
    },
    Suite {
        keys: &["rt/t/data/smime/keys/sender@example.com.pem"],
        passphrases: &["123456"],
        folder: "rt/t/data/smime/mails",
        messages: &[
            ("4-encrypted-plain.eml", "aes256-cbc"),
            ("5-encrypted-attachment.eml", "aes256-cbc"),
            ("6-encrypted-binary.eml", "aes256-cbc"),
            ("7-signed-encrypted-plain.eml", "aes256-cbc"),
            ("8-signed-encrypted-attachment.eml", "aes256-cbc"),
            ("9-signed-encrypted-binary.eml", "aes256-cbc"),
        ],
    },
    Suite {
        keys: &["autocrypt-protected-headers/bob.p12"],
        passphrases: &["bob"],
        folder: "autocrypt-protected-headers",
        messages: &[
            ("smime-enc+legacy-disp.eml", "3des-cbc"),
            ("smime-sign+enc.eml", "3des-cbc"),
            ("smime-sign+enc+legacy-disp.eml", "3des-cbc"),
        ],
    },
    Suite {
        keys: &[],
        passphrases: &["abc"],
        folder: "gnupg/tests/cms/samplemsgs",
        messages: &[
            ("pwri-sample.cbc.p7m", "aes256-cbc"),
            ("pwri-sample.cbc-2.p7m", "aes192-cbc"),
            ("pwri-sample.gcm.p7m", "aes256-gcm"),
        ],
    },
    Suite {
        keys: &[],
        passphrases: &[KEK],
        folder: "openssl-test/openssl-3.0.22/test/recipes/80-test_cms_data",
        messages: &[("authenveloped_attrs.pem", "aes128-gcm")],
    },
];

impl Suite {
    fn keys(&self, folder: &Path) -> Memory {
        let read = |name: &&str| ((*name).to_owned(), fs::read(folder.join(name)).unwrap());
        let files: Vec<(String, Vec<u8>)> = self.keys.iter().map(read).collect();
        let mut keys = if files.is_empty() { Memory::new() } else { memory(&files, self.passphrases) };
        self.passphrases.iter().for_each(|one| keys.add_password(Secret::from(*one)));
        keys
    }
}

/// A message of a suite: mail, or what belongs into one.
fn read(path: &Path) -> Vec<u8> {
    let octets = fs::read(path).unwrap();
    let bare = octets.starts_with(b"0") || octets.starts_with(b"-----BEGIN");
    if bare { mail(&octets) } else { octets }
}

#[test]
fn other_peoples_messages_open() {
    let Some(folder) = corpus("") else { return };
    for suite in SUITES {
        let keys = suite.keys(&folder);
        for (name, cipher) in suite.messages {
            let octets = read(&folder.join(suite.folder).join(name));
            let opened = open_with(&octets, &keys, Legacy::Admit, Limits::default());
            let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
            let LayerKind::Encrypted { cipher: found, .. } = &opened.layers[0].kind else { panic!("{name}") };
            assert_eq!(found, cipher, "{name}");
            assert!(opened.payload.root().header("Content-Type").is_some(), "{name}");
        }
    }
}

#[test]
fn other_peoples_broken_messages_do_not() {
    let Some(folder) = corpus("") else { return };
    let recipes = "openssl-test/openssl-3.0.22/test/recipes";
    let changed = (Kind::Undecryptable, "enveloped data: it does not decrypt: it was damaged or changed");
    let path = folder.join(recipes).join("80-test_cms_data/bad_authenveloped_attrs.pem");
    assert_eq!(refusal(open(&read(&path), &passwords(&[KEK]))), (changed.0, changed.1.to_owned()));
    let agreement = |oid: &str| format!("key agreement algorithm {oid} is not known, or its parameters cannot be read");
    for (name, why) in [
        ("dh-malformed.der", agreement("1.2.840.113549.1.9.16.3.5")),
        ("ecdh-malformed.der", agreement("1.3.132.1.11.1")),
        ("rsa-malformed.der", "the parameters of RSAES-OAEP cannot be read (RFC 4055, section 4)".to_owned()),
    ] {
        let path = folder.join("openssl-test/openssl-3.6.3/test/recipes/80-test_cms_data").join(name);
        let (kind, text) = refusal(open(&read(&path), &Memory::new()));
        assert!(kind == Kind::NoKey && text.ends_with(&format!(" cannot be unwrapped: {why}")), "{name}: {text}");
    }
    // Made for an older key of Bob's: Bob's keys are tried, and none must be taken for right.
    let suite = &SUITES[1];
    let opened = open(&read(&folder.join(suite.folder).join("alice.mime.env")), &suite.keys(&folder));
    let (kind, text) = refusal(opened);
    assert_eq!(kind, Kind::NoKey);
    assert!(
        text.starts_with("enveloped data: no secret key for any recipient (serial 28 of CN=NSS Test CA,"),
        "{text}"
    );
}

/// The signer of a ciphertext need not know its content: only a signature inside counts (RFC 2634, section 1.1).
#[test]
fn a_signature_around_a_ciphertext_does_not_cover_its_content() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = &*LAB;
    let keys = lab.keys(&["rsa", "other"]);
    let signed = |input: &str, output: &str, form: &[&str]| {
        let arguments =
            ["cms", "-sign", "-binary", "-signer", "other.crt", "-inkey", "other.key", "-in", input, "-out", output];
        assert!(lab.openssl(&arguments).args(form).output().unwrap().status.success());
    };
    signed("text", "inner.eml", &[]);
    signed("text", "inner-opaque.eml", &["-nodetach"]);
    for cipher in ["-aes256", "-aes-256-gcm"] {
        for (name, expected) in
            [("text", Standing::Unsigned), ("inner.eml", Standing::Signed), ("inner-opaque.eml", Standing::Signed)]
        {
            let sealed = format!("sealed{cipher}-{name}");
            let arguments = ["cms", "-encrypt", "-binary", cipher, "-in", name, "-out", &sealed, "rsa.crt"];
            assert!(lab.openssl(&arguments).output().unwrap().status.success());
            let (clear, opaque) = (format!("clear-{sealed}"), format!("opaque-{sealed}"));
            signed(&sealed, &clear, &[]);
            signed(&sealed, &opaque, &["-nodetach"]);
            for outermost in [sealed, clear, opaque] {
                let octets =
                    [b"From: other@example.org\n", fs::read(lab.path(&outermost)).unwrap().as_slice()].concat();
                let revocation = Revocation::Off;
                let context = Context {
                    keys: &keys,
                    clock: &SystemClock,
                    random: &SystemRandom,
                    legacy: Legacy::Refuse,
                    revocation,
                };
                let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
                let opening = Engine::new(context, Limits::default()).open(message).unwrap();
                assert_eq!(opening.error(), None, "{outermost}");
                assert_eq!(opening.verdict().standing(), expected, "{outermost}");
                assert!(opening.verdict().is_confidential());
                assert!(opening.payload().unwrap().octets().ends_with(b"who come with him.\r\n"), "{outermost}");
            }
        }
    }
}
