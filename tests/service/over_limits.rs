//! A message over the limits of structure goes on as it came where nothing has to open it.

use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER, TRUSTED, filter, sendmail},
};

#[test]
fn it_passes_where_nothing_opens_it() {
    let lab = Lab::with_keys(&["alice"]);
    let configured = Configured::new(
        &lab,
        "220 next ESMTP",
        &[
            [
                "sealed mail comes in",
                "direction = \"inbound\"\nmessage = [\"signed\", \"encrypted\"]",
                "decrypt+annotate",
            ],
            ["other mail comes in", "direction = \"inbound\"", "annotate"],
            ["sealed", "recipient = \"sealed.example\"", "sign+clear"],
            ["all", "direction = \"outbound\"", "clear"],
        ],
    );
    let service = configured.serve().expect("it starts");
    for (name, message) in messages() {
        for (client, recipient, code) in [
            (TRUSTED, "x@else.example", "250"),
            (STRANGER, "alice@example.org", "250"),
            (TRUSTED, "x@sealed.example", "550 5.7.1"),
        ] {
            let letter = Letter { client, sender: "alice@example.org", recipient, message: &message };
            for (transport, reply) in service.replies(&letter) {
                assert!(reply.starts_with(code), "{name} to {recipient} by {transport}: {reply}");
            }
            let delivered = service.delivered();
            let passed = if code == "250" { 2 } else { 0 };
            assert_eq!(delivered.len(), passed, "{name} to {recipient}");
            // The Received field, and Authentication-Results of incoming mail, are before it.
            assert!(
                delivered.iter().all(|one| one.ends_with(&message)),
                "{name} to {recipient}: {:.900}",
                delivered[0]
            );
            if client == STRANGER {
                let field = "Authentication-Results: mail.example.org";
                assert!(
                    delivered.iter().all(|one| one.contains(field) && !one.contains("=pass")),
                    "{:.900}",
                    delivered[0]
                );
            }
            let (status, output, error) = filter(&lab, &letter);
            assert_eq!(status, if passed == 2 { 0 } else { 77 }, "{name} to {recipient}: {error}");
            assert!(output.is_empty() || output.ends_with(&message), "{name} to {recipient}");
            if client == TRUSTED {
                assert_eq!(sendmail(&lab, &letter).0, status, "{name} to {recipient}");
                service.delivered();
            }
        }
    }
}

/// Each exceeds one of the limits.
fn messages() -> [(&'static str, String); 4] {
    let header = "From: alice@example.org\r\nTo: x@else.example\r\nSubject: s\r\nDate: Mon, 30 Nov 2026 01:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n";
    let parts = "--b\r\n\r\nx\r\n".repeat(1_500);
    let mut nested = String::new();
    for depth in 0..70 {
        nested += &format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    let parameters: String = (0..200).map(|number| format!(";\r\n a{number}=b")).collect();
    let long: String = (0..5_000).map(|number| format!("X-{number}: {}\r\n", "x".repeat(60))).collect();
    [
        ("1,500 parts", format!("{header}Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")),
        ("70 levels", format!("{header}{nested}\r\nx\r\n")),
        ("200 parameters", format!("{header}Content-Type: text/plain{parameters}\r\n\r\nx\r\n")),
        ("400 KB of header", format!("{header}{long}\r\nx\r\n")),
    ]
}

/// A header that is read for its fields alone costs no more memory than was taken for the message. It cost 60 times its length.
#[test]
fn a_long_list_of_addresses_takes_little_memory() {
    let lab = Lab::with_keys(&["alice"]);
    let configured = Configured::new(&lab, "220 next ESMTP", &[["in", "direction = \"inbound\"", "annotate"]]);
    let service = configured.serve().expect("it starts");
    let before = service.memory();
    for list in ["a@b.c,\r\n ", "g:;,\r\n "] {
        let length = 1_000_000 / list.len();
        let message = format!("From: a@else.example\r\nTo: {}z@b.c\r\nSubject: s\r\n\r\nx\r\n", list.repeat(length));
        let (client, sender, recipient) = (STRANGER, "a@else.example", "alice@example.org");
        for (transport, reply) in service.replies(&Letter { client, sender, recipient, message: &message }) {
            assert!(reply.starts_with("250"), "{transport}: {reply}");
        }
    }
    let grown = service.memory() - before;
    assert!(grown < 32, "{grown} MiB");
}
