//! A home that no process has open is read without locks and extra files, and never read wrongly.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use postseal::{
    base::Kind,
    keys::{Keys as _, ProtocolName, Query, Want},
    store::Removal,
};

use super::{PASSPHRASE, PEOPLE, address, contract, copy, fill, find, home};

/// Longer than the ticks in which the times of files are counted.
const QUIETLY: Duration = Duration::from_millis(120);

#[test]
fn reading_leaves_no_files() {
    let folder = tempfile::tempdir().unwrap();
    // Whatever an address of SQLite's gives a meaning.
    let place = folder.path().join("100% of my? keys#1 & ä");
    fill(&home(&place, &[]));
    thread::sleep(QUIETLY);
    let before = files(&place);
    let quiet = home(&place, &[PASSPHRASE]);
    contract(&quiet, &home(&place, &[]));
    assert_eq!(files(&place), before);
    assert!(before.iter().all(|name| !name.contains("-wal")), "{before:?}");
    // The same is true while another process writes.
    let writer = home(&place, &[]);
    writer.add(&[copy(&PEOPLE[0].described)]).unwrap();
    assert!(files(&place).iter().any(|name| name.ends_with("-wal")));
    contract(&quiet, &home(&place, &[]));
}

#[test]
fn later_writes_are_visible_to_quiet_readers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let [alice, bob, _] = &*PEOPLE;
    home(&place, &[]).add(&[copy(&alice.described)]).unwrap();
    thread::sleep(QUIETLY);
    let reader = home(&place, &[]);
    assert_eq!(find(&reader, Want::All), std::slice::from_ref(alice.described.record.fingerprint()));
    // Written and closed: no log is left to warn of it.
    home(&place, &[]).add(&[copy(&bob.described)]).unwrap();
    assert_eq!(find(&reader, Want::Address(&address("bob@example.org"))).len(), 1);
    home(&place, &[]).remove(&bob.described.record, Removal::WithSecret).unwrap();
    assert!(find(&reader, Want::Address(&address("bob@example.org"))).is_empty());
}

/// Writers come and go so that readers find the home now quiet, now not, and now changing.
#[test]
fn readers_never_see_half_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let [alice, bob, _] = &*PEOPLE;
    home(&place, &[]).add(&[copy(&alice.described)]).unwrap();
    let is_over = AtomicBool::new(false);
    let (quiet, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let log = place.join("postseal.db-wal");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let reader = home(&place, &[]);
                    quiet.fetch_add(usize::from(!log.exists()), Ordering::SeqCst);
                    for _ in 0..10 {
                        let found = reader
                            .find(ProtocolName::Pgp, &Query::manage(Want::Address(&address("alice@example.org"))));
                        let found = found.unwrap();
                        assert!(reader.secret(&found[0], alice.described.record.fingerprint()).unwrap().is_some());
                        reads.fetch_add(1, Ordering::SeqCst);
                    }
                    // As long as one of them follows on another, the log stays.
                    drop(reader);
                    thread::sleep(Duration::from_millis(25));
                }
            });
        }
        for round in 0..12 {
            let writer = home(&place, &[]);
            writer.add(&[copy(&bob.described)]).unwrap();
            assert_eq!(find(&writer, Want::All).len(), 2);
            writer.remove(&bob.described.record, Removal::WithSecret).unwrap();
            drop(writer);
            thread::sleep(if round % 2 == 0 { QUIETLY } else { Duration::from_millis(3) });
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(quiet.load(Ordering::SeqCst) > 0 && reads.load(Ordering::SeqCst) > 100, "{quiet:?} {reads:?}");
}

/// A stopped reader delays others, but not for ever.
#[test]
fn a_folder_that_stays_locked_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    home(&place, &[]).add(&[copy(&PEOPLE[0].described)]).unwrap();
    thread::sleep(QUIETLY);
    let held = fs::File::open(&place).unwrap();
    held.lock_shared().unwrap();
    assert_eq!(find(&home(&place, &[]), Want::All).len(), 1);
    let refused = home(&place, &[]).add(&[copy(&PEOPLE[1].described)]).unwrap_err();
    assert_eq!(refused.kind(), Kind::TryAgain);
    assert!(refused.to_string().ends_with("postseal.db: another process keeps it locked"), "{refused}");
    drop(held);
    home(&place, &[]).add(&[copy(&PEOPLE[1].described)]).unwrap();
}

fn files(place: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
