//! What mail tells of its authors' programs, kept in the home.

use std::sync::Arc;

use postseal::{
    base::{Clock, Result, SystemClock},
    engine::{Handler, Outcome},
    mail::{Mail, Message},
    store::Keystore,
    verdict::Verdict,
};

/// Where it is kept: a home, or nowhere.
#[derive(Debug)]
pub(crate) struct Notebook(Option<Arc<Keystore>>);

impl Notebook {
    /// The one in this home.
    pub(crate) fn new(home: Option<Arc<Keystore>>) -> Self {
        Notebook(home)
    }

    /// Keeps what `verdict` says is to be remembered, and answers with a line for each thing kept. A home that cannot be written to, or
    /// that somebody else is writing to, stays as it is: no message is judged by whether it could be learnt from.
    pub(crate) fn keep(&self, verdict: &Verdict) -> Vec<String> {
        let Some(home) = &self.0 else { return Vec::new() };
        let mut kept = Vec::new();
        for news in verdict.announcements() {
            match home.note(news, SystemClock.now()) {
                Ok(true) => kept.push(format!("noted what the owner of {} reads", news.certificate)),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "what a correspondent reads was not noted"),
            }
        }
        kept
    }
}

/// A handler that keeps what the mail tells that it handles.
#[derive(Debug)]
pub(crate) struct Attentive<H> {
    handler: H,
    notebook: Notebook,
}

impl<H: Handler> Attentive<H> {
    /// The same handler with a notebook.
    pub(crate) fn new(handler: H, notebook: Notebook) -> Self {
        Attentive { handler, notebook }
    }
}

impl<H: Handler> Handler for Attentive<H> {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let mut outcome = self.handler.handle(mail)?;
        outcome.notes.extend(self.notebook.keep(&outcome.verdict));
        Ok(outcome)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }
}
