//! The audit log, through the program: what is written of each change and each decision, and what is found when the log was changed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Stdio,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::lab::{Lab, POSTSEAL};

/// A home that records.
fn lab() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["audit", "init"]).code(0);
    lab
}

fn lines(lab: &Lab) -> Vec<Value> {
    let text = String::from_utf8(lab.read("home/audit.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verified(lab: &Lab) -> String {
    lab.run(&["audit", "verify"]).code(0).text()
}

/// The fingerprint of the key of `owner`.
fn key_of(lab: &Lab, owner: &str) -> String {
    let listed = lab.run(&["key", "list"]).code(0).text();
    let line = listed.lines().find(|line| line.contains(owner)).unwrap_or_else(|| panic!("{owner} is not in {listed}"));
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn every_verb_that_changes_keys_or_trust_leaves_one_line() {
    let lab = lab();
    let other = Lab::with_keys(&["bob"]);
    lab.write("bob.asc", other.run(&["key", "export", "bob@example.org"]).code(0).stdout);
    lab.write("pass", "correct horse\n");
    let (alice, bob) = (key_of(&lab, "alice@example.org"), key_of(&other, "bob@example.org"));
    let rows: &[(&str, &str)] = &[
        ("key import bob.asc", "import"),
        ("key trust BOB bob@example.org", "trust"),
        ("key untrust BOB bob@example.org", "untrust"),
        ("key generate --no-passphrase carol@example.org", "generate"),
        ("key generate -f smime --algorithm p256 --no-passphrase dora@example.org", "generate"),
        ("key renew ALICE --expires 90d", "renew"),
        ("key add-address ALICE al@example.org", "renew"),
        ("key passphrase ALICE --new-passphrase-file pass", "passphrase"),
        ("key password --generate frank@example.org", "shared-passphrase"),
        ("key password --remove frank@example.org", "shared-passphrase"),
        ("key revoke CAROL --reason superseded", "revoke"),
        ("key revoke DORA", "revoke"),
        ("key revoke --undo DORA", "reinstate"),
        ("key remove BOB", "remove"),
        ("key remove --secret CAROL", "remove"),
        ("key master --file elsewhere.key", "master"),
        ("cert init-ca --no-passphrase Office", "generate"),
    ];
    for (line, event) in rows {
        let before = lines(&lab).len();
        let mut line = line.replace("BOB", &bob).replace("ALICE", &alice);
        for (name, owner) in [("CAROL", "carol@"), ("DORA", "dora@")] {
            if line.contains(name) {
                line = line.replace(name, &key_of(&lab, owner));
            }
        }
        lab.shell(&format!("\"$0\" {line} > out")).code(0);
        let after = lines(&lab);
        let new: Vec<&Value> = after.iter().skip(before).collect();
        assert_eq!(new.len(), 1, "{line}: {new:?}");
        assert_eq!(new[0]["event"], *event, "{line}");
        let words = new[0]["by"]["program"].as_str().unwrap().to_owned();
        assert!(line.starts_with(&words) && words.contains(' '), "{line}: {words}");
        assert!(!new[0]["facts"]["changes"].as_array().unwrap().is_empty(), "{line}");
        assert!(new[0]["mac"].is_string(), "{line}: no code");
    }
    // What changes nothing leaves nothing.
    let before = lines(&lab).len();
    lab.run(&["key", "trust", &alice, "alice@example.org"]).code(0);
    lab.run(&["key", "list"]).code(0);
    lab.run(&["key", "remove", "0000000000000000000000000000000000000000"]);
    let after = lines(&lab).len();
    assert!(after <= before + 1, "{before} {after}");
    assert!(verified(&lab).contains("with the code of this home"));
    let text = String::from_utf8(lab.read("home/audit.log")).unwrap();
    assert!(!text.contains("correct horse"));
}

#[test]
fn four_processes_write_one_chain_and_kills_break_nothing() {
    let lab = lab();
    let alice = key_of(&lab, "alice@example.org");
    let work = |name: &str| format!("for i in 1 2 3 4 5; do \"$0\" key trust {alice} {name}$i@example.net; done");
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (lab, work) = (&lab, &work);
            scope.spawn(move || lab.shell(&work(name)).code(0));
        }
    });
    assert_eq!(lines(&lab).iter().filter(|line| line["event"] == "trust").count(), 20);
    verified(&lab);
    for wait in [3, 6, 9, 12, 15, 18, 21, 24] {
        let mut command = std::process::Command::new(POSTSEAL);
        command.current_dir(lab.path(".")).env("POSTSEAL_HOME", "home").stderr(Stdio::null());
        command.args(["key", "trust", &alice, &format!("k{wait}@example.net")]);
        let mut child = command.spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // A writer that was killed within its line.
    let mut text = lab.read("home/audit.log");
    text.extend_from_slice(b"{\"seq\":99,\"time\":\"2026");
    lab.write("home/audit.log", text);
    assert!(lab.run(&["audit", "verify"]).code(0).text().contains("torn: its end is missing"));
    lab.run(&["key", "trust", &alice, "after@example.net"]).code(0);
    assert!(verified(&lab).contains("torn, and the next line says so (a writer was interrupted)"));
    lab.run(&["key", "list"]).code(0);
}

#[test]
fn a_change_of_the_log_is_found() {
    let lab = lab();
    let alice = key_of(&lab, "alice@example.org");
    for name in ["a", "b", "c"] {
        lab.run(&["key", "trust", &alice, &format!("{name}@example.net")]).code(0);
    }
    let head = lab.run(&["audit", "head"]).code(0).text();
    let good = String::from_utf8(lab.read("home/audit.log")).unwrap();
    let all: Vec<&str> = good.lines().collect();
    let removed = [all[0], all[1], all[3]].join("\n") + "\n";
    let swapped = [all[0], all[2], all[1], all[3]].join("\n") + "\n";
    let changed = good.replace("b@example.net", "x@example.net");
    let twice = [all[0], all[1], all[1], all[2], all[3]].join("\n") + "\n";
    let begun = [all[1], all[2], all[3]].join("\n") + "\n";
    for (text, why) in [
        (removed, "audit.log:3: entry 4: entries 3 to 3 before it are missing"),
        (swapped, "audit.log:2: entry 3: entries 2 to 2 before it are missing"),
        (changed, "audit.log:3: changed: its hash does not fit"),
        (twice, "audit.log:3: entry 2: after entry 2, and not in its place"),
        // The end is missing: the home knows of a later change.
        ([all[0], all[1]].join("\n") + "\n", "that the home names is not in the log"),
    ] {
        lab.write("home/audit.log", text);
        let said = lab.run(&["audit", "verify"]).code(1).text();
        assert!(said.contains(why), "{why}: {said}");
        let json: Value = serde_json::from_str(&lab.run(&["audit", "verify", "--json"]).code(1).text()).unwrap();
        assert_eq!(json["ok"], false);
    }
    // A file alone has no home to compare with: its end has to be known.
    lab.write("begun.log", begun).write("cut.log", [all[0], all[1], all[2]].join("\n") + "\n");
    assert!(lab.run(&["audit", "verify", "begun.log"]).code(0).text().contains("begins after entry 1 "));
    lab.run(&["audit", "verify", "cut.log"]).code(0);
    let said = lab.run(&["audit", "verify", "--head", head.trim(), "cut.log"]).code(1).text();
    assert!(said.contains("that --head names is not in the log"), "{said}");
    // An entry that was made without the key of the home.
    lab.write("home/audit.log", &good);
    verified(&lab);
    let forged = good.replace(&all[3][all[3].rfind(",\"mac\"").unwrap()..], ",\"mac\":\"00\"}");
    lab.write("home/audit.log", forged);
    assert!(lab.run(&["audit", "verify"]).code(1).text().contains("its code is not of this home"));
}

#[test]
fn without_the_log_no_key_is_changed() {
    let lab = lab();
    let alice = key_of(&lab, "alice@example.org");
    lab.run(&["key", "trust", &alice, "a@example.net"]).code(0);
    fs::remove_file(lab.path("home/audit.log")).unwrap();
    // Moved away, as logrotate does: a new file goes on.
    lab.run(&["key", "trust", &alice, "b@example.net"]).code(0);
    assert_eq!(lines(&lab)[0]["event"], "continue");
    for name in ["home/audit.log", "home/audit.log.head"] {
        fs::remove_file(lab.path(name)).unwrap();
    }
    lab.run(&["key", "trust", &alice, "c@example.net"]).refused(77, "the audit log is gone");
    assert!(!lab.run(&["key", "show", &alice]).code(0).text().contains("c@example.net"));
    lab.run(&["audit", "init"]).code(0);
    lab.run(&["key", "trust", &alice, "c@example.net"]).code(0);
    assert!(lab.run(&["audit", "verify"]).code(1).text().contains("lost"));
    // A disk that takes no more: the change is not made.
    let lab = self::lab();
    let alice = key_of(&lab, "alice@example.org");
    fs::rename(lab.path("home/audit.log"), lab.path("kept.log")).unwrap();
    symlink("/dev/full", lab.path("home/audit.log")).unwrap();
    lab.run(&["key", "trust", &alice, "d@example.net"]).refused(73, "no space left on device");
    assert!(!lab.run(&["key", "show", &alice]).code(0).text().contains("d@example.net"));
    fs::remove_file(lab.path("home/audit.log")).unwrap();
    fs::rename(lab.path("kept.log"), lab.path("home/audit.log")).unwrap();
    lab.run(&["key", "trust", &alice, "d@example.net"]).code(0);
    verified(&lab);
}

#[test]
fn a_rotated_log_is_one_chain() {
    let lab = lab();
    let alice = key_of(&lab, "alice@example.org");
    lab.run(&["key", "trust", &alice, "a@example.net"]).code(0);
    let aside = lab.run(&["audit", "rotate"]).code(0).text();
    assert!(aside.trim().ends_with("audit.log.0000000002"), "{aside}");
    lab.run(&["key", "trust", &alice, "b@example.net"]).code(0);
    assert!(verified(&lab).contains("entries: 4,"));
    assert_eq!(lines(&lab).len(), 2);
    let cef = lab.run(&["audit", "export", "--format", "cef"]).code(0).text();
    assert_eq!(cef.lines().count(), 4);
    assert!(cef.lines().all(|line| line.starts_with("CEF:0|postseal|postseal|")), "{cef}");
    let ecs = lab.run(&["audit", "export", "--format", "ecs"]).code(0).text();
    let ecs: Vec<Value> = ecs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ecs[3]["event"]["action"], "trust");
    assert_eq!(ecs[3]["event"]["sequence"], 4);
    let shown = lab.run(&["audit", "show", "--event", "trust", "--about", &alice]).code(0).text();
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("  key trust  trust  "), "{shown}");
    assert_eq!(lab.run(&["audit", "show", "--since", "2100-01-01T00:00:00Z"]).code(0).text(), "");
    // The hash is what sha256sum says of the line before it.
    let sum = lab.shell("head -n 1 home/audit.log | sed 's/,\"hash\":.*//' | tr -d '\\n' | sha256sum").code(0).text();
    assert_eq!(lines(&lab)[0]["hash"], sum.split_whitespace().next().unwrap());
}

const RULES: &str = "home = \"home\"\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\n\
    [sendmail]\nprogram = \"./next\"\n\
    [[rule]]\nname = \"sealed\"\nrecipient = \"alice@example.org\"\naction = \"encrypt\"\nprotocol = \"pgp\"\n\
    [[rule]]\nname = \"no\"\nrecipient = \"eve@example.org\"\naction = \"reject\"\n\
    [[rule]]\nname = \"rest\"\naction = \"clear\"\n";

const MAIL: &str = "From: bob@example.net\r\nTo: alice@example.org\r\nSubject: the secret plan\r\n\r\nhidden words\r\n";

#[test]
fn decisions_are_written_without_content() {
    let lab = lab();
    let alice = key_of(&lab, "alice@example.org");
    lab.write("c.toml", format!("{RULES}[audit]\n")).write("m.eml", MAIL);
    lab.shell("\"$0\" filter -c c.toml --from bob@example.net -- alice@example.org < m.eml > out").code(0);
    lab.shell("\"$0\" filter -c c.toml --from bob@example.net -- eve@example.org < m.eml > out").code(77);
    let all = lines(&lab);
    let decisions: Vec<&Value> = all.iter().filter(|line| line["event"] == "decision").collect();
    assert_eq!(decisions.len(), 2, "{all:?}");
    let sum = lab.shell("sha256sum m.eml").code(0).text();
    let facts = &decisions[0]["facts"];
    assert_eq!(facts["sha256"], sum.split_whitespace().next().unwrap());
    assert_eq!(facts["from"], "bob@example.net");
    assert_eq!(facts["standing"], "unsigned");
    let group = &facts["groups"][0];
    assert_eq!((&group["rule"], &group["disposition"]), (&"sealed".into(), &"relay".into()));
    assert_eq!(group["to"][0], "alice@example.org");
    assert_eq!(group["encrypted_with"][0].as_str().unwrap().to_lowercase(), alice.to_lowercase());
    assert_eq!(decisions[1]["facts"]["groups"][0]["disposition"], "reject");
    let text = String::from_utf8(lab.read("home/audit.log")).unwrap();
    assert!(!text.contains("secret plan") && !text.contains("hidden"), "{text}");
    verified(&lab);
    // Changes alone.
    lab.write("c.toml", format!("{RULES}[audit]\ndecisions = false\n"));
    lab.shell("\"$0\" filter -c c.toml --from bob@example.net -- alice@example.org < m.eml > out").code(0);
    assert_eq!(lines(&lab).len(), all.len());
    lab.write("c.toml", format!("{RULES}[audit]\ndecisions = false\nrequired = true\n"));
    lab.run(&["config", "check", "c.toml"]).code(78);
}

/// Where decisions cannot be written, mail goes on, unless the configuration wants them written.
#[test]
fn decisions_that_cannot_be_written() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m.eml", MAIL);
    let line = "exec \"$0\" filter -c c.toml --from bob@example.net -- alice@example.org < m.eml";
    let _ = fs::remove_file(lab.path("decisions.log"));
    for (words, code) in [("", 0), ("required = true\n", 75)] {
        lab.write("c.toml", format!("{RULES}[audit]\npath = \"decisions.log\"\n{words}"));
        lab.shell(line).code(0);
        fs::rename(lab.path("decisions.log"), lab.path("kept.log")).unwrap();
        symlink("/dev/full", lab.path("decisions.log")).unwrap();
        let done = lab.shell(line).code(code);
        assert_eq!(done.stdout.is_empty(), code != 0);
        fs::remove_file(lab.path("decisions.log")).unwrap();
        fs::rename(lab.path("kept.log"), lab.path("decisions.log")).unwrap();
    }
}

/// A next hop that takes mail for all but carol, and keeps it.
const NEXT: &str = "#!/bin/sh\nfor to; do :; done\ncat > \"sent.$to\"\ncase \"$*\" in *carol@*) echo 'no such user' >&2; exit 67;; esac\necho \"$*\" >> sent\n";

#[test]
fn the_sender_is_notified_of_copies_that_are_refused_after_others_went() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("next", NEXT).write("c.toml", RULES);
    fs::set_permissions(lab.path("next"), fs::Permissions::from_mode(0o755)).unwrap();
    let mail = |header: &str| {
        format!(
            "From: bob@example.org\nTo: alice@example.org, carol@example.org\n{header}Subject: plan\n\nhidden words\n"
        )
    };
    let deliver = |header: &str, options: &str, code: i32| {
        let _ = fs::remove_file(lab.path("sent"));
        let _ = fs::remove_file(lab.path("sent.bob@example.org"));
        lab.write("m.eml", mail(header));
        let line =
            format!("exec \"$0\" filter --reinject -c c.toml {options} -- alice@example.org carol@example.org < m.eml");
        let done = lab.shell(&line).code(code);
        let report = fs::read_to_string(lab.path("sent.bob@example.org")).ok();
        (report, done.stderr)
    };
    let (report, _) = deliver("", "--from bob@example.org --user bob", 0);
    let report = report.expect("a notification");
    for line in [
        "Auto-Submitted: auto-replied",
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>",
        "To: bob@example.org",
        "Content-Type: multipart/report; report-type=delivery-status;",
        "Content-Type: message/delivery-status",
        "Reporting-MTA: dns; mx.example.org",
        "Final-Recipient: rfc822; carol@example.org",
        "Action: failed",
        "Status: 5.7.1",
        "Content-Type: text/rfc822-headers",
        "Subject: plan",
    ] {
        assert!(report.lines().any(|one| one.trim_end() == line), "{line}: {report}");
    }
    assert!(!report.contains("hidden words") && !report.contains("Final-Recipient: rfc822; alice"), "{report}");
    let sent = fs::read_to_string(lab.path("sent")).unwrap();
    let (copies, reports): (Vec<&str>, Vec<&str>) = sent.lines().partition(|line| line.contains("-f bob@"));
    assert_eq!((copies.len(), reports.len()), (1, 1), "{sent}");
    assert!(reports[0].contains("-f <> -- bob@example.org"), "{sent}");
    // As other programs read it.
    lab.write("report.eml", &report);
    let read = lab.shell("python3 -c 'import email,email.policy,sys; m=email.message_from_file(open(\"report.eml\"),policy=email.policy.default); print([p.get_content_type() for p in m.walk()], m.defects)'");
    assert_eq!(
        read.code(0).text().trim(),
        "['multipart/report', 'text/plain', 'message/delivery-status', 'text/plain', 'text/plain', 'text/rfc822-headers'] []"
    );
    // Strangers may be forged, programs and lists do not read it, and the null sender is nobody.
    for (header, options) in [
        ("", "--from bob@example.org"),
        ("Auto-Submitted: auto-replied\n", "--from bob@example.org --user bob"),
        ("List-Id: <l.example.org>\n", "--from bob@example.org --user bob"),
        ("", "--from '<>' --user bob"),
    ] {
        let (report, said) = deliver(header, options, 77);
        assert_eq!(report, None, "{header:?} {options}");
        assert!(said.contains("carol@example.org"), "{said}");
    }
    // An own text, and none at all.
    lab.write("bounce.txt", "Subject: nicht zugestellt\n\n{reasons}\n-- {host}\n");
    lab.write("c.toml", format!("{}[templates]\nbounce = \"bounce.txt\"\n", RULES));
    let report = deliver("", "--from bob@example.org --user bob", 0).0.unwrap();
    assert!(report.contains("Subject: nicht zugestellt") && report.contains("-- mx.example.org"), "{report}");
    lab.write("bounce.txt", "Subject: {subject}\n\nx\n");
    let done = lab.run(&["config", "check", "c.toml"]).code(78);
    assert!(format!("{}{}", done.text(), done.stderr).contains("unknown placeholder {subject}"), "{done:?}");
    lab.write("c.toml", format!("bounces = \"off\"\n{RULES}"));
    assert_eq!(deliver("", "--from bob@example.org --user bob", 77).0, None);
}
