//! A key store that is killed while the processes of the service are killed too, and the next server comes and goes.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use super::{
    crash::{Run, how_many},
    killer::Killer,
};
use crate::{
    proxy::Proxy,
    support::{
        postfix::{Sink, present},
        postgres::{self, Server},
    },
};

/// The home is in PostgreSQL, whose server is killed (SIGKILL), or one process of it, again and again. POSTSEAL_CRASH_MESSAGES says how many messages; 200
/// where it says nothing.
#[test]
fn every_250_is_at_the_sink_when_its_store_is_killed() {
    if !present(&["openssl"]) || !postgres::present() {
        return;
    }
    let sink = Sink::start();
    let mut store = Server::start();
    let url = format!("{}&timeout=1", store.database(DATABASE));
    let proxy = Proxy::furnished(sink.port(), "", |proxy| {
        proxy.postseal(&["store", "migrate", &url]);
        String::new()
    });
    let (mut killer, mut services) = (Killer::of(&proxy), 0);
    let mut turn = 0;
    let kill = || {
        turn += 1;
        if turn % 4 == 0 {
            services += 1;
            proxy.kill();
            proxy.open_until_it_stays();
        } else {
            killer.kill_several();
        }
    };
    let (mut outages, mut done) = (0.., BTreeMap::<_, usize>::new());
    let run = Run::under(proxy.port(), how_many(200), kill, |pause| {
        thread::sleep(pause(100, 900));
        let begin = Instant::now();
        let what = match outages.next().expect("endless") % 5 {
            0 => {
                store.kill();
                thread::sleep(pause(50, 800));
                store.run();
                "store killed"
            }
            1 => {
                if store.kill_backend(DATABASE) {
                    "process of the store killed"
                } else {
                    "no process of the store to kill"
                }
            }
            2 => {
                sink.hang_up();
                thread::sleep(pause(50, 400));
                sink.resume();
                "next server gone"
            }
            3 => {
                store.freeze("STOP");
                thread::sleep(pause(100, 2_000));
                store.freeze("CONT");
                "store silent"
            }
            _ => {
                sink.hang_up();
                store.kill();
                thread::sleep(pause(50, 400));
                store.run();
                sink.resume();
                "both gone"
            }
        };
        *done.entry(what).or_default() += 1;
        begin..Instant::now()
    });
    let copies = run.copies(&sink);
    let doubled: usize = copies.values().map(|arrivals| arrivals.len() - 1).sum();
    run.tell("a home in PostgreSQL", &format!("{doubled} of {} copies doubled", copies.len()));
    run.explain(doubled);
    println!("the service killed {services} times; {killer}; {done:?}");
    killer.check();
    assert!(done.contains_key("store killed"), "{done:?}");
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
    // It finds the store again by itself, at once.
    store.kill();
    store.run();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(10);
    while Run::once(proxy.port(), run.total).is_none() {
        assert!(Instant::now() < end, "{}", proxy.log());
        thread::sleep(Duration::from_millis(100));
    }
    println!("the next message was taken {:.1?} after the store was back", begin.elapsed());
}

const DATABASE: &str = "crash";
