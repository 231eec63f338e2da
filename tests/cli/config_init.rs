//! `config init`: what it writes is a configuration that works.

use crate::support::lab::Lab;

const FOR: [&str; 3] = ["postfix", "sendmail", "submission"];

fn init<'a>(purpose: &'a str, file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let upstream: &[&str] = if purpose == "submission" { &["--upstream", "mail.example.net:587"] } else { &[] };
    [&["--home", "home", "config", "init", purpose, "--hostname", "mail.example.org", "-o", file], upstream, more]
        .concat()
}

/// The key that is there is that of Alice.
fn for_alice(purpose: &str) -> [&'static str; 2] {
    if purpose == "sendmail" { ["--as", "alice@example.org"] } else { ["--domain", "example.org"] }
}

#[test]
fn each_purpose_has_a_configuration_that_the_check_accepts() {
    let lab = Lab::with_keys(&["alice"]);
    let user = lab.shell("id -un").code(0).text();
    for purpose in FOR {
        let file = format!("{purpose}.toml");
        let done = lab.run(&init(purpose, &file, &for_alice(purpose))).code(0);
        let check = lab.run(&["config", "check", &file]).code(0).text();
        assert!(check.contains(", 0 errors, 0 warnings"), "{purpose}: {check}");
        assert!(
            done.stderr.starts_with(&format!("{file} is written\nnext")) && !done.stderr.contains('{'),
            "{purpose}: {}",
            done.stderr
        );
        let settings = String::from_utf8(lab.read(&file)).unwrap();
        assert!(settings.contains("hostname = \"mail.example.org\"") && !settings.contains('{'), "{settings}");
        // A user signs. Mail of an author whom the submitter may not use goes out as it is.
        let explain = |from: &str, submitter: &str| {
            lab.run(&["config", "explain", "-c", &file, submitter, from, "bob@example.net"]).code(0).text()
        };
        let login = format!("--user={}", if purpose == "sendmail" { user.trim() } else { "alice@example.org" });
        let own = explain("alice@example.org", &login);
        assert!(own.contains("signed, pgp key"), "{purpose}: {own}");
        for other in [explain("alice@example.org", "--trusted"), explain("carol@example.org", &login)] {
            assert!(other.contains("relay") && !other.contains("signed, pgp"), "{purpose}: {other}");
        }
        // A file that is there stays.
        lab.run(&init(purpose, &file, &[])).refused(73, "exists already");
        assert_eq!(String::from_utf8(lab.read(&file)).unwrap(), settings);
    }
}

/// A package installs a configuration that lets all mail pass. As long as it is unchanged, it gives way.
#[test]
fn the_file_of_a_package_is_replaced_until_it_is_changed() {
    let lab = Lab::with_keys(&["alice"]);
    let packaged = include_str!("../../packaging/postseal.toml");
    lab.write("postseal.toml", packaged);
    lab.run(&init("postfix", "postseal.toml", &for_alice("postfix"))).code(0);
    let written = String::from_utf8(lab.read("postseal.toml")).unwrap();
    assert!(written.starts_with("# postseal as a milter of Postfix"), "{written}");
    let changed = format!("{packaged}# mine\n");
    lab.write("postseal.toml", &changed);
    lab.run(&init("postfix", "postseal.toml", &[])).refused(73, "exists already");
    assert_eq!(String::from_utf8(lab.read("postseal.toml")).unwrap(), changed);
}

#[test]
fn mail_is_signed_as_the_written_configuration_says() {
    let lab = Lab::with_keys(&["alice"]);
    let user = lab.shell("id -un").code(0).text();
    lab.write("take", "#!/bin/sh\ncat > sent.eml\n").shell("chmod +x take").code(0);
    let program = lab.path("take");
    let more = ["--as", "alice@example.org", "--program", program.to_str().unwrap()];
    lab.run(&init("sendmail", "web.toml", &more)).code(0);
    assert!(String::from_utf8(lab.read("web.toml")).unwrap().contains(&format!("\"{}\" = [\"alice@", user.trim())));
    let mail = "From: alice@example.org\\nTo: bob@example.net\\nSubject: test\\n\\nhello\\n";
    lab.shell(&format!("printf '{mail}' | POSTSEAL_CONFIG=web.toml \"$0\" sendmail -t")).code(0);
    lab.run(&["verify", "sent.eml"]).code(0);
    // Of authors without a key it goes out as it is.
    lab.shell(&format!(
        "printf '{mail}' | sed s/alice@example.org/root@example.net/ | POSTSEAL_CONFIG=web.toml \"$0\" sendmail -t"
    ))
    .code(0);
    lab.run(&["verify", "sent.eml"]).code(1);
}

#[test]
fn what_is_missing_is_asked_for_or_named() {
    let lab = Lab::new();
    lab.run(&["config", "init", "-o", "x.toml"]).refused(64, "for what is not given");
    lab.run(&["config", "init", "submission", "--hostname", "mail.example.org", "-o", "x.toml"])
        .refused(64, "--upstream: is not given");
    lab.run(&init("postfix", "x.toml", &["--upstream", "a:1"])).refused(64, "--upstream: not for this purpose");
    lab.run(&["config", "init", "postfix", "--hostname", "local host", "-o", "x.toml"]).refused(64, "--hostname");
    assert!(!lab.path("x.toml").exists());
    // To standard output, with the rest on standard error.
    let done = lab.run(&init("postfix", "-", &["--listen", "127.0.0.1:8891"])).code(0);
    assert!(
        done.text().starts_with("# postseal as a milter") && done.stderr.contains("smtpd_milters=inet:127.0.0.1:8891")
    );
}
