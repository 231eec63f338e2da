//! `postseal serve` with bob's keys, a next server that takes everything, and a client of each kind.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::support::{
    clients::{self, Letter},
    ports::{free_port, wait_for_port},
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
        let ports = [0; 3].map(|_| free_port());
        let listener =
            |kind: &str, port: u16| format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n");
        let config = format!(
            "home = \"home\"\nquarantine = \"held\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{}{}{}\
             [upstream]\nsmart-host = \"unix:next\"\ntls = \"none\"\n\
             [[rule]]\nname = \"mail comes in\"\ndirection = \"inbound\"\naction = \"decrypt+annotate\"\n{more}\n",
            listener("relay", ports[0]),
            listener("lmtp", ports[1]),
            listener("milter", ports[2]),
        );
        fs::create_dir(folder.path().join("held")).unwrap();
        fs::write(folder.path().join("postseal.toml"), config).unwrap();
        let delivered = clients::next_server(UnixListener::bind(folder.path().join("next")).unwrap(), "220 next ESMTP");
        let mut serve = Command::new(BINARY);
        serve.arg("serve").arg("-c").arg(folder.path().join("postseal.toml")).stderr(Stdio::null());
        let child = serve.spawn().unwrap();
        let service = Service { folder, ports, delivered, child };
        ports.into_iter().for_each(wait_for_port);
        service
    }

    /// The reply to a message that a stranger sends to bob by SMTP or LMTP.
    pub(crate) fn send(&self, transport: &str, message: &str) -> String {
        let (port, hello) = if transport == "lmtp" { (self.ports[1], "LHLO") } else { (self.ports[0], "EHLO") };
        clients::dialogue(port, hello, &from_a_stranger(message))
    }

    /// The last answer of the milter to a message that a stranger sends to bob.
    pub(crate) fn milter(&self, message: &str) -> String {
        clients::milter(self.ports[2], &from_a_stranger(message))
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

fn from_a_stranger(message: &str) -> Letter<'_> {
    Letter { client: "192.0.2.1", sender: "eve@evil.example.org", recipient: "bob@example.org", message }
}
