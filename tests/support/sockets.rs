//! Which process has the other end of a connection on loopback.

use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// A port of TCP and UDP that takes what comes, says nothing, and knows who asked.
pub(crate) struct Watched {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<(&'static str, String)>>>,
}

impl Watched {
    /// At any port.
    pub(crate) fn anywhere() -> Watched {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
            // The same one of UDP may be taken.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")) {
                return Watched::of(tcp, Some(udp));
            }
        }
    }

    /// At this port of TCP.
    pub(crate) fn at(port: u16) -> Watched {
        Watched::of(TcpListener::bind(("127.0.0.1", port)).expect("the port is free"), None)
    }

    fn of(tcp: TcpListener, udp: Option<UdpSocket>) -> Watched {
        let port = tcp.local_addr().expect("an address").port();
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let note = |seen: &Mutex<Vec<_>>, kind, peer| {
            seen.lock().expect("no panic elsewhere").push((kind, owner(kind, peer)));
        };
        let by_tcp = Arc::clone(&seen);
        thread::spawn(move || {
            while let Ok((stream, peer)) = tcp.accept() {
                note(&by_tcp, "tcp", peer);
                drop(stream);
            }
        });
        if let Some(udp) = udp {
            let by_udp = Arc::clone(&seen);
            thread::spawn(move || {
                while let Ok((_, peer)) = udp.recv_from(&mut [0; 4_096]) {
                    note(&by_udp, "udp", peer);
                }
            });
        }
        Watched { port, seen }
    }

    /// Who asked so far: `tcp` or `udp`, and the name of the process.
    pub(crate) fn seen(&self) -> Vec<(&'static str, String)> {
        self.seen.lock().expect("no panic elsewhere").clone()
    }
}

/// The command line of the process whose socket has this address (proc_net_tcp(5)).
fn owner(kind: &str, address: SocketAddr) -> String {
    let table = fs::read_to_string(format!("/proc/net/{kind}")).expect("a table");
    let port = format!(":{:04X}", address.port());
    let of_it = |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port));
    let Some(line) = table.lines().find(of_it) else { return "nobody".to_owned() };
    let socket = format!("socket:[{}]", line.split_whitespace().nth(9).expect("an inode"));
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        let has = |name: fs::DirEntry| fs::read_link(name.path()).is_ok_and(|to| to.as_os_str() == socket.as_str());
        if open.flatten().any(has) {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            return String::from_utf8_lossy(line.split(|octet| *octet == 0).next().unwrap_or_default()).into_owned();
        }
    }
    "nobody".to_owned()
}
