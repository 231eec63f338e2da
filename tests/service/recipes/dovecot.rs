//! A Dovecot of our own: SASL for Postfix, and LMTP into Maildirs, on high ports of loopback, gone when the test ends.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::ports::{free_port, wait_for_port};

/// Everybody's password.
pub(super) const PASSWORD: &str = "secret-of-all";

/// A running Dovecot that knows alice@, bob@ and mallory@example.org.
pub(super) struct Dovecot {
    folder: tempfile::TempDir,
    auth: u16,
    lmtp: u16,
    child: Child,
}

impl Dovecot {
    pub(super) fn start() -> Dovecot {
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
        let (auth, lmtp) = (free_port(), free_port());
        let configuration = format!(
            "base_dir = {here}/run\nstate_dir = {here}/state\nlog_path = {here}/log\nlisten = 127.0.0.1\nprotocols = lmtp\nssl = no\n\
             disable_plaintext_auth = no\nauth_mechanisms = plain\nfirst_valid_uid = 1\nmail_location = maildir:~/Maildir\n\
             passdb {{\n driver = passwd-file\n args = {here}/users\n}}\nuserdb {{\n driver = passwd-file\n args = {here}/users\n}}\n\
             service auth {{\n inet_listener {{\n  port = {auth}\n }}\n}}\n\
             service lmtp {{\n inet_listener lmtp {{\n  port = {lmtp}\n }}\n}}\n"
        );
        let path = folder.path().join("dovecot.conf");
        fs::write(&path, configuration).expect("a file");
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("dovecot starts");
        wait_for_port(auth);
        wait_for_port(lmtp);
        Dovecot { folder, auth, lmtp, child }
    }

    /// The port of its authentication service.
    pub(super) fn auth(&self) -> u16 {
        self.auth
    }

    pub(super) fn lmtp(&self) -> u16 {
        self.lmtp
    }

    /// The first mail of a user, within 30 seconds.
    pub(super) fn wait_for_mail(&self, user: &str) -> String {
        let new = self.folder.path().join("mail").join(user).join("Maildir/new");
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(mail) = fs::read_dir(&new).ok().and_then(|mut mails| mails.next()) {
                return fs::read_to_string(mail.expect("an entry").path()).expect("text");
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "no mail for {user}: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Not SIGKILL: it has children, and is to end them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const NOBODY: u32 = 65_534;
