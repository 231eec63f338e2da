//! The processes of `serve`: which there are, and what they have.

use std::{
    collections::HashSet,
    fs,
    net::TcpStream,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    proxy::Proxy,
    support::{
        clients::{Letter, dialogue},
        lab::{Done, POSTSEAL},
        postfix::{Sink, present},
    },
};

/// One letter of alice's goes through.
fn send(proxy: &Proxy, sink: &Sink) {
    let before = sink.received().len();
    let letter = Letter {
        client: "127.0.0.1",
        sender: "alice@example.org",
        recipient: "dave@plain.test",
        message: "From: alice@example.org\r\nTo: dave@plain.test\r\nSubject: x\r\n\r\nhello\r\n",
    };
    let sent = dialogue(proxy.port(), "EHLO", &letter);
    assert!(sent.starts_with("250"), "{sent}\n{}", proxy.log());
    assert_eq!(sink.received().len(), before + 1);
}

fn of_status(id: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

/// How many sockets of TCP a process has.
fn tcp_sockets(id: u32) -> usize {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default());
    let nodes: HashSet<&str> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let names = open.filter_map(|one| fs::read_link(one.ok()?.path()).ok()).map(|name| name.display().to_string());
    names
        .filter(|name| name.strip_prefix("socket:[").is_some_and(|node| nodes.contains(node.trim_end_matches(']'))))
        .count()
}

/// Connections end with it, and the next one is served.
#[test]
fn a_front_that_ends_is_started_again() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    send(&proxy, &sink);
    let first = proxy.processes_of("front");
    for round in 0..3 {
        let front = proxy.processes_of("front")[0];
        assert!(Command::new("kill").args(["-KILL", &front.to_string()]).status().unwrap().success());
        let end = Instant::now() + Duration::from_secs(20);
        while proxy.log().matches("event=front-started").count() <= round {
            assert!(Instant::now() < end, "{}", proxy.log());
            thread::sleep(Duration::from_millis(20));
        }
        send(&proxy, &sink);
    }
    assert_ne!(proxy.processes_of("front"), first);
    assert!(proxy.log().matches("event=front-ended").count() >= 3, "{}", proxy.log());
    // Also while it is told of another configuration.
    for _ in 0..10 {
        proxy.hang_up();
        if let Some(front) = proxy.processes_of("front").first() {
            let _ = Command::new("kill").args(["-KILL", &front.to_string()]).stderr(Stdio::null()).status().unwrap();
        }
        thread::sleep(Duration::from_millis(30));
    }
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", proxy.port())).is_err() {
        assert!(Instant::now() < end, "{}", proxy.log());
        thread::sleep(Duration::from_millis(50));
    }
    // It has the configuration that was loaded last, and a reload is told to it.
    proxy.reload("event=configuration-loaded");
    send(&proxy, &sink);
    proxy.terminate();
}

/// Everything ends with it, and is there again; what was in force stays so.
#[test]
fn a_process_with_keys_that_ends_is_started_again() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    send(&proxy, &sink);
    let supervisor = proxy.processes()[0];
    for round in 1..=3 {
        let keys = proxy.processes_of("keys");
        assert_eq!(keys.len(), 1, "{}", proxy.log());
        if round == 3 {
            // A file that cannot be used changes nothing.
            let right = fs::read_to_string(proxy.path("postseal.toml")).unwrap();
            fs::write(proxy.path("postseal.toml"), format!("{right}\n[nonsense]\n")).unwrap();
        }
        assert!(Command::new("kill").args(["-KILL", &keys[0].to_string()]).status().unwrap().success());
        let end = Instant::now() + Duration::from_secs(20);
        while proxy.log().matches("event=keys-started").count() < round {
            assert!(Instant::now() < end, "{}", proxy.log());
            thread::sleep(Duration::from_millis(20));
        }
        send(&proxy, &sink);
        assert_ne!(proxy.processes_of("keys"), keys);
    }
    assert_eq!(proxy.log().matches("event=keys-ended").count(), 3, "{}", proxy.log());
    assert_eq!(proxy.processes()[0], supervisor);
    proxy.terminate();
}

/// It is told to stop, and takes another configuration, also while none serves.
#[test]
fn a_process_with_keys_that_never_serves_holds_nothing_up() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    send(&proxy, &sink);
    let fails = |home: &str, away: &str| {
        let before = proxy.log().matches("event=keys-failed").count();
        fs::rename(proxy.path(home), proxy.path(away)).unwrap();
        let keys = proxy.processes_of("keys")[0].to_string();
        assert!(Command::new("kill").args(["-KILL", &keys]).status().unwrap().success());
        let end = Instant::now() + Duration::from_secs(20);
        while proxy.log().matches("event=keys-failed").count() < before + 3 {
            assert!(Instant::now() < end, "{}", proxy.log());
            thread::sleep(Duration::from_millis(20));
        }
    };
    fails("home", "away");
    let right = fs::read_to_string(proxy.path("postseal.toml")).unwrap();
    fs::write(proxy.path("postseal.toml"), right.replace("home = \"home\"", "home = \"away\"")).unwrap();
    let process = proxy.processes()[0].to_string();
    assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", proxy.port())).is_err() {
        assert!(Instant::now() < end, "{}", proxy.log());
        thread::sleep(Duration::from_millis(50));
    }
    send(&proxy, &sink);
    fails("away", "home");
    let begin = Instant::now();
    proxy.terminate();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// A reload that takes another home has another process; one that cannot be used leaves the one before.
#[test]
fn a_reload_may_take_another_home() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    send(&proxy, &sink);
    let first = proxy.processes_of("keys");
    let right = fs::read_to_string(proxy.path("postseal.toml")).unwrap();
    // It is not made by a reload, nor is another one used.
    let missing = right.replace("home = \"home\"", "home = \"other\"\nhome-must-exist = true");
    fs::write(proxy.path("postseal.toml"), &missing).unwrap();
    proxy.reload("event=configuration-rejected");
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", proxy.port())).is_err() {
        assert!(Instant::now() < end, "{}", proxy.log());
        thread::sleep(Duration::from_millis(50));
    }
    send(&proxy, &sink);
    assert!(Command::new("cp").arg("-r").arg(proxy.path("home")).arg(proxy.path("other")).status().unwrap().success());
    proxy.reload("event=configuration-loaded");
    send(&proxy, &sink);
    let second = proxy.processes_of("keys");
    assert_ne!(first, second);
    // It has what it takes: a reload of the same stays with it.
    proxy.reload("event=configuration-loaded");
    assert_eq!(proxy.processes_of("keys"), second);
    send(&proxy, &sink);
    assert!(proxy.log().contains("event=keys-replaced"), "{}", proxy.log());
    proxy.terminate();
}

#[test]
fn mail_is_handled_in_processes_that_gave_everything_up() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    send(&proxy, &sink);
    let judges = proxy.processes_of("judge");
    assert!(!judges.is_empty(), "{}", proxy.log());
    for judge in &judges {
        assert_eq!(of_status(*judge, "Seccomp:"), "2");
        assert_eq!(of_status(*judge, "NoNewPrivs:"), "1");
        // The connection twice (as it was born, and as it is used), nothing for its output, and the log.
        let open = fs::read_dir(format!("/proc/{judge}/fd")).unwrap();
        let mut open: Vec<String> = open
            .map(|one| fs::read_link(one.unwrap().path()).unwrap().display().to_string())
            .map(|name| name.split(':').next().unwrap().to_owned())
            .collect();
        open.sort();
        let log = proxy.path("log").display().to_string();
        let allowed = ["/dev/null", "socket", &log];
        // What the shell of this test left open for every program is not the service's.
        let own = fs::read_dir("/proc/self/fd").unwrap().filter_map(|one| fs::read_link(one.ok()?.path()).ok());
        let own: Vec<String> = own.map(|name| name.display().to_string()).collect();
        let is_left = |name: &String| own.iter().any(|one| one.split(':').next() == Some(name.as_str()));
        assert!(open.iter().all(|name| allowed.contains(&name.as_str()) || is_left(name)), "{open:?}");
        assert!(open.iter().filter(|name| *name == "socket").count() <= 2, "{open:?}");
        let environment = fs::read(format!("/proc/{judge}/environ")).unwrap();
        assert!(
            !String::from_utf8_lossy(&environment).contains("HOME="),
            "what no library reads stays with the service"
        );
    }
    // The sockets are those of the front, and the keys are not.
    let (fronts, keys, service) = (proxy.processes_of("front"), proxy.processes_of("keys"), proxy.processes()[0]);
    for processes in [&fronts, &keys] {
        assert_eq!(processes.len(), 1, "{}", proxy.log());
        assert_eq!(of_status(processes[0], "Seccomp:"), "2");
        assert_eq!(of_status(processes[0], "NoNewPrivs:"), "1");
    }
    assert!(tcp_sockets(fronts[0]) > 0);
    assert_eq!(tcp_sockets(keys[0]), 0);
    assert_eq!(tcp_sockets(service), 0);
    // What root may do beyond other users: nothing; with files; with files, and ports below 1024.
    let capabilities = |id: u32| u64::from_str_radix(&of_status(id, "CapEff:"), 16).unwrap();
    assert_eq!((capabilities(judges[0]), capabilities(keys[0]) & !0xf, capabilities(fronts[0]) & !0x40e), (0, 0, 0));
    let open =
        fs::read_dir(format!("/proc/{service}/fd")).unwrap().filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    let home = proxy.path("home");
    assert!(open.into_iter().all(|file| !file.starts_with(&home)), "the home is that of the process with the keys");
    // A reload has judges of its own.
    proxy.reload("event=configuration-loaded");
    send(&proxy, &sink);
    let after = proxy.processes_of("judge");
    assert!(!after.is_empty() && after.iter().any(|judge| !judges.contains(judge)), "{judges:?} {after:?}");
    // They end with the service.
    proxy.terminate();
    for _ in 0..100 {
        if after.iter().all(|judge| !fs::exists(format!("/proc/{judge}/cmdline")).unwrap_or(false)) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("judges are left: {after:?}");
}

#[test]
fn the_setting_says_how_far_they_are_apart() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let alone = Proxy::start(sink.port(), "isolation = \"none\"");
    send(&alone, &sink);
    assert_eq!(alone.processes_of("judge"), Vec::<u32>::new());
    let release = String::from_utf8(Command::new("uname").arg("-r").output().unwrap().stdout).unwrap();
    let mut numbers = release.split(['.', '-']).filter_map(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (6, 12) {
        println!("NOT TESTED: isolation = \"require\": Linux {release} does not enforce all of it");
        return;
    }
    // With something to ask of the network, there is a process for that too, and the same one after a reload.
    let strict = Proxy::start(sink.port(), "isolation = \"require\"\ndiscovery.refresh = 7");
    send(&strict, &sink);
    assert!(!strict.processes_of("judge").is_empty());
    let before = strict.processes_of("network");
    assert_eq!(before.len(), 1, "{}", strict.log());
    strict.reload("event=configuration-loaded");
    assert_eq!(strict.processes_of("network"), before);
}

/// Nobody runs as one by hand: it waits for the service, and ends without it.
#[test]
fn a_process_without_a_service_ends() {
    for (name, code) in [("postseal: judge", 75), ("postseal: keys", 64), ("postseal: network", 75)] {
        let mut alone = Command::new(POSTSEAL);
        alone.arg0(name).stdin(Stdio::null());
        Done::of(alone.output().unwrap()).refused(code, "another process of the service");
    }
}
