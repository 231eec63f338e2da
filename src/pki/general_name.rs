//! General names of subjects, constraints and distribution points (RFC 5280, section 4.2.1.6).

use der::asn1::ObjectIdentifier;

use super::{
    Name,
    tlv::{Element, OID, Reader, UTF8_STRING, constructed, primitive},
};
use crate::base::Result;

/// A GeneralName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GeneralName {
    /// directoryName.
    Directory(Name),
    /// dNSName.
    Dns(String),
    /// iPAddress: 4 or 16 octets, in a constraint twice as many.
    Ip(Vec<u8>),
    /// rfc822Name.
    Mailbox(String),
    /// Anything else: the identifier octet, and the type of an otherName.
    Other(u8, Vec<u8>),
    /// An otherName SmtpUTF8Mailbox (RFC 9598, section 3).
    Utf8Mailbox(String),
    /// uniformResourceIdentifier.
    Uri(String),
}

impl GeneralName {
    pub(super) fn read(name: Element<'_>) -> Result<GeneralName> {
        let text = || match std::str::from_utf8(name.value) {
            Ok(text) if text.is_ascii() => Ok(text.to_owned()),
            _ => Err(name.refuse("an IA5String that is not ASCII")),
        };
        Ok(match name.tag {
            OTHER => {
                let mut other = name.reader();
                let kind = other.expect(OID)?;
                let mut value = other.expect(constructed(0))?.reader();
                if kind.is(&SMTP_UTF8_MAILBOX) {
                    let mailbox = value.expect(UTF8_STRING)?;
                    let mailbox = std::str::from_utf8(mailbox.value)
                        .map_err(|_| name.refuse("a UTF8String that is not UTF-8"))?;
                    return Ok(GeneralName::Utf8Mailbox(mailbox.to_owned()));
                }
                GeneralName::Other(name.tag, kind.value.to_vec())
            }
            RFC822 => GeneralName::Mailbox(text()?),
            DNS => GeneralName::Dns(text()?),
            // A Name is a CHOICE, so its tag is explicit.
            DIRECTORY => GeneralName::Directory(Name::parse(name.value)?),
            URI => GeneralName::Uri(text()?),
            IP => GeneralName::Ip(name.value.to_vec()),
            tag => GeneralName::Other(tag, Vec::new()),
        })
    }

    /// Every one of GeneralNames, from inside the SEQUENCE.
    pub(super) fn read_all(mut names: Reader<'_>) -> Result<Vec<GeneralName>> {
        let mut all = Vec::new();
        while !names.is_finished() {
            all.push(GeneralName::read(names.any()?)?);
        }
        Ok(all)
    }
}

const OTHER: u8 = constructed(0);
const RFC822: u8 = primitive(1);
const DNS: u8 = primitive(2);
const DIRECTORY: u8 = constructed(4);
const URI: u8 = primitive(6);
const IP: u8 = primitive(7);

const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
