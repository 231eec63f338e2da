//! postseal as a milter of a real Postfix: what leaves is sealed, what comes in is judged, and nothing is lost, doubled or shown.

mod bounces;
mod program;
pub(crate) mod setup;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::Duration,
};

use crate::support::{
    ports::free_port,
    postfix::{Postfix, Sink, present, run_with},
};
use setup::{Copies, Server, client, letter, send};

const PROGRAMS: &[&str] = &["gpg", "openssl"];

#[test]
fn outgoing_mail_is_sealed_as_the_rules_say() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(&sink, &[]);
    for to in ["bob@example.net", "carol@bank.example", "list@example.net", "paper@example.net"] {
        send(postfix.port(), "alice@example.org", &[to], &letter("alice@example.org", to, "hello\r\n.\r\n..\r\n"));
    }
    let received = sink.wait_for(4);
    let of = |to: &str| received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));

    // OpenPGP: gpg reads it, and knows alice.
    let bob = of("bob@example.net");
    assert!(bob.text().contains("multipart/encrypted") && !bob.text().contains("hello"), "{}", bob.text());
    let (clear, status) = server.gpg_decrypt("bob@example.net", &bob.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");
    assert!(status.contains("GOODSIG") && status.contains("alice@example.org"), "{status}");

    // S/MIME: openssl reads it, and knows alice.
    let carol = of("carol@bank.example");
    assert!(carol.text().contains("application/pkcs7-mime") && !carol.text().contains("hello"), "{}", carol.text());
    let clear = server.openssl_decrypt("carol@bank.example", &carol.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");

    // Signed in clear: both keep what was signed, octet by octet, over Postfix's own edits.
    let list = of("list@example.net");
    assert!(list.text().contains("multipart/signed"), "{}", list.text());
    assert!(server.gpg_verify(&list.message).contains("GOODSIG"));
    let paper = of("paper@example.net");
    assert!(server.openssl_verify("alice@example.org", &paper.message).contains("hello"));
}

#[test]
fn incoming_mail_is_judged_and_forged_results_go() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    // XCLIENT lets the test speak as a stranger.
    let relay = format!("relay:[127.0.0.1]:{}", sink.port());
    let postfix = server.postfix(
        &sink,
        &[
            ("smtpd_authorized_xclient_hosts", "127.0.0.0/8"),
            ("smtpd_recipient_restrictions", "reject_unauth_destination"),
            ("relay_domains", "example.org"),
            ("relay_recipient_maps", ""),
            ("relay_transport", &relay),
        ],
    );
    let signed = server.gpg_clearsigned("bob@example.net");
    for (subject, body) in [("plain", "hello\r\n".to_owned()), ("signed", signed)] {
        let text = format!(
            "Authentication-Results: mx.example.org; smime=pass\r\nReceived: from x by y; Tue, 24 Nov 2026 00:00:00 +0000\r\n\
             Authentication-Results: dkim.example.org; dkim=pass\r\nFrom: bob@example.net\r\nTo: alice@example.org\r\n\
             Subject: {subject}\r\nMessage-ID: <{subject}@example.net>\r\nDate: Tue, 24 Nov 2026 00:00:00 +0000\r\n\r\n{body}"
        );
        let replies = client(
            postfix.port(),
            &[
                "EHLO x\r\n",
                "XCLIENT ADDR=203.0.113.9 NAME=stranger.example\r\n",
                "EHLO stranger.example\r\n",
                "MAIL FROM:<bob@example.net>\r\n",
                "RCPT TO:<alice@example.org>\r\n",
                "DATA\r\n",
                &format!("{text}.\r\n"),
            ],
        );
        assert!(replies.last().is_some_and(|reply| reply.starts_with("250 ")), "{replies:?}");
    }
    for one in sink.wait_for(2) {
        let text = one.text();
        assert!(!text.contains("smime=pass"), "{text}");
        assert!(text.contains("dkim.example.org; dkim=pass"), "{text}");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("Authentication-Results: mx.example.org;"), "{text}");
        let is_signed = text.contains("Subject: signed");
        assert_eq!(text.contains("x-pgp=pass"), is_signed, "{text}");
    }
}

#[test]
fn a_log_only_policy_lets_every_mail_through_as_it_came() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::LogOnly));
    let postfix = server.postfix(&sink, &[]);
    let forged = "Authentication-Results: mx.example.org; smime=pass\r\n";
    let all = ["bob@example.net", "dora@example.net", "held@example.net", "void@example.net", "later@example.net"];
    for to in all {
        let message = [forged.as_bytes(), &letter("alice@example.org", to, "hello\r\n")].concat();
        send(postfix.port(), "alice@example.org", &[to], &message);
    }
    for one in sink.wait_for(all.len()) {
        let text = one.text();
        assert!(text.contains(forged) && text.ends_with("\r\n\r\nhello\r\n"), "{text}");
    }
    let mut stream = TcpStream::connect(("127.0.0.1", server.monitor())).expect("the monitor listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    for (rule, disposition, count) in
        [("rest", "relay", 1), ("rest", "reject", 1), ("held", "quarantine", 1), ("void", "discard", 1)]
    {
        let labels = format!("{{listener=\"milter\",rule=\"{rule}\",disposition=\"{disposition}\"}}");
        assert!(page.contains(&format!("postseal_log_only_total{labels} {count}\n")), "{page}");
    }
}

#[test]
fn what_may_not_go_is_refused_and_named() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(&sink, &[]);
    let reply = |from: &str, to: &[&str]| setup::try_send(postfix.port(), from, to, &letter(from, to[0], "hello\r\n"));
    let no_key = reply("alice@example.org", &["dora@example.net"]);
    assert!(no_key.starts_with("550 5.7.1 ") && no_key.contains("dora@example.net"), "{no_key}");
    // One keyless recipient of two: no recipient gets it, and the sender is told which one is the reason.
    let one_of_two = reply("alice@example.org", &["bob@example.net", "dora@example.net"]);
    assert!(one_of_two.starts_with("550 5.7.1 ") && one_of_two.contains("dora@example.net"), "{one_of_two}");
    let later = reply("alice@example.org", &["later@example.net"]);
    assert!(later.starts_with("451 4.7.1 ") && later.contains("100% later"), "{later}");
    let forged = reply("mallory@example.org", &["bob@example.net"]);
    assert!(forged.starts_with("550 5.7.1 "), "{forged}");
    let different = reply("alice@example.org", &["bob@example.net", "carol@bank.example"]);
    assert!(different.starts_with("451 4.7.1 ") && different.contains("different copies"), "{different}");
    // Thrown away: accepted, and gone.
    let discarded = reply("alice@example.org", &["void@example.net"]);
    assert!(discarded.starts_with("250 "), "{discarded}");
    send(
        postfix.port(),
        "alice@example.org",
        &["clear@example.net"],
        &letter("alice@example.org", "x@y.org", "end\r\n"),
    );
    let received = sink.wait_for(1);
    assert_eq!(received.len(), 1, "{received:?}");
    postfix.wait_for_queue(|queue| queue.contains("is empty"));
}

#[test]
fn each_recipient_gets_exactly_one_copy() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Submit));
    let postfix = server.postfix(&sink, &[]);
    // The copies come by the same milter again.
    server.submit_to(postfix.port());
    let everyone =
        ["bob@example.net", "carol@bank.example", "list@example.net", "ben@example.net", "clear@example.net"];
    let message = "From: alice@example.org\r\nTo: bob@example.net, carol@bank.example, list@example.net, clear@example.net\r\n\
                   Bcc: ben@example.net\r\nSubject: many\r\nMessage-ID: <many@example.org>\r\n\r\nhello\r\n";
    send(postfix.port(), "alice@example.org", &everyone, message.as_bytes());
    let received = sink.wait_for(everyone.len());
    thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.received().len(), everyone.len(), "somebody got two");
    let reached: Vec<String> = received.iter().flat_map(|one| one.addresses()).map(str::to_owned).collect();
    assert_eq!(reached.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(everyone));
    for one in &received {
        // Received in the recipient's own copy names the recipient (RFC 5321, section 4.4: "for").
        let is_his = one.addresses() == ["ben@example.net"];
        assert_eq!(one.text().contains("ben@"), is_his, "the hidden one is shown: {}", one.text());
        assert!(!one.text().contains("X-Postseal-Handled"), "the mark is left: {}", one.text());
        let may_be_read = ["list@example.net", "clear@example.net"].contains(&one.addresses()[0]);
        assert_eq!(one.text().contains("hello"), may_be_read, "{}", one.text());
    }
    for to in ["bob@example.net", "ben@example.net"] {
        let one = received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));
        assert!(server.gpg_decrypt(to, &one.message).0.contains("hello"));
    }
}

#[test]
fn copies_that_fail_leave_the_message_with_its_sender() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Submit));
    let postfix = server.postfix(&sink, &[]);
    server.submit_to(free_port());
    let both = ["bob@example.net", "carol@bank.example"];
    let reply = setup::try_send(
        postfix.port(),
        "alice@example.org",
        &both,
        &letter("alice@example.org", "x@y.org", "hello\r\n"),
    );
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    send(
        postfix.port(),
        "alice@example.org",
        &["clear@example.net"],
        &letter("alice@example.org", "x@y.org", "end\r\n"),
    );
    assert_eq!(sink.wait_for(1).len(), 1);
}

#[test]
fn what_is_held_waits_in_the_hold_queue() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Submit));
    let postfix = server.postfix(&sink, &[]);
    server.submit_to(postfix.port());
    let both = ["held@example.net", "clear@example.net"];
    send(postfix.port(), "alice@example.org", &both, &letter("alice@example.org", "held@example.net", "hello\r\n"));
    let received = sink.wait_for(1);
    assert_eq!(received[0].addresses(), ["clear@example.net"]);
    postfix.wait_for_queue(|queue| {
        queue.contains('!') && queue.contains("held@example.net") && !queue.contains("clear@example.net")
    });
    postfix.wait_for_log("milter triggers HOLD action");
}

#[test]
fn large_messages_pass_and_larger_ones_are_refused() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(&sink, &[("message_size_limit", "100000000")]);
    let line = format!("{}\r\n", "x".repeat(70));
    // More than a hundred packets of a body, there and back.
    let body = line.repeat(9 * 1024 * 1024 / line.len());
    send(
        postfix.port(),
        "alice@example.org",
        &["bob@example.net"],
        &letter("alice@example.org", "bob@example.net", &body),
    );
    let received = sink.wait_for(1);
    let (clear, _) = server.gpg_decrypt("bob@example.net", &received[0].message);
    assert!(clear.ends_with(&body), "{} octets", clear.len());
    let more = line.repeat(17 * 1024 * 1024 / line.len());
    let reply = setup::try_send(
        postfix.port(),
        "alice@example.org",
        &["clear@example.net"],
        &letter("alice@example.org", "bob@example.net", &more),
    );
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");
}

/// SMTP smuggling (Longin 2023): whatever a sender writes around a dot, behind the milter there are as many messages as before it.
#[test]
fn no_mix_of_cr_lf_and_dot_makes_another_message() {
    if !present(PROGRAMS) {
        return;
    }
    let server = Server::start(Copies::Tempfail);
    let (bare, hooked) = (Sink::start(), Sink::start());
    let settings = [("smtpd_forbid_bare_newline", "no")];
    let without = Postfix::start(bare.port(), &settings, "");
    let with = server.postfix(&hooked, &settings);
    let ends = ["\r\n", "\n", "\r", "\r\r\n", "\n\r"];
    let mixes = ends.iter().flat_map(|before| ends.iter().map(move |after| format!("{before}.{after}")));
    for (number, mix) in mixes.enumerate() {
        for (at, to) in [
            (&without, "clear@example.net"),
            (&with, "clear@example.net"),
            (&without, "list@example.net"),
            (&with, "list@example.net"),
        ] {
            let text = format!(
                "From: alice@example.org\r\nMessage-ID: <{number}@example.org>\r\n\r\nhello{mix}MAIL FROM:<mallory@example.org>\r\n\
                 RCPT TO:<clear@example.net>\r\nDATA\r\nFrom: mallory@example.org\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n"
            );
            setup::pour(at.port(), "alice@example.org", to, text.as_bytes());
        }
    }
    // Postfix tells where a message ends; what it took without us it takes with us, and no more.
    let taken = |sink: &Sink, at_least: usize| {
        sink.wait_for(at_least);
        thread::sleep(Duration::from_secs(2));
        let mut taken: Vec<(String, String)> =
            sink.received().iter().map(|one| (one.sender.clone(), one.recipients.join(" "))).collect();
        for (sender, _) in &mut taken {
            sender.truncate(sender.find('>').unwrap_or_default());
        }
        taken.sort();
        taken
    };
    let expected = taken(&bare, 50);
    assert!(expected.iter().any(|(sender, _)| sender.contains("mallory")), "this Postfix cannot be smuggled through");
    assert_eq!(taken(&hooked, expected.len()), expected);
}

#[test]
fn opendkim_after_us_signs_what_its_verifier_accepts() {
    if !present(&["gpg", "openssl", "opendkim"]) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let dkim = setup::Dkim::start("example.org");
    let milters = format!("inet:127.0.0.1:{}, inet:127.0.0.1:{}", server.port(), dkim.port());
    let postfix = Postfix::start(sink.port(), &[("smtpd_milters", &milters)], "");
    for to in ["list@example.net", "bob@example.net"] {
        send(postfix.port(), "alice@example.org", &[to], &letter("alice@example.org", to, "hello\r\n"));
    }
    for one in sink.wait_for(2) {
        assert!(one.text().contains("DKIM-Signature: v=1;"), "{}", one.text());
        let verdict = dkim.verify(&one.message);
        assert!(verdict.contains("verification") && verdict.contains("succeeded"), "{verdict}\n{}", one.text());
    }
}

#[test]
fn swaks_and_a_second_message_on_one_connection() {
    if !present(&["gpg", "openssl", "swaks"]) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(&sink, &[]);
    let relay = format!("127.0.0.1:{}", postfix.port());
    let swaks = run_with(
        Command::new("swaks").args([
            "--server",
            &relay,
            "--from",
            "alice@example.org",
            "--to",
            "bob@example.net",
            "--body",
            "by swaks",
        ]),
        b"",
    );
    assert!(swaks.status.success(), "{}", String::from_utf8_lossy(&swaks.stdout));
    let replies = client(
        postfix.port(),
        &[
            "EHLO x\r\n",
            "MAIL FROM:<alice@example.org>\r\n",
            "RCPT TO:<dora@example.net>\r\n",
            "DATA\r\n",
            "From: alice@example.org\r\n\r\nrefused\r\n.\r\n",
            "MAIL FROM:<alice@example.org>\r\n",
            "RCPT TO:<bob@example.net>\r\n",
            "RSET\r\n",
            "MAIL FROM:<>\r\n",
            "RCPT TO:<bob@example.net>\r\n",
            "DATA\r\n",
            "From: alice@example.org\r\n\r\nsecond\r\n.\r\n",
            "QUIT\r\n",
        ],
    );
    assert!(replies[4].starts_with("550 5.7.1") && replies[11].starts_with("250"), "{replies:?}");
    let received = sink.wait_for(2);
    assert!(server.gpg_decrypt("bob@example.net", &received[0].message).0.contains("by swaks"));
    assert_eq!(received[1].sender.split(' ').next(), Some("<>"));
    assert!(server.gpg_decrypt("bob@example.net", &received[1].message).0.contains("second"));
}

#[test]
fn metrics_tell_what_happened() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(&sink, &[]);
    send(
        postfix.port(),
        "alice@example.org",
        &["bob@example.net"],
        &letter("alice@example.org", "bob@example.net", "x\r\n"),
    );
    sink.wait_for(1);
    let get = |target: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.monitor())).expect("the monitor listens");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let page = get("/metrics");
    assert!(
        page.contains("postseal_recipients_total{listener=\"milter\",direction=\"outbound\",disposition=\"relay\"} 1"),
        "{page}"
    );
    assert!(get("/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get("/").starts_with("HTTP/1.1 200 "));
    assert!(get("/other").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_login_signs_only_for_its_own_address() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let postfix = server.postfix(
        &sink,
        &[
            ("smtpd_authorized_xclient_hosts", "127.0.0.0/8"),
            ("smtpd_recipient_restrictions", "permit_sasl_authenticated,permit_mynetworks,reject_unauth_destination"),
            ("relay_domains", "example.net"),
        ],
    );
    let last_reply = |login: &str| {
        let message = String::from_utf8(letter("alice@example.org", "list@example.net", "hello\r\n")).expect("ASCII");
        let replies = client(
            postfix.port(),
            &[
                "EHLO x\r\n",
                &format!("XCLIENT ADDR=203.0.113.9 NAME=home.example LOGIN={login}\r\n"),
                "EHLO home.example\r\n",
                "MAIL FROM:<alice@example.org>\r\n",
                "RCPT TO:<list@example.net>\r\n",
                "DATA\r\n",
                &format!("{message}.\r\n"),
            ],
        );
        replies.last().cloned().unwrap_or_default()
    };
    for (login, reply) in
        [("alice@example.org", "250 "), ("carl@example.org", "550 5.7.1 "), ("[UNAVAILABLE]", "550 5.7.1 ")]
    {
        let said = last_reply(login);
        assert!(said.starts_with(reply), "{login}: {said}");
    }
    assert!(server.gpg_verify(&sink.wait_for(1)[0].message).contains("GOODSIG"));
}

#[test]
fn mail_by_sendmail_comes_by_too() {
    if !present(PROGRAMS) {
        return;
    }
    let (sink, server) = (Sink::start(), Server::start(Copies::Tempfail));
    let milter = format!("inet:127.0.0.1:{}", server.port());
    let postfix = server.postfix(&sink, &[("non_smtpd_milters", &milter)]);
    let message = "From: alice@example.org\nTo: bob@example.net\nSubject: cron\n\nhello\n";
    let output = postfix.sendmail(&["-f", "alice@example.org", "bob@example.net"], message.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let received = sink.wait_for(1);
    assert!(!received[0].text().contains("hello"), "{}", received[0].text());
    assert!(server.gpg_decrypt("bob@example.net", &received[0].message).0.contains("hello"));
}

#[test]
fn more_connections_than_there_is_room_for_wait() {
    let server = Server::start(Copies::Tempfail);
    let offer = b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the milter listens");
        stream.write_all(offer).expect("an offer");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        stream
    };
    let is_answered = |stream: &mut TcpStream| stream.read_exact(&mut [0; 5]).is_ok();
    let mut inside: Vec<TcpStream> = (0..setup::CONNECTIONS).map(|_| connect()).collect();
    assert!(inside.iter_mut().all(is_answered));
    let mut outside = connect();
    assert!(!is_answered(&mut outside));
    inside.pop();
    outside.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert!(is_answered(&mut outside));
}
