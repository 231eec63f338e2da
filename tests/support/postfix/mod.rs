//! A Postfix of our own: configuration, queue and log in a throwaway folder, on loopback and high ports, gone when the test ends.
//!
//! `let sink = Sink::start(); let postfix = Postfix::start(sink.port(), &[("smtpd_milters", "inet:127.0.0.1:1234")], "");`

mod sink;

use super::{
    ports::{free_port, wait_for_port},
    requirements,
};
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use sink::{Received, Sink};

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Whether Postfix and `programs` are here, and whether we may start it (only root may).
pub(crate) fn present(programs: &[&str]) -> bool {
    requirements::present(&[&["postfix"], programs].concat()) && may_start_servers()
}

/// Whether this is root.
pub(crate) fn may_start_servers() -> bool {
    rustix::process::geteuid().is_root() || requirements::missing("the right to start servers (root)")
}

/// A running Postfix that relays everything to one port of loopback.
pub(crate) struct Postfix {
    folder: tempfile::TempDir,
    port: u16,
}

impl Postfix {
    /// Starts one that hands everything over to `relay`, a port of loopback. `main` are further settings of main.cf, which win; `master`
    /// further lines of master.cf. Its own smtpd listens on [`Postfix::port`].
    pub(crate) fn start(relay: u16, main: &[(&str, &str)], master: &str) -> Postfix {
        let folder = tempfile::Builder::new().prefix("pf").tempdir().expect("a throwaway folder");
        // The daemons run as the user postfix.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder that can be entered");
        let postfix = Postfix { folder, port: free_port() };
        fs::create_dir(postfix.config()).expect("a folder for the configuration");
        for (name, mode) in [("queue", 0o755), ("data", 0o700)] {
            fs::create_dir(postfix.path(name)).expect("a folder for the queue");
            fs::set_permissions(postfix.path(name), fs::Permissions::from_mode(mode)).expect("permissions");
        }
        succeed(Command::new("chown").arg("postfix").arg(postfix.path("data")));
        // postsuper writes to it as the user postfix, when it looks at a queue that was left in the middle of something.
        fs::write(postfix.path("log"), "").expect("a log");
        fs::set_permissions(postfix.path("log"), fs::Permissions::from_mode(0o666)).expect("permissions");
        fs::write(postfix.config().join("main.cf"), postfix.main_cf(relay, main)).expect("main.cf");
        let master = format!("127.0.0.1:{} inet n - n - - smtpd\n{MASTER}{master}", postfix.port);
        fs::write(postfix.config().join("master.cf"), master).expect("master.cf");
        succeed(&mut postfix.command("start"));
        wait_for_port(postfix.port);
        postfix
    }

    /// Where its smtpd listens, on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The directory of main.cf and master.cf: `sendmail -C`, `postqueue -c`.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("etc")
    }

    /// A file of the throwaway folder, which everyone may enter.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs Postfix's own sendmail with `message` on its standard input.
    pub(crate) fn sendmail(&self, arguments: &[&str], message: &[u8]) -> Output {
        let mut command = Command::new("/usr/sbin/sendmail");
        command.arg("-C").arg(self.config()).args(arguments);
        run_with(&mut command, message)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the log holds `words`; panics with the log after 20 seconds.
    pub(crate) fn wait_for_log(&self, words: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "not in the log: {words:?}\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Tries every deferred message again.
    pub(crate) fn flush(&self) {
        succeed(Command::new("/usr/sbin/postqueue").arg("-c").arg(self.config()).arg("-f"));
    }

    /// What `postqueue -p` says.
    pub(crate) fn queue(&self) -> String {
        let output = succeed(Command::new("/usr/sbin/postqueue").arg("-c").arg(self.config()).arg("-p"));
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Waits until what `postqueue -p` says is as it should be: a moment passes between the sink's last word and the end of the queue's
    /// file.
    pub(crate) fn wait_for_queue(&self, is_right: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let queue = self.queue();
            if is_right(&queue) {
                return;
            }
            assert!(Instant::now() < deadline, "{queue}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends all of it at once, in the middle of whatever it is in.
    pub(crate) fn abort(&self) {
        succeed(&mut self.command("abort"));
    }

    /// Ends it when those at work are done, which takes up to five seconds.
    pub(crate) fn stop(&self) {
        succeed(&mut self.command("stop"));
    }

    /// Starts it again.
    pub(crate) fn resume(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.command("start").output().expect("postfix can be started");
            if output.status.success() {
                break;
            }
            // The processes before it may not be quite gone.
            assert!(Instant::now() < end, "it does not start again: {}", String::from_utf8_lossy(&output.stderr));
            thread::sleep(Duration::from_millis(100));
        }
        wait_for_port(self.port);
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new("/usr/sbin/postfix");
        command.arg("-c").arg(self.config()).arg(verb);
        command
    }

    fn main_cf(&self, relay: u16, more: &[(&str, &str)]) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        let own = [
            ("compatibility_level", "3.6".to_owned()),
            ("queue_directory", path("queue")),
            ("data_directory", path("data")),
            ("maillog_file", path("log")),
            ("maillog_file_prefixes", self.folder.path().display().to_string()),
            ("myhostname", "mx.postseal.test".to_owned()),
            ("inet_interfaces", "127.0.0.1".to_owned()),
            ("inet_protocols", "ipv4".to_owned()),
            ("mynetworks", "127.0.0.0/8".to_owned()),
            ("mydestination", String::new()),
            ("local_recipient_maps", String::new()),
            ("alias_maps", String::new()),
            ("alias_database", String::new()),
            ("relayhost", format!("[127.0.0.1]:{relay}")),
            ("default_transport", "smtp".to_owned()),
            ("smtp_host_lookup", "native".to_owned()),
            ("smtp_dns_support_level", "disabled".to_owned()),
            ("smtpd_peername_lookup", "no".to_owned()),
            ("smtpd_recipient_restrictions", "permit_mynetworks,reject".to_owned()),
            ("smtpd_client_connection_count_limit", "0".to_owned()),
            ("minimal_backoff_time", "1s".to_owned()),
            ("maximal_backoff_time", "2s".to_owned()),
            ("queue_run_delay", "1s".to_owned()),
            ("biff", "no".to_owned()),
        ];
        let mut text = String::new();
        for (name, value) in own.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)) {
            writeln!(text, "{name} = {value}").expect("a string grows");
        }
        for (name, value) in more {
            writeln!(text, "{name} = {value}").expect("a string grows");
        }
        text
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if thread::panicking() {
            // Postfix's log helps to understand the failure.
            let _ = writeln!(io::stderr(), "postfix logged:\n{}", self.log());
        }
        let _ = self.command("abort").output();
    }
}

/// Runs a command with `input` on its standard input and waits for it.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    thread::scope(|scope| {
        // A program that refuses need not read it all.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the program ends")
    })
}

/// Everything that comes from `stream` until it ends, within 20 seconds.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).expect("the peer closes in time");
    octets
}

/// A copy of the postseal of this build where other users may run it.
pub(crate) fn postseal_in(folder: &Path) -> PathBuf {
    let copy = folder.join("postseal");
    fs::hard_link(env!("CARGO_BIN_EXE_postseal"), &copy)
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_postseal"), &copy).map(drop))
        .expect("the program can be copied");
    copy
}

fn succeed(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("the program can be started");
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{}\n{}", said(&stdout), said(&stderr));
    stdout
}

/// The services of Debian's master.cf that relaying needs, none in a chroot.
const MASTER: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";
