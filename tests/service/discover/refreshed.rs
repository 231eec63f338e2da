//! Known keys are asked for again: revocations and new expiry dates arrive.

use std::{thread, time::Duration};

use super::{Gnupg, Net, fingerprint, served::serve};
use crate::support::served::log;

/// A key of bob that the owner trusts, published; and the folder of gpg that it is from.
fn trusted(net: &Net) -> Gnupg {
    let gnupg = Gnupg::with_key("bob@a.test", "20260101T000000!");
    net.publish("bob@a.test", &gnupg.exported());
    net.lab.write("bob.pgp", gnupg.exported());
    net.run(&["key", "import", "bob.pgp"]).code(0);
    net.run(&["key", "trust", &fingerprint(&gnupg.exported()), "bob@a.test"]).code(0);
    gnupg
}

#[test]
fn revocations_and_new_ends_arrive() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", "")], "openpgpkey.down.test. A 127.1.0.1\n") else { return };
    let gnupg = trusted(&net);
    let key = fingerprint(&gnupg.exported());
    assert!(net.run(&["key", "refresh"]).code(0).text().starts_with(&format!("unchanged  {key}")));
    // Its end.
    let late = |net: &Net| {
        net.run(&[
            "--at",
            "2028-01-01T00:00:00Z",
            "encrypt",
            "--text",
            "--from",
            "a@x.test",
            "--to",
            "bob@a.test",
            "text",
        ])
    };
    net.lab.write("text", "the plan\n");
    late(&net).code(77);
    gnupg.run(&["--quick-set-expire", &key, "5y"]);
    gnupg.run(&["--quick-set-expire", &key, "5y", "*"]);
    net.publish("bob@a.test", &gnupg.exported());
    let said = net.run(&["key", "refresh", "bob@a.test"]).code(0).text();
    assert!(said.starts_with(&format!("updated    {key}")), "{said}");
    late(&net).code(0);
    // A key that was found and is in use, and an address that is not known.
    let found = Gnupg::with_key("carol@a.test", "20260101T000000!");
    net.publish("carol@a.test", &found.exported());
    net.encrypt("carol@a.test").code(0);
    // Their revocations.
    for (owner, gnupg) in [("bob@a.test", &gnupg), ("carol@a.test", &found)] {
        gnupg.revoke();
        net.publish(owner, &gnupg.exported());
        net.encrypt(owner).code(0);
    }
    net.run(&["key", "refresh"]).code(0);
    for owner in ["bob@a.test", "carol@a.test"] {
        let done = net.encrypt(owner).code(77);
        assert!(done.stderr.contains("revoked"), "{}", done.stderr);
    }
    // A source that does not answer is named, and the others are asked.
    let done = net.run(&["key", "refresh", "dave@down.test", "bob@a.test"]).code(75);
    assert!(done.stderr.contains("dave@down.test: wkd: ") && done.text().contains("unchanged"), "{done:?}");
}

/// The service asks by itself, once in the period.
#[test]
fn the_service_refreshes_keys() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", "")], "") else { return };
    let gnupg = trusted(&net);
    gnupg.revoke();
    net.publish("bob@a.test", &gnupg.exported());
    let served = serve(&net, &[["all", "", "clear"]], "refresh = 1");
    for _ in 0..100 {
        if log(&net.lab).contains("event=key-refreshed") {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    drop(served);
    let key = fingerprint(&gnupg.exported());
    assert!(log(&net.lab).contains(&format!("event=key-refreshed key={key}")), "{}", log(&net.lab));
    assert!(net.encrypt("bob@a.test").code(77).stderr.contains("revoked"));
    let asked = net.asked("a.test");
    std::fs::remove_file(net.lab.path("next")).expect("the socket of the next server");
    let again = serve(&net, &[["all", "", "clear"]], "refresh = 1");
    thread::sleep(Duration::from_secs(1));
    drop(again);
    assert_eq!(net.asked("a.test"), asked);
}
