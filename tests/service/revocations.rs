//! The service fetches the status of certificates for mail that arrives, from real servers.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    clients::Letter,
    office::{DISCOVERY, Office, eventually},
    served::{Configured, STRANGER, Served, log},
};

const RULES: [[&str; 3]; 2] = [
    ["authentic", "direction = \"inbound\"\nstanding = [\"authentic\"]", "annotate"],
    ["others", "direction = \"inbound\"", "reject"],
];

fn serve<'a>(office: &'a Office, lines: &str, discovery: &str) -> Served<'a> {
    office.write_mail("mail");
    let configured = Configured::new(&office.lab, "220 next", &RULES);
    let text = String::from_utf8(office.lab.read("postseal.toml")).expect("UTF-8");
    office.lab.write("postseal.toml", format!("{lines}\n{text}{DISCOVERY}{discovery}\n"));
    configured.serve().unwrap_or_else(|code| panic!("exit code {code}: {}", log(&office.lab)))
}

/// The replies of all transports to alice's mail begin with this.
#[track_caller]
fn expect(office: &Office, served: &Served<'_>, expected: &str) {
    let message = String::from_utf8(office.lab.read("mail")).expect("text");
    let letter =
        Letter { client: STRANGER, sender: "alice@example.org", recipient: "carol@example.org", message: &message };
    for (transport, reply) in served.replies(&letter) {
        assert!(reply.starts_with(expected), "{transport}: {reply}\n{}", log(&office.lab));
    }
}

/// How often the list of the issuer was fetched.
fn fetches(office: &Office) -> usize {
    office.requests().iter().filter(|path| *path == "/int.crl").count()
}

/// From an authority that cannot be reached to one that revoked the certificate. `unknown` is the reply while the status is not known.
fn a_life(revocation: &str, unknown: &str) {
    let Some(office) = Office::open() else { return };
    office.lab.shell("mv www/int.crl good.crl").code(0);
    let lines = format!("revocation = \"{revocation}\"\nrevocation-fetch = \"both\"");
    let served = serve(&office, &lines, "keep-failed = 0");
    // Nobody listens at the port of the responder, and there is no list.
    expect(&office, &served, unknown);
    office.publish("-crl_lastupdate 20250101000000Z -crl_nextupdate 20250102000000Z");
    expect(&office, &served, unknown);
    office.lab.shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=int -keyout wrong.key -out wrong.pem 2>/dev/null").code(0);
    office.with_responder("wrong", &["-ndays", "3"], || expect(&office, &served, unknown));
    // A list for two seconds.
    office.publish("-crlsec 2");
    let before = fetches(&office);
    for _ in 0..3 {
        expect(&office, &served, "250");
    }
    eventually("the list is fetched", || fetches(&office) > before);
    // The next one is fetched before that ends, without mail.
    office.lab.shell("cp www/int.crl old.crl").code(0);
    office.revoke("alice");
    eventually("the list is renewed", || log(&office.lab).matches("int.crl outcome=fetched").count() > 1);
    eventually("the list is stored", || {
        office.lab.run(&["cert", "verify", "--intermediates", "int.pem", "alice.pem"]).code == 1
    });
    expect(&office, &served, "550");
    // No older list takes it back.
    office.lab.shell("cp old.crl www/int.crl").code(0);
    expect(&office, &served, "550");
    assert_eq!(fetches(&office), before + 2, "one request for each list");
    let page = served.page("/metrics");
    let said = |line: &str| assert!(page.contains(line), "{line}\n{page}");
    said("postseal_revocation_fetches_total{kind=\"ocsp\",outcome=\"refused\"} 3\n");
    said("postseal_revocation_fetches_total{kind=\"crl\",outcome=\"fetched\"} 3\n");
    said("postseal_revocation_fetch_seconds_count{kind=\"crl\"} ");
    let log = log(&office.lab);
    assert!(log.contains("event=revocation-fetched kind=crl") && log.contains("outcome=fetched"), "{log}");
    assert!(log.contains("outcome=failed reason=\"the connection is refused\""), "{log}");
}

#[test]
fn with_hard_mail_is_refused_while_the_status_is_not_known() {
    a_life("hard", "550");
}

#[test]
fn with_soft_mail_is_taken_while_the_status_is_not_known() {
    a_life("soft", "250");
}

/// A responder that says nothing costs the first mail the time of one question.
#[test]
fn a_silent_responder_does_not_delay_all_mail() {
    let Some(office) = Office::open() else { return };
    let served = serve(&office, "revocation-fetch = \"ocsp\"", "");
    office.with_silence(|| {
        let start = Instant::now();
        thread::scope(|scope| {
            let mails: Vec<_> = (0..4).map(|_| scope.spawn(|| expect(&office, &served, "250"))).collect();
            mails.into_iter().for_each(|mail| mail.join().expect("no panic"));
        });
        assert!(start.elapsed() > Duration::from_secs(1), "the responder is asked");
        let start = Instant::now();
        expect(&office, &served, "250");
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    });
    let log = log(&office.lab);
    assert_eq!(log.matches("event=revocation-fetched kind=ocsp").count(), 1, "{log}");
}
