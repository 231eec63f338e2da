//! One contract for every place where keys are, and GnuPG on the other side of the fence.

mod backends;
mod capabilities;
mod postgres;
mod quiet;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Error, FixedClock, Kind, Limits, Secret},
    crypto::{Hash, KeyAlgorithm, Scheme},
    keys::{Binding, Chain, Handle, Kept, Keys, Passphrases, ProtocolName, Query, Record, StatementStore, Want},
    mail::Address,
    protocol::{
        Described,
        pgp::{
            generate::{Algorithm, Generated, Profile, Request, generate},
            keyfile::{self, Armor},
        },
    },
    store::{self, Change, Intake, Keystore, MasterKey, Origin, Outcome, Removal, Repair},
};

use crate::support::requirements::present;

/// Alice has no passphrase, Bob has one, and Carol has one and a version 6 key. Made once: locking a key is slow on purpose.
static PEOPLE: LazyLock<[Generated; 3]> = LazyLock::new(|| {
    [
        made("alice@example.org", None, Profile::Rfc4880, Algorithm::Curve25519),
        made("bob@example.org", Some(PASSPHRASE), Profile::Rfc4880, Algorithm::Curve25519),
        made("carol@example.org", Some(PASSPHRASE), Profile::Rfc9580, Algorithm::Curve25519),
    ]
});

/// What every backend must do with the keys of [`PEOPLE`] in it; `keys` knows the passphrase, `ignorant` does not.
fn contract(keys: &dyn Keys, ignorant: &dyn Keys) {
    let [alice, bob, carol] = &*PEOPLE;
    let mut everybody = [alice, bob, carol].map(|one| one.described.record.fingerprint().clone());
    everybody.sort();
    let mut all = find(keys, Want::All);
    assert_eq!(all, find(keys, Want::All), "a stable order");
    all.sort();
    assert_eq!(all, everybody);

    for person in [alice, bob, carol] {
        let record = &person.described.record;
        let [claimed] = record.claimed() else { panic!("{:?}", record.claimed()) };
        assert_eq!(find(keys, Want::Address(claimed)), std::slice::from_ref(record.fingerprint()));
        let shouted = address(&claimed.to_string().to_uppercase());
        assert_eq!(find(keys, Want::Address(&shouted)), std::slice::from_ref(record.fingerprint()));
        for handle in record.handles() {
            assert_eq!(find(keys, Want::Handle(handle)), std::slice::from_ref(record.fingerprint()), "by any key");
            let key_id = match handle.as_str().len() {
                64 => &handle.as_str()[..16],
                _ => &handle.as_str()[24..],
            };
            assert_eq!(
                find(keys, Want::Handle(&Handle::parse(key_id).unwrap())),
                std::slice::from_ref(record.fingerprint())
            );
        }
        assert_eq!(find(keys, Want::Certificate(record.fingerprint())), std::slice::from_ref(record.fingerprint()));
        assert_eq!(
            find(keys, Want::Certificate(&record.handles()[1])),
            [],
            "a subkey's fingerprint is not its certificate's"
        );
        assert!(
            keys.find(ProtocolName::Smime, &Query::manage(Want::Certificate(record.fingerprint()))).unwrap().is_empty()
        );
        let held = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(record.fingerprint()))).unwrap().remove(0);
        assert_eq!(held.bytes(), record.bytes());
        assert_eq!(held.handles(), record.handles());
        assert_eq!(held.claimed(), record.claimed());
        assert_eq!(held.secrets(), record.secrets());
        assert_eq!(held.bindings(), [Binding::UserIds]);

        // Each secret key works: an Ed25519 signature has 64 octets.
        let signer = keys.secret(&held, record.fingerprint()).unwrap().unwrap();
        assert_eq!(signer.algorithm(), KeyAlgorithm::Ed25519);
        assert_eq!(signer.sign(Scheme::EdDsa, &Hash::Sha512.digest(b"")).unwrap().len(), 64);
        let reader = keys.secret(&held, &record.handles()[1]).unwrap().unwrap();
        assert_eq!(reader.algorithm(), KeyAlgorithm::X25519);
        let again = keys.secret(&held, &record.handles()[1]).unwrap().unwrap();
        assert!(Arc::ptr_eq(&reader, &again), "unlocked once");
    }

    assert_eq!(find(keys, Want::Address(&address("nobody@example.org"))), []);
    assert_eq!(find(keys, Want::Handle(&Handle::parse("0123456789ABCDEF").unwrap())), []);
    assert!(keys.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap().is_empty());
    let stranger = Handle::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap();
    assert!(keys.secret(&alice.described.record, &stranger).unwrap().is_none());

    // Without the right passphrase the unlocked key works, and the locked ones say whose they are.
    let record = &alice.described.record;
    assert!(ignorant.secret(record, record.fingerprint()).unwrap().is_some());
    for (person, whose) in [(bob, "bob@example.org"), (carol, "carol@example.org")] {
        let record = &person.described.record;
        let error = ignorant.secret(record, record.fingerprint()).unwrap_err();
        assert_eq!(error.kind(), Kind::NoKey);
        let expected = format!("key {} of {whose}: locked, and no passphrase fits", record.fingerprint());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn memory_keeps_the_contract() {
    contract(&load(&files(), &["wrong", PASSPHRASE]), &load(&files(), &["wrong"]));
}

#[test]
fn chain_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    fill(&home(&place, &[]));
    let chain = |given: &[&str]| {
        let sources: Vec<Arc<dyn Keys>> = vec![Arc::new(load(&files()[..2], given)), Arc::new(home(&place, given))];
        Chain::new(sources, keyfile::merge)
    };
    contract(&chain(&[PASSPHRASE]), &chain(&[]));
}

#[test]
fn what_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    fill(&home(&place, &[]));
    let fingerprint = PEOPLE[0].described.record.fingerprint();
    let use_it = || -> Result<(), Error> {
        let keys = Keystore::open_home(&place, passphrases(&[]), &Limits::default())?;
        let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(fingerprint)))?.remove(0);
        keys.secret(&record, fingerprint).map(|_| ())
    };
    assert_eq!(use_it(), Ok(()));
    let names = [
        (String::new(), 0o700, 0o750),
        ("postseal.db".to_owned(), 0o600, 0o644),
        ("master.key".to_owned(), 0o600, 0o640),
    ];
    for (name, good, bad) in names {
        let path = if name.is_empty() { place.clone() } else { place.join(name) };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, good, "{}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let error = use_it().unwrap_err();
        assert_eq!(error.kind(), Kind::Inaccessible);
        assert_eq!(error.to_string(), format!("{}: others have access to it (mode {bad:04o})", path.display()));
        assert_eq!(error.hint().map(ToString::to_string), Some(format!("chmod {good:o} '{}'", path.display())));
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
    }
    assert_eq!(use_it(), Ok(()));
}

#[test]
fn the_master_key_may_be_a_file_a_credential_or_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let (place, elsewhere) = (folder.path().join("home"), folder.path().join("elsewhere"));
    fill(&home(&place, &[]));
    let fingerprint = PEOPLE[0].described.record.fingerprint();
    let opens = |keys: &Keystore| {
        let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(fingerprint))).unwrap().remove(0);
        keys.secret(&record, fingerprint).map(|found| found.is_some())
    };
    let refused = |keys: &Keystore| opens(keys).map_err(|error| (error.kind(), error.to_string())).unwrap_err();
    let own = place.join("master.key");
    assert_eq!(opens(&home(&place, &[])), Ok(true));

    // Without its file there are certificates, and no secret key.
    let aside = folder.path().join("aside");
    fs::rename(&own, &aside).unwrap();
    assert_eq!(
        refused(&home(&place, &[])),
        (Kind::Inaccessible, format!("{}: the master key is not there", own.display()))
    );
    fs::write(&own, "00".repeat(32)).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    let said = format!("master key ({}): does not fit", own.display());
    assert_eq!(refused(&home(&place, &[])), (Kind::Inaccessible, said.clone()));
    // Nothing of a key is kept under a master key that does not fit.
    let error = home(&place, &[]).add(&[copy(&PEOPLE[0].described)]).unwrap_err();
    assert_eq!(error.to_string(), said);
    fs::write(&own, "00".repeat(31)).unwrap();
    let said = format!("{}: a master key is 64 hexadecimal digits", own.display());
    assert_eq!(refused(&home(&place, &[])), (Kind::Damaged, said));
    fs::rename(&aside, &own).unwrap();

    home(&place, &[]).set_master(&MasterKey::File(elsewhere.clone())).unwrap();
    assert!(!own.exists() && elsewhere.exists());
    assert_eq!(fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(opens(&home(&place, &[])), Ok(true));

    // The same file, given by systemd under another name.
    fs::copy(&elsewhere, folder.path().join("given")).unwrap();
    let by_systemd = || home(&place, &[]).with_credentials(Some(folder.path().to_owned()));
    by_systemd().set_master(&MasterKey::Credential("given".to_owned())).unwrap();
    fs::remove_file(&elsewhere).unwrap();
    assert_eq!(opens(&by_systemd()), Ok(true));
    let said = "master key: systemd gave no credential \"given\"".to_owned();
    assert_eq!(refused(&home(&place, &[])), (Kind::Inaccessible, said));

    by_systemd().set_master(&MasterKey::Passphrase(Secret::from("open sesame"))).unwrap();
    assert_eq!(opens(&home(&place, &["wrong", "open sesame"])), Ok(true));
    let said = "master key (passphrase): does not fit".to_owned();
    assert_eq!(refused(&home(&place, &["wrong"])), (Kind::Inaccessible, said));
    contract(&home(&place, &["open sesame", PASSPHRASE]), &home(&place, &["open sesame"]));
}

/// By whatever name: the home's own master key is not removed when it is the new one too.
#[test]
fn a_master_key_that_moves_to_where_it_is_stays() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    fill(&home(&place, &[]));
    let own = place.join("master.key");
    std::os::unix::fs::symlink(&place, folder.path().join("alias")).unwrap();
    std::os::unix::fs::symlink(&own, folder.path().join("link")).unwrap();
    fs::hard_link(&own, folder.path().join("second")).unwrap();
    let same = [
        own.clone(),
        place.join("../home/master.key"),
        folder.path().join("alias/master.key"),
        folder.path().join("link"),
        folder.path().join("second"),
    ];
    let masters =
        same.into_iter().map(MasterKey::File).chain([MasterKey::Credential("master.key".to_owned()), MasterKey::Home]);
    for master in masters {
        let keys = || home(&place, &[PASSPHRASE]).with_credentials(Some(place.clone()));
        keys().set_master(&master).unwrap();
        assert!(own.exists(), "{master:?}");
        let fingerprint = PEOPLE[0].described.record.fingerprint();
        assert!(keys().secret_parts(fingerprint).unwrap().is_some(), "{master:?}");
    }
}

#[test]
fn no_secret_lies_open_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let keys = home(&place, &[]);
    fill(&keys);
    let [alice, ..] = &*PEOPLE;
    let secret = keys.secret_parts(alice.described.record.fingerprint()).unwrap().unwrap();
    assert_eq!(Some(&secret), alice.described.secret.as_ref());
    // What the secret parts have and the certificate has not.
    let public = alice.described.record.bytes();
    let telling = |window: &&[u8]| !public.windows(window.len()).any(|one| one == *window);
    let window = secret.expose().windows(16).find(telling).unwrap();
    for entry in fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let octets = fs::read(&path).unwrap();
            assert!(!octets.windows(window.len()).any(|one| one == window), "{}", path.display());
        }
    }
    // One certificate's secret parts are not another's.
    drop(keys);
    let change = rusqlite::Connection::open(place.join("postseal.db")).unwrap();
    let sql = "UPDATE secret SET sealed = (SELECT sealed FROM secret ORDER BY certificate DESC LIMIT 1)";
    assert_eq!(change.execute(sql, ()).unwrap(), 3);
    let failed =
        PEOPLE.iter().filter(|one| home(&place, &[]).secret_parts(one.described.record.fingerprint()).is_err());
    assert_eq!(failed.count(), 2);
}

#[test]
fn what_is_no_home_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    fill(&home(&place, &[]));
    let open = || Keystore::open_home(&place, passphrases(&[]), &Limits::default()).map(|_| ()).unwrap_err();
    let database = place.join("postseal.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("PRAGMA user_version = 1000").unwrap();
    drop(connection);
    let said = format!("{}: tables of version 1000, made by a newer postseal", database.display());
    assert_eq!((open().kind(), open().to_string()), (Kind::Config, said));

    fs::write(&database, "keys, keys, keys\n".repeat(1_000)).unwrap();
    assert_eq!(
        (open().kind(), open().to_string()),
        (Kind::Damaged, format!("{}: file is not a database", database.display()))
    );

    fs::remove_file(&database).unwrap();
    fs::create_dir(place.join("certs")).unwrap();
    let said = format!("{}: a home of files, of an older postseal", place.display());
    assert_eq!((open().kind(), open().to_string()), (Kind::Config, said));
}

/// What another program does to a home that is killed at any moment.
#[test]
fn a_writer_that_is_killed_leaves_a_whole_home() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let all: Vec<u8> = PEOPLE.iter().flat_map(|one| one.described.secret.as_ref().unwrap().expose().to_vec()).collect();
    let file = folder.path().join("all.pgp");
    fs::write(&file, &all).unwrap();
    let mut outcomes = [0, 0];
    for milliseconds in (0..60).map(|turn| turn % 30 * 5) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.args(["key", "import", "--home"]).arg(&place).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
        let keys = home(&place, &[]);
        let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap();
        assert!(found.is_empty() || found.len() == 3, "{} of 3", found.len());
        outcomes[usize::from(!found.is_empty())] += 1;
        for record in found {
            assert!(keys.secret_parts(record.fingerprint()).unwrap().is_some(), "a certificate without its key");
            keys.remove(&record, Removal::WithSecret).unwrap();
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "killed too early or too late: {outcomes:?}");
}

#[test]
fn junk_among_keys_is_passed_over_and_listed() {
    let [alice, bob, _] = [&PEOPLE[0], &PEOPLE[1], &PEOPLE[2]].map(|one| &one.described.record);
    // Between two certificates, one of an unknown version.
    let ring = [&**alice.bytes(), b"\xc6\x06\x63\x00\x00\x00\x00\x01\xcd\x01x", &**bob.bytes()].concat();
    let file = keyfile::describe(&ring, "ring.gpg").unwrap();
    let fingerprints: Vec<&Handle> = file.found.iter().map(|one| one.record.fingerprint()).collect();
    assert_eq!(fingerprints, [alice.fingerprint(), bob.fingerprint()]);
    assert_eq!(file.skipped.len(), 1, "{:?}", file.skipped);
    assert!(file.skipped[0].starts_with("ring.gpg: certificate 2: "), "{:?}", file.skipped);

    let armored = [alice, bob].map(|record| keyfile::export(record, Armor::Ascii).unwrap());
    let [first, second] = armored.each_ref().map(Vec::as_slice);
    let text = [b"Dear all,\n\n".as_slice(), first, MESSAGE, b"and\n", second].concat();
    let file = keyfile::describe(&text, "keys.txt").unwrap();
    assert_eq!(file.found.len(), 2);
    assert_eq!(file.skipped, ["keys.txt: an OpenPGP block that holds no key"]);
    assert_eq!(file.found[0].record.bytes(), alice.bytes());

    for (octets, reason) in [
        (b"".as_slice(), "keys.txt: holds no OpenPGP key"),
        (b"From: a@example.org\n", "keys.txt: holds no OpenPGP key"),
        (MESSAGE, "keys.txt: an OpenPGP block that holds no key"),
    ] {
        let error = keyfile::describe(octets, "keys.txt").unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Malformed, reason));
    }
    assert_eq!(keyfile::describe(b"\xff\xff\xff", "keys").unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn argon2_within_bounds_only() {
    let [_, _, carol] = &*PEOPLE;
    let tight = Limits { argon2_memory: 1024 * 1024, ..Limits::default() };
    let octets = carol.described.secret.clone().unwrap();
    let loaded = store::load(&[("carol", octets.expose())], &passphrases(&[PASSPHRASE]), &tight).unwrap();
    let record = &carol.described.record;
    let error = loaded.keys.secret(record, record.fingerprint()).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.to_string().contains("its argon2 needs 2^"), "{error}");
}

#[test]
fn a_user_id_with_another_address_is_refused() {
    for name in ["Eve <eve@example.org>", "two\nlines", "a < b"] {
        let mut request = Request::new(address("mallory@example.org"));
        request.name = Some(name.to_owned());
        let error = generate(&request, &FixedClock(now())).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{name:?}");
        assert!(error.to_string().ends_with("does not read as name and address"), "{error}");
    }
}

#[test]
fn gpg_keys_are_read() {
    let Some(gpg) = Gpg::new() else { return };
    let kinds = [("default", ""), ("default", PASSPHRASE), ("future-default", ""), ("future-default", PASSPHRASE)];
    for (number, (algorithm, passphrase)) in kinds.into_iter().enumerate() {
        let who = format!("gpg{number}@example.org");
        gpg.run(&["--passphrase", passphrase, "--quick-generate-key", &who, algorithm, "default", "never"]);
        let folder = tempfile::tempdir().unwrap();
        for armor in ["--armor", "--no-armor"] {
            let public = keyfile::describe(&gpg.run(&[armor, "--export", &who]), "gpg").unwrap();
            assert_eq!((public.found.len(), public.skipped.len()), (1, 0));
            assert!(public.found[0].secret.is_none());
            assert_eq!(public.found[0].record.claimed(), [address(&who)]);
            let secret = gpg.run(&[armor, "--passphrase", passphrase, "--export-secret-keys", &who]);
            let secret = keyfile::describe(&secret, "gpg").unwrap();
            let keys = home(&folder.path().join(armor), &[passphrase]);
            assert_eq!(keys.add(&public.found).unwrap(), [Change::Added]);
            assert_eq!(keys.add(&secret.found).unwrap(), [Change::Updated]);
            let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&address(&who)))).unwrap().remove(0);
            assert_eq!(record.secrets().len(), 2, "{record:?}");
            for key in record.secrets() {
                assert!(keys.secret(&record, key).unwrap().is_some());
            }
        }
        // Only the subkey: the primary key is a stub, and is not here.
        let secret = gpg.run(&["--passphrase", passphrase, "--export-secret-subkeys", &who]);
        let loaded = store::load(&[("subkeys", &secret)], &passphrases(&[passphrase]), &Limits::default()).unwrap();
        let record = loaded.keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap().remove(0);
        assert_eq!(record.secrets(), &record.handles()[1..]);
        let stub = loaded.keys.secret(&record, &record.handles()[0]).unwrap_err();
        assert!(stub.to_string().ends_with("its secret part is missing: GnuPG exported only a stub of it"), "{stub}");
        assert!(loaded.keys.secret(&record, &record.handles()[1]).unwrap().is_some());
        // A stub does not replace a key.
        let keys = home(&folder.path().join("--armor"), &[passphrase]);
        keys.add(&keyfile::describe(&secret, "subkeys").unwrap().found).unwrap();
        let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap().remove(0);
        assert_eq!(record.secrets().len(), 2);
        assert!(keys.secret(&record, &record.handles()[0]).unwrap().is_some());
    }
    let ring = keyfile::describe(&gpg.run(&["--export"]), "ring").unwrap();
    assert_eq!(ring.found.len(), kinds.len());
}

#[test]
fn gpg_reads_our_keys() {
    let Some(gpg) = Gpg::new() else { return };
    let text = gpg.file("text", b"hello\n");
    for (number, (algorithm, passphrase)) in [
        (Algorithm::Rsa3072, None),
        (Algorithm::Rsa3072, Some(PASSPHRASE)),
        (Algorithm::Curve25519, None),
        (Algorithm::Curve25519, Some(PASSPHRASE)),
    ]
    .into_iter()
    .enumerate()
    {
        let who = format!("ours{number}@example.org");
        let made = made(&who, passphrase, Profile::Rfc4880, algorithm);
        let folder = tempfile::tempdir().unwrap();
        let keys = home(&folder.path().join("home"), &[]);
        keys.add(&[copy(&made.described)]).unwrap();
        let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap().remove(0);
        let passphrase = passphrase.unwrap_or_default();
        for form in [Armor::Ascii, Armor::Binary] {
            let public = gpg.file("public", &keyfile::export(&record, form).unwrap());
            gpg.run(&["--import", &public]);
            let secret = keys.secret_parts(record.fingerprint()).unwrap().unwrap();
            let secret = gpg.file("secret", keyfile::export_secret(&record, &secret, form).unwrap().expose());
            gpg.run(&["--passphrase", passphrase, "--import", &secret]);
        }
        let listed = String::from_utf8(gpg.run(&["--with-colons", "--list-secret-keys", &who])).unwrap();
        let field = |kind: &str, number: usize| {
            let line = listed.lines().find(|line| line.starts_with(kind)).unwrap();
            line.split(':').nth(number - 1).unwrap().to_owned()
        };
        // Field 12 holds the capabilities (GnuPG's doc/DETAILS); capitals are those of the whole certificate.
        assert_eq!(field("sec:", 12), "scESC", "{listed}");
        assert_eq!(field("ssb:", 12), "e", "{listed}");
        assert_eq!(field("fpr:", 10), record.fingerprint().as_str());
        // It signs and decrypts with it.
        let (signed, sealed) = (format!("{text}.{number}.sig"), format!("{text}.{number}.gpg"));
        gpg.run(&["--passphrase", passphrase, "-u", &who, "-o", &signed, "--detach-sign", &text]);
        gpg.run(&["--verify", &signed, &text]);
        gpg.run(&["--trust-model", "always", "-r", &who, "-o", &sealed, "--encrypt", &text]);
        assert_eq!(gpg.run(&["--passphrase", passphrase, "--decrypt", &sealed]), b"hello\n");
        // And takes the revocation.
        let revocation = gpg.file("revocation", &made.revocation);
        gpg.run(&["--import", &revocation]);
        let listed = String::from_utf8(gpg.run(&["--with-colons", "--list-keys", &who])).unwrap();
        assert!(listed.contains("\npub:r:"), "{listed}");
    }
}

/// GnuPG with a home of its own; `None` when there is no gpg.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Option<Gpg> {
        if !present(&["gpg"]) {
            return None;
        }
        // Short, because the path of the agent's socket is in it.
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Some(Gpg(folder))
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.0.path()).stdin(Stdio::null());
        gpg.args(["--batch", "--no-tty", "--yes", "--pinentry-mode", "loopback"]);
        let done = gpg.args(arguments).output().unwrap();
        assert!(done.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    fn file(&self, name: &str, octets: &[u8]) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, octets).unwrap();
        path.display().to_string()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.0.path()).args(["--kill", "all"]).status();
    }
}

fn made(who: &str, passphrase: Option<&str>, profile: Profile, algorithm: Algorithm) -> Generated {
    let mut request = Request::new(address(who));
    (request.profile, request.algorithm) = (profile, algorithm);
    request.passphrase = passphrase.map(Secret::from);
    generate(&request, &FixedClock(now())).unwrap()
}

/// The certificate with its revocation behind it, as it is published.
fn revoked(person: &Generated) -> Described {
    let dearmored = base64_body(&person.revocation);
    let mut packets = person.described.record.bytes().to_vec();
    packets.extend(dearmored);
    keyfile::describe(&packets, "revoked").unwrap().found.remove(0)
}

fn base64_body(armor: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let text = String::from_utf8(armor.to_vec()).unwrap();
    let body = text.lines().skip_while(|line| !line.is_empty()).take_while(|line| !line.starts_with(['=', '-']));
    base64::engine::general_purpose::STANDARD.decode(body.collect::<String>()).unwrap()
}

fn fill(home: &Keystore) {
    let found: Vec<Described> = PEOPLE.iter().map(|one| copy(&one.described)).collect();
    assert_eq!(home.add(&found).unwrap(), [Change::Added; 3]);
    for one in &found {
        assert!(home.bind(one.record.fingerprint(), &Binding::UserIds, Origin::Generated, now()).unwrap());
    }
}

fn files() -> Vec<(&'static str, Secret)> {
    let names = ["alice", "bob", "carol"].into_iter();
    names.zip(&*PEOPLE).map(|(name, one)| (name, one.described.secret.clone().unwrap())).collect()
}

fn load(files: &[(&str, Secret)], given: &[&str]) -> postseal::keys::Memory {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(place, secret)| (*place, secret.expose())).collect();
    store::load(&files, &passphrases(given), &Limits::default()).unwrap().keys
}

fn home(place: &Path, given: &[&str]) -> Keystore {
    Keystore::open_home(place, passphrases(given), &Limits::default()).unwrap()
}

fn passphrases(given: &[&str]) -> Arc<Passphrases> {
    Arc::new(Passphrases::new(given.iter().copied().map(Secret::from).collect()))
}

fn find(keys: &dyn Keys, want: Want<'_>) -> Vec<Handle> {
    keys.find(ProtocolName::Pgp, &Query::manage(want))
        .unwrap()
        .iter()
        .map(|record| record.fingerprint().clone())
        .collect()
}

fn copy(of: &Described) -> Described {
    Described { record: of.record.clone(), secret: of.secret.clone(), proven: of.proven.clone() }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

const PASSPHRASE: &str = "correct horse";
const MESSAGE: &[u8] = b"-----BEGIN PGP MESSAGE-----\n\nyw==\n-----END PGP MESSAGE-----\n";
