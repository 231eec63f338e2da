//! What a message lacks when a program writes it: domains, From, Date, Message-ID (RFC 6409, section 8).

use crate::mail::{Address, Message, encoding::encode_phrase};

/// What missing fields are made of.
#[derive(Clone, Debug)]
pub struct Writer<'a> {
    /// The login name of whoever calls.
    pub user: &'a str,
    /// His name, if known.
    pub full_name: Option<&'a str>,
    /// What stands behind the @ of a name without one.
    pub domain: &'a str,
    /// Now, as Date has it.
    pub date: String,
    /// Occurs in no other message.
    pub unique: String,
}

impl Writer<'_> {
    /// The message, by `author` if it does not say by whom, with those of From, Date and Message-ID that it lacks on top, and with a domain behind every mailbox in its header that
    /// has none; the same octets when nothing is missing.
    pub fn complete(&self, message: &Message, author: &Address) -> Vec<u8> {
        let root = message.root();
        let octets = message.octets();
        let line_break = if crate::transport::line_ends::are_crlf(octets) { "\r\n" } else { "\n" };
        let lacks = |name: &str| !root.fields().any(|field| field.is(name));
        let mut complete = Vec::with_capacity(octets.len() + 256);
        let mut fields = root.fields().peekable();
        if let Some(mbox) = fields.next_if(|first| first.name.is_empty() && first.raw.starts_with(b"From ")) {
            complete.extend_from_slice(mbox.raw);
        }
        let mut put = |field: String| {
            complete.extend_from_slice(field.replace("\r\n", line_break).as_bytes());
            complete.extend_from_slice(line_break.as_bytes());
        };
        if lacks("Message-ID") {
            put(format!("Message-ID: <{}@{}>", self.unique, self.domain));
        }
        if lacks("Date") {
            put(format!("Date: {}", self.date));
        }
        if lacks("From") {
            put(self.from(author));
        }
        for field in fields {
            let names_people = PEOPLE.iter().any(|name| field.is(name));
            let qualified = names_people.then(|| std::str::from_utf8(field.value).ok()).flatten();
            match qualified.map(|value| qualify(value, self.domain)).filter(|after| after.as_bytes() != field.value) {
                Some(value) => {
                    complete.extend_from_slice(format!("{}:{value}{line_break}", field.name).as_bytes());
                }
                None => complete.extend_from_slice(field.raw),
            }
        }
        if !complete.ends_with(b"\n") {
            complete.extend_from_slice(line_break.as_bytes());
        }
        let rest = octets.strip_prefix(root.header_octets()).unwrap_or_default();
        // A message without a header begins with its text.
        if root.header_octets().is_empty() && !rest.starts_with(b"\n") && !rest.starts_with(b"\r\n") {
            complete.extend_from_slice(line_break.as_bytes());
        }
        complete.extend_from_slice(rest);
        complete
    }

    fn from(&self, author: &Address) -> String {
        match self.full_name.filter(|name| !name.is_empty()) {
            None => format!("From: {author}"),
            Some(name) => format!("From: {} <{author}>", encode_phrase(name)),
        }
    }
}

/// An address list in which every mailbox that is a name alone has `domain` behind it; everything else as it was.
pub fn qualify(list: &str, domain: &str) -> String {
    let mut qualified = String::with_capacity(list.len() + domain.len() + 1);
    let (mut mailbox, mut place) = (Mailbox::default(), Place::Text);
    let mut characters = list.chars();
    while let Some(c) = characters.next() {
        match (place, c) {
            (_, '\\') => {
                mailbox.is_odd |= !matches!(place, Place::Comment(_));
                qualified.push(c);
                qualified.extend(characters.next());
                continue;
            }
            (Place::Text, ',' | ';') => mailbox.finish(&mut qualified, domain),
            (Place::Text, '>') => {
                mailbox.finish(&mut qualified, domain);
                mailbox.is_odd = true;
            }
            // What stood before was the name of a group or of a person.
            (Place::Text, ':' | '<') => mailbox = Mailbox::default(),
            (Place::Text, '"') => {
                mailbox.is_odd = true;
                place = Place::Quoted;
            }
            (Place::Text, '(') => {
                mailbox.gap();
                place = Place::Comment(1);
            }
            (Place::Text, _) if c.is_whitespace() => mailbox.gap(),
            (Place::Text, _) => mailbox.name(c, qualified.len() + c.len_utf8()),
            (Place::Quoted, '"') | (Place::Comment(1), ')') => place = Place::Text,
            (Place::Comment(depth), '(') => place = Place::Comment(depth + 1),
            (Place::Comment(depth), ')') => place = Place::Comment(depth - 1),
            (Place::Comment(_) | Place::Quoted, _) => {}
        }
        qualified.push(c);
    }
    if place == Place::Text {
        mailbox.finish(&mut qualified, domain);
    }
    qualified
}

/// Where a character stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// So deep.
    Comment(usize),
    Quoted,
    Text,
}

/// One mailbox of a list as far as it was read.
#[derive(Default)]
struct Mailbox {
    /// Whether it is no name alone: two words, a quoted string, a domain.
    is_odd: bool,
    /// Where its one word ends in the list as it was written.
    end: Option<usize>,
    /// Whether something stands behind the word.
    is_over: bool,
}

impl Mailbox {
    fn name(&mut self, c: char, end: usize) {
        self.is_odd |= self.is_over || c == '@';
        self.end = Some(end);
    }

    fn gap(&mut self) {
        self.is_over |= self.end.is_some();
    }

    fn finish(&mut self, list: &mut String, domain: &str) {
        let mailbox = std::mem::take(self);
        if let Some(end) = mailbox.end.filter(|_| !mailbox.is_odd) {
            list.insert_str(end, &format!("@{domain}"));
        }
    }
}

/// Fields that hold address lists (RFC 5322, section 3.6).
const PEOPLE: [&str; 10] =
    ["From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Bcc"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    #[test]
    fn names_alone_get_a_domain() {
        for (list, qualified) in [
            (" root", " root@h.org"),
            (" root (Cron Daemon)", " root@h.org (Cron Daemon)"),
            (" (x) root", " (x) root@h.org"),
            (" Root <root>", " Root <root@h.org>"),
            (" \"a, b\" <root>, c@d.e,f", " \"a, b\" <root@h.org>, c@d.e,f@h.org"),
            (" friends: a, b@c.d;", " friends: a@h.org, b@c.d;"),
            (" undisclosed-recipients:;", " undisclosed-recipients:;"),
            (" Al B <a@b.c>", " Al B <a@b.c>"),
            (" a@b.c", " a@b.c"),
            (" <>", " <>"),
            (" two words", " two words"),
            (" \"quoted\"", " \"quoted\""),
            (" a (never ends", " a (never ends"),
            ("", ""),
        ] {
            assert_eq!(qualify(list, "h.org"), qualified, "{list:?}");
        }
    }

    fn complete(message: &str, full_name: Option<&str>) -> String {
        let writer = Writer { user: "al", full_name, domain: "h.org", date: "D".to_owned(), unique: "u".to_owned() };
        let message = Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap();
        String::from_utf8(writer.complete(&message, &Address::parse("al@h.org").unwrap())).unwrap()
    }

    #[test]
    fn missing_fields_stand_on_top() {
        let expected = "Message-ID: <u@h.org>\nDate: D\nFrom: al@h.org\nSubject: x\n\nb";
        assert_eq!(complete("Subject: x\n\nb", None), expected);
        let whole = "Date: 1\r\nmessage-id: <1@x>\r\nFROM : a@b.c\r\n\r\nb\r\n";
        assert_eq!(complete(whole, None), whole);
        assert!(complete("\nb", Some("Al")).ends_with("From: Al <al@h.org>\n\nb"));
        assert!(complete("\n", Some("A. \"L\"")).contains("From: \"A. \\\"L\\\"\" <al@h.org>\n"));
        assert!(complete("\n", Some("\u{c4}l\r\nBcc: x")).contains("From: =?utf-8?q?"));
        assert!(!complete("\n", Some("\u{c4}l\r\nBcc: x")).contains("\nBcc"));
        assert!(complete("To: root\nDate: 1\n\n", None).contains("\nTo: root@h.org\nDate: 1\n\n"));
    }
}
