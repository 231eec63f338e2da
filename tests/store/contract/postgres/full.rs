//! A server whose disk is full.

use std::time::Instant;

use super::*;
use crate::support::postgres::LogPlace;

/// A revocation list that does not compress.
fn statement(number: u32) -> Vec<u8> {
    (0..8_000u32).flat_map(|part| Hash::Sha256.digest(&[number.to_be_bytes(), part.to_be_bytes()].concat())).collect()
}

/// Changes until there is no room; returns how many were made, and the error.
fn until_full(keys: &Keystore, from: u32) -> (u32, Error) {
    for number in from..from + 200 {
        if let Err(error) = keys.keep_statement(&statement(number), &Memory::new(), now()) {
            return (number - from, error);
        }
    }
    panic!("it never fills up");
}

#[test]
fn without_room_changes_are_put_off_and_look_ups_go_on() {
    if !is_present() {
        return;
    }
    let Some(server) = Server::on_small_disk(80, LogPlace::Elsewhere) else { return };
    let url = server.database("room");
    let machine = Machine::new(&[&url]);
    let keys = machine.open();
    fill(&keys);
    keys.keep_statement(&statement(0), &Memory::new(), now()).unwrap();
    let filler = server.fill_disk();
    let (made, error) = until_full(&keys, 1);
    assert_eq!(error.kind(), Kind::TryAgain, "{error}");
    assert!(error.to_string().contains("no space left on device") && !error.is_permanent(), "{error}");
    for turn in 0..3 {
        let (more, error) = until_full(&keys, 100 + turn);
        assert_eq!((more, error.kind()), (0, Kind::TryAgain), "{error}");
        // Known ones, those that are read anew, and secret keys.
        assert_eq!(look(&keys), Ok(1));
        let anew = machine.open();
        assert_eq!(look(&anew), Ok(1));
        let record = &PEOPLE[0].described.record;
        assert!(anew.secret(record, record.fingerprint()).unwrap().is_some());
        // Nothing is half there.
        assert_eq!(anew.revocations().unwrap().len(), 1 + made as usize);
        assert_eq!(anew.check(Repair::No).unwrap(), []);
    }
    drop(filler);
    keys.keep_statement(&statement(1000), &Memory::new(), now()).unwrap();
    keys.add(&[revoked(&PEOPLE[0])]).unwrap();
    assert_eq!(machine.open().revocations().unwrap().len(), 2 + made as usize);
    assert_eq!(keys.check(Repair::No).unwrap(), []);
}

/// The server cannot write its log either: it stops itself, and loses nothing.
#[test]
fn a_server_that_cannot_write_its_log_is_away_and_loses_nothing() {
    if !is_present() {
        return;
    }
    let Some(mut server) = Server::on_small_disk(80, LogPlace::There) else { return };
    let url = format!("{}&timeout=2", server.database("log"));
    let machine = Machine::new(&[&url]);
    let keys = machine.open();
    fill(&keys);
    let filler = server.fill_disk();
    let (made, error) = until_full(&keys, 0);
    assert_eq!(error.kind(), Kind::TryAgain, "{error}");
    // It tries to recover, and may answer for a moment; what it says is right.
    let begin = Instant::now();
    while !server.has_ended() && begin.elapsed() < Duration::from_secs(5) {
        match look(&keys) {
            Ok(found) => assert_eq!(found, 1),
            Err(error) => assert_eq!(error.kind(), Kind::TryAgain, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(filler);
    if server.has_ended() {
        server.run();
    }
    let begin = Instant::now();
    while look(&keys) != Ok(1) {
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", look(&keys));
        std::thread::sleep(Duration::from_millis(50));
    }
    // The change whose outcome was not known is whole, or not there.
    let there = keys.revocations().unwrap().len();
    assert!(there == made as usize || there == made as usize + 1, "{there} of {made}");
    assert_eq!(keys.check(Repair::No).unwrap(), []);
    keys.keep_statement(&statement(1000), &Memory::new(), now()).unwrap();
}
