//! `[acme]` in a running service: it orders, answers and renews by itself, and answers no challenge but those of its orders.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::support::acme::Authority;

/// The end of the configuration of the mail server that is also the subscriber.
fn configuration(more: &str) -> String {
    format!(
        "{more}{RULE}[acme]\nserver = \"{{directory}}\"\nterms-agreed = true\ncontact = \"postmaster@example.org\"\neab-kid = \"customer\"\n\
         eab-key = {{ file = \"eab-key\" }}\naddresses = [\"alice@example.org\"]\n"
    )
}

/// Waits until the log of the mail server has these words as often.
fn wait_for(authority: &Authority, words: &str, count: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while authority.mail_log().matches(words).count() < count {
        assert!(Instant::now() < end, "{words}: {}{}", authority.mail_log(), authority.log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The S/MIME certificates of an address in the service's home.
fn certificates(authority: &Authority, address: &str) -> usize {
    let list = authority.lab.run(&["--home", "mx-home", "key", "list"]).code(0).text();
    list.lines().filter(|line| line.contains(address)).count()
}

#[test]
fn a_service_gets_and_renews_certificates() {
    let Some(mut authority) = Authority::start(RULE) else { return };
    // One that ends in two days, after 18.
    let home = ["--home", "mx-home"];
    let run = |arguments: &[&str]| authority.lab.run(&[&home[..], arguments].concat()).code(0);
    run(&["key", "request", "--no-passphrase", "-o", "alice.csr", "alice@example.org"]);
    authority.sign_ending("alice.csr", "alice.pem");
    run(&["key", "import", "alice.pem"]);
    let acme = configuration("").replace("[acme]\n", "[acme]\nchallenge-proof = \"from\"\n");
    authority.configure(&acme.replace("\"alice@example.org\"", "\"example.org\", \"mallory@example.org\""));
    authority.restart_mail_server();
    // It is renewed. An address that is named gets its first.
    for (address, count) in [("alice@example.org", 3), ("mallory@example.org", 2)] {
        wait_for(&authority, &format!("event=acme-issued address={address}"), 1);
        for event in ["acme-ordered", "acme-challenge", "acme-answered"] {
            let words = format!("event={event} address={address} ");
            let found = (authority.mail_log() + " ").replace('\n', " \n").matches(&words).count();
            assert_eq!(found, 1, "{words} {}", authority.mail_log());
        }
        assert_eq!(certificates(&authority, address), count, "the self-signed one, and those that were issued");
    }
    // The challenge is delivered like any mail.
    assert!(String::from_utf8_lossy(&authority.mail("alice@example.org", 1)).contains("Subject: ACME: "));

    // A person's order in the same home is answered too, and a new start orders nothing.
    authority.restart_mail_server();
    let directory = authority.directory();
    let order = ["--home", "mx-home", "cert", "acme", "alice@example.org", "--server", &directory];
    authority.lab.run(&order).code(0);
    wait_for(&authority, "event=acme-issued address=alice@example.org", 1);
    assert!(!authority.mail_log().contains("event=acme-ordered"), "{}", authority.mail_log());
    assert_eq!(certificates(&authority, "alice@example.org"), 4);
}

const RULE: &str = "[[rule]]\nname = \"all\"\naction = \"clear\"\n";

#[test]
fn only_the_challenges_of_its_own_orders_are_answered() {
    let lmtp = crate::support::ports::free_port();
    let listener = format!(
        "[trusted]\nauthserv-ids = \"dkim.example.org\"\n[[listener]]\nkind = \"lmtp\"\naddress = \"127.0.0.1:{lmtp}\"\n"
    );
    let Some(authority) = Authority::start(&configuration(&listener)) else { return };
    // Nothing shows that it is from the authority. It is delivered.
    wait_for(&authority, "event=acme-challenge-ignored address=alice@example.org", 1);
    let challenge = String::from_utf8(authority.mail("alice@example.org", 1)).unwrap();
    let challenge = &challenge[challenge.find("Content-Type").unwrap()..];
    let verified = "Authentication-Results: dkim.example.org; dkim=pass header.d=example.org\r\n\
                    DKIM-Signature: v=1; d=example.org; s=x; h=from:to:subject:message-id:content-type:content-transfer-encoding; b=x\r\n";
    let good = format!("{verified}{challenge}");
    let forged = [
        challenge.to_owned(),
        good.replace("From: bob@", "From: eve@"),
        good.replace("dkim=pass", "dkim=fail"),
        good.replace("dkim.example.org;", "mx.other.example;"),
        good.replace("header.d=example.org", "header.d=evil.example"),
        good.replace("h=from:to:subject:", "h=from:to:"),
        good.replace("To: alice@", "Reply-To: eve@evil.example\r\nTo: alice@"),
        good.replace("To: alice@", "To: carol@example.org, alice@"),
        good.replace("Subject: ACME: ", "Auto-Submitted: auto-replied\r\nSubject: ACME: "),
    ];
    for (number, mail) in forged.iter().enumerate() {
        deliver(lmtp, "alice@example.org", mail);
        wait_for(&authority, "event=acme-challenge-ignored address=alice@example.org", number + 2);
    }
    // No order for mallory is in progress, and a reply or a short token is no challenge: not a word of them.
    deliver(lmtp, "mallory@example.org", &good.replace("To: alice@", "To: mallory@"));
    deliver(lmtp, "alice@example.org", &good.replace("Subject: ", "Subject: Re: "));
    deliver(lmtp, "alice@example.org", &good.replace("Subject: ACME: ", "Subject: ACME: AAAA\r\nX: "));
    assert_eq!(authority.mail_log().matches("event=acme-challenge-ignored").count(), forged.len() + 1);
    assert!(!authority.mail_log().contains("event=acme-answered"));
    let has_mail = ["new", "cur"].map(|part| {
        std::fs::read_dir(authority.dovecot.maildir("bob@example.org", part))
            .is_ok_and(|mut mails| mails.next().is_some())
    });
    assert_eq!(has_mail, [false, false], "an answer to the authority");
    // The right one, once.
    deliver(lmtp, "alice@example.org", &good);
    wait_for(&authority, "event=acme-issued address=alice@example.org", 1);
    deliver(lmtp, "alice@example.org", &good);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(authority.mail_log().matches("event=acme-answered").count(), 1);
}

/// Hands a mail to the LMTP listener, which takes it.
fn deliver(port: u16, to: &str, mail: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let dialogue = format!(
        "LHLO test\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<{to}>\r\nDATA\r\n{}\r\n.\r\nQUIT\r\n",
        mail.replace("\r\n", "\n").replace('\n', "\r\n")
    );
    stream.write_all(dialogue.as_bytes()).expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    let taken = said.lines().rev().nth(1).unwrap_or_default();
    assert!(taken.starts_with("250 "), "{said}");
}
