//! Whose mail a listener takes: submission wants a login or a trusted network (RFC 6409, section 4.3), relay takes anybody's for local recipients.

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        ports::free_port,
        postfix::{Sink, present},
    },
};

/// A client that nobody knows, as a peer introduces it.
fn stranger(proxy: &Proxy, port: u16) -> Client {
    let mut client = Client::on(proxy.connect(port));
    client.say("EHLO client.test\r\n");
    assert!(client.say("XCLIENT ADDR=192.0.2.7\r\n").starts_with("220"));
    client.say("EHLO client.test\r\n");
    client
}

#[test]
fn submission_wants_a_login_and_relay_does_not() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let [relay, open] = [free_port(), free_port()];
    let proxy = Proxy::furnished(sink.port(), "trusted.peers = [\"127.0.0.1\"]", |_| {
        format!(
            "[[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:{relay}\"\n\
             [[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{open}\"\nstrangers = true\n"
        )
    });
    for port in [proxy.port(), proxy.tls()] {
        let mut client = stranger(&proxy, port);
        assert_eq!(client.say("MAIL FROM:<eve@else.test>\r\n"), "530 5.7.0 Authentication required\r\n");
        assert!(client.say("RCPT TO:<alice@example.org>\r\n").starts_with("503 5.5.1 Error: need MAIL command"));
        assert!(client.say("DATA\r\n").starts_with("503 5.5.1 Error: need MAIL command"));
    }
    for (count, port) in [(1, relay), (2, open)] {
        let mut client = stranger(&proxy, port);
        assert!(client.say("MAIL FROM:<eve@else.test>\r\n").starts_with("250"));
        let said = client.say("RCPT TO:<bob@example.net>\r\n");
        assert_eq!(said, "554 5.7.1 <bob@example.net>: Relay access denied\r\n");
        assert!(client.say("RCPT TO:<alice@example.org>\r\n").starts_with("250"));
        assert!(client.say("DATA\r\n").starts_with("354"));
        // Without an author it goes on in clear, by the rule for bounces.
        assert!(client.say("Subject: x\r\n\r\nx\r\n.\r\n").starts_with("250"));
        assert_eq!(sink.wait_for(count)[count - 1].addresses(), ["alice@example.org"]);
    }
    // A trusted client sends anywhere by relay.
    let mut client = Client::on(proxy.connect(relay));
    client.say("EHLO client.test\r\n");
    assert!(client.say("XCLIENT ADDR=127.0.0.9\r\n").starts_with("220"));
    client.begin("dave@plain.test");
    assert!(client.say("From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n").starts_with("250"));
    assert!(proxy.log().contains("listener=relay"), "{}", proxy.log());
}
