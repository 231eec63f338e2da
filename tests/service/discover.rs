//! Keys on the network, with real servers on loopback: nginx with a private authority, BIND with a root zone of its own.

mod apart;
mod cached;
mod directory;
mod http;
mod outcomes;
mod refreshed;
mod served;
mod shared;
mod signed;

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::support::{
    lab::{Done, Lab, POSTSEAL},
    names::Names,
    postfix::may_start_servers,
    postgres::{self, Server},
    requirements,
    web::Web,
};

/// A web server, a name server that knows it, and a folder with a configuration that asks them.
struct Net {
    lab: Lab,
    web: Web,
    names: Names,
    /// The database of the home, if its rows are in one.
    database: Option<String>,
}

/// Where what was found is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// In a file of the home.
    Own,
    /// In a database that several machines share.
    Shared,
}

impl Net {
    /// `None` where a program is absent. `hosts` have further nginx settings each; `records` are further lines of the zone.
    fn new(hosts: &[(&str, &str)], records: &str) -> Option<Net> {
        if !requirements::present(&["nginx", "named", "openssl", "gpg", GPG_WKS_CLIENT]) || !may_start_servers() {
            return None;
        }
        let web = Web::start(hosts);
        let known: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        let names = Names::start(&format!("{}{records}", web.records(&known)));
        let net = Net { lab: Lab::new(), web, names, database: None };
        net.configure("", "");
        Some(net)
    }

    /// As [`Net::new`], with a home of this kind.
    fn at(kept: Kept, hosts: &[(&str, &str)], records: &str) -> Option<Net> {
        if kept == Kept::Own {
            return Net::new(hosts, records);
        }
        if !postgres::present() {
            return None;
        }
        let net = Net::new(hosts, records)?;
        let (name, url) = new_database();
        net.run(&["store", "connect", &url]).code(0);
        Some(Net { database: Some(name), ..net })
    }

    /// Forgets all that was found.
    fn forget(&self) {
        match &self.database {
            None => drop(self.lab.shell("rm home/discovery.sqlite*").code(0)),
            Some(name) => {
                let sql =
                    "TRUNCATE postseal.answer, postseal.asking, postseal.used, postseal.pending, postseal.refreshed";
                Server::shared().psql(name, sql).expect("the tables are there");
            }
        }
    }

    /// Writes `postseal.toml` with more lines of `[discovery]`, and rules.
    fn configure(&self, lines: &str, rules: &str) {
        let text = format!(
            "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{}{rules}",
            self.discovery(lines)
        );
        self.lab.write("postseal.toml", text);
    }

    /// The table `[discovery]`.
    fn discovery(&self, lines: &str) -> String {
        let (server, roots) = (self.names.address(), self.web.path("ca.pem"));
        format!(
            "[discovery]\nname-servers = [\"{server}\"]\nroots = \"{}\"\nallow-networks = [\"127.0.0.0/8\"]\nsource-timeout = 2\n{lines}\n",
            roots.display()
        )
    }

    /// The program with the configuration.
    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.lab.command(POSTSEAL);
        Done::of(command.env("POSTSEAL_CONFIG", "postseal.toml").args(arguments).output().expect("postseal starts"))
    }

    /// What `key find --json` says, with its exit code.
    fn find(&self, address: &str, code: i32) -> Value {
        let done = self.run(&["key", "find", "--json", address]).code(code);
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// A new key of an address by our own hand, published in the advanced form; its certificate.
    fn publish_new(&self, address: &str) -> Vec<u8> {
        let certificate = new_certificate(address);
        self.publish(address, &certificate);
        certificate
    }

    /// Publishes octets for an address, in the advanced form.
    fn publish(&self, address: &str, octets: &[u8]) {
        let (_, domain) = address.split_once('@').expect("an address");
        let path = format!(".well-known/openpgpkey/{domain}/hu/{}", file_name(address));
        self.web.put(&format!("openpgpkey.{domain}"), &path, octets);
    }

    /// Encrypts a text to an address, and returns what came of it.
    fn encrypt(&self, address: &str) -> Done {
        self.lab.write("text", "the plan\n");
        self.run(&["encrypt", "--discover", "--text", "--from", "alice@example.org", "--to", address, "--", "text"])
    }

    /// The pending keys.
    fn pending(&self) -> Vec<Value> {
        let done = self.run(&["key", "pending", "--json"]).code(0);
        done.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// How often a host was asked.
    fn asked(&self, domain: &str) -> usize {
        self.web.requests().iter().filter(|line| line.contains(&format!("/openpgpkey/{domain}/hu/"))).count()
    }
}

/// A database on the server of all tests: its name, and its URL.
fn new_database() -> (String, String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("found{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let url = Server::shared().database(&name);
    (name, url)
}

/// Where Debian puts it.
const GPG_WKS_CLIENT: &str = "/usr/lib/gnupg/gpg-wks-client";

/// A certificate of a new key.
fn new_certificate(address: &str) -> Vec<u8> {
    let lab = Lab::new();
    lab.run(&["key", "generate", "--no-passphrase", address]).code(0);
    lab.run(&["key", "export", address]).code(0).stdout
}

/// The fingerprint of the first certificate in `octets`.
fn fingerprint(octets: &[u8]) -> String {
    let lab = Lab::new();
    lab.write("certificate", octets);
    lab.run(&["key", "import", "certificate"]).code(0);
    let listed = lab.run(&["key", "list", "--json"]).code(0).stdout;
    let first: Value =
        serde_json::from_slice(listed.split(|octet| *octet == b'\n').next().expect("a line")).expect("JSON");
    first["fingerprint"].as_str().expect("a fingerprint").to_owned()
}

/// The name of an address's file in a Web Key Directory, by gpg.
fn file_name(address: &str) -> String {
    let output = Command::new(GPG_WKS_CLIENT).args(["--print-wkd-hash", address]).output();
    let said = output.expect("gpg-wks-client starts").stdout;
    String::from_utf8_lossy(&said).split(' ').next().expect("a name").to_owned()
}

/// A folder with a key of gpg, made at a time; `gpg` runs with it.
struct Gnupg(tempfile::TempDir);

impl Gnupg {
    /// A key of an address that is valid for a year from `time` on.
    fn with_key(address: &str, time: &str) -> Gnupg {
        let gnupg = Gnupg(tempfile::Builder::new().prefix("gp").tempdir().expect("a folder"));
        let time = format!("--faked-system-time={time}");
        gnupg.run(&[&time, "--passphrase", "", "--quick-generate-key", address, "future-default", "default", "1y"]);
        gnupg
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(self.0.path()).args(["--batch", "--yes", "--quiet"]).args(arguments);
        let output = gpg.output().expect("gpg starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn exported(&self) -> Vec<u8> {
        self.run(&["--export"])
    }

    /// Revokes the key by the certificate that gpg made beside it.
    fn revoke(&self) {
        let made = fs::read_dir(self.0.path().join("openpgp-revocs.d")).expect("a folder").next().expect("a file");
        let text =
            fs::read_to_string(made.expect("an entry").path()).expect("text").replace(":-----BEGIN", "-----BEGIN");
        let file = self.0.path().join("revocation");
        fs::write(&file, text).expect("a file");
        self.run(&["--import", &file.display().to_string()]);
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}
