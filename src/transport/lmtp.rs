//! LMTP (RFC 2033), for Postfix's `content_filter`: one reply per recipient, so that one refusal does not affect the others.

use std::collections::HashMap;

use super::{
    forwarding::Forwarding,
    rejection::{disposition_reply, temporary_failure},
    smtp::Reply,
};
use crate::{engine::Outcome, mail::Address, policy::Disposition};

/// Sends every copy. The result has one reply for each of `recipients`, in order.
pub(super) async fn answers(outcome: &Outcome, recipients: &[Address], forwarding: &Forwarding<'_>) -> Vec<Reply> {
    let mut replies: HashMap<Address, Reply> = HashMap::new();
    let held = forwarding.hold(outcome).await.err().unwrap_or_else(|| Reply::new(250, "2.0.0", "Ok: held"));
    for group in &outcome.decision.groups {
        let reply = match &group.disposition {
            Disposition::Relay => None,
            Disposition::Discard => Some(Reply::new(250, "2.0.0", "Ok")),
            Disposition::Quarantine(_) => Some(held.clone()),
            refused => disposition_reply(refused),
        };
        let Some(reply) = reply else { continue };
        replies.extend(group.recipients.iter().map(|path| (path.address.clone(), reply.clone())));
    }
    for mail in forwarding.mails(outcome) {
        let addresses = mail.envelope.recipients.iter().map(|path| path.address.clone());
        match forwarding.send_each(&mail).await {
            Ok(sent) => replies.extend(addresses.zip(sent)),
            Err(error) => {
                let reply = error.reply();
                replies.extend(addresses.map(|address| (address, reply.clone())));
            }
        }
    }
    recipients.iter().map(|address| replies.get(address).cloned().unwrap_or_else(temporary_failure)).collect()
}
