//! Composes a message from a text.

use super::{Address, address::Mailbox, build::unique, encoding::encode_words, encoding::quoted_printable_encode};
use crate::base::{Clock, Error, Random, Result, rfc5322};

/// The header of a new message (RFC 5322, section 3.6).
#[derive(Clone, Debug)]
pub struct Draft {
    /// The author.
    pub from: Mailbox,
    /// The recipients in To; without any, there is no To field.
    pub to: Vec<Address>,
    /// The subject; without one, there is no Subject field.
    pub subject: Option<String>,
}

impl Draft {
    /// Composes a message with From, To, Subject, Date and Message-ID, and `text` as text/plain in UTF-8. Line breaks
    /// are those of the text: CRLF if any line has it, otherwise LF.
    ///
    /// # Errors
    ///
    /// `Usage` for a subject with a control character or of more than 900 octets; `Malformed` for a text that is not UTF-8.
    pub fn message(&self, text: &[u8], clock: &dyn Clock, random: &dyn Random) -> Result<Vec<u8>> {
        if std::str::from_utf8(text).is_err() {
            return Err(Error::malformed("text", "not in UTF-8"));
        }
        let mut header = format!("From: {}\r\n", self.from);
        if !self.to.is_empty() {
            let to: Vec<String> = self.to.iter().map(Address::to_string).collect();
            header += &format!("To: {}\r\n", to.join(",\r\n "));
        }
        if let Some(subject) = &self.subject {
            header += &format!("Subject: {}\r\n", checked(subject)?);
        }
        let (id, domain) = (unique(random)?, self.from.address.domain());
        header += &format!("Date: {}\r\nMessage-ID: <{id}@{domain}>\r\n", rfc5322(clock.now()));
        let (encoding, body) = match is_7bit(text) {
            true => ("7bit", text.to_vec()),
            false => ("quoted-printable", quoted_printable_encode(text)),
        };
        header += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
        header += &format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
        let message = [header.into_bytes(), body].concat();
        let is_crlf = memchr::memmem::find(text, b"\r\n").is_some();
        Ok(if is_crlf { crlf(&message) } else { lf(&message) })
    }
}

/// The subject as a field value, after checking that it cannot end the field.
fn checked(subject: &str) -> Result<String> {
    if subject.chars().any(char::is_control) {
        return Err(Error::usage(format!("subject {subject:?}: holds a control character")));
    }
    // A line has at most 998 octets (RFC 5322, section 2.1.1), and ASCII is not folded.
    if subject.len() > LONGEST_SUBJECT {
        return Err(Error::usage(format!("subject: longer than {LONGEST_SUBJECT} octets")));
    }
    Ok(encode_words(subject))
}

/// Whether a text needs no encoding (RFC 2045, section 2.7): ASCII without NUL and lone CR, in lines of at most 998
/// octets.
fn is_7bit(text: &[u8]) -> bool {
    text.split(|octet| *octet == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.len() <= LONGEST_LINE && line.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~'))
    })
}

/// Converts line breaks to CRLF.
fn crlf(octets: &[u8]) -> Vec<u8> {
    super::canonical::canonical(octets, super::canonical::Form::Crlf).into_owned()
}

/// Removes every CR, so that lines end in LF.
fn lf(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().filter(|octet| *octet != b'\r').collect()
}

/// Maximum octets.
const LONGEST_SUBJECT: usize = 900;
/// Maximum octets without the line break (RFC 5322, section 2.1.1).
const LONGEST_LINE: usize = 998;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, FixedClock, Limits, SystemRandom},
        mail::{Message, address::mailbox},
    };

    fn made(subject: Option<&str>, text: &[u8]) -> Result<Vec<u8>> {
        let draft = Draft {
            from: mailbox("\"Alice, A.\" <alice@example.org>").unwrap(),
            to: vec![Address::parse("bob@example.org").unwrap(), Address::parse("carol@example.org").unwrap()],
            subject: subject.map(str::to_owned),
        };
        draft.message(text, &FixedClock(std::time::SystemTime::UNIX_EPOCH), &SystemRandom)
    }

    #[test]
    fn a_text_comes_out_as_it_went_in() {
        for text in [
            "hi\n",
            "",
            "no end",
            "caf\u{e9}\n",
            "nul \0 and bell \u{7}\n",
            "a\rb\n",
            "From x\n.\n-- \ntrailing \n",
            &"x".repeat(2000),
        ] {
            let message = made(Some("caf\u{e9}"), text.as_bytes()).unwrap();
            let message = Message::parse(message, &mut Budget::new(Limits::default())).unwrap();
            let root = message.root();
            assert_eq!(String::from_utf8_lossy(&root.decoded()), text);
            assert_eq!(root.header("From").as_deref(), Some("\"Alice, A.\" <alice@example.org>"));
            assert_eq!(root.header("To").as_deref(), Some("bob@example.org, carol@example.org"));
            assert_eq!(root.header("Date").as_deref(), Some("Thu, 01 Jan 1970 00:00:00 +0000"));
            assert!(root.header("Message-ID").unwrap().ends_with("@example.org>"));
            let subject = root.fields().find(|field| field.is("Subject")).unwrap();
            assert_eq!(subject.decoded(), "caf\u{e9}");
            assert!(!message.octets().contains(&b'\r') && message.octets().iter().all(u8::is_ascii));
        }
        let crlf = made(None, b"one\r\ntwo\r\n").unwrap();
        assert!(
            crlf.ends_with(b"\r\n\r\none\r\ntwo\r\n")
                && crlf.starts_with(b"From: \"Alice, A.\" <alice@example.org>\r\n")
        );
    }

    #[test]
    fn nothing_ends_a_field() {
        for subject in ["a\r\nBcc: eve@example.org", "a\nb", "a\rb", "a\0b", "a\tb", "a\u{85}b", &"x".repeat(901)] {
            assert!(made(Some(subject), b"hi\n").is_err(), "{subject:?}");
        }
        for from in
            ["a@example.org\r\nBcc: eve@example.org", "a@example.org, b@example.org", "x", "", "g: a@example.org;"]
        {
            assert!(mailbox(from).is_err(), "{from:?}");
        }
        assert!(made(None, b"caf\xe9\n").unwrap_err().to_string().contains("not in UTF-8"));
    }
}
