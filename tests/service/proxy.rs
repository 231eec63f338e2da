//! `postseal serve` with keys and rules, in a throwaway folder.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    ports::{free_port, wait_for_port},
    postfix::run_with,
    processes,
};

/// A running program; it stops when dropped.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    submission: u16,
    tls: u16,
    lmtp: u16,
    child: Mutex<Option<Child>>,
    /// Variables of its environment from the next start on.
    environment: Mutex<Vec<(String, String)>>,
}

impl Proxy {
    /// Starts one that passes on to this port of loopback. `more` stands on top of its configuration.
    pub(crate) fn start(upstream: u16, more: &str) -> Proxy {
        Proxy::build(upstream, more, TRUSTED, RULES, |_| String::new())
    }

    /// The same; `furnish` puts files into the folder and says what stands at the end of the configuration.
    pub(crate) fn furnished(upstream: u16, more: &str, furnish: impl FnOnce(&Proxy) -> String) -> Proxy {
        Proxy::build(upstream, more, TRUSTED, RULES, furnish)
    }

    /// [`Proxy::start`] with another section of who is trusted, and other rules.
    pub(crate) fn by(upstream: u16, more: &str, trusted: &str, rules: &str) -> Proxy {
        Proxy::build(upstream, more, trusted, rules, |_| String::new())
    }

    /// [`Proxy::by`] with a marker.
    pub(crate) fn marked(upstream: u16, more: &str, trusted: &str, rules: &str) -> Proxy {
        let more = format!("marker.file = \"marker\"\n{more}");
        Proxy::build(upstream, &more, trusted, rules, |proxy| {
            let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(proxy.path("marker"));
            file.and_then(|mut file| file.write_all(b"0123456789abcdef0123456789abcdef")).expect("a secret");
            String::new()
        })
    }

    /// [`Proxy::by`] and [`Proxy::furnished`] in one.
    pub(crate) fn build(
        upstream: u16,
        more: &str,
        trusted: &str,
        rules: &str,
        furnish: impl FnOnce(&Proxy) -> String,
    ) -> Proxy {
        let folder = tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway folder");
        let [submission, tls, lmtp] = [free_port(), free_port(), free_port()];
        let proxy = Proxy { folder, submission, tls, lmtp, child: Mutex::new(None), environment: Mutex::default() };
        for (protocol, owner) in [
            ("pgp", "alice@example.org"),
            ("smime", "alice@example.org"),
            ("pgp", "bob@example.net"),
            ("smime", "carol@example.com"),
        ] {
            proxy.postseal(&["key", "generate", "-f", protocol, "--no-passphrase", owner]);
        }
        let (key, certificate) = (proxy.path("key.pem"), proxy.path("cert.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        assert!(run_with(&mut openssl, b"").status.success());
        let end = furnish(&proxy);
        let configuration = format!(
            "{more}\nhome = \"home\"\nhostname = \"proxy.postseal.test\"\nlocal-domains = [\"example.org\"]\n\
            {trusted}\nidentities.a = [\"alice@example.org\"]\n\
            aliases.Staff = [\"alice@example.org\", \"bob@example.net\"]\naliases.boss = \"alice@example.org\"\n\
            [upstream]\nsmart-host = \"127.0.0.1:{upstream}\"\ntls = \"none\"\n\
            [[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{submission}\"\n\
            [[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{tls}\"\ntls = \"starttls\"\nauth = \"relay\"\nvrfy = \"aliases\"\n\
            certificate = \"cert.pem\"\nkey = \"key.pem\"\n\
            [[listener]]\nkind = \"lmtp\"\naddress = \"127.0.0.1:{lmtp}\"\n{rules}{end}"
        );
        fs::write(proxy.path("postseal.toml"), configuration).expect("a configuration");
        proxy.open();
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.submission
    }

    pub(crate) fn tls(&self) -> u16 {
        self.tls
    }

    pub(crate) fn lmtp(&self) -> u16 {
        self.lmtp
    }

    /// Starts the program and waits until it listens.
    pub(crate) fn open(&self) {
        self.start_program();
        for port in [self.submission, self.tls, self.lmtp] {
            wait_for_port(port);
        }
    }

    /// Starts the program, and again when it ends at once, as systemd does: its keys may be out of reach for a while.
    pub(crate) fn open_until_it_stays(&self) {
        let end = Instant::now() + Duration::from_secs(120);
        self.start_program();
        while TcpStream::connect(("127.0.0.1", self.submission)).is_err() {
            assert!(Instant::now() < end, "it does not start: {}", self.log());
            thread::sleep(Duration::from_millis(50));
            let ended = {
                let mut child = self.child.lock().expect("nobody panics with it");
                child.as_mut().is_some_and(|child| child.try_wait().expect("a child").is_some())
            };
            if ended {
                self.start_program();
            }
        }
    }

    fn start_program(&self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.args(["serve", "--config"]).arg(self.path("postseal.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        command.envs(self.environment.lock().expect("nobody panics with it").iter().cloned());
        // A group of its own: its processes are found by it.
        let child = command.stderr(log).process_group(0).spawn().expect("postseal can be started");
        *self.child.lock().expect("nobody panics with it") = Some(child);
    }

    /// SIGKILL, and what systemd does then: whatever else the service has started ends too.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("nobody panics with it").take() {
            let all = processes::family(child.id());
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            for other in all.into_iter().filter(|process| *process != child.id()) {
                // Most have ended with the first one.
                let _ = Command::new("kill").args(["-KILL", &other.to_string()]).stderr(Stdio::null()).status();
            }
        }
    }

    /// Sets variables of its environment, from the next start on.
    pub(crate) fn set_environment(&self, variables: &[(&str, &str)]) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.lock().expect("nobody panics with it").extend(variables);
    }

    /// Whether it has ended by itself, and how.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().expect("nobody panics with it");
        child.as_mut().and_then(|child| child.try_wait().expect("a child"))
    }

    /// SIGHUP.
    pub(crate) fn signal_reload(&self) {
        let child = self.child.lock().expect("nobody panics with it").as_ref().map(Child::id);
        if let Some(child) = child {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args(["-HUP", &child.to_string()]).stderr(Stdio::null()).status();
        }
    }

    /// Its processes that do this.
    pub(crate) fn processes_of(&self, role: &str) -> Vec<u32> {
        let name = format!("postseal: {role}");
        let is_one =
            |id: &u32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(name.as_bytes()));
        self.processes().into_iter().filter(is_one).collect()
    }

    /// SIGTERM, as systemd sends it, and what it does then to its end.
    pub(crate) fn terminate(&self) {
        if let Some(mut child) = self.child.lock().expect("nobody panics with it").take() {
            let status = Command::new("kill").arg(child.id().to_string()).status();
            assert!(status.expect("kill runs").success());
            assert!(child.wait().expect("it ends").success(), "{}", self.log());
        }
    }

    /// Tells it to read its configuration again, unless it is away.
    pub(crate) fn hang_up(&self) -> bool {
        let child = self.child.lock().expect("nobody panics with it");
        // Before it listens, the signal would end it.
        let is_open = TcpStream::connect(("127.0.0.1", self.submission)).is_ok();
        let number = child.as_ref().filter(|_| is_open).map(|child| child.id().to_string());
        number.is_some_and(|number| Command::new("kill").args(["-HUP", &number]).status().expect("kill runs").success())
    }

    /// Tells it to read its configuration again, and waits until its log holds `words` once more.
    pub(crate) fn reload(&self, words: &str) {
        let before = self.log().matches(words).count();
        let child = self.child.lock().expect("nobody panics with it").as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-HUP", &child]).status().expect("kill runs").success());
        let end = Instant::now() + Duration::from_secs(20);
        while self.log().matches(words).count() == before {
            assert!(Instant::now() < end, "not in the log: {words}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The memory of all its processes together, in KiB (VmRSS).
    pub(crate) fn memory(&self) -> usize {
        self.processes().into_iter().map(processes::resident).sum()
    }

    /// Its processes, the one that was started first.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes::family(self.child.lock().expect("nobody panics with it").as_ref().expect("it runs").id())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A connection of a client's.
    pub(crate) fn connect(&self, port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    pub(crate) fn gpg_decrypt(&self, owner: &str, message: &[u8]) -> String {
        let home = self.path("gnupg");
        if !home.exists() {
            fs::DirBuilder::new().mode(0o700).create(&home).expect("a home");
            let secret = self.postseal(&["key", "export", "-f", "pgp", "--secret", owner]);
            let author = self.postseal(&["key", "export", "-f", "pgp", "alice@example.org"]);
            for keys in [secret, author] {
                let imported = self.gpg(&["--import"], &keys);
                assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
            }
        }
        let text = String::from_utf8_lossy(message);
        let from = text.find("-----BEGIN PGP MESSAGE").unwrap_or_else(|| panic!("not encrypted: {text}"));
        let output = self.gpg(&["--decrypt"], text[from..].as_bytes());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("Good signature"), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn openssl_decrypt(&self, owner: &str, message: &[u8]) -> String {
        let (pass, archive, secret) = (self.path("pass"), self.path("secret.p12"), self.path("secret.pem"));
        fs::write(&pass, "secret\n").expect("a file");
        let pass = pass.to_str().expect("a plain name");
        let export = ["--passphrase-file", pass, "key", "export", "-f", "smime", "--secret", "--binary", owner];
        fs::write(&archive, self.postseal(&export)).expect("a key");
        let mut command = Command::new("openssl");
        command.args(["pkcs12", "-nodes", "-passin", "pass:secret", "-in"]).arg(&archive).arg("-out").arg(&secret);
        let output = run_with(&mut command, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut command = Command::new("openssl");
        command.args(["cms", "-decrypt", "-inkey"]).arg(&secret);
        let output = run_with(&mut command, message);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut command = Command::new("openssl");
        command.args(["cms", "-verify", "-noverify"]);
        let output = run_with(&mut command, &output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> std::process::Output {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--pinentry-mode", "loopback", "--passphrase", ""]).args(arguments);
        run_with(command.env("GNUPGHOME", self.path("gnupg")), input)
    }

    /// `postseal sendmail` by the same configuration.
    pub(crate) fn sendmail(&self, arguments: &[&str], message: &str) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.env("POSTSEAL_CONFIG", self.path("postseal.toml")).arg("sendmail").args(arguments);
        run_with(&mut command, message.as_bytes())
    }

    pub(crate) fn postseal(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        let output = run_with(command.arg("--home").arg(self.path("home")).args(arguments), b"");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(std::io::stderr(), "postseal logged:\n{}", self.log());
        }
        self.kill();
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", self.path("gnupg")).output();
    }
}

pub(crate) const TRUSTED: &str = "trusted.networks = [\"127.0.0.0/8\"]\ntrusted.sign-as = [\"alice@example.org\"]";

const RULES: &str = r#"
[[rule]]
name = "never"
recipient = "refused.test"
action = "reject"
text = "not to them"

[[rule]]
name = "not now"
recipient = "later.test"
action = "tempfail"
text = "not now"

[[rule]]
name = "in clear"
recipient = ["plain.test", "<>"]
action = "clear"

[[rule]]
name = "bounces"
from = "<>"
action = "clear"

[[rule]]
name = "sealed"
action = "sign+encrypt"
"#;
