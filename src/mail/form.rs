//! Checks whether octets are a mail message.

use super::{Message, address};
use crate::base::{Error, Result};

/// Refuses octets that are not a mail message (RFC 5322, section 3.5). Otherwise their first lines would be taken for a
/// header, which encryption leaves readable.
///
/// A message has header fields, including a From field with a mailbox, and an empty line after them. An mbox `From `
/// line may come first, and the mailbox may lack a domain, as local programs write it.
///
/// # Errors
///
/// `Malformed` names the first thing that is missing.
pub fn require_message(message: &Message) -> Result<()> {
    let root = message.root();
    let refused = |reason: &str| Err(Error::malformed("not a mail message", reason));
    if root.header_octets().is_empty() {
        return refused("it has no header");
    }
    let mut fields = root.fields().peekable();
    _ = fields.next_if(|first| first.name.is_empty() && first.raw.starts_with(b"From "));
    for field in fields {
        if field.name.is_empty() || !field.name.bytes().all(|octet| octet.is_ascii_graphic()) {
            let before = message.octets().get(..field.span.start - root.span().start).unwrap_or_default();
            let line = memchr::memchr_iter(b'\n', before).count() + 1;
            return refused(&format!("line {line} is not a header field, and no empty line precedes it"));
        }
    }
    if root.body_span().start == root.header_span().end {
        return refused("no empty line ends its header");
    }
    match root.header("From") {
        None => refused("its header has no From field"),
        Some(from) if !address::names_mailbox(&from) => refused("its From field has no mailbox"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn refusal(text: &str) -> Option<String> {
        let message = Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap();
        require_message(&message).err().map(|error| error.to_string())
    }

    #[test]
    fn messages_of_all_programs_are_messages() {
        for message in [
            "From: a@example.org\nTo: b@example.org\n\nhi\n",
            "from: a@example.org\r\n\r\nhi\r\n",
            "From: a@example.org\n\n",
            // git format-patch.
            "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A U Thor <a@example.org>\n\
             Date: Thu, 7 Apr 2005 15:14:13 -0700\nSubject: [PATCH] one\n two\n\n---\n a | 1 +\n",
            // cron of Debian and of others.
            "From: root@h (Cron Daemon)\nTo: root@h\nX-Cron-Env: <SHELL=/bin/sh>\n\nout\n",
            "From: \"(Cron Daemon)\" <root>\nTo: root\n\nout\n",
            "From: root (Cron Daemon)\n\nout\n",
            // Names that should be quoted.
            "From: Foo, Inc. <a@example.org>\n\nhi\n",
            "From: a@example.org <a@example.org>\nX-Mailer : old\n\nhi\n",
            "From: =?utf-8?q?=C3=84?= <a@example.org>\n\nhi\n",
            "From: \u{c4} <a@example.org>\n\nhi\n",
        ] {
            assert_eq!(refusal(message), None, "{message:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused_by_name() {
        for (text, reason) in [
            ("", "it has no header"),
            ("\n", "it has no header"),
            ("\nFrom: a@example.org\n\nhi\n", "it has no header"),
            ("The secret is 42.\n", "line 1 is not a header field"),
            ("Dear Bob: the secret is 42.\n\nBye\n", "line 1 is not a header field"),
            ("From: a@example.org\nThe secret is 42.\n\nBye\n", "line 2 is not a header field"),
            ("From: a@example.org\n b\nThe secret is 42.\n\nBye\n", "line 3 is not a header field"),
            ("Note: the secret is 42.\n\nBye\n", "no From field"),
            ("From: a@example.org\nNote: the secret is 42.\n", "no empty line"),
            ("From: the desk of Alice\n\nThe secret is 42.\n", "has no mailbox"),
            ("From:\n\nThe secret is 42.\n", "has no mailbox"),
            ("From a@example.org\nThe secret is 42.\n\n", "line 2 is not a header field"),
            ("\u{feff}From: a@example.org\n\nhi\n", "line 1 is not a header field"),
            ("-----BEGIN PGP MESSAGE-----\n\nx\n", "it has no header"),
        ] {
            let refusal = refusal(text).unwrap_or_default();
            assert!(refusal.contains(reason), "{text:?}: {refusal}");
        }
    }
}
