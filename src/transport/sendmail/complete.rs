//! Adds what messages of programs lack: domains, From, Date, Message-ID (RFC 6409, section 8).

use crate::mail::{Address, Message, encoding::encode_phrase};

/// The values for missing fields.
#[derive(Clone, Debug)]
pub struct Writer<'a> {
    /// The login name of the calling user.
    pub user: &'a str,
    /// The user's full name, if known.
    pub full_name: Option<&'a str>,
    /// The domain for names without one.
    pub domain: &'a str,
    /// The current time in the form of Date.
    pub date: String,
    /// A string that occurs in no other message.
    pub unique: String,
}

impl Writer<'_> {
    /// Adds the missing ones of From (`author`), Date and Message-ID on top, and a domain to every mailbox in the header that lacks one. A message
    /// that lacks nothing stays the same.
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
            let has_addresses = ADDRESS_FIELDS.iter().any(|name| field.is(name));
            let qualified = has_addresses.then(|| std::str::from_utf8(field.value).ok()).flatten();
            match qualified.map(|value| qualify(value, self.domain)).filter(|after| after.as_bytes() != field.value) {
                Some(value) => {
                    let value = if field.is("From") { name_first(&value).unwrap_or(value) } else { value };
                    complete.extend_from_slice(format!("{}:{value}{line_break}", field.name).as_bytes());
                }
                None => complete.extend_from_slice(field.raw),
            }
        }
        if !complete.ends_with(b"\n") {
            complete.extend_from_slice(line_break.as_bytes());
        }
        let rest = octets.strip_prefix(root.header_octets()).unwrap_or_default();
        // A message without a header starts with its text.
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

/// ` Cron Daemon <root@host>` for ` root@host (Cron Daemon)`, as cron writes it: readers take different parts of the old form for the author (RFC 5322,
/// section 3.4).
fn name_first(from: &str) -> Option<String> {
    let (address, name) = from.trim().strip_suffix(')')?.split_once(" (")?;
    let address = Address::parse(address).ok().filter(|_| !name.contains(['(', ')', '\\']))?;
    Some(format!(" {} <{address}>", encode_phrase(name)))
}

/// Adds `domain` to every mailbox in an address list that is a name alone. Everything else stays.
pub fn qualify(list: &str, domain: &str) -> String {
    let mut qualified = String::with_capacity(list.len() + domain.len() + 1);
    let (mut mailbox, mut place) = (Mailbox::default(), Context::Text);
    let mut characters = list.chars();
    while let Some(c) = characters.next() {
        match (place, c) {
            (_, '\\') => {
                mailbox.is_complete |= !matches!(place, Context::Comment(_));
                qualified.push(c);
                qualified.extend(characters.next());
                continue;
            }
            (Context::Text, ',' | ';') => mailbox.finish(&mut qualified, domain),
            (Context::Text, '>') => {
                mailbox.finish(&mut qualified, domain);
                mailbox.is_complete = true;
            }
            // The text before was the name of a group or a person.
            (Context::Text, ':' | '<') => mailbox = Mailbox::default(),
            (Context::Text, '"') => {
                mailbox.is_complete = true;
                place = Context::Quoted;
            }
            (Context::Text, '(') => {
                mailbox.gap();
                place = Context::Comment(1);
            }
            (Context::Text, _) if c.is_whitespace() => mailbox.gap(),
            (Context::Text, _) => mailbox.name(c, qualified.len() + c.len_utf8()),
            (Context::Quoted, '"') | (Context::Comment(1), ')') => place = Context::Text,
            (Context::Comment(depth), '(') => place = Context::Comment(depth + 1),
            (Context::Comment(depth), ')') => place = Context::Comment(depth - 1),
            (Context::Comment(_) | Context::Quoted, _) => {}
        }
        qualified.push(c);
    }
    if place == Context::Text {
        mailbox.finish(&mut qualified, domain);
    }
    qualified
}

/// The context of a character.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    /// In comments, nested this deep.
    Comment(usize),
    Quoted,
    Text,
}

/// One mailbox of a list, as far as it was parsed.
#[derive(Default)]
struct Mailbox {
    /// Whether it is not a name alone: it has two words, a quoted string, or a domain.
    is_complete: bool,
    /// Where its single word ends in the output.
    end: Option<usize>,
    /// Whether something follows the word.
    is_over: bool,
}

impl Mailbox {
    fn name(&mut self, c: char, end: usize) {
        self.is_complete |= self.is_over || c == '@';
        self.end = Some(end);
    }

    fn gap(&mut self) {
        self.is_over |= self.end.is_some();
    }

    fn finish(&mut self, list: &mut String, domain: &str) {
        let mailbox = std::mem::take(self);
        if let Some(end) = mailbox.end.filter(|_| !mailbox.is_complete) {
            list.insert_str(end, &format!("@{domain}"));
        }
    }
}

/// Fields that hold address lists (RFC 5322, section 3.6).
const ADDRESS_FIELDS: [&str; 10] =
    ["From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Bcc"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    #[test]
    fn names_without_a_domain_get_one() {
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
        assert!(complete("From: root (Cron Daemon)\n\n", None).ends_with("\nFrom: Cron Daemon <root@h.org>\n\n"));
        assert!(complete("From: al (a (b) c)\n\n", None).ends_with("\nFrom: al@h.org (a (b) c)\n\n"));
        assert!(complete("From: a@b.c (name)\n\n", None).ends_with("\nFrom: a@b.c (name)\n\n"));
        assert!(complete("To: root\nDate: 1\n\n", None).contains("\nTo: root@h.org\nDate: 1\n\n"));
    }
}
