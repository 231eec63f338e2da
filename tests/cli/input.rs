//! What is sealed and what is judged: one mail message, and whatever else is named.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::lab::Lab;

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Lunch\n\nToday?\n";
const SECRET: &str = "The secret is 42.";

#[test]
fn what_is_no_message_is_not_sealed() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    for text in [
        format!("{SECRET}\n"),
        format!("{SECRET}\n\nMore of it.\n"),
        format!("Note: {SECRET}\n\nMore of it.\n"),
        format!("From: alice@example.org\nNote: {SECRET}\n"),
        format!("From: alice@example.org\n{SECRET}\n\nMore.\n"),
        format!("\nFrom: alice@example.org\n\n{SECRET}\n"),
        format!("From: the desk of Alice\n\n{SECRET}\n"),
        String::new(),
    ] {
        lab.write("text", &text);
        for format in ["pgp", "smime", "pem"] {
            for verb in [&["encrypt", "--to", "bob@example.org"][..], &["sign", "--as", "alice@example.org"]] {
                let arguments = [verb, &["-f", format, "-o", "sealed", "text"]].concat();
                let done = lab.run(&arguments).refused(65, "postseal: error: text: not a mail message: ");
                assert!(done.stderr.contains("hint: --text "), "{text:?}: {}", done.stderr);
            }
        }
    }
    assert!(!lab.path("sealed").exists());
}

#[test]
fn messages_of_other_programs_are_sealed() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    for message in [
        MESSAGE.to_owned(),
        MESSAGE.replace('\n', "\r\n"),
        "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\n\
         Subject: [PATCH] x\n\n---\n"
            .to_owned(),
        "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@h> x\n\nout\n".to_owned(),
    ] {
        lab.write("m", &message);
        lab.run(&["encrypt", "--to", "bob@example.org", "--sign", "--as", "alice@example.org", "-o", "e", "m"]).code(0);
        assert_eq!(lab.run(&["decrypt", "e"]).code(0).text().trim_end(), message.trim_end(), "{message:?}");
    }
    let piped = "printf 'From: alice@example.org\\nTo: bob@example.org\\n\\nhi\\n' | \"$0\" sign";
    assert!(lab.shell(piped).code(0).text().contains("BEGIN PGP SIGNATURE"));
}

#[test]
fn a_text_becomes_a_message() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    let who = ["--from", "Alice \u{c4}. <alice@example.org>", "--subject", "Gr\u{fc}\u{df}e"];
    for text in [SECRET, "caf\u{e9}\n", &format!("From: eve@example.org\n\n{SECRET}\n")] {
        lab.write("text", text);
        let to = ["--to", "bob@example.org", "--text"];
        lab.run(&[&["encrypt", "--sign"], &to[..], &who, &["-o", "e", "text"]].concat()).code(0);
        assert!(!String::from_utf8(lab.read("e")).unwrap().contains("secret"));
        lab.run(&["verify", "e"]).code(0);
        let opened = lab.run(&["decrypt", "e"]).code(0).text();
        let (header, body) = opened.split_once("\n\n").unwrap();
        for field in ["From: =?utf-8?q?", " <alice@example.org>\n", "To: bob@example.org\n", "Date: ", "Message-ID: <"]
        {
            assert!(header.contains(field), "{header}");
        }
        assert!(!header.contains("From: eve"), "{header}");
        assert!(text.contains('\u{e9}') || body.contains(text), "{body}");
        lab.run(&[&["sign"], &to[..], &who, &["-o", "s", "text"]].concat()).code(0);
        lab.run(&["verify", "s"]).code(0);
    }
}

#[test]
fn no_value_of_a_text_ends_its_field() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("text", SECRET);
    let with = |from: &str, to: &str, subject: &str| {
        lab.run(&["encrypt", "--text", "--from", from, "--to", to, "--subject", subject, "-o", "e", "text"])
    };
    let (alice, bob) = ("alice@example.org", "bob@example.org");
    for bad in ["x\r\nBcc: eve@example.org", "x\nBcc: eve@example.org", "x\rBcc: eve@example.org", "x\u{85}y", "x\ty"] {
        with(alice, bob, bad).refused(64, "holds a control character");
        if !bad.contains('\t') {
            with(&format!("{bad} <{alice}>"), bob, "x").refused(64, "mailbox ");
        }
        with(alice, &format!("{bob}{bad}"), "x").refused(64, "");
    }
    with("alice, bob", bob, "x").refused(64, "mailbox ");
    with("", bob, "x").refused(64, "mailbox ");
    lab.write("text", b"caf\xe9\n");
    with(alice, bob, "x").refused(65, "not in UTF-8");
    for arguments in [
        &["encrypt", "--text", "--to", bob, "--", "text"][..],
        &["encrypt", "--from", alice, "--to", bob, "--", "text"],
        &["sign", "--subject", "x", "text"],
        &["sign", "--to", bob, "text"],
    ] {
        lab.run(arguments).refused(64, "");
    }
    assert!(!lab.path("e").exists());
}

#[test]
fn what_is_encrypted_is_refused_kept_or_encrypted_again() {
    let lab = Lab::with_keys(&["bob", "carol"]);
    lab.write("m", MESSAGE).run(&["encrypt", "--to", "carol@example.org", "-o", "e", "m"]).code(0);
    lab.run(&["encrypt", "--to", "bob@example.org", "--", "e"]).refused(65, "e: already encrypted");
    let kept = lab.run(&["encrypt", "--keep", "--to", "bob@example.org", "--", "e"]).code(0);
    assert_eq!(kept.stdout, lab.read("e"));
    assert!(kept.stderr.starts_with("postseal: warning: already encrypted"), "{kept:?}");
    lab.run(&["encrypt", "--keep", "--again", "--to", "bob@example.org", "--", "e"]).refused(64, "");
    lab.run(&["encrypt", "--again", "--to", "bob@example.org", "-o", "twice", "e"]).code(0);
    let opened = lab.run(&["decrypt", "--json", "twice"]).code(0);
    assert_eq!(opened.stderr.matches(r#""kind":"encrypted""#).count(), 2, "{opened:?}");
    assert!(opened.text().ends_with("\n\nToday?\n"), "{opened:?}");
}

/// A signed message in armor, and words beside an encrypted one, are not encrypted already.
#[test]
fn what_only_looks_encrypted_is_encrypted() {
    let lab = Lab::with_keys(&["alice", "bob", "carol"]);
    lab.write("m", MESSAGE);
    lab.run(&["sign", "--inline", "--opaque", "-o", "packed", "m"]).code(0);
    lab.run(&["encrypt", "--inline", "--to", "carol@example.org", "-o", "e", "m"]).code(0);
    let sealed = String::from_utf8(lab.read("e")).unwrap();
    let (before, after) =
        (sealed.replace("-----BEGIN", &format!("{SECRET}\n-----BEGIN")), format!("{sealed}{SECRET}\n"));
    // Words as octets behind the packets, within the armor.
    let (head, armor) = sealed.split_once("-----BEGIN PGP MESSAGE-----\n\n").unwrap();
    let base64: String = armor.lines().take_while(|line| !line.starts_with(['=', '-'])).collect();
    let within = [BASE64_STANDARD.decode(base64).unwrap(), SECRET.into()].concat();
    let within = BASE64_STANDARD.encode(within);
    let within = format!("{head}-----BEGIN PGP MESSAGE-----\n\n{within}\n-----END PGP MESSAGE-----\n");
    lab.write("before", before).write("after", after).write("within", within);
    for name in ["packed", "before", "after", "within"] {
        for keep in [&["--keep"][..], &[]] {
            let arguments = [&["encrypt"], keep, &["--to", "bob@example.org", "-o", "sealed", name]].concat();
            lab.run(&arguments).code(0);
            let sealed = String::from_utf8(lab.read("sealed")).unwrap();
            assert!(!sealed.contains(SECRET) && sealed.contains("multipart/encrypted"), "{name}: {sealed}");
        }
    }
}

#[test]
fn an_mbox_is_refused_by_name() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    let one = format!("From alice@example.org Mon Nov 30 10:00:00 2026\n{MESSAGE}\n");
    lab.write("two", one.repeat(2)).write("three", one.repeat(3).replace('\n', "\r\n")).write("one", &one);
    for (name, words) in [("two", "two: an mbox of 2 messages"), ("three", "three: an mbox of 3 messages")] {
        for arguments in [
            &["verify", name][..],
            &["decrypt", name],
            &["decrypt", "--parts", name],
            &["inspect", name],
            &["canon", "--form", "pgp", name],
            &["sign", name],
            &["encrypt", "--to", "bob@example.org", "--", name],
        ] {
            lab.run(arguments).refused(65, words);
        }
    }
    lab.run(&["sign", "-o", "signed", "one"]).code(0);
    lab.run(&["verify", "signed"]).code(0);
}
