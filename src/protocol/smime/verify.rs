//! Judges one signature: the signed octets, the public key, and whether its certificate is valid for signing now.

use std::sync::Arc;

use super::{
    attributes::Attributes,
    capabilities,
    chain::{self, Chain},
    content::{Content, Reading, Shape},
    record,
    signed::{SignedData, SignerId, SignerInfo},
};
use crate::{
    base::{Budget, Kind, Result},
    crypto::{Hash, Legacy, Strength, Unverified},
    keys::{Announcement, Authenticated, Handle, ProtocolName, Purpose, Query, Record, Want},
    pki::{Certificate, PublicKey, SignatureAlgorithm, Usage, digest_algorithm, pre_hashed, tlv},
    protocol::{Context, x509::NoPath},
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges every signature over `octets`. Errors only if the keys cannot be asked, or the Budget is exceeded.
pub(super) fn judged<'a>(
    signed: &'a SignedData<'a>,
    octets: &'a [u8],
    shape: Shape,
    context: Context<'a>,
    budget: &mut Budget,
) -> Result<Vec<Signature>> {
    if signed.signers.is_empty() {
        return Ok(vec![unreadable(Why::Malformed("it has no signers".to_owned()))]);
    }
    let content = Content::new(octets, shape);
    let named: Vec<Handle> = signed.signers.iter().flatten().filter_map(|signer| named_by(&signer.id)).collect();
    let queries: Vec<Query<'_>> =
        named.iter().map(|handle| Query::new(Purpose::Verify, Want::Handle(handle))).collect();
    context.keys.expect(ProtocolName::Smime, &queries);
    let chain = Chain::new(&signed.certificates, &signed.revocations, context)?;
    let mut judge = Judge { signed, content, chain, context };
    let judged = signed.signers.iter().map(|signer| match signer {
        Ok(signer) => judge.signature(signer, budget),
        Err(why) => Ok(unreadable(why.clone())),
    });
    judged.collect()
}

/// The data needed to judge the signatures of one SignedData.
struct Judge<'a> {
    signed: &'a SignedData<'a>,
    content: Content<'a>,
    chain: Chain<'a>,
    context: Context<'a>,
}

impl Judge<'_> {
    fn signature(&mut self, signer: &SignerInfo<'_>, budget: &mut Budget) -> Result<Signature> {
        let mut signature = described(signer);
        let mut what = match over(signer, self.signed, self.context.legacy) {
            Ok(what) => what,
            Err(state) => {
                if let State::Unknown(Why::UnknownAlgorithm(name)) = &state {
                    // Without what is in brackets, the reason.
                    let name = name.split(" (").next().unwrap_or_default().to_owned();
                    (signature.algorithms, signature.strength) = (name, Strength::Unknown);
                }
                signature.state = state;
                return Ok(signature);
            }
        };
        // Without a certificate nothing is hashed.
        let candidates = candidates(&signer.id, self.signed, self.context)?;
        if candidates.is_empty() {
            return Ok(signature);
        }
        if let Err(why) = what.find_reading(&mut self.content, budget)? {
            signature.state = State::Invalid(why);
            return Ok(signature);
        }
        // Anyone can make a certificate with another's issuer and serial number. The candidate with the best result
        // counts.
        let mut best: Option<Signature> = None;
        for candidate in candidates {
            let mut one = signature.clone();
            self.by(&candidate, &what, &mut one, budget)?;
            if best.as_ref().is_none_or(|best| rank(&one) > rank(best)) {
                best = Some(one);
            }
        }
        Ok(best.unwrap_or(signature))
    }

    /// Judges the signature as made by the owner of this certificate.
    fn by(
        &mut self,
        candidate: &Candidate,
        what: &Over<'_>,
        signature: &mut Signature,
        budget: &mut Budget,
    ) -> Result<()> {
        signature.signer = Some(record::fingerprint(&candidate.certificate).to_string());
        signature.claimed = candidate.certificate.mailboxes();
        let key = match self.chain.key(&candidate.certificate, budget)? {
            Ok(key) => key,
            Err(refusal) => {
                signature.state = State::Unknown(Why::Path(refusal.to_string()));
                return Ok(());
            }
        };
        signature.algorithms = what.algorithm.name(&key);
        signature.strength = what.algorithm.strength(&key).min(what.hash.strength());
        signature.quantum_safe = key.algorithm().is_quantum_safe();
        let good = what.verified(&key, &mut self.content, budget)?.and_then(|reading| {
            let checked = what.is_about(candidate).and_then(|()| standing(&candidate.certificate, self.context));
            checked.map(|()| reading).map_err(State::Invalid)
        });
        match good {
            Err(state) => signature.state = state,
            Ok(reading) => {
                if self.content.is_repaired(reading) {
                    signature.notes.push(REPAIRED.to_owned());
                }
                signature.state = State::Valid(Matches::assertion());
                trusted(candidate, signature, &mut self.chain, budget)?;
                signature.announcement = self.news(candidate, what);
            }
        }
        if matches!(signature.state, State::Valid(_)) {
            let weakest = weakest(what, &key);
            signature.reservation = match (signature.strength, signature.reservation.take()) {
                // If broken algorithms are admitted, other reasons matter more.
                (Strength::Broken, Some(reservation)) if self.context.legacy == Legacy::Admit => Some(reservation),
                (Strength::Broken, _) => Some(Why::BrokenAlgorithm(weakest)),
                (Strength::Unknown, _) => Some(Why::UnknownAlgorithm(weakest)),
                (Strength::Weak, None) => Some(Why::WeakAlgorithm(weakest)),
                (_, reservation) => reservation,
            };
        }
        Ok(())
    }

    /// The signer's announcement of supported ciphers. It is stored only for certificates in the key store: for others,
    /// the certificate would have to be stored too.
    fn news(&self, candidate: &Candidate, what: &Over<'_>) -> Option<Announcement> {
        let announced = what.attributes?.capabilities()?;
        capabilities::news(announced, candidate.record.as_deref()?, self.context.clock.now())
    }
}

/// Orders results: no match, key matches, valid, valid with an authenticated address.
fn rank(signature: &Signature) -> u8 {
    match &signature.state {
        State::Invalid(Why::Mismatch) | State::Unknown(_) => 0,
        State::Invalid(_) => 1,
        State::Valid(_) if signature.authenticated.is_empty() => 2,
        State::Valid(_) => 3,
    }
}

/// The result for a signature that cannot be read.
pub(super) fn unreadable(why: Why) -> Signature {
    Signature {
        state: State::Invalid(why),
        reservation: None,
        signer: None,
        claimed: Vec::new(),
        authenticated: Vec::new(),
        covers: Covers::Whole,
        at: None,
        algorithms: "unknown".to_owned(),
        strength: Strength::Unknown,
        quantum_safe: false,
        notes: Vec::new(),
        announcement: None,
    }
}

/// A certificate that may be the signer's.
struct Candidate {
    certificate: Certificate,
    /// Its record, if it is in the store.
    record: Option<Arc<Record>>,
}

/// The data that one signature value covers.
struct Over<'a> {
    algorithm: SignatureAlgorithm,
    hash: Hash,
    signature: &'a [u8],
    octets: Octets<'a>,
    /// The reading of the content with the digest in the attributes.
    reading: Reading,
    attributes: Option<&'a Attributes>,
}

/// The signed octets.
enum Octets<'a> {
    /// Signed attributes in one of these encodings, and the content digest in them.
    Attributes(&'a [Vec<u8>], &'a [u8]),
    /// The content itself.
    Content,
}

impl Over<'_> {
    /// Checks that the attributes do not name another certificate.
    fn is_about(&self, candidate: &Candidate) -> std::result::Result<(), Why> {
        self.attributes.map_or(Ok(()), |attributes| attributes.is_about(&candidate.certificate))
    }

    /// Finds the reading of the content with the digest in the attributes. The inner error says why no signature over
    /// the content can be valid.
    fn find_reading(&mut self, content: &mut Content<'_>, budget: &mut Budget) -> Result<std::result::Result<(), Why>> {
        let named = match self.octets {
            Octets::Attributes(_, named) => named,
            Octets::Content if content.is_attributes() => return Ok(Err(Why::Malformed(POSING.to_owned()))),
            Octets::Content => return Ok(Ok(())),
        };
        for reading in content.readings() {
            let Some(digest) = content.digest(self.hash, *reading, budget)? else {
                return Ok(Err(collision(self.hash)));
            };
            if digest == named {
                self.reading = *reading;
                return Ok(Ok(()));
            }
        }
        Ok(Err(Why::Mismatch))
    }

    /// The reading of the content for which the signature is valid. The outer error means the Budget is exceeded.
    fn verified(
        &self,
        key: &PublicKey,
        content: &mut Content<'_>,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Reading, State>> {
        let mut refused = Unverified::Signature;
        let cost = key.algorithm().cost();
        match &self.octets {
            Octets::Attributes(encodings, _) => {
                for encoding in *encodings {
                    budget.path_signature(cost, encoding.len())?;
                    match self.algorithm.verify_message(key, encoding, self.signature) {
                        Ok(()) => return Ok(Ok(self.reading)),
                        Err(why) => refused = why,
                    }
                }
            }
            Octets::Content => {
                for reading in content.readings() {
                    budget.path_signature(cost, 0)?;
                    let checked = match self.algorithm.hash() {
                        Some(hash) => {
                            let Some(digest) = content.digest(hash, *reading, budget)? else {
                                return Ok(Err(State::Invalid(collision(hash))));
                            };
                            self.algorithm.verify(key, digest, self.signature)
                        }
                        None => {
                            budget.hashed(content.length())?;
                            self.algorithm.verify_message(key, &content.read(*reading), self.signature)
                        }
                    };
                    match checked {
                        Ok(()) => return Ok(Ok(*reading)),
                        Err(why) => refused = why,
                    }
                }
            }
        }
        Ok(Err(match refused {
            Unverified::Algorithm => State::Unknown(Why::UnknownAlgorithm(self.algorithm.name(key))),
            Unverified::Key => State::Invalid(Why::Malformed("the certificate's key is malformed".to_owned())),
            Unverified::Signature => State::Invalid(Why::Mismatch),
        }))
    }
}

/// The data that the signature covers, from its fields alone: nothing is hashed yet.
fn over<'a>(
    signer: &'a SignerInfo<'_>,
    signed: &SignedData<'_>,
    legacy: Legacy,
) -> std::result::Result<Over<'a>, State> {
    // RFC 9882, section 3.3, and RFC 9814, section 4: without attributes the digest algorithm has no meaning for these.
    let is_pure =
        || SignatureAlgorithm::parse(signer.signature_algorithm, None).is_ok_and(|algorithm| algorithm.is_pure());
    let hash = match signer.attributes.is_none() && is_pure() {
        true => Hash::Sha512,
        false => digest_algorithm(signer.digest_algorithm).map_err(|error| unknown(&error, signer.digest_algorithm))?,
    };
    let algorithm = SignatureAlgorithm::parse(signer.signature_algorithm, Some(hash))
        .map_err(|error| unknown(&error, signer.signature_algorithm))?;
    if let Some(other) = algorithm.hash().filter(|other| *other != hash) {
        let algorithms = format!("its digest algorithm is {hash}, and its signature is made with {other}");
        return Err(State::Invalid(Why::Malformed(format!("{algorithms} (RFC 5652, section 5.3)"))));
    }
    let hashes = [Some(hash), algorithm.hash()];
    if let Some(broken) = hashes.into_iter().flatten().find(|hash| !hash.is_computed(legacy)) {
        return Err(State::Unknown(Why::BrokenAlgorithm(broken.name().to_owned())));
    }
    let octets = match &signer.attributes {
        Some(attributes) => {
            let digest = attributes
                .message_digest(signed.content_type, signer.digest_algorithm, signer.signature_algorithm)
                .map_err(State::Invalid)?;
            if signed.content_type != DATA {
                let kind = tlv::dotted(signed.content_type);
                return Err(State::Invalid(Why::Malformed(format!("it is over content of type {kind}, {NO_MESSAGE}"))));
            }
            Octets::Attributes(&attributes.encodings, digest)
        }
        // RFC 5652, section 5.3: attributes are required if the content is not of type data.
        None if signed.content_type != DATA => {
            let kind = tlv::dotted(signed.content_type);
            return Err(State::Invalid(Why::Malformed(format!("it has no attributes, over content of type {kind}"))));
        }
        None => Octets::Content,
    };
    let (signature, attributes) = (signer.signature, signer.attributes.as_ref());
    Ok(Over { algorithm, hash, signature, octets, reading: Reading::AsIs, attributes })
}

fn collision(hash: Hash) -> Why {
    Why::Collision(hash.name().to_owned())
}

/// Describes a signature from its fields, before anything is checked.
fn described(signer: &SignerInfo<'_>) -> Signature {
    let hash = digest_algorithm(signer.digest_algorithm);
    let named = match &signer.id {
        SignerId::IssuerAndSerial(issuer, serial) => format!("{} of {issuer}", Handle::from_octets(serial)),
        SignerId::KeyIdentifier(identifier) => Handle::from_octets(identifier).to_string(),
    };
    Signature {
        state: State::Unknown(Why::NoKey),
        reservation: None,
        signer: Some(named),
        claimed: Vec::new(),
        authenticated: Vec::new(),
        covers: Covers::Whole,
        at: signer.attributes.as_ref().and_then(|attributes| attributes.signing_time()),
        algorithms: hash.as_ref().map_or("unknown", |hash| hash.name()).to_owned(),
        strength: hash.map_or(Strength::Unknown, |hash| hash.strength()),
        quantum_safe: false,
        notes: Vec::new(),
        announcement: None,
    }
}

/// What the records of its certificates have as a handle.
fn named_by(id: &SignerId<'_>) -> Option<Handle> {
    match id {
        SignerId::IssuerAndSerial(issuer, serial) => Some(record::issuer_and_serial(issuer, serial)),
        SignerId::KeyIdentifier(identifier) => record::key_identifier(identifier),
    }
}

/// The certificates that the signature identifies. Those in the store come first, because their records hold the
/// owner's bindings.
fn candidates(id: &SignerId<'_>, signed: &SignedData<'_>, context: Context<'_>) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    if let Some(handle) = named_by(id) {
        let found = chain::stored(context.keys, &handle)?.into_iter().filter(|(_, certificate)| id.names(certificate));
        candidates.extend(found.map(|(record, certificate)| Candidate { certificate, record: Some(record) }));
    }
    for certificate in signed.certificates.iter().filter(|certificate| id.names(certificate)) {
        if !candidates.iter().any(|one: &Candidate| one.certificate.der() == certificate.der()) {
            candidates.push(Candidate { certificate: certificate.clone(), record: None });
        }
    }
    candidates.truncate(MAX_CANDIDATES);
    Ok(candidates)
}

/// Whether the certificate may sign mail now (RFC 8550, section 4.4; RFC 5280, section 6.1.3 (a)(2)).
fn standing(certificate: &Certificate, context: Context<'_>) -> std::result::Result<(), Why> {
    let (now, (from, to)) = (context.clock.now(), certificate.validity());
    if now < from {
        return Err(Why::CertificateNotYetValid);
    }
    if now > to {
        return Err(Why::CertificateExpired);
    }
    if certificate.allows(Usage::Sign) { Ok(()) } else { Err(Why::WrongUsage) }
}

/// Looks for a path, and adds the addresses that the path or the owner of this machine ties to the certificate.
fn trusted(candidate: &Candidate, signature: &mut Signature, chain: &mut Chain<'_>, budget: &mut Budget) -> Result<()> {
    let certificate = &candidate.certificate;
    let bound = candidate.record.as_ref().map(|record| record.authenticate(&certificate.mailboxes()));
    let mut authenticated = bound.unwrap_or_default();
    match chain.path(certificate, budget)? {
        Ok(path) => {
            for address in path.mailboxes() {
                if !authenticated.iter().any(|one| one.address() == address) {
                    authenticated.push(Authenticated::assertion(address.clone()));
                }
            }
        }
        Err(refusal) => {
            NoPath::from(refusal).enter(signature, authenticated);
            return Ok(());
        }
    }
    signature.authenticated = authenticated;
    Ok(())
}

/// The name of the weaker of digest and key.
fn weakest(over: &Over<'_>, key: &PublicKey) -> String {
    let key = key.algorithm();
    let own = over.algorithm.hash().map(|hash| (hash.strength(), hash.name().to_owned()));
    let all = [Some((over.hash.strength(), over.hash.name().to_owned())), own, Some((key.strength(), key.name()))];
    all.into_iter().flatten().min_by_key(|(strength, _)| *strength).map(|(_, name)| name).unwrap_or_default()
}

/// The state for an unknown or malformed AlgorithmIdentifier.
fn unknown(error: &crate::base::Error, algorithm: &[u8]) -> State {
    match error.kind() {
        Kind::Unavailable => {
            let kind = tlv::Reader::new(algorithm, "algorithm").sequence().and_then(|mut fields| fields.any());
            let Ok(kind) = kind else { return State::Unknown(Why::UnknownAlgorithm(String::new())) };
            let name = match kind.oid().and_then(pre_hashed) {
                Some(name) => {
                    format!("{name} (pre-hashed, which is not for CMS: RFC 9882, section 3.1; RFC 9814, section 2)")
                }
                None => tlv::dotted(kind.value),
            };
            State::Unknown(Why::UnknownAlgorithm(name))
        }
        _ => State::Invalid(Why::Malformed(error.to_string())),
    }
}

const REPAIRED: &str = "line breaks were corrected before it was checked (RFC 8551, section 3.1.1)";
/// Content that software signs automatically, like a receipt or a time stamp, may be chosen by an attacker.
const NO_MESSAGE: &str = "which is not a message (RFC 8551, section 2.4.1)";
const POSING: &str = "it has no attributes, and its content is a set of attributes";
/// id-data (RFC 5652, section 4): 1.2.840.113549.1.7.1.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// Maximum certificates tried for one issuer and serial number. Source: one that was renewed twice with the same number
/// by mistake.
const MAX_CANDIDATES: usize = 4;
