//! Judges one signature: the octets, the public key, and whether the key was good for it when the signature was made.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{packet::Signature as Packed, types::SignatureType};

use super::{
    packets::Found,
    public,
    signer::{Signer, unknown_critical},
    suite,
    trailer::Fields,
};
use crate::{
    base::{Budget, Result},
    crypto::{Digester, Hash, Legacy, Strength},
    mail::canonical::{Canonical, Form},
    protocol::Context,
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges what was found over `text`. Errors only when the keys cannot be asked, or the Budget is spent.
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
        signature.state = State::Invalid(Why::Malformed("it does not say when it was made".to_owned()));
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

/// A signature that cannot even be read.
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
        notes: Vec::new(),
        announcement: None,
    }
}

/// The octets that signatures are about, each form of them hashed once for each hash function and salt.
pub(super) struct Text<'a> {
    octets: &'a [u8],
    shape: Shape,
    hashed: Vec<Hashed>,
}

/// The octets in one reading, hashed up to where the signature's own fields follow.
struct Hashed {
    hash: Hash,
    salt: Vec<u8>,
    reading: Reading,
    digester: Digester,
}

/// Where the octets come from, which decides how they are hashed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// The cleartext of the framework (RFC 9580, section 7.2): CRLF, no trailing white space. Without the last line break.
    Cleartext,
    /// A literal data packet: as it is for a binary signature, with CRLF for a text signature (RFC 9580, section 5.2.1).
    Literal,
    /// The first part of multipart/signed: CRLF whatever the signature's type (RFC 3156, section 5). Mail that was both signed and
    /// stored with bare LF verifies as it is: the signer vouched for exactly these octets.
    Part,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    AsIs,
    Canonical(Form),
}

impl<'a> Text<'a> {
    /// `octets` that came in this `shape`.
    pub(super) fn new(octets: &'a [u8], shape: Shape) -> Self {
        let mut octets = octets;
        // The last line of cleartext has lost the line break that its white space stood before.
        while let (Shape::Cleartext, [rest @ .., b' ' | b'\t']) = (shape, octets) {
            octets = rest;
        }
        Text { octets, shape, hashed: Vec::new() }
    }

    /// The ways to read the octets for a signature of this type, best first.
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

    /// The digest that `packed` should be over, in this reading: [`Why::UnknownAlgorithm`] for a hash function that is not ours to compute,
    /// [`Why::Collision`] for octets that were made to collide. An error is over the Budget.
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
                // A digester never fails to take what is written to it.
                let mut canonical = Canonical::new(form, digester);
                canonical.write_all(self.octets).ok()?;
                canonical.finish().ok()
            }
        }
    }
}

/// What is hashed after the text (RFC 9580, section 5.2.4; RFC 4880, section 5.2.4 for version 3).
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

/// What the packet says of itself, before anything is checked: nobody here has its key.
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
        notes: Vec::new(),
        announcement: None,
    }
}

/// Refuses what is not a signature over a message, and what we do not understand.
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

/// The first of `signers` whose key fits the digest; otherwise the first of them and why it does not.
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

/// Whether the key of `signer` made the signature; the inner error says why not.
fn fits(
    packed: &Packed,
    signer: &Signer,
    text: &mut Text<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<(), Why>> {
    // RFC 9580, section 5.2.3: a v6 key makes v6 signatures only, and no other key makes them.
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

/// How far two honest clocks may differ. Source: RFC 4120, section 1.6 recommends 5 minutes.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
