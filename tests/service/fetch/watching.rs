//! `watch`: connected until told to stop.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use super::Setup;

/// The messages that arrive are there within seconds, over a connection that waits (IDLE), again after that connection was lost, and by polling.
#[test]
fn what_arrives_is_fetched_until_sigterm() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(3);
    for (listener, mailbox, poll) in [("imaps", "INBOX", ""), ("pop3s", "", "--poll 1")] {
        let out = format!("out-{listener}");
        let more = format!("--to maildir:{out} --state state-{listener} {poll}");
        let mut watch = setup.start("watch", &setup.url(listener, mailbox), &more, "words");
        let before = setup.inbox().len();
        wait_for(&setup, &out, before);
        setup.dovecot.put("bob@example.org", &format!("{listener}-1"), "S", 1_600_000_000, "Subject: new\n\nnew\n");
        wait_for(&setup, &out, before + 1);
        setup.dovecot.kick("bob@example.org");
        thread::sleep(Duration::from_millis(200));
        setup.dovecot.put("bob@example.org", &format!("{listener}-2"), "", 1_600_000_001, "Subject: newer\n\nnewer\n");
        wait_for(&setup, &out, before + 2);
        terminate(&mut watch);
        assert_eq!(setup.fetched(&out).len(), before + 2);
    }
    let words = String::from_utf8(setup.lab.read("words")).expect("text");
    assert!(!words.contains("error"), "{words}");
    // Several mailboxes cannot be watched at once, and what time does not change ends it.
    let watch =
        |url: &str| setup.start("watch", url, "--to maildir:x --state x", "words").wait().expect("a child").code();
    assert_eq!(watch(&setup.url("imaps", "")), Some(64));
    assert_eq!(watch(&setup.url("imaps", "Nowhere")), Some(69));
}

fn wait_for(setup: &Setup, out: &str, count: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while setup.fetched(out).len() < count {
        let words = || String::from_utf8_lossy(&setup.lab.read("words")).into_owned();
        assert!(Instant::now() < end, "{out} has {} messages, not {count}: {}", setup.fetched(out).len(), words());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Ends with exit code 0, within seconds.
fn terminate(watch: &mut Child) {
    let killed = Command::new("kill").arg(watch.id().to_string()).status().expect("kill starts");
    assert!(killed.success());
    let start = Instant::now();
    assert_eq!(watch.wait().expect("a child").code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
}
