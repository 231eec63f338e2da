//! Private keys in PKCS#8 (RFC 5208, 5958, 8410, 9881, 9909, 9935), and PKCS#1 (RFC 8017, appendix A.1.2) and SEC 1 (RFC 5915) converted to
//! it.

use std::sync::Arc;

use const_oid::db::{rfc5912, rfc8410};
use der::{
    Decode, Encode, Reader, Sequence, SliceReader, Tag, TagNumber, Tagged,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef},
};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::{
    base::{Error, Result, Secret},
    crypto::{Curve, KeyAlgorithm, PostQuantumSecret, RsaComponents, SecretKey, SoftwareKey, public_of},
    pki::PublicKey,
};

/// The private key in the PrivateKeyInfo `pkcs8`; `None` if it does not match `public`. An error of kind `NoKey` if its
/// parts do not match each other, or `Malformed` if it cannot be read.
pub(super) fn open(pkcs8: &[u8], public: &PublicKey) -> Result<Option<Arc<dyn SecretKey>>> {
    let unreadable = |_: der::Error| Error::malformed("private key", "not in the form of PKCS#8");
    let key = PrivateKeyInfo::read(pkcs8).map_err(unreadable)?;
    let uncompressed = public.agreement();
    let public = SubjectPublicKeyInfoRef::from_der(public.der()).map_err(unreadable)?;
    let point = public.subject_public_key.raw_bytes();
    let opened: Option<Arc<dyn SecretKey>> = match key.algorithm.oid {
        RSA | RSA_PSS | RSA_OAEP => match rsa(&key, &public).map_err(unreadable)? {
            Some(parts) => Some(Arc::new(SoftwareKey::rsa(&parts)?)),
            None => None,
        },
        EC => match ec(&key, &public).map_err(unreadable)? {
            Some((curve, scalar)) => {
                let point = uncompressed.unwrap_or(point);
                SoftwareKey::elliptic(curve, &scalar, point).ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
            }
            None => None,
        },
        algorithm if algorithm != public.algorithm.oid => None,
        ED25519 => {
            let seed = key.octets().map_err(unreadable)?;
            SoftwareKey::ed25519(&seed, point).ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
        }
        ED448 => {
            let seed = key.octets().map_err(unreadable)?;
            SoftwareKey::ed448(&seed, point).ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
        }
        X25519 => {
            let scalar = key.octets().map_err(unreadable)?;
            SoftwareKey::x25519(&scalar, point).ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
        }
        X448 => {
            let scalar = key.octets().map_err(unreadable)?;
            SoftwareKey::x448(&scalar, point).ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
        }
        other => match KeyAlgorithm::of_post_quantum(other) {
            Some(algorithm) => {
                let secret = post_quantum(algorithm, key.private_key).map_err(unreadable)?;
                let key = SoftwareKey::post_quantum(algorithm, &secret, point);
                key.ok().map(|key| Arc::new(key) as Arc<dyn SecretKey>)
            }
            None => None,
        },
    };
    Ok(opened)
}

/// The public key of a private key. Computing it takes a public-key operation; comparing it with a certificate's does
/// not.
#[derive(Debug)]
pub(super) enum PublicPart {
    /// An uncompressed point (X9.62, leading 4) on the curve with this identifier.
    Point(ObjectIdentifier, Vec<u8>),
    /// A key of RFC 8032, RFC 7748, or FIPS 203 to 205, with the identifier of its algorithm.
    Octets(ObjectIdentifier, Vec<u8>),
    /// RSA modulus and public exponent.
    Rsa(Vec<u8>, Vec<u8>),
}

impl PublicPart {
    /// Computes the public key of a PrivateKeyInfo. An error of kind `NoKey` if its parts do not match or its algorithm
    /// is not supported, or `Malformed` if it cannot be read.
    pub(super) fn of(pkcs8: &[u8]) -> Result<PublicPart> {
        let unreadable = |_: der::Error| Error::malformed("private key", "not in the form of PKCS#8");
        let key = PrivateKeyInfo::read(pkcs8).map_err(unreadable)?;
        let octets = |algorithm| public_of(algorithm, &key.octets().map_err(unreadable)?);
        match key.algorithm.oid {
            RSA | RSA_PSS | RSA_OAEP => {
                let own = RsaPrivateKey::from_der(key.private_key).map_err(unreadable)?;
                let parts = components(&own);
                SoftwareKey::rsa(&parts)?;
                Ok(PublicPart::Rsa(parts.n, parts.e))
            }
            EC => {
                let own = EcPrivateKey::from_der(key.private_key).map_err(unreadable)?;
                let name = curve_name(&own, &key).map_err(unreadable)?;
                let curve = Curve::of_oid(name).ok_or_else(|| unserved_curve(name))?;
                let scalar = Secret::new(own.private_key.as_bytes().to_vec());
                Ok(PublicPart::Point(name, public_of(KeyAlgorithm::Ecdsa(curve), &scalar)?))
            }
            ED25519 => Ok(PublicPart::Octets(ED25519, octets(KeyAlgorithm::Ed25519)?)),
            ED448 => Ok(PublicPart::Octets(ED448, octets(KeyAlgorithm::Ed448)?)),
            X25519 => Ok(PublicPart::Octets(X25519, octets(KeyAlgorithm::X25519)?)),
            X448 => Ok(PublicPart::Octets(X448, octets(KeyAlgorithm::X448)?)),
            other => match KeyAlgorithm::of_post_quantum(other) {
                Some(algorithm) => {
                    let secret = post_quantum(algorithm, key.private_key).map_err(unreadable)?;
                    Ok(PublicPart::Octets(other, secret.public(algorithm)?))
                }
                None => Err(Error::no_key(format!("private key: its algorithm is not supported: {other}"))),
            },
        }
    }

    /// Whether it equals the public key of a certificate.
    pub(super) fn is(&self, public: &PublicKey) -> bool {
        let uncompressed = public.agreement();
        let Ok(public) = SubjectPublicKeyInfoRef::from_der(public.der()) else { return false };
        let (algorithm, point) = (public.algorithm.oid, public.subject_public_key.raw_bytes());
        match self {
            PublicPart::Rsa(n, e) => {
                let same = |theirs: RsaPublicKey<'_>| theirs.n.as_bytes() == n && theirs.e.as_bytes() == e;
                [RSA, RSA_PSS, RSA_OAEP].contains(&algorithm) && RsaPublicKey::from_der(point).is_ok_and(same)
            }
            PublicPart::Point(curve, own) => {
                let named = public.algorithm.parameters.and_then(|named| named.decode_as::<ObjectIdentifier>().ok());
                algorithm == EC && named == Some(*curve) && uncompressed.unwrap_or(point) == own
            }
            PublicPart::Octets(name, own) => algorithm == *name && point == own,
        }
    }
}

/// The name of the algorithm of the PrivateKeyInfo `pkcs8` if [`open`] does not support it, otherwise `None`.
pub(super) fn unserved(pkcs8: &[u8]) -> der::Result<Option<String>> {
    let algorithm = PrivateKeyInfo::read(pkcs8)?.algorithm;
    Ok(match (algorithm.oid, algorithm.parameters) {
        (RSA | RSA_PSS | RSA_OAEP | ED25519 | ED448 | X25519 | X448, _) | (EC, None) => None,
        (EC, Some(parameters)) => match parameters.decode_as::<ObjectIdentifier>() {
            Ok(curve) if Curve::of_oid(curve).is_some() => None,
            Ok(curve) => Some(format!("elliptic curve {curve}")),
            // RFC 5480, section 2.1.1 requires a named curve.
            Err(_) => Some("elliptic curve without a name".to_owned()),
        },
        (DSA, _) => Some("dsa".to_owned()),
        (other, _) => KeyAlgorithm::of_post_quantum(other).is_none().then(|| other.to_string()),
    })
}

/// The octets of privateKey: of SLH-DSA as they are (RFC 9909, section 6), of ML-DSA and ML-KEM a choice of the seed, the expanded key, or both (RFC 9881,
/// section 6; RFC 9935, section 6).
fn post_quantum(algorithm: KeyAlgorithm, octets: &[u8]) -> der::Result<PostQuantumSecret> {
    let secret = |octets: &[u8]| Secret::new(octets.to_vec());
    if let KeyAlgorithm::SlhDsa(_) = algorithm {
        return Ok(PostQuantumSecret::Expanded(secret(octets)));
    }
    let choice = AnyRef::from_der(octets)?;
    match choice.tag() {
        Tag::OctetString => Ok(PostQuantumSecret::Expanded(secret(choice.value()))),
        Tag::Sequence => {
            let mut fields = SliceReader::new(choice.value())?;
            let (seed, expanded): (&OctetStringRef, &OctetStringRef) = (fields.decode()?, fields.decode()?);
            fields.finish()?;
            Ok(PostQuantumSecret::Both { seed: secret(seed.as_bytes()), expanded: secret(expanded.as_bytes()) })
        }
        tag if tag == SEED => Ok(PostQuantumSecret::Seed(secret(choice.value()))),
        tag => Err(tag.unexpected_error(Some(Tag::Sequence)).into()),
    }
}

/// Converts an RSAPrivateKey (RFC 8017, appendix A.1.2) to PKCS#8.
pub(super) fn of_pkcs1(key: &[u8]) -> der::Result<Secret> {
    RsaPrivateKey::from_der(key)?;
    wrapped(AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) }, key)
}

/// Converts an ECPrivateKey (RFC 5915, section 3) to PKCS#8. It must name its curve.
pub(super) fn of_sec1(key: &[u8]) -> der::Result<Secret> {
    let curve = EcPrivateKey::from_der(key)?.parameters.ok_or_else(|| Tag::ObjectIdentifier.value_error())?;
    wrapped(AlgorithmIdentifierRef { oid: EC, parameters: Some(AnyRef::from(&curve)) }, key)
}

/// Wraps `key` in a PrivateKeyInfo (RFC 5208, section 5).
pub(super) fn wrapped(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> der::Result<Secret> {
    let info = Version1 { version: 0, algorithm, private_key: OctetStringRef::new(key)? };
    info.to_der().map(Secret::new)
}

/// The fields of a PrivateKeyInfo that are used. Attributes and the public key of version 2 may follow; the public key
/// is taken from the certificate.
struct PrivateKeyInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    private_key: &'a [u8],
}

#[derive(Sequence)]
struct Version1<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    private_key: &'a OctetStringRef,
}

impl<'a> PrivateKeyInfo<'a> {
    fn read(octets: &'a [u8]) -> der::Result<Self> {
        let whole = AnyRef::from_der(octets)?;
        whole.tag().assert_eq(Tag::Sequence)?;
        let mut fields = SliceReader::new(whole.value())?;
        let _version: u8 = fields.decode()?;
        let algorithm = fields.decode()?;
        let private_key: &OctetStringRef = fields.decode()?;
        Ok(PrivateKeyInfo { algorithm, private_key: private_key.as_bytes() })
    }

    /// The content of a CurvePrivateKey (RFC 8410, section 7).
    fn octets(&self) -> der::Result<Secret> {
        <&OctetStringRef>::from_der(self.private_key).map(|octets| Secret::new(octets.as_bytes().to_vec()))
    }
}

/// RSAPrivateKey (RFC 8017, appendix A.1.2). More than two primes are refused, because no such keys are used for mail.
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    n: UintRef<'a>,
    e: UintRef<'a>,
    d: UintRef<'a>,
    p: UintRef<'a>,
    q: UintRef<'a>,
    d_p: UintRef<'a>,
    d_q: UintRef<'a>,
    q_inverse: UintRef<'a>,
}

/// RSAPublicKey (RFC 8017, appendix A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    n: UintRef<'a>,
    e: UintRef<'a>,
}

/// ECPrivateKey (RFC 5915, section 3).
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

/// The parts of the key, if it matches `public`.
fn rsa(key: &PrivateKeyInfo<'_>, public: &SubjectPublicKeyInfoRef<'_>) -> der::Result<Option<RsaComponents>> {
    let own = RsaPrivateKey::from_der(key.private_key)?;
    if ![RSA, RSA_PSS, RSA_OAEP].contains(&public.algorithm.oid) {
        return Ok(None);
    }
    let theirs = RsaPublicKey::from_der(public.subject_public_key.raw_bytes())?;
    if own.n != theirs.n || own.e != theirs.e {
        return Ok(None);
    }
    Ok(Some(components(&own)))
}

fn components(key: &RsaPrivateKey<'_>) -> RsaComponents {
    let secret = |number: UintRef<'_>| Secret::new(number.as_bytes().to_vec());
    RsaComponents {
        n: key.n.as_bytes().to_vec(),
        e: key.e.as_bytes().to_vec(),
        d: secret(key.d),
        p: secret(key.p),
        q: secret(key.q),
        q_inverse: Some(secret(key.q_inverse)),
    }
}

/// The curve named by the key itself, or by its algorithm.
fn curve_name(own: &EcPrivateKey<'_>, key: &PrivateKeyInfo<'_>) -> der::Result<ObjectIdentifier> {
    match (own.parameters, key.algorithm.parameters) {
        (Some(curve), _) => Ok(curve),
        (None, parameters) => parameters.ok_or_else(|| Tag::ObjectIdentifier.value_error())?.decode_as(),
    }
}

fn unserved_curve(name: ObjectIdentifier) -> Error {
    Error::no_key(format!("private key: its elliptic curve is not supported: {name}"))
}

/// Curve and scalar, if they can match `public`.
fn ec(key: &PrivateKeyInfo<'_>, public: &SubjectPublicKeyInfoRef<'_>) -> der::Result<Option<(Curve, Secret)>> {
    let own = EcPrivateKey::from_der(key.private_key)?;
    let named = |parameters: AnyRef<'_>| parameters.decode_as::<ObjectIdentifier>();
    let curve = curve_name(&own, key)?;
    let point = public.subject_public_key.raw_bytes();
    let other = public.algorithm.oid != EC
        || !public.algorithm.parameters.is_some_and(|parameters| named(parameters) == Ok(curve))
        || own.public_key.is_some_and(|own| own.raw_bytes() != point && own.raw_bytes().len() == point.len());
    let Some(known) = Curve::of_oid(curve).filter(|_| !other) else { return Ok(None) };
    Ok(Some((known, Secret::new(own.private_key.as_bytes().to_vec()))))
}

/// The seed in the choice of RFC 9881, section 6.
const SEED: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };

const DSA: ObjectIdentifier = rfc5912::ID_DSA;
pub(super) const EC: ObjectIdentifier = rfc5912::ID_EC_PUBLIC_KEY;
pub(super) const ED25519: ObjectIdentifier = rfc8410::ID_ED_25519;
pub(super) const ED448: ObjectIdentifier = rfc8410::ID_ED_448;
pub(super) const RSA: ObjectIdentifier = rfc5912::RSA_ENCRYPTION;
const RSA_OAEP: ObjectIdentifier = rfc5912::ID_RSAES_OAEP;
const RSA_PSS: ObjectIdentifier = rfc5912::ID_RSASSA_PSS;
pub(super) const X25519: ObjectIdentifier = rfc8410::ID_X_25519;
pub(super) const X448: ObjectIdentifier = rfc8410::ID_X_448;
