//! The service asks the network by a process that has nothing else.

use std::{
    fs,
    net::TcpListener,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{Net, served::serve};
use crate::support::{
    clients::{Letter, dialogue},
    lab::Lab,
    office::{DISCOVERY, Office},
    served::{Configured, STRANGER, Served, TRUSTED, log},
    sockets::Watched,
};

const NETWORK: &str = "postseal: network";

const FOUND: [[&str; 3]; 2] = [
    ["local", "recipient = \"example.org\"\ndirection = \"inbound\"", "verify"],
    ["found", "discover = true", "encrypt"],
];

/// A letter of a trusted client.
pub(super) fn to(recipient: &'static str) -> Letter<'static> {
    Letter {
        client: TRUSTED,
        sender: "alice@example.org",
        recipient,
        message: "From: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n",
    }
}

fn of_status(id: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

/// Each source of keys, and both of revocations: the connections are those of the process for the network, and no other process has one.
#[test]
fn only_the_process_for_the_network_asks_servers() {
    let Some(mut office) = Office::open() else { return };
    office.close();
    // The servers for CRLs and OCSP responses, the directory, and the name server.
    let [lists, responder] = office.ports.map(Watched::at);
    let [directory, names] = [Watched::anywhere(), Watched::anywhere()];
    office.write_mail("mail");
    let rules = [
        ["authentic", "direction = \"inbound\"\nstanding = [\"authentic\"]", "annotate"],
        ["in", "direction = \"inbound\"", "reject"],
        ["found", "discover = true", "encrypt"],
    ];
    office.lab.run(&["key", "generate", "--no-passphrase", "-f", "pgp", "alice@example.org"]).code(0);
    let configured = Configured::new(&office.lab, "220 next", &rules);
    let text = String::from_utf8(office.lab.read("postseal.toml")).expect("UTF-8");
    let discovery = format!(
        "{DISCOVERY}methods = [\"wkd\", \"openpgpkey\", \"smimea\", \"ldap\"]\nname-servers = [\"127.0.0.1:{}\"]\n\
         [discovery.ldap]\nservers = [\"ldap://127.0.0.1:{}\"]\ntls = \"none\"\nbase = \"dc=example,dc=org\"\n",
        names.port, directory.port
    );
    let lines = "revocation = \"hard\"\nrevocation-fetch = \"both\"\nisolation = \"processes\"";
    // S/MIME for all that is found, and OpenPGP.
    let text = text.replace("protocol = [\"pgp\"]", "protocol = [\"pgp\", \"smime\"]");
    office.lab.write("postseal.toml", format!("{lines}\n{text}{discovery}"));
    let served = configured.serve().unwrap_or_else(|code| panic!("exit code {code}: {}", log(&office.lab)));
    let message = String::from_utf8(office.lab.read("mail")).expect("text");
    let signed =
        Letter { client: STRANGER, sender: "alice@example.org", recipient: "carol@example.org", message: &message };
    let reply = dialogue(served.smtp(), "EHLO", &signed);
    assert!(!reply.starts_with("250"), "the status is not known: {reply}");
    let reply = dialogue(served.smtp(), "EHLO", &to("bob@a.test"));
    assert!(reply.starts_with("451"), "{reply}\n{}", log(&office.lab));
    let asked = |server: &Watched| {
        let mut seen = server.seen();
        seen.sort();
        seen.dedup();
        seen
    };
    let log = log(&office.lab);
    for (what, server) in [("lists", &lists), ("responder", &responder), ("directory", &directory)] {
        assert_eq!(asked(server), [("tcp", NETWORK.to_owned())], "{what}: {log}");
    }
    // The names of hosts by UDP, records with keys by TCP.
    assert_eq!(asked(&names), [("tcp", NETWORK.to_owned()), ("udp", NETWORK.to_owned())], "{log}");
    let [process] = served.processes(NETWORK)[..] else { panic!("{:?}", served.processes("postseal")) };
    given_up(process, &office.lab);
    drop(served);
    let end = Instant::now() + Duration::from_secs(10);
    while fs::exists(format!("/proc/{process}/cmdline")).unwrap_or(false)
        && of_status(process, "State:") != "Z (zombie)"
    {
        assert!(Instant::now() < end, "it outlives the service");
        thread::sleep(Duration::from_millis(20));
    }
}

/// It has its connection, the log, and what waits for the network.
fn given_up(process: u32, lab: &Lab) {
    assert_eq!(of_status(process, "Seccomp:"), "2");
    assert_eq!(of_status(process, "NoNewPrivs:"), "1");
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("limits");
    assert!(
        limits.lines().any(|line| line.starts_with("Max core file size        0                    0")),
        "{limits}"
    );
    let log = lab.path("log").display().to_string();
    let allowed = ["/dev/null", "socket", "anon_inode", &log];
    let names = |of: &str| -> Vec<String> {
        let open = fs::read_dir(format!("/proc/{of}/fd")).expect("descriptors").flatten();
        open.filter_map(|one| fs::read_link(one.path()).ok()).map(|name| name.display().to_string()).collect()
    };
    // What the shell of this test left open for every program is not the service's.
    let left = names("self");
    let others: Vec<String> = names(&process.to_string())
        .into_iter()
        .filter(|name| !left.contains(name) && !allowed.contains(&name.split(':').next().unwrap_or_default()))
        .collect();
    assert_eq!(others, Vec::<String>::new());
}

/// A service that asks nobody has no process for it, and neither has one that is to be one process.
#[test]
fn who_asks_nothing_has_no_process_for_the_network() {
    let lab = Lab::with_keys(&["alice"]);
    let rules = [["clear", "direction = \"outbound\"", "clear"]];
    let served = Configured::new(&lab, "220 next", &rules).serve().expect("it starts");
    assert_eq!((served.processes(NETWORK), served.processes("postseal: judge").is_empty()), (vec![], false));
    drop(served);
    let lab = Lab::with_keys(&["alice"]);
    let configured = Configured::new(&lab, "220 next", &FOUND);
    let text = String::from_utf8(lab.read("postseal.toml")).expect("UTF-8");
    lab.write("postseal.toml", format!("isolation = \"none\"\n{text}"));
    let served = configured.serve().expect("it starts");
    assert_eq!((served.processes(NETWORK), served.processes("postseal: judge")), (vec![], vec![]));
}

/// The mail whose look-up ends with the process is put off, and the next one gets another process.
#[test]
fn a_process_for_the_network_that_is_killed_costs_its_look_ups() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let slow = format!("location / {{ proxy_pass http://{}; }}", silent.local_addr().expect("an address"));
    let Some(net) = Net::new(&[("openpgpkey.a.test", ""), ("openpgpkey.slow.test", &slow)], "") else { return };
    net.publish_new("bob@a.test");
    let served = serve(&net, &FOUND, "");
    let [first] = served.processes(NETWORK)[..] else { panic!("{:?}", served.processes("postseal")) };
    let start = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| dialogue(served.smtp(), "EHLO", &to("carol@slow.test")));
        // The server was asked, and has not answered.
        let _asked = silent.accept().expect("a connection");
        assert!(Command::new("kill").args(["-KILL", &first.to_string()]).status().expect("kill runs").success());
        let reply = waiting.join().expect("a reply");
        assert!(reply.starts_with("451"), "{reply}");
    });
    // Not the two seconds of the source.
    assert!(start.elapsed() < Duration::from_millis(1_800), "{:?}", start.elapsed());
    let reply = dialogue(served.smtp(), "EHLO", &to("bob@a.test"));
    assert!(reply.starts_with("250"), "{reply}\n{}", log(&net.lab));
    let delivered = served.delivered();
    assert!(delivered.len() == 1 && delivered[0].contains("BEGIN PGP MESSAGE"), "{delivered:?}");
    let [second] = served.processes(NETWORK)[..] else { panic!("{:?}", served.processes("postseal")) };
    assert_ne!(first, second);
    let page = served.page("/metrics");
    assert!(page.contains("\npostseal_processes_ended_total{role=\"network\"} 1\n"), "{page}");
    let log = log(&net.lab);
    let ended: Vec<&str> = log.lines().filter(|line| line.contains("event=network-ended")).collect();
    assert!(ended.len() == 1 && ended[0].contains("signal: 9 (SIGKILL)"), "{log}");
    assert!(log.contains("the process that asks the network ended (signal: 9 (SIGKILL))"), "{log}");
}

/// How long a look-up takes with the process and without: `cargo test --test service takes_as_long -- --ignored --nocapture`.
#[test]
#[ignore = "prints times"]
fn a_look_up_takes_as_long() {
    let Some(net) = Net::new(&[("openpgpkey.a.test", "")], "") else { return };
    for number in 0..200 {
        net.publish_new(&format!("bob{number}@a.test"));
    }
    net.lab.run(&["key", "generate", "--no-passphrase", "alice@example.org"]).code(0);
    for isolation in ["processes", "none", "processes", "none"] {
        net.lab.shell("rm -f next home/discovery.sqlite*").code(0);
        let configured = Configured::new(&net.lab, "220 next", &FOUND);
        let text = String::from_utf8(net.lab.read("postseal.toml")).expect("UTF-8");
        net.lab.write("postseal.toml", format!("isolation = \"{isolation}\"\n{text}{}", net.discovery("")));
        let served: Served<'_> = configured.serve().unwrap_or_else(|code| panic!("{code}: {}", log(&net.lab)));
        let mut whole = Vec::new();
        for number in 0..200 {
            let recipient: &'static str = format!("bob{number}@a.test").leak();
            let start = Instant::now();
            let reply = dialogue(served.smtp(), "EHLO", &to(recipient));
            whole.push(start.elapsed());
            assert!(reply.starts_with("250") || reply.starts_with("550"), "{reply}");
        }
        let log = log(&net.lab);
        let took = |line: &str| line.split("took_ms=").nth(1)?.split(' ').next()?.trim().parse::<u64>().ok();
        let mut took: Vec<u64> = log.lines().filter(|line| line.contains("key-looked-up")).filter_map(took).collect();
        took.sort_unstable();
        whole.sort();
        println!("{isolation}: {} look-ups, median {} ms, 95th percentile {} ms", took.len(), took[100], took[190]);
        println!("{isolation}: mail: median {:?}, 95th percentile {:?}", whole[100], whole[190]);
    }
}
