//! `postseal serve` with bob's keys, a next server that takes everything, and a client of each kind.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A running service. It stops when dropped.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    delivered: Arc<Mutex<Vec<String>>>,
    child: Child,
}

const BINARY: &str = env!("CARGO_BIN_EXE_postseal");

impl Service {
    /// One whose only rule decrypts and annotates, with the line `more`, and has the keys of these files.
    pub(crate) fn start(more: &str, keys: &[&str]) -> Service {
        let folder = tempfile::Builder::new().prefix("ps").tempdir().unwrap();
        for file in keys {
            let mut import = Command::new(BINARY);
            import.arg("--home").arg(folder.path().join("home")).args(["key", "import", file]);
            assert!(import.output().unwrap().status.success());
        }
        let ports = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let listener =
            |kind: &str, port: u16| format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n");
        let config = format!(
            "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{}{}{}\
             [upstream]\nsmart-host = \"unix:next\"\ntls = \"none\"\n\
             [[rule]]\nname = \"mail comes in\"\ndirection = \"inbound\"\naction = \"decrypt+annotate\"\n{more}\n",
            listener("relay", ports[0]),
            listener("lmtp", ports[1]),
            listener("milter", ports[2]),
        );
        fs::write(folder.path().join("postseal.toml"), config).unwrap();
        let delivered = Arc::default();
        sink(UnixListener::bind(folder.path().join("next")).unwrap(), Arc::clone(&delivered));
        let mut serve = Command::new(BINARY);
        serve.arg("serve").arg("-c").arg(folder.path().join("postseal.toml")).stderr(Stdio::null());
        let child = serve.spawn().unwrap();
        let service = Service { folder, ports, delivered, child };
        let patience = Instant::now() + Duration::from_secs(60);
        while ports.iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            assert!(Instant::now() < patience, "the service does not start");
            thread::sleep(Duration::from_millis(50));
        }
        service
    }

    /// The reply to a message that a stranger sends to bob by SMTP or LMTP.
    pub(crate) fn send(&self, transport: &str, message: &str) -> String {
        let (port, hello) = if transport == "lmtp" { (self.ports[1], "LHLO") } else { (self.ports[0], "EHLO") };
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        reply(&mut lines);
        let mut said = String::new();
        for command in [
            &format!("{hello} evil.example.org\r\n"),
            "MAIL FROM:<eve@evil.example.org>\r\n",
            "RCPT TO:<bob@example.org>\r\n",
            "DATA\r\n",
            &format!("{message}\r\n.\r\n"),
        ] {
            stream.write_all(command.as_bytes()).unwrap();
            said = reply(&mut lines);
        }
        said
    }

    /// The last answer of the milter to a message that a stranger sends to bob.
    pub(crate) fn milter(&self, message: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[2])).unwrap();
        let say = |stream: &mut TcpStream, command: u8, data: &[u8]| {
            let length = u32::try_from(data.len() + 1).unwrap().to_be_bytes();
            stream.write_all(&[&length, &[command][..], data].concat()).unwrap();
        };
        let hear = |stream: &mut TcpStream| -> Vec<u8> {
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut packet = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut packet).unwrap();
            packet
        };
        let (header, body) = message.split_once("\r\n\r\n").unwrap();
        say(&mut stream, b'O', &[0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0, 0, 0]);
        assert_eq!(hear(&mut stream)[0], b'O');
        let mut commands = vec![
            (b'C', b"stranger\x004\0\x19192.0.2.1\0".to_vec()),
            (b'H', b"evil.example.org\0".to_vec()),
            (b'M', b"<eve@evil.example.org>\0".to_vec()),
            (b'R', b"<bob@example.org>\0".to_vec()),
        ];
        for field in header.split("\r\n") {
            let (name, value) = field.split_once(": ").unwrap();
            commands.push((b'L', format!("{name}\0{value}\0").into_bytes()));
        }
        commands.push((b'N', Vec::new()));
        commands.push((b'B', body.as_bytes().to_vec()));
        for (command, data) in commands {
            say(&mut stream, command, &data);
            assert_eq!(hear(&mut stream), b"c", "{}", char::from(command));
        }
        say(&mut stream, b'E', &[]);
        loop {
            let answer = hear(&mut stream);
            if b"cartdy".contains(&answer[0]) {
                return String::from_utf8(answer).unwrap();
            }
        }
    }

    /// Exit code and output of the filter for bob.
    pub(crate) fn filter(&self, message: &str) -> (String, String) {
        self.filter_for(message, &["bob@example.org"])
    }

    pub(crate) fn filter_for(&self, message: &str, recipients: &[&str]) -> (String, String) {
        let input: PathBuf = self.folder.path().join("input.eml");
        fs::write(&input, message).unwrap();
        let mut filter = Command::new(BINARY);
        filter
            .arg("filter")
            .arg("-c")
            .arg(self.folder.path().join("postseal.toml"))
            .args(["-f", "eve@evil.example.org"]);
        let output = filter.args(recipients).stdin(fs::File::open(input).unwrap()).output().unwrap();
        let code = output.status.code().unwrap().to_string();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (code, String::from_utf8(output.stdout).unwrap())
    }

    /// What the next server has, in the order in which it came.
    pub(crate) fn delivered(&self) -> Vec<String> {
        self.delivered.lock().unwrap().clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// All lines of one reply.
fn reply(lines: &mut impl BufRead) -> String {
    let mut whole = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the connection ends after {whole:?}");
        whole.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return whole;
        }
    }
}

/// SMTP that says yes to everything.
fn sink(listener: UnixListener, delivered: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let delivered = Arc::clone(&delivered);
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let mut say = |words: &[u8]| stream.write_all(words).is_ok();
                let mut is_alive = say(b"220 next ESMTP\r\n");
                while is_alive {
                    let mut line = String::new();
                    if lines.read_line(&mut line).unwrap_or_default() == 0 {
                        return;
                    }
                    if line.to_ascii_uppercase().starts_with("DATA") {
                        say(b"354 go on\r\n");
                        let mut message = Vec::new();
                        while !message.ends_with(b"\r\n.\r\n") {
                            assert!(lines.read_until(b'\n', &mut message).unwrap() > 0, "the message does not end");
                        }
                        let message = String::from_utf8_lossy(&message);
                        delivered.lock().unwrap().push(message.trim_end_matches(".\r\n").replace("\r\n..", "\r\n."));
                    }
                    is_alive = say(b"250 ok\r\n");
                }
            });
        }
    });
}
