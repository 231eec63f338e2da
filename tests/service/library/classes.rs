//! One error has one class, permanent or temporary, however the message comes in. The reply does not tell the cause to strangers.

use std::{
    io::Cursor,
    sync::{Arc, Mutex},
};

use postseal::{
    base::{Error, Kind, Limits, Result, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, Outcome, Posting, ReloadableHandler},
    keys::{Passphrases, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{Order, Pattern, Policy, Rule},
    protocol::smime::generate::{self, Algorithm},
    report::Metrics,
    store,
    transport::{
        Blocking, Connection, HandingOver, Listener, Load, MemoryLimit, Network, NextHop, SendError, Sending,
        SessionId,
        filter::filter,
        milter::{self, Copying, Milter},
        relay::{Host, Relay},
        sendmail::{Sendmail, Writer},
        smtp::{
            self, BareLf, Caller, Clients, Dialect, Login as SmtpLogin, Origin, Protection, Reply, Server, Timeouts,
        },
        tls::{Connector, Security},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Semaphore, watch},
};

/// The words of the cause: a path and a key, which no stranger may read.
const CAUSE: &str = "/var/lib/postseal/home: key 0x1234";

#[test]
fn an_error_has_the_same_class_in_every_transport() {
    let error = |kind| Error::new(kind, CAUSE);
    let table = [
        // The message, the keys or the policy decide.
        (error(Kind::KeyExpired), '5', "550 5.7.1"),
        (error(Kind::Malformed), '5', "554 5.6.0"),
        (error(Kind::NoKey), '5', "550 5.7.1"),
        (error(Kind::Undecryptable), '5', "550 5.7.1"),
        (error(Kind::Usage), '5', "554 5.6.1"),
        // This machine, a service or a resource.
        (error(Kind::CannotCreate), '4', "451 4.3.0"),
        (error(Kind::Config), '4', "451 4.3.0"),
        (error(Kind::Damaged), '4', "451 4.3.0"),
        (error(Kind::Io), '4', "451 4.3.0"),
        (error(Kind::NoInput), '4', "451 4.3.0"),
        (error(Kind::TryAgain), '4', "451 4.3.0"),
        (error(Kind::Unavailable), '4', "451 4.3.0"),
    ];
    for (error, class, codes) in table {
        assert_eq!(error.is_permanent(), class == '5', "{:?}", error.kind());
        let handler: Arc<dyn Handler> = Arc::new(Failing(Mutex::new(error.clone())));
        let replies = replies(&handler, LETTER);
        for (transport, reply) in &replies {
            assert!(reply.starts_with(codes), "{:?} by {transport}: {reply}", error.kind());
            // The caller of `sendmail -bs` is the user who runs it, and may know the cause.
            assert_eq!(reply.contains(CAUSE), *transport == "sendmail", "{transport}: {reply}");
        }
        let kind = filtered(&*handler, LETTER).expect_err("an error").kind();
        assert_eq!(kind, if class == '5' { error.kind() } else { Kind::TryAgain });
    }
    // What a sender could learn keys from has one text.
    let text = |kind| replies(&(Arc::new(Failing(Mutex::new(error(kind)))) as Arc<dyn Handler>), LETTER).remove(0).1;
    assert_eq!(text(Kind::NoKey), text(Kind::Undecryptable));
    assert_eq!(text(Kind::NoKey), text(Kind::KeyExpired));
}

/// A rule that asks for PEM meets an HTML message: permanent in every transport. It was 451 for days by SMTP, and 550 by `sendmail -bs`.
#[test]
fn html_mail_under_a_pem_rule_is_refused_for_good() {
    let html = LETTER.replace("Subject: x\r\n", "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n");
    let handler: Arc<dyn Handler> = Arc::new(pem_for_everybody());
    assert!(filtered(&*handler, LETTER).expect("plain text can be sealed").is_some());
    for (transport, reply) in replies(&handler, &html) {
        assert!(reply.starts_with("554 5.6.1 "), "{transport}: {reply}");
    }
    assert_eq!(filtered(&*handler, &html).expect_err("an error").kind(), Kind::Usage);
}

const LETTER: &str = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nhello\r\n";

/// A handler that fails.
struct Failing(Mutex<Error>);

impl Handler for Failing {
    fn handle(&self, _: Mail) -> Result<Outcome> {
        Err(self.0.lock().unwrap().clone())
    }

    fn copies(&self, _: &Posting, _: std::ops::Range<usize>) -> Result<Vec<Mail>> {
        Err(Error::new(Kind::Unavailable, "no posts"))
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        Ok(mail.message.clone())
    }
}

/// Signs everything as PEM.
fn pem_for_everybody() -> ReloadableHandler {
    let address = Address::parse("alice@example.org").unwrap();
    let mut request = generate::Request::new(address.clone());
    request.algorithm = Algorithm::Rsa2048;
    let made = generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
    let secret = made.secret.unwrap();
    let files = [("certificate", &made.record.bytes()[..]), ("key", secret.expose())];
    let loaded = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    let rule = Rule {
        name: "pem".to_owned(),
        orders: [Order::Sign, Order::Clear].into(),
        protocols: vec![ProtocolName::Pem],
        ..Rule::default()
    };
    ReloadableHandler::new(HandlerConfig {
        keys: Arc::new(loaded.keys),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: Limits::default(),
        policy: Policy {
            local: Vec::new(),
            identities: [(Login::new("alice").unwrap(), vec![Pattern::Address(address.clone())])].into(),
            trusted: vec![Pattern::Address(address)],
            rules: vec![rule],
            obstacles: Default::default(),
            max_size: 1024 * 1024,
            mailboxes: Default::default(),
            aliases: Default::default(),
            forwards: Default::default(),
            lists: Default::default(),
            mode: Default::default(),
        },
        name: "mail.example.org".to_owned(),
        authserv_ids: Vec::new(),
        marker: Secret::from("0123456789abcdef"),
    })
}

/// The reply to the same letter in each transport that replies.
fn replies(handler: &Arc<dyn Handler>, letter: &str) -> Vec<(&'static str, String)> {
    vec![
        ("smtp", dialogue(handler, Dialect::Smtp, letter)),
        ("lmtp", dialogue(handler, Dialect::Lmtp, letter)),
        ("milter", milter(handler, letter)),
        ("sendmail", sendmail(&**handler, letter)),
    ]
}

fn filtered(handler: &dyn Handler, letter: &str) -> Result<Option<Vec<u8>>> {
    let address = |text: &str| Address::parse(text).unwrap();
    let sender = ReversePath { address: Some(address("alice@example.org")), parameters: Vec::new() };
    let recipients = vec![ForwardPath { address: address("bob@example.org"), parameters: Vec::new() }];
    let message =
        Message::parse(letter.into(), &mut postseal::base::Budget::new(Limits::default())).expect("a message");
    let submitter = Submitter::Authenticated(Login::new("alice").unwrap());
    filter(
        handler,
        &SessionId::new(&SystemRandom).unwrap(),
        Mail { envelope: Envelope { sender, recipients }, submitter, client: None, message },
    )
}

/// The reply to the message by SMTP or LMTP.
fn dialogue(handler: &Arc<dyn Handler>, dialect: Dialect, letter: &str) -> String {
    let caller = Caller {
        name: "us.test".to_owned(),
        connector: Connector::new(),
        timeouts: Timeouts::default(),
        dialect: Dialect::Smtp,
    };
    let nowhere = Relay::new(caller, Host::Address(([127, 0, 0, 1], 1).into()), Security::None);
    let limits = Limits::default();
    let settings = smtp::Settings {
        kind: "smtp",
        dialect,
        clients: Clients::Anyone,
        name: "mail.example.org".to_owned(),
        protection: Protection::None,
        login: SmtpLogin::None,
        login_limits: Arc::default(),
        rate_limits: Default::default(),
        metrics: Arc::new(Metrics::default()),
        trusted: vec![Network::parse("127.0.0.1").unwrap()],
        peers: Vec::new(),
        aliases: None,
        local: Vec::new(),
        memory: MemoryLimit::new(MemoryLimit::least(limits.message), &limits),
        limits,
        recipients: 10,
        per_client: 10,
        timeouts: Timeouts::default(),
        bare_lf: BareLf::Reject,
        clock: Arc::new(SystemClock),
        quarantine: None,
        bounces: None,
    };
    let server = Arc::new(Server::new(Arc::clone(handler), Arc::new(nowhere), Arc::new(Semaphore::new(1)), settings));
    let hello = if dialect == Dialect::Lmtp { "LHLO" } else { "EHLO" };
    let commands = format!(
        "{hello} client.test\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n{letter}.\r\nQUIT\r\n"
    );
    let said = String::from_utf8(talk(&server, commands.as_bytes())).expect("replies are ASCII");
    let mut after_data = said.lines().skip_while(|line| !line.starts_with("354"));
    after_data.nth(1).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// The reply code and text that the milter gives the MTA.
fn milter(handler: &Arc<dyn Handler>, letter: &str) -> String {
    let limits = Limits::default();
    let settings = milter::Settings {
        trusted: vec![Network::parse("127.0.0.1").unwrap()],
        memory: MemoryLimit::new(MemoryLimit::least(limits.message), &limits),
        limits,
        recipients: 10,
        rate_limits: Default::default(),
        copying: Copying::Tempfail(Arc::default()),
        bounces: None,
        progress: milter::PROGRESS,
        idle: milter::IDLE,
        metrics: Arc::default(),
    };
    let milter = Arc::new(Milter::new(Arc::clone(handler), Arc::new(Semaphore::new(1)), settings));
    let mut commands = Vec::new();
    let mut packet = |content: &[u8]| {
        commands.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        commands.extend(content);
    };
    packet(b"O\0\0\0\x06\0\0\x01\xff\0\0\0\0");
    packet(b"Cclient.test\x004\x10\x00127.0.0.1\0");
    packet(b"M<alice@example.org>\0");
    packet(b"R<bob@example.org>\0");
    let (header, body) = letter.split_once("\r\n\r\n").unwrap();
    for field in header.split("\r\n") {
        let (name, value) = field.split_once(": ").unwrap();
        packet(format!("L{name}\0{value}\0").as_bytes());
    }
    packet(b"N");
    packet(&[b"B", body.as_bytes()].concat());
    packet(b"E");
    packet(b"Q");
    let said = talk(&milter, &commands);
    let mut rest = said.as_slice();
    while let Some((length, after)) = rest.split_at_checked(4) {
        let (content, after) = after.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize);
        if let Some(reply) = content.strip_prefix(b"y") {
            return String::from_utf8_lossy(reply).trim_end_matches('\0').to_owned();
        }
        rest = after;
    }
    panic!("no reply code: {}", said.escape_ascii())
}

/// The reply to the message by `sendmail -bs`.
fn sendmail(handler: &dyn Handler, letter: &str) -> String {
    let next_hop = Blocking::new(|| Ok(Box::new(Nowhere))).unwrap();
    let writer = Writer {
        user: "alice",
        full_name: None,
        domain: "example.org",
        date: "Sun, 29 Nov 2026 21:00:00 +0000".to_owned(),
        unique: "1".to_owned(),
    };
    let (limits, session) = (Limits::default(), SessionId::new(&SystemRandom).unwrap());
    let sendmail = Sendmail {
        copies: HandingOver {
            handler,
            next_hop: &next_hop,
            quarantine: None,
            bounces: None,
            name: "sendmail",
            session: &session,
        },
        writer,
        limits: &limits,
    };
    let commands = format!(
        "EHLO x\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n{letter}.\r\nQUIT\r\n"
    );
    let mut said = Vec::new();
    sendmail.converse(&mut Cursor::new(commands), &mut said).unwrap();
    let said = String::from_utf8(said).unwrap();
    let mut after_data = said.lines().skip_while(|line| !line.starts_with("354"));
    after_data.nth(1).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Takes nothing.
struct Nowhere;

impl NextHop for Nowhere {
    fn send_all<'a>(
        &'a self,
        _: &'a [Mail],
        _: Option<&'a Origin>,
    ) -> Sending<'a, Vec<std::result::Result<Reply, SendError>>> {
        Box::pin(async { Err(Reply::later("4.4.1", "nowhere").into()) })
    }
}

/// Sends `octets` to a listener, and returns all that it sends.
fn talk(listener: &Arc<impl Listener + 'static>, octets: &[u8]) -> Vec<u8> {
    super::runtime().block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(1024 * 1024);
        let (_stop, stopping) = watch::channel(false);
        let connection =
            Connection { stream: Box::new(theirs), peer: Some(([127, 0, 0, 1], 4096).into()), load: Load::none() };
        let session = SessionId::new(&SystemRandom).expect("randomness");
        let serving = tokio::spawn(Arc::clone(listener).serve(connection, session, stopping));
        ours.write_all(octets).await.expect("the listener reads");
        let mut said = Vec::new();
        ours.read_to_end(&mut said).await.expect("the listener closes the connection");
        serving.await.expect("no panic").expect("the connection ends well");
        said
    })
}
