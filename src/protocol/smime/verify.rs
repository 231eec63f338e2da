//! Judges one signature: the octets, the public key, and whether its certificate is good for it now.

use std::sync::Arc;

use super::{
    chain::{self, Chain},
    content::{Content, Reading, Shape},
    record,
    signed::{SignedData, SignerId, SignerInfo},
};
use crate::{
    base::{Budget, Kind, Result},
    crypto::{Hash, Strength, Unverified},
    keys::{Authenticated, Handle, Record},
    pki::{Certificate, PublicKey, Refusal, SignatureAlgorithm, Usage, hash_algorithm, tlv},
    protocol::Context,
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges every signature over `octets`. Errors only when the keys cannot be asked, or the Budget is spent.
pub(super) fn judged(
    signed: &SignedData<'_>,
    octets: &[u8],
    shape: Shape,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Vec<Signature>> {
    if signed.signers.is_empty() {
        return Ok(vec![unreadable(Why::Malformed("nobody signed it".to_owned()))]);
    }
    let mut content = Content::new(octets, shape, hashes(signed));
    let mut chain = Chain::new(&signed.certificates, &signed.revocations, context)?;
    let mut signatures = Vec::with_capacity(signed.signers.len());
    for signer in &signed.signers {
        signatures.push(match signer {
            Ok(signer) => judge(signer, signed, &mut content, &mut chain, context, budget)?,
            Err(why) => unreadable(why.clone()),
        });
    }
    Ok(signatures)
}

fn judge(
    signer: &SignerInfo<'_>,
    signed: &SignedData<'_>,
    content: &mut Content<'_>,
    chain: &mut Chain<'_>,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Signature> {
    let mut signature = described(signer);
    let what = match over(signer, signed, content) {
        Ok(what) => what,
        Err(state) => {
            signature.state = state;
            return Ok(signature);
        }
    };
    let candidates = candidates(&signer.id, signed, context)?;
    let mut checked = None;
    // Anybody can make a certificate with another's issuer and serial number: the one whose key fits is meant.
    for candidate in &candidates {
        let key = chain.key(&candidate.certificate, budget)?;
        let state = what.verified(&key, content).and_then(|reading| {
            let about = signer.attributes.as_ref().map_or(Ok(()), |said| said.is_about(&candidate.certificate));
            about.map(|()| reading).map_err(State::Invalid)
        });
        let good = state.is_ok();
        if good || checked.is_none() {
            checked = Some((candidate, key, state));
        }
        if good {
            break;
        }
    }
    let Some((candidate, key, state)) = checked else { return Ok(signature) };
    signature.signer = Some(record::fingerprint(&candidate.certificate).to_string());
    signature.algorithms = what.algorithm.name(&key);
    signature.strength = what.algorithm.strength(&key).min(what.hash.strength());
    let reading = match state {
        Ok(reading) => reading,
        Err(state) => {
            signature.state = state;
            return Ok(signature);
        }
    };
    if content.is_repaired(reading) {
        signature.notes.push("line ends were put right before it was checked (RFC 8551, section 3.1.1)".to_owned());
    }
    signature.state = match standing(&candidate.certificate, context) {
        Ok(()) => State::Valid(Matches::assertion()),
        Err(why) => State::Invalid(why),
    };
    if matches!(signature.state, State::Valid(_)) {
        trusted(candidate, &mut signature, chain, budget)?;
        let weakest = weakest(&what, &key);
        signature.reservation = match signature.strength {
            Strength::Broken => Some(Why::BrokenAlgorithm(weakest)),
            Strength::Strong => signature.reservation,
            Strength::Weak => signature.reservation.or(Some(Why::WeakAlgorithm(weakest))),
        };
    }
    Ok(signature)
}

/// A signature that cannot even be read.
pub(super) fn unreadable(why: Why) -> Signature {
    Signature {
        state: State::Invalid(why),
        reservation: None,
        signer: None,
        authenticated: Vec::new(),
        covers: Covers::Whole,
        at: None,
        algorithms: "unknown".to_owned(),
        strength: Strength::Broken,
        notes: Vec::new(),
    }
}

/// The hash functions that the content has to be hashed with for these signers.
fn hashes(signed: &SignedData<'_>) -> Vec<Hash> {
    let mut hashes: Vec<Hash> = Vec::new();
    for signer in signed.signers.iter().flatten() {
        let digest = hash_algorithm(signer.digest_algorithm).ok();
        let algorithm = SignatureAlgorithm::parse(signer.signature_algorithm, digest).ok();
        let needed = match &signer.attributes {
            Some(_) => digest,
            None => algorithm.and_then(|algorithm| algorithm.hash()),
        };
        hashes.extend(needed.filter(|hash| !hashes.contains(hash)));
    }
    hashes
}

/// A certificate that may be the signer's.
struct Candidate {
    certificate: Certificate,
    /// When it is in the store.
    record: Option<Arc<Record>>,
}

/// What one signature value is over.
struct Over<'a> {
    algorithm: SignatureAlgorithm,
    hash: Hash,
    signature: &'a [u8],
    octets: Octets<'a>,
}

/// The octets that are signed.
enum Octets<'a> {
    /// Signed attributes in either of these encodings; the content in this reading has the digest that they name.
    Attributes(&'a [Vec<u8>], Reading),
    /// The content itself.
    Content,
}

impl Over<'_> {
    /// The reading of the content that the signature holds for.
    fn verified(&self, key: &PublicKey, content: &mut Content<'_>) -> std::result::Result<Reading, State> {
        let mut refused = Unverified::Signature;
        match &self.octets {
            Octets::Attributes(encodings, reading) => {
                for encoding in *encodings {
                    match self.algorithm.verify_message(key, encoding, self.signature) {
                        Ok(()) => return Ok(*reading),
                        Err(why) => refused = why,
                    }
                }
            }
            Octets::Content => {
                for reading in content.readings() {
                    let checked = match self.algorithm.hash() {
                        Some(hash) => self.algorithm.verify(key, &content.digest(hash, *reading), self.signature),
                        None => self.algorithm.verify_message(key, &content.read(*reading), self.signature),
                    };
                    match checked {
                        Ok(()) => return Ok(*reading),
                        Err(why) => refused = why,
                    }
                }
            }
        }
        Err(match refused {
            Unverified::Algorithm => State::Unknown(Why::UnknownAlgorithm(self.algorithm.name(key))),
            Unverified::Key => State::Invalid(Why::Malformed("the certificate's key is none".to_owned())),
            Unverified::Signature => State::Invalid(Why::Mismatch),
        })
    }
}

/// What the signature is over, once its attributes were checked against the content: that takes no key.
fn over<'a>(
    signer: &'a SignerInfo<'_>,
    signed: &SignedData<'_>,
    content: &mut Content<'_>,
) -> std::result::Result<Over<'a>, State> {
    let hash = hash_algorithm(signer.digest_algorithm).map_err(|error| unknown(&error, signer.digest_algorithm))?;
    let algorithm = SignatureAlgorithm::parse(signer.signature_algorithm, Some(hash))
        .map_err(|error| unknown(&error, signer.signature_algorithm))?;
    let octets = match &signer.attributes {
        Some(attributes) => {
            let digest = attributes
                .message_digest(signed.content_type, signer.digest_algorithm, signer.signature_algorithm)
                .map_err(State::Invalid)?;
            let mut readings = content.readings().iter();
            let reading = readings.find(|reading| content.digest(hash, **reading) == digest);
            Octets::Attributes(&attributes.encodings, *reading.ok_or(State::Invalid(Why::Mismatch))?)
        }
        // RFC 5652, section 5.3: attributes must be there when the content is not of type data.
        None if signed.content_type != DATA => {
            let kind = tlv::dotted(signed.content_type);
            return Err(State::Invalid(Why::Malformed(format!("it has no attributes, over content of type {kind}"))));
        }
        None => Octets::Content,
    };
    Ok(Over { algorithm, hash, signature: signer.signature, octets })
}

/// What the signature says of itself, before anything is checked: nobody here has its certificate.
fn described(signer: &SignerInfo<'_>) -> Signature {
    let hash = hash_algorithm(signer.digest_algorithm);
    let named = match &signer.id {
        SignerId::IssuerAndSerial(issuer, serial) => format!("{} of {issuer}", Handle::from_octets(serial)),
        SignerId::KeyIdentifier(identifier) => Handle::from_octets(identifier).to_string(),
    };
    Signature {
        state: State::Unknown(Why::NoKey),
        reservation: None,
        signer: Some(named),
        authenticated: Vec::new(),
        covers: Covers::Whole,
        at: signer.attributes.as_ref().and_then(|attributes| attributes.signing_time()),
        algorithms: hash.as_ref().map_or("unknown", |hash| hash.name()).to_owned(),
        strength: hash.map_or(Strength::Broken, |hash| hash.strength()),
        notes: Vec::new(),
    }
}

/// Certificates that the signature names: those in the store first, since their records say who is believed.
fn candidates(id: &SignerId<'_>, signed: &SignedData<'_>, context: Context<'_>) -> Result<Vec<Candidate>> {
    let handle = match id {
        SignerId::IssuerAndSerial(issuer, serial) => Some(record::issuer_and_serial(issuer, serial)),
        SignerId::KeyIdentifier(identifier) => record::key_identifier(identifier),
    };
    let mut candidates = Vec::new();
    if let Some(handle) = handle {
        let found = chain::stored(context.keys, &handle)?.into_iter().filter(|(_, certificate)| id.names(certificate));
        candidates.extend(found.map(|(record, certificate)| Candidate { certificate, record: Some(record) }));
    }
    for certificate in signed.certificates.iter().filter(|certificate| id.names(certificate)) {
        if !candidates.iter().any(|one: &Candidate| one.certificate.der() == certificate.der()) {
            candidates.push(Candidate { certificate: certificate.clone(), record: None });
        }
    }
    candidates.truncate(MOST_CANDIDATES);
    Ok(candidates)
}

/// Whether the certificate may sign mail now (RFC 8550, section 4.4; RFC 5280, section 6.1.3 (a)(2)).
fn standing(certificate: &Certificate, context: Context<'_>) -> std::result::Result<(), Why> {
    let (now, (from, to)) = (context.clock.now(), certificate.validity());
    if now < from {
        return Err(Why::KeyNotYetValid);
    }
    if now > to {
        return Err(Why::KeyExpired);
    }
    if certificate.allows(Usage::Sign) { Ok(()) } else { Err(Why::WrongUsage) }
}

/// Looks for a path, and says whom it, or the owner of this machine, ties to the certificate.
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
        Err(refusal) => match revoked(&refusal, certificate) {
            Some(reason) => {
                signature.state = State::Invalid(Why::KeyRevoked(reason));
                return Ok(());
            }
            None if authenticated.is_empty() => signature.reservation = Some(Why::Path(refusal.to_string())),
            None => {}
        },
    }
    signature.authenticated = authenticated;
    Ok(())
}

fn revoked(_refusal: &Refusal, _certificate: &Certificate) -> Option<String> {
    None
}

/// The weaker of digest and key, by name.
fn weakest(over: &Over<'_>, key: &PublicKey) -> String {
    let key = key.algorithm();
    let own = over.algorithm.hash().map(|hash| (hash.strength(), hash.name().to_owned()));
    let all = [Some((over.hash.strength(), over.hash.name().to_owned())), own, Some((key.strength(), key.name()))];
    all.into_iter().flatten().min_by_key(|(strength, _)| *strength).map(|(_, name)| name).unwrap_or_default()
}

/// An AlgorithmIdentifier that nobody knows, or that is none.
fn unknown(error: &crate::base::Error, algorithm: &[u8]) -> State {
    match error.kind() {
        Kind::Unavailable => {
            let kind = tlv::Reader::new(algorithm, "algorithm").sequence().and_then(|mut fields| fields.any());
            State::Unknown(Why::UnknownAlgorithm(kind.map(|kind| tlv::dotted(kind.value)).unwrap_or_default()))
        }
        _ => State::Invalid(Why::Malformed(error.to_string())),
    }
}

/// id-data (RFC 5652, section 4): 1.2.840.113549.1.7.1.
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// Certificates of the same issuer and serial number that are tried. Source: a renewed one of an authority that forgot to count, twice.
const MOST_CANDIDATES: usize = 4;
