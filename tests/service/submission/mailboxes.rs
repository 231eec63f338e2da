//! Mail that comes in for an alias, a sub-address and a list, through the program.

use std::process::Command;

use crate::{
    proxy::Proxy,
    support::{
        ports::free_port,
        postfix::{Sink, run_with},
    },
};

const TRUSTED: &str = "trusted.sign-as = [\"alice@example.org\"]";
const RULES: &str = "[[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"decrypt\"\n";

/// What is encrypted to alice is opened for alice+shop@ and for the alias boss@. It stays closed for the list staff@, of which alice is one member, and
/// the log and the metrics say so.
#[test]
fn what_is_encrypted_to_alice_is_opened_for_the_names_of_her_mailbox() {
    let (sink, metrics) = (Sink::start(), free_port());
    let more = format!("recipient-delimiter = \"+\"\nmetrics = \"127.0.0.1:{metrics}\"");
    let proxy = Proxy::by(sink.port(), &more, TRUSTED, RULES);
    let plain = proxy.path("plain.eml");
    std::fs::write(&plain, "From: alice@example.org\r\nTo: alice@example.org\r\n\r\nthe plan\r\n").expect("a file");
    let sealed = proxy.path("sealed.eml");
    std::fs::write(&sealed, proxy.postseal(&["encrypt", "-f", "pgp", &plain.display().to_string()])).expect("a file");

    let cases = [("alice+shop@example.org", true), ("boss@example.org", true), ("staff@example.org", false)];
    for (count, (recipient, is_opened)) in cases.into_iter().enumerate() {
        let script = format!(
            "import smtplib\ns = smtplib.LMTP('127.0.0.1', {})\n\
            s.sendmail('buyer@partner.example', ['{recipient}'], open('{}', 'rb').read())\n",
            proxy.lmtp(),
            sealed.display()
        );
        let said = run_with(Command::new("python3").arg("-"), script.as_bytes());
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let arrived = sink.wait_for(count + 1);
        assert_eq!(arrived[count].text().contains("the plan"), is_opened, "{recipient}");
    }
    let log = proxy.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("event=not-opened")).collect();
    assert!(lines.len() == 1 && lines[0].contains("to=<staff@example.org>"), "{log}");
    let script =
        format!("import urllib.request as u\nprint(u.urlopen('http://127.0.0.1:{metrics}/metrics').read().decode())");
    let page = run_with(Command::new("python3").arg("-"), script.as_bytes()).stdout;
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("postseal_not_opened_total{listener=\"lmtp\"} 1\n"), "{page}");
}
