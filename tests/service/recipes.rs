//! The recipes for Postfix in docs/manual/mail-servers.md, with the lines that are printed there: a real Postfix, Dovecot's SASL and LMTP, and OpenDKIM.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    milter::setup::Dkim,
    support::{
        dovecot::{self, Dovecot},
        lab::{Lab, POSTSEAL},
        ports::{free_port, wait_for_port},
        postfix::{Postfix, Received, Sink, postseal_in, present, run_with},
    },
};

/// The blocks of code below a heading of the third level.
struct Recipe {
    blocks: Vec<&'static str>,
}

impl Recipe {
    fn of(heading: &str) -> Recipe {
        let manual = include_str!("../../docs/manual/mail-servers.md");
        let start = format!("\n### {heading}\n");
        let section = manual.split(&start).nth(1).unwrap_or_else(|| panic!("no heading {heading:?}"));
        let section = section.split("\n## ").next().and_then(|text| text.split("\n### ").next()).expect("a section");
        let blocks = section.split("```").skip(1).step_by(2);
        Recipe { blocks: blocks.map(|block| block.trim_start_matches("toml")).collect() }
    }

    /// The lines of a file that a comment names.
    fn file(&self, name: &str) -> String {
        let block = self.blocks.iter().find(|block| block.contains(&format!("# {name}"))).expect("the file");
        let lines = block.lines().skip_while(|line| !line.starts_with(&format!("# {name}"))).skip(1);
        lines.take_while(|line| !line.starts_with("# ")).map(|line| format!("{line}\n")).collect()
    }

    /// `main.cf`, for [`Postfix::start`].
    fn main(&self) -> Vec<(String, String)> {
        let text = self.file("main.cf");
        let settings = text.lines().filter_map(|line| line.split_once(" = "));
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn toml(&self) -> &'static str {
        self.blocks.iter().find(|block| !block.contains("# main.cf")).expect("a configuration")
    }
}

/// Replaces each of these, which all have to be there.
fn with(text: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replace(from, to)
    })
}

/// A home with keys of alice@example.org and of bob@example.net, and a configuration.
fn configured(toml: &str) -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.run(&["--home", "bob", "key", "generate", "--no-passphrase", "bob@example.net"]).code(0);
    lab.run(&["--home", "bob", "key", "export", "bob@example.net", "-o", "bob.asc"]).code(0);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    lab.run(&["key", "export", "alice@example.org", "-o", "alice.asc"]).code(0);
    lab.run(&["--home", "bob", "key", "import", "alice.asc"]).code(0);
    let head =
        "home = \"home\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nprotocol = [\"pgp\"]\n";
    lab.write("postseal.toml", format!("{head}{toml}"));
    lab
}

/// `postseal serve`. It stops when dropped.
struct Serve(Child);

impl Serve {
    fn start(lab: &Lab, ports: &[u16]) -> Serve {
        let log = fs::File::create(lab.path("log")).expect("a file");
        let mut command = Command::new(POSTSEAL);
        command.current_dir(lab.path("")).args(["serve", "-c", "postseal.toml"]).stderr(Stdio::from(log));
        let serve = Serve(command.spawn().expect("postseal starts"));
        ports.iter().for_each(|port| wait_for_port(*port));
        serve
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client says to a port, from an address that is in no trusted network.
fn swaks(port: u16, from: &str, to: &str, more: &[&str], message: &str) -> Output {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &port.to_string(), "--local-interface", "127.0.0.9"]);
    swaks.args(["--from", from, "--to", to, "--data", "-"]).args(more);
    run_with(&mut swaks, message.as_bytes())
}

fn by(user: &str) -> [&str; 7] {
    ["-tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", dovecot::PASSWORD]
}

fn letter(from: &str, to: &str) -> String {
    format!(
        "From: {from}\nTo: {to}\nSubject: s\nDate: Mon, 30 Nov 2026 01:00:00 +0000\nMessage-ID: <1@example.org>\n\nhello\n"
    )
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Settings of main.cf that every recipe takes for granted.
fn common(lab: &Lab, dovecot: &Dovecot) -> Vec<(String, String)> {
    let (key, certificate) = (lab.path("tls.key"), lab.path("tls.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"]);
    assert!(run_with(openssl.arg(&key).arg("-out").arg(&certificate), b"").status.success());
    let settings = [
        ("smtpd_sasl_type", "dovecot".to_owned()),
        ("smtpd_sasl_path", format!("inet:127.0.0.1:{}", dovecot.auth())),
        ("smtpd_tls_cert_file", certificate.display().to_string()),
        ("smtpd_tls_key_file", key.display().to_string()),
        ("mynetworks", "127.0.0.1/32".to_owned()),
        ("relay_domains", "example.org".to_owned()),
        ("relay_recipient_maps", String::new()),
        ("smtpd_recipient_restrictions", "permit_mynetworks,reject_unauth_destination".to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

fn started(relay: u16, settings: &[Vec<(String, String)>], master: &str) -> Postfix {
    let settings = settings.concat();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Postfix::start(relay, &settings, master)
}

const NEEDED: &[&str] = &["swaks", "openssl", "dovecot"];

#[test]
fn a_milter_and_opendkim_stand_in_the_order_of_each_port() {
    if !present(&["swaks", "openssl", "dovecot", "opendkim"]) {
        return;
    }
    let recipe = Recipe::of("As a milter");
    let [milter, smtp, submission] = [free_port(), free_port(), free_port()];
    let listener = format!(
        "[identities]\n\"alice@example.org\" = \"alice@example.org\"\n[[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:{milter}\"\n\
         [[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"decrypt+annotate\"\n[[rule]]\nname = \"out\"\naction = \"sign+clear\"\n"
    );
    let lab = configured(&format!("{}{listener}", recipe.toml()));
    let _serve = Serve::start(&lab, &[milter]);
    let (sink, dovecot, dkim) = (Sink::start(), Dovecot::start(), Dkim::start("example.org"));
    let [postseal, opendkim] = [format!("inet:127.0.0.1:{milter}"), format!("inet:127.0.0.1:{}", dkim.port())];
    let places = [("unix:postseal/milter", postseal.as_str()), ("inet:127.0.0.1:8892", &opendkim)];
    let main = recipe.main().into_iter().map(|(name, value)| {
        let value = if name == "non_smtpd_milters" { with(&value, &places) } else { value };
        (name, value)
    });
    let (smtp_line, submission_line) =
        (format!("127.0.0.1:{smtp} inet n - n"), format!("127.0.0.1:{submission} inet n - n"));
    let ports = [("\nsmtp inet n - y", format!("\n{smtp_line}")), ("submission inet n - y", submission_line)];
    let ports: Vec<(&str, &str)> = ports.iter().map(|(from, to)| (*from, to.as_str())).chain(places).collect();
    let master = with(&format!("\n{}", recipe.file("master.cf")), &ports);
    let names = vec![("myhostname".to_owned(), "mail.example.org".to_owned())];
    let postfix = started(sink.port(), &[common(&lab, &dovecot), main.collect(), names], &master);
    wait_for_port(submission);

    // What a user sends is sealed, then signed by OpenDKIM: its verifier accepts what leaves.
    let sent = swaks(
        submission,
        "alice@example.org",
        "carol@else.example",
        &by("alice@example.org"),
        &letter("alice@example.org", "carol@else.example"),
    );
    assert!(sent.status.success(), "{}\n{}", text(&sent), postfix.log());
    let one = received(&sink, "carol@else.example");
    assert!(one.text().contains("multipart/signed") && one.text().contains("DKIM-Signature: v=1;"), "{}", one.text());
    let verdict = dkim.verify(&one.message);
    assert!(verdict.contains("succeeded"), "{verdict}");

    // What comes in has the field of each, and no other in their names.
    lab.write("in", letter("bob@example.net", "alice@example.org"));
    lab.run(&["--home", "bob", "encrypt", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    let forged = "Authentication-Results: mail.example.org; dkim=pass header.d=bank.example\nAuthentication-Results: postseal.mail.example.org; smime=pass\n";
    let message = format!("{forged}{}", String::from_utf8_lossy(&lab.read("in.eml")).replace("\r\n", "\n"));
    let sent = swaks(smtp, "bob@example.net", "alice@example.org", &[], &message);
    assert!(sent.status.success(), "{}\n{}", text(&sent), postfix.log());
    let one = received(&sink, "alice@example.org").text().replace("\r\n\t", " ");
    assert!(one.contains("hello") && !one.contains("bank.example") && !one.contains("smime=pass"), "{one}");
    let fields: Vec<&str> = one.lines().filter(|line| line.starts_with("Authentication-Results:")).collect();
    let of = |name: &str| fields.iter().filter(|field| field.contains(&format!(": {name};"))).count();
    assert_eq!((of("mail.example.org"), of("postseal.mail.example.org")), (1, 1), "{one}");
}

#[test]
fn users_who_log_in_from_anywhere_are_told_apart_behind_a_content_filter() {
    if !present(NEEDED) {
        return;
    }
    let recipe = Recipe::of("As a content filter, by LMTP");
    let [strangers, users, behind, submission] = [(); 4].map(|()| free_port().to_string());
    let rules = "[[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"annotate\"\n[[rule]]\nname = \"out\"\naction = \"sign+clear\"\n";
    let toml = with(recipe.toml(), &[("10025", &strangers), ("10024", &users), ("10026", &behind)]);
    let lab = configured(&format!("{toml}{rules}"));
    let _serve = Serve::start(&lab, &[strangers.parse().unwrap(), users.parse().unwrap()]);
    let (sink, dovecot) = (Sink::start(), Dovecot::start());
    lab.write("sender_logins", recipe.file("/etc/postfix/sender_logins"));
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    let map = lab.path("sender_logins").display().to_string();
    let main = recipe
        .main()
        .into_iter()
        .map(|(name, value)| (name, value.replace("10025", &strangers).replace("/etc/postfix/sender_logins", &map)));
    let line = format!("127.0.0.1:{submission} inet n - n");
    let master =
        with(&recipe.file("master.cf"), &[("submission inet n - y", &line), ("10024", &users), ("10026", &behind)]);
    let postfix = started(sink.port(), &[common(&lab, &dovecot), main.collect()], &master);
    let submission: u16 = submission.parse().unwrap();
    wait_for_port(submission);

    let sent = swaks(
        submission,
        "alice@example.org",
        "carol@else.example",
        &by("alice@example.org"),
        &letter("alice@example.org", "carol@else.example"),
    );
    assert!(sent.status.success(), "{}\n{}", text(&sent), postfix.log());
    let one = received(&sink, "carol@else.example");
    assert!(one.text().contains("multipart/signed"), "{}", one.text());

    // Another user, by the envelope and by From.
    let as_alice = swaks(
        submission,
        "alice@example.org",
        "carol@else.example",
        &by("mallory@example.org"),
        &letter("alice@example.org", "carol@else.example"),
    );
    assert!(!as_alice.status.success() && text(&as_alice).contains("553 5.7.1"), "{}", text(&as_alice));
    let from_alice = swaks(
        submission,
        "mallory@example.org",
        "dave@else.example",
        &by("mallory@example.org"),
        &letter("alice@example.org", "dave@else.example"),
    );
    assert!(from_alice.status.success(), "{}", text(&from_alice));
    let bounce = received(&sink, "mallory@example.org");
    assert!(
        bounce.sender.starts_with("<>") && bounce.text().contains("may not sign as alice@example.org"),
        "{}",
        bounce.text()
    );

    // A stranger who writes alice into From.
    let sent = swaks(
        postfix.port(),
        "alice@example.org",
        "bob@example.org",
        &[],
        &letter("alice@example.org", "bob@example.org"),
    );
    assert!(sent.status.success(), "{}", text(&sent));
    let one = received(&sink, "bob@example.org");
    assert!(!one.text().contains("multipart/signed"), "{}", one.text());
    assert!(sink.received().iter().all(|one| one.addresses() != ["dave@else.example"]));
}

#[test]
fn a_pipe_reinjects() {
    if !present(NEEDED) {
        return;
    }
    let recipe = Recipe::of("As a content filter, by pipe(8)");
    let [behind, submission] = [(); 2].map(|()| free_port().to_string());
    let rules = "[[rule]]\nname = \"held\"\nrecipient = \"held.example\"\naction = \"quarantine\"\n\
        [[rule]]\nname = \"refused\"\nrecipient = \"refused.example\"\naction = \"reject\"\n[[rule]]\nname = \"out\"\naction = \"sign+clear\"\n";
    let toml = with(recipe.toml(), &[("10026", &behind)]);
    let lab = configured(&format!("{toml}{rules}"));
    // pipe(8) runs no command as root: the home belongs to the user that it names.
    fs::create_dir(lab.path("quarantine")).expect("a folder");
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    given_to_nobody(&lab);
    let program = postseal_in(&lab.path(""));
    let (sink, dovecot) = (Sink::start(), Dovecot::start());
    let line = format!("127.0.0.1:{submission} inet n - n");
    let command = format!("{} filter -c {}", program.display(), lab.path("postseal.toml").display());
    let master = with(
        &recipe.file("master.cf"),
        &[
            ("submission inet n - y", &line),
            ("10026", &behind),
            ("user=postseal", "user=nobody"),
            ("/usr/bin/postseal filter", &command),
        ],
    );
    let postfix = started(sink.port(), &[common(&lab, &dovecot), recipe.main()], &master);
    let submission: u16 = submission.parse().unwrap();
    wait_for_port(submission);
    for to in ["carol@else.example", "x@held.example", "y@refused.example"] {
        let sent =
            swaks(submission, "alice@example.org", to, &by("alice@example.org"), &letter("alice@example.org", to));
        assert!(sent.status.success(), "{}\n{}", text(&sent), postfix.log());
    }
    let one = received(&sink, "carol@else.example");
    assert!(one.text().contains("multipart/signed") && one.sender.contains("alice@example.org"), "{}", one.text());
    // What a rule refuses bounces, with its reason.
    let bounce = received(&sink, "alice@example.org");
    assert!(bounce.text().contains("refused by rule"), "{}", bounce.text());
    postfix.wait_for_queue(|queue| queue.contains("empty"));
    let held = lab.run(&["quarantine", "list", "-c", "postseal.toml"]);
    assert!(held.code == 0 && held.text().contains("x@held.example"), "{}{}", held.text(), held.stderr);
    assert_eq!(sink.received().len(), 2);
}

#[test]
fn dovecot_takes_what_is_decrypted() {
    if !present(NEEDED) {
        return;
    }
    let recipe = Recipe::of("Deliver to Dovecot");
    let (listening, dovecot, sink) = (free_port().to_string(), Dovecot::start(), Sink::start());
    let lmtp = format!("127.0.0.1:{}", dovecot.lmtp());
    let toml = with(recipe.toml(), &[("10025", &listening), ("unix:/run/dovecot/lmtp", &lmtp)]);
    let lab = configured(&toml);
    let _serve = Serve::start(&lab, &[listening.parse().unwrap()]);
    let mut settings = common(&lab, &dovecot);
    settings.retain(|(name, _)| name != "relay_domains");
    let main = recipe.main().into_iter().map(|(name, value)| (name, value.replace("10025", &listening)));
    let virtual_maps = vec![("virtual_mailbox_maps".to_owned(), String::new())];
    let postfix = started(sink.port(), &[settings, main.collect(), virtual_maps], "");
    lab.write("in", letter("bob@example.net", "alice@example.org"));
    lab.run(&["--home", "bob", "encrypt", "--to", "alice@example.org", "-o", "in.eml", "in"]).code(0);
    let message = String::from_utf8_lossy(&lab.read("in.eml")).replace("\r\n", "\n");
    let sent = swaks(postfix.port(), "bob@example.net", "alice@example.org", &[], &message);
    assert!(sent.status.success(), "{}\n{}", text(&sent), postfix.log());
    let mail = dovecot.wait_for_mail("alice@example.org");
    assert!(mail.contains("hello") && mail.contains("Authentication-Results: mail.example.org"), "{mail}");
    // A user whom Dovecot does not know: its own reply, which bounces.
    let sent = swaks(
        postfix.port(),
        "bob@example.net",
        "unknown@example.org",
        &[],
        &letter("bob@example.net", "unknown@example.org"),
    );
    assert!(sent.status.success(), "{}", text(&sent));
    let bounce = received(&sink, "bob@example.net");
    assert!(bounce.text().contains("550 5.1.1"), "{}", bounce.text());
}

/// What came for this address, within 30 seconds.
fn received(sink: &Sink, address: &str) -> Received {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(one) = sink.received().into_iter().find(|one| one.addresses() == [address]) {
            return one;
        }
        assert!(Instant::now() < end, "nothing comes for {address}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn given_to_nobody(lab: &Lab) {
    let nobody = 65_534;
    for entry in walkdir::WalkDir::new(lab.path("")) {
        let entry = entry.expect("a file of ours");
        chown(entry.path(), Some(nobody), Some(nobody)).expect("root may");
    }
}
