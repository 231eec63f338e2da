//! Mailboxes: RFC 5322, RFC 6532, with domains compared by IDNA.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Serialize};

use super::{NoAuthor, author::shortened, encoding, words};
use crate::base::{Error, Result};

/// An addr-spec. Two addresses are equal if people would call them the same mailbox: domains in any case and IDNA form,
/// local parts in any ASCII case, quoted or not.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address {
    local: String,
    domain: String,
}

/// A mailbox in a header field: display name and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, decoded. It proves nothing.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

impl Address {
    /// Parses a bare addr-spec, `a@example.org`.
    ///
    /// # Errors
    ///
    /// `Malformed` if it is not exactly one addr-spec.
    pub fn parse(text: &str) -> Result<Address> {
        let error = || Error::malformed(format_args!("address {text:?}"), "not in the form local@domain");
        let scan = scan(text).map_err(|_| error())?;
        if scan.trailing_blank || scan.tokens.iter().any(|token| token.after_blank) {
            return Err(error());
        }
        let mut list = List { tokens: &scan.tokens, groups: 0, routes: 0 };
        let address = list.address().filter(|_| list.tokens.is_empty());
        address.ok_or_else(error)
    }

    /// The local part without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// Another mailbox of the same domain; `local` is without quotes.
    pub(crate) fn with_local(&self, local: &str) -> Address {
        Address { local: local.to_owned(), domain: self.domain.clone() }
    }

    /// The domain in lower case, with A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = Error;

    fn try_from(text: String) -> Result<Address> {
        Address::parse(&text)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local.eq_ignore_ascii_case(&other.local)
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.domain.hash(state);
        self.local.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local.chars().all(|c| c == '.' || is_atext(c)) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => write!(f, "{}", self.address),
            Some(name) => write!(f, "{} <{}>", words::encode_phrase(name), self.address),
        }
    }
}

/// Parses one mailbox, `Name <a@example.org>` or `a@example.org`, but no group.
///
/// # Errors
///
/// `Malformed` if it is not exactly one mailbox.
pub fn mailbox(text: &str) -> Result<Mailbox> {
    let read = scan(text).ok().and_then(|scan| {
        let mut list = List { tokens: &scan.tokens, groups: 0, routes: 0 };
        list.mailbox().filter(|_| list.tokens.is_empty())
    });
    read.ok_or_else(|| {
        Error::malformed(format_args!("mailbox {text:?}"), "not in the form `local@domain` or `Name <local@domain>`")
    })
}

/// Whether the value of a From field has a mailbox: a list of mailboxes, a mailbox with a name that should have been
/// quoted, or a mailbox without a domain, as cron and other local programs write it.
pub(super) fn names_mailbox(value: &str) -> bool {
    list(value).is_ok_and(|mailboxes| !mailboxes.is_empty()) || of_user_id(value).is_some() || is_local(value)
}

/// Whether `value` is one mailbox without a domain: `root`, `Cron <root>`.
fn is_local(value: &str) -> bool {
    let Ok(scan) = scan(value) else { return false };
    let mut list = List { tokens: &scan.tokens, groups: 0, routes: 0 };
    let phrase = list.phrase_length();
    let bracketed = list.tokens.get(phrase).is_some_and(|token| token.lexeme == Lexeme::Special('<'));
    if bracketed {
        list.tokens = list.tokens.get(phrase + 1..).unwrap_or_default();
    }
    list.local().is_some() && (!bracketed || list.take('>')) && list.tokens.is_empty()
}

/// Parses every mailbox of an address list (From, To, Cc, Bcc, Reply-To), without group names.
///
/// # Errors
///
/// `Malformed` if any entry cannot be read, because a part of the list would be misleading.
pub fn list(value: &str) -> Result<Vec<Mailbox>> {
    let read = scan(value).ok().and_then(|scan| List { tokens: &scan.tokens, groups: 0, routes: 0 }.mailboxes());
    read.ok_or_else(|| {
        let shown: String = value.chars().take(80).collect();
        Error::malformed(format_args!("address list {shown:?}"), "not in the form of RFC 5322, section 3.4")
    })
}

/// The mailbox in a certificate's user ID: `Name <a@example.org>` or a bare address (RFC 9580, section 5.11); `None` if
/// it is not exactly one. The name may hold anything but angle brackets: people use commas, dots and `@` in it without
/// quotes.
pub fn of_user_id(text: &str) -> Option<Address> {
    let text = text.trim();
    let bare = match text.strip_suffix('>') {
        Some(text) => text.split_once('<').map(|(_, address)| address)?,
        None => text,
    };
    Address::parse(bare).ok()
}

/// The address in the From field `value`: exactly one mailbox, no group and no route, whose mailboxes some readers take
/// for the address.
pub(super) fn only(value: &str) -> std::result::Result<Address, NoAuthor> {
    let scan = scan(value).map_err(NoAuthor::Unreadable)?;
    let mut list = List { tokens: &scan.tokens, groups: 0, routes: 0 };
    let Some(mut mailboxes) = list.mailboxes() else {
        return Err(NoAuthor::Unreadable(match list.tokens.first().and_then(|token| value.get(token.start..)) {
            Some(rest) => format!("not an address list from {:?} on", shortened(rest)),
            None => "it ends within an address".to_owned(),
        }));
    };
    match (mailboxes.pop(), mailboxes.len()) {
        _ if list.groups > 0 => Err(NoAuthor::Group),
        (None, _) => Err(NoAuthor::Empty),
        (Some(_), others @ 1..) => Err(NoAuthor::Several(others + 1)),
        (Some(_), 0) if list.routes > 0 => Err(NoAuthor::Route),
        (Some(only), 0) => Ok(only.address),
    }
}

#[derive(Debug, PartialEq)]
enum Lexeme {
    Atom(String),
    /// With its brackets.
    DomainLiteral(String),
    Quoted(String),
    Special(char),
}

#[derive(Debug)]
struct Token {
    lexeme: Lexeme,
    /// Start in the text, in octets.
    start: usize,
    /// Whether white space or a comment comes before it.
    after_blank: bool,
}

struct Scan {
    tokens: Vec<Token>,
    trailing_blank: bool,
}

/// The lexical tokens of RFC 5322, section 3.2. The error says what is not closed, or which character is not allowed.
fn scan(text: &str) -> std::result::Result<Scan, String> {
    let mut tokens = Vec::new();
    let mut after_blank = false;
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let mut within = |what: &str| match chars.next() {
            Some((_, c)) => visible(c).ok_or_else(|| foreign(c)),
            None => Err(format!("{what} does not end")),
        };
        let lexeme = match c {
            ' ' | '\t' => {
                after_blank = true;
                continue;
            }
            '(' => {
                let mut depth = 1;
                while depth > 0 {
                    match within("a comment")? {
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        '\\' => _ = within("a comment")?,
                        _ => {}
                    }
                }
                after_blank = true;
                continue;
            }
            '"' => {
                let mut quoted = String::new();
                loop {
                    match within("a quoted string")? {
                        '"' => break,
                        '\\' => quoted.push(within("a quoted string")?),
                        c => quoted.push(c),
                    }
                }
                Lexeme::Quoted(quoted)
            }
            '[' => {
                let mut literal = String::from('[');
                while !literal.ends_with(']') {
                    let c = within("a domain literal")?;
                    if !c.is_ascii_graphic() || matches!(c, '[' | '\\') {
                        return Err(foreign('['));
                    }
                    literal.push(c);
                }
                Lexeme::DomainLiteral(literal)
            }
            '<' | '>' | ':' | ';' | '@' | ',' | '.' => Lexeme::Special(c),
            c if is_atext(c) => {
                let mut atom = String::from(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| is_atext(*c)) {
                    atom.push(c);
                }
                Lexeme::Atom(atom)
            }
            _ => return Err(foreign(c)),
        };
        tokens.push(Token { lexeme, start, after_blank });
        after_blank = false;
    }
    Ok(Scan { tokens, trailing_blank: after_blank })
}

/// Describes a character that is not allowed at its position.
fn foreign(c: char) -> String {
    match visible(c) {
        Some(c) => format!("{c:?} is outside quotes"),
        None => format!("the character U+{:04X} is not allowed in an address", u32::from(c)),
    }
}

/// Whether an atom may contain the character (RFC 5322, section 3.2.3; RFC 6532, section 3.2).
fn is_atext(c: char) -> bool {
    !matches!(c, ' ' | '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '.' | '"')
        && visible(c).is_some()
        && c != '\t'
}

/// Excludes control characters, characters without width or that change the text direction, and the replacement
/// character. None belongs in an address, and each can make one address look like another.
fn visible(c: char) -> Option<char> {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}');
    (c == '\t' || !(c.is_control() || hidden)).then_some(c)
}

/// The rest of a list.
struct List<'a> {
    tokens: &'a [Token],
    groups: usize,
    routes: usize,
}

impl<'a> List<'a> {
    /// Parses everything to the end.
    fn mailboxes(&mut self) -> Option<Vec<Mailbox>> {
        let mut mailboxes = Vec::new();
        let mut in_group = false;
        loop {
            // Empty entries are obsolete (RFC 5322, section 4.4), but accepted.
            if self.take(',') {
                continue;
            }
            if in_group && self.take(';') {
                in_group = false;
            } else if self.tokens.is_empty() {
                return (!in_group).then_some(mailboxes);
            } else if !in_group && self.group() {
                in_group = true;
                self.groups += 1;
                continue;
            } else {
                mailboxes.push(self.mailbox()?);
            }
            // An entry or a group ends at a separator.
            let ends = match self.tokens.first().map(|token| &token.lexeme) {
                None | Some(Lexeme::Special(',')) => true,
                Some(Lexeme::Special(';')) => in_group,
                _ => false,
            };
            if !ends {
                return None;
            }
        }
    }

    /// Takes the name of a group and its colon.
    fn group(&mut self) -> bool {
        let phrase = self.phrase_length();
        let opens = phrase > 0 && self.tokens.get(phrase).is_some_and(|token| token.lexeme == Lexeme::Special(':'));
        if opens {
            self.tokens = self.tokens.get(phrase + 1..).unwrap_or_default();
        }
        opens
    }

    /// Takes `Name <address>` or `address`.
    fn mailbox(&mut self) -> Option<Mailbox> {
        let phrase = self.phrase_length();
        if self.tokens.get(phrase)?.lexeme != Lexeme::Special('<') {
            return Some(Mailbox { name: None, address: self.address()? });
        }
        let name = display_name(self.tokens.get(..phrase)?);
        self.tokens = self.tokens.get(phrase + 1..)?;
        self.route()?;
        let address = self.address()?;
        self.take('>').then_some(Mailbox { name, address })
    }

    /// Skips the obsolete route `@a,@b:` (RFC 5322, section 4.4).
    fn route(&mut self) -> Option<()> {
        let mut found = false;
        loop {
            while self.take(',') {}
            if !self.take('@') {
                break;
            }
            self.domain()?;
            found = true;
        }
        self.routes += usize::from(found);
        (!found || self.take(':')).then_some(())
    }

    fn address(&mut self) -> Option<Address> {
        let local = self.local()?;
        let domain = self.take('@').then(|| self.domain())??;
        Some(Address { local, domain })
    }

    /// Takes words separated by dots. Two dots in a row, or a dot at an end, are accepted: Japanese carriers assigned
    /// such addresses.
    fn local(&mut self) -> Option<String> {
        let mut local = String::new();
        let mut after_word = false;
        while let Some((token, rest)) = self.tokens.split_first() {
            match &token.lexeme {
                Lexeme::Atom(word) | Lexeme::Quoted(word) if !after_word => local.push_str(word),
                Lexeme::Special('.') => local.push('.'),
                _ => break,
            }
            after_word = !matches!(token.lexeme, Lexeme::Special(_));
            self.tokens = rest;
        }
        // A tab is allowed in a quoted display name, but not in an address.
        (local.chars().any(|c| c != '.') && !local.contains('\t')).then_some(local)
    }

    fn domain(&mut self) -> Option<String> {
        if let Some((Token { lexeme: Lexeme::DomainLiteral(literal), .. }, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            return Some(literal.to_ascii_lowercase());
        }
        let mut domain = String::new();
        loop {
            let (Token { lexeme: Lexeme::Atom(label), .. }, rest) = self.tokens.split_first()? else { return None };
            domain.push_str(label);
            self.tokens = rest;
            if !self.take('.') {
                return a_labels(&domain);
            }
            domain.push('.');
        }
    }

    /// Number of tokens from here that are words and dots: a display name, or the name of a group.
    fn phrase_length(&self) -> usize {
        let is_phrase =
            |token: &Token| matches!(token.lexeme, Lexeme::Atom(_) | Lexeme::Quoted(_) | Lexeme::Special('.'));
        self.tokens.iter().position(|token| !is_phrase(token)).unwrap_or(self.tokens.len())
    }

    fn take(&mut self, special: char) -> bool {
        match self.tokens.split_first() {
            Some((token, rest)) if token.lexeme == Lexeme::Special(special) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

/// The domain in lower case with A-labels (RFC 5891, UTS 46); `None` if it is not a valid name.
fn a_labels(domain: &str) -> Option<String> {
    // No domain is longer (RFC 1035, section 2.3.4), with four octets per character in Unicode.
    if domain.len() > 4 * MAX_DOMAIN {
        return None;
    }
    let labels = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::URL).ok()?;
    // Some characters map to two, one of which ends an address: U+1F101 is `0,`.
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_atext);
    let is_name = labels.len() <= MAX_DOMAIN && labels.split('.').all(is_label);
    is_name.then(|| labels.into_owned())
}

fn display_name(tokens: &[Token]) -> Option<String> {
    let mut name = String::new();
    for token in tokens {
        if token.after_blank && !name.is_empty() {
            name.push(' ');
        }
        match &token.lexeme {
            Lexeme::Atom(word) | Lexeme::Quoted(word) => name.push_str(word),
            Lexeme::DomainLiteral(_) | Lexeme::Special(_) => name.push('.'),
        }
    }
    let name = encoding::decode_words(&name);
    (!name.is_empty()).then_some(name)
}

const MAX_DOMAIN: usize = 255;

#[cfg(test)]
mod tests;
