//! Each answer of a domain, and what it comes to.

use std::{
    net::TcpListener,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{GPG_WKS_CLIENT, Gnupg, Net, file_name, fingerprint, new_certificate};

#[test]
fn each_answer_of_a_domain_has_its_outcome() {
    // It accepts connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    thread::spawn(move || {
        silent.incoming().map(|stream| (stream, thread::sleep(Duration::from_secs(20)))).for_each(drop)
    });
    let slow = format!("location / {{ proxy_pass http://127.0.0.1:{silent_port}; }}");
    // An octet now and then.
    let trickle = TcpListener::bind("127.0.0.1:0").expect("a port");
    let trickle_port = trickle.local_addr().expect("an address").port();
    thread::spawn(move || {
        use std::io::Write;
        for stream in trickle.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while stream.write_all(b"a").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }
    });
    let loris = format!("location / {{ proxy_pass http://127.0.0.1:{trickle_port}; proxy_buffering off; }}");
    let hosts = [
        ("openpgpkey.good.test", ""),
        ("good.test", ""),
        ("openpgpkey.nothing.test", ""),
        ("nothing.test", ""),
        ("direct.test", ""),
        ("openpgpkey.slow.test", slow.as_str()),
        ("openpgpkey.loris.test", loris.as_str()),
        ("openpgpkey.garbage.test", ""),
        ("openpgpkey.away.test", "return 302 https://openpgpkey.good.test$request_uri;"),
        ("openpgpkey.broken.test", "return 500;"),
        ("openpgpkey.other.test", ""),
        ("openpgpkey.expired.test", ""),
        ("openpgpkey.revoked.test", ""),
        ("openpgpkey.large.test", ""),
        ("openpgpkey.many.test", ""),
        ("openpgpkey.secret.test", ""),
    ];
    let Some(net) = Net::new(&hosts, "openpgpkey.down.test. A 127.1.0.1\n") else { return };
    let good = net.publish_new("bob@good.test");
    let direct = new_certificate("bob@direct.test");
    net.web.put("direct.test", &format!(".well-known/openpgpkey/hu/{}", file_name("bob@direct.test")), &direct);
    // The first host is there, so the second form is not asked.
    let unasked = new_certificate("bob@nothing.test");
    net.web.put("nothing.test", &format!(".well-known/openpgpkey/hu/{}", file_name("bob@nothing.test")), unasked);
    net.publish("bob@garbage.test", b"<html>not a key</html>");
    net.publish("bob@other.test", &good);
    net.publish("bob@expired.test", &Gnupg::with_key("bob@expired.test", "20200101T000000!").exported());
    let revoked = Gnupg::with_key("bob@revoked.test", "20260101T000000!");
    revoked.revoke();
    net.publish("bob@revoked.test", &revoked.exported());
    let binary = Gnupg::with_key("bob@many.test", "20260101T000000!").exported();
    net.publish("bob@many.test", &binary.repeat(65));
    // More octets than are read of 100,000 keys.
    net.publish("bob@large.test", &binary.repeat(100_000 / 100));

    let expected = [
        ("good", 0, "found", ""),
        ("direct", 0, "found", ""),
        ("nothing", 77, "missing", ""),
        ("nowhere", 77, "missing", ""),
        ("other", 77, "missing", "no certificate there names the address"),
        ("down", 75, "failed", "the connection is refused"),
        ("slow", 75, "failed", "no answer in time"),
        ("loris", 75, "failed", "no answer in time"),
        ("garbage", 75, "failed", "certificates: not OpenPGP packets"),
        ("away", 75, "failed", "a redirect to another host, openpgpkey.good.test"),
        ("broken", 75, "failed", "the server answers 500"),
        ("large", 75, "failed", "the answer is larger than 262144 octets"),
        ("many", 75, "failed", "certificates: more than 64"),
    ];
    for (domain, code, outcome, reason) in expected {
        let start = Instant::now();
        let said = net.find(&format!("bob@{domain}.test"), code);
        let source = &said["sources"][0];
        assert_eq!(source["outcome"], outcome, "{said}");
        assert_eq!(source["reason"].as_str().unwrap_or_default(), reason, "{said}");
        assert_eq!((&source["method"], &source["source"]), (&"wkd".into(), &"domain".into()));
        assert!(start.elapsed() < Duration::from_secs(8), "{domain}: {:?}", start.elapsed());
    }
    for (domain, reason) in [("expired", "expired on 2020-12-31"), ("revoked", "revoked")] {
        let said = net.find(&format!("bob@{domain}.test"), 77);
        let key = &said["sources"][0]["keys"][0];
        assert_eq!(key["use"], "unusable", "{said}");
        assert!(key["reason"].as_str().is_some_and(|why| why.starts_with(reason)), "{said}");
    }
    let said = net.find("bob@good.test", 0);
    let key = &said["sources"][0]["keys"][0];
    assert_eq!((&key["use"], &key["fingerprint"]), (&"encrypt".into(), &fingerprint(&good).into()));

    // Encrypting comes to the same: a key, a refusal for good, or one for now.
    for (domain, code, why) in [
        ("good", 0, "is not trusted (source: domain)"),
        ("nothing", 77, "bob@nothing.test: no encryption key"),
        ("expired", 77, "expired on 2020-12-31"),
        ("revoked", 77, "revoked"),
        ("garbage", 75, "wkd: bob@garbage.test: certificates: not OpenPGP packets"),
        ("down", 75, "wkd: bob@down.test: the connection is refused"),
    ] {
        let done = net.encrypt(&format!("bob@{domain}.test")).code(code);
        assert!(done.stderr.contains(why), "{domain}: {}", done.stderr);
        assert_eq!(done.text().contains("BEGIN PGP MESSAGE"), code == 0);
    }
}

#[test]
fn servers_that_are_not_who_they_should_be_are_not_believed() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", "")], "") else { return };
    net.publish_new("bob@a.test");
    net.configure("", "");
    net.find("bob@a.test", 0);
    let text = String::from_utf8(net.lab.read("postseal.toml")).expect("UTF-8");
    // Without the private authority, and without the network of loopback.
    net.lab.write("postseal.toml", text.replace("roots = ", "# "));
    let said = net.find("bob@a.test", 75);
    assert!(said["sources"][0]["reason"].as_str().is_some_and(|why| why.starts_with("tls: ")), "{said}");
    net.lab.write("postseal.toml", text.replace("allow-networks = ", "# "));
    let said = net.find("bob@a.test", 75);
    let why = format!("openpgpkey.a.test: {} is not a public address", net.web.address());
    assert_eq!(said["sources"][0]["reason"], why, "{said}");
}

/// What gpg-wks-client lays out.
#[test]
fn a_directory_of_gnupg_is_read() {
    let Some(net) = Net::new(&[("openpgpkey.gnupg.test", "")], "") else { return };
    let gnupg = Gnupg::with_key("Bob <bob@gnupg.test>", "20260101T000000!");
    let file = net.lab.path("bob.gpg");
    std::fs::write(&file, gnupg.exported()).expect("a file");
    let directory = net.web.path("openpgpkey.gnupg.test/.well-known/openpgpkey");
    std::fs::create_dir_all(directory.join("gnupg.test")).expect("a folder");
    let mut client = Command::new(GPG_WKS_CLIENT);
    client
        .env("GNUPGHOME", gnupg.0.path())
        .args(["--install-key", "-C"])
        .arg(&directory)
        .arg(&file)
        .arg("bob@gnupg.test");
    let output = client.output().expect("gpg-wks-client starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sealed = net.encrypt("Bob@gnupg.test").code(0).stdout;
    net.lab.write("sealed", &sealed);
    let armored = String::from_utf8_lossy(&sealed).into_owned();
    net.lab.write("armor", &armored[armored.find("-----BEGIN PGP").expect("armor")..]);
    let opened = gnupg.run(&["--decrypt", &net.lab.path("armor").display().to_string()]);
    assert!(String::from_utf8_lossy(&opened).contains("the plan"));
}

#[test]
fn a_key_is_reduced_to_what_belongs_to_the_address_and_imported_on_request() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", "")], "") else { return };
    let gnupg = Gnupg::with_key("Bob <bob@a.test>", "20260101T000000!");
    gnupg.run(&["--quick-add-uid", "bob@a.test", "Mallory <mallory@a.test>"]);
    net.publish("bob@a.test", &gnupg.exported());
    let done = net.run(&["key", "find", "bob@a.test"]).code(0);
    assert!(
        done.text().contains(" ms  ") && done.text().contains("for encrypting (source: domain)"),
        "{}",
        done.text()
    );
    assert!(!net.lab.path("home/postseal.sqlite").exists());
    net.run(&["key", "find", "--import", "bob@a.test"]).code(0);
    let listed = net.run(&["key", "list"]).code(0).text();
    assert!(listed.contains("bob@a.test") && !listed.contains("mallory"), "{listed}");
    // Importing does not trust.
    assert!(
        net.run(&["encrypt", "--text", "--from", "a@example.org", "--to", "bob@a.test", "--", "postseal.toml"])
            .code(0)
            .stderr
            .contains("is not trusted")
    );
}
