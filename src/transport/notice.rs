//! Notices of held messages, by a template. A notice has nothing of the held message but its envelope.

use super::{
    held::Held,
    template::{Template, Writer},
};
use crate::{
    base::Result,
    mail::{Address, Mail},
    policy::Pattern,
};

/// Who gets a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeTo {
    /// One address.
    Address(Address),
    /// The recipients that one of these patterns covers: senders elsewhere could make us write to anybody else.
    Recipients(Vec<Pattern>),
}

/// Writes notices.
#[derive(Clone)]
pub struct Notices {
    /// The text, with [`PLACEHOLDERS`].
    pub template: Template,
    /// Who gets them.
    pub to: NoticeTo,
    /// Writes them.
    pub writer: Writer,
}

/// What the template of a notice may name.
pub const PLACEHOLDERS: &[&str] = &["id", "time", "from", "to", "reason"];

impl Notices {
    /// The notices of a held message, one for each who gets one, with the null sender: nothing answers them.
    ///
    /// # Errors
    ///
    /// There is no randomness, or a notice exceeds the limits.
    pub fn mails(&self, held: &Held) -> Result<Vec<Mail>> {
        let readers: Vec<Address> = match &self.to {
            NoticeTo::Address(address) => vec![address.clone()],
            NoticeTo::Recipients(patterns) => {
                let parsed = held.to.iter().filter_map(|to| Address::parse(&to.address).ok());
                parsed.filter(|to| patterns.iter().any(|pattern| pattern.covers(Some(to)))).collect()
            }
        };
        readers.into_iter().map(|reader| self.mail(held, reader)).collect()
    }

    fn mail(&self, held: &Held, reader: Address) -> Result<Mail> {
        // A recipient is not told of the others.
        let to = match self.to {
            NoticeTo::Address(_) => held.to.iter().map(|to| to.address.as_str()).collect::<Vec<_>>().join(", "),
            NoticeTo::Recipients(_) => reader.to_string(),
        };
        let value = |name: &str| match name {
            "from" => format!("<{}>", held.from.as_deref().unwrap_or_default()),
            "id" => held.id.clone(),
            "reason" => held.reason.clone(),
            "time" => held.time.clone(),
            _ => to.clone(),
        };
        self.writer.mail(&self.template, reader, value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::{FixedClock, Limits, SystemRandom},
        mail::address::mailbox,
        transport::HeldFor,
    };

    fn notices(template: &str, to: NoticeTo) -> Vec<String> {
        let held = Held {
            id: "1".to_owned(),
            time: "2026-11-30T00:00:00Z".to_owned(),
            reason: "{to}\r\nBcc: eve@x.org\u{1b}".to_owned(),
            from: Some("z\u{f6}e@else.test".to_owned()),
            from_parameters: Vec::new(),
            to: ["alice@example.org", "bob@example.net"]
                .map(|to| HeldFor { address: to.to_owned(), parameters: Vec::new() })
                .into(),
            octets: 1,
        };
        let notices = Notices {
            template: Template::parse(template, PLACEHOLDERS).unwrap(),
            to,
            writer: Writer {
                from: mailbox("Post <postmaster@example.org>").unwrap(),
                limits: Limits::default(),
                clock: Arc::new(FixedClock(std::time::SystemTime::UNIX_EPOCH)),
                random: Arc::new(SystemRandom),
            },
        };
        let mails = notices.mails(&held).unwrap();
        assert!(mails.iter().all(|mail| mail.envelope.sender.address.is_none()));
        mails.iter().map(|mail| String::from_utf8(mail.message.octets().to_vec()).unwrap()).collect()
    }

    #[test]
    fn placeholders_are_data() {
        let template = "Subject: held: {from} {reason}\n\n{id} at {time}: {to}\n{reason} { {x y} {{id}\n";
        let one = NoticeTo::Address(Address::parse("admin@example.org").unwrap());
        let [notice] = notices(template, one).try_into().unwrap();
        assert!(notice.starts_with("Auto-Submitted: auto-generated\r\nFrom: "), "{notice}");
        let (header, text) = notice.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("\r\nTo: admin@example.org\r\n") && header.is_ascii(), "{header}");
        assert!(!header.contains("\r\nBcc") && header.contains("Subject: =?"), "{header}");
        assert!(text.starts_with("1 at 2026-11-30T00:00:00Z: alice@example.org, bob@example.net\r\n{to}\\"), "{text}");
        assert!(text.contains(" { {x y} {1\r\n"), "{text}");
    }

    #[test]
    fn recipients_elsewhere_get_none_and_know_of_no_other() {
        let local = NoticeTo::Recipients(vec![Pattern::parse("example.org").unwrap()]);
        let [notice] = notices("Subject: x\n\nfor {to}.\n", local).try_into().unwrap();
        assert!(notice.contains("\r\nTo: alice@example.org\r\n") && notice.contains("for alice@example.org.\r\n"));
        assert!(!notice.contains("bob"), "{notice}");
    }
}
