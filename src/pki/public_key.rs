//! Public keys and signature algorithms as X.509 and CMS write them (RFC 3279, 4055, 5480, 5758, 8410, 9881, 9909, 9935).

use const_oid::db::{
    rfc5912::{ID_DSA, ID_EC_DH, ID_EC_PUBLIC_KEY, ID_RSAES_OAEP, ID_RSASSA_PSS, RSA_ENCRYPTION},
    rfc8410::{ID_ED_448, ID_ED_25519, ID_X_448, ID_X_25519},
};
use der::{
    Decode, Reader as _, SliceReader,
    asn1::{ObjectIdentifier, UintRef},
};

use super::{
    hash::{Pss, hash_algorithm},
    tlv::{BIT_STRING, Element, INTEGER, NULL, OID, Reader},
};
use crate::{
    base::{Error, Result},
    crypto::{
        self, Curve, DsaPublic, Hash, KeyAlgorithm, MlDsa, MlKem, Scheme, Signs, SlhDsa, Strength, Unverified, verify,
    },
};

/// A SubjectPublicKeyInfo. Two are equal when their keys are, however they are written.
#[derive(Clone, Debug)]
pub struct PublicKey {
    der: Vec<u8>,
    key: Key,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        // Keys that are not supported are compared by their octets.
        self.der == other.der || self.key == other.key && self.key != Key::Other
    }
}

impl Eq for PublicKey {}

/// Numbers are big-endian without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    /// Without parameters they are those of the issuer (RFC 3279, section 2.3.2).
    Dsa {
        parameters: Option<DsaParameters>,
        y: Vec<u8>,
    },
    Ec {
        curve: Curve,
        point: Vec<u8>,
        agrees: Agrees,
    },
    Edwards25519(Vec<u8>),
    Edwards448(Vec<u8>),
    Montgomery25519(Vec<u8>),
    Montgomery448(Vec<u8>),
    /// An unreadable or unsupported key; the rest of the certificate can still be used.
    Other,
    /// ML-DSA, ML-KEM or SLH-DSA.
    PostQuantum(KeyAlgorithm, Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        only: RsaUse,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DsaParameters {
    p: Vec<u8>,
    q: Vec<u8>,
    g: Vec<u8>,
}

/// Whether a key on a Weierstrass curve is for Diffie-Hellman alone: id-ecDH (RFC 5480, section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agrees {
    Also,
    Only,
}

/// What an RSA key may be used for (RFC 4055, sections 1.2 and 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RsaUse {
    Any,
    /// RSAES-OAEP.
    Oaep,
    /// RSASSA-PSS, with these parameters if it has any.
    Pss(Option<Pss>),
}

impl PublicKey {
    /// Reads DER. The key in it may still be unusable: see [`as_crypto`](PublicKey::as_crypto).
    ///
    /// # Errors
    ///
    /// `Malformed` when it is not a SubjectPublicKeyInfo.
    pub fn parse(spki: &[u8]) -> Result<PublicKey> {
        let mut reader = Reader::new(spki, "public key");
        let mut fields = reader.sequence()?;
        reader.finish()?;
        let mut algorithm = fields.sequence()?;
        let kind = algorithm.expect(OID)?;
        let parameters = if algorithm.is_finished() { None } else { Some(algorithm.any()?) };
        algorithm.finish()?;
        let bits = fields.expect(BIT_STRING)?;
        fields.finish()?;
        let key = Key::read(kind, parameters, bits).unwrap_or(Key::Other);
        Ok(PublicKey { der: spki.to_vec(), key })
    }

    /// The SubjectPublicKeyInfo as it was.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The octets of the subjectPublicKey BIT STRING, whose SHA-1 is the usual key identifier (RFC 5280, section 4.2.1.2).
    pub fn octets(&self) -> &[u8] {
        let read = || {
            let mut fields = Reader::new(&self.der, "public key").sequence()?;
            fields.any()?;
            fields.expect(BIT_STRING)?.octets_of_bits()
        };
        read().unwrap_or_default()
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.key {
            Key::Dsa { parameters, .. } => KeyAlgorithm::Dsa(parameters.as_ref().map_or(0, |dsa| bits(&dsa.p))),
            Key::Ec { curve, agrees: Agrees::Also, .. } => KeyAlgorithm::Ecdsa(*curve),
            Key::Ec { curve, agrees: Agrees::Only, .. } => KeyAlgorithm::Ecdh(*curve),
            Key::Edwards25519(_) => KeyAlgorithm::Ed25519,
            Key::Edwards448(_) => KeyAlgorithm::Ed448,
            Key::Montgomery25519(_) => KeyAlgorithm::X25519,
            Key::Montgomery448(_) => KeyAlgorithm::X448,
            Key::Other => KeyAlgorithm::Other("unknown"),
            Key::PostQuantum(algorithm, _) => *algorithm,
            Key::Rsa { n, .. } => KeyAlgorithm::Rsa(bits(n)),
        }
    }

    /// The public value to agree on a secret with: an uncompressed point, or the octets of RFC 7748. `None` for other keys.
    pub fn agreement(&self) -> Option<&[u8]> {
        match &self.key {
            Key::Ec { point, .. } => Some(point),
            Key::Montgomery25519(point) | Key::Montgomery448(point) => Some(point),
            _ => None,
        }
    }

    /// The parameter set of ML-KEM and the octets of the key to encapsulate for; `None` for other keys.
    pub fn encapsulation(&self) -> Option<(MlKem, &[u8])> {
        match &self.key {
            Key::PostQuantum(KeyAlgorithm::MlKem(set), octets) => Some((*set, octets)),
            _ => None,
        }
    }

    /// This key with the parameters of `issuer`'s where it is a DSA key that has none (RFC 5280, section 6.1.4 (e)).
    #[must_use]
    pub fn inheriting(&self, issuer: &PublicKey) -> PublicKey {
        let mut key = self.clone();
        if let (Key::Dsa { parameters: own @ None, .. }, Key::Dsa { parameters, .. }) = (&mut key.key, &issuer.key) {
            own.clone_from(parameters);
        }
        key
    }

    /// Whether it is a DSA key without parameters of its own.
    pub fn inherits(&self) -> bool {
        matches!(self.key, Key::Dsa { parameters: None, .. })
    }

    /// The key for `crypto::verify`.
    ///
    /// # Errors
    ///
    /// `Unavailable` names an algorithm that is not supported.
    pub fn as_crypto(&self) -> Result<crypto::PublicKey<'_>> {
        match &self.key {
            Key::Ec { curve, point, agrees: Agrees::Also } => Ok(crypto::PublicKey::Ecdsa { curve: *curve, point }),
            Key::Dsa { parameters: Some(DsaParameters { p, q, g }), y } => {
                Ok(crypto::PublicKey::Dsa(DsaPublic { p, q, g, y }))
            }
            Key::Edwards25519(point) => Ok(crypto::PublicKey::Ed25519(point)),
            Key::Edwards448(point) => Ok(crypto::PublicKey::Ed448(point)),
            Key::PostQuantum(KeyAlgorithm::MlDsa(set), key) => Ok(crypto::PublicKey::MlDsa { set: *set, key }),
            Key::PostQuantum(KeyAlgorithm::SlhDsa(set), key) => Ok(crypto::PublicKey::SlhDsa { set: *set, key }),
            Key::Rsa { n, e, .. } => Ok(crypto::PublicKey::Rsa { n, e }),
            _ => Err(Error::unavailable(format!(
                "public key: {} does not verify signatures here",
                self.algorithm().name()
            ))),
        }
    }
}

impl Key {
    fn read(kind: Element<'_>, parameters: Option<Element<'_>>, bits: Element<'_>) -> Result<Key> {
        let octets = bits.octets_of_bits()?;
        let mut reader = Reader::new(octets, "public key");
        if kind.is(&RSA_ENCRYPTION) || kind.is(&RSA_1988) || kind.is(&ID_RSASSA_PSS) || kind.is(&ID_RSAES_OAEP) {
            let mut numbers = reader.sequence()?;
            let (n, e) = (numbers.expect(INTEGER)?.unsigned()?.to_vec(), numbers.expect(INTEGER)?.unsigned()?.to_vec());
            let only = match parameters {
                _ if kind.is(&RSA_ENCRYPTION) || kind.is(&RSA_1988) => RsaUse::Any,
                _ if kind.is(&ID_RSAES_OAEP) => RsaUse::Oaep,
                parameters => RsaUse::Pss(parameters.map(Pss::read).transpose()?),
            };
            return Ok(Key::Rsa { n, e, only });
        }
        if kind.is(&ID_EC_PUBLIC_KEY) || kind.is(&ID_EC_DH) {
            let named = parameters.and_then(|named| Curve::of_oid(named.oid()?));
            let curve = named.ok_or_else(|| kind.refuse("an elliptic curve that is not known"))?;
            let agrees = if kind.is(&ID_EC_PUBLIC_KEY) { Agrees::Also } else { Agrees::Only };
            return Ok(Key::Ec { curve, point: crypto::uncompressed(curve, octets), agrees });
        }
        if kind.is(&ID_DSA) {
            let parameters =
                parameters.filter(|parameters| parameters.tag != NULL).map(DsaParameters::read).transpose()?;
            return Ok(Key::Dsa { parameters, y: reader.expect(INTEGER)?.unsigned()?.to_vec() });
        }
        if let Some(algorithm) = kind.oid().and_then(KeyAlgorithm::of_post_quantum) {
            // RFC 9881, section 2; RFC 9909, section 3; RFC 9935, section 3.
            return match parameters {
                None => Ok(Key::PostQuantum(algorithm, octets.to_vec())),
                Some(_) => Err(kind.refuse(format!("{} with parameters", algorithm.name()))),
            };
        }
        let curves = [
            (ID_ED_25519, Key::Edwards25519 as fn(Vec<u8>) -> Key),
            (ID_ED_448, Key::Edwards448),
            (ID_X_25519, Key::Montgomery25519),
            (ID_X_448, Key::Montgomery448),
        ];
        let found = curves.into_iter().find(|(oid, _)| kind.is(oid));
        Ok(found.map_or(Key::Other, |(_, key)| key(octets.to_vec())))
    }
}

impl DsaParameters {
    fn read(parameters: Element<'_>) -> Result<DsaParameters> {
        let mut numbers = parameters.reader();
        let mut number = || Ok::<_, Error>(numbers.expect(INTEGER)?.unsigned()?.to_vec());
        Ok(DsaParameters { p: number()?, q: number()?, g: number()? })
    }
}

/// The hash function that the digestAlgorithm of a signature in CMS names. Some programs write sha256WithRSAEncryption where sha256 belongs, and
/// likewise the others with RSA; OpenSSL accepts that too.
///
/// # Errors
///
/// `Unavailable` names one that is not supported.
pub(crate) fn digest_algorithm(algorithm: &[u8]) -> Result<Hash> {
    hash_algorithm(algorithm).or_else(|error| {
        let kind = Reader::new(algorithm, "digest algorithm").sequence()?.expect(OID)?;
        match kind.oid().and_then(Kind::of_oid) {
            Some(Kind::RsaPkcs1(hash)) => Ok(hash),
            _ => Err(error),
        }
    })
}

/// An AlgorithmIdentifier that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dsa(Hash),
    Ecdsa(Hash),
    Ed25519,
    Ed448,
    /// ML-DSA or SLH-DSA over the octets themselves, with an empty context (RFC 9881, section 3; RFC 9909, section 4).
    Pure(KeyAlgorithm),
    RsaPkcs1(Hash),
    RsaPss(Pss),
}

impl Kind {
    /// The kind that an identifier names by itself (RFC 3279, section 2.2; RFC 4055, section 5; RFC 5758, section 3; RFC 8410, section 3; RFC 8702).
    fn of_oid(oid: ObjectIdentifier) -> Option<Kind> {
        let with_hash = Hash::ALL.into_iter().find_map(|hash| {
            let kinds = [
                (hash.with_rsa(), Kind::RsaPkcs1 as fn(Hash) -> Kind),
                (hash.with_ecdsa(), Kind::Ecdsa),
                (hash.with_dsa(), Kind::Dsa),
            ];
            kinds.into_iter().find(|(oids, _)| oids.contains(&oid)).map(|(_, kind)| kind(hash))
        });
        with_hash.or(match oid {
            ID_ED_25519 => Some(Kind::Ed25519),
            ID_ED_448 => Some(Kind::Ed448),
            oid => KeyAlgorithm::of_post_quantum(oid).filter(|key| key.signs() == Signs::Message).map(Kind::Pure),
        })
    }
}

impl SignatureAlgorithm {
    /// Reads an AlgorithmIdentifier. `digest` is the hash that goes with a bare key algorithm such as rsaEncryption, as CMS has it (RFC 5652, section
    /// 5.3).
    ///
    /// # Errors
    ///
    /// `Unavailable` names an algorithm that is not supported.
    pub fn parse(algorithm: &[u8], digest: Option<Hash>) -> Result<SignatureAlgorithm> {
        let mut reader = Reader::new(algorithm, "signature algorithm");
        let mut fields = reader.sequence()?;
        reader.finish()?;
        let kind = fields.expect(OID)?;
        if let Some(known) = kind.oid().and_then(Kind::of_oid) {
            if let Kind::Pure(key) = known
                && !fields.is_finished()
            {
                return Err(
                    kind.refuse(format!("{} with parameters (RFC 9881, section 2; RFC 9909, section 3)", key.name()))
                );
            }
            return Ok(SignatureAlgorithm { kind: known });
        }
        let bare = || digest.ok_or_else(|| fields.refuse("names no digest"));
        let kind = if kind.is(&ID_RSASSA_PSS) {
            // RFC 4055, section 3.1: in a signature the parameters must be there.
            let pss = Pss::read(fields.expect(super::tlv::SEQUENCE)?)?;
            if pss.hash != pss.mgf1 {
                let (hash, mask) = (pss.hash, pss.mgf1);
                return Err(fields.refuse(format!("{hash} masked by mgf1 with {mask} (RFC 4055, section 3.1)")));
            }
            Kind::RsaPss(pss)
        } else if kind.is(&RSA_ENCRYPTION) {
            Kind::RsaPkcs1(bare()?)
        } else if kind.is(&ID_EC_PUBLIC_KEY) {
            Kind::Ecdsa(bare()?)
        } else if kind.is(&ID_DSA) {
            Kind::Dsa(bare()?)
        } else {
            return Err(Error::unavailable(format!(
                "signature algorithm {}: not known",
                super::tlv::dotted(kind.value)
            )));
        };
        Ok(SignatureAlgorithm { kind })
    }

    /// The hash over the octets; `None` where the algorithm takes the octets themselves (Ed25519, Ed448, ML-DSA, SLH-DSA).
    pub fn hash(&self) -> Option<Hash> {
        match self.kind {
            Kind::Dsa(hash) | Kind::Ecdsa(hash) | Kind::RsaPkcs1(hash) | Kind::RsaPss(Pss { hash, .. }) => Some(hash),
            Kind::Ed25519 | Kind::Ed448 | Kind::Pure(_) => None,
        }
    }

    /// Whether it is ML-DSA or SLH-DSA, over the octets themselves.
    pub(crate) fn is_pure(&self) -> bool {
        matches!(self.kind, Kind::Pure(_))
    }

    /// `rsa2048-sha256`, with `key`.
    pub fn name(&self, key: &PublicKey) -> String {
        let key = key.algorithm().name();
        match (self.kind, self.hash()) {
            (Kind::RsaPss(_), Some(hash)) => format!("{key}-pss-{hash}"),
            (_, Some(hash)) => format!("{key}-{hash}"),
            (_, None) => key,
        }
    }

    /// Of the digest and the key together.
    pub fn strength(&self, key: &PublicKey) -> Strength {
        let key = key.algorithm().strength();
        self.hash().map_or(key, |hash| hash.strength().min(key))
    }

    /// Verifies `signature` in the encoding of X.509 and CMS (DER for ECDSA and DSA) over `digest` (the octets themselves where there is no hash).
    ///
    /// # Errors
    ///
    /// Why it does not verify.
    pub fn verify(&self, key: &PublicKey, digest: &[u8], signature: &[u8]) -> std::result::Result<(), Unverified> {
        let crypto = key.as_crypto().map_err(|_| Unverified::Algorithm)?;
        match (self.kind, &key.key) {
            (Kind::Ecdsa(hash), Key::Ec { curve, .. }) => {
                let signature = fixed(signature, curve.length()).ok_or(Unverified::Signature)?;
                verify(crypto, Scheme::Ecdsa(hash), digest, &signature)
            }
            (Kind::Dsa(_), Key::Dsa { parameters: Some(DsaParameters { q, .. }), .. }) => {
                let signature = fixed(signature, q.len()).ok_or(Unverified::Signature)?;
                verify(crypto, Scheme::Dsa, digest, &signature)
            }
            (Kind::Ed25519, Key::Edwards25519(_)) | (Kind::Ed448, Key::Edwards448(_)) => {
                verify(crypto, Scheme::EdDsa, digest, signature)
            }
            (Kind::Pure(named), Key::PostQuantum(algorithm, _)) if named == *algorithm => {
                verify(crypto, Scheme::Pure, digest, signature)
            }
            (Kind::RsaPkcs1(hash), Key::Rsa { only: RsaUse::Any, .. }) => {
                verify(crypto, Scheme::RsaPkcs1(hash), digest, signature)
            }
            (Kind::RsaPss(pss), Key::Rsa { only, .. }) if only.admits(&pss) => {
                let salt = usize::try_from(pss.salt).unwrap_or(usize::MAX);
                verify(crypto, Scheme::RsaPss { hash: pss.hash, mgf: pss.mgf1, salt }, digest, signature)
            }
            _ => Err(Unverified::Algorithm),
        }
    }

    /// Verifies `signature` over the octets of `message`.
    ///
    /// # Errors
    ///
    /// Why it does not verify.
    pub fn verify_message(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> std::result::Result<(), Unverified> {
        match self.hash() {
            Some(hash) => {
                let digest = hash.guarded_digest(message).ok_or(Unverified::Signature)?;
                self.verify(key, &digest, signature)
            }
            None => self.verify(key, message, signature),
        }
    }
}

impl RsaUse {
    fn admits(self, signature: &Pss) -> bool {
        match self {
            RsaUse::Any | RsaUse::Pss(None) => true,
            RsaUse::Oaep => false,
            RsaUse::Pss(Some(key)) => key.admits(signature),
        }
    }
}

/// `r || s`, each of `length` octets, of the DER that RFC 3279, sections 2.2.2 and 2.2.3 prescribe.
fn fixed(signature: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(signature).ok()?;
    let (r, s) =
        reader.sequence(|numbers| Ok::<_, der::Error>((UintRef::decode(numbers)?, UintRef::decode(numbers)?))).ok()?;
    reader.finish().ok()?;
    let mut fixed = Vec::with_capacity(2 * length);
    for number in [r.as_bytes(), s.as_bytes()] {
        fixed.resize(fixed.len() + length.checked_sub(number.len())?, 0);
        fixed.extend(number);
    }
    Some(fixed)
}

/// The name of a pre-hashed signature, which CMS has not (RFC 9882, section 3.1; RFC 9814, section 2); `None` for another algorithm.
pub(crate) fn pre_hashed(oid: ObjectIdentifier) -> Option<String> {
    let last = oid.arcs().last().filter(|_| oid.parent() == Some(SIGNATURES))?;
    let number = |first: u32| usize::try_from(last.checked_sub(first)?).ok();
    let lattice = || MlDsa::ALL.get(number(32)?).map(|set| set.name());
    let trees = || SlhDsa::ALL.get(number(35)?).map(|set| set.name());
    lattice().or_else(trees).map(|name| format!("hash-{name}"))
}

/// How many bits a number has.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// NIST's signature algorithms: those of FIPS 204 and 205 are 17 to 31, the pre-hashed ones 32 to 46.
const SIGNATURES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3");
/// RFC 1423, section 4.1.1: that of X.509 (1988), whose parameter is the size in bits.
const RSA_1988: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.8.1.1");
