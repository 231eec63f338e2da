//! A server that stops, hangs or is started again.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Instant,
};

use super::*;

#[test]
fn a_lost_server_is_a_temporary_failure_and_never_an_empty_answer() {
    if !is_present() {
        return;
    }
    let mut server = Server::start();
    let url = format!("{}&timeout=1", server.database("lost"));
    let machine = Machine::new(&[&url]);
    fill(&machine.open());
    // One that has just begun, and one that listens for changes.
    let (young, old) = (machine.open(), machine.open());
    assert_eq!((look(&young), look(&old)), (Ok(1), Ok(1)));
    std::thread::sleep(UNTIL_IT_LISTENS);
    assert_eq!(look(&old), Ok(1));

    let refused = |keys: &Keystore| {
        let error = look(keys).unwrap_err();
        assert_eq!(error.kind(), Kind::TryAgain, "{error}");
        assert!(!error.is_permanent() && error.is_of_machine(), "{error}");
        error.to_string()
    };
    let comes_back = |keys: &Keystore| {
        let begin = Instant::now();
        while look(keys) != Ok(1) {
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", look(keys));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    server.stop();
    std::thread::sleep(SECOND);
    for keys in [&young, &old] {
        refused(keys);
        // The server is left alone for a while.
        let begin = Instant::now();
        (0..200).for_each(|_| drop(refused(keys)));
        assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
    }
    assert_eq!(machine.try_open().unwrap_err().kind(), Kind::TryAgain);
    let (code, _, said) = run(machine.home(), &["key", "list"]);
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("/lost?host="), "{said}");
    server.run();
    [&young, &old].into_iter().for_each(comes_back);

    // As a network that loses everything: no connection breaks, and no answer comes.
    std::thread::sleep(UNTIL_IT_LISTENS);
    assert_eq!((look(&young), look(&old)), (Ok(1), Ok(1)));
    server.freeze("STOP");
    assert_eq!(look(&old), Ok(1), "known, and less than a second old");
    std::thread::sleep(SECOND);
    let begin = Instant::now();
    let said = refused(&old);
    assert!(said.ends_with("no answer within 1 seconds"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let begin = Instant::now();
    refused(&old);
    assert!(begin.elapsed() < Duration::from_millis(100), "the next one does not wait: {:?}", begin.elapsed());
    server.freeze("CONT");
    [&young, &old].into_iter().for_each(comes_back);
}

#[test]
fn a_server_that_is_started_again_under_load_loses_nothing() {
    if !is_present() {
        return;
    }
    let mut server = Server::with("fsync = on");
    let url = format!("{}&timeout=2", server.database("load"));
    let machine = Machine::new(&[&url]);
    fill(&machine.open());
    let is_over = &AtomicBool::new(false);
    let (looked, failed, written) = (&AtomicUsize::new(0), &AtomicUsize::new(0), &AtomicUsize::new(0));
    // Opened while the server is there.
    let readers: Vec<Keystore> = (0..3).map(|_| machine.open()).collect();
    let keys = machine.open();
    let names = std::thread::scope(|scope| {
        for keys in readers {
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    match look(&keys) {
                        Ok(count) => {
                            assert_eq!(count, 1);
                            looked.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), Kind::TryAgain, "{error}");
                            failed.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(Duration::from_millis(5));
                        }
                    }
                }
            });
        }
        let writer = scope.spawn(move || {
            let fingerprint = PEOPLE[0].described.record.fingerprint();
            let mut names = Vec::new();
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let binding = Binding::Address(address(&format!("a{number}@example.net")));
                match keys.bind(fingerprint, &binding, Origin::Trusted, now()) {
                    Ok(is_new) => {
                        assert!(is_new);
                        names.push(binding);
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => assert_eq!(error.kind(), Kind::TryAgain, "{error}"),
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            names
        });
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(700));
            server.stop();
            std::thread::sleep(Duration::from_millis(300));
            server.run();
        }
        std::thread::sleep(Duration::from_millis(2500));
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let counts = [looked, failed, written].map(|count| count.load(Ordering::Relaxed));
    assert!(counts.iter().all(|count| *count > 3), "look-ups, failures, changes: {counts:?}");
    println!("look-ups, failures, changes: {counts:?}");
    let keys = machine.open();
    assert_eq!(keys.check(Repair::No).unwrap(), []);
    let held = keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&address("alice@example.org")))).unwrap();
    let lost: Vec<&Binding> = names.iter().filter(|name| !held[0].bindings().contains(name)).collect();
    assert!(lost.is_empty(), "said to be done, and gone: {lost:?}");
}

/// POSTSEAL_KILLS says how many kills instead of a few.
#[test]
fn a_writer_that_is_killed_leaves_a_whole_change_or_nothing() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    let machine = Machine::new(&[&server.database("killed")]);
    let all: Vec<u8> = PEOPLE.iter().flat_map(|one| one.described.secret.as_ref().unwrap().expose().to_vec()).collect();
    let file = machine.home().join("all.pgp");
    fs::write(&file, &all).unwrap();
    let keys = machine.open();
    fill(&keys);
    let empty = |keys: &Keystore| {
        for record in keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap() {
            keys.remove(&record, Removal::WithSecret).unwrap();
        }
    };
    empty(&keys);
    let import = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.args(["key", "import", "--home"]).arg(machine.home()).arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let begin = Instant::now();
    assert!(import().wait().unwrap().success());
    let whole = begin.elapsed();
    empty(&keys);
    let count = std::env::var("POSTSEAL_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(16);
    let mut outcomes = [0, 0];
    for turn in 0..count {
        let mut child = import();
        std::thread::sleep(whole * (turn % 8) / 10);
        let _ = child.kill();
        child.wait().unwrap();
        // The server may still be about to notice.
        let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap();
        assert!(found.is_empty() || found.len() == 3, "{} of 3", found.len());
        outcomes[usize::from(!found.is_empty())] += 1;
        assert_eq!(keys.check(Repair::No).unwrap(), []);
        for record in &found {
            assert!(keys.secret_parts(record.fingerprint()).unwrap().is_some(), "a certificate without its key");
        }
        empty(&keys);
    }
    println!("kills before and after the change: {outcomes:?}");
    assert!(outcomes[0] > 0, "killed too late: {outcomes:?}");
}
