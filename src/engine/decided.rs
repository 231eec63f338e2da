//! The line of the log with the facts of a decision, from which it can be made again.

use crate::policy::{Decision, Facts, Policy};

/// Writes a line for recipients with the same facts, or several if they are many.
pub(super) fn log(policy: &Policy, facts: &Facts<'_>, decision: &Decision) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    for line in policy.record(facts, decision) {
        for to in line.lists() {
            tracing::info!(
                event = "decided",
                to,
                submitter = line.submitter,
                login = line.login,
                from = line.from,
                author = line.author,
                wrapping = line.wrapping,
                standing = line.standing,
                standing_reason = line.standing_reason,
                octets = line.octets,
                unread = line.unread,
                types = line.types,
                auto_submitted = line.auto_submitted,
                headers = line.headers,
                keys = line.keys,
                opens = line.opens,
                passphrase = line.passphrase,
                signing = line.signing,
                domain_signing = line.domain_signing,
                others = line.others,
                direction = line.direction,
                rule = line.rule,
                obstacle = line.obstacle,
                action = line.action,
                disposition = line.disposition,
            );
        }
    }
}
