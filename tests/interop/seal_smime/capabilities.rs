//! What correspondents read is heard from what they sign, kept in the home, and obeyed.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::SystemTime,
};

use postseal::{
    keys::{Announcement, Capabilities, Handle},
    store::{Keystore, Origin, Removal},
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// Two certificates for one person, of which one only signs.
static PAIR: LazyLock<Lab> = LazyLock::new(|| {
    let lab = Lab::new();
    lab.issue("bob", "bob@example.org", RSA, For::Mail, 3650, "");
    lab.issue("bob-signs", "bob@example.org", P256, For::Signing, 3650, "");
    lab
});

/// A home with the certificates of others: no secret key is in it.
struct Reader {
    folder: TempDir,
    lab: &'static Lab,
}

impl Reader {
    /// With the authority of the lab, its root as an anchor, and these people.
    fn new(lab: &'static Lab, people: &[&str]) -> Reader {
        let reader = Reader { folder: tempfile::tempdir().unwrap(), lab };
        let home = reader.home();
        for name in [&["root", "ca"], people].concat() {
            let file = lab.read(&format!("{name}.crt"));
            home.add(&home.read(&[(name, &file)]).unwrap().found).unwrap();
        }
        let root = record(&lab.read("root.crt"));
        home.bind(root.fingerprint(), &Binding::Anchor, Origin::Trusted, SystemClock.now()).unwrap();
        reader
    }

    fn home(&self) -> Keystore {
        Keystore::open_home(&self.path(), Arc::new(Passphrases::new(Vec::new())), &Limits::default()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Removes the trust in certificates.
    fn forget_anchors(&self) {
        let home = self.home();
        home.anchors().unwrap().iter().for_each(|anchor| home.remove(anchor, Removal::Certificate).unwrap());
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path().join("postseal.db")).unwrap()
    }

    /// The stored data of a person.
    fn known(&self, person: &str) -> Option<Capabilities> {
        let fingerprint = Handle::parse(&fingerprint(self.lab, person)).unwrap();
        let found = self.home().find(ProtocolName::Smime, &Query::manage(Want::Handle(&fingerprint))).unwrap();
        found.first().and_then(|record| record.capabilities().cloned())
    }

    /// Reads a message as the program does, at another time or by other rules than its own.
    fn heard(&self, message: &str, at: SystemTime, legacy: Legacy) -> (Standing, Vec<Announcement>) {
        let (home, clock) = (self.home(), FixedClock(at));
        let context =
            Context { keys: &home, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
        let engine = Engine::new(context, Limits::default());
        let opening = engine.open(Message::parse(message.as_bytes().to_vec(), &mut engine.budget()).unwrap()).unwrap();
        let verdict = opening.verdict();
        (verdict.standing(), verdict.announcements().cloned().collect())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_postseal"));
        program.current_dir(self.folder.path()).env("POSTSEAL_HOME", "home").args(arguments).output().unwrap()
    }

    /// Gives a message to the program, which says that it is what it says.
    fn verify(&self, message: &str, more: &[&str]) {
        std::fs::write(self.folder.path().join("m.eml"), message).unwrap();
        let output = self.run(&[&["verify"], more, &["m.eml"]].concat());
        assert!(output.status.success(), "{output:?}");
    }

    /// What the program encrypts to these people.
    fn encrypted(&self, people: &[&str]) -> String {
        std::fs::write(self.folder.path().join("plain.eml"), MESSAGE).unwrap();
        let addresses: Vec<String> = people.iter().map(|person| format!("{person}@example.org")).collect();
        let mut arguments = vec!["encrypt", "-f", "smime", "-o", "-"];
        addresses.iter().for_each(|address| arguments.extend(["--to", address]));
        arguments.extend(["--", "plain.eml"]);
        let output = self.run(&arguments);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    }
}

/// A letter by `author`, signed by `signer` with our list, at a time.
fn letter(lab: &Lab, author: &str, signer: &str, at: SystemTime) -> String {
    signed(lab, author, signer, at, Seal::default(), Legacy::Refuse)
}

fn signed(lab: &Lab, author: &str, signer: &str, at: SystemTime, how: Seal, legacy: Legacy) -> String {
    let text = format!("From: {author}@example.org\r\nTo: reader@example.org\r\nSubject: hello\r\n\r\nhello\r\n");
    let certificate = fingerprint(lab, signer);
    let how = Seal { sign: vec![Signer::Key(Handle::parse(&certificate).unwrap())], at: Some(at), ..how };
    seal_at(&keys(lab, &[signer]), &text, &how, legacy, &SystemClock, &SystemRandom).unwrap().0
}

/// A letter by bob that openssl signs now, with openssl's list: no cipher in it authenticates.
fn letter_by_openssl(lab: &Lab) -> String {
    let body = lab.fresh("hello\n");
    let arguments = ["cms", "-sign", "-text", "-in", &body, "-signer", "bob.crt", "-inkey", "bob.key"];
    let more = ["-certfile", "ca.crt", "-from", "bob@example.org", "-to", "reader@example.org", "-subject", "hello"];
    text(&lab.run(&[&arguments[..], &more].concat()))
}

fn is_authenticated(message: &str) -> bool {
    match header(&message.replace("\r\n", "\n").replace('\n', "\r\n")) {
        header if header.contains("smime-type=authEnveloped-data") => true,
        header if header.contains("smime-type=enveloped-data") => false,
        header => panic!("{header}"),
    }
}

/// Now, when all certificates exist.
fn now(lab: &LazyLock<Lab>) -> SystemTime {
    LazyLock::force(lab);
    SystemClock.now()
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn second(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn the_latest_capabilities_count() {
    if !present(&["openssl"]) {
        return;
    }
    let reader = Reader::new(&LAB, &["bob", "carol"]);
    assert!(!is_authenticated(&reader.encrypted(&["bob"])), "nothing is known yet");

    let now = now(&LAB);
    let old = letter_by_openssl(&LAB);
    reader.verify(&old, &[]);
    let known = reader.known("bob").unwrap();
    assert!(second(known.said).abs_diff(second(now)) <= 5, "the signing time");
    assert!(!is_authenticated(&reader.encrypted(&["bob"])), "openssl's list has no such cipher");
    assert!(shown(&reader, "bob").contains("aes256-cbc, "), "{}", shown(&reader, "bob"));

    reader.verify(&letter(&LAB, "bob", "bob", now + seconds(60)), &[]);
    assert_eq!(second(reader.known("bob").unwrap().said), second(now + seconds(60)));
    let sealed = reader.encrypted(&["bob"]);
    assert!(is_authenticated(&sealed));
    assert!(LAB.decrypted(&sealed, "bob", &[]).contains("attachment"));
    assert!(shown(&reader, "bob").contains("aes256-gcm, "), "{}", shown(&reader, "bob"));
    assert!(shown(&reader, "bob").contains("  announced on 20"), "{}", shown(&reader, "bob"));

    // Not together with a recipient without capabilities; an option decides by itself.
    assert!(!is_authenticated(&reader.encrypted(&["bob", "carol"])));
    let how = |cipher: &str| Seal { to: to(&["bob"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
    assert!(!is_authenticated(&self::sealed(&reader.home(), &how("aes256-cbc"))));
    let (_, sealed) = seal(&reader.home(), &Seal { to: to(&["bob"]), ..Seal::default() }, Legacy::Refuse).unwrap();
    let expected =
        format!("encrypted to bob@example.org with {} (reads aes256-gcm, announced on ", fingerprint(&LAB, "bob"));
    assert!(sealed.did[0].starts_with(&expected), "{:?}", sealed.did);

    // Earlier capabilities no longer count.
    reader.verify(&old, &[]);
    assert!(is_authenticated(&reader.encrypted(&["bob"])));
    // Both can read it when both said so.
    reader.verify(&letter(&LAB, "carol", "carol", now), &[]);
    assert!(is_authenticated(&reader.encrypted(&["bob", "carol"])));
    // Another copy of the certificate, given for this run, takes nothing away.
    let sources: Vec<Arc<dyn Keys>> = vec![Arc::new(load(&[("bob", &LAB.read("bob.crt"))])), Arc::new(reader.home())];
    let chain = postseal::keys::Chain::new(sources, store::merge);
    assert!(is_authenticated(&self::sealed(&chain, &Seal { to: to(&["bob"]), ..Seal::default() })));
}

fn shown(reader: &Reader, person: &str) -> String {
    text(&reader.run(&["key", "show", &fingerprint(reader.lab, person)]).stdout)
}

#[test]
fn capabilities_of_the_signing_certificate_count_for_the_encryption_certificate() {
    if !present(&["openssl"]) {
        return;
    }
    let reader = Reader::new(&PAIR, &["bob", "bob-signs"]);
    reader.verify(&letter(&PAIR, "bob", "bob-signs", now(&PAIR)), &[]);
    assert!(reader.known("bob").is_none() && reader.known("bob-signs").is_some());
    let sealed = reader.encrypted(&["bob"]);
    assert!(is_authenticated(&sealed));
    PAIR.decrypted(&sealed, "bob", &[]);

    // Not when it is untrusted: here the root is no anchor any more, and the owner believes the other one.
    let bob = Handle::parse(&fingerprint(&PAIR, "bob")).unwrap();
    let home = reader.home();
    home.bind(&bob, &Binding::Address(address("bob")), Origin::Trusted, SystemClock.now()).unwrap();
    assert!(is_authenticated(&reader.encrypted(&["bob"])));
    reader.forget_anchors();
    assert!(!is_authenticated(&reader.encrypted(&["bob"])));
}

#[test]
fn nothing_is_learnt_from_what_is_not_his() {
    if !present(&["openssl"]) {
        return;
    }
    let now = now(&LAB);
    let good = letter(&LAB, "bob", "bob", now);
    let reader = Reader::new(&LAB, &["bob", "alice"]);
    let (standing, announced) = reader.heard(&good, now, Legacy::Refuse);
    assert_eq!((standing, announced.len()), (Standing::Authentic, 1), "it is what the others lack");

    let legacy = Seal { digest: Some(Hash::Sha1), ..Seal::default() };
    let weak = signed(&LAB, "bob", "bob", now, legacy, Legacy::Admit);
    for (what, message, legacy, standing) in [
        ("changed", good.replace("hello\r\n", "hullo\r\n"), Legacy::Refuse, Standing::Unsigned),
        ("another author", letter(&LAB, "alice", "bob", now), Legacy::Refuse, Standing::Signed),
        ("another certificate", letter(&LAB, "bob", "alice", now), Legacy::Refuse, Standing::Signed),
        ("from the future", letter(&LAB, "bob", "bob", now + seconds(3600)), Legacy::Refuse, Standing::Authentic),
        ("weak", weak.clone(), Legacy::Refuse, Standing::Unsigned),
        ("weak, and admitted", weak, Legacy::Admit, Standing::Authentic),
    ] {
        assert_eq!(reader.heard(&message, now, legacy), (standing, Vec::new()), "{what}");
    }
    // The sender's clock is a little ahead of ours; an hour later it is not the future any more.
    assert_eq!(reader.heard(&letter(&LAB, "bob", "bob", now + seconds(240)), now, Legacy::Refuse).1.len(), 1);
    let later = now + seconds(3600);
    assert_eq!(reader.heard(&letter(&LAB, "bob", "bob", later), later, Legacy::Refuse).1.len(), 1);
    // Capabilities signed with an expired certificate do not count.
    let expired = now + seconds(3660 * 24 * 3600);
    assert_eq!(reader.heard(&good, expired, Legacy::Refuse), (Standing::Unsigned, Vec::new()));
    // It is untrusted.
    reader.forget_anchors();
    assert_eq!(reader.heard(&good, now, Legacy::Refuse), (Standing::Signed, Vec::new()));
    assert_eq!(reader.known("bob"), None);
}

#[test]
fn a_stranger_is_not_taken_in_and_what_if_is_not_kept() {
    if !present(&["openssl"]) {
        return;
    }
    let now = now(&LAB);
    let good = letter(&LAB, "bob", "bob", now);
    let reader = Reader::new(&LAB, &[]);
    reader.verify(&good, &[]);
    // Nor if the certificate is given for one run.
    reader.verify(&good, &["--keys", LAB.path("bob.crt").to_str().unwrap()]);
    assert_eq!(reader.home().find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap().len(), 2);
    let count = |table: &str| -> i64 {
        reader.connection().query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
    };
    assert_eq!((count("certificate"), count("capability")), (2, 0));

    let reader = Reader::new(&LAB, &["bob"]);
    let time = postseal::base::rfc3339(now + seconds(60));
    reader.verify(&good, &["--at", &time]);
    assert_eq!(reader.known("bob"), None);
    reader.verify(&good, &[]);
    assert!(reader.known("bob").is_some());
}

#[test]
fn what_is_known_already_is_not_written_and_a_home_that_cannot_be_is_left() {
    if !present(&["openssl"]) {
        return;
    }
    let now = now(&LAB);
    let reader = Reader::new(&LAB, &["bob"]);
    let (first, second) = (letter(&LAB, "bob", "bob", now), letter(&LAB, "bob", "bob", now + seconds(60)));
    let watch = reader.connection();
    let version = || -> i64 { watch.query_row("PRAGMA data_version", (), |row| row.get(0)).unwrap() };

    // Another process is writing: nothing is stored, and the verdict is not late.
    watch.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = std::time::Instant::now();
    reader.verify(&first, &[]);
    assert!(begin.elapsed() < seconds(8), "{:?}", begin.elapsed());
    watch.execute_batch("ROLLBACK").unwrap();
    assert_eq!(reader.known("bob"), None);
    // It cannot be written to, for whatever reason.
    watch
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON capability BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    reader.verify(&first, &[]);
    assert_eq!(reader.known("bob"), None);
    watch.execute_batch("DROP TRIGGER full").unwrap();

    let before = version();
    reader.verify(&first, &[]);
    let learnt = version();
    assert_ne!(before, learnt);
    let known = reader.known("bob");
    assert!(known.is_some());
    // The same again, and the same list in a later letter of the same day.
    reader.verify(&first, &[]);
    reader.verify(&second, &[]);
    assert_eq!(version(), learnt);
    assert_eq!(reader.known("bob"), known);
}

#[test]
fn the_service_learns_from_the_mail_that_it_handles() {
    if !present(&["openssl"]) {
        return;
    }
    let reader = Reader::new(&LAB, &["bob"]);
    let rules = "home = \"home\"\nhostname = \"mx.example.org\"\nlocal-domains = [\"reader.example\"]\n\
        [[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"annotate\"\n\
        [[rule]]\nname = \"out\"\ndirection = \"outbound\"\naction = \"encrypt\"\nprotocol = \"smime\"\n";
    std::fs::write(reader.folder.path().join("c.toml"), rules).unwrap();
    std::fs::write(reader.folder.path().join("in.eml"), letter(&LAB, "bob", "bob", now(&LAB))).unwrap();
    let explained = || {
        let output =
            reader.run(&["config", "explain", "-c", "c.toml", "--trusted", "me@reader.example", "bob@example.org"]);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    let key = format!("encrypted, smime key {}", fingerprint(&LAB, "bob"));
    assert!(explained().contains(&format!("{key}\n")), "{}", explained());
    let filter = Command::new(env!("CARGO_BIN_EXE_postseal"))
        .current_dir(reader.folder.path())
        .args(["filter", "-c", "c.toml", "-f", "bob@example.org", "me@reader.example"])
        .stdin(std::fs::File::open(reader.folder.path().join("in.eml")).unwrap())
        .output()
        .unwrap();
    assert!(filter.status.success(), "{filter:?}");
    assert!(text(&filter.stdout).contains("smime=pass"), "{filter:?}");
    assert!(reader.known("bob").is_some());
    assert!(explained().contains(&format!("{key} (reads aes256-gcm, announced on ")), "{}", explained());
}

/// Several processes at once: the latest announcement is kept, whichever process stores it.
#[test]
fn of_several_processes_the_last_word_stays() {
    if !present(&["openssl"]) {
        return;
    }
    let now = now(&LAB);
    let reader = Reader::new(&LAB, &["bob"]);
    let letters: Vec<PathBuf> = [letter_by_openssl(&LAB), letter(&LAB, "bob", "bob", now + seconds(120))]
        .iter()
        .enumerate()
        .map(|(number, letter)| {
            let path = reader.folder.path().join(format!("{number}.eml"));
            std::fs::write(&path, letter).unwrap();
            path
        })
        .collect();
    let mut readers: Vec<_> = (0..8)
        .map(|number| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_postseal"));
            program.env("POSTSEAL_HOME", reader.path()).arg("verify").arg(&letters[number % 2]);
            program.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    readers.iter_mut().for_each(|reader| assert!(reader.wait().unwrap().success()));
    // A process that found another one writing has not waited long; the latest announcement is stored again, and the first does not come back.
    assert!(reader.known("bob").is_some());
    for letter in letters.iter().rev() {
        assert!(reader.run(&["verify", letter.to_str().unwrap()]).status.success());
        assert_eq!(second(reader.known("bob").unwrap().said), second(now + seconds(120)));
    }
}
