//! Judges message integrity checks: the signed octets, the public key, and whether its certificate is valid for signing
//! now.

use super::{
    header::{Header, KeyInfo, MicInfo, Originator},
    path,
    record::{Candidate, Named, rsa},
    shared::InterchangeKey,
};
use crate::{
    base::{Budget, Error, Hint, Result},
    crypto::{self, Hash, KeyAlgorithm, Legacy, Scheme, Strength, Unverified},
    keys::Authenticated,
    pki::{Certificate, PublicKey, Usage},
    protocol::Context,
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges all signatures and integrity checks in `header` over `canonical`, a text in canonical form. Errors only if
/// the keys cannot be asked, or the Budget is exceeded.
pub(super) fn judged(
    header: &Header,
    canonical: &[u8],
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Vec<Signature>> {
    let mut text = Text { canonical, digests: Vec::new() };
    let mut signatures = Vec::new();
    for originator in &header.originators {
        if let Some(mic) = &originator.mic_info {
            signatures.push(judge(originator, mic, &mut text, covers, context, budget)?);
        }
    }
    signatures.extend(shared(header, &mut text, covers, context, budget)?);
    if signatures.is_empty() {
        signatures.push(described(
            State::Invalid(Why::Malformed("it has no integrity check".to_owned())),
            None,
            covers,
        ));
    }
    Ok(signatures)
}

/// Refuses an encrypted message if none of its integrity checks can be computed: an attacker could change the
/// ciphertext and thereby the text without detection (RFC 1421, section 4.1.2.2).
pub(super) fn checkable(header: &Header, legacy: Legacy) -> Result<()> {
    let signed = header.originators.iter().filter_map(|one| one.mic_info.as_ref()).map(|mic| &mic.digest);
    let shared = header.recipients.iter().filter_map(|one| match &one.key_info {
        Some(KeyInfo::Symmetric { digest, .. }) => Some(digest),
        _ => None,
    });
    let broken = |name: &String| Hash::of_pem(name).filter(|hash| !hash.is_computed(legacy));
    let mut checks = signed.chain(shared).map(broken).peekable();
    match checks.peek() {
        Some(Some(hash)) => {
            let reason = format!("pem message: its integrity check is {hash}, which proves nothing");
            let error = Error::unavailable(reason).with_hint(Hint::ReadLegacy);
            if checks.all(|hash| hash.is_some()) { Err(error) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// A text, hashed once per hash function.
struct Text<'a> {
    canonical: &'a [u8],
    digests: Vec<(Hash, Option<Vec<u8>>)>,
}

impl Text<'_> {
    /// `None` if the text was made to collide with another. An error means the Budget is exceeded.
    fn digest(&mut self, hash: Hash, budget: &mut Budget) -> Result<Option<Vec<u8>>> {
        if let Some((_, digest)) = self.digests.iter().find(|(known, _)| *known == hash) {
            return Ok(digest.clone());
        }
        budget.hashed(self.canonical.len().saturating_mul(hash.cost()))?;
        let digest = hash.guarded_digest(self.canonical);
        self.digests.push((hash, digest.clone()));
        Ok(digest)
    }
}

fn judge(
    originator: &Originator,
    mic: &MicInfo,
    text: &mut Text<'_>,
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Signature> {
    let named = originator.name.clone();
    let Some(hash) = Hash::of_pem(&mic.digest).filter(|_| mic.algorithm == "RSA") else {
        let name = format!("{},{}", mic.digest, mic.algorithm).to_lowercase();
        return Ok(described(State::Unknown(Why::UnknownAlgorithm(name)), named, covers));
    };
    if !hash.is_computed(context.legacy) {
        let mut signature = described(State::Unknown(Why::BrokenAlgorithm(hash.name().to_owned())), named, covers);
        signature.algorithms = hash.name().to_owned();
        return Ok(signature);
    }
    // Without a key nothing is hashed.
    let candidates = candidates(originator, context)?;
    let mut checked = None;
    for candidate in candidates {
        let Some(digest) = text.digest(hash, budget)? else {
            let collision = State::Invalid(Why::Collision(hash.name().to_owned()));
            return Ok(described(collision, named, covers));
        };
        budget.path_signature(candidate.key.algorithm().cost(), 0)?;
        let state = verified(&candidate.key, hash, &digest, &mic.value);
        let good = state.is_ok();
        if good || checked.is_none() {
            checked = Some((candidate, state));
        }
        if good {
            break;
        }
    }
    let Some((candidate, verified)) = checked else {
        let mut signature = described(State::Unknown(Why::NoKey), named, covers);
        signature.algorithms = hash.name().to_owned();
        signature.strength = hash.strength();
        return Ok(signature);
    };
    let algorithm = candidate.key.algorithm();
    let mut signature = described(State::Unknown(Why::NoKey), Some(candidate.fingerprint()), covers);
    signature.claimed = candidate.certificate.as_ref().map(Certificate::mailboxes).unwrap_or_default();
    signature.algorithms = format!("{}-{hash}", algorithm.name());
    signature.strength = algorithm.strength().min(hash.strength());
    signature.state =
        match verified.and_then(|()| standing(candidate.certificate.as_ref(), context).map_err(State::Invalid)) {
            Ok(()) => State::Valid(Matches::assertion()),
            Err(state) => state,
        };
    if matches!(signature.state, State::Valid(_)) {
        trusted(&candidate, originator, &mut signature, context, budget)?;
    }
    if matches!(signature.state, State::Valid(_)) {
        signature.reservation = match signature.strength {
            Strength::Broken => Some(Why::BrokenAlgorithm(weakest(algorithm, hash))),
            Strength::Strong => signature.reservation,
            Strength::Unknown => Some(Why::UnknownAlgorithm(weakest(algorithm, hash))),
            Strength::Weak => signature.reservation.or(Some(Why::WeakAlgorithm(weakest(algorithm, hash)))),
        };
    }
    Ok(signature)
}

/// Whether this key made the originator's signature over `canonical`.
pub(super) fn holds(originator: &Originator, key: &PublicKey, canonical: &[u8]) -> bool {
    let mic = originator.mic_info.as_ref().filter(|mic| mic.algorithm == "RSA");
    let hash = mic.and_then(|mic| Hash::of_pem(&mic.digest));
    let digest = hash.and_then(|hash| hash.guarded_digest(canonical));
    mic.zip(hash).zip(digest).is_some_and(|((mic, hash), digest)| verified(key, hash, &digest, &mic.value).is_ok())
}

/// RFC 1423, section 4.2.1: a digest in the block type 01 of PKCS#1.
fn verified(key: &PublicKey, hash: Hash, digest: &[u8], signature: &[u8]) -> std::result::Result<(), State> {
    let unusable = || State::Invalid(Why::Malformed("the key is not an RSA key".to_owned()));
    let (n, e) = rsa(key).map_err(|_| unusable())?;
    crypto::verify(crypto::PublicKey::Rsa { n, e }, Scheme::RsaPkcs1(hash), digest, signature).map_err(
        |why| match why {
            Unverified::Algorithm => {
                State::Unknown(Why::UnknownAlgorithm(format!("{}-{hash}", key.algorithm().name())))
            }
            Unverified::Key => unusable(),
            Unverified::Signature => State::Invalid(Why::Mismatch),
        },
    )
}

/// Keys that may be the originator's: the one in the message, otherwise those in the store.
fn candidates(originator: &Originator, context: Context<'_>) -> Result<Vec<Candidate>> {
    let enclosed = match (&originator.certificate, &originator.key) {
        (Some(certificate), _) => Candidate::of_certificate(certificate, context.keys).ok(),
        (None, Some(key)) => Candidate::of_key(key, context.keys).ok(),
        (None, None) => None,
    };
    if let Some(candidate) = enclosed {
        return Ok(vec![candidate]);
    }
    let named = Named { name: originator.name.as_deref(), certificate: originator.certificate_id.as_ref(), key: None };
    named.stored(context.keys)
}

/// Whether the certificate may sign mail now (RFC 1422, section 3.6).
fn standing(certificate: Option<&Certificate>, context: Context<'_>) -> std::result::Result<(), Why> {
    let Some(certificate) = certificate else { return Ok(()) };
    let (now, (from, to)) = (context.clock.now(), certificate.validity());
    if now < from {
        return Err(Why::CertificateNotYetValid);
    }
    if now > to {
        return Err(Why::CertificateExpired);
    }
    if certificate.allows(Usage::Sign) { Ok(()) } else { Err(Why::WrongUsage) }
}

/// Adds the addresses that a path, or the owner of this machine, ties to the key. Certificates in the message alone tie
/// no address.
fn trusted(
    candidate: &Candidate,
    originator: &Originator,
    signature: &mut Signature,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<()> {
    let certified = candidate.certificate.as_ref().map(Certificate::mailboxes).unwrap_or_default();
    let mut authenticated = candidate.record.as_ref().map(|record| record.authenticate(&certified)).unwrap_or_default();
    match &candidate.certificate {
        Some(certificate) => {
            budget.certificates(originator.issuers.len())?;
            // An issuer that cannot be read is ignored: no path goes through it.
            let enclosed: Vec<Certificate> =
                originator.issuers.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
            match path::mailboxes(certificate, &enclosed, context, budget)? {
                Ok(mailboxes) => {
                    for address in mailboxes {
                        if !authenticated.iter().any(|one| *one.address() == address) {
                            authenticated.push(Authenticated::assertion(address));
                        }
                    }
                }
                Err(none) => {
                    none.enter(signature, authenticated);
                    return Ok(());
                }
            }
        }
        None if authenticated.is_empty() => {
            signature.reservation = Some(Why::Path("the owner of the key is unknown".to_owned()));
        }
        None => {}
    }
    signature.authenticated = authenticated;
    Ok(())
}

/// Judges digests encrypted with interchange keys that we hold too. Any holder of the key could have made them,
/// including the recipient, so no author is confirmed.
fn shared(
    header: &Header,
    text: &mut Text<'_>,
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Option<Signature>> {
    let checks: Vec<_> = header
        .recipients
        .iter()
        .filter_map(|recipient| match &recipient.key_info {
            Some(KeyInfo::Symmetric { algorithm, digest, mic, .. }) => Some((algorithm, digest, mic)),
            _ => None,
        })
        .collect();
    let Some((_, digest, _)) = checks.first() else { return Ok(None) };
    let name = digest.to_lowercase();
    let keys = InterchangeKey::all(context)?;
    let mut found = described(State::Unknown(Why::NoKey), Some("interchange key".to_owned()), covers);
    found.algorithms = name;
    for (algorithm, digest, mic) in checks {
        let Some(hash) = Hash::of_pem(digest) else { continue };
        if !hash.is_computed(context.legacy) {
            found.state = State::Unknown(Why::BrokenAlgorithm(hash.name().to_owned()));
            continue;
        }
        for key in keys.iter().filter(|key| key.algorithm() == algorithm) {
            let digest = text.digest(hash, budget)?;
            let right = key.decrypt(mic).is_some_and(|mic| digest.is_some_and(|digest| mic.expose() == digest));
            found.algorithms = format!("{}-{hash}", key.cipher().name());
            found.strength = key.cipher().strength().min(hash.strength());
            if right {
                found.state = State::Valid(Matches::assertion());
                found.reservation = Some(match found.strength {
                    Strength::Broken => Why::BrokenAlgorithm(found.algorithms.clone()),
                    _ => Why::Path("anyone who shares the interchange key could have made it".to_owned()),
                });
                return Ok(Some(found));
            }
            found.state = State::Invalid(Why::Mismatch);
        }
    }
    Ok(Some(found))
}

fn described(state: State, signer: Option<String>, covers: Covers) -> Signature {
    Signature {
        state,
        reservation: None,
        signer,
        claimed: Vec::new(),
        authenticated: Vec::new(),
        covers,
        at: None,
        algorithms: "unknown".to_owned(),
        strength: Strength::Unknown,
        quantum_safe: false,
        notes: Vec::new(),
        announcement: None,
    }
}

/// The name of the weaker of key and digest.
fn weakest(key: KeyAlgorithm, hash: Hash) -> String {
    if hash.strength() < key.strength() { hash.name().to_owned() } else { key.name() }
}
