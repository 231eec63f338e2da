//! Certificates for one address in every state, made by gpg and openssl, and homes that hold some of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::support::requirements::present;

/// What `-f` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Pgp,
    Smime,
    Pem,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Encrypt,
    Sign,
}

/// What ties a candidate to bob@example.org.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// `key trust`.
    Owner,
    /// An authority that the home trusts. OpenPGP has none.
    Authority,
    /// It names the address.
    Claim,
}

/// How a candidate is at [`NOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Good,
    Expired,
    /// Not valid yet.
    Later,
    Revoked,
    SigningOnly,
}

/// One candidate in a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate(pub(crate) Tie, pub(crate) State);

/// A candidate with its files.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    candidate: Candidate,
    fingerprint: String,
    /// Certificate and secret key.
    file: PathBuf,
}

/// What one run left behind.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stderr: String,
    /// The file that was written.
    pub(crate) output: Option<PathBuf>,
}

/// All people with keys of one format, made on first use.
pub(crate) struct Fixture {
    format: Format,
    folder: TempDir,
    people: RefCell<BTreeMap<Candidate, Person>>,
}

/// A home of postseal with some of them in it.
pub(crate) struct Home {
    format: Format,
    folder: TempDir,
}

/// The time of every run of the program.
const NOW: &str = "2026-06-01T00:00:00Z";

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Lunch\n\nToday?\n";

impl Fixture {
    /// `None`, said loudly, when the programs that make keys are not here.
    pub(crate) fn new(format: Format) -> Option<Fixture> {
        let program = if format == Format::Pgp { "gpg" } else { "openssl" };
        if !present(&[program]) {
            return None;
        }
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("ps").permissions(private).tempdir().unwrap();
        let fixture = Fixture { format, folder, people: RefCell::default() };
        if format != Format::Pgp {
            fixture.authority();
        }
        if format == Format::Pem {
            fixture.certificate("alice", Candidate(Tie::Claim, State::Good), "alice@example.org");
        }
        Some(fixture)
    }

    /// The people of a row; `None` where the format does not know what it asks for.
    pub(crate) fn people(&self, candidates: &[Candidate]) -> Option<Vec<Person>> {
        if self.format == Format::Pgp && candidates.iter().any(|one| one.0 == Tie::Authority) {
            return None;
        }
        Some(candidates.iter().map(|one| self.person(*one)).collect())
    }

    fn person(&self, candidate: Candidate) -> Person {
        if let Some(person) = self.people.borrow().get(&candidate) {
            return person.clone();
        }
        let name = format!("{candidate:?}").to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
        let (fingerprint, file) = match self.format {
            Format::Pgp => self.openpgp(&name, candidate.1, "bob@example.org"),
            Format::Smime | Format::Pem => self.certificate(&name, candidate, "bob@example.org"),
        };
        let person = Person { candidate, fingerprint, file };
        self.people.borrow_mut().insert(candidate, person.clone());
        person
    }

    /// A home with these people, in which the owner's word is said and the authority trusted.
    pub(crate) fn home(&self, people: &[Person]) -> Home {
        let home = Home { format: self.format, folder: tempfile::tempdir().unwrap() };
        fs::write(home.path("message"), MESSAGE).unwrap();
        if self.format != Format::Pgp {
            home.ok(&["key", "import", "--anchor", self.path("ca.crt").to_str().unwrap()]);
            let revoked: Vec<&Person> = people.iter().filter(|one| one.candidate.1 == State::Revoked).collect();
            if !revoked.is_empty() {
                home.ok(&["key", "import", self.revocations(&revoked).to_str().unwrap()]);
            }
        }
        if self.format == Format::Pem {
            // It signs what it encrypts.
            home.ok(&["key", "import", self.path("alice.pem").to_str().unwrap()]);
        }
        for person in people {
            home.ok(&["key", "import", person.file.to_str().unwrap()]);
            if person.candidate.0 == Tie::Owner {
                home.ok(&["key", "trust", &person.fingerprint, "bob@example.org"]);
            }
        }
        home
    }

    /// Whether the key of `person` opens the message in `file`, or made its signature.
    pub(crate) fn fits(&self, person: &Person, verb: Verb, file: &Path) -> bool {
        let file = file.to_str().unwrap();
        let home = Home { format: self.format, folder: tempfile::tempdir().unwrap() };
        match verb {
            Verb::Encrypt => {
                let out = home.path("out");
                let keys = ["--keys", person.file.to_str().unwrap()];
                home.postseal(&[&keys[..], &["decrypt", "-o", out.to_str().unwrap(), file]].concat());
                fs::read_to_string(out).is_ok_and(|text| text.contains("Today?"))
            }
            Verb::Sign => {
                let keys = ["--keys", person.file.to_str().unwrap()];
                let said = home.postseal(&[&keys[..], &["verify", "--json", file]].concat());
                let said = String::from_utf8(said.stdout).unwrap();
                said.contains(r#""state":"valid""#) && said.contains(&format!(r#""signer":"{}""#, person.fingerprint))
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// By gpg, in a home of its own.
    fn openpgp(&self, name: &str, state: State, address: &str) -> (String, PathBuf) {
        let home = self.path(name);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let (made, until) = times(state);
        let gpg = |arguments: &[&str], input: &str| {
            let mut command = Command::new("gpg");
            command.arg("--homedir").arg(&home).args(["--batch", "--quiet", "--trust-model", "always"]);
            command.args(["--faked-system-time", &format!("{made}T000000!"), "--pinentry-mode", "loopback"]);
            run(command.args(["--passphrase", ""]).args(arguments), input)
        };
        let until = format!("{until}T000000");
        gpg(&["--quick-generate-key", &format!("Bob <{address}>"), "ed25519", "sign,cert", &until], "");
        let listing = gpg(&["--list-keys", "--with-colons"], "");
        let fingerprint = listing.lines().find(|line| line.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap();
        if state != State::SigningOnly {
            gpg(&["--quick-add-key", fingerprint, "cv25519", "encr", &until], "");
        }
        if state == State::Revoked {
            let prepared = home.join(format!("openpgp-revocs.d/{fingerprint}.rev"));
            // gpg puts a colon before the armor, lest it be imported by mistake.
            let certificate = fs::read_to_string(prepared).unwrap().replace(":-----BEGIN", "-----BEGIN");
            gpg(&["--import"], &certificate);
        }
        let file = self.path(&format!("{name}.asc"));
        fs::write(&file, gpg(&["--armor", "--export-secret-keys"], "")).unwrap();
        run(Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "all"]), "");
        (fingerprint.to_owned(), file)
    }

    fn authority(&self) {
        let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n\
                      unique_subject=no\npolicy=p\n[p]\norganizationName=supplied\ncommonName=optional\n";
        fs::write(self.path("ca.cnf"), config).unwrap();
        fs::write(self.path("index"), "").unwrap();
        fs::write(self.path("ca.ext"), "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n")
            .unwrap();
        self.request("ca", "/O=Lab");
        self.issue("ca", &["-selfsign", "-keyfile", "ca.key"], ("20240101", "20400101"));
    }

    /// By openssl: self-signed, or signed by the authority if it certified or revoked it.
    fn certificate(&self, name: &str, candidate: Candidate, address: &str) -> (String, PathBuf) {
        let Candidate(tie, state) = candidate;
        let usage = if state == State::SigningOnly { "digitalSignature" } else { "digitalSignature,keyEncipherment" };
        let extensions =
            format!("basicConstraints=CA:false\nkeyUsage=critical,{usage}\nsubjectAltName=email:{address}\n");
        fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        self.request(name, &format!("/O=Lab/CN={name}"));
        let key = format!("{name}.key");
        let issuer = match (tie, state) {
            (Tie::Authority, _) | (_, State::Revoked) => vec!["-cert", "ca.crt", "-keyfile", "ca.key"],
            _ => vec!["-selfsign", "-keyfile", &key],
        };
        self.issue(name, &issuer, times(state));
        let [certificate, secret] =
            ["crt", "key"].map(|ending| fs::read(self.path(&format!("{name}.{ending}"))).unwrap());
        let file = self.path(&format!("{name}.pem"));
        fs::write(&file, [secret, certificate].concat()).unwrap();
        let fingerprint = self.openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", &format!("{name}.crt")]);
        (fingerprint.trim().rsplit('=').next().unwrap().replace(':', ""), file)
    }

    fn request(&self, name: &str, subject: &str) {
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        self.openssl(&[
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject,
        ]);
    }

    /// `name.crt` for the request and the extensions of that name.
    fn issue(&self, name: &str, issuer: &[&str], (from, until): (&str, &str)) {
        let file = |ending: &str| format!("{name}.{ending}");
        let (request, extensions, certificate) = (file("csr"), file("ext"), file("crt"));
        let (from, until) = (format!("{from}000000Z"), format!("{until}000000Z"));
        let files = ["-in", &request, "-extfile", &extensions, "-out", &certificate];
        let times = ["-startdate", &from, "-enddate", &until];
        let authority = ["ca", "-config", "ca.cnf", "-batch", "-notext"];
        self.openssl(&[&authority[..], issuer, &files[..], &times[..]].concat());
        fs::write(self.path("index"), "").unwrap();
    }

    /// The authority's list of these.
    fn revocations(&self, revoked: &[&Person]) -> PathBuf {
        let lines = revoked.iter().map(|person| {
            let serial = self.openssl(&["x509", "-noout", "-serial", "-in", person.file.to_str().unwrap()]);
            let serial = serial.trim().replace("serial=", "");
            format!("R\t400101000000Z\t260301000000Z,keyCompromise\t{serial}\tunknown\t/O=Lab\n")
        });
        fs::write(self.path("index"), lines.collect::<String>()).unwrap();
        let times = ["-crl_lastupdate", "20260501000000Z", "-crl_nextupdate", "20270101000000Z"];
        let authority =
            ["ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.crt", "-out", "crl.pem"];
        self.openssl(&[&authority[..], &times[..]].concat());
        fs::write(self.path("index"), "").unwrap();
        self.path("crl.pem")
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        run(Command::new("openssl").args(arguments).current_dir(self.folder.path()), "")
    }
}

impl Home {
    /// Encrypts the message to bob, or signs it as bob.
    pub(crate) fn run(&self, verb: Verb) -> Done {
        let format = match self.format {
            Format::Pgp => "pgp",
            Format::Smime => "smime",
            Format::Pem => "pem",
        };
        let (verb, option) = match verb {
            Verb::Encrypt => ("encrypt", "--to"),
            Verb::Sign => ("sign", "--as"),
        };
        let (message, out) = (self.path("message"), self.path("out"));
        let files = ["-o", out.to_str().unwrap(), message.to_str().unwrap()];
        let done = self.postseal(&[&[verb, "-f", format, option, "bob@example.org"], &files[..]].concat());
        let stderr = String::from_utf8(done.stderr).unwrap();
        Done { code: done.status.code().unwrap(), stderr, output: out.exists().then_some(out) }
    }

    fn ok(&self, arguments: &[&str]) {
        let done = self.postseal(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn postseal(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("home")).stdin(Stdio::null());
        command.args(["--at", NOW]).args(arguments).output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// From when to when, as `YYYYMMDD`.
fn times(state: State) -> (&'static str, &'static str) {
    match state {
        State::Good | State::Revoked => ("20260201", "20360101"),
        // Newer, so that it is known which of two is taken to sign.
        State::SigningOnly => ("20260301", "20360101"),
        State::Expired => ("20250101", "20260131"),
        State::Later => ("20260901", "20360101"),
    }
}

/// What it wrote; panics unless it succeeds.
fn run(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
