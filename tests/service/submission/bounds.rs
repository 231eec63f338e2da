//! Strangers who guess passwords, hold connections or send mail in circles do not lock out the others.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    proxy::Proxy,
    submission::{
        dialogue::Client,
        login::{Checking, plain},
    },
    support::{
        ports::free_port,
        postfix::{Sink, present},
    },
};

/// Beyond the limits of an address and of a name no password is checked; an address that logged in before is not affected.
#[test]
fn guesses_are_limited_by_address_and_by_name() {
    if !present(&["openssl"]) {
        return;
    }
    let checking = Checking::with(free_port(), "trusted.peers = [\"127.0.0.1\"]");
    let from = |address: &str| {
        let mut client = checking.client();
        assert!(client.say(format!("XCLIENT ADDR={address}\r\n")).starts_with("220"));
        client.say("EHLO client.test\r\n");
        client
    };
    let right = plain("eve@example.org", "password");
    assert!(from("192.0.2.1").say(&right).starts_with("235"));
    // Twenty attempts with the name are checked, from whatever addresses, and no more.
    let mut guessing: Vec<Client> = (0..30).map(|number| from(&format!("198.51.100.{number}"))).collect();
    guessing.iter_mut().for_each(|client| client.write(plain("eve@example.org", "guess")));
    let said: Vec<String> = guessing.iter_mut().map(Client::hear).collect();
    let count = |reply: &str| said.iter().filter(|said| *said == reply).count();
    assert_eq!(count("535 5.7.8 Error: authentication failed\r\n"), 20, "{said:?}");
    assert_eq!(count("454 4.7.0 Temporary authentication failure\r\n"), 10, "{said:?}");
    assert!(from("203.0.113.1").say(&right).starts_with("454"), "an address that never logged in");
    assert!(from("192.0.2.1").say(&right).starts_with("235"));
    // An address has twenty attempts with whatever names.
    let mut guessing: Vec<Client> = (0..22).map(|_| from("2001:db8::1")).collect();
    guessing.iter_mut().zip(0..).for_each(|(client, number)| client.write(plain(&format!("user{number}"), "guess")));
    let said: Vec<String> = guessing.iter_mut().map(Client::hear).collect();
    assert_eq!(said.iter().filter(|said| said.starts_with("454")).count(), 2, "{said:?}");
    assert!(from("192.0.2.1").say(&right).starts_with("235"));

    let page = checking.metrics();
    for line in [
        "postseal_logins_total{listener=\"submission\",result=\"done\"} 3\n",
        "postseal_logins_total{listener=\"submission\",result=\"refused\"} 40\n",
        "postseal_limits_reached_total{listener=\"submission\",limit=\"logins-of-name\"} 11\n",
        "postseal_limits_reached_total{listener=\"submission\",limit=\"logins-of-client\"} 2\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    assert!(checking.proxy.log().contains("event=login-limited"), "{}", checking.proxy.log());
}

/// A tenth of the connections is for known clients, and strangers who say nothing are closed when a listener fills.
#[test]
fn strangers_leave_connections_to_the_others() {
    if !present(&["openssl"]) {
        return;
    }
    let sink = Sink::start();
    let trusted = "trusted.networks = [\"127.0.0.1\"]\ntrusted.sign-as = [\"alice@example.org\"]";
    let rule = "[[rule]]\nname = \"clear\"\naction = \"clear\"\n";
    let proxy = Proxy::by(sink.port(), "limits = { connections = 20 }", trusted, rule);
    let start = Instant::now();
    let mut idle = Vec::new();
    let refusal = loop {
        let mut stream = connect_from("127.0.0.2", proxy.port());
        match read(&mut stream) {
            greeting if greeting.starts_with("220") => idle.push(stream),
            refusal => break refusal,
        }
        assert!(idle.len() <= 18, "the reserve is theirs");
    };
    assert_eq!(refusal, "421 4.7.0 Error: too many connections\r\n");
    let mut client = Client::new(&proxy);
    client.begin("dave@plain.test");
    assert!(client.say("From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n").starts_with("250"));
    // Ten seconds and not five minutes: then some are closed, and others have room.
    while !read(&mut connect_from("127.0.0.3", proxy.port())).starts_with("220") {
        assert!(start.elapsed() < Duration::from_secs(60), "no stranger is closed");
        thread::sleep(Duration::from_millis(200));
    }
    let said = idle.iter_mut().map(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        read(stream)
    });
    assert!(said.filter(|said| said == "421 4.4.2 Error: timeout exceeded\r\n").count() > 0);
    assert!(client.say("NOOP\r\n").starts_with("250"), "a known client has its time");
    let log = proxy.log();
    assert!(log.contains("event=connections-filling listener=submission open=16 most=20"), "{log}");
    assert!(log.contains("event=too-many-connections listener=submission client=127.0.0.2:"), "{log}");
}

/// A next hop that leads back here: the message is refused at its third pass, and does not take every connection.
#[test]
fn a_loop_ends() {
    if !present(&["openssl"]) {
        return;
    }
    let (own, metrics) = (free_port(), free_port());
    // `config check` finds a next hop that is a listener of this service itself.
    let proxy = Proxy::furnished(forward_to(own), &format!("metrics = \"127.0.0.1:{metrics}\""), |_| {
        format!("[[listener]]\nkind = \"relay\"\naddress = \"127.0.0.1:{own}\"\n")
    });
    let mut client = Client::on(proxy.connect(own));
    client.begin("dave@plain.test");
    let said = client.say("From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n");
    assert!(said.starts_with("554 5.4.6 Error: mail loops back to myself"), "{said}");
    let mut stream = TcpStream::connect(("127.0.0.1", metrics)).expect("the monitor listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    assert!(page.contains("postseal_connections_total{listener=\"relay\"} 3\n"), "{page}");
    assert!(page.contains("postseal_limits_reached_total{listener=\"relay\",limit=\"loop\"} 1\n"), "{page}");
    // Fifty other servers are too many.
    let mut client = Client::on(proxy.connect(own));
    client.begin("dave@plain.test");
    let hops = "Received: from a by b with ESMTP; today\r\n".repeat(50);
    let said = client.say(format!("{hops}From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n.\r\n"));
    assert_eq!(said, "554 5.4.6 Error: too many hops\r\n");
}

/// A port whose connections go to another port, both on this machine.
fn forward_to(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let own = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            for (mut from, mut to) in
                [(near.try_clone().expect("a socket"), far.try_clone().expect("a socket")), (far, near)]
            {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    own
}

/// A connection from another address of this machine.
fn connect_from(address: &str, port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(address.parse().expect("an address"), 0)).expect("an address of this machine");
        socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("it listens").into_std()
    });
    let stream = stream.expect("a socket");
    stream.set_nonblocking(false).expect("a mode");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

/// The next line.
fn read(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut octet = [0];
    while line.last() != Some(&b'\n') && stream.read(&mut octet).is_ok_and(|count| count > 0) {
        line.push(octet[0]);
    }
    String::from_utf8(line).expect("ASCII")
}
