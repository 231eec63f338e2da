//! What is left in the memory of the service when mail has gone through it: a core of each of its processes is searched for texts, keys and
//! passwords that the test knows.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use sequoia_openpgp::{Cert, crypto::mpi::SecretKeyMaterial, packet::key::SecretKeyMaterial as Material, parse::Parse};

use crate::{
    proxy::{Proxy, TRUSTED},
    support::{
        clients::{self, Letter},
        ports::free_port,
        postfix::{Sink, present, run_with},
        processes,
        requirements::missing,
    },
};

/// Something that must not stay, and how it looks in memory.
struct Needle {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Needle {
    fn text(name: &str, text: &str) -> Needle {
        // The marks have lengths that are multiples of 3 and stand at the start of the text.
        Needle { name: name.to_owned(), forms: vec![text.as_bytes().to_vec(), STANDARD.encode(text).into_bytes()] }
    }

    /// Octets, as numbers of libraries too, whose lowest octet is first.
    fn octets(name: &str, octets: &[u8]) -> Needle {
        let mut reversed = octets.to_vec();
        reversed.reverse();
        Needle { name: name.to_owned(), forms: vec![octets.to_vec(), reversed] }
    }
}

#[test]
fn nothing_stays_in_memory() {
    if !present(&["openssl", "gpg", "python3"]) {
        return;
    }
    let sink = Sink::start();
    let [login, milter] = [free_port(), free_port()];
    let mut needles = Vec::new();
    let more = "passphrases.file = \"pass\"";
    let proxy = Proxy::build(sink.port(), more, &format!("{TRUSTED}\ntrusted.peers = [\"127.0.0.1\"]"), RULES, |proxy| {
        write_private(proxy, "pass", format!("{PASSPHRASE}\n").as_bytes());
        let pass = proxy.path("pass").display().to_string();
        let with_pass = ["--passphrase-file", &pass];
        let generate = ["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "dora@example.org"];
        proxy.postseal(&[&with_pass[..], &generate].concat());
        proxy.postseal(&[&with_pass[..], &["key", "generate", "-f", "pgp", "dora@example.org"]].concat());
        fs::write(proxy.path("word"), format!("{PASSWORD}\n")).expect("a file");
        let word = proxy.path("word").display().to_string();
        let line = proxy.postseal(&["--passphrase-file", &word, "config", "user", "a"]);
        write_private(proxy, "users", &line);
        needles.extend(rsa_numbers(proxy, &pass));
        needles.extend(scalars(proxy));
        format!(
            "[[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{login}\"\ntls = \"starttls\"\nauth = \"here\"\n\
             users = \"users\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
             [[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:{milter}\"\n"
        )
    });
    needles.push(Needle::text("passphrase", PASSPHRASE));
    needles.push(Needle::text("password", PASSWORD));

    // Out: signed and encrypted, in clear SMTP and after a login under TLS.
    let out = |mark: &str| format!("From: alice@example.org\r\nTo: bob@example.net\r\nSubject: x{mark}\r\n\r\n{mark}\r\n");
    let said = clients::dialogue(
        proxy.port(),
        "EHLO",
        &Letter { client: "127.0.0.1", sender: "alice@example.org", recipient: "bob@example.net", message: &out(MARKS[0]) },
    );
    assert!(said.starts_with("250"), "{said}");
    let script = format!(
        "import smtplib\ns = smtplib.SMTP('127.0.0.1', {login})\ns.starttls()\ns.login('a', '{PASSWORD}')\n\
         s.sendmail('alice@example.org', ['bob@example.net'], '''{}''')\ns.quit()\n",
        out(MARKS[1]).replace("\r\n", "\\n")
    );
    let python = run_with(Command::new("python3").arg("-"), script.as_bytes());
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let sealed = sink.wait_for(2);
    for (received, mark) in sealed.iter().zip(MARKS) {
        assert!(proxy.gpg_decrypt("bob@example.net", &received.message).contains(mark), "{}", received.text());
        needles.push(Needle::octets("session key of a message that was encrypted", &session_key(&proxy, &received.message)));
    }
    // In: decrypted, by LMTP and by a milter.
    let inbound: [(&str, &[&str], &str); 3] = [
        ("pgp", &[], "alice@example.org"),
        ("smime", &["--aead"], "dora@example.org"),
        ("pgp", &[], "dora@example.org"),
    ];
    for (number, (protocol, aead, to)) in inbound.into_iter().enumerate() {
        let mark = MARKS[2 + number];
        let text = format!(
            "From: bob@example.net\r\nTo: {to}\r\nSubject: in\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            STANDARD.encode(mark)
        );
        fs::write(proxy.path("in.eml"), text).expect("a file");
        let input = proxy.path("in.eml").display().to_string();
        let message = proxy.postseal(&[&["encrypt", "-f", protocol, "--no-self", "--to", to, &input][..], aead].concat());
        let message = String::from_utf8(message).expect("text");
        let message = message.replace("\r\n", "\n").replace('\n', "\r\n");
        let letter = Letter { client: "192.0.2.1", sender: "bob@example.net", recipient: to, message: &message };
        let said = clients::dialogue(proxy.lmtp(), "LHLO", &letter);
        assert!(said.starts_with("250"), "{said}");
        assert!(sink.wait_for(3 + number)[2 + number].text().contains(&STANDARD.encode(mark)), "{}", proxy.log());
        assert!(clients::milter(milter, &letter).starts_with(['a', 'c', 'd']));
    }
    for (number, mark) in MARKS.into_iter().enumerate() {
        needles.push(Needle::text(&format!("text {number}"), mark));
    }
    std::thread::sleep(Duration::from_millis(300));
    for process in proxy.processes() {
        let Some(regions) = processes::memory(process) else {
            missing("the right to read the memory of a process");
            return;
        };
        println!("{process}: {} MB", regions.iter().map(|region| region.octets.len()).sum::<usize>() / 1_000_000);
        for needle in &needles {
            for form in &needle.forms {
                for region in &regions {
                    for at in memmem::find_iter(&region.octets, form) {
                        let around = &region.octets[at.saturating_sub(48)..(at + form.len() + 48).min(region.octets.len())];
                        println!("  {} in {:?} +{at}/{}: {}", needle.name, region.name, region.octets.len(), around.escape_ascii());
                    }
                }
            }
        }
    }
}

fn write_private(proxy: &Proxy, name: &str, octets: &[u8]) {
    fs::write(proxy.path(name), octets).expect("a file");
    fs::set_permissions(proxy.path(name), fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// The secret numbers of dora's RSA key.
fn rsa_numbers(proxy: &Proxy, pass: &str) -> Vec<Needle> {
    let (archive, key) = (proxy.path("dora.p12"), proxy.path("dora.pem"));
    let export = ["--passphrase-file", pass, "key", "export", "-f", "smime", "--secret", "--binary", "dora@example.org"];
    fs::write(&archive, proxy.postseal(&export)).expect("a file");
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-nodes", "-nocerts", "-passin", &format!("pass:{PASSPHRASE}"), "-in"]).arg(&archive);
    assert!(run_with(command.arg("-out").arg(&key), b"").status.success());
    let numbers = |file: &str, whose: &str| {
        let mut command = Command::new("openssl");
        let output = run_with(command.args(["rsa", "-noout", "-text", "-in"]).arg(proxy.path(file)), b"");
        let text = String::from_utf8(output.stdout).expect("text");
        let number = |name: &str| {
            let lines = text.lines().skip_while(|line| !line.starts_with(name)).skip(1);
            let hex: String = lines.take_while(|line| line.starts_with(' ')).map(|line| line.trim().replace(':', "")).collect();
            unhex(hex.trim_start_matches("00"))
        };
        ["privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"]
            .map(|name| Needle::octets(&format!("{whose}, {name}"), &number(name)))
    };
    [numbers("dora.pem", "dora's key"), numbers("key.pem", "the key of TLS")].into_iter().flatten().collect()
}

/// The secret scalars of alice's OpenPGP key.
fn scalars(proxy: &Proxy) -> Vec<Needle> {
    let cert = proxy.postseal(&["key", "export", "-f", "pgp", "--secret", "alice@example.org"]);
    let cert = Cert::from_bytes(&cert).expect("a certificate");
    let mut needles = Vec::new();
    for key in cert.keys().secret() {
        let Material::Unencrypted(material) = key.key().secret() else { panic!("it is not locked") };
        needles.push(material.map(|secret| match secret {
            SecretKeyMaterial::EdDSA { scalar } | SecretKeyMaterial::ECDH { scalar } => {
                Needle::octets(&format!("alice's key, {}", key.key().pk_algo()), scalar.value())
            }
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(needles.len(), 2);
    needles
}

/// That of a message to bob, by gpg.
fn session_key(proxy: &Proxy, message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let from = text.find("-----BEGIN PGP MESSAGE").expect("a message");
    let mut command = Command::new("gpg");
    command.env("GNUPGHOME", proxy.path("gnupg"));
    command.args(["--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--show-session-key", "--decrypt"]);
    let output = run_with(&mut command, text[from..].as_bytes());
    let said = String::from_utf8_lossy(&output.stderr);
    let key = said.split("session key: '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a session key");
    unhex(key.split_once(':').expect("cipher and key").1)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

const RULES: &str = "[[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"decrypt+annotate\"\n\
                     [[rule]]\nname = \"out\"\naction = \"sign+encrypt\"\n";
const PASSPHRASE: &str = "Zx8rQm2vLk5tWn9pYc3h";
const PASSWORD: &str = "Hd4kTs7wBq1nVf6yJg8e";
const MARKS: [&str; 5] = [
    "AvocadoTrumpetOne/lkjhgf",
    "BicycleHarbourTwo/qwerty",
    "CactusLanternThree/zxcvb",
    "DolphinMarbleFour/poiuyt",
    "EclipseNapkinFive/mnbvcx",
];
