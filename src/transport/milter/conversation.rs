//! The conversation with an MTA, command by command: a state machine without a socket.

use std::net::IpAddr;

use super::{
    Settings,
    edits::Space,
    transaction::Transaction,
    wire::{Client, Command, Options, Path, Response, Stage, action, protocol},
};
use crate::{
    base::{Error, Limits, Network, Result},
    mail::{Address, ForwardPath, Login, ReversePath, Submitter},
    transport::{RateLimits, rejection::insufficient_storage, smtp::Reply, trace::Arrival},
};

/// One connection with an MTA.
#[derive(Debug)]
pub(super) struct Conversation {
    trusted: Vec<Network>,
    limits: Limits,
    recipients: usize,
    rates: RateLimits,
    options: Options,
    /// The MTA's own name (macro `j`), which completes addresses that have no domain.
    host: Option<String>,
    is_client_trusted: bool,
    /// The SMTP client's address, for the log.
    client: Option<IpAddr>,
    /// The name that the SMTP client gave, for the log.
    hello: Option<String>,
    /// Whether the SMTP client uses TLS (macro `{tls_version}`); unknown until its MAIL.
    has_tls: Option<bool>,
    /// The login name (macro `{auth_authen}`) for the current message.
    authenticated: Option<String>,
    /// The MTA's name for the message (macro `i`).
    queue_id: String,
    transaction: Option<Transaction>,
}

/// What to do after a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The conversation is over.
    End,
    /// The message is complete.
    Judge(Box<Transaction>),
    /// Send nothing.
    Nothing,
    /// Send this response.
    Say(Response),
}

impl Conversation {
    /// A new connection.
    pub(super) fn new(settings: &Settings) -> Self {
        Conversation {
            trusted: settings.trusted.clone(),
            limits: settings.limits.clone(),
            recipients: settings.recipients,
            rates: settings.rate_limits.clone(),
            options: Options { version: 0, actions: 0, protocol: 0 },
            host: None,
            is_client_trusted: false,
            client: None,
            hello: None,
            has_tls: None,
            authenticated: None,
            queue_id: String::new(),
            transaction: None,
        }
    }

    /// Whether no message is in progress.
    pub(super) fn is_at_rest(&self) -> bool {
        self.transaction.is_none()
    }

    /// Octets of the message in progress.
    pub(super) fn octets(&self) -> usize {
        self.transaction.as_ref().map_or(0, |transaction| transaction.octets.len())
    }

    /// Defers the message in progress, because there is no memory for it.
    pub(super) fn defer(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.refuse(insufficient_storage());
        }
    }

    /// Whether the MTA or we write the space after a colon.
    pub(super) fn space(&self) -> Space {
        if self.options.protocol & protocol::LEADING_SPACE == 0 { Space::Mta } else { Space::Value }
    }

    /// Handles one command.
    ///
    /// # Errors
    ///
    /// The command is out of sequence, or the MTA lacks a capability that we need. The connection is to be closed.
    pub(super) fn receive(&mut self, command: Command<'_>) -> Result<Answer> {
        if self.options.version == 0 && !matches!(command, Command::Negotiate(_) | Command::Quit) {
            return Err(Error::malformed("milter protocol", "a command before the negotiation"));
        }
        match command {
            Command::Negotiate(offer) => return self.negotiate(offer),
            Command::Quit => return Ok(Answer::End),
            Command::QuitNewConnection => self.forget_client(),
            Command::Abort => self.forget_message(),
            Command::Macros { stage, pairs } => self.macros(stage, &pairs),
            Command::Connect(client) => {
                self.client = address(&client);
                self.is_client_trusted = self.client.is_some_and(|at| self.trusted.iter().any(|n| n.contains(at)));
                return Ok(self.reply_unless(protocol::SILENT_CONNECT));
            }
            Command::Helo(name) => {
                self.hello = Some(String::from_utf8_lossy(name).into_owned());
                return Ok(self.reply_unless(protocol::SILENT_HELO));
            }
            Command::Data | Command::Unknown => return Ok(Answer::Say(Response::Continue)),
            Command::Mail(path) => return Ok(Answer::Say(self.mail(&path))),
            Command::Recipient(path) => return self.recipient(&path).map(Answer::Say),
            Command::Header { name, value } => {
                let space = self.space();
                let limit = self.limits.unread_header();
                let transaction = self.transaction()?;
                transaction.field(name, value, space);
                transaction.keep_within(limit, "header");
                return Ok(self.reply_unless(protocol::SILENT_HEADER));
            }
            Command::EndOfHeader => {
                self.transaction()?.end_header();
                return Ok(self.reply_unless(protocol::SILENT_END_OF_HEADER));
            }
            Command::Body(piece) => {
                self.body(piece)?;
                return Ok(self.reply_unless(protocol::SILENT_BODY));
            }
            Command::EndOfMessage(piece) => {
                self.body(piece)?;
                return self.end_message();
            }
        }
        Ok(Answer::Nothing)
    }

    fn negotiate(&mut self, offer: Options) -> Result<Answer> {
        let lacking = NEEDED & !offer.actions;
        if offer.version < OLDEST || lacking != 0 {
            let what = format!("milter: the MTA offers version {} without actions {lacking:#x}", offer.version);
            return Err(Error::unavailable(what).with_hint("use Sendmail 8.14, Postfix 2.6, or newer"));
        }
        self.options = Options {
            version: offer.version.min(NEWEST),
            actions: offer.actions & (NEEDED | WELCOME),
            protocol: offer.protocol & QUIETER,
        };
        let may_choose = offer.actions & action::CHOOSE_MACROS != 0;
        let symbols = if may_choose { MACROS.to_vec() } else { Vec::new() };
        Ok(Answer::Say(Response::Negotiate { options: self.options, symbols }))
    }

    /// The reply to a command that gets one unless the MTA agreed to go without.
    fn reply_unless(&self, silence: u32) -> Answer {
        if self.options.protocol & silence == 0 { Answer::Say(Response::Continue) } else { Answer::Nothing }
    }

    fn macros(&mut self, stage: u8, pairs: &[(&[u8], &[u8])]) {
        // Macros of MAIL come before it, and concern a new message.
        if stage == b'M' {
            self.forget_message();
        }
        for (name, value) in pairs {
            let value = String::from_utf8_lossy(value).into_owned();
            match *name {
                b"j" => self.host = Some(value),
                b"i" => self.queue_id = value,
                b"tls_version" => self.has_tls = Some(!value.is_empty()),
                b"auth_authen" if stage == b'M' && !value.is_empty() => self.authenticated = Some(value),
                _ => {}
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.queue_id.clone_from(&self.queue_id);
        }
    }

    fn mail(&mut self, path: &Path<'_>) -> Response {
        let submitter = match self.authenticated.take().and_then(|name| Login::new(&name)) {
            Some(name) => Submitter::Authenticated(name),
            None if self.is_client_trusted => Submitter::Trusted,
            None => Submitter::Unknown,
        };
        let sender = match self.mailbox(path.path) {
            Ok(address) => ReversePath { address, parameters: passed_on(&path.parameters) },
            Err(refusal) => return Response::Refuse(refusal),
        };
        if let Err(refusal) = self.rates.message(&submitter, sender.address.as_ref()) {
            return Response::Refuse(refusal);
        }
        let (client, hello, tls) = (self.client, self.hello.clone(), self.has_tls);
        let arrival = Arrival { client, hello, tls, ..Arrival::of_submitter(&submitter) };
        let queue_id = self.queue_id.clone();
        self.transaction = Some(Transaction::new(queue_id, sender, submitter, arrival));
        Response::Continue
    }

    fn recipient(&mut self, path: &Path<'_>) -> Result<Response> {
        let mailbox = self.mailbox(path.path);
        let (most, rates) = (self.recipients, self.rates.clone());
        let transaction = self.transaction()?;
        Ok(match mailbox {
            Ok(Some(address)) if transaction.recipients.len() < most => {
                let sender = transaction.sender.address.as_ref();
                if let Err(refusal) = rates.recipient(&transaction.submitter, sender) {
                    return Ok(Response::Refuse(refusal));
                }
                let whom = ForwardPath { address, parameters: passed_on(&path.parameters) };
                transaction.recipients.push((path.path.to_vec(), whom));
                Response::Continue
            }
            Ok(Some(_)) => Response::Refuse(Reply::new(452, "4.5.3", "Error: too many recipients")),
            Ok(None) => Response::Refuse(Reply::new(553, "5.1.3", "Bad recipient address syntax")),
            Err(refusal) => Response::Refuse(refusal),
        })
    }

    /// The mailbox in `<...>`; none when it is empty. A route before it is left out (RFC 5321, section 3.6.1), a domain that is missing is
    /// the MTA's own (section 4.1.1.3: `<postmaster>`).
    fn mailbox(&self, path: &[u8]) -> Result<Option<Address>, Reply> {
        let text = String::from_utf8_lossy(path);
        let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(&text);
        if text.is_empty() {
            return Ok(None);
        }
        let bare = match text.split_once(':') {
            Some((route, bare)) if route.starts_with('@') => bare,
            _ => text,
        };
        let own = || Address::parse(&format!("{bare}@{}", self.host.as_deref()?)).ok();
        let read = Address::parse(bare).ok().or_else(own);
        read.map(Some).ok_or_else(|| Reply::new(553, "5.1.3", "Bad recipient address syntax"))
    }

    fn body(&mut self, piece: &[u8]) -> Result<()> {
        let limit = self.limits.message;
        let transaction = self.transaction()?;
        transaction.end_header();
        transaction.append(piece);
        transaction.keep_within(limit, "message");
        Ok(())
    }

    fn end_message(&mut self) -> Result<Answer> {
        self.transaction()?;
        let transaction = self.transaction.take().unwrap_or_default();
        Ok(match transaction.refusal {
            Some(refusal) => Answer::Say(Response::Refuse(refusal)),
            // Handlers rely on a recipient.
            None if transaction.recipients.is_empty() => {
                Answer::Say(Response::Refuse(Reply::new(554, "5.5.1", "Error: no valid recipients")))
            }
            None => Answer::Judge(Box::new(transaction)),
        })
    }

    fn transaction(&mut self) -> Result<&mut Transaction> {
        let error = || Error::malformed("milter protocol", "a command for a message before its MAIL");
        self.transaction.as_mut().ok_or_else(error)
    }

    fn forget_message(&mut self) {
        self.transaction = None;
        self.authenticated = None;
        self.queue_id.clear();
    }

    fn forget_client(&mut self) {
        self.forget_message();
        self.is_client_trusted = false;
        (self.client, self.hello, self.has_tls) = (None, None, None);
    }
}

fn address(client: &Client<'_>) -> Option<IpAddr> {
    let text = std::str::from_utf8(client.address).ok()?;
    // RFC 5321, section 4.1.3, as Sendmail writes it.
    let text = text.strip_prefix("IPv6:").unwrap_or(text);
    matches!(client.family, b'4' | b'6').then(|| text.parse().ok())?
}

/// The ESMTP parameters that concern the message and not the connection.
fn passed_on(words: &[&[u8]]) -> Vec<String> {
    let texts = words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
    let concerns = |word: &String| {
        let keyword = word.split('=').next().unwrap_or_default();
        !word.is_empty() && !["AUTH", "BODY", "SIZE"].iter().any(|own| keyword.eq_ignore_ascii_case(own))
    };
    texts.filter(concerns).collect()
}

/// Actions that we need.
const NEEDED: u32 = action::ADD_HEADERS
    | action::CHANGE_BODY
    | action::ADD_RECIPIENTS
    | action::DELETE_RECIPIENTS
    | action::CHANGE_HEADERS
    | action::QUARANTINE;

/// Actions that we use when they are offered.
const WELCOME: u32 = action::CHANGE_FROM | action::ADD_RECIPIENTS_WITH_PARAMETERS | action::CHOOSE_MACROS;

/// Fewer round trips where we send nothing. Not at DATA: an MTA that need not wait there still sends its macros, and the message right
/// after them, which TCP then holds back until our system acknowledges the macros: 40 ms a message that our answer spares.
const QUIETER: u32 = protocol::SILENT_HELO
    | protocol::NO_UNKNOWN
    | protocol::SILENT_CONNECT
    | protocol::SILENT_HEADER
    | protocol::SILENT_END_OF_HEADER
    | protocol::SILENT_BODY
    | protocol::LEADING_SPACE;

/// The macros we request. `{mail_addr}` and `{rcpt_addr}` repeat MAIL and RCPT; they are requested for the MTA's log.
const MACROS: &[(Stage, &str)] = &[
    (Stage::Connect, "j {client_addr}"),
    (Stage::Mail, "i {auth_authen} {mail_addr} {tls_version}"),
    (Stage::Recipient, "i {rcpt_addr}"),
    (Stage::EndOfMessage, "i"),
];

/// Sendmail 8.13 and Postfix 2.3 to 2.5 speak version 2 to 4; since then it is 6.
const OLDEST: u32 = 2;
const NEWEST: u32 = 6;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        base::{Budget, Kind},
        mail::Message,
        policy::Mode,
        transport::{
            Allowance, MemoryLimit, RateLimit, SenderKind, TrustedClients,
            milter::{Copying, IDLE, PROGRESS},
        },
    };

    const OFFER: &[u8] = b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";

    fn conversation(limits: Limits) -> Conversation {
        let trusted = vec![Network::parse("192.0.2.0/24").unwrap()];
        Conversation::new(&Settings {
            trusted,
            limits,
            recipients: 3,
            rate_limits: Default::default(),
            memory: MemoryLimit::new(64 * 1024 * 1024, &Limits::default()),
            copying: Copying::Tempfail(std::sync::Arc::default()),
            bounces: None,
            progress: PROGRESS,
            idle: IDLE,
            metrics: Default::default(),
        })
    }

    fn told(conversation: &mut Conversation, packets: &[&[u8]]) -> Answer {
        let mut last = Answer::Nothing;
        for packet in packets {
            last = conversation.receive(Command::parse(packet).unwrap()).unwrap();
        }
        last
    }

    #[test]
    fn a_sender_that_sends_too_much_is_refused_at_mail_and_at_rcpt() {
        let allowed = |most| Some(Allowance { most, period: std::time::Duration::from_secs(3_600) });
        let limit = RateLimit {
            name: "all".to_owned(),
            per: SenderKind::Address,
            from: Vec::new(),
            messages: allowed(2),
            recipients: allowed(3),
            trusted: TrustedClients::Counted,
            mode: Mode::Enforce,
        };
        let mut conversation = conversation(Limits::default());
        let metrics = std::sync::Arc::default();
        conversation.rates = RateLimits::new(&[limit], Mode::Enforce, &std::sync::Arc::default(), &metrics, "milter");
        told(&mut conversation, &[OFFER, SESSION[0], SESSION[1]]);
        let mut said = |packet: &[u8]| match told(&mut conversation, &[packet]) {
            Answer::Say(Response::Refuse(reply)) => reply.to_string(),
            Answer::Say(Response::Continue) => String::new(),
            other => panic!("{other:?}"),
        };
        assert_eq!([said(b"M<a@x.org>\0"), said(b"R<b@y.org>\0"), said(b"R<c@y.org>\0")], ["", "", ""]);
        assert_eq!([said(b"M<a@x.org>\0"), said(b"R<b@y.org>\0")], ["", ""]);
        assert_eq!(said(b"R<c@y.org>\0"), "450 4.7.1 Error: too many recipients from <a@x.org>");
        assert_eq!(said(b"M<a@x.org>\0"), "450 4.7.1 Error: too much mail from <a@x.org>");
        assert_eq!(said(b"M<b@x.org>\0"), "");
    }

    /// What Postfix 3.7 sends for one message, after the negotiation.
    const SESSION: &[&[u8]] = &[
        b"DCj\0mx.example.org\0{client_addr}\x00192.0.2.7\0",
        b"Cclient.example\x004\x12\x34192.0.2.7\0",
        b"DM{mail_addr}\0a@x.org\0",
        b"M<a@x.org>\0SIZE=12\0ENVID=e1\0",
        b"DRi\x004F1\0{rcpt_addr}\0b@y.org\0",
        b"R<b@y.org>\0NOTIFY=NEVER\0",
        b"R<postmaster>\0",
        b"R<B@Y.org>\0",
        b"LSubject\0 hello\n\tthere\0",
        b"LX-Tight\0no space\0",
        b"N",
        b"Bone\r\n..two\r\n",
        b"Bthree\r\n",
        b"DEi\x004F1\0",
        b"E",
    ];

    #[test]
    fn a_message_is_put_together_octet_by_octet() {
        let mut conversation = conversation(Limits::default());
        let Answer::Say(Response::Negotiate { options, symbols }) = told(&mut conversation, &[OFFER]) else {
            panic!("the negotiation is answered")
        };
        assert_eq!((options.version, options.actions, symbols.len()), (6, 0x1ff, 4));
        for round in 0..2 {
            let Answer::Judge(mut transaction) = told(&mut conversation, SESSION) else { panic!("round {round}") };
            assert_eq!(transaction.queue_id, "4F1");
            assert_eq!(transaction.recipients.len(), 3);
            let mail = transaction.mail(|octets| Message::parse(octets, &mut Budget::new(Limits::default()))).unwrap();
            assert_eq!(
                String::from_utf8_lossy(mail.message.octets()),
                "Subject: hello\r\n\tthere\r\nX-Tight:no space\r\n\r\none\r\n..two\r\nthree\r\n"
            );
            assert_eq!(mail.submitter, Submitter::Trusted);
            assert_eq!(mail.envelope.sender.address, Address::parse("a@x.org").ok());
            assert_eq!(mail.envelope.sender.parameters, ["ENVID=e1"]);
            let recipients: Vec<String> =
                mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect();
            assert_eq!(recipients, ["b@y.org", "postmaster@mx.example.org"]);
            assert_eq!(mail.envelope.recipients[0].parameters, ["NOTIFY=NEVER"]);
        }
    }

    #[test]
    fn a_message_for_nobody_is_refused() {
        let mut conversation = conversation(Limits::default());
        told(&mut conversation, &[OFFER]);
        let answer = told(&mut conversation, &[b"M<a@x.org>\0", b"N", b"E"]);
        let refused = |answer| matches!(answer, Answer::Say(Response::Refuse(reply)) if reply.code == 554);
        assert!(refused(answer));
    }

    #[test]
    fn who_logged_in_is_nobody_in_the_next_message() {
        let mut conversation = conversation(Limits::default());
        let connect: &[u8] = b"Cclient\x006\0\0IPv6:2001:db8::1\0";
        let end: &[&[u8]] = &[b"R<b@y.org>\0", b"N", b"E"];
        let submitter = |answer| match answer {
            Answer::Judge(transaction) => transaction.submitter,
            other => panic!("{other:?}"),
        };
        told(&mut conversation, &[OFFER, connect, b"DM{auth_authen}\0alice\0", b"M<>\0"]);
        assert_eq!(submitter(told(&mut conversation, end)), Submitter::Authenticated(Login::new("alice").unwrap()));
        told(&mut conversation, &[b"M<>\0"]);
        assert_eq!(submitter(told(&mut conversation, end)), Submitter::Unknown);
        told(&mut conversation, &[b"DM{auth_authen}\0alice\0", b"A", b"M<>\0"]);
        assert_eq!(submitter(told(&mut conversation, end)), Submitter::Unknown);
    }

    #[test]
    fn the_next_client_is_trusted_for_himself() {
        let mut conversation = conversation(Limits::default());
        told(&mut conversation, &[OFFER, b"Cclient\x004\0\x19192.0.2.7\0"]);
        assert!(conversation.is_client_trusted);
        assert_eq!(told(&mut conversation, &[b"K"]), Answer::Nothing);
        assert!(!conversation.is_client_trusted);
    }

    #[test]
    fn what_is_over_the_bounds_is_refused_and_not_kept() {
        let limits = Limits { header: 8, message: 60, ..Limits::default() };
        let refused = |pieces: &[&[u8]]| {
            let mut conversation = conversation(limits.clone());
            told(&mut conversation, &[OFFER, b"M<a@x.org>\0", b"R<b@y.org>\0"]);
            told(&mut conversation, pieces);
            assert!(conversation.transaction().unwrap().octets.is_empty());
            match told(&mut conversation, &[b"E"]) {
                Answer::Say(Response::Refuse(reply)) => reply.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let field: &[u8] = b"LSubject\0 012345678901234567890123456789\0";
        assert_eq!(refused(&[field]), "552 5.3.4 Error: header larger than 32 octets");
        let body: &[u8] = b"B012345678901234567890123456789";
        assert_eq!(refused(&[b"N", body, body, body]), "552 5.3.4 Error: message larger than 60 octets");
    }

    #[test]
    fn what_is_out_of_turn_ends_it() {
        let error = conversation(Limits::default()).receive(Command::EndOfHeader).unwrap_err();
        assert_eq!(error.to_string(), "milter protocol: a command before the negotiation");
        let mut conversation = conversation(Limits::default());
        told(&mut conversation, &[OFFER]);
        let error = conversation.receive(Command::Body(b"x")).unwrap_err();
        assert_eq!(error.to_string(), "milter protocol: a command for a message before its MAIL");
        let poor = Options { version: 6, actions: 0x1, protocol: 0 };
        let error = conversation.receive(Command::Negotiate(poor)).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("0x3e")), (Kind::Unavailable, true));
    }

    #[test]
    fn addresses_that_cannot_be_read_are_refused_alone() {
        let mut conversation = conversation(Limits::default());
        told(&mut conversation, &[OFFER, b"M<a@x.org>\0"]);
        for path in [&b"R<a b@y.org>\0"[..], b"R<b@y.org> \0", b"R<\xff@y.org>\0", b"R<>\0"] {
            let answer = told(&mut conversation, &[path]);
            assert!(matches!(&answer, Answer::Say(Response::Refuse(reply)) if reply.code == 553), "{answer:?}");
        }
        assert_eq!(conversation.transaction().unwrap().recipients.len(), 0);
        assert_eq!(told(&mut conversation, &[b"R<@relay.org:b@y.org>\0"]), Answer::Say(Response::Continue));
    }

    proptest! {
        #[test]
        fn no_packets_bring_it_down(packets in prop::collection::vec(
            (prop::sample::select(b"ABCDEHKLMNOQRTUZ".to_vec()), prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..40
        )) {
            let mut conversation = conversation(Limits { header: 64, message: 128, ..Limits::default() });
            told(&mut conversation, &[OFFER]);
            for (letter, mut rest, is_ended) in packets {
                rest.insert(0, letter);
                if is_ended {
                    rest.push(0);
                }
                if let Ok(command) = Command::parse(&rest)
                    && let Ok(Answer::Judge(mut transaction)) = conversation.receive(command)
                {
                    // An error is an answer too.
                    let _ = transaction.mail(|octets| Message::parse(octets, &mut Budget::new(Limits::default())));
                }
            }
            if let Some(transaction) = &conversation.transaction {
                prop_assert!(transaction.octets.len() <= 128);
            }
        }
    }
}
