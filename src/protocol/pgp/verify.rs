//! Judges one signature: the signed octets, the public key, and whether the key could sign when the signature was made.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{packet::Signature as Packed, types::SignatureType};

use super::{lenient::unknown_critical, packets::Found, public, signer::Signer, suite, trailer::Fields};
use crate::{
    base::{Budget, Result},
    crypto::{Digester, Hash, Legacy, Strength},
    mail::canonical::{Canonical, Form},
    protocol::Context,
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges a signature over `text`. Errors only if the keys cannot be asked, or the Budget is exceeded.
pub(super) fn judge(
    found: &Found,
    text: &mut Text<'_>,
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Signature> {
    let packed = match found {
        Found::Signature(packed) => packed,
        Found::Unreadable(why) => return Ok(unreadable(why.clone(), covers)),
    };
    let mut signature = described(packed, covers);
    if let Err(why) = acceptable(packed, context.legacy) {
        signature.state = why;
        return Ok(signature);
    }
    let Some(at) = packed.signature_creation_time() else {
        signature.state = State::Invalid(Why::Malformed("it has no creation time".to_owned()));
        return Ok(signature);
    };
    let signers = Signer::find(packed, context)?;
    let Some((signer, checked)) = verified(packed, &signers, text, budget)? else {
        if let Some(key) = Signer::deprecated(packed, context)? {
            signature.state = State::Unknown(Why::KeyDeprecated(key.version));
        }
        return Ok(signature);
    };

    let algorithm = suite::key_algorithm(&signer.key);
    signature.signer = Some(signer.key.fingerprint().to_hex());
    signature.algorithms = format!("{}-{}", algorithm.name(), suite::hash_name(packed.hash_algo()));
    signature.claimed = signer.claimed();
    signature.authenticated = signer.authenticated(at, context.keys)?;
    let (strength, weakest) =
        signer.weakest(at).min((suite::hash_strength(packed.hash_algo()), suite::hash_name(packed.hash_algo())));
    signature.strength = strength;
    signature.quantum_safe = algorithm.is_quantum_safe();
    let standing = signer.standing(at, context.keys)?;
    signature.state = match checked.and_then(|()| timely(packed, at, context.clock.now())).and(standing) {
        Ok(()) => State::Valid(Matches::assertion()),
        Err(Why::UnknownAlgorithm(name)) => State::Unknown(Why::UnknownAlgorithm(name)),
        Err(why) => State::Invalid(why),
    };
    if matches!(signature.state, State::Valid(_)) {
        signature.notes.extend(signer.doubt(at, context.keys)?);
        signature.reservation = match strength {
            Strength::Broken => Some(Why::BrokenAlgorithm(weakest)),
            Strength::Strong => None,
            Strength::Unknown => Some(Why::UnknownAlgorithm(weakest)),
            Strength::Weak => Some(Why::WeakAlgorithm(weakest)),
        };
    }
    Ok(signature)
}

/// The result for a signature that cannot be read.
pub(super) fn unreadable(why: Why, covers: Covers) -> Signature {
    let state = match why {
        Why::UnknownAlgorithm(_) => State::Unknown(why),
        _ => State::Invalid(why),
    };
    Signature {
        state,
        reservation: None,
        signer: None,
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

/// The signed octets. Each canonical form is hashed once per hash function and salt.
pub(super) struct Text<'a> {
    octets: &'a [u8],
    shape: Shape,
    hashed: Vec<Hashed>,
}

/// The hash state of the octets in one reading, before the signature's own fields are added.
struct Hashed {
    hash: Hash,
    salt: Vec<u8>,
    reading: Reading,
    digester: Digester,
}

/// Where the octets come from, which decides how they are hashed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// The cleartext framework (RFC 9580, section 7.2): CRLF, no trailing white space, without the last line break.
    Cleartext,
    /// A literal data packet: unchanged for a binary signature, with CRLF for a text signature (RFC 9580, section
    /// 5.2.1).
    Literal,
    /// The first part of multipart/signed: CRLF for any type of signature (RFC 3156, section 5). Mail that was signed
    /// and stored with bare LF is also tried unchanged: the signature then covers exactly these octets.
    Part,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    AsIs,
    Canonical(Form),
}

impl<'a> Text<'a> {
    /// `octets` that come in this `shape`.
    pub(super) fn new(octets: &'a [u8], shape: Shape) -> Self {
        let mut octets = octets;
        // The last line of cleartext may keep white space that stood before its removed line break.
        while let (Shape::Cleartext, [rest @ .., b' ' | b'\t']) = (shape, octets) {
            octets = rest;
        }
        Text { octets, shape, hashed: Vec::new() }
    }

    /// The readings of the octets to try for a signature of this type, best first.
    fn readings(&self, kind: SignatureType) -> &'static [Reading] {
        match (self.shape, kind) {
            (Shape::Cleartext, _) => &[Reading::Canonical(Form::CrlfTrimmed)],
            (Shape::Literal, SignatureType::Text) | (Shape::Part, SignatureType::Text) => {
                &[Reading::Canonical(Form::Crlf)]
            }
            (Shape::Literal, _) => &[Reading::AsIs],
            (Shape::Part, _) => &[Reading::Canonical(Form::Crlf), Reading::AsIs],
        }
    }

    /// The digest over this reading for `packed`. Errors: [`Why::UnknownAlgorithm`] for an unsupported hash function,
    /// [`Why::Collision`] for octets made to collide. The outer error means the Budget is exceeded.
    fn digest(
        &mut self,
        packed: &Packed,
        reading: Reading,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Vec<u8>, Why>> {
        let unknown = || Ok(Err(Why::UnknownAlgorithm(suite::hash_name(packed.hash_algo()))));
        let Some(hash) = suite::hash(packed.hash_algo()) else { return unknown() };
        let salt = match packed {
            Packed::V6(packed) => packed.salt(),
            _ => &[],
        };
        let same = |one: &&Hashed| (one.hash, one.salt.as_slice(), one.reading) == (hash, salt, reading);
        let mut digester = match self.hashed.iter().find(same) {
            Some(hashed) => hashed.digester.clone(),
            None => {
                budget.hashed(self.octets.len().saturating_mul(hash.cost()))?;
                let Some(digester) = self.fed(hash, salt, reading) else { return unknown() };
                self.hashed.push(Hashed { hash, salt: salt.to_vec(), reading, digester: digester.clone() });
                digester
            }
        };
        let Some(trailer) = trailer(packed) else { return unknown() };
        digester.update(&trailer);
        Ok(digester.finish_guarded().ok_or_else(|| Why::Collision(hash.name().to_owned())))
    }

    fn fed(&self, hash: Hash, salt: &[u8], reading: Reading) -> Option<Digester> {
        let mut digester = hash.guarded();
        digester.update(salt);
        match reading {
            Reading::AsIs => {
                digester.update(self.octets);
                Some(digester)
            }
            Reading::Canonical(form) => {
                // Writing to a digester cannot fail.
                let mut canonical = Canonical::new(form, digester);
                canonical.write_all(self.octets).ok()?;
                canonical.finish().ok()
            }
        }
    }
}

/// The octets hashed after the text (RFC 9580, section 5.2.4; RFC 4880, section 5.2.4 for version 3).
fn trailer(packed: &Packed) -> Option<Vec<u8>> {
    let version = packed.version();
    if version < 4 {
        let at = packed.signature_creation_time()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let mut fields = vec![u8::from(packed.typ())];
        fields.extend_from_slice(&u32::try_from(at.as_secs()).ok()?.to_be_bytes());
        return Some(fields);
    }
    Fields {
        version,
        kind: packed.typ(),
        key: packed.pk_algo(),
        hash: packed.hash_algo(),
        hashed: packed.hashed_area(),
    }
    .octets()
}

/// Describes a signature from its packet alone, before anything is checked.
fn described(packed: &Packed, covers: Covers) -> Signature {
    let issuers = packed.get_issuers();
    let signer = issuers.iter().max_by_key(|issuer| issuer.as_bytes().len()).map(|issuer| issuer.to_hex());
    let hash = suite::hash_name(packed.hash_algo());
    Signature {
        state: State::Unknown(Why::NoKey),
        reservation: None,
        signer,
        claimed: Vec::new(),
        authenticated: Vec::new(),
        covers,
        at: packed.signature_creation_time(),
        algorithms: format!("{}-{hash}", suite::public_name(packed.pk_algo())),
        strength: suite::hash_strength(packed.hash_algo()),
        quantum_safe: false,
        notes: Vec::new(),
        announcement: None,
    }
}

/// Refuses signatures that are not over a message, and unknown algorithms.
fn acceptable(packed: &Packed, legacy: Legacy) -> std::result::Result<(), State> {
    if !matches!(packed.typ(), SignatureType::Binary | SignatureType::Text) {
        return Err(State::Invalid(Why::Malformed("it is not a signature over a message".to_owned())));
    }
    if !packed.pk_algo().for_signing() {
        let name = format!("public-key algorithm {}", u8::from(packed.pk_algo()));
        return Err(State::Unknown(Why::UnknownAlgorithm(name)));
    }
    match suite::hash(packed.hash_algo()) {
        None => return Err(State::Unknown(Why::UnknownAlgorithm(suite::hash_name(packed.hash_algo())))),
        Some(hash) if !hash.is_computed(legacy) => {
            return Err(State::Unknown(Why::BrokenAlgorithm(hash.name().to_owned())));
        }
        Some(_) => {}
    }
    match unknown_critical(packed) {
        Some(reason) => Err(State::Invalid(Why::Malformed(reason))),
        None => Ok(()),
    }
}

/// The first of `signers` whose key matches the digest; otherwise the first of them and the reason.
fn verified<'a>(
    packed: &Packed,
    signers: &'a [Signer],
    text: &mut Text<'_>,
    budget: &mut Budget,
) -> Result<Option<(&'a Signer, std::result::Result<(), Why>)>> {
    let mut failed = None;
    for signer in signers {
        match fits(packed, signer, text, budget)? {
            Ok(()) => return Ok(Some((signer, Ok(())))),
            Err(why) => failed = failed.or(Some((signer, Err(why)))),
        }
    }
    Ok(failed)
}

/// Whether the key of `signer` made the signature; the inner error gives the reason.
fn fits(
    packed: &Packed,
    signer: &Signer,
    text: &mut Text<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<(), Why>> {
    // RFC 9580, section 5.2.3: version 6 keys make only version 6 signatures, and no other key makes them.
    if (packed.version() == 6) != (signer.key.version() == 6) {
        let (own, key) = (packed.version(), signer.key.version());
        return Ok(Err(Why::Malformed(format!("version {own} by a key of version {key}"))));
    }
    if let Packed::V6(v6) = packed
        && packed.hash_algo().salt_size().ok() != Some(v6.salt().len())
    {
        return Ok(Err(Why::Malformed("its salt has the wrong length".to_owned())));
    }
    let mut why = Why::Mismatch;
    for reading in text.readings(packed.typ()) {
        let digest = match text.digest(packed, *reading, budget)? {
            Ok(digest) => digest,
            Err(why) => return Ok(Err(why)),
        };
        match public::check(&signer.key, packed, &digest) {
            Ok(()) => return Ok(Ok(())),
            Err(refused) => why = refused,
        }
    }
    Ok(Err(why))
}

fn timely(packed: &Packed, at: SystemTime, now: SystemTime) -> std::result::Result<(), Why> {
    if at > now + CLOCK_SKEW {
        return Err(Why::SignatureNotYetValid);
    }
    match packed.signature_expiration_time() {
        Some(end) if end <= now => Err(Why::SignatureExpired),
        _ => Ok(()),
    }
}

/// Maximum difference between two correct clocks. Source: RFC 4120, section 1.6 recommends 5 minutes.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
