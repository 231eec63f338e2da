//! Keys on the network for mail that the service handles.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Net, fingerprint, new_certificate};
use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER, Served, TRUSTED, log},
};

const RULES: [[&str; 3]; 2] = [
    ["local", "recipient = \"example.org\"\ndirection = \"inbound\"", "verify"],
    ["found", "discover = true", "encrypt"],
];

fn letter(recipient: &'static str) -> Letter<'static> {
    Letter {
        client: TRUSTED,
        sender: "alice@example.org",
        recipient,
        message: "From: alice@example.org\r\nTo: bob@a.test\r\nSubject: x\r\n\r\nthe plan\r\n",
    }
}

pub(super) fn serve<'a>(net: &'a Net, rules: &[[&str; 3]], lines: &str) -> Served<'a> {
    net.lab.run(&["key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    let configured = Configured::new(&net.lab, "220 next", rules);
    let text = String::from_utf8(net.lab.read("postseal.toml")).expect("UTF-8");
    net.lab.write("postseal.toml", format!("{text}{}", net.discovery(lines)));
    configured.serve().unwrap_or_else(|code| panic!("exit code {code}: {}", log(&net.lab)))
}

/// The first mail to a stranger leaves encrypted, and mail to a domain that does not answer is put off, alone.
#[test]
fn mail_to_a_stranger_is_encrypted_and_mail_to_a_dead_domain_waits() {
    let hosts = [("openpgpkey.a.test", ""), ("openpgpkey.none.test", "")];
    let Some(net) = Net::new(&hosts, "openpgpkey.down.test. A 127.1.0.1\n") else { return };
    let key = fingerprint(&net.publish_new("bob@a.test"));
    let served = serve(&net, &RULES, "");
    for (transport, reply) in served.replies(&letter("bob@a.test")) {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    let delivered = served.delivered();
    assert!(!delivered.is_empty());
    for mail in &delivered {
        assert!(mail.contains("BEGIN PGP MESSAGE") && !mail.contains("the plan"), "{mail}");
    }
    for (transport, reply) in served.replies(&letter("carol@down.test")) {
        assert!(reply.starts_with("451"), "{transport}: {reply}");
        assert!(!reply.contains("refused"), "what is wrong is not for clients: {reply}");
    }
    for (transport, reply) in served.replies(&letter("dave@none.test")) {
        assert!(reply.starts_with("550"), "{transport}: {reply}");
    }
    assert!(served.delivered().is_empty());
    assert_eq!(net.asked("a.test"), 1);
    // Of two recipients of one message, one waits.
    let both = ["config", "explain", "--json", "-c", "postseal.toml", "--trusted", "alice@example.org"];
    let explained = net.run(&[&both[..], &["bob@a.test,carol@down.test"]].concat()).code(0);
    let explained: Value = serde_json::from_slice(&explained.stdout).expect("JSON");
    let outcomes = [&explained["recipients"][0]["outcome"], &explained["recipients"][1]["outcome"]];
    assert_eq!(outcomes, ["relay", "tempfail"], "{explained}");
    assert_eq!(explained["recipients"][1]["obstacle"], "keys-unavailable");
    let log = log(&net.lab);
    assert!(
        log.contains("event=key-looked-up") && log.contains("wkd: carol@down.test: the connection is refused"),
        "{log}"
    );
    assert!(log.contains(&key), "{log}");
    let explained =
        net.run(&["config", "explain", "-c", "postseal.toml", "--trusted", "alice@example.org", "bob@a.test"]);
    let explained = explained.code(0).text();
    assert!(explained.contains(&key) && explained.contains("source: domain"), "{explained}");
}

/// A dead domain does not hold up mail to others.
#[test]
fn a_domain_that_does_not_answer_does_not_delay_others() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let slow = format!("location / {{ proxy_pass http://{}; }}", silent.local_addr().expect("an address"));
    let Some(net) = Net::new(&[("openpgpkey.a.test", ""), ("openpgpkey.slow.test", &slow)], "") else { return };
    net.publish_new("bob@a.test");
    let served = serve(&net, &RULES, "");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| served.replies(&letter("carol@slow.test")));
        std::thread::sleep(Duration::from_millis(200));
        let start = Instant::now();
        for (transport, reply) in served.replies(&letter("bob@a.test")) {
            assert!(reply.starts_with("250"), "{transport}: {reply}");
        }
        assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
        for (transport, reply) in slow.join().expect("replies") {
            assert!(reply.starts_with("451"), "{transport}: {reply}");
        }
    });
    // One request: the failure is kept.
    assert_eq!(net.asked("slow.test"), 1);
}

/// 50 mails at once, each to a stranger with a key, beside 50 to domains that do not answer, and alone: `cargo test --test service beside -- --ignored --nocapture`.
#[test]
#[ignore = "prints times"]
fn mail_beside_dead_domains() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let slow = format!("location / {{ proxy_pass http://{}; }}", silent.local_addr().expect("an address"));
    let dead: Vec<String> = (0..10).map(|number| format!("openpgpkey.slow{number}.test")).collect();
    let mut hosts = vec![("openpgpkey.a.test", "")];
    hosts.extend(dead.iter().map(|host| (host.as_str(), slow.as_str())));
    let Some(net) = Net::new(&hosts, "") else { return };
    for number in 0..100 {
        net.publish_new(&format!("bob{number}@a.test"));
    }
    let served = serve(&net, &RULES, "");
    let one = |recipient: String| {
        let recipient: &'static str = recipient.leak();
        let start = Instant::now();
        let reply = crate::support::clients::dialogue(served.smtp(), "EHLO", &letter(recipient));
        (reply, start.elapsed())
    };
    let (one, served) = (&one, &served);
    let fifty = |from: usize| {
        std::thread::scope(|scope| {
            let all: Vec<_> =
                (from..from + 50).map(|number| scope.spawn(move || one(format!("bob{number}@a.test")))).collect();
            let mut times: Vec<Duration> = Vec::new();
            for done in all {
                let (reply, time) = done.join().expect("a reply");
                assert!(reply.starts_with("250"), "{reply}");
                times.push(time);
            }
            times.sort();
            (times[24], times[48], times[49])
        })
    };
    println!("alone: median, 98th and 100th percentile {:?}", fifty(0));
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (0..50).map(|number| scope.spawn(move || one(format!("carol{number}@slow{}.test", number % 10)))).collect();
        std::thread::sleep(Duration::from_millis(200));
        println!("beside: median, 98th and 100th percentile {:?}", fifty(50));
        let waited: Vec<Duration> = others.into_iter().map(|done| done.join().expect("a reply").1).collect();
        println!("the others: {:?} to {:?}", waited.iter().min(), waited.iter().max());
    });
    assert!(!served.delivered().is_empty());
}

/// The network is asked for the rules that say so, to encrypt.
#[test]
fn only_rules_that_say_so_ask_and_only_to_encrypt() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", ""), ("openpgpkey.b.test", "")], "") else { return };
    net.publish_new("bob@a.test");
    net.publish_new("bob@b.test");
    let rules = [
        RULES[0],
        ["found", "recipient = \"a.test\"\ndiscover = true\nmin-trust = \"dnssec\"", "encrypt"],
        ["here", "recipient = \"b.test\"", "encrypt"],
    ];
    let served = serve(&net, &rules, "");
    // The domain is not enough for the rule.
    for (transport, reply) in served.replies(&letter("bob@a.test")) {
        assert!(
            reply.starts_with("550") && reply.contains("is not trusted enough (source: domain)"),
            "{transport}: {reply}"
        );
    }
    for (transport, reply) in served.replies(&letter("bob@b.test")) {
        assert!(reply.starts_with("550"), "{transport}: {reply}");
    }
    assert_eq!(net.asked("a.test"), 1);
    // Mail that comes in asks nobody.
    let from_b = Letter {
        client: STRANGER,
        sender: "bob@b.test",
        recipient: "alice@example.org",
        message: "From: bob@b.test\r\nTo: alice@example.org\r\nSubject: x\r\n\r\nx\r\n",
    };
    served.replies(&from_b);
    assert_eq!(net.asked("b.test"), 0);
}

/// The Autocrypt key of authentic mail is kept for its author, where the configuration says so.
#[test]
fn a_key_that_comes_with_authentic_mail_is_kept() {
    let Some(net) = Net::new(&[("unused.test", "")], "") else { return };
    let bob = Lab::new();
    bob.run(&["key", "generate", "-f", "smime", "--no-passphrase", "bob@a.test"]).code(0);
    bob.run(&["key", "export", "-f", "smime", "-o", "bob.pem", "bob@a.test"]).code(0);
    let key = new_certificate("bob@a.test");
    bob.write("key", &key);
    bob.shell(
        "{ echo 'From: bob@a.test'; echo 'To: alice@example.org'; echo 'Subject: x'; echo 'Autocrypt: addr=bob@a.test; keydata='; base64 -w 70 key | sed 's/^/ /'; echo; echo hello; } > mail
         \"$0\" sign -f smime -o signed mail && sed -i 's/\\r*$/\\r/' mail signed",
    )
    .code(0);
    net.lab.write("bob.pem", bob.read("bob.pem"));
    net.lab.run(&["key", "import", "--anchor", "bob.pem"]).code(0);
    let rules = [RULES[0], ["found", "discover = true\nmin-trust = \"mail\"", "encrypt"]];
    let served = serve(&net, &rules, "methods = [\"mail\"]\nkeep-missing = 0");
    let [unsigned, signed] = ["mail", "signed"].map(|name| String::from_utf8(bob.read(name)).expect("text"));
    let from_bob = |message| Letter { client: STRANGER, sender: "bob@a.test", recipient: "alice@example.org", message };
    for (message, expected) in [(unsigned.as_str(), "550"), (signed.as_str(), "250")] {
        served.replies(&from_bob(message));
        served.delivered();
        for (transport, reply) in served.replies(&letter("bob@a.test")) {
            assert!(reply.starts_with(expected), "{transport}: {reply}\n{}", log(&net.lab));
        }
    }
    assert!(served.delivered().iter().all(|mail| mail.contains("BEGIN PGP MESSAGE")));
    assert!(log(&net.lab).contains(&fingerprint(&key)));
}
