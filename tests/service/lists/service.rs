//! Lists of a running service, by every transport.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
};

use crate::support::{
    clients::{Letter, reply},
    lab::Lab,
    ports::free_port,
    served::{Configured, STRANGER, filter, log, sendmail},
};

const POST: &str = "From: alice@example.org\r\nTo: dev@example.org\r\nSubject: the topic\r\nMessage-ID: <1@example.org>\r\n\r\nthe plan\r\n";

/// alice and the list have keys; bob gets it in clear, and dora has no key.
fn office() -> (Lab, u16) {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["key", "generate", "--no-passphrase", "dev@example.org"]).code(0);
    let port = free_port();
    lab.write("dev.members", "alice@example.org\nbob@example.net clear\n");
    lab.write(
        "list",
        format!(
            "[[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:{port}\"\nvrfy = \"lists\"\n\
             [[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"annotate\"\n\
             [[rule]]\nname = \"out\"\naction = \"clear\"\n\
             [[list]]\naddress = \"dev@example.org\"\nowner = \"root@example.org\"\nmembers-file = \"dev.members\"\n\
             post = \"anybody\"\n"
        ),
    );
    (lab, port)
}

fn configured(lab: &Lab) -> Configured<'_> {
    let configured = Configured::new(lab, "220 next ESMTP", &[]);
    let [written, list] = ["postseal.toml", "list"].map(|name| String::from_utf8(lab.read(name)).unwrap());
    lab.write("postseal.toml", written + &list);
    configured
}

#[test]
fn every_transport_posts_a_copy_for_each_member() {
    let (lab, expn) = office();
    let service = configured(&lab).serve().unwrap_or_else(|_| panic!("{}", log(&lab)));
    let letter = |sender, recipient, message| Letter { client: STRANGER, sender, recipient, message };
    for (transport, reply) in service.replies(&letter("alice@example.org", "dev@example.org", POST)) {
        assert!(reply.starts_with("250"), "{transport}: {reply}\n{}", log(&lab));
    }
    let mut delivered = service.delivered();
    assert_eq!(delivered.len(), 6, "two copies by each of three transports: {delivered:#?}");
    let (code, _, said) = sendmail(&lab, &letter("alice@example.org", "dev@example.org", POST));
    assert_eq!(code, 0, "{said}");
    delivered.extend(service.delivered());
    let (clear, sealed): (Vec<&String>, Vec<&String>) = delivered.iter().partition(|one| one.contains("the plan"));
    assert_eq!((clear.len(), sealed.len()), (4, 4), "{delivered:#?}");
    for message in sealed {
        assert!(!message.contains("the topic"), "{message}");
        lab.write("copy.eml", message);
        let opened = lab.run(&["decrypt", "copy.eml"]).code(0);
        assert!(
            opened.text().contains("the plan") && opened.text().contains("Subject: the topic"),
            "{}",
            opened.text()
        );
    }
    // One output is not enough for two members.
    assert_eq!(filter(&lab, &letter("alice@example.org", "dev@example.org", POST)).0, 75);
    // A bounce goes to the owner.
    let bounce = POST.replace("alice@example.org", "MAILER-DAEMON@example.net");
    for (transport, reply) in
        service.replies(&letter("", "dev-bounces+bob=example.net@example.org", &bounce)).into_iter().take(2)
    {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    assert!(service.delivered().len() >= 2);
    let said = log(&lab);
    assert!(said.contains("event=list-post list=dev@example.org sent=2 refused=0"), "{said}");
    assert!(said.contains("disposition=post"), "{said}");
    // Members that cannot be read refuse the post for now, and so it stays with the sender.
    let expand = |name: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", expn)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        reply(&mut lines);
        stream.write_all(format!("EXPN {name}\r\n").as_bytes()).unwrap();
        reply(&mut lines)
    };
    assert_eq!(expand("<dev@example.org>"), "250-2.1.5 <alice@example.org>\r\n250 2.1.5 <bob@example.net>\r\n");
    assert!(expand("other@example.org").starts_with("550 5.1.1"));
    lab.write("dev.members", "alice@example.org whatever\n");
    for (transport, reply) in service.replies(&letter("alice@example.org", "dev@example.org", POST)) {
        assert!(reply.starts_with("451"), "{transport}: {reply}");
    }
    assert!(expand("dev@example.org").starts_with("451"));
    assert!(service.delivered().is_empty());
}

#[test]
fn the_program_tells_what_each_member_would_get() {
    let (lab, _) = office();
    let _configured = configured(&lab);
    lab.write("dev.members", "alice@example.org\nbob@example.net clear\ndora@example.net\n");
    let said = lab.run(&["list", "check", "dev", "-c", "postseal.toml"]).code(0).text();
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("alice@example.org: signed, pgp key ") && lines[0].contains("; encrypted, pgp key "),
        "{said}"
    );
    assert_eq!(lines[1], "bob@example.net: in clear, as the rule says");
    assert_eq!(lines[2], "dora@example.net: nothing (discard) (missing-key)");
    assert!(said.contains("warning: owner root@example.org has no key"), "{said}");
    assert!(said.ends_with("dev@example.org: 3 members: 1 encrypted, 0 signed, 1 in clear, 1 nothing\n"), "{said}");
    lab.run(&["list", "check", "other", "-c", "postseal.toml"]).refused(66, "not in the configuration");
    let told = ["config", "explain", "-c", "postseal.toml", "--unknown", "eve@example.net", "dev@example.org"];
    let said = lab.run(&told).code(0).text();
    for words in [
        "goes on  to alice@example.org: list dev@example.org",
        "envelope sender dev-bounces+alice=example.org@example.org",
        "goes on  to bob@example.net: list dev@example.org",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
