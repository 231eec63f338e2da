//! SMTP before the queue (RFC 5321, RFC 6409): the upstream's queue is the queue, and one reply speaks for all recipients.

use super::smtp::{Reply, Way};
use crate::{base::Kind, engine::Outcome, mail::Mail};

/// Sends every copy, and answers for all of them: 250 when the upstream has said 250 for each.
///
/// The first that is refused refuses the message. Refused by a rule, nothing is sent to anybody; refused by the upstream, neither, because
/// no copy gets its last dot before every recipient was taken. When the upstream takes one copy and then not another, the client is told to
/// try again, and the recipients of the first get it again then: the reply and the log say [`PARTLY_SENT`].
pub(super) async fn answer(outcome: &Outcome, way: &mut Way<'_>) -> Reply {
    if let Some(error) = outcome.refusal() {
        return match error.kind() {
            Kind::TryAgain => Reply::later("4.7.1", error.to_string()),
            _ => Reply::new(550, "5.7.1", error.to_string()),
        };
    }
    if let Err(reply) = way.hold(outcome).await {
        return reply;
    }
    let transactions = way.transactions(outcome);
    let results = match way.send_all(&transactions).await {
        Ok(results) => results,
        Err(reply) => return reply,
    };
    match results.iter().find_map(|result| result.as_ref().err()) {
        Some(reply) if results.iter().all(Result::is_err) => reply.clone(),
        Some(reply) => partly(&transactions, &results, reply),
        None => {
            let said: Vec<_> = results.into_iter().flatten().flat_map(|reply| reply.lines).collect();
            Reply::new(250, "2.0.0", if said.is_empty() { "taken".to_owned() } else { said.join("; ") })
        }
    }
}

/// What the log and the reply say when some recipients have a message whose sender was told to try again.
pub const PARTLY_SENT: &str = "partly-sent";

fn partly(transactions: &[Mail], results: &[Result<Reply, Reply>], why: &Reply) -> Reply {
    let (mut have, mut lack) = (0, 0);
    for (mail, result) in transactions.iter().zip(results) {
        let count = if result.is_ok() { &mut have } else { &mut lack };
        *count += mail.envelope.recipients.len();
    }
    tracing::warn!(have, lack, why = ?why.to_string(), "{PARTLY_SENT}");
    Reply::later("4.3.0", format!("{PARTLY_SENT}: {have} of the recipients have it; then: {why}"))
}
