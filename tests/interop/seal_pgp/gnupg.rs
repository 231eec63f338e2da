//! GnuPG in a home of its own, with a clock that stands still.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A home, whose agent ends with it.
pub(crate) struct Gpg {
    home: TempDir,
    now: u64,
}

/// What one run said.
pub(crate) struct Run {
    pub(crate) success: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) status: String,
}

impl Gpg {
    pub(crate) fn new(now: u64) -> Gpg {
        let private = std::fs::Permissions::from_mode(0o700);
        Gpg { home: tempfile::Builder::new().prefix("ps").permissions(private).tempdir().unwrap(), now }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Run {
        self.run_at(self.now, arguments, input)
    }

    pub(crate) fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let run = self.run(arguments, input);
        assert!(run.success, "gpg {arguments:?}: {}", run.status);
        run.stdout
    }

    pub(crate) fn generate(&self, user_id: &str, algorithm: &str) {
        self.generate_at(self.now - 86_400, user_id, algorithm, "never");
    }

    /// A key that signs, with an encryption subkey.
    pub(crate) fn generate_at(&self, at: u64, user_id: &str, algorithm: &str, expire: &str) {
        self.quick(at, &["--quick-generate-key", user_id, algorithm, "sign,cert", expire]);
        let fingerprint = self.fingerprint(user_id);
        let encryption = if algorithm == "ed25519" { "cv25519" } else { algorithm };
        self.quick(at, &["--quick-add-key", &fingerprint, encryption, "encr", expire]);
    }

    /// A key that signs, and nothing else.
    pub(crate) fn generate_primary(&self, user_id: &str, algorithm: &str) {
        self.quick(self.now - 86_400, &["--quick-generate-key", user_id, algorithm, "sign,cert", "never"]);
    }

    pub(crate) fn fingerprint(&self, user_id: &str) -> String {
        let address = user_id.split_once('<').map_or(user_id, |(_, rest)| rest.trim_end_matches('>'));
        let listing = String::from_utf8(self.ok(&["--list-keys", "--with-colons", address], b"")).unwrap();
        let line = listing.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// Revokes with the reason "key material has been compromised".
    pub(crate) fn revoke(&self, address: &str) {
        let answers = b"y\n1\n\ny\n";
        let switches = ["--no-batch", "--no-tty", "--command-fd", "0", "--gen-revoke", address];
        let certificate = self.ok(&switches, answers);
        self.ok(&["--import"], &certificate);
    }

    fn quick(&self, at: u64, arguments: &[&str]) {
        let run = self.run_at(at, &[&["--passphrase", "", "--pinentry-mode", "loopback"], arguments].concat(), b"");
        assert!(run.success, "gpg {arguments:?}: {}", run.status);
    }

    /// Standard error and the status lines come back together: both say why something failed.
    fn run_at(&self, at: u64, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path()).args(["--batch", "--quiet", "--status-fd", "2"]);
        command.args(["--trust-model", "always", "--faked-system-time", &format!("{at}!")]).args(arguments);
        command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // gpg may close its input early, which is its own affair.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        Run {
            success: output.status.success(),
            stdout: output.stdout,
            status: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let kill = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
        if let Err(error) = kill {
            writeln!(std::io::stderr(), "gpgconf --kill all: {error}").expect("standard error is open");
        }
    }
}
