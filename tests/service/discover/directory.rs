//! Keys in a directory: a slapd on loopback, with certificates of a private authority.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Gnupg, apart::to, fingerprint, new_certificate};
use crate::support::{
    certificates::authority,
    clients::dialogue,
    directory::{BASE, Directory, Entry, PASSWORD, READER},
    lab::{Done, Lab, POSTSEAL},
    ports::free_port,
    requirements,
    served::{Configured, log},
};

/// A folder with a configuration that asks a directory, and with an authority for mail.
struct Office {
    lab: Lab,
    directory: Directory,
}

impl Office {
    /// `None` where a program is absent.
    fn new(people: impl FnOnce(&Lab) -> Vec<Entry<'static>>) -> Option<Office> {
        if !requirements::present(&["slapd", "ldapsearch", "openssl", "gpg"]) {
            return None;
        }
        let lab = Lab::new();
        authority(&lab.path(""), "mail-ca");
        let office = Office { directory: Directory::start(&people(&lab)), lab };
        office.lab.write("password", format!("{PASSWORD}\n"));
        office.lab.shell("chmod 600 password").code(0);
        office.configure(&[&office.server()], "", "");
        Some(office)
    }

    fn server(&self) -> String {
        format!("ldaps://localhost:{}", self.directory.tls_port)
    }

    /// Writes `postseal.toml` with these servers, more lines of `[discovery.ldap]`, and rules.
    fn configure(&self, servers: &[&str], lines: &str, rules: &str) {
        let roots = self.directory.path("ca.pem");
        let usual = [
            ("roots", format!("{:?}", roots.display().to_string())),
            ("bind-dn", format!("{READER:?}")),
            ("password", "{ file = \"password\" }".to_owned()),
        ];
        let usual = usual.iter().filter(|(key, _)| !lines.contains(key));
        let usual: String = usual.map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!(
            "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\
             [discovery]\nmethods = [\"ldap\"]\nsource-timeout = 2\n\
             [discovery.ldap]\nservers = {servers:?}\nbase = \"{BASE}\"\n{usual}{lines}\n{rules}"
        );
        self.lab.write("postseal.toml", text);
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        Done::of(command.env("POSTSEAL_CONFIG", "postseal.toml").args(arguments).output().expect("postseal starts"))
    }

    /// What `ldap-pgp` and `ldap-smime` say of an address.
    fn find(&self, address: &str, code: i32) -> [Value; 2] {
        let done = self.run(&["key", "find", "--json", address]).code(code);
        let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let [pgp, smime] = said["sources"].as_array().expect("sources").as_slice() else { panic!("{said}") };
        assert_eq!((&pgp["method"], &smime["method"]), (&"ldap-pgp".into(), &"ldap-smime".into()));
        [pgp.clone(), smime.clone()]
    }

    /// The reason why `ldap-pgp` alone, within a second, has no answer.
    fn failure(&self, address: &str) -> String {
        let text = String::from_utf8(self.lab.read("postseal.toml")).expect("UTF-8");
        let text =
            text.replace("methods = [\"ldap\"]\nsource-timeout = 2", "methods = [\"ldap-pgp\"]\nsource-timeout = 1");
        self.lab.write("postseal.toml", text);
        let done = self.run(&["key", "find", "--json", address]).code(75);
        let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!((&said["sources"][0]["outcome"], &said["sources"][1]), (&"failed".into(), &Value::Null));
        said["sources"][0]["reason"].as_str().expect("a reason").to_owned()
    }

    fn filter(&self, recipient: &str) -> Done {
        self.lab.write("mail", format!("From: alice@example.org\nTo: {recipient}\nSubject: x\n\nthe plan\n"));
        self.lab.shell(&format!(
            "\"$0\" filter -c postseal.toml --from=alice@example.org --trusted -- '{recipient}' < mail"
        ))
    }
}

/// A certificate of the authority for mail to an address, in DER; `NAME.key` and `NAME.pem` are in the folder.
fn issued(lab: &Lab, name: &str, address: &str) -> Vec<u8> {
    lab.write("ext", format!("subjectAltName=email:{address}\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n"));
    lab.shell(&format!(
        "openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out csr 2> /dev/null &&
         openssl x509 -req -days 2 -in csr -CA mail-ca.pem -CAkey mail-ca.key -CAcreateserial -extfile ext -out {name}.pem 2> /dev/null &&
         openssl x509 -in {name}.pem -outform DER"
    ))
    .code(0)
    .stdout
}

fn entry(uid: &'static str, attributes: Vec<(&'static str, Vec<u8>)>) -> Entry<'static> {
    Entry { uid, attributes }
}

fn mail(address: &str) -> (&'static str, Vec<u8>) {
    ("mail", address.as_bytes().to_vec())
}

/// Octets in the form of a certificate, and different each time.
fn no_certificate(number: u32, length: usize) -> Vec<u8> {
    let mut content = number.to_be_bytes().to_vec();
    content.resize(length, 7);
    let length = u16::try_from(content.len()).expect("a short one").to_be_bytes();
    [&[0x30, 0x82], &length[..], &content].concat()
}

#[test]
fn each_entry_of_a_directory_has_its_outcome() {
    let Some(office) = Office::new(|lab| {
        let bob = issued(lab, "bob", "bob@partner.test");
        let armored = lab_armored("bob@partner.test");
        lab.write("bob.asc", &armored);
        let bundle = lab.shell("openssl crl2pkcs7 -nocrl -certfile bob.pem -certfile mail-ca.pem -outform DER").code(0);
        let many = |count: u32, length| (0..count).map(move |at| ("userSMIMECertificate", no_certificate(at, length)));
        let gnupg = Gnupg::with_key("erin@partner.test", "20260101T000000!");
        let copy = gnupg.run(&["--armor", "--export"]);
        gnupg.revoke();
        let revoked = gnupg.run(&["--armor", "--export"]);
        vec![
            // An old copy is there too.
            entry("erin", vec![mail("erin@partner.test"), ("pgpKey", copy), ("pgpKey", revoked)]),
            entry(
                "bob",
                vec![mail("bob@partner.test"), ("userCertificate;binary", bob.clone()), ("pgpKey", armored.clone())],
            ),
            entry("bundle", vec![mail("bob@partner.test"), ("userSMIMECertificate", bundle.stdout)]),
            // Certificates of somebody else.
            entry(
                "carol",
                vec![mail("carol@partner.test"), ("userCertificate;binary", bob.clone()), ("pgpKey", armored.clone())],
            ),
            entry("dave", vec![mail("dave@partner.test")]),
            entry("large", [vec![mail("large@partner.test")], many(3_000, 200).collect()].concat()),
            entry("values", [vec![mail("values@partner.test")], many(100, 4).collect()].concat()),
            // One that cannot be read does not spoil the other.
            entry(
                "spoilt",
                vec![
                    mail("spoilt@partner.test"),
                    ("pgpKey", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnothing\n".to_vec()),
                    ("pgpKey", lab_armored("spoilt@partner.test")),
                    ("userSMIMECertificate", no_certificate(1, 10)),
                ],
            ),
        ]
    }) else {
        return;
    };
    let [pgp, smime] = office.find("bob@partner.test", 0);
    for (said, protocol) in [(&pgp, "pgp"), (&smime, "smime")] {
        assert_eq!((&said["outcome"], &said["source"]), (&"found".into(), &"server".into()), "{said}");
        // Two entries have the same certificate: it is one key.
        let [key] = said["keys"].as_array().expect("keys").as_slice() else { panic!("{said}") };
        assert_eq!((&key["use"], &key["protocol"]), (&"encrypt".into(), &protocol.into()), "{said}");
    }
    assert_eq!(pgp["keys"][0]["fingerprint"], fingerprint(&office.lab.read("bob.asc")));

    let expected = [
        ("carol@partner.test", 77, "missing", ["no certificate there names the address"; 2]),
        ("dave@partner.test", 77, "missing", ["", ""]),
        ("nobody@partner.test", 77, "missing", ["", ""]),
        // No entry: what an address says is no part of the filter. Otherwise it would be the entries of all.
        ("*@partner.test", 77, "missing", ["", ""]),
        ("b*b@partner.test", 77, "missing", ["", ""]),
        ("\"x)(uid=*\"@partner.test", 77, "missing", ["", ""]),
        ("\"*)(|(mail=*\"@partner.test", 77, "missing", ["", ""]),
        ("\"\\\\2a\"@partner.test", 77, "missing", ["", ""]),
    ];
    for (address, code, outcome, reasons) in expected {
        for (said, reason) in office.find(address, code).iter().zip(reasons) {
            assert_eq!(said["outcome"], outcome, "{address}: {said}");
            assert_eq!(said["reason"].as_str().unwrap_or_default(), reason, "{address}: {said}");
        }
    }
    let [pgp, _] = office.find("erin@partner.test", 77);
    let [key] = pgp["keys"].as_array().expect("keys").as_slice() else { panic!("{pgp}") };
    assert_eq!(key["use"], "unusable", "{pgp}");
    assert!(key["reason"].as_str().is_some_and(|why| why.starts_with("revoked")), "{pgp}");
    let [pgp, smime] = office.find("spoilt@partner.test", 0);
    assert_eq!((&pgp["outcome"], &smime["outcome"]), (&"found".into(), &"failed".into()), "{pgp} {smime}");
    for (name, reason) in
        [("large", "localhost: the answer is larger than 262144 octets"), ("values", "certificates: more than 64")]
    {
        let [pgp, smime] = office.find(&format!("{name}@partner.test"), 75);
        assert_eq!((&pgp["outcome"], &smime["reason"]), (&"missing".into(), &reason.into()), "{pgp} {smime}");
    }
    // The server agrees about what it was asked: the entries are there for another client.
    let searched = Command::new("ldapsearch")
        .args([
            "-x",
            "-LLL",
            "-H",
            &format!("ldap://127.0.0.1:{}", office.directory.port),
            "-D",
            READER,
            "-w",
            PASSWORD,
        ])
        .args(["-b", BASE, "(mail=*@partner.test)", "1.1"])
        .output()
        .expect("ldapsearch starts");
    assert_eq!(String::from_utf8_lossy(&searched.stdout).matches("dn: ").count(), 8);
}

/// An armored certificate of a new key.
fn lab_armored(address: &str) -> Vec<u8> {
    let text = new_certificate(address);
    assert!(text.starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    text
}

/// The certificate leads to a root certificate that is trusted here, so that no more is needed than a rule with `discover`.
#[test]
fn mail_is_encrypted_to_a_certificate_of_the_directory() {
    let Some(mut office) = Office::new(|lab| {
        let bob = issued(lab, "bob", "bob@partner.test");
        let erin = lab_armored("erin@partner.test");
        vec![
            entry("bob", vec![mail("bob@partner.test"), ("userCertificate;binary", bob)]),
            entry("erin", vec![mail("erin@partner.test"), ("pgpKey", erin)]),
        ]
    }) else {
        return;
    };
    let rules = "[[rule]]\nname = \"directory\"\ndiscover = true\naction = \"encrypt\"\n";
    office.configure(&[&office.server()], "", rules);
    office.lab.run(&["key", "import", "--anchor", "mail-ca.pem"]).code(0);
    let sealed = office.filter("bob@partner.test").code(0);
    office.lab.write("sealed", &sealed.stdout);
    let opened = office.lab.shell("openssl cms -decrypt -in sealed -recip bob.pem -inkey bob.key").code(0).text();
    assert!(opened.contains("the plan"), "{opened}");
    assert!(!sealed.text().contains("the plan"));
    // Once more, and nothing is asked: the answers are kept.
    let asked = office.directory.searches();
    assert!(asked > 0);
    office.filter("bob@partner.test").code(0);
    assert_eq!(office.directory.searches(), asked);
    let explain = ["config", "explain", "-c", "postseal.toml", "--trusted", "alice@example.org", "bob@partner.test"];
    let explained = office.run(&explain).code(0).text();
    assert!(explained.contains("encrypted, smime key"), "{explained}");

    // A key of OpenPGP has the word of the directory alone.
    let refused = office.filter("erin@partner.test").code(77);
    assert!(refused.stderr.contains("is not trusted enough (source: server)"), "{}", refused.stderr);
    office.configure(
        &[&office.server()],
        "",
        &rules.replace("discover = true", "discover = true\nmin-trust = \"server\""),
    );
    assert!(office.filter("erin@partner.test").code(0).text().contains("BEGIN PGP MESSAGE"));
    let explain = ["config", "explain", "-c", "postseal.toml", "--trusted", "alice@example.org", "erin@partner.test"];
    let explained = office.run(&explain).code(0).text();
    assert!(explained.contains("encrypted, pgp key") && explained.contains("source: server"), "{explained}");
    // Nobody is there, and the rule says what comes of it.
    office.filter("nobody@partner.test").code(77);

    // A directory that is down is no answer: the mail waits, and the key that is in use goes on.
    office.directory.stop();
    office.filter("frank@partner.test").code(75);
    assert!(office.filter("bob@partner.test").code(0).text().contains("pkcs7-mime"));
}

/// The process of the service for the network has the root certificates and the password, and no file.
#[test]
fn the_service_takes_keys_from_the_directory() {
    let Some(office) = Office::new(|lab| {
        let bob = issued(lab, "bob", "bob@partner.test");
        vec![entry("bob", vec![mail("bob@partner.test"), ("userCertificate;binary", bob)])]
    }) else {
        return;
    };
    let text = String::from_utf8(office.lab.read("postseal.toml")).expect("UTF-8");
    let (_, discovery) = text.split_once("[discovery]").expect("a section");
    office.lab.run(&["key", "import", "--anchor", "mail-ca.pem"]).code(0);
    let rules = [["found", "discover = true", "encrypt"]];
    let configured = Configured::new(&office.lab, "220 next", &rules);
    let text = String::from_utf8(office.lab.read("postseal.toml")).expect("UTF-8");
    let text = text.replace("protocol = [\"pgp\"]", "protocol = [\"smime\"]");
    office.lab.write("postseal.toml", format!("{text}[discovery]{discovery}"));
    let served = configured.serve().unwrap_or_else(|code| panic!("exit code {code}: {}", log(&office.lab)));
    assert_eq!(served.processes("postseal: network").len(), 1);
    let reply = dialogue(served.smtp(), "EHLO", &to("bob@partner.test"));
    assert!(reply.starts_with("250"), "{reply}\n{}", log(&office.lab));
    let delivered = served.delivered();
    assert!(delivered.len() == 1 && delivered[0].contains("enveloped-data"), "{delivered:?}");
    assert!(office.directory.searches() > 0);
}

#[test]
fn a_server_that_does_not_answer_well_is_a_temporary_failure() {
    let Some(office) = Office::new(|_| {
        vec![entry("bob", vec![mail("bob@partner.test"), ("pgpKey", lab_armored("bob@partner.test"))])]
    }) else {
        return;
    };
    let (port, tls_port) = (office.directory.port, office.directory.tls_port);
    let bob = "bob@partner.test";
    let good = office.server();
    // TLS from the start, by StartTLS, and in clear on this machine.
    let [implicit, by_start_tls] = [good.clone(), format!("ldap://127.0.0.1:{port}")];
    for (server, lines) in [(&implicit, ""), (&by_start_tls, ""), (&by_start_tls, "tls = \"none\"")] {
        office.configure(&[server], lines, "");
        assert_eq!(office.find(bob, 0)[0]["outcome"], "found", "{server} {lines}");
    }
    let silent = server(|mut stream| {
        thread::sleep(Duration::from_secs(6));
        let _ = stream.write_all(b"x");
    });
    // An octet now and then, of an answer that would be one.
    let trickle = server(|mut stream| {
        let _ = stream.write_all(&[0x30, 0x84, 0, 0, 0x10, 0]);
        while stream.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let garbage = server(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    let huge = server(|mut stream| drop(stream.write_all(&[0x30, 0x84, 0x7F, 0xFF, 0xFF, 0xFF])));
    // It says that TLS begins, and answers in clear before it does: as an attacker on the way could.
    let eager = server(|mut stream| {
        let mut request = [0; 256];
        let _ = stream.read(&mut request);
        let begins = [0x30, 0x0C, 2, 1, 1, 0x78, 7, 0x0A, 1, 0, 4, 0, 4, 0];
        let bound = [0x30, 0x0C, 2, 1, 1, 0x61, 7, 0x0A, 1, 0, 4, 0, 4, 0];
        let _ = stream.write_all(&[&begins[..], &bound].concat());
        let _ = stream.read(&mut request);
        thread::sleep(Duration::from_millis(200));
    });
    let nowhere = format!("ldaps://127.0.0.1:{}", free_port());
    let in_clear = |port: u16| format!("ldap://127.0.0.1:{port}");
    office.lab.write("wrong", "guessed\n");
    office.lab.shell("chmod 600 wrong").code(0);
    let other_roots = format!("roots = {:?}", office.lab.path("mail-ca.pem").display().to_string());
    let expected: [(&str, &str, &str); 11] = [
        (&nowhere, "", "127.0.0.1: the connection is refused"),
        (&implicit, other_roots.as_str(), "localhost: tls: "),
        (&by_start_tls, other_roots.as_str(), "127.0.0.1: tls: "),
        (&implicit, "password = { file = \"wrong\" }", "localhost: the server answers 49 (the login is wrong)"),
        (&implicit, "base = \"dc=example,dc=com\"", "localhost: the server answers "),
        (&format!("ldaps://127.0.0.1:{port}"), "", "127.0.0.1: "),
        (&in_clear(silent), "", "127.0.0.1: no answer in time"),
        (&in_clear(trickle), "", "127.0.0.1: no answer in time"),
        (&in_clear(garbage), "", "127.0.0.1: the answer is not LDAP"),
        (&in_clear(huge), "", "127.0.0.1: the answer is larger than 262144 octets"),
        (&in_clear(eager), "", "127.0.0.1: tls: "),
    ];
    for (server, lines, reason) in expected {
        office.configure(&[server], lines, "");
        if lines.starts_with("base") {
            // The line takes the place of the usual one.
            let text = String::from_utf8(office.lab.read("postseal.toml")).expect("UTF-8");
            office.lab.write("postseal.toml", text.replace(&format!("base = \"{BASE}\"\n"), ""));
        }
        let start = Instant::now();
        let failure = office.failure(bob);
        assert!(failure.starts_with(reason), "{server} {lines}: {failure}");
        assert!(start.elapsed() < Duration::from_secs(4), "{server}: {:?}", start.elapsed());
    }
    // Another server with the same entries answers, also beside one that says nothing.
    for dead in [nowhere.as_str(), &in_clear(silent)] {
        office.configure(&[dead, &good], "", "");
        assert_eq!(office.find(bob, 0)[0]["outcome"], "found", "{dead}");
    }
    // The name of the server counts.
    office.configure(&[&format!("ldaps://127.0.0.2:{tls_port}")], "", "");
    office.failure(bob);
    let faults = [
        ("tls = \"none\"", "ldap://192.0.2.1", "the password would go to 192.0.2.1 in clear"),
        ("filter = \"(mail=*)\"", "ldaps://localhost", "names neither {address} nor {local}"),
        ("filter = \"(mail={address}\"", "ldaps://localhost", "a parenthesis is open"),
        ("filter = \"(mail={mail})\"", "ldaps://localhost", "known are {address}, {local} and {domain}"),
        ("", "ldap.example.org", "not in the form ldaps://HOST or ldap://HOST"),
    ];
    for (lines, server, fault) in faults {
        office.configure(&[server], lines, "");
        let checked = office.lab.run(&["config", "check", "postseal.toml"]).code(78);
        assert!((checked.text() + &checked.stderr).contains(fault), "{fault}: {}{}", checked.text(), checked.stderr);
    }
}

/// `key generate --from-ldap`: more people than the server shows at once.
#[test]
fn people_of_a_directory_get_keys() {
    let people = (0..700).map(|at: usize| entry(Box::leak(format!("user{at}").into_boxed_str()), Vec::new()));
    let Some(mut office) = Office::new(|_| {
        let mut all: Vec<Entry<'static>> = people.collect();
        all.push(entry("alice", vec![mail("alice@example.org")]));
        all.push(entry("bob", vec![mail("bob@example.org"), ("displayName", b"Bob Smith".to_vec())]));
        all.push(entry("carol", vec![mail("carol@example.org"), ("cn", "Çarol".into())]));
        all.push(entry("again", vec![mail("BOB@example.org"), ("title", b"twice".to_vec())]));
        all.push(entry("odd", vec![mail("nobody"), ("title", b"odd".to_vec())]));
        all
    }) else {
        return;
    };
    let generate = |filter: &str| office.run(&["key", "generate", "--no-passphrase", "--from-ldap", filter]);
    // One entry that cannot be used, and no key is made.
    for (filter, code, reason) in [
        ("(objectClass=inetOrgPerson)", 65, "uid=odd,ou=people,dc=example,dc=org: address \"nobody\""),
        ("(!(title=odd))", 65, "BOB@example.org is named twice"),
        ("(uid=nobody)", 77, "finds no entry with an address"),
        ("(uid=user1)", 77, "finds no entry with an address"),
        ("(uid=bob", 64, "a parenthesis is open"),
        ("(mail={address})", 64, "the filter is for all people"),
    ] {
        generate(filter).refused(code, reason);
        assert_eq!(office.run(&["key", "list"]).code(0).text(), "", "{filter}");
    }
    office.run(&["key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    let done = generate("(&(objectClass=inetOrgPerson)(!(title=*)))").code(0);
    let lines: Vec<String> = done.text().lines().map(str::to_owned).collect();
    let [bob, carol] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(bob.starts_with(&format!("uid=bob,{BASE}  ")) && bob.ends_with("  bob@example.org"), "{bob}");
    assert!(carol.starts_with(&format!("uid=carol,{BASE}  ")), "{carol}");
    assert!(done.stderr.contains("1 have a key already") && done.stderr.contains("2 keys are made"), "{}", done.stderr);
    let listed = office.run(&["key", "list"]).code(0).text();
    assert!(listed.contains("Bob Smith") && listed.contains("Çarol") && listed.lines().count() == 3, "{listed}");
    // Once more: everybody has one.
    let done = generate("(&(objectClass=inetOrgPerson)(!(title=*)))").code(0);
    assert!(done.text().is_empty() && done.stderr.contains("3 have a key already"), "{}", done.stderr);
    let smime = ["key", "generate", "-f", "smime", "--algorithm", "p256", "--no-passphrase", "--requests", "csr"];
    office.run(&[&smime[..], &["--from-ldap", "(displayName=*)"]].concat()).code(0);
    assert!(office.lab.path("csr/bob@example.org.csr").exists());
    office.directory.stop();
    let dead = office.run(&["key", "generate", "--no-passphrase", "--from-ldap", "(uid=*)"]);
    dead.refused(75, "directory: localhost: the connection is refused");
}

/// A server on loopback that does this with each connection; its port.
fn server(serve: impl Fn(std::net::TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (serve.clone(), stream.expect("a connection"));
            thread::spawn(move || serve(stream));
        }
    });
    port
}
