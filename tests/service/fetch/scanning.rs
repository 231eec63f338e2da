//! `scan` of a mailbox on a server.

use super::Setup;
use crate::support::lab::{Done, POSTSEAL};

/// Each message of the mailbox, or of all mailboxes, is judged, and nothing in them changes: messages stay unread and in `new`.
#[test]
fn a_mailbox_on_a_server_is_judged_and_not_changed() {
    let Some(setup) = Setup::new() else { return };
    setup.lab.run(&["key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    setup.lab.write("letter", "From: alice@example.org\nTo: bob@example.org\nSubject: signed\n\nhello\n");
    let signed = setup.lab.run(&["sign", "letter"]).code(0).stdout;
    setup.fill(5);
    setup.dovecot.put("bob@example.org", "signed", "", 1_500_000_000, signed);
    let before = setup.inbox();
    let scan = |url: &str, more: &str| {
        let mut command = setup.lab.command(POSTSEAL);
        command.env("SSL_CERT_FILE", setup.dovecot.authority()).env_remove("SSL_CERT_DIR");
        Done::of(command.args(setup.arguments("scan", url, more)).output().expect("postseal starts"))
    };
    for url in [setup.url("imaps", "INBOX"), setup.url("imap", ""), setup.url("pop3", "")] {
        let lines = scan(&url, "--json").code(0).text();
        let count = |standing: &str| lines.matches(&format!("\"standing\":\"{standing}\"")).count();
        assert_eq!((lines.lines().count(), count("authentic"), count("unsigned")), (6, 1, 5), "{url}: {lines}");
    }
    // Resumed: what is in the state is not read again.
    let url = setup.url("imaps", "INBOX");
    scan(&url, "--state state --json").code(0);
    setup.dovecot.put("bob@example.org", "later", "", 1_600_000_000, "From: x@example.net\n\nlater\n");
    assert_eq!(scan(&url, "--state state --json").code(0).text().lines().count(), 1);
    scan(&url, "--fail-on unsigned").code(1);
    scan(&url, "--decrypt out").refused(64, "is judged only");
    assert!(setup.inbox().iter().filter(|message| before.contains(message)).count() == 6);
}
