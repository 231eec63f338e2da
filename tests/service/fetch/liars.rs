//! Servers that lie, as an attacker's would: each ends in one error, in bounded memory and time, and no password goes where it must not.

use std::time::{Duration, Instant};

use super::liar::{
    Liar,
    Say::{self, Endless, Last, Many, Nothing, Text},
};
use crate::support::lab::{Done, Lab};

const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n";
const OPEN: &str = "* 2 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n{tag} OK done\r\n";
const UIDS: &str = "* 1 FETCH (UID 7)\r\n* 2 FETCH (UID 8)\r\n{tag} OK done\r\n";
const SIZES: &str = "* 1 FETCH (UID 7 RFC822.SIZE 10)\r\n* 2 FETCH (UID 8 RFC822.SIZE 10)\r\n{tag} OK done\r\n";
const BODY: &str = "* 1 FETCH (UID 7 FLAGS () BODY[] {10}\r\nX: y\r\n\r\nz\r\n)\r\n";

struct Run {
    lab: Lab,
}

impl Run {
    fn new() -> Run {
        let lab = Lab::new();
        lab.write("password", "geheim").shell("chmod 600 password").code(0);
        Run { lab }
    }

    /// `postseal fetch`, with 600 MB of address space and for 60 seconds at most.
    fn fetch(&self, url: &str) -> Done {
        let start = Instant::now();
        let line = format!(
            "rm -rf state out; ulimit -v 600000; exec timeout 60 \"$0\" fetch '{url}' --to maildir:out --state state --timeout 1 --max-size 1M --password-file password"
        );
        let done = self.lab.shell(&line);
        assert!(start.elapsed() < Duration::from_secs(45), "{url}: {:?}: {}", start.elapsed(), done.stderr);
        done
    }

    /// One error with this code that says this.
    fn refused(&self, url: &str, what: &str, (code, why): (i32, &str)) {
        let done = self.fetch(url);
        assert!(done.code == code && done.stderr.contains(why), "{what}: {} {}", done.code, done.stderr);
        assert_eq!(done.stderr.matches("error:").count(), 1, "{what}: {}", done.stderr);
        assert!(done.stderr.len() < 2_000 && !done.stderr.contains("geheim"), "{what}: {}", done.stderr);
    }
}

#[test]
fn imap_servers_that_lie() {
    let run = Run::new();
    let changed = |part: &'static str, answer: Say| {
        let honest = [
            ("EXAMINE", Text(OPEN)),
            ("1:* (UID)", Text(UIDS)),
            ("RFC822.SIZE", Text(SIZES)),
            ("BODY.PEEK", Text(BODY)),
        ];
        [vec![(part, answer)], honest.to_vec()].concat()
    };
    for (what, greeting, answers, refusal) in [
        ("no IMAP", Text("220 mail ESMTP\r\n"), vec![], (65, "not a response of IMAP: \"220 mail ESMTP\"")),
        ("an endless greeting", Endless("* OK ", "x"), vec![], (65, "a line of more than")),
        ("silence", Nothing, vec![], (75, "takes too long to answer")),
        (
            "BYE at once",
            Text("* BYE too many connections\r\n"),
            vec![],
            (75, "ended the connection: \"too many connections\""),
        ),
        ("no greeting", Last(""), vec![], (75, "closed the connection")),
        (
            "a refused login",
            Text(GREETING),
            vec![("AUTHENTICATE", Text("{tag} NO wrong\r\n"))],
            (77, "refused the login of \"bob\": \"wrong\""),
        ),
        (
            "endless challenges",
            Text(GREETING),
            vec![("", Endless("+ \r\n", "+ \r\n"))],
            (65, "the server asks for more than the mechanism has"),
        ),
        (
            "another tag",
            Text(GREETING),
            changed("EXAMINE", Text("z9 OK done\r\n")),
            (65, "an answer with the tag \"z9\""),
        ),
        (
            "a continuation",
            Text(GREETING),
            changed("EXAMINE", Text("+ go on\r\n")),
            (65, "a continuation that was not asked for"),
        ),
        ("no UIDVALIDITY", Text(GREETING), changed("EXAMINE", Text("{tag} OK done\r\n")), (69, "no UIDVALIDITY")),
        (
            "an endless line",
            Text(GREETING),
            changed("1:* (UID)", Endless("* 1 FETCH (UID ", "7")),
            (65, "a line of more than"),
        ),
        (
            "an endless list",
            Text(GREETING),
            changed("1:* (UID)", Endless("* 1 FETCH (", "(((((((((")),
            (65, "a line of more than"),
        ),
        (
            "lists in lists",
            Text(GREETING),
            changed("1:* (UID)", Many("* 1 FETCH ", "(", 60_000, "\r\n{tag} OK\r\n")),
            (65, "not a response of IMAP"),
        ),
        (
            "no number",
            Text(GREETING),
            changed("1:* (UID)", Text("* 1 FETCH (UID -7)\r\n")),
            (65, "not a response of IMAP"),
        ),
        (
            "a huge literal",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 7 BODY[] {99999999999}\r\n")),
            (65, "more in one response than"),
        ),
        (
            "a literal beyond numbers",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 7 BODY[] {99999999999999999999999}\r\n")),
            (65, "more in one response than"),
        ),
        (
            "a literal that is longer than its size",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 7 BODY[] {3}\r\nX: y\r\n\r\nz\r\n)\r\n{tag} OK\r\n")),
            (65, "not a response of IMAP"),
        ),
        (
            "a literal that is shorter",
            Text(GREETING),
            changed("BODY.PEEK", Last("* 1 FETCH (UID 7 BODY[] {300}\r\nX: y\r\n")),
            (75, "closed the connection"),
        ),
        (
            "half a literal",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 7 BODY[] {300}\r\nX: y\r\n")),
            (75, "takes too long"),
        ),
        (
            "many literals",
            Text(GREETING),
            changed("BODY.PEEK", Endless("* 1 FETCH (UID 7 BODY[] ", "{1}\r\nx")),
            (65, "more in one response than"),
        ),
        (
            "a message that was not asked for",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 9 BODY[] {3}\r\nabc)\r\n{tag} OK\r\n")),
            (65, "message 9, which was not asked for"),
        ),
        (
            "a message again and again",
            Text(GREETING),
            changed("BODY.PEEK", Endless("", "* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n")),
            (65, "message 7, which was not asked for"),
        ),
        (
            "BYE in the middle",
            Text(GREETING),
            changed("BODY.PEEK", Text("* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n* BYE maintenance\r\n")),
            (75, "ended the connection: \"maintenance\""),
        ),
        (
            "a command refused",
            Text(GREETING),
            changed("BODY.PEEK", Text("{tag} NO [SERVERBUG] disk\r\n")),
            (69, "UID FETCH was refused: \"disk\""),
        ),
    ] {
        let liar = Liar::start(greeting, answers);
        run.refused(&format!("imap://bob@127.0.0.1:{}/INBOX", liar.port), what, refusal);
    }
    // Responses without an end that each are well formed.
    let liar =
        Liar::start(Text(GREETING), changed("LIST", Many("", "* LIST () \"/\" m{n}\r\n", 1_000_000, "{tag} OK\r\n")));
    run.refused(
        &format!("imap://bob@127.0.0.1:{}/", liar.port),
        "a million mailboxes",
        (65, "more than 10000 mailboxes"),
    );
}

/// A million messages that the server counts and does not have take little memory, and are no error.
#[test]
fn a_mailbox_of_a_million_messages_that_are_not_there() {
    let run = Run::new();
    let uids = Many("", "* {n} FETCH (UID {n})\r\n", 1_000_000, "{tag} OK\r\n");
    let liar = Liar::start(Text(GREETING), vec![("EXAMINE", Text(OPEN)), ("1:* (UID)", uids)]);
    let done = run.fetch(&format!("imap://bob@127.0.0.1:{}/INBOX", liar.port)).code(0);
    assert_eq!(done.stderr, "");
}

/// What comes before TLS counts for nothing after it, and a password does not leave without TLS because the server, or who pretends to be it, does not
/// offer any. `127.1` is an address of loopback that does not look like one.
#[test]
fn tls_is_not_stripped() {
    let run = Run::new();
    let starttls = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n";
    let without = "the server does not offer STARTTLS, and no password goes to another machine without TLS";
    for (what, greeting, answers, refusal) in [
        ("no STARTTLS", Text(GREETING), vec![], (69, without)),
        (
            "STARTTLS refused",
            Text(starttls),
            vec![("STARTTLS", Text("{tag} NO not now\r\n"))],
            (69, "STARTTLS was refused"),
        ),
        ("logged in before TLS", Text("* PREAUTH welcome\r\n"), vec![], (69, "the server is logged in before TLS")),
        (
            "responses injected",
            Text(starttls),
            vec![("STARTTLS", Text("{tag} OK begin\r\n* OK [ALERT] injected\r\n"))],
            (65, "sent data before TLS"),
        ),
        (
            "a tagged one injected",
            Text(starttls),
            vec![("STARTTLS", Text("{tag} OK begin\r\np2 OK\r\n"))],
            (65, "sent data before TLS"),
        ),
        (
            "no TLS after STARTTLS",
            Text(starttls),
            vec![("STARTTLS", Last("{tag} OK begin\r\n"))],
            (75, "closed the connection"),
        ),
    ] {
        let liar = Liar::start(greeting, answers);
        // TLS wants a name or an address that looks like one.
        let host = if what == "no TLS after STARTTLS" { "localhost" } else { "127.1" };
        run.refused(&format!("imap://bob@{host}:{}/INBOX", liar.port), what, refusal);
        let heard = liar.heard().join("\n");
        assert!(!heard.contains("AUTHENTICATE") && !heard.contains("LOGIN"), "{what}: {heard}");
    }
    let capa = |stls: &'static str| ("CAPA", Text(stls));
    for (what, answers, refusal) in [
        ("no STLS", vec![capa("+OK\r\nUSER\r\n.\r\n")], (69, "the server does not offer STLS, and no password")),
        ("no CAPA", vec![("CAPA", Text("-ERR\r\n"))], (69, "the server does not offer STLS, and no password")),
        (
            "injected",
            vec![capa("+OK\r\nSTLS\r\n.\r\n"), ("STLS", Text("+OK\r\n+OK injected\r\n"))],
            (65, "sent data before TLS"),
        ),
    ] {
        let liar = Liar::start(Text("+OK ready\r\n"), answers);
        run.refused(&format!("pop3://bob@127.1:{}/", liar.port), what, refusal);
        let heard = liar.heard().join("\n");
        assert!(!heard.contains("USER") && !heard.contains("AUTH"), "{what}: {heard}");
    }
}

#[test]
fn pop3_servers_that_lie() {
    let run = Run::new();
    let (ready, list, uidl) =
        (Text("+OK ready\r\n"), Text("+OK\r\n1 20\r\n2 20\r\n.\r\n"), Text("+OK\r\n1 a\r\n2 b\r\n.\r\n"));
    let changed = |part: &'static str, answer: Say| {
        let honest = [
            ("CAPA", Text("-ERR\r\n")),
            ("LIST", list.clone()),
            ("UIDL", uidl.clone()),
            ("RETR", Text("+OK\r\nX: y\r\n\r\nz\r\n.\r\n")),
        ];
        [vec![(part, answer)], honest.to_vec()].concat()
    };
    for (what, answers, refusal) in [
        ("no POP3", changed("CAPA", Text("* OK IMAP\r\n")), (65, "not a reply of POP3")),
        ("endless capabilities", changed("CAPA", Endless("+OK\r\n", "X\r\n")), (65, "more than 100 capabilities")),
        (
            "a refused login",
            changed("PASS", Text("-ERR [AUTH] wrong\r\n")),
            (77, "refused the login of \"bob\": \"[AUTH] wrong\""),
        ),
        (
            "in use",
            changed("PASS", Text("-ERR [IN-USE] locked\r\n")),
            (75, "the login was refused: \"[IN-USE] locked\""),
        ),
        ("an endless list", changed("UIDL", Endless("+OK\r\n", "1 a\r\n")), (65, "more than 1000000 lines")),
        ("an endless line", changed("UIDL", Endless("+OK\r\n1 ", "a")), (65, "a line of more than")),
        ("no UIDL", changed("UIDL", Text("-ERR what\r\n")), (69, "UIDL was refused")),
        ("no unique id", changed("UIDL", Text("+OK\r\n1\r\n.\r\n")), (65, "not a line of a list")),
        ("a list of words", changed("LIST", Text("+OK\r\none two\r\n.\r\n")), (65, "not a line of a list")),
        ("an endless message", changed("RETR", Endless("+OK\r\n", "a line\r\n")), (65, "a line of more than")),
        ("a message in one endless line", changed("RETR", Endless("+OK\r\n", "x")), (65, "a line of more than")),
        ("half a message", changed("RETR", Last("+OK\r\nX: y\r\n")), (75, "closed the connection")),
        ("no end", changed("RETR", Text("+OK\r\nX: y\r\n..\r\n")), (75, "takes too long")),
        ("a message that is not given", changed("RETR", Text("-ERR gone\r\n")), (69, "RETR 1 was refused: \"gone\"")),
    ] {
        let liar = Liar::start(ready.clone(), answers);
        run.refused(&format!("pop3://bob@127.0.0.1:{}/", liar.port), what, refusal);
    }
    // The second of two messages with one unique id stays; a refused QUIT is an error, because nothing is deleted then.
    let liar = Liar::start(ready.clone(), changed("UIDL", Text("+OK\r\n1 a\r\n2 a\r\n.\r\n")));
    run.refused(
        &format!("pop3://bob@127.0.0.1:{}/", liar.port),
        "one id twice",
        (65, "two messages have this unique id"),
    );
    let liar = Liar::start(ready, changed("QUIT", Text("-ERR [SYS/TEMP] not deleted\r\n")));
    run.refused(&format!("pop3://bob@127.0.0.1:{}/", liar.port), "QUIT refused", (75, "QUIT was refused"));
}

/// MD5 over a text of the server's choice is sent only if the URL asks for it (RFC 1939, section 7, has this example).
#[test]
fn apop_only_if_asked_for() {
    let run = Run::new();
    run.lab.write("password", "tanstaaf");
    let greeting = Text("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n");
    let answers = vec![("CAPA", Text("-ERR\r\n")), ("LIST", Text("+OK\r\n.\r\n")), ("UIDL", Text("+OK\r\n.\r\n"))];
    let liar = Liar::start(greeting.clone(), answers.clone());
    run.fetch(&format!("pop3://mrose@127.0.0.1:{}/", liar.port)).code(0);
    assert!(liar.heard().contains(&"PASS tanstaaf".to_owned()));
    let liar = Liar::start(greeting, answers);
    run.fetch(&format!("pop3://mrose;AUTH=+APOP@127.0.0.1:{}/", liar.port)).code(0);
    assert!(liar.heard().contains(&"APOP mrose c4c9334bac560ecc979e58001b3e22fb".to_owned()), "{:?}", liar.heard());
}
