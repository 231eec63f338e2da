//! A company with two lists and three forwards: postseal at work with a real Postfix, Dovecot as the mailbox, and a sink for the rest of the world.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postseal::{
    base::{Budget, Limits},
    mail::Message,
};

use crate::support::{
    dovecot::Dovecot,
    lab::{Lab, POSTSEAL},
    ports::{free_port, wait_for_port},
    postfix::{Postfix, Sink, run_with},
};

/// Where mail comes in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Postfix asks the milter.
    Milter,
    /// postseal's submission listener is before Postfix.
    Submission,
}

/// All of them, running.
pub(super) struct Office {
    pub(super) lab: Lab,
    pub(super) sink: Sink,
    pub(super) dovecot: Dovecot,
    pub(super) postfix: Postfix,
    /// Where clients send.
    port: u16,
    /// Every listener of postseal.
    listeners: Vec<u16>,
    child: Mutex<Option<Child>>,
    /// What of the sink was looked at.
    seen: AtomicUsize,
}

/// What arrived somewhere.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) to: String,
    pub(super) sender: String,
    pub(super) message: Vec<u8>,
}

impl Office {
    pub(super) fn open(way: Way) -> Office {
        let lab = Lab::new();
        fs::create_dir(lab.path("quarantine")).expect("a folder");
        fs::DirBuilder::new().mode(0o700).create(lab.path("g")).expect("a home for GnuPG");
        make_keys(&lab);
        let (sink, dovecot) = (Sink::start(), Dovecot::start());
        let [hook, submission, relay] = [free_port(), free_port(), free_port()];
        let milter = format!("inet:127.0.0.1:{hook}");
        let mut transports = format!("inline:{{ {{ example.org = lmtp:[127.0.0.1]:{} }} }}", dovecot.lmtp());
        lab.write("lists", of_the_manual("# /etc/postfix/lists\n"));
        let known = ["alice", "fred", "hana", "mallory"].map(|user| format!("{{ {user} = OK }}")).join(", ");
        let known = format!("inline:{{ {known} }}, regexp:{}", lab.path("lists").display());
        let mut settings = vec![("message_size_limit", "10000000"), ("mydestination", "example.org")];
        settings.push(("local_recipient_maps", &known));
        match way {
            Way::Milter => settings.extend([
                ("smtpd_milters", milter.as_str()),
                ("non_smtpd_milters", "$smtpd_milters"),
                ("internal_mail_filter_classes", "bounce"),
                ("milter_default_action", "tempfail"),
                ("milter_connect_timeout", "2s"),
            ]),
            Way::Submission => {
                let to_owners = of_the_manual("# /etc/postfix/owners\n");
                assert!(to_owners.contains(":10025"), "{to_owners}");
                lab.write("owners", to_owners.replace(":10025", &format!(":{relay}")));
                transports = format!("regexp:{}, {transports}", lab.path("owners").display());
            }
        }
        settings.push(("transport_maps", transports.as_str()));
        fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).expect("a folder that can be entered");
        let postfix = Postfix::start(sink.port(), &settings, "");
        let listeners = match way {
            Way::Milter => vec![("milter", hook)],
            Way::Submission => vec![("submission", submission), ("relay", relay)],
        };
        let trusted = if way == Way::Submission { "[trusted]\nnetworks = [\"127.0.0.0/8\"]\n" } else { "" };
        let mut config = format!(
            "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nquarantine = \"quarantine\"\n\
             marker = {{ file = \"marker\" }}\n[limits]\nmessage = \"1M\"\n{trusted}\
             [upstream]\nsmart-host = \"127.0.0.1:{}\"\ntls = \"none\"\n{COMPANY}",
            postfix.port()
        );
        for (kind, port) in &listeners {
            config += &format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n");
        }
        lab.write("postseal.toml", config).write("marker", "0123456789abcdef0123456789abcdef");
        fs::set_permissions(lab.path("marker"), fs::Permissions::from_mode(0o600)).expect("a secret");
        let port = if way == Way::Milter { postfix.port() } else { submission };
        let listeners = listeners.into_iter().map(|(_, port)| port).collect();
        let (child, seen) = (Mutex::new(None), AtomicUsize::new(0));
        let office = Office { lab, sink, dovecot, postfix, port, listeners, child, seen };
        office.start();
        office
    }

    /// Starts postseal, and waits until it listens.
    pub(super) fn start(&self) {
        let log = fs::File::options().create(true).append(true).open(self.lab.path("log")).expect("a log");
        let mut serve = Command::new(POSTSEAL);
        serve.args(["serve", "-c", "postseal.toml"]).current_dir(self.lab.path("")).stderr(Stdio::from(log));
        *self.child.lock().expect("no panic elsewhere") = Some(serve.spawn().expect("postseal starts"));
        self.listeners.iter().for_each(|port| wait_for_port(*port));
    }

    /// SIGKILL.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no panic elsewhere").take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// The reply to a mail, or to the first command that is refused; `None` where the connection is refused or cut.
    pub(super) fn try_send(&self, from: &str, to: &[&str], message: &str) -> Option<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let mut lines = BufReader::new(stream);
        let mut commands = vec!["EHLO client.test\r\n".to_owned(), format!("MAIL FROM:<{from}>\r\n")];
        commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")));
        commands.push("DATA\r\n".to_owned());
        let stuffed = message.replace("\r\n.", "\r\n..");
        commands.push(format!("{}\r\n.\r\n", stuffed.trim_end_matches("\r\n")));
        let mut said = reply(&mut lines)?;
        for command in commands {
            lines.get_mut().write_all(command.as_bytes()).ok()?;
            said = reply(&mut lines)?;
            if said.starts_with(['4', '5']) {
                break;
            }
        }
        Some(said)
    }

    pub(super) fn send(&self, from: &str, to: &[&str], message: &str) -> String {
        self.try_send(from, to, message).expect("a reply")
    }

    /// How many messages are held, by Postfix or in the quarantine.
    pub(super) fn held(&self) -> usize {
        let files = fs::read_dir(self.lab.path("quarantine")).expect("a folder");
        let files =
            files.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension() == Some("eml".as_ref())));
        files.count() + self.postfix.queue().lines().filter(|line| line.contains("! ")).count()
    }

    /// Posts the message that is held for this list.
    pub(super) fn approve(&self, list: &str) {
        let address = format!("{list}@example.org");
        let json = self.lab.run(&["quarantine", "list", "--json", "-c", "postseal.toml"]).code(0).text();
        let held: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
        if let Some(one) = held.iter().find(|one| one["to"][0]["address"] == address) {
            let id = one["id"].as_str().expect("an id");
            self.lab.run(&["list", "post", "-c", "postseal.toml", list, id]).code(0);
            return;
        }
        let queue = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(format!("/usr/sbin/{program}"));
            run_with(command.arg("-c").arg(self.postfix.config()).args(arguments), b"")
        };
        let queued = String::from_utf8(queue("postqueue", &["-j"]).stdout).expect("JSON");
        let queued: Vec<serde_json::Value> =
            queued.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let is_it =
            |one: &&serde_json::Value| one["queue_name"] == "hold" && one["recipients"][0]["address"] == address;
        let id = queued.iter().find(is_it).expect("a held message")["queue_id"].as_str().expect("an id");
        let message = queue("postcat", &["-qhb", id]).stdout;
        let mut post = self.lab.command(POSTSEAL);
        let done =
            post.args(["list", "post", "-c", "postseal.toml", list]).write_stdin(message).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(queue("postsuper", &["-d", id]).status.success());
    }

    /// What has arrived since the last call, when Postfix has nothing more to do, by recipient.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        // What is held has a mark after its name.
        let is_at_rest = |line: &str| !line.starts_with(|c: char| c.is_ascii_hexdigit()) || line.contains("! ");
        self.postfix.wait_for_queue(|queue| queue.lines().all(is_at_rest));
        let mut all: Vec<Arrived> = Vec::new();
        let received = self.sink.received();
        let before = self.seen.swap(received.len(), Ordering::SeqCst);
        for one in &received[before..] {
            let sender = one.sender.split(['<', '>']).nth(1).unwrap_or_default();
            let arrived =
                |to: &str| Arrived { to: to.to_owned(), sender: sender.to_owned(), message: one.message.clone() };
            all.extend(one.addresses().into_iter().map(arrived));
        }
        for to in ["alice@example.org", "mallory@example.org"] {
            for entry in fs::read_dir(self.dovecot.maildir(to, "new")).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let message = fs::read(&path).expect("a mail");
                fs::remove_file(&path).expect("a mail");
                // Dovecot keeps LF, and what is signed has CRLF.
                let text = String::from_utf8_lossy(&message).replace('\n', "\r\n");
                let sender = text.strip_prefix("Return-Path: <").and_then(|rest| rest.split('>').next());
                let (to, sender) = (to.to_owned(), sender.unwrap_or_default().to_owned());
                all.push(Arrived { to, sender, message: text.into_bytes() });
            }
        }
        all.sort_by(|one, other| one.to.cmp(&other.to));
        all
    }

    /// What gpg reads in an encrypted message that a key of `signer` signed.
    pub(super) fn gpg(&self, message: &[u8], signer: &str) -> String {
        let text = String::from_utf8_lossy(message).replace("\r\n", "\n");
        let from = text.find("-----BEGIN PGP MESSAGE").unwrap_or_else(|| panic!("not encrypted: {text}"));
        let output = gpg(&self.lab, &["--decrypt"], &text.as_bytes()[from..]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        if !signer.is_empty() {
            assert!(said.contains("Good signature") && said.contains(signer), "{said}");
        }
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What openssl reads with the key of `name`, within a signature where `is_signed`.
    pub(super) fn openssl(&self, message: &[u8], name: &str) -> String {
        let opened = openssl(&self.lab, &["cms", "-decrypt", "-inkey", &format!("{name}.key")], message);
        String::from_utf8_lossy(&opened).into_owned()
    }

    /// What gpg finds signed by `signer` in a multipart/signed message.
    pub(super) fn gpg_signed(&self, text: &str, signer: &str) -> String {
        let message = Message::parse(text.as_bytes().to_vec(), &mut Budget::new(Limits::default())).expect("a message");
        let parts: Vec<_> = message.root().children().collect();
        self.lab.write("signed", parts[0].octets()).write("signature", parts[1].decoded());
        let files = ["signature", "signed"].map(|name| self.lab.path(name).display().to_string());
        let said = gpg(&self.lab, &["--verify", &files[0], &files[1]], b"");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("Good signature") && said.contains(signer), "{said}");
        String::from_utf8_lossy(parts[0].octets()).into_owned()
    }

    /// The content of a signed message, in which openssl finds a good signature.
    pub(super) fn openssl_verified(&self, signed: &str) -> String {
        let content = openssl(&self.lab, &["cms", "-verify", "-noverify"], signed.as_bytes());
        String::from_utf8_lossy(&content).into_owned()
    }
}

impl Arrived {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.lab.path("log")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "postseal logged:\n{log}");
        }
        self.kill();
        let mut gpgconf = Command::new("gpgconf");
        let _ = gpgconf.arg("--homedir").arg(self.lab.path("g")).args(["--kill", "all"]).output();
    }
}

/// The lines of docs/manual/lists.md from this one on, to the end of the block.
fn of_the_manual(line: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual/lists.md")).expect("a page");
    let (_, rest) = page.split_once(line).expect("the line is there");
    rest.split("```").next().unwrap_or_default().to_owned()
}

/// The keys of all: those of lists and of fred, whose mail is opened here, are postseal's; those of others are made by gpg and openssl, and postseal
/// has their public parts. old's expired.
fn make_keys(lab: &Lab) {
    for (owner, protocol) in [("dev", "pgp"), ("dev", "smime"), ("news", "pgp"), ("news", "smime"), ("fred", "pgp")] {
        let algorithm: &[&str] = if protocol == "smime" { &["--algorithm", "p256"] } else { &[] };
        let generate = ["key", "generate", "-f", protocol, "--no-passphrase", &format!("{owner}@example.org")];
        lab.run(&[&generate[..], algorithm].concat()).code(0);
    }
    for owner in ["alice@example.org", "bob@example.net", "fred@away.example", "old@example.net"] {
        let generate = ["--quick-gen-key", owner, "future-default", "default"];
        let made = match owner {
            "old@example.net" => {
                gpg(lab, &[&["--faked-system-time", "20200101T000000"], &generate[..], &["1y"]].concat(), b"")
            }
            _ => gpg(lab, &[&generate[..], &["never"]].concat(), b""),
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        import(lab, owner, &gpg(lab, &["--export", owner], b"").stdout);
    }
    for owner in ["carol@bank.example", "hana@away.example"] {
        let name = owner.split('@').next().unwrap_or_default();
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let names = format!("subjectAltName=email:{owner}");
        let mut request = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        request.extend(["-days", "2", "-subj", &subject, "-addext", &names, "-keyout", &key, "-out", &certificate]);
        openssl(lab, &request, b"");
        import(lab, owner, &lab.read(&certificate));
    }
    for owner in ["dev@example.org", "news@example.org", "fred@example.org"] {
        let public = lab.run(&["key", "export", "-f", "pgp", owner]).code(0).stdout;
        gpg(lab, &["--import"], &public);
        lab.write("public", public);
        lab.run(&["--home", "people", "key", "import", "public"]).code(0);
    }
    for owner in ["alice@example.org", "bob@example.net"] {
        lab.write("secret", gpg(lab, &["--export-secret-keys", owner], b"").stdout);
        lab.run(&["--home", "people", "key", "import", "secret"]).code(0);
    }
}

fn import(lab: &Lab, owner: &str, public: &[u8]) {
    lab.write("public", public);
    let added = lab.run(&["key", "import", "public"]).code(0).text();
    lab.run(&["key", "trust", added.split_whitespace().nth(1).expect("a fingerprint"), owner]).code(0);
}

fn gpg(lab: &Lab, arguments: &[&str], input: &[u8]) -> Output {
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir").arg(lab.path("g")).args(["--batch", "--yes", "--no-tty", "--trust-model=always"]);
    run_with(gpg.args(["--pinentry-mode=loopback", "--passphrase="]).args(arguments), input)
}

fn openssl(lab: &Lab, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run_with(Command::new("openssl").args(arguments).current_dir(lab.path("")), input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The last line of a reply.
fn reply(lines: &mut BufReader<TcpStream>) -> Option<String> {
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Some(line.trim_end().to_owned());
        }
    }
}

const COMPANY: &str = r#"
[[list]]
address = "dev@example.org"
owner = "alice@example.org"
members = [
    "alice@example.org", "bob@example.net", "carol@bank.example", "erin@example.net clear", "fred@example.org",
    "old@example.net", "dora@example.net",
]
require = "authentic"

[[list]]
address = "news@example.org"
owner = "alice@example.org"
members = ["alice@example.org sign", "bob@example.net", "carol@bank.example sign smime"]
post = "moderators"
moderators = ["alice@example.org"]
otherwise = "hold"
require = "authentic"

[[forward]]
address = "fred@example.org"
to = "fred@away.example"
action = "decrypt+encrypt"

[[forward]]
address = "hana@example.org"
to = "hana@away.example"
action = "encrypt"

[[forward]]
address = "mallory@example.org"
to = "mallory@away.example"
keep = true
action = "clear"

[[rule]]
name = "mail comes in"
direction = "inbound"
action = "annotate"

[[rule]]
name = "mail goes out"
action = "clear"
"#;
