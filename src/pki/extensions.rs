//! The extensions of a certificate (RFC 5280, section 4.2).

use std::collections::HashSet;

use const_oid::db::{rfc5280, rfc6960};
use der::asn1::ObjectIdentifier;

use super::{
    Name,
    general_name::GeneralName,
    tlv::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, constructed, dotted, primitive},
};
use crate::base::Result;

/// The extensions of a certificate. One that cannot be read leaves its field empty and is listed in `defects`: the certificate can still be looked at
/// and its key used, but no path goes through it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) authority_key: Option<Vec<u8>>,
    pub(super) basic: Option<BasicConstraints>,
    /// Why a path may not go through this certificate: what is malformed, or there twice.
    pub(super) defects: Vec<String>,
    pub(super) extended_key_usage: Option<Vec<Vec<u8>>>,
    pub(super) inhibit_any: Option<u32>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) mappings: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub(super) name_constraints: Option<NameConstraints>,
    pub(super) policies: Option<Vec<Vec<u8>>>,
    pub(super) policy_constraints: Option<PolicyConstraints>,
    pub(super) subject_key: Option<Vec<u8>>,
    pub(super) subject_names: Option<Vec<GeneralName>>,
    /// Unsupported critical ones, as dotted object identifiers.
    pub(super) unknown_critical: Vec<String>,
    /// Type and content of each, in order.
    all: Vec<(Vec<u8>, Vec<u8>)>,
}

/// RFC 5280, section 4.2.1.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasicConstraints {
    pub(super) authority: bool,
    pub(super) path_length: Option<u32>,
}

/// RFC 5280, section 4.2.1.3: bit 0 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyUsage(u16);

/// RFC 5280, section 4.2.1.10.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameConstraints {
    pub(super) permitted: Vec<GeneralName>,
    pub(super) excluded: Vec<GeneralName>,
}

/// RFC 5280, section 4.2.1.11: after how many certificates each begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PolicyConstraints {
    pub(super) explicit: Option<u32>,
    pub(super) inhibit_mapping: Option<u32>,
}

impl KeyUsage {
    pub(super) const DIGITAL_SIGNATURE: KeyUsage = KeyUsage(1 << 15);
    pub(super) const NON_REPUDIATION: KeyUsage = KeyUsage(1 << 14);
    pub(super) const KEY_ENCIPHERMENT: KeyUsage = KeyUsage(1 << 13);
    pub(super) const KEY_AGREEMENT: KeyUsage = KeyUsage(1 << 11);
    pub(super) const CERT_SIGN: KeyUsage = KeyUsage(1 << 10);
    pub(super) const CRL_SIGN: KeyUsage = KeyUsage(1 << 9);

    /// Whether one of these bits is set.
    pub(super) fn has(self, any_of: KeyUsage) -> bool {
        self.0 & any_of.0 != 0
    }

    /// Whether no other bit is set.
    pub(super) fn is_within(self, allowed: KeyUsage) -> bool {
        self.0 & !allowed.0 == 0
    }

    /// Either.
    pub(super) const fn or(self, other: KeyUsage) -> KeyUsage {
        KeyUsage(self.0 | other.0)
    }
}

impl Extensions {
    /// Reads the SEQUENCE inside `[3]` of a certificate.
    pub(super) fn read(mut list: Reader<'_>) -> Result<Extensions> {
        let mut extensions = Extensions::default();
        let mut seen = HashSet::new();
        while !list.is_finished() {
            let mut extension = list.sequence()?;
            let kind = extension.expect(OID)?;
            let critical = extension.optional(BOOLEAN)?.map_or(Ok(false), |critical| critical.boolean())?;
            let value = extension.expect(OCTET_STRING)?.value;
            extension.finish()?;
            let shown = || dotted(kind.value);
            if !seen.insert(kind.value) {
                extensions.defects.push(format!("extension {} is there twice", shown()));
                continue;
            }
            match extensions.take(kind.value, value) {
                Ok(Known::Yes) => {}
                Ok(Known::No) if critical => extensions.unknown_critical.push(shown()),
                Ok(Known::No) => {}
                Err(error) => extensions.defects.push(format!("extension {}: {error}", shown())),
            }
            extensions.all.push((kind.value.to_vec(), value.to_vec()));
        }
        Ok(extensions)
    }

    /// The content of the extension of that type.
    pub(super) fn find(&self, kind: &ObjectIdentifier) -> Option<&[u8]> {
        self.all.iter().find(|(other, _)| other == kind.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The types, in order.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|(kind, _)| kind.as_slice())
    }

    /// The mailboxes of a certificate of `subject`, as they are written (RFC 8550, section 3).
    pub(super) fn mailboxes(&self, subject: &Name) -> Vec<String> {
        let of_mailbox = |name: &GeneralName| match name {
            GeneralName::Mailbox(mailbox) | GeneralName::Utf8Mailbox(mailbox) => Some(mailbox.clone()),
            _ => None,
        };
        let names: Vec<String> = self.subject_names.iter().flatten().filter_map(of_mailbox).collect();
        if names.is_empty() { subject.email_addresses() } else { names }
    }

    fn take(&mut self, kind: &[u8], value: &[u8]) -> Result<Known> {
        let mut reader = Reader::new(value, "extension");
        let is = |known: ObjectIdentifier| kind == known.as_bytes();
        if is(BASIC_CONSTRAINTS) {
            let mut fields = reader.sequence()?;
            let authority = fields.optional(BOOLEAN)?.map_or(Ok(false), |authority| authority.boolean())?;
            let path_length = fields.optional(INTEGER)?.map(|length| length.count()).transpose()?;
            fields.finish()?;
            self.basic = Some(BasicConstraints { authority, path_length });
        } else if is(KEY_USAGE) {
            let (octets, _) = reader.expect(BIT_STRING)?.bits()?;
            let octet = |at: usize| octets.get(at).copied().unwrap_or(0);
            self.key_usage = Some(KeyUsage(u16::from_be_bytes([octet(0), octet(1)])));
        } else if is(EXTENDED_KEY_USAGE) {
            self.extended_key_usage = Some(each(reader.sequence()?, |usages| Ok(usages.expect(OID)?.value.to_vec()))?);
        } else if is(SUBJECT_ALT_NAME) {
            self.subject_names = Some(GeneralName::read_all(reader.sequence()?)?);
        } else if is(SUBJECT_KEY) {
            self.subject_key = Some(reader.expect(OCTET_STRING)?.value.to_vec());
        } else if is(AUTHORITY_KEY) {
            let mut fields = reader.sequence()?;
            self.authority_key = fields.optional(primitive(0))?.map(|key| key.value.to_vec());
            return Ok(Known::Yes);
        } else if is(NAME_CONSTRAINTS) {
            let mut fields = reader.sequence()?;
            let mut trees = |number| match fields.optional(constructed(number))? {
                Some(trees) => each(trees.reader(), subtree),
                None => Ok(Vec::new()),
            };
            self.name_constraints = Some(NameConstraints { permitted: trees(0)?, excluded: trees(1)? });
            fields.finish()?;
        } else if is(POLICIES) {
            let policies = each(reader.sequence()?, |policies| Ok(policies.sequence()?.expect(OID)?.value.to_vec()))?;
            let mut seen = HashSet::new();
            if !policies.iter().all(|policy| seen.insert(policy)) {
                return Err(reader.refuse("a policy is there twice"));
            }
            self.policies = Some(policies);
        } else if is(POLICY_MAPPINGS) {
            self.mappings = Some(each(reader.sequence()?, |mappings| {
                let mut mapping = mappings.sequence()?;
                let pair = (mapping.expect(OID)?.value.to_vec(), mapping.expect(OID)?.value.to_vec());
                mapping.finish()?;
                Ok(pair)
            })?);
        } else if is(POLICY_CONSTRAINTS) {
            let mut fields = reader.sequence()?;
            let mut count = |number| fields.optional(primitive(number))?.map(|skip| skip.count()).transpose();
            self.policy_constraints = Some(PolicyConstraints { explicit: count(0)?, inhibit_mapping: count(1)? });
            fields.finish()?;
        } else if is(INHIBIT_ANY) {
            self.inhibit_any = Some(reader.expect(INTEGER)?.count()?);
        } else if READ_ELSEWHERE.into_iter().any(is) {
            reader.any()?;
        } else {
            return Ok(Known::No);
        }
        reader.finish()?;
        Ok(Known::Yes)
    }
}

enum Known {
    No,
    Yes,
}

fn each<T>(mut reader: Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while !reader.is_finished() {
        all.push(read(&mut reader)?);
    }
    Ok(all)
}

/// The base of a GeneralSubtree. RFC 5280, section 4.2.1.10: minimum is 0 and maximum absent; other values are not implemented anywhere.
fn subtree(trees: &mut Reader<'_>) -> Result<GeneralName> {
    let mut tree = trees.sequence()?;
    let base = GeneralName::read(tree.any()?)?;
    let minimum = tree.optional(primitive(0))?.map_or(Ok(0), |minimum| minimum.count())?;
    if minimum != 0 || !tree.is_finished() {
        return Err(tree.refuse("a subtree with a minimum or a maximum"));
    }
    Ok(base)
}

/// RFC 5280, section 4.2.1.13.
pub(super) const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS;
/// RFC 5280, section 4.2.1.15.
pub(super) const FRESHEST_CRL: ObjectIdentifier = rfc5280::ID_CE_FRESHEST_CRL;
/// RFC 6960, section 4.2.2.2.1.
pub(super) const OCSP_NO_CHECK: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_NOCHECK;

const AUTHORITY_INFO_ACCESS: ObjectIdentifier = rfc5280::ID_PE_AUTHORITY_INFO_ACCESS;
const AUTHORITY_KEY: ObjectIdentifier = rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER;
const BASIC_CONSTRAINTS: ObjectIdentifier = rfc5280::ID_CE_BASIC_CONSTRAINTS;
const EXTENDED_KEY_USAGE: ObjectIdentifier = rfc5280::ID_CE_EXT_KEY_USAGE;
const INHIBIT_ANY: ObjectIdentifier = rfc5280::ID_CE_INHIBIT_ANY_POLICY;
const ISSUER_ALT_NAME: ObjectIdentifier = rfc5280::ID_CE_ISSUER_ALT_NAME;
const KEY_USAGE: ObjectIdentifier = rfc5280::ID_CE_KEY_USAGE;
const NAME_CONSTRAINTS: ObjectIdentifier = rfc5280::ID_CE_NAME_CONSTRAINTS;
const POLICIES: ObjectIdentifier = rfc5280::ID_CE_CERTIFICATE_POLICIES;
const POLICY_CONSTRAINTS: ObjectIdentifier = rfc5280::ID_CE_POLICY_CONSTRAINTS;
const POLICY_MAPPINGS: ObjectIdentifier = rfc5280::ID_CE_POLICY_MAPPINGS;
const SUBJECT_ALT_NAME: ObjectIdentifier = rfc5280::ID_CE_SUBJECT_ALT_NAME;
const SUBJECT_DIRECTORY: ObjectIdentifier = rfc5280::ID_CE_SUBJECT_DIRECTORY_ATTRIBUTES;
const SUBJECT_INFO_ACCESS: ObjectIdentifier = rfc5280::ID_PE_SUBJECT_INFO_ACCESS;
const SUBJECT_KEY: ObjectIdentifier = rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER;

/// Known, and either read where revocation is judged or of no consequence for a path.
const READ_ELSEWHERE: [ObjectIdentifier; 7] = [
    AUTHORITY_INFO_ACCESS,
    CRL_DISTRIBUTION_POINTS,
    FRESHEST_CRL,
    ISSUER_ALT_NAME,
    OCSP_NO_CHECK,
    SUBJECT_DIRECTORY,
    SUBJECT_INFO_ACCESS,
];
