//! What a process that reads a stranger's message can still do: each thing is tried from within.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use postseal::sandbox::{Enforced, Sandbox};

use crate::support::lab::{Lab, POSTSEAL};

/// The folder, and the port that listens, for the process that is bounded.
const WITHIN: &str = "POSTSEAL_TEST_WITHIN";

#[test]
fn a_bounded_process_does_what_it_kept_and_nothing_else() {
    let lab = Lab::new();
    let (tcp, local) = (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(lab.path("socket")).unwrap());
    for folder in ["kept", "read"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    lab.write("read/message", "hello").write("kept/old", "old").write("secret", "secret");
    std::os::unix::fs::symlink(lab.path("secret"), lab.path("kept/link")).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", "sandbox::within", "--nocapture", "--test-threads", "1"]);
    again.env(WITHIN, format!("{port} {}", lab.path("").display()));
    let said = again.output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    drop(local);
    if said.contains("enforced CallsOnly") || said.contains("enforced Nothing") {
        println!("NOT TESTED: files and ports in a sandbox: this kernel has no Landlock");
        return;
    }
    // Signals are bounded since Linux 6.12.
    let signals: &[&str] = if said.contains("enforced Fully") { &["end another process"] } else { &[] };
    let tried = |how: &str| -> Vec<&str> { said.lines().filter_map(|line| line.strip_prefix(how)).collect() };
    assert_eq!(
        tried("done: ").into_iter().filter(|what| *what != "end another process").collect::<Vec<_>>(),
        ["read what was kept", "write what was kept", "replace what was kept", "start a thread"],
        "{said}"
    );
    let refused = tried("refused: ");
    assert!(refused.ends_with(signals), "{said}");
    assert_eq!(
        refused.into_iter().filter(|what| *what != "end another process").collect::<Vec<_>>(),
        [
            "read another file",
            "read another file by a link",
            "list another folder",
            "write what is read",
            "write another file",
            "move a file out",
            "link another file in",
            "run a program",
            "connect by TCP",
            "listen by TCP",
            "send by UDP",
            "connect to a service of this machine",
            "read the environment of another process",
        ],
        "{said}"
    );
}

/// The process that is bounded; a test of its own only in name.
#[test]
fn within() {
    let Ok(given) = env::var(WITHIN) else { return };
    let (port, folder) = given.split_once(' ').unwrap();
    let (port, folder): (u16, &Path) = (port.parse().unwrap(), Path::new(folder));
    let path = |name: &str| folder.join(name);
    let parent = std::os::unix::process::parent_id();
    let enforced = Sandbox::new().reads(path("read")).writes(path("kept")).enter().unwrap();
    assert!(matches!(enforced, Enforced::Fully | Enforced::Partly | Enforced::CallsOnly | Enforced::Nothing));
    println!("\nenforced {enforced:?}");
    let tell = |what: &str, done: io::Result<()>| match done {
        Ok(()) => println!("done: {what}"),
        Err(_) => println!("refused: {what}"),
    };
    tell("read what was kept", fs::read(path("read/message")).map(drop));
    tell("write what was kept", fs::write(path("kept/new"), "new"));
    tell("replace what was kept", fs::rename(path("kept/new"), path("kept/old")));
    tell("start a thread", thread::Builder::new().spawn(|| {}).map(|thread| thread.join().unwrap()));
    tell("read another file", fs::read(path("secret")).map(drop));
    tell("read another file by a link", fs::read(path("kept/link")).map(drop));
    tell("list another folder", fs::read_dir("/etc").map(drop));
    tell("write what is read", fs::write(path("read/message"), "changed"));
    tell("write another file", fs::write(path("more"), "more"));
    tell("move a file out", fs::rename(path("kept/old"), path("out")));
    tell("link another file in", fs::hard_link(path("secret"), path("kept/secret")));
    tell("run a program", Command::new("/bin/true").status().map(drop));
    tell("connect by TCP", TcpStream::connect(("127.0.0.1", port)).map(drop));
    tell("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop));
    let udp = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", ("127.0.0.1", port)));
    tell("send by UDP", udp.map(drop));
    tell("connect to a service of this machine", UnixStream::connect(path("socket")).map(drop));
    tell("read the environment of another process", fs::read(format!("/proc/{parent}/environ")).map(drop));
    let parent = rustix::process::Pid::from_raw(parent.try_into().unwrap()).unwrap();
    // A signal that its receiver ignores: what counts is whether it may be sent.
    tell(
        "end another process",
        rustix::process::kill_process(parent, rustix::process::Signal::URG).map_err(Into::into),
    );
}

/// Each verb has given up the rest by the time it reads the message.
#[test]
fn verbs_are_bounded_before_they_read() {
    let lab = Lab::with_keys(&["alice"]);
    let message = "From: alice@example.org\n\nhi\n";
    for verb in [
        &["verify", "--require", "signed"] as &[&str],
        &["inspect"],
        &["canon", "--form", "pgp"],
        &["digest", "--algorithm", "sha256"],
        &["scan"],
    ] {
        let mut child = Command::new(POSTSEAL);
        child.args(["--home", "home"]).args(verb).arg("-").current_dir(lab.path(""));
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let of_status = |status: &str, name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            if of_status(&status, "Seccomp:").as_deref() == Some("2") {
                assert_eq!(of_status(&status, "NoNewPrivs:").as_deref(), Some("1"), "{verb:?}");
                break;
            }
            assert!(Instant::now() < end, "{verb:?} is not bounded: {status}");
            thread::sleep(Duration::from_millis(5));
        }
        child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.is_empty() && child.wait().unwrap().code().is_some(), "{verb:?}: {said}");
    }
}
