//! The same through the program: messages that once went out, names and addresses that are not what they seem, and the recipes of the manual.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    gateway::oddities::oddity,
    gateway::reading::shows,
    support::change::Dice,
    support::lab::{Lab, POSTSEAL},
};

/// alice's home, which has buyer@partner.example's key and alice's own.
fn home(policy: &str) -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["--home", "partner", "key", "generate", "--no-passphrase", "buyer@partner.example"]).code(0);
    lab.run(&["--home", "partner", "key", "export", "buyer@partner.example", "-o", "buyer.asc"]).code(0);
    lab.run(&["key", "import", "buyer.asc"]).code(0);
    lab.write(
        "p.toml",
        format!("home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{policy}"),
    );
    lab
}

const KEEP: &str = "[obstacles]\nalready-encrypted = \"keep\"\nalready-signed = \"keep\"\n";

/// The program with this on its standard input.
fn fed(lab: &Lab, arguments: &[&str], input: &[u8]) -> Output {
    fs::write(lab.path("input"), input).unwrap();
    let mut command = Command::new(POSTSEAL);
    command.current_dir(lab.path("")).env("POSTSEAL_CONFIG", lab.path("p.toml")).args(arguments);
    command.stdin(fs::File::open(lab.path("input")).unwrap()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{:?} {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn messages(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/gateway").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn text_beside_a_ciphertext_is_encrypted_again() {
    let lab = home(&format!(
        "identities.alice = \"alice@example.org\"\n{KEEP}[[rule]]\nname = \"the partner\"\naction = \"encrypt\"\n"
    ));
    let all = messages("text");
    assert_eq!(all.len(), 8);
    for (path, message) in all {
        let done =
            fed(&lab, &["filter", "--from=alice@example.org", "--user=alice", "--", "buyer@partner.example"], &message);
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(
            !text.contains("secret is 42") && (done.stdout.is_empty() || text.contains("BEGIN PGP MESSAGE")),
            "{path:?}: {}",
            said(&done)
        );
        assert!(matches!(done.status.code(), Some(0 | 77)), "{path:?}: {}", said(&done));
        assert_ne!(done.stdout, message, "{path:?}");
    }
}

/// In whatever layer it is, and whatever the rule seals.
#[test]
fn no_mail_leaves_in_another_name() {
    for action in ["sign+clear", "sign+encrypt", "encrypt"] {
        let lab = home(&format!(
            "identities.alice = \"alice@example.org\"\n{KEEP}[[rule]]\nname = \"all\"\naction = \"{action}\"\n"
        ));
        for (path, message) in messages("author") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // A rule that does not sign does not confirm the author.
            if action == "encrypt" && name != "bob-encrypted.eml" {
                continue;
            }
            let done = fed(&lab, &["filter", "--user=alice", "--", "buyer@partner.example"], &message);
            assert_ne!(done.stdout, message, "{action} {name}");
            if name.starts_with("bob") {
                assert_eq!((done.status.code(), done.stdout.len()), (Some(77), 0), "{action} {name}: {}", said(&done));
            }
        }
        // Bob's own signature, which holds, makes it no mail of alice's.
        lab.run(&["--home", "bob", "key", "generate", "--no-passphrase", "bob@example.org"]).code(0);
        lab.run(&["--home", "bob", "key", "export", "bob@example.org", "-o", "bob.asc"]).code(0);
        lab.run(&["key", "import", "bob.asc"]).code(0);
        lab.write("plain", "From: bob@example.org\nTo: buyer@partner.example\nSubject: s\n\nhello\n");
        lab.run(&["--home", "bob", "sign", "-o", "signed", "plain"]).code(0);
        let done = fed(&lab, &["filter", "--user=alice", "--", "buyer@partner.example"], &lab.read("signed"));
        let expected = if action == "encrypt" { Some(0) } else { Some(77) };
        assert_eq!(done.status.code(), expected, "{action}: {}", said(&done));
    }
}

/// A signature of her own is kept; one that does not hold, or is another's, is not.
#[test]
fn a_signature_that_verifies_for_the_author_is_kept() {
    let lab = home(&format!(
        "identities.alice = \"alice@example.org\"\n{KEEP}[[rule]]\nname = \"all\"\naction = \"sign+clear\"\n"
    ));
    lab.write("plain", "From: alice@example.org\nTo: x@else.example\nSubject: s\n\nhello\n");
    lab.run(&["sign", "-o", "signed", "plain"]).code(0);
    let signed = lab.read("signed");
    let filtered = |message: &[u8]| fed(&lab, &["filter", "--user=alice", "--", "x@else.example"], message);
    // Its text is the message's, and no mark or field is added.
    let kept = filtered(&signed);
    assert_eq!(String::from_utf8_lossy(&kept.stdout), String::from_utf8_lossy(&signed), "{}", said(&kept));
    let broken = String::from_utf8(signed).unwrap().replace("\r\nhello\r\n", "\r\nhallo\r\n");
    let again = filtered(broken.as_bytes());
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert_eq!(String::from_utf8_lossy(&again.stdout).matches("BEGIN PGP SIGNATURE").count(), 2);
    lab.write("again", &again.stdout);
    lab.run(&["verify", "again"]).code(0);
}

/// What goes out as encrypted already is what the verdict calls confidential, and text beside a ciphertext is neither.
#[test]
fn the_verdict_gives_the_same_answer() {
    let lab = home(&format!(
        "identities.alice = \"alice@example.org\"\n{KEEP}[[rule]]\nname = \"all\"\naction = \"encrypt\"\n"
    ));
    lab.write("plain", "From: alice@example.org\nTo: buyer@partner.example\nSubject: s\n\nhello\n");
    lab.run(&["encrypt", "--sign", "--to", "alice@example.org", "-o", "whole", "plain"]).code(0);
    let whole = String::from_utf8(lab.read("whole")).unwrap();
    for (message, is_whole) in [
        (whole.clone(), true),
        (whole.replace("-----BEGIN PGP", "hello\n-----BEGIN PGP"), false),
        (whole.replace("-----END PGP MESSAGE-----\n", "-----END PGP MESSAGE-----\nhello\n"), false),
        (whole.replace("Version: 1\n", "Version: 1\nhello\n"), false),
    ] {
        lab.write("message", &message);
        let verified = lab.run(&["verify", "--require", "signed", "--json", "message"]).text();
        let verdict: serde_json::Value = serde_json::from_str(&verified).unwrap();
        assert_eq!(verdict["confidential"], is_whole, "{message}{verified}");
        let done = fed(&lab, &["filter", "--user=alice", "--", "buyer@partner.example"], message.as_bytes());
        assert_eq!(done.stdout == message.as_bytes(), is_whole, "{message}{}", said(&done));
    }
}

/// The rule for alice applies to every spelling of the login.
#[test]
fn what_differs_in_case_or_form_is_one_name() {
    let lab = home(
        "[[rule]]\nname = \"not she\"\nuser = \"J\u{fc}rgen\"\naction = \"reject\"\n[[rule]]\nname = \"all\"\naction = \"clear\"\n",
    );
    let letter = b"From: x@example.org\nTo: buyer@partner.example\nSubject: s\n\nhello\n";
    for (name, code) in [
        ("j\u{fc}rgen", 77),
        ("J\u{dc}RGEN", 77),
        ("ju\u{308}rgen", 77),
        (" J\u{fc}rgen ", 77),
        ("\u{ff2a}\u{fc}rgen", 77),
        ("jurgen", 0),
    ] {
        let done = fed(&lab, &["filter", &format!("--user={name}"), "--", "buyer@partner.example"], letter);
        assert_eq!(done.status.code(), Some(code), "{name}: {}", said(&done));
        let explained =
            fed(&lab, &["config", "explain", "--user", name, "x@example.org", "buyer@partner.example"], b"");
        let words = if code == 77 { "reject" } else { "relay" };
        assert!(
            String::from_utf8_lossy(&explained.stdout).contains(&format!("outcome  {words}")),
            "{name}: {}",
            said(&explained)
        );
    }
    lab.write(
        "twice.toml",
        "home = \"home\"\nhostname = \"h.example\"\n[identities]\nalice = \"a@x.example\"\nALICE = \"b@x.example\"\n[[rule]]\nname = \"all\"\naction = \"clear\"\n",
    );
    let done = lab.run(&["config", "check", "twice.toml"]).code(78).text();
    assert!(done.contains("twice.toml:4: error: identities: \"alice\" is the same name as another here"), "{done}");
}

/// Addresses that are options, commands, files or lists to other programs.
const ADDRESSES: [&str; 8] = [
    "-c/etc/x@partner.example",
    "-x@partner.example",
    "--config=/etc/x@partner.example",
    "-h@partner.example",
    "|touch-me@partner.example",
    "/etc/passwd@partner.example",
    "\":include:/etc/passwd\"@partner.example",
    "-odq@partner.example",
];

/// The line of docs/manual/mail-servers.md, word by word, with what Postfix would put in.
#[test]
fn the_recipe_for_pipe_takes_any_address() {
    let lab = home("[[rule]]\nname = \"all\"\naction = \"encrypt\"\n");
    let manual = include_str!("../../../docs/manual/mail-servers.md");
    let line = manual.lines().find_map(|line| line.split_once("argv=/usr/bin/postseal ")).expect("the recipe").1;
    let letter = b"From: alice@example.org\nTo: buyer@partner.example\nSubject: s\n\nthe secret is 42\n";
    let piped = |sender: &str, user: &str, recipients: &[&str]| {
        let mut arguments: Vec<String> = Vec::new();
        for word in line.split(' ') {
            match word {
                // tests/service/recipes.rs does that; here the result is read.
                "--reinject" => {}
                "${recipient}" => arguments.extend(recipients.iter().map(|one| (*one).to_owned())),
                word => arguments.push(word.replace("${sender}", sender).replace("${sasl_username}", user)),
            }
        }
        fed(&lab, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), letter)
    };
    let good = piped("alice@example.org", "alice", &["buyer@partner.example"]);
    assert!(
        good.status.success() && String::from_utf8_lossy(&good.stdout).contains("BEGIN PGP MESSAGE"),
        "{}",
        said(&good)
    );
    assert!(piped("", "", &["buyer@partner.example"]).status.success(), "the null sender, and nobody who logged in");
    for odd in ADDRESSES {
        let done = piped("alice@example.org", "alice", &[odd, "buyer@partner.example"]);
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.code() == Some(77) && words.contains(&format!("{odd}: no encryption key")),
            "{odd}: {}",
            said(&done)
        );
        for (sender, user) in [(odd, "alice"), ("alice@example.org", odd)] {
            let done = piped(sender, user, &["buyer@partner.example"]);
            assert!(done.status.success() && !done.stdout.is_empty(), "{sender} {user}: {}", said(&done));
        }
    }
}

/// Without `--`, what may be an option or an address is neither.
#[test]
fn a_recipient_is_no_option() {
    let lab = home("[[rule]]\nname = \"all\"\naction = \"encrypt\"\n");
    lab.write(
        "x@partner.example",
        "home = \"home\"\nhostname = \"m.example\"\n[[rule]]\nname = \"all\"\naction = \"clear\"\n",
    );
    let letter = b"From: alice@example.org\nTo: buyer@partner.example\nSubject: s\n\nthe secret is 42\n";
    let config = format!("-c{}", lab.path("x@partner.example").display());
    let long = format!("--config={}", lab.path("x@partner.example").display());
    for odd in ADDRESSES.iter().copied().filter(|one| one.starts_with('-')).chain([
        config.as_str(),
        &long,
        "--user=alice@example.org",
    ]) {
        let done =
            fed(&lab, &["filter", "-f", "alice@example.org", "--user", "alice", odd, "buyer@partner.example"], letter);
        assert_eq!((done.status.code(), done.stdout.len()), (Some(64), 0), "{odd}: {}", said(&done));
    }
    // A recipient that has the name of another verb ends nothing.
    let done = fed(&lab, &["filter", "-f", "alice@example.org", "--user", "alice", "sendmail", &config], letter);
    assert_eq!((done.status.code(), done.stdout.len()), (Some(64), 0), "{}", said(&done));
    let done = fed(&lab, &["filter", "-f", "-x@else.example", "--user", "-c@x", "buyer@partner.example"], letter);
    assert!(done.status.success(), "{}", said(&done));
}

/// A program in the real one's place that tells what it was given.
fn with_sendmail(policy: &str) -> Lab {
    let lab = home(&format!("[sendmail]\nprogram = \"real\"\n{policy}"));
    lab.write("real", "#!/bin/sh\ndir=$(dirname \"$0\"); { printf '<%s>' \"$@\"; echo; cat; } >>\"$dir/told\"\n");
    fs::set_permissions(lab.path("real"), fs::Permissions::from_mode(0o700)).unwrap();
    lab
}

fn told(lab: &Lab) -> String {
    let told = fs::read_to_string(lab.path("told")).unwrap_or_default();
    let _ = fs::remove_file(lab.path("told"));
    told
}

#[test]
fn the_real_sendmail_has_what_was_understood_and_nothing_else() {
    let lab = with_sendmail("[[rule]]\nname = \"all\"\naction = \"encrypt\"\n");
    let letter = b"From: x@example.org\nTo: buyer@partner.example\nSubject: s\n\nthe secret is 42\n";
    for (line, expected) in [
        ("-bp", Some("<-bp>\n")),
        ("-bi -C evil.cf -X log.php", Some("<-bi>\n")),
        ("-I -OQueueDirectory=/tmp", Some("<-bi>\n")),
        ("-q", Some("<-q>\n")),
        ("-bd -q30m -oQ/tmp -X log", Some("<-bd><-q30m>\n")),
        ("-bm -q", Some("<-q>\n")),
        ("-bp -t", None),
        ("-bm -q buyer@partner.example", None),
        ("-bi buyer@partner.example", None),
        ("-bt", None),
        ("-bz", None),
        ("-q/tmp/x", None),
    ] {
        let done = fed(&lab, &[&["sendmail"], &line.split(' ').collect::<Vec<_>>()[..]].concat(), letter);
        let code = if expected.is_some() { Some(0) } else { Some(64) };
        assert_eq!(
            (done.status.code(), told(&lab).as_str()),
            (code, expected.unwrap_or_default()),
            "{line}: {}",
            said(&done)
        );
    }
    for line in [
        "buyer@partner.example",
        "-ba buyer@partner.example",
        "-bm -C evil.cf -X log.php -t",
        "-ba -C evil.cf -X log.php -- buyer@partner.example",
    ] {
        let done = fed(&lab, &[&["sendmail"], &line.split(' ').collect::<Vec<_>>()[..]].concat(), letter);
        let told = told(&lab);
        assert!(done.status.success(), "{line}: {}", said(&done));
        assert!(told.starts_with("<-i><-f>") && told.contains("<--><buyer@partner.example>\n"), "{line}: {told}");
        assert!(
            told.contains("BEGIN PGP MESSAGE")
                && !told.contains("secret")
                && !told.contains("evil")
                && !told.contains("log"),
            "{line}: {told}"
        );
    }
}

#[test]
fn sendmail_takes_any_address() {
    let lab = with_sendmail("[[rule]]\nname = \"all\"\naction = \"clear\"\n");
    let letter = b"From: x@example.org\nTo: buyer@partner.example\nSubject: s\n\nhello\n";
    for odd in ADDRESSES {
        for arguments in [
            &["sendmail", "-i", "-f", "a@example.org", "--", odd][..],
            &["sendmail", "-i", "-f", odd, "--", "buyer@partner.example"],
        ] {
            let done = fed(&lab, arguments, letter);
            let told = told(&lab);
            assert!(
                done.status.success() && told.contains(&format!("<{odd}>")),
                "{arguments:?}: {}{told}",
                said(&done)
            );
            // What is no option for us is none for the real program.
            assert!(told.contains(&format!("<-f><{odd}>")) || told.contains(&format!("<--><{odd}>\n")), "{told}");
        }
        let header = format!("From: x@example.org\nTo: {odd}\nSubject: s\n\nhello\n");
        let done = fed(&lab, &["sendmail", "-t", "-i"], header.as_bytes());
        assert!(done.status.success() && told(&lab).contains(&format!("<--><{odd}>\n")), "{odd}: {}", said(&done));
    }
    for odd in [":include:/etc/passwd", "|/bin/sh", "/etc/passwd"] {
        let done = fed(&lab, &["sendmail", "-i", "--", odd], letter);
        let told = told(&lab);
        // A name on this machine, or no address.
        assert!(
            done.status.code() == Some(64) && told.is_empty()
                || told.contains(&format!("<--><{odd}@mail.example.org>\n")),
            "{odd}: {}{told}",
            said(&done)
        );
    }
}

/// Some of the messages of the other test, through both programs.
#[test]
fn oddities_through_the_program() {
    let lab = with_sendmail(&format!(
        "identities.alice = \"alice@example.org\"\n{KEEP}[[rule]]\nname = \"all\"\naction = \"encrypt\"\n"
    ));
    for number in 0..40 {
        let oddity = oddity(&mut Dice(number << 20));
        let done = fed(
            &lab,
            &["filter", "--from=alice@example.org", "--user=ALICE", "--", "buyer@partner.example"],
            &oddity.octets,
        );
        assert!(!shows_below(&done.stdout), "{}\n{}", oddity.name, said(&done));
        let _ =
            fed(&lab, &["sendmail", "-i", "-f", "alice@example.org", "--", "buyer@partner.example"], &oddity.octets);
        let told = told(&lab);
        assert!(!shows_below(told.as_bytes()), "{}\n{told}", oddity.name);
    }
}

/// Below the header, which its writer chooses.
fn shows_below(octets: &[u8]) -> bool {
    let body = memchr::memmem::find(octets, b"\n\n").or(memchr::memmem::find(octets, b"\n\r\n")).unwrap_or_default();
    shows(&octets[body..])
}
