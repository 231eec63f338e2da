//! What a POP3 server says, taken apart.

/// The first line of a reply (RFC 1939, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`, and words.
    Ok(Vec<u8>),
    /// `-ERR`, and words.
    Err(Vec<u8>),
    /// `+`, and a challenge in base64 (RFC 5034, section 4).
    Challenge(Vec<u8>),
}

impl Reply {
    /// Takes a line apart. `None`: it is no reply.
    pub fn parse(line: &[u8]) -> Option<Reply> {
        let (word, words) = match memchr::memchr(b' ', line) {
            Some(at) => (line.get(..at)?, line.get(at + 1..)?.to_vec()),
            None => (line, Vec::new()),
        };
        match word {
            b"+" => Some(Reply::Challenge(words)),
            _ if word.eq_ignore_ascii_case(b"+OK") => Some(Reply::Ok(words)),
            _ if word.eq_ignore_ascii_case(b"-ERR") => Some(Reply::Err(words)),
            _ => None,
        }
    }
}

/// A line of UIDL or LIST: a message's number, and its unique id or its size. `None`: it is neither, or the id is not of 1 to 70 visible characters (RFC 1939, section 7).
pub fn numbered(line: &[u8]) -> Option<(u32, &str)> {
    let (number, value) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    let is_id = (1..=70).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_graphic());
    let number = number.bytes().all(|octet| octet.is_ascii_digit()).then(|| number.parse().ok())??;
    (number > 0 && is_id).then_some((number, value))
}

/// The timestamp in a greeting, for APOP (RFC 1939, section 7).
pub(super) fn timestamp(words: &[u8]) -> Option<&[u8]> {
    let start = memchr::memchr(b'<', words)?;
    let end = memchr::memchr(b'>', words.get(start..)?)?;
    words.get(start..=start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_lists_are_taken_apart() {
        assert_eq!(Reply::parse(b"+OK hello <1.2@x>"), Some(Reply::Ok(b"hello <1.2@x>".to_vec())));
        assert_eq!(Reply::parse(b"-err"), Some(Reply::Err(Vec::new())));
        assert_eq!(Reply::parse(b"+ YWJj"), Some(Reply::Challenge(b"YWJj".to_vec())));
        for wrong in [&b""[..], b"OK", b"* OK", b"+OKAY", b" +OK"] {
            assert_eq!(Reply::parse(wrong), None);
        }
        assert_eq!(numbered(b"1 whqtswO00WBw418f9t5JxYwZ"), Some((1, "whqtswO00WBw418f9t5JxYwZ")));
        for wrong in [&b"1"[..], b"0 a", b"x a", b"-1 a", b"1 a b", b"1 \xff", b"99999999999 a", b"1 "] {
            assert_eq!(numbered(wrong), None);
        }
        assert_eq!(numbered(format!("1 {}", "x".repeat(71)).as_bytes()), None);
        assert_eq!(
            timestamp(b"POP3 <1896.697170952@dbc.mtview.ca.us> ready"),
            Some(&b"<1896.697170952@dbc.mtview.ca.us>"[..])
        );
        assert_eq!(timestamp(b"ready> <x"), None);
    }
}
