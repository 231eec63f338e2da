//! LMTP (RFC 2033), for Postfix's `content_filter`: one reply a recipient, so that nobody's fate hangs on another's.

use std::collections::HashMap;

use super::smtp::{Reply, Way};
use crate::{engine::Outcome, mail::Address, policy::Disposition};

/// Sends every copy, and answers for each of `recipients`.
pub(super) async fn answers(outcome: &Outcome, recipients: &[Address], way: &mut Way<'_>) -> Vec<Reply> {
    let mut fates: HashMap<Address, Reply> = HashMap::new();
    let held = way.hold(outcome).await.err().unwrap_or_else(|| Reply::new(250, "2.0.0", "held"));
    for group in &outcome.decision.groups {
        let fate = match &group.disposition {
            Disposition::Discard => Reply::new(250, "2.0.0", "taken"),
            Disposition::Quarantine(_) => held.clone(),
            Disposition::Reject(why) => Reply::new(550, "5.7.1", why),
            Disposition::Tempfail(why) => Reply::later("4.7.1", why),
            Disposition::Relay => continue,
        };
        fates.extend(group.recipients.iter().map(|path| (path.address.clone(), fate.clone())));
    }
    for mail in way.transactions(outcome) {
        let paths = mail.envelope.recipients.iter().map(|path| path.address.clone());
        match way.send_each(&mail).await {
            Ok(replies) => fates.extend(paths.zip(replies)),
            Err(reply) => fates.extend(paths.map(|address| (address, reply.clone()))),
        }
    }
    let lost = || Reply::later("4.3.0", "nothing is known of this recipient");
    recipients.iter().map(|address| fates.get(address).cloned().unwrap_or_else(lost)).collect()
}
