//! A Dovecot of our own on high ports of loopback, gone when the test ends: SASL for Postfix and LMTP into Maildirs, or IMAP and POP3 with TLS.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    certificates::{authority, certificate},
    ports::{free_port, wait_for_port},
};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "secret-of-all";

/// A running Dovecot that knows alice@, bob@ and mallory@example.org.
pub(crate) struct Dovecot {
    folder: tempfile::TempDir,
    ports: BTreeMap<&'static str, u16>,
    child: Child,
}

/// A message in a Maildir: its octets, its flags, and the time of its file.
pub(crate) type Kept = (Vec<u8>, String, u64);

impl Dovecot {
    /// SASL and LMTP, without TLS.
    pub(crate) fn start() -> Dovecot {
        Self::with(&["auth", "lmtp"], "localhost")
    }

    /// IMAP and POP3, each with STARTTLS and with TLS from the start, and no login without it; LMTP. The certificate for `host` is of `ca.pem`.
    pub(crate) fn with_mailboxes(host: &str) -> Dovecot {
        Self::with(&["imap", "imaps", "lmtp", "pop3", "pop3s"], host)
    }

    fn with(listeners: &[&'static str], host: &str) -> Dovecot {
        let folder = tempfile::Builder::new().prefix("dc").tempdir().expect("a throwaway folder");
        let here = folder.path().display().to_string();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder that can be entered");
        fs::create_dir(folder.path().join("mail")).expect("a folder");
        chown(folder.path().join("mail"), Some(NOBODY), Some(NOBODY)).expect("root may");
        let users: String = ["alice", "bob", "mallory"]
            .map(|user| {
                format!("{user}@example.org:{{PLAIN}}{PASSWORD}:{NOBODY}:{NOBODY}::{here}/mail/{user}@example.org::\n")
            })
            .concat();
        fs::write(folder.path().join("users"), users).expect("a file");
        let ports: BTreeMap<&str, u16> = listeners.iter().map(|name| (*name, free_port())).collect();
        let has_mailboxes = ports.contains_key("imap");
        let (protocols, tls) = match has_mailboxes {
            true => {
                authority(folder.path(), "ca");
                certificate(folder.path(), "server", "ca", host);
                let files = format!("ssl_cert = <{here}/server.pem\nssl_key = <{here}/server.key\n");
                ("imap lmtp pop3", format!("ssl = required\n{files}disable_plaintext_auth = yes\n"))
            }
            false => ("lmtp", "ssl = no\ndisable_plaintext_auth = no\n".to_owned()),
        };
        let services: String = ports.iter().map(|(name, port)| service(name, *port)).collect();
        let configuration = format!(
            "base_dir = {here}/run\nstate_dir = {here}/state\nlog_path = {here}/log\nlisten = 127.0.0.1\nprotocols = {protocols}\n{tls}\
             auth_mechanisms = plain login scram-sha-256\nfirst_valid_uid = 1\nmail_location = maildir:~/Maildir\nmail_fsync = never\nauth_failure_delay = 0\n\
             mail_max_userip_connections = 50\nnamespace inbox {{\n inbox = yes\n}}\n\
             passdb {{\n driver = passwd-file\n args = {here}/users\n}}\nuserdb {{\n driver = passwd-file\n args = {here}/users\n}}\n{services}"
        );
        let path = folder.path().join("dovecot.conf");
        fs::write(&path, configuration).expect("a file");
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("dovecot starts");
        ports.values().for_each(|port| wait_for_port(*port));
        Dovecot { folder, ports, child }
    }

    /// The port of a listener: `auth`, `lmtp`, `imap`, `imaps`, `pop3`, `pop3s`.
    pub(crate) fn port(&self, listener: &str) -> u16 {
        self.ports[listener]
    }

    /// The port of its authentication service.
    pub(crate) fn auth(&self) -> u16 {
        self.port("auth")
    }

    pub(crate) fn lmtp(&self) -> u16 {
        self.port("lmtp")
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The Maildir of a user, or a folder of it.
    pub(crate) fn maildir(&self, user: &str, folder: &str) -> PathBuf {
        self.folder.path().join("mail").join(user).join("Maildir").join(folder)
    }

    /// Puts a message into a user's inbox, as delivered at `received`.
    pub(crate) fn put(&self, user: &str, name: &str, flags: &str, received: u64, octets: impl AsRef<[u8]>) {
        let folder = self.maildir(user, "");
        if !folder.exists() {
            for part in ["", "cur", "new", "tmp"] {
                fs::create_dir_all(folder.join(part)).expect("a folder");
                chown(folder.join(part), Some(NOBODY), Some(NOBODY)).expect("root may");
            }
            chown(folder.parent().expect("a home"), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let file = folder.join("cur").join(format!("{received}.{name}.test:2,{flags}"));
        fs::write(&file, octets).expect("a file");
        let time = UNIX_EPOCH + Duration::from_secs(received);
        fs::File::options().write(true).open(&file).and_then(|open| open.set_modified(time)).expect("a time");
        chown(&file, Some(NOBODY), Some(NOBODY)).expect("root may");
    }

    /// Ends the connections of a user.
    pub(crate) fn kick(&self, user: &str) {
        let mut doveadm = Command::new("doveadm");
        doveadm.arg("-c").arg(self.folder.path().join("dovecot.conf")).args(["kick", user]);
        // With nobody to kick it fails.
        let _ = doveadm.output().expect("doveadm starts");
    }

    /// The first mail of a user, within 30 seconds.
    pub(crate) fn wait_for_mail(&self, user: &str) -> String {
        let new = self.maildir(user, "new");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(mail) = fs::read_dir(&new).ok().and_then(|mut mails| mails.next()) {
                return fs::read_to_string(mail.expect("an entry").path()).expect("text");
            }
            assert!(Instant::now() < end, "no mail for {user}: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The messages of a Maildir, sorted. What is in `new` has no flags.
pub(crate) fn kept(maildir: &std::path::Path) -> Vec<Kept> {
    let mut messages = Vec::new();
    for part in ["cur", "new"] {
        let Ok(entries) = fs::read_dir(maildir.join(part)) else { continue };
        for entry in entries {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let flags = name.split_once(":2,").map(|(_, flags)| flags).unwrap_or_default();
            // Small letters are keywords, whose names each Maildir keeps for itself.
            let flags = flags.chars().filter(char::is_ascii_uppercase).collect();
            let time = entry.metadata().and_then(|metadata| metadata.modified()).expect("a time");
            let time = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
            messages.push((fs::read(entry.path()).expect("a file"), flags, time));
        }
    }
    messages.sort();
    messages
}

fn service(listener: &str, port: u16) -> String {
    let (service, ssl) = match listener {
        "auth" => ("auth", ""),
        "lmtp" => ("lmtp", ""),
        "imap" => ("imap-login", ""),
        "imaps" => ("imap-login", "ssl = yes\n"),
        "pop3" => ("pop3-login", ""),
        _ => ("pop3-login", "ssl = yes\n"),
    };
    let name = if listener == "auth" { "" } else { listener };
    format!("service {service} {{\n inet_listener {name} {{\n  port = {port}\n{ssl} }}\n}}\n")
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Not SIGKILL: it has children, and is to end them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const NOBODY: u32 = 65_534;
