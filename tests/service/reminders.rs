//! `[expiry-notice]`: people are told by mail that a key ends soon, once for each stage.

use std::{fs, thread, time::Duration};

use crate::{
    proxy::Proxy,
    support::postfix::{Sink, present},
};

#[test]
fn owners_and_administrators_are_told_once_of_a_key_that_ends() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::furnished(sink.port(), "", |proxy| {
        // dave has another key, and carl's address is not local.
        for (protocol, expires, owner) in [
            ("pgp", "5d", "erin@example.org"),
            ("smime", "20d", "finn@example.org"),
            ("pgp", "5d", "dave@example.org"),
            ("pgp", "2y", "dave@example.org"),
            ("pgp", "60d", "late@example.org"),
            ("pgp", "5d", "carl@example.com"),
        ] {
            let arguments =
                ["key", "generate", "--replace", "-f", protocol, "--no-passphrase", "--expires", expires, owner];
            proxy.postseal(&arguments);
        }
        fs::write(proxy.path("text"), "Subject: {address}: {days} days\n\n{protocol} {key} until {date}\n").unwrap();
        "\n[expiry-notice]\nto = [\"owners\", \"admin@example.net\"]\ntemplate = \"text\"\n".to_owned()
    });
    let mut told: Vec<(String, String)> = sink
        .wait_for(5)
        .iter()
        .map(|mail| {
            let text = mail.text();
            assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
            assert!(text.contains("From: postmaster@proxy.postseal.test\r\n"), "{text}");
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned();
            (mail.addresses().join(" "), subject)
        })
        .collect();
    told.sort();
    let expected = [
        ("admin@example.net", "carl@example.com: 5 days"),
        ("admin@example.net", "erin@example.org: 5 days"),
        ("admin@example.net", "finn@example.org: 20 days"),
        ("erin@example.org", "erin@example.org: 5 days"),
        ("finn@example.org", "finn@example.org: 20 days"),
    ];
    let told: Vec<(&str, &str)> = told.iter().map(|(to, subject)| (to.as_str(), subject.as_str())).collect();
    assert_eq!(told, expected, "{}", proxy.log());
    // A notice is written down when the server has taken it; one that is interrupted there is sent again.
    for _ in 0..100 {
        if proxy.log().matches("event=expiry-notice ").count() == 5 {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    // Neither a reload nor a new start tells them again.
    proxy.reload("event=configuration-loaded");
    proxy.kill();
    proxy.open();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(sink.received().len(), 5, "{}", proxy.log());
    assert!(proxy.log().contains("event=expiry-notice "), "{}", proxy.log());
}
