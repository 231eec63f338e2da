//! `auth = "here"`: who logs in is checked by a file of users.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        ports::free_port,
        postfix::{Sink, present, run_with},
    },
};

/// A proxy that checks logins: on STARTTLS at the first port, under TLS from the first octet at the second; figures at the third.
pub(crate) struct Checking {
    pub(crate) proxy: Proxy,
    starttls: u16,
    implicit: u16,
    metrics: u16,
}

impl Checking {
    fn start(upstream: u16) -> Checking {
        Checking::with(upstream, "")
    }

    /// The same, with this on top of its configuration.
    pub(crate) fn with(upstream: u16, more: &str) -> Checking {
        let [starttls, implicit, metrics] = [free_port(), free_port(), free_port()];
        let proxy = Proxy::furnished(upstream, &format!("metrics = \"127.0.0.1:{metrics}\"\n{more}"), |proxy| {
            // By its own command, which costs what it should; and one that Dovecot's own would have written.
            fs::write(proxy.path("word"), "open: sesame\n").expect("a file");
            let line = proxy.postseal(&["--passphrase-file", &path(proxy, "word"), "config", "user", "a"]);
            write_users(proxy, &format!("# users\n{}eve@example.org:{CHEAP}\n", String::from_utf8_lossy(&line)));
            let listener = |tls: &str, port: u16| {
                format!(
                    "[[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{port}\"\ntls = \"{tls}\"\nauth = \"here\"\n\
                     users = \"users\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n"
                )
            };
            listener("starttls", starttls) + &listener("implicit", implicit)
        });
        Checking { proxy, starttls, implicit, metrics }
    }

    pub(crate) fn client(&self) -> Client {
        let mut client = Client::on(self.proxy.connect(self.starttls));
        client.say("EHLO client.test\r\n");
        client
    }

    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).expect("the monitor listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        page
    }
}

fn path(proxy: &Proxy, name: &str) -> String {
    proxy.path(name).display().to_string()
}

fn write_users(proxy: &Proxy, text: &str) {
    fs::write(proxy.path("users"), text).expect("a file");
    fs::set_permissions(proxy.path("users"), fs::Permissions::from_mode(0o600)).expect("its mode");
}

pub(crate) fn plain(name: &str, password: &str) -> String {
    format!("AUTH PLAIN {}\r\n", STANDARD.encode(format!("\0{name}\0{password}")))
}

/// The right password opens, and nothing else does; whoever has none is told the same as whoever has a wrong one, and not sooner.
#[test]
fn who_logs_in_is_checked_here() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    // What was checked here is nobody else's business.
    sink.answer("AUTH", "535 5.7.8 nobody logs in here");
    let checking = Checking::start(sink.port());
    let mut client = checking.client();
    for (number, (name, password)) in [("a", "sesame"), ("nobody", "open: sesame"), ("a", "")].into_iter().enumerate() {
        let said = client.say(plain(name, password));
        assert_eq!(said, "535 5.7.8 Error: authentication failed\r\n", "{number}");
    }
    assert!(client.hear().starts_with("421 4.7.0 Error: too many failed logins"));
    assert_eq!(client.hear(), "", "the connection is closed");
    for line in ["AUTH PLAIN\r\n", "AUTH LOGIN\r\n"] {
        let mut client = checking.client();
        assert!(client.say(line).starts_with("334"));
        assert!(client.say("*\r\n").starts_with("501 5.7.0 Authentication aborted"), "{line}");
    }
    assert!(checking.client().say("AUTH CRAM-MD5\r\n").starts_with("504"));

    let encoded = |text: &str| format!("{}\r\n", STANDARD.encode(text));
    let mut by_login = checking.client();
    assert_eq!(by_login.say("AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(by_login.say(encoded("A")), "334 UGFzc3dvcmQ6\r\n");
    assert!(by_login.say(encoded("open: sesame")).starts_with("235"));
    let mut by_plain = checking.client();
    assert!(by_plain.say(plain("a", "open: sesame")).starts_with("235"));
    assert!(by_plain.say(plain("a", "open: sesame")).starts_with("503"), "once is enough");
    for (number, client) in [by_login, by_plain].iter_mut().enumerate() {
        // `identities.a` says as whom he signs, however he wrote his name.
        client.begin("bob@example.net");
        let said = client.say("From: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n.\r\n");
        assert!(said.starts_with("250"), "{said}");
        let received = &sink.wait_for(number + 1)[number];
        assert!(
            received.login.is_none() && received.text().contains("(postseal) with ESMTPA id "),
            "{}",
            received.text()
        );
        assert!(checking.proxy.gpg_decrypt("bob@example.net", &received.message).contains("the plan"));
    }
    // Somebody else logs in as himself, and does not sign as alice, though his network is trusted.
    let mut client = checking.client();
    assert!(client.say(plain("Eve@example.org", "password")).starts_with("235"));
    client.begin("bob@example.net");
    assert!(client.say("From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n").starts_with("550 5.7.1"));

    let page = checking.metrics();
    assert!(page.contains("postseal_logins_total{listener=\"submission\",result=\"done\"} 3\n"), "{page}");
    assert!(page.contains("postseal_logins_total{listener=\"submission\",result=\"refused\"} 5\n"), "{page}");
    let log = checking.proxy.log();
    assert!(log.contains("event=login name=a client=127.0.0.1 mechanism=PLAIN "), "{log}");
    assert!(log.contains("event=login-failed") && log.contains("name=nobody") && !log.contains("sesame"), "{log}");
}

/// A peer tells where messages come from, and nothing else: whoever logged in on its connection stays who it is. Names are one however they are written.
#[test]
fn xforward_does_not_change_a_login() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let checking = Checking::with(sink.port(), "trusted.peers = [\"127.0.0.1\"]");
    let letter = "From: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n.\r\n";
    for line in ["XFORWARD SOURCE=LOCAL", "XFORWARD ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1 SOURCE=LOCAL", "NOOP"] {
        let mut eve = checking.client();
        assert!(eve.say(plain("EVE@example.org", "password")).starts_with("235"));
        assert!(eve.say(format!("{line}\r\n")).starts_with("250"), "{line}");
        eve.begin("bob@example.net");
        let said = eve.say(letter);
        assert!(
            said.starts_with("550 5.7.1") && said.contains("user \"eve@example.org\" may not sign"),
            "{line}: {said}"
        );
        let mut alice = checking.client();
        assert!(alice.say(plain("\u{ff21}", "open: sesame")).starts_with("235"), "a full-width A is an a");
        assert!(alice.say(format!("{line}\r\n")).starts_with("250"));
        alice.begin("bob@example.net");
        assert!(alice.say(letter).starts_with("250"), "{line}");
    }
    // A peer on its own speaks for this machine.
    let mut peer = checking.client();
    assert!(peer.say("XFORWARD SOURCE=LOCAL\r\n").starts_with("250"));
    peer.begin("bob@example.net");
    assert!(peer.say(letter).starts_with("250"));
}

/// A name that there is not takes as long as a wrong password: 64 MiB are filled three times for both.
#[test]
fn user_names_cannot_be_found_out() {
    if !present(&["openssl"]) {
        return;
    }
    let checking = Checking::start(free_port());
    let proxy = &checking.proxy;
    let users = fs::read_to_string(proxy.path("users")).expect("a file");
    write_users(proxy, &users.lines().filter(|line| line.starts_with("a:")).collect::<Vec<_>>().join("\n"));
    proxy.reload("event=configuration-loaded");
    let took = |name: &str| {
        let mut client = checking.client();
        let start = Instant::now();
        assert!(client.say(plain(name, "wrong")).starts_with("535"));
        start.elapsed()
    };
    // In turns, so that what else the machine does takes as much of both.
    let tries = (0..6).map(|_| (took("a"), took("nobody")));
    let quickest = tries.reduce(|(known, unknown), try_| (known.min(try_.0), unknown.min(try_.1)));
    let (known, unknown) = quickest.expect("some tries");
    assert!(known > Duration::from_millis(10), "{known:?} is no work");
    // On a machine that has other things to do, too.
    assert!(unknown > known / 4 && unknown < known * 4, "{known:?} for a name that is known, {unknown:?} for another");
}

/// swaks on this machine, and Python's smtplib under TLS from the first octet (RFC 8314), by the mechanism that it chooses.
#[test]
fn swaks_and_python_log_in() {
    if !present(&["openssl", "python3", "swaks", "gpg"]) {
        return;
    }
    let sink = Sink::start();
    let checking = Checking::start(sink.port());
    let swaks = |password: &str| {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", "127.0.0.1", "--port", &checking.starttls.to_string(), "--ehlo", "client.test"]);
        swaks.args(["--from", "alice@example.org", "--to", "bob@example.net", "--body", "the plan"]);
        run_with(swaks.args(["--auth", "PLAIN", "--auth-user", "A", "--auth-password", password]), b"")
    };
    let said = swaks("sesame");
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stdout).contains("535 5.7.8"), "{said:?}");
    let said = swaks("open: sesame");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));

    let script = format!("import smtplib, ssl\nport = {}\n{PYTHON}", checking.implicit);
    let said = run_with(Command::new("python3").arg("-"), script.as_bytes());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let arrived = sink.wait_for(2);
    assert_eq!(arrived.len(), 2);
    for (received, with) in arrived.iter().zip(["ESMTPA", "ESMTPSA"]) {
        assert!(received.text().contains(&format!("(postseal) with {with} id ")), "{}", received.text());
        assert!(checking.proxy.gpg_decrypt("bob@example.net", &received.message).contains("the plan"));
    }
}

const PYTHON: &str = r#"
def connect():
    return smtplib.SMTP_SSL('127.0.0.1', port, local_hostname='client.test', context=ssl._create_unverified_context())
s = connect()
try:
    s.login('A', 'wrong')
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
else:
    raise AssertionError('let in')
s.close()
s = connect()
assert not s.has_extn('starttls'), s.esmtp_features
s.login('A', 'open: sesame')
s.sendmail('alice@example.org', ['bob@example.net'], 'From: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n')
s.quit()
"#;

/// SIGHUP reads the users again, as a whole or not at all; `config check` names every line that says nothing of anybody.
#[test]
fn users_are_read_again_and_checked() {
    if !present(&["openssl", "kill"]) {
        return;
    }
    let checking = Checking::start(free_port());
    let proxy = &checking.proxy;
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        let output = run_with(command.args(["config", "check"]).arg(proxy.path("postseal.toml")), b"");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(check().0, Some(0), "{}", check().1);
    let eve = || checking.client().say(plain("eve@example.org", "password"))[..3].to_owned();
    assert_eq!(eve(), "235");

    let cheap = format!("bob:{CHEAP}\n");
    write_users(proxy, &format!("{cheap}eve@example.org:{{PLAIN}}sesame\n\nnobody\n"));
    proxy.reload("event=configuration-rejected");
    assert!(proxy.log().contains("users:2: a scheme that is not {ARGON2ID}"), "{}", proxy.log());
    assert_eq!(eve(), "235", "the old file is in force");
    let (code, said) = check();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("users:")).collect();
    // Two listeners name the file.
    assert_eq!((code, lines.len()), (Some(78), 4), "{said}");
    assert!(lines[0].ends_with("users:2: a scheme that is not {ARGON2ID}") && !said.contains("sesame"), "{said}");
    assert!(lines[1].ends_with("users:4: no colon between name and password"), "{said}");

    write_users(proxy, &cheap);
    fs::set_permissions(proxy.path("users"), fs::Permissions::from_mode(0o640)).expect("its mode");
    let (code, said) = check();
    assert!(code == Some(78) && said.contains("users: others can read it\n  hint: chmod 600 "), "{said}");
    proxy.reload("event=configuration-rejected");
    assert_eq!(eve(), "235");
    write_users(proxy, &cheap);
    proxy.reload("event=configuration-loaded");
    assert_eq!(eve(), "535", "he is not in it any more");
    assert!(checking.client().say(plain("bob", "password")).starts_with("235"));
}

/// "password", as `argon2 somesalt -id -t 2 -k 256 -p 1 -e` writes it.
const CHEAP: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
