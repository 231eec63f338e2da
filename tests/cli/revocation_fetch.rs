//! `verify` and `cert verify` with `--revocation-fetch`, with real servers.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    lab::POSTSEAL,
    office::{Office, eventually},
};

/// Exit codes of `verify` in a new home that trusts the root: by `soft` and by `hard`.
fn verdicts(office: &Office, by: &str) -> [i32; 2] {
    ["soft", "hard"].map(|revocation| {
        office.lab.shell("rm -rf fresh && cp -r home fresh").code(0);
        let verify = ["verify", "--home", "fresh", "--revocation", revocation, "--revocation-fetch", by, "mail"];
        office.run(&verify).code
    })
}

const AUTHENTIC: [i32; 2] = [0, 0];
/// The status is not known.
const UNKNOWN: [i32; 2] = [0, 1];
const REVOKED: [i32; 2] = [1, 1];

#[test]
fn lists_are_fetched_for_a_verdict() {
    let Some(mut office) = Office::open() else { return };
    office.write_mail("mail");
    assert_eq!(verdicts(&office, "off"), UNKNOWN);
    assert!(office.requests().is_empty());
    // Nobody listens at the port of the responder.
    assert_eq!(verdicts(&office, "ocsp"), UNKNOWN);
    assert_eq!(verdicts(&office, "crl"), AUTHENTIC);
    assert_eq!(verdicts(&office, "both"), AUTHENTIC);
    // Expired, of the key of another: the answer is as without it.
    for make in [
        "openssl ca -config int.cnf -gencrl -crl_lastupdate 20250101000000Z -crl_nextupdate 20250102000000Z 2>/dev/null | openssl crl -outform DER -out www/int.crl",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=int -keyout wrong.key -out wrong.pem 2>/dev/null;
         sed -e 's/int.pem/wrong.pem/' -e 's/int.key/wrong.key/' int.cnf > wrong.cnf;
         openssl ca -config wrong.cnf -gencrl 2>/dev/null | openssl crl -outform DER -out www/int.crl",
    ] {
        office.lab.shell(make).code(0);
        assert_eq!(verdicts(&office, "crl"), UNKNOWN, "{make}");
    }
    // Revoked, and the server goes back to what it had before.
    office.publish("");
    office.lab.shell("cp www/int.crl old.crl && sleep 1").code(0);
    office.revoke("alice");
    assert_eq!(verdicts(&office, "crl"), REVOKED);
    let done = office.run(&["cert", "verify", "--revocation-fetch", "crl", "alice.pem", "--intermediates", "int.pem"]);
    assert!(done.code == 1 && done.text().contains("revoked"), "{}{}", done.text(), done.stderr);
    office.lab.shell("cp old.crl www/int.crl").code(0);
    let last =
        ["cert", "verify", "--home", "fresh", "--revocation-fetch", "crl", "--intermediates", "int.pem", "alice.pem"];
    assert_eq!(office.run(&last).code, 1);
    // The network is down: what was fetched counts, and nothing else does.
    office.close();
    assert_eq!(office.run(&last).code, 1);
    assert_eq!(verdicts(&office, "both"), UNKNOWN);
}

#[test]
fn responders_are_asked_for_a_verdict() {
    let Some(office) = Office::open() else { return };
    office.write_mail("mail");
    // int has a list only: the responder tells of alice.
    office.lab.shell("rm www/int.crl").code(0);
    office.with_responder("int", &["-ndays", "3"], || assert_eq!(verdicts(&office, "both"), AUTHENTIC));
    // Of `verdicts`, each new home asks once.
    assert_eq!(office.questions(), 2);
    office.lab.shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=int -keyout wrong.key -out wrong.pem 2>/dev/null").code(0);
    office.with_responder("wrong", &["-ndays", "3"], || assert_eq!(verdicts(&office, "both"), UNKNOWN));
    // Signed three days ago for a day, and given out again.
    office.with_responder("int", &["-ndays", "1"], || {
        let port = office.ports[1];
        let save = format!("openssl ocsp -noverify -no_nonce -issuer int.pem -cert alice.pem -url http://127.0.0.1:{port} -respout www/old.der >/dev/null 2>&1");
        office.lab.shell(&save).code(0);
    });
    office.with_replay("old.der", || {
        office.lab.shell("rm -rf fresh && cp -r home fresh").code(0);
        for revocation in ["soft", "hard"] {
            let later = "\"$0\" --home fresh --at $(date -u -d '3 days' +%FT%TZ) --revocation";
            let verify = format!("POSTSEAL_CONFIG=fetch.toml; export POSTSEAL_CONFIG; {later} {revocation} verify --revocation-fetch ocsp mail");
            assert_eq!(office.lab.shell(&verify).code, i32::from(revocation == "hard"));
        }
        // In its time it is taken.
        assert_eq!(verdicts(&office, "both"), AUTHENTIC);
    });
    office.lab.shell("openssl ca -config int.cnf -revoke alice.pem 2>/dev/null").code(0);
    office.with_responder("int", &["-ndays", "3"], || assert_eq!(verdicts(&office, "both"), REVOKED));
}

/// Certificates choose what is asked: addresses of the own network are not, unless the configuration says so.
#[test]
fn private_addresses_are_asked_where_the_configuration_says_so() {
    let Some(office) = Office::open() else { return };
    office.write_mail("mail");
    let done = office.lab.run(&["--revocation", "hard", "verify", "--revocation-fetch", "both", "mail"]).code(1);
    assert!(done.stderr.contains("127.0.0.1 is not a public address"), "{}", done.stderr);
    assert!(office.requests().is_empty());
}

/// A responder that takes questions and says nothing costs one mail the time of one question, and no other mail.
#[test]
fn a_silent_responder_is_left_alone() {
    let Some(office) = Office::open() else { return };
    office.write_mail("mail");
    office.fetch("--by crl int.pem").code(0);
    office.with_silence(|| {
        let took = |code| {
            let start = Instant::now();
            let done = office.run(&["--revocation", "hard", "verify", "--revocation-fetch", "ocsp", "mail"]).code(code);
            assert!(done.stderr.contains("no answer in time"), "{}", done.stderr);
            start.elapsed()
        };
        let first = took(1);
        assert!(first > Duration::from_secs(1) && first < Duration::from_secs(4), "{first:?}");
        let second = took(1);
        assert!(second < Duration::from_millis(900), "{second:?}");
    });
}

/// Mails that four processes of one home judge at the same time.
#[test]
fn many_mails_cause_one_request_to_each_place() {
    let Some(office) = Office::open() else { return };
    office.write_mail("mail");
    office.lab.shell("mkdir mails && for number in $(seq 50); do ln mail mails/$number; done").code(0);
    let mut children = Vec::new();
    office.with_responder("int", &["-ndays", "3"], || {
        for _ in 0..4 {
            let mut verify = Command::new(POSTSEAL);
            verify.args(["--home", "home", "--revocation", "hard", "verify", "--revocation-fetch", "both"]);
            verify.args((1..=50).map(|number| format!("mails/{number}")));
            verify.current_dir(office.lab.path("")).env("POSTSEAL_CONFIG", "fetch.toml").stdout(Stdio::null());
            children.push(verify.spawn().expect("postseal starts"));
        }
        for child in &mut children {
            assert!(child.wait().expect("a child").success());
        }
    });
    assert_eq!(office.questions(), 1);
    eventually("the log of the web server", || !office.requests().is_empty());
    assert_eq!(office.requests(), ["/root.crl"]);
}
