//! Two tenants with other rules and other keys in one service: what is of one is never opened, signed or judged for the other, a tenant that is broken puts off
//! its own mail alone, and a reload adds one.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    submission::dialogue::Client,
    support::{
        clients::{self, Letter},
        lab::{Lab, POSTSEAL},
        ports::{free_port, wait_for_port},
        postfix::{Received, Sink},
    },
};

const TRUSTED: &str = "198.51.100.7";
const STRANGER: &str = "192.0.2.1";

/// What stands in the file of tenant a: it signs, and opens what comes.
const A: &str = r#"
home = "home"
protocol = ["pgp"]
audit.decisions = true
[trusted]
sign-as = ["a.example"]
[aliases]
"all@a.example" = ["alice@a.example", "bob@b.example"]
[[rule]]
name = "a signs"
direction = "outbound"
action = "sign+clear"
[[rule]]
name = "a opens"
direction = "inbound"
action = "decrypt+annotate"
add-headers.X-Of = "a"
[[forward]]
address = "away@a.example"
to = "bob@b.example"
action = "clear"
[[list]]
address = "news@a.example"
owner = "alice@a.example"
members = ["alice@a.example clear", "bob@b.example clear"]
post = "anybody"
without-key = "clear"
"#;

/// Tenant b refuses spam, and opens the rest.
const B: &str = r#"
home = "home"
protocol = ["pgp"]
[[rule]]
name = "b has enough"
direction = "inbound"
header.Subject = "*spam*"
action = "reject"
text = "b takes none"
[[rule]]
name = "b opens"
direction = "inbound"
action = "decrypt+annotate"
add-headers.X-Of = "b"
[[rule]]
name = "b sends"
direction = "outbound"
action = "sign+encrypt"
"#;

struct Provider {
    lab: Lab,
    sink: Sink,
    /// SMTP, LMTP, milter, monitor.
    ports: [u16; 4],
    child: Option<Child>,
}

impl Provider {
    /// With both tenants, and their homes.
    fn new() -> Provider {
        let lab = Lab::new();
        for (name, owner, file) in [("a", "alice", A), ("b", "bob", B)] {
            fs::create_dir(lab.path(name)).expect("a folder");
            lab.write(&format!("{name}/tenant.toml"), file);
            let (home, owner) = (format!("{name}/home"), format!("{owner}@{name}.example"));
            lab.run(&["--home", &home, "key", "generate", "--no-passphrase", &owner]).code(0);
        }
        lab.run(&["--home", "a/home", "key", "generate", "--no-passphrase", "news@a.example"]).code(0);
        lab.write("marker", "0123456789abcdef0123456789abcdef");
        fs::set_permissions(lab.path("marker"), fs::Permissions::from_mode(0o600)).expect("a mode");
        let provider = Provider { lab, sink: Sink::start(), ports: [0; 4].map(|_| free_port()), child: None };
        provider.configure(&["a", "b"]);
        provider
    }

    fn configure(&self, tenants: &[&str]) {
        let [smtp, lmtp, milter, metrics] = self.ports;
        let mut config = format!(
            "home = \"home\"\nhome-must-exist = false\nhostname = \"mx.provider.example\"\nlocal-domains = [\"provider.example\"]\n\
             marker.file = \"marker\"\nquarantine = \".\"\nmetrics = \"127.0.0.1:{metrics}\"\n\
             [trusted]\nnetworks = [\"{TRUSTED}\"]\npeers = [\"127.0.0.1\"]\nauthserv-ids = [\"dkim.provider.example\"]\n\
             [upstream]\nsmart-host = \"127.0.0.1:{}\"\ntls = \"none\"\n",
            self.sink.port()
        );
        for (kind, port) in [("relay", smtp), ("lmtp", lmtp), ("milter", milter)] {
            config += &format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n");
        }
        for name in tenants {
            config += &format!(
                "[[tenant]]\nname = \"{name}\"\ndomains = [\"{name}.example\"]\ninclude = \"{name}/tenant.toml\"\n"
            );
        }
        self.lab.write("postseal.toml", config);
    }

    fn serving() -> Provider {
        let mut provider = Provider::new();
        provider.serve();
        provider
    }

    fn serve(&mut self) {
        let log = fs::File::create(self.lab.path("log")).expect("a file");
        let mut serve = Command::new(POSTSEAL);
        serve.args(["serve", "-c", "postseal.toml"]).current_dir(self.lab.path("")).stderr(Stdio::from(log));
        self.child = Some(serve.spawn().expect("postseal starts"));
        self.ports.into_iter().for_each(wait_for_port);
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&self.lab.read("log")).into_owned()
    }

    fn reload(&self) {
        let count = |log: &str| log.lines().filter(|line| line.contains("event=configuration-loaded")).count();
        let before = count(&self.log());
        let child = self.child.as_ref().expect("it runs").id();
        Command::new("kill").args(["-HUP", &child.to_string()]).status().expect("kill");
        let end = Instant::now() + Duration::from_secs(30);
        while count(&self.log()) == before {
            assert!(Instant::now() < end, "no reload: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last reply to a message of a client that logged in by another server.
    fn by_login(&self, login: &str, sender: &str, to: &str, from: &str) -> String {
        let mut client = Client::on(TcpStream::connect(("127.0.0.1", self.ports[0])).expect("it listens"));
        let hello = ["EHLO client.test".to_owned(), format!("XCLIENT ADDR={STRANGER} LOGIN={login}")];
        for line in hello.into_iter().chain([
            "EHLO client.test".to_owned(),
            format!("MAIL FROM:<{sender}>"),
            format!("RCPT TO:<{to}>"),
            "DATA".to_owned(),
        ]) {
            let reply = client.say(format!("{line}\r\n"));
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        }
        client.say(format!("From: {from}\r\nSubject: the plan\r\n\r\nhello\r\n.\r\n"))
    }

    /// The replies of LMTP to the message, one for each recipient.
    fn by_lmtp(&self, to: &[&str], message: &str) -> Vec<String> {
        let mut client = Client::on(TcpStream::connect(("127.0.0.1", self.ports[1])).expect("it listens"));
        client.say("LHLO client.test\r\n");
        client.say(format!("XFORWARD ADDR={STRANGER}\r\n"));
        client.say("MAIL FROM:<x@elsewhere.example>\r\n");
        for one in to {
            assert!(client.say(format!("RCPT TO:<{one}>\r\n")).starts_with("250"), "{one}");
        }
        client.say("DATA\r\n");
        let first = client.say(format!("{message}\r\n.\r\n"));
        std::iter::once(first).chain(to[1..].iter().map(|_| client.hear())).collect()
    }

    /// What has arrived for this address.
    fn arrived(&self, count: usize, address: &str) -> Received {
        let all = self.sink.wait_for(count);
        let to = all.iter().find(|one| one.addresses().contains(&address));
        to.unwrap_or_else(|| panic!("nothing for {address}: {all:?}\n{}", self.log())).clone()
    }

    /// A line of this event.
    fn line(&self, event: &str, words: &str) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(&format!("event={event} ")) && line.contains(words));
        line.unwrap_or_else(|| panic!("no {event} {words} in {log}")).to_owned()
    }

    fn encrypted_to_bob(&self) -> String {
        self.lab
            .write("plain", "From: x@elsewhere.example\r\nTo: bob@b.example\r\nSubject: x\r\n\r\na secret of b\r\n");
        let done =
            self.lab.run(&["--home", "b/home", "encrypt", "--to", "bob@b.example", "--no-self", "plain"]).code(0);
        done.text().replace("\r\n", "\n").replace('\n', "\r\n")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const PLAIN: &str = "From: x@elsewhere.example\r\nSubject: hello\r\n\r\nthe plan\r\n";
const SPAM: &str = "From: x@elsewhere.example\r\nSubject: spam\r\n\r\nthe plan\r\n";

#[test]
fn a_login_sends_as_its_own_tenant_and_with_its_keys() {
    let provider = Provider::serving();
    // By its own rules and key.
    let reply = provider.by_login("alice@a.example", "alice@a.example", "x@elsewhere.example", "alice@a.example");
    assert!(reply.starts_with("250"), "{reply}");
    let signed = provider.arrived(1, "x@elsewhere.example");
    assert!(signed.text().contains("multipart/signed"), "{}", signed.text());
    provider.lab.write("signed", &signed.message);
    let verified = provider.lab.run(&["--home", "a/home", "verify", "signed"]).code(0).text();
    assert!(verified.contains("alice@a.example"), "{verified}");
    assert!(provider.line("mail", "alice").contains(" tenant=a"), "{}", provider.log());
    assert!(provider.line("decided", "from=<alice@a.example>").contains(" tenant=a"), "{}", provider.log());
    // By the rules of b, whose user it is.
    let reply = provider.by_login("bob@b.example", "bob@b.example", "x@elsewhere.example", "bob@b.example");
    assert!(reply.starts_with("550") && reply.contains("b sends"), "{reply}");
    // As another: nothing goes out, whatever names the other.
    for (login, sender, from) in [
        ("alice@a.example", "alice@a.example", "bob@b.example"),
        ("alice@a.example", "bob@b.example", "alice@a.example"),
        ("alice@a.example", "alice@a.example", "alice@a.example, bob@b.example"),
        ("alice@a.example", "alice@a.example", "alice@a.example\r\nSender: bob@b.example"),
        ("alice@a.example", "alice@a.example", "root@provider.example"),
        ("root", "root@provider.example", "alice@a.example"),
    ] {
        let reply = provider.by_login(login, sender, "x@elsewhere.example", from);
        assert!(reply.starts_with("550 5.7.1 "), "{login} {from}: {reply}");
        assert!(!reply.contains("tenant"), "{reply}");
    }
    assert!(provider.log().contains("login alice@a.example is of tenant a, and <bob@b.example> of tenant b"));
    assert_eq!(provider.sink.received().len(), 1);
    // What was decided is in the audit log of that tenant alone.
    let audit = String::from_utf8(provider.lab.read("a/home/audit.log")).expect("text");
    assert!(audit.contains("\"rule\":\"a signs\"") && !audit.contains("b sends"), "{audit}");
    assert!(!provider.lab.path("b/home/audit.log").exists());
    // Where it cannot be written, the mail goes on, and is counted.
    fs::remove_file(provider.lab.path("a/home/audit.log")).expect("a file");
    fs::create_dir(provider.lab.path("a/home/audit.log")).expect("a folder");
    let reply = provider.by_login("alice@a.example", "alice@a.example", "x@elsewhere.example", "alice@a.example");
    assert!(reply.starts_with("250"), "{reply}");
    assert!(provider.line("audit-failed", "audit.log").contains(" tenant=a"), "{}", provider.log());
    assert!(page(&provider, "/metrics").contains("postseal_audit_failures_total 1\n"));
}

#[test]
fn mail_to_both_is_handled_by_each() {
    let provider = Provider::serving();
    let letter = |to, message| Letter { client: STRANGER, sender: "x@elsewhere.example", recipient: to, message };
    let smtp = |to, message| clients::dialogue(provider.ports[0], "EHLO", &letter(to, message));
    // SMTP has one reply: a recipient who is refused refuses the message.
    let reply = smtp("alice@a.example,bob@b.example", SPAM);
    assert!(reply.starts_with("550") && reply.contains("b takes none"), "{reply}");
    assert!(smtp("alice@a.example,bob@b.example", PLAIN).starts_with("250"));
    let of = |received: &Received, name: &str| received.text().contains(&format!("\r\nX-Of: {name}\r\n"));
    let arrived = |count, address: &str| {
        let received = provider.arrived(count, address);
        assert_eq!(received.addresses(), [address], "a copy each");
        assert!(received.text().contains("Authentication-Results: mx.provider.example;"), "{}", received.text());
        received
    };
    for (address, own, other) in [("alice@a.example", "a", "b"), ("bob@b.example", "b", "a")] {
        let received = arrived(2, address);
        assert!(of(&received, own) && !of(&received, other), "{}", received.text());
    }
    // LMTP has one for each.
    let replies = provider.by_lmtp(&["alice@a.example", "bob@b.example"], SPAM);
    assert!(replies[0].starts_with("250") && replies[1].starts_with("550"), "{replies:?}");
    provider.sink.wait_for(3);
    // A ciphertext for bob is opened for bob, and not for alice, who may have it too.
    let replies = provider.by_lmtp(&["alice@a.example", "bob@b.example"], &provider.encrypted_to_bob());
    assert!(replies.iter().all(|reply| reply.starts_with("250")), "{replies:?}");
    let all = provider.sink.wait_for(5);
    let copy = |address| all[3..].iter().find(|one| one.addresses() == [address]).expect("a copy").text();
    assert!(copy("bob@b.example").contains("a secret of b"), "{}", copy("bob@b.example"));
    assert!(copy("alice@a.example").contains("BEGIN PGP MESSAGE"), "{}", copy("alice@a.example"));
    assert!(provider.line("not-opened", "alice@a.example").contains(" tenant=a"));
    // The rest has rules of its own, and its mail no tenant.
    assert!(smtp("root@provider.example", PLAIN).starts_with("250"));
    let rest = provider.arrived(6, "root@provider.example");
    assert!(!of(&rest, "a") && !of(&rest, "b"));
    assert!(!provider.line("mail", "root@provider.example").contains("tenant="));
    let metrics = page(&provider, "/metrics");
    assert!(metrics.contains("postseal_tenant_messages_total{tenant=\"a\",result=\"handled\"}"), "{metrics}");
    milter(&provider);
}

/// The MTA has one copy: that of one tenant. The other's goes to the next hop, marked, and passes when it comes by again.
fn milter(provider: &Provider) {
    let before = provider.sink.received().len();
    let letter = |message| Letter {
        client: STRANGER,
        sender: "x@elsewhere.example",
        recipient: "alice@a.example,bob@b.example",
        message,
    };
    let answer = clients::milter(provider.ports[2], &letter(SPAM));
    assert!(answer.starts_with("y550") && answer.contains("b takes none"), "{answer}");
    assert_eq!(clients::milter(provider.ports[2], &letter(PLAIN)), "c");
    let all = provider.sink.wait_for(before + 1);
    let copy = all.last().expect("one copy");
    let [to] = copy.addresses()[..] else { panic!("{copy:?}") };
    assert!(copy.text().contains("X-Postseal-Handled:"), "{}", copy.text());
    let again = copy.text();
    let marked = Letter { client: TRUSTED, sender: "x@elsewhere.example", recipient: to, message: &again };
    let replied = clients::dialogue(provider.ports[0], "EHLO", &marked);
    assert!(replied.starts_with("250"), "{replied}");
    let passed = provider.sink.wait_for(before + 2).last().expect("a copy").text();
    let count = |text: &str| text.matches("X-Of: ").count();
    assert_eq!((count(&passed), passed.contains("X-Postseal-Handled:")), (1, false), "{passed}");
}

/// What one tenant relays to an address of another is handled by that one too, as from another host.
#[test]
fn mail_between_tenants_is_of_a_stranger() {
    let provider = Provider::serving();
    let reply = provider.by_login("alice@a.example", "alice@a.example", "bob@b.example", "alice@a.example");
    assert!(reply.starts_with("250"), "{reply}");
    let crossed = provider.arrived(1, "bob@b.example").text();
    assert!(crossed.contains("multipart/signed") && crossed.contains("X-Of: b\r\n"), "{crossed}");
    // b does not trust what a says of its keys.
    let results = crossed.lines().find(|line| line.starts_with("Authentication-Results:")).expect("the field");
    assert!(!crossed.contains("=pass"), "{results}: {crossed}");
    // Until b knows the key by itself.
    let key = provider.lab.run(&["--home", "a/home", "key", "export", "alice@a.example"]).code(0).stdout;
    provider.lab.write("key", key);
    let imported = provider.lab.run(&["--home", "b/home", "key", "import", "key"]).code(0).text();
    let key = imported.split_whitespace().nth(1).expect("a fingerprint");
    provider.lab.run(&["--home", "b/home", "key", "trust", key, "alice@a.example"]).code(0);
    let reply = provider.by_login("alice@a.example", "alice@a.example", "bob@b.example", "alice@a.example");
    assert!(reply.starts_with("250"), "{reply}");
    let trusted = provider.sink.wait_for(2).pop().expect("a copy").text();
    assert!(trusted.contains("=pass"), "{trusted}");
    // What the verifier in front of this host found stays in mail from outside; a user of a cannot write it.
    let forged = "Authentication-Results: dkim.provider.example; dkim=pass";
    let before = provider.sink.received().len();
    let from = format!("alice@a.example\r\n{forged}");
    let reply = provider.by_login("alice@a.example", "alice@a.example", "bob@b.example", &from);
    assert!(reply.starts_with("250"), "{reply}");
    let crossed = provider.sink.wait_for(before + 1).pop().expect("a copy").text();
    assert!(crossed.contains("X-Of: b\r\n") && !crossed.contains("dkim=pass"), "{crossed}");
    let replies = provider.by_lmtp(&["bob@b.example"], &format!("{forged}\r\n{PLAIN}"));
    assert!(replies[0].starts_with("250"), "{replies:?}");
    let kept = provider.sink.wait_for(before + 2).pop().expect("a copy").text();
    assert!(kept.contains("dkim=pass"), "{kept}");
    // The alias of a, and a forward of a, have b's rules at their end.
    let letter = |to, message| Letter { client: STRANGER, sender: "x@elsewhere.example", recipient: to, message };
    let before = provider.sink.received().len();
    let replies = provider.by_lmtp(&["away@a.example", "alice@a.example"], SPAM);
    assert!(replies[0].starts_with("550") && replies[1].starts_with("250"), "{replies:?}");
    assert!(clients::dialogue(provider.ports[1], "LHLO", &letter("away@a.example", PLAIN)).starts_with("250"));
    let forwarded = provider.sink.wait_for(before + 2).pop().expect("a copy");
    assert_eq!(forwarded.addresses(), ["bob@b.example"]);
    assert!(forwarded.text().contains("X-Of: b\r\n") && forwarded.text().contains("Delivered-To: away@a.example"));
    // A list of a: each member has what the rules of its tenant make.
    let before = provider.sink.received().len();
    assert!(clients::dialogue(provider.ports[0], "EHLO", &letter("news@a.example", PLAIN)).starts_with("250"));
    let all = provider.sink.wait_for(before + 2);
    let copy = |address| all[before..].iter().find(|one| one.addresses() == [address]).expect("a copy").text();
    assert!(copy("bob@b.example").contains("X-Of: b\r\n"), "{}", copy("bob@b.example"));
    assert!(!copy("alice@a.example").contains("X-Of: b\r\n"));
    let spam = Letter { message: SPAM, ..letter("news@a.example", SPAM) };
    assert!(clients::dialogue(provider.ports[0], "EHLO", &spam).starts_with("250"));
    let all = provider.sink.wait_for(before + 3);
    assert_eq!(all.last().expect("a copy").addresses(), ["alice@a.example"]);
    assert!(provider.line("list-copy-refused", "bob@b.example").contains("b takes none"));
}

#[test]
fn a_broken_tenant_puts_off_its_own_mail_alone() {
    let mut provider = Provider::new();
    fs::rename(provider.lab.path("b/home"), provider.lab.path("b/away")).expect("a folder");
    let checked = provider.lab.run(&["config", "check", "postseal.toml"]).code(78).text();
    assert!(checked.contains("b/tenant.toml: error: b/home: there are no keys here"), "{checked}");
    assert!(
        provider
            .lab
            .run(&["config", "check", "--tenant", "a", "postseal.toml"])
            .code(0)
            .text()
            .starts_with("a/tenant.toml: ")
    );
    provider.lab.run(&["config", "check", "--tenant", "c", "postseal.toml"]).refused(64, "not in the configuration");
    provider.serve();
    assert!(provider.line("tenant-failed", "there are no keys here").contains("tenant=b"), "{}", provider.log());
    let replies = provider.by_lmtp(&["alice@a.example", "bob@b.example"], PLAIN);
    assert!(replies[0].starts_with("250") && replies[1].starts_with("451"), "{replies:?}");
    assert!(!replies[1].contains("home"), "{replies:?}");
    provider.arrived(1, "alice@a.example");
    assert!(provider.line("part-failed", "there are no keys here").contains("tenant=b"), "{}", provider.log());
    let reply = provider.by_login("bob@b.example", "bob@b.example", "alice@a.example", "bob@b.example");
    assert!(reply.starts_with("451"), "{reply}");
    let reply = provider.by_login("alice@a.example", "alice@a.example", "x@elsewhere.example", "alice@a.example");
    assert!(reply.starts_with("250"), "{reply}");
    let metrics = page(&provider, "/metrics");
    assert!(metrics.contains("postseal_tenant_messages_total{tenant=\"b\",result=\"failed\"} 2"), "{metrics}");

    // A reload finds the home, and adds a tenant.
    fs::rename(provider.lab.path("b/away"), provider.lab.path("b/home")).expect("a folder");
    fs::create_dir(provider.lab.path("c")).expect("a folder");
    provider.lab.run(&["--home", "c/home", "key", "generate", "--no-passphrase", "carol@c.example"]).code(0);
    provider.lab.write("c/tenant.toml", B.replace("X-Of = \"b\"", "X-Of = \"c\""));
    provider.configure(&["a", "b", "c"]);
    provider.reload();
    let to = ["alice@a.example", "bob@b.example", "carol@c.example"];
    let replies = provider.by_lmtp(&to, PLAIN);
    assert!(replies.iter().all(|reply| reply.starts_with("250")), "{replies:?}");
    let all = provider.sink.wait_for(5);
    assert!(all[2..].iter().any(|one| one.addresses() == ["carol@c.example"] && one.text().contains("X-Of: c\r\n")));

    // A file with an error leaves what was in force for that tenant, and the others have what is new.
    provider.lab.write("b/tenant.toml", "home = \"home\"\nlistener = 1\n");
    provider.lab.write("c/tenant.toml", B.replace("X-Of = \"b\"", "X-Of = \"new\""));
    provider.reload();
    let line = provider.line("tenant-failed", "b/tenant.toml:2: listener: is for the whole service");
    assert!(line.contains("in_force=before"), "{line}");
    let replies = provider.by_lmtp(&["bob@b.example", "carol@c.example"], PLAIN);
    assert!(replies.iter().all(|reply| reply.starts_with("250")), "{replies:?}");
    let all = provider.sink.wait_for(7);
    let copy = |address| all[5..].iter().find(|one| one.addresses() == [address]).expect("a copy").text();
    assert!(copy("bob@b.example").contains("X-Of: b\r\n") && copy("carol@c.example").contains("X-Of: new\r\n"));
}

/// What the verbs of `config`, and the programs for one message, say of tenants.
#[test]
fn the_command_line_knows_tenants() {
    let provider = Provider::serving();
    let lab = &provider.lab;
    let explain = |arguments: &[&str]| {
        let arguments = [&["config", "explain", "-c", "postseal.toml", "--json"], arguments].concat();
        let text = lab.run(&arguments).code(0).text();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let said = explain(&["alice@a.example", "bob@b.example,x@elsewhere.example"]);
    assert_eq!(
        (said.len(), &said[0]["tenant"], &said[0]["submitter"]),
        (1, &"a".into(), &"user alice@a.example".into())
    );
    assert_eq!(said[0]["recipients"][0]["then_tenant"], "b");
    assert_eq!(said[0]["recipients"][1].get("then_tenant"), None);
    let said = explain(&["x@elsewhere.example", "bob@b.example,root@provider.example,alice@a.example"]);
    let tenants: Vec<Option<&str>> = said.iter().map(|one| one.get("tenant").and_then(Value::as_str)).collect();
    assert_eq!(tenants, [None, Some("a"), Some("b")]);
    let said = explain(&["--tenant", "b", "--unknown", "alice@a.example", "bob@b.example"]);
    assert_eq!((&said[0]["tenant"], &said[0]["recipients"][0]["rule"]), (&"b".into(), &"b opens".into()));
    let refused =
        ["config", "explain", "-c", "postseal.toml", "--user", "alice@a.example", "bob@b.example", "x@y.example"];
    lab.run(&refused).refused(77, "login alice@a.example is of tenant a, and <bob@b.example> of tenant b");

    let case = |name: &str, from: &str, to: &str, rule: &str| {
        format!(
            "[[case]]\nname = \"{name}\"\nfrom = \"{from}\"\nto = {to}\nsigning = \"pgp\"\nexpect = {{ rule = \"{rule}\" }}\n"
        )
    };
    lab.write(
        "cases",
        case("of a", "alice@a.example", "\"x@y.example\"", "a signs")
            + &case("to b", "x@y.example", "\"bob@b.example\"", "b opens"),
    );
    let passed = lab.run(&["config", "test", "-c", "postseal.toml", "cases"]).code(0).text();
    assert!(passed.ends_with("2 cases, 0 failed\n"), "{passed}");
    lab.run(&["config", "test", "-c", "postseal.toml", "--tenant", "b", "cases"]).code(1);
    lab.write("both", case("both", "x@y.example", "[\"bob@b.example\", \"alice@a.example\"]", "a opens"));
    lab.run(&["config", "test", "-c", "postseal.toml", "both"]).refused(64, "recipients of several tenants");

    // The rules of b change, and only mail of b is decided otherwise.
    provider.by_lmtp(&["alice@a.example", "bob@b.example"], PLAIN);
    provider.sink.wait_for(2);
    for name in ["a", "b"] {
        fs::create_dir_all(lab.path(&format!("new/{name}"))).expect("a folder");
        lab.write(
            &format!("new/{name}/tenant.toml"),
            if name == "a" {
                A.to_owned()
            } else {
                B.replace("header.Subject = \"*spam*\"", "sender = \"elsewhere.example\"")
            },
        );
    }
    lab.write("new/marker", "0123456789abcdef0123456789abcdef");
    lab.write("new/postseal.toml", lab.read("postseal.toml"));
    let diff = |arguments: &[&str]| {
        let arguments =
            [&["config", "diff", "--json", "postseal.toml", "new/postseal.toml", "log"], arguments].concat();
        let done = lab.run(&arguments);
        (done.code, serde_json::from_slice::<Value>(&done.stdout).unwrap_or_default())
    };
    let (code, said) = diff(&[]);
    assert_eq!(
        (code, &said["recipients"], said["changed"].as_array().map(Vec::len)),
        (1, &2.into(), Some(1)),
        "{said}"
    );
    assert_eq!(said["changed"][0]["after"]["rule"], "b has enough");
    let (code, said) = diff(&["--tenant", "a"]);
    assert_eq!((code, &said["recipients"]), (0, &1.into()), "{said}");
    assert_eq!(diff(&["--tenant", "b"]).0, 1);
    lab.write(
        "new/postseal.toml",
        String::from_utf8(lab.read("postseal.toml")).expect("text").replace("\"b\"", "\"bb\""),
    );
    assert_eq!(diff(&[]).1["lines_of_other_tenants"], 1);

    // Programs that run for one message, and lists by their names.
    lab.write("mail", "From: alice@a.example\nSubject: x\n\nhello\n");
    let filter = "$0 filter -c postseal.toml --user alice@a.example -f alice@a.example -- x@y.example < mail";
    assert!(lab.shell(filter).code(0).text().contains("multipart/signed"));
    lab.shell(&filter.replace("--user alice", "--user mallory").replace("mallory@a", "mallory@b")).refused(77, "");
    assert!(lab.run(&["list", "check", "-c", "postseal.toml", "news"]).code(0).text().contains("2 members"));
}

#[test]
fn what_is_not_apart_is_an_error_that_names_the_place() {
    let provider = Provider::new();
    let lab = &provider.lab;
    let original = String::from_utf8(lab.read("postseal.toml")).expect("text");
    let refused = |change: [&str; 2], why: &str| {
        lab.write("postseal.toml", original.replace(change[0], change[1]));
        let text = lab.run(&["config", "check", "postseal.toml"]).code(78).text();
        assert!(text.contains(why), "{why:?} is not in {text}");
        lab.write("postseal.toml", &original);
    };
    refused(["name = \"b\"", "name = \"a\""], "tenant a: another one has this name");
    refused(["\"b.example\"", "\"b.example\", \"A.example\""], "tenant b: a.example is of tenant a too");
    refused(["\"provider.example\"", "\".example\""], "tenant a: a.example is in local-domains too (.example)");
    refused(["b/tenant.toml", "a/tenant.toml"], "and the folder of tenant a are not apart");
    refused(["b/tenant.toml", "postseal.toml"], "has the configuration of the service in it");
    refused(["home = \"home\"", "home = \"a/home\""], "tenant a: a/home is in its folder, and not its own");
    refused(["[trusted]", "[identities]\n\"x@a.example\" = \"*\"\n[trusted]"], "x@a.example is a login of tenant a");
    refused(["\"b.example\"", "\"*\""], "is not a domain");

    let refused = |file: &str, why: &str| {
        lab.write("b/tenant.toml", file);
        let text = lab.run(&["config", "check", "postseal.toml"]).code(78).text();
        assert!(text.contains(&format!("b/tenant.toml:{why}")), "{why:?} is not in {text}");
    };
    for key in ["listener", "limits", "upstream", "log", "trusted.peers", "marker", "token"] {
        refused(&format!("home = \"home\"\n{key} = 1\n"), "2: error: ");
    }
    refused("home = \"../a/home\"\n", "1: error: ../a/home: not in ");
    refused(&format!("home = \"{}\"\n", lab.path("a/home").display()), "1: error: ");
    std::os::unix::fs::symlink("../a", lab.path("b/link")).expect("a link");
    refused("home = \"link/home\"\n", "1: error: link/home: not in ");
    refused("home = \"home\"\npassphrases.file = \"../marker\"\n", "2: error: ../marker: not in ");
    refused("home = \"home\"\npassphrases.credential = \"a.pass\"\n", "2: error: passphrases: credential \"a.pass\"");
    refused("home = \"home\"\naudit.path = \"/var/log/a\"\n", "2: error: /var/log/a: not in ");
    refused("home = \"home\"\n[identities]\nalice = \"*\"\n", "2: error: identities: alice is no address");
    refused("home = \"home\"\n[discovery]\nallow-networks = [\"10.0.0.0/8\"]\n", "3: error: allow-networks: ");
    refused(
        &B.replace(
            "home = \"home\"",
            "home = \"home\"\n[[forward]]\naddress = \"x@a.example\"\nto = \"y@b.example\"\naction = \"clear\"",
        ),
        "4: error: forward of x@a.example",
    );
    // Each key of the configuration is a tenant's or the service's.
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/postseal.toml.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("a file")).expect("JSON");
    let keys: Vec<&String> = schema["properties"].as_object().expect("an object").keys().collect();
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        lab.write("b/tenant.toml", format!("{key} = 1\n"));
        let text = lab.run(&["config", "check", "--tenant", "b", "postseal.toml"]).text();
        assert!(!text.contains("unknown key"), "{text}");
    }
    fs::remove_file(lab.path("b/tenant.toml")).expect("a file");
    let text = lab.run(&["config", "check", "postseal.toml"]).code(78).text();
    assert!(text.contains("b/tenant.toml: error: no such file"), "{text}");
}

fn page(provider: &Provider, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", provider.ports[3])).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    page
}
