//! sendmail and filter before a real Postfix: what programs hand over arrives sealed as the configuration says, and gpg and openssl read it.

mod setup;

use std::{fs, process::Command};

use crate::support::{
    ports,
    postfix::{self, Postfix, Sink, run_with},
};
use setup::{Setup, text};

const LETTER: &str = "To: Bob <bob@example.net>, carol@bank.example\nCc: list@example.net\nBcc: ben@example.net\nSubject: hello\n\n\
hello\n.\nthere\n";

#[test]
fn each_copy_arrives_as_its_rule_says_and_others_read_it() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let sent = setup.sendmail(&["-t", "-i", "-F", "Alice A.", "-f", "alice@example.org"], LETTER.as_bytes());
    assert!(sent.status.success() && sent.stdout.is_empty(), "{}", text(&sent.stderr));
    let received = sink.wait_for(4);
    assert_eq!(received.len(), 4);
    let of = |address: &str| received.iter().find(|one| one.addresses() == [address]).expect(address).clone();
    for one in &received {
        assert!(!one.text().contains("ben@example.net"), "{}", one.text());
        assert!(one.sender.starts_with("<alice@example.org>"), "{}", one.sender);
        // What the caller left out is there, and the same in every copy.
        assert!(one.text().contains("\r\nFrom: \"Alice A.\" <alice@example.org>\r\n"), "{}", one.text());
        assert_eq!(setup::header(one, "Message-ID"), setup::header(&received[0], "Message-ID"));
    }
    for reader in ["bob@example.net", "ben@example.net"] {
        let plain = setup.gpg_decrypts(&of(reader));
        assert!(plain.ends_with("hello\r\n.\r\nthere\r\n"), "{plain}");
    }
    setup.gpg_verifies(&of("list@example.net"));
    assert!(of("list@example.net").text().contains("hello\r\n.\r\nthere\r\n"));
    let plain = setup.openssl_decrypts_and_verifies(&of("carol@bank.example"));
    assert!(plain.ends_with("hello\r\n.\r\nthere\r\n"), "{plain}");
}

#[test]
fn one_who_cannot_be_encrypted_to_stops_the_whole_mail() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let refused = setup
        .sendmail(&["-i", "-f", "alice@example.org", "bob@example.net", "dora@example.net"], b"Subject: x\n\nsecret\n");
    assert_eq!(refused.status.code(), Some(77));
    let said = text(&refused.stderr);
    assert!(
        said.starts_with("postseal: error: dora@example.net: no encryption key") && said.contains("rule \"partner\""),
        "{said}"
    );
    let refused = setup.sendmail(&["-i", "-f", "<>", "someone@elsewhere.example"], b"Subject: x\n\nsecret\n");
    assert_eq!(refused.status.code(), Some(77), "{}", text(&refused.stderr));
    let nobody = setup.sendmail(&["-t"], b"Subject: x\n\n");
    assert_eq!(nobody.status.code(), Some(64), "{}", text(&nobody.stderr));
    // Mail that goes afterwards shows that nothing went before.
    assert!(setup.sendmail(&["-i", "plain@example.net"], b"Subject: last\n\n").status.success());
    let received = sink.wait_for(1);
    assert_eq!((received.len(), received[0].addresses()), (1, vec!["plain@example.net"]));
}

#[test]
fn in_the_place_of_sendmail_it_takes_what_programs_have_always_written() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let named = setup.path("sendmail");
    fs::hard_link(setup.program(), &named).expect("a second name");
    let call = |arguments: &[&str], message: &str| {
        let mut command = Command::new(&named);
        let output =
            run_with(command.args(arguments).env("POSTSEAL_CONFIG", setup.path("postseal.toml")), message.as_bytes());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    // PHP's mail(): -t -i, CRLF in the header and LF in the body.
    call(
        &["-t", "-i"],
        "To: plain@example.net\r\nSubject: php\r\nX-PHP-Originating-Script: 0:a.php\r\n\r\nline\n.\nline\n",
    );
    // cron of Debian: a name in a comment.
    call(
        &["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "plain@example.net"],
        "From: root (Cron Daemon)\nTo: root\nSubject: cron\n\nout\n",
    );
    // By hand: a dot ends it; the null sender.
    call(&["-oem", "-f", "<>", "-N", "never", "--", "plain@example.net"], "Subject: hand\n\none\n.\ntwo\n");
    let received = sink.wait_for(3);
    let of = |subject: &str| {
        received.iter().find(|one| setup::header(one, "Subject") == Some(subject.to_owned())).expect(subject).clone()
    };
    assert!(of("php").text().ends_with("\r\n\r\nline\r\n.\r\nline\r\n"), "{}", of("php").text());
    let cron = of("cron");
    assert_eq!(setup::header(&cron, "From").as_deref(), Some("Cron Daemon <root@host.example.org>"));
    assert!(cron.sender.starts_with(&format!("<{}@host.example.org>", setup.user())), "{}", cron.sender);
    let hand = of("hand");
    assert!(hand.text().ends_with("\r\n\r\none\r\n"), "{}", hand.text());
    assert_eq!(hand.sender.split(' ').next(), Some("<>"));
    assert!(hand.recipients[0].contains("NOTIFY=NEVER"), "{:?}", hand.recipients);
    let said = call(&["-bv", "plain@example.net", "dora@example.net"], "");
    assert!(said.contains("plain@example.net... deliverable (rule \"plain\")\n"), "{said}");
    assert!(said.contains("dora@example.net... refused: "), "{said}");
    // The queue is the real program's.
    let is_empty = || call(&["-bp"], "").contains("Mail queue is empty");
    // A moment passes between the sink's last word and the end of the queue's file.
    assert!(
        (0..100).any(|_| is_empty() || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }),
        "the queue"
    );
}

/// The line of docs/manual/mail-servers.md, with a configuration of PHP's own.
#[test]
fn php_sends_and_is_told_of_refusals() {
    if !postfix::present(&["gpg", "openssl", "php"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let manual = include_str!("../../docs/manual/mail-servers.md");
    let line = manual.lines().find(|line| line.starts_with("sendmail_path = ")).expect("the manual's line");
    let own = line
        .replace("/etc/postseal/web.toml", &setup.path("postseal.toml").display().to_string())
        .replace("/usr/bin/postseal", &setup.program().display().to_string());
    assert!(own.contains("POSTSEAL_CONFIG=/"), "{own}");
    fs::write(setup.path("php.ini"), own).expect("a file");
    let mail = |to: &str| {
        let script = format!(
            "exit(mail('{to}', 'web', \"hello\\n.\\nthere\\n\", ['From' => 'alice@example.org'], '-falice@example.org') ? 0 : 1);"
        );
        run_with(Command::new("php").arg("-c").arg(setup.path("php.ini")).args(["-r", &script]), b"")
    };
    let sent = mail("bob@example.net");
    assert!(sent.status.success(), "{}{}", text(&sent.stdout), text(&sent.stderr));
    let refused = mail("dora@example.net");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("dora@example.net: no encryption key"), "{}", text(&refused.stderr));
    let received = sink.wait_for(1);
    assert_eq!((received.len(), received[0].addresses()), (1, vec!["bob@example.net"]));
    let plain = setup.gpg_decrypts(&received[0]);
    assert!(plain.contains("hello\r\n.\r\nthere\r\n"), "{plain}");
}

#[test]
fn it_speaks_smtp_on_standard_input_and_output() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let talk = "EHLO x\r\nMAIL FROM:<alice@example.org> SIZE=10 RET=HDRS\r\nRCPT TO:<bob@example.net> NOTIFY=NEVER\r\n\
                RCPT TO:<dora@example.net>\r\nDATA\r\nSubject: refused\r\n\r\nsecret\r\n.\r\n\
                RCPT TO:<bob@example.net>\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nRCPT TO:<a b>\r\n\
                DATA\r\nSubject: one\r\n\r\n..\r\none\r\n.\r\n\
                MAIL FROM:<>\nRCPT TO:<plain@example.net> FOO=1\nRCPT TO:<plain@example.net>\nDATA\nSubject: two\n\ntwo\n.\nWHAT\nQUIT\n";
    let said = setup.sendmail(&["-bs"], talk.as_bytes());
    assert!(said.status.success(), "{}", text(&said.stderr));
    let said = text(&said.stdout);
    let codes: Vec<&str> = said.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect();
    let expected = "220 250 250 250 250 354 550 503 250 250 501 354 250 250 555 250 354 250 500 221";
    assert_eq!(codes.join(" "), expected, "{said}");
    assert!(said.contains("550 5.7.1 dora@example.net: no encryption key"), "{said}");
    let received = sink.wait_for(2);
    assert_eq!(received.len(), 2);
    let of = |address: &str| received.iter().find(|one| one.addresses() == [address]).expect(address);
    assert!(setup.gpg_decrypts(of("bob@example.net")).ends_with("\r\n.\r\none\r\n"));
    let plain = of("plain@example.net");
    assert!(plain.sender.starts_with("<>") && plain.text().ends_with("\r\n\r\ntwo\r\n"), "{}", plain.text());
    let ids: Vec<_> = received.iter().map(|one| setup::header(one, "Message-ID")).collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_real_program_may_refuse() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    // Stops before it reads what it is given.
    for (status, ours) in [(75, 75), (69, 75), (64, 64), (1, 75)] {
        setup.hand_over_to("/bin/sh", &["-c", &format!("echo busy >&2; exit {status}")]);
        let refused =
            setup.sendmail(&["-i", "plain@example.net"], &[b"Subject: x\n\n".to_vec(), vec![b'x'; 1 << 20]].concat());
        assert_eq!(refused.status.code(), Some(ours), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains("busy"), "{}", text(&refused.stderr));
    }
    setup.hand_over_to(setup.program().to_str().expect("UTF-8"), &[]);
    let refused = setup.sendmail(&["-i", "plain@example.net"], b"x");
    assert_eq!(refused.status.code(), Some(75));
    assert!(text(&refused.stderr).contains("is postseal itself"), "{}", text(&refused.stderr));
}

#[test]
fn the_filter_writes_all_or_nothing() {
    if !postfix::present(&["gpg", "openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[], "");
    let setup = Setup::new(&postfix);
    let letter = b"From: alice@example.org\nTo: bob@example.net\nSubject: x\n\nhello\n";
    let from = ["filter", "--user", setup.user(), "-f", "alice@example.org", "--"];
    let filter = |recipients: &[&str]| setup.run(&[&from[..], recipients].concat(), letter);
    let sealed = filter(&["bob@example.net"]);
    assert!(sealed.status.success(), "{}", text(&sealed.stderr));
    assert!(text(&sealed.stdout).contains("multipart/encrypted") && !sealed.stdout.contains(&b'\r'));
    let plain = filter(&["plain@example.net"]);
    assert_eq!(plain.stdout, letter);
    for (recipients, status, words) in [
        (&["bob@example.net", "plain@example.net"][..], 75, "different messages"),
        (&["dora@example.net"], 77, "dora@example.net: "),
        (&["later@example.net"], 75, "later@example.net: "),
        (&["held@example.net"], 75, "to be held"),
        (&["plain@example.net", "bob"], 64, "bob"),
    ] {
        let refused = filter(recipients);
        assert_eq!(refused.status.code(), Some(status), "{recipients:?}: {}", text(&refused.stderr));
        assert!(refused.stdout.is_empty() && text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    }
    let discarded = filter(&["void@example.net"]);
    assert!(discarded.status.success() && discarded.stdout.is_empty());
    // Without a configuration no mail is lost: the caller keeps it.
    let lost = setup.run(&["filter", "-c", "absent.toml", "-f", "", "plain@example.net"], letter);
    assert_eq!(lost.status.code(), Some(75), "{}", text(&lost.stderr));
}

/// What docs say of pipe(8): Postfix's queue keeps the mail while the filter says 75, and the null sender stays.
#[test]
fn postfix_calls_the_filter_by_pipe() {
    if !postfix::present(&["gpg", "openssl", "swaks"]) {
        return;
    }
    let sink = Sink::start();
    let back = ports::free_port();
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let script = folder.path().join("call");
    let master = format!(
        "127.0.0.1:{back} inet n - n - - smtpd -o content_filter=\n\
         postseal unix - n n - 2 pipe flags=Rq user=nobody null_sender= argv={} ${{sender}} ${{recipient}}\n",
        script.display()
    );
    let main = [("content_filter", "postseal:dummy"), ("postseal_destination_recipient_limit", "1")];
    let postfix = Postfix::start(sink.port(), &main, &master);
    let setup = Setup::new(&postfix);
    setup.belong_to("nobody");
    setup::executable(folder.path());
    let call = format!(
        "#!/bin/sh\nout=$(mktemp) || exit 75\n{} filter -c {} --trusted -f \"$1\" -- \"$2\" > \"$out\" || {{ status=$?; rm \"$out\"; exit $status; }}\n\
         swaks --silent 2 --server 127.0.0.1 --port {back} --helo x --from \"${{1:-<>}}\" --to \"$2\" --data \"@$out\" > /dev/null\n\
         status=$?; rm \"$out\"; [ $status = 0 ] || exit 75\n",
        setup.program().display(),
        setup.path("postseal.toml").display()
    );
    fs::write(&script, call).expect("the script");
    setup::executable(&script);
    let letter = b"From: alice@example.org\nTo: bob@example.net\nSubject: x\n\nhello\n";
    for (sender, recipients) in
        [("alice@example.org", vec!["bob@example.net", "plain@example.net"]), ("<>", vec!["plain@example.net"])]
    {
        let to = recipients.join(",");
        let port = postfix.port().to_string();
        let mut swaks = Command::new("swaks");
        swaks.args([
            "--silent",
            "2",
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            "--from",
            sender,
            "--to",
            &to,
            "--data",
            "-",
        ]);
        let sent = run_with(&mut swaks, letter);
        assert!(sent.status.success(), "{}", text(&sent.stderr));
    }
    let received = sink.wait_for(3);
    let bob = received.iter().find(|one| one.addresses() == ["bob@example.net"]).expect("bob's copy");
    let plain = setup.gpg_decrypts(bob);
    // swaks ends what it is given with a line of its own.
    assert!(plain.contains("\r\nhello\r\n"), "{plain:?}");
    let senders: Vec<&str> = received
        .iter()
        .filter(|one| one.addresses() == ["plain@example.net"])
        .filter_map(|one| one.sender.split(' ').next())
        .collect();
    assert!(senders.contains(&"<>") && senders.contains(&"<alice@example.org>"), "{senders:?}");
}
