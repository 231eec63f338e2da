//! The log of many mails at once names each of them whole, and `postseal log` puts its lines together.

use std::{
    fmt::Write as _,
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Output},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::postfix::{Sink, present, run_with},
};

/// What is sent, and what its history says.
struct Case {
    to: &'static [&'static str],
    /// The events after `received`, each with pairs of a field and what its value holds.
    expected: &'static [(&'static str, &'static [(&'static str, &'static str)])],
}

const CASES: &[Case] = &[
    Case {
        to: &["bob@example.net"],
        expected: &[
            (
                "mail",
                &[
                    ("to", "<bob@example.net>"),
                    ("rule", "sealed"),
                    ("action", "sign-and-encrypt:pgp"),
                    ("disposition", "relay"),
                ],
            ),
            (
                "relayed",
                &[
                    ("to", "<bob@example.net>"),
                    ("server", "127.0.0.1"),
                    ("queued_as", "K"),
                    ("reply", "250 2.0.0 taken: queued as K"),
                ],
            ),
        ],
    },
    Case {
        to: &["dave@plain.test"],
        expected: &[
            ("mail", &[("rule", "in clear"), ("action", "clear"), ("direction", "outbound")]),
            ("relayed", &[("to", "<dave@plain.test>"), ("queued_as", "K")]),
        ],
    },
    Case {
        to: &["eve@refused.test"],
        expected: &[
            ("mail", &[("rule", "never"), ("disposition", "reject"), ("reason", "not to them")]),
            ("refused", &[("to", "<eve@refused.test>"), ("by", "rule"), ("reply", "550 5.7.1")]),
        ],
    },
    Case {
        to: &["eve@later.test"],
        expected: &[
            ("mail", &[("rule", "not now"), ("disposition", "tempfail")]),
            ("deferred", &[("to", "<eve@later.test>"), ("by", "rule"), ("reply", "451 4.7.1")]),
        ],
    },
    Case {
        to: &["full@plain.test"],
        expected: &[
            ("mail", &[("disposition", "relay")]),
            ("deferred", &[("by", "next-hop"), ("reply", "452 4.2.2 mailbox full")]),
        ],
    },
    Case {
        to: &["nobody@plain.test"],
        expected: &[
            ("mail", &[("disposition", "relay")]),
            ("refused", &[("by", "next-hop"), ("reply", "550 5.1.1 nobody there")]),
        ],
    },
    Case {
        to: &["carol@example.com", "dave@plain.test"],
        expected: &[
            ("mail", &[("to", "<carol@example.com>"), ("action", "sign-and-encrypt:smime")]),
            ("mail", &[("to", "<dave@plain.test>"), ("action", "clear")]),
            ("relayed", &[("to", "<carol@example.com>")]),
            ("relayed", &[("to", "<dave@plain.test>")]),
        ],
    },
];

#[test]
fn the_log_names_each_mail_and_the_verb_finds_it() {
    if !present(&["openssl"]) {
        return;
    }
    for form in ["text", "json"] {
        let sink = Sink::start();
        sink.answer("RCPT TO:<FULL@", "452 4.2.2 mailbox full");
        sink.answer("RCPT TO:<NOBODY@", "550 5.1.1 nobody there");
        let proxy = Proxy::start(sink.port(), &format!("log.form = \"{form}\""));
        // Three clients at a time, so that the lines of mails are mixed; each sends all mails over one connection.
        thread::scope(|scope| {
            for client in 0..3 {
                let (proxy, is_lmtp) = (&proxy, client == 2);
                scope.spawn(move || send_all(proxy, client, is_lmtp));
            }
        });
        let log = proxy.log();
        assert!(!log.contains("the plan") && !log.contains("a secret subject"), "{log}");
        assert!(!log.contains("Some(") && !log.contains("None"), "{log}");
        let file = proxy.path("service.log");
        fs::write(&file, with_garbage(&log)).expect("a file");
        for client in 0..3 {
            for (number, case) in CASES.iter().enumerate() {
                let message_id = format!("<{client}.{number}@example.org>");
                check(&proxy, &message_id, case, client == 2);
            }
        }
        // By the id in the Received field, by the sender, and by nothing that is there.
        let received = sink.received();
        let text = received[0].text();
        let id = text.split(" id ").nth(1).and_then(|rest| rest.split(';').next()).expect("an id");
        assert_eq!(found(&log_verb(&proxy, &["--json", id])).len(), 1, "{id}");
        assert_eq!(found(&log_verb(&proxy, &["--json", "ALICE@example.org"])).len(), 3 * CASES.len());
        let none = log_verb(&proxy, &["--json", "zoe@example.org"]);
        assert!(none.status.code() == Some(1) && none.stdout.is_empty());
        assert!(String::from_utf8_lossy(&none.stderr).contains("zoe@example.org: not found"));
        // As text, from standard input, as journalctl prints it.
        let journal: String =
            log.lines().fold(String::new(), |text, line| text + "Nov 29 21:00:00 mx postseal[7]: " + line + "\n");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        let output = run_with(command.args(["log", "<0.0@example.org>"]), journal.as_bytes());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("├─ received  client 127.0.0.1  helo client.test"), "{text}");
        assert!(text.contains("├─ mail  to <bob@example.net>  direction outbound  rule sealed"), "{text}");
        assert!(text.contains("├─ relayed  to <bob@example.net>  queued as K"), "{text}");
        assert!(text.contains("└─ milliseconds: receive "), "{text}");
    }
}

/// Programs that run for one message write to the system log, and nothing to standard error.
#[test]
fn sendmail_and_filter_write_to_the_system_log() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "log.syslog = \"syslog\"");
    let syslog = UnixDatagram::bind(proxy.path("syslog")).expect("a socket");
    syslog.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let logged = |count: usize| {
        let datagrams = (0..count).map(|_| {
            let mut datagram = vec![0; 16 * 1024];
            let length = syslog.recv(&mut datagram).expect("a line");
            String::from_utf8_lossy(&datagram[..length]).into_owned()
        });
        datagrams.collect::<Vec<_>>()
    };
    let letter = "Message-ID: <1@example.org>\nSubject: a secret subject\n\nthe plan\n";
    assert!(proxy.sendmail(&["-i", "dave@plain.test"], letter).status.success());
    let sent = logged(4);
    let refused = proxy.sendmail(&["-i", "eve@refused.test"], letter);
    assert_eq!(refused.status.code(), Some(77));
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("event="));
    let refusal = logged(4);
    let mut filter = Command::new(env!("CARGO_BIN_EXE_postseal"));
    filter.arg("filter").arg("--config").arg(proxy.path("postseal.toml")).args([
        "--trusted",
        "-f",
        "alice@example.org",
    ]);
    let filtered = run_with(filter.args(["--", "dave@plain.test"]), letter.as_bytes());
    assert!(filtered.status.success() && filtered.stderr.is_empty());
    let filtering = logged(4);
    for (lines, last, listener) in
        [(&sent, "relayed", "sendmail"), (&refusal, "refused", "sendmail"), (&filtering, "relayed", "filter")]
    {
        for (line, event) in lines.iter().zip(["received", "decided", "mail", last]) {
            assert!(line.starts_with("<22>postseal["), "{line}");
            assert!(line.contains(&format!("]: level=info event={event} ")), "{line}");
            assert!(line.contains(&format!(" listener={listener} mail=")), "{line}");
            assert!(!line.contains("the plan") && !line.contains("secret") && !line.ends_with('\n'), "{line}");
        }
    }
    // The system log writes a time and a host before them.
    let log: String = [sent, refusal, filtering]
        .concat()
        .iter()
        .fold(String::new(), |text, line| text + "Nov 29 21:00:00 mx " + line.trim_start_matches("<22>") + "\n");
    fs::write(proxy.path("service.log"), log).expect("a file");
    assert_eq!(found(&log_verb(&proxy, &["--json", "dave@plain.test"])).len(), 2);
    assert_eq!(found(&log_verb(&proxy, &["--json", "<1@example.org>"])).len(), 3);
}

fn send_all(proxy: &Proxy, client: usize, is_lmtp: bool) {
    let (port, hello) = if is_lmtp { (proxy.lmtp(), "LHLO") } else { (proxy.port(), "EHLO") };
    let mut connection = Client::on(proxy.connect(port));
    connection.say(format!("{hello} client.test\r\n"));
    for (number, case) in CASES.iter().enumerate() {
        assert!(connection.say("MAIL FROM:<alice@example.org>\r\n").starts_with("250"));
        for to in case.to {
            assert!(connection.say(format!("RCPT TO:<{to}>\r\n")).starts_with("250"));
        }
        assert!(connection.say("DATA\r\n").starts_with("354"));
        connection.say(format!(
            "From: alice@example.org\r\nSubject: a secret subject\r\nMessage-ID: <{client}.{number}@example.org>\r\n\r\n\
             the plan\r\n.\r\n"
        ));
        let replies = if is_lmtp { case.to.len() } else { 1 };
        (1..replies).for_each(|_| drop(connection.hear()));
    }
}

/// Lines of other programs and torn lines among those of the service.
fn with_garbage(log: &str) -> String {
    let garbage =
        ["kernel: out of cheese", "{\"event\":", "level=info event=\"mail", "\u{1b}[2J", "", "time=x = =", "{}"];
    let mut text = String::new();
    for (line, noise) in log.lines().zip(garbage.iter().cycle()) {
        let _ = write!(text, "{line}\n{noise}\n");
    }
    text
}

fn check(proxy: &Proxy, message_id: &str, case: &Case, is_lmtp: bool) {
    let histories = found(&log_verb(proxy, &["--json", message_id]));
    assert_eq!(histories.len(), 1, "{message_id}");
    let lines = histories[0]["lines"].as_array().expect("lines");
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("connected").len(), 1, "{lines:?}");
    let received = of("received")[0];
    for (field, value) in
        [("client", "127.0.0.1"), ("helo", "client.test"), ("from", "<alice@example.org>"), ("tls", "false")]
    {
        assert_eq!(received[field], value, "{received}");
    }
    assert_eq!(received["message_id"], message_id);
    assert_eq!(received["listener"], if is_lmtp { "lmtp" } else { "submission" });
    let mut rest: Vec<&Value> = lines.iter().collect();
    for (event, fields) in case.expected {
        let holds = |line: &&Value| {
            let has = |(field, value): &(&str, &str)| line[*field].as_str().is_some_and(|own| own.contains(value));
            line["event"] == *event && fields.iter().all(has)
        };
        let at =
            rest.iter().position(holds).unwrap_or_else(|| panic!("{message_id}: no {event} {fields:?}: {lines:?}"));
        let line = rest.remove(at);
        if line["action"].as_str().is_some_and(|action| action.starts_with("sign-and-encrypt")) {
            let keys = ["signed_with", "encrypted_with"].map(|field| line[field].as_str().unwrap_or_default().len());
            assert!(keys.iter().all(|length| *length >= 40), "{line}");
        }
    }
    // Nothing of another mail, and no more lines than an operator reads.
    let mail = received["mail"].as_str().expect("an id");
    assert!(lines.iter().all(|line| line["event"] == "connected" || line["mail"] == mail), "{lines:?}");
    assert_eq!(of("decided").len(), of("mail").len(), "{lines:?}");
    assert_eq!(lines.len(), 2 + case.expected.len() + of("decided").len(), "{lines:?}");
}

fn log_verb(proxy: &Proxy, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    run_with(command.arg("log").args(arguments).arg(proxy.path("service.log")), b"")
}

fn found(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
