//! A real Exim that hands its mail to postseal's submission listener, and takes it back, as docs/manual/mail-servers.md shows.

use std::fs;

use crate::{
    mail_servers::tree::{Tree, present, shown},
    milter::setup::{Dkim, letter, stranger},
    proxy::Proxy,
    support::{ports::free_port, postfix::Sink},
};

const PROGRAM: &str = "usr/sbin/exim4";

#[test]
fn mail_goes_through_us_and_dkim_comes_last() {
    if !present(PROGRAM, &["gpg", "openssl", "opendkim"]) {
        return;
    }
    let (sink, dkim, back, port) = (Sink::start(), Dkim::start("example.org"), free_port(), free_port());
    let proxy = Proxy::by(back, "", super::TRUSTED, super::RULES);
    let mut tree = Tree::new();
    for folder in ["/var/spool/exim4", "/var/log/exim4"] {
        tree.folder(folder, "Debian-exim", 0o750);
    }
    let key = fs::read_to_string(dkim.key()).expect("a key");
    tree.write("/etc/exim4/dkim.key", &key);
    tree.run("chown", &["Debian-exim", "/etc/exim4/dkim.key"]);
    let manual = shown("Exim", 0)
        .replace("25 : 587", &port.to_string())
        .replace("0.0.0.0", "127.0.0.1")
        .replace("10026", &back.to_string())
        .replace("10587", &proxy.port().to_string());
    let part = |heading: &str| {
        let from = manual.split(heading).nth(1).expect("the part").split_once('\n').expect("lines").1;
        from.split("\n# ").next().unwrap_or(from).to_owned()
    };
    let configuration = CONFIGURATION
        .replace("MAIN", &part("# main section"))
        .replace("CHECK", &part("# in the ACL of DATA"))
        .replace("ROUTERS", &part("# routers"))
        .replace("TRANSPORTS", &part("# transports"))
        .replace("SINK", &sink.port().to_string());
    tree.write("/etc/exim4/exim4.conf", &configuration);
    tree.start(&format!("/{PROGRAM}"), &["-bdf", "-q1s"], port);
    super::carries(&sink, &proxy, port, &dkim);

    // A login, with its own address and with another.
    let as_alice = |from: &str, to: &str| {
        let message = String::from_utf8(letter(from, to, "hello\r\n")).expect("ASCII");
        let replies = stranger(
            port,
            &[
                "EHLO home.example\r\n",
                // "\0alice@example.org\0secret"
                "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n",
                "MAIL FROM:<alice@example.org>\r\n",
                &format!("RCPT TO:<{to}>\r\n"),
                "DATA\r\n",
                &format!("{message}.\r\n"),
            ],
        );
        replies.last().cloned().unwrap_or_default()
    };
    let before = sink.received().len();
    let forged = as_alice("robot@example.org", "bob@example.net");
    assert!(forged.starts_with("550 "), "{forged}");
    let own = as_alice("alice@example.org", "bob@example.net");
    assert!(own.starts_with("250 "), "{own}");
    let received = sink.wait_for(before + 1);
    assert!(proxy.gpg_decrypt("bob@example.net", &received[before].message).contains("hello"));
}

const CONFIGURATION: &str = "\
primary_hostname = mx.example.org
domainlist local_domains = example.org : mx.example.org
keep_environment =
MAIN
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  accept hosts = 127.0.0.1
  accept authenticated = *
  accept domains = +local_domains
  deny
data:
CHECK
  accept
begin routers
ROUTERS
home:
  driver = manualroute
  domains = +local_domains
  route_list = * 127.0.0.1
  self = send
  transport = to_sink
  no_more
out:
  driver = manualroute
  route_list = * 127.0.0.1::SINK
  self = send
  transport = remote_smtp
begin transports
TRANSPORTS
  allow_localhost
to_sink:
  driver = smtp
  port = SINK
  allow_localhost
begin retry
* * F,1m,1s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if eq{$auth3}{secret}}
  server_set_id = $auth2
";
