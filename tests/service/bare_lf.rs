//! `bare-lf = "normalize"`: a scanner that ends its lines in LF gets through, and a smuggled message (Longin 2023) stays part of the one it is in.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
};

use crate::support::{
    clients::reply,
    lab::Lab,
    served::{Configured, Served},
};

#[test]
fn lines_in_lf_are_taken_and_nothing_is_smuggled() {
    let lab = Lab::with_keys(&["alice"]);
    let configured = Configured::new(&lab, "220 next ESMTP", &[["all", "direction = \"inbound\"", "annotate"]]);
    let strict = String::from_utf8(lab.read("postseal.toml")).expect("text");
    lab.write("postseal.toml", strict.replace("kind = \"relay\"\n", "kind = \"relay\"\nbare-lf = \"normalize\"\n"));
    let service = configured.serve().expect("it starts");
    let smuggled =
        "MAIL FROM:<admin@example.org>\nRCPT TO:<alice@example.org>\nDATA\nFrom: admin@example.org\n\nsmuggled\n";
    let message = format!("From: scanner@example.net\nSubject: s\n\npage\n.\n{smuggled}\n.\r\n{smuggled}\r\n.\r\n");
    assert!(sent(&service, &message).starts_with("250"));
    let delivered = service.delivered();
    assert_eq!(delivered.len(), 1, "{delivered:#?}");
    assert!(delivered[0].contains("\r\npage\r\n\r\nMAIL FROM:<admin@example.org>\r\n"), "{}", delivered[0]);
    assert_eq!(delivered[0].matches("smuggled").count(), 2);
    assert_eq!(delivered[0].replace("\r\n", "").matches(['\r', '\n']).count(), 0);
    // A lone CR is no line end.
    assert!(sent(&service, "Subject: s\n\na\rb\r\n.\r\n").starts_with("550 5.5.2 "));
    assert!(service.delivered().is_empty());
}

/// The reply to the message.
fn sent(service: &Served<'_>, message: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", service.smtp())).expect("it listens");
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
    reply(&mut lines);
    let mut said = String::new();
    for command in
        ["EHLO scanner.test\n", "MAIL FROM:<scanner@example.net>\n", "RCPT TO:<alice@example.org>\n", "DATA\n", message]
    {
        stream.write_all(command.as_bytes()).expect("it reads");
        said = reply(&mut lines);
    }
    said
}
