//! OCSP responses (RFC 6960): the status of a certificate, from a responder authorized by its issuer.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use const_oid::db::{rfc5280, rfc6960};
use der::asn1::ObjectIdentifier;

use super::{
    Certificate, Name, PublicKey,
    crl::Freshness,
    crl_status,
    distribution::Reasons,
    extensions::OCSP_NO_CHECK,
    news::News,
    statements::Statements,
    status::{Asked, Issuer, IssuerId, Reason, Revoked, Sealed, Worth},
    time,
    tlv::{
        BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, constructed,
        minimal, primitive,
    },
};
use crate::{
    base::{Budget, Error, Result},
    crypto::{Hash, Strength},
};

/// A successful OCSPResponse that holds a BasicOCSPResponse (RFC 6960, section 4.2.1).
#[derive(Debug)]
pub struct OcspResponse<'a> {
    responder: Responder,
    /// By serial number.
    answers: HashMap<&'a [u8], Vec<Answer<'a>>>,
    nonce: Option<&'a [u8]>,
    certificates: Vec<Certificate>,
    sealed: Sealed<'a>,
    /// A critical extension of the whole response is not known.
    has_unknown: bool,
}

#[derive(Debug)]
enum Responder {
    Name(Name),
    /// SHA-1 of the key.
    Key(Vec<u8>),
}

/// A SingleResponse.
#[derive(Debug)]
struct Answer<'a> {
    hash: Option<Hash>,
    issuer_name_hash: &'a [u8],
    issuer_key_hash: &'a [u8],
    state: State,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    has_unknown: bool,
}

/// CertStatus.
#[derive(Clone, Copy, Debug)]
enum State {
    Good,
    Revoked(Revoked),
    Unknown,
}

impl<'a> OcspResponse<'a> {
    /// Reads DER.
    ///
    /// # Errors
    ///
    /// `Malformed` for anything else than a response, and for a response with an error status.
    pub fn parse(der: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(der, "OCSP response");
        let mut outer = reader.sequence()?;
        reader.finish()?;
        let status = outer.expect(ENUMERATED)?;
        if status.value != [SUCCESSFUL] {
            return Err(Error::malformed("OCSP response", "the responder did not answer"));
        }
        let mut bytes = outer.expect(constructed(0))?.reader().sequence()?;
        if !bytes.expect(OID)?.is(&BASIC_RESPONSE) {
            return Err(bytes.refuse("of a type that is not known"));
        }
        let basic = bytes.expect(OCTET_STRING)?.value;
        Self::read_basic(Reader::new(basic, "OCSP response").sequence()?)
    }

    /// The nonce that it repeats (RFC 9654). A client that sent one compares it, so that older responses cannot be replayed.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce
    }

    fn read_basic(mut fields: Reader<'a>) -> Result<Self> {
        let data = fields.expect(SEQUENCE)?;
        let algorithm = fields.expect(SEQUENCE)?.whole;
        let sealed = Sealed::new(data.whole, algorithm, fields.expect(BIT_STRING)?.octets_of_bits()?)?;
        let mut certificates = Vec::new();
        if let Some(list) = fields.optional(constructed(0))? {
            let mut list = list.reader().sequence()?;
            while !list.is_finished() && certificates.len() < MAX_CERTIFICATES {
                certificates.extend(Certificate::parse(list.any()?.whole));
            }
        }
        let mut data = data.reader();
        data.optional(constructed(0))?;
        let responder = data.any()?;
        let responder = match responder.tag {
            BY_NAME => Responder::Name(Name::parse(responder.value)?),
            BY_KEY => Responder::Key(responder.reader().expect(OCTET_STRING)?.value.to_vec()),
            _ => return Err(responder.refuse("a responder by neither name nor key")),
        };
        data.expect(GENERALIZED_TIME)?;
        let mut answers: HashMap<&[u8], Vec<Answer<'_>>> = HashMap::new();
        let mut list = data.sequence()?;
        while !list.is_finished() {
            let (serial, answer) = Answer::read(list.sequence()?)?;
            answers.entry(serial).or_default().push(answer);
        }
        let mut nonce = None;
        let mut has_unknown = false;
        if let Some(list) = data.optional(constructed(1))? {
            each_extension(list.reader(), |kind, is_critical, value| {
                if kind == NONCE.as_bytes() {
                    // RFC 9654 wants an OCTET STRING inside; older responders leave it out.
                    let inner = Reader::new(value, "nonce").expect(OCTET_STRING);
                    nonce = Some(inner.map_or(value, |inner| inner.value));
                } else {
                    has_unknown |= is_critical;
                }
            })?;
        }
        Ok(OcspResponse { responder, answers, nonce, certificates, sealed, has_unknown })
    }

    /// From when and until when it is about all its certificates.
    pub(super) fn period(&self) -> Option<(SystemTime, SystemTime)> {
        let all = || self.answers.values().flatten();
        Some((all().map(|answer| answer.this_update).max()?, all().map(Answer::end).min()?))
    }

    /// What it says of the certificate of the issuer of the certificates that it is about: the responder, or the issuer of the responder's certificate.
    pub(super) fn issuers(&self) -> Vec<IssuerId> {
        let responder = match &self.responder {
            Responder::Name(name) => IssuerId::Name(name.clone()),
            Responder::Key(hash) => IssuerId::Key(hash.clone()),
        };
        let above = self.certificates.iter().map(|delegate| IssuerId::Name(delegate.issuer().clone()));
        [responder].into_iter().chain(above).collect()
    }

    /// Whether `issuer` issued all certificates that it is about, by name and key.
    pub(super) fn is_of_issuer(&self, issuer: &Certificate) -> bool {
        self.answers.values().flatten().all(|answer| answer.is_of_issuer(issuer.subject(), issuer.public_key()))
    }

    /// Whether it is about every certificate that `older` is about.
    pub(super) fn is_about_all_of(&self, older: &OcspResponse<'_>) -> bool {
        self.has_for_all_of(older, |answer, older| answer.is_about_same(older))
    }

    /// Whether each answer of `older` can go for one of this response's.
    pub(super) fn answers_all_of(&self, older: &OcspResponse<'_>, at: SystemTime) -> bool {
        !self.has_unknown && self.has_for_all_of(older, |answer, older| answer.replaces(older, at))
    }

    fn has_for_all_of(&self, older: &OcspResponse<'_>, takes: impl Fn(&Answer<'_>, &Answer<'_>) -> bool) -> bool {
        let has_for = |(serial, old): (&&[u8], &Vec<Answer<'_>>)| {
            let own = || self.answers.get(*serial).into_iter().flatten();
            old.iter().all(|old| own().any(|own| takes(own, old)))
        };
        !older.answers.is_empty() && older.answers.iter().all(has_for)
    }

    /// How far it counts; `None` when no responder authorized by `issuer` signed it (RFC 6960, section 4.2.2.2).
    pub(super) fn worth(
        &self,
        issuer: Issuer<'_>,
        statements: &Statements<'_>,
        asked: &Asked<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Worth>> {
        if self.is_from(issuer.certificate)
            && let Some(worth) = self.sealed.is_by(issuer.key, asked.legacy, budget)?
        {
            return Ok(Some(worth));
        }
        let known = match &self.responder {
            Responder::Name(name) => asked.signers.named(name),
            Responder::Key(_) => Vec::new(),
        };
        for delegate in self.certificates.iter().chain(&known) {
            let key = delegate.public_key().inheriting(issuer.key);
            if self.is_from(delegate)
                && is_delegate(delegate, issuer, asked)
                && let Some(worth) = self.sealed.is_by(&key, asked.legacy, budget)?
                && is_issued_by(delegate, issuer, asked, budget)?
                && is_in_force(delegate, issuer, statements, asked, budget)?
            {
                return Ok(Some(worth));
            }
        }
        Ok(None)
    }

    /// Whether the responder names that certificate (RFC 6960, section 4.2.2.3).
    fn is_from(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            Responder::Name(name) => certificate.subject() == name,
            Responder::Key(hash) => Hash::Sha1.digest(certificate.public_key().octets()) == *hash,
        }
    }
}

/// Adds to `news` the status of `certificate` in the responses among `statements`. An error means that the Budget is spent.
pub(super) fn tell(
    certificate: &Certificate,
    issuer: Issuer<'_>,
    statements: &Statements<'_>,
    asked: &Asked<'_>,
    budget: &mut Budget,
    news: &mut News,
) -> Result<()> {
    for response in statements.responses() {
        let answers = response.answers.get(minimal(certificate.serial())).into_iter().flatten();
        for answer in answers.filter(|answer| answer.is_about(certificate, issuer.key)) {
            let freshness = answer.freshness(asked.at);
            let says_something = match answer.state {
                State::Good => freshness == Freshness::Current && !answer.has_unknown && !response.has_unknown,
                State::Revoked(_) => true,
                State::Unknown => false,
            };
            if !says_something {
                continue;
            }
            match (answer.state, response.worth(issuer, statements, asked, budget)?) {
                (State::Revoked(revoked), Some(_)) => news.bad(revoked, freshness, answer.this_update, asked.at),
                (State::Good, Some(Worth::Everything)) => news.good(Reasons::ALL, answer.this_update),
                _ => {}
            }
        }
    }
    Ok(())
}

impl<'a> Answer<'a> {
    /// One answer, with the serial number that it is about.
    fn read(mut fields: Reader<'a>) -> Result<(&'a [u8], Self)> {
        let mut about = fields.sequence()?;
        let hash = about.sequence()?.expect(OID)?;
        // RFC 6960, section 4.3 wants SHA-1; of the others, strong ones.
        let is_usable = |hash: &Hash| *hash == Hash::Sha1 || hash.strength() == Strength::Strong;
        let hash = hash.oid().and_then(Hash::of_oid).filter(is_usable);
        let issuer_name_hash = about.expect(OCTET_STRING)?.value;
        let issuer_key_hash = about.expect(OCTET_STRING)?.value;
        let serial = minimal(about.expect(INTEGER)?.value);
        let state = fields.any()?;
        let state = match state.tag {
            GOOD => State::Good,
            REVOKED => {
                let mut fields = state.reader();
                let since = time::read(fields.expect(GENERALIZED_TIME)?)?;
                let number = match fields.optional(constructed(0))? {
                    Some(reason) => reason.reader().expect(ENUMERATED)?.value.first().copied().unwrap_or(0),
                    None => 0,
                };
                State::Revoked(Revoked { reason: Reason::of_number(number).unwrap_or(Reason::Unspecified), since })
            }
            _ => State::Unknown,
        };
        let this_update = time::read(fields.expect(GENERALIZED_TIME)?)?;
        let next_update = match fields.optional(constructed(0))? {
            Some(next) => Some(time::read(next.reader().expect(GENERALIZED_TIME)?)?),
            None => None,
        };
        let mut has_unknown = false;
        if let Some(list) = fields.optional(constructed(1))? {
            each_extension(list.reader(), |_, is_critical, _| has_unknown |= is_critical)?;
        }
        Ok((serial, Answer { hash, issuer_name_hash, issuer_key_hash, state, this_update, next_update, has_unknown }))
    }

    /// Whether the CertID is that of `certificate`, by its issuer's name and key (RFC 6960, section 4.1.1).
    fn is_about(&self, certificate: &Certificate, issuer_key: &PublicKey) -> bool {
        self.is_of_issuer(certificate.issuer(), issuer_key)
    }

    fn is_of_issuer(&self, name: &Name, key: &PublicKey) -> bool {
        self.hash.is_some_and(|hash| {
            hash.digest(name.der()) == self.issuer_name_hash && hash.digest(key.octets()) == self.issuer_key_hash
        })
    }

    /// Whether both are about one certificate, given that they have one serial number.
    fn is_about_same(&self, other: &Answer<'_>) -> bool {
        self.hash.is_some()
            && self.hash == other.hash
            && self.issuer_name_hash == other.issuer_name_hash
            && self.issuer_key_hash == other.issuer_key_hash
    }

    /// Whether `older` need not be kept beside this answer at that time. A revocation that is not repeated stays: no other response undoes it.
    fn replaces(&self, older: &Answer<'_>, at: SystemTime) -> bool {
        let says_as_much = match (older.state, self.state) {
            (State::Revoked(old), State::Revoked(new)) => old == new,
            (State::Revoked(_), _) | (State::Good, State::Unknown) => false,
            (State::Good, State::Good | State::Revoked(_)) | (State::Unknown, _) => true,
        };
        says_as_much
            && !self.has_unknown
            && self.is_about_same(older)
            && self.this_update > older.this_update
            && self.freshness(at) != Freshness::Future
    }

    /// RFC 6960, section 3.2, (5) and (6).
    fn freshness(&self, at: SystemTime) -> Freshness {
        if self.this_update > later(at, SKEW) {
            Freshness::Future
        } else if at <= later(self.end(), SKEW) {
            Freshness::Current
        } else {
            Freshness::Past
        }
    }

    fn end(&self) -> SystemTime {
        self.next_update.unwrap_or_else(|| later(self.this_update, MAX_AGE_WITHOUT_NEXT))
    }
}

fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

/// Whether `issuer` delegated the answering of OCSP requests to it (RFC 6960, section 4.2.2.2), as far as the certificate says.
fn is_delegate(delegate: &Certificate, issuer: Issuer<'_>, asked: &Asked<'_>) -> bool {
    let (from, until) = delegate.validity();
    // It must be named: neither any purpose nor none at all is enough.
    let is_named =
        delegate.extensions().extended_key_usage.iter().flatten().any(|usage| usage == OCSP_SIGNING.as_bytes());
    delegate.issuer() == issuer.certificate.subject()
        && is_named
        && (from..=until).contains(&asked.at)
        && delegate.extensions().defects.is_empty()
        && delegate.extensions().unknown_critical.is_empty()
}

/// The signature under a delegate's certificate.
fn is_issued_by(delegate: &Certificate, issuer: Issuer<'_>, asked: &Asked<'_>, budget: &mut Budget) -> Result<bool> {
    let [outer, inner] = delegate.signature_algorithms();
    if outer != inner {
        return Ok(false);
    }
    match Sealed::new(delegate.tbs(), inner, delegate.signature()) {
        Ok(sealed) => Ok(sealed.is_by(issuer.key, asked.legacy, budget)? == Some(Worth::Everything)),
        Err(_) => Ok(false),
    }
}

/// Whether a delegate is not revoked: by its issuer's CRLs, unless its issuer exempts it from that check (RFC 6960, section 4.2.2.2.1).
fn is_in_force(
    delegate: &Certificate,
    issuer: Issuer<'_>,
    statements: &Statements<'_>,
    asked: &Asked<'_>,
    budget: &mut Budget,
) -> Result<bool> {
    if delegate.extensions().find(&OCSP_NO_CHECK).is_some() {
        return Ok(true);
    }
    let mut news = News::default();
    crl_status::tell(delegate, issuer, statements, asked, budget, &mut news)?;
    Ok(!news.is_bad())
}

/// Calls `take` with type, criticality and content of each of Extensions.
fn each_extension<'a>(mut explicit: Reader<'a>, mut take: impl FnMut(&[u8], bool, &'a [u8])) -> Result<()> {
    let mut list = explicit.sequence()?;
    while !list.is_finished() {
        let mut fields = list.sequence()?;
        let kind = fields.expect(OID)?.value;
        let is_critical = fields.optional(BOOLEAN)?.map_or(Ok(false), |critical| critical.boolean())?;
        take(kind, is_critical, fields.expect(OCTET_STRING)?.value);
    }
    Ok(())
}

/// How far the clocks of responders may be off: the default of openssl's `ocsp -validity_period`.
const SKEW: Duration = Duration::from_secs(300);
/// Without nextUpdate "newer revocation information is available all the time" (RFC 6960, section 4.2.2.1); a day is how long CRLs hold
/// where they are issued most often.
const MAX_AGE_WITHOUT_NEXT: Duration = Duration::from_secs(24 * 60 * 60);
/// A responder sends its own certificate, and seldom one or two above it.
const MAX_CERTIFICATES: usize = 8;

const SUCCESSFUL: u8 = 0;
const BY_NAME: u8 = constructed(1);
const BY_KEY: u8 = constructed(2);
const GOOD: u8 = primitive(0);
const REVOKED: u8 = constructed(1);

const BASIC_RESPONSE: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_BASIC;
const NONCE: ObjectIdentifier = rfc6960::ID_PKIX_OCSP_NONCE;
const OCSP_SIGNING: ObjectIdentifier = rfc5280::ID_KP_OCSP_SIGNING;
