//! The folder in which every verb is called: keys, messages, certificates, a configuration.

use std::{fs, path::Path, process::Command};

use crate::support::lab::Lab;

/// Alice has keys of both protocols, and the certificate of a colleague.
pub(crate) fn furnished() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    let colleague = Lab::with_keys(&["colleague"]);
    lab.write("colleague.asc", colleague.run(&["key", "export", "colleague@example.org"]).code(0).stdout);
    for (name, text) in FILES {
        lab.write(name, text);
    }
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl");
    for (name, file) in [("ca.der", "ca.der"), ("list.der", "list-2.der")] {
        fs::copy(testdata.join(file), lab.path(name)).expect("a file of testdata");
    }
    lab.shell(SETUP).code(0);
    lab
}

/// The same once more: what a call changes is not there for the next.
pub(crate) fn copy(lab: &Lab) -> Lab {
    let copy = Lab::new();
    let done = Command::new("cp").arg("-a").arg(lab.path(".")).arg(copy.path(".")).status();
    assert!(done.expect("cp is everywhere").success());
    copy
}

const FILES: [(&str, &str); 10] = [
    ("users.csv", "carol@example.org,Carol\n"),
    ("log", "level=info event=received from=<alice@example.org> mail=abc-1 session=abc\n"),
    (
        "day.log",
        "level=info event=decided to=<bob@example.net> submitter=trusted from=<alice@example.org> author=<alice@example.org> \
         wrapping=plain standing=unsigned standing_reason=not-signed octets=412 types=text/plain direction=outbound rule=all \
         action=clear disposition=relay session=abc listener=milter mail=abc-1\n",
    ),
    (
        "cases.toml",
        "[[case]]\nname = \"in clear\"\nfrom = \"alice@example.org\"\nto = \"bob@example.net\"\nexpect = { rule = \"all\" }\n",
    ),
    ("message.eml", "From: alice@example.org\nTo: alice@example.org\nSubject: hi\n\nhello\n"),
    ("text", "hello\n"),
    ("pass", "correct horse\n"),
    ("20261130T021000Z-aaaaaaaa.eml", "From: alice@example.org\n\nhello\n"),
    (
        "20261130T021000Z-aaaaaaaa.json",
        "{\"id\":\"20261130T021000Z-aaaaaaaa\",\"time\":\"2026-11-30T02:10:00Z\",\"reason\":\"no\",\"from\":null,\
         \"to\":[{\"address\":\"bob@example.org\"}],\"octets\":32}",
    ),
    (
        "postseal.toml",
        "home = \"home\"\nlocal-domains = [\"lists.example\"]\nquarantine = \".\"\nhostname = \"h.example\"\n[sendmail]\nprogram = \"/bin/sh\"\narguments = [\"-c\", \"cat > /dev/null\"]\n[[listener]]\nkind = \"milter\"\naddress = \"unix:milter.sock\"\n\
         [[rule]]\nname = \"all\"\naction = \"clear\"\n\
         [[list]]\naddress = \"dev@lists.example\"\nowner = \"alice@example.org\"\nmembers = \"alice@example.org\"\n\
         [discovery]\nname-servers = [\"127.0.0.1:1\"]\nsource-timeout = 1\n",
    ),
];

/// Everything that takes the program to make; `$0` is the program.
const SETUP: &str = r#"set -e
"$0" key generate -f smime --algorithm rsa2048 --no-passphrase alice@example.org
"$0" key import colleague.asc | awk '{print $2}' > colleague-id
"$0" key list | awk '/ed25519/ && /alice/ {print $1}' > id
"$0" key list | awk '/rsa2048/ && /alice/ {print $1}' > certificate-id
mkdir Maildir Maildir/cur Maildir/new Maildir/tmp
cp message.eml Maildir/cur/1.a.host:2,S
cp -a Maildir Converted
"$0" scan --in-place annotate Converted
"$0" key export -f smime -o alice.pem alice@example.org
"$0" cert init-ca --no-passphrase "Office CA" | cut -d ' ' -f 1 > ca-id
"$0" key request -o request.csr alice@example.org
"$0" key generate -f smime --ca --algorithm p256 --no-passphrase dora@example.org
"$0" sign -o signed.eml message.eml
"$0" encrypt --to alice@example.org -o encrypted.eml message.eml
"$0" key request -f pem -o request alice@example.org
mkdir -m 700 empty certificates credentials
cp alice.pem certificates
printf 'a%.0s' $(seq 64) > credentials/postseal
chmod 600 credentials/postseal
"$0" cert reply --certificate alice.pem -o reply request
"$0" audit init
"$0" audit head > head
"#;
