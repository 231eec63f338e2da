//! `postseal serve` as systemd runs it.

use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::unix::{fs::DirBuilderExt, net::UnixDatagram},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use super::{
    house::{letter, try_send},
    lab::{Postfix, Sink, free_port, present},
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
        let program = env!("CARGO_BIN_EXE_postseal");
        let config_file = folder.path().join("postseal.toml");
        fs::write(&config_file, config).expect("a file");
        let words = [starter, &[program, "serve", "--config"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(config_file).env("NOTIFY_SOCKET", folder.path().join("notify"));
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        Program { child, notices, folder }
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

fn config(milter: &str, metrics: u16, rule: &str) -> String {
    format!(
        "home = \"home\"\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\nmetrics = \"127.0.0.1:{metrics}\"\n\
         [trusted]\nnetworks = [\"127.0.0.0/8\"]\n[[listener]]\nkind = \"milter\"\naddress = \"{milter}\"\n\
         [[rule]]\nname = \"all\"\ndirection = \"outbound\"\n{rule}\n"
    )
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
    assert!(log.contains("the configuration stays as it was") && log.contains("colour"), "{log}");
    assert!(log.contains("passed on") && log.contains("refused"), "{log}");
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

fn get(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens");
    std::io::Write::write_all(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
