//! The milter protocol: Postfix or Sendmail asks what to do with a message, between its final dot and the reply.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod conversation;
mod deferrals;
mod edits;
mod plan;
mod transaction;
mod wire;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{Instrument, Span};

pub use self::deferrals::Deferrals;
use self::{
    conversation::{Answer, Conversation},
    deferrals::Attempt,
    edits::Space,
    plan::Plan,
    transaction::Transaction,
    wire::{Command, Response},
};
use super::{
    Bounces, Connection, Listener, MemoryLimit, NextHop, RateLimits, SessionId,
    bounce::Refused,
    forwarding::recipients,
    memory::Held,
    posting::{Marking, Post},
    rejection::{insufficient_storage, temporary_failure},
    smtp::Reply,
    trace::{Endings, class, failed, failure, lists},
};
use crate::{
    base::{Error, Kind, Limits, Network, Result},
    engine::{Handler, Posting},
    mail::{Address, Mail, Message},
    report::{Bounced, Cause, Fate, Limit, Metrics},
};

/// The settings of a milter.
pub struct Settings {
    /// Networks whose clients are trusted.
    pub trusted: Vec<Network>,
    /// Limits on one message.
    pub limits: Limits,
    /// The most recipients of one message.
    pub recipients: usize,
    /// How much mail a sender may send in a while.
    pub rate_limits: RateLimits,
    /// The memory for messages at all listeners together.
    pub memory: MemoryLimit,
    /// What to do when recipients need different copies.
    pub copying: Copying,
    /// Writes notifications to senders whose copies were submitted to some recipients only.
    pub bounces: Option<Arc<Bounces>>,
    /// How often the MTA is told that work continues. Postfix waits 300 s by default (`milter_content_timeout`).
    pub progress: Duration,
    /// How long the MTA may be idle.
    pub idle: Duration,
    /// Counts what becomes of messages.
    pub metrics: Arc<Metrics>,
}

/// What to do when recipients of one message need different copies. The MTA has only one.
#[derive(Clone)]
pub enum Copying {
    /// Removes their recipients from the MTA's copy, and sends the other copies to the next hop.
    Submit(Arc<dyn NextHop>),
    /// Refuses the message: the rules and this setting contradict each other. For a day the refusal is temporary.
    Tempfail(Arc<Deferrals>),
}

/// A milter for many connections at once.
pub struct Milter {
    handler: Arc<dyn Handler>,
    work: Arc<Semaphore>,
    settings: Settings,
}

impl Milter {
    /// A milter that calls `handler` for as many messages at once as `work` has permits.
    pub fn new(handler: Arc<dyn Handler>, work: Arc<Semaphore>, settings: Settings) -> Self {
        Milter { handler, work, settings }
    }

    /// Serves one MTA, with this id in the log, until it quits, or until `stopping` turns true and no message is in progress.
    ///
    /// # Errors
    ///
    /// The stream failed, or the MTA violated the protocol. The connection is to be closed; the MTA then follows its `milter_default_action`.
    pub async fn converse<S>(&self, stream: S, session: SessionId, mut stopping: watch::Receiver<bool>) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut conversation = Conversation::new(&self.settings);
        let (mut held, mut messages) = (Held::default(), 0);
        loop {
            let packet = tokio::select! {
                packet = timeout(self.settings.idle, wire::read(&mut stream)) => packet,
                _ = stopping.wait_for(|stop| *stop), if conversation.is_at_rest() => return Ok(()),
            };
            let late = |_| Error::new(Kind::TryAgain, "milter connection: idle for too long");
            let Some(packet) = packet.map_err(late)?? else { return Ok(()) };
            let answer = conversation.receive(Command::parse(&packet)?)?;
            match conversation.octets() {
                0 if !matches!(answer, Answer::Judge(_)) => held = Held::default(),
                0 => {}
                octets if self.settings.memory.receive(&mut held, octets) => {}
                _ => conversation.defer(),
            }
            match answer {
                Answer::End => return Ok(()),
                Answer::Nothing => {}
                Answer::Say(reply) => say(&mut stream, &[reply]).await?,
                Answer::Judge(transaction) => {
                    messages += 1;
                    let span = session.message_span(messages, Some(&transaction.queue_id));
                    let replies = self.judge(*transaction, conversation.space(), &mut stream).instrument(span).await?;
                    held = Held::default();
                    say(&mut stream, &replies).await?;
                }
            }
        }
    }

    /// The responses to a complete message. Meanwhile the MTA is told that work continues.
    async fn judge<S>(&self, transaction: Transaction, space: Space, stream: &mut S) -> Result<Vec<Response>>
    where
        S: AsyncWrite + Unpin,
    {
        let recipients: Vec<Address> = transaction.recipients.iter().map(|(_, path)| path.address.clone()).collect();
        let verdict = self.verdict(transaction, space);
        tokio::pin!(verdict);
        let mut ticks = interval(self.settings.progress);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                outcome = &mut verdict => return Ok(responses(outcome, &recipients, &self.settings.metrics)),
                _ = ticks.tick() => say(stream, &[Response::Progress]).await?,
            }
        }
    }

    async fn verdict(&self, mut transaction: Transaction, space: Space) -> Result<Vec<Response>, (Cause, Reply)> {
        let closed = |_| (Cause::Failure, Reply::later("4.3.2", "Service unavailable, try again later"));
        let metrics = &self.settings.metrics;
        let (start, waiting) = (Instant::now(), metrics.waiting(NAME));
        let Some(share) = self.settings.memory.work(transaction.octets.len()).await else {
            metrics.limit_reached(NAME, Limit::Memory);
            return Err((Cause::Limit, insufficient_storage()));
        };
        let permit = Arc::clone(&self.work).acquire_owned().await.map_err(closed)?;
        let (handler, limits) = (Arc::clone(&self.handler), self.settings.limits.clone());
        let copying = self.settings.copying.clone();
        drop(waiting);
        transaction.arrival.waiting = start.elapsed();
        let span = Span::current();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _within = span.entered();
            let failed = |error| (Cause::Failure, failure(&error));
            let mail = transaction.mail(|octets| handler.receive(octets, &limits)).map_err(failed)?;
            transaction.arrival.log(&mail);
            let old: Message = mail.message.clone();
            let attempt = match copying {
                Copying::Submit(_) => None,
                Copying::Tempfail(deferrals) => Some(deferrals.name(&mail)),
            };
            let outcome = handler.handle(mail).map_err(failed)?;
            let (postings, author) = (outcome.postings.clone(), outcome.authentic_author().cloned());
            let refused = |reply| (Cause::Rule, reply);
            let mut plan = plan::plan(&transaction, &old, &outcome, space).map_err(refused)?;
            // The copies may pass this milter again.
            for copy in &mut plan.copies {
                copy.message = handler.mark(copy).map_err(failed)?;
            }
            Ok((plan, Sent { postings, author, attempt }))
        });
        let (Plan { copies, replies }, others) =
            work.await.unwrap_or_else(|_| Err((Cause::Failure, temporary_failure())))?;
        let _held = share;
        self.send_copies(copies, others).await?;
        Ok(replies)
    }

    /// Sends the copies, one after the other. The first failure ends it, so that the others do not arrive twice; but the sender is notified of one that is
    /// for good, where others were sent.
    async fn send_copies(
        &self,
        copies: Vec<Mail>,
        Sent { postings, author, attempt }: Sent,
    ) -> Result<(), (Cause, Reply)> {
        if copies.is_empty() && postings.is_empty() {
            return Ok(());
        }
        let next_hop = match &self.settings.copying {
            Copying::Submit(next_hop) => next_hop,
            Copying::Tempfail(deferrals) => {
                let is_over = attempt.is_some_and(|attempt| deferrals.is_over(attempt));
                let why = "Error: recipients of this message need different copies";
                if !is_over {
                    return Err((Cause::Rule, Reply::later("4.7.1", why)));
                }
                let hint = "copies = \"submit\", with [sendmail] program or [upstream]";
                tracing::warn!(event = "copies-refused", hint);
                return Err((Cause::Rule, Reply::new(550, "5.7.1", why)));
            }
        };
        let metrics = &self.settings.metrics;
        let (mut sent, mut first) = (0, None);
        let mut refused = Refused::new(self.settings.bounces.as_ref(), author.as_ref());
        for copy in copies {
            let to: Vec<Address> = recipients(&copy).cloned().collect();
            match next_hop.send(copy.clone()).await {
                Ok(()) => {
                    sent += 1;
                    metrics.next_hop_replied("2xx");
                    tracing::info!(event = "copy-sent", to = lists(&to).join(","));
                }
                Err(error) => {
                    let reply = error.reply();
                    metrics.next_hop_replied(class(&reply));
                    tracing::warn!(event = "copy-not-sent", to = lists(&to).join(","), error = %Error::from(error));
                    if !refused.takes(&copy, &reply) {
                        return Err((Cause::NextHop, reply));
                    }
                    first.get_or_insert(reply);
                }
            }
        }
        if let Some(reply) = first {
            let is_told = match refused.mail() {
                _ if sent == 0 => false,
                Some(report) => {
                    let to = lists(recipients(&report)).join(",");
                    let told = next_hop.send(report).await;
                    match &told {
                        Ok(()) => tracing::info!(event = "bounce-sent", to),
                        Err(error) => tracing::warn!(event = "bounce-not-sent", to, error = %error.reply()),
                    }
                    metrics.bounced(if told.is_ok() { Bounced::Sent } else { Bounced::Failed });
                    told.is_ok()
                }
                None => true,
            };
            if !is_told {
                return Err((Cause::NextHop, reply));
            }
        }
        let endings = Endings::new(metrics, NAME);
        let post = Post {
            handler: &self.handler,
            next_hop: &**next_hop,
            origin: None,
            marking: Marking::Marked,
            endings: &endings,
        };
        for posting in &postings {
            let reply = post.send(posting).await;
            if !reply.is_positive() {
                return Err((Cause::NextHop, reply));
            }
        }
        Ok(())
    }
}

impl Listener for Milter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn serve(
        self: Arc<Self>,
        connection: Connection,
        session: SessionId,
        stopping: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let client = connection.peer.map(|peer| peer.ip().to_canonical());
            tracing::info!(event = "connected", client = client.map(tracing::field::display));
            self.converse(connection.stream, session, stopping).await
        })
    }
}

/// What is known of a message beside its copies.
struct Sent {
    postings: Vec<Arc<Posting>>,
    /// The author, if the message is authentic.
    author: Option<Address>,
    attempt: Option<Attempt>,
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), replies: &[Response]) -> Result<()> {
    let late = |_| Error::new(Kind::TryAgain, "milter connection: timeout on write");
    timeout(WRITING, wire::write(stream, replies)).await.map_err(late)?
}

/// The responses to a message, which may be a refusal. Counts and logs what became of the recipients.
fn responses(
    outcome: Result<Vec<Response>, (Cause, Reply)>,
    recipients: &[Address],
    metrics: &Metrics,
) -> Vec<Response> {
    let to = lists(recipients).join(",");
    match outcome {
        Err((cause, reply)) => {
            metrics.ended(NAME, failed(&reply), cause, recipients.len());
            let response = if reply.is_temporary() { "defer" } else { "refuse" };
            tracing::info!(event = "milter-response", to, response, by = cause.name(), %reply);
            vec![Response::Refuse(reply)]
        }
        Ok(responses) => {
            let (fate, response) = match responses.last() {
                Some(Response::Discard) => (Fate::Discarded, "discard"),
                _ if responses.iter().any(|one| matches!(one, Response::Quarantine(_))) => (Fate::Held, "quarantine"),
                _ => (Fate::Relayed, "accept"),
            };
            metrics.ended(NAME, fate, Cause::Rule, recipients.len());
            tracing::info!(event = "milter-response", to, response, edits = responses.len().saturating_sub(1));
            responses
        }
    }
}

/// The listener's name in the log and in metrics.
const NAME: &str = "milter";

/// The default of [`Settings::progress`]: a tenth of Postfix's `milter_content_timeout`.
pub const PROGRESS: Duration = Duration::from_secs(30);

/// The default of [`Settings::idle`]: libmilter's own (`smfi_settimeout`), which outlasts every SMTP client.
pub const IDLE: Duration = Duration::from_secs(7_210);

/// How long the MTA may take to read a response. Postfix's `milter_command_timeout` is 30 s.
const WRITING: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        runtime::{Builder, Runtime},
        task::JoinHandle,
    };

    use super::*;
    use crate::{
        base::{Secret, SystemClock, SystemRandom},
        crypto::Legacy,
        engine::{HandlerConfig, Outcome, ReloadableHandler},
        keys::Memory,
        mail::Login,
        pki::Revocation,
        policy::{Order, Pattern, Policy, Rule},
    };

    /// Relays everything in clear, after a pause.
    struct Slow {
        handler: ReloadableHandler,
        pause: Duration,
    }

    impl Handler for Slow {
        fn handle(&self, mail: Mail) -> Result<Outcome> {
            std::thread::sleep(self.pause);
            self.handler.handle(mail)
        }

        fn copies(&self, posting: &Posting, numbers: std::ops::Range<usize>) -> Result<Vec<Mail>> {
            self.handler.copies(posting, numbers)
        }

        fn mark(&self, mail: &Mail) -> Result<Message> {
            self.handler.mark(mail)
        }
    }

    fn handler() -> ReloadableHandler {
        let clear =
            Rule { name: "clear".to_owned(), orders: [Order::Clear].into(), edits: Vec::new(), ..Rule::default() };
        let policy = Policy {
            identities: [(Login::new("alice").unwrap(), vec![Pattern::Any])].into(),
            rules: vec![clear],
            max_size: 1024,
            ..Policy::default()
        };
        ReloadableHandler::new(HandlerConfig {
            keys: Arc::new(Memory::new()),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            legacy: Legacy::Refuse,
            revocation: Revocation::Soft,
            limits: Limits::default(),
            policy,
            name: "mx.example.org".to_owned(),
            authserv_ids: Vec::new(),
            marker: Secret::from("0123456789abcdef"),
        })
    }

    fn milter(pause: Duration) -> Arc<Milter> {
        let settings = Settings {
            trusted: Vec::new(),
            limits: Limits::default(),
            recipients: 3,
            rate_limits: Default::default(),
            memory: MemoryLimit::new(64 * 1024 * 1024, &Limits::default()),
            copying: Copying::Tempfail(Arc::default()),
            bounces: None,
            progress: Duration::from_millis(20),
            idle: Duration::from_millis(500),
            metrics: Arc::default(),
        };
        Arc::new(Milter::new(Arc::new(Slow { handler: handler(), pause }), Arc::new(Semaphore::new(1)), settings))
    }

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    /// A connection to a milter, and the task that sees to it.
    fn connect(milter: &Arc<Milter>, stopping: &watch::Receiver<bool>) -> (DuplexStream, JoinHandle<Result<()>>) {
        let (ours, theirs) = duplex(64);
        let (milter, stopping) = (Arc::clone(milter), stopping.clone());
        (
            ours,
            tokio::spawn(
                async move { milter.converse(theirs, SessionId::new(&SystemRandom).unwrap(), stopping).await },
            ),
        )
    }

    async fn say(stream: &mut DuplexStream, packets: &[&[u8]]) {
        for packet in packets {
            stream.write_all(&u32::try_from(packet.len()).unwrap().to_be_bytes()).await.unwrap();
            stream.write_all(packet).await.unwrap();
        }
    }

    /// The letters of the next packets, up to one of `last`.
    async fn letters(stream: &mut DuplexStream, last: &[u8]) -> String {
        let mut letters = String::new();
        while let Some(packet) = wire::read(stream).await.unwrap() {
            letters.push(char::from(packet[0]));
            if last.contains(&packet[0]) {
                break;
            }
        }
        letters
    }

    const OFFER: &[u8] = b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
    const MESSAGE: &[&[u8]] = &[
        b"DM{auth_authen}\0alice\0",
        b"M<a@x.org>\0",
        b"R<b@y.org>\0",
        b"LFrom\0 a@x.org\0",
        b"N",
        b"Bhello\r\n",
        b"E",
    ];

    #[test]
    fn progress_is_told_and_a_stop_waits_for_the_message() {
        runtime().block_on(async {
            let (stop, stopping) = watch::channel(false);
            let milter = milter(Duration::from_millis(200));
            let (mut stream, task) = connect(&milter, &stopping);
            say(&mut stream, &[OFFER]).await;
            assert_eq!(letters(&mut stream, b"O").await, "O");
            say(&mut stream, MESSAGE).await;
            assert_eq!(letters(&mut stream, b"c").await, "c", "MAIL");
            assert_eq!(letters(&mut stream, b"c").await, "c", "RCPT");
            // Now a message is under way.
            stop.send(true).unwrap();
            let told = letters(&mut stream, b"cy").await;
            assert!(told.len() > 3 && told.ends_with("pc"), "{told}");
            task.await.unwrap().unwrap();
            // Nothing is under way: the connection ends at once.
            let (mut stream, task) = connect(&milter, &stopping);
            task.await.unwrap().unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        });
    }

    #[test]
    fn work_is_bounded_and_everybody_is_served() {
        runtime().block_on(async {
            let (_stop, stopping) = watch::channel(false);
            let milter = milter(Duration::from_millis(40));
            let start = std::time::Instant::now();
            let mut clients = Vec::new();
            for _ in 0..5 {
                let (mut stream, task) = connect(&milter, &stopping);
                clients.push(tokio::spawn(async move {
                    say(&mut stream, &[OFFER]).await;
                    letters(&mut stream, b"O").await;
                    say(&mut stream, MESSAGE).await;
                    let told = [letters(&mut stream, b"c").await, letters(&mut stream, b"c").await].concat();
                    assert_eq!(told, "cc");
                    assert!(letters(&mut stream, b"cyt").await.ends_with('c'));
                    say(&mut stream, &[b"Q"]).await;
                    task.await.unwrap().unwrap();
                }));
            }
            for client in clients {
                client.await.unwrap();
            }
            assert!(start.elapsed() >= Duration::from_millis(5 * 40), "one at a time: {:?}", start.elapsed());
        });
    }

    #[test]
    fn who_says_nothing_or_nonsense_is_shown_out() {
        runtime().block_on(async {
            let (_stop, stopping) = watch::channel(false);
            let milter = milter(Duration::ZERO);
            let ended = |octets: &'static [u8]| {
                let (mut stream, task) = connect(&milter, &stopping);
                async move {
                    stream.write_all(octets).await.unwrap();
                    task.await.unwrap().unwrap_err().to_string()
                }
            };
            assert_eq!(ended(b"\0\0").await, "milter connection: idle for too long");
            assert_eq!(ended(b"\xff\xff\xff\xff").await, "milter protocol: packet of 4294967295 octets");
            assert_eq!(ended(b"GET / HTTP/1.1\r\n").await, "milter protocol: packet of 1195725856 octets");
            assert_eq!(ended(b"\0\0\0\x01E").await, "milter protocol: a command before the negotiation");
            let (mut stream, task) = connect(&milter, &stopping);
            stream.write_all(b"\0\0\0\x09O\0").await.unwrap();
            drop(stream);
            assert_eq!(
                task.await.unwrap().unwrap_err().to_string(),
                "milter protocol: connection ended within a packet"
            );
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_octets_bring_it_down(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20), rest in prop::collection::vec(any::<u8>(), 0..30)) {
            runtime().block_on(async {
                let (_stop, stopping) = watch::channel(false);
                let (mut stream, task) = connect(&milter(Duration::ZERO), &stopping);
                let (mut read, mut write) = tokio::io::split(&mut stream);
                let mut octets = Vec::new();
                for packet in [&[OFFER.to_vec()], packets.as_slice()].concat() {
                    octets.extend(u32::try_from(packet.len()).unwrap().to_be_bytes());
                    octets.extend(packet);
                }
                octets.extend(rest);
                let reading = async { while read.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} };
                // The milter may hang up at any time.
                let writing = async { write.write_all(&octets).await.and(write.shutdown().await) };
                let _ = tokio::join!(reading, writing);
                let ended = task.await;
                assert!(ended.is_ok(), "{ended:?}");
            });
        }
    }
}
