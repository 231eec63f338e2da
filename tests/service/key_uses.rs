//! `[key-uses]`: a key, or a client, that has no use left puts the message off, and nothing else.

use std::{
    fs,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    metrics::get,
    proxy::Proxy,
    support::{
        clients::{Letter, dialogue, dialogue_over},
        ports::free_port,
        postfix::{Sink, present},
    },
};

/// Each reply of a limit.
const LATER: &str = "451 4.3.0 Temporary failure, try again later\r\n";
const LOCAL: &str = "127.0.0.1";
const STRANGER: &str = "192.0.2.1";

struct Host {
    sink: Sink,
    proxy: Proxy,
    monitor: u16,
}

impl Host {
    fn start(limits: &str) -> Host {
        Host::with(limits, TRUSTED)
    }

    fn with(limits: &str, trusted: &str) -> Host {
        let (sink, monitor) = (Sink::start(), free_port());
        let more = format!("quarantine = \".\"\nmetrics = \"127.0.0.1:{monitor}\"\nkey-uses = {{ {limits} }}");
        let proxy = Proxy::build(sink.port(), &more, trusted, RULES, |proxy| {
            proxy.postseal(&["key", "generate", "--no-passphrase", "dev@example.org"]);
            "[[list]]\naddress = \"dev@example.org\"\nowner = \"alice@example.org\"\nmembers = [\"dave@plain.test\"]\n\
             post = \"anybody\"\ngets = \"sign\"\n"
                .to_owned()
        });
        Host { sink, proxy, monitor }
    }

    /// Sends a mail of alice's, and says whether it went through; otherwise it was put off.
    fn takes(&self, recipient: &str) -> bool {
        let message = format!("From: alice@example.org\r\nTo: {recipient}\r\nSubject: x\r\n\r\nhello\r\n");
        self.takes_from(LOCAL, self.proxy.port(), recipient, &message)
    }

    fn takes_from(&self, client: &str, port: u16, recipient: &str, message: &str) -> bool {
        let before = self.sink.received().len();
        let hello = if port == self.proxy.lmtp() { "LHLO" } else { "EHLO" };
        let said = dialogue(port, hello, &Letter { client, sender: "alice@example.org", recipient, message });
        let is_taken = said.starts_with("250");
        assert!(is_taken || said == LATER, "{recipient}: {said}\n{}", self.proxy.log());
        assert_eq!(self.sink.received().len(), before + usize::from(is_taken), "{}", self.proxy.log());
        is_taken
    }

    /// Mail to alice that is encrypted.
    fn sealed(&self) -> String {
        fs::write(self.proxy.path("plain"), "From: bob@example.net\r\nSubject: x\r\n\r\nhidden\r\n").unwrap();
        let (plain, sealed) = (self.proxy.path("plain"), self.proxy.path("sealed"));
        let [plain, sealed] = [&plain, &sealed].map(|path| path.to_str().unwrap());
        self.proxy.postseal(&["encrypt", "-f", "pgp", "--no-self", "--to", "alice@example.org", "-o", sealed, plain]);
        fs::read_to_string(sealed).unwrap()
    }

    /// Mail to this recipient until it is put off: how many went through.
    fn exhausted(&self, recipient: &str) -> usize {
        (0..20).take_while(|_| self.takes(recipient)).count()
    }

    fn lines(&self, of: &str) -> Vec<String> {
        self.proxy.log().lines().filter(|line| line.contains(of)).map(str::to_owned).collect()
    }

    fn counted(&self, name: &str) -> u64 {
        let page = get(self.monitor, "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {page}"));
        line.trim().parse().unwrap()
    }
}

#[test]
fn a_key_is_used_so_often_in_a_while_and_other_keys_are_too() {
    if !present(&["openssl"]) {
        return;
    }
    let host = Host::start("per-key = 3, seconds = 12");
    let sealed = host.sealed();
    let opens = || host.takes_from(STRANGER, host.proxy.lmtp(), "alice@example.org", &sealed);

    let sent = host.exhausted("dave@pgp.test");
    assert!((3..20).contains(&sent), "{sent}");
    let told = host.lines("event=key-limit");
    assert!(told.len() == 1 && told[0].contains("per=key") && told[0].contains("how=sign"), "{told:?}");
    assert!(told[0].contains("protocol=pgp") && told[0].contains("client=trusted"), "{told:?}");
    // The S/MIME key of the same author, and the subkey for mail to her.
    assert!(host.takes("dave@smime.test"));
    assert!(opens());
    assert!(host.sink.received().last().unwrap().text().contains("hidden"));
    assert!(host.counted("postseal_key_limits_reached_total{per=\"key\"}") >= 1);
    assert_eq!(host.counted("postseal_key_uses_total{protocol=\"pgp\",operation=\"sign\"}"), sent as u64);
    assert_eq!(host.counted("postseal_key_uses_total{protocol=\"smime\",operation=\"sign\"}"), 1);

    // Mail that cannot be opened for now is put off too, and not delivered as it came.
    let opened = (0..20).take_while(|_| opens()).count();
    assert!(opened < 20);
    let received = host.sink.received();
    assert!(received.iter().all(|one| !one.text().contains("BEGIN PGP MESSAGE")), "{}", host.proxy.log());

    // After a while all of it goes on, and the log was told once for each of the two keys.
    let end = Instant::now() + Duration::from_secs(30);
    while !host.takes("dave@pgp.test") || !opens() {
        assert!(Instant::now() < end, "{}", host.proxy.log());
        thread::sleep(Duration::from_millis(500));
    }
    let told = host.lines("event=key-limit");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("client=\"address 192.0.2.1\"") && !told[1].contains("how=sign"), "{told:?}");
}

/// What docs/manual/isolation.md prints.
#[test]
fn the_limits_of_the_manual_let_mail_through() {
    if !present(&["openssl"]) {
        return;
    }
    let manual = include_str!("../../docs/manual/isolation.md");
    let printed: String = manual
        .lines()
        .skip_while(|line| *line != "    [key-uses]")
        .take_while(|line| line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    assert_eq!(printed.lines().count(), 6, "{printed}");
    let (sink, monitor) = (Sink::start(), free_port());
    let metrics = format!("metrics = \"127.0.0.1:{monitor}\"");
    let host = Host { proxy: Proxy::build(sink.port(), &metrics, TRUSTED, RULES, |_| printed), sink, monitor };
    assert!(host.takes("bob@example.net"));
    assert_eq!(host.counted("postseal_key_uses_total{protocol=\"pgp\",operation=\"sign\"}"), 1);
}

#[test]
fn a_client_has_so_many_uses_in_a_while_and_other_clients_have_theirs() {
    if !present(&["openssl"]) {
        return;
    }
    let host = Host::start("per-client = 2, seconds = 600");
    assert_eq!(host.exhausted("dave@pgp.test"), 2);
    assert!(!host.takes("dave@smime.test"), "its uses are those of all keys");
    let told = host.lines("event=key-limit");
    assert!(told.len() == 1 && told[0].contains("per=client") && told[0].contains("client=trusted"), "{told:?}");
    // What uses no key goes on. The copies of a post are signed by the list, for the list.
    assert!(host.takes("dave@plain.test"));
    assert!(host.takes("dev@example.org"));
    assert!(host.sink.received().last().unwrap().text().contains("BEGIN PGP SIGNATURE"), "{}", host.proxy.log());
    assert!(host.counted("postseal_key_limits_reached_total{per=\"client\"}") >= 2);
    assert_eq!(host.counted("postseal_key_uses_total{protocol=\"pgp\",operation=\"sign\"}"), 3);
}

/// From this address of loopback.
fn connect_from(address: &str, port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((address.parse::<std::net::IpAddr>().unwrap(), 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], port).into()).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn a_stranger_who_sends_much_does_not_make_the_others_wait() {
    if !present(&["openssl"]) {
        return;
    }
    let trusted = "trusted.networks = [\"192.0.2.0/24\"]\ntrusted.sign-as = [\"alice@example.org\"]\n\
                   trusted.peers = [\"127.0.0.9\"]";
    let host = Host::with("per-address = 2, strangers = 6, seconds = 600", trusted);
    let sealed = host.sealed();
    // One that the peer does not name, for 127.0.0.9: its own address is not that of the client.
    let takes = |address: &str| {
        let client = "[UNAVAILABLE]";
        let letter = Letter { client, sender: "bob@example.net", recipient: "alice@example.org", message: &sealed };
        let before = host.sink.received().len();
        let said = dialogue_over(connect_from(address, host.proxy.lmtp()), "LHLO", &letter);
        let is_taken = said.starts_with("250");
        assert!(is_taken || said == LATER, "{address}: {said}\n{}", host.proxy.log());
        assert_eq!(host.sink.received().len(), before + usize::from(is_taken), "{}", host.proxy.log());
        is_taken
    };
    assert_eq!(["127.0.0.1"; 4].map(&takes), [true, true, false, false]);
    assert_eq!(["127.0.0.2"; 3].map(&takes), [true, true, false]);
    let told = host.lines("event=key-limit");
    assert!(told.len() == 2 && told[0].contains("per=address"), "{told:?}");
    assert!(told[0].contains("client=\"address 127.0.0.1\""), "{told:?}");
    assert!(told[1].contains("client=\"address 127.0.0.2\""), "{told:?}");
    // Those behind a relay have what all strangers have.
    assert_eq!(["127.0.0.9", "127.0.0.3", "127.0.0.3", "127.0.0.9"].map(&takes), [true, true, false, false]);
    let told = host.lines("event=key-limit");
    assert!(told.len() == 3 && told[2].contains("per=strangers"), "{told:?}");
    assert!(host.counted("postseal_key_limits_reached_total{per=\"address\"}") >= 3);
    assert!(host.counted("postseal_key_limits_reached_total{per=\"strangers\"}") >= 2);
    assert_eq!(host.sink.received().len(), 6);
}

const TRUSTED: &str =
    "trusted.networks = [\"127.0.0.0/8\"]\ntrusted.sign-as = [\"alice@example.org\"]\ntrusted.peers = [\"127.0.0.1\"]";
const RULES: &str = r#"
[[rule]]
name = "list"
recipient = "dev@example.org"
action = "clear"

[[rule]]
name = "in clear"
recipient = "plain.test"
action = "clear"

[[rule]]
name = "in"
direction = "inbound"
action = "decrypt+annotate"

[[rule]]
name = "S/MIME"
recipient = "smime.test"
protocol = ["smime"]
action = "sign+clear"

[[rule]]
name = "OpenPGP"
protocol = ["pgp"]
action = "sign+clear"
"#;
