//! A front, and a process with keys, that do what an attacker wants: each thing is tried from within, where code of the program asks another part.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use postseal::{
    config::Config,
    service::{self, Asking, Environment, Role, Roles, Service},
    transport::serve::{Event, State},
};
use tokio::sync::mpsc;

use crate::{
    reach::{Places, Targets, expected, reach},
    support::{lab::Lab, ports::free_port},
};

/// What a process of the service does in this program, which process tries to reach things, and where they are.
const WITHIN: &str = "POSTSEAL_TEST_FRONT";

/// Whether the front reports too much, where it is asked what the log has of a message.
const SHOUTS: &str = "POSTSEAL_TEST_SHOUTS";

/// A process that is this test program. Its test harness writes to standard output, so that the second connection is standard error.
fn process(role: Role, hostile: Role, places: &str) -> Command {
    let mut command = Command::new("sh");
    let program = env::current_exe().unwrap();
    command
        .args(["-c", "exec \"$0\" --exact front::within --nocapture --test-threads 1 2>&1 1>/dev/null"])
        .arg(program);
    command.env(WITHIN, format!("{} {} {places}", role.name(), hostile.name()));
    command
}

/// A service of these processes, which listens at `relay`.
struct Running {
    relay: u16,
    events: mpsc::Sender<Event>,
    serving: thread::JoinHandle<postseal::base::Result<()>>,
}

impl Running {
    /// One with a home in `lab`, and nothing at its next hop. `more` is the rest of its configuration.
    fn start(lab: &Lab, more: &str, process: impl Fn(Role) -> Command + Send + Sync + 'static) -> Running {
        let (relay, next) = (free_port(), free_port());
        lab.write(
            "postseal.toml",
            format!(
                "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\nquarantine = \"held\"\n\
                 [upstream]\nsmart-host = \"127.0.0.1:{next}\"\n\
                 [[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:{relay}\"\n\
                 [[rule]]\nname = \"all\"\naction = \"clear\"\n{more}"
            ),
        );
        let (events, received) = mpsc::channel(1);
        let (tell, told) = std::sync::mpsc::channel();
        let service = Service::new(lab.path("postseal.toml")).with_roles(Roles::new(process));
        let service = service.with_supervisor(move |state| {
            let _ = tell.send(state);
        });
        let serving = thread::spawn(move || {
            tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(service.serve(received))
        });
        let Ok(State::Ready) = told.recv() else { panic!("{:?}", serving.join().unwrap()) };
        Running { relay, events, serving }
    }

    fn stop(self) {
        self.events.blocking_send(Event::Stop).unwrap();
        self.serving.join().unwrap().unwrap();
    }
}

/// One mail through a service, of which one process does what an attacker wants; what that could do. `more` is the rest of the configuration.
fn tried(lab: &Lab, targets: &Targets, hostile: Role, more: &str) -> Vec<String> {
    let places = targets.line();
    let running = Running::start(lab, more, move |role| process(role, hostile, &places));
    let mut client = TcpStream::connect(("127.0.0.1", running.relay)).unwrap();
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
    running.stop();

    let said = String::from_utf8(lab.read("said")).unwrap();
    assert!(!said.is_empty(), "the process was not asked");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_front_reaches_no_key_no_program_and_no_other_process() {
    let lab = Lab::new();
    let targets = Targets::new(&lab);
    fs::create_dir(lab.path("sockets")).unwrap();
    fs::create_dir(lab.path("held")).unwrap();
    let socket = lab.path("sockets/lmtp");
    let more = format!("[[listener]]\nkind = \"lmtp\"\naddress = \"unix:{}\"\n", socket.display());
    let said = tried(&lab, &targets, Role::Front, &more);
    if said.contains(&"read the users of the machine: done".to_owned()) {
        println!("NOT TESTED: what a front reaches: this kernel has no Landlock");
        return;
    }
    let mut expected = expected(Role::Front);
    expected.extend(["write beside its socket: refused".to_owned(), "write into the quarantine: done".to_owned()]);
    assert_eq!(said, expected);
}

/// It has the keys: what it reads is not bounded, but where it could bring them is.
#[test]
fn a_process_with_keys_runs_no_program_and_writes_into_its_home_alone() {
    let lab = Lab::new();
    let targets = Targets::new(&lab);
    for folder in ["sockets", "held"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    let more = format!(
        "[acme]\nserver = \"https://127.0.0.1:{}/\"\nterms-agreed = true\naddresses = [\"example.org\"]\n",
        targets.tcp()
    );
    let said = tried(&lab, &targets, Role::Keys, &more);
    if said.contains(&"write beside its socket: done".to_owned()) {
        println!("NOT TESTED: what a process with keys reaches: this kernel has no Landlock");
        return;
    }
    let mut expected = expected(Role::Keys);
    expected.extend(["write beside its socket: refused".to_owned(), "write into the quarantine: refused".to_owned()]);
    assert_eq!(said, expected);
    // Without servers, it has no sockets.
    let lab = Lab::new();
    let said = tried(&lab, &Targets::new(&lab), Role::Keys, "");
    for what in ["connect by TCP to a port of the configuration", "send by UDP", "connect to a local socket"] {
        assert!(said.contains(&format!("{what}: refused")), "{said:?}");
    }
}

/// One octet over what it may report: it is ended at once, and another takes its place.
#[test]
fn a_front_that_says_too_much_is_ended() {
    let lab = Lab::new();
    let places = Targets::new(&lab).line();
    let running = Running::start(&lab, "", move |role| {
        let mut command = process(role, Role::Front, &places);
        command.env(SHOUTS, "1");
        command
    });
    let relay = running.relay;
    let mail = b"HELO client.test\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n";
    let message = b"From: a@example.net\r\n\r\nhello\r\n.\r\n";
    for _ in 0..2 {
        // The first front, and the one after it.
        let end = Instant::now() + Duration::from_secs(30);
        let mut client = loop {
            let greeted = TcpStream::connect(("127.0.0.1", relay)).ok().filter(|mut client| {
                let mut greeting = [0; 3];
                client.read_exact(&mut greeting).is_ok() && greeting == *b"220"
            });
            match greeted {
                Some(client) => break client,
                None => assert!(Instant::now() < end, "no front"),
            }
            thread::sleep(Duration::from_millis(50));
        };
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.write_all(&[&mail[..], message].concat()).unwrap();
        let mut said = Vec::new();
        // The kernel may say that the connection was reset.
        let ended = client.read_to_end(&mut said).map_err(|error| error.kind());
        assert!(matches!(ended, Ok(_) | Err(io::ErrorKind::ConnectionReset)), "{ended:?}");
        let said = String::from_utf8(said).unwrap();
        assert!(said.lines().last().unwrap().starts_with("354"), "{said}");
    }
    running.stop();
}

/// The processes; a test of its own only in name.
#[test]
fn within() {
    let Ok(given) = env::var(WITHIN) else { return };
    let mut words = given.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (role, hostile) = (word(), word());
    let places: Arc<Places> = Arc::new(word().parse().unwrap());
    let connection = File::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    if role == Role::Judge.name() {
        service::judge(connection, |_| {}, |_| {}).unwrap();
        return;
    }
    let passing = File::from(io::stderr().as_fd().try_clone_to_owned().unwrap());
    if role == Role::Front.name() && env::var_os(SHOUTS).is_some() {
        let mut reports = connection.try_clone().unwrap();
        let shout = move || {
            // A report of one octet more than a mebibyte, which begins as one does.
            reports.write_all(&[&((1_u32 << 20) + 1).to_le_bytes()[..], &[1]].concat()).unwrap();
            thread::sleep(Duration::from_secs(600));
            String::new()
        };
        let shout = Arc::new(Mutex::new(shout));
        service::front(connection, passing, |_| {}, move || (shout.lock().unwrap())()).unwrap();
        return;
    }
    // What is open stays open.
    let said = (role == hostile).then(|| Arc::new(Mutex::new(File::create(places.folder.join("said")).unwrap())));
    let configuration = places.folder.join("postseal.toml");
    let asked = move || {
        let Some(said) = &said else { return };
        let mut said = said.lock().unwrap();
        if said.metadata().unwrap().len() == 0 {
            said.write_all(all(&places).as_bytes()).unwrap();
        }
    };
    if role == Role::Keys.name() {
        let environment = move |config: &Config, asking: &Asking| {
            asked();
            Environment::asking(config, asking)
        };
        return Service::new(configuration)
            .with_environment(environment)
            .keys(connection, passing, |_| Ok(()))
            .unwrap();
    }
    let context = move || {
        asked();
        String::new()
    };
    service::front(connection, passing, |_| {}, context).unwrap();
}

fn all(places: &Places) -> String {
    let mut said = reach(places);
    let mut write = |what: &str, name: &str| {
        let written = fs::write(places.folder.join(name), "more");
        said.push(format!("{what}: {}", if written.is_ok() { "done" } else { "refused" }));
    };
    write("write beside its socket", "sockets/more");
    write("write into the quarantine", "held/more");
    said.join("\n")
}
