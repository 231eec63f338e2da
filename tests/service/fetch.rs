//! `fetch` and `watch` with a real Dovecot, over IMAP and POP3 with TLS, and with servers that lie.

mod liar;
mod liars;
mod manual;
mod policy;
mod scanning;
mod watching;

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    dovecot::{Dovecot, Kept, PASSWORD, kept},
    lab::{Done, Lab, POSTSEAL},
    postfix::may_start_servers,
    requirements,
};

/// A Dovecot, and a folder with the password of its users in the file `password`.
struct Setup {
    lab: Lab,
    dovecot: Dovecot,
}

impl Setup {
    /// `None` where Dovecot is absent.
    fn new() -> Option<Setup> {
        Self::of("localhost")
    }

    /// The same with a certificate for another name.
    fn of(host: &str) -> Option<Setup> {
        let programs = ["dovecot", "doveadm", "openssl", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/pop3"];
        if !requirements::present(&programs) || !may_start_servers() {
            return None;
        }
        let lab = Lab::new();
        lab.write("password", PASSWORD);
        lab.shell("chmod 600 password").code(0);
        Some(Setup { lab, dovecot: Dovecot::with_mailboxes(host) })
    }

    /// The URL of bob's account at a listener: `imaps`.
    fn url(&self, listener: &str, mailbox: &str) -> String {
        format!("{listener}://bob%40example.org@localhost:{}/{mailbox}", self.dovecot.port(listener))
    }

    fn arguments(&self, verb: &str, url: &str, more: &str) -> Vec<String> {
        let line = format!("{verb} {url} --password-file password {more}");
        line.split_ascii_whitespace().map(ToOwned::to_owned).collect()
    }

    fn fetch(&self, url: &str, more: &str) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        command.env("SSL_CERT_FILE", self.dovecot.authority()).env_remove("SSL_CERT_DIR");
        Done::of(command.args(self.arguments("fetch", url, more)).output().expect("postseal starts"))
    }

    /// The same in the background, with its words in a file.
    fn start(&self, verb: &str, url: &str, more: &str, words: &str) -> Child {
        let words = std::fs::File::create(self.lab.path(words)).expect("a file");
        let mut command = Command::new(POSTSEAL);
        command
            .current_dir(self.lab.path(""))
            .env("POSTSEAL_HOME", "home")
            .env("SSL_CERT_FILE", self.dovecot.authority());
        command.env_remove("SSL_CERT_DIR").args(self.arguments(verb, url, more));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words).spawn().expect("postseal starts")
    }

    /// Fetches with interruptions, SIGKILL and lost connections in turn, until a run ends well. The number of runs.
    fn fetch_with_interruptions(&self, url: &str, more: &str, mut between: impl FnMut()) -> usize {
        for run in 0_u32..40 {
            let mut child = self.start("fetch", url, more, "words");
            // Ever longer, at odd moments. The first one is interrupted before it can have ended, however busy this machine is.
            let end = Instant::now() + Duration::from_millis(u64::from(90 * run + run * run * 37 % 100));
            let mut ended = None;
            while ended.is_none() && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
                ended = child.try_wait().expect("a child");
            }
            if ended.is_none() && run % 2 == 0 {
                child.kill().expect("a child");
            } else if ended.is_none() {
                self.dovecot.kick("bob@example.org");
            }
            let status = child.wait().expect("a child");
            between();
            if status.success() {
                return run as usize + 1;
            }
        }
        panic!("no run ended well: {}", String::from_utf8_lossy(&self.lab.read("words")));
    }

    /// Puts so many messages into bob's inbox.
    fn fill(&self, count: u64) {
        for number in 0..count {
            let flags = ["", "S", "FS", "R", "F", "RS"][number as usize % 6];
            let text = "a line of text\n".repeat(number as usize % 400);
            let letter = format!(
                "From: a{number}@example.net\nSubject: {number}\nMessage-ID: <{number}@x>\n\n.{number}\n..\n{text}"
            );
            self.dovecot.put("bob@example.org", &format!("M{number}"), flags, 1_500_000_000 + number * 3_601, letter);
        }
    }

    fn inbox(&self) -> Vec<Kept> {
        kept(&self.dovecot.maildir("bob@example.org", ""))
    }

    fn fetched(&self, name: &str) -> Vec<Kept> {
        kept(&self.lab.path(name))
    }
}

fn octets(messages: &[Kept]) -> Vec<&[u8]> {
    let mut octets: Vec<&[u8]> = messages.iter().map(|(octets, ..)| octets.as_slice()).collect();
    octets.sort_unstable();
    octets
}

/// With SIGKILL and lost connections at any moment: at the end each message is there once, with its flags and its date, and the originals are as they were.
#[test]
fn imap_messages_arrive_once_with_flags_and_dates() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(200);
    let before = setup.inbox();
    let runs = setup.fetch_with_interruptions(&setup.url("imaps", "INBOX"), "--to maildir:out --state state", || {
        assert!(setup.inbox() == before);
    });
    assert!(runs > 1, "nothing was interrupted");
    assert!(setup.fetched("out") == before, "{} messages of {}", setup.fetched("out").len(), before.len());
    let again = setup.fetch(&setup.url("imaps", "INBOX"), "--to maildir:out --state state").code(0);
    assert_eq!((again.stderr.as_str(), setup.fetched("out").len()), ("", 200));
}

/// No message is in neither place at any moment.
#[test]
fn originals_go_when_their_copies_are_there() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(100);
    let before = setup.inbox();
    setup.fetch_with_interruptions(&setup.url("imaps", "INBOX"), "--to maildir:out --state state --delete", || {
        let (here, there) = (setup.fetched("out"), setup.inbox());
        let (here, there) = (octets(&here), octets(&there));
        let missing = octets(&before).into_iter().find(|octets| !here.contains(octets) && !there.contains(octets));
        assert_eq!(missing.map(String::from_utf8_lossy), None);
    });
    assert_eq!(setup.inbox().len(), 0);
    assert!(setup.fetched("out") == before, "{} messages of {}", setup.fetched("out").len(), before.len());
}

/// POP3 has no flags and no dates; the rest holds as well.
#[test]
fn pop3_messages_arrive_once() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(80);
    let before = setup.inbox();
    // Where --delete is not given, the originals stay.
    setup.fetch(&setup.url("pop3", ""), "--to maildir:kept --state state-kept").code(0);
    assert!(octets(&setup.fetched("kept")) == octets(&before));
    // Not even marked as read.
    assert!(setup.inbox() == before);
    setup.fetch_with_interruptions(&setup.url("pop3s", ""), "--to maildir:out --state state --delete", || {
        let (here, there) = (setup.fetched("out"), setup.inbox());
        let (here, there) = (octets(&here), octets(&there));
        assert!(octets(&before).iter().all(|octets| here.contains(octets) || there.contains(octets)));
    });
    assert_eq!(setup.inbox().len(), 0);
    assert!(octets(&setup.fetched("out")) == octets(&before));
}

/// From one server to another mailbox there, and to LMTP, whose server adds lines at the top.
#[test]
fn messages_go_to_imap_and_to_lmtp() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(40);
    let before = setup.inbox();
    let (url, lmtp) = (setup.url("imap", "INBOX"), setup.dovecot.lmtp());
    let to = setup.url("imaps", "Entw%C3%BCrfe%20%26%20mehr");
    setup.fetch_with_interruptions(&url, &format!("--to {to} --state state"), || {});
    assert!(kept(&setup.dovecot.maildir("bob@example.org", ".Entw&APw-rfe &- mehr")) == before);
    assert!(setup.inbox() == before);
    setup.fetch(&url, &format!("--to lmtp:127.0.0.1:{lmtp} --for alice@example.org --state state-2")).code(0);
    let arrived = kept(&setup.dovecot.maildir("alice@example.org", ""));
    assert_eq!(arrived.len(), 40);
    for (octets, ..) in &before {
        assert!(arrived.iter().any(|(arrived, ..)| arrived.ends_with(octets)), "{}", String::from_utf8_lossy(octets));
    }
    setup.fetch(&url, &format!("--to lmtp:127.0.0.1:{lmtp} --state state-3")).refused(64, "--for ADDRESS");
    // All mailboxes of the account.
    setup.fetch(&setup.url("imaps", ""), "--to maildir:all --state state-4").code(0);
    assert_eq!(setup.fetched("all").len(), 80);
}

#[test]
fn logins_and_tls() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(2);
    let with = |listener: &str, mechanism: &str| {
        setup
            .url(listener, if listener.starts_with("imap") { "INBOX" } else { "" })
            .replace("org@", &format!("org;AUTH={mechanism}@"))
    };
    setup.lab.write("wrong", "no-secret").shell("chmod 600 wrong").code(0);
    for (number, (listener, good, bad)) in [
        ("imap", "SCRAM-SHA-256", "PLAIN"),
        ("imap", "LOGIN", "SCRAM-SHA-256"),
        ("imaps", "PLAIN", "LOGIN"),
        ("pop3", "SCRAM-SHA-256", "PLAIN"),
        ("pop3s", "LOGIN", "SCRAM-SHA-256"),
        ("pop3s", "*", "*"),
    ]
    .into_iter()
    .enumerate()
    {
        setup.fetch(&with(listener, good), &format!("--to maildir:out-{number} --state state-{number}")).code(0);
        assert_eq!(setup.fetched(&format!("out-{number}")).len(), 2, "{listener} {good}");
        let fetch =
            format!("fetch '{}' --to maildir:none --state wrong-{number} --password-file wrong", with(listener, bad));
        let line = format!("SSL_CERT_FILE={} \"$0\" {fetch}", setup.dovecot.authority().display());
        setup.lab.shell(&line).refused(77, "refused the login of \"bob@example.org\"");
    }
    for listener in ["imap", "pop3s"] {
        let more = format!("--to maildir:none --state none-{listener}");
        let offers = "does not offer XOAUTH2; it offers PLAIN, LOGIN, SCRAM-SHA-256";
        setup.fetch(&with(listener, "XOAUTH2"), &more).refused(69, offers);
        setup.fetch(&with(listener, "CRAM-MD5"), &more).refused(64, "no mechanism \"CRAM-MD5\" here");
        // A certificate for another name.
        let url = setup.url(listener, "").replace("localhost", "127.0.0.1");
        let more = format!("--to maildir:none --state misnamed-{listener}");
        setup.fetch(&url, &more).refused(69, "no TLS: invalid peer certificate");
    }
    // Each way that a password comes in.
    let ca = setup.dovecot.authority();
    let fetch =
        format!("SSL_CERT_FILE={} \"$0\" fetch '{}' --to maildir:ways", ca.display(), setup.url("imaps", "INBOX"));
    setup.lab.shell(&format!("{fetch} --state 1 --password-fd 3 3< password")).code(0);
    setup.lab.shell(&format!("{fetch} --state 2 --password-command 'cat password'")).code(0);
    setup.lab.shell(&format!("CREDENTIALS_DIRECTORY=$PWD {fetch} --state 3 --password-credential password")).code(0);
    setup.lab.shell(&format!("{fetch} --state 4 --password-command 'exit 3'")).refused(77, "exit status: 3");
    setup.lab.shell(&format!("{fetch} --state 4 < /dev/null")).refused(64, "no password");
    setup
        .lab
        .shell(&format!("chmod 644 password; {fetch} --state 4 --password-file password"))
        .refused(78, "others can read it");
    let url = "imaps://bob:geheim@localhost/INBOX";
    let done = setup.fetch(url, "--to maildir:none").code(64);
    assert!(done.stderr.contains("a password in a URL") && !done.stderr.contains("geheim"), "{}", done.stderr);
    assert!(!setup.lab.path("none").exists());
}

/// A state of one mailbox is not one of another, nor of the same one after the server numbered its messages anew; and two runs do not share one.
#[test]
fn a_state_belongs_to_one_mailbox() {
    let Some(setup) = Setup::new() else { return };
    setup.fill(3);
    let (url, more) = (setup.url("imaps", "INBOX"), "--to maildir:out --state state");
    setup.fetch(&url, more).code(0);
    setup.fetch(&url, "--to maildir:other --state state").refused(64, "is the state of something else");
    setup.fetch(&setup.url("imap", "INBOX"), more).refused(64, "is the state of something else");
    setup.lab.shell("flock state sleep 2 > /dev/null 2>&1 & sleep 0.3").code(0);
    setup.fetch(&url, more).refused(75, "another run of fetch or watch uses it");
    thread::sleep(Duration::from_secs(2));
    setup.fetch(&url, more).code(0);
    // Half a line, as after SIGKILL.
    setup.lab.shell("printf 'intent 17' >> state").code(0);
    setup.fetch(&url, more).code(0);
    setup.lab.shell("sed -i 's/^generation [0-9]*/generation 7/' state").code(0);
    setup.fetch(&url, more).refused(65, "has numbered the messages anew (UIDVALIDITY was 7, is ");
    assert_eq!(setup.fetched("out").len(), 3);
}
