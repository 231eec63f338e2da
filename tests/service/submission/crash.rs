//! Killed at random moments, with an upstream that comes and goes: every 250 is at the sink, and nothing of it in clear.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::killer::Killer;
use crate::{
    proxy::Proxy,
    support::postfix::{Postfix, Sink, present},
};

/// POSTSEAL_CRASH_MESSAGES says how many; 1,000 where it says nothing.
#[test]
fn every_250_is_at_the_sink() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let kill = || {
        proxy.kill();
        proxy.open();
    };
    let run = Run::under(proxy.port(), how_many(1_000), kill, |pause| away(&sink, pause));
    let (copies, partly) = (run.copies(&sink), proxy.log().matches("partly-sent").count());
    let doubled: usize = copies.values().map(|arrivals| arrivals.len() - 1).sum();
    run.tell(
        "a stand-in for Postfix",
        &format!("{doubled} of {} copies doubled, {partly} told partly-sent", copies.len()),
    );
    run.explain(doubled);
}

/// The next hop is away for a while.
fn away(sink: &Sink, pause: &mut dyn FnMut(u64, u64) -> Duration) -> Range<Instant> {
    thread::sleep(pause(200, 1_500));
    let begin = Instant::now();
    sink.hang_up();
    thread::sleep(pause(50, 400));
    sink.resume();
    begin..Instant::now()
}

/// The processes that handle mail are killed, and now and then that with the sockets and that with the keys, and the service stays: none of what it took is lost, and it goes on.
#[test]
fn every_250_is_at_the_sink_when_its_processes_are_killed() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let proxy = Proxy::start(sink.port(), "");
    let mut killer = Killer::of(&proxy);
    let run = Run::under(proxy.port(), how_many(400), || killer.kill_several(), |pause| away(&sink, pause));
    let copies = run.copies(&sink);
    let doubled: usize = copies.values().map(|arrivals| arrivals.len() - 1).sum();
    run.tell("a stand-in for Postfix", &format!("{doubled} of {} copies doubled", copies.len()));
    run.explain(doubled);
    println!("{killer}");
    killer.check();
    // The last one may be on its way.
    let end = Instant::now() + Duration::from_secs(20);
    while proxy.processes_of("judge").is_empty() {
        assert!(Instant::now() < end, "{}", proxy.log());
        thread::sleep(Duration::from_millis(50));
    }
}

/// The same with a real Postfix, which is stopped (its processes finish) and aborted (they do not) by turns, and whose queue is the queue.
#[test]
fn every_250_of_postfix_is_at_the_sink() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let postfix = Postfix::start(sink.port(), &[("in_flow_delay", "0"), ("enable_long_queue_ids", "yes")], "");
    let proxy = Proxy::start(postfix.port(), "");
    let mut is_gentle = false;
    let kill = || {
        proxy.kill();
        proxy.open();
    };
    let run = Run::under(proxy.port(), how_many(300), kill, |pause| {
        thread::sleep(pause(500, 3_000));
        let begin = Instant::now();
        is_gentle = !is_gentle;
        if is_gentle {
            postfix.stop()
        } else {
            postfix.abort()
        }
        thread::sleep(pause(50, 400));
        postfix.resume();
        begin..Instant::now()
    });
    // What Postfix took on, it delivers before it has nothing more to do.
    let end = Instant::now() + Duration::from_secs(300);
    postfix.flush();
    while !postfix.queue().contains("Mail queue is empty") {
        assert!(Instant::now() < end, "{}", postfix.queue());
        thread::sleep(Duration::from_millis(200));
    }
    let (copies, partly) = (run.copies(&sink), proxy.log().matches("partly-sent").count());
    // Taken twice: it has two names in Postfix's queue. Delivered twice: the same name, because Postfix ended between the sink's 250 and its
    // own note of it.
    let (mut taken, mut delivered) = (0, 0);
    for arrivals in copies.values() {
        let mut names: HashMap<&str, Instant> = HashMap::new();
        for Arrival { name, at } in arrivals {
            let Some(before) = names.insert(name, *at) else { continue };
            delivered += 1;
            let is_explained = run.outages.iter().any(|outage| outage.start <= *at && outage.end >= before);
            assert!(is_explained, "Postfix delivered {name} twice, and was there all the time");
        }
        taken += names.len() - 1;
    }
    let doubles = format!("{taken} of {} copies taken twice, {delivered} delivered twice", copies.len());
    run.tell("Postfix", &format!("{doubles}, {partly} told partly-sent"));
    run.explain(taken);
}

pub(super) fn how_many(otherwise: usize) -> usize {
    std::env::var("POSTSEAL_CRASH_MESSAGES").map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What happened while messages were sent.
pub(crate) struct Run {
    pub(crate) total: usize,
    pub(crate) kills: usize,
    pub(crate) outages: Vec<Range<Instant>>,
    pub(crate) tries: usize,
    pub(crate) took: Duration,
}

/// A connection of a client's.
pub(crate) type Connection = BufReader<TcpStream>;

/// A copy at the sink.
pub(super) struct Arrival {
    /// In the queue of Postfix.
    name: String,
    at: Instant,
}

impl Run {
    /// Sends so many messages over 50 connections, each until it is taken, while `kill` kills a postseal and starts it again, again and again, and
    /// `outage` takes something else away and brings it back; it is given something that makes pauses of random length, between so many milliseconds.
    pub(super) fn under(
        port: u16,
        total: usize,
        kill: impl FnMut() + Send,
        outage: impl FnMut(&mut dyn FnMut(u64, u64) -> Duration) -> Range<Instant> + Send,
    ) -> Run {
        let send = |connection: &mut Option<Connection>, number: usize| send(connection, port, number);
        Run::sending(&|number| number < total, CONNECTIONS, &send, kill, outage)
    }

    /// Sends one message over a connection of its own, and says whether it was taken.
    pub(super) fn once(port: u16, number: usize) -> Option<()> {
        send(&mut None, port, number)
    }

    /// As [`Run::under`], as long as `goes_on` says so of the number of a message, over so many connections; `send` sends one, and says whether it was taken.
    pub(crate) fn sending(
        goes_on: &(dyn Fn(usize) -> bool + Sync),
        connections: usize,
        send: &(dyn Fn(&mut Option<Connection>, usize) -> Option<()> + Sync),
        mut kill: impl FnMut() + Send,
        mut outage: impl FnMut(&mut dyn FnMut(u64, u64) -> Duration) -> Range<Instant> + Send,
    ) -> Run {
        let (next, tries, total) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let is_over = AtomicBool::new(false);
        let (mut kills, mut outages) = (0, Vec::new());
        let start = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(|| {
                        let mut connection = None;
                        loop {
                            let number = next.fetch_add(1, Ordering::SeqCst);
                            if !goes_on(number) {
                                return;
                            }
                            total.fetch_add(1, Ordering::SeqCst);
                            // As a mail server does: until somebody takes it.
                            let begun = Instant::now();
                            loop {
                                assert!(begun.elapsed() < Duration::from_secs(300), "{number} is never taken");
                                tries.fetch_add(1, Ordering::SeqCst);
                                match send(&mut connection, number) {
                                    Some(()) => break,
                                    None => thread::sleep(Duration::from_millis(50)),
                                }
                            }
                        }
                    })
                })
                .collect();
            let killing = scope.spawn(|| {
                let mut pause = pauses(88_172_645_463_325_252);
                while !is_over.load(Ordering::SeqCst) {
                    thread::sleep(pause(400, 2_500));
                    kill();
                    kills += 1;
                }
            });
            let stopping = scope.spawn(|| {
                let mut pause = pauses(2_463_534_242_463_534_242);
                while !is_over.load(Ordering::SeqCst) {
                    outages.push(outage(&mut pause));
                }
            });
            let ended: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::SeqCst);
            killing.join().expect("no panic");
            stopping.join().expect("no panic");
            assert!(ended.iter().all(Result::is_ok), "a client gave up");
        });
        assert!(kills > 0 && !outages.is_empty());
        let [total, tries] = [total, tries].map(AtomicUsize::into_inner);
        Run { total, kills, outages, tries, took: start.elapsed() }
    }

    /// Each message's copy for each recipient, as often as it arrived. None is lost, none is in clear.
    pub(super) fn copies(&self, sink: &Sink) -> HashMap<(usize, &'static str), Vec<Arrival>> {
        let mut copies: HashMap<(usize, &'static str), Vec<Arrival>> = HashMap::new();
        for received in sink.received() {
            let text = received.text();
            let number = text.split("Message-ID: <crash.").nth(1).and_then(|rest| rest.split('@').next());
            let number = number.and_then(|number| number.parse().ok()).expect("one of ours");
            // "by mx.postseal.test (Postfix) with ESMTP id 4X1Y2Z for <...>"
            let id = text.split("(Postfix) with ESMTP id ").nth(1).and_then(|rest| rest.split_whitespace().next());
            for address in received.addresses() {
                let address = RECIPIENTS.into_iter().find(|one| *one == address).expect("one of those");
                let arrival = Arrival { name: id.unwrap_or_default().to_owned(), at: received.at };
                copies.entry((number, address)).or_default().push(arrival);
                assert_eq!(text.contains("the secret"), address == "dave@plain.test", "{number} for {address}: {text}");
            }
        }
        // Every client left only when it had heard 250 for every message.
        for number in 0..self.total {
            for address in RECIPIENTS {
                assert!(copies.contains_key(&(number, address)), "lost: {number} for {address}");
            }
        }
        copies
    }

    pub(super) fn tell(&self, upstream: &str, doubles: &str) {
        let Run { total, kills, outages, tries, took } = self;
        let outages = outages.len();
        println!(
            "{total} messages, {CONNECTIONS} connections, {upstream}, {took:.0?}: postseal killed {kills} times, {outages} outages, \
             {tries} tries, {doubles}, 0 lost"
        );
    }

    /// Every copy that was taken more than once has a try behind it that was not answered with 250.
    pub(super) fn explain(&self, doubled: usize) {
        assert!(doubled <= (self.tries - self.total) * RECIPIENTS.len(), "{doubled} doubled by {} tries", self.tries);
    }
}

/// Pauses of random lengths, between so many milliseconds.
pub(crate) fn pauses(mut random: u64) -> impl FnMut(u64, u64) -> Duration {
    move |least, most| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        Duration::from_millis(least + random % (most - least))
    }
}

/// Whether it was taken.
fn send(connection: &mut Option<Connection>, port: u16, number: usize) -> Option<()> {
    let mut client = connected(connection, port)?;
    say(&mut client, "RSET\r\n", "250")?;
    say(&mut client, "MAIL FROM:<alice@example.org>\r\n", "250")?;
    for address in RECIPIENTS {
        say(&mut client, &format!("RCPT TO:<{address}>\r\n"), "250")?;
    }
    say(&mut client, "DATA\r\n", "354")?;
    let message = format!(
        "From: alice@example.org\r\nTo: bob@example.net\r\nMessage-ID: <crash.{number}@example.org>\r\nSubject: x\r\n\r\nthe secret\r\n.\r\n"
    );
    say(&mut client, &message, "250")?;
    *connection = Some(client);
    Some(())
}

/// The connection that there is, or a new one that was greeted.
pub(crate) fn connected(connection: &mut Option<Connection>, port: u16) -> Option<Connection> {
    if let Some(client) = connection.take() {
        return Some(client);
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut client = BufReader::new(stream);
    expect(&mut client, "220")?;
    say(&mut client, "EHLO client.test\r\n", "250")?;
    Some(client)
}

pub(crate) fn say(client: &mut Connection, line: &str, code: &str) -> Option<()> {
    client.get_mut().write_all(line.as_bytes()).ok()?;
    expect(client, code)
}

fn expect(client: &mut Connection, code: &str) -> Option<()> {
    loop {
        let mut line = String::new();
        let read = client.read_line(&mut line).ok()?;
        // Nothing is wrong with the message: a client would not try again, and the mail would be lost.
        assert!(!line.starts_with('5') || code.is_empty(), "refused for good: {line}");
        if read == 0 || !line.starts_with(code) {
            return None;
        }
        if line.as_bytes().get(3) == Some(&b' ') {
            return Some(());
        }
    }
}

const CONNECTIONS: usize = 50;
/// Two who get copies of their own.
const RECIPIENTS: [&str; 2] = ["bob@example.net", "dave@plain.test"];
