//! `key publish`, and what other programs make of it: gpg, gpg-wks-client, nginx, BIND's named-checkzone, hash-slinger.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::support::{
    lab::Lab,
    requirements::{missing, present},
};

const HU: &str = "web/.well-known/openpgpkey/example.org/hu";
/// The name of `alice` (draft-koch-openpgp-webkey-service-22, section 3.1).
const ALICE: &str = "kei1q4tipxxu1yj79k9kfukdhfy631xe";

/// A home with one OpenPGP key of two addresses, and an S/MIME key.
fn lab() -> Lab {
    let lab = Lab::new();
    let generate = ["key", "generate", "--no-passphrase", "--name", "Alice"];
    lab.run(&[&generate[..], &["alice@example.org", "a.secret@example.net"]].concat()).code(0);
    let smime = ["-f", "smime", "--algorithm", "rsa2048", "alice@example.org"];
    lab.run(&[&generate[..], &smime].concat()).code(0);
    fs::create_dir(lab.path("gnupg")).unwrap();
    lab.shell("chmod 700 gnupg").code(0);
    lab
}

/// `gpg` with a home of its own.
fn gpg(lab: &Lab, arguments: &str) -> String {
    lab.shell(&format!("GNUPGHOME=$PWD/gnupg gpg --batch --no-autostart {arguments} 2>&1")).text()
}

#[test]
fn a_directory_has_the_names_of_gpg_and_minimal_keys() {
    if !present(&["gpg"]) {
        return;
    }
    let lab = lab();
    let done = lab.shell("umask 077; \"$0\" key publish wkd web").code(0);
    assert_eq!(done.text().lines().count(), 2, "{}", done.text());
    let url = format!("https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/{ALICE}?l=alice");
    assert!(done.text().lines().any(|line| line.starts_with("alice@example.org  ") && line.ends_with(&url)));
    let shown = gpg(&lab, &format!("--show-keys --with-colons {HU}/{ALICE}"));
    assert_eq!(shown.matches("uid:").count(), 1, "{shown}");
    assert!(shown.contains("Alice <alice@example.org>") && shown.contains("sub:"), "{shown}");
    // The web server is another user.
    let modes = lab.shell("find web -type f ! -perm 644 -o -type d ! -perm 755").text();
    assert_eq!(modes, "");
    let names = lab.shell("cd web/.well-known/openpgpkey && find . | sort").text();
    let client = "/usr/lib/gnupg/gpg-wks-client";
    if lab.shell(&format!("test -x {client}")).code != 0 {
        missing("gpg-wks-client");
        return;
    }
    lab.run(&["key", "export", "-f", "pgp", "--binary", "-o", "whole", "alice@example.org"]).code(0);
    let install = |address: &str| format!("{client} --install-key -C $PWD/theirs whole {address}");
    lab.shell(&format!(
        "export GNUPGHOME=$PWD/gnupg; mkdir -p theirs/example.org theirs/example.net && {} && {}",
        install("alice@example.org"),
        install("a.secret@example.net")
    ))
    .code(0);
    assert_eq!(names, lab.shell("cd theirs && find . | sort").text());
    // The direct form has no folder for the domain, and one domain only.
    lab.run(&["key", "publish", "wkd", "--layout", "direct", "direct", "alice@example.org"]).code(0);
    assert!(lab.path(&format!("direct/.well-known/openpgpkey/hu/{ALICE}")).exists());
    lab.run(&["key", "publish", "wkd", "--layout", "direct", "direct2"]).refused(64, "one domain only");
    assert!(!lab.path("direct2").exists());
}

#[test]
fn what_cannot_be_published_changes_nothing() {
    let lab = lab();
    lab.run(&["key", "publish", "wkd", "web", "alice@example.org"]).code(0);
    let before = lab.read(&format!("{HU}/{ALICE}"));
    lab.run(&["key", "publish", "wkd", "web", "nobody@example.org"])
        .refused(77, "nobody@example.org: no key here is trusted");
    lab.run(&["--at", "2126-01-01T00:00:00Z", "key", "publish", "wkd", "web", "alice@example.org"])
        .refused(77, "expired on");
    assert_eq!(before, lab.read(&format!("{HU}/{ALICE}")));
    // A colleague's key is published only when it is trusted.
    let other = Lab::with_keys(&["bob"]);
    lab.write("bob.asc", other.run(&["key", "export", "bob@example.org"]).code(0).stdout);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    lab.run(&["key", "publish", "wkd", "web", "bob@example.org"]).refused(77, "no key here is trusted");
    let listed = other.run(&["key", "list"]).code(0).text();
    let id = listed.split_whitespace().next().unwrap();
    lab.run(&["key", "trust", id, "bob@example.org"]).code(0);
    lab.run(&["key", "publish", "wkd", "web", "bob@example.org"]).code(0);
    // A revoked key is published as revoked.
    lab.shell("\"$0\" key import home/revocations/*.asc").code(0);
    let done = lab.run(&["key", "publish", "wkd", "web", "alice@example.org"]).code(0);
    assert!(done.stderr.contains("is revoked, and is published as that"), "{}", done.stderr);
    if present(&["gpg"]) {
        let shown = gpg(&lab, &format!("--show-keys --with-colons {HU}/{ALICE}"));
        assert!(shown.contains("pub:r:"), "{shown}");
    }
}

/// gpg finds the key by HTTPS at openpgpkey.example.org, which is nginx here, with a CA of our own.
#[test]
fn gpg_finds_the_key_that_nginx_serves() {
    if !present(&["gpg", "dirmngr", "nginx", "openssl", "unshare", "ip"]) {
        return;
    }
    let lab = lab();
    if lab.shell("unshare -rmn true").code != 0 {
        missing("permission for namespaces");
        return;
    }
    lab.run(&["key", "publish", "wkd", "web"]).code(0);
    lab.write("serve.sh", SERVE);
    let done = lab.shell("chmod 755 .; timeout 50 unshare -rmn sh -e serve.sh 2>&1");
    let text = done.text();
    assert!(text.contains("Alice <alice@example.org>") && text.contains("imported: 1"), "{text}");
    assert!(text.contains(&format!("/example.org/hu/{ALICE}?l=alice HTTP/1.0\" 200")), "{text}");
}

const SERVE: &str = r#"
ip link set lo up
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout web.key -out web.csr -subj /CN=web 2>/dev/null
echo subjectAltName=DNS:openpgpkey.example.org >extension
openssl x509 -req -in web.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension -out web.pem 2>/dev/null
echo '127.0.0.1 localhost openpgpkey.example.org' >hosts
mount --bind hosts /etc/hosts
mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt
cat >nginx.conf <<X
pid $PWD/nginx.pid; error_log $PWD/error.log; worker_processes 1; user $(id -un);
events {}
http {
  access_log $PWD/access.log; default_type application/octet-stream;
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {
    listen 127.0.0.1:443 ssl; server_name openpgpkey.example.org; root $PWD/web;
    ssl_certificate $PWD/web.pem; ssl_certificate_key $PWD/web.key;
  }
}
X
PATH=$PATH:/usr/sbin nginx -p $PWD -c nginx.conf
echo standard-resolver >gnupg/dirmngr.conf
export GNUPGHOME=$PWD/gnupg
gpg --batch --auto-key-locate clear,nodefault,wkd --locate-external-keys alice@example.org || true
gpgconf --kill all
cat access.log
kill $(cat nginx.pid)
"#;

#[test]
fn the_records_are_those_of_hash_slinger_and_fit_into_a_zone() {
    if !present(&["gpg", "named-checkzone", "openpgpkey"]) {
        return;
    }
    let lab = lab();
    let head =
        "$TTL 60\n@ IN SOA ns.example.org. root.example.org. 1 2 3 4 5\n@ IN NS ns.example.org.\nns IN A 127.0.0.1\n";
    let ours = lab.run(&["key", "publish", "dane", "alice@example.org"]).code(0).text();
    let generic = lab.run(&["key", "publish", "dane", "--generic", "alice@example.org"]).code(0).text();
    lab.write("named", format!("{head}{ours}")).write("generic", format!("{head}{generic}"));
    let canonical = |zone: &str| {
        let done =
            lab.shell(&format!("PATH=$PATH:/usr/sbin; named-checkzone -q -D -F text -o - example.org {zone}")).code(0);
        done.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    // BIND knows both types, and reads the same from the two forms.
    let zone = canonical("named");
    assert_eq!(zone, canonical("generic"));
    let record = |kind: &str| zone.iter().find(|line| line.contains(&format!(" IN {kind} "))).unwrap().clone();
    let smimea = record("SMIMEA");
    let der = lab.run(&["key", "export", "-f", "smime", "--binary", "alice@example.org"]).code(0).stdout;
    let hexadecimal: String = smimea.split(" 3 0 0 ").nth(1).unwrap().split_whitespace().collect();
    let expected: String = der.iter().map(|octet| format!("{octet:02X}")).collect();
    assert_eq!(hexadecimal.to_uppercase(), expected);
    let local = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db";
    assert!(smimea.starts_with(&format!("{local}._smimecert.example.org. ")), "{smimea}");
    // The same packets, when gpg has written both.
    let openpgpkey = record("OPENPGPKEY");
    let data: String = openpgpkey.split(" OPENPGPKEY ").nth(1).unwrap().split_whitespace().collect();
    lab.write("record", BASE64_STANDARD.decode(data).unwrap());
    gpg(&lab, "--import record");
    let theirs = lab.shell("GNUPGHOME=$PWD/gnupg openpgpkey --create --output rfc alice@example.org").code(0).text();
    let (name, data) = theirs.lines().last().unwrap().split_once(" IN OPENPGPKEY ").unwrap();
    assert!(openpgpkey.starts_with(&format!("{name} ")), "{openpgpkey}\n{theirs}");
    let exported =
        lab.shell("GNUPGHOME=$PWD/gnupg gpg --export --export-options export-minimal alice@example.org | base64 -w0");
    // hash-slinger leaves the checksum of the armor out, and may cut the padding with it.
    assert_eq!(exported.text().trim_end_matches('='), data.trim_end_matches('='));
}

#[test]
fn the_autocrypt_field_is_read_by_key_import() {
    let lab = lab();
    let field =
        lab.run(&["key", "publish", "autocrypt", "--prefer-encrypt", "mutual", "alice@example.org"]).code(0).text();
    assert!(field.starts_with("Autocrypt: addr=alice@example.org; prefer-encrypt=mutual;\n keydata=\n "), "{field}");
    let other = Lab::new();
    other.write("mail", format!("From: alice@example.org\n{field}\nhi\n"));
    let text = other.run(&["key", "import", "mail"]).code(0).text();
    assert!(
        text.contains("  alice@example.org\n           found in mail, Autocrypt field of alice@example.org\n"),
        "{text}"
    );
    // Five packets: key, user ID, signature, subkey, signature.
    if present(&["gpg"]) {
        let key: String = field.split("keydata=").nth(1).unwrap().split_whitespace().collect();
        lab.write("packets", BASE64_STANDARD.decode(key).unwrap());
        let packets = gpg(&lab, "--list-packets packets");
        let kinds: Vec<&str> = packets
            .lines()
            .filter(|line| line.starts_with(':'))
            .map(|line| line.split([' ', ':']).nth(1).unwrap())
            .collect();
        assert_eq!(kinds, ["public", "user", "signature", "public", "signature"], "{packets}");
    }
    lab.run(&["key", "publish", "autocrypt", "nobody@example.org"]).refused(77, "no key here is trusted");
}

/// A stand-in for keys.openpgp.org: it notes each request in a file, and knows one address already.
const VKS: &str = r#"
import http.server, json, ssl
class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        open("requests", "a").write(json.dumps([self.path, self.headers["Content-Type"], body]) + "\n")
        states = {"alice@example.org": "unpublished", "a.secret@example.net": "published"}
        if self.path.endswith("request-verify"):
            states = {address: "pending" for address in body["addresses"]}
        answer = json.dumps({"token": "T", "key_fpr": "F", "status": states}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
open("port", "w").write(str(server.server_port))
server.serve_forever()
"#;

#[test]
fn a_key_server_gets_the_key_of_the_address_and_is_asked_to_verify_it() {
    if !present(&["openssl", "python3"]) {
        return;
    }
    let lab = lab();
    lab.write("vks.py", VKS);
    lab.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2 2>/dev/null
         openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=x 2>/dev/null
         echo subjectAltName=DNS:localhost >extension
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension -out server.pem 2>/dev/null",
    )
    .code(0);
    let publish = |more: &str| {
        lab.shell(&format!(
            "timeout 30 python3 vks.py & pid=$!
             while [ ! -s port ]; do sleep 0.05; done
             \"$0\" key publish vks --server https://localhost:$(cat port) {more}; code=$?
             kill $pid; rm port; exit $code"
        ))
    };
    let done = publish("--roots ca.pem alice@example.org a.secret@example.net").code(0);
    let text = done.text();
    assert!(text.contains("uploaded; the server sends mail") && text.trim_end().ends_with("  published"), "{text}");
    let requests = String::from_utf8(lab.read("requests")).unwrap();
    let requests: Vec<serde_json::Value> = requests.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let paths: Vec<&str> = requests.iter().map(|request| request[0].as_str().unwrap()).collect();
    assert_eq!(paths, ["/vks/v1/upload", "/vks/v1/request-verify", "/vks/v1/upload"]);
    assert_eq!(requests[1][2], serde_json::json!({ "token": "T", "addresses": ["alice@example.org"] }));
    lab.write("sent", requests[0][2]["keytext"].as_str().unwrap());
    if present(&["gpg"]) {
        let shown = gpg(&lab, "--show-keys --with-colons sent");
        assert!(shown.contains("alice@example.org") && !shown.contains("a.secret"), "{shown}");
    }
    // The server is not the one that is meant.
    let done = publish("alice@example.org");
    assert_eq!(done.code, 69, "{}", done.stderr);
    assert!(done.stderr.contains("tls"), "{}", done.stderr);
}
