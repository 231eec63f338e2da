//! RSA of 2048 to 8192 bits, on aws-lc.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{self, Digest},
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{
        KeyPair, KeyPairComponents, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384,
        OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey,
        PrivateDecryptingKey, PublicKeyComponents,
    },
    signature::{self, RsaSignatureEncoding},
};
use crypto_bigint::{BoxedUint, NonZero, Odd, Resize};

use super::{
    Hash, KeyAlgorithm, Scheme, Unwrap,
    legacy::LegacyRsa,
    number::{bits, trimmed},
    rejection::Rejection,
    unfit::unfit,
};
use crate::base::{Error, Result, Secret};

/// The parts of an RSA key with two primes, as big-endian numbers (RFC 8017, section 3.2).
#[derive(Clone, Debug)]
pub struct RsaComponents {
    /// The modulus.
    pub n: Vec<u8>,
    /// The public exponent.
    pub e: Vec<u8>,
    /// The private exponent.
    pub d: Secret,
    /// A prime factor.
    pub p: Secret,
    /// The other prime factor.
    pub q: Secret,
    /// The inverse of `q` modulo `p`, where the key file has it: computing it takes a tenth of the time of a signature.
    pub q_inverse: Option<Secret>,
}

impl RsaComponents {
    /// A new key of 2048, 3072, 4096 or 8192 bits with the public exponent 65537.
    ///
    /// # Errors
    ///
    /// `Usage` for another size; `Unavailable` when generation fails.
    pub fn generate(bits: usize) -> Result<RsaComponents> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            _ => {
                return Err(Error::usage(format!("rsa key: {bits} bits are not offered"))
                    .with_hint("one of 2048, 3072, 4096, 8192"));
            }
        };
        let failed = |_| Error::unavailable("rsa key: generation failed");
        let pair = KeyPair::generate(size).map_err(failed)?;
        RsaComponents::from_pkcs8(pkcs8(&pair)?.as_ref())
    }

    /// What else PKCS#1 stores of a key: `d mod p-1`, `d mod q-1`, and the inverse of `q` modulo `p` (RFC 8017, appendix A.1.2).
    ///
    /// # Errors
    ///
    /// `NoKey` for parts that are not those of a key.
    pub fn chinese_remainders(&self) -> Result<[Secret; 3]> {
        let crt = Crt::new(self).ok_or_else(|| unfit(KeyAlgorithm::Rsa(bits(&self.n))))?;
        Ok([crt.dp, crt.dq, crt.q_inverse])
    }

    fn from_pkcs8(der: &[u8]) -> Result<RsaComponents> {
        let unreadable = || Error::no_key("rsa key: its encoding cannot be read");
        let outer = rsa::pkcs8::PrivateKeyInfoRef::try_from(der).map_err(|_| unreadable())?;
        let key = rsa::pkcs1::RsaPrivateKeyRef::try_from(outer.private_key.as_bytes()).map_err(|_| unreadable())?;
        let secret = |number: rsa::pkcs1::UintRef<'_>| Secret::new(number.as_bytes().to_vec());
        Ok(RsaComponents {
            n: key.modulus.as_bytes().to_vec(),
            e: key.public_exponent.as_bytes().to_vec(),
            d: secret(key.private_exponent),
            p: secret(key.prime1),
            q: secret(key.prime2),
            q_inverse: Some(secret(key.coefficient)),
        })
    }
}

/// An RSA key on aws-lc. What signing does not need is made when it is first asked for: most keys sign only, and a
/// process often makes one signature.
pub(super) struct FastRsa {
    pair: KeyPair,
    rejection: Rejection,
    oaep: OnceLock<OaepPrivateDecryptingKey>,
    pkcs1: OnceLock<Pkcs1PrivateDecryptingKey>,
    legacy: OnceLock<LegacyRsa>,
}

impl FastRsa {
    pub(super) fn new(parts: &RsaComponents) -> Result<FastRsa> {
        // aws-lc refuses an inverse that is none; then it is found anew.
        let known = parts.q_inverse.as_ref().and_then(|inverse| pair(parts, &Crt::with(parts, inverse.clone())?));
        let pair = known.or_else(|| pair(parts, &Crt::new(parts)?));
        let pair = pair.ok_or_else(|| unfit(KeyAlgorithm::Rsa(bits(&parts.n))))?;
        let rejection = Rejection::new(&parts.d, pair.public_modulus_len());
        Ok(FastRsa { pair, rejection, oaep: OnceLock::new(), pkcs1: OnceLock::new(), legacy: OnceLock::new() })
    }

    /// `None` when the digest does not have the hash's length.
    pub(super) fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some((encoding, algorithm)) = encoding(scheme) else {
            return Ok(self.legacy()?.sign(scheme, digest));
        };
        let Ok(digest) = Digest::import_less_safe(digest, algorithm) else { return Ok(None) };
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign_digest(encoding, &digest, &mut signature);
        Ok(signed.is_ok().then_some(signature))
    }

    /// `None` when `wrapped` was not encrypted to this key, as far as [`Unwrap`] lets that be told.
    pub(super) fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Option<Secret>> {
        // The length is public: the sender chose it.
        if wrapped.len() != self.pair.public_modulus_len() {
            return Ok(None);
        }
        match unwrap {
            Unwrap::RsaOaep { hash, mgf, label } => match oaep(hash, mgf) {
                Some(algorithm) => {
                    let key =
                        kept(&self.oaep, || OaepPrivateDecryptingKey::new(self.decrypting()?).or(Err(unreadable())))?;
                    let mut plain = vec![0; key.min_output_size()];
                    let length = key.decrypt(algorithm, wrapped, &mut plain, Some(label)).map(|plain| plain.len());
                    Ok(opened(length, plain))
                }
                None => Ok(self.legacy()?.decrypt(unwrap, wrapped)),
            },
            Unwrap::RsaPkcs1 => {
                let key =
                    kept(&self.pkcs1, || Pkcs1PrivateDecryptingKey::new(self.decrypting()?).or(Err(unreadable())))?;
                // Made before the outcome is known, so that it takes its time in every case.
                let instead = self.rejection.message(wrapped);
                let mut plain = vec![0; key.min_output_size()];
                let length = key.decrypt(wrapped, &mut plain).map(|plain| plain.len());
                Ok(Some(opened(length, plain).unwrap_or(instead)))
            }
        }
    }

    fn decrypting(&self) -> Result<PrivateDecryptingKey> {
        PrivateDecryptingKey::from_pkcs8(pkcs8(&self.pair)?.as_ref()).map_err(|_| unreadable())
    }

    fn legacy(&self) -> Result<&LegacyRsa> {
        kept(&self.legacy, || LegacyRsa::new(&RsaComponents::from_pkcs8(pkcs8(&self.pair)?.as_ref())?))
    }
}

/// The Chinese remainder parameters (RFC 8017, section 3.2), which OpenPGP does not store in full.
struct Crt {
    dp: Secret,
    dq: Secret,
    q_inverse: Secret,
}

impl Crt {
    fn new(parts: &RsaComponents) -> Option<Crt> {
        let (p, q) = (number(&parts.p), number(&parts.q));
        let odd = Odd::new(p.clone()).into_option()?;
        let reduced = q.rem(&NonZero::new(p.clone()).into_option()?);
        let inverse = reduced.resize(p.bits_precision()).invert_odd_mod(&odd).into_option()?;
        Crt::with(parts, Secret::new(inverse.to_be_bytes().into_vec()))
    }

    /// With the inverse of `q` modulo `p`.
    fn with(parts: &RsaComponents, q_inverse: Secret) -> Option<Crt> {
        let d = number(&parts.d);
        let remainder = |prime: &Secret| -> Option<Secret> {
            let less = NonZero::new(number(prime).wrapping_sub(BoxedUint::one())).into_option()?;
            Some(Secret::new(d.rem(&less).to_be_bytes().into_vec()))
        };
        Some(Crt { dp: remainder(&parts.p)?, dq: remainder(&parts.q)?, q_inverse })
    }
}

/// `None` when the parts do not belong together.
fn pair(parts: &RsaComponents, crt: &Crt) -> Option<KeyPair> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: trimmed(&parts.n), e: trimmed(&parts.e) },
        d: parts.d.expose(),
        p: parts.p.expose(),
        q: parts.q.expose(),
        dP: crt.dp.expose(),
        dQ: crt.dq.expose(),
        qInv: crt.q_inverse.expose(),
    };
    KeyPair::from_components(&components).ok()
}

fn number(secret: &Secret) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(secret.expose())
}

/// The value in `cell`, computed if there is none; two threads may both compute it, and one value is kept.
fn kept<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = make()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}

/// What of `plain` was written, when it was.
fn opened<E>(length: Result<usize, E>, mut plain: Vec<u8>) -> Option<Secret> {
    plain.truncate(*length.as_ref().unwrap_or(&0));
    let plain = Secret::new(plain);
    length.is_ok().then_some(plain)
}

fn pkcs8(pair: &KeyPair) -> Result<Pkcs8V1Der<'static>> {
    pair.as_der().map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::unavailable("rsa key: aws-lc does not give it back")
}

fn encoding(scheme: Scheme) -> Option<(&'static RsaSignatureEncoding, &'static digest::Algorithm)> {
    match scheme {
        Scheme::RsaPkcs1(Hash::Sha256) => Some((&signature::RSA_PKCS1_SHA256, &digest::SHA256)),
        Scheme::RsaPkcs1(Hash::Sha384) => Some((&signature::RSA_PKCS1_SHA384, &digest::SHA384)),
        Scheme::RsaPkcs1(Hash::Sha512) => Some((&signature::RSA_PKCS1_SHA512, &digest::SHA512)),
        Scheme::RsaPss { hash, .. } if scheme == Scheme::pss(hash) => match hash {
            Hash::Sha256 => Some((&signature::RSA_PSS_SHA256, &digest::SHA256)),
            Hash::Sha384 => Some((&signature::RSA_PSS_SHA384, &digest::SHA384)),
            Hash::Sha512 => Some((&signature::RSA_PSS_SHA512, &digest::SHA512)),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn oaep(hash: Hash, mgf: Hash) -> Option<&'static OaepAlgorithm> {
    match hash {
        _ if hash != mgf => None,
        Hash::Sha1 => Some(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Some(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Some(&OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}
