//! `postseal serve` as systemd runs it.

use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::unix::{fs::DirBuilderExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::{
    milter::setup::{letter, try_send},
    support::{
        ports::free_port,
        postfix::{Postfix, Sink, present, run_with},
    },
};

/// A running program, and the notices that it sends.
struct Program {
    child: Child,
    notices: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts it; `starter` stands before it on the command line.
    fn start(starter: &[&str], config: &str) -> Program {
        let folder = tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway folder");
        fs::DirBuilder::new().mode(0o700).create(folder.path().join("home")).expect("a home");
        let notices = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        notices.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        fs::write(folder.path().join("postseal.toml"), config).expect("a file");
        let child = spawn(starter, folder.path());
        Program { child, notices, folder }
    }

    /// Kills it without a warning, and starts it again.
    fn kill_and_start(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
        self.child = spawn(&[], self.folder.path());
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("postseal.toml")
    }

    /// Waits for the notice that contains `words`.
    fn wait_for(&self, words: &str) {
        let mut octets = [0; 1024];
        loop {
            let count = self.notices.recv(&mut octets).unwrap_or_else(|error| panic!("no notice {words:?}: {error}"));
            if String::from_utf8_lossy(&octets[..count]).contains(words) {
                return;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Its exit code, and what it logged.
    fn end(mut self) -> (Option<i32>, String) {
        let stderr: Option<ChildStderr> = self.child.stderr.take();
        let mut log = String::new();
        stderr.expect("a pipe").read_to_string(&mut log).expect("a log of words");
        (self.child.wait().expect("it ends").code(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(starter: &[&str], folder: &Path) -> Child {
    let words = [starter, &[env!("CARGO_BIN_EXE_postseal"), "serve", "--config"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(folder.join("postseal.toml")).env("NOTIFY_SOCKET", folder.join("notify"));
    command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn config(milter: &str, metrics: u16, rule: &str) -> String {
    format!(
        "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\nmetrics = \"127.0.0.1:{metrics}\"\n\
         [trusted]\nnetworks = [\"127.0.0.0/8\"]\n[[listener]]\nkind = \"milter\"\naddress = \"{milter}\"\n\
         [[rule]]\nname = \"all\"\ndirection = \"outbound\"\n{rule}\n"
    )
}

/// Every line is an object with a level, a time and the name of the event.
#[test]
fn the_log_can_be_json() {
    if !present(&["kill"]) {
        return;
    }
    let metrics = free_port();
    let good = format!("log.form = \"json\"\n{}", config("unix:milter", metrics, "action = \"clear\""));
    let program = Program::start(&[], &good);
    program.wait_for("READY=1");
    fs::write(program.config(), format!("{good}colour = \"blue\"\n")).expect("a file");
    program.signal("-HUP");
    program.wait_for("RELOADING=1");
    program.wait_for("READY=1");
    program.signal("-TERM");
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &lines {
        assert!(line["event"].is_string() && line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    let of = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("{event}: {log}"));
    let listening: Vec<_> = lines.iter().filter(|line| line["event"] == "listening").collect();
    assert!(listening.iter().any(|line| line["listener"] == "milter") && listening.len() == 2, "{log}");
    let rejected = of("configuration-rejected");
    assert!(rejected["error"].as_str().is_some_and(|error| error.contains("colour")), "{rejected}");
    assert_eq!(rejected["level"], "ERROR");
}

#[test]
fn it_reloads_as_a_whole_and_stops_when_told() {
    if !present(&["kill"]) {
        return;
    }
    let (sink, port, metrics) = (Sink::start(), free_port(), free_port());
    let address = format!("127.0.0.1:{port}");
    let program = Program::start(&[], &config(&address, metrics, "action = \"clear\""));
    program.wait_for("READY=1");
    let milter = format!("inet:{address}");
    let postfix = Postfix::start(sink.port(), &[("smtpd_milters", &milter)], "");
    let message = letter("alice@example.org", "bob@example.net", "hello\r\n");
    let reply = || try_send(postfix.port(), "alice@example.org", &["bob@example.net"], &message);
    assert!(reply().starts_with("250 "));

    // A bad file changes nothing.
    let bad = config(&address, metrics, "action = \"reject\"\ncolour = \"blue\"");
    fs::write(program.config(), bad).expect("a file");
    program.signal("-HUP");
    program.wait_for("RELOADING=1\nMONOTONIC_USEC=");
    program.wait_for("READY=1");
    assert!(reply().starts_with("250 "));

    // Neither does a good one whose new address is taken.
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let other = format!("127.0.0.1:{}", taken.local_addr().expect("an address").port());
    let two = format!(
        "{}[[listener]]\nkind = \"milter\"\naddress = \"{other}\"\n",
        config(&address, metrics, "action = \"reject\"")
    );
    fs::write(program.config(), two).expect("a file");
    program.signal("-HUP");
    program.wait_for("RELOADING=1");
    program.wait_for("READY=1");
    assert!(reply().starts_with("250 "));

    let good = config(&address, metrics, "action = \"reject\"\ntext = \"closed\"");
    fs::write(program.config(), good).expect("a file");
    program.signal("-HUP");
    program.wait_for("RELOADING=1");
    program.wait_for("READY=1");
    let refused = reply();
    assert!(refused.starts_with("550 5.7.1 ") && refused.contains("closed"), "{refused}");

    let page = get(metrics, "/metrics");
    assert!(page.contains("postseal_reloads_total{result=\"done\"} 1"), "{page}");
    assert!(page.contains("postseal_reloads_total{result=\"failed\"} 2"), "{page}");

    program.signal("-TERM");
    program.wait_for("STOPPING=1");
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("event=configuration-rejected") && log.contains("colour"), "{log}");
    assert!(log.contains("response=accept") && log.contains("response=refuse"), "{log}");
    for line in log.lines() {
        let mut words = line.split(' ');
        for key in ["time=", "level=", "event="] {
            assert!(words.next().is_some_and(|word| word.starts_with(key) && word.len() > key.len()), "{line}");
        }
    }
    assert!(!log.contains('\x1b') && !log.contains("hello"), "{log}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn systemd_may_open_the_sockets() {
    if !present(&["python3", "kill"]) {
        return;
    }
    let (port, metrics) = (free_port(), free_port());
    // What systemd does: the socket is descriptor 3, and the environment says for whom.
    let script = format!(
        "import os, socket, sys\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
         s.bind(('127.0.0.1', {port}))\ns.listen()\nos.dup2(s.fileno(), 3)\nos.set_inheritable(3, True)\n\
         os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='door')\n\
         os.execv(sys.argv[1], sys.argv[1:])"
    );
    let program = Program::start(&["python3", "-c", &script], &config("systemd:door", metrics, "action = \"clear\""));
    program.wait_for("READY=1");
    assert!(get(metrics, "/healthz").starts_with("HTTP/1.1 200 "));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the socket is served");
    std::io::Write::write_all(&mut stream, b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff").expect("an offer");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[4], b'O');
    program.signal("-HUP");
    program.wait_for("RELOADING=1");
    program.wait_for("READY=1");
    program.signal("-TERM");
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");

    let unnamed = Program::start(&[], &config("systemd:door", metrics, "action = \"clear\""));
    let (code, log) = unnamed.end();
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("systemd:door: systemd passed no socket of that name"), "{log}");
}

/// Each socket unit in packaging, by the name that it gives: systemd passes the socket, and the listener of that name answers.
#[test]
fn each_socket_unit_has_a_listener() {
    if !present(&["python3", "kill", "openssl"]) {
        return;
    }
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let mut names = Vec::new();
    for entry in fs::read_dir(packaging).expect("packaging") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "socket") {
            let unit = fs::read_to_string(path).expect("a unit");
            let name = unit.lines().find_map(|line| line.strip_prefix("FileDescriptorName=")).expect("a name");
            names.push((name.to_owned(), free_port()));
        }
    }
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    let identity = tempfile::tempdir().expect("a throwaway folder");
    let file = |name: &str| identity.path().join(name).display().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args(["-keyout", &file("key"), "-out", &file("certificate")]);
    assert!(run_with(&mut openssl, b"").status.success());
    let mut text =
        "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\n\
        [trusted]\nnetworks = [\"127.0.0.0/8\"]\n[upstream]\nsmart-host = \"127.0.0.1:1\"\ntls = \"none\"\n"
            .to_owned();
    for (name, _) in &names {
        let kind = if name == "submissions" { "submission" } else { name };
        text += &format!("[[listener]]\nkind = \"{kind}\"\naddress = \"systemd:{name}\"\n");
        if name == "submissions" {
            text +=
                &format!("tls = \"implicit\"\ncertificate = \"{}\"\nkey = \"{}\"\n", file("certificate"), file("key"));
        }
    }
    // What systemd does: the sockets are the descriptors from 3 on, and the environment has their names.
    let (listed, ports): (Vec<_>, Vec<_>) = names.iter().map(|(name, port)| (name.as_str(), port.to_string())).unzip();
    let script = format!(
        "import os, socket, sys\nheld = []\nfor at, port in enumerate([{}]):\n s = socket.socket()\n \
         s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n s.bind(('127.0.0.1', port))\n s.listen()\n held.append(os.dup2(s.fileno(), 40 + at))\n\
         for at, s in enumerate(held):\n os.dup2(s, 3 + at)\n os.set_inheritable(3 + at, True)\n\
         os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{}', LISTEN_FDNAMES='{}')\n\
         os.execv(sys.argv[1], sys.argv[1:])",
        ports.join(", "),
        names.len(),
        listed.join(":")
    );
    let program = Program::start(&["python3", "-c", &script], &text);
    program.wait_for("READY=1");
    for (name, port) in &names {
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).expect("the socket is served");
        match name.as_str() {
            "milter" => {
                std::io::Write::write_all(&mut stream, b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff")
                    .expect("an offer");
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).expect("an answer");
                assert_eq!(answer[4], b'O');
            }
            "submissions" => {
                let mut client = Command::new("openssl");
                client.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")]);
                let said = run_with(&mut client, b"QUIT\r\n");
                assert!(String::from_utf8_lossy(&said.stdout).contains("220 mx.example.org ESMTP"), "{said:?}");
            }
            _ => {
                let mut greeting = [0; 19];
                stream.read_exact(&mut greeting).expect("a greeting");
                assert_eq!(&greeting, b"220 mx.example.org ", "{name}");
            }
        }
    }
    program.signal("-TERM");
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{log}");
}

/// The mail server's queue is the only one: what it said 250 to arrives once, sealed; what it did not, its client still has.
#[test]
fn killed_at_any_moment_it_loses_doubles_and_shows_nothing() {
    if !present(&["kill"]) {
        return;
    }
    let (sink, port, metrics) = (Sink::start(), free_port(), free_port());
    let rule = "action = \"sign+encrypt\"\nprotocol = \"pgp\"";
    let text = config(&format!("127.0.0.1:{port}"), metrics, rule)
        .replace("[trusted]", "[log]\nlevel = \"error\"\n[trusted]\nsign-as = [\"alice@example.org\"]");
    let mut program = Program::start(&[], &config(&format!("127.0.0.1:{port}"), metrics, rule));
    let home = program.folder.path().join("home");
    for owner in ["alice@example.org", "bob@example.net"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.args(["key", "generate", "--no-passphrase", "--home"]).arg(&home).arg(owner);
        assert!(run_with(&mut command, b"").status.success());
    }
    fs::write(program.config(), text).expect("a file");
    program.kill_and_start();
    program.wait_for("READY=1");
    let milter = format!("inet:127.0.0.1:{port}");
    let settings =
        [("smtpd_milters", milter.as_str()), ("milter_default_action", "tempfail"), ("milter_connect_timeout", "2s")];
    let postfix = Postfix::start(sink.port(), &settings, "");

    let (clients, each, sending) = (8, 25, AtomicUsize::new(8));
    let mut kills = 0;
    thread::scope(|scope| {
        for client in 0..clients {
            let (postfix, sending) = (&postfix, &sending);
            scope.spawn(move || {
                for number in 0..each {
                    let from = "alice@example.org";
                    let message =
                        String::from_utf8(letter(from, "bob@example.net", "secret words\r\n")).expect("ASCII");
                    let message = message.replace("Message-ID: <bob", &format!("Message-ID: <{client}.{number}.bob"));
                    let mut tries = 0;
                    while !try_send(postfix.port(), from, &["bob@example.net"], message.as_bytes()).starts_with("250 ")
                    {
                        tries += 1;
                        assert!(tries < 200, "message {client}.{number} is never taken");
                        thread::sleep(Duration::from_millis(50));
                    }
                }
                sending.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while sending.load(Ordering::SeqCst) > 0 {
            // Not in step with anything.
            thread::sleep(Duration::from_millis(150 + 37 * (kills % 7)));
            program.kill_and_start();
            kills += 1;
        }
    });
    assert!(kills > 2, "{kills}");
    let received = sink.wait_for(clients * each);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.received().len(), clients * each, "something was doubled");
    let mut names: Vec<String> = Vec::new();
    for one in &received {
        assert!(!one.text().contains("secret words"), "{}", one.text());
        names.extend(one.text().lines().filter(|line| line.starts_with("Message-ID:")).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), clients * each);
}

/// Without a `[sendmail]`, copies are handed over by SMTP, to the mail server that they came from, by default; there they come by again, and are left alone.
#[test]
fn copies_go_by_smtp() {
    if !present(&["kill"]) {
        return;
    }
    let (sink, port, metrics) = (Sink::start(), free_port(), free_port());
    let milter = format!("inet:127.0.0.1:{port}");
    let settings = [("smtpd_milters", milter.as_str()), ("milter_default_action", "tempfail")];
    let postfix = Postfix::start(sink.port(), &settings, "");
    let rules = "recipient = \"bob@example.net\"\naction = \"encrypt\"\nprotocol = \"pgp\"\n\
                 [[rule]]\nname = \"in clear\"\naction = \"clear\"";
    let text = config(&format!("127.0.0.1:{port}"), metrics, rules).replace(
        "[trusted]",
        &format!("[upstream]\nsmart-host = \"127.0.0.1:{}\"\ntls = \"none\"\n[trusted]", postfix.port()),
    );
    let program = Program::start(&[], &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.args(["key", "generate", "--no-passphrase", "--home"]).arg(program.folder.path().join("home"));
    assert!(run_with(command.arg("bob@example.net"), b"").status.success());
    program.wait_for("READY=1");
    let both = ["bob@example.net", "dave@example.net"];
    let message = letter("alice@example.org", "bob@example.net", "secret words\r\n");
    let reply = try_send(postfix.port(), "alice@example.org", &both, &message);
    assert!(reply.starts_with("250 "), "{reply}");
    let received = sink.wait_for(2);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.received().len(), 2, "somebody got two");
    for to in both {
        let one = received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));
        assert_eq!(one.text().contains("secret words"), to == "dave@example.net", "{}", one.text());
        assert!(!one.text().contains("X-Postseal-Handled"), "the mark is left: {}", one.text());
    }
    // One of them came by SMTP from us, the other from the client.
    assert_eq!(postfix.log().matches(": client=").count(), 2, "{}", postfix.log());
}

fn get(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens");
    std::io::Write::write_all(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
