//! `postseal serve` as the content filter of a real Postfix, by LMTP: one reply for each recipient.

use std::process::Command;

use crate::proxy::Proxy;
use crate::support::postfix::{Postfix, Sink, present, run_with};

/// LMTP as Postfix's `content_filter` speaks it: the filtered mail goes to a second smtpd, and every recipient gets a reply of their own.
#[test]
fn postfix_filters_its_content_by_lmtp() {
    if !present(&["swaks", "gpg"]) {
        return;
    }
    let sink = Sink::start();
    let behind = Postfix::start(sink.port(), &[], "");
    let proxy = Proxy::start(behind.port(), "");
    let filter = format!("lmtp:[127.0.0.1]:{}", proxy.lmtp());
    let front = Postfix::start(sink.port(), &[("content_filter", &filter), ("lmtp_send_xforward_command", "yes")], "");
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &front.port().to_string(), "--from", "alice@example.org"]);
    swaks.args(["--to", "bob@example.net,eve@refused.test,dave@plain.test", "--body", "the plan"]);
    assert!(run_with(&mut swaks, b"").status.success());
    // Two copies, and the bounce for the refused recipient.
    let arrived = sink.wait_for(3);
    let bounce = arrived.iter().find(|received| received.sender.starts_with("<>")).expect("a bounce");
    assert_eq!(bounce.addresses(), ["alice@example.org"]);
    assert!(bounce.text().contains("eve@refused.test") && bounce.text().contains("not to them"), "{}", bounce.text());
    let sealed = arrived.iter().find(|received| received.addresses() == ["bob@example.net"]).expect("bob's");
    assert!(proxy.gpg_decrypt("bob@example.net", &sealed.message).contains("the plan"));
    assert!(arrived.iter().any(|received| received.addresses() == ["dave@plain.test"]));
}

/// XFORWARD (Postfix's XFORWARD_README): the second smtpd hears from us whose mail it is, as it would have heard from the first Postfix.
#[test]
fn the_second_smtpd_knows_the_client() {
    if !present(&["swaks"]) {
        return;
    }
    let sink = Sink::start();
    let behind = Postfix::start(sink.port(), &[("smtpd_authorized_xforward_hosts", "127.0.0.0/8")], "");
    let proxy = Proxy::start(behind.port(), "trusted.peers = [\"127.0.0.1\"]");
    let filter = format!("lmtp:[127.0.0.1]:{}", proxy.lmtp());
    let send = |port: u16, subject: &str| {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", "127.0.0.1", "--port", &port.to_string(), "--from", "alice@example.org"]);
        swaks.args(["--local-interface", "127.0.0.2", "--ehlo", "client.test", "--to", "dave@plain.test"]);
        swaks.args(["--header", &format!("Subject: {subject}")]);
        let output = run_with(&mut swaks, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    // With XFORWARD from the first Postfix, and without: then we know as little as the second.
    for (forwarding, count) in [("yes", 1), ("no", 2)] {
        let settings = [("content_filter", filter.as_str()), ("lmtp_send_xforward_command", forwarding)];
        let front = Postfix::start(sink.port(), &settings, "");
        send(front.port(), "filtered");
        sink.wait_for(count);
        let said = front.log();
        let queue_id = said.lines().find_map(|line| line.split_once(": client=")?.0.rsplit(' ').next());
        let queue_id = queue_id.unwrap_or_else(|| panic!("{said}"));
        let told = format!("client=localhost[127.0.0.1], orig_queue_id={queue_id}, orig_client=unknown[127.0.0.2]\n");
        let untold = "client=localhost[127.0.0.1]\n";
        let log = behind.log();
        let line =
            log.lines().filter(|line| line.contains(": client=")).nth(count - 1).unwrap_or_else(|| panic!("{log}"));
        let line = format!("{line}\n");
        let expected = if forwarding == "yes" { &told } else { untold };
        assert!(line.replace("client=unknown[127.0.0.1]", "client=localhost[127.0.0.1]").ends_with(expected), "{line}");
    }
    // A client of our own, who came by SMTP.
    send(proxy.port(), "submitted");
    sink.wait_for(3);
    let log = behind.log();
    let line = log.lines().filter(|line| line.contains(": client=")).nth(2).unwrap_or_else(|| panic!("{log}"));
    assert!(line.ends_with("orig_client=unknown[127.0.0.2]"), "{line}");
}
