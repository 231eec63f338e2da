//! Held messages: their files, and `postseal quarantine`.

use std::{fs, process::Command};

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        ports::free_port,
        postfix::{Sink, present, run_with},
    },
};

const RULES: &str = "[[rule]]\nname = \"held\"\naction = \"quarantine\"\ntext = \"said \\\"no\\\"\"\n";

/// A proxy that holds every message in its folder.
fn holding(upstream: u16) -> Proxy {
    let trusted = "trusted.networks = [\"127.0.0.0/8\"]\ntrusted.sign-as = [\"alice@example.org\"]";
    Proxy::by(upstream, "quarantine = \".\"", trusted, RULES)
}

/// Sends a message with dots, 8-bit content and trailing space. Returns its octets without the Received field.
fn send(proxy: &Proxy) -> Vec<u8> {
    let message = "From: alice@example.org\r\nSubject: held\r\n\r\n.dot \r\n..\r\nzw\u{f6}lf\u{1b}[2J\r\n";
    let mut client = Client::new(proxy);
    client.say("EHLO client.test\r\n");
    assert!(client.say("MAIL FROM:<alice@example.org> RET=HDRS\r\n").starts_with("250"));
    assert!(client.say("RCPT TO:<bob@example.net> NOTIFY=NEVER\r\n").starts_with("250"));
    assert!(client.say("RCPT TO:<dave@plain.test>\r\n").starts_with("250"));
    assert!(client.say("DATA\r\n").starts_with("354"));
    let stuffed = message.replace("\r\n.", "\r\n..");
    assert!(client.say(format!("{stuffed}.\r\n")).starts_with("250"));
    message.as_bytes().to_vec()
}

/// Exit code, standard output and standard error of `postseal quarantine VERB -c CONFIG ...`.
fn quarantine(proxy: &Proxy, arguments: &[&str]) -> (i32, Vec<u8>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    let (verb, rest) = arguments.split_first().expect("a verb");
    command.args(["quarantine", verb, "-c"]).arg(proxy.path("postseal.toml")).args(rest);
    let output = run_with(&mut command, b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("an exit code"), output.stdout, said)
}

fn ids(proxy: &Proxy) -> Vec<String> {
    let (code, list, said) = quarantine(proxy, &["list", "--json"]);
    assert_eq!(code, 0, "{said}");
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).expect("JSON");
    list.iter().map(|held| held["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_held_message_is_listed_shown_and_released_once() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = holding(sink.port());
    let sent = send(&proxy);
    let [id] = ids(&proxy).try_into().expect("one message");
    let file = fs::read(proxy.path(&format!("{id}.eml"))).expect("its octets");
    assert!(file.starts_with(b"Received: from client.test") && file.ends_with(&sent), "nothing else is added");
    assert!(!file.windows(6).any(|octets| octets == b"X-Held"));
    // A file that a killed process was writing is no message.
    fs::write(proxy.path(".held-abc"), "half").expect("a file");
    fs::write(proxy.path("20261130T000000Z-orphan00.json"), "{}").expect("a file");

    let (_, table, _) = quarantine(&proxy, &["list"]);
    let table = String::from_utf8(table).expect("text");
    let row = table.lines().nth(1).expect("a row");
    assert!(table.starts_with("ID  ") && table.lines().count() == 2, "{table}");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        [cells[0], cells[2], cells[3]],
        [&id, "<alice@example.org>", "bob@example.net,dave@plain.test"],
        "{row}"
    );
    assert!(row.ends_with("said \"no\""), "{row}");
    let (_, shown, _) = quarantine(&proxy, &["show", &id]);
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.contains("reason  said \"no\"\n") && shown.contains("\n.dot \n..\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "a control character reaches the terminal");
    assert_eq!(quarantine(&proxy, &["show", "--raw", &id]).1, file);

    // What the next server refuses stays.
    sink.answer("RCPT TO:<BOB@", "450 4.2.0 later");
    let (code, _, said) = quarantine(&proxy, &["release", &id]);
    assert!(code == 75 && said.contains("450 4.2.0 later"), "{code} {said}");
    assert_eq!(ids(&proxy), [id.as_str()]);
    sink.answer("RCPT TO:<BOB@", "250 as before");
    let (code, told, said) = quarantine(&proxy, &["release", &id]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!(String::from_utf8(told).expect("text"), format!("{id}: sent to bob@example.net,dave@plain.test\n"));
    let received = &sink.wait_for(1)[0];
    assert_eq!(received.message, file, "octet for octet");
    assert_eq!(received.addresses(), ["bob@example.net", "dave@plain.test"]);
    assert!(received.sender.starts_with("<alice@example.org>"), "{}", received.sender);
    assert!(ids(&proxy).is_empty() && !proxy.path(&format!("{id}.json")).exists());
    let (code, _, said) = quarantine(&proxy, &["release", &id]);
    assert!(code == 66 && said.contains("no such message"), "{code} {said}");
    assert_eq!(sink.received().len(), 1);
}

#[test]
fn held_messages_are_deleted_and_expire() {
    if !present(&["openssl"]) {
        return;
    }
    let proxy = holding(free_port());
    (0..3).for_each(|_| drop(send(&proxy)));
    let all = ids(&proxy);
    assert_eq!(all.len(), 3);
    assert_eq!(quarantine(&proxy, &["delete", &all[0]]).0, 0);
    assert_eq!(ids(&proxy), all[1..]);
    for (arguments, code) in [
        (["delete", &all[0]], 66),
        (["show", "../postseal"], 66),
        (["release", ""], 66),
        (["expire", "--older-than=soon"], 64),
    ] {
        assert_eq!(quarantine(&proxy, &arguments).0, code, "{arguments:?}");
    }
    assert_eq!(quarantine(&proxy, &["expire", "--older-than", "1d"]), (0, Vec::new(), String::new()));
    assert_eq!(ids(&proxy).len(), 2);
    fs::write(proxy.path(".held-abc"), "half").expect("a file");
    let (code, told, said) = quarantine(&proxy, &["expire", "--older-than", "30d", "--at", "2100-01-01T00:00:00Z"]);
    assert_eq!((code, told.split(|octet| *octet == b'\n').count(), said.as_str()), (0, 3, ""));
    assert!(ids(&proxy).is_empty() && !proxy.path(".held-abc").exists());
}

/// A notice says who wrote to whom and why the message is held, and has nothing of the message.
#[test]
fn a_notice_announces_a_held_message() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let template = tempfile::NamedTempFile::new().expect("a file");
    fs::write(template.path(), "Subject: held: {from}\n\n{id} for {to}: {reason}\n").expect("a file");
    let more = format!(
        "quarantine = \".\"\nnotice = {{ template = \"{}\", to = \"admin@example.org\" }}",
        template.path().display()
    );
    let trusted = "trusted.networks = [\"127.0.0.0/8\"]";
    let proxy = Proxy::by(sink.port(), &more, trusted, RULES);
    send(&proxy);
    let [id] = ids(&proxy).try_into().expect("one message");
    let notice = &sink.wait_for(1)[0];
    assert_eq!((notice.addresses(), notice.sender.split(' ').next()), (vec!["admin@example.org"], Some("<>")));
    let text = notice.text();
    assert!(text.starts_with("Auto-Submitted: auto-generated\r\nFrom: postmaster@proxy.postseal.test\r\n"), "{text}");
    assert!(text.contains("\r\nSubject: held: <alice@example.org>\r\n"), "{text}");
    let body = format!("\r\n\r\n{id} for bob@example.net, dave@plain.test: said \"no\"\r\n");
    assert!(text.contains(&body) && !text.contains("dot"), "{text}");
    // The next server refuses the notice: the message is held all the same.
    sink.answer("RCPT TO:<ADMIN@", "550 5.1.1 unknown");
    send(&proxy);
    assert_eq!(ids(&proxy).len(), 2);
    assert!(proxy.log().contains("event=notice-not-sent"), "{}", proxy.log());
}
