//! From log-only to enforced, in one service: nothing is refused, the log says what would be, `config diff` sums it up, and rates outlive the reload.

use std::{fmt::Write as _, fs, process::Command, time::Instant};

use serde_json::Value;

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::postfix::{Sink, present, run_with},
};

const TO: [&str; 4] = ["bob@example.net", "eve@refused.test", "eve@later.test", "dave@plain.test"];

/// The replies to MAIL, and to the message if MAIL is taken.
fn send(proxy: &Proxy, port: u16, to: &[&str]) -> String {
    let mut client = Client::on(proxy.connect(port));
    client.say(if port == proxy.lmtp() { "LHLO client.test\r\n" } else { "EHLO client.test\r\n" });
    let mail = client.say("MAIL FROM:<alice@example.org>\r\n");
    if !mail.starts_with("250") {
        return mail;
    }
    for one in to {
        assert!(client.say(format!("RCPT TO:<{one}>\r\n")).starts_with("250"));
    }
    assert!(client.say("DATA\r\n").starts_with("354"));
    client.say("From: alice@example.org\r\nSubject: a secret subject\r\n\r\nthe plan\r\n.\r\n")
}

fn diff(proxy: &Proxy, new: &str, log: &str) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    let files = ["postseal.toml", new, log].map(|name| proxy.path(name));
    let output = run_with(command.args(["config", "diff", "--json"]).args(files), b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().expect("a code"), json)
}

const LOG_ONLY: &str = "mode = \"log-only\"";

#[test]
fn the_way_from_log_only_to_enforced() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::furnished(sink.port(), LOG_ONLY, |_| {
        "[[rate-limit]]\nname = \"each address\"\nper = \"address\"\nmessages = 3\nseconds = 86400\nexempt-trusted = false\n"
            .to_owned()
    });
    for to in TO {
        let reply = send(&proxy, proxy.port(), &[to]);
        assert!(reply.starts_with("250 2.0.0 taken"), "{to}: {reply}");
    }
    assert!(send(&proxy, proxy.lmtp(), &TO[..1]).starts_with("250"));
    assert!(proxy.sendmail(&["-i", TO[1]], "Subject: x\n\nthe plan\n").status.success());
    let letter = "From: alice@example.org\nSubject: x\n\nthe plan\n";
    let mut filter = Command::new(env!("CARGO_BIN_EXE_postseal"));
    filter.arg("filter").arg("--config").arg(proxy.path("postseal.toml"));
    let filtered =
        run_with(filter.args(["--trusted", "-f", "alice@example.org", "--", TO[1], TO[0]]), letter.as_bytes());
    assert_eq!(String::from_utf8_lossy(&filtered.stdout), letter, "{}", String::from_utf8_lossy(&filtered.stderr));
    let received = sink.wait_for(6);
    for one in &received {
        assert!(one.text().contains("\r\n\r\nthe plan\r\n"), "{}", one.text());
        assert!(!one.text().contains("Authentication-Results"), "{}", one.text());
    }
    let log = proxy.log();
    let of = |event: &str, words: &str| {
        log.lines().filter(|line| line.contains(&format!("event={event} ")) && line.contains(words)).count()
    };
    assert_eq!(
        of("log-only", " rule=sealed action=sign-and-encrypt:pgp disposition=relay instead=log-only"),
        2,
        "{log}"
    );
    assert_eq!(of("log-only", " rule=never disposition=reject reason=\"not to them\" instead=log-only"), 1, "{log}");
    assert_eq!(of("mail", " rule=log-only "), 5, "{log}");
    // Every message beyond the third is named, and none refused.
    assert_eq!(of("rate-limited", " sender=alice@example.org mode=log-only"), 2, "{log}");
    assert!(!log.contains("the plan") && !log.contains("a secret subject"), "{log}");
    assert!(!proxy.path("home/capabilities").exists());

    // What changes when it is enforced.
    let old = fs::read_to_string(proxy.path("postseal.toml")).expect("a file");
    fs::write(proxy.path("enforce.toml"), old.replace(LOG_ONLY, "")).expect("a file");
    let (code, said) = diff(&proxy, "enforce.toml", "log");
    assert_eq!((code, &said["mails"], &said["recipients"]), (1, &5.into(), &5.into()), "{said}");
    assert_eq!((&said["unread_lines"], &said["not_of_old"]), (&0.into(), &0.into()), "{said}");
    let changed: Vec<(&str, &str, i64)> = said["changed"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| {
            assert_eq!(one["before"]["rule"], "log-only");
            let text = |value: &'_ Value| value.as_str().expect("text").to_owned().leak() as &str;
            (text(&one["after"]["rule"]), text(&one["after"]["outcome"]), one["recipients"].as_i64().expect("a number"))
        })
        .collect();
    assert_eq!(changed, [("never", "reject", 1), ("not now", "tempfail", 1), ("sealed", "relay", 2)]);
    assert_eq!(said["same_by_another_rule"][0]["after"], "in clear", "{said}");
    let (code, said) = diff(&proxy, "postseal.toml", "log");
    assert_eq!((code, said["changed"].as_array().map(Vec::len)), (0, Some(0)), "{said}");

    // The reload keeps what was sent.
    fs::write(proxy.path("postseal.toml"), old.replace(LOG_ONLY, "")).expect("a file");
    proxy.reload("event=configuration-loaded");
    let reply = send(&proxy, proxy.port(), &TO[..1]);
    assert_eq!(reply.trim_end(), "450 4.7.1 Error: too much mail from <alice@example.org>");
    fs::write(proxy.path("postseal.toml"), old.replace(LOG_ONLY, "").replace("messages = 3", "messages = 300"))
        .expect("a file");
    proxy.reload("event=configuration-loaded");
    assert!(send(&proxy, proxy.port(), &TO[1..2]).starts_with("550 5.7.1"));
    let page = sink.received().len();
    assert_eq!(page, 6, "nothing more went on");
}

/// Issue 24: a day of 100,000 decisions in less than 10 seconds.
#[test]
#[ignore = "writes a log of 100,000 mails"]
fn a_day_of_decisions_is_compared_in_seconds() {
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    for to in TO {
        send(&proxy, proxy.port(), &[to]);
    }
    let log = proxy.log();
    let lines: Vec<&str> = log.lines().collect();
    let mut day = String::new();
    for number in 0..25_000 {
        for line in &lines {
            // Ids of 12 characters.
            let line = line.replace("bob@", &format!("bob{}@", number % 1_000));
            let (start, mail) = line
                .rsplit_once(" mail=")
                .map_or((line.as_str(), String::new()), |(start, mail)| (start, format!(" mail={number:06}{mail}")));
            let _ = writeln!(day, "{start}{mail}");
        }
    }
    fs::write(proxy.path("day"), &day).expect("a file");
    let old = fs::read_to_string(proxy.path("postseal.toml")).expect("a file");
    fs::write(proxy.path("new.toml"), old.replace("not to them", "go away")).expect("a file");
    let start = Instant::now();
    let (code, said) = diff(&proxy, "new.toml", "day");
    let took = start.elapsed();
    println!("{} octets, {} mails: {took:?}", day.len(), said["mails"]);
    assert_eq!((code, &said["recipients"], &said["changed"][0]["recipients"]), (1, &100_000.into(), &25_000.into()));
    assert!(took.as_secs() < 10, "{took:?}");
}
