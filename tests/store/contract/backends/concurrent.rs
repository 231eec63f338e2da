//! What readers see while others write.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use super::*;

/// The address of change `number` by one of two key stores.
fn bound(by: &str, number: usize) -> Address {
    address(&format!("{by}{number}@example.org"))
}

/// How many changes by `by` a record has. They are made in order, so an answer of one moment has no gap.
fn changes(record: &Record, by: &str) -> usize {
    let bindings = record.bindings();
    let count = (1..).take_while(|number| bindings.contains(&Binding::Address(bound(by, *number)))).count();
    let all = bindings.iter().filter(|one| matches!(one, Binding::Address(one) if one.to_string().starts_with(by)));
    assert_eq!(all.count(), count, "parts of two moments");
    count
}

/// Two key stores add to what is known of one certificate, and threads of the first one look. What a change of this process did is seen when it is over,
/// what the other one did stays seen, and no answer is put together from two moments.
pub(super) fn no_look_answers_with_what_was_before(shared: &dyn Shared) {
    const CHANGES: usize = 25;
    let (here, there) = (shared.open(&[]), shared.open(&[]));
    fill(&here);
    let alice = PEOPLE[0].described.record.fingerprint();
    let (done, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let write = |keys: &Keystore, by: &str, after: &dyn Fn(usize)| {
        for number in 1..=CHANGES {
            while let Err(error) = keys.bind(alice, &Binding::Address(bound(by, number)), Origin::Trusted, now()) {
                assert_eq!(error.kind(), Kind::TryAgain, "{error}");
            }
            after(number);
        }
    };
    let looks = AtomicUsize::new(0);
    let look = || {
        let (mut seen_here, mut seen_there) = (0, 0);
        while !is_over.load(Ordering::SeqCst) {
            let expected = done.load(Ordering::SeqCst);
            if expected > 0 {
                let wanted = bound("here", expected);
                let found = here.find(ProtocolName::Pgp, &Query::manage(Want::Address(&wanted))).unwrap();
                assert_eq!(found.len(), 1, "{wanted} was bound before");
            }
            let expected = done.load(Ordering::SeqCst);
            let found = here.find(ProtocolName::Pgp, &Query::manage(Want::Certificate(alice))).unwrap().remove(0);
            let (of_here, of_there) = (changes(&found, "here"), changes(&found, "there"));
            assert!(of_here >= expected.max(seen_here), "{of_here} changes, and {expected} were made");
            assert!(of_there >= seen_there, "{of_there} changes after {seen_there}");
            (seen_here, seen_there) = (of_here, of_there);
            looks.fetch_add(1, Ordering::Relaxed);
        }
    };
    // Some look is over between two changes, also on a busy machine.
    let seen = |number| {
        let (before, begin) = (looks.load(Ordering::Relaxed), Instant::now());
        done.store(number, Ordering::SeqCst);
        while looks.load(Ordering::Relaxed) == before && begin.elapsed() < Duration::from_millis(50) {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(look)).collect();
        let writers = [scope.spawn(|| write(&here, "here", &seen)), scope.spawn(|| write(&there, "there", &|_| {}))];
        let written: Vec<_> = writers.map(|writer| writer.join()).into();
        is_over.store(true, Ordering::SeqCst);
        for ended in written.into_iter().chain(readers.into_iter().map(|reader| reader.join())) {
            ended.unwrap();
        }
    });
    assert!(looks.into_inner() > 0);
    let begin = Instant::now();
    loop {
        let found = here.find(ProtocolName::Pgp, &Query::manage(Want::Certificate(alice))).unwrap().remove(0);
        if changes(&found, "there") == CHANGES {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "{} changes", changes(&found, "there"));
    }
}
