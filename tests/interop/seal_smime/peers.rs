//! GnuPG's gpgsm and Mozilla's NSS, each with the lab's root as its only anchor and the keys of some people.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::openssl::Lab;

/// A home of gpgsm, whose agent ends with it.
pub(crate) struct Gpgsm {
    home: TempDir,
}

impl Gpgsm {
    pub(crate) fn new(lab: &Lab, people: &[&str]) -> Gpgsm {
        // GnuPG's sockets lie in its home, and their paths are bounded by 108 octets: short names only.
        let private = fs::Permissions::from_mode(0o700);
        let home = tempfile::Builder::new().prefix("ps").permissions(private).tempdir().expect("a throwaway home");
        let fingerprint = lab.run(&["x509", "-in", "root.crt", "-noout", "-fingerprint", "-sha1"]);
        let fingerprint = String::from_utf8(fingerprint).expect("ASCII");
        let fingerprint = fingerprint.trim().split_once('=').expect("a fingerprint").1;
        fs::write(home.path().join("trustlist.txt"), format!("{fingerprint} S\n")).expect("written");
        fs::write(home.path().join("gpgsm.conf"), "disable-crl-checks\nbatch\n").expect("written");
        fs::write(home.path().join("gpg-agent.conf"), "allow-loopback-pinentry\n").expect("written");
        let gpgsm = Gpgsm { home };
        // Keys on curves are more than its version 2.2 can import: of carol it has the certificate.
        for file in ["root.crt", "ca.crt", "carol.crt"] {
            gpgsm.run(&["--import", &path(&lab.path(file))]);
        }
        for person in people {
            gpgsm.import_key(lab, person);
        }
        gpgsm
    }

    /// Its version 2.2 cannot read every PKCS#12 file, depending on what is random in it: then it gets another one.
    fn import_key(&self, lab: &Lab, person: &str) {
        let import = || {
            let file = path(&lab.pkcs12(person));
            let mut command = self.command(&["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", &file]);
            command.stdin(Stdio::null()).output().expect("the program can be started")
        };
        let mut output = import();
        for _ in 0..3 {
            if output.status.success() {
                return;
            }
            output = import();
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs gpgsm; answers what it wrote and its status lines; panics unless it exits with 0.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Vec<u8>, String) {
        succeed(self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gpgsm");
        command.arg("--homedir").arg(self.home.path()).args(["--yes", "--status-fd", "2"]).args(arguments);
        command
    }

    /// Whether it finds the signature good; without `content` it is within the message.
    pub(crate) fn verify(&self, lab: &Lab, signature: &[u8], content: Option<&[u8]>) {
        let mut files = vec![path(&lab.path(&lab.fresh(signature)))];
        files.extend(content.map(|content| path(&lab.path(&lab.fresh(content)))));
        let mut arguments = vec!["--verify"];
        arguments.extend(files.iter().map(String::as_str));
        let (_, status) = self.run(&arguments);
        assert!(status.contains("[GNUPG:] GOODSIG") && status.contains("[GNUPG:] TRUST_FULLY"), "{status}");
    }
}

impl Drop for Gpgsm {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).output();
    }
}

/// A certificate database of NSS.
pub(crate) struct Nss {
    database: TempDir,
}

impl Nss {
    pub(crate) fn new(lab: &Lab, people: &[&str]) -> Nss {
        let database = tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway database");
        let nss = Nss { database };
        nss.run("certutil", &["-N", "--empty-password"]);
        nss.run("certutil", &["-A", "-n", "root", "-t", "C,C,C", "-i", &path(&lab.path("root.crt"))]);
        for person in people {
            nss.run("pk12util", &["-i", &path(&lab.pkcs12(person)), "-W", ""]);
        }
        nss
    }

    /// Runs one of its programs on the database; panics unless it exits with 0.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> (Vec<u8>, String) {
        let mut command = Command::new(program);
        command.args(arguments).arg("-d").arg(format!("sql:{}", self.database.path().display()));
        succeed(command)
    }

    /// What cmsutil reads in a CMS object, detached from `content` or around its own.
    pub(crate) fn decode(&self, lab: &Lab, object: &[u8], content: Option<&[u8]>) -> Vec<u8> {
        let (object, content) = (lab.fresh(object), content.map(|content| path(&lab.path(&lab.fresh(content)))));
        let object = path(&lab.path(&object));
        let mut arguments = vec!["-D", "-i", &object];
        arguments.extend(content.iter().flat_map(|content| ["-c", content.as_str()]));
        self.run("cmsutil", &arguments).0
    }
}

pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

fn succeed(mut command: Command) -> (Vec<u8>, String) {
    let output = command.stdin(Stdio::null()).output().expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    (output.stdout, said)
}
