//! A folder with a home in it, and the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::Connection;

/// A home that does not exist yet, and room beside it.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) home: PathBuf,
}

/// What the program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Minus one when a signal ended it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        Lab { folder, home }
    }

    /// With a key of its own, an anchor, its revocation list, and a certificate that is revoked.
    pub(crate) fn filled() -> Lab {
        let lab = Lab::new();
        for arguments in [
            &["key", "generate", "me@example.org", "--no-passphrase"][..],
            &["key", "import", "--anchor", &data("ca.pem")],
            &["key", "import", &data("crl.pem"), &data("revoked.pgp")],
            &["key", "trust", REVOKED, "v@example.org"],
        ] {
            assert_eq!(lab.run(arguments).code, 0, "{arguments:?}");
        }
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.join("postseal.db")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.home, arguments)
    }

    pub(crate) fn command_at(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.current_dir(self.folder.path()).arg("--home").arg(home).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    pub(crate) fn run_at(&self, home: &Path, arguments: &[&str]) -> Ran {
        ran(&mut self.command_at(home, arguments))
    }

    /// The exit code of `verify` of a message whose OpenPGP signer is revoked in the home, and good in a file.
    pub(crate) fn verify(&self) -> i32 {
        self.verify_at(&self.home)
    }

    pub(crate) fn verify_at(&self, home: &Path) -> i32 {
        self.run_at(home, &["--keys", &data("clean.pgp"), "--at", AT, "verify", &data("signed.eml")]).code
    }

    /// The exit code of `verify` of a message whose S/MIME signer is revoked by a list in the home.
    pub(crate) fn verify_smime(&self) -> i32 {
        self.run(&["--at", AT, "verify", &data("signed-smime.eml")]).code
    }

    /// The database by another hand.
    pub(crate) fn sqlite(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection
    }

    /// A copy of the home as it is.
    pub(crate) fn copy(&self) -> Lab {
        let copy = Lab::new();
        copy_folder(&self.home, &copy.home);
        copy
    }
}

/// A folder with private permissions and all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_folder(&path, &name) } else { _ = fs::copy(&path, &name).unwrap() }
    }
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let done = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ran { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}

/// A file of testdata/home.
pub(crate) fn data(name: &str) -> String {
    format!("{}/testdata/home/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A number of rounds from the environment, for longer runs than those of everyday.
pub(crate) fn rounds(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |count| count.parse().unwrap())
}

/// The certificate in revoked.pgp and clean.pgp.
pub(crate) const REVOKED: &str = "B38A0B4F28EF7F872F36BFC3FF055D7A9E5F4E04";
/// When everything in testdata/home is valid.
pub(crate) const AT: &str = "2026-11-29T13:00:00Z";
