//! A throwaway folder with a home for postseal and one for GnuPG, and the programs that work in it.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use crate::support::requirements::{gosop, openpgpjs};

/// One test's folder. GnuPG's agent is stopped when it goes.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

/// A key that every program of the test can read.
pub(crate) struct Identity {
    /// Certificate, armored.
    pub(crate) public: PathBuf,
    /// Certificate and secret key without a passphrase, armored.
    pub(crate) secret: PathBuf,
}

impl Lab {
    pub(crate) fn new() -> Self {
        // GnuPG's sockets lie in its home, and their paths are bounded by 108 octets: short names only.
        let folder = tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway folder");
        let lab = Lab { folder };
        fs::create_dir(lab.path("g")).expect("a home for GnuPG");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(lab.path("g"), fs::Permissions::from_mode(0o700)).expect("a private home");
        }
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, octets).expect("the throwaway folder can be written");
        path
    }

    /// Runs postseal with its own home; panics unless it exits with 0.
    pub(crate) fn postseal<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("h")).args(arguments);
        succeed(command)
    }

    /// Runs gpg in its own home, without prompts; panics unless it exits with 0. Status lines are in the output of `--status-fd=1`.
    pub(crate) fn gpg<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.path("g"));
        command.args(["--batch", "--yes", "--quiet", "--no-tty", "--trust-model=always"]);
        command.args(["--pinentry-mode=loopback", "--passphrase="]);
        command.args(arguments);
        succeed(command)
    }

    /// Runs another program in the folder; panics unless it exits with 0.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        succeed(command)
    }

    /// Runs gosop with this on its standard input; panics unless it exits with 0.
    pub(crate) fn gosop(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let input = fs::File::open(self.write("gosop.in", input)).expect("written");
        let mut command = Command::new(gosop());
        command.args(arguments).stdin(input).current_dir(self.folder.path());
        succeed(command)
    }

    /// Runs one verb of `openpgpjs.mjs` with Proton's package.
    pub(crate) fn protonjs(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("node");
        command.env("POSTSEAL_OPENPGPJS", openpgpjs()).env("POSTSEAL_OPENPGPJS_PACKAGE", "@protontech/openpgp");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/openpgpjs.mjs")).args(arguments);
        succeed(command)
    }

    /// Runs one verb of `openpgpjs.mjs`.
    pub(crate) fn openpgpjs<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut command = Command::new("node");
        command.env("POSTSEAL_OPENPGPJS", openpgpjs());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/openpgpjs.mjs")).args(arguments);
        succeed(command)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        command.arg("--homedir").arg(self.path("g")).args(["--kill", "all"]);
        // GnuPG may not be installed at all; then there is no agent either.
        let _ = command.output();
    }
}

fn succeed(mut command: Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().expect("the program can be started");
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{}\n{}", said(&stdout), said(&stderr));
    stdout
}
