//! A throwaway folder with a home in it, and the program at work there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::Command;

/// One test's folder. The home is `home` in it.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

/// What the program left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Lab { folder: tempfile::tempdir().expect("a throwaway folder") }
    }

    /// A folder with keys, without passphrases, for each of `owners`: `alice` is `alice@example.org`.
    pub(crate) fn with_keys(owners: &[&str]) -> Self {
        let lab = Self::new();
        for owner in owners {
            lab.run(&["key", "generate", "--no-passphrase", &format!("{owner}@example.org")]).code(0);
        }
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, octets: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), octets).expect("the throwaway folder can be written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The names in the folder, sorted: to see that nothing was left behind.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the throwaway folder can be listed");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// `program` in the folder, with the home in it and nothing else that could colour the result.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.folder.path()).env("POSTSEAL_HOME", "home");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(POSTSEAL).args(arguments).output().expect("postseal starts"))
    }

    /// A line of shell in which `$0` is the program.
    pub(crate) fn shell(&self, line: &str) -> Done {
        Done::of(self.command("sh").args(["-c", line, POSTSEAL]).output().expect("a shell starts"))
    }
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Done {
            code: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }

    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", String::from_utf8_lossy(&self.stdout), self.stderr);
        self
    }

    /// Refused with this code, saying this, and without a word on standard output.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, why: &str) -> Self {
        let done = self.code(code);
        assert!(done.stderr.contains(why), "{why:?} is not in {:?}", done.stderr);
        assert_eq!(done.text(), "");
        done
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

pub(crate) const POSTSEAL: &str = env!("CARGO_BIN_EXE_postseal");
