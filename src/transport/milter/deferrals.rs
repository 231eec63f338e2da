//! Messages that are put off because their recipients need different copies: since when, so that their senders are told at last.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{base::Recent, mail::Mail};

/// When messages were put off first. It knows the last 10,000, in memory alone: a restart begins anew.
#[derive(Debug)]
pub struct Deferrals {
    start: Instant,
    hasher: RandomState,
    first: Mutex<Recent<u64, Duration>>,
}

/// A message and its envelope, also when the sender's server tries again. The mail server has another queue ID for each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt(u64);

impl Default for Deferrals {
    fn default() -> Self {
        let first = Mutex::new(Recent::new(KNOWN));
        Deferrals { start: Instant::now(), hasher: RandomState::new(), first }
    }
}

impl Deferrals {
    /// Names a received mail.
    pub(super) fn name(&self, mail: &Mail) -> Attempt {
        let mut recipients: Vec<String> =
            mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect();
        recipients.sort_unstable();
        let sender = mail.envelope.sender.address.as_ref().map(ToString::to_string);
        // Servers that try again from another machine add other fields on top.
        let identity = mail.message.root().header("Message-ID");
        let octets = if identity.is_none() { mail.message.octets() } else { &[] };
        Attempt(self.hasher.hash_one((sender, recipients, identity, octets)))
    }

    /// Whether the message has been put off for a day. The first call begins the day.
    pub(super) fn is_over(&self, attempt: Attempt) -> bool {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        is_over(&mut first, attempt, self.start.elapsed())
    }
}

fn is_over(first: &mut Recent<u64, Duration>, Attempt(name): Attempt, now: Duration) -> bool {
    match first.get(&name) {
        Some(since) => now.saturating_sub(*since) >= DAY,
        None => {
            first.put(name, now);
            false
        }
    }
}

/// Source: long enough for an administrator to notice, and a fifth of Postfix's `maximal_queue_lifetime`.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KNOWN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::{Address, Envelope, ForwardPath, Message, ReversePath, Submitter},
    };

    fn mail(to: &[&str], text: &str) -> Mail {
        let path = |to: &&str| ForwardPath { address: Address::parse(to).unwrap(), parameters: Vec::new() };
        let message = Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap();
        let envelope = Envelope { sender: ReversePath::default(), recipients: to.iter().map(path).collect() };
        Mail { envelope, submitter: Submitter::Unknown, client: None, message }
    }

    #[test]
    fn a_day_begins_with_the_first_attempt() {
        let mut first = Recent::new(2);
        let hour = Duration::from_secs(3_600);
        assert!(!is_over(&mut first, Attempt(1), hour));
        assert!(!is_over(&mut first, Attempt(1), hour * 24));
        assert!(!is_over(&mut first, Attempt(2), hour * 25));
        assert!(is_over(&mut first, Attempt(1), hour * 25));
        assert!(!is_over(&mut first, Attempt(2), hour * 48));
    }

    #[test]
    fn an_attempt_is_known_again() {
        let deferrals = Deferrals::default();
        let name = |to: &[&str], text: &str| deferrals.name(&mail(to, text));
        let (a, b) = ("a@x.org", "b@x.org");
        let first = name(&[a, b], "Message-ID: <1@x>\r\n\r\nx\r\n");
        assert_eq!(first, name(&[b, a], "Received: again\r\nMessage-ID: <1@x>\r\n\r\nx\r\n"));
        assert_ne!(first, name(&[a], "Message-ID: <1@x>\r\n\r\nx\r\n"));
        assert_ne!(first, name(&[a, b], "Message-ID: <2@x>\r\n\r\nx\r\n"));
        assert_eq!(name(&[a], "A: 1\r\n\r\nx\r\n"), name(&[a], "A: 1\r\n\r\nx\r\n"));
        assert_ne!(name(&[a], "A: 1\r\n\r\nx\r\n"), name(&[a], "A: 1\r\n\r\ny\r\n"));
    }
}
