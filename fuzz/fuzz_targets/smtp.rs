//! Any octets from an SMTP or LMTP client: no panic, replies that are replies, and no message with a line that ends otherwise than in CRLF.
#![no_main]

mod wire;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    policy::Pattern,
    report::Metrics,
    transport::{
        Connection, Listener, Load, MemoryLimit, SessionId,
        relay::{Host, Relay},
        smtp::{BareLf, Caller, Clients, Dialect, Login, Protection, Server, Settings, Timeouts},
        tls::{Connector, Security},
    },
};
use tokio::sync::{Semaphore, watch};

fuzz_target!(|octets: &[u8]| {
    let Some((first, said)) = octets.split_first() else { return };
    let dialect = if first & 1 == 0 { Dialect::Smtp } else { Dialect::Lmtp };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let peer = wire::Peer::new(said);
    let heard = Arc::clone(&peer.heard);
    runtime.block_on(async {
        let (_stop, stopping) = watch::channel(false);
        let connection = Connection { stream: Box::new(peer), peer: None, load: Load::none() };
        let session = SessionId::new(&SystemRandom).unwrap();
        let server = Arc::clone(&SERVERS[usize::from(dialect == Dialect::Lmtp)]);
        _ = server.serve(connection, session, stopping).await;
    });
    let heard = heard.lock().unwrap();
    assert!(heard.is_empty() || heard.ends_with(b"\r\n"));
    for line in heard.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").expect("a CRLF");
        assert!(line.len() <= 510 && line.is_ascii() && !line.contains(&b'\r'));
        assert!(line.len() >= 3 && line[..3].iter().all(u8::is_ascii_digit), "{:?}", String::from_utf8_lossy(line));
        assert!(matches!(line.get(3), None | Some(b' ' | b'-')));
    }
});

/// Made once: a connector reads the authorities of the machine.
static SERVERS: LazyLock<[Arc<Server>; 2]> =
    LazyLock::new(|| [Dialect::Smtp, Dialect::Lmtp].map(|dialect| Arc::new(server(dialect))));

fn server(dialect: Dialect) -> Server {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { connect: second, command: second, block: second, end: second };
    let caller =
        Caller { name: "mx.example.org".to_owned(), timeouts, connector: Connector::new(), dialect: Dialect::Smtp };
    let relay = Relay::new(caller, Host::Unix("/nowhere".into()), Security::None);
    let settings = Settings {
        bounces: None,
        kind: "relay",
        dialect,
        clients: Clients::Anyone,
        name: "mx.example.org".to_owned(),
        protection: Protection::None,
        login: Login::None,
        login_limits: Arc::default(),
        rate_limits: Default::default(),
        metrics: Arc::new(Metrics::default()),
        trusted: Vec::new(),
        peers: Vec::new(),
        aliases: None,
        local: vec![Pattern::parse("*").unwrap()],
        limits: Limits { message: 64 * 1024, ..Limits::default() },
        recipients: 10,
        per_client: 10,
        memory: MemoryLimit::new(64 * 1024 * 1024, &Limits::default()),
        timeouts,
        bare_lf: if dialect == Dialect::Smtp { BareLf::Reject } else { BareLf::Normalize },
        clock: Arc::new(SystemClock),
        quarantine: None,
    };
    Server::new(Arc::new(wire::Counting::default()), Arc::new(relay), Arc::new(Semaphore::new(4)), settings)
}
