//! What a hostile or clumsy client can say.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
};

use crate::{
    proxy::Proxy,
    support::{
        ports::free_port,
        postfix::{Sink, present},
    },
};

/// A client that says exactly what it is told to say.
pub(crate) struct Client {
    from: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(proxy: &Proxy) -> Client {
        Client::on(proxy.connect(proxy.port()))
    }

    pub(crate) fn on(stream: TcpStream) -> Client {
        let mut client = Client { from: BufReader::new(stream) };
        client.hear();
        client
    }

    pub(crate) fn say(&mut self, octets: impl AsRef<[u8]>) -> String {
        self.write(octets);
        self.hear()
    }

    pub(crate) fn write(&mut self, octets: impl AsRef<[u8]>) {
        let _ = self.from.get_mut().write_all(octets.as_ref());
    }

    /// The last line of the next reply; empty when there is none any more.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line).unwrap_or_default() == 0 {
                return String::new();
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// Up to the go-ahead.
    pub(crate) fn begin(&mut self, to: &str) {
        for line in ["EHLO client.test", "MAIL FROM:<alice@example.org>", &format!("RCPT TO:<{to}>")] {
            let reply = self.say(format!("{line}\r\n"));
            assert!(reply.starts_with("250"), "{line}: {reply}");
        }
        assert!(self.say("DATA\r\n").starts_with("354"));
    }
}

/// Every mix of line ends around a dot, with a second message behind it: the sink never has more than the one that was sent.
#[test]
fn nothing_is_smuggled() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let ends = ["\r\n", "\n", "\r", "\r\r\n", "\n\r", ""];
    let mut honest = 0;
    for before in ends {
        for after in ends {
            for dot in [".", "..", "\0."] {
                let mut client = Client::new(&proxy);
                client.begin("dave@plain.test");
                let smuggled = "MAIL FROM:<mallory@example.org>\r\nRCPT TO:<dave@plain.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";
                let reply = client.say(format!("Subject: honest\r\n\r\nbody{before}{dot}{after}{smuggled}\r\n.\r\n"));
                let name = format!("{before:?} {dot:?} {after:?}");
                if (before, dot, after) == ("\r\n", ".", "\r\n") {
                    // That is the end of the data, and two messages it is.
                    assert!(reply.starts_with("250"), "{name}: {reply}");
                    continue;
                }
                match reply.get(..3) {
                    Some("250") => honest += 1,
                    Some("550") => assert!(reply.contains("bare <CR> or <LF>"), "{name}: {reply}"),
                    _ => panic!("{name}: {reply}"),
                }
                // Nobody talks with us any more, or waits for the next message.
                let next = client.say("NOOP\r\n");
                assert!(next.is_empty() || next.starts_with("250"), "{name}: {next}");
            }
        }
    }
    // What is told apart by CRLF alone arrived as one message each.
    let arrived = sink.received();
    let smuggled = arrived.iter().filter(|received| received.text().starts_with("Subject: smuggled")).count();
    let own = arrived.iter().filter(|received| received.text().contains("Subject: honest")).count();
    assert_eq!(own, honest + 1);
    assert_eq!(arrived.len(), own + 1, "{smuggled} smuggled");
    assert!(honest > 0);
}

#[test]
fn everything_has_a_limit() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "limits = { message = 200000, recipients = 100 }");
    let mut client = Client::new(&proxy);
    assert!(client.say(format!("NOOP {}\r\n", "x".repeat(100_000))).starts_with("500 5.5.2 Error: line too long"));
    assert!(client.say("NOOP\r\n").starts_with("250"), "and goes on");
    assert!(client.say("EHLO client.test\r\n").starts_with("250"));
    assert!(client.say("MAIL FROM:<alice@example.org> SIZE=200001\r\n").starts_with("552 5.3.4"));
    client.begin("dave@plain.test");
    let line = format!("{}\r\n", "x".repeat(98));
    assert!(client.say(format!("Subject: large\r\n\r\n{}.\r\n", line.repeat(3_000))).starts_with("552 5.3.4"));
    client.begin("dave@plain.test");
    assert!(client.say("Subject: small\r\n\r\nx\r\n.\r\n").starts_with("250 2.0.0"));
    // BDAT, and BDAT that is too much: the octets are read, and the dialogue goes on.
    client.say("MAIL FROM:<alice@example.org>\r\n");
    client.say("RCPT TO:<dave@plain.test>\r\n");
    assert!(client.say("BDAT 20\r\nSubject: chunked\r\n\r\n").starts_with("250 2.0.0 Ok: 20 bytes"));
    assert!(client.say("BDAT 3 LAST\r\ny\r\n").starts_with("250 2.0.0"));
    client.say("MAIL FROM:<alice@example.org>\r\n");
    client.say("RCPT TO:<dave@plain.test>\r\n");
    assert!(client.say(format!("BDAT 300000 LAST\r\n{}", line.repeat(3_000))).starts_with("552 5.3.4"));
    assert!(client.say("NOOP\r\n").starts_with("250"), "and goes on");
    // 100,000 recipients.
    client.say("MAIL FROM:<alice@example.org>\r\n");
    for thousand in 0..100 {
        let lines: String = (0..1_000).map(|number| format!("RCPT TO:<r{thousand}.{number}@plain.test>\r\n")).collect();
        let mut writing = client.from.get_ref().try_clone().expect("a second handle");
        let writing = thread::spawn(move || writing.write_all(lines.as_bytes()));
        for number in 0..1_000 {
            let reply = client.hear();
            let expected = if thousand == 0 && number < 100 { "250" } else { "452 4.5.3" };
            assert!(reply.starts_with(expected), "{thousand} {number}: {reply}");
        }
        writing.join().expect("written").expect("written");
    }
    assert!(client.say("QUIT\r\n").starts_with("221"));
    let arrived = sink.received();
    assert_eq!(arrived.len(), 2);
    assert!(arrived[1].text().ends_with("Subject: chunked\r\n\r\ny\r\n"), "{}", arrived[1].text());
    let mut client = Client::new(&proxy);
    for number in 0..=20 {
        assert!(client.say("WHAT\r\n").starts_with("500"), "{number}");
    }
    assert!(client.hear().starts_with("421 4.7.0"));
}

/// A thousand who say nothing, and some who say very little, are in nobody's way.
#[test]
fn the_idle_and_the_slow_are_held() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "limits = { connections = 2000 }");
    let before = proxy.memory();
    let idle: Vec<Client> = (0..1_000).map(|_| Client::new(&proxy)).collect();
    let mut slow: Vec<Client> = (0..20).map(|_| Client::new(&proxy)).collect();
    for client in &mut slow {
        client.begin("dave@plain.test");
        client.from.get_mut().write_all(b"S").expect("one octet");
    }
    let grown = proxy.memory().saturating_sub(before);
    println!("1,000 idle connections: {grown} KiB");
    assert!(grown < 64 * 1024, "{grown} KiB for 1,020 connections");
    for _ in 0..20 {
        let mut client = Client::new(&proxy);
        client.begin("dave@plain.test");
        assert!(client.say("Subject: hello\r\n\r\nx\r\n.\r\n").starts_with("250 2.0.0"));
    }
    assert_eq!(sink.received().len(), 20);
    drop(idle);
    for mut client in slow {
        assert!(client.say("ubject: slow\r\n\r\nx\r\n.\r\n").starts_with("250 2.0.0"));
    }
    assert_eq!(sink.received().len(), 40);
}

/// The upstream's word counts, and a copy that it refuses after another was taken is said to be one.
#[test]
fn the_upstream_has_the_last_word() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let send = |recipients: &[&str]| {
        let mut client = Client::new(&proxy);
        client.say("EHLO client.test\r\n");
        client.say("MAIL FROM:<alice@example.org>\r\n");
        for to in recipients {
            client.say(format!("RCPT TO:<{to}>\r\n"));
        }
        client.say("DATA\r\n");
        client.say("From: alice@example.org\r\nSubject: hello\r\n\r\nx\r\n.\r\n")
    };
    sink.answer("RCPT TO:<NOBODY@", "550 5.1.1 no such person");
    let reply = send(&["nobody@plain.test", "dave@plain.test"]);
    assert_eq!(reply, "550 5.1.1 no such person (in reply to RCPT TO:<nobody@plain.test>)\r\n");
    assert_eq!(sink.received().len(), 0);
    // Copies of their own, and yet nobody gets one.
    let reply = send(&["bob@example.net", "nobody@plain.test"]);
    assert_eq!(reply, "550 5.1.1 no such person (in reply to RCPT TO:<nobody@plain.test>)\r\n");
    assert_eq!(sink.received().len(), 0);
    assert!(send(&["bob@example.net", "dave@plain.test"]).starts_with("250 2.0.0"));
    assert_eq!(sink.received().len(), 2);
    // Who logged in has one connection, and copies go one after the other there.
    let logged_in = |sender: &str| {
        let mut client = Client::on(proxy.connect(proxy.tls()));
        client.say("EHLO client.test\r\n");
        assert!(client.say("AUTH PLAIN AGEAYg==\r\n").starts_with("235 2.7.0"));
        for line in [
            sender,
            "RCPT TO:<bob@example.net>",
            "RCPT TO:<nobody@plain.test> NOTIFY=FAILURE ORCPT=rfc822;no+2Bone@plain.test",
            "DATA",
        ] {
            assert!(client.say(format!("{line}\r\n")).starts_with(['2', '3']), "{line}");
        }
        client.say("From: alice@example.org\r\nSubject: hello\r\n\r\nx\r\n.\r\n")
    };
    // The sender is told of the other one; where that cannot be done, the client keeps the message.
    sink.answer("MAIL FROM:<>", "550 5.7.1 no reports here");
    let reply = logged_in("MAIL FROM:<alice@example.org>");
    assert!(reply.starts_with("451 4.3.0 partly-sent: 1 of the recipients have it; then: 550 5.1.1"), "{reply}");
    assert!(proxy.log().contains("partly-sent") && proxy.log().contains("bounce-not-sent"));
    assert_eq!(sink.received().len(), 3);
    sink.answer("MAIL FROM:<>", "250 as before");
    let reply = logged_in("MAIL FROM:<alice@example.org> ENVID=a+2Db RET=FULL");
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let arrived = sink.received();
    assert_eq!(arrived.len(), 5);
    let report = arrived.iter().map(|one| one.text()).find(|text| text.contains("multipart/report")).expect("a report");
    for line in [
        "Auto-Submitted: auto-replied",
        "Original-Envelope-Id: a-b",
        "Original-Recipient: rfc822; no+one@plain.test",
        "Final-Recipient: rfc822; nobody@plain.test",
        "Status: 5.1.1",
    ] {
        assert!(report.lines().any(|one| one == line), "{line}: {report}");
    }
    assert!(!report.contains("bob@example.net") && !report.contains("\r\nx\r\n"), "{report}");
    sink.answer(".", "452 4.3.1 full");
    assert_eq!(send(&["dave@plain.test"]), "452 4.3.1 full (in reply to the message)\r\n");
    sink.answer(".", "250 as before");
    // An upstream without extensions takes what anybody takes, and is spared the rest.
    sink.hang_up();
    sink.resume();
    sink.answer("EHLO", "502 5.5.1 an old server");
    assert!(send(&["dave@plain.test"]).starts_with("250 2.0.0"));
    let mut client = Client::new(&proxy);
    client.begin("dave@plain.test");
    assert!(client.say("Subject: 8 bit\r\n\r\nzw\u{f6}lf\r\n.\r\n").starts_with("554 5.6.3 8-bit content"));
    client.say("MAIL FROM:<alice@example.org> SMTPUTF8\r\n");
    assert!(client.say("RCPT TO:<\u{f6}@plain.test>\r\n").starts_with("250"));
    assert!(client.say("DATA\r\n").starts_with("354"));
    assert!(client.say("Subject: x\r\n\r\nx\r\n.\r\n").starts_with("554 5.6.7 international mail"));
    assert_eq!(sink.received().len(), 6);
    sink.hang_up();
    assert!(send(&["dave@plain.test"]).starts_with("451 4.4."));
    let mut rest = String::new();
    let mut client = Client::new(&proxy);
    client.say("EHLO client.test\r\n");
    client.from.get_mut().write_all(b"QUIT\r\n").expect("said");
    client.from.read_to_string(&mut rest).expect("it ends");
    assert!(rest.starts_with("221"), "{rest}");
}

/// Whom a mail server speaks for, it says; who does not say it is nobody we know, and nobody may be somebody else.
#[test]
fn peers_speak_for_others() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "trusted.peers = [\"127.0.0.1\"]");
    let letter = "From: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n.\r\n";
    for (line, trace) in [
        ("XFORWARD ADDR=192.0.2.7 NAME=[UNAVAILABLE] HELO=theirs SOURCE=REMOTE", "client.test ([192.0.2.7])\r\n"),
        ("XFORWARD ADDR=IPV6:2001:db8::7", "client.test ([IPv6:2001:db8::7])\r\n"),
        ("XFORWARD ADDR=[UNAVAILABLE] SOURCE=LOCAL", "client.test\r\n"),
    ] {
        // Whoever is a stranger signs as nobody, and XFORWARD holds for one message.
        let expected = if line.ends_with("LOCAL") { "250" } else { "550 5.7.1" };
        for (to, reply) in [("dave@plain.test", "250"), ("bob@example.net", expected)] {
            let mut client = Client::new(&proxy);
            client.say("EHLO client.test\r\n");
            assert!(client.say(format!("{line}\r\n")).starts_with("250 2.0.0"));
            client.begin(to);
            let said = client.say(letter);
            assert!(said.starts_with(reply), "{line}, {to}: {said}");
            if to == "dave@plain.test" {
                let text = sink.received().last().expect("one").text();
                assert!(text.starts_with(&format!("Received: from {trace}")), "{line}: {text}");
            }
        }
    }
    // What was known of one client does not count for the next.
    let mut client = Client::new(&proxy);
    for line in ["EHLO client.test", "XFORWARD SOURCE=LOCAL", "XFORWARD ADDR=[UNAVAILABLE]"] {
        assert!(client.say(format!("{line}\r\n")).starts_with("250"));
    }
    client.begin("bob@example.net");
    assert!(client.say(letter).starts_with("550 5.7.1"));
    let mut client = Client::new(&proxy);
    client.say("EHLO client.test\r\n");
    assert!(client.say("XCLIENT ADDR=192.0.2.7\r\n").starts_with("220"));
    assert!(client.say("XCLIENT ADDR=127.0.0.1\r\n").starts_with("550 5.7.0"), "once a stranger, always a stranger");
    client.say("EHLO client.test\r\n");
    let said = client.say("MAIL FROM:<mallory@example.org>\r\n");
    assert_eq!(said, "530 5.7.0 Authentication required\r\n");
    let proxy = Proxy::start(sink.port(), "");
    let mut client = Client::new(&proxy);
    client.say("EHLO client.test\r\n");
    assert!(client.say("XFORWARD ADDR=192.0.2.7\r\n").starts_with("550 5.7.0"));
}

/// VRFY and EXPN tell what the configuration allows, where it does, and to those who are known.
#[test]
fn aliases_are_told_to_those_who_are_known() {
    if !present(&["openssl"]) {
        return;
    }
    let proxy = Proxy::start(free_port(), "trusted.peers = [\"127.0.0.1\"]");
    let mut client = Client::on(proxy.connect(proxy.tls()));
    for (line, reply) in [
        ("VRFY boss", "250 2.1.5 <alice@example.org>"),
        ("VRFY <BOSS>", "250 2.1.5 <alice@example.org>"),
        ("VRFY staff", "252 2.1.5 Mailing list, use EXPN"),
        ("VRFY alice@example.org", "252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery"),
        ("EXPN Staff", "250 2.1.5 <bob@example.net>"),
        ("EXPN alice", "550 5.1.1 No such list"),
    ] {
        assert_eq!(client.say(format!("{line}\r\n")).trim_end(), reply, "{line}");
    }
    client.say("EHLO client.test\r\n");
    assert!(client.say("XCLIENT ADDR=192.0.2.7\r\n").starts_with("220"));
    assert!(client.say("VRFY boss\r\n").starts_with("502 5.5.1"), "a stranger");
    assert!(Client::new(&proxy).say("EXPN staff\r\n").starts_with("502 5.5.1"), "a listener that does not allow it");
}

/// What comes in clear with STARTTLS is not taken for something that was said under TLS (CVE-2011-0411).
#[test]
fn nothing_is_injected_before_tls() {
    if !present(&["openssl"]) {
        return;
    }
    let proxy = Proxy::start(free_port(), "");
    let mut client = Client::on(proxy.connect(proxy.tls()));
    client.say("EHLO client.test\r\n");
    let said = client.say("STARTTLS\r\nRSET\r\n");
    assert!(said.starts_with("554 5.5.0"), "{said}");
    assert_eq!(client.hear(), "", "the connection is closed");
}
