//! One contract for every backend, reading and writing: SQLite, and tables in memory, which show that the trait asks for nothing of SQLite's.

mod concurrent;
mod postgres;
mod tables;

use postseal::keys::{Announcement, Capabilities, Memory};

use self::tables::Tables;
use super::*;

/// Rows that several key stores share, as several processes do.
trait Shared: Sync {
    fn open(&self, passphrases: &[&str]) -> Keystore;

    /// Changes the octets of every certificate, behind the back of the key store.
    fn damage(&self, change: fn(&[u8]) -> Vec<u8>);
}

struct Sqlite(tempfile::TempDir);

impl Shared for Sqlite {
    fn open(&self, passphrases: &[&str]) -> Keystore {
        home(&self.0.path().join("home"), passphrases)
    }

    fn damage(&self, change: fn(&[u8]) -> Vec<u8>) {
        let database = rusqlite::Connection::open(self.0.path().join("home/postseal.db")).unwrap();
        let mut all = database.prepare("SELECT number, octets FROM certificate").unwrap();
        let rows = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let rows: Vec<(i64, Vec<u8>)> = rows.map(Result::unwrap).collect();
        for (number, octets) in rows {
            let sql = "UPDATE certificate SET octets = ?2 WHERE number = ?1";
            database.execute(sql, (number, change(&octets))).unwrap();
        }
    }
}

struct InMemory {
    tables: Tables,
    folder: tempfile::TempDir,
}

impl Shared for InMemory {
    fn open(&self, given: &[&str]) -> Keystore {
        let backend = Box::new(self.tables.beside());
        Keystore::new(backend, self.folder.path(), passphrases(given), &Limits::default()).unwrap()
    }

    fn damage(&self, change: fn(&[u8]) -> Vec<u8>) {
        self.tables.change(|tables| {
            tables.certificates.values_mut().for_each(|row| row.octets = change(&row.octets));
        });
    }
}

#[test]
fn sqlite_keeps_the_contract() {
    CASES.iter().for_each(|case| case(&Sqlite(tempfile::tempdir().unwrap())));
}

#[test]
fn tables_in_memory_keep_the_contract() {
    for case in CASES {
        case(&InMemory { tables: Tables::default(), folder: private_folder() });
    }
}

const CASES: &[fn(&dyn Shared)] = &[
    what_is_kept_is_found,
    writers_at_once_lose_nothing,
    an_update_is_put_together_with_what_is_here,
    a_public_copy_takes_no_secret_away,
    what_another_process_writes_is_seen,
    a_secret_key_is_removed_only_when_asked_for,
    certificates_with_secret_parts_are_found_alone,
    a_change_that_fails_leaves_nothing,
    statements_are_a_set,
    a_binding_is_made_once,
    what_owners_say_is_noted,
    the_data_key_stays_when_the_master_key_changes,
    damage_is_found_and_repaired,
    concurrent::no_look_answers_with_what_was_before,
];

fn what_is_kept_is_found(shared: &dyn Shared) {
    let empty = shared.open(&[]);
    assert_eq!(find(&empty, Want::All), []);
    assert!(empty.anchors().unwrap().is_empty() && empty.revocations().unwrap().is_empty());
    assert_eq!(empty.check(Repair::Yes).unwrap(), []);
    fill(&shared.open(&[]));
    contract(&shared.open(&["wrong", PASSPHRASE]), &shared.open(&["wrong"]));
    // Opened before there was anything.
    assert_eq!(find(&empty, Want::All).len(), 3);
}

fn certificates_with_secret_parts_are_found_alone(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let [alice, bob, _] = &*PEOPLE;
    let public = Described { record: bob.described.record.clone().without_secrets(), secret: None, proven: Vec::new() };
    keys.add(&[copy(&alice.described), public]).unwrap();
    assert_eq!(find(&keys, Want::All).len(), 2);
    for _ in 0..2 {
        assert_eq!(find(&keys, Want::Secrets), std::slice::from_ref(alice.described.record.fingerprint()));
    }
}

fn a_change_that_fails_leaves_nothing(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let [alice, bob, _] = &*PEOPLE;
    keys.add(&[copy(&alice.described)]).unwrap();
    let stranger = Handle::parse("0123456789ABCDEF0123456789ABCDEF01234567").unwrap();
    let beliefs = [(stranger.clone(), Binding::UserIds, Origin::Trusted)];
    let statements = [Arc::from(b"a list".as_slice())];
    let intake = Intake {
        certificates: &[copy(&bob.described)],
        beliefs: &beliefs,
        statements: &statements,
        ..Intake::default()
    };
    let error = keys.take_in(&intake, &Memory::new(), now()).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::NoKey, format!("key {stranger}: no certificate here")));
    for keys in [&keys, &shared.open(&[])] {
        assert_eq!(find(keys, Want::All), std::slice::from_ref(alice.described.record.fingerprint()));
        assert_eq!(keys.secret_parts(bob.described.record.fingerprint()).unwrap(), None);
        assert!(keys.revocations().unwrap().is_empty());
        assert_eq!(keys.check(Repair::No).unwrap(), []);
    }
}

fn statements_are_a_set(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let keep = |octets: &[u8]| keys.keep_statement(octets, &Memory::new(), now()).unwrap();
    assert_eq!([keep(b"a list"), keep(b"a list")], [Kept::Added, Kept::Unchanged]);
    let expected: Arc<[u8]> = Arc::from(b"a list".as_slice());
    assert_eq!(keys.revocations().unwrap(), std::slice::from_ref(&expected));
    assert_eq!(shared.open(&[]).revocations().unwrap(), [expected]);
}

fn a_binding_is_made_once(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let record = &PEOPLE[0].described.record;
    let elsewhere = Binding::Address(address("a@example.net"));
    let bind = |binding: &Binding| keys.bind(record.fingerprint(), binding, Origin::Trusted, now());
    assert_eq!(bind(&elsewhere).unwrap_err().kind(), Kind::NoKey);
    keys.add(&[copy(&PEOPLE[0].described)]).unwrap();
    assert!(bind(&elsewhere).unwrap());
    assert!(!bind(&elsewhere).unwrap());
    assert!(bind(&Binding::Anchor).unwrap());
    let found =
        shared.open(&[]).find(ProtocolName::Pgp, &Query::manage(Want::Address(&address("A@EXAMPLE.net")))).unwrap();
    assert_eq!(found[0].bindings(), [elsewhere, Binding::Anchor]);
    // They go with the certificate.
    keys.remove(&found[0], Removal::WithSecret).unwrap();
    keys.add(&[copy(&PEOPLE[0].described)]).unwrap();
    let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(record.fingerprint()))).unwrap();
    assert_eq!(found[0].bindings(), []);
}

fn what_owners_say_is_noted(shared: &dyn Shared) {
    let record = &PEOPLE[0].described.record;
    let word = |list: &str, hours: u64| Announcement {
        certificate: record.fingerprint().clone(),
        capabilities: Capabilities { list: list.into(), said: now() + Duration::from_secs(hours * 3600) },
    };
    let keys = shared.open(&[]);
    assert!(!keys.note(&word("early", 1), now()).unwrap());
    keys.add(&[copy(&PEOPLE[0].described)]).unwrap();
    let said = [("first", 2), ("older", 1), ("later", 3)].map(|(list, hours)| keys.note(&word(list, hours), now()));
    assert_eq!(said.map(Result::unwrap), [true, false, true]);
    for keys in [keys, shared.open(&[])] {
        let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(record.fingerprint()))).unwrap();
        assert_eq!(found[0].capabilities(), Some(&word("later", 3).capabilities));
    }
}

fn the_data_key_stays_when_the_master_key_changes(shared: &dyn Shared) {
    let keys = shared.open(&["open sesame"]);
    fill(&keys);
    keys.set_master(&MasterKey::Passphrase(Secret::from("open sesame"))).unwrap();
    contract(&shared.open(&["open sesame", PASSPHRASE]), &shared.open(&["open sesame"]));
    let error = shared.open(&["wrong"]).secret_parts(PEOPLE[0].described.record.fingerprint()).unwrap_err();
    assert_eq!(error.to_string(), "master key (passphrase): does not fit");
}

fn damage_is_found_and_repaired(shared: &dyn Shared) {
    fill(&shared.open(&[]));
    assert_eq!(shared.open(&[]).check(Repair::No).unwrap(), []);
    let is_refused = || {
        for want in [Want::All, Want::Address(&address("bob@example.org"))] {
            let error = shared.open(&[]).find(ProtocolName::Pgp, &Query::manage(want)).unwrap_err();
            assert_eq!(error.kind(), Kind::Damaged, "{want:?}: {error}");
        }
    };
    let outcomes = |repair| {
        let found = shared.open(&[]).check(repair).unwrap();
        found.into_iter().map(|damage| damage.outcome).collect::<Vec<_>>()
    };
    // What a certificate's own octets still tell is repaired.
    shared.damage(|octets| [octets, &[0]].concat());
    is_refused();
    assert_eq!(outcomes(Repair::No), [Outcome::Left; 5], "three certificates, two indexes");
    assert_eq!(outcomes(Repair::Yes), [Outcome::Repaired; 3]);
    assert_eq!(outcomes(Repair::No), []);
    contract(&shared.open(&[PASSPHRASE]), &shared.open(&[]));

    shared.damage(|octets| octets[1..].to_vec());
    is_refused();
    assert_eq!(outcomes(Repair::No), [Outcome::Left; 8], "their secret keys too");
    assert_eq!(outcomes(Repair::Yes)[..6], [Outcome::Lost; 6]);
    assert_eq!(outcomes(Repair::No), []);
    assert_eq!(find(&shared.open(&[]), Want::All), []);
    fill(&shared.open(&[]));
    contract(&shared.open(&[PASSPHRASE]), &shared.open(&[]));
}

/// A key store refuses a folder that others can get into.
fn private_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

fn writers_at_once_lose_nothing(shared: &dyn Shared) {
    std::thread::scope(|scope| {
        for person in &*PEOPLE {
            scope.spawn(move || {
                let keys = shared.open(&[]);
                keys.add(&[copy(&person.described)]).unwrap();
                let fingerprint = person.described.record.fingerprint();
                keys.bind(fingerprint, &Binding::UserIds, Origin::Generated, now()).unwrap();
            });
        }
    });
    contract(&shared.open(&[PASSPHRASE]), &shared.open(&[]));
}

fn an_update_is_put_together_with_what_is_here(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let [alice, ..] = &*PEOPLE;
    let fingerprint = alice.described.record.fingerprint();
    let update = revoked(alice);
    assert!(update.record.bytes().len() > alice.described.record.bytes().len());

    assert_eq!(keys.add(&[copy(&alice.described)]).unwrap(), [Change::Added]);
    let elsewhere = address("a@example.net");
    keys.bind(fingerprint, &Binding::Address(elsewhere.clone()), Origin::Trusted, now()).unwrap();
    assert_eq!(keys.add(&[copy(&update)]).unwrap(), [Change::Updated]);
    // The older copy takes nothing away.
    assert_eq!(keys.add(&[copy(&alice.described)]).unwrap(), [Change::Unchanged]);
    let held = keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&elsewhere))).unwrap().remove(0);
    assert_eq!(held.bytes(), update.record.bytes());
    assert_eq!(held.secrets(), alice.described.record.secrets());
    assert_eq!(held.bindings(), [Binding::Address(elsewhere)]);
    assert!(keys.secret(&held, fingerprint).unwrap().is_some());

    // In a chain the old copy in front does not hide the revocation behind it.
    let old = load(&files()[..1], &[]);
    let chain = Chain::new(vec![Arc::new(old), Arc::new(keys)], keyfile::merge);
    for want in [Want::All, Want::Handle(fingerprint), Want::Address(&address("alice@example.org"))] {
        assert_eq!(
            chain.find(ProtocolName::Pgp, &Query::manage(want)).unwrap()[0].bytes(),
            update.record.bytes(),
            "{want:?}"
        );
    }
}

fn a_public_copy_takes_no_secret_away(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    let [_, bob, _] = &*PEOPLE;
    let record = bob.described.record.clone().without_secrets();
    let public = Described { record, secret: None, proven: Vec::new() };
    assert_eq!(keys.add(&[copy(&public)]).unwrap(), [Change::Added]);
    assert_eq!(keys.secret_parts(public.record.fingerprint()).unwrap(), None);
    assert_eq!(keys.add(&[copy(&bob.described)]).unwrap(), [Change::Updated]);
    assert_eq!(keys.add(&[copy(&public)]).unwrap(), [Change::Unchanged]);
    assert_eq!(keys.secret_parts(public.record.fingerprint()).unwrap(), bob.described.secret);
    let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap().remove(0);
    assert_eq!(record.secrets(), bob.described.record.secrets());
}

fn what_another_process_writes_is_seen(shared: &dyn Shared) {
    let (reader, writer) = (shared.open(&[]), shared.open(&[]));
    let [alice, bob, _] = &*PEOPLE;
    assert_eq!(find(&reader, Want::All), []);
    for (count, one) in [(1, alice), (2, bob)] {
        writer.add(&[copy(&one.described)]).unwrap();
        assert_eq!(find(&reader, Want::All).len(), count);
    }
    writer.remove(&bob.described.record, Removal::WithSecret).unwrap();
    assert_eq!(find(&reader, Want::All), std::slice::from_ref(alice.described.record.fingerprint()));
}

fn a_secret_key_is_removed_only_when_asked_for(shared: &dyn Shared) {
    let keys = shared.open(&[]);
    fill(&keys);
    let fingerprint = PEOPLE[0].described.record.fingerprint();
    let record = keys.find(ProtocolName::Pgp, &Query::manage(Want::Handle(fingerprint))).unwrap().remove(0);
    let error = keys.remove(&record, Removal::Certificate).unwrap_err();
    assert_eq!(error.kind(), Kind::NoKey);
    assert_eq!(error.to_string(), format!("key {fingerprint}: there is a secret key to it"));
    assert_eq!(find(&keys, Want::All).len(), 3);
    keys.remove(&record, Removal::WithSecret).unwrap();
    assert_eq!(find(&keys, Want::All).len(), 2);
    assert_eq!(keys.secret_parts(fingerprint).unwrap(), None);
    assert!(keys.secret(&record, fingerprint).unwrap().is_none());
}
