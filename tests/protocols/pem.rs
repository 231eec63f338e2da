//! Classic PEM: other people's messages and keys, our own there and back, and what openssl says of ours.

mod people;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use people::{file, people, postseal, run};
use postseal::{
    base::{Budget, FixedClock, Limits, Secret, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::{Engine, Opening},
    keys::{Binding, Keys, Memory, Passphrases, ProtocolName, Query, Want},
    mail::{
        Address, Message,
        encoding::{base64_decode, base64_encode},
    },
    pki::Revocation,
    protocol::{
        Context,
        pem::{
            boundary,
            header::{KeyInfo, ProcType},
            services, text,
        },
    },
    store,
    verdict::{LayerKind, Signature, Standing, State, Why},
};

use crate::support::requirements::corpus;

fn open(octets: &[u8], keys: &dyn Keys, at: &str, legacy: Legacy) -> Opening {
    let clock = FixedClock(parse_rfc3339(at).unwrap());
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    engine.open(Message::parse(octets.to_vec(), &mut engine.budget()).unwrap()).unwrap()
}

fn keys(files: &[PathBuf], passphrase: &str) -> Memory {
    let octets: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().zip(&octets).map(|(file, octets)| (file.to_str().unwrap(), octets.as_slice())).collect();
    let passphrases = Arc::new(Passphrases::new(vec![Secret::from(passphrase)]));
    store::load(&files, &passphrases, &Limits::default()).unwrap().keys
}

fn signature(opening: &Opening) -> &Signature {
    let layers = opening.verdict().layers();
    let signed = layers.iter().find_map(|layer| match &layer.kind {
        LayerKind::Signed { signatures } => signatures.first(),
        _ => None,
    });
    signed.unwrap_or_else(|| panic!("no signature: {:?}", opening.error()))
}

fn written(opening: &Opening) -> String {
    let mut text = Vec::new();
    opening.write(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The key of RIPEM's `test`.
const BARE: &str = "231691661A9F96BFE2A1637E2DFCE805BC8E695126E325BCC54AD60642CFB48D";

const IN_1994: &str = "1994-06-01T00:00:00Z";

#[test]
fn the_intact_filing_matches_and_the_one_without_its_blanks_does_not() {
    let Some(suite) = corpus("pem") else { return };
    let intact = fs::read(suite.join("edgar/0000950129-95-001652.txt")).unwrap();
    let opening = open(&intact, &Memory::new(), "2026-01-01T00:00:00Z", Legacy::Refuse);
    assert_eq!(signature(&opening).state, State::Unknown(Why::BrokenAlgorithm("md5".into())));
    assert_eq!(opening.verdict().standing(), Standing::Unsigned);
    assert!(written(&opening).starts_with("<SEC-DOCUMENT>0000950129-95-001652.txt : 19960102\n"));
    let admitted = open(&intact, &Memory::new(), "2026-01-01T00:00:00Z", Legacy::Admit);
    let found = signature(&admitted);
    assert!(matches!(found.state, State::Valid(_)), "{found:?}");
    assert_eq!(
        (found.algorithms.as_str(), &found.reservation),
        ("rsa511-md5", &Some(Why::BrokenAlgorithm("rsa511".into())))
    );
    assert_eq!(admitted.verdict().standing(), Standing::Signed);

    let damaged = fs::read(suite.join("edgar/0001094891-00-000193.txt")).unwrap();
    let opening = open(&damaged, &Memory::new(), "2026-01-01T00:00:00Z", Legacy::Admit);
    assert_eq!(signature(&opening).state, State::Invalid(Why::Mismatch));
    assert_eq!(opening.verdict().standing(), Standing::Unsigned);
}

#[test]
fn the_filing_in_a_mail_is_authentic_only_when_its_owner_says_whose_key_it_is() {
    let Some(suite) = corpus("pem") else { return };
    let filing = fs::read(suite.join("edgar/0000950129-95-001652.txt")).unwrap();
    let mail = [b"From: webmaster@www.sec.gov\n\n".as_slice(), &filing].concat();
    let known = keys(&[suite.join("edgar/sec-webmaster.spki.b64")], "");
    let opening = open(&mail, &known, IN_1994, Legacy::Admit);
    assert_eq!(opening.verdict().standing(), Standing::Signed);
    let mut record = (*known.find(ProtocolName::Pem, &Query::manage(Want::All)).unwrap()[0]).clone();
    record.bind(Binding::Address(Address::parse("webmaster@www.sec.gov").unwrap()));
    let mut trusted = Memory::new();
    trusted.add(record);
    assert_eq!(open(&mail, &trusted, IN_1994, Legacy::Admit).verdict().standing(), Standing::Authentic);
    assert_eq!(open(&mail, &trusted, IN_1994, Legacy::Refuse).verdict().standing(), Standing::Unsigned);
    // With text around it, the signature does not cover the whole.
    let more = [mail.as_slice(), b"\nand more\n"].concat();
    assert_eq!(open(&more, &trusted, IN_1994, Legacy::Admit).verdict().standing(), Standing::Unsigned);
}

#[test]
fn ripem_messages_decrypt_and_verify() {
    let Some(suite) = corpus("pem") else { return };
    let ripem = suite.join("ripem");
    for private in ["test1.prv", "test112.prv", "test1o.prv"] {
        let keys = keys(&[ripem.join(private)], "test1pw");
        for (name, text) in [
            ("message.enc", "RIPEM test message decrypted properly.\n"),
            (
                "message2.enc",
                "To: test\nSubject: This had better work\n\nThis is the second RIPEM test message.\nLast line of message.\n",
            ),
            ("ede-msg.enc", "RIPEM Triple-DES-encrypted message decrypted OK.\n"),
        ] {
            let sealed = fs::read(ripem.join(name)).unwrap();
            let refused = open(&sealed, &keys, IN_1994, Legacy::Refuse);
            let reason = "pem message: its integrity check is md5, which proves nothing";
            assert_eq!(refused.error().map(ToString::to_string).as_deref(), Some(reason), "{name}");
            let opening = open(&sealed, &keys, IN_1994, Legacy::Admit);
            let found = signature(&opening);
            assert!(matches!(found.state, State::Valid(_)), "{name}: {found:?}");
            assert_eq!(found.algorithms, "rsa516-md5");
            assert_eq!(written(&opening), text, "{name}");
        }
    }
    for (name, text) in [
        (
            "signed.txt",
            "To: test\nSubject: Signature test\n\nThis is the plaintext of a signed message.\nThe message was signed by RIPEMSIG 1.2a.\n",
        ),
        ("signout2.txt", &fs::read_to_string(ripem.join("signin.txt")).unwrap()),
    ] {
        let opening = open(&fs::read(ripem.join(name)).unwrap(), &Memory::new(), IN_1994, Legacy::Admit);
        let found = signature(&opening);
        assert!(matches!(found.state, State::Valid(_)) && found.authenticated.is_empty(), "{name}: {found:?}");
        assert_eq!(written(&opening), text, "{name}");
    }
}

#[test]
fn ripem_keys_are_read_and_a_wrong_digest_is_noticed() {
    let Some(suite) = corpus("pem") else { return };
    let read = |name: &str, passphrase: &str| {
        let octets = fs::read(suite.join("ripem").join(name)).unwrap();
        let passphrases = Arc::new(Passphrases::new(vec![Secret::from(passphrase)]));
        store::load(&[(name, &octets)], &passphrases, &Limits::default())
    };
    let public = read("test1.pub", "").unwrap();
    assert_eq!(public.keys.find(ProtocolName::Pem, &Query::manage(Want::All)).unwrap().len(), 1);
    assert_eq!(public.keys.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap().len(), 1);
    let bad = read("test1bad.pub", "").unwrap();
    assert_eq!(bad.keys.find(ProtocolName::Pem, &Query::manage(Want::All)).unwrap().len(), 0);
    assert_eq!(bad.skipped, ["test1bad.pub: public key 2: does not match its MD5OfPublicKey"]);
    assert_eq!(read("test1.prv", "wrong").unwrap().skipped, ["test1.prv: private key of test: no passphrase fits"]);
}

#[test]
fn the_figures_of_rfc_1421() {
    let Some(suite) = corpus("pem") else { return };
    let read = |name: &str| fs::read(suite.join("rfc1421").join(name)).unwrap();
    let header = |octets: &[u8]| {
        let block = boundary::blocks(octets).next().unwrap();
        text::read(block.inside.of(octets), &Budget::new(Limits::default())).unwrap().0
    };
    let two = header(&read("figure2.pem"));
    assert_eq!((two.version.as_str(), two.proc_type), ("4", ProcType::Encrypted));
    assert_eq!(two.content_domain.as_deref(), Some("RFC822"));
    let dek = two.dek_info.unwrap();
    assert_eq!((dek.algorithm.as_str(), dek.parameters.len()), ("DES-CBC", 8));
    assert_eq!(two.originators[0].shared_key.as_ref().unwrap().entity, "linn@zendia.enet.dec.com");
    let readers: Vec<_> = two.recipients.iter().map(|one| one.shared_key.clone().unwrap()).collect();
    assert_eq!(readers[0].authority, "ptf-kmc");
    assert_eq!((readers[1].entity.as_str(), readers[1].version.as_str()), ("pem-dev@tis.com", "4"));
    let Some(KeyInfo::Symmetric { algorithm, digest, dek, mic }) = &two.recipients[1].key_info else { panic!() };
    assert_eq!((algorithm.as_str(), digest.as_str(), dek.len(), mic.len()), ("DES-ECB", "RSA-MD2", 8, 16));

    let three = header(&read("figure3.pem"));
    let originator = &three.originators[0];
    assert!(matches!(&originator.key_info, Some(KeyInfo::Asymmetric { dek, .. }) if dek.len() == 64));
    assert_eq!((originator.issuers.len(), originator.mic_info.as_ref().unwrap().value.len()), (1, 72));
    assert_eq!(three.recipients[0].certificate_id.as_ref().unwrap().serial, [0x66]);

    let opening = open(&read("figure4.pem"), &Memory::new(), "1992-01-01T00:00:00Z", Legacy::Admit);
    assert!(matches!(signature(&opening).state, State::Valid(_)), "{:?}", signature(&opening));
    assert_eq!(
        written(&opening),
        "- A message for use in testing.\n- Following is a blank line:\n\nThis is the end.\n"
    );
    let late = open(&read("figure4.pem"), &Memory::new(), IN_1994, Legacy::Admit);
    assert_eq!(signature(&late).state, State::Invalid(Why::CertificateExpired));
}

const MAIL: &str =
    "From: alice@example.org\nTo: bob@example.org\nSubject: t\n\nHello\n-a dash\n- another\n\nFrom here on\n";

/// Every form, by algorithms old and new, in a mail and as a file; written is what was sealed, and openssl finds the same text and digest.
#[test]
fn there_and_back_and_openssl_agrees() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocols/pem/independent.sh");
    let file_text = "name : not a header\n\n-dash\nno break at the end";
    let mut cases = Vec::new();
    for digest in ["md2", "md5", "sha1", "sha256"] {
        let signed = vec!["--legacy", "--digest", digest];
        cases.extend([("clear", signed.clone()), ("only", signed.clone())]);
        cases.extend(["des", "3des", "aes256"].map(|name| ("encrypted", [&signed[..], &["--cipher", name]].concat())));
    }
    cases.extend([("clear", vec![]), ("only", vec![]), ("encrypted", vec![])]);
    for (name, text) in [("mail", MAIL), ("file", file_text)] {
        for (form, algorithms) in &cases {
            let (form, case) = (*form, format!("{name} {form} {algorithms:?}"));
            let plain = people().join(format!("{name}.plain"));
            fs::write(&plain, text).unwrap();
            let sealed = people().join(format!("{name}.sealed"));
            let mut command = postseal();
            command.arg("--keys").arg(file("alice.pem")).arg("--keys").arg(file("bob.crt"));
            match form {
                "encrypted" => command.args(["encrypt", "--to", "bob@example.org", "--sign"]),
                "only" => command.args(["sign", "--opaque"]),
                _ => command.arg("sign"),
            };
            command.args(["-f", "pem", "--as", "alice@example.org"]).args(algorithms);
            if name == "file" {
                command.args(["--text", "--from", "alice@example.org"]);
            }
            run(command.arg("-o").arg(&sealed).arg("--").arg(&plain));
            let with_keys = |verb: &str| {
                let mut command = postseal();
                command.arg("--keys").arg(file("bob.pem")).arg("--anchors").arg(file("alice.crt"));
                command.args(["--legacy", verb]);
                command
            };
            let clear_end = if form == "clear" && !text.ends_with('\n') { "\n" } else { "" };
            let opened = run(with_keys("decrypt").arg(&sealed)).stdout;
            let opened = String::from_utf8(opened).unwrap();
            // A text comes back as the body of the message that was made of it.
            let opened = if name == "mail" { &opened } else { opened.split_once("\n\n").unwrap().1 };
            assert_eq!(opened, format!("{text}{clear_end}"), "{case}");
            run(with_keys("verify").arg(&sealed));

            // openssl forgot MD2.
            if algorithms.contains(&"md2") {
                continue;
            }
            let reader = file("bob.key");
            let found = run(Command::new("sh").arg(&script).arg(&sealed).arg(file("alice.crt")).arg(&reader)).stdout;
            let body = if name == "mail" { text.split_once("\n\n").unwrap().1 } else { text };
            let expected = format!("{body}{clear_end}").replace('\n', "\r\n");
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{case}");
        }
    }
}

#[test]
fn an_interchange_key_seals_and_opens() {
    let plain = people().join("shared.eml");
    fs::write(&plain, MAIL).unwrap();
    let interchange = [("0123456789abcdef", "des"), ("0123456789abcdeffedcba9876543210", "3des")];
    let texts = [MAIL, "From: alice@example.org\n\nanother\n"];
    // The 20 octets of SHA-1 are no whole blocks.
    let digests = ["md2", "md5", "sha256"];
    let cases = interchange.iter().flat_map(|key| digests.map(|digest| (key, digest)));
    let cases = cases.flat_map(|case| ["des", "3des", "aes256"].map(|cipher| (case, cipher)));
    for (((digits, wrap), digest, cipher), text) in
        cases.flat_map(|((key, digest), cipher)| texts.map(|text| ((*key, digest, cipher), text)))
    {
        fs::write(&plain, text).unwrap();
        let (algorithms, found) = (["--digest", digest, "--cipher", cipher], format!("{wrap}-{digest}"));
        let secret = people().join("interchange");
        fs::write(&secret, digits).unwrap();
        let sealed = people().join("shared.pem.eml");
        let mut command = postseal();
        command.arg("--passphrase-file").arg(&secret).args(["--legacy", "encrypt", "-f", "pem", "--password"]);
        run(command.args(algorithms).arg("-o").arg(&sealed).arg(&plain));
        let mut keys = Memory::new();
        keys.add_password(Secret::from(digits));
        let opening = open(&fs::read(&sealed).unwrap(), &keys, "2030-01-01T00:00:00Z", Legacy::Admit);
        assert_eq!(written(&opening), text);
        let signature = signature(&opening);
        assert!(matches!(signature.state, State::Valid(_)) && signature.authenticated.is_empty());
        assert_eq!(signature.algorithms, found);
        let mut wrong = Memory::new();
        wrong.add_password(Secret::from(digits.replace('0', "8").as_str()));
        let refused = open(&fs::read(&sealed).unwrap(), &wrong, "2030-01-01T00:00:00Z", Legacy::Admit);
        assert_eq!(refused.error().unwrap().to_string(), "pem message: no secret key opens it");
    }
}

/// No flipped bit leaves another text with a valid signature, and none panics.
#[test]
fn a_flipped_bit_is_noticed() {
    let plain = people().join("flip.eml");
    fs::write(&plain, MAIL).unwrap();
    for verb in [&["sign"][..], &["sign", "--opaque"], &["encrypt", "--sign", "--to", "bob@example.org"]] {
        let sealed = people().join("flip.sealed");
        let mut command = postseal();
        command.arg("--keys").arg(file("alice.pem")).arg("--keys").arg(file("bob.crt")).args(verb);
        run(command.args(["-f", "pem"]).arg("-o").arg(&sealed).arg("--").arg(&plain));
        let octets = fs::read(&sealed).unwrap();
        let keys = keys(&[file("bob.pem"), file("alice.crt")], "");
        let intact = open(&octets, &keys, "2030-01-01T00:00:00Z", Legacy::Refuse);
        assert_eq!((intact.verdict().standing(), written(&intact).as_str()), (Standing::Signed, MAIL));
        let body = octets.windows(5).position(|found| found == b"-----").unwrap();
        for at in (body..octets.len()).step_by(7) {
            let mut changed = octets.clone();
            changed[at] ^= 1 << (at % 7);
            let opening = open(&changed, &keys, "2030-01-01T00:00:00Z", Legacy::Refuse);
            if opening.verdict().standing() > Standing::Unsigned {
                let text = written(&opening);
                assert_eq!(text.trim_end(), MAIL.trim_end(), "octet {at} of {verb:?}");
            }
        }
    }
}

/// Wrong padding and a wrong digest are one answer: to tell them apart decrypts the text, octet for octet (Vaudenay 2002).
#[test]
fn what_was_changed_is_one_answer() {
    let (plain, sealed) = (people().join("oracle.eml"), people().join("oracle.sealed"));
    fs::write(&plain, MAIL).unwrap();
    let mut command = postseal();
    command.arg("--keys").arg(file("alice.pem")).arg("--keys").arg(file("bob.crt"));
    run(command
        .args(["encrypt", "--sign", "--to", "bob@example.org", "-f", "pem", "-o"])
        .arg(&sealed)
        .arg("--")
        .arg(&plain));
    let text = fs::read_to_string(&sealed).unwrap();
    let keys = keys(&[file("bob.pem"), file("alice.crt")], "");
    assert!(text.contains("DEK-Info: AES-256-CBC,"));
    // The text is the last thing: every value of one octet of the block before the last, so that one of them has right padding.
    let end = text.find("-----END").unwrap();
    let start = text[..end].trim_end().rfind("\n\n").or_else(|| text[..end].rfind("\r\n\r\n")).unwrap();
    let ciphertext = base64_decode(&text.as_bytes()[start..end]);
    let mut answers = BTreeSet::new();
    for value in 1..=255 {
        let mut changed = ciphertext.clone();
        let at = changed.len() - 17;
        changed[at] ^= value;
        let changed = String::from_utf8(base64_encode(&changed)).unwrap();
        let message = format!("{}\n\n{changed}\n{}", &text[..start], &text[end..]);
        let opening = open(message.as_bytes(), &keys, "2030-01-01T00:00:00Z", Legacy::Refuse);
        answers.insert(opening.error().map(ToString::to_string));
    }
    let answer = "pem message: its integrity check does not hold: it was changed on the way";
    assert_eq!(answers, BTreeSet::from([Some(answer.to_owned())]));
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let html = people().join("html.eml");
    fs::write(&html, "From: alice@example.org\nContent-Type: text/html\n\n<p>").unwrap();
    let plain = people().join("refused.eml");
    fs::write(&plain, MAIL).unwrap();
    for (arguments, message, error) in [
        (&["sign"][..], &html, "pem: the message is text/html, not text/plain"),
        (&["sign", "--digest", "md5"], &plain, "digest md5: broken, not written"),
        (&["sign", "--digest", "sha224"], &plain, "digest sha224: pem has no name for it"),
        (&["sign", "--protect-headers"], &plain, "pem: the header cannot be protected"),
        (&["sign", "--as", "carol@example.org"], &plain, "carol@example.org: no signing key of rsa"),
        (&["encrypt", "--cipher", "des", "--to", "bob@example.org"], &plain, "cipher des: broken, not written"),
        (&["encrypt", "--hidden-to", "bob@example.org"], &plain, "bob@example.org: pem names every recipient"),
        (&["encrypt", "--to", "carol@example.org"], &plain, "carol@example.org: no encryption key of rsa"),
    ] {
        let mut command = postseal();
        command.arg("--keys").arg(file("alice.pem")).arg("--keys").arg(file("bob.crt"));
        let output = command.args(arguments).args(["-f", "pem", "--"]).arg(message).output().unwrap();
        let first = String::from_utf8(output.stderr).unwrap();
        assert_eq!(first.lines().next(), Some(format!("postseal: error: {error}").as_str()), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

/// RFC 1422, section 3.6: IPRA, PCA, an organization's authority, and a user; one of them not below it in name.
#[test]
fn names_are_subordinate() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("ext"), "basicConstraints=CA:TRUE\n").unwrap();
    fs::write(path("none"), "basicConstraints=CA:FALSE\n").unwrap();
    let issue = |name: &str, subject: &str, issuer: Option<&str>, extensions: Option<&str>| {
        let (key, csr, crt) =
            (path(&format!("{name}.key")), path(&format!("{name}.csr")), path(&format!("{name}.crt")));
        run(Command::new("openssl")
            .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", &key, "-out", &csr]));
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-in", &csr, "-days", "36500", "-out", &crt]);
        match issuer {
            Some(issuer) => sign.args([
                "-CAcreateserial",
                "-CA",
                &path(&format!("{issuer}.crt")),
                "-CAkey",
                &path(&format!("{issuer}.key")),
            ]),
            None => sign.args(["-signkey", &key]),
        };
        if let Some(extensions) = extensions {
            sign.args(["-extfile", &path(extensions)]);
        }
        run(&mut sign);
    };
    // Without extensions openssl makes version 1, as RFC 1422 has it.
    issue("ipra", "/C=US/O=Internet/CN=IPRA", None, None);
    issue("pca", "/C=CH/O=Policy", Some("ipra"), None);
    issue("ca", "/C=US/O=Example", Some("pca"), None);
    issue("good", "/C=US/O=Example/CN=Alice/emailAddress=alice@example.org", Some("ca"), None);
    issue("bad", "/C=US/O=Other/CN=Alice/emailAddress=alice@example.org", Some("ca"), None);
    let mail = path("mail.eml");
    fs::write(&mail, MAIL).unwrap();
    let verified = |leaf: &str, anchor: &str| {
        let chain = ["key", "crt"].map(|ending| fs::read(path(&format!("{leaf}.{ending}"))).unwrap()).concat();
        fs::write(path("leaf.pem"), chain).unwrap();
        let sealed = path("sealed.eml");
        let mut sign = postseal();
        for keys in ["leaf.pem", "ca.crt", "pca.crt", "ipra.crt"] {
            sign.arg("--keys").arg(path(keys));
        }
        run(sign.args(["sign", "-f", "pem", "-o", &sealed, &mail]));
        let mut verify = postseal();
        verify.args(["--revocation", "off", "--anchors", &path(&format!("{anchor}.crt")), "verify", "--json", &sealed]);
        String::from_utf8(verify.output().unwrap().stdout).unwrap()
    };
    for anchor in ["ipra", "pca"] {
        let good = verified("good", anchor);
        assert!(good.contains(r#""standing":"authentic""#), "{anchor}: {good}");
        let bad = verified("bad", anchor);
        assert!(bad.contains(r#""standing":"unsigned""#), "{anchor}: {bad}");
        assert!(bad.contains("not below the name of its issuer (RFC 1422, section 3.6)"), "{anchor}: {bad}");
    }
}

#[test]
fn a_message_within_a_message_is_peeled() {
    let sealed = |name: &str, body: &[u8]| {
        let octets = [b"From: alice@example.org\n\n", body].concat();
        let (plain, sealed) = (people().join(format!("{name}.in")), people().join(format!("{name}.out")));
        fs::write(&plain, octets).unwrap();
        let mut command = postseal();
        command.arg("--keys").arg(file("alice.pem")).args(["sign", "-f", "pem", "--as", "alice@example.org"]);
        run(command.arg("-o").arg(&sealed).arg(&plain));
        let sealed = fs::read(sealed).unwrap();
        // The PEM message alone, as a file that no mail is around.
        sealed[sealed.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2..].to_vec()
    };
    let twice = sealed("outer", &sealed("inner", b"a text\n"));
    let opening = open(&twice, &keys(&[file("alice.crt")], ""), "2030-01-01T00:00:00Z", Legacy::Refuse);
    assert_eq!(opening.verdict().layers().len(), 2);
    assert_eq!(written(&opening), "a text\n");
    // Two in one text: each covers a part, and none the whole.
    let pair = [sealed("one", b"one\n"), sealed("two", b"two\n")].concat();
    assert_eq!(boundary::blocks(&pair).count(), 2);
    let opening = open(&pair, &Memory::new(), "2030-01-01T00:00:00Z", Legacy::Refuse);
    assert_eq!((opening.verdict().standing(), opening.verdict().errant().len()), (Standing::Unsigned, 2));
    // All of many, as far as the Budget goes.
    let crowd = sealed("many", b"many\n").repeat(40);
    let opening = open(&crowd, &Memory::new(), "2030-01-01T00:00:00Z", Legacy::Refuse);
    assert_eq!(opening.verdict().standing(), Standing::Unsigned);
    assert!((8..=32).contains(&opening.verdict().errant().len()), "{}", opening.verdict().errant().len());
}

#[test]
fn a_home_keeps_bare_keys() {
    let Some(suite) = corpus("pem") else { return };
    let home = tempfile::TempDir::new().unwrap();
    let place = home.path().join("home");
    let secret = people().join("test1pw");
    fs::write(&secret, "test1pw\n").unwrap();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(&place).arg("--passphrase-file").arg(&secret);
        command
    };
    run(command().args(["key", "import"]).arg(suite.join("ripem/test1.prv")));
    let text = run(command().args(["--legacy", "decrypt"]).arg(suite.join("ripem/message.enc"))).stdout;
    assert_eq!(text, b"RIPEM test message decrypted properly.\n");
    let listed = String::from_utf8(run(command().args(["key", "list"])).stdout).unwrap();
    assert!(listed.contains("rsa516  sign, encrypt  secret  bare"), "{listed}");
    run(command().args(["key", "show", BARE]));
    run(command().args(["key", "list", "--json"]));
    let exported = run(command().args(["key", "export", BARE])).stdout;
    let exported = store::load(&[("x", &exported)], &Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    assert_eq!(
        exported.keys.find(ProtocolName::Pem, &Query::manage(Want::All)).unwrap()[0].fingerprint().as_str(),
        BARE
    );
    // The secret half too, as it is held.
    let exported = run(command().args(["key", "export", "--secret", BARE])).stdout;
    let passphrases = Arc::new(Passphrases::new(vec![Secret::from("test1pw")]));
    let again = store::load(&[("x", &exported)], &passphrases, &Limits::default()).unwrap().keys;
    let record = again.find(ProtocolName::Pem, &Query::manage(Want::All)).unwrap().remove(0);
    assert!(again.secret(&record, record.fingerprint()).unwrap().is_some());
    // Sealed by and to the bare key, as RIPEM did it.
    run(command().args(["key", "trust", BARE, "alice@example.org"]));
    let (plain, sealed) = (people().join("bare.eml"), people().join("bare.sealed"));
    fs::write(&plain, MAIL).unwrap();
    let old = ["--legacy", "encrypt", "-f", "pem", "--digest", "md5", "--cipher", "des", "--to", "alice@example.org"];
    run(command().args(old).arg("-o").arg(&sealed).arg("--").arg(&plain));
    let block = fs::read_to_string(&sealed).unwrap();
    for line in
        ["Proc-Type: 2001,ENCRYPTED\n", "Originator-Name: alice@example.org\n", "Recipient-Name: alice@example.org\n"]
    {
        assert!(block.contains(line), "{block}");
    }
    assert_eq!(run(command().args(["--legacy", "decrypt"]).arg(&sealed)).stdout, MAIL.as_bytes());
    run(command().args(["--legacy", "verify"]).arg(&sealed));
}

/// RFC 1421, section 4.6.1.1.4: a list of openssl's in a message of its own takes a certificate back.
#[test]
fn a_crl_message_revokes() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    let subject = "/C=US/O=Example/CN=Alice/emailAddress=alice@example.org";
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "36500",
        "-subj",
        "/C=US/O=Example",
        "-keyout",
        &path("ca.key"),
        "-out",
        &path("ca.crt"),
    ]);
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        &path("a.key"),
        "-out",
        &path("a.csr"),
    ]);
    openssl(&[
        "x509",
        "-req",
        "-in",
        &path("a.csr"),
        "-days",
        "36500",
        "-CAcreateserial",
        "-CA",
        &path("ca.crt"),
        "-CAkey",
        &path("ca.key"),
        "-out",
        &path("a.crt"),
    ]);
    let config =
        format!("[ca]\ndefault_ca=d\n[d]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=3000\n", path("index"));
    fs::write(path("ca.cnf"), config).unwrap();
    fs::write(path("index"), "").unwrap();
    let ca = ["-config", &path("ca.cnf"), "-keyfile", &path("ca.key"), "-cert", &path("ca.crt")];
    openssl(&[&["ca"], &ca[..], &["-revoke", &path("a.crt")]].concat());
    openssl(&[&["ca"], &ca[..], &["-gencrl", "-out", &path("crl.pem")]].concat());
    let list = fs::read_to_string(path("crl.pem")).unwrap();
    let lines: Vec<String> =
        list.lines().filter(|line| !line.starts_with('-')).map(|line| format!(" {line}\n")).collect();
    let message = format!(
        "Some words.\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,CRL\nCRL:\n{}-----END PRIVACY-ENHANCED MESSAGE-----\n",
        lines.concat()
    );
    fs::write(path("crl.txt"), message).unwrap();
    fs::write(path("mail.eml"), MAIL).unwrap();
    let chain = ["a.key", "a.crt"].map(|name| fs::read(path(name)).unwrap()).concat();
    fs::write(path("a.pem"), chain).unwrap();
    run(postseal().args(["--keys", &path("a.pem"), "sign", "-f", "pem", "-o", &path("sealed.eml"), &path("mail.eml")]));
    let verify = |more: &[&str]| {
        let anchors = ["--anchors", &path("ca.crt"), "verify", "--json", &path("sealed.eml")];
        String::from_utf8(postseal().args(more).args(anchors).output().unwrap().stdout).unwrap()
    };
    assert!(verify(&[]).contains(r#""standing":"authentic""#));
    let revoked = verify(&["--crls", &path("crl.txt")]);
    assert!(revoked.contains(r#""standing":"unsigned""#) && revoked.contains("the key is revoked"), "{revoked}");
}

/// A request, the authority's answer, and its revocation list by mail: openssl is the authority.
#[test]
fn the_services_of_rfc_1424() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(path("home"));
        command
    };
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    let made = ["key", "generate", "-f", "smime", "--no-passphrase", "--algorithm", "rsa2048", "alice@example.org"];
    run(command().args(made));
    run(command().args(["key", "request", "-f", "pem", "-o", &path("request"), "alice@example.org"]));
    run(command().args(["key", "export", "-f", "smime", "-o", &path("own.crt"), "alice@example.org"]));
    let authority = ["-subj", "/O=Example", "-days", "9000", "-keyout", &path("ca.key"), "-out", &path("ca.crt")];
    openssl(&[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"], &authority[..]].concat());
    let issue = ["-CA", &path("ca.crt"), "-CAkey", &path("ca.key"), "-set_serial", "7", "-days", "8000"];
    openssl(&[&["x509", "-in", &path("own.crt"), "-out", &path("new.crt")], &issue[..]].concat());
    let chain = ["new.crt", "ca.crt"].map(|name| fs::read(path(name)).unwrap()).concat();
    fs::write(path("chain"), chain).unwrap();
    let reply = |request: &str, certificate: &str| {
        let arguments = ["cert", "reply", "--certificate", &path(certificate), "-o", &path("reply"), &path(request)];
        command().args(arguments).output().unwrap()
    };
    // Neither a text that was changed on the way nor another person's certificate is answered.
    let changed = fs::read_to_string(path("request")).unwrap().replace("Please", "please");
    fs::write(path("changed"), changed).unwrap();
    for (request, certificate, code, why) in [
        ("changed", "chain", 65, "certification request: its signature is not valid"),
        ("request", "ca.crt", 64, "certificate: of another key or name than the request's"),
    ] {
        let refused = reply(request, certificate);
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), fs::exists(path("reply")).unwrap()), (Some(code), false), "{error}");
        assert!(error.contains(why), "{error}");
    }
    assert!(reply("request", "chain").status.success());
    let imported = String::from_utf8(run(command().args(["key", "import", &path("reply")])).stdout).unwrap();
    assert_eq!(imported.matches("added").count(), 2, "{imported}");
    let judged =
        || command().args(["cert", "verify", "--anchors", &path("ca.crt"), &path("new.crt")]).output().unwrap();
    assert!(judged().status.success());

    let asked = run(command().args(["cert", "crl-request", &path("new.crt")])).stdout;
    let carried = services::carried(&asked, "request", &Limits::default()).unwrap().unwrap();
    assert_eq!(carried.asked.iter().map(ToString::to_string).collect::<Vec<_>>(), ["O=Example"]);
    let config =
        format!("[ca]\ndefault_ca=d\n[d]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=3000\n", path("index"));
    fs::write(path("ca.cnf"), config).unwrap();
    fs::write(path("index"), "").unwrap();
    let ca = ["-config", &path("ca.cnf"), "-keyfile", &path("ca.key"), "-cert", &path("ca.crt")];
    openssl(&[&["ca"], &ca[..], &["-revoke", &path("new.crt")]].concat());
    openssl(&[&["ca"], &ca[..], &["-gencrl", "-out", &path("crl.pem")]].concat());
    let message = ["cert", "crl-message", "--certificates", &path("ca.crt"), "-o", &path("crl"), &path("crl.pem")];
    run(command().args(message));
    let imported = String::from_utf8(run(command().args(["key", "import", &path("crl")])).stdout).unwrap();
    assert!(imported.contains("added      revocation list of O=Example\n"), "{imported}");
    let refused = judged();
    let why = String::from_utf8(refused.stdout).unwrap();
    assert!(refused.status.code() == Some(1) && why.contains("revoked on"), "{why}");
}
