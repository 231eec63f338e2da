//! A whole company of lists and forwards with real servers: every copy is counted, and opened by gpg or openssl; and the same with SIGKILL at random.

mod office;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::support::postfix::present;
use office::{Arrived, Office, Way};

const DEV: [&str; 6] = [
    "alice@example.org",
    // The notice of the members without keys.
    "alice@example.org",
    "bob@example.net",
    "carol@bank.example",
    "erin@example.net",
    "fred@away.example",
];

#[test]
fn lists_and_forwards_over_the_milter() {
    if present(&["dovecot", "gpg", "openssl"]) {
        works(&Office::open(Way::Milter));
    }
}

#[test]
fn lists_and_forwards_over_submission() {
    if present(&["dovecot", "gpg", "openssl"]) {
        works(&Office::open(Way::Submission));
    }
}

fn works(office: &Office) {
    posts(office);
    refused(office);
    moderated(office);
    forwards(office);
    bounces(office);
    killed(office);
}

/// Signed, and encrypted too.
fn posts(office: &Office) {
    let signed = sign(office, &letter("alice@example.org", "dev@example.org", 1));
    let sealed = seal(office, "dev@example.org", &letter("alice@example.org", "dev@example.org", 2));
    for message in [signed, sealed] {
        taken(office, "alice@example.org", &["dev@example.org"], &message);
        let arrived = office.arrived();
        assert_eq!(recipients(&arrived), DEV);
        for one in &arrived {
            opened(office, one);
            if !one.sender.is_empty() && one.to != "fred@away.example" {
                assert_eq!(one.sender, format!("dev-bounces+{}@example.org", one.to.replace('@', "=")));
            }
        }
        let notice = arrived.iter().find(|one| one.sender.is_empty()).expect("a notice");
        let notice = office.gpg(&notice.message, "dev@example.org");
        assert!(notice.contains("dora@example.net: ") && notice.contains("old@example.net: "), "{notice}");
    }
}

/// Forged, looped, and too large.
fn refused(office: &Office) {
    let forged = letter("alice@example.org", "dev@example.org", 3);
    refuses(office, &["dev@example.org"], &forged, "must be signed");
    // The key of the list is public: anybody can encrypt for it, and must not learn what became of it.
    office.lab.write("plain", &forged);
    let sealed = office.lab.run(&["--home", "people", "encrypt", "--to", "dev@example.org", "plain"]).code(0).text();
    let reply = office.send("eve@else.example", &["dev@example.org"], &sealed);
    assert!(reply.starts_with("250"), "{reply}");
    let looped = sign(office, &forged);
    let looped = format!("List-Id: <dev.example.org>\r\n{looped}");
    refuses(office, &["dev@example.org"], &looped, "loop");
    refuses(office, &["hana@example.org"], &format!("Delivered-To: hana@example.org\r\n{forged}"), "loop");
    let filler = "0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(20_000);
    refuses(office, &["dev@example.org"], &format!("{forged}{filler}"), "");
    // Postfix knows who is who by the table of the manual; postseal's listener before it takes mail for all of the domain.
    let reply = office.send("eve@else.example", &["dev-moderators@example.org"], &forged);
    assert!(reply.starts_with("550 5.1.1"), "{reply}");
    assert_eq!(recipients(&office.arrived()), Vec::<&str>::new());
    assert_eq!(office.held(), 1);
}

/// A moderator posts; what others send is held.
fn moderated(office: &Office) {
    let message = sign(office, &letter("alice@example.org", "news@example.org", 4));
    taken(office, "alice@example.org", &["news@example.org"], &message);
    let arrived = office.arrived();
    assert_eq!(recipients(&arrived), ["alice@example.org", "bob@example.net", "carol@bank.example"]);
    arrived.iter().for_each(|one| opened(office, one));
    let message = sign(office, &letter("bob@example.net", "news@example.org", 8));
    taken(office, "bob@example.net", &["news@example.org"], &message);
    assert_eq!((recipients(&office.arrived()), office.held()), (vec![], 2));
    office.approve("news");
    let arrived = office.arrived();
    assert_eq!(recipients(&arrived), ["alice@example.org", "bob@example.net", "carol@bank.example"]);
    assert!(arrived.iter().all(|one| one.sender.starts_with("news-bounces+")), "{arrived:?}");
    arrived.iter().for_each(|one| opened(office, one));
    assert_eq!(office.held(), 1);
}

/// Sealed for one whose key is here, plain for one who gets it sealed, and for one who gets it in clear in two places.
fn forwards(office: &Office) {
    let sealed = seal(office, "fred@example.org", &letter("alice@example.org", "fred@example.org", 5));
    taken(office, "zoe@sender.example", &["fred@example.org"], &sealed);
    let plain = letter("zoe@sender.example", "hana@example.org", 6);
    taken(office, "zoe@sender.example", &["hana@example.org", "mallory@example.org"], &plain);
    let arrived = office.arrived();
    let expected = ["fred@away.example", "hana@away.example", "mallory@away.example", "mallory@example.org"];
    assert_eq!(recipients(&arrived), expected);
    for one in &arrived {
        opened(office, one);
        if one.to.ends_with("away.example") {
            assert!(one.sender.ends_with("=sender.example=zoe@example.org"), "{}", one.sender);
            assert!(one.text().contains("Delivered-To: "), "{}", one.text());
        }
    }
}

/// A member's server refuses, and the owner hears of whom.
fn bounces(office: &Office) {
    office.sink.answer("RCPT TO:<BOB@", "550 5.1.1 no such user");
    let message = sign(office, &letter("alice@example.org", "news@example.org", 7));
    taken(office, "alice@example.org", &["news@example.org"], &message);
    let arrived = office.arrived();
    office.sink.answer("RCPT TO:<BOB@", "250 2.1.5 ok");
    assert_eq!(recipients(&arrived), ["alice@example.org", "alice@example.org", "carol@bank.example"]);
    assert!(arrived.iter().any(|one| one.text().contains("bob@example.net") && one.text().contains("no such user")));
}

/// SIGKILL at random moments: all who are to get a mail get it, some twice.
fn killed(office: &Office) {
    const CLIENTS: usize = 3;
    const EACH: usize = 5;
    let to = ["dev@example.org", "hana@example.org", "mallory@example.org"];
    let mut expected: Vec<&str> = DEV.into_iter().chain(["hana@away.example", "mallory@away.example"]).collect();
    expected.push("mallory@example.org");
    let messages: Vec<String> = (0..CLIENTS * EACH)
        .map(|number| sign(office, &letter("alice@example.org", "dev@example.org", 100 + number)))
        .collect();
    let (sending, tries) = (AtomicUsize::new(CLIENTS), AtomicUsize::new(0));
    let mut kills: u32 = 0;
    thread::scope(|scope| {
        for own in messages.chunks(EACH) {
            let (sending, tries) = (&sending, &tries);
            scope.spawn(move || {
                for message in own {
                    let mut left = 300;
                    loop {
                        tries.fetch_add(1, Ordering::SeqCst);
                        match office.try_send("alice@example.org", &to, message) {
                            Some(reply) if reply.starts_with("250 ") => break,
                            Some(reply) => assert!(reply.starts_with('4'), "{reply}"),
                            None => {}
                        }
                        left -= 1;
                        assert!(left > 0, "never taken");
                        thread::sleep(Duration::from_millis(100));
                    }
                }
                sending.fetch_sub(1, Ordering::SeqCst);
            });
        }
        // In step with nothing.
        let mut random: u64 = 88_172_645_463_325_252;
        while sending.load(Ordering::SeqCst) > 0 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_millis(random % 1_500));
            office.kill();
            kills += 1;
            office.start();
        }
    });
    assert!(kills > 0);
    let arrived = office.arrived();
    let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut notices = 0;
    for one in &arrived {
        if one.to == "alice@example.org" && one.sender.is_empty() {
            notices += 1;
            continue;
        }
        let is_clear = one.to == "erin@example.net" || one.to.starts_with("mallory");
        let text = one.text();
        assert_eq!(text.contains("the plan"), is_clear, "{text}");
        let number = text.split("Message-ID: <").nth(1).and_then(|rest| rest.split('@').next());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number: {text}"));
        *counts.entry((number, one.to.as_str())).or_default() += 1;
    }
    let wanted = messages.len() * (expected.len() - 1);
    for number in 0..messages.len() {
        for to in &expected {
            assert!(counts.contains_key(&(100 + number, *to)), "lost: {number} for {to}");
        }
    }
    assert!(notices >= messages.len(), "{notices}");
    let doubled: usize = counts.values().sum::<usize>() - wanted;
    let tries = tries.load(Ordering::SeqCst);
    println!(
        "{} mails, {kills} kills, {tries} tries, {wanted} copies, {doubled} copies and {} notices doubled, 0 lost",
        messages.len(),
        notices - messages.len()
    );
    // A copy arrives twice only where its mail was tried again.
    assert!(doubled <= (tries - messages.len()) * expected.len(), "{doubled} doubled by {tries} tries");
}

/// Opens a copy as its reader does.
fn opened(office: &Office, one: &Arrived) {
    let text = one.text();
    let list = text.lines().find_map(|line| line.strip_prefix("List-Id: <")).and_then(|id| id.split('.').next());
    let signer = list.map(|list| format!("{list}@example.org")).unwrap_or_default();
    let is_clear = text.contains("the plan");
    let read = match one.to.as_str() {
        "erin@example.net" | "mallory@away.example" | "mallory@example.org" => text,
        "carol@bank.example" if signer == "news@example.org" => office.openssl_verified(&text),
        "carol@bank.example" => {
            assert!(!is_clear);
            let signed = office.openssl(&one.message, "carol");
            office.openssl_verified(&signed)
        }
        "hana@away.example" => {
            assert!(!is_clear);
            office.openssl(&one.message, "hana")
        }
        "alice@example.org" if one.sender.is_empty() => return,
        "alice@example.org" if signer == "news@example.org" => office.gpg_signed(&text, &signer),
        _ => {
            assert!(!is_clear, "{text}");
            // What is opened to be forwarded loses the signature within.
            office.gpg(&one.message, if one.to == "fred@away.example" { "" } else { &signer })
        }
    };
    assert!(read.contains("the plan"), "{read}");
}

fn taken(office: &Office, from: &str, to: &[&str], message: &str) {
    let reply = office.send(from, to, message);
    assert!(reply.starts_with("250"), "{reply}");
}

fn refuses(office: &Office, to: &[&str], message: &str, why: &str) {
    let reply = office.send("alice@example.org", to, message);
    assert!(reply.starts_with('5') && reply.contains(why), "{reply}");
}

fn recipients(arrived: &[Arrived]) -> Vec<&str> {
    arrived.iter().map(|one| one.to.as_str()).collect()
}

fn letter(from: &str, to: &str, number: usize) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: the topic\r\nDate: Mon, 30 Nov 2026 08:00:00 +0000\r\n\
         Message-ID: <{number}@example.org>\r\n\r\nthe plan\r\n"
    )
}

fn sign(office: &Office, message: &str) -> String {
    office.lab.write("plain", message);
    office.lab.run(&["--home", "people", "sign", "plain"]).code(0).text()
}

fn seal(office: &Office, to: &str, message: &str) -> String {
    office.lab.write("plain", message);
    office.lab.run(&["--home", "people", "encrypt", "--sign", "--to", to, "plain"]).code(0).text()
}
