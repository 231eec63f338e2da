//! `cert fetch`, with a web server and the responder of openssl.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::support::{
    lab::{Done, Lab},
    ports::{free_port, wait_for_port},
    requirements::present,
};

/// Serves the files of the folder `www`, and notes the requests in `requests`.
const WEB: &str = r#"
import http.server, os, sys
os.chdir("www")
class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        open("../requests", "a").write(self.path + "\n")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"#;

/// Makes a root, an authority below it and the certificates of two people. $1 is the port of the web server, $2 that of the responder.
const AUTHORITY: &str = r#"
set -e
exec 2>openssl.log
for name in root int; do
  : >$name.db; echo 01 >$name.srl; echo 01 >$name.number
  cat >$name.cnf <<X
[ca]
default_ca = d
[d]
database = $name.db
serial = $name.srl
crlnumber = $name.number
new_certs_dir = .
default_md = sha256
policy = p
default_days = 30
default_crl_days = 7
certificate = $name.pem
private_key = $name.key
unique_subject = no
[p]
commonName = supplied
X
done
openssl req -x509 -newkey rsa:2048 -nodes -days 60 -subj /CN=root -keyout root.key -out root.pem
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\ncrlDistributionPoints=URI:http://127.0.0.1:%s/root.crl\n' $1 >int.ext
openssl req -newkey rsa:2048 -nodes -subj /CN=int -keyout int.key -out int.csr
openssl ca -batch -config root.cnf -in int.csr -extfile int.ext -out int.pem
for who in alice bob; do
  printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectAltName=email:%s@example.org\n' $who >$who.ext
  printf 'crlDistributionPoints=URI:http://127.0.0.1:%s/int.crl\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:%s,caIssuers;URI:http://127.0.0.1:%s/int.der\n' $1 $2 $1 >>$who.ext
  openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
  openssl ca -batch -config int.cnf -in $who.csr -extfile $who.ext -out $who.pem
done
mkdir www
openssl x509 -in int.pem -outform DER -out www/int.der
for name in root int; do
  openssl ca -config $name.cnf -gencrl -out $name.crl
  openssl crl -in $name.crl -outform DER -out www/$name.crl
done
"#;

/// A web server for the folder `www` of a lab.
struct Web(Child);

impl Web {
    fn serve(lab: &Lab, port: u16) -> Web {
        lab.write("web.py", WEB).write("requests", "");
        let mut command = Command::new("python3");
        command.args(["web.py", &port.to_string()]).current_dir(lab.path("")).stderr(Stdio::null());
        let web = Web(command.spawn().unwrap());
        wait_for_port(port);
        web
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Office {
    lab: Lab,
    _web: Web,
    responder: u16,
}

impl Office {
    fn open() -> Office {
        let lab = Lab::new();
        let (web, responder) = (free_port(), free_port());
        lab.write("authority.sh", AUTHORITY);
        lab.shell(&format!("sh authority.sh {web} {responder}")).code(0);
        let web = Web::serve(&lab, web);
        lab.run(&["key", "import", "--anchor", "root.pem"]).code(0);
        Office { lab, _web: web, responder }
    }

    fn fetch(&self, arguments: &str) -> Done {
        self.lab.shell(&format!("\"$0\" cert fetch --allow 127.0.0.0/8 {arguments}"))
    }

    /// The exit code of `cert verify`, when the status must be known.
    fn verify(&self, who: &str) -> i32 {
        self.lab.run(&["--revocation", "hard", "cert", "verify", who]).code
    }

    fn requests(&self) -> Vec<String> {
        let text = String::from_utf8(self.lab.read("requests")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs `work` while openssl's responder answers, signing as `signer`.
    fn with_responder(&self, signer: &str, work: impl FnOnce()) {
        let mut command = Command::new("openssl");
        command
            .args(["ocsp", "-index", "int.db", "-CA", "int.pem", "-ndays", "3", "-port"])
            .arg(self.responder.to_string());
        command.args(["-rsigner", &format!("{signer}.pem"), "-rkey", &format!("{signer}.key")]);
        let command = command.current_dir(self.lab.path("")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // It serves one connection at a time: one that only looks whether it listens would be in the way of the first question.
        let ready = format!(
            "for _ in $(seq 200); do openssl ocsp -noverify -issuer int.pem -cert bob.pem -url http://127.0.0.1:{} && exit; sleep 0.1; done 2>&1; exit 1",
            self.responder
        );
        self.lab.shell(&ready).code(0);
        work();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn lists_and_a_missing_issuer_are_fetched_once() {
    if !present(&["openssl", "python3"]) {
        return;
    }
    let office = Office::open();
    assert_eq!(office.verify("alice.pem"), 1);
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
    assert_eq!(office.verify("alice.pem"), 0);
    // The lists are current, and are those of other certificates too.
    let text = office.fetch("--by crl alice.pem bob.pem").code(0).text();
    assert_eq!(text.matches("known      good").count(), 3, "{text}");
    assert_eq!(office.requests().len(), 3);
    // Alice's certificate is revoked. What the authority published before takes nothing back.
    fs::copy(office.lab.path("www/int.crl"), office.lab.path("old.crl")).unwrap();
    let revoke = "openssl ca -config int.cnf -revoke alice.pem 2>/dev/null && openssl ca -config int.cnf -gencrl 2>/dev/null | openssl crl -outform DER -out www/int.crl";
    office.lab.shell(&format!("sleep 1; {revoke}")).code(0);
    let text = office.fetch("--by crl --again alice.pem").code(0).text();
    assert!(text.contains("           revoked  CN=alice\n"), "{text}");
    assert_eq!(office.verify("alice.pem"), 1);
    fs::copy(office.lab.path("old.crl"), office.lab.path("www/int.crl")).unwrap();
    let text = office.fetch("--by crl --again alice.pem").code(0).text();
    assert!(
        text.contains("not kept   revocation list of CN=int: a newer one is here\n           revoked  CN=alice\n"),
        "{text}"
    );
    assert_eq!(office.verify("alice.pem"), 1);
}

#[test]
fn a_responder_is_believed_when_the_issuer_says_so() {
    if !present(&["openssl", "python3"]) {
        return;
    }
    let office = Office::open();
    office.fetch("--by crl int.pem").code(0);
    // It cannot be reached, and the list is asked for; alone, it is not known.
    let done = office.fetch("--by ocsp alice.pem");
    assert_eq!(done.code, 69, "{}", done.stderr);
    assert!(done.stderr.contains("status unknown") && done.stderr.contains("refused"), "{}", done.stderr);
    office.lab.shell("openssl req -x509 -newkey rsa:2048 -nodes -days 60 -subj /CN=int -keyout wrong.key -out wrong.pem 2>/dev/null").code(0);
    office.with_responder("wrong", || {
        let done = office.fetch("--by ocsp alice.pem");
        assert_eq!(done.code, 69, "{}", done.stderr);
        assert!(done.stderr.contains("(RFC 5280, section 6.3.3)"), "{}", done.stderr);
        assert_eq!(office.verify("alice.pem"), 1);
    });
    office.with_responder("int", || {
        let text = office.fetch("alice.pem").code(0).text();
        assert!(text.contains("added      OCSP response\n           good  CN=alice\n"), "{text}");
        assert_eq!(office.verify("alice.pem"), 0);
        // A response of another time says nothing now.
        let done = office
            .lab
            .shell("\"$0\" --at $(date -u -d '5 days' +%FT%TZ) cert fetch --allow 127.0.0.0/8 --by ocsp bob.pem");
        assert_eq!(done.code, 69, "{}{}", done.text(), done.stderr);
    });
    office.lab.shell("openssl ca -config int.cnf -revoke bob.pem 2>/dev/null").code(0);
    office.with_responder("int", || {
        let text = office.fetch("bob.pem").code(0).text();
        assert!(text.contains("           revoked  CN=bob\n"), "{text}");
    });
    assert_eq!(office.verify("bob.pem"), 1);
    assert!(!office.requests().contains(&"/int.crl".to_owned()));
}

#[test]
fn what_is_no_statement_or_too_large_is_refused() {
    if !present(&["openssl", "python3"]) {
        return;
    }
    let office = Office::open();
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
    assert_eq!(office.verify("alice.pem"), 1);
}

/// The authority of `cert init-ca`, its list on a web server, and a reader who fetches it.
#[test]
fn the_list_of_an_own_authority_is_where_its_certificates_say() {
    if !present(&["python3"]) {
        return;
    }
    let (lab, port) = (Lab::new(), free_port());
    fs::create_dir(lab.path("www")).unwrap();
    let _web = Web::serve(&lab, port);
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
