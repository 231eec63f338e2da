//! RecipientInfo (RFC 5652, section 6.2): the content key wrapped for one recipient.

use const_oid::db::{rfc5911, rfc5912, rfc6268, rfc8410};
use der::asn1::ObjectIdentifier;

use super::{
    agree::{Agreement, Derivation},
    capabilities::key_identifier,
    encode::{NULL, algorithm, bit_string, constructed, integer, octet_string, oid, sequence, unsigned, value},
    kem,
    sign::{RSA_ENCRYPTION, hash_and_mask, issuer_and_serial},
    suite::ContentCipher,
};
use crate::{
    base::{Random, Result, Secret},
    crypto::{self, Cipher, Hash, KeyAlgorithm, MlKem, Unwrap},
    pki::Certificate,
    protocol::Padding,
};

/// A recipient, and the method of wrapping the content key.
pub(super) struct Reader {
    certificate: Certificate,
    method: Method,
}

/// The method of wrapping a content key.
#[derive(Clone, Debug)]
enum Method {
    /// Key agreement with an ephemeral key on the recipient's curve.
    Agreement(KeyAlgorithm, Agreement<'static>),
    /// Key encapsulation.
    Encapsulation(MlKem),
    /// RSA encryption.
    Transport(Unwrap<'static>),
}

impl Reader {
    /// Chooses the method of wrapping a content key of `key_length` octets for the key of `certificate`.
    pub(super) fn new(certificate: Certificate, padding: Padding, key_length: usize) -> Result<Self> {
        let key = certificate.public_key().algorithm();
        let is_oaep = || padding == Padding::PssOaep || key_identifier(&certificate) == Some(RSAES_OAEP);
        let derivation = match key {
            KeyAlgorithm::Rsa(_) if is_oaep() => {
                return Ok(Reader {
                    certificate,
                    method: Method::Transport(Unwrap::RsaOaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: &[] }),
                });
            }
            KeyAlgorithm::Rsa(_) => return Ok(Reader { certificate, method: Method::Transport(Unwrap::RsaPkcs1) }),
            KeyAlgorithm::MlKem(set) => {
                kem::check_content_key(key, key_length)?;
                return Ok(Reader { certificate, method: Method::Encapsulation(set) });
            }
            // RFC 8418, section 2.2.
            KeyAlgorithm::X25519 => Derivation::Hkdf(Hash::Sha256),
            KeyAlgorithm::X448 => Derivation::Hkdf(Hash::Sha512),
            KeyAlgorithm::Ecdsa(curve) | KeyAlgorithm::Ecdh(curve) => Derivation::X963(curve.hash()),
            _ => return Err(key.refuses("be encrypted to")),
        };
        kem::check_content_key(key, key_length)?;
        let agreement = Agreement::new(derivation, if key_length <= 16 { 16 } else { 32 });
        let agreement = agreement.ok_or_else(|| key.refuses("be encrypted to"))?;
        Ok(Reader { certificate, method: Method::Agreement(key, agreement) })
    }

    /// Whether it is key transport, which has version 0.
    pub(super) fn is_transport(&self) -> bool {
        matches!(self.method, Method::Transport(_))
    }

    /// Whether it is key encapsulation, an OtherRecipientInfo.
    pub(super) fn is_encapsulation(&self) -> bool {
        matches!(self.method, Method::Encapsulation(_))
    }

    /// The RecipientInfo with `key` wrapped.
    pub(super) fn info(&self, key: &Secret) -> Result<Vec<u8>> {
        match &self.method {
            Method::Agreement(kind, agreement) => self.agreed(*kind, agreement, key),
            Method::Encapsulation(set) => {
                let public = self.certificate.public_key().encapsulation().filter(|(known, _)| known == set);
                let (set, public) = public.ok_or_else(|| KeyAlgorithm::MlKem(*set).refuses("be encrypted to"))?;
                kem::recipient_info(set, public, &issuer_and_serial(&self.certificate), key)
            }
            Method::Transport(padding) => self.transported(*padding, key),
        }
    }

    /// KeyTransRecipientInfo (RFC 5652, section 6.2.1).
    fn transported(&self, padding: Unwrap<'_>, key: &Secret) -> Result<Vec<u8>> {
        let identifier = match padding {
            Unwrap::RsaOaep { hash, .. } => {
                algorithm(RSAES_OAEP, &sequence(&hash_and_mask(hash)?.each_ref().map(Vec::as_slice)))
            }
            _ => algorithm(RSA_ENCRYPTION, NULL),
        };
        let crypto::PublicKey::Rsa { n, e } = self.certificate.public_key().as_crypto()? else {
            return Err(self.certificate.public_key().algorithm().refuses("be encrypted to"));
        };
        let wrapped = crypto::encrypt_to_rsa(n, e, padding, key)?;
        Ok(sequence(&[&integer(&[0]), &issuer_and_serial(&self.certificate), &identifier, &octet_string(&wrapped)]))
    }

    /// KeyAgreeRecipientInfo (RFC 5652, section 6.2.2; RFC 5753, section 3.1.1) with one recipient.
    fn agreed(&self, kind: KeyAlgorithm, agreement: &Agreement<'_>, key: &Secret) -> Result<Vec<u8>> {
        let refused = || kind.refuses("be encrypted to");
        let peer = self.certificate.public_key().agreement().ok_or_else(refused)?;
        let (own, shared) = crypto::agree_ephemeral(kind, peer)?;
        let wrapped = agreement.wrap(&shared, key)?;

        // RFC 5753, section 7.1.2: parameters are absent or NULL; the curve is that of the recipient's key. RFC 8410,
        // section 3: absent.
        let public = match kind {
            KeyAlgorithm::X25519 => algorithm(X25519, &[]),
            KeyAlgorithm::X448 => algorithm(X448, &[]),
            _ => algorithm(EC_PUBLIC_KEY, &[]),
        };
        let originator = value(constructed(1), &[&public, &bit_string(&own)]);
        let reader = sequence(&[&issuer_and_serial(&self.certificate), &octet_string(&wrapped)]);
        Ok(value(
            constructed(1),
            &[
                &integer(&[3]),
                &value(constructed(0), &[&originator]),
                &agreement.identifier().ok_or_else(refused)?,
                &sequence(&[&reader]),
            ],
        ))
    }
}

/// PasswordRecipientInfo (RFC 5652, section 6.2.4; RFC 3211) with PBKDF2 of HMAC-SHA-256 (RFC 8018, section 5.2) and AES-256.
pub(super) fn password_info(password: &Secret, key: &Secret, random: &dyn Random) -> Result<Vec<u8>> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    random.fill(&mut salt)?;
    random.fill(&mut iv)?;
    let derived = crypto::pbkdf2(Hash::Sha256, password, &salt, ITERATIONS, 32)?;
    let wrapped = crypto::wrap_for_password(Cipher::Aes256, &derived, &iv, key)?;

    let prf = algorithm(HMAC_SHA256, NULL);
    let parameters = sequence(&[&octet_string(&salt), &unsigned(&ITERATIONS.to_be_bytes()), &unsigned(&[32]), &prf]);
    let derivation = value(constructed(0), &[&oid(PBKDF2), &parameters]);
    let cipher = ContentCipher::Cbc { cipher: Cipher::Aes256, iv: iv.to_vec() }.identifier().unwrap_or_default();
    let encryption = algorithm(PWRI_KEK, &cipher);
    Ok(value(constructed(3), &[&integer(&[0]), &derivation, &encryption, &octet_string(&wrapped)]))
}

/// Source: OWASP Password Storage Cheat Sheet (2023) for PBKDF2-HMAC-SHA256.
const ITERATIONS: u32 = 600_000;

/// RFC 4055, section 4.1.
const RSAES_OAEP: ObjectIdentifier = rfc5912::ID_RSAES_OAEP;
/// RFC 5480, section 2.1.1; RFC 8410, section 3.
const EC_PUBLIC_KEY: ObjectIdentifier = rfc5912::ID_EC_PUBLIC_KEY;
const X25519: ObjectIdentifier = rfc8410::ID_X_25519;
const X448: ObjectIdentifier = rfc8410::ID_X_448;
/// RFC 3211, section 4; RFC 8018, appendix C.
const PWRI_KEK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.9");
const PBKDF2: ObjectIdentifier = rfc5911::ID_PBKDF_2;
const HMAC_SHA256: ObjectIdentifier = rfc6268::ID_HMAC_WITH_SHA_256;
