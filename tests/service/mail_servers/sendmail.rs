//! A real Sendmail, with the filters that docs/manual/mail-servers.md shows.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use crate::{
    mail_servers::tree::{Tree, present, shown},
    milter::setup::{Copies, Dkim, Server, client, letter, send, stranger, try_send},
    support::{
        ports::free_port,
        postfix::{Received, Sink},
    },
};

const PROGRAMS: &[&str] = &["gpg", "openssl"];
const PROGRAM: &str = "usr/libexec/sendmail/sendmail";

/// A running Sendmail that relays everything to a sink.
struct Sendmail {
    tree: Tree,
    port: u16,
}

impl Sendmail {
    /// A server that accepts connections after [`Sendmail::open`].
    fn new() -> Sendmail {
        let tree = Tree::new();
        for (folder, owner, mode) in [
            ("/var/spool/mqueue", "root", 0o700),
            ("/var/lib/sendmail/host_status", "root", 0o700),
            ("/run/sendmail/mta", "root", 0o755),
            // As systemd makes it: postseal's own.
            ("/run/postseal", "nobody", 0o755),
        ] {
            tree.folder(folder, owner, mode);
        }
        Sendmail { tree, port: free_port() }
    }

    /// The socket of the manual's milter.
    fn socket(&self) -> PathBuf {
        self.tree.path("/run/postseal/milter")
    }

    /// Starts it with these lines of the configuration's source.
    fn open(&mut self, sink: &Sink, filters: &str) {
        let source = MC
            .replace("FILTERS", filters)
            .replace("OURS", &self.port.to_string())
            .replace("SINK", &sink.port().to_string());
        self.tree.write("/srv/sendmail.mc", &source);
        let configuration = self
            .tree
            .run("m4", &["-D_CF_DIR_=/usr/share/sendmail/cf/", "/usr/share/sendmail/cf/m4/cf.m4", "/srv/sendmail.mc"]);
        self.tree.write("/etc/mail/sendmail.cf", &configuration);
        self.tree.start(&format!("/{PROGRAM}"), &["-bD", "-X", "/srv/said"], self.port);
    }

    /// What `mailq` shows.
    fn queue(&self, option: &str) -> String {
        self.tree.run(&format!("/{PROGRAM}"), &["-bp", option])
    }
}

impl Drop for Sendmail {
    fn drop(&mut self) {
        if thread::panicking() {
            // Why something is still there helps to understand the failure.
            let _ = writeln!(io::stderr(), "the queue:\n{}", self.queue("-v"));
        }
    }
}

/// The line of the manual that names us, or both.
fn filters(count: usize, dkim: u16) -> String {
    let lines = shown("Sendmail", 0).lines().filter(|line| line.starts_with("INPUT_MAIL_FILTER"));
    lines.take(count).map(|line| line.replace("8892", &dkim.to_string()) + "\n").collect()
}

/// A Sendmail with our filter, and our filter.
fn start(sink: &Sink, copies: Copies) -> (Sendmail, Server) {
    let mut sendmail = Sendmail::new();
    let server = Server::at(&sendmail.socket(), copies);
    sendmail.open(sink, &filters(1, 0));
    (sendmail, server)
}

#[test]
fn outgoing_mail_is_sealed_as_the_rules_say() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    for to in ["bob@example.net", "carol@bank.example", "list@example.net", "paper@example.net", "clear@example.net"] {
        send(sendmail.port, "alice@example.org", &[to], &letter("alice@example.org", to, "hello\r\n.\r\n..\r\n"));
    }
    let received = sink.wait_for(5);
    let of = |to: &str| received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));
    let bob = of("bob@example.net");
    assert!(bob.text().contains("multipart/encrypted") && !bob.text().contains("hello"), "{}", bob.text());
    let (clear, status) = server.gpg_decrypt("bob@example.net", &bob.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");
    assert!(status.contains("GOODSIG") && status.contains("alice@example.org"), "{status}");
    let carol = of("carol@bank.example");
    assert!(carol.text().contains("application/pkcs7-mime") && !carol.text().contains("hello"), "{}", carol.text());
    let clear = server.openssl_decrypt("carol@bank.example", &carol.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");
    assert!(server.gpg_verify(&of("list@example.net").message).contains("GOODSIG"));
    assert!(server.openssl_verify("alice@example.org", &of("paper@example.net").message).contains("hello"));
    assert!(of("clear@example.net").text().ends_with("\r\n\r\nhello\r\n.\r\n..\r\n"));
    for one in &received {
        // Encrypted mail hides its subject (RFC 9788, section 3.2.1).
        let is_encrypted = ["bob@example.net", "carol@bank.example"].iter().any(|to| one.addresses() == [*to]);
        let subject = if is_encrypted { "\r\nSubject: [...]\r\n" } else { "\r\nSubject: a\r\n folded one\r\n" };
        assert!(one.text().contains(subject), "{}", one.text());
    }
}

/// The MTA tells and is told fields without the folds' CR, and counts them: nothing but what sealing changes may change.
#[test]
fn header_fields_stay_as_they_came() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    let fields = "Received: from x by y;\r\n\tTue, 24 Nov 2026 00:00:00 +0000\r\nReceived: from w by x; Tue, 24 Nov 2026 00:00:00 +0000\r\n\
                  From: alice@example.org\r\nTo: \"Lee, Bo\" <list@example.net>\r\nSubject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?=\r\n\
                  References: <1@example.org>\r\n\t<2@example.org>\r\n  <3@example.org>\r\nX-None:value\r\nX-Two:  two\r\n\
                  X-Same: 1\r\nX-Other: here\r\nX-Same: 2\r\nX-Same:\r\n folded at once\r\nX-Percent: 100%\r\n\
                  Date: Tue, 24 Nov 2026 00:00:00 +0000\r\nMessage-ID: <m@example.org>\r\nMIME-Version: 1.0\r\n\
                  Content-Type: text/plain;\r\n\tcharset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n";
    let message = format!("{fields}\r\nhello\r\n\r\n\tthere\r\n");
    for to in ["clear@example.net", "list@example.net", "paper@example.net", "bob@example.net"] {
        send(sendmail.port, "alice@example.org", &[to], message.as_bytes());
    }
    let received = sink.wait_for(4);
    let header = |one: &Received| {
        let text = one.text();
        let header = text.split("\r\n\r\n").next().expect("a header");
        // Sendmail's own Received is the only one with its name.
        let own = header.split_once("Received: from x").expect("the fields below Sendmail's").1;
        let (kept, sealed) = own.split_once("MIME-Version").expect("content fields");
        (kept.to_owned(), sealed.to_owned())
    };
    let expected = fields.split_once("Received: from x").and_then(|(_, rest)| rest.split_once("MIME-Version"));
    let (kept, content) = expected.expect("fields");
    for one in &received {
        let hidden = kept.replacen("Subject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "Subject: [...]", 1);
        let kept = if one.addresses() == ["bob@example.net"] { hidden.as_str() } else { kept };
        assert_eq!(header(one).0, kept, "{:?}", one.addresses());
        match one.addresses().as_slice() {
            ["clear@example.net"] => assert_eq!(header(one).1 + "\r\n", content),
            ["list@example.net"] => assert!(server.gpg_verify(&one.message).contains("GOODSIG")),
            ["paper@example.net"] => {
                let signed = server.openssl_verify("alice@example.org", &one.message);
                assert!(signed.ends_with("\r\n\r\nhello\r\n\r\n\tthere\r\n"), "{signed:?}");
            }
            _ => assert!(server.gpg_decrypt("bob@example.net", &one.message).0.ends_with("hello\r\n\r\n\tthere\r\n")),
        }
    }
}

/// Sendmail counts the fields of a name from the first; its own (Received, and a Date and Message-ID that were missing) must not count.
#[test]
fn rules_edit_the_fields_that_they_mean() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    let message = "Received: from x by y; Tue, 24 Nov 2026 00:00:00 +0000\r\nX-Same: 1\r\nFrom: alice@example.org\r\nX-Other: 2\r\n\
                   X-Same: 3\r\n folded\r\nSubject: a\r\n folded one\r\nX-Same: 4\r\nX-Last: 5\r\n\r\nhello\r\n";
    send(sendmail.port, "alice@example.org", &["edited@example.net"], message.as_bytes());
    let received = sink.wait_for(1);
    let text = received[0].text();
    let header = text.split_once("\r\n\r\n").expect("a header").0;
    let count = |name: &str| header.split("\r\n").filter(|line| line.starts_with(name)).count();
    assert_eq!((count("Received:"), count("Date:"), count("Message-Id:"), count("X-Same:")), (2, 1, 1, 1), "{header}");
    for field in ["X-Same: ours", "X-Other: 2", "X-Last: 5", "Subject: [x] a\r\n folded one"] {
        assert!(format!("\r\n{header}\r\n").contains(&format!("\r\n{field}\r\n")), "{field}: {header}");
    }
    assert!(server.gpg_verify(&received[0].message).contains("GOODSIG"));
}

#[test]
fn a_large_message_passes() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    let line = format!("{}\r\n", "x".repeat(70));
    let body = line.repeat(2 * 1024 * 1024 / line.len());
    for to in ["bob@example.net", "list@example.net"] {
        send(sendmail.port, "alice@example.org", &[to], &letter("alice@example.org", to, &body));
    }
    for one in sink.wait_for(2) {
        if one.addresses() == ["bob@example.net"] {
            assert!(server.gpg_decrypt("bob@example.net", &one.message).0.ends_with(&body));
        } else {
            assert!(server.gpg_verify(&one.message).contains("GOODSIG") && one.text().contains(&body));
        }
    }
}

#[test]
fn what_may_not_go_is_refused_and_named() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    let reply = |from: &str, to: &[&str]| try_send(sendmail.port, from, to, &letter(from, to[0], "hello\r\n"));
    let no_key = reply("alice@example.org", &["dora@example.net"]);
    assert!(no_key.starts_with("550 5.7.1 ") && no_key.contains("dora@example.net"), "{no_key}");
    let one_of_two = reply("alice@example.org", &["bob@example.net", "dora@example.net"]);
    assert!(one_of_two.starts_with("550 5.7.1 ") && one_of_two.contains("dora@example.net"), "{one_of_two}");
    let later = reply("alice@example.org", &["later@example.net"]);
    assert!(later.starts_with("451 4.7.1 ") && later.contains("100% later"), "{later}");
    let forged = reply("mallory@example.org", &["bob@example.net"]);
    assert!(forged.starts_with("550 5.7.1 "), "{forged}");
    let different = reply("alice@example.org", &["bob@example.net", "carol@bank.example"]);
    assert!(different.starts_with("451 4.7.1 ") && different.contains("different copies"), "{different}");
    let discarded = reply("alice@example.org", &["void@example.net"]);
    assert!(discarded.starts_with("250 "), "{discarded}");
    // On one connection: a refusal is forgotten with its message, and so is what RSET ends.
    let replies = client(
        sendmail.port,
        &[
            "EHLO x\r\n",
            "MAIL FROM:<alice@example.org>\r\n",
            "RCPT TO:<dora@example.net>\r\n",
            "DATA\r\n",
            "From: alice@example.org\r\n\r\nrefused\r\n.\r\n",
            "MAIL FROM:<alice@example.org>\r\n",
            "RCPT TO:<dora@example.net>\r\n",
            "RSET\r\n",
            "MAIL FROM:<>\r\n",
            "RCPT TO:<bob@example.net>\r\n",
            "DATA\r\n",
            "From: alice@example.org\r\n\r\nsecond\r\n.\r\n",
            "QUIT\r\n",
        ],
    );
    assert!(replies[4].starts_with("550 5.7.1") && replies[11].starts_with("250"), "{replies:?}");
    let received = sink.wait_for(1);
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].sender.split(' ').next(), Some("<>"));
    assert!(server.gpg_decrypt("bob@example.net", &received[0].message).0.contains("second"));
    sendmail.tree.wait_for(|| sendmail.queue("-Am"), "is empty");

    // `F=T`: without us nothing passes, and nothing is lost.
    drop(server);
    let alone = client(sendmail.port, &["EHLO x\r\n", "MAIL FROM:<alice@example.org>\r\n"]);
    assert!(alone[1].starts_with("451 4."), "{alone:?}");
    assert_eq!(sink.received().len(), 1);
}

#[test]
fn incoming_mail_is_judged_and_forged_results_go() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Tempfail);
    let signed = server.gpg_clearsigned("bob@example.net");
    for (subject, body) in [("plain", "hello\r\n".to_owned()), ("signed", signed)] {
        let text = format!(
            "Authentication-Results: mx.example.org; smime=pass\r\nReceived: from x by y; Tue, 24 Nov 2026 00:00:00 +0000\r\n\
             Authentication-Results: other.example; dkim=pass\r\nAuthentication-Results: mx.example.org;\r\n\tsmime=pass\r\n\
             From: bob@example.net\r\nTo: alice@example.org\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.net>\r\n\
             Date: Tue, 24 Nov 2026 00:00:00 +0000\r\n\r\n{body}"
        );
        let replies = stranger(
            sendmail.port,
            &[
                "EHLO stranger.example\r\n",
                "MAIL FROM:<bob@example.net>\r\n",
                "RCPT TO:<alice@example.org>\r\n",
                "DATA\r\n",
                &format!("{text}.\r\n"),
            ],
        );
        assert!(replies.last().is_some_and(|reply| reply.starts_with("250 ")), "{replies:?}");
    }
    for one in sink.wait_for(2) {
        let text = one.text();
        assert!(!text.contains("smime=pass"), "{text}");
        // A host that the configuration does not list.
        assert!(!text.contains("other.example; dkim=pass"), "{text}");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("Authentication-Results: mx.example.org;"), "{text}");
        let is_signed = text.contains("Subject: signed");
        assert_eq!(text.contains("x-pgp=pass"), is_signed, "{text}");
    }
}

#[test]
fn a_login_signs_only_for_its_own_address() {
    if !present(PROGRAM, PROGRAMS) || !present("usr/sbin/saslpasswd2", &[]) {
        return;
    }
    let sink = Sink::start();
    let mut sendmail = Sendmail::new();
    let server = Server::at(&sendmail.socket(), Copies::Tempfail);
    for folder in ["/etc/mail/sasl", "/usr/lib/sasl2"] {
        sendmail.tree.folder(folder, "root", 0o755);
    }
    sendmail.tree.write("/etc/mail/sasl/Sendmail.conf.2", "pwcheck_method: auxprop\nmech_list: PLAIN\n");
    for (name, realm) in [("alice", "example.org"), ("carl", "example.org"), ("dave", "mx.example.org")] {
        let command = format!("printf secret | saslpasswd2 -p -c -u {realm} {name}");
        sendmail.tree.run("sh", &["-c", &command]);
    }
    sendmail.open(&sink, &filters(1, 0));
    let message = String::from_utf8(letter("alice@example.org", "list@example.net", "hello\r\n")).expect("ASCII");
    let last_reply = |login: Option<&str>| {
        let login = login.map(|words| format!("AUTH PLAIN {words}\r\n"));
        let message = format!("{message}.\r\n");
        let mut words = vec!["EHLO home.example\r\n"];
        words.extend(login.as_deref());
        words.extend(["MAIL FROM:<alice@example.org>\r\n", "RCPT TO:<list@example.net>\r\n", "DATA\r\n", &message]);
        let replies = stranger(sendmail.port, &words);
        assert!(login.is_none() || replies[1].starts_with("235 "), "{replies:?}");
        replies.last().cloned().unwrap_or_default()
    };
    // "\0alice@example.org\0secret", and carl's.
    let alice = last_reply(Some("AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="));
    assert!(alice.starts_with("250 "), "{alice}");
    let carl = last_reply(Some("AGNhcmxAZXhhbXBsZS5vcmcAc2VjcmV0"));
    assert!(carl.starts_with("550 5.7.1 ") && carl.contains("carl@example.org"), "{carl}");
    // "\0dave\0secret": in Sendmail's own realm a name is a name.
    let dave = last_reply(Some("AGRhdmUAc2VjcmV0"));
    assert!(dave.starts_with("550 5.7.1 ") && dave.contains("user \"dave\""), "{dave}");
    // Relaying without a login is Sendmail's to refuse; DATA then has no recipients.
    let nobody = last_reply(None);
    assert!(!nobody.starts_with("250 "), "{nobody}");
    assert!(server.gpg_verify(&sink.wait_for(1)[0].message).contains("GOODSIG"));
}

#[test]
fn each_recipient_gets_exactly_one_copy() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Submit);
    server.submit_to(sendmail.port);
    let everyone =
        ["bob@example.net", "carol@bank.example", "list@example.net", "ben@example.net", "clear@example.net"];
    let message = "From: alice@example.org\r\nTo: bob@example.net, carol@bank.example, list@example.net, clear@example.net\r\n\
                   Subject: many\r\nMessage-ID: <many@example.org>\r\n\r\nhello\r\n";
    send(sendmail.port, "alice@example.org", &everyone, message.as_bytes());
    let received = sink.wait_for(everyone.len());
    thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.received().len(), everyone.len(), "somebody got two");
    let reached: Vec<String> = received.iter().flat_map(|one| one.addresses()).map(str::to_owned).collect();
    assert_eq!(reached.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(everyone));
    for one in &received {
        let is_his = one.addresses() == ["ben@example.net"];
        assert_eq!(one.text().contains("ben@"), is_his, "the hidden one is shown: {}", one.text());
        assert!(!one.text().contains("X-Postseal-Handled"), "the mark is left: {}", one.text());
        let may_be_read = ["list@example.net", "clear@example.net"].contains(&one.addresses()[0]);
        assert_eq!(one.text().contains("hello"), may_be_read, "{}", one.text());
    }
}

#[test]
fn what_is_held_waits_in_quarantine() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, server) = start(&sink, Copies::Submit);
    server.submit_to(sendmail.port);
    let both = ["held@example.net", "clear@example.net"];
    send(sendmail.port, "alice@example.org", &both, &letter("alice@example.org", "held@example.net", "hello\r\n"));
    let received = sink.wait_for(1);
    assert_eq!(received[0].addresses(), ["clear@example.net"]);
    let queue = sendmail.tree.wait_for(|| sendmail.queue("-qQ"), "held@example.net");
    assert!(queue.contains("QUARANTINE") && !queue.contains("clear@example.net"), "{queue}");

    // As the manual says: let go, and it leaves as it came.
    let id = queue
        .lines()
        .find(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .and_then(|line| line.split(' ').next());
    let id = id.unwrap_or_else(|| panic!("{queue}"));
    for arguments in [&["-qQ", &format!("-qI{id}"), "-Q"][..], &[&format!("-qI{id}")]] {
        sendmail.tree.run(&format!("/{PROGRAM}"), arguments);
    }
    let received = sink.wait_for(2);
    assert_eq!(received[1].addresses(), ["held@example.net"]);
    assert!(received[1].text().ends_with("\r\n\r\nhello\r\n"), "{}", received[1].text());
}

#[test]
fn opendkim_after_us_signs_what_its_verifier_accepts() {
    if !present(PROGRAM, &["gpg", "openssl", "opendkim"]) {
        return;
    }
    let sink = Sink::start();
    let mut sendmail = Sendmail::new();
    let _server = Server::at(&sendmail.socket(), Copies::Tempfail);
    let dkim = Dkim::start("example.org");
    sendmail.open(&sink, &filters(2, dkim.port()));
    for to in ["list@example.net", "bob@example.net"] {
        send(sendmail.port, "alice@example.org", &[to], &letter("alice@example.org", to, "hello\r\n"));
    }
    for one in sink.wait_for(2) {
        assert!(one.text().contains("DKIM-Signature: v=1;"), "{}", one.text());
        let verdict = dkim.verify(&one.message);
        assert!(verdict.contains("verification") && verdict.contains("succeeded"), "{verdict}\n{}", one.text());
    }
}

/// As Debian's own, but without DNS, with other ports, and at work whatever the load of the machine.
const MC: &str = "\
OSTYPE(`debian')
undefine(`confHOST_STATUS_DIRECTORY')
define(`confDOMAIN_NAME', `mx.example.org')
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch-nodns')
define(`confQUEUE_LA', `1000')
define(`confREFUSE_LA', `1000')
define(`confAUTH_OPTIONS', `')
define(`confAUTH_MECHANISMS', `PLAIN')
define(`SMART_HOST', `relay:[127.0.0.1]')
define(`RELAY_MAILER_ARGS', `TCP $h SINK')
FEATURE(`no_default_msa')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
DAEMON_OPTIONS(`Name=MTA, Port=OURS, Addr=127.0.0.1')
RELAY_DOMAIN(`example.org')
TRUST_AUTH_MECH(`PLAIN')
FILTERS
MAILER(`smtp')
";
