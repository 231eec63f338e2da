//! The commands of docs/manual/fetch.md, typed as they are printed.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Output},
};

use super::{Setup, policy::prepare};
use crate::support::{dovecot::PASSWORD, lab::POSTSEAL, ports::pass_on, postfix::run_with, requirements};

/// An address of loopback where the port of IMAP with TLS is ours.
const SERVER: &str = "127.9.9.3";

/// What stands after `$ ` in the page, with the lines that it goes on in, and what is printed below it.
fn commands() -> Vec<(String, String)> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual/fetch.md")).unwrap();
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in page.split("```").step_by(2).flat_map(str::lines) {
        let Some(text) = line.strip_prefix("    ") else { continue };
        match (text.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((command, _))) if goes_on => *command += &format!("\n{text}"),
            (None, Some((_, said))) => *said += &format!("{text}\n"),
            (None, None) => {}
        }
        goes_on = text.ends_with('\\');
    }
    commands
}

/// Types a command in the folder of the test, on a machine for which imap.example.org is Dovecot.
fn typed(setup: &Setup, command: &str, input: &str) -> Output {
    let lab = &setup.lab;
    let script = format!("mount --bind hosts /etc/hosts && PATH=\"$PWD/bin:$PATH\" && {command}");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script]).current_dir(lab.path(""));
    unshare.env("SSL_CERT_FILE", setup.dovecot.authority()).env_remove("SSL_CERT_DIR").env_remove("POSTSEAL_HOME");
    run_with(unshare.env("HOME", lab.path("")), input.as_bytes())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn the_commands_of_the_manual_do_what_it_says() {
    if !requirements::present(&["unshare", "mount"]) {
        return;
    }
    let Some(setup) = Setup::of("imap.example.org") else { return };
    let lab = &setup.lab;
    fs::remove_file(lab.path("password")).unwrap();
    fs::create_dir(lab.path("bin")).unwrap();
    symlink(POSTSEAL, lab.path("bin/postseal")).unwrap();
    lab.write("hosts", format!("127.0.0.1 localhost\n{SERVER} imap.example.org\n"));
    if let Err(error) = pass_on(SERVER, 993, setup.dovecot.port("imaps")) {
        assert!(requirements::missing(&format!("{SERVER}, port 993 ({error})")));
        return;
    }
    if !typed(&setup, "true", "").status.success() {
        requirements::missing("the right to mount");
        return;
    }
    let commands = commands();
    let [password, first, opening, token] = commands.as_slice() else { panic!("{commands:?}") };
    setup.fill(300);
    assert!(typed(&setup, &password.0, PASSWORD).status.success());
    let done = typed(&setup, &first.0, "");
    assert!(done.status.success() && said(&done).ends_with(&first.1), "{}", said(&done));
    assert_eq!(setup.fetched("Mail").len(), 300);
    // Another mailbox: three messages are encrypted, and two are plain.
    for name in fs::read_dir(setup.dovecot.maildir("bob@example.org", "cur")).unwrap() {
        fs::remove_file(name.unwrap().path()).unwrap();
    }
    prepare(&setup);
    fs::remove_file(setup.dovecot.maildir("bob@example.org", "cur/1500000006.F.test:2,")).unwrap();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual/fetch.md")).unwrap();
    lab.write("postseal.toml", page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap());
    let done = typed(&setup, &opening.0, "");
    assert!(done.status.success() && said(&done).ends_with(&opening.1), "{}", said(&done));
    assert_eq!(setup.inbox().len(), 5);
    // This Dovecot takes no tokens: the command is understood, and the server is asked.
    let done = typed(&setup, &token.0, "");
    assert_eq!(done.status.code(), Some(69), "{}", said(&done));
    assert!(said(&done).contains("the server does not offer XOAUTH2"), "{}", said(&done));
}
