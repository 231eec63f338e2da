//! A server that is a millisecond away.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use super::*;

/// Passes connections on to a server, and each thing that a client says a while later.
struct Distance {
    folder: tempfile::TempDir,
}

impl Distance {
    fn new(server: &Server, delay: Duration) -> Distance {
        let folder = private();
        let name = format!(".s.PGSQL.{}", server.port);
        let listener = UnixListener::bind(folder.path().join(&name)).unwrap();
        let behind = server.path(&name);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&behind) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from, to, delay));
                thread::spawn(move || pass(server, client, Duration::ZERO));
            }
        });
        Distance { folder }
    }

    /// The URL of a database over it.
    fn url(&self, server: &Server, name: &str) -> String {
        format!("postgres://postgres@/{name}?host={}&port={}", self.folder.path().display(), server.port)
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, delay: Duration) {
    let mut octets = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut octets) {
        thread::sleep(delay);
        if to.write_all(&octets[..length]).is_err() {
            break;
        }
    }
    // The other side sees the end.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// How many look-ups of addresses that were not asked for before `threads` do in a second.
fn a_second(keys: &Keystore, threads: usize) -> usize {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let (begin, done) = (Instant::now(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while begin.elapsed() < SECOND {
                    let number = ASKED.fetch_add(1, Ordering::Relaxed);
                    let wanted = address(&format!("absent{number}@example.org"));
                    let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&wanted)));
                    assert!(found.unwrap().is_empty());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner()
}

#[test]
fn look_ups_do_not_wait_for_one_another() {
    if !is_present() {
        return;
    }
    let server = Server::shared();
    server.database("distant");
    let distance = Distance::new(server, Duration::from_millis(1));
    let machine = Machine::new(&[&distance.url(server, "distant")]);
    let keys = machine.open();
    fill(&keys);
    // Statements are prepared once for each connection.
    a_second(&keys, 8);
    let (one, eight) = (a_second(&keys, 1), a_second(&keys, 8));
    println!("look-ups a second of unknown addresses, 1 ms away: {one} by one thread, {eight} by eight");
    assert!(eight > 2 * one, "{eight} by eight threads, {one} by one");
}
