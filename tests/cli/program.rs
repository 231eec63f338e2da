//! The program as a user meets it: every verb, its exit codes, and what it leaves behind.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use crate::support::lab::{Done, Lab, POSTSEAL};

#[test]
fn sessions() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd").case("tests/cmd/*.toml");
}

/// Each `sh` block whose lines begin with `postseal` is typed into a shell that stops at the first failure.
#[test]
fn commands_shown_in_documents_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md")];
    documents.extend(fs::read_dir(root.join("docs/manual")).unwrap().map(|entry| entry.unwrap().path()));
    let mut commands = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        let script: String = blocks.filter(|block| !block.starts_with("cargo ")).collect();
        commands += script.matches("postseal ").count();
        let (lab, colleague) = (Lab::new(), Lab::with_keys(&["colleague"]));
        let exported = colleague.run(&["key", "export", "colleague@example.org"]).code(0);
        lab.write("colleague.asc", exported.stdout).write("message.eml", MESSAGE).write("pass", "correct horse\n");
        // What a person would type at the prompt comes from a file.
        let typed = "postseal() { \"$POSTSEAL\" --passphrase-file pass \"$@\"; }; set -e\n".to_owned()
            + &script.replace("FINGERPRINT", &fingerprint(&colleague, "colleague"));
        let output = lab.command("sh").args(["-c", &typed]).env("POSTSEAL", POSTSEAL).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}\n{typed}", document.display());
    }
    assert!(commands >= 9, "only {commands} commands were found");
}

/// Each `toml` block of the manual is a valid configuration, or part of one. tests/cli/policy.rs has those of policy.md.
#[test]
fn settings_shown_in_the_manual_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = 0;
    for page in fs::read_dir(root.join("docs/manual")).unwrap().map(|entry| entry.unwrap().path()) {
        if page.file_name().is_some_and(|name| name == "policy.md") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()) {
            let lab = Lab::with_keys(&["alice"]);
            fs::create_dir(lab.path("tls")).unwrap();
            fs::create_dir(lab.path("quarantine")).unwrap();
            lab.write("notice.txt", "Subject: held\n\nA message is held.\n");
            lab.write("expiry.txt", "Subject: {address}\n\nIt ends on {date}.\n");
            lab.write("bounce.txt", "Subject: not delivered\n\n{reasons}\n");
            lab.write("joined.txt", "Subject: joined\n\nYou are a member of {list}.\n");
            // Of a directory.
            lab.write("ldap-password", "secret\n")
                .write("ldap-ca.pem", fs::read(root.join("testdata/smime/ed25519.pem")).unwrap());
            fs::set_permissions(lab.path("ldap-password"), fs::Permissions::from_mode(0o600)).unwrap();
            // Of a token.
            lab.write("pin", "1234\n");
            fs::set_permissions(lab.path("pin"), fs::Permissions::from_mode(0o600)).unwrap();
            for (name, of) in [("chain", "ed25519.pem"), ("key", "ed25519.key.pem")] {
                let path = lab.path(&format!("tls/{name}.pem"));
                fs::copy(root.join("testdata/smime").join(of), &path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
            let base = "home = \"home\"\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\n";
            let base = if block.lines().any(|line| line.starts_with("hostname")) { "" } else { base };
            // What is on the administrator's machine.
            let block = block.replace("/var/lib/postseal-web", "home").replace("/usr/sbin/sendmail.real", "/bin/true");
            let block = block.replace("/usr/sbin/sendmail", "/bin/true").replace("/usr/bin/msmtp", "/bin/true");
            let block = block.replace("/usr/lib/softhsm/libsofthsm2.so", "/bin/true");
            let block = block.replace("/home/alice/.local/share/postseal", "home");
            lab.write("c.toml", format!("{base}{block}"));
            let done = lab.run(&["config", "check", "c.toml"]);
            assert_eq!(done.code, 0, "{}: {}\n{block}", page.display(), done.text());
            shown += 1;
        }
    }
    assert!(shown >= 5, "only {shown} blocks were found");
}

/// README.md shows a verdict on a signed and on a forged message: this is what `verify` prints, but for fingerprint and time.
#[test]
fn the_verdicts_in_the_readme_are_what_verify_prints() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of text");
    let lab = Lab::with_keys(&["alice"]);
    let message = "From: Alice <alice@example.org>\nTo: Bob <bob@example.net>\nSubject: Lunch?\n\nAt noon.\n";
    lab.write("message.eml", message).run(&["sign", "-o", "signed.eml", "message.eml"]).code(0);
    let signed = String::from_utf8(lab.read("signed.eml")).unwrap();
    lab.write("forged.eml", signed.replacen("alice@example.org", "mallory@example.org", 1));
    let mut shown = 0;
    for part in block.split("$ postseal verify ").skip(1) {
        let (file, verdict) = part.split_once('\n').expect("a verdict after the command");
        let said = masked(&lab.run(&["verify", file]).text());
        let expected = masked(verdict.trim_end());
        match expected.strip_suffix("\n  ...") {
            Some(beginning) => assert!(said.starts_with(beginning), "{beginning}\n{said}"),
            None => assert_eq!(said.trim_end(), expected),
        }
        shown += 1;
    }
    assert_eq!(shown, 2);
}

/// docs/terminal/record.py draws README's picture: its commands print what it shows.
#[test]
fn the_picture_in_the_readme_is_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(fs::read_to_string(root.join("README.md")).unwrap().contains("(docs/terminal/verify.svg)"));
    let drawn = fs::read_to_string(root.join("docs/terminal/verify.svg")).unwrap();
    let rows = drawn.lines().filter(|line| line.starts_with("<text "));
    let rows: Vec<String> =
        rows.map(|row| row.split('<').map(|part| part.split_once('>').map_or("", |it| it.1)).collect()).collect();
    let text = rows.join("\n").replace("&#x27;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    let lab = Lab::with_keys(&["alice"]);
    let header = "From: Alice <alice@example.org>\nTo: Bob <bob@example.net>\nSubject: Lunch?\n";
    lab.write(
        "message.eml",
        format!("{header}Date: Mon, 30 Nov 2026 09:00:00 +0000\n\nAt noon, at the usual place.\n"),
    );
    let folder = Path::new(POSTSEAL).parent().unwrap().display().to_string();
    let parts: Vec<&str> = text.strip_prefix("$ ").unwrap().split("\n$ ").collect();
    assert_eq!(parts.len(), 4);
    for part in parts {
        let (command, expected) = part.split_once('\n').unwrap_or((part, ""));
        let said = lab.shell(&format!("PATH={folder}:$PATH\n{command}"));
        assert_eq!(masked(said.text().trim_end()), masked(expected), "{command}: {}", said.stderr);
    }
}

/// With its fingerprints and times replaced.
fn masked(text: &str) -> String {
    let word = |word: &str| match word.len() {
        40 if word.bytes().all(|octet| octet.is_ascii_hexdigit()) => "FINGERPRINT".to_owned(),
        20 if word.ends_with('Z') => "TIME".to_owned(),
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn keys_come_and_go() {
    let (alice, bob) = (Lab::with_keys(&["alice"]), Lab::with_keys(&["bob"]));
    let id = fingerprint(&alice, "alice");
    alice.run(&["key", "export", "-o", "a.asc", "alice@example.org"]).code(0);
    alice.run(&["key", "export", "--binary", "--secret", "-o", "a.key", &id]).code(0);
    assert_eq!(fs::metadata(alice.path("a.key")).unwrap().permissions().mode() & 0o777, 0o600);
    bob.write("a.asc", alice.read("a.asc"));
    assert!(bob.run(&["key", "import", "a.asc"]).code(0).text().starts_with("added"));
    assert!(bob.run(&["key", "import", "a.asc"]).code(0).text().starts_with("unchanged"));
    bob.run(&["key", "export", "--secret", &id]).refused(77, "no secret key");

    alice.write("m", MESSAGE).run(&["sign", "-o", "s", "m"]).code(0);
    bob.write("s", alice.read("s"));
    let done = bob.run(&["verify", "s"]).code(1);
    let reason =
        format!("  reason   signed by {id}; nobody here says whose key that is (it claims alice@example.org)\n");
    assert!(done.text().starts_with("s: signed\n") && done.text().contains(&reason), "{}", done.text());
    bob.run(&["key", "trust", "alice@example.org", "alice@example.org"]).refused(64, "which certificate is meant");
    bob.run(&["key", "trust", &id, "alice@example.org"]).code(0);
    assert!(bob.run(&["verify", "s"]).code(0).text().starts_with("s: authentic\n"));
    let shown = bob.run(&["key", "show", "--json", "alice@example.org"]).code(0);
    assert!(shown.text().contains(&id), "{shown:?}");

    bob.run(&["key", "remove", &id]).code(0);
    assert!(!bob.run(&["key", "list"]).code(0).text().contains(&id));
    assert!(bob.run(&["verify", "s"]).code(1).text().starts_with("s: unsigned\n"));
    bob.run(&["key", "show", &id]).refused(77, "no certificate here");
    bob.run(&["key", "import", "s"]).refused(65, "");
    assert!(bob.run(&["--keys", "a.asc", "verify", "s"]).code(0).text().starts_with("s: authentic\n"));
}

#[test]
fn passphrases_come_from_a_file_or_a_descriptor() {
    let lab = Lab::new();
    lab.write("m", MESSAGE).write("pass", "correct horse\n").write("wrong", "battery staple\n");
    lab.run(&["key", "generate", "alice@example.org"]).refused(64, "there is no terminal to ask");
    lab.run(&["--passphrase-file", "pass", "key", "generate", "alice@example.org"]).code(0);
    lab.run(&["sign", "m"]).refused(77, "passphrase");
    lab.run(&["--passphrase-file", "wrong", "sign", "m"]).refused(77, "passphrase");
    lab.run(&["--passphrase-file", "nothing", "sign", "m"]).refused(66, "nothing");
    lab.run(&["--passphrase-file", "pass", "sign", "m"]).code(0);
    lab.shell("\"$0\" --passphrase-fd 3 sign m 3< pass").code(0);
    lab.shell("cat pass | \"$0\" --passphrase-fd 0 sign m").code(0);
}

/// A key that cannot be unlocked is no reason not to use another; to take it in is refused.
#[test]
fn a_locked_key_file_is_passed_over_until_it_is_needed() {
    let lab = Lab::new();
    lab.write("m", MESSAGE).write("pass", "correct horse\n").write("wrong", "battery staple\n");
    for name in ["alice", "bob"] {
        let passphrase: &[&str] = if name == "alice" { &["--no-passphrase"] } else { &[] };
        let address = format!("{name}@example.org");
        let made =
            [&["--passphrase-file", "pass", "--home", name, "key", "generate", "-f", "smime"], passphrase, &[&address]];
        lab.run(&made.concat()).code(0);
        let exported =
            ["--passphrase-file", "pass", "--home", name, "key", "export", "-f", "smime", "--secret", "-o", name];
        let file = format!("{name}.p12");
        lab.run(&[&exported[..8], &["--secret", "-o", &file, &address]].concat()).code(0);
    }
    let keys = ["--keys", "alice.p12", "--keys", "bob.p12", "--passphrase-file"];
    lab.run(&[&keys[..], &["pass", "encrypt", "-f", "smime", "--to", "bob@example.org", "-o", "e", "m"]].concat())
        .code(0);
    let warned = "postseal: warning: bob.p12: locked, and no passphrase fits";
    let done =
        lab.run(&["--keys", "bob.p12", "--passphrase-file", "wrong", "verify", "--require", "signed", "m"]).code(1);
    assert!(done.stderr.starts_with(warned), "{done:?}");
    let done = lab.run(&["--keys", "bob.p12", "--passphrase-file", "wrong", "decrypt", "e"]);
    assert!(done.stderr.contains(warned), "{done:?}");
    done.refused(77, "no secret key for any recipient");
    lab.run(&["--passphrase-file", "wrong", "key", "import", "bob.p12"])
        .refused(77, "bob.p12: locked, and no passphrase fits");
    lab.run(&["--passphrase-file", "pass", "--keys", "bob.p12", "decrypt", "e"]).code(0);
}

#[test]
fn passwords_open_what_they_sealed() {
    let lab = Lab::new();
    lab.write("m", MESSAGE).write("pass", "correct horse\n").write("wrong", "battery staple\n");
    lab.run(&["--passphrase-file", "pass", "encrypt", "--password", "-o", "s", "m"]).code(0);
    assert!(lab.run(&["--passphrase-file", "pass", "decrypt", "s"]).code(0).text().contains("\nHello"));
    lab.run(&["--passphrase-file", "wrong", "decrypt", "s"]).refused(77, "");
}

#[test]
fn verify_answers_with_its_exit_code() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", MESSAGE).run(&["sign", "-o", "s", "m"]).code(0);
    lab.run(&["verify", "s"]).code(0);
    lab.run(&["verify", "m"]).code(1);
    lab.run(&["verify", "m", "s", "nothing"]).code(66);
    lab.run(&["--at", "2020-01-01T00:00:00Z", "verify", "s"]).code(1);
    lab.run(&["--max-size", "10", "verify", "s"]).refused(65, "more than 10 octets");
    lab.write("f", String::from_utf8(lab.read("s")).unwrap().replace("Alice <alice@", "Bob <bob@"));
    lab.run(&["verify", "f"]).code(1);
    lab.run(&["verify", "--require", "signed", "f"]).code(1);
    lab.run(&["sign", "--protect-headers", "none", "-o", "u", "m"]).code(0);
    lab.write("f", String::from_utf8(lab.read("u")).unwrap().replace("Alice <alice@", "Bob <bob@"));
    lab.run(&["verify", "f"]).code(1);
    lab.run(&["verify", "--require", "signed", "f"]).code(0);
    lab.write("c", String::from_utf8(lab.read("s")).unwrap().replace("Hello", "Hullo"));
    assert!(lab.run(&["verify", "--require", "signed", "c"]).code(1).text().starts_with("c: unsigned\n"));

    lab.run(&["encrypt", "--to", "bob@example.org", "-o", "e", "m"]).code(0);
    lab.run(&["--home", "elsewhere", "verify", "e"]).code(77);
    let sealed = String::from_utf8(lab.read("e")).unwrap();
    let at = sealed.find("\n-----END PGP").unwrap();
    lab.write("t", sealed[..at - 100].to_owned() + &sealed[at..]);
    lab.run(&["verify", "t"]).code(65);
}

#[test]
fn nothing_is_written_on_failure() {
    let lab = Lab::with_keys(&["bob"]);
    lab.write("m", MESSAGE)
        .write("old", "precious")
        .run(&["encrypt", "--to", "bob@example.org", "-o", "e", "m"])
        .code(0);
    let before = lab.names();
    lab.run(&["--home", "elsewhere", "decrypt", "-o", "new", "e"]).refused(77, "");
    lab.run(&["--home", "elsewhere", "decrypt", "-o", "old", "e"]).refused(77, "");
    lab.run(&["decrypt", "-o", "old", "m"]).refused(65, "nothing in it is encrypted or signed");
    lab.run(&["sign", "-o", "old", "m"]).refused(77, "alice@example.org: no signing key");
    lab.run(&["encrypt", "--to", "carol@example.org", "-o", "old", "m"]).refused(77, "carol@example.org");
    lab.run(&["encrypt", "--to", "bob@example.org", "-o", "missing/new", "m"]).refused(73, "missing/new");
    lab.run(&["encrypt", "--to", "bob@example.org", "-o", "/proc/new", "m"]).refused(73, "/proc/new");
    lab.run(&["man", "/proc/missing"]).refused(73, "/proc/missing");
    assert_eq!((lab.names(), lab.read("old")), (before, b"precious".to_vec()));

    lab.run(&["decrypt", "-o", "old", "e"]).code(0);
    assert!(String::from_utf8(lab.read("old")).unwrap().ends_with("\n\nHello\n"));
    assert_eq!(fs::metadata(lab.path("old")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_input_is_never_the_output() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE);
    symlink("m", lab.path("link")).unwrap();
    fs::hard_link(lab.path("m"), lab.path("hard")).unwrap();
    for output in ["m", "./m", "link", "hard"] {
        lab.run(&["sign", "-o", output, "m"]).refused(64, "is the input m");
    }
    assert_eq!(lab.read("m"), MESSAGE.as_bytes());
}

#[test]
fn a_home_that_others_read_is_refused() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE);
    fs::set_permissions(lab.path("home"), fs::Permissions::from_mode(0o750)).unwrap();
    for arguments in [&["key", "list"][..], &["sign", "m"], &["verify", "m"]] {
        lab.run(arguments).refused(77, "others have access to it (mode 0750)");
    }
    lab.run(&["inspect", "m"]).code(0);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let lab = Lab::new();
    lab.write("m", MESSAGE.to_owned() + &"a line of text\n".repeat(50_000));
    for arguments in [&["canon", "--form", "pgp", "m"][..], &["completions", "zsh"], &["digest", "-a", "md5", "m"]] {
        let mut child = Command::new(POSTSEAL)
            .args(arguments)
            .current_dir(lab.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{arguments:?}");
    }
}

#[test]
fn hidden_recipients_stay_hidden() {
    let lab = Lab::with_keys(&["bob", "carol"]);
    lab.write("m", MESSAGE);
    lab.run(&["encrypt", "--to", "bob@example.org", "--hidden-to", "carol@example.org", "-o", "e", "m"]).code(0);
    let sealed = String::from_utf8(lab.read("e")).unwrap();
    assert!(!sealed.contains("carol"), "{sealed}");
    let shown = lab.run(&["key", "show", "carol@example.org"]).code(0).text();
    let subkey = shown.lines().find(|line| line.starts_with("subkey")).unwrap();
    let subkey = subkey["subkey".len()..].trim().split("  ").next().unwrap().replace(' ', "");
    for owner in ["bob", "carol"] {
        lab.run(&["key", "export", "--secret", "-o", owner, &format!("{owner}@example.org")]).code(0);
        let opened = lab.run(&["--home", "elsewhere", "--keys", owner, "decrypt", "e"]).code(0);
        assert!(opened.text().ends_with("\n\nHello\n"), "{owner}: {opened:?}");
        assert!(!opened.stderr.contains(&subkey[subkey.len() - 16..]), "{owner}: {opened:?}");
    }
}

#[test]
fn pieces_come_in_any_order_and_never_mixed() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE.to_owned() + &"a line of text\n".repeat(300));
    lab.run(&["sign", "--split", "2K", "-o", "s", "m"]).code(0);
    lab.run(&["sign", "--split", "2K", "-o", "t", "m"]).code(0);
    assert!(lab.path("s.3").exists() && !lab.path("s").exists(), "{:?}", lab.names());
    let pieces: Vec<String> = lab.names().into_iter().filter(|name| name.starts_with("s.")).rev().collect();
    let mut arguments = vec!["verify"];
    arguments.extend(pieces.iter().map(String::as_str));
    assert!(lab.run(&arguments).code(0).text().contains(": authentic\n"));
    arguments[1] = "t.1";
    lab.run(&arguments).refused(65, "");
    lab.run(&arguments[..arguments.len() - 1]).refused(65, "");
    lab.run(&["sign", "--split", "2K", "m"]).refused(64, "--output");
}

#[test]
fn what_is_within_hangs_from_the_branch_of_its_signatures() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE).run(&["sign", "-o", "once", "m"]).code(0);
    lab.run(&["sign", "-o", "twice", "once"]).code(0);
    let drawn = lab.run(&["verify", "twice"]).code(0).text();
    let branches: Vec<&str> = drawn.lines().filter(|line| line.contains('─')).map(|line| line.trim_end()).collect();
    assert_eq!(branches, ["  └─ signed pgp", "     ├─ valid", "     └─ signed pgp", "        └─ valid"]);
    assert!(drawn.contains("     │    by "), "{drawn}");
}

#[test]
fn escapes_are_for_terminals() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE).run(&["sign", "-o", "s", "m"]).code(0);
    let coloured = |variables: &[(&str, &str)]| {
        let mut command = lab.command(POSTSEAL);
        command.envs(variables.iter().copied());
        let output = command.args(["verify", "s", "nothing"]).output().unwrap();
        (output.stdout.contains(&0x1b), output.stderr.contains(&0x1b))
    };
    assert_eq!(coloured(&[]), (false, false));
    assert_eq!(coloured(&[("CLICOLOR_FORCE", "1")]), (true, true));
    assert_eq!(coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), (false, false));
}

#[test]
fn completions_and_the_version() {
    let lab = Lab::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(lab.run(&["completions", shell]).code(0).text().contains("passphrase-file"), "{shell}");
    }
    assert_eq!(lab.run(&["--version"]).code(0).text(), format!("postseal {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn standard_input_and_output() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", MESSAGE);
    let done = lab.shell("\"$0\" sign < m | \"$0\" verify").code(0);
    assert!(done.text().starts_with("-: authentic\n"), "{done:?}");
    let done: Done = lab.shell("\"$0\" sign - -o - < m | \"$0\" decrypt -").code(0);
    // What a signature covers ends its lines with CRLF, and is written as it was signed.
    assert!(done.text().ends_with("\r\n\r\nHello\r\n") && done.stderr.starts_with("-: authentic\n"), "{done:?}");
}

fn fingerprint(lab: &Lab, owner: &str) -> String {
    let list = lab.run(&["key", "list"]).code(0).text();
    let line = list.lines().find(|line| line.contains(&format!("{owner}@"))).expect("the key is listed");
    line.split_whitespace().next().expect("a fingerprint").to_owned()
}

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Hi\n\nHello\n";
