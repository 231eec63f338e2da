//! Loops: a message that came here too often, by its Received fields (RFC 5321, section 6.3).

use super::smtp::Reply;
use crate::{mail::Message, report::Limit};

/// Why a message is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    /// It passed this host too often.
    Here,
    /// It passed too many hosts.
    Hops,
}

impl Loop {
    /// The loop that a message is in, if it is in one. Its first Received field is the one that this host, `name`, has just added.
    pub(super) fn of(message: &Message, name: &str) -> Option<Loop> {
        let received = message.root().fields().filter(|field| field.is("Received"));
        let is_ours: Vec<bool> = received.map(|field| is_by(&field.unfolded(), name)).collect();
        let without_others = is_ours.iter().take_while(|ours| **ours).count();
        let passes = is_ours.iter().filter(|ours| **ours).count();
        match () {
            () if without_others > MAX_DIRECT_PASSES || passes > MAX_PASSES => Some(Loop::Here),
            () if is_ours.len() > MAX_HOPS => Some(Loop::Hops),
            () => None,
        }
    }

    /// The limit, for the log and the metrics.
    pub(super) fn limit(self) -> Limit {
        match self {
            Loop::Here => Limit::Loop,
            Loop::Hops => Limit::Hops,
        }
    }

    /// The reply (RFC 3463, section 3.5: routing loop detected), in Postfix's words.
    pub(super) fn reply(self) -> Reply {
        let words = match self {
            Loop::Here => "Error: mail loops back to myself",
            Loop::Hops => "Error: too many hops",
        };
        Reply::new(554, "5.4.6", words)
    }
}

/// Whether a Received field is one that postseal at host `name` adds, also when another server has folded it anew.
fn is_by(received: &str, name: &str) -> bool {
    let words: Vec<&str> = received.split_ascii_whitespace().collect();
    words.windows(3).any(|words| match words {
        [by, host, program] => {
            by.eq_ignore_ascii_case("by") && host.eq_ignore_ascii_case(name) && *program == "(postseal)"
        }
        _ => false,
    })
}

/// Passes in a row, with no other server between them. A message that makes one more comes from our own next hop.
const MAX_DIRECT_PASSES: usize = 2;
/// Passes in all. Source: out, back from a mailing list, forwarded, and back again are four; more than twice as many.
const MAX_PASSES: usize = 10;
/// Source: Postfix's `hopcount_limit`.
const MAX_HOPS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn found(fields: &[&str]) -> Option<Loop> {
        let header: String = fields.iter().map(|field| format!("Received: {field}\r\n")).collect();
        let message = Message::parse(format!("{header}\r\nx").into(), &mut Budget::new(Limits::default())).unwrap();
        Loop::of(&message, "mx.example.org")
    }

    const OURS: &str = "from a\r\n\tby MX.example.org (postseal) with ESMTP; today";
    const FOLDED: &str = "from a by\r\n mx.example.org\r\n (postseal) with ESMTP; today";
    const POSTFIX: &str = "from a by mx.example.org (Postfix) with ESMTP; today";
    const ANOTHER: &str = "from a by mail.example.org (postseal) with ESMTP; today";

    #[test]
    fn a_message_comes_back_at_once_or_by_other_servers() {
        assert_eq!(found(&[OURS]), None);
        assert_eq!(found(&[OURS, FOLDED]), None);
        assert_eq!(found(&[OURS, FOLDED, OURS]), Some(Loop::Here));
        assert_eq!(found(&[OURS, POSTFIX, OURS, POSTFIX, OURS]), None);
        assert_eq!(found(&[OURS, POSTFIX].repeat(10)), None);
        assert_eq!(found(&[OURS, POSTFIX].repeat(11)), Some(Loop::Here));
        assert_eq!(found(&[ANOTHER; 40]), None);
        assert_eq!(found(&[ANOTHER; 51]), Some(Loop::Hops));
    }
}
