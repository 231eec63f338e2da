//! Notices of held messages, by a template. A notice has nothing of the held message but its envelope.

use std::{fs, path::Path, sync::Arc};

use super::held::Held;
use crate::{
    base::{Budget, Clock, Error, Kind, Limits, Random, Result},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter, address::Mailbox, compose::Draft},
    policy::Pattern,
    report::printable,
};

/// The text of a notice, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    subject: Vec<Piece>,
    text: Vec<Piece>,
}

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
    /// The text.
    pub template: Template,
    /// The author.
    pub from: Mailbox,
    /// Who gets them.
    pub to: NoticeTo,
    /// Limits on one message.
    pub limits: Limits,
    /// The time in Date.
    pub clock: Arc<dyn Clock>,
    /// For Message-ID.
    pub random: Arc<dyn Random>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    From,
    Id,
    Reason,
    Time,
    To,
}

impl Template {
    /// Reads a template: `Subject: ...`, an empty line, and the text, with `{id}`, `{time}`, `{from}`, `{to}`, `{reason}`.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or is not of this form.
    pub fn read(path: &Path) -> Result<Template> {
        let refuse = |why: &str| Error::new(Kind::Config, format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| refuse(&error.to_string().to_lowercase()))?;
        Template::parse(&text).map_err(|why| refuse(&why))
    }

    fn parse(text: &str) -> Result<Template, String> {
        let text = text.replace("\r\n", "\n");
        let parts = text.split_once("\n\n").and_then(|(head, text)| Some((head.strip_prefix("Subject:")?, text)));
        let (subject, text) = parts.ok_or("not \"Subject: ...\", an empty line, and a text")?;
        if subject.contains(char::is_control) {
            return Err("a subject with a control character, or another field".to_owned());
        }
        Ok(Template { subject: pieces(subject.trim())?, text: pieces(text)? })
    }
}

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
        let subject: String = filled(&self.template.subject, held, &to).chars().take(MAX_SUBJECT).collect();
        let text = filled(&self.template.text, held, &to).replace('\n', "\r\n") + "\r\n";
        let draft = Draft { from: self.from.clone(), to: vec![reader.clone()], subject: Some(subject) };
        // Automatic responders do not answer it.
        let mut octets = b"Auto-Submitted: auto-generated\r\n".to_vec();
        octets.extend(draft.message(text.as_bytes(), &*self.clock, &*self.random)?);
        let message = Message::parse(octets, &mut Budget::new(self.limits.clone()))?;
        Ok(Mail {
            envelope: Envelope {
                sender: ReversePath::default(),
                recipients: vec![ForwardPath { address: reader, parameters: Vec::new() }],
            },
            submitter: Submitter::Trusted,
            message,
        })
    }
}

/// Text and placeholders. `{` stands for itself where no name and `}` follow.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let name = after.split_once('}').filter(|(name, _)| name.bytes().all(|octet| octet.is_ascii_lowercase()));
        let Some((name, behind)) = name else {
            pieces.push(Piece::Text(format!("{before}{{")));
            rest = after;
            continue;
        };
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(match name {
            "from" => Piece::From,
            "id" => Piece::Id,
            "reason" => Piece::Reason,
            "time" => Piece::Time,
            "to" => Piece::To,
            _ => {
                return Err(format!(
                    "unknown placeholder {{{name}}}; known are {{id}} {{time}} {{from}} {{to}} {{reason}}"
                ));
            }
        });
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn filled(pieces: &[Piece], held: &Held, to: &str) -> String {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::From => printable(&format!("<{}>", held.from.as_deref().unwrap_or_default())),
        Piece::Id => printable(&held.id),
        Piece::Reason => printable(&held.reason),
        Piece::Time => printable(&held.time),
        Piece::To => printable(to),
    };
    pieces.iter().map(one).collect()
}

/// Characters, of four octets at most; see [`Draft::message`].
const MAX_SUBJECT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{FixedClock, SystemRandom},
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
            template: Template::parse(template).unwrap(),
            from: mailbox("Post <postmaster@example.org>").unwrap(),
            to,
            limits: Limits::default(),
            clock: Arc::new(FixedClock(std::time::SystemTime::UNIX_EPOCH)),
            random: Arc::new(SystemRandom),
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

    #[test]
    fn templates_with_errors_are_refused() {
        for (template, why) in [
            ("no subject\n\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\nBcc: eve@x.org\n\ntext", "a subject with a control character, or another field"),
            ("Subject: {body}\n\ntext", "unknown placeholder {body}; known are {id} {time} {from} {to} {reason}"),
        ] {
            assert_eq!(Template::parse(template).unwrap_err(), why);
        }
    }
}
