//! A real Sendmail, with the filters that docs/manual/mail-servers.md shows.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    house::{Copies, Dkim, House, client, letter, send, stranger, try_send},
    lab::{Received, Sink, free_port},
    tree::{Tree, present, shown},
};

const PROGRAMS: &[&str] = &["gpg", "openssl"];
const PROGRAM: &str = "usr/libexec/sendmail/sendmail";

/// A running Sendmail that relays everything to a sink.
struct Sendmail {
    tree: Tree,
    port: u16,
}

impl Sendmail {
    /// One whose world is there; it runs after [`Sendmail::open`].
    fn new() -> Sendmail {
        let tree = Tree::new();
        for (folder, owner, mode) in [
            ("/var/spool/mqueue", "root", 0o700),
            ("/var/lib/sendmail/host_status", "root", 0o700),
            ("/run/sendmail/mta", "root", 0o755),
            ("/run/postseal", "root", 0o755),
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
        let configuration = self.tree.run(
            "m4",
            &["-D_CF_DIR_=/usr/share/sendmail/cf/", "/usr/share/sendmail/cf/m4/cf.m4", "/srv/sendmail.mc"],
        );
        self.tree.write("/etc/mail/sendmail.cf", &configuration);
        self.tree.start(&format!("/{PROGRAM}"), &["-bD", "-X", "/srv/said"], self.port);
    }

    /// What `mailq` shows.
    fn queue(&self, option: &str) -> String {
        self.tree.run(&format!("/{PROGRAM}"), &["-bp", option])
    }
}

/// The line of the manual that names us, or both.
fn filters(count: usize, dkim: u16) -> String {
    let lines = shown("Sendmail", 0).lines().filter(|line| line.starts_with("INPUT_MAIL_FILTER"));
    lines.take(count).map(|line| line.replace("8892", &dkim.to_string()) + "\n").collect()
}

/// A Sendmail with our filter, and our filter.
fn start(sink: &Sink, copies: Copies) -> (Sendmail, House) {
    let mut sendmail = Sendmail::new();
    let house = House::at(&sendmail.socket(), copies);
    sendmail.open(sink, &filters(1, 0));
    (sendmail, house)
}

#[test]
fn outgoing_mail_is_sealed_as_the_rules_say() {
    if !present(PROGRAM, PROGRAMS) {
        return;
    }
    let sink = Sink::start();
    let (sendmail, house) = start(&sink, Copies::Tempfail);
    for to in ["bob@example.net", "carol@bank.example", "list@example.net", "paper@example.net", "clear@example.net"] {
        send(sendmail.port, "alice@example.org", &[to], &letter("alice@example.org", to, "hello\r\n.\r\n..\r\n"));
    }
    let received = sink.wait_for(5);
    let of = |to: &str| received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));
    let bob = of("bob@example.net");
    assert!(bob.text().contains("multipart/encrypted") && !bob.text().contains("hello"), "{}", bob.text());
    let (clear, status) = house.gpg_decrypt("bob@example.net", &bob.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");
    assert!(status.contains("GOODSIG") && status.contains("alice@example.org"), "{status}");
    let carol = of("carol@bank.example");
    assert!(carol.text().contains("application/pkcs7-mime") && !carol.text().contains("hello"), "{}", carol.text());
    let clear = house.openssl_decrypt("carol@bank.example", &carol.message);
    assert!(clear.contains("hello\r\n.\r\n..\r\n"), "{clear:?}");
    assert!(house.gpg_verify(&of("list@example.net").message).contains("GOODSIG"));
    assert!(house.openssl_verify("alice@example.org", &of("paper@example.net").message).contains("hello"));
    assert!(of("clear@example.net").text().ends_with("\r\n\r\nhello\r\n.\r\n..\r\n"));
    for one in &received {
        assert!(one.text().contains("\r\nSubject: a\r\n folded one\r\n"), "{}", one.text());
    }
}

/// As Debian's own, but without DNS, and with ports that anybody may open.
const MC: &str = "\
OSTYPE(`debian')
define(`confDOMAIN_NAME', `mx.example.org')
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch-nodns')
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
