//! The recipients of an envelope (RecipientInfos, RFC 5652, section 6.2), and its content key, decrypted with a key or
//! password of ours.

use std::sync::Arc;

use const_oid::db::rfc5912;
use der::{
    Decode, Encode, Reader, SliceReader, Tag, Tagged,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    agree::Agreement,
    kem::{self, Encapsulated},
    password::{KekRecipient, PasswordRecipient},
    record,
    suite::{self, Oaep},
};
use crate::{
    base::{Budget, Error, Hint, Result, Secret},
    crypto::{Conveys, KeyAlgorithm, SecretKey, Unwrap, unless_refused},
    keys::{Handle, ProtocolName, Purpose, Query, Record, Want},
    pki::{Certificate, Name},
    protocol::Context,
};

/// The recipients of one envelope.
#[derive(Debug)]
pub(super) struct Recipients<'a>(Vec<Recipient<'a>>);

impl<'a> Recipients<'a> {
    /// Reads the content of RecipientInfos. Unknown kinds and algorithms are skipped, because another recipient may
    /// fit.
    pub(super) fn read(mut infos: SliceReader<'a>, budget: &Budget) -> Result<Recipients<'a>> {
        let mut recipients = Vec::new();
        let mut count = 0;
        while !infos.is_finished() {
            let info: AnyRef<'a> =
                infos.decode().map_err(|_| Error::malformed("enveloped data", "its recipients cannot be read"))?;
            let recipient = Recipient::read(info).unwrap_or(Recipient::Unknown);
            // One KeyAgreeRecipientInfo may hold keys for many recipients.
            count += recipient.readers().len().max(1);
            recipients.push(recipient);
            budget.session_keys(count)?;
        }
        Ok(Recipients(recipients))
    }

    /// Whether every way to the content key withstands a quantum computer: ML-KEM, or a key or a password that both sides have.
    pub(super) fn is_quantum_safe(&self) -> bool {
        let safe = |one: &Recipient<'_>| {
            matches!(one, Recipient::Encapsulated(..) | Recipient::Kek(_) | Recipient::Password(_))
        };
        !self.0.is_empty() && self.0.iter().all(safe)
    }

    /// The recipients as named in the message: issuer and serial number, key identifier, or `password`.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.0.iter().flat_map(|recipient| match recipient {
            Recipient::Agree(agree) => agree.readers.iter().map(|(reader, _)| reader.text()).collect(),
            Recipient::Encapsulated(reader, _) => vec![reader.text()],
            Recipient::Kek(kek) => vec![format!("key {}", Handle::from_octets(kek.identifier))],
            Recipient::Password(_) => vec!["password".to_owned()],
            Recipient::Transport(transport) => vec![transport.reader.text()],
            Recipient::Unusable { readers, .. } => readers.iter().map(Identifier::text).collect(),
            Recipient::Unknown => vec!["unknown".to_owned()],
        });
        names.collect()
    }

    /// Finds the content key, or candidates for it.
    ///
    /// An error of kind `NoKey` if no recipient's key is available or it cannot be unlocked; `Malformed` if more tries
    /// are needed than the Budget allows; one of this machine if a key that may decrypt cannot be reached (a token that
    /// is not plugged in). If a named key fails to unwrap, the result is a random content key, not an
    /// error.
    pub(super) fn content_key(&self, context: Context<'_>, budget: &mut Budget) -> Result<Found> {
        let mut search = Search { context, budget, used: false, locked: None, unreachable: None };
        if let Some(key) = search.by_name(&self.0)? {
            return Ok(Found::Named(key));
        }
        if let Some(key) = search.by_password(&self.0)? {
            return Ok(Found::Named(key));
        }
        if let Some(unreachable) = search.unreachable {
            return Err(unreachable);
        }
        if search.used {
            // Failing must take the same time as succeeding, so the content is decrypted with a random key.
            return search.locked.map_or_else(|| self.substitute(context), Err);
        }
        let candidates = search.by_every_key(&self.0)?;
        if candidates.is_empty() {
            return Err(search.unreachable.or(search.locked).unwrap_or_else(|| self.no_recipient()));
        }
        Ok(Found::Candidates(candidates))
    }

    /// A random content key.
    fn substitute(&self, context: Context<'_>) -> Result<Found> {
        let mut octets = vec![0; SUBSTITUTE];
        context.random.fill(&mut octets)?;
        Ok(Found::Named(Secret::new(octets)))
    }

    /// The error when none of the recipients' keys is available.
    pub(super) fn no_recipient(&self) -> Error {
        let mut names = self.names();
        names.sort();
        names.dedup();
        let more = names.len().saturating_sub(NAMED_RECIPIENTS);
        names.truncate(NAMED_RECIPIENTS);
        let mut list = names.join("; ");
        if more > 0 {
            list = format!("{list}; and {more} more");
        }
        let is_shared = |recipient: &Recipient<'_>| matches!(recipient, Recipient::Kek(_) | Recipient::Password(_));
        if self.0.is_empty() {
            return Error::no_key("enveloped data: encrypted, but it holds no encrypted key");
        }
        if self.0.iter().all(is_shared) {
            return Error::no_key("enveloped data: encrypted to a password that was not given")
                .with_hint(Hint::Passphrase);
        }
        // Defects that anyone can see in the envelope reveal nothing about the available keys.
        let unusable = self.0.iter().find_map(|recipient| match recipient {
            Recipient::Unusable { readers, why } => Some((readers.first()?, why)),
            _ => None,
        });
        if let Some((reader, why)) = unusable {
            return Error::no_key(format!("enveloped data: its key for {} cannot be unwrapped: {why}", reader.text()));
        }
        Error::no_key(format!("enveloped data: no secret key for any recipient ({list})"))
            .with_hint(Hint::ImportSecretKey)
    }
}

/// The result of the search for a content key.
#[derive(Debug)]
pub(super) enum Found {
    /// The message names no key of ours, and all keys were tried. An RSA key yields a content key from any input
    /// (`crypto/rejection.rs`), so only the content shows which candidate is right.
    Candidates(Vec<Secret>),
    /// Decrypted with a key that the message names, or with a password.
    Named(Secret),
}

/// One RecipientInfo.
#[derive(Debug)]
enum Recipient<'a> {
    Agree(Agree<'a>),
    Encapsulated(Identifier<'a>, Encapsulated<'a>),
    Kek(KekRecipient<'a>),
    Password(PasswordRecipient<'a>),
    Transport(Transport<'a>),
    /// The key is wrapped with an unknown algorithm or invalid parameters.
    Unusable {
        readers: Vec<Identifier<'a>>,
        why: String,
    },
    Unknown,
}

impl<'a> Recipient<'a> {
    fn read(info: AnyRef<'a>) -> Option<Self> {
        let mut fields = SliceReader::new(info.value()).ok()?;
        match info.tag() {
            Tag::Sequence => Transport::read(&mut fields),
            tag if tag == suite::explicit(1) => Agree::read(&mut fields),
            tag if tag == suite::explicit(2) => KekRecipient::read(fields).map(Recipient::Kek),
            tag if tag == suite::explicit(3) => PasswordRecipient::read(fields).map(Recipient::Password),
            tag if tag == suite::explicit(4) => encapsulated(&mut fields),
            _ => None,
        }
    }

    /// The identifiers of its recipients that have a wrapped key.
    fn readers(&self) -> Vec<Identifier<'a>> {
        match self {
            Recipient::Agree(agree) => agree.readers.iter().map(|(reader, _)| *reader).collect(),
            Recipient::Encapsulated(reader, _) => vec![*reader],
            Recipient::Transport(transport) => vec![transport.reader],
            _ => Vec::new(),
        }
    }

    /// Whether a key of this kind could belong to its recipient.
    fn suits(&self, algorithm: KeyAlgorithm) -> bool {
        match self {
            Recipient::Agree(_) => algorithm.conveys() == Conveys::Agrees,
            Recipient::Encapsulated(_, capsule) => capsule.suits(algorithm),
            Recipient::Transport(_) => algorithm.conveys() == Conveys::Wraps,
            _ => false,
        }
    }

    /// Unwraps the content key for `reader`, or for any recipient. All failures look the same, but for a key that cannot
    /// be reached.
    fn unwrap(&self, secret: &dyn SecretKey, reader: Option<Identifier<'_>>) -> Result<Option<Secret>> {
        match self {
            Recipient::Agree(agree) => {
                let Some(shared) = unless_refused(secret.agree(agree.peer))? else { return Ok(None) };
                let ours = agree.readers.iter().filter(|(named, _)| reader.is_none_or(|reader| *named == reader));
                Ok(ours.map(|(_, wrapped)| agree.agreement.unwrap(&shared, wrapped)).find_map(Result::ok))
            }
            Recipient::Encapsulated(_, capsule) => capsule.unwrap(secret),
            Recipient::Transport(transport) => transport.unwrap(secret),
            _ => Ok(None),
        }
    }
}

/// OtherRecipientInfo (RFC 5652, section 6.2.5) with a KEMRecipientInfo (RFC 9629, section 3).
fn encapsulated<'a>(fields: &mut SliceReader<'a>) -> Option<Recipient<'a>> {
    let kind: ObjectIdentifier = fields.decode().ok()?;
    if kind != kem::ID_ORI_KEM {
        return None;
    }
    let info: AnyRef<'a> = fields.decode().ok()?;
    let mut fields = SliceReader::new(info.value()).ok()?;
    let version: u32 = fields.decode().ok()?;
    let reader = Identifier::read(fields.decode().ok()?)?;
    Some(match Encapsulated::read(&mut fields, version) {
        Ok(capsule) => Recipient::Encapsulated(reader, capsule),
        Err(why) => Recipient::Unusable { readers: vec![reader], why },
    })
}

/// KeyTransRecipientInfo (RFC 5652, section 6.2.1).
#[derive(Debug)]
struct Transport<'a> {
    reader: Identifier<'a>,
    unwrap: Unwrap<'a>,
    wrapped: &'a [u8],
}

impl<'a> Transport<'a> {
    fn read(fields: &mut SliceReader<'a>) -> Option<Recipient<'a>> {
        let _version: u32 = fields.decode().ok()?;
        let reader = Identifier::read(fields.decode().ok()?)?;
        let algorithm: AlgorithmIdentifierRef<'a> = fields.decode().ok()?;
        let unwrap = match algorithm.oid {
            RSA_ENCRYPTION => Ok(Unwrap::RsaPkcs1),
            RSAES_OAEP => match Oaep::read(algorithm.parameters) {
                Some(Oaep { hash, mgf, label }) => Ok(Unwrap::RsaOaep { hash, mgf, label }),
                None => Err("the parameters of RSAES-OAEP cannot be read (RFC 4055, section 4)".to_owned()),
            },
            oid => Err(kem::misplaced(oid).unwrap_or_else(|| format!("key transport algorithm {oid} is not known"))),
        };
        let wrapped: &OctetStringRef = fields.decode().ok()?;
        Some(match unwrap {
            Ok(unwrap) => Recipient::Transport(Transport { reader, unwrap, wrapped: wrapped.as_bytes() }),
            Err(why) => Recipient::Unusable { readers: vec![reader], why },
        })
    }

    fn unwrap(&self, secret: &dyn SecretKey) -> Result<Option<Secret>> {
        let KeyAlgorithm::Rsa(bits) = secret.algorithm() else { return Ok(None) };
        // Some programs omit leading zeros of the number.
        let mut wrapped = vec![0; bits.div_ceil(8).saturating_sub(self.wrapped.len())];
        wrapped.extend_from_slice(self.wrapped);
        unless_refused(secret.decrypt(self.unwrap, &wrapped))
    }
}

/// KeyAgreeRecipientInfo (RFC 5652, section 6.2.2; RFC 5753, section 3.1).
#[derive(Debug)]
struct Agree<'a> {
    agreement: Agreement<'a>,
    /// The originator's ephemeral key: a point, or the octets of RFC 7748.
    peer: &'a [u8],
    /// The recipients and their wrapped keys.
    readers: Vec<(Identifier<'a>, &'a [u8])>,
}

impl<'a> Agree<'a> {
    fn read(fields: &mut SliceReader<'a>) -> Option<Recipient<'a>> {
        let _version: u32 = fields.decode().ok()?;
        let originator: AnyRef<'a> = fields.decode().ok()?;
        // RFC 5753, section 3.1.1: the originator's key is in the message. Certificates would be for MQV and static
        // keys.
        let brought: AnyRef<'a> = SliceReader::new(originator.value()).ok()?.decode().ok()?;
        brought.tag().assert_eq(suite::explicit(1)).ok()?;
        let mut key = SliceReader::new(brought.value()).ok()?;
        let _algorithm: AnyRef<'a> = key.decode().ok()?;
        let peer: BitStringRef<'a> = key.decode().ok()?;
        let mut next: AnyRef<'a> = fields.decode().ok()?;
        let mut ukm = None;
        if next.tag() == suite::explicit(1) {
            ukm = Some(<&OctetStringRef>::from_der(next.value()).ok()?.as_bytes());
            next = fields.decode().ok()?;
        }
        let algorithm: AlgorithmIdentifierRef<'a> = next.decode_as().ok()?;
        let agreement = Agreement::read(&algorithm, ukm);
        let wrapped: AnyRef<'a> = fields.decode().ok()?;
        let mut keys = SliceReader::new(wrapped.value()).ok()?;
        let mut readers = Vec::new();
        while !keys.is_finished() {
            let key: AnyRef<'a> = keys.decode().ok()?;
            let mut fields = SliceReader::new(key.value()).ok()?;
            let reader = Identifier::read(fields.decode().ok()?)?;
            let wrapped: &OctetStringRef = fields.decode().ok()?;
            readers.push((reader, wrapped.as_bytes()));
        }
        let Some(agreement) = agreement else {
            let why =
                format!("key agreement algorithm {} is not known, or its parameters cannot be read", algorithm.oid);
            return Some(Recipient::Unusable { readers: readers.into_iter().map(|(reader, _)| reader).collect(), why });
        };
        Some(Recipient::Agree(Agree { agreement, peer: peer.as_bytes()?, readers }))
    }
}

/// RecipientIdentifier or KeyAgreeRecipientIdentifier: how the message names a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identifier<'a> {
    IssuerAndSerial { issuer: AnyRef<'a>, serial: &'a [u8] },
    Key(&'a [u8]),
}

impl<'a> Identifier<'a> {
    fn read(identifier: AnyRef<'a>) -> Option<Self> {
        match identifier.tag() {
            Tag::Sequence => {
                let mut fields = SliceReader::new(identifier.value()).ok()?;
                let issuer: AnyRef<'a> = fields.decode().ok()?;
                let serial: AnyRef<'a> = fields.decode().ok()?;
                serial.tag().assert_eq(Tag::Integer).ok()?;
                Some(Identifier::IssuerAndSerial { issuer, serial: serial.value() })
            }
            // RecipientKeyIdentifier: an identifier, and optionally a date and other attributes.
            tag if tag == suite::explicit(0) => {
                let key: &OctetStringRef = SliceReader::new(identifier.value()).ok()?.decode().ok()?;
                Some(Identifier::Key(key.as_bytes()))
            }
            tag if tag.number() == suite::explicit(0).number() && tag.is_context_specific() => {
                Some(Identifier::Key(identifier.value()))
            }
            _ => None,
        }
    }

    fn issuer(issuer: AnyRef<'_>) -> Option<Name> {
        Name::parse(&issuer.to_der().ok()?).ok()
    }

    /// The handle to find the certificate's record. `None` if the name is invalid, or the identifier is too short.
    fn handle(&self) -> Option<Handle> {
        match self {
            Identifier::IssuerAndSerial { issuer, serial } => {
                Some(record::issuer_and_serial(&Self::issuer(*issuer)?, serial))
            }
            Identifier::Key(octets) => record::key_identifier(octets),
        }
    }

    fn text(&self) -> String {
        match self {
            Identifier::IssuerAndSerial { issuer, serial } => {
                let name =
                    Self::issuer(*issuer).map_or_else(|| "an unreadable name".to_owned(), |name| name.to_string());
                format!("serial {} of {name}", Handle::from_octets(serial))
            }
            Identifier::Key(octets) => Handle::from_octets(octets).to_string(),
        }
    }
}

/// The search for a content key.
struct Search<'a, 'b> {
    context: Context<'a>,
    budget: &'b mut Budget,
    /// Whether a key that the message names was tried, successfully or not.
    used: bool,
    /// Why an available key could not be used.
    locked: Option<Error>,
    /// Why a key could not be asked. Another one may still decrypt.
    unreachable: Option<Error>,
}

impl Search<'_, '_> {
    /// Tries the keys that the message names; the first that is available is used.
    fn by_name(&mut self, recipients: &[Recipient<'_>]) -> Result<Option<Secret>> {
        for recipient in recipients {
            for reader in recipient.readers() {
                let Some(handle) = reader.handle() else { continue };
                for record in
                    self.context.keys.find(ProtocolName::Smime, &Query::new(Purpose::Decrypt, Want::Handle(&handle)))?
                {
                    for secret in self.secrets(&record)? {
                        self.used = true;
                        self.budget.unwrapping(secret.algorithm().unwrap_cost())?;
                        match recipient.unwrap(secret.as_ref(), Some(reader)) {
                            Ok(Some(key)) => return Ok(Some(key)),
                            Ok(None) => {}
                            Err(error) => _ = self.unreachable.get_or_insert(error),
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// Tries passwords, and keys given as passwords.
    fn by_password(&mut self, recipients: &[Recipient<'_>]) -> Result<Option<Secret>> {
        let is_shared = |recipient: &Recipient<'_>| matches!(recipient, Recipient::Kek(_) | Recipient::Password(_));
        if !recipients.iter().any(is_shared) {
            return Ok(None);
        }
        let passwords = self.context.keys.passwords()?;
        for recipient in recipients {
            for password in &passwords {
                let key = match recipient {
                    Recipient::Kek(kek) => kek.unwrap(password),
                    Recipient::Password(recipient) => recipient.unwrap(password, self.budget)?,
                    _ => break,
                };
                self.budget.unwrapping(1)?;
                if key.is_some() {
                    return Ok(key);
                }
            }
        }
        Ok(None)
    }

    /// Tries every available secret key: the message may name a missing certificate whose key is available.
    fn by_every_key(&mut self, recipients: &[Recipient<'_>]) -> Result<Vec<Secret>> {
        let mut found: Vec<Secret> = Vec::new();
        for record in self.context.keys.find(ProtocolName::Smime, &Query::new(Purpose::Decrypt, Want::Secrets))? {
            let Ok(certificate) = Certificate::parse(record.bytes()) else { continue };
            let kind = certificate.public_key().algorithm();
            let suited: Vec<&Recipient<'_>> = recipients.iter().filter(|recipient| recipient.suits(kind)).collect();
            if suited.is_empty() {
                continue;
            }
            for secret in self.secrets(&record)? {
                for recipient in &suited {
                    self.budget.unwrapping(kind.unwrap_cost())?;
                    match recipient.unwrap(secret.as_ref(), None) {
                        Ok(key) => found.extend(key.filter(|key| !found.contains(key))),
                        Err(error) => _ = self.unreachable.get_or_insert(error),
                    }
                }
            }
        }
        Ok(found)
    }

    /// The available secret keys of a record, unlocked.
    fn secrets(&mut self, record: &Arc<Record>) -> Result<Vec<Arc<dyn SecretKey>>> {
        let mut secrets = Vec::new();
        for handle in record.secrets() {
            match self.context.keys.secret(record, handle) {
                Ok(secret) => secrets.extend(secret),
                Err(error) if error.is_of_machine() => _ = self.unreachable.get_or_insert(error),
                Err(error) => _ = self.locked.get_or_insert(error),
            }
        }
        Ok(secrets)
    }
}

/// rsaEncryption (RFC 3370, section 4.2.1).
const RSA_ENCRYPTION: ObjectIdentifier = rfc5912::RSA_ENCRYPTION;
/// id-RSAES-OAEP (RFC 3560, section 3).
const RSAES_OAEP: ObjectIdentifier = rfc5912::ID_RSAES_OAEP;

/// Length in octets of a random content key: that of the longest cipher key.
const SUBSTITUTE: usize = 32;

/// Maximum recipients listed in an error.
const NAMED_RECIPIENTS: usize = 8;
