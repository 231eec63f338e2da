//! Several machines with one database: what one of them found, all of them know.

use std::{collections::BTreeSet, thread};

use serde_json::Value;

use super::{Kept, Net, fingerprint, new_certificate, new_database};
use crate::support::{
    lab::{Done, POSTSEAL},
    postgres::Server,
};

impl Net {
    /// Another machine with the same database, whose home is the folder `name`, with more lines of `[discovery]`.
    fn beside(&self, name: &str, url: &str, lines: &str) {
        self.lab.write(&format!("{name}.toml"), self.configuration(name, lines));
        self.on(name, &["store", "connect", url]).code(0);
    }

    fn configuration(&self, home: &str, lines: &str) -> String {
        format!(
            "home = \"{home}\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{}",
            self.discovery(lines)
        )
    }

    /// The program on another machine.
    fn on(&self, name: &str, arguments: &[&str]) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        command.env("POSTSEAL_CONFIG", format!("{name}.toml")).env("POSTSEAL_HOME", name).args(arguments);
        Done::of(command.output().expect("postseal starts"))
    }

    /// The key to which another machine encrypts.
    fn used_on(&self, name: &str, address: &str) -> Done {
        self.on(
            name,
            &["encrypt", "--discover", "--text", "--from", "alice@example.org", "--to", address, "--", "text"],
        )
    }

    fn pending_on(&self, name: &str) -> Vec<Value> {
        let done = self.on(name, &["key", "pending", "--json"]).code(0);
        done.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// The first fingerprint of `keys` that the program names.
fn named<'a>(done: &Done, keys: &'a [String]) -> Option<&'a String> {
    keys.iter().find(|key| done.stderr.contains(key.as_str()))
}

#[test]
fn two_machines_ask_once() {
    let Some(net) =
        Net::at(Kept::Shared, &[("openpgpkey.a.test", "limit_rate 2k;")], "openpgpkey.down.test. A 127.1.0.1\n")
    else {
        return;
    };
    let url = Server::shared().url(net.database.as_deref().expect("a database"));
    net.beside("other", &url, "");
    let key = fingerprint(&net.publish_new("bob@a.test"));
    net.lab.write("text", "the plan\n");
    thread::scope(|scope| {
        for turn in 0..6 {
            let (net, key) = (&net, &key);
            scope.spawn(move || {
                let done = if turn % 2 == 0 { net.encrypt("bob@a.test") } else { net.used_on("other", "bob@a.test") };
                assert!(done.code(0).stderr.contains(key.as_str()));
            });
        }
    });
    assert_eq!(net.asked("a.test"), 1);
    // A failure too: the second machine asks nobody, and needs no time.
    net.encrypt("dave@down.test").code(75);
    let done = net.used_on("other", "dave@down.test").code(75);
    assert!(done.stderr.contains("dave@down.test"), "{}", done.stderr);
    let asked =
        |name: &str| Server::shared().psql(name, "SELECT count(*) FROM postseal.answer WHERE outcome = 'failed'");
    assert_ne!(asked(net.database.as_deref().expect("a database")).expect("a count"), "0");
    // No file is left on a machine.
    net.lab.shell("ls home/discovery* other/discovery*").code(2);
}

/// Each machine asks another source, and the sources have different keys.
#[test]
fn two_machines_never_begin_with_different_keys() {
    let hosts = [("openpgpkey.a.test", ""), ("keys.test", "")];
    let Some(net) = Net::at(Kept::Shared, &hosts, "") else { return };
    let url = Server::shared().url(net.database.as_deref().expect("a database"));
    net.configure("methods = [\"wkd\"]", "");
    net.beside("other", &url, "methods = [\"vks\"]\nvks-server = \"https://keys.test\"");
    net.lab.write("text", "the plan\n");
    let mut winners = BTreeSet::new();
    for number in 0..6 {
        let address = &format!("bob{number}@a.test");
        let other = new_certificate(address);
        net.web.put("keys.test", &format!("vks/v1/by-email/{address}"), &other);
        let keys = [fingerprint(&net.publish_new(address)), fingerprint(&other)];
        let (here, there) = thread::scope(|scope| {
            let here = scope.spawn(|| net.encrypt(address));
            let there = scope.spawn(|| net.used_on("other", address));
            (here.join().expect("it ends").code(0), there.join().expect("it ends").code(0))
        });
        let used = named(&here, &keys);
        assert!(used.is_some(), "{}", here.stderr);
        assert_eq!(used, named(&there, &keys), "{}\n{}", here.stderr, there.stderr);
        winners.insert(used.cloned());
        let held: Vec<Value> = net.pending().into_iter().filter(|one| one["address"] == address.as_str()).collect();
        assert_eq!(held.len(), 1, "{held:?}");
        assert_ne!(Some(&held[0]["fingerprint"]), used.map(|used| Value::from(used.as_str())).as_ref());
        assert_eq!(net.pending_on("other").len(), number + 1);
    }
    assert_eq!(winners.len(), 6);
    // What the owner decides on one machine counts on the other.
    let first = net.pending().remove(0);
    let (id, key) = (first["id"].to_string(), first["fingerprint"].as_str().expect("text").to_owned());
    net.on("other", &["key", "pending", "accept", &id]).code(0);
    assert!(net.encrypt("bob0@a.test").code(0).stderr.contains(&key));
    net.run(&["key", "pending", "accept", &id]).code(77);
}

/// The keys in use and the pending ones move with the keys of a home, there and back.
#[test]
fn what_was_found_moves_with_the_keys() {
    let Some(net) = Net::at(Kept::Own, &[("openpgpkey.a.test", "")], "") else { return };
    if !crate::support::postgres::present() {
        return;
    }
    net.configure("keep-found = 0", "");
    net.run(&["key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    let first = fingerprint(&net.publish_new("bob@a.test"));
    net.encrypt("bob@a.test").code(0);
    let second = fingerprint(&net.publish_new("bob@a.test"));
    net.encrypt("bob@a.test").code(0);
    let rejected = fingerprint(&net.publish_new("bob@a.test"));
    net.encrypt("bob@a.test").code(0);
    let id = net.pending()[1]["id"].to_string();
    net.run(&["key", "pending", "reject", &id]).code(0);
    let is_as_before = |net: &Net| {
        let done = net.encrypt("bob@a.test").code(0);
        assert!(done.stderr.contains(&first), "{}", done.stderr);
        let pending = net.pending();
        assert_eq!(pending.len(), 1, "{rejected} was rejected: {pending:?}");
        assert_eq!(
            (&pending[0]["fingerprint"], &pending[0]["in_use"]),
            (&second.clone().into(), &first.clone().into())
        );
    };
    is_as_before(&net);
    let (name, url) = new_database();
    let said = net.run(&["store", "migrate", &url]).code(0).stderr;
    assert!(said.contains("1 keys in use and 1 pending ones came along"), "{said}");
    is_as_before(&net);
    net.lab.shell("ls home/discovery.sqlite.moved && ! ls home/discovery.sqlite").code(0);
    let (_, again) = new_database();
    for to in [again.as_str(), "sqlite", &url.replace(&name, &new_database().0)] {
        let said = net.run(&["store", "migrate", to]).code(0).stderr;
        assert!(said.contains("1 keys in use and 1 pending ones came along"), "{said}");
        is_as_before(&net);
    }
}

/// A machine that had a file of its own joins others. Its key in use is not forgotten, and not used beside the one that they use.
#[test]
fn a_machine_that_joins_brings_what_it_found() {
    let Some(net) = Net::at(Kept::Shared, &[("openpgpkey.a.test", "")], "") else { return };
    let url = Server::shared().url(net.database.as_deref().expect("a database"));
    // Its own file, from before: it found other keys.
    net.lab.write("other.toml", net.configuration("other", "keep-found = 0"));
    net.lab.write("text", "the plan\n");
    let own = [fingerprint(&net.publish_new("bob@a.test")), fingerprint(&net.publish_new("carol@a.test"))];
    net.used_on("other", "bob@a.test").code(0);
    net.used_on("other", "carol@a.test").code(0);
    let theirs = fingerprint(&net.publish_new("bob@a.test"));
    assert!(net.encrypt("bob@a.test").code(0).stderr.contains(&theirs));
    net.on("other", &["store", "connect", &url]).code(0);
    // The domain has another key of carol meanwhile.
    net.publish_new("carol@a.test");
    for address in ["bob@a.test", "carol@a.test"] {
        net.used_on("other", address).code(0);
    }
    let pending = net.pending();
    let held = |address: &str| pending.iter().find(|one| one["address"] == address).expect("a pending key");
    assert_eq!(held("bob@a.test")["fingerprint"], own[0]);
    assert_eq!(held("bob@a.test")["in_use"], theirs);
    assert_eq!(held("carol@a.test")["in_use"], own[1]);
    assert!(net.used_on("other", "bob@a.test").code(0).stderr.contains(&theirs));
    assert!(net.used_on("other", "carol@a.test").code(0).stderr.contains(&own[1]));
}
