//! `[acme]`: takes the challenges of certificate authorities out of the mail, and keeps the certificates of this host current.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::Notify,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    acme::{Agent, Challenge, Event, ExternalBinding, Order, Proof, Settings, Terms, is_challenge},
    base::{Budget, Error, Limits, Result},
    config::{self, ChallengeProof, Config},
    engine::{Handler, HandlerConfig, Outcome, Posting},
    mail::{Address, Mail, Message, Submitter},
    report::{Enrolment, Metrics},
    store::Keystore,
    transport::{NextHop, serve::Background},
    verdict::Standing,
};

/// A handler that notes challenges which belong to an order of the home. They are delivered like any mail.
pub struct EnrollingHandler<H> {
    handler: H,
    desk: Option<Desk>,
    noted: Arc<Notify>,
}

struct Desk {
    config: HandlerConfig,
    home: Arc<Keystore>,
    proof: ChallengeProof,
}

impl<H: Handler> EnrollingHandler<H> {
    /// Notes challenges if `config` has `[acme]` and there is a home.
    pub(super) fn new(handler: H, config: &Config, parts: HandlerConfig, home: Option<Arc<Keystore>>) -> Self {
        let desk = config.acme.as_ref().zip(home).map(|(acme, home)| Desk { config: parts, home, proof: acme.proof });
        EnrollingHandler { handler, desk, noted: Arc::default() }
    }

    /// What is notified of a challenge that was noted.
    pub(super) fn noted(&self) -> Arc<Notify> {
        Arc::clone(&self.noted)
    }
}

impl<H: Handler> Handler for EnrollingHandler<H> {
    /// Whatever comes of a challenge, the mail is handled as any other.
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        if let Some(desk) = self.desk.as_ref().filter(|_| is_challenge(mail.message.root())) {
            match desk.note(&mail) {
                Ok(true) => self.noted.notify_one(),
                Ok(false) => {}
                Err(error) => tracing::warn!(event = "acme-challenge-ignored", reason = %error),
            }
        }
        self.handler.handle(mail)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        self.handler.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        self.handler.receive(octets, limits)
    }
}

impl Desk {
    /// Whether a challenge was noted.
    fn note(&self, mail: &Mail) -> Result<bool> {
        let mut is_noted = false;
        for recipient in &mail.envelope.recipients {
            let address = &recipient.address;
            let Some(order) = Order::of(address, &self.home)? else { continue };
            let read = self.read(mail, address)?;
            let noted =
                read.and_then(|challenge| order.note(&challenge, &self.home).map_err(|error| error.to_string()));
            match &noted {
                Ok(()) => tracing::info!(event = "acme-challenge", %address),
                Err(reason) => tracing::warn!(event = "acme-challenge-ignored", %address, reason),
            }
            is_noted |= noted.is_ok();
        }
        Ok(is_noted)
    }

    fn read(&self, mail: &Mail, address: &Address) -> Result<Result<Challenge, String>> {
        // The handler may have read no more of it than its header.
        let octets = mail.message.octets().to_vec();
        let message = Message::received(octets, &mut Budget::new(self.config.limits.clone()))?;
        let opening = self.config.engine().open(message.clone())?;
        let verdict = opening.verdict();
        // What a user of this host writes was seen by no verifier.
        let hosts: &[String] = match mail.submitter {
            Submitter::Unknown | Submitter::Trusted => &self.config.authserv_ids,
            Submitter::Authenticated(_) | Submitter::Host => &[],
        };
        let proof = match (verdict.author(), self.proof) {
            (Ok(author), _) if verdict.standing() == Standing::Authentic => Proof::Signature(author, opening.header()),
            (_, ChallengeProof::From) => Proof::Waived,
            (_, ChallengeProof::Authenticated) => Proof::Dkim(hosts),
        };
        Ok(Challenge::read(message.root(), address, &proof))
    }
}

/// What is done beside serving mail: orders, answers and renewals. `noted` calls it before its time.
pub(super) fn enrolling(
    agent: Agent,
    home: Arc<Keystore>,
    next_hop: Box<dyn NextHop>,
    noted: Arc<Notify>,
    metrics: Arc<Metrics>,
) -> Background {
    let (agent, next_hop): (Arc<Agent>, Arc<dyn NextHop>) = (Arc::new(agent), next_hop.into());
    Box::pin(async move {
        loop {
            let (agent, home, next_hop) = (Arc::clone(&agent), Arc::clone(&home), Arc::clone(&next_hop));
            let (counted, runtime) = (Arc::clone(&metrics), Handle::current());
            let done = spawn_blocking(move || {
                let send = |mail| runtime.block_on(next_hop.send(mail)).map_err(Error::from);
                agent.round(&home, &send, &mut |address, event| log(&counted, &address.to_string(), &event))
            });
            let wait = match done.await.unwrap_or_else(|error| Err(Error::unavailable(error.to_string()))) {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(event = "acme-failed", %error);
                    metrics.enrolled(Enrolment::Failed);
                    AFTER_FAILURE
                }
            };
            // One challenge after the other calls it no more often than this.
            sleep(LEAST.min(wait)).await;
            let _ = timeout(wait, noted.notified()).await;
        }
    })
}

fn log(metrics: &Metrics, address: &str, event: &Event) {
    match event {
        Event::Answered => {
            tracing::info!(event = "acme-answered", address);
            metrics.enrolled(Enrolment::Answered);
        }
        Event::Failed(error) => {
            tracing::warn!(event = "acme-failed", address, %error);
            metrics.enrolled(Enrolment::Failed);
        }
        Event::Issued(key) => {
            tracing::info!(event = "acme-issued", address, %key);
            metrics.enrolled(Enrolment::Issued);
        }
        Event::Ordered => {
            tracing::info!(event = "acme-ordered", address);
            metrics.enrolled(Enrolment::Ordered);
        }
    }
}

/// What `[acme]` says, for the work beside serving mail.
pub(super) fn agent(acme: &config::Acme, parts: &HandlerConfig) -> Result<Agent> {
    let binding = match &acme.binding {
        Some((id, key)) => Some(ExternalBinding { id: id.clone(), key: key.read()? }),
        None => None,
    };
    let settings = Settings {
        directory: acme.server.clone(),
        roots: acme.roots.clone(),
        contact: acme.contact.clone(),
        terms: if acme.terms_agreed { Terms::Agreed } else { Terms::NotAgreed },
        binding,
    };
    let patterns = acme.addresses.clone();
    Ok(Agent {
        settings,
        named: acme.named(),
        orders_for: Box::new(move |address| patterns.iter().any(|pattern| pattern.covers(Some(address)))),
        renew_before: acme.renew_before,
        clock: Arc::clone(&parts.clock),
        random: Arc::clone(&parts.random),
        limits: parts.limits.clone(),
    })
}

/// Between two rounds at least.
const LEAST: Duration = Duration::from_millis(100);
/// Until the next round, when the authority cannot be reached.
const AFTER_FAILURE: Duration = Duration::from_secs(10 * 60);
