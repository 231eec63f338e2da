//! People with RSA keys and certificates made by openssl, and the built program run with them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

/// A folder with `alice` and `bob`: `.key`, `.crt`, and both in `.pem`; self-signed, for one hundred years.
pub(crate) fn people() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        for name in ["alice", "bob"] {
            let file = |ending: &str| folder.path().join(format!("{name}.{ending}"));
            let subject = format!("/C=US/O=Example/CN={name}/emailAddress={name}@example.org");
            let (key, certificate) = (file("key"), file("crt"));
            let arguments = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj", &subject];
            let files = ["-keyout", key.to_str().unwrap(), "-out", certificate.to_str().unwrap()];
            run(Command::new("openssl").args(arguments).args(files));
            fs::write(file("pem"), [fs::read(key).unwrap(), fs::read(certificate).unwrap()].concat()).unwrap();
        }
        folder
    });
    folder.path()
}

/// A file of [`people`].
pub(crate) fn file(name: &str) -> PathBuf {
    people().join(name)
}

/// postseal with a home that is not there.
pub(crate) fn postseal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(people().join("no-home"));
    command
}

/// Runs what must succeed.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
