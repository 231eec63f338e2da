//! Two services with one database: what is changed on one counts on the other within a second, and a lost database refuses nothing for good.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    clients::{self, Letter},
    lab::Lab,
    postgres::{Server, present},
    requirements,
    served::{Configured, Served, TRUSTED, log},
};

const RULES: [[&str; 3]; 2] =
    [["partner", "recipient = \"partner.example\"", "encrypt"], ["all", "no-signing-key = \"reject\"", "sign+clear"]];

fn serve(lab: &Lab) -> Served<'_> {
    Configured::new(lab, "220 next ESMTP", &RULES).serve().unwrap_or_else(|code| panic!("{code}: {}", log(lab)))
}

#[test]
fn a_key_that_is_revoked_on_one_node_is_refused_on_the_other_within_a_second() {
    if !present() {
        return;
    }
    let mut server = Server::start();
    let url = format!("{}&timeout=1", server.database("nodes"));
    let first = Lab::with_keys(&["alice"]);
    first.run(&["--home", "partner", "key", "generate", "--no-passphrase", "buyer@partner.example"]).code(0);
    first.run(&["--home", "partner", "key", "export", "buyer@partner.example", "-o", "buyer.asc"]).code(0);
    first.run(&["key", "import", "buyer.asc"]).code(0);
    first.run(&["store", "migrate", &url]).code(0);
    // What `verify` gives up before it reads does not keep it from the database.
    first.write("plain.eml", "From: alice@example.org\nSubject: x\n\nhello\n");
    first.run(&["sign", "-o", "signed.eml", "plain.eml"]).code(0);
    first.run(&["verify", "signed.eml"]).code(0);
    let second = Lab::new();
    fs::create_dir(second.path("home")).expect("a folder");
    fs::set_permissions(second.path("home"), fs::Permissions::from_mode(0o700)).expect("a folder of ours");
    fs::copy(first.path("home/master.key"), second.path("home/master.key")).expect("a master key");
    second.run(&["store", "connect", &url]).code(0);
    let (one, two) = (serve(&first), serve(&second));

    let message = "From: alice@example.org\r\nTo: buyer@partner.example\r\nSubject: x\r\n\r\nhello\r\n";
    let (sender, recipient) = ("alice@example.org", "buyer@partner.example");
    let letter = Letter { client: TRUSTED, sender, recipient, message };
    let send = |node: &Served<'_>| clients::dialogue(node.smtp(), "EHLO", &letter);
    // Until the nodes listen for changes, and know the keys.
    for _ in 0..4 {
        for node in [&one, &two] {
            assert!(node.replies(&letter).iter().all(|(_, reply)| reply.starts_with("250")), "{}", log(&second));
            assert!(node.delivered().iter().all(|mail| mail.contains("BEGIN PGP MESSAGE")));
        }
        thread::sleep(Duration::from_millis(700));
    }

    server.stop();
    thread::sleep(Duration::from_secs(1));
    for node in [&one, &two] {
        for (transport, reply) in node.replies(&letter) {
            assert!(reply.starts_with("451 4."), "{transport}: {reply}");
        }
        assert_eq!(node.readiness(), "503");
    }
    assert!(log(&second).contains("nodes?host="), "the log names the database: {}", log(&second));
    assert!(!log(&second).contains("s3same"));
    server.run();
    let begin = Instant::now();
    while !(send(&two).starts_with("250") && send(&one).starts_with("250")) {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", log(&second));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((one.readiness(), two.readiness()), ("200".to_owned(), "200".to_owned()));
    thread::sleep(Duration::from_millis(1500));
    assert!(send(&two).starts_with("250"));
    two.delivered();

    let revocations = fs::read_dir(first.path("partner/revocations")).expect("a folder");
    let revocation = revocations.map(|one| one.expect("an entry").path()).next().expect("a revocation");
    first.run(&["key", "import", &revocation.display().to_string()]).code(0);
    let begin = Instant::now();
    let reply = loop {
        let asked = Instant::now();
        let reply = send(&two);
        if !reply.starts_with("250") {
            break reply;
        }
        assert!(asked - begin < Duration::from_secs(1), "it is used after {:?}", asked - begin);
    };
    println!("refused after {:?}: {reply}", begin.elapsed());
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    assert!(send(&one).starts_with("550 5.7.1"));
}

/// Changes what a program takes for the time.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[test]
fn a_node_whose_clock_is_off_says_so() {
    if !present() || !requirements::present(&[FAKETIME]) {
        return;
    }
    let server = Server::shared();
    let url = server.database("clocks");
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["store", "migrate", &url]).code(0);
    let skew = |offset: &str| {
        let configured = Configured::new(&lab, "220 next ESMTP", &RULES);
        let preload = format!("LD_PRELOAD={FAKETIME}");
        let offset = format!("FAKETIME={offset}");
        let starter = ["env", &preload, &offset, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
        let node = configured.serve_under(&starter).unwrap_or_else(|code| panic!("{code}: {}", log(&lab)));
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let page = node.page("/metrics");
            let line = page.lines().find_map(|line| line.strip_prefix("postseal_clock_skew_seconds "));
            if let Some(skew) = line {
                // It is no reason not to be ready.
                assert_eq!(node.readiness(), "200");
                fs::remove_file(lab.path("next")).expect("the socket of the next server");
                return (skew.parse::<u64>().expect("a number"), log(&lab));
            }
            assert!(Instant::now() < end, "{page}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let (seconds, said) = skew("+0");
    assert!(seconds < 2 && !said.contains("event=clock-skew"), "{seconds}: {said}");
    for (offset, database) in [("+30", "behind"), ("-30", "ahead")] {
        let (seconds, said) = skew(offset);
        assert!((28..=32).contains(&seconds), "{seconds}");
        let line = said.lines().find(|line| line.contains("event=clock-skew")).expect("a warning");
        assert!(
            line.contains(&format!("database={database}")) || line.contains(&format!("database=\"{database}\"")),
            "{line}"
        );
        assert_eq!(said.matches("event=clock-skew").count(), 1, "once, and not with each answer: {said}");
    }
}
