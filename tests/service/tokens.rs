//! A service whose keys are on a token: SoftHSM behind a server of p11-kit, which is stopped and started again.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    clients::{self, Letter},
    lab::Lab,
    requirements::present,
    served::{Configured, STRANGER, Served, TRUSTED, log},
    token::{SOFTHSM, Token},
};

/// The module that speaks with the server.
pub(crate) const CLIENT: &str = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so";

/// Makes the token's objects reachable through a socket, as for a token on another machine.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(lab: &Lab, token: &Token<'_>) -> Server {
        let socket = lab.path("p11");
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("p11-kit");
        command.args(["server", "--foreground", "-n"]).arg(&socket);
        command.args(["--provider", SOFTHSM, "pkcs11:token=mail"]);
        // It has a process for each connection: all of them are ended.
        command.env("SOFTHSM2_CONF", token.configuration()).stdout(Stdio::null()).process_group(0);
        let server = Server(command.spawn().expect("p11-kit starts"));
        let end = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            assert!(Instant::now() < end, "p11-kit does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Server {
    /// Stops all its processes, or lets them go on.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, "--", &format!("-{}", self.0.id())]).status();
        assert!(status.expect("kill starts").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_token_that_is_gone_is_temporary_and_is_found_again() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["p11-kit", CLIENT])) else { return };
    let server = Server::start(&lab, &token);
    let (encrypted, service) = serving(&lab, "");
    let plain = letter("alice@example.org", "x@signed.example");
    let letters = [
        Letter {
            client: STRANGER,
            sender: "buyer@partner.example",
            recipient: "alice@example.org",
            message: &encrypted,
        },
        Letter { client: TRUSTED, sender: "alice@example.org", recipient: "x@signed.example", message: &plain },
    ];
    let replies = |expected: &str| {
        for letter in &letters {
            for (transport, reply) in service.replies(letter) {
                let what = format!("{transport}, {}: {reply}\n{}", letter.sender, log(&lab));
                assert!(reply.starts_with(expected), "{what}");
                assert!(!reply.contains("token") && !reply.contains("pkcs11"), "{what}");
            }
        }
    };
    assert_eq!(service.readiness(), "200");
    replies("250");
    let delivered = service.delivered();
    let opened = |mail: &&String| mail.contains("From: buyer@partner.example") && mail.contains("hello");
    assert_eq!(delivered.iter().filter(opened).count(), 2, "{delivered:?}");
    // One that says nothing is waited for a few seconds, and the next question not at all.
    server.signal("STOP");
    let begin = Instant::now();
    let said = service.page("/readyz");
    assert!(said.contains(" 503 ") && said.contains("tokens: no answer within 3 seconds"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(service.readiness(), "503");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    server.signal("CONT");
    let until = |expected: &str| {
        let end = Instant::now() + Duration::from_secs(20);
        while service.readiness() != expected {
            assert!(Instant::now() < end, "{}", service.page("/readyz"));
            thread::sleep(Duration::from_millis(100));
        }
    };
    until("200");
    drop(server);
    until("503");
    assert!(service.page("/readyz").contains("token mail: cannot be reached"), "{}", service.page("/readyz"));
    assert!(service.page("/livez").contains(" 200 "));
    replies("451 4.");
    assert!(log(&lab).contains("cannot be reached"), "{}", log(&lab));
    assert!(!log(&lab).contains("damaged"), "{}", log(&lab));
    assert!(service.delivered().is_empty());
    let server = Server::start(&lab, &token);
    let comes_back = || {
        let end = Instant::now() + Duration::from_secs(20);
        // The module is started anew at most once in a second.
        while !service.replies(&letters[1]).iter().all(|(_, reply)| reply.starts_with("250")) {
            assert!(Instant::now() < end, "{}", log(&lab));
            thread::sleep(Duration::from_millis(300));
        }
    };
    comes_back();
    replies("250");
    until("200");
    // The list of a server without a token is empty, which its client takes for a list without room.
    drop(server);
    token.remove();
    let _server = Server::start(&lab, &token);
    let begin = Instant::now();
    for (transport, reply) in service.replies(&letters[1]) {
        assert!(reply.starts_with("451 4."), "{transport}: {reply}");
    }
    assert_eq!(service.readiness(), "503");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    token.restore();
    comes_back();
    until("200");
}

/// A service whose key of alice is on the token; and mail that was encrypted to her. `more` stands in the configuration.
fn serving<'a>(lab: &'a Lab, more: &str) -> (String, Served<'a>) {
    let address = format!("P11_KIT_SERVER_ADDRESS=unix:path={}", lab.path("p11").display());
    let uri = format!("pkcs11:token=mail?module-path={CLIENT}");
    let with_token = |line: &str| lab.shell(&format!("export {address}; exec \"$0\" --pin-file pin {line}")).code(0);
    with_token(&format!("key generate --algorithm rsa2048 --token '{uri}' alice@example.org"));
    lab.write("in", letter("buyer@partner.example", "alice@example.org"));
    lab.run(&["key", "export", "alice@example.org", "-o", "alice.asc"]).code(0);
    lab.run(&["--home", "partner", "key", "import", "alice.asc"]).code(0);
    let fingerprint = lab.run(&["key", "list", "alice"]).text().split_whitespace().next().expect("one").to_owned();
    lab.run(&["--home", "partner", "key", "trust", &fingerprint, "alice@example.org"]).code(0);
    lab.run(&["--home", "partner", "encrypt", "--no-self", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    let encrypted = String::from_utf8(lab.read("in.eml")).expect("ASCII");

    let rules = [
        ["in", "direction = \"inbound\"", "decrypt+annotate"],
        ["as it is", "recipient = \"clear.example\"", "clear"],
        ["all", "no-signing-key = \"reject\"", "sign+clear"],
    ];
    let configured = Configured::new(lab, "220 next ESMTP", &rules);
    let mut configuration = fs::read_to_string(lab.path("postseal.toml")).expect("a configuration");
    configuration.insert_str(0, more);
    configuration +=
        &format!("[[token]]\nuri = \"pkcs11:token=mail\"\nmodule = \"{CLIENT}\"\npin = {{ credential = \"pin\" }}\n");
    lab.write("postseal.toml", configuration);
    own(&lab.path("pin"));
    let credentials = format!("CREDENTIALS_DIRECTORY={}", lab.path("").display());
    let service =
        configured.serve_under(&["env", &address, &credentials]).unwrap_or_else(|code| panic!("{code}: {}", log(lab)));
    (encrypted, service)
}

/// A module that does not answer keeps 30 seconds of the mail that needs it. Other mail waits no longer than that, and later not at all.
#[test]
#[ignore = "it takes half a minute"]
fn a_token_that_says_nothing_does_not_keep_other_mail() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["p11-kit", CLIENT])) else { return };
    let server = Server::start(&lab, &token);
    let (_, service) = serving(&lab, WORK);
    let signed = letter("alice@example.org", "x@signed.example");
    let clear = letter("bob@other.example", "x@clear.example");
    let send = |sender: &str, recipient: &str, message: &str| {
        let begin = Instant::now();
        let reply = clients::dialogue(service.smtp(), "EHLO", &Letter { client: TRUSTED, sender, recipient, message });
        (reply, begin.elapsed())
    };
    let of_token = || send("alice@example.org", "x@signed.example", &signed);
    let other = || send("bob@other.example", "x@clear.example", &clear);
    assert!(of_token().0.starts_with("250") && other().0.starts_with("250"), "{}", log(&lab));
    server.signal("STOP");
    thread::scope(|scope| {
        // As many as are handled at the same time.
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(of_token)).collect();
        thread::sleep(Duration::from_secs(2));
        let (reply, took) = other();
        println!("other mail was taken after {took:.1?}: {reply}");
        assert!(reply.starts_with("250") && took < Duration::from_secs(40), "{took:?}: {reply}");
        for one in waiting {
            let (reply, took) = one.join().expect("no panic");
            assert!(reply.starts_with("451 4.") && took < Duration::from_secs(40), "{took:?}: {reply}");
        }
    });
    let (reply, took) = of_token();
    assert!(reply.starts_with("451 4.") && took < Duration::from_secs(5), "{took:?}: {reply}");
    let (reply, took) = other();
    assert!(reply.starts_with("250") && took < Duration::from_secs(5), "{took:?}: {reply}");
    server.signal("CONT");
    let end = Instant::now() + Duration::from_secs(20);
    while !of_token().0.starts_with("250") {
        assert!(Instant::now() < end, "{}", log(&lab));
        thread::sleep(Duration::from_millis(300));
    }
}

/// Nobody else may read it.
fn own(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

fn letter(from: &str, to: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: s\r\nDate: Mon, 30 Nov 2026 01:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
    )
}

const WORK: &str = "limits.work = 2\n";
