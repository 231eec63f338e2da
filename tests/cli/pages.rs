//! Passphrases that are shared with recipients without a key, and pages on the command line.

use std::fs;

use crate::support::lab::Lab;

const MESSAGE: &str = "From: alice@example.org\nTo: bob@example.net\nSubject: tenancy\n\nThe account is 4711.\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("m.eml", MESSAGE).write("pass", "correct horse\n").write("short", "horse\n");
    lab
}

#[test]
fn passphrases_are_stored_listed_and_removed() {
    let lab = lab();
    let list = |lab: &Lab| lab.run(&["key", "password"]).code(0).text();
    assert_eq!(list(&lab), "");
    let password = |options: &[&str]| lab.run(&[&["key", "password"], options].concat());
    let made = password(&["--generate", "Bob@example.net"]).code(0);
    assert_eq!(made.text().trim().split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
    assert!(made.stderr.contains("Bob@example.net has a stored passphrase"), "{}", made.stderr);
    assert_ne!(password(&["--generate", "bob@example.net"]).code(0).text(), made.text());
    password(&["--passphrase-file", "pass", "carol@example.net"]).code(0);
    assert_eq!(list(&lab), "bob@example.net\ncarol@example.net\n");
    password(&["--passphrase-file", "short", "dora@example.net"]).refused(64, "too easy to guess");
    password(&["dora@example.net"]).refused(64, "no terminal");
    password(&["--remove", "dora@example.net"]).refused(77, "no passphrase is stored");

    // It is sealed under the master key of the home, and in backups.
    let sealed = lab.read("home/passphrases");
    assert!(!sealed.windows(7).any(|octets| octets == b"correct" || octets == b"example"));
    lab.run(&["--passphrase-file", "pass", "backup", "backup.asc"]).code(0);
    lab.run(&["--passphrase-file", "pass", "--home", "restored", "restore", "backup.asc"]).code(0);
    assert_eq!(lab.run(&["--home", "restored", "key", "password"]).code(0).text(), list(&lab));
    let page = lab.run(&["--home", "restored", "encrypt", "--page", "--to", "carol@example.net", "m.eml"]);
    assert!(page.code(0).text().contains("message.html"));

    password(&["--remove", "CAROL@example.net"]).code(0);
    assert_eq!(list(&lab), "bob@example.net\n");
    let mut damaged = lab.read("home/passphrases");
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(lab.path("home/passphrases"), damaged).unwrap();
    lab.run(&["encrypt", "--page", "m.eml"]).refused(65, "passphrases: damaged");
    assert!(lab.run(&["key", "check"]).code(65).text().contains("passphrases: damaged"));
}

#[test]
fn a_page_is_made_for_those_without_a_key() {
    let lab = lab();
    lab.run(&["encrypt", "--page", "m.eml"]).refused(64, "no terminal");
    lab.run(&["encrypt", "--page", "--passphrase-file", "short", "m.eml"]).refused(64, "too easy to guess");
    for options in [&["-f", "smime"][..], &["--protect-headers", "clear"], &["--sign"], &["--as", "a@example.org"]] {
        let arguments = [&["--passphrase-file", "pass", "encrypt", "--page"], options, &["m.eml"]].concat();
        lab.run(&arguments).refused(64, "");
    }
    let page = lab.run(&["encrypt", "--page", "--passphrase-file", "pass", "m.eml"]).code(0).text();
    assert!(page.starts_with("From: alice@example.org\nTo: bob@example.net\nSubject: [...]\n"), "{page}");
    assert!(!page.contains('\r') && !page.contains("4711") && !page.contains("tenancy"));
    lab.write("again.eml", &page);
    let verified = lab.run(&["verify", "again.eml"]).code(1);
    assert!(verified.text().contains("unsigned"), "{}", verified.text());
    assert!(verified.stderr.contains("hint: message.html opens in a browser"), "{}", verified.stderr);
    let verified = lab.run(&["verify", "m.eml"]).code(1);
    assert!(!verified.stderr.contains("browser"));

    // Texts of the administrator, in other languages.
    let texts = "[nl]\nmail = \"Bericht van {from}\"\ntitle = \"Bericht <1>\"\ninstructions = \"i\"\npassphrase = \"Wachtwoord\"\n\
                 open = \"o\"\nopening = \"p\"\nrefused = \"r\"\nunsupported = \"u\"\nfiles = \"f\"\n[en]\ntitle = \"Our title\"\n";
    lab.write("texts.toml", texts);
    let config = |lines: &str| {
        let page = format!("home = \"home\"\nhome-must-exist = false\nhostname = \"h.example\"\n[page]\n{lines}\n");
        lab.write("postseal.toml", page);
        lab.shell("POSTSEAL_CONFIG=postseal.toml \"$0\" encrypt --page --passphrase-file pass m.eml")
    };
    let page = config("languages = [\"nl\", \"en\"]\ntexts = \"texts.toml\"").code(0).text();
    assert!(
        page.contains("Bericht van alice@example.org") && page.contains("<h1>Bericht &lt;1&gt; / Our title</h1>"),
        "{page}"
    );
    assert!(page.contains("Wachtwoord / Passphrase") && !page.contains("Passwort"));
    for (lines, why) in [
        ("languages = [\"nl\"]", "5: languages: no texts in \"nl\"; there are en, de, fr"),
        ("texts = \"none.toml\"", "5: texts: none.toml: no such file"),
    ] {
        let refused = config(lines);
        assert!(refused.code == 78 && refused.stderr.contains(why), "{refused:?}");
    }
    for (texts, why) in [
        ("[nl]\ntitle = \"x\"\n", "line 1: nl: \"mail\" is missing"),
        ("\n[en]\nsubject = \"x\"\n", "line 3: \"subject\": not a text"),
        ("en = 1\n", "line 1: en: not a table"),
        ("[en\n", "line 1: "),
    ] {
        lab.write("texts.toml", texts);
        let refused = config("texts = \"texts.toml\"");
        assert!(refused.code == 78 && refused.stderr.contains(why), "{texts}: {refused:?}");
    }
}
