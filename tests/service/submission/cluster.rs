//! Several nodes with one database behind one Postfix: nodes and the database are killed at random, and nothing is lost.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use super::crash::{Arrival, Run, how_many};
use crate::{
    proxy::Proxy,
    support::{
        postfix::{Postfix, Sink, present},
        postgres::{self, Server},
    },
};

/// POSTSEAL_CRASH_MESSAGES says how many; 200 where it says nothing.
#[test]
fn three_nodes_lose_nothing() {
    if !present(&["openssl"]) || !postgres::present() {
        return;
    }
    let sink = Sink::start();
    let database = Mutex::new(Server::start());
    let nodes = nodes(&database.lock().expect("nobody panics with it"), sink.port());
    let postfix = before(&nodes, &sink);
    let mut turn = 0;
    let mut kill = || {
        turn += 1;
        let node = &nodes[turn % nodes.len()];
        node.kill();
        node.open_until_it_stays();
    };
    let run = Run::under(postfix.port(), how_many(200), &mut kill, |pause| {
        thread::sleep(pause(1_500, 4_000));
        let begin = Instant::now();
        let mut database = database.lock().expect("nobody panics with it");
        database.stop();
        thread::sleep(pause(50, 800));
        database.run();
        begin..Instant::now()
    });
    // Postfix takes messages faster than it delivers them: the same goes on while it does.
    let (mut kills, most) = (0, how_many(200) / 40);
    let end = Instant::now() + Duration::from_secs(1_200);
    while !postfix.queue().contains("Mail queue is empty") {
        assert!(Instant::now() < end, "{}", postfix.queue());
        postfix.flush();
        thread::sleep(Duration::from_millis(1_200));
        if kills < most {
            kills += 1;
            let mut database = database.lock().expect("nobody panics with it");
            database.stop();
            thread::sleep(Duration::from_millis(200));
            database.run();
            kill();
        }
    }
    let copies: HashMap<_, Vec<Arrival>> = run.copies(&sink);
    let doubled: usize = copies.values().map(|arrivals| arrivals.len() - 1).sum();
    let log = postfix.log();
    let unsure = log.matches("while sending end of data").count() + log.matches("status=deferred").count();
    run.tell(
        "three nodes behind Postfix",
        &format!(
            "{doubled} of {} copies doubled, {kills} more kills and outages, {unsure} tries deferred",
            copies.len()
        ),
    );
    assert!(doubled <= unsure * 2, "{doubled} doubled, and {unsure} tries were not answered with 250");
    assert!(!log.contains("status=bounced"), "bounced: {log}");
    each_took_part(&nodes);
}

/// A node that can handle no mail is not noticed otherwise: the others do its work.
fn each_took_part(nodes: &[Proxy]) {
    for (at, node) in nodes.iter().enumerate() {
        assert!(node.log().contains("event=relayed"), "node {at} relayed nothing");
    }
}

/// As docs/manual/nodes.md says: each node reads its configuration again, and each is told to stop and started again, one after the other, while mail
/// comes. Nothing is lost, and nothing arrives twice.
#[test]
fn nodes_are_restarted_one_after_the_other() {
    if !present(&["openssl"]) || !postgres::present() {
        return;
    }
    let sink = Sink::start();
    let database = Server::start();
    let nodes = nodes(&database, sink.port());
    let postfix = before(&nodes, &sink);
    let (mut restarted, mut reloaded) = (0, 0);
    let restart = || {
        let node = &nodes[restarted % nodes.len()];
        restarted += 1;
        node.terminate();
        node.open_until_it_stays();
    };
    let run = Run::under(postfix.port(), how_many(40), restart, |pause| {
        thread::sleep(pause(300, 900));
        let begin = Instant::now();
        // Between two restarts a node may be away: another one is told then.
        reloaded += usize::from(nodes[reloaded % nodes.len()].hang_up());
        begin..Instant::now()
    });
    let end = Instant::now() + Duration::from_secs(120);
    let mut turn = 0;
    while turn < nodes.len() || !postfix.queue().contains("Mail queue is empty") {
        assert!(Instant::now() < end, "{}", postfix.queue());
        if let Some(node) = nodes.get(turn) {
            node.terminate();
            node.open_until_it_stays();
        }
        turn += 1;
        postfix.flush();
        thread::sleep(Duration::from_millis(300));
    }
    let copies: HashMap<_, Vec<Arrival>> = run.copies(&sink);
    let doubled = copies.values().filter(|arrivals| arrivals.len() > 1).count();
    run.tell(
        "three nodes, each restarted in turn",
        &format!("{doubled} of {} copies doubled, {reloaded} reloads", copies.len()),
    );
    assert_eq!(doubled, 0, "a node that is told to stop finishes what it has");
    assert!(reloaded > 0 && !postfix.log().contains("status=bounced"), "{}", postfix.log());
    let log: String = nodes.iter().map(Proxy::log).collect();
    assert!(log.contains("configuration-loaded") && !log.contains("configuration-rejected"), "{log}");
}

/// A Postfix that passes mail to these nodes, as the manual says, and what they send to the sink.
fn before(nodes: &[Proxy], sink: &Sink) -> Postfix {
    let any = nodes.iter().enumerate().fold(of_the_manual(), |printed, (at, node)| {
        printed.replace(&format!("[192.0.2.{}]:10025", at + 1), &format!("[127.0.0.1]:{}", node.port()))
    });
    assert!(!any.contains("192.0.2"), "{any}");
    let settings = [
        ("transport_maps", any.as_str()),
        ("in_flow_delay", "0"),
        ("enable_long_queue_ids", "yes"),
        // Each try asks for a node anew.
        ("smtp_connection_cache_on_demand", "no"),
        ("default_destination_concurrency_failed_cohort_limit", "0"),
    ];
    Postfix::start(sink.port(), &settings, "")
}

/// The value of `transport_maps` that docs/manual/nodes.md prints.
fn of_the_manual() -> String {
    let page = include_str!("../../../docs/manual/nodes.md");
    let (_, after) = page.split_once("postconf -e 'transport_maps = ").expect("the page has the line");
    after.split_once('\'').expect("it ends").0.to_owned()
}

/// Three, with the keys of the first one in the database.
fn nodes(database: &Server, upstream: u16) -> Vec<Proxy> {
    let url = format!("{}&timeout=2", database.database("cluster"));
    let first = Proxy::furnished(upstream, "", |proxy| {
        proxy.postseal(&["store", "migrate", &url]);
        String::new()
    });
    let key = fs::read(first.path("home/master.key")).expect("a master key");
    let other = || {
        Proxy::furnished(upstream, "", |proxy| {
            let home = proxy.path("home");
            for entry in fs::read_dir(&home).expect("a home") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("it goes");
            }
            let file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(home.join("master.key"));
            file.and_then(|mut file| file.write_all(&key)).expect("a master key");
            proxy.postseal(&["store", "connect", &url]);
            String::new()
        })
    };
    let others = [other(), other()];
    [first].into_iter().chain(others).collect()
}
