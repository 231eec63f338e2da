//! SMTP before the queue (RFC 5321, RFC 6409): the next server's queue is the queue, and one reply covers all recipients.

use super::{
    SendError,
    bounce::Refused,
    forwarding::{Forwarding, all_recipients, recipients},
    rejection::policy_refusal,
    smtp::Reply,
};
use crate::{engine::Outcome, mail::Mail, report::Cause};

/// Sends every copy. The reply is 250 when the next server said 250 for each.
///
/// The first refusal refuses the message. If a rule refuses it, nothing is sent. If the next server refuses it, nothing is sent either,
/// because no copy gets its final dot before every recipient was accepted. If the next server takes one copy and refuses another for good, the sender
/// gets a notification. Where it cannot be sent, or the refusal is temporary, the client is told to try again, and the recipients of the first copy get
/// it twice: the reply and the log say `partly-sent`. The members of lists come last.
pub(super) async fn answer(outcome: &Outcome, forwarding: &Forwarding<'_>) -> Reply {
    let endings = forwarding.endings;
    if let Some(refusal) = policy_refusal(outcome) {
        endings.refused(Cause::Rule, all_recipients(outcome), &refusal);
        return refusal;
    }
    if let Err(reply) = forwarding.hold(outcome).await {
        endings.refused(Cause::Failure, all_recipients(outcome), &reply);
        return reply;
    }
    let mails = forwarding.mails(outcome);
    let results = match forwarding.send_all(&mails).await {
        Ok(results) => results,
        Err(error) => {
            let reply = error.reply();
            endings.answered(mails.iter().flat_map(recipients), &reply);
            return reply;
        }
    };
    for (mail, result) in mails.iter().zip(&results) {
        match result {
            Ok(reply) => endings.answered(recipients(mail), reply),
            Err(error) => endings.answered(recipients(mail), &error.reply()),
        }
    }
    forwarding.discard(outcome);
    match results.iter().find_map(|result| result.as_ref().err()) {
        Some(error) if results.iter().all(Result::is_err) => return error.reply(),
        Some(error) if !report(outcome, &mails, &results, forwarding).await => {
            return partly_sent(&mails, &results, &error.reply());
        }
        _ => {}
    }
    let mut said: Vec<_> = results.into_iter().flatten().flat_map(|reply| reply.lines).collect();
    for posting in &outcome.postings {
        let reply = forwarding.post(posting).await;
        if !reply.is_positive() {
            return reply;
        }
        said.extend(reply.lines);
    }
    Reply::new(250, "2.0.0", if said.is_empty() { "Ok".to_owned() } else { said.join("; ") })
}

/// Notifies the sender of the copies that were refused for good, while others were taken; whether that could be done.
async fn report(
    outcome: &Outcome,
    mails: &[Mail],
    results: &[Result<Reply, SendError>],
    forwarding: &Forwarding<'_>,
) -> bool {
    let mut refused = Refused::new(forwarding.bounces, outcome.authentic_author());
    for (mail, result) in mails.iter().zip(results) {
        if let Err(error) = result
            && !refused.takes(mail, &error.reply())
        {
            return false;
        }
    }
    match refused.mail() {
        Some(report) => forwarding.notify(report).await,
        // The sender asked for none.
        None => true,
    }
}

fn partly_sent(mails: &[Mail], results: &[Result<Reply, SendError>], why: &Reply) -> Reply {
    let (mut sent, mut unsent) = (0, 0);
    for (mail, result) in mails.iter().zip(results) {
        let count = if result.is_ok() { &mut sent } else { &mut unsent };
        *count += mail.envelope.recipients.len();
    }
    tracing::warn!(event = "partly-sent", sent, unsent, reply = %why);
    Reply::later("4.3.0", format!("partly-sent: {sent} of the recipients have it; then: {why}"))
}
