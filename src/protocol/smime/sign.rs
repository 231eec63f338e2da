//! SignedData (RFC 5652, section 5) over a stream, with the attributes of RFC 8551, section 2.5.

use std::{
    cell::OnceCell,
    io::{self, Write},
    sync::Arc,
    time::SystemTime,
};

use const_oid::db::{rfc5911, rfc5912, rfc6211, rfc8410};
use der::asn1::ObjectIdentifier;

use super::{
    capabilities,
    encode::{
        Frame, NULL, OCTET_STRING, SEQUENCE, SET, algorithm, constructed, integer, octet_string, oid, sequence, set_of,
        tagged_set_of, time, unsigned, value,
    },
    mime::{Entity, measure, write_clear_signed, write_pkcs7},
    select::SigningKey,
    suite,
};
use crate::{
    base::{Error, Hint, Result},
    crypto::{Digester, Hash, KeyAlgorithm, Legacy, Scheme, SecretKey, Strength},
    pki::Certificate,
    protocol::{Padding, mime_wrap::output},
};

/// The signers and their algorithms. Nothing is signed yet.
#[derive(Clone)]
pub(super) struct Signers {
    signers: Vec<Signing>,
    /// The certificates that recipients will need, each in DER.
    certificates: Vec<Vec<u8>>,
    at: SystemTime,
}

impl Signers {
    /// Chooses the algorithms. `asked` is a requested digest in place of the one that fits each key; a weak one needs
    /// `Legacy::Admit`.
    pub(super) fn new(
        keys: Vec<SigningKey>,
        asked: Option<Hash>,
        padding: Padding,
        at: SystemTime,
        legacy: Legacy,
    ) -> Result<Self> {
        let mut certificates: Vec<Vec<u8>> = Vec::new();
        for certificate in keys.iter().flat_map(|key| std::iter::once(&key.certificate).chain(&key.chain)) {
            if certificates.iter().all(|held| held != certificate.der()) {
                certificates.push(certificate.der().to_vec());
            }
        }
        let signers = keys.into_iter().map(|key| Signing::new(key, asked, padding, legacy)).collect::<Result<_>>()?;
        Ok(Signers { signers, certificates, at })
    }

    /// The value of the `micalg` parameter, with each digest once (RFC 8551, section 3.5.3.2).
    fn micalg(&self) -> String {
        let names: Vec<&str> = self.hashes().into_iter().map(micalg).collect();
        match names.as_slice() {
            [name] => (*name).to_owned(),
            names => format!("\"{}\"", names.join(",")),
        }
    }

    fn hashes(&self) -> Vec<Hash> {
        let mut hashes: Vec<Hash> = Vec::new();
        for signer in &self.signers {
            if !hashes.contains(&signer.hash) {
                hashes.push(signer.hash);
            }
        }
        hashes
    }

    fn digests(&self) -> Digests {
        Digests { running: self.hashes().into_iter().map(Hash::digester).collect() }
    }

    /// A ContentInfo with SignedData for the content that was written to `digests`: detached, or inside with the given
    /// length.
    fn signed_data(&self, digests: Digests, content: Content) -> Result<Frame> {
        let digests: Vec<(Hash, Vec<u8>)> =
            digests.running.into_iter().map(|running| (running.hash(), running.finish())).collect();
        let mut infos = Vec::new();
        for signer in &self.signers {
            let digest = digests.iter().find(|(hash, _)| *hash == signer.hash);
            let digest = digest.map(|(_, digest)| digest.as_slice()).unwrap_or_default();
            infos.push(signer.info(digest, self.at)?);
        }
        let mut algorithms: Vec<Vec<u8>> = self.signers.iter().map(|signer| signer.digest_algorithm.clone()).collect();
        algorithms.sort();
        algorithms.dedup();
        // Version 1: the content is id-data, and the signers are identified by issuer and serial number (RFC 5652,
        // section 5.1).
        let before = [integer(&[1]), set_of(algorithms)].concat();
        let after = [tagged_set_of(constructed(0), self.certificates.clone()), set_of(infos)].concat();
        let frame = match content {
            Content::Detached => Frame::of(sequence(&[&oid(ID_DATA)])),
            Content::Within(length) => Frame::new(OCTET_STRING, length).within(constructed(0), &[], &[]).within(
                SEQUENCE,
                &[&oid(ID_DATA)],
                &[],
            ),
        };
        let frame = frame.within(SEQUENCE, &[&before], &[&after]).within(constructed(0), &[], &[]);
        Ok(frame.within(SEQUENCE, &[&oid(ID_SIGNED_DATA)], &[]))
    }
}

/// multipart/signed. The first writing computes the digests and the signatures; later ones reuse the signatures.
pub(super) struct ClearSigned<'a> {
    signers: Signers,
    content: Box<dyn Entity + 'a>,
    boundary: String,
    signature: OnceCell<Vec<u8>>,
}

impl<'a> ClearSigned<'a> {
    /// Prepares the entity. Nothing is signed yet.
    pub(super) fn new(signers: Signers, content: Box<dyn Entity + 'a>, boundary: String) -> Self {
        ClearSigned { signers, content, boundary, signature: OnceCell::new() }
    }
}

impl Entity for ClearSigned<'_> {
    fn write(&self, to: &mut dyn Write) -> Result<()> {
        write_clear_signed(&self.signers.micalg(), &self.boundary, to, |to| {
            if let Some(made) = self.signature.get() {
                self.content.write(to)?;
                return Ok(made.clone());
            }
            let mut tee = Tee { digests: self.signers.digests(), to };
            self.content.write(&mut tee)?;
            let made = self.signers.signed_data(tee.digests, Content::Detached)?.into_octets();
            Ok(self.signature.get_or_init(|| made).clone())
        })
    }
}

/// application/pkcs7-mime with smime-type signed-data.
pub(super) struct OpaqueSigned<'a> {
    content: Box<dyn Entity + 'a>,
    frame: Frame,
}

impl<'a> OpaqueSigned<'a> {
    /// Signs.
    pub(super) fn new(signers: &Signers, content: Box<dyn Entity + 'a>) -> Result<Self> {
        let mut digests = signers.digests();
        let length = measure(content.as_ref(), &mut digests)?;
        let frame = signers.signed_data(digests, Content::Within(length))?;
        Ok(OpaqueSigned { content, frame })
    }
}

impl Entity for OpaqueSigned<'_> {
    fn write(&self, to: &mut dyn Write) -> Result<()> {
        write_pkcs7("signed-data", to, |to| {
            to.write_all(&self.frame.head).map_err(output)?;
            self.content.write(to)?;
            to.write_all(&self.frame.tail).map_err(output)
        })
    }
}

/// The position of the content.
#[derive(Clone, Copy)]
enum Content {
    Detached,
    Within(usize),
}

/// One signer.
#[derive(Clone)]
struct Signing {
    certificate: Certificate,
    secret: Arc<dyn SecretKey>,
    hash: Hash,
    scheme: Scheme,
    /// AlgorithmIdentifiers.
    digest_algorithm: Vec<u8>,
    signature_algorithm: Vec<u8>,
}

impl Signing {
    fn new(key: SigningKey, asked: Option<Hash>, padding: Padding, legacy: Legacy) -> Result<Self> {
        let SigningKey { certificate, secret, .. } = key;
        let algorithm = certificate.public_key().algorithm();
        let hash = digest(algorithm, asked, legacy)?;
        let padding = if is_for_pss_alone(&certificate) { Padding::PssOaep } else { padding };
        let (scheme, signature_algorithm) = scheme(algorithm, hash, padding)?;
        Ok(Signing {
            certificate,
            secret,
            hash,
            scheme,
            digest_algorithm: digest_algorithm(algorithm, hash)?,
            signature_algorithm,
        })
    }

    /// SignerInfo (RFC 5652, section 5.3) over content with this digest.
    fn info(&self, digest: &[u8], at: SystemTime) -> Result<Vec<u8>> {
        let attributes = self.attributes(digest, at);
        let signed = set_of(attributes.clone());
        // These sign the octets themselves (RFC 8419, section 3.1; RFC 9814, section 4; RFC 9882, section 3.2).
        let is_message = matches!(self.scheme, Scheme::EdDsa | Scheme::Pure);
        let signed = if is_message { signed } else { self.hash.digest(&signed) };
        let signature = self.secret.sign(self.scheme, &signed)?;
        let signature = if matches!(self.scheme, Scheme::Ecdsa(_)) { pair(&signature) } else { signature };
        Ok(sequence(&[
            &integer(&[1]),
            &issuer_and_serial(&self.certificate),
            &self.digest_algorithm,
            &tagged_set_of(constructed(0), attributes),
            &self.signature_algorithm,
            &octet_string(&signature),
        ]))
    }

    /// The signed attributes, each an Attribute.
    fn attributes(&self, digest: &[u8], at: SystemTime) -> Vec<Vec<u8>> {
        let attribute = |name, content: &[u8]| sequence(&[&oid(name), &value(SET, &[content])]);
        // ESSCertIDv2 with SHA-256, which is the default and therefore omitted (RFC 5035, section 4).
        let certificate = sequence(&[&octet_string(&self.certificate.fingerprint())]);
        // RFC 6211, section 2: the digest algorithm, and the signature algorithm with an implicit [1].
        let mut protected = self.signature_algorithm.clone();
        if let Some(tag) = protected.first_mut() {
            *tag = constructed(1);
        }
        vec![
            attribute(CONTENT_TYPE, &oid(ID_DATA)),
            attribute(SIGNING_TIME, &time(at)),
            attribute(MESSAGE_DIGEST, &octet_string(digest)),
            attribute(capabilities::SMIME_CAPABILITIES, &capabilities::ours()),
            attribute(SIGNING_CERTIFICATE_V2, &sequence(&[&sequence(&[&certificate])])),
            attribute(ALGORITHM_PROTECTION, &sequence(&[&self.digest_algorithm, &protected])),
        ]
    }
}

/// Computes digests of the octets written to it.
struct Digests {
    running: Vec<Digester>,
}

impl Write for Digests {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.running.iter_mut().for_each(|running| running.update(octets));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the same octets to an output and to the digests.
struct Tee<'a> {
    digests: Digests,
    to: &'a mut dyn Write,
}

impl Write for Tee<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.to.write_all(octets)?;
        self.digests.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The digest that fits the key, or the requested one.
fn digest(key: KeyAlgorithm, asked: Option<Hash>, legacy: Legacy) -> Result<Hash> {
    // RFC 8419, section 3.1: with signed attributes, Ed25519 is used only with SHA-512.
    if key == KeyAlgorithm::Ed25519 {
        return match asked {
            None | Some(Hash::Sha512) => Ok(Hash::Sha512),
            Some(hash) => Err(Error::usage(format!("digest {hash}: ed25519 keys sign only sha512 (RFC 8419)"))),
        };
    }
    if key == KeyAlgorithm::Ed448 {
        return match asked {
            None | Some(Hash::Shake256) => Ok(Hash::Shake256),
            Some(hash) => Err(Error::usage(format!("digest {hash}: ed448 keys sign only shake256 (RFC 8419)"))),
        };
    }
    // The digest, and how long another one has to be (RFC 9882, section 3.3; RFC 9814, section 4).
    let (fitting, shortest) = match key {
        KeyAlgorithm::Ecdsa(curve) => (curve.hash(), 0),
        KeyAlgorithm::MlDsa(set) => (Hash::Sha512, set.digest_length()),
        KeyAlgorithm::SlhDsa(set) => (set.hash(), 2 * set.n()),
        _ => (Hash::Sha256, 0),
    };
    let hash = asked.unwrap_or(fitting);
    if hash.length() < shortest {
        let reason = format!("{} keys sign digests of {shortest} octets or more", key.name());
        return Err(Error::usage(format!("digest {hash}: {reason}")).with_hint(Hint::UseDigest(&["sha512"])));
    }
    if hash.strength() < Strength::Strong && legacy == Legacy::Refuse {
        return Err(Error::usage(format!("digest {hash} is {}", hash.strength().name())).with_hint(Hint::WriteLegacy));
    }
    Ok(hash)
}

/// The signature scheme of a key, and its AlgorithmIdentifier.
fn scheme(key: KeyAlgorithm, hash: Hash, padding: Padding) -> Result<(Scheme, Vec<u8>)> {
    Ok(match (key, padding) {
        // RFC 3370, section 3.2: rsaEncryption with NULL, which every reader knows.
        (KeyAlgorithm::Rsa(_), Padding::Pkcs1) => (Scheme::RsaPkcs1(hash), algorithm(RSA_ENCRYPTION, NULL)),
        (KeyAlgorithm::Rsa(_), Padding::PssOaep) => (Scheme::pss(hash), algorithm(RSASSA_PSS, &pss(hash)?)),
        (KeyAlgorithm::Ecdsa(_), _) => (Scheme::Ecdsa(hash), algorithm(ecdsa_with(hash)?, &[])),
        (KeyAlgorithm::Ed25519, _) => (Scheme::EdDsa, algorithm(ED25519, &[])),
        (KeyAlgorithm::Ed448, _) => (Scheme::EdDsa, algorithm(ED448, &[])),
        (KeyAlgorithm::MlDsa(_) | KeyAlgorithm::SlhDsa(_), _) => {
            let name = key.post_quantum_oid().ok_or_else(|| key.refuses("sign S/MIME messages"))?;
            (Scheme::Pure, algorithm(name, &[]))
        }
        _ => return Err(key.refuses("sign S/MIME messages")),
    })
}

/// RSASSA-PSS-params (RFC 4055, section 3.1): MGF1 of the same hash, a salt of its length.
fn pss(hash: Hash) -> Result<Vec<u8>> {
    let length = u8::try_from(hash.length()).unwrap_or(u8::MAX);
    let [hash, mask] = hash_and_mask(hash)?;
    Ok(sequence(&[&hash, &mask, &value(constructed(2), &[&unsigned(&[length])])]))
}

/// The fields `[0]` and `[1]` of RSASSA-PSS and RSAES-OAEP parameters: the hash, and MGF1 with it (RFC 4055, section
/// 2.2).
pub(super) fn hash_and_mask(hash: Hash) -> Result<[Vec<u8>; 2]> {
    // RFC 4055, section 2.1: NULL here, since readers differ in what they accept.
    let hash = algorithm(digest_identifier(hash)?, NULL);
    Ok([value(constructed(0), &[&hash]), value(constructed(1), &[&algorithm(MGF1, &hash)])])
}

/// IssuerAndSerialNumber (RFC 5652, section 10.2.4), encoded as in the certificate.
pub(super) fn issuer_and_serial(certificate: &Certificate) -> Vec<u8> {
    sequence(&[certificate.issuer().der(), &integer(certificate.serial())])
}

/// Whether the certificate restricts its RSA key to PSS signatures (RFC 4055, section 1.2).
fn is_for_pss_alone(certificate: &Certificate) -> bool {
    capabilities::key_identifier(certificate) == Some(RSASSA_PSS)
}

/// Converts `r || s` to ECDSA-Sig-Value (RFC 5753, section 7.2).
fn pair(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at_checked(signature.len() / 2).unwrap_or_default();
    sequence(&[&unsigned(r), &unsigned(s)])
}

/// The AlgorithmIdentifier of a digest that a key of this kind signs: without parameters (RFC 5754, section 2), but MD5 with NULL (RFC 3370, section 2.2),
/// and SHAKE256 with its length for Ed448 (RFC 8419, section 3.1).
fn digest_algorithm(key: KeyAlgorithm, hash: Hash) -> Result<Vec<u8>> {
    let is_shake = matches!(hash, Hash::Shake128 | Hash::Shake256);
    match key {
        KeyAlgorithm::Ed448 => return Ok(algorithm(SHAKE256_LEN, &unsigned(&512_u16.to_be_bytes()))),
        // RFC 9814, section 4; RFC 9882, section 3.3.
        KeyAlgorithm::MlDsa(_) | KeyAlgorithm::SlhDsa(_) if is_shake => {
            return hash.oid().map(|name| algorithm(name, &[])).ok_or_else(|| unwritten(hash));
        }
        _ => {}
    }
    let parameters = if hash == Hash::Md5 { NULL } else { &[] };
    Ok(algorithm(digest_identifier(hash)?, parameters))
}

fn digest_identifier(hash: Hash) -> Result<ObjectIdentifier> {
    suite::hash_identifier(hash).ok_or_else(|| unwritten(hash))
}

/// SHAKE belongs to another scheme of the same name (RFC 8702, section 3.2), which is not written here.
fn ecdsa_with(hash: Hash) -> Result<ObjectIdentifier> {
    hash.with_ecdsa().first().copied().filter(|_| suite::hash_identifier(hash).is_some()).ok_or_else(|| unwritten(hash))
}

fn unwritten(hash: Hash) -> Error {
    Error::usage(format!("digest {hash}: not in S/MIME signatures of this key"))
        .with_hint(Hint::UseDigest(&["sha256", "sha384", "sha512"]))
}

/// The `micalg` value of a digest (RFC 8551, section 3.5.3.2).
fn micalg(hash: Hash) -> &'static str {
    match hash {
        Hash::Md5 => "md5",
        Hash::Sha1 => "sha-1",
        Hash::Sha224 => "sha-224",
        Hash::Sha256 => "sha-256",
        Hash::Sha384 => "sha-384",
        Hash::Sha512 => "sha-512",
        // IANA's hash function textual names (RFC 8692).
        Hash::Shake128 => "shake128",
        Hash::Shake256 => "shake256",
        _ => "unknown",
    }
}

/// Content types (RFC 5652, sections 4 and 5.1).
pub(super) const ID_DATA: ObjectIdentifier = rfc5911::ID_DATA;
const ID_SIGNED_DATA: ObjectIdentifier = rfc5911::ID_SIGNED_DATA;

/// Attributes (RFC 5652, section 11; RFC 5035, section 3; RFC 6211, section 2).
const CONTENT_TYPE: ObjectIdentifier = rfc5911::ID_CONTENT_TYPE;
const MESSAGE_DIGEST: ObjectIdentifier = rfc5911::ID_MESSAGE_DIGEST;
const SIGNING_TIME: ObjectIdentifier = rfc5911::ID_SIGNING_TIME;
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = rfc5911::ID_AA_SIGNING_CERTIFICATE_V_2;
const ALGORITHM_PROTECTION: ObjectIdentifier = rfc6211::ID_AA_CMS_ALGORITHM_PROTECTION;

/// Algorithms (RFC 3370, section 3.2; RFC 4055, sections 2.2 and 3; RFC 8419, section 2).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = rfc5912::RSA_ENCRYPTION;
const RSASSA_PSS: ObjectIdentifier = rfc5912::ID_RSASSA_PSS;
const MGF1: ObjectIdentifier = rfc5912::ID_MGF_1;
const ED25519: ObjectIdentifier = rfc8410::ID_ED_25519;
const ED448: ObjectIdentifier = rfc8410::ID_ED_448;
/// id-shake256-len (RFC 8419, section 2.3).
const SHAKE256_LEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.18");
