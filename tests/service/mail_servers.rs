//! postseal beside the mail servers that are not Postfix, configured as docs/manual/mail-servers.md shows.

mod exim;
mod opensmtpd;
mod sendmail;
mod tree;

use crate::milter::setup::{Dkim, letter, send, stranger};
use crate::proxy::Proxy;
use crate::support::postfix::Sink;

/// What must hold of a server at `port` that has postseal behind its queue.
fn carries(sink: &Sink, proxy: &Proxy, port: u16, dkim: &Dkim) {
    // Ours: sealed, then DKIM.
    let alice = "alice@example.org";
    send(port, alice, &["bob@example.net"], &letter(alice, "bob@example.net", "hello\r\n.\r\n..\r\n"));
    let received = sink.wait_for(1);
    let bob = &received[0];
    assert_eq!(bob.addresses(), ["bob@example.net"], "{}", bob.text());
    assert!(proxy.gpg_decrypt("bob@example.net", &bob.message).contains("hello\r\n.\r\n..\r\n"));
    assert!(bob.text().contains("DKIM-Signature: v=1;"), "{}", bob.text());
    let verdict = dkim.verify(&bob.message);
    assert!(verdict.contains("verification") && verdict.contains("succeeded"), "{verdict}\n{}", bob.text());

    // A stranger's: judged, never signed.
    let text = "Authentication-Results: proxy.postseal.test; smime=pass\r\nFrom: bob@example.net\r\nTo: alice@example.org\r\n\
                Subject: in\r\nMessage-ID: <in@example.net>\r\nDate: Tue, 24 Nov 2026 00:00:00 +0000\r\n\r\nhello\r\n.\r\n";
    let replies = stranger(
        port,
        &[
            "EHLO stranger.example\r\n",
            "MAIL FROM:<bob@example.net>\r\n",
            "RCPT TO:<alice@example.org>\r\n",
            "DATA\r\n",
            text,
        ],
    );
    assert!(replies.last().is_some_and(|reply| reply.starts_with("250 ")), "{replies:?}");
    let received = sink.wait_for(2);
    let judged = received[1].text();
    assert_eq!(received[1].addresses(), [alice], "{judged}");
    assert!(
        judged.contains("Authentication-Results: proxy.postseal.test;") && judged.contains("x-pgp=none"),
        "{judged}"
    );
    assert!(!judged.contains("smime=pass") && !judged.contains("DKIM-Signature"), "{judged}");

    // A refused mail is returned to its author only.
    send(port, alice, &["dora@example.net"], &letter(alice, "dora@example.net", "hello\r\n"));
    let received = sink.wait_for(3);
    assert_eq!((received[2].addresses(), received.len()), (vec![alice], 3));
    assert!(received[2].text().contains("no encryption key"), "{}", received[2].text());
}

/// The manual's section, with the senders of this test.
const TRUSTED: &str = "trusted.networks = [\"127.0.0.1\"]\ntrusted.peers = [\"127.0.0.2\"]\n\
                       trusted.sign-as = [\"alice@example.org\"]";

const RULES: &str = r#"
[[rule]]
name = "in"
direction = "inbound"
action = "annotate"

[[rule]]
name = "bounces"
sender = "<>"
recipient = "example.org"
action = "clear"

[[rule]]
name = "sealed"
action = "sign+encrypt"
protocol = "pgp"
"#;
