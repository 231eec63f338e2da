//! An authority that speaks ACME and sends challenges by mail: acme2certifier, with its mailbox in Dovecot, its CA made by openssl, and a postseal that takes
//! its mail over.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    certificates::{authority, certificate},
    dovecot::{Dovecot, PASSWORD},
    lab::{Lab, POSTSEAL},
    ports::{free_port, wait_for_port},
    requirements,
};

/// A running authority. Its mailbox is bob's; alice is a subscriber.
pub(crate) struct Authority {
    pub(crate) lab: Lab,
    pub(crate) dovecot: Dovecot,
    port: u16,
    children: Vec<Child>,
}

impl Authority {
    /// `None`, with a word about it, where the programs are missing. `mail_server` is the end of the configuration of the postseal that moves all mail.
    pub(crate) fn start(mail_server: &str) -> Option<Authority> {
        let python = python();
        if !requirements::present(&["dovecot", "openssl"])
            || !python.exists() && !requirements::missing("acme2certifier")
        {
            return None;
        }
        let lab = Lab::new();
        let dovecot = Dovecot::with_mailboxes("127.0.0.1");
        let [port, smtp] = [free_port(), free_port()];
        fs::create_dir(lab.path("ca")).expect("a folder");
        let here = lab.path("ca");
        authority(&here, "ca");
        authority(&here, "tls");
        certificate(&here, "server", "tls", "localhost");
        fs::create_dir(here.join("issued")).expect("a folder");
        fs::write(here.join("extensions.cnf"), EXTENSIONS).expect("a file");
        fs::write(here.join("eab.json"), format!("{{\"customer\": \"{MAC_KEY}\"}}")).expect("a file");
        lab.write("eab-key", format!("{MAC_KEY}\n"));
        let mut authority = Authority { lab, dovecot, port, children: Vec::new() };
        authority.mail_server(smtp, mail_server);
        authority.serve(&python, &here, smtp);
        Some(authority)
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("http://127.0.0.1:{}/directory", self.port)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.lab.path("ca/log")).unwrap_or_default()
    }

    /// What the mail server logged.
    pub(crate) fn mail_log(&self) -> String {
        fs::read_to_string(self.lab.path("mx.log")).unwrap_or_default()
    }

    /// The newest mail in the mailbox of a user, when there are `count`.
    pub(crate) fn mail(&self, user: &str, count: usize) -> Vec<u8> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let mut found = Vec::new();
            for part in ["new", "cur"] {
                let Ok(entries) = fs::read_dir(self.dovecot.maildir(user, part)) else { continue };
                for entry in entries.map(|entry| entry.expect("an entry")) {
                    let written = entry.metadata().and_then(|metadata| metadata.modified());
                    found.extend(written.ok().zip(fs::read(entry.path()).ok()));
                }
            }
            if found.len() >= count {
                found.sort();
                return found.pop().expect("a mail").1;
            }
            let log = format!("{}{}{}", self.log(), self.mail_log(), self.dovecot.log());
            assert!(Instant::now() < end, "{} mails for {user}, and not {count}: {log}", found.len());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn mail_server(&mut self, port: u16, end: &str) {
        let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.lab.path("password"));
        file.and_then(|mut file| file.write_all(PASSWORD.as_bytes())).expect("a secret");
        let line = self.lab.run(&["config", "user", "bob@example.org", "--passphrase-file", "password"]).code(0).stdout;
        let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.lab.path("users"));
        file.and_then(|mut file| file.write_all(&line)).expect("a users file");
        let configuration = format!(
            "home = \"mx-home\"\nhome-must-exist = false\nhostname = \"mx.example.org\"\nlocal-domains = [\"example.org\"]\n\
             [upstream]\nlmtp = \"127.0.0.1:{}\"\ntls = \"none\"\n\
             [[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{port}\"\ntls = \"starttls\"\nauth = \"here\"\nusers = \"users\"\n\
             certificate = \"ca/server.pem\"\nkey = \"ca/server.key\"\n{end}",
            self.dovecot.lmtp()
        );
        self.lab.write("mx.toml", configuration);
        self.spawn(Command::new(POSTSEAL).args(["serve", "-c", "mx.toml"]), "mx.log");
        wait_for_port(port);
    }

    fn serve(&mut self, python: &Path, here: &Path, smtp: u16) {
        let (port, imaps, here) = (self.port, self.dovecot.port("imaps"), here.display());
        let configuration = format!(
            "[DEFAULT]\nserver_name: 127.0.0.1:{port}\nimap_server: 127.0.0.1\nimap_port: {imaps}\nsmtp_server: 127.0.0.1\nsmtp_port: {smtp}\n\
             username: bob@example.org\npassword: {PASSWORD}\nemail_address: bob@example.org\nconnection_timeout: 10\n\
             [CAhandler]\nhandler_module: acme2certifier.cahandlers.openssl_ca_handler\nissuing_ca_key: {here}/ca.key\nissuing_ca_cert: {here}/ca.pem\n\
             issuing_ca_crl: {here}/ca.crl\ncert_save_path: {here}/issued\nopenssl_conf: {here}/extensions.cnf\ncert_validity_days: 20\n\
             [DBhandler]\nhandler_module: acme2certifier.dbhandlers.wsgi_handler\ndbfile: {here}/acme.db\n\
             [Order]\nemail_identifier_support: True\n[Directory]\ntos_url: http://127.0.0.1/terms\n\
             [EABhandler]\neab_handler_module: acme2certifier.eabhandlers.json_handler\nkey_file: {here}/eab.json\n"
        );
        self.lab.write("ca/acme_srv.cfg", configuration);
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM, &port.to_string()]).env("ACME_SRV_CONFIGFILE", self.lab.path("ca/acme_srv.cfg"));
        self.spawn(&mut command, "ca/log");
        wait_for_port(port);
    }

    fn spawn(&mut self, command: &mut Command, log: &str) {
        let log = fs::File::create(self.lab.path(log)).expect("a log");
        command
            .current_dir(self.lab.path(""))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        self.children.push(command.spawn().expect("the program starts"));
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The interpreter of the environment with acme2certifier: POSTSEAL_ACME, or below `target`.
fn python() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/acme2certifier");
    env::var_os("POSTSEAL_ACME").map_or_else(default, PathBuf::from).join("bin/python")
}

/// Its WSGI application, with a thread for each request.
const PROGRAM: &str = "
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from acme2certifier.share.acme2certifier_wsgi import application, get_handler_cls
class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
make_server('127.0.0.1', int(sys.argv[1]), application, Server, get_handler_cls()).serve_forever()
";

/// What its certificates say.
const EXTENSIONS: &str = "[extensions]\nbasicConstraints = critical, CA:FALSE\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n\
     keyUsage = critical, digitalSignature, keyEncipherment\nextendedKeyUsage = emailProtection\n";

const MAC_KEY: &str = "V2VfbmVlZF9hbm90aGVyX3ZlcnkfX2xvbmdfaG1hY190b19jaGVja19lYWJfZm9yX2tleWlkXzAwX2FzX2xlZ29fZW5mb3JjZXNfYW5faG1hY19sb25nZXJfdGhhbl8yNTZfYml0cw";
