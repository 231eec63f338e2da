//! Commands that people send to a list in signed mail.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use postseal::{
    base::{Clock, FixedClock, Limits, SystemClock},
    engine::HandlerConfig,
    keys::{Memory, Passphrases, ProtocolName},
    protocol::{Seal, Signer, pgp},
    store,
};

use crate::support::{
    clients::{Letter, dialogue},
    handler::{address, hook, parse},
    lab::Lab,
    served::{Configured, STRANGER, Served, log},
};

const ZOE: &str = "zoe@example.net";
const MEMBERS: &str = "# the team\nalice@example.org\nbob@example.net sign\n";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The home of the list, in which zoe's key is trusted, and her secret key, which is a month old.
fn office() -> (Lab, Memory) {
    let lab = Lab::with_keys(&["dev"]);
    let month_ago = FixedClock(SystemClock.now() - 30 * DAY);
    let generated = pgp::generate::generate(&pgp::generate::Request::new(address(ZOE)), &month_ago).unwrap();
    let secret = generated.described.secret.unwrap().expose().to_vec();
    lab.write("zoe", &secret);
    lab.run(&["--home", "zoe-home", "key", "import", "zoe"]).code(0);
    lab.run(&["--home", "zoe-home", "key", "export", ZOE, "-o", "public"]).code(0);
    let added = lab.run(&["key", "import", "public"]).code(0).text();
    lab.run(&["key", "trust", added.split_whitespace().nth(1).unwrap(), ZOE]).code(0);
    lab.run(&["key", "export", "dev@example.org", "-o", "dev.asc"]).code(0);
    lab.run(&["--home", "zoe-home", "key", "import", "dev.asc"]).code(0);
    let keys = store::load(&[("zoe", &secret)], &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
    lab.write("dev.members", MEMBERS);
    fs::set_permissions(lab.path("dev.members"), fs::Permissions::from_mode(0o640)).unwrap();
    (lab, keys)
}

fn serve<'a>(lab: &'a Lab, subscription: &str) -> Served<'a> {
    serve_with(lab, subscription, "")
}

fn serve_with<'a>(lab: &'a Lab, subscription: &str, more: &str) -> Served<'a> {
    let configured = Configured::new(lab, "220 next ESMTP", &[]);
    let written = String::from_utf8(lab.read("postseal.toml")).unwrap();
    let list = format!(
        "[[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"annotate\"\n[[rule]]\nname = \"out\"\naction = \"clear\"\n\
         [[list]]\naddress = \"dev@example.org\"\nowner = \"root@example.org\"\nmembers-file = \"dev.members\"\n\
         subscription = \"{subscription}\"\n{more}"
    );
    lab.write("postseal.toml", written + &list);
    configured.serve().unwrap_or_else(|_| panic!("{}", log(lab)))
}

fn mail(command: &str) -> String {
    format!(
        "From: Zoe <{ZOE}>\r\nTo: dev-request@example.org\r\nSubject: please\r\nMessage-ID: <1@example.net>\r\n\r\n{command}\r\n-- \r\nZoe\r\n"
    )
}

/// Signed by zoe, so long ago.
fn signed(keys: &Memory, ago: Duration, text: &str) -> String {
    let clock = Arc::new(FixedClock(SystemClock.now() - ago));
    let config = HandlerConfig { clock, keys: Arc::new(keys.clone()), ..HandlerConfig::clone(&hook().config()) };
    let how = Seal { sign: vec![Signer::Author], ..Seal::default() }.with_usual_headers(ProtocolName::Pgp);
    let mut octets = Vec::new();
    config.engine().seal(ProtocolName::Pgp, &parse(text), &how, &mut octets).unwrap();
    String::from_utf8(octets).unwrap()
}

/// What the next server gets for a mail to the request address; nothing tells the sender what it is.
fn send(service: &Served<'_>, message: &str) -> Vec<String> {
    let recipient = "dev-request@example.org";
    let letter = Letter { client: STRANGER, sender: ZOE, recipient, message };
    let reply = dialogue(service.smtp(), "EHLO", &letter);
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    service.delivered()
}

/// The answer, as zoe reads it.
fn answer(lab: &Lab, delivered: &[String]) -> String {
    let [answer] = delivered else { panic!("{delivered:#?}\n{}", log(lab)) };
    assert!(!answer.contains("member") && answer.contains("Auto-Submitted: auto-replied"), "{answer}");
    assert!(answer.contains("In-Reply-To: <1@example.net>") && answer.contains("To: zoe@example.net"), "{answer}");
    lab.write("answer", answer);
    let said = lab.run(&["--home", "zoe-home", "decrypt", "answer"]).code(0);
    said.text()
}

fn to_owner(delivered: &[String]) {
    let [one] = delivered else { panic!("{delivered:#?}") };
    assert!(one.contains("Delivered-To: dev-request@example.org") && !one.contains("In-Reply-To"), "{one}");
}

fn members(lab: &Lab) -> String {
    String::from_utf8(lab.read("dev.members")).unwrap()
}

/// `[templates]`: through the loader of all texts, and checked with the configuration.
#[test]
fn answers_are_in_the_words_of_the_owner() {
    let (lab, keys) = office();
    lab.write("joined.txt", "Subject: Willkommen\n\nSie sind bei {list} dabei, nach {command}.\nEs liest {owner}.\n");
    lab.write("help.txt", "Subject: Hilfe\n\nBefehle:\n{commands}\n");
    let texts = "[templates]\nlist-joined = \"joined.txt\"\nlist-help = \"help.txt\"\n";
    let service = serve_with(&lab, "open", texts);
    let join = signed(&keys, Duration::ZERO, &mail("subscribe dev@example.org"));
    let said = answer(&lab, &send(&service, &join));
    assert!(
        said.contains("Sie sind bei dev@example.org dabei, nach subscribe.\r\nEs liest dev-owner@example.org.\r\n"),
        "{said}"
    );
    assert!(said.contains("Subject: Willkommen"), "{said}");
    let help = signed(&keys, Duration::ZERO, &mail("help dev@example.org"));
    let said = answer(&lab, &send(&service, &help));
    let commands = "Befehle:\r\nhelp dev@example.org\r\nkey dev@example.org\r\nsubscribe dev@example.org\r\nunsubscribe dev@example.org\r\n";
    assert!(said.contains(commands), "{said}");
    // The others are ours.
    let key = signed(&keys, Duration::ZERO, &mail("key dev@example.org"));
    assert!(answer(&lab, &send(&service, &key)).contains("\r\n-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n"));
    lab.write("joined.txt", "Subject: x\n\n{members}\n");
    let checked = lab.run(&["config", "check", "postseal.toml"]).code(78).text();
    assert!(
        checked.contains("joined.txt: unknown placeholder {members}; known are {command} {list} {owner} {request}"),
        "{checked}"
    );
}

#[test]
fn members_join_and_leave_by_signed_mail_and_nothing_counts_twice() {
    let (lab, keys) = office();
    lab.run(&["audit", "init"]).code(0);
    let service = serve(&lab, "open");
    let join = signed(&keys, Duration::ZERO, &mail("subscribe dev@example.org"));
    assert!(answer(&lab, &send(&service, &join)).contains("You are a member of dev@example.org now."));
    assert_eq!(members(&lab), format!("{MEMBERS}{ZOE}\n"));
    let mode = fs::metadata(lab.path("dev.members")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // Another mail, signed in another second.
    let again = signed(&keys, Duration::from_secs(60), &mail("subscribe dev@example.org"));
    assert!(answer(&lab, &send(&service, &again)).contains("You are a member of dev@example.org already."));
    let leave = signed(&keys, Duration::ZERO, &mail("Unsubscribe DEV@example.org"));
    assert!(answer(&lab, &send(&service, &leave)).contains("You are not a member of dev@example.org any more."));
    assert_eq!(members(&lab), MEMBERS);
    // Sent again by another person, as it came and within an encryption of theirs.
    lab.write("old", &join);
    lab.run(&["--home", "eve", "key", "import", "dev.asc"]).code(0);
    let wrapped = lab.run(&["--home", "eve", "encrypt", "--again", "--to", "dev@example.org", "old"]).code(0).text();
    for old in [join, wrapped] {
        assert!(answer(&lab, &send(&service, &old)).contains("This command was carried out before."));
        assert_eq!(members(&lab), MEMBERS);
    }
    assert!(
        log(&lab)
            .contains("event=list-command list=dev@example.org author=zoe@example.net command=subscribe result=done")
    );
    // Each change is in the audit log, once, with who signed it.
    let audit = String::from_utf8(lab.read("home/audit.log")).unwrap();
    let changes: Vec<&str> = audit.lines().filter(|line| line.contains("\"event\":\"members\"")).collect();
    let words = [("subscribe", 0), ("unsubscribe", 1)];
    for (command, at) in words {
        let change = changes.get(at).unwrap_or_else(|| panic!("{audit}"));
        for part in [
            format!("\"command\":\"{command}\""),
            "\"list\":\"dev@example.org\"".to_owned(),
            format!("\"member\":\"{ZOE}\""),
        ] {
            assert!(change.contains(&part), "{part} is not in {change}");
        }
        assert!(change.contains("\"signed_by\":[\""), "{change}");
    }
    assert_eq!(changes.len(), 2, "{audit}");
    lab.run(&["audit", "verify"]).code(0);
    // The address of the configuration is asked, and nothing is done.
    lab.write("mail", signed(&keys, Duration::from_secs(120), &mail("subscribe dev@example.org")));
    let explain = ["config", "explain", "-c", "postseal.toml", "--unknown", ZOE, "dev-request@example.org"];
    lab.run(&[&explain[..], &["mail"]].concat()).code(0);
    assert_eq!(members(&lab), MEMBERS);
}

#[test]
fn what_is_not_signed_by_its_author_for_this_list_and_lately_goes_to_the_owner() {
    let (lab, keys) = office();
    let service = serve(&lab, "open");
    let leave = "unsubscribe dev@example.org";
    lab.write("dev.members", format!("{MEMBERS}{ZOE}\n"));
    let now = Duration::ZERO;
    let resigned =
        signed(&keys, now, &mail(leave)).replace("Content-Type: multipart/signed", "X-Type: multipart/signed");
    for message in [
        mail(leave),
        // Signed by another than the author.
        signed(&keys, now, &mail(leave)).replace("From: Zoe <zoe@", "From: Bob <bob@"),
        resigned,
        signed(&keys, now, &mail(leave)).replace(leave, "subscribe dev@example.org"),
        signed(&keys, now, &mail("unsubscribe ops@example.org")),
        signed(&keys, now, &mail("unsubscribe")),
        signed(&keys, now, &mail("Please unsubscribe dev@example.org")),
        signed(&keys, 8 * DAY, &mail(leave)),
        format!("Auto-Submitted: auto-replied\r\n{}", signed(&keys, now, &mail(leave))),
        format!("Precedence: bulk\r\n{}", signed(&keys, now, &mail(leave))),
    ] {
        to_owner(&send(&service, &message));
    }
    assert!(members(&lab).contains(ZOE));
    // The last one is the first that counts.
    assert!(answer(&lab, &send(&service, &signed(&keys, 6 * DAY, &mail(leave)))).contains("not a member"));
    assert!(!members(&lab).contains(ZOE));
}

#[test]
fn the_list_says_what_members_may_change() {
    let (lab, keys) = office();
    lab.write("dev.members", format!("{MEMBERS}{ZOE}\n"));
    let command = |command: &str, ago| signed(&keys, Duration::from_secs(ago), &mail(command));
    {
        let service = serve(&lab, "closed");
        to_owner(&send(&service, &command("subscribe dev@example.org", 1)));
        to_owner(&send(&service, &command("unsubscribe dev@example.org", 2)));
        let help = answer(&lab, &send(&service, &command("help dev@example.org", 3)));
        assert!(help.contains("key dev@example.org") && help.contains("dev-owner@example.org"), "{help}");
        assert!(!help.contains("subscribe"), "{help}");
        let key = answer(&lab, &send(&service, &command("key dev@example.org", 4)));
        assert!(key.contains("BEGIN PGP PUBLIC KEY BLOCK") && !key.contains("PRIVATE"), "{key}");
    }
    assert!(members(&lab).contains(ZOE));
    fs::remove_file(lab.path("next")).unwrap();
    let service = serve(&lab, "moderated");
    to_owner(&send(&service, &command("subscribe dev@example.org", 5)));
    // By every transport.
    let message = command("unsubscribe dev@example.org", 6);
    let letter = Letter { client: STRANGER, sender: ZOE, recipient: "dev-request@example.org", message: &message };
    for (transport, reply) in service.replies(&letter) {
        assert!(reply.starts_with("250"), "{transport}: {reply}");
    }
    assert_eq!((service.delivered().len(), members(&lab).as_str()), (3, MEMBERS));
    // A person gets so many answers and no more.
    let answers: usize = (0..8).map(|ago| send(&service, &command("help dev@example.org", 100 + ago)).len()).sum();
    assert_eq!(answers, 5, "{}", log(&lab));
    // What is named in the configuration cannot be changed by mail.
    let written = String::from_utf8(lab.read("postseal.toml")).unwrap();
    lab.write("postseal.toml", written.replace("members-file = \"dev.members\"", "members = [\"bob@example.net\"]"));
    let said = lab.run(&["config", "check", "postseal.toml"]);
    assert!(said.code != 0, "{said:?}");
    assert!(
        said.text().contains("members-file is missing") || said.stderr.contains("members-file is missing"),
        "{said:?}"
    );
}
