//! The replies to messages that cannot be handled: one mapping for all transports.

use super::smtp::Reply;
use crate::{
    base::{Error, Kind},
    engine::Outcome,
    policy::Disposition,
};

/// The reply to a message that met `error`: 4yz or 5yz by [`Error::is_permanent`], with an enhanced status code (RFC 3463).
///
/// The text names the class of the error alone. Paths, key names and the cause are for the log. A missing key, an expired key and a failed
/// decryption have one reply, so that nothing can be learned about keys here by sending mail.
pub fn rejection(error: &Error) -> Reply {
    if !error.is_permanent() {
        return temporary_failure();
    }
    match error.kind() {
        // Section 3.7: media not supported.
        Kind::Usage => Reply::new(554, "5.6.1", "Error: message content not supported by the policy"),
        // Section 3.7: other media error.
        Kind::Malformed if error.is_over_budget() => {
            Reply::new(554, "5.6.0", "Error: message exceeds a processing limit")
        }
        Kind::Malformed => Reply::new(554, "5.6.0", "Error: message content cannot be processed"),
        // Section 3.8: delivery not authorized, message refused.
        _ => Reply::new(550, "5.7.1", "Error: message refused, no usable key or not permitted"),
    }
}

/// The reply to a message that the policy refuses for some recipient, in the words of the policy.
pub(super) fn policy_refusal(outcome: &Outcome) -> Option<Reply> {
    let error = outcome.refusal()?;
    let disposition = if error.is_permanent() { Disposition::Reject } else { Disposition::Tempfail };
    disposition_reply(&disposition(error.to_string()))
}

/// The reply for recipients that the policy refuses.
pub(super) fn disposition_reply(disposition: &Disposition) -> Option<Reply> {
    match disposition {
        Disposition::Reject(why) => Some(Reply::new(550, "5.7.1", why)),
        Disposition::Tempfail(why) => Some(Reply::later("4.7.1", why)),
        Disposition::Discard | Disposition::Post | Disposition::Quarantine(_) | Disposition::Relay => None,
    }
}

/// The reply when there is no memory for a message (RFC 3463, section 3.4: mail system full), as Postfix writes it.
pub(super) fn insufficient_storage() -> Reply {
    Reply::new(452, "4.3.1", "Insufficient system storage")
}

/// The reply when this machine is at fault, as Postfix writes it.
pub(super) fn temporary_failure() -> Reply {
    Reply::later("4.3.0", "Temporary failure, try again later")
}
