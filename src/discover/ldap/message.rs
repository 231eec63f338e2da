//! Messages of LDAPv3 (RFC 4511, section 4): what is sent, and what comes back. Pure functions over octets.

use super::super::ber::{element, elements, number};
use crate::base::Secret;

/// What a server sent.
pub(super) struct Message<'a> {
    /// The request that it answers; 0: none.
    pub(super) id: u32,
    pub(super) tag: u8,
    content: &'a [u8],
    controls: Option<&'a [u8]>,
}

/// The end of an operation.
pub(super) struct Done {
    /// 0: it succeeded.
    pub(super) code: u32,
    /// What the server says of it.
    pub(super) text: String,
}

/// An entry that was found.
pub(super) struct Entry {
    /// Its name.
    pub(super) dn: String,
    /// Each attribute without its options, in lower case, and its values.
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// What is searched.
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    /// A filter as it is sent.
    pub(super) filter: Vec<u8>,
    pub(super) attributes: &'a [&'a str],
    /// Entries at most; 0: as many as there are.
    pub(super) max_entries: u32,
    pub(super) seconds: u32,
}

/// What the server sent is not LDAP.
#[derive(Debug)]
pub(super) struct Malformed;

/// Tags of protocolOp.
pub(super) const BOUND: u8 = 0x61;
pub(super) const FOUND: u8 = 0x64;
pub(super) const SEARCHED: u8 = 0x65;
pub(super) const REFERENCE: u8 = 0x73;
pub(super) const EXTENDED: u8 = 0x78;

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0A;
const BOOLEAN: u8 = 0x01;
const CONTROLS: u8 = 0xA0;
const UNBIND: &[u8] = &[0x42, 0];

/// RFC 4511, section 4.14
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// RFC 2696
const PAGED: &[u8] = b"1.2.840.113556.1.4.319";

/// A bind with a name and a password (RFC 4513, section 5.1.3).
pub(super) fn bind(id: u32, dn: &str, password: &Secret) -> Secret {
    let content = [number(INTEGER, 3), element(OCTETS, dn.as_bytes()), element(0x80, password.expose())];
    Secret::new(request(id, elements(0x60, &content), None))
}

/// The request that TLS begins.
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    request(id, elements(0x77, &[element(0x80, START_TLS)]), None)
}

/// The end of the connection.
pub(super) fn unbind(id: u32) -> Vec<u8> {
    request(id, UNBIND.to_vec(), None)
}

/// A search of everything below the base. Aliases are not followed. `page` is how many entries are wanted at once, and where the last page ended.
pub(super) fn search(id: u32, search: &Search<'_>, page: Option<(u32, &[u8])>) -> Vec<u8> {
    let attributes: Vec<_> = search.attributes.iter().map(|name| element(OCTETS, name.as_bytes())).collect();
    let content = [
        element(OCTETS, search.base.as_bytes()),
        number(ENUMERATED, 2),
        number(ENUMERATED, 0),
        number(INTEGER, search.max_entries),
        number(INTEGER, search.seconds),
        element(BOOLEAN, &[0]),
        search.filter.clone(),
        elements(SEQUENCE, &attributes),
    ];
    let controls = page.map(|(size, cookie)| {
        let value = elements(SEQUENCE, &[number(INTEGER, size), element(OCTETS, cookie)]);
        elements(SEQUENCE, &[element(OCTETS, PAGED), element(OCTETS, &value)])
    });
    request(id, elements(0x63, &content), controls)
}

fn request(id: u32, operation: Vec<u8>, control: Option<Vec<u8>>) -> Vec<u8> {
    let controls = control.map(|control| element(CONTROLS, &control)).unwrap_or_default();
    elements(SEQUENCE, &[number(INTEGER, id), operation, controls])
}

impl<'a> Message<'a> {
    /// Reads what is in the SEQUENCE of a message.
    pub(super) fn read(octets: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let mut fields = Elements(octets);
        let id = unsigned(fields.expect(INTEGER)?)?;
        let (tag, content) = fields.next().ok_or(Malformed)??;
        // After the operation there may be controls, and what Active Directory writes there of a connection that it ends.
        let controls = fields.find_map(|field| field.ok().filter(|(tag, _)| *tag == CONTROLS));
        Ok(Message { id, tag, content, controls: controls.map(|(_, content)| content) })
    }

    /// The result in it (RFC 4511, section 4.1.9).
    pub(super) fn done(&self) -> Result<Done, Malformed> {
        let mut fields = Elements(self.content);
        let code = unsigned(fields.expect(ENUMERATED)?)?;
        fields.expect(OCTETS)?;
        let text = String::from_utf8_lossy(fields.expect(OCTETS)?).chars().take(MAX_TEXT).collect();
        Ok(Done { code, text })
    }

    /// The entry in it (RFC 4511, section 4.5.2).
    pub(super) fn entry(&self) -> Result<Entry, Malformed> {
        let mut fields = Elements(self.content);
        let dn = String::from_utf8_lossy(fields.expect(OCTETS)?).into_owned();
        let mut attributes = Vec::new();
        for attribute in Elements(fields.expect(SEQUENCE)?) {
            let mut parts = Elements(content(attribute?, SEQUENCE)?);
            let name = String::from_utf8_lossy(parts.expect(OCTETS)?).to_ascii_lowercase();
            let name = name.split(';').next().unwrap_or_default().to_owned();
            let values = Elements(parts.expect(0x31)?).map(|value| Ok(content(value?, OCTETS)?.to_vec()));
            attributes.push((name, values.collect::<Result<_, Malformed>>()?));
        }
        Ok(Entry { dn, attributes })
    }

    /// Where the next page begins (RFC 2696, section 3); empty: this was the last one.
    pub(super) fn cookie(&self) -> Result<Vec<u8>, Malformed> {
        for control in Elements(self.controls.unwrap_or_default()) {
            let mut parts = Elements(content(control?, SEQUENCE)?);
            if parts.expect(OCTETS)? == PAGED {
                let value = parts.find_map(|part| part.ok().filter(|(tag, _)| *tag == OCTETS));
                let (_, value) = value.ok_or(Malformed)?;
                let mut page = Elements(Elements(value).expect(SEQUENCE)?);
                page.expect(INTEGER)?;
                return Ok(page.expect(OCTETS)?.to_vec());
            }
        }
        Ok(Vec::new())
    }
}

impl Entry {
    /// The values of an attribute, whatever its options; `name` is in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.attributes.iter().filter(move |(other, _)| other == name);
        named.flat_map(|(_, values)| values.iter().map(Vec::as_slice))
    }

    /// The first value of an attribute, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.values(name).next()?;
        String::from_utf8(value.to_vec()).ok().filter(|text| !text.is_empty())
    }
}

/// How much of a server's text is shown.
const MAX_TEXT: usize = 200;

/// The length of what follows the first octets of an element, and how many these are; `None`: there are too few of them to say.
pub(super) fn length(octets: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    match octets {
        [] | [_] => Ok(None),
        [_, length @ 0..=0x7F, ..] => Ok(Some((usize::from(*length), 2))),
        // Servers write lengths of four octets where one would do.
        [_, count @ 0x81..=0x84, rest @ ..] => {
            let count = usize::from(count & 0x7F);
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0, |length, digit| (length << 8) | u64::from(*digit));
            Ok(Some((usize::try_from(length).map_err(|_| Malformed)?, 2 + count)))
        }
        _ => Err(Malformed),
    }
}

/// Elements one after the other: tag and content.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        content(self.next().ok_or(Malformed)??, tag)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let tag = *self.0.first()?;
        let taken = length(self.0).and_then(|found| {
            let (length, start) = found.ok_or(Malformed)?;
            self.0.get(start..).and_then(|rest| rest.split_at_checked(length)).ok_or(Malformed)
        });
        Some(match taken {
            Ok((content, rest)) => {
                self.0 = rest;
                Ok((tag, content))
            }
            Err(error) => {
                self.0 = &[];
                Err(error)
            }
        })
    }
}

fn content<'a>((found, content): (u8, &'a [u8]), tag: u8) -> Result<&'a [u8], Malformed> {
    if found == tag { Ok(content) } else { Err(Malformed) }
}

fn unsigned(octets: &[u8]) -> Result<u32, Malformed> {
    match octets {
        [0..=0x7F, ..] if octets.len() <= 5 => {
            let value = octets.iter().fold(0, |value, octet| (value << 8) | u64::from(*octet));
            u32::try_from(value).map_err(|_| Malformed)
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as a server sends it, without its first tag and length.
    fn message(operation: Vec<u8>, control: Vec<u8>) -> Vec<u8> {
        [number(INTEGER, 2), operation, element(CONTROLS, &control)].concat()
    }

    fn entry() -> Vec<u8> {
        let attribute = |name: &str, values: &[&[u8]]| {
            let values: Vec<_> = values.iter().map(|value| element(OCTETS, value)).collect();
            elements(SEQUENCE, &[element(OCTETS, name.as_bytes()), elements(0x31, &values)])
        };
        let attributes = [attribute("userCertificate;binary", &[b"one", b"two"]), attribute("CN", &[b"Bob"])];
        elements(FOUND, &[element(OCTETS, b"uid=bob"), elements(SEQUENCE, &attributes)])
    }

    #[test]
    fn an_entry_is_read() {
        let octets = message(entry(), Vec::new());
        let read = Message::read(&octets).unwrap();
        assert_eq!((read.id, read.tag), (2, FOUND));
        let entry = read.entry().unwrap();
        assert_eq!(entry.dn, "uid=bob");
        assert_eq!(entry.values("usercertificate").collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!(entry.text("cn"), Some("Bob".to_owned()));
        assert_eq!(entry.text("mail"), None);
    }

    #[test]
    fn a_result_and_its_page_are_read() {
        let result = [number(ENUMERATED, 49), element(OCTETS, b""), element(OCTETS, b"no such user")];
        let value = elements(SEQUENCE, &[number(INTEGER, 0), element(OCTETS, b"next")]);
        let control = elements(SEQUENCE, &[element(OCTETS, PAGED), element(OCTETS, &value)]);
        let octets = message(elements(SEARCHED, &result), control);
        let read = Message::read(&octets).unwrap();
        let Done { code, text } = read.done().unwrap();
        assert_eq!((code, text.as_str()), (49, "no such user"));
        assert_eq!(read.cookie().unwrap(), b"next");
    }

    /// Cut short or changed anywhere, it is read or refused, and nothing else happens.
    #[test]
    fn octets_that_are_not_ldap_are_refused() {
        let whole = message(entry(), Vec::new());
        for end in 0..whole.len() {
            let cut = whole.get(..end).unwrap();
            let entry = Message::read(cut).and_then(|read| read.entry());
            // The last octets are those of the empty controls.
            assert_eq!(entry.is_ok(), end >= whole.len() - 2, "{end}");
            for octet in [0, 0x30, 0x7F, 0x80, 0x84, 0xFF] {
                let mut changed = whole.clone();
                if let Some(place) = changed.get_mut(end) {
                    *place = octet;
                }
                if let Ok(read) = Message::read(&changed) {
                    let _ = (read.entry().is_ok(), read.done().is_ok(), read.cookie().is_ok());
                }
            }
        }
    }

    #[test]
    fn lengths_are_those_of_servers() {
        assert_eq!(length(&[0x30, 5]).unwrap(), Some((5, 2)));
        assert_eq!(length(&[0x30, 0x84, 0, 0, 0, 9]).unwrap(), Some((9, 6)));
        assert_eq!(length(&[0x30, 0x84, 0, 0]).unwrap(), None);
        assert_eq!(length(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]).unwrap(), Some((0xFFFF_FFFF, 6)));
        assert!(length(&[0x30, 0x80]).is_err());
        assert!(length(&[0x30, 0x85, 0, 0, 0, 0, 9]).is_err());
    }
}
