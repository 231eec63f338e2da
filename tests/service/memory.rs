//! What is left in the memory of the service when mail has gone through it: a core of each of its processes is searched for texts, keys and
//! passwords that the test knows.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;
use sequoia_openpgp::{Cert, crypto::mpi::SecretKeyMaterial, packet::key::SecretKeyMaterial as Material, parse::Parse};

use crate::{
    proxy::{Proxy, TRUSTED},
    submission::dialogue::Client,
    support::{
        clients::{self, Letter},
        ports::free_port,
        postfix::{Sink, present, run_with},
        processes,
        requirements::missing,
    },
};

/// Something that is looked for, and how it looks in memory.
struct Needle {
    name: String,
    forms: Vec<Vec<u8>>,
    /// How often docs/manual/security-model.md says that it may be there.
    most: usize,
}

impl Needle {
    /// A text, and the same in base64: its length is a multiple of 3, and it stands at the start of a body.
    fn text(name: &str, text: &str, most: usize) -> Needle {
        Needle {
            name: name.to_owned(),
            forms: vec![text.as_bytes().to_vec(), STANDARD.encode(text).into_bytes()],
            most,
        }
    }

    /// Octets, and the same as libraries keep numbers: the lowest octet first.
    fn octets(name: &str, octets: &[u8], most: usize) -> Needle {
        let mut reversed = octets.to_vec();
        reversed.reverse();
        Needle { name: name.to_owned(), forms: vec![octets.to_vec(), reversed], most }
    }
}

/// A proxy that opens what comes in and seals what goes out.
struct Watched {
    proxy: Proxy,
    login: u16,
    milter: u16,
    needles: Vec<Needle>,
}

/// Mail goes through every listener, out and in, by OpenPGP and S/MIME. Afterwards no text, session key and password is left anywhere; keys and
/// passphrases only in as many copies as the manual says; and a key that was removed from the home is gone with the next mail.
#[test]
fn nothing_stays_in_memory() {
    if !present(&["openssl", "gpg", "python3"]) {
        return;
    }
    let sink = Sink::start();
    let mut watched = Watched::start(sink.port());
    let proxy = &watched.proxy;
    let Some(before) = found(proxy, &watched.needles[..1]) else {
        missing("the right to read the memory of a process");
        return;
    };
    // The keys of TLS are in use from the start: the search finds what is there.
    assert!(before[0] > 0, "the key of TLS is not found");

    // A text is there while its message is on its way.
    let mut client = Client::new(proxy);
    for line in
        ["EHLO client.test", "XFORWARD ADDR=127.0.0.1", "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>"]
    {
        let said = client.say(format!("{line}\r\n"));
        assert!(said.starts_with("250"), "{line}: {said}");
    }
    assert!(client.say("DATA\r\n").starts_with("354"));
    let message = out(MARKS[0]);
    let (first, rest) = message.split_at(message.len() - 5);
    client.write(first);
    let texts: Vec<Needle> = MARKS.iter().map(|mark| Needle::text("a text", mark, 0)).collect();
    assert!(becomes(|| found(proxy, &texts[..1]).is_some_and(|found| found[0] > 0)), "a text is not found");
    let said = client.say(format!("{rest}.\r\n"));
    assert!(said.starts_with("250"), "{said}");
    let mut python = by_python(watched.login, &out(MARKS[1]));
    let sealed = sink.wait_for(2);
    // Both connections are still open. The text is twice in the message, and rustls keeps the last record that it read.
    let is_gone = becomes(|| found(proxy, &texts[..2]).is_some_and(|found| found[0] == 0 && found[1] <= 2));
    tell("open connections", &texts[..2], &found(proxy, &texts[..2]).expect("it was readable"));
    drop(client);
    drop(python.stdin.take());
    assert!(python.wait().expect("it ends").success());

    for (received, mark) in sealed.iter().zip(MARKS) {
        assert!(proxy.gpg_decrypt("bob@example.net", &received.message).contains(mark), "{}", received.text());
        watched.needles.push(Needle::octets("a session key", &session_key(proxy, &received.message), 0));
    }
    for (number, mark) in MARKS.into_iter().enumerate().skip(2) {
        let (protocol, to) = INBOUND[number - 2];
        let message = encrypted(proxy, protocol, to, mark);
        let letter = Letter { client: "192.0.2.1", sender: "bob@example.net", recipient: to, message: &message };
        let said = clients::dialogue(proxy.lmtp(), "LHLO", &letter);
        assert!(said.starts_with("250"), "{said}");
        assert!(sink.wait_for(number + 1)[number].text().contains(&STANDARD.encode(mark)), "{}", proxy.log());
        assert!(clients::milter(watched.milter, &letter).starts_with(['a', 'c', 'd']));
    }
    watched.needles.extend(texts);
    watched.needles.push(Needle::text("the passphrase", PASSPHRASE, 2));
    watched.needles.push(Needle::text("a password", PASSWORD, 0));
    let master = fs::read_to_string(proxy.path("home/master.key")).expect("a master key");
    watched.needles.push(Needle::octets("the master key", &unhex(master.trim()), 0));
    watched.needles.push(Needle::text("the master key as text", master.trim(), 0));
    let is_right = || {
        let counts = found(proxy, &watched.needles).expect("it was readable");
        watched.needles.iter().zip(&counts).all(|(needle, count)| *count <= needle.most)
    };
    let is_right = becomes(is_right);
    tell("at the end", &watched.needles, &found(proxy, &watched.needles).expect("it was readable"));
    assert!(is_right && is_gone);

    // A key that was removed while the service runs.
    let listed = String::from_utf8(proxy.postseal(&["key", "list"])).expect("text");
    let line = listed.lines().find(|line| line.contains("  smime  rsa2048 ")).expect("dora's key");
    let fingerprint = line.split_whitespace().next().expect("a fingerprint");
    proxy.postseal(&["key", "remove", "--secret", fingerprint]);
    let message = "Subject: x\r\n\r\nx";
    let letter = Letter { client: "192.0.2.1", sender: "bob@example.net", recipient: "dora@example.org", message };
    assert!(clients::dialogue(proxy.lmtp(), "LHLO", &letter).starts_with("250"));
    let removed: Vec<Needle> = watched.needles.into_iter().filter(|needle| needle.name.contains("S/MIME")).collect();
    let is_gone = becomes(|| found(proxy, &removed).is_some_and(|found| found.iter().all(|count| *count == 0)));
    tell("removed", &removed, &found(proxy, &removed).expect("it was readable"));
    assert!(is_gone, "a key that was removed is still there");
}

impl Watched {
    fn start(upstream: u16) -> Watched {
        let [login, milter] = [free_port(), free_port()];
        let mut needles = Vec::new();
        let trusted = format!("{TRUSTED}\ntrusted.peers = [\"127.0.0.1\"]");
        let proxy = Proxy::build(upstream, "passphrases.file = \"pass\"", &trusted, RULES, |proxy| {
            write_private(proxy, "pass", format!("{PASSPHRASE}\n").as_bytes());
            let pass = proxy.path("pass").display().to_string();
            for protocol in [["-f", "smime", "--algorithm", "rsa2048"], ["-f", "pgp", "--profile", "rfc4880"]] {
                let generate = ["--passphrase-file", &pass, "key", "generate", "dora@example.org"];
                proxy.postseal(&[&generate[..], &protocol].concat());
            }
            write_private(proxy, "word", format!("{PASSWORD}\n").as_bytes());
            let word = proxy.path("word").display().to_string();
            write_private(proxy, "users", &proxy.postseal(&["--passphrase-file", &word, "config", "user", "a"]));
            needles.extend(rsa_numbers(proxy, "key.pem", "the key of TLS"));
            export_rsa(proxy, &pass);
            needles.extend(rsa_numbers(proxy, "dora.pem", "a key for S/MIME"));
            needles.extend(scalars(proxy));
            format!(
                "[[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{login}\"\ntls = \"starttls\"\nauth = \"here\"\n\
                 users = \"users\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
                 [[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:{milter}\"\n"
            )
        });
        Watched { proxy, login, milter, needles }
    }
}

/// How often each of them is in the memory of all processes of the service; `None` when it cannot be read.
fn found(proxy: &Proxy, needles: &[Needle]) -> Option<Vec<usize>> {
    let mut counts = vec![0; needles.len()];
    for process in proxy.processes() {
        for region in processes::memory(process)? {
            for (needle, count) in needles.iter().zip(&mut counts) {
                *count +=
                    needle.forms.iter().map(|form| memmem::find_iter(&region.octets, form).count()).sum::<usize>();
            }
        }
    }
    Some(counts)
}

fn tell(when: &str, needles: &[Needle], counts: &[usize]) {
    println!("{when}:");
    for (needle, count) in needles.iter().zip(counts) {
        println!("  {count} of at most {}: {}", needle.most, needle.name);
    }
}

/// A message that goes out.
fn out(mark: &str) -> String {
    format!("From: alice@example.org\r\nTo: bob@example.net\r\nSubject: {mark}\r\n\r\n{mark}\r\n")
}

/// One for a recipient here, by the program.
fn encrypted(proxy: &Proxy, protocol: &str, to: &str, mark: &str) -> String {
    let text = format!(
        "From: bob@example.net\r\nTo: {to}\r\nSubject: in\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        STANDARD.encode(mark)
    );
    fs::write(proxy.path("in.eml"), text).expect("a file");
    let input = proxy.path("in.eml").display().to_string();
    let aead: &[&str] = if protocol == "smime" { &["--aead"] } else { &[] };
    let message = proxy.postseal(&[&["encrypt", "-f", protocol, "--no-self", "--to", to, &input], aead].concat());
    String::from_utf8(message).expect("text").replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Sends it after a login under TLS, and leaves the connection open until its input ends.
fn by_python(port: u16, message: &str) -> Child {
    let script = format!(
        "import smtplib, sys\ns = smtplib.SMTP('127.0.0.1', {port})\ns.starttls()\ns.login('a', '{PASSWORD}')\n\
         s.sendmail('alice@example.org', ['bob@example.net'], '''{}''')\nsys.stdin.read()\n",
        message.replace("\r\n", "\\n")
    );
    Command::new("python3").args(["-c", &script]).stdin(Stdio::piped()).spawn().expect("python3 starts")
}

/// Whether it comes true within three seconds: the tasks of a connection end a moment after it.
fn becomes(is_right: impl Fn() -> bool) -> bool {
    (0..30).any(|_| {
        let is_right = is_right();
        if !is_right {
            thread::sleep(Duration::from_millis(100));
        }
        is_right
    })
}

fn write_private(proxy: &Proxy, name: &str, octets: &[u8]) {
    fs::write(proxy.path(name), octets).expect("a file");
    fs::set_permissions(proxy.path(name), fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// dora's RSA key, as `dora.pem`.
fn export_rsa(proxy: &Proxy, pass: &str) {
    let archive = proxy.path("dora.p12");
    let export =
        ["--passphrase-file", pass, "key", "export", "-f", "smime", "--secret", "--binary", "dora@example.org"];
    fs::write(&archive, proxy.postseal(&export)).expect("a file");
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-nodes", "-nocerts", "-passin", &format!("pass:{PASSPHRASE}"), "-in"]).arg(&archive);
    assert!(run_with(command.arg("-out").arg(proxy.path("dora.pem")), b"").status.success());
}

/// The secret numbers of the RSA key in a file.
fn rsa_numbers(proxy: &Proxy, file: &str, whose: &str) -> Vec<Needle> {
    let mut command = Command::new("openssl");
    let output = run_with(command.args(["rsa", "-noout", "-text", "-in"]).arg(proxy.path(file)), b"");
    let text = String::from_utf8(output.stdout).expect("text");
    let number = |name: &&str| {
        let lines =
            text.lines().skip_while(|line| !line.starts_with(name)).skip(1).take_while(|line| line.starts_with(' '));
        let hex: String = lines.map(|line| line.trim().replace(':', "")).collect();
        Needle::octets(&format!("{whose}, {name}"), &unhex(hex.trim_start_matches("00")), 4)
    };
    ["prime1", "prime2", "privateExponent", "exponent1", "exponent2", "coefficient"].iter().map(number).collect()
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
                Needle::octets(&format!("a key for OpenPGP, {}", key.key().pk_algo()), scalar.value(), 4)
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
const INBOUND: [(&str, &str); 3] =
    [("pgp", "alice@example.org"), ("smime", "dora@example.org"), ("pgp", "dora@example.org")];
const PASSPHRASE: &str = "Zx8rQm2vLk5tWn9pYc3h";
const PASSWORD: &str = "Hd4kTs7wBq1nVf6yJg8e";
const MARKS: [&str; 5] = [
    "AvocadoTrumpetOne/lkjhgf",
    "BicycleHarbourTwo/qwerty",
    "CactusLanternThree/zxcvb",
    "DolphinMarbleFour/poiuyt",
    "EclipseNapkinFive/mnbvcx",
];
