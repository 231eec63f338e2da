//! Ports of loopback for servers.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    ops::Range,
    process,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A free port of loopback that no other program gets: it is below those that Linux assigns to outgoing
/// connections and for port 0 (ip(7), `ip_local_port_range`), and each is given once in a process.
pub(crate) fn free_port() -> u16 {
    const PORTS: Range<u16> = 10_000..32_768;
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side start at places of their own.
    let first = process::id() % 1_000 * 251;
    (0..PORTS.len())
        .map(|_| first + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|place| PORTS.clone().nth(place as usize % PORTS.len()))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("loopback has a free port")
}

/// Passes connections to `port` of the address of loopback `at` on to the server at `to`.
pub(crate) fn pass_on(at: &str, port: u16, to: u16) -> io::Result<()> {
    let listener = TcpListener::bind((at, port))?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", to)).expect("the server listens");
            for (mut from, mut to) in [
                (client.try_clone().expect("a handle"), server.try_clone().expect("a handle")),
                (server.try_clone().expect("a handle"), client.try_clone().expect("a handle")),
            ] {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    Ok(())
}

/// Waits until a program listens on `port` of loopback; panics after a minute.
pub(crate) fn wait_for_port(port: u16) {
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "no program listens on port {port}");
        thread::sleep(Duration::from_millis(20));
    }
}
