//! Keys on tokens, with SoftHSM: other programs verify what they sign, and write what they decrypt. A token that is gone is a temporary failure.

use std::{fs, process::Command};

use crate::support::{
    lab::Lab,
    requirements::present,
    token::{PIN, SOFTHSM, SPY, Token},
};

const LETTER: &str = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: s\r\nDate: Mon, 30 Nov 2026 01:00:00 +0000\r\n\
                      Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello\r\n";

/// gpg in the folder of the lab.
fn gpg(lab: &Lab, arguments: &[&str]) -> String {
    let home = lab.path("g");
    if !home.exists() {
        fs::create_dir(&home).expect("a home for GnuPG");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("a private home");
    }
    let mut command = Command::new("gpg");
    command.current_dir(lab.path("")).arg("--homedir").arg(home);
    command.args(["--batch", "--yes", "--no-tty", "--no-autostart", "--trust-model=always", "--status-fd=1"]);
    let output = command.args(arguments).output().expect("gpg");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "gpg {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The body of `multipart/signed`: what is signed, and the signature without its header.
fn halves(signed: &[u8]) -> (String, String) {
    let text = String::from_utf8(signed.to_vec()).expect("ASCII");
    let boundary = text.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a boundary");
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    let first = parts[1].strip_prefix("\r\n").and_then(|part| part.strip_suffix("\r\n")).expect("a part");
    let (_, signature) = parts[2].split_once("\r\n\r\n").expect("a body");
    (first.to_owned(), signature.to_owned())
}

#[test]
fn openpgp_keys_on_a_token_sign_for_gpg_and_decrypt_what_it_writes() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["gpg"])) else { return };
    lab.write("m.eml", LETTER);
    for algorithm in ["p256", "p521", "rsa2048"] {
        let (home, address) = (format!("home-{algorithm}"), "alice@example.org");
        let uri = token.uri(&format!(";object={algorithm}"));
        let made = token.run(&["--home", &home, "key", "generate", "--token", &uri, "--algorithm", algorithm, address]);
        assert!(made.code(0).text().contains("secret"), "{algorithm}");
        token.run(&["--home", &home, "key", "export", address, "-o", "cert.asc"]).code(0);
        gpg(&lab, &["--import", "cert.asc"]);

        token.run(&["--home", &home, "sign", "-o", "signed.eml", "m.eml"]).code(0);
        let (part, signature) = halves(&lab.read("signed.eml"));
        lab.write("part", part).write("signature", signature);
        assert!(gpg(&lab, &["--verify", "signature", "part"]).contains("GOODSIG"), "{algorithm}");

        lab.write("secret.txt", format!("for {algorithm}\n"));
        gpg(&lab, &["--armor", "-r", address, "-o", "c.asc", "--encrypt", "secret.txt"]);
        let mail = format!(
            "From: b@example.org\r\nTo: {address}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{}",
            String::from_utf8_lossy(&lab.read("c.asc")).replace('\n', "\r\n")
        );
        lab.write("in.eml", mail);
        // It is not kept from the token by what it gives up before it reads.
        let judged = token.run(&["--home", &home, "verify", "in.eml"]).code(1).text();
        assert!(judged.contains("(confidential)"), "{judged}");
        let opened = token.run(&["--home", &home, "decrypt", "in.eml"]);
        assert!(opened.text().contains(&format!("for {algorithm}")), "{}", opened.stderr);

        // The home names the token, and has no secret part to give away.
        let shown = token.run(&["--home", &home, "key", "show", address]).code(0).text();
        assert!(shown.contains(&format!("object={algorithm}")) && shown.contains("token=mail"), "{shown}");
        let refused = token.run(&["--home", &home, "key", "export", "--secret", address]);
        refused.refused(77, "is on a token and stays there");
        // The certificate can be changed: the primary key signs.
        token.run(&["--home", &home, "key", "add-address", address, "alice@else.example"]).code(0);
    }
    // Each key has a name of its own.
    let again = token.run(&["key", "generate", "--token", &token.uri(";object=p256"), "x@example.org"]);
    again.refused(64, "there is a key of this name: p256");
}

#[test]
fn smime_keys_on_a_token_sign_for_openssl_and_decrypt_what_it_writes() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["openssl"])) else { return };
    lab.write("m.eml", LETTER).write("secret.eml", "Content-Type: text/plain\r\n\r\nfor the token\r\n");
    let oaep: &[&str] = &["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"];
    for (algorithm, ways) in
        [("rsa2048", [&[][..], oaep].as_slice()), ("p256", &[&[]]), ("p384", &[&[]]), ("p521", &[&[]])]
    {
        let (home, address) = (format!("home-{algorithm}"), "alice@example.org");
        let uri = token.uri(&format!(";object={algorithm}"));
        let generate = ["key", "generate", "-f", "smime", "--token", &uri, "--algorithm", algorithm, address];
        token.run(&[&["--home", &home][..], &generate].concat()).code(0);
        token.run(&["--home", &home, "key", "export", address, "-o", "cert.pem"]).code(0);
        token.run(&["--home", &home, "sign", "-f", "smime", "-o", "signed.eml", "m.eml"]).code(0);
        let verify = ["cms", "-verify", "-in", "signed.eml", "-CAfile", "cert.pem", "-purpose", "any", "-out", "out"];
        token.tool("openssl", &verify);
        for way in ways {
            let encrypt = ["cms", "-encrypt", "-aes256", "-in", "secret.eml", "-out", "in.eml", "-recip", "cert.pem"];
            token.tool("openssl", &[&encrypt[..], way].concat());
            let mail = String::from_utf8(lab.read("in.eml")).expect("ASCII");
            lab.write("in.eml", format!("From: b@example.org\nTo: {address}\n{mail}"));
            let judged = token.run(&["--home", &home, "verify", "in.eml"]).code(1).text();
            assert!(judged.contains("(confidential)"), "{judged}");
            let opened = token.run(&["--home", &home, "decrypt", "in.eml"]);
            assert!(opened.text().contains("for the token"), "{algorithm} {way:?}: {}", opened.stderr);
        }
        token.run(&["--home", &home, "key", "request", "-o", "request.pem", address]).code(0);
        token.tool("openssl", &["req", "-in", "request.pem", "-verify", "-noout"]);
    }
}

#[test]
fn pem_uses_the_same_key() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    lab.write("m.eml", LETTER.replace("bob@", "alice@"));
    let uri = token.uri("");
    token
        .run(&["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "--token", &uri, "alice@example.org"])
        .code(0);
    token.run(&["encrypt", "-f", "pem", "--sign", "--no-self", "-o", "out.eml", "m.eml"]).code(0);
    let opened = token.run(&["decrypt", "out.eml"]);
    assert!(opened.text().contains("hello"), "{}", opened.stderr);
    assert!(opened.stderr.contains("alice@example.org"), "{}", opened.stderr);
}

#[test]
fn keys_that_are_on_a_token_are_paired_with_their_certificates() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["openssl"])) else { return };
    lab.write("m.eml", LETTER);
    // A key with a certificate in the home, and one with a certificate on the token.
    for (name, id) in [("alice", "01"), ("carol", "02")] {
        let subject = format!("/CN={name}");
        let address = format!("subjectAltName=email:{name}@example.org");
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        token.tool(
            "openssl",
            &[
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &cert, "-subj", &subject,
                "-addext", &address, "-days", "30",
            ],
        );
        token.tool("softhsm2-util", &["--import", &key, "--token", "mail", "--label", name, "--id", id, "--pin", PIN]);
    }
    token.tool("openssl", &["x509", "-in", "carol.pem", "-outform", "DER", "-out", "carol.der"]);
    let write = [
        "--module",
        SOFTHSM,
        "--login",
        "--pin",
        PIN,
        "--write-object",
        "carol.der",
        "--type",
        "cert",
        "--id",
        "02",
        "--label",
        "carol",
    ];
    token.tool("pkcs11-tool", &write);
    token.run(&["key", "import", "alice.pem"]).code(0);
    let imported = token.run(&["key", "import", &token.uri("")]).code(0).text();
    assert_eq!(imported.matches(" with its secret key").count(), 2, "{imported}");
    for name in ["alice", "carol"] {
        let list = token.run(&["key", "list", name]).code(0).text();
        assert!(list.contains("secret"), "{list}");
        let fingerprint = list.split_whitespace().next().expect("a fingerprint").to_owned();
        let address = format!("{name}@example.org");
        token.run(&["key", "trust", &fingerprint, &address]).code(0);
        lab.write("m.eml", LETTER.replace("alice@", &format!("{name}@")));
        token.run(&["sign", "-f", "smime", "-o", "signed.eml", "m.eml"]).code(0);
        let cert = format!("{name}.pem");
        token.tool(
            "openssl",
            &["cms", "-verify", "-in", "signed.eml", "-CAfile", &cert, "-purpose", "any", "-out", "out"],
        );
    }
    assert_eq!(token.run(&["key", "import", &token.uri("")]).code(0).text().matches("unchanged").count(), 2);
    let none = token.run(&["key", "import", &token.uri(";object=nobody")]);
    none.refused(77, "no key with a certificate");
    let pin = token.run(&["key", "import", "pkcs11:token=mail?pin-value=1"]);
    pin.refused(64, "a PIN does not belong in it");
}

#[test]
fn a_token_that_is_gone_is_a_temporary_failure() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    lab.write("m.eml", LETTER.replace("bob@", "alice@"));
    let generate = |format: &str, algorithm: &str| {
        let uri = token.uri(&format!(";object={format}"));
        token
            .run(&["key", "generate", "-f", format, "--algorithm", algorithm, "--token", &uri, "alice@example.org"])
            .code(0);
        let file = format!("{format}.eml");
        token.run(&["encrypt", "-f", format, "--no-self", "-o", &file, "m.eml"]).code(0);
    };
    generate("pgp", "p256");
    generate("smime", "rsa2048");
    token.run(&["encrypt", "-f", "pem", "--no-self", "-o", "pem.eml", "m.eml"]).code(0);
    let everything = || {
        let opened = ["pgp.eml", "smime.eml", "pem.eml"].map(|file| ["decrypt", file].to_vec());
        let signed = ["pgp", "smime", "pem"].map(|format| ["sign", "-f", format, "m.eml"].to_vec());
        opened.into_iter().chain(signed)
    };
    everything().for_each(|arguments| _ = token.run(&arguments).code(0));
    token.without_pin(&["sign", "-f", "pgp", "m.eml"]).refused(77, "token mail: its PIN is not given");
    token.remove();
    for arguments in everything() {
        let done = token.run(&arguments);
        assert!(!done.stderr.contains("damaged"), "{arguments:?}: {}", done.stderr);
        done.refused(75, "token mail: cannot be reached");
    }
    // The same of a module that is not there.
    token.restore();
    let configuration = lab.path("softhsm2.conf");
    fs::rename(&configuration, lab.path("away")).expect("a file");
    for arguments in everything() {
        let done = token.run(&arguments);
        assert!(!done.stderr.contains("damaged"), "{arguments:?}: {}", done.stderr);
        done.refused(75, "cannot be reached");
    }
    fs::rename(lab.path("away"), &configuration).expect("a file");
    everything().for_each(|arguments| _ = token.run(&arguments).code(0));
}

/// Neither a PIN nor the passphrase of the home is needed for that, nor the token.
#[test]
fn a_list_names_the_token_and_opens_nothing() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    lab.write("pass", "correct horse\n");
    let uri = format!("{}&pin-source={}", token.uri(""), lab.path("pin").display());
    token.run(&["key", "generate", "--token", &uri, "--algorithm", "p256", "alice@example.org"]).code(0);
    token.run(&["key", "generate", "--no-passphrase", "bob@example.org"]).code(0);
    token.run(&["key", "master", "--passphrase-file", "pass", "--passphrase"]).code(0);
    token.remove();
    let list = |arguments: &[&str]| token.without_pin(&[&["key", "list"], arguments].concat()).code(0).text();
    let all = list(&[]);
    let line = |name: &str| all.lines().find(|line| line.contains(name)).expect("a line").to_owned();
    assert!(line("alice@").contains("  secret on token mail  ") && !line("bob@").contains("token"), "{all}");
    let json: serde_json::Value = serde_json::from_str(&list(&["--json", "alice"])).expect("JSON");
    let names: Vec<&str> = json["tokens"].as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.contains("token=mail") && name.contains("object=alice")), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("pin") && !name.contains("module")), "{names:?}");
    // A key whose name is forgotten is no more on a token.
    let fingerprint = json["fingerprint"].as_str().expect("text");
    lab.run(&["key", "export", fingerprint, "-o", "alice.asc"]).code(0);
    lab.run(&["key", "remove", "--secret", fingerprint]).code(0);
    lab.run(&["key", "import", "alice.asc"]).code(0);
    assert!(!list(&["alice"]).contains("token"));
}

#[test]
fn config_check_asks_the_tokens_and_never_repeats_a_wrong_pin() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    use std::os::unix::fs::PermissionsExt;
    lab.write("wrong", "161803\n").write("m.eml", LETTER);
    for name in ["pin", "wrong"] {
        fs::set_permissions(lab.path(name), fs::Permissions::from_mode(0o600)).expect("a file of ours");
    }
    let configure = |pin: &str| {
        lab.write(
            "postseal.toml",
            format!(
                "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\
                 [[token]]\nuri = \"pkcs11:token=mail\"\nmodule = \"{SPY}\"\npin = {{ {pin} }}\n"
            ),
        );
    };
    let spied = |arguments: &[&str]| {
        let mut command = lab.command(crate::support::lab::POSTSEAL);
        command.env("SOFTHSM2_CONF", token.configuration()).env("PKCS11SPY", SOFTHSM);
        command.env("PKCS11SPY_OUTPUT", lab.path("spied")).env("CREDENTIALS_DIRECTORY", lab.path(""));
        let done = crate::support::lab::Done::of(command.args(arguments).output().expect("it starts"));
        let spied = String::from_utf8_lossy(&lab.read("spied")).into_owned();
        fs::remove_file(lab.path("spied")).expect("a file");
        (done, spied.matches("C_Login\n").count())
    };
    let check = ["config", "check", "postseal.toml"];
    for pin in ["file = \"pin\"", "credential = \"pin\""] {
        configure(pin);
        let (done, logins) = spied(&check);
        let said = done.code(0).text();
        assert!(said.ends_with("0 errors, 0 warnings\n"), "{said}");
        assert_eq!(logins, 1);
    }
    // It may be there when the service asks.
    token.remove();
    let said = spied(&check).0.code(0).text();
    assert!(said.contains("warning: token mail: cannot be reached") && said.contains("1 warnings"), "{said}");
    token.restore();
    configure("file = \"wrong\"");
    let (done, logins) = spied(&check);
    assert!(done.text().contains("error: token mail: its PIN is wrong"), "{}", done.text());
    assert_eq!((done.code, logins), (78, 1));
    for _ in 0..2 {
        let (done, logins) = spied(&check);
        let said = done.text();
        assert!(said.contains("a wrong PIN was given since the last right one, and none is tried here"), "{said}");
        assert_eq!((done.code, logins), (78, 0));
    }
    // The right one, given by a person, ends that.
    let uri = format!("pkcs11:token=mail?module-path={SPY}");
    spied(&["--pin-file", "pin", "key", "generate", "--token", &uri, "alice@example.org"]).0.code(0);
    configure("file = \"pin\"");
    assert_eq!(spied(&check).0.code, 0);
}

/// The module is a spy that writes down each call: C_Login is called once.
#[test]
fn a_wrong_pin_is_tried_once() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab) else { return };
    let uri = format!("pkcs11:token=mail?module-path={SPY}");
    lab.write("wrong", "161803\n");
    for number in 0..3 {
        lab.write(&format!("{number}.eml"), LETTER);
    }
    let spied = |pin: &str, arguments: &[&str]| {
        let mut command = lab.command(crate::support::lab::POSTSEAL);
        command.env("SOFTHSM2_CONF", token.configuration()).env("PKCS11SPY", SOFTHSM);
        command.env("PKCS11SPY_OUTPUT", lab.path("spied"));
        let done = crate::support::lab::Done::of(
            command.args(["--pin-file", pin]).args(arguments).output().expect("it starts"),
        );
        let spied = String::from_utf8_lossy(&lab.read("spied")).into_owned();
        fs::remove_file(lab.path("spied")).expect("a file");
        (done, spied.matches("C_Login").count(), spied.matches("C_SignInit\n").count())
    };
    let (made, logins, _) = spied("pin", &["key", "generate", "--token", &uri, "alice@example.org"]);
    made.code(0);
    assert_eq!(logins, 1);
    let many = ["sign", "--output-dir", "out", "0.eml", "1.eml", "2.eml"];
    let (refused, logins, _) = spied("wrong", &many);
    assert!(refused.stderr.contains("its PIN is wrong"), "{}", refused.stderr);
    assert_eq!((refused.code, logins), (77, 1));
    let (signed, logins, signatures) = spied("pin", &many);
    signed.code(0);
    assert_eq!((logins, signatures), (1, 3));
}

/// A token that has no raw RSA removes the padding itself. Wrong padding looks like any other message that does not decrypt, with both kinds of keys.
#[test]
fn wrong_padding_is_no_failure_of_its_own() {
    let lab = Lab::new();
    let Some(token) = Token::new(&lab).filter(|_| present(&["openssl"])) else { return };
    let authority = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj"];
    token.tool("openssl", &[&authority[..], &["/CN=ca"]].concat());
    lab.write("text", "Content-Type: text/plain\r\n\r\nfor the token\r\n");
    lab.write("extensions", "subjectAltName=email:alice@example.org\n");
    let mut words = Vec::new();
    for (name, id, allowed) in [("raw", "31", "RSA-X-509"), ("padded", "32", "RSA-PKCS")] {
        let make = ["--module", SOFTHSM, "--login", "--pin", PIN, "--keypairgen", "--key-type", "rsa:2048"];
        let named = ["--label", name, "--id", id, "--usage-decrypt", "--allowed-mechanisms", allowed];
        token.tool("pkcs11-tool", &[&make[..], &named].concat());
        let read = ["--module", SOFTHSM, "--read-object", "--type", "pubkey", "--id", id, "-o", "key.der"];
        token.tool("pkcs11-tool", &read);
        token.tool("openssl", &["rsa", "-pubin", "-inform", "DER", "-in", "key.der", "-out", "key.pem"]);
        let subject = format!("/CN={name}");
        let issue =
            ["x509", "-new", "-subj", &subject, "-force_pubkey", "key.pem", "-CA", "ca.pem", "-CAkey", "ca.key"];
        token.tool("openssl", &[&issue[..], &["-days", "30", "-extfile", "extensions", "-out", "cert.pem"]].concat());
        let run = |arguments: &[&str]| token.run(&[&["--home", name], arguments].concat());
        run(&["key", "import", "cert.pem"]).code(0);
        run(&["key", "import", &token.uri(&format!(";object={name}"))]).code(0);
        let encrypt = ["cms", "-encrypt", "-aes256", "-in", "text", "-outform", "DER", "-recip", "cert.pem", "-out"];
        token.tool("openssl", &[&encrypt[..], &["in.p7m"]].concat());
        assert!(run(&["decrypt", "in.p7m"]).code(0).text().contains("for the token"), "{name}");
        let right = lab.read("in.p7m");
        // Within the encrypted key, and within the encrypted text.
        for at in [right.len() - 200, right.len() - 20] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            lab.write("wrong.p7m", wrong);
            let refused = run(&["decrypt", "wrong.p7m"]);
            words.push((refused.code, refused.stderr.replace("wrong.p7m", "")));
        }
    }
    assert_eq!(words[0].0, 65, "{words:?}");
    assert!(words.iter().all(|one| *one == words[0]), "{words:?}");
}
