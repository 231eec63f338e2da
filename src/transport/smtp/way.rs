//! The way on for the mails of one session.

use super::{Client, Origin, Reply};
use crate::{
    engine::Outcome,
    mail::Mail,
    policy::Disposition,
    transport::{Quarantine, relay::Relay},
};

/// The way on for one message: over the connection on which its submitter logged in, or over any.
pub(in crate::transport) struct Way<'a> {
    pub(super) own: Option<&'a mut Client>,
    pub(super) relay: &'a Relay,
    /// Whose message it is, where the next server is to know.
    pub(super) origin: Option<&'a Origin>,
    pub(super) quarantine: Option<&'a Quarantine>,
}

impl Way<'_> {
    /// What is relayed, in the order in which it is.
    pub(in crate::transport) fn transactions(&self, outcome: &Outcome) -> Vec<Mail> {
        outcome.transactions().into_iter().flat_map(|mail| self.relay.legs(mail)).collect()
    }

    /// Sends every mail, or says that nothing was sent; answers with what became of each. What one connection carries goes one after the
    /// other, and stops where one fails.
    pub(in crate::transport) async fn send_all(&mut self, mails: &[Mail]) -> Result<Vec<Result<Reply, Reply>>, Reply> {
        let Some(client) = &mut self.own else { return self.relay.send_all(mails, self.origin).await };
        let mut results = Vec::new();
        for mail in mails {
            match client.send(mail, self.origin).await {
                Ok(reply) => results.push(Ok(reply)),
                Err(reply) if results.is_empty() => return Err(reply),
                Err(reply) => {
                    results.resize(mails.len(), Err(reply));
                    break;
                }
            }
        }
        Ok(results)
    }

    /// Sends a mail for those of its recipients whom the server takes; one reply for each.
    pub(in crate::transport) async fn send_each(&mut self, mail: &Mail) -> Result<Vec<Reply>, Reply> {
        match &mut self.own {
            Some(client) => client.send_each(mail, self.origin).await,
            None => self.relay.send_each(mail, self.origin).await,
        }
    }

    /// Puts away what is to be held.
    pub(in crate::transport) async fn hold(&mut self, outcome: &Outcome) -> Result<(), Reply> {
        for (group, mail) in outcome.copies() {
            let Disposition::Quarantine(reason) = &group.disposition else { continue };
            let Some(quarantine) = self.quarantine else {
                return Err(Reply::later("4.7.1", format!("to be held, and there is no place for it: {reason}")));
            };
            let (quarantine, mail, reason) = (quarantine.clone(), mail.clone(), reason.clone());
            let held = tokio::task::spawn_blocking(move || quarantine.hold(&mail, &reason)).await;
            match held {
                Ok(Ok(path)) => tracing::info!(path = %path.display(), "held"),
                Ok(Err(error)) => {
                    tracing::error!(%error, "not held");
                    return Err(Reply::later("4.3.0", "not now"));
                }
                Err(_) => return Err(Reply::later("4.3.0", "internal error")),
            }
        }
        Ok(())
    }
}
