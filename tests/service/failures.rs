//! What is wrong with this machine is a temporary failure in every transport, and no client reads its cause. docs/manual/failures.md has a row for
//! each cause.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER, TRUSTED, filter, log, sendmail},
};

/// A cause, and what it does to mail.
struct Row {
    /// As the manual names it.
    cause: &'static str,
    breaks: fn(&Lab),
    /// Which letters it concerns. The others go on as if nothing were wrong.
    concerns: &'static [&'static str],
    /// The beginning of every reply to these.
    reply: &'static str,
    /// What the log says of it.
    log: &'static str,
    /// Whether a service that starts after it starts at all. If not, a running one is tried too.
    starts: bool,
}

/// When the service meets the cause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    BeforeItStarts,
    WhileItRuns,
}

/// The row in which the next server fails, and not this machine.
const UPSTREAM: &str = "next server refuses to serve";
const OPEN: &str = "open";
const SIGN: &str = "sign";
const ENCRYPT: &str = "encrypt";

const ROWS: [Row; 8] = [
    Row {
        cause: "key store damaged",
        breaks: damage,
        concerns: &[OPEN, SIGN, ENCRYPT],
        reply: "451 4.",
        log: "malformed",
        starts: true,
    },
    Row {
        cause: "key store missing",
        breaks: |lab| fs::remove_file(lab.path("home/postseal.db")).expect("a database"),
        concerns: &[OPEN, SIGN, ENCRYPT],
        reply: "451 4.",
        log: "postseal.db",
        starts: false,
    },
    Row {
        cause: "home empty (not mounted)",
        breaks: |lab| {
            fs::remove_dir_all(lab.path("home")).expect("a home");
            fs::create_dir(lab.path("home")).expect("an empty folder");
            fs::set_permissions(lab.path("home"), fs::Permissions::from_mode(0o700)).expect("a folder of ours");
        },
        concerns: &[OPEN, SIGN, ENCRYPT],
        reply: "451 4.",
        log: "home",
        starts: false,
    },
    Row {
        cause: "database of the key store not reachable",
        breaks: |lab| {
            lab.write("home/store", "postgres:///keys?host=/nowhere\n");
            fs::set_permissions(lab.path("home/store"), fs::Permissions::from_mode(0o600)).expect("a file of ours");
        },
        concerns: &[OPEN, SIGN, ENCRYPT],
        reply: "451 4.",
        // A service that runs has the old rows open, and says that they were moved.
        log: "ostgre",
        starts: false,
    },
    Row {
        cause: "key store or key readable by others",
        breaks: |lab| {
            fs::set_permissions(lab.path("home/master.key"), fs::Permissions::from_mode(0o644))
                .expect("a file of ours");
        },
        concerns: &[OPEN, SIGN],
        reply: "451 4.",
        log: "others have access",
        starts: true,
    },
    Row {
        cause: "master key missing",
        breaks: |lab| fs::remove_file(lab.path("home/master.key")).expect("a master key"),
        concerns: &[OPEN, SIGN],
        reply: "451 4.",
        log: "is not there",
        starts: true,
    },
    Row {
        cause: "master key wrong",
        breaks: |lab| fs::write(lab.path("home/master.key"), "ab".repeat(32)).expect("a file of ours"),
        concerns: &[OPEN, SIGN],
        reply: "451 4.",
        log: "does not fit",
        starts: true,
    },
    Row {
        cause: UPSTREAM,
        breaks: |_| {},
        concerns: &[OPEN, SIGN, ENCRYPT],
        reply: "451 4.4.0",
        log: "go away",
        starts: true,
    },
];

/// Everything after the first page of the database is overwritten.
fn damage(lab: &Lab) {
    let mut octets = lab.read("home/postseal.db");
    octets[4096..].fill(0xff);
    fs::write(lab.path("home/postseal.db"), octets).expect("a file of ours");
}

#[test]
fn our_own_trouble_is_temporary_in_every_transport() {
    let made = Lab::with_keys(&["alice"]);
    made.run(&["--home", "partner", "key", "generate", "--no-passphrase", "buyer@partner.example"]).code(0);
    made.run(&["--home", "partner", "key", "export", "buyer@partner.example", "-o", "buyer.asc"]).code(0);
    made.run(&["key", "import", "buyer.asc"]).code(0);
    made.run(&["key", "export", "alice@example.org", "-o", "alice.asc"]).code(0);
    made.run(&["--home", "partner", "key", "import", "alice.asc"]).code(0);
    made.write("in", letter("buyer@partner.example", "alice@example.org"));
    made.run(&["--home", "partner", "encrypt", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    let encrypted = String::from_utf8(made.read("in.eml")).expect("ASCII");

    let nothing = Row { cause: "nothing", breaks: |_| {}, concerns: &[], reply: "", log: "", starts: true };
    let runs =
        |row: &Row| if row.starts { vec![When::BeforeItStarts] } else { vec![When::BeforeItStarts, When::WhileItRuns] };
    for (row, when) in [nothing].iter().chain(&ROWS).flat_map(|row| runs(row).into_iter().map(move |when| (row, when)))
    {
        let lab = Lab::new();
        let copied = Command::new("cp").arg("-a").arg(made.path("home")).arg(lab.path("home")).status();
        assert!(copied.expect("cp").success());
        let greeting = if row.cause == UPSTREAM { "554 5.3.2 go away" } else { "220 next ESMTP" };
        let configured = Configured::new(
            &lab,
            greeting,
            &[
                ["in", "direction = \"inbound\"", "decrypt+annotate"],
                ["partner", "recipient = \"partner.example\"", "encrypt"],
                // For a key that the administrator did not make, it would be permanent.
                ["all", "no-signing-key = \"reject\"", "sign+clear"],
            ],
        );
        if when == When::BeforeItStarts {
            (row.breaks)(&lab);
        }
        let service = configured.serve().ok();
        assert_eq!(service.is_some(), row.starts || when == When::WhileItRuns, "{}: {}", row.cause, log(&lab));
        if let (When::WhileItRuns, Some(service)) = (when, &service) {
            // The service has read the key store, and after another process changed it.
            for owner in ["", "carol@example.org"] {
                if !owner.is_empty() {
                    lab.run(&["key", "generate", "--no-passphrase", owner]).code(0);
                }
                let letter = Letter {
                    client: STRANGER,
                    sender: "x@else.example",
                    recipient: "alice@example.org",
                    message: &encrypted,
                };
                assert!(service.replies(&letter).iter().all(|(_, reply)| reply.starts_with("250")));
            }
            (row.breaks)(&lab);
        }
        for (name, sender, recipient, message) in [
            (OPEN, "buyer@partner.example", "alice@example.org", encrypted.clone()),
            (
                ENCRYPT,
                "alice@example.org",
                "buyer@partner.example",
                letter("alice@example.org", "buyer@partner.example"),
            ),
            (SIGN, "alice@example.org", "x@signed.example", letter("alice@example.org", "x@signed.example")),
        ] {
            let client = if name == OPEN { STRANGER } else { TRUSTED };
            let letter = Letter { client, sender, recipient, message: &message };
            let fails = row.concerns.contains(&name);
            for (transport, reply) in service.iter().flat_map(|service| service.replies(&letter)) {
                // The milter has no next server.
                let fails = fails && !(row.cause == UPSTREAM && transport == "milter");
                let what = format!("{}, {name} by {transport}: {reply}", row.cause);
                assert!(reply.starts_with(if fails { row.reply } else { "250" }), "{what}");
                assert!(!reply.contains("home") && !reply.contains(".db") && !reply.contains(".key"), "{what}");
            }
            let is_upstream = row.cause == UPSTREAM;
            let expected = |by_upstream: bool| if fails && (by_upstream || !is_upstream) { 75 } else { 0 };
            let filtered = filter(&lab, &letter);
            assert_eq!(filtered.0, expected(false), "{}, {name} by filter: {}", row.cause, filtered.2);
            if name != OPEN {
                let sent = sendmail(&lab, &letter);
                assert_eq!(sent.0, expected(true), "{}, {name} by sendmail: {}", row.cause, sent.2);
                // The local user may know: otherwise there would be no trace of it.
                assert_eq!(sent.2.contains("error: "), fails, "{}: {}", row.cause, sent.2);
            }
        }
        // The key store is in order where signing is.
        let ready = if row.concerns.contains(&SIGN) && row.cause != UPSTREAM { "503" } else { "200" };
        assert!(service.as_ref().is_none_or(|service| service.readiness() == ready), "{}", row.cause);
        drop(service);
        let log = log(&lab);
        assert!(log.contains(row.log), "{}: {log}", row.cause);
    }
}

/// The manual has a row for each cause, and no others.
#[test]
fn the_manual_lists_every_cause() {
    let manual = include_str!("../../docs/manual/failures.md");
    let table = manual.split("## This machine").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let listed: Vec<(&str, &str)> = rows
        .map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            (cells.next().expect("a cause"), cells.next().expect("a reply").trim_start_matches('`'))
        })
        .collect();
    let tested: Vec<&str> = ROWS.iter().map(|row| row.cause).chain(ELSEWHERE).collect();
    assert_eq!(listed.iter().map(|(cause, _)| *cause).collect::<Vec<_>>(), tested);
    for (row, (_, reply)) in ROWS.iter().zip(&listed) {
        assert!(reply.starts_with(row.reply), "{}: {reply}", row.cause);
    }
}

/// Causes with a test of their own, in this file, in tenants.rs, tokens.rs and tests/cli/audit.rs.
const ELSEWHERE: [&str; 6] = [
    "configuration invalid",
    "disk full, or quarantine not writable",
    "audit log not writable, with `required = true`",
    "audit log not writable",
    "home or file of a [tenant](tenants.md) missing or damaged",
    "token gone, its module silent, or its PIN wrong",
];

#[test]
fn an_invalid_configuration_is_temporary() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("postseal.toml", "home = \"home\"\nhostname = \"mail.example.org\"\ncolour = 1\n");
    let message = letter("alice@example.org", "x@else.example");
    let letter =
        Letter { client: TRUSTED, sender: "alice@example.org", recipient: "x@else.example", message: &message };
    for (code, _, words) in [filter(&lab, &letter), sendmail(&lab, &letter)] {
        assert!(code == 75 && words.contains("postseal.toml:3: unknown key \"colour\""), "{code}: {words}");
    }
    // A person at a terminal gets the code of a wrong configuration.
    lab.run(&["serve", "-c", "postseal.toml"]).code(78);
}

fn letter(from: &str, to: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: s\r\nDate: Mon, 30 Nov 2026 01:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
    )
}

/// A file cannot grow: what is to be held is put off, and nothing of it is left.
#[test]
fn a_full_disk_is_temporary() {
    let lab = Lab::with_keys(&["alice"]);
    let configured = Configured::new(&lab, "220 next ESMTP", &[["held", "direction = \"outbound\"", "quarantine"]]);
    let service = configured.serve_under(&["sh", "-c", "ulimit -f 64; exec \"$0\" \"$@\""]).expect("it starts");
    let message =
        letter("alice@example.org", "x@else.example") + &"x".repeat(70).replace('x', "0123456789\r\n").repeat(200);
    let letter =
        Letter { client: TRUSTED, sender: "alice@example.org", recipient: "x@else.example", message: &message };
    for (transport, reply) in service.replies(&letter).into_iter().filter(|(transport, _)| *transport != "milter") {
        assert!(reply.starts_with("451 4.3.0"), "{transport}: {reply}");
    }
    assert!(log(&lab).contains("event=message-not-held"), "{}", log(&lab));
    assert!(lab.names().iter().all(|name| !name.contains(".eml")), "{:?}", lab.names());
    assert_eq!(service.delivered(), Vec::<String>::new());
}
