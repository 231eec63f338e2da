//! What follows from an outcome for one message of an SMTP or LMTP client: held copies, and copies for the next hop.

use std::sync::Arc;

use super::{
    Bounces, NextHop, Quarantine, SendError,
    posting::{Marking, Post},
    quarantine::Stored,
    rejection::temporary_failure,
    smtp::{Origin, Reply},
    trace::{Endings, lists},
};
use crate::{
    base::Error,
    engine::{Handler, Outcome, Posting},
    mail::{Address, Mail},
    policy::{Disposition, Group},
    report::{Bounced, Cause, Fate},
};

/// The recipients of a mail.
pub(super) fn recipients(mail: &Mail) -> impl Iterator<Item = &Address> {
    mail.envelope.recipients.iter().map(|path| &path.address)
}

/// The recipients of a message.
pub(super) fn all_recipients(outcome: &Outcome) -> impl Iterator<Item = &Address> {
    outcome.decision.groups.iter().flat_map(|group| &group.recipients).map(|path| &path.address)
}

/// Where the copies of one message go.
pub(super) struct Forwarding<'a> {
    pub(super) handler: &'a Arc<dyn Handler>,
    pub(super) next_hop: &'a dyn NextHop,
    /// The client that the message came from, if the next server is to know it.
    pub(super) origin: Option<&'a Origin>,
    pub(super) quarantine: Option<&'a Quarantine>,
    /// Writes notifications to senders.
    pub(super) bounces: Option<&'a Arc<Bounces>>,
    /// Writes what became of the recipients.
    pub(super) endings: &'a Endings<'a>,
}

impl Forwarding<'_> {
    /// The mails for the next hop, in the order in which they are sent.
    pub(super) fn mails(&self, outcome: &Outcome) -> Vec<Mail> {
        outcome.transactions().into_iter().flat_map(|mail| self.next_hop.split(mail)).collect()
    }

    /// See [`NextHop::send_all`].
    pub(super) async fn send_all(&self, mails: &[Mail]) -> Result<Vec<Result<Reply, SendError>>, SendError> {
        self.next_hop.send_all(mails, self.origin).await
    }

    /// See [`NextHop::send_each`].
    pub(super) async fn send_each(&self, mail: &Mail) -> Result<Vec<Reply>, SendError> {
        self.next_hop.send_each(mail, self.origin).await
    }

    /// Sends the copies of a post. The reply is that for the address of the list.
    pub(super) async fn post(&self, posting: &Arc<Posting>) -> Reply {
        let &Forwarding { handler, next_hop, origin, endings, .. } = self;
        Post { handler, next_hop, origin, marking: Marking::Unmarked, endings }.send(posting).await
    }

    /// Sends a notification to the sender of the message; whether it is with the next hop.
    pub(super) async fn notify(&self, report: Mail) -> bool {
        let to = lists(recipients(&report)).join(",");
        match self.next_hop.send(report).await {
            Ok(()) => {
                tracing::info!(event = "bounce-sent", to);
                self.endings.metrics.bounced(Bounced::Sent);
                true
            }
            Err(error) => {
                tracing::warn!(event = "bounce-not-sent", to, error = %Error::from(error));
                self.endings.metrics.bounced(Bounced::Failed);
                false
            }
        }
    }

    /// Notes that the rules throw copies away.
    pub(super) fn discard(&self, outcome: &Outcome) {
        let discarded = |group: &&Group| group.disposition == Disposition::Discard;
        for group in outcome.decision.groups.iter().filter(discarded) {
            self.endings.end(Fate::Discarded, Cause::Rule, group.recipients.iter().map(|path| &path.address), None);
        }
    }

    /// Stores the copies that are held.
    pub(super) async fn hold(&self, outcome: &Outcome) -> Result<(), Reply> {
        for (group, mail) in outcome.copies() {
            let Disposition::Quarantine(reason) = &group.disposition else { continue };
            let Some(quarantine) = self.quarantine else {
                return Err(Reply::later("4.7.1", format!("to be held, but no quarantine is configured: {reason}")));
            };
            let (quarantine, mail, reason) = (quarantine.clone(), mail.clone(), reason.clone());
            let held = tokio::task::spawn_blocking(move || quarantine.hold(&mail, &reason)).await;
            match held {
                Ok(Ok(Stored { path, notices })) => {
                    let to = || group.recipients.iter().map(|path| &path.address);
                    self.endings.end(Fate::Held, Cause::Rule, to(), None);
                    tracing::info!(event = "message-held", to = lists(to()).join(","), path = %path.display());
                    for notice in notices {
                        let to = lists(recipients(&notice)).join(",");
                        if let Err(error) = self.next_hop.send(notice).await {
                            tracing::warn!(event = "notice-not-sent", to, error = %Error::from(error));
                        }
                    }
                }
                Ok(Err(error)) => {
                    tracing::error!(event = "message-not-held", %error);
                    return Err(temporary_failure());
                }
                Err(_) => return Err(temporary_failure()),
            }
        }
        Ok(())
    }
}
