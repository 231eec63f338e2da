//! Replies (RFC 5321, section 4.2) with enhanced status codes (RFC 2034, RFC 3463).

use std::{fmt, sync::Arc, time::Duration};

use super::wire::{Fault, Wire};
use crate::base::{Error, Kind};

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The enhanced status code, such as `5.1.1`, if there is one.
    pub status: Option<String>,
    /// One or more lines, without line endings.
    pub lines: Vec<String>,
    /// The server that it came from, as the log names it: `mx1.example.net[192.0.2.1]`; `None` for replies of this program.
    pub server: Option<Arc<str>>,
}

impl Reply {
    /// One line with an enhanced status code.
    pub fn new(code: u16, status: &str, text: impl Into<String>) -> Reply {
        Reply { code, status: Some(status.to_owned()), lines: vec![text.into()], server: None }
    }

    /// Lines without an enhanced status code.
    pub fn plain(code: u16, lines: impl IntoIterator<Item = String>) -> Reply {
        Reply { code, status: None, lines: lines.into_iter().collect(), server: None }
    }

    /// A temporary failure: 451.
    pub fn later(status: &str, text: impl Into<String>) -> Reply {
        Reply::new(451, status, text)
    }

    /// Whether the command succeeded. 354 is not success: a server that sends it after a message has not accepted the message.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the same command may succeed later.
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The name that the server gave the message, in a positive reply to its end, in the words of Postfix (`Ok: queued as ID`), Exim
    /// (`OK id=ID`) and Sendmail (`ID Message accepted for delivery`).
    pub fn queue_id(&self) -> Option<&str> {
        let named = |line: &'_ String| -> Option<(usize, usize)> {
            let start = match (line.find("queued as "), line.find("id=")) {
                (Some(at), _) => at + "queued as ".len(),
                (None, Some(at)) => at + "id=".len(),
                (None, None) => return line.find(" Message accepted for delivery").map(|end| (0, end)),
            };
            let length = line.get(start..)?.find([' ', ';', ')', ',']);
            Some((start, length.map_or(line.len(), |length| start + length)))
        };
        let line = self.lines.first().filter(|_| self.is_positive())?;
        let (start, end) = named(line)?;
        line.get(start..end).filter(|id| !id.is_empty() && !id.contains(' '))
    }

    /// The octets, with CRLF. Characters that are not printable ASCII become question marks. A line that is too long is cut.
    pub(super) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let space = if at + 1 == self.lines.len() { ' ' } else { '-' };
            let status = self.status.as_ref().map(|status| format!("{status} ")).unwrap_or_default();
            let shown = line.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
            let shown: String = shown.take(MAX_TEXT).collect();
            octets.extend_from_slice(format!("{}{space}{status}{shown}\r\n", self.code).as_bytes());
        }
        octets
    }

    /// Reads a reply.
    pub(super) async fn read(wire: &mut Wire, limit: Duration) -> Result<Reply, Fault> {
        let mut reply: Option<Reply> = None;
        for _ in 0..MAX_LINES {
            let line = wire.line(MAX_LINE, limit).await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let (code, rest) = line.split_at_checked(3).ok_or_else(nonsense)?;
            let code = code.parse().ok().filter(|code| (200..600).contains(code)).ok_or_else(nonsense)?;
            let (is_last, text) = match rest.split_at_checked(1) {
                None => (true, ""),
                Some((" ", text)) => (true, text),
                Some(("-", text)) => (false, text),
                Some(_) => return Err(nonsense()),
            };
            let (status, text) = split_status(code, text);
            let begun = || Reply { code, status: status.clone(), lines: Vec::new(), server: None };
            let reply = reply.get_or_insert_with(begun);
            if reply.code != code {
                return Err(nonsense());
            }
            reply.lines.push(if status.is_none() || status == reply.status { text } else { &line }.to_owned());
            if is_last {
                return Ok(reply.clone());
            }
        }
        Err(nonsense())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for word in self.status.iter().chain(&self.lines) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// The error for code outside SMTP.
impl From<Reply> for Error {
    fn from(reply: Reply) -> Error {
        let kind = if reply.is_temporary() { Kind::TryAgain } else { Kind::NoKey };
        Error::new(kind, reply.to_string())
    }
}

/// The enhanced status code at the beginning of a line; it has to agree with the reply's first digit (RFC 2034, section 4).
fn split_status(code: u16, text: &str) -> (Option<String>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let numbers: Vec<&str> = word.split('.').collect();
    let is_number =
        |number: &&str| (1..=3).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_digit());
    let agrees = numbers.first().is_some_and(|class| class.parse() == Ok(code / 100));
    if numbers.len() == 3 && numbers.iter().all(is_number) && agrees {
        (Some(word.to_owned()), rest)
    } else {
        (None, text)
    }
}

fn nonsense() -> Fault {
    Fault::Gone(std::io::Error::new(std::io::ErrorKind::InvalidData, "not an SMTP reply"))
}

/// Source: 512 octets for a reply line (RFC 5321, section 4.5.3.1.5), less code and status.
const MAX_TEXT: usize = 480;
/// Octets of a line of another server: four times as many as the standard allows.
const MAX_LINE: usize = 2_048;
/// Source: an EHLO reply has about 20.
const MAX_LINES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(octets: &'static [u8]) -> Option<Reply> {
        Reply::read(&mut Wire::new(Box::new(std::io::Cursor::new(octets.to_vec()))), Duration::from_secs(1)).await.ok()
    }

    #[test]
    fn the_name_of_the_message_is_found() {
        let of = |text: &str| Reply::new(250, "2.0.0", text).queue_id().map(str::to_owned);
        assert_eq!(of("Ok: queued as 4F1A2").as_deref(), Some("4F1A2"));
        assert_eq!(of("from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4F1A2").as_deref(), Some("4F1A2"));
        assert_eq!(of("OK id=1tJ2kX-00000001abc-2Bc5").as_deref(), Some("1tJ2kX-00000001abc-2Bc5"));
        assert_eq!(of("4AUG1u8w012345 Message accepted for delivery").as_deref(), Some("4AUG1u8w012345"));
        assert_eq!(of("thank you"), None);
        assert_eq!(Reply::new(550, "5.7.1", "queued as 1").queue_id(), None);
    }

    #[tokio::test]
    async fn replies_are_read_and_written() {
        let reply = read(b"250-2.1.5 first\r\n250 2.1.5 second\r\n").await.unwrap();
        assert_eq!(
            reply,
            Reply {
                code: 250,
                status: Some("2.1.5".into()),
                lines: vec!["first".into(), "second".into()],
                server: None
            }
        );
        assert_eq!(reply.octets(), b"250-2.1.5 first\r\n250 2.1.5 second\r\n");
        assert_eq!(read(b"220 mx\r\n").await.unwrap(), Reply::plain(220, ["mx".to_owned()]));
        assert_eq!(read(b"250\r\n").await.unwrap(), Reply::plain(250, [String::new()]));
        // A status of another class is text.
        assert_eq!(read(b"550 2.1.5 no\r\n").await.unwrap(), Reply::plain(550, ["2.1.5 no".to_owned()]));
        for wrong in [b"25\r\n".as_slice(), b"999 x\r\n", b"250_x\r\n", b"250-a\r\n550 b\r\n", b"250-a\r\n"] {
            assert_eq!(read(wrong).await, None, "{}", wrong.escape_ascii());
        }
        assert_eq!(Reply::new(550, "5.1.1", "a\r\nb\u{e9}").octets(), b"550 5.1.1 a??b?\r\n");
    }
}
