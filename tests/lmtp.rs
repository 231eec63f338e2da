//! `postseal serve` as the content filter of a real Postfix, by LMTP: one reply for each recipient.

#[path = "submission/house.rs"]
mod house;
#[path = "postfix/lab.rs"]
mod lab;

use std::process::Command;

use house::House;
use lab::{Postfix, Sink, present, run_with};

/// LMTP as Postfix's `content_filter` speaks it: the filtered mail goes to a second smtpd, and everybody has a fate of his own.
#[test]
fn postfix_filters_its_content_by_lmtp() {
    if !present(&["swaks", "gpg"]) {
        return;
    }
    let sink = Sink::start();
    let behind = Postfix::start(sink.port(), &[], "");
    let house = House::start(behind.port(), "");
    let filter = format!("lmtp:[127.0.0.1]:{}", house.lmtp());
    let front = Postfix::start(sink.port(), &[("content_filter", &filter), ("lmtp_send_xforward_command", "yes")], "");
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &front.port().to_string(), "--from", "alice@example.org"]);
    swaks.args(["--to", "bob@example.net,eve@refused.test,dave@plain.test", "--body", "the plan"]);
    assert!(run_with(&mut swaks, b"").status.success());
    // Two copies, and the bounce for the one who is refused.
    let arrived = sink.wait_for(3);
    let bounce = arrived.iter().find(|received| received.sender.starts_with("<>")).expect("a bounce");
    assert_eq!(bounce.addresses(), ["alice@example.org"]);
    assert!(bounce.text().contains("eve@refused.test") && bounce.text().contains("not to them"), "{}", bounce.text());
    let sealed = arrived.iter().find(|received| received.addresses() == ["bob@example.net"]).expect("bob's");
    assert!(house.gpg_decrypt("bob@example.net", &sealed.message).contains("the plan"));
    assert!(arrived.iter().any(|received| received.addresses() == ["dave@plain.test"]));
}
