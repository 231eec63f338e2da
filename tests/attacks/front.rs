//! A front that does what an attacker wants: each thing is tried from within, where the log asks what it writes behind each line.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use postseal::{
    service::{self, Role, Roles, Service},
    transport::serve::{Event, State},
};
use tokio::sync::mpsc;

use crate::support::{lab::Lab, ports::free_port};

/// What a process of the service does in this program, and the folder of the test.
const WITHIN: &str = "POSTSEAL_TEST_FRONT";

/// A process that is this test program. Its test harness writes to standard output, so that the second connection is standard error.
fn process(role: Role, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let program = env::current_exe().unwrap();
    command
        .args(["-c", "exec \"$0\" --exact front::within --nocapture --test-threads 1 2>&1 1>/dev/null"])
        .arg(program);
    command.env(WITHIN, format!("{} {}", role.name(), folder.display()));
    command
}

#[test]
fn a_front_reaches_no_key_no_program_and_no_other_process() {
    let lab = Lab::new();
    lab.run(&["--home", "home/keys", "key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    fs::create_dir(lab.path("sockets")).unwrap();
    fs::create_dir(lab.path("held")).unwrap();
    let (relay, next) = (free_port(), free_port());
    let secret =
        fs::read_dir(lab.path("home/keys")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file());
    lab.write("home/secret", secret.unwrap().display().to_string());
    lab.write(
        "postseal.toml",
        format!(
            "home = \"home/keys\"\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nquarantine = \"held\"\n\
             [upstream]\nsmart-host = \"127.0.0.1:{next}\"\n\
             [[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:{relay}\"\n\
             [[listener]]\nkind = \"lmtp\"\naddress = \"unix:{}\"\n\
             [[rule]]\nname = \"all\"\naction = \"clear\"\n",
            lab.path("sockets/lmtp").display()
        ),
    );
    let folder = lab.path("");
    let roles = Roles::new(move |role| process(role, &folder));
    let (events, received) = mpsc::channel(1);
    let (tell, told) = std::sync::mpsc::channel();
    let service = Service::new(lab.path("postseal.toml")).with_roles(roles).with_supervisor(move |state| {
        let _ = tell.send(state);
    });
    let serving = thread::spawn(move || {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(service.serve(received))
    });
    assert_eq!(told.recv().unwrap(), State::Ready);
    let mut client = TcpStream::connect(("127.0.0.1", relay)).unwrap();
    let mut say = |line: &str| {
        client.write_all(line.as_bytes()).unwrap();
        let mut reply = Vec::new();
        let mut octet = [0];
        while !reply.ends_with(b"\n") {
            client.read_exact(&mut octet).unwrap();
            reply.push(octet[0]);
        }
        String::from_utf8(reply).unwrap()
    };
    say("");
    say("HELO client.test\r\n");
    say("MAIL FROM:<a@example.net>\r\n");
    say("RCPT TO:<alice@example.org>\r\n");
    say("DATA\r\n");
    let reply = say("From: a@example.net\r\nTo: alice@example.org\r\n\r\nhello\r\n.\r\n");
    // Nothing listens at the next hop.
    assert!(reply.starts_with("451 "), "{reply}");
    events.blocking_send(Event::Stop).unwrap();
    serving.join().unwrap().unwrap();

    let said = String::from_utf8(lab.read("said")).unwrap();
    if said.is_empty() {
        panic!("the front was not asked");
    }
    if said.contains("done: read the password file") {
        println!("NOT TESTED: what a front reaches: this kernel has no Landlock");
        return;
    }
    let expected = [
        "refused: read a file of the home",
        "refused: list the home",
        "refused: write into the home",
        "refused: read the password file",
        "refused: read the configuration",
        "refused: write beside its socket",
        "refused: run a program",
        "refused: run this program",
        "refused: read the environment of the service",
        "refused: read the memory of the service",
        "refused: end the service",
        "done: listen by TCP",
        "done: make a socket pair",
        "done: write into the quarantine",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// The processes; a test of its own only in name.
#[test]
fn within() {
    let Ok(given) = env::var(WITHIN) else { return };
    let (role, folder) = given.split_once(' ').unwrap();
    let folder = PathBuf::from(folder);
    let connection = File::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    if role == Role::Judge.name() {
        service::judge(connection, |_| {}, |_| {}).unwrap();
        return;
    }
    let passing = File::from(io::stderr().as_fd().try_clone_to_owned().unwrap());
    // What is open stays open.
    let said = Arc::new(Mutex::new(File::create(folder.join("said")).unwrap()));
    let reach = move || {
        let mut said = said.lock().unwrap();
        if said.metadata().unwrap().len() == 0 {
            said.write_all(reach(&folder).as_bytes()).unwrap();
        }
        String::new()
    };
    service::front(connection, passing, |_| {}, reach).unwrap();
}

fn reach(folder: &Path) -> String {
    let mut said = String::new();
    let mut tell = |what: &str, done: io::Result<()>| {
        said += &match done {
            Ok(()) => format!("done: {what}\n"),
            Err(_) => format!("refused: {what}\n"),
        };
    };
    let path = |name: &str| folder.join(name);
    let service = std::os::unix::process::parent_id();
    tell("read a file of the home", fs::read(path("home/secret")).map(drop));
    tell("list the home", fs::read_dir(path("home/keys")).map(drop));
    tell("write into the home", fs::write(path("home/keys/more"), "more"));
    tell("read the password file", fs::read("/etc/passwd").map(drop));
    tell("read the configuration", fs::read(path("postseal.toml")).map(drop));
    tell("write beside its socket", fs::write(path("sockets/more"), "more"));
    tell("run a program", Command::new("/bin/true").status().map(drop));
    tell("run this program", Command::new("/proc/self/exe").status().map(drop));
    tell("read the environment of the service", fs::read(format!("/proc/{service}/environ")).map(drop));
    tell("read the memory of the service", File::open(format!("/proc/{service}/mem")).map(drop));
    let service = rustix::process::Pid::from_raw(service.try_into().unwrap()).unwrap();
    // A signal that its receiver ignores: what counts is whether it may be sent.
    let ended = rustix::process::kill_process(service, rustix::process::Signal::URG);
    tell("end the service", ended.map_err(Into::into));
    tell("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop));
    tell("make a socket pair", UnixStream::pair().map(drop));
    tell("write into the quarantine", fs::write(path("held/more"), "more"));
    said
}
