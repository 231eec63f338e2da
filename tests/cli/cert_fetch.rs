//! `cert fetch`, with a web server and the responder of openssl.

use std::fs;

use crate::support::{
    lab::Lab,
    office::{Office, web},
    ports::free_port,
    requirements::present,
};

/// The exit code of `cert verify`, when the status must be known.
fn verify(office: &Office, who: &str) -> i32 {
    office.lab.run(&["--revocation", "hard", "cert", "verify", who]).code
}

#[test]
fn lists_and_a_missing_issuer_are_fetched_once() {
    let Some(office) = Office::open() else { return };
    assert_eq!(verify(&office, "alice.pem"), 1);
    // Certificates choose what is asked: addresses of the own network are not, unless the owner says so.
    let done = office.lab.run(&["cert", "fetch", "alice.pem"]);
    assert_eq!(done.code, 69, "{}", done.stderr);
    assert!(done.stderr.contains("127.0.0.1 is not a public address"), "{}", done.stderr);
    assert!(office.requests().is_empty());
    let text = office.fetch("--by crl alice.pem").code(0).text();
    assert!(text.contains("added      revocation list of CN=int\n           good  CN=alice\n"), "{text}");
    assert!(text.contains("added      revocation list of CN=root\n           good  CN=int\n"), "{text}");
    let mut requests = office.requests();
    requests.sort();
    assert_eq!(requests, ["/int.crl", "/int.der", "/root.crl"]);
    assert_eq!(verify(&office, "alice.pem"), 0);
    // The lists are current, and are those of other certificates too.
    let text = office.fetch("--by crl alice.pem bob.pem").code(0).text();
    assert_eq!(text.matches("known      good").count(), 3, "{text}");
    assert_eq!(office.requests().len(), 3);
    // Alice's certificate is revoked. What the authority published before takes nothing back.
    fs::copy(office.lab.path("www/int.crl"), office.lab.path("old.crl")).unwrap();
    office.lab.shell("sleep 1").code(0);
    office.revoke("alice");
    let text = office.fetch("--by crl --again alice.pem").code(0).text();
    assert!(text.contains("           revoked  CN=alice\n"), "{text}");
    assert_eq!(verify(&office, "alice.pem"), 1);
    fs::copy(office.lab.path("old.crl"), office.lab.path("www/int.crl")).unwrap();
    let text = office.fetch("--by crl --again alice.pem").code(0).text();
    assert!(
        text.contains("not kept   revocation list of CN=int: a newer one is here\n           revoked  CN=alice\n"),
        "{text}"
    );
    assert_eq!(verify(&office, "alice.pem"), 1);
}

#[test]
fn a_responder_is_believed_when_the_issuer_says_so() {
    let Some(office) = Office::open() else { return };
    office.fetch("--by crl int.pem").code(0);
    // It cannot be reached, and the list is asked for; alone, it is not known.
    let done = office.fetch("--by ocsp alice.pem");
    assert_eq!(done.code, 69, "{}", done.stderr);
    assert!(done.stderr.contains("status unknown") && done.stderr.contains("refused"), "{}", done.stderr);
    office.lab.shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=int -keyout wrong.key -out wrong.pem 2>/dev/null").code(0);
    office.with_responder("wrong", &["-ndays", "3"], || {
        let done = office.fetch("--by ocsp alice.pem");
        assert_eq!(done.code, 69, "{}", done.stderr);
        assert!(done.stderr.contains("(RFC 5280, section 6.3.3)"), "{}", done.stderr);
        assert_eq!(verify(&office, "alice.pem"), 1);
    });
    office.with_responder("int", &["-ndays", "3"], || {
        let text = office.fetch("alice.pem").code(0).text();
        assert!(text.contains("added      OCSP response\n           good  CN=alice\n"), "{text}");
        assert_eq!(verify(&office, "alice.pem"), 0);
        // A response of another time says nothing now.
        let done = office
            .lab
            .shell("\"$0\" --at $(date -u -d '5 days' +%FT%TZ) cert fetch --allow 127.0.0.0/8 --by ocsp bob.pem");
        assert_eq!(done.code, 69, "{}{}", done.text(), done.stderr);
    });
    office.lab.shell("openssl ca -config int.cnf -revoke bob.pem 2>/dev/null").code(0);
    office.with_responder("int", &["-ndays", "3"], || {
        let text = office.fetch("bob.pem").code(0).text();
        assert!(text.contains("           revoked  CN=bob\n"), "{text}");
    });
    assert_eq!(verify(&office, "bob.pem"), 1);
    assert!(!office.requests().contains(&"/int.crl".to_owned()));
}

#[test]
fn what_is_no_statement_or_too_large_is_refused() {
    let Some(office) = Office::open() else { return };
    office.fetch("--by crl int.pem").code(0);
    for (make, reason) in [
        ("truncate -s 50M www/int.crl", "larger than"),
        ("echo '<html>' > www/int.crl", "neither a CRL nor an OCSP response"),
        ("cp www/root.crl www/int.crl", "no CRL of its issuer"),
        ("rm www/int.crl", "not found"),
    ] {
        office.lab.shell(make).code(0);
        let done = office.fetch("--by crl alice.pem");
        assert_eq!(done.code, 69, "{make}: {}", done.stderr);
        assert!(
            done.stderr.contains("CN=alice: status unknown") && done.stderr.contains(reason),
            "{make}: {}",
            done.stderr
        );
    }
    assert_eq!(verify(&office, "alice.pem"), 1);
}

/// Of the responses about one certificate, the home has the newest.
#[test]
fn a_newer_response_takes_the_place_of_an_older_one() {
    let Some(office) = Office::open() else { return };
    office.fetch("--by crl int.pem").code(0);
    let statements = || {
        let database = rusqlite::Connection::open(office.lab.path("home/postseal.db")).unwrap();
        database.query_row("SELECT COUNT(*) FROM statement", (), |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(statements(), 1);
    office.with_responder("int", &["-ndays", "3"], || {
        // One about another certificate takes no place.
        let text = office.fetch("--by ocsp bob.pem").text();
        assert!(text.contains("added      OCSP response\n"), "{text}");
        for (certificate, count, said) in [
            ("alice.pem", 3, "added      OCSP response\n"),
            ("alice.pem", 3, "added      OCSP response in the place of an older one\n"),
        ] {
            let text = office.fetch(&format!("--by ocsp --again {certificate}")).text();
            assert!(text.contains(said), "{text}");
            assert_eq!(statements(), count);
            // The next one is of another second.
            office.lab.shell("sleep 1").code(0);
        }
    });
    // A revocation stays when a responder says later that the certificate is good: nothing but its issuer's next list takes it back.
    office.lab.shell("cp int.db good.db && openssl ca -config int.cnf -revoke alice.pem 2>/dev/null").code(0);
    office.with_responder("int", &["-ndays", "3"], || {
        let text = office.fetch("--by ocsp --again alice.pem").text();
        assert!(text.contains("           revoked  CN=alice\n"), "{text}");
    });
    office.lab.shell("mv good.db int.db").code(0);
    office.with_responder("int", &["-ndays", "3"], || {
        let text = office.fetch("--by ocsp --again alice.pem").text();
        assert!(text.contains("           revoked  CN=alice\n"), "{text}");
    });
    assert_eq!(verify(&office, "alice.pem"), 1);
    assert_eq!(statements(), 4);
}

/// A response to another question is refused, when the question can be told by its nonce.
#[test]
fn a_response_with_another_nonce_is_refused() {
    let Some(office) = Office::open() else { return };
    office.fetch("--by crl int.pem").code(0);
    office.with_responder("int", &["-ndays", "3"], || {
        let ask = |options: &str| {
            let port = office.ports[1];
            let ask = format!("openssl ocsp -noverify -issuer int.pem -cert alice.pem -url http://127.0.0.1:{port} {options} >/dev/null 2>&1");
            office.lab.shell(&ask).code(0);
        };
        // The client of openssl sends a nonce.
        ask("-respout www/nonce.der");
        ask("-no_nonce -respout www/none.der");
        let text = office.fetch("--by ocsp --nonce bob.pem").code(0).text();
        assert!(text.contains("           good  CN=bob\n"), "{text}");
    });
    office.with_replay("nonce.der", || {
        let done = office.fetch("--by ocsp --nonce alice.pem");
        assert_eq!(done.code, 69, "{}", done.stderr);
        assert!(done.stderr.contains("the response has another nonce (RFC 9654"), "{}", done.stderr);
        assert_eq!(verify(&office, "alice.pem"), 1);
    });
    office.with_replay("none.der", || {
        let text = office.fetch("--by ocsp --nonce alice.pem").code(0).text();
        assert!(text.contains("           good  CN=alice\n"), "{text}");
    });
    assert_eq!(verify(&office, "alice.pem"), 0);
}

/// The authority of `cert init-ca`, its list on a web server, and a reader who fetches it.
#[test]
fn the_list_of_an_own_authority_is_where_its_certificates_say() {
    if !present(&["nginx"]) {
        return;
    }
    let (lab, port) = (Lab::new(), free_port());
    fs::create_dir(lab.path("www")).unwrap();
    let _web = web(&lab, port);
    let url = format!("http://127.0.0.1:{port}/ca.crl");
    lab.run(&["cert", "init-ca", "--no-passphrase", "--crl-url", &url, "Office CA"]).code(0);
    let generate = ["key", "generate", "-f", "smime", "--ca", "--algorithm", "p256", "--no-passphrase"];
    lab.run(&[&generate[..], &["alice@example.org"]].concat()).code(0);
    // The leaf comes first in the file, and then the authority.
    lab.run(&["key", "export", "-f", "smime", "-o", "alice.pem", "alice@example.org"]).code(0);
    lab.shell("\"$0\" key export -o ca.pem $(\"$0\" key list --anchors | cut -d ' ' -f 1)").code(0);
    lab.run(&["cert", "crl", "www/ca.crl"]).code(0);
    let reader = |arguments: &[&str]| lab.run(&[&["--home", "reader"], arguments].concat());
    reader(&["key", "import", "--anchor", "ca.pem"]).code(0);
    reader(&["key", "import", "alice.pem"]).code(0);
    let fetch = ["cert", "fetch", "--allow", "127.0.0.0/8", "--by", "crl", "--again"];
    let text = reader(&fetch).code(0).text();
    assert!(text.contains("good  CN=alice@example.org"), "{text}");
    lab.write("m.eml", "From: bob@example.org\nTo: alice@example.org\nSubject: hi\n\nhello\n");
    let encrypt = ["--revocation", "hard", "encrypt", "-f", "smime", "--no-self", "--to", "alice@example.org", "m.eml"];
    reader(&encrypt).code(0);

    lab.run(&["cert", "revoke", "--reason", "superseded", "alice@example.org"]).code(0);
    lab.shell("sleep 1.1; \"$0\" cert crl www/ca.crl").code(0);
    let text = reader(&fetch).text();
    assert!(text.contains("revoked  CN=alice@example.org"), "{text}");
    reader(&encrypt).refused(77, "superseded");
}
