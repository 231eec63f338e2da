//! What an IMAP server says (RFC 9051, section 7; RFC 3501): one response, taken apart. The wire gives whole responses only, with bounds, so that nothing here
//! waits for more. Responses that the client asked nothing of are [`Untagged::Other`].

use std::iter::Peekable;

/// One response: its text with `{5}` where literals stood, and the literals in order.
#[derive(Debug, Default)]
pub struct Raw {
    /// The text without line ends.
    pub text: Vec<u8>,
    /// The octets of each literal.
    pub literals: Vec<Vec<u8>>,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub enum Response {
    /// `+`: the server waits for more of the command. The words are base64 in a login.
    Continue(Vec<u8>),
    /// The end of a command.
    Tagged(Vec<u8>, Status, Text),
    /// `*`.
    Untagged(Untagged),
}

/// What a server says beside the end of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Untagged {
    /// A greeting, a warning, or news in the brackets.
    Status(Status, Text),
    /// What the server can do, in upper case.
    Capability(Vec<String>),
    /// How many messages the mailbox has.
    Exists(u32),
    /// One mailbox.
    List(Listed),
    /// One message, with its number.
    Fetch(u32, Fetched),
    /// UIDNEXT and UIDVALIDITY of a mailbox that is not open.
    MailboxStatus {
        /// The UID that the next message will have, at least.
        next: Option<u32>,
        /// The UIDVALIDITY.
        validity: Option<u32>,
    },
    /// What was enabled, in upper case (RFC 5161).
    Enabled(Vec<String>),
    /// Anything else.
    Other,
}

/// The word at the head of a status response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok,
    /// It was not done.
    No,
    /// The command cannot be read.
    Bad,
    /// The server ends the connection.
    Bye,
    /// The connection is logged in from the start.
    Preauth,
}

/// The rest of a status response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// What is in the brackets.
    pub code: Option<Code>,
    /// For people.
    pub words: Vec<u8>,
}

/// A response code (RFC 9051, section 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// UIDVALIDITY and UID of an appended message (RFC 4315).
    AppendUid(u32, u32),
    /// What the server can do, in upper case.
    Capability(Vec<String>),
    /// The mailbox does not exist, and could be made.
    TryCreate,
    /// The UID that the next message will have, at least.
    UidNext(u32),
    /// The UIDVALIDITY of the mailbox.
    UidValidity(u32),
    /// Anything else.
    Other,
}

/// A mailbox of LIST.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whether it can be opened.
    pub is_selectable: bool,
    /// The name as it stands on the wire.
    pub name: Vec<u8>,
}

/// What FETCH says of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The UID.
    pub uid: Option<u32>,
    /// RFC822.SIZE, in octets.
    pub size: Option<u64>,
    /// The flags, with their backslashes.
    pub flags: Option<Vec<String>>,
    /// INTERNALDATE.
    pub date: Option<String>,
    /// `BODY[]`.
    pub body: Option<Vec<u8>>,
}

/// How deep lists may be in each other. Source: twice the depth of everything that is asked for.
const DEPTH: usize = 8;

impl Raw {
    /// Takes the response apart. `None`: it is none.
    pub fn parse(self) -> Option<Response> {
        let Raw { text, literals } = self;
        let (head, rest) = split_word(&text);
        match head {
            b"+" => return Some(Response::Continue(rest.to_vec())),
            b"*" => {}
            b"" => return None,
            tag => {
                let (status, text) = status(rest)?;
                return Some(Response::Tagged(tag.to_vec(), status, text));
            }
        }
        if let Some((status, text)) = status(rest) {
            return Some(Response::Untagged(Untagged::Status(status, text)));
        }
        untagged(rest, literals).map(Response::Untagged)
    }

    /// Whether the text is one that a literal cannot end: the words of a status response may end in braces by chance.
    pub(super) fn is_words(text: &[u8]) -> bool {
        let (head, rest) = split_word(text);
        head == b"+" || status_word(split_word(rest).0).is_some()
    }
}

fn untagged(rest: &[u8], literals: Vec<Vec<u8>>) -> Option<Untagged> {
    let (first, after) = split_word(rest);
    if let Some(number) = number(first) {
        let (what, after) = split_word(after);
        return Some(match what.to_ascii_uppercase().as_slice() {
            b"EXISTS" => Untagged::Exists(number),
            b"FETCH" => Untagged::Fetch(number, fetched(values(after, literals)?)?),
            _ => Untagged::Other,
        });
    }
    Some(match first.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Untagged::Capability(upper_words(after)),
        b"ENABLED" => Untagged::Enabled(upper_words(after)),
        b"LIST" => Untagged::List(listed(values(after, literals)?)?),
        b"STATUS" => mailbox_status(values(after, literals)?)?,
        _ => Untagged::Other,
    })
}

fn status(text: &[u8]) -> Option<(Status, Text)> {
    let (word, rest) = split_word(text);
    let status = status_word(word)?;
    let inner = rest.strip_prefix(b"[").and_then(|inner| {
        let end = inner.iter().position(|octet| *octet == b']')?;
        Some((inner.get(..end)?, inner.get(end + 1..)?))
    });
    Some(match inner {
        Some((inner, words)) => (status, Text { code: Some(code(inner)), words: words.trim_ascii().to_vec() }),
        None => (status, Text { code: None, words: rest.to_vec() }),
    })
}

fn status_word(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::Preauth,
        _ => return None,
    })
}

fn code(inner: &[u8]) -> Code {
    let (name, rest) = split_word(inner);
    let known = match name.to_ascii_uppercase().as_slice() {
        b"APPENDUID" => {
            let (validity, uid) = split_word(rest);
            number(validity).zip(number(uid)).map(|(validity, uid)| Code::AppendUid(validity, uid))
        }
        b"CAPABILITY" => Some(Code::Capability(upper_words(rest))),
        b"TRYCREATE" => Some(Code::TryCreate),
        b"UIDNEXT" => number(rest).map(Code::UidNext),
        b"UIDVALIDITY" => number(rest).map(Code::UidValidity),
        _ => None,
    };
    known.unwrap_or(Code::Other)
}

fn listed(values: Vec<Value>) -> Option<Listed> {
    let mut values = values.into_iter();
    let Value::List(attributes) = values.next()? else { return None };
    let is_selectable = !attributes.iter().any(|attribute| {
        matches!(attribute, Value::Atom(name) if name.eq_ignore_ascii_case(b"\\Noselect") || name.eq_ignore_ascii_case(b"\\NonExistent"))
    });
    let _delimiter = values.next()?;
    Some(Listed { is_selectable, name: values.next()?.octets()? })
}

fn mailbox_status(values: Vec<Value>) -> Option<Untagged> {
    let mut values = values.into_iter();
    let _name = values.next()?;
    let Value::List(items) = values.next()? else { return None };
    let (mut next, mut validity) = (None, None);
    for (name, value) in pairs(items)? {
        match name.as_slice() {
            b"UIDNEXT" => next = number(&value.octets()?),
            b"UIDVALIDITY" => validity = number(&value.octets()?),
            _ => {}
        }
    }
    Some(Untagged::MailboxStatus { next, validity })
}

fn fetched(values: Vec<Value>) -> Option<Fetched> {
    let Value::List(items) = values.into_iter().next()? else { return None };
    let mut fetched = Fetched::default();
    for (name, value) in pairs(items)? {
        match name.as_slice() {
            b"UID" => fetched.uid = Some(number(&value.octets()?)?),
            b"RFC822.SIZE" => fetched.size = Some(text(value)?.parse().ok()?),
            b"INTERNALDATE" => fetched.date = Some(text(value)?),
            b"BODY[]" => fetched.body = Some(value.octets().unwrap_or_default()),
            b"FLAGS" => {
                let Value::List(flags) = value else { return None };
                fetched.flags = Some(flags.into_iter().map(text).collect::<Option<_>>()?);
            }
            _ => {}
        }
    }
    Some(fetched)
}

/// `(NAME value NAME value)`, the names in upper case.
fn pairs(items: Vec<Value>) -> Option<Vec<(Vec<u8>, Value)>> {
    let mut items = items.into_iter();
    let mut pairs = Vec::new();
    while let Some(name) = items.next() {
        let Value::Atom(name) = name else { return None };
        pairs.push((name.to_ascii_uppercase(), items.next()?));
    }
    Some(pairs)
}

fn text(value: Value) -> Option<String> {
    String::from_utf8(value.octets()?).ok()
}

/// A value in a response.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// A word, a number, NIL, a flag; with what is in its brackets: `BODY[HEADER.FIELDS (TO)]`.
    Atom(Vec<u8>),
    /// Quoted, without the quotes and the backslashes, or a literal.
    String(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    fn octets(self) -> Option<Vec<u8>> {
        match self {
            Value::Atom(octets) if octets.eq_ignore_ascii_case(b"NIL") => None,
            Value::Atom(octets) | Value::String(octets) => Some(octets),
            Value::List(_) => None,
        }
    }
}

/// All values of a response. `None`: they are not well formed.
fn values(text: &[u8], literals: Vec<Vec<u8>>) -> Option<Vec<Value>> {
    let mut reader = Reader { octets: text.iter().copied().peekable(), literals: literals.into_iter() };
    let values = reader.values(0)?;
    reader.octets.peek().is_none().then_some(values)
}

struct Reader<'a> {
    octets: Peekable<std::iter::Copied<std::slice::Iter<'a, u8>>>,
    literals: std::vec::IntoIter<Vec<u8>>,
}

impl Reader<'_> {
    /// Up to a closing parenthesis, or to the end.
    fn values(&mut self, depth: usize) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            match *self.octets.peek().unwrap_or(&b')') {
                b' ' => {
                    self.octets.next();
                }
                b')' => return Some(values),
                b'(' => {
                    if depth == DEPTH {
                        return None;
                    }
                    self.octets.next();
                    values.push(Value::List(self.values(depth + 1)?));
                    if self.octets.next() != Some(b')') {
                        return None;
                    }
                }
                b'"' => values.push(Value::String(self.quoted()?)),
                b'{' | b'~' => values.push(Value::String(self.literal()?)),
                _ => values.push(Value::Atom(self.atom()?)),
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.octets.next();
        let mut string = Vec::new();
        loop {
            match self.octets.next()? {
                b'"' => return Some(string),
                b'\\' => string.push(self.octets.next()?),
                octet => string.push(octet),
            }
        }
    }

    /// `{5}`, `{5+}` or `~{5}` (RFC 3516), of which the wire took the octets.
    fn literal(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.octets.next()? == b'}' {
                return self.literals.next();
            }
        }
    }

    fn atom(&mut self) -> Option<Vec<u8>> {
        let (mut atom, mut is_within) = (Vec::new(), false);
        while let Some(octet) = self.octets.peek() {
            match octet {
                b'[' => is_within = true,
                b']' => is_within = false,
                b' ' | b'(' | b')' | b'"' if !is_within => break,
                _ => {}
            }
            atom.push(*octet);
            self.octets.next();
        }
        (!atom.is_empty() && !is_within).then_some(atom)
    }
}

/// The octets of a literal that the end of a line announces: `... {5}`.
pub(super) fn announced(line: &[u8]) -> Option<u64> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let start = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = inner.get(start + 1..)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    // A number that is too large is one that no literal may have.
    is_number.then(|| std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX))
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, &[]),
    }
}

fn upper_words(text: &[u8]) -> Vec<String> {
    let words = text.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect()
}

/// A number of RFC 9051: 32 bits, without a sign.
fn number(text: &[u8]) -> Option<u32> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, literals: &[&str]) -> Option<Response> {
        Raw { text: text.into(), literals: literals.iter().map(|octets| octets.as_bytes().to_vec()).collect() }.parse()
    }

    fn untagged(text: &str, literals: &[&str]) -> Untagged {
        match read(text, literals) {
            Some(Response::Untagged(untagged)) => untagged,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn responses_are_taken_apart() {
        let text = |code, words: &str| Text { code, words: words.into() };
        for (said, literals, meant) in [
            ("* 23 EXISTS", &[][..], Untagged::Exists(23)),
            (
                "* capability imap4REV1 Auth=plain",
                &[],
                Untagged::Capability(vec!["IMAP4REV1".into(), "AUTH=PLAIN".into()]),
            ),
            (
                "* OK [UIDVALIDITY 7] x {5}",
                &[],
                Untagged::Status(Status::Ok, text(Some(Code::UidValidity(7)), "x {5}")),
            ),
            ("* BYE", &[], Untagged::Status(Status::Bye, text(None, ""))),
            ("* NO [ALERT] full", &[], Untagged::Status(Status::No, text(Some(Code::Other), "full"))),
            (
                "* LIST (\\HasNoChildren) \"/\" \"a \\\"b\\\\\"",
                &[],
                Untagged::List(Listed { is_selectable: true, name: b"a \"b\\".to_vec() }),
            ),
            (
                "* LIST (\\NoSelect) NIL {3}",
                &["x\\y"],
                Untagged::List(Listed { is_selectable: false, name: b"x\\y".to_vec() }),
            ),
            (
                "* LIST () \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))",
                &[],
                Untagged::List(Listed { is_selectable: true, name: b"x".to_vec() }),
            ),
            (
                "* STATUS {1} (UIDNEXT 5 UIDVALIDITY 9 X 1)",
                &["b"],
                Untagged::MailboxStatus { next: Some(5), validity: Some(9) },
            ),
            ("* ENABLED utf8=accept", &[], Untagged::Enabled(vec!["UTF8=ACCEPT".into()])),
            ("* 5 EXPUNGE", &[], Untagged::Other),
            ("* X-UNKNOWN ((((((((((((((", &[], Untagged::Other),
        ] {
            assert_eq!(untagged(said, literals), meant, "{said}");
        }
        let said = "* 1 FETCH (UID 5 FLAGS (\\Seen $x) INTERNALDATE \" 1-Jan-2024 00:00:00 +0000\" RFC822.SIZE 5000000000 EMAILID (M1) BODY[] {3} )";
        let meant = Fetched {
            uid: Some(5),
            size: Some(5_000_000_000),
            flags: Some(vec!["\\Seen".into(), "$x".into()]),
            date: Some(" 1-Jan-2024 00:00:00 +0000".into()),
            body: Some(b"abc".to_vec()),
        };
        assert_eq!(untagged(said, &["abc"]), Untagged::Fetch(1, meant));
        let done = read("a1 OK [APPENDUID 4 7] done", &[]);
        assert_eq!(done, Some(Response::Tagged(b"a1".to_vec(), Status::Ok, text(Some(Code::AppendUid(4, 7)), "done"))));
        assert_eq!(read("+ ", &[]), Some(Response::Continue(Vec::new())));
    }

    #[test]
    fn what_is_no_response_is_none() {
        let deep = format!("* 1 FETCH {}", "(".repeat(70_000));
        for said in [
            "",
            "a1 FINE",
            "* 1 FETCH (UID x)",
            "* 1 FETCH (UID 5",
            "* 1 FETCH (UID 5) x)",
            "* LIST x",
            "* 1 FETCH (BODY[ 1)",
            deep.as_str(),
        ] {
            assert_eq!(read(said, &[]), None, "{}", said.get(..40).unwrap_or(said));
        }
    }

    #[test]
    fn literals_are_announced_at_the_end_of_a_line() {
        for (line, octets) in [
            ("x {5}", Some(5)),
            ("{0+}", Some(0)),
            ("~{7}", Some(7)),
            ("x {99999999999999999999}", Some(u64::MAX)),
            ("{}", None),
            ("{5", None),
            ("{5} ", None),
            ("{-5}", None),
        ] {
            assert_eq!(announced(line.as_bytes()), octets, "{line}");
        }
    }
}
