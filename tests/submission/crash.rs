//! Killed at random moments, with an upstream that comes and goes: every 250 is at the sink, and nothing of it in clear.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    house::House,
    lab::{Sink, present},
};

/// POSTSEAL_CRASH_MESSAGES says how many; 1,000 where it says nothing.
#[test]
fn every_250_is_at_the_sink() {
    if !present(&["openssl"]) {
        return;
    }
    let total: usize = std::env::var("POSTSEAL_CRASH_MESSAGES").map_or(1_000, |text| text.parse().expect("a number"));
    let sink = Sink::start();
    let house = House::start(sink.port(), "");
    let next = AtomicUsize::new(0);
    let tries = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let taken: Mutex<HashSet<usize>> = Mutex::new(HashSet::new());
    let (mut kills, mut outages) = (0, 0);
    let start = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = None;
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= total {
                            return;
                        }
                        // As a mail server does: until somebody takes it.
                        loop {
                            tries.fetch_add(1, Ordering::SeqCst);
                            match send(&mut connection, house.port(), number) {
                                Some(()) => break,
                                None => thread::sleep(Duration::from_millis(50)),
                            }
                        }
                        taken.lock().expect("nobody panics with it").insert(number);
                    }
                })
            })
            .collect();
        let trouble = scope.spawn(|| {
            let mut random = 88_172_645_463_325_252_u64;
            let mut between = |least: u64, most: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                Duration::from_millis(least + random % (most - least))
            };
            while !is_over.load(Ordering::SeqCst) {
                thread::sleep(between(200, 1_500));
                house.kill();
                kills += 1;
                house.open();
                thread::sleep(between(200, 1_500));
                sink.hang_up();
                outages += 1;
                thread::sleep(between(50, 400));
                sink.resume();
            }
        });
        for client in clients {
            client.join().expect("a client that does not panic");
        }
        is_over.store(true, Ordering::SeqCst);
        trouble.join().expect("no panic");
    });

    let mut copies: HashMap<(usize, String), usize> = HashMap::new();
    for received in sink.received() {
        let text = received.text();
        let number = text.split("Message-ID: <crash.").nth(1).and_then(|rest| rest.split('@').next());
        let number = number.and_then(|number| number.parse().ok()).expect("one of ours");
        for address in received.addresses() {
            *copies.entry((number, address.to_owned())).or_default() += 1;
            assert_eq!(text.contains("the secret"), address == "dave@plain.test", "{number} for {address}: {text}");
        }
    }
    let taken = taken.into_inner().expect("nobody panics with it");
    assert_eq!(taken.len(), total);
    for number in &taken {
        for address in RECIPIENTS {
            assert!(copies.contains_key(&(*number, address.to_owned())), "lost: {number} for {address}");
        }
    }
    let doubled: usize = copies.values().map(|count| count - 1).sum();
    let tried = tries.load(Ordering::SeqCst);
    // Every double has a try behind it that was not answered with 250.
    assert!(doubled <= (tried - total) * RECIPIENTS.len(), "{doubled} doubled by {tried} tries");
    let partly = house.log().matches("partly-sent").count();
    println!(
        "{total} messages, {CONNECTIONS} connections, {:.0?}: {kills} times killed, {outages} outages, {tried} tries, \
        {doubled} of {} copies doubled, {partly} told partly-sent, 0 lost",
        start.elapsed(),
        total * RECIPIENTS.len(),
    );
    assert!(kills > 0 && outages > 0);
}

/// Whether somebody took it.
fn send(connection: &mut Option<BufReader<TcpStream>>, port: u16, number: usize) -> Option<()> {
    let mut client = match connection.take() {
        Some(client) => client,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
            let mut client = BufReader::new(stream);
            expect(&mut client, "220")?;
            say(&mut client, "EHLO client.test\r\n", "250")?;
            client
        }
    };
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

fn say(client: &mut BufReader<TcpStream>, line: &str, code: &str) -> Option<()> {
    client.get_mut().write_all(line.as_bytes()).ok()?;
    expect(client, code)
}

fn expect(client: &mut BufReader<TcpStream>, code: &str) -> Option<()> {
    loop {
        let mut line = String::new();
        let read = client.read_line(&mut line).ok()?;
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
