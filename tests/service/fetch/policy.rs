//! The policy of a configuration between the mailbox and the target.

use super::Setup;
use crate::support::{dovecot::kept, lab::POSTSEAL};

const CONFIGURATION: &str = "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nprotocol = [\"pgp\"]\n\
    [[rule]]\nname = \"open\"\ndirection = \"inbound\"\nmessage = \"encrypted\"\naction = \"decrypt+annotate\"\n\
    [[rule]]\nname = \"no forms\"\nfrom = [\"forms@example.net\"]\naction = \"reject\"\n\
    [[rule]]\nname = \"rest\"\naction = \"clear\"\n";

/// A key of bob, and six messages: three encrypted, two plain, one that the policy refuses.
pub(super) fn prepare(setup: &Setup) {
    setup.lab.run(&["key", "generate", "--no-passphrase", "bob@example.org"]).code(0);
    setup.lab.write("postseal.toml", CONFIGURATION);
    for number in 0..3_u64 {
        let letter =
            format!("From: alice@example.net\nTo: bob@example.org\nSubject: sealed {number}\n\nsecret text {number}\n");
        setup.lab.write("letter", letter);
        let sealed = setup.lab.run(&["encrypt", "--to", "bob@example.org", "--", "letter"]).code(0).stdout;
        setup.dovecot.put(
            "bob@example.org",
            &format!("S{number}"),
            ["S", "", "FR"][number as usize],
            1_500_000_000 + number,
            sealed,
        );
    }
    for number in 3..5_u64 {
        let letter = format!("From: alice@example.net\nSubject: plain\n\nplain text {number}\n");
        setup.dovecot.put("bob@example.org", &format!("P{number}"), "S", 1_500_000_000 + number, letter);
    }
    let letter = "From: forms@example.net\nSubject: form\n\nform\n";
    setup.dovecot.put("bob@example.org", "F", "", 1_500_000_006, letter);
}

fn has(messages: &[(Vec<u8>, String, u64)], text: &str, flags: &str, time: u64) -> bool {
    let shows = |octets: &[u8]| String::from_utf8_lossy(octets).contains(text);
    messages.iter().filter(|(octets, ..)| shows(octets)).map(|(_, own, at)| (own.as_str(), *at)).eq([(flags, time)])
}

/// What the policy opens is put back opened, with flags and date, and the original goes to the folder; the rest stays untouched. The opened copies are
/// not handled again.
#[test]
fn opened_messages_are_put_back() {
    let Some(setup) = Setup::new() else { return };
    prepare(&setup);
    let before = setup.inbox();
    let url = setup.url("imaps", "INBOX");
    let more = "--append --move-to Originals --config postseal.toml --for bob@example.org --state state";
    let done = setup.fetch(&url, more).code(77);
    assert!(done.stderr.contains("3 fetched, 2 left as they are, 1 failed"), "{}", done.stderr);
    assert!(
        done.stderr.contains("; it stays where it is") && done.stderr.contains("rule \"no forms\""),
        "{}",
        done.stderr
    );
    let (inbox, originals) = (setup.inbox(), kept(&setup.dovecot.maildir("bob@example.org", ".Originals")));
    assert_eq!((inbox.len(), originals.len()), (6, 3));
    for (number, flags) in ["S", "", "FR"].into_iter().enumerate() {
        assert!(has(&inbox, &format!("secret text {number}"), flags, 1_500_000_000 + number as u64), "{inbox:?}");
        assert!(originals.iter().all(|original| before.contains(original)));
    }
    for text in ["plain text 3", "plain text 4", "form"] {
        assert!(
            inbox.iter().any(|message| before.contains(message) && String::from_utf8_lossy(&message.0).contains(text))
        );
    }
    let again = setup.fetch(&url, more).code(77);
    assert!(again.stderr.contains("0 fetched, 0 left as they are, 1 failed"), "{}", again.stderr);
    assert_eq!(setup.inbox(), inbox);
}

/// The same with SIGKILL: a copy that was appended is found again, and not appended twice.
#[test]
fn opened_messages_are_put_back_once() {
    let Some(setup) = Setup::new() else { return };
    prepare(&setup);
    setup.lab.write("postseal.toml", CONFIGURATION.replace("\"reject\"", "\"clear\""));
    for number in 10..40_u64 {
        let letter =
            format!("From: alice@example.net\nTo: bob@example.org\nSubject: sealed {number}\n\nsecret text {number}\n");
        setup.lab.write("letter", letter);
        let mut command = setup.lab.command(POSTSEAL);
        let sealed =
            command.args(["encrypt", "--to", "bob@example.org", "--", "letter"]).output().expect("postseal starts");
        setup.dovecot.put("bob@example.org", &format!("T{number}"), "", 1_500_000_000 + number, sealed.stdout);
    }
    let more = "--append --move-to Originals --config postseal.toml --for bob@example.org --state state";
    setup.fetch_with_interruptions(&setup.url("imaps", "INBOX"), more, || {});
    let (inbox, mut originals) = (setup.inbox(), kept(&setup.dovecot.maildir("bob@example.org", ".Originals")));
    // A Dovecot that is stopped in the middle of MOVE has copied the message, maybe without its date, and not expunged it.
    originals.dedup_by(|one, other| one.0 == other.0);
    assert_eq!((inbox.len(), originals.len()), (36, 33));
    for number in (0..3).chain(10..40) {
        let count = inbox
            .iter()
            .filter(|(octets, ..)| String::from_utf8_lossy(octets).contains(&format!("secret text {number}\n")))
            .count();
        assert_eq!(count, 1, "message {number}");
    }
}

/// To a Maildir, with the policy; and what the options do not allow together.
#[test]
fn the_policy_applies_on_the_way_to_a_maildir() {
    let Some(setup) = Setup::new() else { return };
    prepare(&setup);
    let (before, url) = (setup.inbox(), setup.url("pop3s", ""));
    let policy = "--config postseal.toml --for bob@example.org";
    setup.fetch(&url, &format!("--to maildir:out --state state {policy}")).code(77);
    let out = setup.fetched("out");
    assert_eq!((out.len(), octets_of(&setup.inbox())), (5, octets_of(&before)));
    for text in ["secret text 0", "secret text 1", "secret text 2", "plain text 3", "plain text 4"] {
        assert!(out.iter().any(|(octets, ..)| String::from_utf8_lossy(octets).contains(text)), "{text}");
    }
    let imap = setup.url("imaps", "INBOX");
    for (url, more, why) in [
        (&url, format!("--append --delete {policy}"), "is not one mailbox of an IMAP server"),
        (&imap, format!("--append {policy}"), "each message would be in the mailbox twice"),
        (&imap, format!("--to {imap}"), "is where the messages are"),
        (&imap, "--to maildir:x --config postseal.toml".to_owned(), "--for <ADDRESS>"),
        (&imap, "--append --delete".to_owned(), "--config <FILE>"),
        (&imap, "--to maildir:x --append --config postseal.toml --for bob@example.org".to_owned(), "--append"),
        (&imap, "--to maildir:x --keep --delete".to_owned(), "--delete"),
        (&imap, String::new(), "--to <TARGET>"),
        (&url, "--to maildir:x --move-to y --state s".to_owned(), "POP3 has no folders"),
        (&imap, "--to mbox:x --state s2".to_owned(), "not a target"),
        (&"maildir:x".to_owned(), "--to maildir:y".to_owned(), "not a mailbox on a server"),
        (&setup.url("imaps", ""), "--to maildir:x --delete --state s3".to_owned(), "taken out of one mailbox only"),
    ] {
        setup.fetch(url, &more).refused(64, why);
    }
    assert_eq!(octets_of(&setup.inbox()), octets_of(&before));
}

fn octets_of(messages: &[(Vec<u8>, String, u64)]) -> Vec<Vec<u8>> {
    super::octets(messages).into_iter().map(<[u8]>::to_vec).collect()
}
