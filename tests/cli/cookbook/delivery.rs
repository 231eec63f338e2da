//! Programs that deliver and sort.

use std::{fs, os::unix::fs::chown, path::PathBuf};

use super::{blocks, office, path, script, typed};
use crate::support::{
    lab::{Lab, POSTSEAL},
    requirements::present,
};

#[test]
fn procmail_sorts_authentic_mail() {
    if !present(&["procmail"]) {
        return;
    }
    let lab = office();
    fs::create_dir(lab.path("mail")).expect("a folder");
    let folder = lab.path("");
    let home = lab.path("home");
    let own = format!(
        "SHELL=/bin/sh\nPATH={}\nMAILDIR={}mail\nPOSTSEAL_HOME={}\nDEFAULT=inbox/\n\n",
        path(),
        folder.display(),
        home.display()
    );
    lab.write("procmailrc", own + &blocks("procmail", "procmail").remove(0));
    typed(&lab, "for mail in signed.eml plain.eml; do procmail ./procmailrc < $mail; done");
    assert_eq!(delivered(&lab, "authentic"), [lab.read("signed.eml")]);
    assert_eq!(delivered(&lab, "inbox"), [lab.read("plain.eml")]);
}

/// The messages in a Maildir.
fn delivered(lab: &Lab, maildir: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(lab.path(&format!("mail/{maildir}/new"))).expect("a Maildir");
    files.map(|file| fs::read(file.expect("a file").path()).expect("a file")).collect()
}

#[test]
fn notmuch_tags_authentic_mail() {
    if !present(&["notmuch"]) {
        return;
    }
    let lab = office();
    let plain = String::from_utf8(lab.read("plain.eml")).expect("ASCII").replace("<lunch@", "<plain@");
    for folder in ["mails/cur", "mails/.notmuch/hooks"] {
        fs::create_dir_all(lab.path(folder)).expect("a folder");
    }
    lab.write("mails/cur/1:2,S", lab.read("signed.eml")).write("mails/cur/2:2,S", plain);
    let root = lab.path("mails");
    lab.write(
        "config",
        format!("[database]\npath={}\n[user]\nname=A\nprimary_email=a@example.org\n[new]\ntags=new\n", root.display()),
    );
    script(&lab, "mails/.notmuch/hooks/post-new", &blocks("notmuch", "hook").remove(0));
    let home = lab.path("home");
    typed(&lab, &format!("export NOTMUCH_CONFIG=$PWD/config POSTSEAL_HOME={}; notmuch new --quiet", home.display()));
    let found = |query: &str| typed(&lab, &format!("NOTMUCH_CONFIG=config notmuch search --output=messages {query}"));
    assert_eq!(found("tag:authentic"), "id:lunch@example.org\n");
    assert_eq!(found("tag:inbox").lines().count(), 2);
    assert_eq!(found("tag:new"), "");
}

#[test]
fn sieve_sorts_authentic_mail() {
    if !present(&["sieve-test"]) {
        return;
    }
    let lab = office();
    fs::create_dir(lab.path("bin")).expect("a folder");
    let folder = lab.path("");
    // The user of the mailbox must reach the program.
    fs::hard_link(POSTSEAL, lab.path("postseal"))
        .or_else(|_| fs::copy(POSTSEAL, lab.path("postseal")).map(drop))
        .expect("a file");
    let own = |text: &str| text.replace("/var/lib/postseal-web", "home").replace("/usr/bin/postseal", "./postseal");
    let verify = own(&blocks("Sieve in Dovecot", "script").remove(0));
    script(&lab, "bin/verify-mail", &verify.replacen('\n', &format!("\ncd {}\n", folder.display()), 1));
    lab.write("rules.sieve", blocks("Sieve in Dovecot", "sieve").remove(0));
    let settings = blocks("Sieve in Dovecot", "dovecot").remove(0);
    let set: Vec<String> = settings
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .filter(|(name, _)| *name != "sieve_extensions")
        .map(|(name, value)| {
            format!(
                "-o plugin/{name}={}",
                value.replace("/usr/local/lib/sieve", &folder.join("bin").display().to_string())
            )
        })
        .collect();
    let extensions = settings.lines().find_map(|line| line.trim().strip_prefix("sieve_extensions = ")).expect("a line");
    // Dovecot refuses to read mail as root.
    let is_root = typed(&lab, "id -u") == "0\n";
    if is_root {
        chown_all(&folder);
    }
    let user = if is_root { "-o mail_uid=nobody -o mail_gid=nogroup" } else { "" };
    for (mail, folder) in [("signed.eml", "Authentic"), ("plain.eml", "INBOX")] {
        let said =
            typed(&lab, &format!("sieve-test -x '{extensions}' {user} {} rules.sieve {mail} 2>&1", set.join(" ")));
        assert!(said.contains(&format!("* store message in folder: {folder}\n")), "{said}");
    }
}

/// Gives everything in the folder, and itself, to nobody.
fn chown_all(folder: &PathBuf) {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.expect("a file");
        if entry.file_name() != "postseal" {
            chown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("we are root");
        }
    }
}

/// Debian's nobody and nogroup.
const NOBODY: u32 = 65_534;
