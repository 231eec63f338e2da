//! What posts a message that was held for the moderators of a list.

use std::ops::Range;

use super::{environment::Environment, handler::marker, handler_config::handler_config};
use crate::{
    base::{Error, Kind, Result},
    config::{Config, ListenerKind},
    engine::{Handler, HandlerConfig, Outcome, Posting},
    mail::{Address, Mail, Message},
};

/// A [`Handler`] that posts every mail to one list, by whomever it is: a person has approved it.
pub struct ApprovingHandler {
    config: HandlerConfig,
    list: Address,
    /// Whether a milter sees the copies, and has to know them.
    is_marking: bool,
}

impl ApprovingHandler {
    /// For this list of the configuration.
    ///
    /// # Errors
    ///
    /// `Config`: the marker secret cannot be read, or there is none and the milter would handle the copies once more.
    pub fn new(config: &Config, environment: &Environment, list: &Address) -> Result<ApprovingHandler> {
        let is_marking = config.listeners.iter().any(|listener| listener.kind == ListenerKind::Milter);
        if is_marking && config.marker.is_none() {
            let what = "marker: missing, and the milter would handle the copies of the post once more";
            return Err(Error::new(Kind::Config, what).with_hint("openssl rand -hex 32 makes one"));
        }
        let marker = marker(config, environment)?;
        Ok(ApprovingHandler { config: handler_config(config, environment, marker), list: list.clone(), is_marking })
    }
}

impl Handler for ApprovingHandler {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let Some(list) = self.config.policy.lists.of(&self.list) else {
            return Err(Error::new(Kind::NoInput, format!("list {}: not in the configuration", self.list)));
        };
        self.config.engine().approve(mail, list, self.config.handler_context())
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let mut mails = self.config.engine().copies(posting, numbers, self.config.handler_context())?;
        for mail in mails.iter_mut().filter(|_| self.is_marking) {
            mail.message = self.mark(mail)?;
        }
        Ok(mails)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.config.engine().mark(mail, self.config.handler_context())
    }
}
