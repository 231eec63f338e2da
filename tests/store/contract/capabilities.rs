//! What owners of certificates said that they read: one contract, and tables that are older than it.

use postseal::{
    base::{SystemClock, SystemRandom},
    keys::{Announcement, Capabilities},
    protocol::smime::{
        generate::{Request, generate},
        keyfile::merge,
    },
};
use rusqlite::Connection;

use super::*;

fn erin() -> Described {
    generate(&Request::new(address("erin@example.org")), &SystemClock, &SystemRandom).unwrap()
}

fn word(of: &Described, list: &str, hours: u64) -> Announcement {
    let capabilities = Capabilities { list: list.as_bytes().to_vec(), said: now() + Duration::from_secs(hours * 3600) };
    Announcement { certificate: of.record.fingerprint().clone(), capabilities }
}

fn known(keys: &dyn Keys, of: &Described) -> Option<Capabilities> {
    let found = keys.find(ProtocolName::Smime, &Query::manage(Want::Handle(of.record.fingerprint()))).unwrap();
    found.first().and_then(|record| record.capabilities().cloned())
}

/// Like a process that comes to read: what it cannot write at once is not written, and may be tried again.
fn noted(home: &Keystore, word: &Announcement) -> bool {
    loop {
        match home.note(word, now()) {
            Err(error) if error.kind() == Kind::TryAgain => {}
            done => return done.unwrap(),
        }
    }
}

#[test]
fn a_later_word_is_kept_of_those_who_are_here() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let (erin, stranger) = (erin(), self::erin());
    assert!(!home(&place, &[]).note(&word(&erin, "gcm", 0), now()).unwrap());
    assert!(!place.exists(), "nothing to keep makes no home");

    let keys = home(&place, &[]);
    keys.add(&[copy(&erin)]).unwrap();
    assert_eq!(known(&keys, &erin), None);
    for (list, hours, is_kept, then) in
        [("gcm", 5, true, "gcm"), ("old", 4, false, "gcm"), ("same", 5, false, "gcm"), ("new", 6, true, "new")]
    {
        assert_eq!(noted(&keys, &word(&erin, list, hours)), is_kept, "{list}");
        assert_eq!(known(&keys, &erin).unwrap().list, then.as_bytes(), "{list}");
    }
    assert!(!noted(&keys, &word(&stranger, "gcm", 9)));
    assert_eq!(known(&keys, &stranger), None);
    assert_eq!(known(&home(&place, &[]), &erin), Some(word(&erin, "new", 6).capabilities));

    // A copy that knows nothing of it takes nothing away, in the home or before it.
    assert_eq!(keys.add(&[copy(&erin)]).unwrap(), [Change::Unchanged]);
    assert_eq!(known(&keys, &erin).unwrap().list, b"new");
    let older = erin.record.clone().with_capabilities(Some(word(&erin, "gcm", 5).capabilities));
    let mut given = postseal::keys::Memory::new();
    given.add(older);
    let sources: Vec<Arc<dyn Keys>> = vec![Arc::new(given), Arc::new(home(&place, &[]))];
    assert_eq!(known(&Chain::new(sources, |old, new| Ok(merge(old, new))), &erin).unwrap().list, b"new");

    // It goes with the certificate.
    keys.remove(&erin.record, Removal::WithSecret).unwrap();
    keys.add(&[copy(&erin)]).unwrap();
    assert_eq!(known(&keys, &erin), None);
}

#[test]
fn of_several_at_once_the_last_word_stays() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let erin = erin();
    home(&place, &[]).add(&[copy(&erin)]).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (place, erin) = (&place, &erin);
            scope.spawn(move || {
                let keys = home(place, &[]);
                for turn in 0..12 {
                    let hours = (turn * 7 + writer * 5) % 37;
                    noted(&keys, &word(erin, &hours.to_string(), hours));
                    assert!(known(&keys, erin).unwrap().said >= word(erin, "", hours).capabilities.said);
                }
            });
        }
    });
    let last = (0..4).flat_map(|writer| (0..12).map(move |turn| (turn * 7 + writer * 5) % 37)).max().unwrap();
    assert_eq!(known(&home(&place, &[]), &erin), Some(word(&erin, &last.to_string(), last).capabilities));
}

#[test]
fn a_home_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    let database = Connection::open(place.join("postseal.db")).unwrap();
    fs::set_permissions(place.join("postseal.db"), fs::Permissions::from_mode(0o600)).unwrap();
    let sql = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/home/version-2.sql")).unwrap();
    // What version 2 has added.
    database.execute_batch(&format!("{sql}; DROP TABLE capability; PRAGMA user_version = 1")).unwrap();
    let found = || {
        home(&place, &[]).find(ProtocolName::Smime, &Query::manage(Want::Address(&address("me@example.net")))).unwrap()
    };

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(found()[0].capabilities(), None));
        }
    });
    let version: i64 = database.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 3);
    assert_eq!(find(&home(&place, &[]), Want::All).len(), 2);
    let me = Described { record: Record::clone(&found()[0]), secret: None, proven: Vec::new() };
    assert!(noted(&home(&place, &[]), &word(&me, "gcm", 1)));
    assert_eq!(known(&home(&place, &[]), &me), Some(word(&me, "gcm", 1).capabilities));
}
