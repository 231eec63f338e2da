//! Search filters of a directory (RFC 4515), with places for an address.
//!
//! A filter is read once. The address is put into the form that is sent (RFC 4511, section 4.5.1.7), as an octet string, and never into the text of the
//! filter: no character of an address means anything there.

use serde::{Deserialize, Serialize};

use super::ber::{element, elements};
use crate::{
    base::{Error, Kind, Result},
    mail::Address,
};

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Filter(Node);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Node {
    /// `&` and `|`.
    Set(u8, Vec<Node>),
    Not(Box<Node>),
    /// `=`, `>=`, `<=` and `~=`.
    Compare(u8, String, Value),
    Present(String),
    /// Each part with its tag.
    Substrings(String, Vec<(u8, Value)>),
    Extensible(Extensible),
}

/// `attribute:dn:rule:=value`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Extensible {
    attribute: Option<String>,
    rule: Option<String>,
    with_dn: bool,
    value: Value,
}

/// A value that is compared.
type Value = Vec<Part>;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Part {
    Octets(Vec<u8>),
    /// `{address}`
    Address,
    /// `{local}`
    Local,
    /// `{domain}`
    Domain,
}

const AND: u8 = 0xA0;
const OR: u8 = 0xA1;
const NOT: u8 = 0xA2;
const EQUALITY: u8 = 0xA3;
const SUBSTRINGS: u8 = 0xA4;
const GREATER: u8 = 0xA5;
const LESS: u8 = 0xA6;
const PRESENT: u8 = 0x87;
const APPROXIMATE: u8 = 0xA8;
const EXTENSIBLE: u8 = 0xA9;
const INITIAL: u8 = 0x80;
const ANY: u8 = 0x81;
const FINAL: u8 = 0x82;

/// Filters within filters. More are a mistake.
const MAX_DEPTH: usize = 32;

impl Filter {
    /// Reads a filter. `{address}`, `{local}` and `{domain}` in its values stand for an address and its parts; a brace that is meant is `\7b`.
    ///
    /// # Errors
    ///
    /// `Config`: it is not a filter.
    pub fn parse(text: &str) -> Result<Filter> {
        let mut rest = text.trim();
        let wrong = |why: String| Error::new(Kind::Config, format!("filter {text:?}: {why}"));
        let node = node(&mut rest, 0).map_err(wrong)?;
        match rest {
            "" => Ok(Filter(node)),
            _ => Err(wrong(format!("{rest:?} follows its end"))),
        }
    }

    /// Whether it depends on the address, and not on the domain alone.
    pub fn names_address(&self) -> bool {
        self.0.values().into_iter().flatten().any(|part| matches!(part, Part::Address | Part::Local))
    }

    /// As it is sent to the server. Without an address, its places are empty.
    pub fn octets(&self, address: Option<&Address>) -> Vec<u8> {
        self.0.octets(address)
    }
}

impl Node {
    fn values(&self) -> Vec<&Value> {
        match self {
            Node::Set(_, all) => all.iter().flat_map(Node::values).collect(),
            Node::Not(one) => one.values(),
            Node::Compare(_, _, value) | Node::Extensible(Extensible { value, .. }) => vec![value],
            Node::Present(_) => Vec::new(),
            Node::Substrings(_, parts) => parts.iter().map(|(_, value)| value).collect(),
        }
    }

    fn octets(&self, address: Option<&Address>) -> Vec<u8> {
        let text = |attribute: &str| element(0x04, attribute.as_bytes());
        match self {
            Node::Set(tag, all) => elements(*tag, &all.iter().map(|one| one.octets(address)).collect::<Vec<_>>()),
            Node::Not(one) => element(NOT, &one.octets(address)),
            Node::Compare(tag, attribute, value) => {
                elements(*tag, &[text(attribute), element(0x04, &filled(value, address))])
            }
            Node::Present(attribute) => element(PRESENT, attribute.as_bytes()),
            Node::Substrings(attribute, parts) => {
                let parts: Vec<_> = parts.iter().map(|(tag, value)| element(*tag, &filled(value, address))).collect();
                elements(SUBSTRINGS, &[text(attribute), elements(0x30, &parts)])
            }
            Node::Extensible(Extensible { attribute, rule, with_dn, value }) => {
                let named = [(0x81, rule), (0x82, attribute)];
                let mut content: Vec<_> =
                    named.into_iter().filter_map(|(tag, name)| Some(element(tag, name.as_ref()?.as_bytes()))).collect();
                content.push(element(0x83, &filled(value, address)));
                if *with_dn {
                    content.push(element(0x84, &[0xFF]));
                }
                elements(EXTENSIBLE, &content)
            }
        }
    }
}

fn filled(value: &Value, address: Option<&Address>) -> Vec<u8> {
    let octets = |part: &Part| match (part, address) {
        (Part::Octets(octets), _) => octets.clone(),
        (Part::Address, Some(address)) => address.to_string().into_bytes(),
        (Part::Local, Some(address)) => address.local().as_bytes().to_vec(),
        (Part::Domain, Some(address)) => address.domain().as_bytes().to_vec(),
        (Part::Address | Part::Local | Part::Domain, None) => Vec::new(),
    };
    value.iter().flat_map(octets).collect()
}

/// One filter in parentheses, taken from the front of `rest`.
fn node(rest: &mut &str, depth: usize) -> Result<Node, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} filters within one another"));
    }
    take(rest, "(")?;
    let node = if let Some(tag) = [("&", AND), ("|", OR)].iter().find(|(sign, _)| rest.starts_with(sign)) {
        take(rest, tag.0)?;
        let mut all = Vec::new();
        while rest.starts_with('(') {
            all.push(self::node(rest, depth + 1)?);
        }
        Node::Set(tag.1, all)
    } else if rest.starts_with('!') {
        take(rest, "!")?;
        Node::Not(Box::new(self::node(rest, depth + 1)?))
    } else {
        let end = rest.find(')').ok_or("a parenthesis is open")?;
        let (text, after) = rest.split_at(end);
        *rest = after;
        item(text)?
    };
    take(rest, ")")?;
    Ok(node)
}

fn take(rest: &mut &str, sign: &str) -> Result<(), String> {
    *rest = rest.strip_prefix(sign).ok_or_else(|| format!("{sign:?} is expected before {rest:?}"))?;
    Ok(())
}

/// `attribute=value`, without parentheses.
fn item(text: &str) -> Result<Node, String> {
    let (left, right) = text.split_once('=').ok_or_else(|| format!("{text:?}: no ="))?;
    for (sign, tag) in [(">", GREATER), ("<", LESS), ("~", APPROXIMATE)] {
        if let Some(name) = left.strip_suffix(sign) {
            return Ok(Node::Compare(tag, attribute(name)?, value(right)?));
        }
    }
    if let Some(names) = left.strip_suffix(':') {
        return Ok(Node::Extensible(extensible(names, right)?));
    }
    let name = attribute(left)?;
    let parts: Vec<&str> = right.split('*').collect();
    match parts.as_slice() {
        ["", ""] => Ok(Node::Present(name)),
        [whole] => Ok(Node::Compare(EQUALITY, name, value(whole)?)),
        _ => {
            let last = parts.len() - 1;
            let tag = |at: usize| match at {
                0 => INITIAL,
                at if at == last => FINAL,
                _ => ANY,
            };
            let parts = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
            let parts: Vec<_> = parts.map(|(at, part)| Ok((tag(at), value(part)?))).collect::<Result<_, String>>()?;
            match parts.is_empty() {
                true => Err(format!("{text:?}: asterisks alone")),
                false => Ok(Node::Substrings(name, parts)),
            }
        }
    }
}

/// What is before `:=` in `attribute:dn:rule:=value`.
fn extensible(names: &str, right: &str) -> Result<Extensible, String> {
    let mut names = names.split(':');
    let name = names.next().filter(|name| !name.is_empty()).map(attribute).transpose()?;
    let mut names = names.peekable();
    let with_dn = names.next_if(|name| name.eq_ignore_ascii_case("dn")).is_some();
    let rule = names.next().map(attribute).transpose()?;
    if names.next().is_some() || (name.is_none() && rule.is_none()) {
        return Err("not in the form attribute:dn:rule:=value".to_owned());
    }
    Ok(Extensible { attribute: name, rule, with_dn, value: value(right)? })
}

fn attribute(name: &str) -> Result<String, String> {
    let is_known = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | ';' | '.');
    match !name.is_empty() && name.chars().all(is_known) {
        true => Ok(name.to_owned()),
        false => Err(format!("{name:?}: not the name of an attribute")),
    }
}

fn value(text: &str) -> Result<Value, String> {
    let (mut value, mut octets, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some(character) = rest.chars().next() {
        rest = rest.strip_prefix(character).unwrap_or_default();
        match character {
            '\\' => {
                let digits = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                octets.push(octet.ok_or_else(|| format!("{text:?}: \\ goes with two hexadecimal digits"))?);
                rest = rest.get(2..).unwrap_or_default();
            }
            '{' => {
                let (name, after) = rest.split_once('}').ok_or_else(|| format!("{text:?}: a brace is open"))?;
                let part = match name {
                    "address" => Part::Address,
                    "local" => Part::Local,
                    "domain" => Part::Domain,
                    _ => return Err(format!("{{{name}}}: known are {{address}}, {{local}} and {{domain}}")),
                };
                value.push(Part::Octets(std::mem::take(&mut octets)));
                value.push(part);
                rest = after;
            }
            '(' | '\0' => return Err(format!("{text:?}: {character:?} is written as \\{:02x}", u32::from(character))),
            other => octets.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    value.push(Part::Octets(octets));
    value.retain(|part| *part != Part::Octets(Vec::new()));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(filter: &str, address: &str) -> Vec<u8> {
        Filter::parse(filter).unwrap().octets(Some(&Address::parse(address).unwrap()))
    }

    /// The examples of RFC 4515, section 4, that are filters of LDAPv3 servers.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for text in [
            "(cn=Babs Jensen)",
            "(!(cn=Tim Howes))",
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            "(o=univ*of*mich*)",
            "(seeAlso=)",
            "(cn:caseExactMatch:=Fred Flintstone)",
            "(cn:=Betty Rubble)",
            "(sn:dn:2.4.6.8.10:=Barney Rubble)",
            "(o:dn:=Ace Industry)",
            "(:1.2.3:=Wilma Flintstone)",
            "(:DN:2.4.6.8.10:=Dino)",
            "(o=Parens R Us \\28for all your parenthetical needs\\29)",
            "(cn=*\\2A*)",
            "(filename=C:\\5cMyFile)",
            "(bin=\\00\\00\\00\\04)",
            "(sn=Lu\\c4\\8di\\c4\\87)",
            "(1.3.6.1.4.1.1466.0=\\04\\02\\48\\69)",
            "(&)",
        ] {
            assert!(Filter::parse(text).is_ok(), "{text}: {:?}", Filter::parse(text));
        }
        for text in
            ["", "cn=a", "(cn=a", "(cn=a))", "(cn)", "(c n=a)", "(cn=a\\2)", "(cn={mail})", "(cn=(a)", "(cn=**)"]
        {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&format!("{}(a=b){}", "(!".repeat(40), ")".repeat(40))).is_err());
    }

    #[test]
    fn filters_are_sent_as_the_protocol_has_them() {
        let text = |tag: u8, text: &str| element(tag, text.as_bytes());
        assert_eq!(
            sent("(&(mail={address})(!(cn=*)))", "bob@example.org"),
            elements(
                0xA0,
                &[elements(0xA3, &[text(4, "mail"), text(4, "bob@example.org")]), element(0xA2, &text(0x87, "cn")),]
            )
        );
        assert_eq!(
            sent("(o=univ*of*\\2a)", "bob@example.org"),
            elements(0xA4, &[text(4, "o"), elements(0x30, &[text(0x80, "univ"), text(0x81, "of"), text(0x82, "*")])])
        );
        assert_eq!(
            sent("(userAccountControl:1.2.840.113556.1.4.803:=2)", "bob@example.org"),
            elements(0xA9, &[text(0x81, "1.2.840.113556.1.4.803"), text(0x82, "userAccountControl"), text(0x83, "2")])
        );
        assert_eq!(
            sent("(a=smtp:{local} at {domain})", "bob@example.org"),
            elements(0xA3, &[text(4, "a"), text(4, "smtp:bob at example.org")])
        );
    }

    /// Whatever an address says, it is one value.
    #[test]
    fn an_address_is_never_a_part_of_the_filter() {
        for local in ["*", "a*b", "x)(uid=*", "x\\2a", "{domain}", "x)(|(objectClass=*"] {
            let address = Address::parse(&format!("\"{}\"@example.org", local.replace('\\', "\\\\"))).unwrap();
            assert_eq!(address.local(), local);
            let octets = Filter::parse("(uid={local})").unwrap().octets(Some(&address));
            assert_eq!(octets, elements(0xA3, &[element(4, b"uid"), element(4, local.as_bytes())]), "{local}");
        }
    }
}
