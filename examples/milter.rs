//! A milter within a program: own keys, own rules, and own code around them. No configuration file and no home.
//!
//! `cargo run --example milter --no-default-features --features pgp,service -- 127.0.0.1:8891`. Postfix calls it with
//! `smtpd_milters = inet:127.0.0.1:8891`. It runs until SIGINT or SIGTERM.

use std::{env, error::Error, ops::Range, sync::Arc};

use postseal::{
    base::{self, Limits, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, Outcome, Posting, ReloadableHandler},
    keys::Memory,
    mail::{Mail, Message},
    pki::Revocation,
    policy::{Order, Pattern, Policy, Rule},
    report::Metrics,
    transport::{
        Endpoint, MemoryLimit,
        milter::{Copying, IDLE, Milter, PROGRESS, Settings},
        serve::{DRAIN, Event, Listeners, serve},
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
};

/// The program's own step: it sees each mail and its verdict.
struct Audited(ReloadableHandler);

impl Handler for Audited {
    fn handle(&self, mail: Mail) -> base::Result<Outcome> {
        let sender = mail.envelope.sender.address.clone();
        let outcome = self.0.handle(mail)?;
        let sender = sender.map_or("<>".to_owned(), |address| address.to_string());
        println!("{sender}: {}", outcome.verdict.standing().name());
        Ok(outcome)
    }
    fn copies(&self, posting: &Posting, range: Range<usize>) -> base::Result<Vec<Mail>> {
        self.0.copies(posting, range)
    }
    fn mark(&self, mail: &Mail) -> base::Result<Message> {
        self.0.mark(mail)
    }
}

fn listeners(address: &str, metrics: &Arc<Metrics>) -> base::Result<Listeners> {
    let limits = Limits::default();
    let annotate = Rule { name: "all mail".to_owned(), orders: [Order::Annotate].into(), ..Rule::default() };
    let policy = Policy { local: vec![Pattern::parse("example.org")?], rules: vec![annotate], ..Policy::default() };
    let handler = Audited(ReloadableHandler::new(HandlerConfig {
        keys: Arc::new(Memory::new()),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: limits.clone(),
        policy,
        name: "mail.example.org".to_owned(),
        authserv_ids: Vec::new(),
        marker: Secret::new(vec![0; 32]), // A milter that sends copies to a next hop needs random octets here.
    }));
    let settings = Settings {
        trusted: Vec::new(),
        recipients: 1_000,
        rate_limits: Default::default(),
        memory: MemoryLimit::new(MemoryLimit::least(limits.message), &limits),
        limits,
        bounces: None,
        copying: Copying::Tempfail(Arc::default()),
        progress: PROGRESS,
        idle: IDLE,
        metrics: Arc::clone(metrics),
    };
    let milter = Milter::new(Arc::new(handler), Arc::new(Semaphore::new(4)), settings);
    Ok(Listeners {
        by_endpoint: [(Endpoint::parse(address)?, Arc::new(milter) as _)].into(),
        background: Vec::new(),
        connections: 100,
        drain: DRAIN,
        random: Arc::new(SystemRandom),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("no address is given, such as 127.0.0.1:8891")?;
    let (stop, events) = mpsc::channel(1);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        let _ = stop.send(Event::Stop).await;
    });
    let metrics = Arc::new(Metrics::default());
    serve(|| listeners(&address, &metrics), &[], Arc::clone(&metrics), events, |state| println!("{state:?}")).await?;
    Ok(())
}
