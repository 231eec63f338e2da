//! Learning of capabilities: a valid signature says which ciphers its signer's program supports, and the home stores it. And of keys: one that comes with authentic mail is kept, if the configuration says so.

use std::{ops::Range, sync::Arc, time::SystemTime};

use crate::{
    base::{Clock, Limits, Result},
    discover::Discovery,
    engine::{Handler, Outcome, Posting},
    keys::Announcement,
    mail::{Mail, Message, autocrypt},
    store::Keystore,
    verdict::Standing,
};

/// Where capabilities are stored: a home, or nowhere.
#[derive(Clone, Debug)]
pub struct CapabilityStore(Option<Arc<Keystore>>);

impl CapabilityStore {
    /// Stores in `home`; `None`: nowhere.
    pub fn new(home: Option<Arc<Keystore>>) -> Self {
        CapabilityStore(home)
    }

    /// Stores the new ones of the capabilities that a verdict has ([`Verdict::announcements`](crate::verdict::Verdict::announcements)). The result has one line per change. A home that cannot be written, or that another program
    /// is writing to, stays unchanged: learning never fails a message.
    pub fn learn<'a>(&self, announced: impl IntoIterator<Item = &'a Announcement>, now: SystemTime) -> Vec<String> {
        let Some(home) = &self.0 else { return Vec::new() };
        let mut learned = Vec::new();
        for news in announced {
            match home.note(news, now) {
                Ok(true) => learned.push(format!("stored the capabilities of the owner of {}", news.certificate)),
                Ok(false) => {}
                Err(error) => tracing::debug!(event = "capabilities-not-stored", %error),
            }
        }
        learned
    }
}

/// A handler that learns from the mail that it handles.
pub struct LearningHandler<H> {
    handler: H,
    store: CapabilityStore,
    harvest: Option<Arc<Discovery>>,
    clock: Arc<dyn Clock>,
}

impl<H: Handler> LearningHandler<H> {
    /// Handles mail with `handler`, and stores the capabilities in its verdicts.
    pub fn new(handler: H, store: CapabilityStore, clock: Arc<dyn Clock>) -> Self {
        LearningHandler { handler, store, harvest: None, clock }
    }

    /// Keeps keys that come with mail in `discovery` too, if its configuration says so.
    #[must_use]
    pub fn harvesting(self, discovery: Option<Arc<Discovery>>) -> Self {
        LearningHandler { harvest: discovery.filter(|discovery| discovery.harvests()), ..self }
    }
}

impl<H: Handler> Handler for LearningHandler<H> {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let announced = self.harvest.as_ref().and_then(|_| autocrypt::of_author(mail.message.root()));
        let mut outcome = self.handler.handle(mail)?;
        outcome.notes.extend(self.store.learn(outcome.verdict.announcements(), self.clock.now()));
        let is_authentic = outcome.verdict.standing() == Standing::Authentic;
        if let (Some(discovery), Some(announced), true) = (&self.harvest, announced, is_authentic)
            && outcome.verdict.author() == Some(&announced.address)
        {
            match discovery.harvest(&announced.address, &announced.key) {
                Ok(true) => {
                    outcome.notes.push(format!("kept the key that came with the mail of {}", announced.address))
                }
                Ok(false) => {}
                // Learning never fails a message.
                Err(error) => tracing::debug!(event = "key-not-kept", %error),
            }
        }
        Ok(outcome)
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
