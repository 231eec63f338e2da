//! Learning of capabilities: a valid signature says which ciphers its signer's program supports, and the home stores it.

use std::{ops::Range, sync::Arc, time::SystemTime};

use crate::{
    base::{Clock, Result},
    engine::{Handler, Outcome, Posting},
    mail::{Mail, Message},
    store::Keystore,
    verdict::Verdict,
};

/// Where capabilities are stored: a home, or nowhere.
#[derive(Clone, Debug)]
pub struct CapabilityStore(Option<Arc<Keystore>>);

impl CapabilityStore {
    /// Stores in `home`; `None`: nowhere.
    pub fn new(home: Option<Arc<Keystore>>) -> Self {
        CapabilityStore(home)
    }

    /// Stores the new capabilities in `verdict`. The result has one line per change. A home that cannot be written, or that another program
    /// is writing to, stays unchanged: learning never fails a message.
    pub fn learn(&self, verdict: &Verdict, now: SystemTime) -> Vec<String> {
        let Some(home) = &self.0 else { return Vec::new() };
        let mut learned = Vec::new();
        for news in verdict.announcements() {
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
    clock: Arc<dyn Clock>,
}

impl<H: Handler> LearningHandler<H> {
    /// Handles mail with `handler`, and stores the capabilities in its verdicts.
    pub fn new(handler: H, store: CapabilityStore, clock: Arc<dyn Clock>) -> Self {
        LearningHandler { handler, store, clock }
    }
}

impl<H: Handler> Handler for LearningHandler<H> {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let mut outcome = self.handler.handle(mail)?;
        outcome.notes.extend(self.store.learn(&outcome.verdict, self.clock.now()));
        Ok(outcome)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        self.handler.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }
}
