//! `[provisioning]`: users who log in and have no key get one, once, and nobody else does.

use std::fs;

use crate::support::{
    lab::{Done, Lab, POSTSEAL},
    requirements,
};

const CONFIGURATION: &str = "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\
    [identities]\nd = [\"dora@example.org\", \"far@example.net\", \"example.org\"]\n[trusted]\nsign-as = [\"example.org\"]\n\
    [provisioning]\ndays = 30\n[[rule]]\nname = \"sign\"\naction = \"sign+clear\"\n";

fn send(lab: &Lab, who: &[&str], from: &str) -> Done {
    let mut command = lab.command(POSTSEAL);
    command.args(["filter", "-c", "postseal.toml", "-f", from]).args(who).args(["--", "bob@example.net"]);
    command.write_stdin(format!("From: {from}\nTo: bob@example.net\nSubject: x\n\nhello\n"));
    Done::of(command.output().expect("postseal starts"))
}

fn keys(lab: &Lab) -> Vec<String> {
    lab.run(&["key", "list"]).text().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_user_who_logs_in_gets_a_key_once() {
    let lab = Lab::new();
    lab.write("postseal.toml", CONFIGURATION);
    // Neither strangers, nor trusted networks, nor other addresses than the user's own, nor other domains.
    for (who, from) in [
        (&[][..], "alice@example.org"),
        (&["--trusted"], "alice@example.org"),
        (&["--user", "alice@example.org"], "bob@example.org"),
        (&["--user", "alice@example.net"], "alice@example.net"),
        (&["--user", "d"], "far@example.net"),
        (&["--user", "d"], "anybody@example.org"),
    ] {
        let done = send(&lab, who, from);
        assert!(done.code != 0 && keys(&lab).is_empty(), "{who:?} {from}: {done:?}");
    }
    // At once, and once.
    let sent: Vec<Done> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..4).map(|_| scope.spawn(|| send(&lab, &["--user", "alice@example.org"], "alice@example.org"))).collect();
        all.into_iter().map(|one| one.join().expect("it ends")).collect()
    });
    for done in &sent {
        assert_eq!(done.code, 0, "{done:?}");
        lab.write("signed.eml", &done.stdout);
        assert!(lab.run(&["verify", "signed.eml"]).code(0).text().starts_with("signed.eml: authentic"));
    }
    let [key] = &keys(&lab)[..] else { panic!("{:?}", keys(&lab)) };
    assert!(key.contains("alice@example.org") && key.contains("secret"), "{key}");
    assert_eq!(fs::read_dir(lab.path("home/revocations")).unwrap().count(), 1);
    send(&lab, &["--user", "d"], "dora@example.org").code(0);
    assert_eq!(keys(&lab).len(), 2);
    if requirements::present(&["gpg"]) {
        let text = lab.shell(
            "mkdir -m 700 g; export GNUPGHOME=$PWD/g; \"$0\" key export alice@example.org | gpg -q --import && gpg --list-keys",
        );
        assert!(text.code == 0 && text.text().contains("alice@example.org"), "{text:?}");
    }
    // A key that has ended is not replaced.
    let late = send(&lab, &["--at", "2036-01-01T00:00:00Z", "--user", "d"], "dora@example.org");
    assert!(late.code == 75 && keys(&lab).len() == 2, "{late:?}");
}

#[test]
fn an_authority_in_the_home_gives_users_certificates() {
    let lab = Lab::new();
    let with = |settings: &str| {
        lab.write(
            "postseal.toml",
            CONFIGURATION.replace("days = 30\n", settings).replace("action =", "protocol = [\"smime\"]\naction ="),
        );
    };
    with("protocol = [\"pgp\", \"smime\"]\ndays = 30\n");
    let alice = |code| send(&lab, &["--user", "alice@example.org"], "alice@example.org").code(code);
    // Without an authority there is an OpenPGP key alone.
    alice(75);
    assert_eq!(keys(&lab).len(), 1);
    lab.run(&["cert", "init-ca", "--no-passphrase", "--domain", "example.org", "Office CA"]).code(0);
    let sent = alice(0);
    lab.write("signed.eml", &sent.stdout);
    let said = lab.run(&["verify", "signed.eml"]).code(0).text();
    assert!(said.starts_with("signed.eml: authentic") && said.contains("signed smime"), "{said}");
    // Once, and for the user's own address only.
    alice(0);
    assert_eq!(lab.run(&["cert", "list"]).code(0).text().lines().count(), 1);
    for (who, from) in [
        (&[][..], "carol@example.org"),
        (&["--trusted"], "carol@example.org"),
        (&["--user", "alice@example.org"], "carol@example.org"),
        (&["--user", "d"], "anybody@example.org"),
    ] {
        assert!(send(&lab, who, from).code != 0, "{who:?} {from}");
    }
    assert_eq!((lab.run(&["cert", "list"]).code(0).text().lines().count(), keys(&lab).len()), (1, 3));
    // With a second authority, the configuration says which one.
    let first = lab.shell("\"$0\" key list Office | cut -d ' ' -f 1").code(0).text();
    lab.run(&["cert", "init-ca", "--no-passphrase", "Other CA"]).code(0);
    let dora = || send(&lab, &["--user", "d"], "dora@example.org");
    dora().code(75);
    with(&format!("protocol = [\"smime\"]\nca = \"{}\"\n", first.trim()));
    dora().code(0);
    let listed = lab.run(&["cert", "list", "--ca", first.trim()]).code(0).text();
    assert!(listed.contains("dora@example.org") && listed.lines().count() == 2, "{listed}");
    if requirements::present(&["openssl"]) {
        lab.write("signed.eml", dora().stdout);
        lab.shell(&format!(
            "\"$0\" key export -o ca.pem {}; openssl cms -verify -CAfile ca.pem -in signed.eml",
            first.trim()
        ))
        .code(0);
    }
    // What cannot work is refused before the service starts.
    for settings in ["protocol = \"pem\"\n", "ca = \"0123456789ABCDEF\"\n"] {
        with(settings);
        lab.run(&["config", "check", "postseal.toml"]).code(78);
    }
}
