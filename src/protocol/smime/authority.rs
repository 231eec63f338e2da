//! A certification authority of one's own: its certificate, the certificates that it issues for mail, and its revocation lists (RFC 5280). It keeps no
//! state: what it issued are the certificates that its key signed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use const_oid::db::rfc5280;
use der::asn1::ObjectIdentifier;

use super::{
    encode::{integer, octet_string, oid, sequence, time, unsigned, value},
    generate::{self, Algorithm, Pair},
    issue::{self, BASIC_CONSTRAINTS, Body, Critical, KEY_IDENTIFIER, KEY_USAGE, Owner, Signing, extension, joined},
    pem_bundle::{self, PemBlock},
    record,
};
use crate::{
    base::{Budget, Clock, Error, Limits, Random, Result, Secret},
    crypto::{Conveys, Legacy, SecretKey, Signs, Strength},
    keys::{Keys, ProtocolName, Query, Record, RevocationReason, Want, Withdrawal},
    mail::Address,
    pki::{
        self, Certificate, CertificationRequest, Policies, PublicKey, Purpose, Question, Revocation,
        tlv::{BIT_STRING, ENUMERATED, constructed, primitive},
    },
    protocol::Described,
};

/// A new authority.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// The common name in its subject.
    pub name: String,
    /// The domains that it may issue certificates for, in RFC 5280's form: `example.org` is that domain alone, `.example.org` all below it. Empty: any.
    pub domains: Vec<String>,
    /// Where its revocation list and its certificate are published.
    pub places: Places,
    /// The passphrase that encrypts its private key; `None` leaves it unencrypted.
    pub passphrase: Option<Secret>,
    /// How long its certificate is valid.
    pub validity: Duration,
}

/// Where others find what they need to judge certificates: HTTP or HTTPS URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of its revocation list, for the CRL distribution point (RFC 5280, section 4.2.1.13).
    pub crl: Vec<String>,
    /// Of its certificate, for caIssuers of the authority information access (RFC 5280, section 4.2.2.1).
    pub issuer: Vec<String>,
}

impl Places {
    /// Those that a certificate names.
    fn of(certificate: &Certificate) -> Places {
        Places { crl: certificate.crl_urls(), issuer: certificate.issuer_urls() }
    }

    /// Refuses what is no URL of HTTP.
    fn check(&self) -> Result<()> {
        let is_http = |url: &str| {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_graphic()))
        };
        match self.crl.iter().chain(&self.issuer).find(|url| !is_http(url)) {
            Some(url) => Err(Error::usage(format!("{url:?}: not a URL like http://pki.example.org/ca.crl"))),
            None => Ok(()),
        }
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let url = |url: &String| value(primitive(6), &[url.as_bytes()]);
        let mut extensions = Vec::new();
        if !self.crl.is_empty() {
            let names = self.crl.iter().map(url).collect::<Vec<_>>().concat();
            let point = sequence(&[&value(constructed(0), &[&value(constructed(0), &[&names])])]);
            extensions.push(extension(CRL_DISTRIBUTION_POINTS, Critical::No, &sequence(&[&point])));
        }
        if !self.issuer.is_empty() {
            let access: Vec<Vec<u8>> =
                self.issuer.iter().map(|place| sequence(&[&oid(CA_ISSUERS), &url(place)])).collect();
            extensions.push(extension(AUTHORITY_INFO_ACCESS, Critical::No, &joined(&access)));
        }
        extensions
    }
}

/// Makes the key and the self-signed certificate of an authority. It issues certificates of persons only: no authority is below it.
///
/// # Errors
///
/// `Usage` if the name, a domain or a URL is not suitable, or the certificate expires too late; `Unavailable` if key generation fails.
pub fn create(new: &NewAuthority, clock: &dyn Clock, random: &dyn Random) -> Result<Described> {
    let name = new.name.trim();
    if name.is_empty() {
        return Err(Error::usage("certification authority: needs a name"));
    }
    issue::check_name(name)?;
    new.places.check()?;
    let domains: Vec<String> = new.domains.iter().map(|domain| subtree(domain)).collect::<Result<_>>()?;
    let pair = Pair::new(new.algorithm)?;
    let mut extensions = vec![
        // cA, and pathLenConstraint 0.
        extension(BASIC_CONSTRAINTS, Critical::Yes, &sequence(&[&[0x01, 0x01, 0xff], &integer(&[0])])),
        // keyCertSign and cRLSign.
        extension(KEY_USAGE, Critical::Yes, &value(BIT_STRING, &[&[1, 0b0000_0110]])),
        extension(KEY_IDENTIFIER, Critical::No, &octet_string(&issue::key_identifier(&pair.public))),
    ];
    if !domains.is_empty() {
        let trees: Vec<Vec<u8>> =
            domains.iter().map(|domain| sequence(&[&value(primitive(1), &[domain.as_bytes()])])).collect();
        let permitted = value(constructed(0), &[&trees.concat()]);
        extensions.push(extension(NAME_CONSTRAINTS, Critical::Yes, &sequence(&[&permitted])));
    }
    extensions.extend(new.places.extensions());
    let now = clock.now();
    let end = now.checked_add(new.validity).ok_or_else(|| Error::usage("certification authority: expires too late"))?;
    let subject = issue::common_name(name);
    let body = Body { issuer: &subject, subject: &subject, public: &pair.public, validity: (now, end), extensions };
    let certificate = issue::certificate(&body, pair.secret.as_ref(), random)?;
    pair.described(&certificate, new.passphrase.as_ref(), random)
}

/// A domain as a constraint has it, with A-labels.
fn subtree(domain: &str) -> Result<String> {
    let (dot, name) = domain.strip_prefix('.').map_or(("", domain), |name| (".", name));
    let read = Address::parse(&format!("x@{name}")).ok().filter(|address| !address.domain().starts_with('['));
    let read = read.ok_or_else(|| Error::usage(format!("{domain:?}: not a domain like example.org")))?;
    Ok(format!("{dot}{}", read.domain()))
}

/// The certificates in `keys` of authorities whose private keys are there too.
///
/// # Errors
///
/// Errors of `keys`.
pub fn authorities(keys: &dyn Keys) -> Result<Vec<Arc<Record>>> {
    let mut found = keys.find(ProtocolName::Smime, &Query::manage(Want::Secrets))?;
    found.retain(|record| record::certificate(record).is_ok_and(|read| read.may_issue()));
    Ok(found)
}

/// The certification request in a file, PEM (RFC 7468, section 7) or DER. `place` names the file in errors.
///
/// # Errors
///
/// As [`CertificationRequest::parse`]; `Malformed` if the file holds none, or several.
pub fn read_request(octets: &[u8], place: &str) -> Result<CertificationRequest> {
    let is_request = |block: &PemBlock<'_>| ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.label);
    let mut blocks = pem_bundle::blocks(octets).filter(is_request);
    let named = |error: Error| Error::new(error.kind(), format!("{place}: {error}"));
    match (blocks.next(), blocks.next()) {
        (None, _) => CertificationRequest::parse(octets).map_err(named),
        (Some(one), None) => {
            let octets = one.octets.ok_or_else(|| Error::malformed(place, "not base64, or cut short"))?;
            CertificationRequest::parse(octets.expose()).map_err(named)
        }
        _ => Err(Error::malformed(place, "holds several requests")),
    }
}

/// An authority with its private key.
pub struct Authority {
    certificate: Arc<Certificate>,
    secret: Arc<dyn SecretKey>,
    places: Places,
    limits: Limits,
}

/// A certificate that an authority issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its record, with what the owner declared.
    pub record: Arc<Record>,
    /// The certificate.
    pub certificate: Arc<Certificate>,
}

impl Authority {
    /// Unlocks the private key of an authority in `keys`. `limits` bound what judging a certificate may cost. Its certificates say about revocation what its own, if it is self-signed, says.
    ///
    /// # Errors
    ///
    /// `Usage` if the certificate is no authority's; `NoKey` if there is no private key, or no passphrase opens it; errors of `keys`.
    pub fn open(record: &Record, keys: &dyn Keys, limits: &Limits) -> Result<Authority> {
        let certificate = record::certificate(record)?;
        let fingerprint = record.fingerprint();
        if !certificate.may_issue() {
            return Err(Error::usage(format!("certificate {fingerprint}: is no certification authority's")));
        }
        if let Some(Withdrawal { reason, .. }) = record.withdrawal() {
            return Err(Error::no_key(format!("certificate {fingerprint}: is declared revoked: {reason}")));
        }
        let secret = keys.secret(record, fingerprint)?;
        let secret = secret.ok_or_else(|| Error::no_key(format!("key {fingerprint}: its secret key is missing")))?;
        let places = if certificate.is_self_signed() { Places::of(&certificate) } else { Places::default() };
        Ok(Authority { certificate, secret, places, limits: limits.clone() })
    }

    /// The authority with other places for those that are given.
    ///
    /// # Errors
    ///
    /// `Usage` if one is not a URL.
    pub fn with_places(mut self, given: Places) -> Result<Authority> {
        given.check()?;
        self.places.crl = if given.crl.is_empty() { self.places.crl } else { given.crl };
        self.places.issuer = if given.issuer.is_empty() { self.places.issuer } else { given.issuer };
        Ok(self)
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Where others find its revocation list, and its certificate.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Issues a certificate for `key` and these addresses, as the CA/Browser Forum's Baseline Requirements for S/MIME have it for validated mailboxes:
    /// the subject is the first address. It is valid for `validity`, and never longer than the authority; `None`: as long as that.
    ///
    /// # Errors
    ///
    /// `Usage` if there is no address, the authority may not issue it (its domains, its own end), or the key is weak or not for mail; errors of the
    /// private key.
    pub fn issue(
        &self,
        key: &PublicKey,
        addresses: &[Address],
        validity: Option<Duration>,
        now: SystemTime,
        random: &dyn Random,
    ) -> Result<Certificate> {
        let first = addresses.first().ok_or_else(|| Error::usage("certificate: needs an address"))?;
        let algorithm = key.algorithm();
        let is_for_mail = algorithm.signs() != Signs::Nothing || algorithm.conveys() != Conveys::Nothing;
        if !is_for_mail || algorithm.strength() != Strength::Strong {
            let reason = "too weak, or not for mail";
            return Err(Error::usage(format!("certificate for {first}: a key of {}: {reason}", algorithm.name())));
        }
        let (_, last) = self.certificate.validity();
        let end = validity.and_then(|validity| now.checked_add(validity)).map_or(last, |end| end.min(last));
        let name = first.to_string();
        // Addresses may be longer than a common name (RFC 5280, appendix A.1).
        let subject = if name.chars().count() > issue::MAX_NAME { sequence(&[]) } else { issue::common_name(&name) };
        let owner = Owner { subject: &subject, addresses, public: key };
        let mut extensions = owner.for_mail();
        extensions.extend(owner.end_entity());
        extensions.push(self.key_identifier());
        extensions.extend(self.places.extensions());
        let issuer = self.certificate.subject().der();
        let body = Body { issuer, subject: &subject, public: key, validity: (now, end), extensions };
        let issued = Certificate::parse(&issue::certificate(&body, self.secret.as_ref(), random)?)?;
        self.check(&issued, first, now)?;
        Ok(issued)
    }

    /// Generates a key whose certificate it issues.
    ///
    /// # Errors
    ///
    /// As [`Authority::issue`]; `Unavailable` if key generation fails.
    pub fn generate(&self, request: &generate::Request, clock: &dyn Clock, random: &dyn Random) -> Result<Described> {
        let pair = Pair::new(request.algorithm)?;
        let issued = self.issue(&pair.public, &request.addresses, request.validity, clock.now(), random)?;
        pair.described(issued.der(), request.passphrase.as_ref(), random)
    }

    /// Those of the certificates in `keys` that it issued, the oldest first.
    ///
    /// # Errors
    ///
    /// Errors of `keys`.
    pub fn issued(&self, keys: &dyn Keys) -> Result<Vec<Issued>> {
        issued_by(&self.certificate, keys)
    }

    /// A revocation list in DER of those of `issued` that are declared revoked (RFC 5280, section 5). Its number is its time in seconds, so that a later
    /// list is a newer one.
    ///
    /// # Errors
    ///
    /// `Usage` if its key usage does not allow it; errors of the private key.
    pub fn revocation_list(&self, issued: &[Issued], now: SystemTime, next: SystemTime) -> Result<Vec<u8>> {
        let signing = Signing::new(self.secret.algorithm())?;
        let entries: Vec<Vec<u8>> = issued.iter().filter_map(Issued::entry).collect();
        // An empty list is left out (RFC 5280, section 5.1.2.6).
        let entries = if entries.is_empty() { Vec::new() } else { joined(&entries) };
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let number = extension(CRL_NUMBER, Critical::No, &unsigned(&seconds.to_be_bytes()));
        let list = sequence(&[
            &integer(&[1]),
            &signing.identifier,
            self.certificate.subject().der(),
            &time(now),
            &time(next),
            &entries,
            &value(constructed(0), &[&sequence(&[&self.key_identifier(), &number])]),
        ]);
        signing.sign(&list, self.secret.as_ref())
    }

    /// AuthorityKeyIdentifier (RFC 5280, section 4.2.1.1).
    fn key_identifier(&self) -> Vec<u8> {
        let computed = || issue::key_identifier(self.certificate.public_key());
        let identifier = self.certificate.key_identifier().map_or_else(computed, <[u8]>::to_vec);
        extension(AUTHORITY_KEY, Critical::No, &sequence(&[&value(primitive(0), &[&identifier])]))
    }

    /// Judges what was issued as others do: by its path from the authority.
    fn check(&self, issued: &Certificate, first: &Address, now: SystemTime) -> Result<()> {
        let question = Question {
            at: now,
            anchors: std::slice::from_ref(&*self.certificate),
            intermediates: &[],
            revocations: &[],
            enclosed: &[],
            revocation: Revocation::Off,
            policies: Policies::default(),
            purpose: Purpose::Email,
            legacy: Legacy::Refuse,
        };
        match pki::validate(issued, &question, &mut Budget::new(self.limits.clone()))? {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Error::usage(format!(
                "certificate for {first}: the authority {:?} may not issue it: {refusal}",
                self.certificate.subject().to_string()
            ))),
        }
    }
}

/// Those of the certificates in `keys` that `authority` issued, the oldest first.
///
/// # Errors
///
/// Errors of `keys`.
pub fn issued_by(authority: &Certificate, keys: &dyn Keys) -> Result<Vec<Issued>> {
    let mut issued = Vec::new();
    for record in keys.find(ProtocolName::Smime, &Query::manage(Want::All))? {
        if let Ok(certificate) = record::certificate(&record)
            && certificate.der() != authority.der()
            && certificate.is_issued_by(authority)
        {
            issued.push(Issued { record, certificate });
        }
    }
    issued.sort_by_key(|one| (one.certificate.validity().0, one.certificate.serial().to_vec()));
    Ok(issued)
}

impl Issued {
    /// Its entry in a revocation list (RFC 5280, section 5.3); `None` if it is not revoked.
    fn entry(&self) -> Option<Vec<u8>> {
        let Withdrawal { reason, since } = *self.record.withdrawal()?;
        let serial = integer(self.certificate.serial());
        let Some(code) = code(reason) else { return Some(sequence(&[&serial, &time(since)])) };
        let reason = extension(REASON, Critical::No, &value(ENUMERATED, &[&[code]]));
        Some(sequence(&[&serial, &time(since), &sequence(&[&reason])]))
    }
}

/// CRLReason (RFC 5280, section 5.3.1), which does not say that there is no reason.
fn code(reason: RevocationReason) -> Option<u8> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::Compromised => Some(1),
        RevocationReason::Superseded => Some(4),
        RevocationReason::NoLongerUsed => Some(5),
    }
}

const AUTHORITY_INFO_ACCESS: ObjectIdentifier = rfc5280::ID_PE_AUTHORITY_INFO_ACCESS;
const AUTHORITY_KEY: ObjectIdentifier = rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER;
const CA_ISSUERS: ObjectIdentifier = rfc5280::ID_AD_CA_ISSUERS;
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS;
const CRL_NUMBER: ObjectIdentifier = rfc5280::ID_CE_CRL_NUMBER;
const NAME_CONSTRAINTS: ObjectIdentifier = rfc5280::ID_CE_NAME_CONSTRAINTS;
const REASON: ObjectIdentifier = rfc5280::ID_CE_CRL_REASONS;
