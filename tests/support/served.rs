//! `postseal serve` in the folder of a lab, with SMTP, LMTP and a milter, and a next server that takes everything; and `filter` and `sendmail` with
//! the same configuration.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::{
    clients::{self, Letter},
    lab::{Lab, POSTSEAL},
    ports::free_port,
    processes,
};

/// A client in a trusted network.
pub(crate) const TRUSTED: &str = "198.51.100.7";
/// Any other.
pub(crate) const STRANGER: &str = "192.0.2.1";

/// A configuration in `postseal.toml`, and a next server.
pub(crate) struct Configured<'a> {
    lab: &'a Lab,
    /// SMTP, LMTP, milter, monitor.
    ports: [u16; 4],
    delivered: Arc<Mutex<Vec<String>>>,
}

/// A service that runs. It stops when dropped.
pub(crate) struct Served<'a> {
    configured: Configured<'a>,
    child: Child,
}

impl<'a> Configured<'a> {
    /// Writes the configuration: alice may be signed for by the calling user and by clients in trusted networks; `rules` have a name,
    /// other lines, and an action.
    pub(crate) fn new(lab: &'a Lab, greeting: &'static str, rules: &[[&str; 3]]) -> Configured<'a> {
        let delivered = clients::next_server(UnixListener::bind(lab.path("next")).expect("a socket"), greeting);
        let ports = [0; 4].map(|_| free_port());
        let user = Command::new("id").arg("-un").output().expect("id").stdout;
        let mut config = format!(
            "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nprotocol = [\"pgp\"]\n\
             quarantine = \".\"\nmetrics = \"127.0.0.1:{}\"\n\
             [identities]\n{} = \"alice@example.org\"\n\
             [trusted]\nnetworks = [\"{TRUSTED}\"]\npeers = [\"127.0.0.1\"]\nsign-as = [\"alice@example.org\"]\n\
             [upstream]\nsmart-host = \"unix:next\"\ntls = \"none\"\n",
            ports[3],
            String::from_utf8_lossy(&user).trim()
        );
        for (kind, port) in ["relay", "lmtp", "milter"].iter().zip(ports) {
            config += &format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n");
        }
        for [name, lines, action] in rules {
            config += &format!("[[rule]]\nname = \"{name}\"\n{lines}\naction = \"{action}\"\n");
        }
        lab.write("postseal.toml", config);
        Configured { lab, ports, delivered }
    }

    /// Starts the service; its exit code if it does not start.
    pub(crate) fn serve(self) -> Result<Served<'a>, i32> {
        self.serve_under(&["env"])
    }

    /// The same by a program, which gets the command line as its arguments.
    pub(crate) fn serve_under(self, starter: &[&str]) -> Result<Served<'a>, i32> {
        let log = fs::File::create(self.lab.path("log")).expect("a file");
        let mut serve = Command::new(starter[0]);
        serve.args(&starter[1..]).args([POSTSEAL, "serve", "-c", "postseal.toml"]);
        serve.current_dir(self.lab.path("")).stderr(Stdio::from(log));
        let mut child = serve.spawn().expect("postseal starts");
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return Err(status.code().expect("no signal"));
            }
            if self.ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                return Ok(Served { configured: self, child });
            }
            assert!(Instant::now() < end, "it does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Served<'_> {
    /// The reply of each transport. The milter's answer is turned into the reply of a mail server.
    pub(crate) fn replies(&self, letter: &Letter<'_>) -> [(&'static str, String); 3] {
        let [smtp, lmtp, milter, _] = self.configured.ports;
        let answer = clients::milter(milter, letter);
        let answer = match answer.split_at(1) {
            ("y", reply) => reply.to_owned(),
            ("t", _) => "451 4.7.1".to_owned(),
            ("a" | "c" | "d", _) => "250 2.0.0".to_owned(),
            _ => panic!("{answer}"),
        };
        [
            ("smtp", clients::dialogue(smtp, "EHLO", letter)),
            ("lmtp", clients::dialogue(lmtp, "LHLO", letter)),
            ("milter", answer),
        ]
    }

    /// The most memory that it has had, in MiB.
    pub(crate) fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
    }

    /// Its processes with this name.
    pub(crate) fn processes(&self, name: &str) -> Vec<u32> {
        let is_one =
            |id: &u32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(name.as_bytes()));
        processes::family(self.child.id()).into_iter().filter(is_one).collect()
    }

    /// The port of the listener for SMTP.
    pub(crate) fn smtp(&self) -> u16 {
        self.configured.ports[0]
    }

    /// The status of `/readyz`.
    pub(crate) fn readiness(&self) -> String {
        self.page("/readyz").split(' ').nth(1).expect("a status").to_owned()
    }

    /// What the monitor answers to this path, with its header.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.configured.ports[3])).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        page
    }

    /// What the next server was given since the last call.
    pub(crate) fn delivered(&self) -> Vec<String> {
        std::mem::take(&mut *self.configured.delivered.lock().expect("no panic elsewhere"))
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a service in the folder has logged.
pub(crate) fn log(lab: &Lab) -> String {
    String::from_utf8(lab.read("log")).expect("a log in UTF-8")
}

/// Exit code, standard output and standard error of `filter`.
pub(crate) fn filter(lab: &Lab, letter: &Letter<'_>) -> (i32, String, String) {
    lab.write("input", letter.message);
    let trusted = if letter.client == TRUSTED { "--trusted" } else { "--user=" };
    let from = format!("--from={}", letter.sender);
    run(lab, &["filter", "-c", "postseal.toml", &from, trusted, "--", letter.recipient])
}

/// The same of `sendmail`, as the calling user.
pub(crate) fn sendmail(lab: &Lab, letter: &Letter<'_>) -> (i32, String, String) {
    lab.write("input", letter.message.replace("\r\n", "\n"));
    run(lab, &["sendmail", "-i", "-f", letter.sender, letter.recipient])
}

fn run(lab: &Lab, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(POSTSEAL);
    command.current_dir(lab.path("")).env("POSTSEAL_CONFIG", "postseal.toml").args(arguments);
    let output = command.stdin(fs::File::open(lab.path("input")).expect("a file")).output().expect("postseal runs");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}
