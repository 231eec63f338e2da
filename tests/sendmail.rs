//! Mail through a real Postfix, from the programs that hand it over to a sink that keeps it.

#[path = "postfix/lab.rs"]
mod lab;

use lab::{Postfix, Sink};

#[test]
fn what_postfix_takes_arrives_as_it_was() {
    if !lab::present(&[]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let message = b"From: alice@example.org\nTo: bob@example.net\nSubject: hello\n\n.\nbody\n";
    let sent = postfix.sendmail(&["-i", "-f", "alice@example.org", "bob@example.net"], message);
    assert!(sent.status.success(), "{sent:?}");
    let received = sink.wait_for(1);
    assert_eq!(received[0].addresses(), ["bob@example.net"]);
    assert!(
        received[0].message.ends_with(b"Subject: hello\r\n\r\n.\r\nbody\r\n")
            || received[0].text().contains("\r\n\r\n.\r\nbody\r\n"),
        "{}",
        received[0].text()
    );
}
