//! Generates keys with self-signed certificates, for testing and for certification requests.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use der::asn1::ObjectIdentifier;

use super::{
    encode::{NULL, algorithm, bit_string, octet_string, oid, sequence, unsigned, value},
    issue::{self, Owner},
    pbe::encrypt_pkcs8,
    pkcs8,
    record::record,
};
use crate::{
    base::{Clock, Error, Random, Result, Secret},
    crypto::{
        Curve, KeyAlgorithm, Legacy, MlDsa, MlKem, RsaComponents, SecretKey, Signs, SlhDsa, generate as generate_key,
    },
    mail::Address,
    pki::{
        Certificate, PublicKey,
        tlv::{INTEGER, constructed, primitive},
    },
    protocol::Described,
};

/// The properties of a new key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The algorithm of the key.
    pub algorithm: Algorithm,
    /// The owner's name, for the subject. Without it the subject is the first address.
    pub name: Option<String>,
    /// The subject as a Name in DER (RFC 5280, section 4.1.2.4), in the place of `name`.
    pub subject: Option<Vec<u8>>,
    /// Addresses for the alternative names; at least one.
    pub addresses: Vec<Address>,
    /// The passphrase that encrypts the private key; `None` leaves it unencrypted.
    pub passphrase: Option<Secret>,
    /// How long the certificate is valid, in whole seconds; `None` for no expiry.
    pub validity: Option<Duration>,
}

/// The algorithm of a new certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519, for signing only.
    Ed25519,
    /// Ed448, for signing only.
    Ed448,
    /// ML-DSA, for signing only.
    MlDsa(MlDsa),
    /// ML-KEM, for encryption only.
    MlKem(MlKem),
    /// The curve P-256.
    P256,
    /// The curve P-384.
    P384,
    /// The curve P-521.
    P521,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    #[default]
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// SLH-DSA, for signing only.
    SlhDsa(SlhDsa),
    /// X25519, for encryption only.
    X25519,
    /// X448, for encryption only.
    X448,
}

impl Algorithm {
    /// Whether its keys sign. Those that do not cannot sign their own certificate: an authority has to issue it.
    pub fn signs(self) -> bool {
        !matches!(self, Algorithm::MlKem(_) | Algorithm::X25519 | Algorithm::X448)
    }
}

/// Three years, as for a new OpenPGP key.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(3 * 31_556_952);

impl Request {
    /// A request with the defaults for one address: RSA with 3072 bits, which every reader supports, three years, no
    /// passphrase.
    pub fn new(address: Address) -> Self {
        Request {
            algorithm: Algorithm::default(),
            name: None,
            subject: None,
            addresses: vec![address],
            passphrase: None,
            validity: Some(DEFAULT_VALIDITY),
        }
    }
}

/// Generates a key and its self-signed certificate. Others accept such a certificate only if they are told to.
///
/// # Errors
///
/// `Usage` if there is no address, the key cannot sign, the name is not suitable, or the certificate expires too late; `Unavailable` if key
/// generation fails.
pub fn generate(request: &Request, clock: &dyn Clock, random: &dyn Random) -> Result<Described> {
    let name = checked_name(request)?;
    let pair = Pair::new(request.algorithm)?;
    let certificate = self_signed(request, &name, (&pair.public, pair.secret.as_ref()), clock, random)?;
    pair.described(&certificate, request.passphrase.as_ref(), random)
}

/// The common name of the subject. An error of kind `Usage` if there is no address, or the name is not suitable.
pub(super) fn checked_name(request: &Request) -> Result<String> {
    let first = request.addresses.first().ok_or_else(|| Error::usage("key: needs an address"))?;
    let name = request.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.map_or_else(|| first.to_string(), str::to_owned);
    issue::check_name(&name)?;
    Ok(name)
}

/// A certificate that the key signs itself, DER. An error of kind `Usage` if it expires too late.
pub(super) fn self_signed(
    request: &Request,
    name: &str,
    (public, secret): (&PublicKey, &dyn SecretKey),
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Vec<u8>> {
    let key = secret.algorithm();
    if key.signs() == Signs::Nothing {
        return Err(Error::usage(format!("{} key: cannot sign its own certificate", key.name()))
            .with_hint("an authority has to issue one"));
    }
    let subject = request.subject.clone().unwrap_or_else(|| issue::common_name(name));
    let owner = Owner { subject: &subject, addresses: &request.addresses, public };
    let now = clock.now();
    let end = match request.validity {
        Some(validity) => now.checked_add(validity).ok_or_else(|| Error::usage("key: expires too late"))?,
        // Without an end: 9999-12-31T23:59:59Z (RFC 5280, section 4.1.2.5).
        None => SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799),
    };
    issue::self_signed(&owner, secret, (now, end), random)
}

/// A new key pair.
pub(super) struct Pair {
    /// The public key.
    pub(super) public: PublicKey,
    /// The private key.
    pub(super) secret: Arc<dyn SecretKey>,
    pkcs8: Secret,
}

impl Pair {
    /// The pair with a certificate in DER, the private key encrypted with `passphrase` if there is one.
    pub(super) fn described(
        self,
        certificate: &[u8],
        passphrase: Option<&Secret>,
        random: &dyn Random,
    ) -> Result<Described> {
        let mut record = record(&Certificate::parse(certificate)?);
        record.set_secrets([record.fingerprint().clone()]);
        let secret = match passphrase {
            Some(passphrase) => encrypt_pkcs8(&self.pkcs8, passphrase, Legacy::Refuse, random)?,
            None => self.pkcs8,
        };
        let proven = record.secrets().to_vec();
        Ok(Described { record, secret: Some(secret), proven })
    }

    /// Makes a pair.
    pub(super) fn new(wanted: Algorithm) -> Result<Pair> {
        let (public, pkcs8) = match wanted {
            Algorithm::Ed25519 => octets(KeyAlgorithm::Ed25519, pkcs8::ED25519)?,
            Algorithm::Ed448 => octets(KeyAlgorithm::Ed448, pkcs8::ED448)?,
            Algorithm::MlDsa(set) => post_quantum(KeyAlgorithm::MlDsa(set))?,
            Algorithm::MlKem(set) => post_quantum(KeyAlgorithm::MlKem(set))?,
            Algorithm::P256 => elliptic(Curve::P256)?,
            Algorithm::P384 => elliptic(Curve::P384)?,
            Algorithm::P521 => elliptic(Curve::P521)?,
            Algorithm::Rsa2048 => rsa(2048)?,
            Algorithm::Rsa3072 => rsa(3072)?,
            Algorithm::Rsa4096 => rsa(4096)?,
            Algorithm::SlhDsa(set) => post_quantum(KeyAlgorithm::SlhDsa(set))?,
            Algorithm::X25519 => octets(KeyAlgorithm::X25519, pkcs8::X25519)?,
            Algorithm::X448 => octets(KeyAlgorithm::X448, pkcs8::X448)?,
        };
        let public = PublicKey::parse(&public)?;
        let secret = pkcs8::open(pkcs8.expose(), &public)?;
        let secret = secret.ok_or_else(|| Error::unavailable("key generation: its parts do not match"))?;
        Ok(Pair { public, secret, pkcs8 })
    }
}

/// SubjectPublicKeyInfo (RFC 3279, section 2.3.1) and PrivateKeyInfo of a new RSA key.
fn rsa(bits: usize) -> Result<(Vec<u8>, Secret)> {
    let parts = RsaComponents::generate(bits)?;
    let [d_p, d_q, q_inverse] = parts.chinese_remainders()?;
    let identifier = algorithm(pkcs8::RSA, NULL);
    let (n, e) = (unsigned(&parts.n), unsigned(&parts.e));
    let public = sequence(&[&identifier, &bit_string(&sequence(&[&n, &e]))]);
    let [d, p, q, d_p, d_q, q_inverse] =
        [&parts.d, &parts.p, &parts.q, &d_p, &d_q, &q_inverse].map(|number| Secret::new(unsigned(number.expose())));
    let key = Secret::new(sequence(&[
        &value(INTEGER, &[&[0]]),
        &n,
        &e,
        d.expose(),
        p.expose(),
        q.expose(),
        d_p.expose(),
        d_q.expose(),
        q_inverse.expose(),
    ]));
    Ok((public, private_key_info(&identifier, &key)))
}

/// SubjectPublicKeyInfo (RFC 5480, section 2) and PrivateKeyInfo of a new key. As in OpenSSL, the curve is named only
/// in the algorithm of the latter.
fn elliptic(curve: Curve) -> Result<(Vec<u8>, Secret)> {
    let (scalar, point) = generate_key(KeyAlgorithm::Ecdsa(curve))?;
    let unnamed = || Error::unavailable(format!("key generation: curve {}: has no name in X.509", curve.name()));
    let identifier = algorithm(pkcs8::EC, &oid(curve.oid().ok_or_else(unnamed)?));
    let public = sequence(&[&identifier, &bit_string(&point)]);
    let scalar = Secret::new(octet_string(scalar.expose()));
    let point = value(constructed(1), &[&bit_string(&point)]);
    let key = Secret::new(sequence(&[&value(INTEGER, &[&[1]]), scalar.expose(), &point]));
    Ok((public, private_key_info(&identifier, &key)))
}

/// SubjectPublicKeyInfo (RFC 8410, section 4) and PrivateKeyInfo (section 7) of a new key on a curve of RFC 7748 or RFC 8032.
fn octets(kind: KeyAlgorithm, name: ObjectIdentifier) -> Result<(Vec<u8>, Secret)> {
    let (seed, point) = generate_key(kind)?;
    let identifier = algorithm(name, &[]);
    let public = sequence(&[&identifier, &bit_string(&point)]);
    Ok((public, private_key_info(&identifier, &Secret::new(octet_string(seed.expose())))))
}

/// SubjectPublicKeyInfo and PrivateKeyInfo of a new key: the seed of ML-DSA (RFC 9881, sections 4 and 6) and ML-KEM (RFC 9935, sections 4 and 6), which is
/// the form that they recommend, or the octets of SLH-DSA (RFC 9909, sections 4 and 6).
fn post_quantum(kind: KeyAlgorithm) -> Result<(Vec<u8>, Secret)> {
    let (secret, public) = generate_key(kind)?;
    let name = kind.post_quantum_oid().ok_or_else(|| kind.refuses("be generated"))?;
    let identifier = algorithm(name, &[]);
    let public = sequence(&[&identifier, &bit_string(&public)]);
    let private = match kind {
        KeyAlgorithm::SlhDsa(_) => secret,
        _ => Secret::new(value(primitive(0), &[secret.expose()])),
    };
    Ok((public, private_key_info(&identifier, &private)))
}

/// PrivateKeyInfo (RFC 5208, section 5).
fn private_key_info(identifier: &[u8], key: &Secret) -> Secret {
    let key = Secret::new(octet_string(key.expose()));
    Secret::new(sequence(&[&value(INTEGER, &[&[0]]), identifier, key.expose()]))
}
