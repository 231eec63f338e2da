//! A configuration, the keys of all users in it, and gpg and openssl to read what comes out.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    support::openpgp_programs::Lab,
    support::postfix::{Postfix, Received, postseal_in, run_with},
};

/// Alice writes from here; bob, ben (OpenPGP) and carol (S/MIME) read, and have their secret keys elsewhere.
pub(crate) struct Setup {
    keys: Lab,
    folder: PathBuf,
    program: PathBuf,
    user: String,
    config: PathBuf,
}

impl Setup {
    /// One that hands over to the sendmail of `postfix`.
    pub(crate) fn new(postfix: &Postfix) -> Setup {
        let folder = postfix.path("setup");
        fs::create_dir(&folder).expect("a folder");
        let user = Command::new("id").arg("-un").output().expect("id is everywhere");
        let setup = Setup {
            keys: Lab::new(),
            program: postseal_in(&folder),
            user: text(&user.stdout).trim().to_owned(),
            config: postfix.config(),
            folder,
        };
        setup.make_keys();
        setup.hand_over_to("/usr/sbin/sendmail", &["-C", &setup.config.display().to_string()]);
        setup
    }

    /// Runs postseal.
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(&self.program);
        run_with(command.args(arguments).env("POSTSEAL_CONFIG", self.path("postseal.toml")), input)
    }

    /// Runs `postseal sendmail`.
    pub(crate) fn sendmail(&self, arguments: &[&str], message: &[u8]) -> Output {
        self.run(&[&["sendmail"], arguments].concat(), message)
    }

    /// Writes the configuration with another program to hand over to.
    pub(crate) fn hand_over_to(&self, program: &str, arguments: &[&str]) {
        let config = CONFIG
            .replace("USER", &self.user)
            .replace("PROGRAM", program)
            .replace("ARGUMENTS", &arguments.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", "));
        fs::write(self.path("postseal.toml"), config).expect("the configuration");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The user who runs this test.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Gives keys and configuration to another user.
    pub(crate) fn belong_to(&self, user: &str) {
        let done = Command::new("chown").arg("-R").arg(user).arg(self.path("home")).status();
        assert!(done.expect("chown is everywhere").success());
    }

    /// What gpg makes of the ciphertext, after it checked Alice's signature.
    pub(crate) fn gpg_decrypts(&self, mail: &Received) -> String {
        let armored = between(&mail.text(), "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----");
        let file = self.keys.write("message.asc", armored);
        let status = self.keys.path("status");
        let plain =
            self.keys.gpg(["--status-file".as_ref(), status.as_os_str(), "--decrypt".as_ref(), file.as_os_str()]);
        let status = fs::read_to_string(status).expect("what gpg says");
        assert!(status.contains("GOODSIG") && status.contains("DECRYPTION_OKAY"), "{status}");
        text(&plain)
    }

    /// gpg checks Alice's signature over the first part.
    pub(crate) fn gpg_verifies(&self, mail: &Received) {
        let whole = mail.text();
        let boundary = between(&whole, "boundary=\"", "\"").replace("boundary=\"", "").replace('"', "");
        let part = whole.split(&format!("--{boundary}\r\n")).nth(1).expect("a first part");
        let signed = self.keys.write("signed", part.strip_suffix("\r\n").expect("the boundary's line break"));
        let signature = self
            .keys
            .write("signature.asc", between(&whole, "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"));
        self.keys.gpg(["--verify".as_ref(), signature.as_os_str(), signed.as_os_str()]);
    }

    /// What openssl makes of carol's copy, after it checked Alice's signature.
    pub(crate) fn openssl_decrypts_and_verifies(&self, mail: &Received) -> String {
        self.keys.write("sealed.eml", &mail.message);
        self.keys.run(
            "openssl",
            [
                "cms",
                "-decrypt",
                "-in",
                "sealed.eml",
                "-recip",
                "carol.pem",
                "-inkey",
                "carol.key",
                "-out",
                "signed.eml",
            ],
        );
        let verified = ["cms", "-verify", "-in", "signed.eml", "-CAfile", "alice.pem", "-purpose", "any"];
        text(&self.keys.run("openssl", verified))
    }

    fn make_keys(&self) {
        let home = self.path("home");
        let postseal = |arguments: &[&str]| {
            let mut command = Command::new(&self.program);
            let output = run_with(command.arg("--home").arg(&home).args(arguments), b"");
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
            output.stdout
        };
        postseal(&["key", "generate", "--no-passphrase", "alice@example.org"]);
        postseal(&["key", "generate", "--no-passphrase", "-f", "smime", "--algorithm", "rsa2048", "alice@example.org"]);
        let alice = self.keys.write("alice.asc", postseal(&["key", "export", "alice@example.org"]));
        self.keys.gpg(["--import".as_ref(), alice.as_os_str()]);
        self.keys.write("alice.pem", postseal(&["key", "export", "-f", "smime", "alice@example.org"]));
        for reader in ["bob@example.net", "ben@example.net"] {
            self.keys.gpg(["--quick-generate-key", reader, "default", "default", "never"]);
        }
        let readers = self
            .keys
            .write("readers.asc", self.keys.gpg(["--armor", "--export", "bob@example.net", "ben@example.net"]));
        postseal(&["key", "import", readers.to_str().expect("UTF-8")]);
        let request = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=carol -addext subjectAltName=email:carol@bank.example \
                       -keyout carol.key -out carol.pem";
        self.keys.run("openssl", request.split_whitespace());
        postseal(&["key", "import", self.keys.path("carol.pem").to_str().expect("UTF-8")]);
    }
}

/// The first field of that name, unfolded.
pub(crate) fn header(mail: &Received, name: &str) -> Option<String> {
    let whole = mail.text().replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut lines = whole.lines().take_while(|line| !line.is_empty());
    lines.find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

/// Lets every user run or enter it.
pub(crate) fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// From `start` to `end`, both with it.
fn between(whole: &str, start: &str, end: &str) -> String {
    let from = whole.find(start).unwrap_or_else(|| panic!("no {start:?} in {whole}"));
    let after = from + start.len();
    let length = whole[after..].find(end).unwrap_or_else(|| panic!("no {end:?} in {whole}"));
    whole[from..after + length + end.len()].to_owned()
}

const CONFIG: &str = r#"
home = "home"
hostname = "host.example.org"
local-domains = ["example.org"]

[identities]
USER = ["alice@example.org"]

[trusted]
networks = ["127.0.0.0/8"]
sign-as = ["alice@example.org"]

[sendmail]
program = "PROGRAM"
arguments = [ARGUMENTS]

[obstacles]
already-encrypted = "keep"

[[rule]]
name = "plain"
recipient = ["plain@example.net"]
action = "clear"

[[rule]]
name = "list"
recipient = ["list@example.net"]
action = "sign + clear"
protocol = ["pgp"]

[[rule]]
name = "later"
recipient = ["later@example.net"]
action = "tempfail"

[[rule]]
name = "held"
recipient = ["held@example.net"]
action = "quarantine"

[[rule]]
name = "void"
recipient = ["void@example.net"]
action = "discard"

[[rule]]
name = "bank"
recipient = ["bank.example"]
action = "sign + encrypt"
protocol = ["smime"]

[[rule]]
name = "partner"
recipient = ["example.net"]
action = "sign + encrypt"
protocol = ["pgp"]
"#;
