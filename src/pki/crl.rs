//! Certificate revocation lists, read (RFC 5280, section 5). Their entries are read when the first of them is asked for, and once.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    time::SystemTime,
};

use const_oid::db::rfc5280;
use der::asn1::ObjectIdentifier;

use super::{
    Certificate, Name, PublicKey,
    distribution::{Issuers, Scope, directory_names},
    general_name::GeneralName,
    status::{Reason, Revoked, Sealed, Worth},
    time,
    tlv::{
        BIT_STRING, BOOLEAN, ENUMERATED, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE,
        UTC_TIME, constructed, minimal, primitive,
    },
};
use crate::{
    base::{Budget, Result},
    crypto::Legacy,
};

/// A CertificateList, complete or delta.
#[derive(Debug)]
pub(super) struct Crl<'a> {
    issuer: Name,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    extensions: CrlExtensions<'a>,
    scope: Scope,
    sealed: Sealed<'a>,
    /// The content of revokedCertificates.
    revoked: &'a [u8],
    entries: OnceCell<Entries<'a>>,
}

/// What stands in the extensions of a CRL (RFC 5280, section 5.2).
#[derive(Debug, Default)]
struct CrlExtensions<'a> {
    authority_key: Option<&'a [u8]>,
    /// BaseCRLNumber: this is a delta.
    base: Option<Number<'a>>,
    number: Option<Number<'a>>,
    scope: Option<&'a [u8]>,
    understood: Understood,
}

/// Whether a CRL proves that certificates which are not in it are not revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Understood {
    /// A critical extension is not known: certificates in it are revoked, and nothing is known of others (X.509, section 7.3; RFC 5280,
    /// sections 5.2 and 5.3).
    Partly,
    #[default]
    Wholly,
}

/// A CRLNumber, up to 20 octets and more (RFC 5280, section 5.2.3), ordered by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number<'a> {
    length: usize,
    octets: &'a [u8],
}

/// Whether a CRL is of the time that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// At or after its thisUpdate, and before its nextUpdate.
    Current,
    /// From before thisUpdate.
    Future,
    /// nextUpdate has passed, or there is none: RFC 5280, section 5.1.2.5 wants one.
    Past,
}

/// What a CRL says of a certificate in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// removeFromCRL, in a delta: it is no longer on hold, or has expired (RFC 5280, section 5.3.1).
    Removed,
    Revoked(Revoked),
}

impl<'a> Crl<'a> {
    /// Reads all but the entries.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(der, "CRL");
        let mut outer = reader.sequence()?;
        reader.finish()?;
        let tbs = outer.expect(SEQUENCE)?;
        let outer_algorithm = outer.expect(SEQUENCE)?.whole;
        // A signature of no whole octets is one that does not verify.
        let signature = outer.expect(BIT_STRING)?.octets_of_bits().unwrap_or_default();
        outer.finish()?;
        let mut fields = tbs.reader();
        fields.optional(INTEGER)?;
        let algorithm = fields.expect(SEQUENCE)?.whole;
        if algorithm != outer_algorithm {
            return Err(fields.refuse("its two signature algorithms differ"));
        }
        let issuer = Name::read(fields.expect(SEQUENCE)?)?;
        let this_update = time::read(fields.any()?)?;
        let next_update = match fields.optional(UTC_TIME)? {
            Some(time) => Some(time),
            None => fields.optional(GENERALIZED_TIME)?,
        };
        let next_update = next_update.map(time::read).transpose()?;
        let revoked = fields.optional(SEQUENCE)?.map(|list| list.value).unwrap_or_default();
        let extensions = match fields.optional(constructed(0))? {
            Some(extensions) => CrlExtensions::read(extensions.reader().sequence()?)?,
            None => CrlExtensions::default(),
        };
        fields.finish()?;
        let scope = extensions.scope.map_or_else(|| Ok(Scope::everything()), |scope| Scope::read(scope, &issuer))?;
        let sealed = Sealed::new(tbs.whole, algorithm, signature)?;
        let entries = OnceCell::new();
        Ok(Crl { issuer, this_update, next_update, extensions, scope, sealed, revoked, entries })
    }

    pub(super) fn issuer(&self) -> &Name {
        &self.issuer
    }

    pub(super) fn this_update(&self) -> SystemTime {
        self.this_update
    }

    pub(super) fn next_update(&self) -> Option<SystemTime> {
        self.next_update
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn is_delta(&self) -> bool {
        self.extensions.base.is_some()
    }

    pub(super) fn freshness(&self, at: SystemTime) -> Freshness {
        match self.next_update {
            _ if at < self.this_update => Freshness::Future,
            Some(next) if at < next => Freshness::Current,
            _ => Freshness::Past,
        }
    }

    /// Whether both are of one issuer and one scope, so that their numbers count together (RFC 5280, section 5.2.3).
    pub(super) fn is_of_series(&self, other: &Crl<'_>) -> bool {
        self.issuer == other.issuer && self.scope == other.scope
    }

    /// Whether it was issued after `other`, of the same series: by CRL number, then by thisUpdate (RFC 5280, section 5.2.3). Where the two
    /// contradict each other, neither list is newer.
    pub(super) fn is_newer_than(&self, other: &Crl<'_>) -> bool {
        match (self.extensions.number, other.extensions.number) {
            (Some(own), Some(others)) if own > others => self.this_update >= other.this_update,
            (Some(own), Some(others)) if own < others => false,
            _ => self.this_update > other.this_update,
        }
    }

    /// Whether this delta brings `complete` up to date (RFC 5280, sections 5.2.4 and 6.3.3 (c)).
    pub(super) fn updates(&self, complete: &Crl<'_>) -> bool {
        let (Some(base), Some(own)) = (self.extensions.base, self.extensions.number) else { return false };
        let follows = complete.extensions.number.is_some_and(|number| base <= number && number < own);
        follows
            && self.is_of_series(complete)
            && self.extensions.scope.is_some() == complete.extensions.scope.is_some()
            && self.extensions.authority_key == complete.extensions.authority_key
    }

    /// Whether `signer` may have signed it, by the key identifiers if both have one.
    pub(super) fn may_be_by(&self, signer: &Certificate) -> bool {
        match (self.extensions.authority_key, signer.key_identifier()) {
            (Some(named), Some(own)) => named == own,
            _ => true,
        }
    }

    /// How far it counts with a signature by `key`; `None` when `key` did not sign it, or with broken algorithms that are not admitted.
    pub(super) fn is_by(&self, key: &PublicKey, legacy: Legacy, budget: &mut Budget) -> Result<Option<Worth>> {
        self.sealed.is_by(key, legacy, budget)
    }

    pub(super) fn understood(&self) -> Understood {
        match self.extensions.understood {
            Understood::Wholly => self.entries().understood,
            partly => partly,
        }
    }

    /// Its entry for the certificate that `issuer` issued with that serial number (RFC 5280, section 5.3.3).
    pub(super) fn find(&self, issuer: &Name, serial: &[u8]) -> Option<Listed> {
        let entries = self.entries();
        let found = entries.by_serial.get(minimal(serial)).into_iter().flatten();
        let of_issuer = |entry: &&Entry<'_>| match &entry.issuers {
            Some(named) => named.contains(issuer),
            None => self.issuer == *issuer,
        };
        // Were one number there twice, the worse entry would count.
        let mut listed: Vec<Listed> = found.filter(of_issuer).map(|entry| entry.listed(self.this_update)).collect();
        listed.sort_by_key(|one| match one {
            Listed::Revoked(revoked) => revoked.rank(),
            Listed::Removed => Revoked::LAST,
        });
        listed.into_iter().next()
    }

    fn entries(&self) -> &Entries<'a> {
        self.entries.get_or_init(|| Entries::read(self.revoked, self.scope.issuers))
    }
}

/// revokedCertificates by serial number.
#[derive(Debug)]
struct Entries<'a> {
    by_serial: HashMap<&'a [u8], Vec<Entry<'a>>>,
    understood: Understood,
}

#[derive(Debug)]
struct Entry<'a> {
    date: Element<'a>,
    reason: u8,
    /// Whose certificate it is, where that is not the issuer of the CRL.
    issuers: Option<Rc<HashSet<Name>>>,
}

impl<'a> Entries<'a> {
    /// A list that cannot be read to its end is understood as far as it goes. An entry that cannot be read to its end revokes its serial
    /// number, if that can be read.
    fn read(list: &'a [u8], scope: Issuers) -> Self {
        let mut entries = Entries { by_serial: HashMap::new(), understood: Understood::Wholly };
        let mut reader = Reader::new(list, "CRL entry");
        // An entry without certificateIssuer is of the same issuer as the one before it (RFC 5280, section 5.3.3).
        let mut issuers = None;
        while !reader.is_finished() {
            let start = reader.sequence().and_then(|mut fields| {
                let (serial, date) = (fields.expect(INTEGER)?.value, fields.any()?);
                Ok((fields, minimal(serial), date))
            });
            let Ok((fields, serial, date)) = start else {
                entries.understood = Understood::Partly;
                break;
            };
            let reason = entries.extensions(fields, &mut issuers, scope);
            let entry = Entry { date, reason: *reason.as_ref().unwrap_or(&0), issuers: issuers.clone() };
            entries.by_serial.entry(serial).or_default().push(entry);
            if reason.is_err() {
                entries.understood = Understood::Partly;
                // It may have named the issuer for the entries after it.
                if scope == Issuers::Others {
                    break;
                }
            }
        }
        entries
    }

    /// The reason code, from the rest of an entry.
    fn extensions(
        &mut self,
        mut fields: Reader<'a>,
        issuers: &mut Option<Rc<HashSet<Name>>>,
        scope: Issuers,
    ) -> Result<u8> {
        let mut reason = 0;
        if !fields.is_finished() {
            let mut list = fields.sequence()?;
            while !list.is_finished() {
                let extension = Extension::read(&mut list)?;
                if extension.kind.is(&REASON_CODE) {
                    let code = Reader::new(extension.value, "reason code").expect(ENUMERATED)?;
                    reason = code.value.first().copied().unwrap_or(0);
                } else if extension.kind.is(&CERTIFICATE_ISSUER) && scope == Issuers::Others {
                    let names = GeneralName::read_all(Reader::new(extension.value, "certificate issuer").sequence()?)?;
                    *issuers = Some(Rc::new(directory_names(names).into_iter().collect()));
                } else if extension.is_critical {
                    self.understood = Understood::Partly;
                }
            }
        }
        fields.finish()?;
        Ok(reason)
    }
}

impl Entry<'_> {
    /// A date that cannot be read is that of the list.
    fn listed(&self, this_update: SystemTime) -> Listed {
        match Reason::of_number(self.reason) {
            Some(reason) => Listed::Revoked(Revoked { reason, since: time::read(self.date).unwrap_or(this_update) }),
            None => Listed::Removed,
        }
    }
}

impl<'a> CrlExtensions<'a> {
    fn read(mut list: Reader<'a>) -> Result<Self> {
        let mut extensions = CrlExtensions::default();
        while !list.is_finished() {
            let extension = Extension::read(&mut list)?;
            let mut value = Reader::new(extension.value, "CRL extension");
            if extension.kind.is(&AUTHORITY_KEY) {
                extensions.authority_key = value.sequence()?.optional(primitive(0))?.map(|key| key.value);
            } else if extension.kind.is(&CRL_NUMBER) {
                extensions.number = Some(Number::read(value.expect(INTEGER)?)?);
            } else if extension.kind.is(&DELTA_CRL_INDICATOR) {
                extensions.base = Some(Number::read(value.expect(INTEGER)?)?);
            } else if extension.kind.is(&ISSUING_DISTRIBUTION_POINT) {
                extensions.scope = Some(extension.value);
            } else if extension.is_critical {
                extensions.understood = Understood::Partly;
            }
        }
        Ok(extensions)
    }
}

impl<'a> Number<'a> {
    fn read(number: Element<'a>) -> Result<Self> {
        // Zero has no octets.
        let octets = number.unsigned()?;
        Ok(Number { length: octets.len(), octets })
    }
}

/// One Extension of a CRL or of an entry.
struct Extension<'a> {
    kind: Element<'a>,
    is_critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn read(list: &mut Reader<'a>) -> Result<Self> {
        let mut fields = list.sequence()?;
        let kind = fields.expect(OID)?;
        let is_critical = fields.optional(BOOLEAN)?.map_or(Ok(false), |critical| critical.boolean())?;
        let value = fields.expect(OCTET_STRING)?.value;
        fields.finish()?;
        Ok(Extension { kind, is_critical, value })
    }
}

const AUTHORITY_KEY: ObjectIdentifier = rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER;
const CERTIFICATE_ISSUER: ObjectIdentifier = rfc5280::ID_CE_CERTIFICATE_ISSUER;
const CRL_NUMBER: ObjectIdentifier = rfc5280::ID_CE_CRL_NUMBER;
const DELTA_CRL_INDICATOR: ObjectIdentifier = rfc5280::ID_CE_DELTA_CRL_INDICATOR;
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT;
const REASON_CODE: ObjectIdentifier = rfc5280::ID_CE_CRL_REASONS;

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    fn entry(serial: &[u8], rest: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[&element(INTEGER, &[serial]), &element(UTC_TIME, &[b"261127000000Z"]), rest])
    }

    /// A revocation counts although other parts of the entry cannot be read.
    #[test]
    fn an_entry_that_cannot_be_read_to_its_end_revokes_and_hides_no_other() {
        let list = [entry(&[1], &[4, 1]), entry(&[2], b""), entry(&[3], &element(SEQUENCE, &[&[5, 0]]))].concat();
        let entries = Entries::read(&list, Issuers::Own);
        assert_eq!(entries.understood, Understood::Partly);
        for serial in [1, 2, 3] {
            assert_eq!(entries.by_serial.get([serial].as_slice()).map(Vec::len), Some(1), "{serial}");
        }
        // The unreadable part may have named the issuer of the certificate.
        let entries = Entries::read(&list, Issuers::Others);
        assert_eq!((entries.by_serial.len(), entries.understood), (1, Understood::Partly));
    }

    #[test]
    fn a_serial_number_is_the_same_in_more_octets_than_it_needs() {
        for (written, minimal) in [
            (&[0, 0, 1][..], &[1][..]),
            (&[0, 0x80], &[0, 0x80]),
            (&[0xff, 0xff, 0x80], &[0x80]),
            (&[0xff, 0x7f], &[0xff, 0x7f]),
            (&[0], &[0]),
        ] {
            assert_eq!(super::minimal(written), minimal);
            let list = entry(written, b"");
            assert!(Entries::read(&list, Issuers::Own).by_serial.contains_key(minimal));
        }
    }
}
