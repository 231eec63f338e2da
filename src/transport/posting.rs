//! The copies of a post for the members of a list: some are made while the ones before them are sent.

use std::{ops::Range, sync::Arc};

use tokio::task::JoinHandle;
use tracing::Span;

use super::{
    NextHop, SendError,
    rejection::temporary_failure,
    smtp::{Origin, Reply},
    trace::{Endings, failure},
};
use crate::{
    base::Result,
    engine::{Handler, Posting},
    mail::{Address, Mail},
};

/// Where the copies of a post go.
pub(super) struct Post<'a> {
    pub(super) handler: &'a Arc<dyn Handler>,
    pub(super) next_hop: &'a dyn NextHop,
    pub(super) origin: Option<&'a Origin>,
    pub(super) marking: Marking,
    pub(super) endings: &'a Endings<'a>,
}

/// Whether copies may come by again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marking {
    /// They may: they are marked ([`Handler::mark`]).
    Marked,
    /// They do not.
    Unmarked,
}

/// What became of the copies so far.
#[derive(Default)]
struct Tally {
    sent: usize,
    refused: usize,
    /// The reply that ended it.
    failed: Option<Reply>,
}

impl Post<'_> {
    /// Sends every copy. The reply is that for the address of the list.
    ///
    /// A copy that the next hop refuses for good is like a bounce: it does not concern the others, nor the author. When one is refused for now, the client
    /// is told to try again, and those who have theirs get it twice: the reply and the log say `partly-sent`.
    pub(super) async fn send(&self, posting: &Arc<Posting>) -> Reply {
        let (total, mut tally) = (posting.mails(), Tally::default());
        let mut making = self.make(posting, 0..BATCH);
        for start in (0..total).step_by(BATCH) {
            let made = making.await;
            making = self.make(posting, start + BATCH..start + 2 * BATCH);
            match made {
                Ok(Ok(mails)) => self.send_some(mails, &mut tally).await,
                Ok(Err(error)) => tally.failed = Some(later(failure(&error))),
                Err(_) => tally.failed = Some(temporary_failure()),
            }
            if tally.failed.is_some() {
                break;
            }
        }
        // What was made ahead is not needed.
        making.abort();
        let Tally { sent, refused, failed } = tally;
        let list = posting.list().address.to_string();
        match failed {
            None => {
                if posting.is_post() {
                    tracing::info!(event = "list-post", list, sent, refused);
                }
                // In the words for what is held: the sender must not learn whether a key here opened an encrypted post.
                Reply::new(250, "2.0.0", "Ok")
            }
            Some(reply) if sent == 0 => reply,
            Some(reply) => {
                let unsent = total.saturating_sub(sent + refused);
                tracing::warn!(event = "partly-sent", list, sent, unsent, %reply);
                Reply::later("4.3.0", format!("partly-sent: {sent} of the members have it; then: {reply}"))
            }
        }
    }

    /// A thread makes these mails.
    fn make(&self, posting: &Arc<Posting>, range: Range<usize>) -> JoinHandle<Result<Vec<Mail>>> {
        let (handler, posting, marking, span) =
            (Arc::clone(self.handler), Arc::clone(posting), self.marking, Span::current());
        tokio::task::spawn_blocking(move || {
            let _within = span.entered();
            let mut mails = handler.copies(&posting, range)?;
            if marking == Marking::Marked {
                for mail in &mut mails {
                    mail.message = handler.mark(mail)?;
                }
            }
            Ok(mails)
        })
    }

    async fn send_some(&self, mails: Vec<Mail>, tally: &mut Tally) {
        let mails: Vec<Mail> = mails.into_iter().flat_map(|mail| self.next_hop.split(mail)).collect();
        match self.next_hop.send_all(&mails, self.origin).await {
            Ok(results) => {
                for (mail, result) in mails.iter().zip(results) {
                    self.note(mail, &result.unwrap_or_else(|error| error.reply()), tally);
                }
            }
            // None was sent, because one was refused.
            Err(_) => {
                for mail in &mails {
                    let reply = self.send_one(mail).await.unwrap_or_else(|error| error.reply());
                    self.note(mail, &reply, tally);
                    if tally.failed.is_some() {
                        break;
                    }
                }
            }
        }
    }

    async fn send_one(&self, mail: &Mail) -> Result<Reply, SendError> {
        let replies = self.next_hop.send_each(mail, self.origin).await?;
        Ok(replies.into_iter().next().unwrap_or_else(temporary_failure))
    }

    fn note(&self, mail: &Mail, reply: &Reply, tally: &mut Tally) {
        self.endings.answered(recipients(mail), reply);
        match reply.code {
            200..300 => tally.sent += 1,
            500..600 => tally.refused += 1,
            _ => tally.failed = Some(reply.clone()),
        }
    }
}

fn recipients(mail: &Mail) -> impl Iterator<Item = &Address> {
    mail.envelope.recipients.iter().map(|path| &path.address)
}

/// The author keeps the mail, whatever is wrong with a copy.
fn later(reply: Reply) -> Reply {
    if reply.is_temporary() { reply } else { temporary_failure() }
}

/// Copies that are in memory, twice: those that are sent and those that are made. Source: as many as the relay sends at once.
pub(super) const BATCH: usize = 10;
