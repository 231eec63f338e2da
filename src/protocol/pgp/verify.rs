//! Judges one signature: the octets, the public key, and whether the key was good for it when the signature was made.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sequoia_openpgp::{
    Cert, Error as PgpError, Packet,
    cert::ValidCert,
    cert::amalgamation::{
        ValidAmalgamation, ValidateAmalgamation,
        key::{PrimaryKey, ValidErasedKeyAmalgamation},
    },
    packet::{Key, Signature as Packed, key, signature::subpacket::SubpacketTag},
    parse::Parse,
    policy::{HashAlgoSecurity, Policy},
    serialize::MarshalInto,
    types::{AEADAlgorithm, HashAlgorithm, ReasonForRevocation, RevocationStatus, SignatureType, SymmetricAlgorithm},
};

use super::{packets::Found, public, suite};
use crate::{
    base::Result,
    crypto::{Digester, Hash, KeyAlgorithm, Legacy, Strength},
    keys::{Authenticated, Handle, ProtocolName, Record, Want},
    mail::{
        Address, address,
        canonical::{Canonical, Form},
    },
    protocol::Context,
    verdict::{Covers, Matches, Signature, State, Why},
};

/// Judges what was found over `text`. Errors only when the keys cannot be asked.
pub(super) fn judge(found: &Found, text: &mut Text<'_>, covers: Covers, context: Context<'_>) -> Result<Signature> {
    let packed = match found {
        Found::Signature(packed) => packed,
        Found::Unreadable(why) => return Ok(unreadable(why.clone(), covers)),
    };
    let mut signature = described(packed, covers);
    if let Err(why) = acceptable(packed) {
        signature.state = why;
        return Ok(signature);
    }
    let Some(at) = packed.signature_creation_time() else {
        signature.state = State::Invalid(Why::Malformed("it does not say when it was made".to_owned()));
        return Ok(signature);
    };
    let signers = Signer::find(packed, context)?;
    let Some((signer, checked)) = verified(packed, &signers, text) else { return Ok(signature) };

    let algorithm = suite::key_algorithm(&signer.key);
    signature.signer = Some(signer.key.fingerprint().to_hex());
    signature.algorithms = format!("{}-{}", algorithm.name(), suite::hash_name(packed.hash_algo()));
    signature.authenticated = signer.authenticated(at, context.legacy);
    let (strength, weakness) = weakest(algorithm, packed.hash_algo());
    signature.strength = strength;
    signature.state =
        match checked.and_then(|()| timely(packed, at, context.clock.now())).and_then(|()| signer.standing(at)) {
            Ok(()) => State::Valid(Matches::assertion()),
            Err(Why::UnknownAlgorithm(name)) => State::Unknown(Why::UnknownAlgorithm(name)),
            Err(why) => State::Invalid(why),
        };
    if matches!(signature.state, State::Valid(_)) {
        signature.weakness = weakness;
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
        weakness: None,
        signer: None,
        authenticated: Vec::new(),
        covers,
        at: None,
        algorithms: "unknown".to_owned(),
        strength: Strength::Broken,
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

    /// The digest that `packed` should be over, in this reading; `None` for a hash function that is not ours to compute.
    fn digest(&mut self, packed: &Packed, reading: Reading) -> Option<Vec<u8>> {
        let hash = suite::hash(packed.hash_algo())?;
        let salt = match packed {
            Packed::V6(packed) => packed.salt(),
            _ => &[],
        };
        let same = |one: &&Hashed| (one.hash, one.salt.as_slice(), one.reading) == (hash, salt, reading);
        let mut digester = match self.hashed.iter().find(same) {
            Some(hashed) => hashed.digester.clone(),
            None => {
                let digester = self.fed(hash, salt, reading)?;
                self.hashed.push(Hashed { hash, salt: salt.to_vec(), reading, digester: digester.clone() });
                digester
            }
        };
        digester.update(&trailer(packed)?);
        Some(digester.finish())
    }

    fn fed(&self, hash: Hash, salt: &[u8], reading: Reading) -> Option<Digester> {
        let mut digester = hash.digester();
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
    let area = packed.hashed_area().to_vec().ok()?;
    let mut fields = vec![version, packed.typ().into(), packed.pk_algo().into(), packed.hash_algo().into()];
    match version {
        4 => fields.extend_from_slice(&u16::try_from(area.len()).ok()?.to_be_bytes()),
        _ => fields.extend_from_slice(&u32::try_from(area.len()).ok()?.to_be_bytes()),
    }
    fields.extend_from_slice(&area);
    let length = u32::try_from(fields.len()).ok()?;
    fields.extend_from_slice(&[version, 0xff]);
    fields.extend_from_slice(&length.to_be_bytes());
    Some(fields)
}

/// A key that may have made a signature, with all that is known of its certificate.
struct Signer {
    cert: Cert,
    key: Key<key::PublicParts, key::UnspecifiedRole>,
    /// The records that hold the certificate: usually one.
    records: Vec<Arc<Record>>,
}

impl Signer {
    /// The keys that the signature names, in either of its areas: a name is a hint, the digest decides.
    fn find(signature: &Packed, context: Context<'_>) -> Result<Vec<Signer>> {
        let mut signers: Vec<Signer> = Vec::new();
        for issuer in signature.get_issuers().iter().take(CANDIDATES) {
            let handle = Handle::from_octets(issuer.as_bytes());
            for record in context.keys.find(ProtocolName::Pgp, &Want::Handle(&handle))?.into_iter().take(CANDIDATES) {
                let Ok(cert) = Cert::from_bytes(&record.bytes) else { continue };
                let keys: Vec<_> = cert.keys().key_handle(issuer.clone()).map(|key| key.key().clone()).collect();
                for key in keys {
                    Signer::add(&mut signers, key, &cert, &record);
                }
            }
        }
        Ok(signers)
    }

    /// Copies of one certificate are one: a revocation in any of them counts.
    fn add(
        signers: &mut Vec<Signer>,
        key: Key<key::PublicParts, key::UnspecifiedRole>,
        cert: &Cert,
        record: &Arc<Record>,
    ) {
        let same = |signer: &&mut Signer| {
            signer.key.fingerprint() == key.fingerprint() && signer.cert.fingerprint() == cert.fingerprint()
        };
        match signers.iter_mut().find(same) {
            Some(signer) if signer.records.iter().any(|own| Arc::ptr_eq(own, record)) => {}
            Some(signer) => {
                signer.cert = signer.cert.clone().merge_public(cert.clone()).unwrap_or_else(|_| cert.clone());
                signer.records.push(Arc::clone(record));
            }
            None => signers.push(Signer { cert: cert.clone(), key, records: vec![Arc::clone(record)] }),
        }
    }

    /// Whether the key was good for signing a message at that time (RFC 9580, section 10.1).
    fn standing(&self, at: SystemTime) -> std::result::Result<(), Why> {
        let cert = &self.cert;
        if self.key.creation_time() > at || cert.primary_key().key().creation_time() > at {
            return Err(Why::KeyNotYetValid);
        }
        // A hard revocation counts at any time, and even when nothing else of the certificate is valid.
        revoked(cert.revocation_status(&LENIENT, at))?;
        for subkey in cert.keys().subkeys().key_handle(self.key.key_handle()) {
            revoked(subkey.revocation_status(&LENIENT, at))?;
        }
        let (bound, valid) = self.bound(at).ok_or(Why::KeyNotBound)?;
        let over = |end: Option<SystemTime>| end.is_some_and(|end| end <= at);
        if over(bound.primary_key().key_expiration_time()) || over(valid.key_expiration_time()) {
            return Err(Why::KeyExpired);
        }
        self.may_sign(&valid)
    }

    /// The certificate and the key as they were bound at that time.
    ///
    /// Certificates are handed on without their older self-signatures (gpg's `export-clean`, most key servers). When none as old as that
    /// is left, the oldest that is left speaks for the time before it, as it does in GnuPG: the owner has said since that the key is his.
    fn bound(&self, at: SystemTime) -> Option<(ValidCert<'_>, ValidErasedKeyAmalgamation<'_, key::PublicParts>)> {
        let bound = |time: SystemTime| {
            let key = self.cert.keys().key_handle(self.key.key_handle()).next()?.with_policy(&LENIENT, time).ok()?;
            Some((self.cert.with_policy(&LENIENT, time).ok()?, key))
        };
        let said = |packed: &Packed| packed.signature_creation_time();
        let later = || {
            let primary = self.cert.primary_key().self_signatures().filter_map(said);
            let names = self.cert.userids().flat_map(|id| id.self_signatures().filter_map(said).collect::<Vec<_>>());
            let subkeys = self.cert.keys().subkeys().key_handle(self.key.key_handle());
            let subkeys = subkeys.flat_map(|subkey| subkey.self_signatures().filter_map(said).collect::<Vec<_>>());
            let mut times: Vec<SystemTime> = primary.chain(names).chain(subkeys).filter(|time| *time > at).collect();
            times.sort();
            times.dedup();
            times.into_iter().take(SELF_SIGNATURES).find_map(bound)
        };
        bound(at).or_else(later)
    }

    fn may_sign(&self, valid: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> std::result::Result<(), Why> {
        // Certificates of the nineties have no flags, and their keys do what their algorithm can.
        let flags = valid.key_flags().filter(|flags| !flags.is_empty());
        if !flags.map_or(valid.key().pk_algo().for_signing(), |flags| flags.for_signing()) {
            return Err(Why::WrongUsage);
        }
        // Without its cross-signature, anybody could claim the subkey of another as his own (RFC 9580, section 5.2.1.9).
        let primary = self.cert.primary_key();
        let crossed =
            |back: &Packed| back.verify_primary_key_binding(primary.key(), self.key.role_as_subordinate()).is_ok();
        match valid.primary() || valid.binding_signature().embedded_signatures().any(crossed) {
            true => Ok(()),
            false => Err(Why::KeyNotBound),
        }
    }

    /// The mailboxes that somebody believes to be the certificate's.
    fn authenticated(&self, at: SystemTime, legacy: Legacy) -> Vec<Authenticated> {
        let certified = self.certified(at, legacy);
        let mut all: Vec<Authenticated> = Vec::new();
        for one in self.records.iter().flat_map(|record| record.authenticate(&certified)) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// The mailboxes of its user IDs that were bound and not revoked at that time.
    fn certified(&self, at: SystemTime, legacy: Legacy) -> Vec<Address> {
        let Some((valid, _)) = self.bound(at) else { return Vec::new() };
        // A binding is a signature too, and a weak one proves nothing of whose the name is ("SHA-1 is a Shambles", 2020).
        let weak = |hash| suite::hash_strength(hash) < Strength::Strong && legacy == Legacy::Refuse;
        let good = valid.userids().filter(|id| {
            !weak(id.binding_signature().hash_algo()) && !matches!(id.revocation_status(), RevocationStatus::Revoked(_))
        });
        good.filter_map(|id| address::of_user_id(std::str::from_utf8(id.userid().value()).ok()?)).collect()
    }
}

/// A policy that lets old certificates be judged, whatever they use: what a signature is worth is decided by `crypto::Strength`.
#[derive(Debug)]
struct Lenient;

const LENIENT: Lenient = Lenient;

impl Policy for Lenient {
    fn signature(&self, signature: &Packed, _: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        match unknown_critical(signature) {
            Some(reason) => Err(PgpError::BadSignature(reason).into()),
            None => Ok(()),
        }
    }

    fn key(&self, _: &ValidErasedKeyAmalgamation<'_, key::PublicParts>) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn symmetric_algorithm(&self, _: SymmetricAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn aead_algorithm(&self, _: AEADAlgorithm) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn packet(&self, _: &Packet) -> sequoia_openpgp::Result<()> {
        Ok(())
    }
}

/// What the packet says of itself, before anything is checked: nobody here has its key.
fn described(packed: &Packed, covers: Covers) -> Signature {
    let issuers = packed.get_issuers();
    let signer = issuers.iter().max_by_key(|issuer| issuer.as_bytes().len()).map(|issuer| issuer.to_hex());
    let hash = suite::hash_name(packed.hash_algo());
    Signature {
        state: State::Unknown(Why::NoKey),
        weakness: None,
        signer,
        authenticated: Vec::new(),
        covers,
        at: packed.signature_creation_time(),
        algorithms: format!("{}-{hash}", suite::public_name(packed.pk_algo())),
        strength: suite::hash_strength(packed.hash_algo()),
    }
}

/// Refuses what is not a signature over a message, and what we do not understand.
fn acceptable(packed: &Packed) -> std::result::Result<(), State> {
    if !matches!(packed.typ(), SignatureType::Binary | SignatureType::Text) {
        return Err(State::Invalid(Why::Malformed("it is not a signature over a message".to_owned())));
    }
    if !packed.pk_algo().for_signing() {
        let name = format!("public-key algorithm {}", u8::from(packed.pk_algo()));
        return Err(State::Unknown(Why::UnknownAlgorithm(name)));
    }
    if suite::hash(packed.hash_algo()).is_none() {
        return Err(State::Unknown(Why::UnknownAlgorithm(suite::hash_name(packed.hash_algo()))));
    }
    match unknown_critical(packed) {
        Some(reason) => Err(State::Invalid(Why::Malformed(reason))),
        None => Ok(()),
    }
}

/// Critical subpackets and notations that nobody here understands make a signature an error (RFC 9580, sections 5.2.3.7, 5.2.3.24).
fn unknown_critical(packed: &Packed) -> Option<String> {
    packed.hashed_area().iter().filter(|subpacket| subpacket.critical()).find_map(|subpacket| match subpacket.tag() {
        SubpacketTag::Reserved(_) | SubpacketTag::Private(_) | SubpacketTag::Unknown(_) => {
            Some(format!("its critical subpacket {} is not known", u8::from(subpacket.tag())))
        }
        SubpacketTag::NotationData => Some("its critical notation is not known".to_owned()),
        _ => None,
    })
}

/// The first of `signers` whose key fits the digest; otherwise the first of them and why it does not.
fn verified<'a>(
    packed: &Packed,
    signers: &'a [Signer],
    text: &mut Text<'_>,
) -> Option<(&'a Signer, std::result::Result<(), Why>)> {
    let mut failed = None;
    for signer in signers {
        match fits(packed, signer, text) {
            Ok(()) => return Some((signer, Ok(()))),
            Err(why) => failed = failed.or(Some((signer, Err(why)))),
        }
    }
    failed
}

fn fits(packed: &Packed, signer: &Signer, text: &mut Text<'_>) -> std::result::Result<(), Why> {
    // RFC 9580, section 5.2.3: a v6 key makes v6 signatures only, and no other key makes them.
    if (packed.version() == 6) != (signer.key.version() == 6) {
        return Err(Why::Malformed(format!(
            "version {} by a key of version {}",
            packed.version(),
            signer.key.version()
        )));
    }
    if let Packed::V6(v6) = packed
        && packed.hash_algo().salt_size().ok() != Some(v6.salt().len())
    {
        return Err(Why::Malformed("its salt has the wrong length".to_owned()));
    }
    let mut why = Why::Mismatch;
    for reading in text.readings(packed.typ()) {
        let unknown = || Why::UnknownAlgorithm(suite::hash_name(packed.hash_algo()));
        let digest = text.digest(packed, *reading).ok_or_else(unknown)?;
        match public::check(&signer.key, packed, &digest) {
            Ok(()) => return Ok(()),
            Err(refused) => why = refused,
        }
    }
    Err(why)
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

fn revoked(status: RevocationStatus<'_>) -> std::result::Result<(), Why> {
    let RevocationStatus::Revoked(revocations) = status else { return Ok(()) };
    let said = revocations.first().and_then(|revocation| revocation.reason_for_revocation());
    let (code, text) = said.unwrap_or((ReasonForRevocation::Unspecified, &[]));
    let code = match code {
        ReasonForRevocation::KeyCompromised => "compromised",
        ReasonForRevocation::KeyRetired => "retired",
        ReasonForRevocation::KeySuperseded => "superseded",
        ReasonForRevocation::UIDRetired => "user id retired",
        _ => "no reason given",
    };
    let text = String::from_utf8_lossy(text);
    Err(Why::KeyRevoked(if text.trim().is_empty() { code.to_owned() } else { format!("{code}: {}", text.trim()) }))
}

/// The strength of the whole, and what lowers it.
fn weakest(key: KeyAlgorithm, hash: HashAlgorithm) -> (Strength, Option<Why>) {
    let (strength, name) = match (key.strength(), suite::hash_strength(hash)) {
        (key_strength, hash_strength) if hash_strength < key_strength => (hash_strength, suite::hash_name(hash)),
        (key_strength, _) => (key_strength, key.name()),
    };
    let weakness = match strength {
        Strength::Broken => Some(Why::BrokenAlgorithm(name)),
        Strength::Strong => None,
        Strength::Weak => Some(Why::WeakAlgorithm(name)),
    };
    (strength, weakness)
}

/// Issuers of one signature, and records for one issuer, that are looked at. A key ID is 64 bits that can be forged; a fingerprint is one key.
const CANDIDATES: usize = 8;

/// Times of self-signatures that are tried in place of missing older ones.
const SELF_SIGNATURES: usize = 64;

/// How far two honest clocks may differ. Source: RFC 4120, section 1.6 recommends 5 minutes.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
