//! A name server of our own on an address of loopback: a BIND that serves the root zone of the test.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::ports::{free_port, wait_for_port};

/// A running name server. Every name that is not in its zone does not exist.
pub(crate) struct Names {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Names {
    /// Serves `records`, one a line as in a zone file, with full names: `example.org. A 127.0.0.2`.
    pub(crate) fn start(records: &str) -> Names {
        Self::with(records, |_| String::new())
    }

    /// The same, with settings for the root zone; `prepare` gets the folder with the zone in `root.zone`.
    pub(crate) fn with(records: &str, prepare: impl FnOnce(&std::path::Path) -> String) -> Names {
        let folder = tempfile::Builder::new().prefix("ns").tempdir().expect("a throwaway folder");
        let here = folder.path().display();
        let soa = "$TTL 60\n. SOA ns. hostmaster. 1 3600 600 86400 1\n. NS ns.\nns. A 127.0.0.1\n";
        fs::write(folder.path().join("root.zone"), format!("{soa}{records}\n")).expect("a file");
        let settings = prepare(folder.path());
        let port = free_port();
        let configuration = format!(
            "options {{ directory \"{here}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; dnssec-validation no; empty-zones-enable no; notify no; }};\ncontrols {{ }};\n\
             zone \".\" {{ type primary; file \"root.zone\"; check-names ignore; {settings} }};\n"
        );
        fs::write(folder.path().join("named.conf"), configuration).expect("a file");
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new("named");
        command.arg("-g").arg("-n").arg("1").arg("-c").arg(folder.path().join("named.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("named starts");
        wait_for_port(port);
        Names { folder, port, child }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A file of its folder: `log`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback that no other test has, for servers at ports that URLs do not name.
pub(crate) fn loopback() -> Ipv4Addr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(64).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % 0x00FC_0000;
    // 127.2.0.0 and above: other servers of tests are at 127.0.0.1.
    Ipv4Addr::from_bits(0x7F02_0000 + number)
}
