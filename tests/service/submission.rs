//! `postseal serve` before the queue: SMTP with real clients, a real Postfix behind it, and gpg and openssl at the end.

mod bounds;
mod cluster;
pub(crate) mod crash;
pub(crate) mod dialogue;
pub(crate) mod killer;
mod login;
mod mailboxes;
mod quarantine;
mod room;
mod store_killed;
mod strangers;
mod trace;
mod upstream;

use std::process::Command;

use crate::proxy::Proxy;
use crate::support::postfix::{Postfix, Sink, present, run_with};

/// Through a real Postfix, sent by swaks and by Python: each recipient gets what the rules say, and gpg and openssl can read it.
#[test]
fn each_recipient_gets_what_the_rules_say() {
    if !present(&["swaks", "python3", "gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let proxy = Proxy::start(postfix.port(), "");
    let to = "bob@example.net,carol@example.com,dave@plain.test";
    let port = proxy.port().to_string();
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &port, "--ehlo", "client.test", "--from", "alice@example.org"]);
    swaks.args(["--to", to, "--header", "Subject: by swaks", "--body", "the plan\n.\nbehind a dot\n", "--pipeline"]);
    let said = run_with(&mut swaks, b"");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));

    let arrived = sink.wait_for(3);
    for received in &arrived {
        assert!(received.text().contains("(postseal) with ESMTP id "), "{}", received.text());
        assert_eq!(received.sender.split(' ').next(), Some("<alice@example.org>"));
        let text = match received.addresses().as_slice() {
            ["bob@example.net"] => proxy.gpg_decrypt("bob@example.net", &received.message),
            ["carol@example.com"] => proxy.openssl_decrypt("carol@example.com", &received.message),
            ["dave@plain.test"] => received.text(),
            other => panic!("{other:?}"),
        };
        assert!(
            text.contains("the plan") && text.contains("\n.\r\nbehind a dot") | text.contains("\n.\nbehind a dot"),
            "{text}"
        );
    }
    assert_eq!(arrived.iter().filter(|received| received.text().contains("the plan")).count(), 1, "one in clear");

    let script = format!("import smtplib\ns = smtplib.SMTP('127.0.0.1', {})\n{PYTHON}", proxy.port());
    let said = run_with(Command::new("python3").arg("-"), script.as_bytes());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    // In whatever order Postfix delivers them.
    let arrived = sink.wait_for(5);
    let texts: Vec<String> =
        arrived[3..].iter().map(|received| proxy.gpg_decrypt("bob@example.net", &received.message)).collect();
    assert!(texts.iter().any(|text| text.contains("=2E.two dots") && text.contains("zw=C3=B6lf")), "{texts:?}");
}

/// AUTH goes to the upstream, under TLS; what it refuses is refused.
#[test]
fn who_logs_in_is_for_the_upstream_to_say() {
    if !present(&["python3", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let log_in = |mechanism: &str| {
        let script = format!("import smtplib, ssl\nport, mechanism = {}, 'auth_{mechanism}'\n{LOGIN}", proxy.tls());
        let output = run_with(Command::new("python3").arg("-"), script.as_bytes());
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    sink.answer("AUTH", "535 5.7.8 who?");
    let (_, said) = log_in("plain");
    assert!(said.contains("(535, b'5.7.8 who?')") && sink.received().is_empty(), "{said}");
    sink.answer("AUTH", "250 as before");
    for (count, mechanism) in [(1, "plain"), (2, "login")] {
        let (good, said) = log_in(mechanism);
        assert!(good, "{said}");
        let arrived = sink.wait_for(count);
        let text = arrived.last().expect("one").text();
        assert!(text.contains("(postseal) with ESMTPSA id "), "{text}");
    }
}

const LOGIN: &str = r#"
s = smtplib.SMTP('127.0.0.1', port)
s.starttls(context=ssl._create_unverified_context())
s.ehlo('client.test')
s.user, s.password = 'alice@example.org', 'secret'
s.auth(mechanism[5:].upper(), getattr(s, mechanism))
s.sendmail('alice@example.org', ['bob@example.net'], 'From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n')
s.quit()
"#;

/// postseal logs in by itself where the configuration says as whom, and does not send the password where it could be overheard.
#[test]
fn postseal_logs_in_at_the_upstream() {
    let sink = Sink::start();
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let (config, password) = (folder.path().join("postseal.toml"), folder.path().join("password"));
    std::fs::write(&password, "secret\n").expect("a password");
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let send = |upstream: &str| {
        let text = format!(
            "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.postseal.test\"\nlocal-domains = [\"example.org\"]\n\
            [upstream]\nlogin = \"alice\"\npassword = {{ file = \"password\" }}\n{upstream}\n\
            [[rule]]\nname = \"clear\"\naction = \"clear\"\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.env("POSTSEAL_CONFIG", &config).args(["sendmail", "-i", "-f", "alice@example.org", "dave@plain.test"]);
        let output = run_with(&mut command, b"From: alice@example.org\n\nx\n");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let here = format!("smart-host = \"127.0.0.1:{}\"\ntls = \"none\"", sink.port());
    // Any other name or password would be welcome.
    sink.answer("AUTH PLAIN AGFSAWNLAHNLY3JLDA==", "535 5.7.8 who?");
    let (code, said) = send(&here);
    assert!(code == Some(75) && said.contains("rejected the login of this server: 535 5.7.8 who?"), "{code:?} {said}");
    assert!(sink.received().is_empty());
    sink.answer("AUTH PLAIN AGFSAWNLAHNLY3JLDA==", "250 as before");
    assert_eq!(send(&here), (Some(0), String::new()));
    assert_eq!(sink.wait_for(1)[0].addresses(), ["dave@plain.test"]);
    for (upstream, why) in [
        (
            "smart-host = \"mail.example.org:587\"",
            "login: a password goes to another machine with tls = \"required\" only",
        ),
        ("mx = true", "login: goes with smart-host"),
        ("mx = true\nxforward = true", "xforward: goes with smart-host"),
    ] {
        let (code, said) = send(upstream);
        assert!(code == Some(75) && said.contains(why), "{code:?} {said}");
    }
}

/// Without a sendmail to hand over to, `postseal sendmail` speaks to the upstream itself.
#[test]
fn sendmail_speaks_to_the_upstream() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let message = "From: alice@example.org\nTo: dave@plain.test\nSubject: x\n\n.a\n.\n..\n";
    let output = proxy.sendmail(&["-i", "-t", "-f", "alice@example.org"], message);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let arrived = sink.wait_for(1);
    assert!(arrived[0].text().ends_with("\r\n\r\n.a\r\n.\r\n..\r\n"), "{}", arrived[0].text());
    sink.answer("RCPT TO:<DAVE@", "550 5.1.1 no such person");
    let output = proxy.sendmail(&["-i", "-t", "-f", "alice@example.org"], message);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(77) && said.contains("550 5.1.1 no such person"),
        "{:?} {said}",
        output.status
    );
    sink.hang_up();
    assert_eq!(proxy.sendmail(&["-i", "-t", "-f", "alice@example.org"], message).status.code(), Some(75));
}

const PYTHON: &str = r#"
s.ehlo('client.test')
assert s.has_extn('chunking') and s.has_extn('smtputf8') and s.has_extn('dsn'), s.esmtp_features
refused = s.sendmail('alice@example.org', ['bob@example.net'],
    'From: alice@example.org\r\nTo: bob@example.net\r\nSubject: by Python\r\n\r\nfirst\r\n')
assert not refused, refused
s.sendmail('alice@example.org', ['bob@example.net'],
    'From: alice@example.org\r\nTo: bob@example.net\r\nSubject: 8 bit\r\nMIME-Version: 1.0\r\n'
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n..two dots\r\nzw\u00f6lf\r\n'.encode(),
    mail_options=['BODY=8BITMIME', 'RET=HDRS'], rcpt_options=['NOTIFY=NEVER'])
for to, code in [('eve@refused.test', 550), ('eve@later.test', 451)]:
    try:
        s.sendmail('alice@example.org', ['bob@example.net', to], 'From: alice@example.org\r\nSubject: no\r\n\r\nx\r\n')
    except smtplib.SMTPDataError as error:
        assert error.smtp_code == code, error
    else:
        raise AssertionError(to)
assert s.verify('alice@example.org')[0] == 502
assert s.expn('staff')[0] == 502
s.quit()
"#;
