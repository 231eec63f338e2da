//! OPENPGPKEY and SMIMEA records in a zone that BIND signs, proved by a validating BIND or by postseal.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{Gnupg, Net, apart::to, fingerprint};
use crate::support::{
    clients::dialogue,
    lab::Lab,
    names::Names,
    ports::{free_port, wait_for_port},
    requirements::present,
    served::{Configured, log},
};

/// A validating resolver on loopback, before a name server with a signed root zone.
struct Signed {
    names: Names,
    port: u16,
    child: Child,
}

impl Signed {
    fn start(records: &str) -> Signed {
        let names = Names::with(records, sign);
        let anchor = fs::read_to_string(names.path("anchor")).expect("a file");
        let key = anchor.split_whitespace().skip(6).collect::<String>();
        let (port, upstream) = (free_port(), names.address().port());
        let folder = names.path("resolver");
        fs::create_dir(&folder).expect("a folder");
        let configuration = format!(
            "options {{ directory \"{}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion yes; forwarders {{ 127.0.0.1 port {upstream}; }}; forward only; dnssec-validation yes; empty-zones-enable no; }};\n\
             controls {{ }};\ntrust-anchors {{ . static-key 257 3 15 \"{key}\"; }};\n",
            folder.display()
        );
        fs::write(folder.join("named.conf"), configuration).expect("a file");
        let mut command = Command::new("named");
        command.arg("-g").arg("-n").arg("1").arg("-c").arg(folder.join("named.conf"));
        let log = fs::File::create(folder.join("log")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("named starts");
        wait_for_port(port);
        Signed { names, port, child }
    }

    /// `[discovery]` with the resolver, or with the name server and its trust anchor.
    fn lines(&self, mode: &str) -> String {
        let methods = "methods = [\"openpgpkey\", \"smimea\"]";
        match mode {
            "resolver" => format!("{methods}\nname-servers = [\"127.0.0.1:{}\"]", self.port),
            _ => format!(
                "{methods}\nname-servers = [\"{}\"]\ndnssec = \"validate\"\ndnssec-anchors = \"{}\"",
                self.names.address(),
                self.names.path("anchor").display()
            ),
        }
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Signs the zone of the folder, and spoils the signature of each record that has the word SPOILED in its name.
fn sign(folder: &Path) -> String {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).current_dir(folder).args(arguments).output().expect("it starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let key = run("dnssec-keygen", &["-a", "ED25519", "-f", "KSK", "."]);
    run("dnssec-keygen", &["-a", "ED25519", "."]);
    let anchor = fs::read_to_string(folder.join(format!("{key}.key"))).expect("a file");
    let anchor: String = anchor.lines().filter(|line| !line.starts_with(';')).map(|line| format!("{line}\n")).collect();
    // `. IN DNSKEY 257 3 15 KEY`
    fs::write(folder.join("anchor"), &anchor).expect("a file");
    run("dnssec-signzone", &["-S", "-o", ".", "-O", "full", "-f", "signed.zone", "root.zone"]);
    let signed = fs::read_to_string(folder.join("signed.zone")).expect("a file");
    let spoiled = signed.lines().map(|line| {
        match line.contains(".spoiled.") && line.split_whitespace().nth(3) == Some("RRSIG") {
            // Another signature of the same length.
            true => {
                let (before, signature) = line.rsplit_once(' ').expect("a signature");
                let other = if signature.starts_with('A') { "B" } else { "A" };
                format!("{before} {other}{}\n", &signature[1..])
            }
            false => format!("{line}\n"),
        }
    });
    fs::write(folder.join("root.zone"), spoiled.collect::<String>()).expect("a file");
    String::new()
}

/// The record for an address, by hash-slinger.
fn record(gnupg: &Gnupg, address: &str) -> String {
    let mut slinger = Command::new("openpgpkey");
    slinger.env("GNUPGHOME", gnupg.0.path()).args(["--create", "--output", "rfc", address]);
    let output = slinger.output().expect("openpgpkey starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().filter(|line| !line.starts_with(';'));
    lines.map(|line| format!("{line}\n")).collect()
}

/// RFC 8162, section 3.
fn smimea(address: &str, certificate: &[u8]) -> String {
    let (local, domain) = address.split_once('@').expect("an address");
    let mut sum = Command::new("sh");
    sum.args(["-c", "printf %s \"$0\" | sha256sum", local]);
    let hash = String::from_utf8(sum.output().expect("a digest").stdout).expect("text");
    let hex: String = certificate.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{}._smimecert.{domain}. SMIMEA 3 0 0 {hex}\n", &hash[..56])
}

#[test]
fn signed_records_have_keys_and_a_wrong_signature_is_no_answer() {
    if !present(&["named", "dnssec-keygen", "dnssec-signzone", "openpgpkey", "gpg", "openssl"]) {
        return;
    }
    let Some(net) = Net::new(&[("unused.test", "")], "") else { return };
    let gnupg = Gnupg::with_key("Bob <bob@good.test>", "20260101T000000!");
    let spoiled = Gnupg::with_key("Bob <bob@spoiled.test>", "20260101T000000!");
    net.lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", "carol@good.test"]).code(0);
    net.lab.run(&["key", "export", "-f", "smime", "-o", "carol.pem", "carol@good.test"]).code(0);
    net.lab.shell("openssl x509 -in carol.pem -outform der -out carol.der && rm -r home").code(0);
    let carol = smimea("carol@good.test", &net.lab.read("carol.der"));
    let mallory = smimea("mallory@good.test", &net.lab.read("carol.der"));
    let records = [record(&gnupg, "bob@good.test"), record(&spoiled, "bob@spoiled.test"), carol, mallory].concat();
    let signed = Signed::start(&records);
    for mode in ["resolver", "validate"] {
        let text = format!(
            "home = \"home-{mode}\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\n[discovery]\n{}\n",
            signed.lines(mode)
        );
        net.lab.write("postseal.toml", text);
        let said = net.find("bob@good.test", 0);
        let source = &said["sources"][0];
        assert_eq!((&source["method"], &source["source"]), (&"openpgpkey".into(), &"dnssec".into()));
        assert_eq!(source["keys"][0]["fingerprint"], fingerprint(&gnupg.exported()), "{mode}: {said}");
        let done = net.encrypt("bob@good.test").code(0);
        assert!(done.stderr.contains("(source: dnssec)"), "{}", done.stderr);
        // A wrong signature: there may be a key.
        let said = net.find("bob@spoiled.test", 75);
        assert_eq!(said["sources"][0]["outcome"], "failed", "{mode}: {said}");
        net.encrypt("bob@spoiled.test").code(75);
        let said = net.find("nobody@good.test", 77);
        assert_eq!(said["sources"][0]["outcome"], "missing", "{mode}: {said}");
        // S/MIME.
        let said = net.find("carol@good.test", 0);
        assert_eq!(said["sources"][1]["keys"][0]["protocol"], "smime", "{mode}: {said}");
        net.lab.write("text", "the plan\n");
        let encrypt = [
            "encrypt",
            "-f",
            "smime",
            "--discover",
            "--text",
            "--from",
            "alice@example.org",
            "--to",
            "carol@good.test",
            "--",
            "text",
        ];
        assert!(net.run(&encrypt).code(0).text().contains("enveloped-data"));
        let said = net.find("mallory@good.test", 77);
        assert_eq!(said["sources"][1]["reason"], "no certificate there names the address", "{mode}: {said}");
    }
}

/// The process of the service for the network has the trust anchors, and no file.
#[test]
fn the_service_takes_keys_from_signed_records() {
    if !present(&["named", "dnssec-keygen", "dnssec-signzone", "openpgpkey", "gpg", "openssl"]) {
        return;
    }
    let (gnupg, spoiled) = (new("Bob <bob@good.test>"), new("Bob <bob@spoiled.test>"));
    let signed = Signed::start(&[record(&gnupg, "bob@good.test"), record(&spoiled, "bob@spoiled.test")].concat());
    for mode in ["resolver", "validate"] {
        let lab = Lab::with_keys(&["alice"]);
        let rules = [["found", "discover = true", "encrypt"]];
        let configured = Configured::new(&lab, "220 next", &rules);
        let text = String::from_utf8(lab.read("postseal.toml")).expect("UTF-8");
        lab.write("postseal.toml", format!("{text}[discovery]\n{}\n", signed.lines(mode)));
        let served = configured.serve().unwrap_or_else(|code| panic!("exit code {code}: {}", log(&lab)));
        assert_eq!(served.processes("postseal: network").len(), 1);
        let reply = dialogue(served.smtp(), "EHLO", &to("bob@good.test"));
        assert!(reply.starts_with("250"), "{mode}: {reply}\n{}", log(&lab));
        let delivered = served.delivered();
        assert!(delivered.len() == 1 && delivered[0].contains("BEGIN PGP MESSAGE"), "{mode}: {delivered:?}");
        let reply = dialogue(served.smtp(), "EHLO", &to("bob@spoiled.test"));
        assert!(reply.starts_with("451"), "{mode}: {reply}\n{}", log(&lab));
    }
}

fn new(owner: &str) -> Gnupg {
    Gnupg::with_key(owner, "20260101T000000!")
}

/// A name server elsewhere, and a zone that is not signed, prove nothing.
#[test]
fn what_is_not_proved_is_no_key() {
    if !present(&["named", "openpgpkey", "gpg"]) {
        return;
    }
    let gnupg = Gnupg::with_key("Bob <bob@good.test>", "20260101T000000!");
    let Some(net) = Net::new(&[("unused.test", "")], &record(&gnupg, "bob@good.test")) else { return };
    net.configure("methods = [\"openpgpkey\"]", "");
    let said = net.find("bob@good.test", 77);
    assert_eq!(said["sources"][0]["reason"], "the answer is not signed (DNSSEC)", "{said}");
    let text = String::from_utf8(net.lab.read("postseal.toml")).expect("UTF-8");
    net.lab.write("postseal.toml", text.replace("127.0.0.1:", "192.0.2.1:"));
    let done = net.run(&["key", "find", "bob@good.test"]).code(78);
    assert!(done.stderr.contains("192.0.2.1:") && done.stderr.contains("is not on this machine"), "{}", done.stderr);
}
