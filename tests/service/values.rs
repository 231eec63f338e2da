//! How much the processes of `serve` say to each other: the largest message passes, and what is too long is an answer.

use std::fmt::Write;

use crate::{
    proxy::Proxy,
    support::{
        clients::{Letter, dialogue},
        postfix::{Sink, present},
    },
};

/// A message of so many octets, as a client sends it.
fn message(octets: usize) -> String {
    let mut message = "From: alice@example.org\r\nTo: dave@plain.test\r\nSubject: x\r\n\r\n".to_owned();
    let line = format!("{}\r\n", "x".repeat(74));
    while message.len() + 2 * line.len() <= octets {
        message += &line;
    }
    let rest = octets - message.len() - 2;
    message + &"y".repeat(rest) + "\r\n"
}

fn send(proxy: &Proxy, recipient: &str, message: &str) -> String {
    dialogue(proxy.port(), "EHLO", &Letter { client: "127.0.0.1", sender: "alice@example.org", recipient, message })
}

/// In clear, encrypted in each protocol, and to one who is hidden: as many copies as there are kinds.
fn largest(limit: &str, octets: usize) {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), &format!("limits.message = \"{limit}\""));
    let to = "dave@plain.test,bob@example.net,carol@example.com";
    // Room for the Received field: rules count it too.
    let longest = octets - 512;
    let said = send(&proxy, to, &message(longest));
    assert!(said.starts_with("250"), "{said}\n{}", proxy.log());
    let received = sink.received();
    assert_eq!(received.len(), 3, "{}", proxy.log());
    assert!(received.iter().all(|one| one.text().len() > longest), "a copy is no shorter");
    let said = send(&proxy, to, &message(octets + 1));
    assert!(said.starts_with("552"), "{said}");
    assert!(!proxy.log().contains("ended"), "{}", proxy.log());
}

#[test]
fn the_largest_message_passes_through_all_processes() {
    largest("3M", 3 << 20);
}

#[test]
#[ignore = "a minute in a debug build: 64 MiB, the default, to three recipients"]
fn the_largest_message_of_the_default_passes() {
    largest("64M", 64 << 20);
}

/// More copies than one message may have. Trying again would not make them fewer, and no process ends.
#[test]
fn what_is_made_of_a_message_and_is_too_long_is_refused_for_good() {
    if !present(&["openssl"]) {
        return;
    }
    let (mut rules, mut to) = (String::new(), Vec::new());
    for number in 0..40 {
        writeln!(
            rules,
            "[[rule]]\nname = \"r{number}\"\nrecipient = \"r{number}.test\"\naction = \"clear\"\nadd-headers = {{ X-Of = \"{number}\" }}"
        )
        .unwrap();
        to.push(format!("dave@r{number}.test"));
    }
    let sink = Sink::start();
    let trusted = "trusted.networks = [\"127.0.0.0/8\"]\ntrusted.sign-as = [\"alice@example.org\"]";
    let proxy = Proxy::by(sink.port(), "limits.message = \"1M\"", trusted, &rules);
    // Of a megabyte 32 MiB.
    let said = send(&proxy, &to.join(","), &message(1 << 20));
    assert_eq!(said, "554 5.6.0 Error: message exceeds a processing limit\r\n", "{}", proxy.log());
    assert!(proxy.log().contains("send it to fewer at a time") || proxy.log().contains("more than 33554432 octets"));
    let said = send(&proxy, &to[..30].join(","), &message(1 << 20));
    assert!(said.starts_with("250"), "{said}\n{}", proxy.log());
    assert_eq!(sink.received().len(), 30);
    assert!(!proxy.log().contains("ended"), "{}", proxy.log());
}
