//! Programs that send.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{blocks, office, typed};
use crate::support::{
    lab::{Lab, POSTSEAL},
    ports::free_port,
    postfix::Sink,
    requirements::present,
};

#[test]
fn the_output_of_a_cron_job_is_encrypted() {
    let lab = Lab::with_keys(&["backup", "admin"]);
    let block = blocks("cron", "cron").remove(0);
    let (_, command) = block.trim_end().split_once("  ").expect("when, and what");
    typed(
        &lab,
        &command.replace("/usr/local/bin/backup", "echo all saved").replace("/usr/sbin/sendmail -t", "cat > sent"),
    );
    let decrypted = lab.run(&["decrypt", "sent"]).code(0);
    assert!(decrypted.text().contains("all saved"), "{decrypted:?}");
    assert!(
        decrypted.stderr.contains("sent: authentic (confidential)")
            && decrypted.stderr.contains("Backup (signed and encrypted)")
    );
}

#[test]
fn python_sends_and_verifies() {
    if !present(&["python3"]) {
        return;
    }
    let lab = office();
    let [send, verify] = blocks("Python", "python").try_into().expect("two blocks");
    lab.write("send.py", send.replace("/usr/sbin/sendmail", "./sendmail"));
    typed(&lab, "python3 send.py");
    assert_eq!(lab.read("arguments"), b"-t -i\n");
    assert!(lab.run(&["decrypt", "sent"]).code(0).text().contains("All is well."));
    lab.write(
        "verify.py",
        verify + "for name in ['signed.eml', 'plain.eml']: print(author_of(open(name, 'rb').read()))\n",
    );
    assert_eq!(typed(&lab, "python3 verify.py"), "alice@example.org\nNone\n");
}

/// Stops when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn django_sends_to_the_listener() {
    if !present(&["django-admin"]) {
        return;
    }
    let (lab, sink, port) = (Lab::with_keys(&["web", "bob"]), Sink::start(), free_port());
    let section = "Django, GitLab, and other programs that speak SMTP";
    let config = blocks(section, "toml").remove(0);
    let config =
        config.replace("/var/lib/postseal-web", "home").replace("127.0.0.1:25", &format!("127.0.0.1:{}", sink.port()));
    lab.write("postseal.toml", config.replace("127.0.0.1:10587", &format!("127.0.0.1:{port}")));
    let serving = Command::new(POSTSEAL)
        .args(["serve", "--config", "postseal.toml"])
        .current_dir(lab.path(""))
        .stderr(Stdio::null())
        .spawn();
    let _served = Served(serving.expect("postseal starts"));
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "it does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    let settings = blocks(section, "python").remove(0).replace("10587", &port.to_string());
    let send = "from django.conf import settings\nfrom django.core.mail import send_mail\n\
                settings.configure(EMAIL_HOST=EMAIL_HOST, EMAIL_PORT=EMAIL_PORT, DEFAULT_FROM_EMAIL=DEFAULT_FROM_EMAIL)\n\
                for to in ['bob@example.org', 'dave@example.net']: send_mail('Order', 'It is on its way.', None, [to])\n";
    lab.write("send.py", settings + send);
    // Debian's Python has Debian's Django.
    typed(&lab, "/usr/bin/python3 send.py");
    let received = sink.wait_for(2);
    let of = |to: &str| {
        received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}")).text().to_owned()
    };
    lab.write("sealed", of("bob@example.org")).write("signed", of("dave@example.net"));
    assert!(!of("bob@example.org").contains("on its way"));
    assert!(lab.run(&["decrypt", "sealed"]).code(0).text().contains("It is on its way."));
    lab.run(&["verify", "signed"]).code(0);
}

/// The configuration for msmtp, for the user who runs the test.
fn configured(lab: &Lab) {
    let user = Command::new("id").arg("-un").output().expect("id").stdout;
    let user = String::from_utf8_lossy(&user).trim().to_owned();
    let config = blocks("msmtp", "toml").remove(0).replace("/home/alice/.local/share/postseal", "home");
    lab.write("postseal.toml", config.replace("\nalice = ", &format!("\n{user} = ")));
}

#[test]
fn mutt_sends_with_msmtp_and_verifies() {
    if !present(&["msmtp", "mutt", "script"]) {
        return;
    }
    let (lab, sink) = (office(), Sink::start());
    configured(&lab);
    lab.write("msmtprc", format!("account default\nhost 127.0.0.1\nport {}\nfrom alice@example.org\n", sink.port()));
    fs::rename(lab.path("msmtprc"), lab.path(".msmtprc")).expect("a file");
    let own = "set from = \"alice@example.org\"\nset realname = \"Alice\"\nset record = \"\"\nset folder = .\n";
    let rc = own.to_owned() + &blocks("mutt", "muttrc").remove(0);
    lab.write("muttrc", rc.replace("postseal verify<enter>", "postseal verify > verdict<enter>"));
    let environment = "export HOME=$PWD POSTSEAL_CONFIG=postseal.toml TERM=xterm\n";
    for to in ["bob@example.org", "dave@example.net"] {
        typed(&lab, &format!("{environment}echo 'It is noon.' | mutt -n -F muttrc -s Lunch -- {to}"));
    }
    let received = sink.wait_for(2);
    let of = |to: &str| received.iter().find(|one| one.addresses() == [to]).unwrap_or_else(|| panic!("{to}"));
    assert!(of("bob@example.org").sender.starts_with("<alice@example.org>"), "{}", of("bob@example.org").sender);
    lab.write("sealed", of("bob@example.org").text()).write("clear", of("dave@example.net").text());
    assert!(lab.run(&["decrypt", "sealed"]).code(0).text().contains("It is noon."));
    lab.run(&["verify", "clear"]).code(0);

    // A person presses V, and then q to quit.
    let mailbox = [b"From alice Mon Nov 30 12:00:00 2026\n".to_vec(), lab.read("signed.eml"), b"\n".to_vec()].concat();
    lab.write("box", mailbox);
    let pressed = "mutt -n -F muttrc -f box -e \\\"set wait_key=no\\\" -e \\\"push Vq\\\"";
    typed(&lab, &format!("{environment}timeout 60 script -qec \"{pressed}\" /dev/null < /dev/null > drawn"));
    let verdict = String::from_utf8(lab.read("verdict")).expect("UTF-8");
    assert!(verdict.starts_with("-: authentic\n"), "{verdict}");
}
