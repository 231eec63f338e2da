//! A real OpenSMTPD that hands its mail to postseal's submission listener, and takes it back, as docs/manual/mail-servers.md shows.

use std::fs;

use crate::{
    mail_servers::tree::{Tree, present, shown},
    milter::setup::Dkim,
    proxy::Proxy,
    support::{ports::free_port, postfix::Sink},
};

const PROGRAM: &str = "usr/sbin/smtpd";

#[test]
fn mail_goes_through_us_and_dkim_comes_last() {
    if !present(PROGRAM, &["gpg", "openssl", "opendkim"]) {
        return;
    }
    let (sink, dkim, back, port) = (Sink::start(), Dkim::start("example.org"), free_port(), free_port());
    let proxy = Proxy::by(back, "", super::TRUSTED, super::RULES);
    let mut tree = Tree::new();
    tree.folder("/var/spool/smtpd", "root", 0o711);
    tree.folder("/run/opensmtpd", "root", 0o755);
    tree.folder("/etc/mail", "root", 0o755);
    let key = fs::read_to_string(dkim.key()).expect("a key");
    tree.write("/etc/mail/dkim.key", &key);
    tree.run("chown", &["opensmtpd", "/etc/mail/dkim.key"]);
    let to_sink = format!("relay host smtp://127.0.0.1:{}", sink.port());
    let manual = shown("OpenSMTPD", 0)
        .replace("10026", &back.to_string())
        .replace("10027", &free_port().to_string())
        .replace("10587", &proxy.port().to_string())
        // Where the two ends are.
        .replace("action \"local\" maildir", &format!("action \"local\" {to_sink}"))
        .replace("action \"out\" relay", &format!("action \"out\" {to_sink}"));
    tree.write("/etc/smtpd.conf", &format!("{HURRY}listen on lo port {port}\n{manual}"));
    tree.start(&format!("/{PROGRAM}"), &["-d", "-v"], port);
    super::carries(&sink, &proxy, port, &dkim);
}

/// It waits between connections to one address, 127.0.0.1 in our case.
const HURRY: &str = "\
mta limit conn-delay-relay 0
mta limit conn-delay-connector 0
mta limit conn-delay-route 0
mta limit reconn-delay-route 0
mta limit session-keepalive 0
";
