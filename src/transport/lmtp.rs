//! LMTP (RFC 2033), for Postfix's `content_filter`: one reply per recipient, so that one refusal does not affect the others.

use std::collections::HashMap;

use super::{
    forwarding::{Forwarding, recipients},
    rejection::{disposition_reply, temporary_failure},
    smtp::Reply,
};
use crate::{
    engine::Outcome,
    mail::{Address, Mail},
    policy::{Disposition, Group},
    report::Cause,
};

/// Sends every copy. The result has one reply for each of `named`, in order.
pub(super) async fn answers(outcome: &Outcome, named: &[Address], forwarding: &Forwarding<'_>) -> Vec<Reply> {
    let mut replies: HashMap<Address, Reply> = HashMap::new();
    // In the words for what is not held: the sender must not learn what was found in an encrypted message.
    let held = forwarding.hold(outcome).await.err().unwrap_or_else(|| Reply::new(250, "2.0.0", "Ok"));
    for group in &outcome.decision.groups {
        let reply = match &group.disposition {
            Disposition::Post | Disposition::Relay => None,
            Disposition::Discard => Some(Reply::new(250, "2.0.0", "Ok")),
            Disposition::Quarantine(_) => Some(held.clone()),
            refused => disposition_reply(refused),
        };
        let Some(reply) = reply else { continue };
        if !reply.is_positive() {
            let is_by_rule = !matches!(group.disposition, Disposition::Quarantine(_));
            let cause = if is_by_rule { Cause::Rule } else { Cause::Failure };
            forwarding.endings.refused(cause, group.recipients.iter().map(|path| &path.address), &reply);
        }
        group.recipients.iter().for_each(|path| note(&mut replies, &path.address, reply.clone()));
    }
    for mail in forwarding.mails(outcome) {
        let sent = match forwarding.send_each(&mail).await {
            Ok(sent) => sent,
            Err(error) => vec![error.reply(); mail.envelope.recipients.len()],
        };
        log(&mail, &sent, forwarding);
        recipients(&mail).zip(sent).for_each(|(address, reply)| note(&mut replies, address, reply));
    }
    for posting in &outcome.postings {
        let reply = forwarding.post(posting).await;
        let list = posting.list().name();
        let is_its = |group: &&Group| group.disposition == Disposition::Post && group.rule == list;
        for path in outcome.decision.groups.iter().filter(is_its).flat_map(|group| &group.recipients) {
            note(&mut replies, &path.address, reply.clone());
        }
    }
    forwarding.discard(outcome);
    named.iter().map(|address| answer(outcome, address, &replies)).collect()
}

/// The reply for one recipient: the worst of those for the addresses that its mail went on to.
fn answer(outcome: &Outcome, named: &Address, replies: &HashMap<Address, Reply>) -> Reply {
    let of = |address| replies.get(address).cloned().unwrap_or_else(temporary_failure);
    outcome.deliveries(named).map(of).max_by_key(badness).unwrap_or_else(temporary_failure)
}

/// Several copies may go to one address.
fn note(replies: &mut HashMap<Address, Reply>, address: &Address, reply: Reply) {
    let known = replies.entry(address.clone()).or_insert_with(|| reply.clone());
    if badness(&reply) > badness(known) {
        *known = reply;
    }
}

/// How much the client must do for the mail not to be lost: nothing, give it back to its sender, keep it.
fn badness(reply: &Reply) -> u8 {
    match reply.code {
        200..300 => 0,
        500..600 => 1,
        _ => 2,
    }
}

/// One line for each different reply.
fn log(mail: &Mail, sent: &[Reply], forwarding: &Forwarding<'_>) {
    let mut by_reply: Vec<(&Reply, Vec<&Address>)> = Vec::new();
    for (address, reply) in recipients(mail).zip(sent) {
        match by_reply.iter_mut().find(|(other, _)| *other == reply) {
            Some((_, addresses)) => addresses.push(address),
            None => by_reply.push((reply, vec![address])),
        }
    }
    for (reply, addresses) in by_reply {
        forwarding.endings.answered(addresses, reply);
    }
}
