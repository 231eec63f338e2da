//! A certification authority of our own: what it issues is what openssl, gpgsm and certtool accept, and what it revokes they refuse.

use super::MESSAGE;
use crate::support::{
    lab::{Done, Lab},
    requirements::present,
};

/// A home with an authority, whose certificate is in ca.pem.
fn authority(options: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE);
    lab.run(&[&["cert", "init-ca", "--no-passphrase"], options, &["Office CA"]].concat()).code(0);
    lab.shell("\"$0\" key list | cut -d ' ' -f 1 > id; \"$0\" key export -o ca.pem $(cat id)").code(0);
    lab
}

/// The words of `openssl x509 -text`, with single spaces.
fn shown(lab: &Lab, file: &str) -> String {
    let text = lab.shell(&format!("openssl x509 -in {file} -noout -text")).code(0).text();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn other_programs_accept_what_it_issues() {
    if !present(&["openssl"]) {
        return;
    }
    let places = ["--crl-url", "http://pki.example.org/ca.crl", "--issuer-url", "http://pki.example.org/ca.cer"];
    let lab = authority(&[&["--domain", "example.org", "--domain", ".example.org"][..], &places].concat());
    has(
        &shown(&lab, "ca.pem"),
        &[
            "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
            "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
            "X509v3 Name Constraints: critical Permitted: email:example.org email:.example.org",
            "Issuer: CN = Office CA",
            "id-ecPublicKey",
            "(384 bit)",
        ],
    );
    for (name, make) in [("rsa", "-newkey rsa:2048"), ("ec", "-newkey ec -pkeyopt ec_paramgen_curve:P-256")] {
        let request = format!(
            "openssl req -new {make} -nodes -keyout {name}.key -out {name}.csr -subj / -addext subjectAltName=email:alice@example.org"
        );
        lab.shell(&request).code(0);
        lab.run(&["cert", "issue", "-o", &format!("{name}.pem"), &format!("{name}.csr")]).code(0);
        let usage =
            if name == "rsa" { "Digital Signature, Key Encipherment" } else { "Digital Signature, Key Agreement" };
        has(
            &shown(&lab, &format!("{name}.pem")),
            &[
                &format!("X509v3 Key Usage: critical {usage} X509v3"),
                "X509v3 Extended Key Usage: E-mail Protection X509v3",
                "X509v3 Basic Constraints: critical CA:FALSE",
                "X509v3 Subject Alternative Name: email:alice@example.org",
                "Subject: CN = alice@example.org",
                "X509v3 Authority Key Identifier",
                "URI:http://pki.example.org/ca.crl",
                "CA Issuers - URI:http://pki.example.org/ca.cer",
            ],
        );
        // OpenSSL knows keyEncipherment alone for encrypting.
        let purposes: &[&str] = if name == "rsa" { &["smimesign", "smimeencrypt"] } else { &["smimesign"] };
        for purpose in purposes {
            lab.shell(&format!("openssl verify -x509_strict -purpose {purpose} -CAfile ca.pem {name}.pem")).code(0);
        }
        // Signed by openssl, read here; encrypted here, read by openssl.
        lab.shell(&format!(
            "tail -n +5 m.eml | openssl cms -sign -signer {name}.pem -inkey {name}.key -from alice@example.org -to bob@example.org -subject Lunch > s.eml"
        ))
        .code(0);
        lab.run(&["verify", "s.eml"]).code(0);
        lab.run(&["encrypt", "-f", "smime", "--no-self", "--to", "alice@example.org", "-o", "e.eml", "m.eml"]).code(0);
        lab.shell(&format!("openssl cms -decrypt -in e.eml -recip {name}.pem -inkey {name}.key")).code(0);
        lab.run(&["cert", "revoke", "alice@example.org"]).code(0);
    }
    if present(&["certtool"]) {
        let text = lab.shell("certtool --verify --load-ca-certificate ca.pem --infile rsa.pem").code(0).text();
        has(&text, &["Chain verification output: Verified. The certificate is trusted."]);
    }
}

#[test]
fn gpgsm_accepts_what_it_issues() {
    if !present(&["gpgsm", "openssl"]) {
        return;
    }
    // It does not know name constraints, and refuses them.
    let lab = authority(&[]);
    lab.run(&["key", "generate", "-f", "smime", "--ca", "--no-passphrase", "alice@example.org"]).code(0);
    lab.run(&["key", "export", "-f", "smime", "-o", "alice.pem", "alice@example.org"]).code(0);
    let script = "mkdir -m 700 g; export GNUPGHOME=$PWD/g; echo disable-crl-checks > g/gpgsm.conf
        openssl x509 -in ca.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/$/ S/' > g/trustlist.txt
        gpgsm -q --import ca.pem && gpgsm -q --import alice.pem && gpgsm --with-validation -k alice@example.org 2>&1
        gpgconf --kill all";
    has(&lab.shell(script).text(), &["certificate is good", "ext key usage: emailProtection"]);
}

#[test]
fn what_a_request_asks_beyond_mail_is_not_granted() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = authority(&[]);
    lab.write(
        "c.cnf",
        "[req]\ndistinguished_name=d\nreq_extensions=e\nattributes=a\nprompt=no\n[d]\nO=Office\nCN=The Boss\n[a]\nchallengePassword=secret\n\
         [e]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,digitalSignature\nextendedKeyUsage=serverAuth,emailProtection\n\
         subjectAltName=email:alice@example.org,DNS:www.example.org\nnsComment=hello\n",
    );
    lab.shell("openssl req -new -newkey rsa:2048 -nodes -keyout k -out a.csr -config c.cnf").code(0);
    let issued = lab.run(&["cert", "issue", "-o", "a.pem", "a.csr"]).code(0);
    has(
        &issued.stderr,
        &[
            "a.csr: asks for the subject CN=The Boss,O=Office, which is not granted",
            "the role of a certification authority",
            "a key usage other than signing and encrypting",
            "the purpose 1.3.6.1.5.5.7.3.1",
            "the name www.example.org",
            "the extension 2.16.840.1.113730.1.13",
            "the attribute 1.2.840.113549.1.9.7",
        ],
    );
    let text = shown(&lab, "a.pem");
    has(
        &text,
        &["Subject: CN = alice@example.org", "CA:FALSE", "Subject Alternative Name: email:alice@example.org X509v3"],
    );
    for part in ["CA:TRUE", "Certificate Sign", "Server", "www", "Boss", "hello"] {
        assert!(!text.contains(part), "{part:?} is in {text}");
    }
    // Other addresses than the request names, by the word of the owner alone.
    lab.run(&["cert", "issue", "--address", "b@example.org", "--address", "c@example.net", "-o", "b.pem", "a.csr"])
        .code(0);
    has(&shown(&lab, "b.pem"), &["email:b@example.org, email:c@example.net X509v3", "Subject: CN = b@example.org"]);

    // Nothing for a request that its key did not sign, for a weak key, and for what is no request.
    lab.shell(
        "openssl req -in a.csr -outform DER -out a.der; cp a.der f.der; printf '\\001' | dd of=f.der bs=1 seek=$(($(wc -c < f.der) - 9)) conv=notrunc 2> /dev/null
         openssl req -new -newkey rsa:1024 -nodes -keyout k -out w.csr -subj /CN=w -addext subjectAltName=email:w@example.org; cat a.csr w.csr > two.csr
         openssl req -new -newkey rsa:2048 -nodes -keyout k -out n.csr -subj /CN=nobody",
    )
    .code(0);
    lab.run(&["cert", "issue", "-o", "d.pem", "a.der"]).code(0);
    for (file, code, why) in [
        ("f.der", 65, "the key that it names did not sign it"),
        ("w.csr", 65, "signed with rsa1024-sha256, which does not count"),
        ("two.csr", 65, "several requests"),
        ("m.eml", 65, "certification request"),
        ("n.csr", 64, "names no address"),
        ("ghost@example.org", 77, "no certificate here"),
    ] {
        lab.run(&["cert", "issue", file]).refused(code, why);
    }
}

#[test]
fn an_authority_stays_within_its_domains_and_its_time() {
    let lab = authority(&["--domain", "example.org", "--expires", "400d"]);
    let issue = |address: &str, options: &[&str]| -> Done {
        let user = format!("user-{address}");
        lab.run(&[
            "--home",
            &user,
            "key",
            "request",
            "--algorithm",
            "p256",
            "--no-passphrase",
            "--name",
            "U",
            "-o",
            "u.csr",
            address,
        ])
        .code(0);
        lab.run(&[&["cert", "issue", "-o", "u.pem"], options, &["u.csr"]].concat())
    };
    for other in ["a@example.net", "a@sub.example.org", "jürgen@example.net"] {
        issue(other, &[]).refused(64, "is in no permitted subtree");
    }
    // Never past the end of the authority.
    issue("long@example.org", &["--expires", "5y"]).code(0);
    let judged = lab.run(&["--at", "2027-06-01T00:00:00Z", "cert", "verify", "u.pem"]).text();
    let ends: Vec<&str> = judged.lines().filter_map(|line| line.split_once("until ")).map(|(_, end)| end).collect();
    assert!(ends.len() == 2 && ends[0] == ends[1], "{judged}");
    // Local parts that are not ASCII, and addresses that are longer than a common name may be.
    let long = format!("{}@example.org", "a".repeat(60));
    for address in ["jürgen@example.org", long.as_str()] {
        issue(address, &[]).code(0);
        has(&lab.run(&["cert", "verify", "u.pem"]).code(0).text(), &[&format!("addresses  {address}")]);
        if present(&["openssl"]) {
            lab.shell("openssl verify -purpose smimesign -CAfile ca.pem u.pem").code(0);
        }
    }
    lab.run(&["--at", "2030-01-01T00:00:00Z", "cert", "issue", "u.csr"]).refused(64, "expired");
    for (option, value) in [("--domain", "not a domain"), ("--crl-url", "ldap://x/"), ("--issuer-url", "http://")] {
        lab.run(&["cert", "init-ca", "--no-passphrase", option, value, "Other"]).refused(64, value);
    }
    lab.run(&["cert", "init-ca", "--no-passphrase", " "]).refused(64, "needs a name");
    lab.run(&["cert", "init-ca", "--no-passphrase", "office ca"]).refused(64, "has this name");
}

#[test]
fn a_revocation_reaches_others_by_the_list() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = authority(&[]);
    let reader = |arguments: &[&str]| lab.run(&[&["--home", "reader", "--revocation", "hard"], arguments].concat());
    reader(&["key", "import", "--anchor", "ca.pem"]).code(0);
    for name in ["alice", "bob"] {
        lab.run(&[
            "key",
            "generate",
            "-f",
            "smime",
            "--ca",
            "--algorithm",
            "p256",
            "--no-passphrase",
            &format!("{name}@example.org"),
        ])
        .code(0);
        lab.run(&["key", "export", "-f", "smime", "-o", &format!("{name}.pem"), &format!("{name}@example.org")])
            .code(0);
    }
    // A list counts from its second on, and a later one is newer.
    let list = |name: &str| {
        lab.shell(&format!("sleep 1.1; \"$0\" cert crl {name}")).code(0);
    };
    let verify = |list: &str, who: &str| {
        lab.shell(&format!("openssl verify -x509_strict -crl_check -CAfile ca.pem -CRLfile {list} {who}.pem"))
    };
    list("first.crl");
    let text = lab.shell("openssl crl -in first.crl -noout -text").code(0).text();
    has(
        &text,
        &[
            "Version 2",
            "ecdsa-with-SHA384",
            "X509v3 CRL Number",
            "X509v3 Authority Key Identifier",
            "No Revoked Certificates",
        ],
    );
    verify("first.crl", "alice").code(0);
    reader(&["cert", "verify", "alice.pem"]).code(1);
    reader(&["key", "import", "first.crl"]).code(0);
    reader(&["cert", "verify", "alice.pem"]).code(0);

    lab.run(&["cert", "revoke", "--reason", "compromised", "alice@example.org"]).code(0);
    // At once in the home of the authority.
    lab.run(&["sign", "-f", "smime", "m.eml"]).refused(77, "as declared here");
    list("second.crl");
    has(&lab.shell("openssl crl -in second.crl -noout -text").code(0).text(), &["Key Compromise"]);
    has(&verify("second.crl", "alice").code(2).stderr, &["certificate revoked"]);
    verify("second.crl", "bob").code(0);
    has(&reader(&["key", "import", "second.crl"]).code(0).text(), &["in the place of an older one"]);
    has(&reader(&["cert", "verify", "alice.pem"]).code(1).text(), &["key compromised"]);
    // The older list, once more, takes nothing back.
    reader(&["key", "import", "first.crl"]).code(0);
    reader(&["cert", "verify", "alice.pem"]).code(1);
    reader(&["cert", "verify", "bob.pem"]).code(0);

    // By serial number, as openssl prints it; a second time it says so; nothing takes it back.
    let serial =
        lab.shell("openssl x509 -in bob.pem -noout -serial").text().trim().replace("serial=", "").to_lowercase();
    has(&lab.run(&["cert", "revoke", &serial]).code(0).stderr, &["is revoked: no reason given"]);
    has(&lab.run(&["cert", "revoke", &serial]).code(0).stderr, &["is already revoked"]);
    let listed = lab.run(&["cert", "list"]).code(0).text();
    has(&listed, &[&serial.to_uppercase(), "alice@example.org", ": key compromised", ": no reason given"]);
    let bob = super::id(&lab, "smime", "bob@example.org");
    lab.run(&["key", "revoke", "--undo", &bob]).refused(64, "a revocation by an authority is for ever");
    lab.run(&["key", "remove", "--secret", &bob]).refused(77, "CN=Office CA issued it");
    lab.run(&["cert", "revoke", "dora@example.org"]).refused(77, "issued no such certificate");
}

#[test]
fn keys_in_the_home_of_the_authority_need_no_request() {
    let lab = authority(&[]);
    lab.write("users.csv", "alice@example.org,Alice Smith,2y\nbob@example.org\n");
    let generate = ["key", "generate", "-f", "smime", "--algorithm", "p256", "--no-passphrase"];
    lab.run(&[&generate[..], &["--ca", "--from-file", "users.csv"]].concat()).code(0);
    lab.run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
    has(&lab.run(&["verify", "s.eml"]).code(0).text(), &["authentic"]);
    let count = |code| lab.run(&["cert", "list"]).code(code).text().lines().count();
    assert_eq!(count(0), 2);
    // Renewed: the newest certificate of the key signs.
    let first = super::id(&lab, "smime", "alice@example.org");
    lab.shell("sleep 1.1").code(0);
    lab.run(&["cert", "issue", "--expires", "3y", "alice@example.org"]).code(0);
    assert_eq!(count(0), 3);
    lab.run(&["sign", "-f", "smime", "-o", "s.eml", "m.eml"]).code(0);
    let signer = lab.run(&["verify", "--json", "s.eml"]).code(0).text();
    assert!(!signer.contains(&first), "{signer}");
    // The certificate for a key that is here with a self-signed one takes its place; another key for the address is named.
    lab.run(&["key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "c.csr", "carol@example.org"]).code(0);
    lab.run(&["cert", "issue", "carol@example.org"]).code(0);
    lab.run(&[
        "--home",
        "other",
        "key",
        "request",
        "--algorithm",
        "p256",
        "--no-passphrase",
        "-o",
        "o.csr",
        "carol@example.org",
    ])
    .code(0);
    has(
        &lab.run(&["cert", "issue", "-o", "o.pem", "o.csr"]).code(0).stderr,
        &["carol@example.org has another certificate, for another key"],
    );
    // Options that go together, and those that do not.
    for (arguments, why) in [
        (&["key", "generate", "--ca", "--no-passphrase", "d@example.org"][..], "--ca is for S/MIME"),
        (
            &["key", "generate", "-f", "smime", "--ca", "--name", "D", "--no-passphrase", "d@example.org"],
            "cannot be used with",
        ),
        (
            &["key", "generate", "-f", "smime", "--ca=0123456789ABCDEF", "--no-passphrase", "d@example.org"],
            "no certification authority",
        ),
    ] {
        let done = lab.run(arguments);
        assert!(done.code != 0 && done.stderr.contains(why), "{arguments:?}: {done:?}");
    }
    // Two authorities: one has to be named, and it is locked.
    lab.write("pass", "correct horse\n");
    lab.run(&["--passphrase-file", "pass", "cert", "init-ca", "--algorithm", "rsa3072", "Second CA"]).code(0);
    let ambiguous = lab.run(&[&generate[..], &["--ca", "e@example.org"]].concat());
    ambiguous.refused(64, "several certification authorities");
    let text = lab.run(&["key", "list", "Second"]).text();
    let second = text.split(' ').next().unwrap().to_owned();
    lab.run(&["cert", "issue", "--ca", &second, "bob@example.org"]).refused(77, "passphrase");
    lab.run(&["--passphrase-file", "pass", "cert", "issue", "--ca", &second, "bob@example.org"]).code(0);
    assert_eq!(lab.run(&["cert", "list", "--ca", &second]).code(0).text().lines().count(), 1);
}

#[test]
fn an_authority_that_openssl_made_issues_here() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = Lab::new();
    let made = "openssl req -x509 -newkey rsa:3072 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Old -addext keyUsage=keyCertSign,cRLSign
        openssl req -x509 -newkey rsa:2048 -nodes -keyout p.key -out p.pem -days 30 -subj /CN=Person -addext basicConstraints=critical,CA:FALSE";
    lab.shell(made).code(0);
    lab.run(&["key", "import", "p.pem", "p.key"]).code(0);
    let request = ["--home", "user", "key", "request", "--algorithm", "p256", "--no-passphrase", "-o", "a.csr"];
    lab.run(&[&request[..], &["alice@example.org"]].concat()).code(0);
    // The certificate of a person is no authority's.
    lab.run(&["cert", "issue", "a.csr"]).refused(77, "no certification authority");
    lab.run(&["key", "import", "ca.pem", "ca.key"]).code(0);
    lab.run(&["cert", "issue", "-o", "a.pem", "--crl-url", "http://pki.example.org/old.crl", "a.csr"]).code(0);
    has(&shown(&lab, "a.pem"), &["Issuer: CN = Old", "URI:http://pki.example.org/old.crl"]);
    let listed = lab.run(&["cert", "crl", "old.crl"]).code(0);
    assert!(listed.stderr.starts_with("0 certificates are revoked; "), "{listed:?}");
    lab.shell("openssl verify -x509_strict -crl_check -purpose smimesign -CAfile ca.pem -CRLfile old.crl a.pem")
        .code(0);
    lab.run(&["cert", "revoke", "alice@example.org"]).code(0);
    let listed = lab.run(&["cert", "crl", "new.crl"]).code(0);
    assert!(listed.stderr.starts_with("1 certificate is revoked; "), "{listed:?}");
}
