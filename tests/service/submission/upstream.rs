//! What the next server may do to us: TLS that is required, replies that make no sense, a login that is over.

use std::{fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    proxy::Proxy,
    submission::dialogue::Client,
    support::{
        certificates::{authority, certificate},
        postfix::{Postfix, Sink, present, run_with},
    },
};

/// `tls = "required"`: nothing goes to whom no certificate vouches for, nor in clear.
#[test]
fn nothing_goes_to_a_server_that_does_not_prove_who_it_is() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let folder = tempfile::tempdir().expect("a throwaway folder");
    authority(folder.path(), "ours");
    authority(folder.path(), "theirs");
    for (name, issuer, host) in
        [("good", "ours", "localhost"), ("strange", "theirs", "localhost"), ("misnamed", "ours", "mail.example.org")]
    {
        certificate(folder.path(), name, issuer, host);
    }
    let send = |port: u16| {
        let config = format!(
            "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.postseal.test\"\nlocal-domains = [\"example.org\"]\n\
             [upstream]\nsmart-host = \"localhost:{port}\"\ntls = \"required\"\n[[rule]]\nname = \"clear\"\naction = \"clear\"\n"
        );
        fs::write(folder.path().join("postseal.toml"), config).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.env("POSTSEAL_CONFIG", folder.path().join("postseal.toml"));
        // Instead of the authorities that this machine trusts.
        command.env("SSL_CERT_FILE", folder.path().join("ours.pem")).env_remove("SSL_CERT_DIR");
        command.args(["sendmail", "-i", "-f", "alice@example.org", "dave@plain.test"]);
        let output = run_with(&mut command, b"From: alice@example.org\nSubject: x\n\nx\n");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let postfix = |name: &str| {
        let file = |ending: &str| folder.path().join(format!("{name}.{ending}")).display().to_string();
        let (key, certificate) = (file("key"), file("pem"));
        let settings = [
            ("smtpd_tls_security_level", "may"),
            ("smtpd_tls_key_file", key.as_str()),
            ("smtpd_tls_cert_file", certificate.as_str()),
            ("smtpd_tls_received_header", "yes"),
        ];
        Postfix::start(sink.port(), &settings, "")
    };
    for (name, why) in [("strange", "UnknownIssuer"), ("misnamed", "not valid for name")] {
        let (code, said) = send(postfix(name).port());
        assert!(code == Some(75) && said.contains("451 4.7.5 no TLS with localhost: "), "{name}: {code:?} {said}");
        assert!(said.contains(why), "{name}: {said}");
    }
    let (code, said) = send(sink.port());
    let why = "451 4.7.4 localhost does not offer STARTTLS, which is required";
    assert!(code == Some(75) && said.contains(why), "{code:?} {said}");
    assert!(sink.received().is_empty());
    // It delivers as long as it runs.
    let good = postfix("good");
    assert_eq!(send(good.port()), (Some(0), String::new()));
    let arrived = sink.wait_for(1);
    assert!(arrived[0].text().contains("with ESMTPS id "), "{}", arrived[0].text());
}

/// "Go on" where nothing goes on is no answer: the client is told to come again, and never hears it as if it were ours.
#[test]
fn replies_that_make_no_sense_are_not_passed_on() {
    if !present(&["openssl"]) {
        return;
    }
    let letter = "From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n";
    for (command, answer, shown) in [
        ("MAIL FROM:", "354 go on", "354 of the next server to MAIL FROM:<alice@example.org>"),
        ("RCPT TO:", "334 go on", "334 of the next server to RCPT TO:<dave@plain.test>"),
        ("DATA", "334 go on", "334 of the next server to DATA"),
        (".", "354 go on", "354 of the next server to the message"),
    ] {
        let sink = Sink::start();
        let proxy = Proxy::start(sink.port(), "");
        sink.answer(command, answer);
        let mut client = Client::new(&proxy);
        client.begin("dave@plain.test");
        let said = client.say(letter);
        assert!(said.starts_with("451 4.5.0 ") && said.contains(shown), "{command}: {said}");
        assert!(client.say("NOOP\r\n").starts_with("250"), "{command}: the dialogue goes on");
        assert!(sink.received().is_empty(), "{command}");
        sink.answer(command, "250 as before");
        client.begin("dave@plain.test");
        assert!(client.say(letter).starts_with("250"), "{command}: the next one passes");
        assert_eq!(sink.wait_for(1).len(), 1);
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    sink.answer("AUTH", "334 go on");
    let mut client = Client::on(proxy.connect(proxy.tls()));
    client.say("EHLO client.test\r\n");
    let said = client.say(plain());
    assert!(said.starts_with("535 5.7.8 Error: authentication failed"), "{said}");
}

/// Who logged in before STARTTLS or XCLIENT is not whoever talks behind it, and has no connection with the upstream either.
#[test]
fn a_login_that_is_over_is_forgotten() {
    if !present(&["openssl", "python3"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "trusted.peers = [\"127.0.0.1\"]");
    let log_in = || {
        let mut client = Client::on(proxy.connect(proxy.tls()));
        client.say("EHLO client.test\r\n");
        assert!(client.say(plain()).starts_with("235"));
        client
    };
    let letter = "From: dave@plain.test\r\nSubject: x\r\n\r\nx\r\n.\r\n";
    let mut client = log_in();
    client.begin("dave@plain.test");
    assert!(client.say(letter).starts_with("250"));
    let received = &sink.wait_for(1)[0];
    assert!(received.login.is_some() && received.text().contains(" with ESMTPA id "), "{}", received.text());

    // 127.0.0.2 is in a trusted network, and may send.
    let mut client = log_in();
    assert!(client.say("XCLIENT ADDR=127.0.0.2\r\n").starts_with("220"));
    client.begin("dave@plain.test");
    assert!(client.say(letter).starts_with("250"));
    let received = &sink.wait_for(2)[1];
    assert!(received.login.is_none() && received.text().contains("([127.0.0.2])\r\n"), "{}", received.text());
    assert!(received.text().contains(" with ESMTP id "), "{}", received.text());

    let proxy = Proxy::start(sink.port(), "");
    let script = format!("import smtplib, ssl\nport = {}\n{PYTHON}", proxy.tls());
    let said = run_with(Command::new("python3").arg("-"), script.as_bytes());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let received = &sink.wait_for(3)[2];
    assert!(received.login.is_none() && received.text().contains(" with ESMTPS id "), "{}", received.text());
}

const PYTHON: &str = r#"
s = smtplib.SMTP('127.0.0.1', port, local_hostname='client.test')
s.login('alice@example.org', 'secret')
s.starttls(context=ssl._create_unverified_context())
s.sendmail('alice@example.org', ['dave@plain.test'], 'From: dave@plain.test\r\nSubject: x\r\n\r\nx\r\n')
s.quit()
"#;

fn plain() -> String {
    format!("AUTH PLAIN {}\r\n", STANDARD.encode("\0alice@example.org\0secret"))
}
