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
