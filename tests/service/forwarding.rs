//! Forwarded mail through the service: every transport, and a real Postfix before and behind it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::{
    proxy::Proxy,
    support::{
        clients::Letter,
        lab::Lab,
        postfix::{Postfix, Received, Sink, present, run_with},
        served::{Configured, STRANGER, filter, log, sendmail},
    },
};

const FORWARDS: &str = r#"
[[forward]]
address = "alice@example.org"
to = "buyer@partner.example"
action = "decrypt+encrypt"

[[forward]]
address = "carl@example.org"
to = ["buyer@partner.example", "new@partner.example"]
action = "encrypt"

[[rule]]
name = "in"
direction = "inbound"
action = "annotate"

[[rule]]
name = "out"
action = "clear"
"#;

/// A service for alice@example.org, with the home of buyer@partner.example in `partner`.
fn office() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["key", "export", "alice@example.org", "-o", "alice.asc"]).code(0);
    lab.run(&["--home", "partner", "key", "import", "alice.asc"]).code(0);
    lab.run(&["--home", "partner", "key", "generate", "--no-passphrase", "buyer@partner.example"]).code(0);
    lab.run(&["--home", "partner", "key", "export", "buyer@partner.example", "-o", "buyer.asc"]).code(0);
    let added = lab.run(&["key", "import", "buyer.asc"]).code(0).text();
    lab.run(&["key", "trust", added.split_whitespace().nth(1).unwrap(), "buyer@partner.example"]).code(0);
    lab.write("marker", "0123456789abcdef0123456789abcdef");
    fs::set_permissions(lab.path("marker"), fs::Permissions::from_mode(0o600)).unwrap();
    lab
}

fn sealed(lab: &Lab) -> String {
    lab.write("in", "From: seller@partner.example\r\nTo: alice@example.org\r\nSubject: s\r\n\r\nthe secret is 42\r\n");
    lab.run(&["--home", "partner", "encrypt", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    String::from_utf8(lab.read("in.eml")).expect("ASCII")
}

/// What the partner reads.
fn opened(lab: &Lab, message: &str) -> String {
    lab.write("out.eml", message);
    lab.run(&["--home", "partner", "decrypt", "out.eml"]).code(0).text()
}

#[test]
fn every_transport_sends_it_on_and_refuses_what_cannot_go_on() {
    let lab = office();
    let sealed = sealed(&lab);
    let configured = Configured::new(&lab, "220 next ESMTP", &[]);
    let written = String::from_utf8(lab.read("postseal.toml")).unwrap();
    lab.write("postseal.toml", format!("marker = {{ file = \"marker\" }}\n{written}{FORWARDS}"));
    let service = configured.serve().unwrap_or_else(|_| panic!("{}", log(&lab)));
    let letter = |recipient, message| Letter { client: STRANGER, sender: "seller@partner.example", recipient, message };
    for (transport, reply) in service.replies(&letter("alice@example.org", &sealed)) {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    let mut delivered = service.delivered();
    // The milter's mail server has the copy itself, with another sender and recipient.
    assert_eq!(delivered.len(), 2, "{delivered:#?}");
    let (code, output, said) = filter(&lab, &letter("alice@example.org", &sealed));
    assert_eq!(code, 0, "{said}");
    delivered.push(output);
    for message in &delivered {
        assert!(
            !message.contains("the secret is 42") && message.contains("Delivered-To: alice@example.org"),
            "{message}"
        );
        assert!(opened(&lab, message).contains("the secret is 42"));
    }
    assert!(log(&lab).contains("origin=\"forward of alice@example.org\""), "{}", log(&lab));
    // One of the two has no key: the recipient is refused as a whole.
    for (transport, reply) in service.replies(&letter("carl@example.org", "From: a@b.example\r\n\r\nx\r\n")) {
        assert!(reply.starts_with("550 5.7.1") && !reply.contains("new@"), "{transport}: {reply}");
    }
    let (code, _, said) = sendmail(&lab, &letter("carl@example.org", "From: alice@example.org\r\n\r\nx\r\n"));
    assert_ne!(code, 0, "{said}");
    assert_eq!(service.delivered(), Vec::<String>::new());
}

/// What is forwarded through Postfix, and its bounce back to the sender.
#[test]
fn postfix_forwards_and_bounces_come_back() {
    if !present(&["swaks", "gpg"]) {
        return;
    }
    let sink = Sink::start();
    let behind = Postfix::start(sink.port(), &[], "");
    let rules = r#"
[[forward]]
address = "alice@example.org"
to = ["bob@example.net", "bounce@refused.test"]
action = "decrypt+encrypt"
missing-key = "discard"

[[rule]]
name = "in"
direction = "inbound"
action = "annotate"
"#;
    let proxy = Proxy::marked(behind.port(), "", "trusted.peers = [\"127.0.0.1\"]", rules);
    let lmtp = format!("lmtp:[127.0.0.1]:{}", proxy.lmtp());
    let front = Postfix::start(sink.port(), &[("content_filter", &lmtp)], "");
    let send = |from: &str, to: &str| {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", "127.0.0.1", "--port", &front.port().to_string(), "--from", from, "--to", to]);
        swaks.args(["--header", "From: zoe@sender.example", "--body", "the plan"]);
        let output = run_with(&mut swaks, b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    send("zoe@sender.example", "alice@example.org");
    let arrived = sink.wait_for(1);
    let [Received { sender, message, .. }] = arrived.as_slice() else { panic!("{}", arrived.len()) };
    assert_eq!(arrived[0].addresses(), ["bob@example.net"], "{}", arrived[0].text());
    let text = String::from_utf8_lossy(message);
    assert!(!text.contains("the plan") && text.contains("BEGIN PGP MESSAGE"), "{text}");
    let rewritten = sender.split(['<', '>']).nth(1).unwrap_or_default();
    assert!(rewritten.starts_with("SRS0=") && rewritten.ends_with("=sender.example=zoe@example.org"), "{sender}");
    send("<>", rewritten);
    let arrived = sink.wait_for(2);
    assert_eq!(arrived[1].addresses(), ["zoe@sender.example"]);
    assert!(arrived[1].sender.starts_with("<>"), "{}", arrived[1].sender);
}

/// The table of the manual by which Postfix accepts rewritten senders.
#[test]
fn postfix_knows_the_rewritten_senders() {
    if !present(&["/usr/sbin/postmap"]) {
        return;
    }
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual/forwarding.md")).unwrap();
    let (_, table) = page.split_once("# /etc/postfix/srs\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("srs");
    fs::write(&file, table.split("```").next().unwrap()).unwrap();
    fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
    let known = |address: &str| {
        let mut postmap = Command::new("/usr/sbin/postmap");
        postmap.arg("-c").arg(folder.path()).args(["-q", address, &format!("regexp:{}", file.display())]);
        run_with(&mut postmap, b"").stdout == b"OK\n"
    };
    assert!(known("SRS0=w2rg2m=jt=bank.example=clerk") && known("srs1=abcdef=x.example==a=b=c=d@example.org"));
    assert!(!known("bob") && !known("bob+SRS0=x@example.org"));
}
