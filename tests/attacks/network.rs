//! The process that asks the network, when it does what an attacker wants: each thing is tried from within, in place of the look-ups. And what is taken from it.

use std::{
    collections::HashSet,
    env,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{fd::AsFd, unix::process::CommandExt},
    path::PathBuf,
    process::{self, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use postseal::{
    base::Network,
    discover::{
        Clear, Directory, Filter, LdapServer, Method, NetworkAccess, NetworkSettings, Settings, SignedKeys,
        http::{Bounds, Failure, Plain},
    },
    isolation::{NetworkProcess, NetworkRole, Process, RemoteAccess},
    mail::Address,
    sandbox::Enforced,
    service::Role,
};

use crate::{
    reach::{Places, Targets, expected, reach},
    support::{
        handler::address,
        lab::{Lab, POSTSEAL},
    },
};

/// The folder and the ports for the process.
const WITHIN: &str = "POSTSEAL_TEST_NETWORK";

/// A process that is this test program.
fn taken(given: &str, ended: &Arc<AtomicUsize>) -> Arc<NetworkProcess> {
    let given = given.to_owned();
    let program = move || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "network::within", "--nocapture", "--test-threads", "1"]).env(WITHIN, &given);
        command
    };
    started(program, ended)
}

/// A process as `serve` starts it.
fn real() -> Arc<NetworkProcess> {
    let program = || {
        let mut command = Command::new(POSTSEAL);
        command.arg0("postseal: network").env_clear();
        command
    };
    started(program, &Arc::default())
}

fn started(program: impl Fn() -> Command + Send + Sync + 'static, ended: &Arc<AtomicUsize>) -> Arc<NetworkProcess> {
    let ended = Arc::clone(ended);
    let count = move || {
        ended.fetch_add(1, Ordering::SeqCst);
    };
    NetworkProcess::new(move |ends| Process::spawn(program(), ends), count)
}

/// It may ask these networks beside public ones.
fn access(process: &Arc<NetworkProcess>, allowed: &[&str]) -> RemoteAccess {
    let allowed = allowed.iter().map(|one| Network::parse(one).unwrap()).collect();
    by(process, Settings { allowed, ..Settings::default() })
}

/// By these settings, and no name server.
fn by(process: &Arc<NetworkProcess>, settings: Settings) -> RemoteAccess {
    let settings = Settings { name_servers: vec!["127.0.0.1:1".parse().unwrap()], ..settings };
    process.access(NetworkSettings::read(&settings)).unwrap()
}

fn bounds(octets: usize, milliseconds: u64) -> Bounds {
    Bounds { octets, deadline: Instant::now() + Duration::from_millis(milliseconds), plain: Plain::Allow }
}

#[test]
fn the_process_for_the_network_has_the_network_and_nothing_else() {
    let lab = Lab::new();
    let targets = Targets::new(&lab);
    let process = taken(&targets.line(), &Arc::default());
    // A directory has this port.
    let directory = Directory {
        servers: vec![LdapServer::parse(&format!("ldap://127.0.0.1:{}", targets.tcp())).unwrap()],
        clear: Clear::Refuse,
        roots: None,
        bind_dn: None,
        password: None,
        base: String::new(),
        filter: Filter::parse("(mail={address})").unwrap(),
    };
    let access = by(&process, Settings { directory: Some(directory), ..Settings::default() });
    let said = access.get("reach", &bounds(1 << 16, 10_000)).unwrap();
    if matches!(access.enforced(), Enforced::CallsOnly | Enforced::Nothing) {
        println!("NOT TESTED: what the process for the network reaches: this kernel has no Landlock");
        return;
    }
    let mut expected = expected(Role::Network);
    expected.push("accept a connection: refused".to_owned());
    assert_eq!(String::from_utf8(said).unwrap().lines().collect::<Vec<_>>(), expected, "{:?}", access.enforced());
}

/// A process that says what it may not is ended, and the next question goes to another one.
#[test]
fn what_the_process_for_the_network_says_is_checked() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let process = taken("0 0 0 /", &ended);
    let access = access(&process, &[]);
    let bob = address("bob@example.net");
    let soon = || Instant::now() + Duration::from_secs(10);
    let who = || String::from_utf8(access.get("who", &bounds(100, 10_000)).unwrap()).unwrap();
    let first = who();
    assert_eq!(who(), first);
    // Exactly as much as it may, and one octet more.
    assert_eq!(access.get("100 octets", &bounds(100, 10_000)).unwrap().len(), 100);
    assert_eq!(who(), first);
    let ends: [(&str, &dyn Fn() -> Option<Failure>); 6] = [
        ("too much", &|| access.get("100 octets", &bounds(99, 10_000)).err()),
        ("too many keys", &|| access.directory_keys(Method::LdapPgp, &bob, soon()).err()),
        ("lines in a reason", &|| access.signed_keys(Method::Openpgpkey, &bob, soon()).err()),
        ("abort", &|| access.get("abort", &bounds(100, 10_000)).err()),
        ("leave", &|| access.get("leave", &bounds(100, 10_000)).err()),
        ("take memory", &|| access.get("take memory", &bounds(100, 10_000)).err()),
    ];
    let mut before = first;
    for (number, (what, ask)) in ends.into_iter().enumerate() {
        let failure = ask().unwrap_or_else(|| panic!("{what}: it is believed")).to_string();
        assert!(failure.starts_with("the process that asks the network ended ("), "{what}: {failure}");
        assert_eq!(ended.load(Ordering::SeqCst), number + 1, "{what}");
        let now = who();
        assert_ne!(now, before, "{what}");
        before = now;
    }
    // These it may say. No line of its own, and no page of text, goes on.
    let Err(Failure::Failed(reason)) = access.get("lines", &bounds(100, 10_000)) else { panic!("no failure") };
    assert!(reason.starts_with("no  250 2.0.0 Ok") && reason.len() == 1_000, "{reason}");
    assert_eq!(access.get("panic", &bounds(100, 10_000)), Err(Failure::Failed("a fault of this program".to_owned())));
    assert_eq!(access.get("no host", &bounds(100, 10_000)), Err(Failure::NoHost));
    // Silence ends with the deadline, and holds up nobody.
    let start = Instant::now();
    thread::scope(|scope| {
        let silent = scope.spawn(|| access.get("silence", &bounds(100, 700)));
        assert_eq!(who(), before);
        assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
        assert_eq!(silent.join().unwrap(), Err(Failure::Failed("no answer in time".to_owned())));
    });
    assert!(start.elapsed() < Duration::from_millis(2_000), "{:?}", start.elapsed());
    assert_eq!(who(), before);
}

/// A process that was changed and does all that it is asked does not stay.
#[test]
fn a_process_for_the_network_does_not_stay_for_ever() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let process = taken("0 0 0 /", &ended);
    let access = access(&process, &[]);
    let who = |_| access.get("who", &bounds(100, 10_000)).unwrap();
    let processes: HashSet<Vec<u8>> = (0..1_000).map(who).collect();
    assert_eq!(processes.len(), 1);
    assert!(!processes.contains(&who(1_000)));
    // That is no fault.
    assert_eq!(ended.load(Ordering::SeqCst), 0);
}

#[test]
fn a_process_that_never_answers_is_replaced() {
    let ended: Arc<AtomicUsize> = Arc::default();
    let process = taken("0 0 0 /", &ended);
    let access = access(&process, &[]);
    let who = || access.get("who", &bounds(100, 10_000)).unwrap();
    let before = who();
    access.get("silence", &bounds(100, 100)).unwrap_err();
    assert_eq!(who(), before);
    thread::sleep(Duration::from_millis(10_500));
    assert_ne!(who(), before);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

/// One process works for several configurations, each with what it may ask.
#[test]
fn what_one_configuration_may_ask_another_may_not() {
    let server = web(Duration::ZERO);
    let process = real();
    let (one, other) = (access(&process, &["127.0.0.0/8"]), access(&process, &["10.0.0.0/8"]));
    let url = format!("http://127.0.0.1:{server}/");
    for _ in 0..2 {
        assert_eq!(one.get(&url, &bounds(100, 5_000)), Ok(b"hello".to_vec()));
        let refused = other.get(&url, &bounds(100, 5_000));
        assert_eq!(refused, Err(Failure::Failed("127.0.0.1: 127.0.0.1 is not a public address".to_owned())));
    }
    drop(other);
    assert_eq!(one.post(&url, "text/plain", b"x", &bounds(100, 5_000)), Ok(b"hello".to_vec()));
    assert_eq!(one.get(&url, &bounds(4, 5_000)), Err(Failure::Unfit("the answer is larger than 4 octets".to_owned())));
    // Settings whose files cannot be read fail the look-ups that need them.
    let settings = Settings { roots: Some(PathBuf::from("/none.pem")), ..Settings::default() };
    let failure = by(&process, settings).get(&url, &bounds(100, 5_000)).unwrap_err();
    assert!(failure.to_string().contains("/none.pem"), "{failure}");
}

/// Servers that answer late are asked at the same time, and more than there is room for wait.
#[test]
fn a_slow_server_does_not_hold_up_the_others() {
    let (slow, fast) = (web(Duration::from_millis(500)), web(Duration::ZERO));
    let process = real();
    let access = access(&process, &["127.0.0.0/8"]);
    let ask = |port: u16| access.get(&format!("http://127.0.0.1:{port}/"), &bounds(100, 20_000));
    let start = Instant::now();
    thread::scope(|scope| {
        let all: Vec<_> = (0..300).map(|_| scope.spawn(|| ask(slow))).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), Ok(b"hello".to_vec()));
        }
    });
    // One after the other they take 150 seconds.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(ask(fast), Ok(b"hello".to_vec()));
}

/// Answers "hello" after this time.
fn web(after: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4_096]);
                thread::sleep(after);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
            });
        }
    });
    port
}

/// The process; a test of its own only in name.
#[test]
fn within() {
    let Ok(given) = env::var(WITHIN) else { return };
    let connection = io::stdin().as_fd().try_clone_to_owned().unwrap();
    // A socket to which somebody has connected, made before it gives everything up.
    let listening = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let _client = listening.local_addr().and_then(TcpStream::connect).unwrap();
    let open = |_| {
        let taken = Taken { places: given.parse().unwrap(), listening: Arc::clone(&listening) };
        Arc::new(taken) as Arc<dyn NetworkAccess>
    };
    NetworkRole::start(connection.into()).unwrap().serve(open).unwrap();
}

/// What an attacker would do in the place of look-ups.
struct Taken {
    places: Places,
    listening: Arc<TcpListener>,
}

impl NetworkAccess for Taken {
    fn get(&self, url: &str, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        match url {
            "reach" => Ok(self.reach().join("\n").into_bytes()),
            "who" => Ok(process::id().to_string().into_bytes()),
            "100 octets" => Ok(vec![1; 100]),
            "lines" => Err(Failure::Failed(format!("no\r\n250 2.0.0 Ok{}", "x".repeat(5_000)))),
            "no host" => Err(Failure::NoHost),
            "abort" => process::abort(),
            "leave" => process::exit(0),
            "panic" => panic!("as a dependency may"),
            "take memory" => Ok(vec![1; 1 << 36]),
            _ => {
                thread::sleep(Duration::from_secs(3_600));
                Ok(vec![0; bounds.octets])
            }
        }
    }

    fn post(&self, url: &str, _: &str, _: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        self.get(url, bounds)
    }

    fn signed_keys(&self, _: Method, _: &Address, _: Instant) -> Result<SignedKeys, Failure> {
        Ok(SignedKeys::Missing("no\r\nevent=all-is-well".to_owned()))
    }

    fn directory_keys(&self, _: Method, _: &Address, _: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(vec![vec![1; 1_000]; 1_000])
    }
}

impl Taken {
    fn reach(&self) -> Vec<String> {
        let mut said = reach(&self.places);
        let accepted = self.listening.accept();
        said.push(format!("accept a connection: {}", if accepted.is_ok() { "done" } else { "refused" }));
        said
    }
}
