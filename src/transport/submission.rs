//! SMTP before the queue (RFC 5321, RFC 6409): the upstream's queue is the queue, and one reply speaks for all recipients.

use super::smtp::{Reply, Way};
use crate::{base::Kind, engine::Outcome, mail::Mail};

/// Sends every copy, and answers for all of them: 250 when the upstream has said 250 for each.
///
/// The first that is refused refuses the message. Refused by a rule, nothing is sent to anybody. When the upstream refuses a later copy
/// after it has taken an earlier one, the client is told to try again, and the recipients of the earlier copy get it again then: the reply
/// and the log say [`PARTLY_SENT`].
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
    let mut said = Vec::new();
    for (at, mail) in transactions.iter().enumerate() {
        match way.send(mail).await {
            Ok(reply) => said.extend(reply.lines),
            Err(reply) if at == 0 => return reply,
            Err(reply) => return partly(&transactions, at, &reply),
        }
    }
    match said.is_empty() {
        true => Reply::new(250, "2.0.0", "taken"),
        false => Reply::new(250, "2.0.0", said.join("; ")),
    }
}

/// What the log and the reply say when some recipients have a message whose sender was told to try again.
pub const PARTLY_SENT: &str = "partly-sent";

fn partly(transactions: &[Mail], sent: usize, why: &Reply) -> Reply {
    let count = |mails: &[Mail]| mails.iter().map(|mail| mail.envelope.recipients.len()).sum::<usize>();
    let (have, lack) = transactions.split_at_checked(sent).unwrap_or_default();
    tracing::warn!(have = count(have), lack = count(lack), why = ?why.to_string(), "{PARTLY_SENT}");
    Reply::later("4.3.0", format!("{PARTLY_SENT}: {} of the recipients have it; then: {why}", count(have)))
}
