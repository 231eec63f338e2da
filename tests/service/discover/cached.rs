//! Answers are kept for all processes of a home, and a second key of an address waits for the owner.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Gnupg, Kept, Net, fingerprint, new_certificate};

/// Each of these with the file of a home, and with tables that several machines share.
macro_rules! each {
    ($($name:ident),+ $(,)?) => {
        mod own {
            $(#[test] fn $name() { super::$name(super::Kept::Own); })+
        }
        mod shared {
            $(#[test] fn $name() { super::$name(super::Kept::Shared); })+
        }
    };
}

each! {
    answers_are_kept_for_their_times,
    one_request_is_in_flight_for_an_address,
    a_second_key_waits_for_the_owner,
    a_key_that_the_owner_trusts_stays,
    a_revocation_that_was_found_stays,
    sources_are_asked_in_order,
    a_server_that_fails_is_not_asked_for_other_addresses,
}

fn answers_are_kept_for_their_times(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "")], "openpgpkey.down.test. A 127.1.0.1\n") else { return };
    net.publish_new("bob@a.test");
    net.encrypt("bob@a.test").code(0);
    net.encrypt("bob@a.test").code(0);
    net.encrypt("carol@a.test").code(77);
    net.encrypt("carol@a.test").code(77);
    assert_eq!(net.asked("a.test"), 2, "one request for each address");
    // A source that failed is not asked again either.
    net.encrypt("dave@down.test").code(75);
    let start = Instant::now();
    net.encrypt("dave@down.test").code(75);
    assert!(start.elapsed() < Duration::from_secs(2));
    // The times are configured; `key find` asks whatever was answered.
    net.configure("keep-found = 0\nkeep-missing = 0", "");
    net.forget();
    for _ in 0..2 {
        net.encrypt("bob@a.test").code(0);
        net.encrypt("carol@a.test").code(77);
    }
    assert_eq!(net.asked("a.test"), 6);
    net.find("bob@a.test", 0);
    assert_eq!(net.asked("a.test"), 7);
}

/// Several processes that want the same key at once make one request.
fn one_request_is_in_flight_for_an_address(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "limit_rate 2k;")], "") else { return };
    net.publish_new("bob@a.test");
    net.lab.write("text", "the plan\n");
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| net.encrypt("bob@a.test").code(0));
        }
    });
    assert_eq!(net.asked("a.test"), 1);
}

fn a_second_key_waits_for_the_owner(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "")], "") else { return };
    net.configure("keep-found = 0", "");
    let first = fingerprint(&net.publish_new("bob@a.test"));
    assert!(net.encrypt("bob@a.test").code(0).stderr.contains(&first));
    assert!(net.pending().is_empty());
    let second = fingerprint(&net.publish_new("bob@a.test"));
    let done = net.encrypt("bob@a.test").code(0);
    assert!(done.stderr.contains(&first) && !done.stderr.contains(&second), "{}", done.stderr);
    let pending = net.pending();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!((&pending[0]["fingerprint"], &pending[0]["in_use"]), (&second.clone().into(), &first.clone().into()));
    assert_eq!(net.find("bob@a.test", 77)["sources"][0]["keys"][0]["use"], "held");
    let id = pending[0]["id"].to_string();
    assert!(net.run(&["key", "pending"]).code(0).text().contains(&second));
    // Rejected, it is never used, and not listed again.
    net.run(&["key", "pending", "reject", &id]).code(0);
    net.encrypt("bob@a.test").code(0);
    assert!(net.pending().is_empty());
    // Accepted, the third one is.
    let third = fingerprint(&net.publish_new("bob@a.test"));
    net.encrypt("bob@a.test").code(0);
    let id = net.pending()[0]["id"].to_string();
    net.run(&["key", "pending", "accept", &id]).code(0);
    let done = net.encrypt("bob@a.test").code(0);
    assert!(done.stderr.contains(&third), "{}", done.stderr);
    assert!(net.pending().is_empty());
    net.run(&["key", "pending", "accept", &id]).code(77);
}

/// A key that the owner trusts is not replaced either, even when it has expired.
fn a_key_that_the_owner_trusts_stays(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "")], "") else { return };
    let gnupg = Gnupg::with_key("bob@a.test", "20200101T000000!");
    net.lab.write("old.pgp", gnupg.exported());
    let old = fingerprint(&gnupg.exported());
    net.run(&["key", "import", "old.pgp"]).code(0);
    net.run(&["key", "trust", &old, "bob@a.test"]).code(0);
    let new = fingerprint(&net.publish_new("bob@a.test"));
    net.encrypt("bob@a.test").code(77);
    assert_eq!(net.pending()[0]["fingerprint"], new);
    // Trust decides.
    let id = net.pending()[0]["id"].to_string();
    net.run(&["key", "pending", "accept", &id]).refused(77, "is trusted, and comes before every key that was found");
    net.run(&["key", "find", "--import", "bob@a.test"]).code(77);
    assert!(net.run(&["key", "list"]).code(0).text().contains(&new));
}

/// A revocation counts at once, and is not forgotten when the domain publishes the key without it again.
fn a_revocation_that_was_found_stays(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "")], "") else { return };
    net.configure("keep-found = 0", "");
    let gnupg = Gnupg::with_key("bob@a.test", "20260101T000000!");
    let good = gnupg.exported();
    net.publish("bob@a.test", &good);
    net.encrypt("bob@a.test").code(0);
    gnupg.revoke();
    net.publish("bob@a.test", &gnupg.exported());
    assert!(net.encrypt("bob@a.test").code(77).stderr.contains("revoked"));
    net.publish("bob@a.test", &good);
    assert!(net.encrypt("bob@a.test").code(77).stderr.contains("revoked"));
}

/// The next source is asked when one has no key, and a failure counts only if none has one.
fn sources_are_asked_in_order(kept: Kept) {
    let hosts = [("openpgpkey.a.test", ""), ("keys.test", ""), ("openpgpkey.b.test", "return 500;")];
    let Some(net) = Net::at(kept, &hosts, "") else { return };
    net.configure(
        "methods = [\"wkd\", \"vks\", \"hkp\"]\nvks-server = \"https://keys.test\"\nhkp-server = \"hkps://keys.test\"",
        "",
    );
    let at_vks = |address: &str| {
        let certificate = new_certificate(address);
        net.web.put("keys.test", &format!("vks/v1/by-email/{address}"), &certificate);
        fingerprint(&certificate)
    };
    let [carol, dave] = [at_vks("carol@a.test"), at_vks("dave@b.test")];
    let bob = fingerprint(&net.publish_new("bob@a.test"));
    let erin = new_certificate("erin@a.test");
    net.web.put("keys.test", "pks/lookup", &erin);
    for (address, key, why) in [
        ("bob@a.test", bob, "(source: domain)"),
        ("carol@a.test", carol, "(source: server)"),
        // The domain fails.
        ("dave@b.test", dave, "(source: server)"),
        ("erin@a.test", fingerprint(&erin), "is not trusted"),
    ] {
        let done = net.encrypt(address).code(0);
        assert!(done.stderr.contains(&key) && done.stderr.contains(why), "{address}: {}", done.stderr);
    }
    // What hkp has is of another address: it is no key, and the failure of the first source counts.
    let done = net.encrypt("frank@b.test").code(75);
    assert!(done.stderr.contains("wkd: frank@b.test: the server answers 500"), "{}", done.stderr);
    net.encrypt("frank@a.test").code(77);
}

/// A server that does not say is not asked for other addresses for a while. What it says for one address ends that.
fn a_server_that_fails_is_not_asked_for_other_addresses(kept: Kept) {
    let Some(net) = Net::at(kept, &[("openpgpkey.a.test", "if (-f $document_root/broken) { return 500; }")], "") else {
        return;
    };
    net.publish_new("bob@a.test");
    net.web.put("openpgpkey.a.test", "broken", "");
    for address in ["carol@a.test", "dave@a.test", "bob@a.test"] {
        let done = net.encrypt(address).code(75);
        assert!(done.stderr.contains(&format!("wkd: {address}: the server answers 500")), "{}", done.stderr);
    }
    assert_eq!(net.asked("a.test"), 1);
    std::fs::remove_file(net.web.path("openpgpkey.a.test/broken")).expect("a file");
    net.find("erin@a.test", 77);
    net.encrypt("bob@a.test").code(0);
}
