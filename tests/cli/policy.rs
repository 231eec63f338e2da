//! docs/manual/policy.md, executed: its configuration and messages are written out, its commands typed, and what they print compared.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::lab::{Lab, POSTSEAL};

#[test]
fn the_situations_of_the_manual_come_out_as_shown() {
    assert!(typed("policy.md", &office()) >= 13);
}

#[test]
fn forwards_and_aliases_come_out_as_the_manual_shows() {
    let lab = office();
    lab.write("marker", "0123456789abcdef0123456789abcdef");
    fs::set_permissions(lab.path("marker"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(typed("forwarding.md", &lab) >= 4);
}

#[test]
fn tenants_come_out_as_the_manual_shows() {
    assert!(typed("tenants.md", &Lab::new()) >= 12);
}

#[test]
fn domain_keys_come_out_as_the_manual_shows() {
    let lab = office();
    let run = |arguments: &str| lab.run(&arguments.split(' ').collect::<Vec<_>>()).code(0).text();
    let fingerprint = |text: &str| text.split_whitespace().nth(1).unwrap().to_owned();
    run("key generate --no-passphrase archive@example.org");
    // Each side has the domain key of the other, under the name that its owner chose.
    for (home, name, other, domain) in [
        ("gateway", "gate@partner.example", "home", "@partner.example"),
        ("home", "mail@example.org", "gateway", "@example.org"),
    ] {
        run(&format!("--home {home} key generate --no-passphrase {name}"));
        run(&format!("--home {home} key export -o gate.asc {name}"));
        let key = fingerprint(&run(&format!("--home {other} key import gate.asc")));
        run(&format!("--home {other} key trust {key} {domain}"));
        run(&format!("--home {home} key trust {key} {domain}"));
    }
    assert!(typed("domain-keys.md", &lab) >= 7);
    let text = String::from_utf8(lab.read("postseal.toml")).unwrap();
    let explained = |from: &str, to: &str, recipient: &str| {
        lab.write("other.toml", text.replace(from, to));
        let command = format!("config explain -c other.toml --trusted alice@example.org {recipient} letter.eml");
        run(&command)
    };
    // An invitation of another person, forwarded, does not decide: the mail would go out in clear.
    let parts = "--b\n\nsecret\n--b\nContent-Type: message/rfc822\n\nFrom: x@else.example\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n";
    let letter = format!("From: alice@example.org\nContent-Type: multipart/mixed; boundary=b\n\n{parts}");
    for (file, end, rule) in [
        ("forwarded.eml", "--b--\n", "people of the partner with a key"),
        ("own.eml", "--b\nContent-Type: TEXT/Calendar\n\nBEGIN:VCALENDAR\n--b--\n", "invitations"),
    ] {
        lab.write(file, format!("{letter}{end}"));
        let said =
            run(&format!("config explain -c postseal.toml --trusted alice@example.org buyer@partner.example {file}"));
        assert!(said.contains(&format!("  decides  {rule}\n")), "{file}: {said}");
    }
    // The From of a stranger makes no reader.
    let at_rest = "action = \"encrypt+annotate\"\nprotocol = \"pgp\"\nalso-to = \"author\"";
    lab.write("rest.toml", text.replace("action = \"decrypt+annotate\"", at_rest));
    for (submitter, recipient, is_reader) in
        [("--unknown", "archive@example.org", false), ("--trusted", "buyer@partner.example", true)]
    {
        let line = format!("config explain -c rest.toml {submitter} alice@example.org {recipient} letter.eml");
        let said = run(&line);
        assert!(said.contains("encrypted, pgp key"), "{said}");
        assert_eq!(said.contains("readable by alice@example.org too"), is_reader, "{said}");
    }
    // Nothing goes without the archive, and no key takes the place of another.
    let refused = explained("\"archive@", "\"vault@", "buyer@partner.example");
    assert!(refused.contains("outcome  reject: vault@example.org: no encryption key"), "{refused}");
    let refused = explained("\"partner.example\"\nprotocol", "\"else.example\"\nprotocol", "x@else.example");
    assert!(refused.contains("domain-confidentiality-authority@else.example: no encryption key"), "{refused}");
    let refused = explained("sign-as = [\"example.org\"]", "sign-as = [\"bob@example.org\"]", "new@partner.example");
    assert!(refused.contains("may not sign as alice@example.org"), "{refused}");
    let kept = explained("domain-keys = [\"example.org\"]", "", "new@partner.example");
    assert!(kept.contains("encrypted, pgp key"), "{kept}");
    let closed = lab.shell("\"$0\" filter -c other.toml -- carol@example.org < answer.eml").code(0).text();
    assert!(!closed.contains("We take it"), "{closed}");
}

#[test]
fn the_way_to_a_policy_in_force_is_as_shown() {
    let lab = office();
    assert!(typed("operations.md", &lab) >= 7);
    // By exit code: 0 nothing, 1 something changes or is not known, 66 no decision.
    let run = |arguments: &str| lab.run(&arguments.split(' ').collect::<Vec<_>>());
    run("config diff enforce.toml enforce.toml yesterday.log").code(0);
    run("config diff enforce.toml gentle.toml yesterday.log").code(1);
    lab.write("cut.log", String::from_utf8(lab.read("yesterday.log")).unwrap().replace(" octets=512", ""));
    let cut = run("config diff enforce.toml enforce.toml cut.log").code(1).text();
    assert!(cut.ends_with("\nnot readable: 1 line\n"), "{cut}");
    let other = String::from_utf8(lab.read("enforce.toml")).unwrap();
    lab.write("asks.toml", other.replace("recipient =", "header = { X-Seal = \"yes\" }\nrecipient ="));
    let asks = run("config diff enforce.toml asks.toml yesterday.log").code(1).text();
    assert!(
        asks.contains("  to    not known: rule \"partners get encrypted mail\" asks what is not in the log\n"),
        "{asks}"
    );
    lab.write("named.toml", other.replace("\"all others\"", "\"the rest\"").replace("\"incoming\"", "\"in\""));
    let named = run("config diff enforce.toml named.toml yesterday.log").code(0).text();
    assert!(named.ends_with("\nthe same by another rule\n  incoming to in: 1 recipient\n"), "{named}");
    let foreign = run("config diff named.toml named.toml yesterday.log").code(0).text();
    assert!(foreign.contains("\ndecided by another rule than OLD says: 1 recipient; "), "{foreign}");
    // What a refusal says, and how a message is sealed.
    let all = "[[rule]]\nname = \"all others\"";
    let refusing = |text: &str| {
        other.replace(all, &format!("[[rule]]\nname = \"no\"\nrecipient = \"example.org\"\naction = \"reject\"\ntext = \"{text}\"\n{all}"))
        .replace("\"inbound\"\naction = \"decrypt+annotate\"", "\"inbound\"\nrecipient = \"else.example\"\naction = \"decrypt+annotate\"")
    };
    lab.write("no.toml", refusing("not here")).write("never.toml", refusing("go away"));
    let text = run("config diff no.toml never.toml yesterday.log").code(1).text();
    assert!(text.contains("  from  no: reject: not here\n  to    no: reject: go away\n"), "{text}");
    lab.write("shy.toml", other.replace("\"sign+encrypt\"", "\"sign+encrypt\"\nprotect-headers = \"shy\""));
    let shy = run("config diff enforce.toml shy.toml yesterday.log").code(1).text();
    assert!(
        shy.contains("  to    partners get encrypted mail: relay, sign-and-encrypt:pgp (with other settings)\n"),
        "{shy}"
    );
    lab.write("empty.log", "level=info event=received mail=a-1\n");
    run("config diff enforce.toml enforce.toml empty.log").refused(66, "empty.log: no decision in it");
    run("config diff enforce.toml nowhere.toml yesterday.log").refused(78, "nowhere.toml");
    run("config diff enforce.toml enforce.toml nowhere.log").refused(66, "nowhere.log");

    // Cases: what is expected of a message in a file, of a log-only rule, and of every recipient.
    let test = |cases: &str| {
        lab.write("c.toml", cases);
        run("config test -c next.toml c.toml")
    };
    let case =
        |more: &str| format!("[[case]]\nname = \"one\"\nfrom = \"alice@example.org\"\nclient = \"trusted\"\n{more}\n");
    lab.write("letter.eml", "From: alice@example.org\nTo: clerk@bank.example\nSubject: x\n\nhello\n");
    for passing in [
        "to = \"clerk@bank.example\"\nfile = \"letter.eml\"\nexpect = { actions = [\"clear\", \"sign:pgp\"], log-only = \"the bank\" }",
        "to = \"clerk@bank.example\"\nsigning = \"pgp\"\nexpect = { outcome = \"relay\", log-only = \"the bank\" }",
        "to = \"x@else.example\"\nauthor = \"<>\"\nsigning = \"pgp\"\nexpect = { obstacle = \"malformed\" }",
        "to = \"x@else.example\"\nsigning = \"pgp:expired\"\nexpect = { obstacle = \"no-signing-key\", outcome = \"tempfail\" }",
    ] {
        assert_eq!(test(&case(passing)).code(0).text(), "passed  one\n1 cases, 0 failed\n", "{passing}");
    }
    let failing = test(&case(
        "to = [\"clerk@bank.example\", \"x@else.example\"]\nsigning = \"pgp\"\nexpect = { log-only = \"the bank\" }",
    ));
    let failing = failing.code(1).text();
    assert!(failing.contains("        x@else.example: log-only is \"none\" and not \"the bank\"\n"), "{failing}");
    let json = lab.run(&["config", "test", "--json", "-c", "enforce.toml", "cases.toml"]).code(1).text();
    assert_eq!(json.lines().count(), 4, "{json}");
    assert!(json.lines().last().is_some_and(|line| line.contains("\"passed\":false")), "{json}");
    for (bad, why) in [
        ("to = \"x@else.example\"", "c.toml:1: \"expect\" is missing"),
        ("expect = { outcome = \"relay\" }", "c.toml:1: \"to\" is missing"),
        ("to = \"x@else.example\"\nexpect = { outcome = \"relais\" }", "c.toml:6: unknown outcome \"relais\""),
        ("to = \"x@else.example\"\nexpct = 1\nexpect = { rule = \"x\" }", "c.toml:6: unknown key \"expct\""),
        ("to = \"x@else.example\"\nkeys = \"pgp:old\"\nexpect = { rule = \"x\" }", "c.toml:6: key \"old\""),
        (
            "to = \"x@else.example\"\nfile = \"f\"\nsize = 1\nexpect = { rule = \"x\" }",
            "c.toml:7: size: the file says it",
        ),
    ] {
        test(&case(bad)).refused(78, why);
    }
    test("").refused(78, "c.toml:1: no [[case]]");
    run("config test -c next.toml nowhere.toml").refused(66, "nowhere.toml");

    // What a log-only service does not do is a warning.
    let listed = "expand-aliases = true\n[aliases]\nsales = [\"alice@example.org\"]\n[[rule]]\nname = \"all\"\naction = \"clear\"\n[[rule]]\nname = \"last\"\naction = \"clear\"\n";
    let top = "home = \"home\"\nhostname = \"h.example\"\n";
    lab.write("c.toml", format!("mode = \"log-only\"\n{top}{listed}"));
    let said = run("config check c.toml").code(0).text();
    assert!(said.contains("c.toml:5: warning: aliases: not followed while mode is log-only"), "{said}");
    assert!(said.contains("rule \"last\" is never reached"), "{said}");
    lab.write("c.toml", format!("{top}{}", listed.replacen("action", "mode = \"log-only\"\naction", 1)));
    assert_eq!(run("config check c.toml").code(0).text(), "c.toml: 2 rules, 0 errors, 0 warnings\n");
    for (limit, why) in [
        ("messages = 0", "messages: no message would be accepted"),
        ("seconds = 60", "rate-limit: messages, recipients, or both"),
        ("messages = 1\nseconds = 0", "seconds: no time at all"),
        ("messages = 1\nper = \"user\"", "unknown per \"user\""),
    ] {
        lab.write("c.toml", format!("{top}[[rate-limit]]\nname = \"one\"\n{limit}\n"));
        let said = run("config check c.toml").code(78).text();
        assert!(said.contains(why), "{said}");
    }
}

/// The number of commands on the page, after each has printed what the page shows.
fn typed(page: &str, lab: &Lab) -> usize {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual").join(page)).unwrap();
    let mut commands = 0;
    for block in blocks(&text) {
        match block.kind.split_once(' ') {
            Some(("toml" | "eml" | "log" | "cases", name)) => {
                lab.write(name, block.text);
            }
            _ if block.kind == "console" => {
                for (command, expected) in sessions(block.text) {
                    let output = lab.command("sh").args(["-c", command]).env("PATH", path()).output().unwrap();
                    let said = [output.stdout, output.stderr].concat();
                    assert_eq!(without_fingerprints(&String::from_utf8(said).unwrap()), expected, "{command}");
                    commands += 1;
                }
            }
            _ => {}
        }
    }
    commands
}

/// A bad file is an error for every command that loads it, with its first fault; and `check` names all of them.
#[test]
fn a_bad_configuration_is_refused_with_every_fault() {
    let lab = office();
    let good = "home = \"home\"\nhostname = \"h.example\"\n[[rule]]\nname = \"all\"\naction = \"clear\"\n";
    let forward = |to: &str, action: &str| {
        let table = format!("[[forward]]\naddress = \"a@o.example\"\nto = \"{to}\"\naction = \"{action}\"\n");
        format!("expand-aliases = false\n{good}{table}sender = \"own\"\n")
    };
    lab.write("c.toml", good);
    assert_eq!(lab.run(&["config", "check", "c.toml"]).code(0).text(), "c.toml: 1 rules, 0 errors, 0 warnings\n");
    lab.run(&["config", "explain", "-c", "c.toml", "a@x.example", "b@x.example"]).code(0);
    for (bad, fault) in [
        (
            "hom = \"home\"\nhome = \"home\"\nhostname = \"h\"",
            "c.toml:1: error: unknown key \"hom\"\n  hint: \"home\"?\n",
        ),
        ("home = \"home\"", "c.toml:1: error: \"hostname\" is missing\n"),
        ("home = 1\nhostname = \"h\"", "c.toml:1: error: home: not a string\n"),
        ("home = \"home\nhostname = \"h\"", "c.toml:1: error: "),
        (&format!("{good}recipent = \"x\""), "c.toml:6: error: unknown key \"recipent\"\n  hint: \"recipient\"?\n"),
        (&format!("{good}recipient = [\"a@b@c\"]"), "c.toml:6: error: \"a@b@c\": neither an address nor a domain\n"),
        (
            &format!("{good}missing-key = \"keep\""),
            "c.toml:6: error: unknown missing-key \"keep\"\n  hint: known here: ",
        ),
        (&format!("{good}missing-key = \"clear\""), "c.toml:6: error: unknown missing-key \"clear\"\n"),
        (
            &good.replace("\"clear\"", "\"sign\""),
            "c.toml:3: error: rule \"all\" may decide outbound mail, and says neither encrypt nor clear\n",
        ),
        (&format!("{good}also-to = \"author\""), "c.toml:3: error: rule \"all\" says how to seal, and seals nothing\n"),
        (
            &good.replace("\"clear\"", "\"sign+clear\"\nalso-to = \"author\""),
            "c.toml:3: error: rule \"all\" says who can read it, and does not encrypt\n",
        ),
        (
            &good.replace("\"clear\"", "\"encrypt\"\nsign-with = \"domain\""),
            "c.toml:3: error: rule \"all\" says whose key signs, and does not sign\n",
        ),
        (&format!("{good}reason = \"forged\""), "c.toml:6: error: unknown reason \"forged\"\n"),
        (
            &good.replace("\"clear\"", "\"encrypt+clear\""),
            "c.toml:3: error: rule \"all\" orders both encrypt and clear\n",
        ),
        (
            &good.replace("\"clear\"", "\"clear+reject\""),
            "c.toml:3: error: rule \"all\" refuses, and orders something else\n",
        ),
        (&format!("{good}tag-subject = \"a\\nb\""), "c.toml:6: error: tag-subject: more than one line"),
        (
            &format!("{good}[[rule]]\nname = \"all\"\naction = \"clear\""),
            "c.toml:6: error: rule \"all\": another one has this name\n",
        ),
        (&format!("passphrases = \"secret\"\n{good}"), "c.toml:1: error: passphrases: not a table\n"),
        (
            &format!("marker = {{ file = \"open\" }}\n{good}"),
            "c.toml:1: error: open: others can read it\n  hint: chmod 600 open\n",
        ),
        (
            &format!("{good}[[keys]]\nhome = \"home\""),
            "c.toml:1: error: home: cannot stand beside [[keys]]\n  hint: make it an entry of its own",
        ),
        (
            &good.replace("home = \"home\"", "keys = [{ home = \"home\" }, { home = \"bank\" }]"),
            "c.toml:1: error: keys: a second home; ",
        ),
        (
            &good.replace("home = \"home\"", "keys = [{ file = \"a\", home = \"b\" }]"),
            "c.toml:1: error: keys: either file = ... or home = ...\n",
        ),
        (&format!("quarantine = \"nowhere\"\n{good}"), "c.toml:1: error: nowhere: no such file or directory"),
        (
            &format!("{good}[[listener]]\nkind = \"lmtp\"\naddress = \"localhost:24\""),
            "c.toml:8: error: endpoint \"localhost:24\": not an address with a port",
        ),
        (
            &format!("{good}[[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:587\""),
            "c.toml:8: error: address 127.0.0.1:587: no client may submit here\n  hint: auth = ",
        ),
        (
            &format!("{good}[[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:25\"\nstrangers = true"),
            "c.toml:9: error: strangers: only a listener of kind \"submission\" knows it\n",
        ),
        (
            &format!("{good}[[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:25\""),
            "c.toml:8: error: upstream: no server for the mail of this listener\n  hint: [upstream] smart-host = ",
        ),
        (
            &format!("{good}[[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:8891\"\ncopies = \"submit\""),
            "c.toml:8: error: copies: no next hop for them is configured\n  hint: [upstream] smart-host = ",
        ),
        (
            &format!(
                "{good}[[listener]]\nkind = \"relay\"\naddress = \"0.0.0.0:25\"\n\
                 [upstream]\nsmart-host = \"127.0.0.1:25\"\ntls = \"none\""
            ),
            "c.toml:9: error: upstream: smart-host 127.0.0.1:25 is the listener at 0.0.0.0:25\n",
        ),
        (
            &format!("{good}[trusted]\nnetworks = \"10.0.0.1/8\""),
            "c.toml:7: error: network \"10.0.0.1/8\": bits after the prefix are set\n",
        ),
        (&format!("{good}[limits]\nmessage = \"64X\""), "c.toml:7: error: message: not a size such as 64M\n"),
        (
            &format!("{good}[[forward]]\naddress = \"a@o.example\"\nto = \"b@x.example\"\naction = \"encrypt\""),
            "c.toml:6: error: forward of a@o.example: the sender is rewritten with a secret, and marker is missing\n",
        ),
        (&forward("b@x.example", "encrypt"), "c.toml:8: error: forward of a@o.example: not in local-domains\n"),
        (
            &forward("b@x.example", "sign+encrypt"),
            "unknown action \"sign\"\n  hint: known here: clear, decrypt, encrypt\n",
        ),
        (&forward("b@x.example", "decrypt"), "forward of a@o.example says neither encrypt nor clear, or both\n"),
        (&forward("a@o.example", "clear"), "c.toml:7: error: forward of a@o.example: leads back to itself\n"),
        (
            &format!("{}already-encrypted = \"reject\"", forward("b@x.example", "decrypt+encrypt")),
            "c.toml:12: error: already-encrypted: the reply would tell the sender whether the message could be decrypted\n",
        ),
        (
            &format!("{}[upstream]\nlmtp = \"127.0.0.1:24\"", forward("b@x.example", "clear")),
            "forward: upstream speaks LMTP, and delivers to mailboxes of this host alone\n",
        ),
        (
            &format!("{good}[limits]\nmemory = \"100M\""),
            "c.toml:7: error: memory: less than 536870912, eight times the largest message\n",
        ),
    ] {
        lab.write("c.toml", bad).write("open", "x");
        let done = lab.run(&["config", "check", "c.toml"]).code(78);
        assert!(done.text().contains(fault), "{fault}\n{}", done.text());
    }
    // Without a way for copies, mail to some recipients is refused in the end.
    let milter = format!("{good}[[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:8891\"\n");
    let said = lab.write("c.toml", &milter).run(&["config", "check", "c.toml"]).code(0).text();
    assert!(said.contains("c.toml:6: warning: copies: a message whose recipients need different copies"), "{said}");
    for more in ["copies = \"tempfail\"\n", "[upstream]\nsmart-host = \"127.0.0.1:25\"\ntls = \"none\"\n"] {
        let said = lab.write("c.toml", format!("{milter}{more}")).run(&["config", "check", "c.toml"]).code(0).text();
        assert!(said.ends_with("0 errors, 0 warnings\n"), "{said}");
    }
    lab.write("c.toml", good.replace("\nname", "\nnme"));
    lab.run(&["config", "explain", "-c", "c.toml", "a@x.example", "b@x.example"])
        .refused(78, "c.toml:3: \"name\" is missing");
    lab.run(&["config", "check", "nowhere.toml"]).refused(78, "nowhere.toml");
}

#[test]
fn a_rule_for_an_address_holds_for_its_extensions() {
    let lab = office();
    let rules = "[[rule]]\nname = \"ext\"\nrecipient = \"alice+lists@example.org\"\naction = \"clear\"\n\
        [[rule]]\nname = \"alice\"\nrecipient = [\"alice@example.org\", \"buyer@partner.example\"]\naction = \"encrypt\"\n\
        [[rule]]\nname = \"others\"\naction = \"clear\"\n";
    let head = "home = \"home\"\nhostname = \"h.example\"\nlocal-domains = [\"example.org\"]\n";
    let aliases = "[aliases]\nsales = [\"alice@example.org\"]\n";
    let decides = |config: &str, to: &str| {
        let said = lab.write("c.toml", config).run(&["config", "explain", "-c", "c.toml", "x@x.example", to]).text();
        said.lines().find_map(|line| line.trim().strip_prefix("decides  ")).unwrap_or_default().trim().to_owned()
    };
    let with = format!("{head}recipient-delimiter = \"+\"\n{aliases}{rules}");
    for (to, rule) in [
        ("alice@example.org", "alice"),
        ("Alice+Shop@example.org", "alice"),
        ("alice+lists@example.org", "ext"),
        ("alicia+shop@example.org", "others"),
        ("sales@example.org", "others"),
        ("buyer+x@partner.example", "others"),
    ] {
        assert_eq!(decides(&with, to), rule, "{to}");
    }
    assert_eq!(decides(&format!("{head}{aliases}{rules}"), "alice+shop@example.org"), "others");
}

#[test]
fn keys_that_end_soon_are_named() {
    let lab = office();
    lab.write("c.toml", "home = \"home\"\nhostname = \"h.example\"\n[identities]\nalice = \"alice@example.org\"\n[[rule]]\nname = \"all\"\naction = \"sign+clear\"\n");
    assert!(lab.run(&["config", "check", "c.toml"]).code(0).text().ends_with("1 rules, 0 errors, 0 warnings\n"));
    let home = ["--at", "2024-12-10T00:00:00Z", "config", "check", "c.toml"];
    let done = lab.run(&home).code(0).text();
    let line = done.lines().find(|line| line.contains("old@bank.example")).unwrap_or_else(|| panic!("{done}"));
    assert!(line.starts_with("c.toml: warning: old@bank.example: smime key "), "{line}");
    assert!(line.contains(" expires on 2024-12-31T") && line.ends_with(", within 30 days"), "{line}");
    // Classic PEM can use the certificate of an RSA key too. It is one key, of S/MIME.
    for format in ["smime", "pgp"] {
        let rsa = ["key", "generate", "-f", format, "--algorithm", "rsa2048", "--expires", "20d", "--no-passphrase"];
        lab.run(&[&rsa[..], &["rita@example.org"]].concat()).code(0);
    }
    lab.write("rita.toml", fs::read_to_string(lab.path("c.toml")).unwrap().replace("alice@", "rita@"));
    let done = lab.run(&["config", "check", "rita.toml"]).code(0).text();
    let lines: Vec<&str> = done.lines().filter(|line| line.contains("rita@example.org")).collect();
    assert_eq!(lines.len(), 2, "{done}");
    for (line, protocol) in lines.iter().zip(["pgp", "smime"]) {
        assert!(line.starts_with(&format!("rita.toml:4: warning: rita@example.org: {protocol} key ")), "{line}");
        assert!(line.contains(" expires on 20") && line.ends_with("Z, within 30 days"), "{line}");
    }
    let json = ["config", "explain", "--json", "-c", "c.toml", "alice@example.org", "bob@x.example"];
    let json: serde_json::Value = serde_json::from_str(&lab.run(&json).code(0).text()).unwrap();
    assert_eq!(json["submitter"], "user alice");
    assert_eq!(json["recipients"][0]["rule"], "all");
}

/// Keys come from a list of places: a file alone, a file and a home, and `--home` in the place of the home.
#[test]
fn key_sources_are_a_list() {
    let lab = office();
    let rule = "home-must-exist = false\nhostname = \"h.example\"\nlocal-domains = [\"example.org\"]\n[identities]\nalice = \"alice@example.org\"\n\
        [[rule]]\nname = \"all\"\naction = \"encrypt\"\nmissing-key = \"reject\"\n";
    let encrypted = |global: &[&str], sources: &[&str], recipient: &str| {
        let keys: String = sources.iter().map(|source| format!("\n[[keys]]\n{source}\n")).collect();
        lab.write("c.toml", format!("{rule}{keys}"));
        let explain = ["config", "explain", "-c", "c.toml", "alice@example.org", recipient];
        lab.run(&[global, &explain].concat()).code(0).text().contains("encrypted, ")
    };
    let (file, home) = ("file = \"buyer@partner.example.key\"", "home = \"home\"");
    for (sources, buyer, clerk) in [
        (&[file] as &[&str], true, false),
        (&[home], true, true),
        (&["home = \"empty\"", file], true, false),
        (&[file, home], true, true),
    ] {
        assert_eq!(encrypted(&[], sources, "buyer@partner.example"), buyer, "{sources:?}");
        assert_eq!(encrypted(&[], sources, "clerk@bank.example"), clerk, "{sources:?}");
    }
    assert!(!lab.path("empty").exists());
    assert!(encrypted(&["--home", "home"], &["home = \"empty\"", file], "clerk@bank.example"));
}

/// The keys that the manual speaks of: those of example.org, and those of its correspondents in homes of their own.
fn office() -> Lab {
    let lab = Lab::new();
    fs::create_dir(lab.path("quarantine")).unwrap();
    let run = |arguments: &str| lab.run(&arguments.split(' ').collect::<Vec<_>>()).code(0);
    run("key generate --no-passphrase alice@example.org");
    run("key generate --no-passphrase robot@example.org");
    run("key generate --no-passphrase -f smime --algorithm p256 alice@example.org");
    run("--home partner key generate --no-passphrase buyer@partner.example");
    run("--home partner key generate --no-passphrase seller@partner.example");
    run("--home bank key generate --no-passphrase -f smime --algorithm p256 clerk@bank.example");
    run(
        "--home bank --at 2024-01-01T00:00:00Z key generate --no-passphrase -f smime --algorithm p256 --expires 1y old@bank.example",
    );
    for (home, owner) in [
        ("partner", "buyer@partner.example"),
        ("partner", "seller@partner.example"),
        ("bank", "clerk@bank.example"),
        ("bank", "old@bank.example"),
    ] {
        run(&format!("--home {home} key export -o {owner}.key {owner}"));
        let added = run(&format!("key import {owner}.key")).text();
        let fingerprint = added.split_whitespace().nth(1).unwrap();
        run(&format!("key trust {fingerprint} {owner}"));
    }
    lab
}

struct Block<'a> {
    kind: &'a str,
    text: &'a str,
}

fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("\n```").skip(1).step_by(2).filter_map(|block| {
        let (kind, text) = block.split_once('\n')?;
        Some(Block { kind, text })
    })
}

/// Each command with what it prints.
fn sessions(block: &str) -> impl Iterator<Item = (&str, String)> {
    block.split("$ ").skip(1).map(|session| {
        let (command, output) = session.split_once('\n').unwrap_or((session, ""));
        let output = output.trim_end_matches('\n');
        (command, if output.is_empty() { String::new() } else { format!("{output}\n") })
    })
}

/// New keys have new fingerprints, and another day has other codes in rewritten senders.
fn without_fingerprints(text: &str) -> String {
    let text = match text.split_once("SRS0=") {
        Some((before, after)) => {
            format!("{before}SRS0=CODE=DAY={}", without_fingerprints(after.splitn(3, '=').last().unwrap_or_default()))
        }
        None => text.to_owned(),
    };
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let hex = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_fingerprint = hex.len() >= 40 && hex.bytes().all(|octet| octet.is_ascii_hexdigit());
        words += &if is_fingerprint { word.replace(hex, "FINGERPRINT") } else { word.to_owned() };
    }
    words
}

/// Where `postseal` is found by its name.
fn path() -> String {
    let folder = Path::new(POSTSEAL).parent().unwrap().display().to_string();
    format!("{folder}:/usr/bin:/bin")
}
