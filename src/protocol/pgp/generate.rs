//! Generates OpenPGP keys (RFC 9580, section 10.1).

use std::time::{Duration, SystemTime};

use sequoia_openpgp::{
    Cert, Packet, anyhow, armor,
    cert::CertRevocationBuilder,
    crypto::{Password, S2K, Signer, random},
    packet::{
        Key, UserID,
        key::{Key4, Key6, KeyRole, PrimaryRole, PublicParts, SecretParts, SubordinateRole},
        signature::SignatureBuilder,
    },
    serialize::Marshal,
    types::{
        AEADAlgorithm, Curve, Features, HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType, SymmetricAlgorithm,
    },
};

use super::{keyfile::describe_cert, words};
use crate::{
    base::{Clock, Error, Result, Secret},
    crypto::RsaComponents,
    mail::{Address, address},
    protocol::Described,
};

/// The properties of a new key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Which standard the key follows.
    pub profile: Profile,
    /// The algorithms of its keys.
    pub algorithm: Algorithm,
    /// The name of the owner, for the user IDs.
    pub name: Option<String>,
    /// Addresses, one user ID each; at least one. The first is the primary user ID.
    pub addresses: Vec<Address>,
    /// The passphrase that protects the secret parts; `None` leaves them unprotected.
    pub passphrase: Option<Secret>,
    /// How long the key is valid, in whole seconds; `None` for no expiry.
    pub validity: Option<Duration>,
}

/// The standard that a new key follows. Programs that read only RFC 4880 (GnuPG) cannot use keys of RFC 9580.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Version 4 keys, which every program reads.
    #[default]
    Rfc4880,
    /// Version 6 keys.
    Rfc9580,
    /// Version 6 keys to which mail is encrypted so that a quantum computer does not open it: ML-KEM, whatever the algorithm of the signatures.
    Rfc9980,
}

impl Profile {
    /// That of a key of this version, without post-quantum algorithms.
    pub(super) fn of_version(version: u8) -> Profile {
        if version == 6 { Profile::Rfc9580 } else { Profile::Rfc4880 }
    }
}

/// The algorithms of a new certificate's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519 and X25519 (version 4: EdDSALegacy and ECDH over Curve25519Legacy, RFC 9580, section 9.2).
    #[default]
    Curve25519,
    /// Ed448 and X448 (version 6).
    Curve448,
    /// ML-DSA-65+Ed25519 and ML-KEM-768+X25519 (RFC 9980).
    MlDsa65,
    /// ML-DSA-87+Ed448 and ML-KEM-1024+X448 (RFC 9980).
    MlDsa87,
    /// SLH-DSA-SHAKE-128s, whose signatures have 8 KB, and ML-KEM-768+X25519 (RFC 9980).
    SlhDsa128s,
    /// SLH-DSA-SHAKE-128f, which signs faster in 17 KB, and ML-KEM-768+X25519 (RFC 9980).
    SlhDsa128f,
    /// SLH-DSA-SHAKE-256s, whose signatures have 30 KB, and ML-KEM-1024+X448 (RFC 9980).
    SlhDsa256s,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

/// A newly generated key.
#[derive(Debug)]
pub struct Generated {
    /// The certificate and the secret key.
    pub described: Described,
    /// The certificate's revocation, armored. Publish it when the secret key is lost or stolen.
    pub revocation: Vec<u8>,
}

/// Three years, as in `sq key generate` and GnuPG 2.4.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(3 * 31_556_952);

/// Generates a primary key that certifies and signs, and a subkey for encryption, as GnuPG does. Without a separate
/// signing subkey, verifying a signature needs two public-key operations less, and every mail program supports it.
///
/// # Errors
///
/// `Usage` if there is no address, if name and address do not form a valid user ID, or if the profile does not have the
/// algorithm; `Unavailable` if the key cannot be generated.
pub fn generate(request: &Request, clock: &dyn Clock) -> Result<Generated> {
    let user_ids = user_ids(request)?;
    let now = clock.now();
    let primary = key::<PrimaryRole>(request, Use::Signing, now)?;
    let subkey = key::<SubordinateRole>(request, Use::Encryption, now)?;
    let (cert, revocation) = assemble(request, now, &user_ids, primary, subkey).map_err(|error| failed(&error))?;
    let revocation = armored(revocation).map_err(|error| failed(&error))?;
    let described = describe_cert(&cert)?;
    let proven = described.record.secrets().to_vec();
    Ok(Generated { described: Described { proven, ..described }, revocation })
}

impl Request {
    /// A request with the defaults for one address: version 4, Curve25519, three years, no passphrase.
    pub fn new(address: Address) -> Self {
        Request {
            profile: Profile::default(),
            algorithm: Algorithm::default(),
            name: None,
            addresses: vec![address],
            passphrase: None,
            validity: Some(DEFAULT_VALIDITY),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Use {
    Encryption,
    /// By an algorithm that withstands quantum computers, whatever the profile.
    QuantumSafeEncryption,
    Signing,
}

pub(super) fn key<R: KeyRole>(request: &Request, purpose: Use, now: SystemTime) -> Result<Key<SecretParts, R>> {
    let rsa = |bits| RsaComponents::generate(bits).and_then(|parts| rsa(request.profile, &parts, now));
    let purpose = match (purpose, request.profile) {
        (Use::Encryption, Profile::Rfc9980) => Use::QuantumSafeEncryption,
        _ => purpose,
    };
    let mut key = match (request.algorithm, purpose) {
        (algorithm, Use::QuantumSafeEncryption) => ml_kem(request.profile, algorithm).map_err(|error| failed(&error)),
        (Algorithm::Rsa2048, _) => rsa(2048),
        (Algorithm::Rsa3072, _) => rsa(3072),
        (Algorithm::Rsa4096, _) => rsa(4096),
        (Algorithm::Curve25519, _) => curve25519(request.profile, purpose).map_err(|error| failed(&error)),
        (Algorithm::Curve448, _) if request.profile == Profile::Rfc4880 => {
            return Err(
                Error::usage("key: Ed448 and X448 are for version 6").with_hint("the profile rfc9580, or rfc9980")
            );
        }
        (Algorithm::Curve448, Use::Signing) => Key6::generate_ed448().map(Key::from).map_err(|error| failed(&error)),
        (Algorithm::Curve448, _) => Key6::generate_x448().map(Key::from).map_err(|error| failed(&error)),
        (algorithm, _) if request.profile == Profile::Rfc9980 => signing(algorithm).map_err(|error| failed(&error)),
        _ => {
            return Err(Error::usage("key: post-quantum signatures are for the profile rfc9980"));
        }
    }?;
    key.set_creation_time(now).map_err(|error| failed(&error))?;
    Ok(key)
}

fn curve25519<R: KeyRole>(profile: Profile, purpose: Use) -> anyhow::Result<Key<SecretParts, R>> {
    Ok(match (profile, purpose) {
        (Profile::Rfc4880, Use::Signing) => Key4::generate_ecc(true, Curve::Ed25519)?.into(),
        (Profile::Rfc4880, _) => Key4::generate_ecc(false, Curve::Cv25519)?.into(),
        (Profile::Rfc9580 | Profile::Rfc9980, Use::Signing) => Key6::generate_ed25519()?.into(),
        (Profile::Rfc9580 | Profile::Rfc9980, _) => Key6::generate_x25519()?.into(),
    })
}

/// The level of the signing key decides that of the encryption key (RFC 9980, section 2.3). Keys of version 4 have but one algorithm.
fn ml_kem<R: KeyRole>(profile: Profile, algorithm: Algorithm) -> anyhow::Result<Key<SecretParts, R>> {
    Ok(match (profile, algorithm) {
        (Profile::Rfc4880, _) => Key4::generate_mlkem768_x25519()?.into(),
        (_, Algorithm::Curve448 | Algorithm::MlDsa87 | Algorithm::SlhDsa256s) => {
            Key6::generate_mlkem1024_x448()?.into()
        }
        _ => Key6::generate_mlkem768_x25519()?.into(),
    })
}

fn signing<R: KeyRole>(algorithm: Algorithm) -> anyhow::Result<Key<SecretParts, R>> {
    Ok(match algorithm {
        Algorithm::MlDsa87 => Key6::generate_mldsa87_ed448()?.into(),
        Algorithm::SlhDsa128s => Key6::generate_slhdsa128s()?.into(),
        Algorithm::SlhDsa128f => Key6::generate_slhdsa128f()?.into(),
        Algorithm::SlhDsa256s => Key6::generate_slhdsa256s()?.into(),
        _ => Key6::generate_mldsa65_ed25519()?.into(),
    })
}

fn rsa<R: KeyRole>(profile: Profile, parts: &RsaComponents, now: SystemTime) -> Result<Key<SecretParts, R>> {
    let made = Key4::<SecretParts, R>::import_secret_rsa(parts.d.expose(), parts.p.expose(), parts.q.expose(), now);
    let made = made.and_then(|key| match profile {
        Profile::Rfc4880 => Ok(Key::from(key)),
        Profile::Rfc9580 | Profile::Rfc9980 => {
            Key6::with_secret(now, key.pk_algo(), key.mpis().clone(), key.secret().clone()).map(Key::from)
        }
    });
    made.map_err(|error| failed(&error))
}

/// A certificate with its secret parts, which are encrypted last, and its revocation.
fn assemble(
    request: &Request,
    now: SystemTime,
    user_ids: &[UserID],
    primary: Key<SecretParts, PrimaryRole>,
    subkey: Key<SecretParts, SubordinateRole>,
) -> anyhow::Result<(Cert, Packet)> {
    let mut signer = primary.clone().into_keypair()?;
    let parts = (primary.clone().take_secret().0, subkey.clone().take_secret().0);
    let (cert, revocation) = bind(request, now, user_ids, &mut signer, parts)?;
    let passphrase = request.passphrase.as_ref();
    let (subkey, primary) = (lock(subkey, request.profile, passphrase)?, lock(primary, request.profile, passphrase)?);
    Ok((cert.insert_packets([Packet::from(subkey), primary.into()])?.0, revocation))
}

/// Binds subkey and user IDs to the primary key, which signs, in the order of RFC 9580, section 10.1.
pub(super) fn bind(
    request: &Request,
    now: SystemTime,
    user_ids: &[UserID],
    signer: &mut dyn Signer,
    (primary, subkey): (Key<PublicParts, PrimaryRole>, Key<PublicParts, SubordinateRole>),
) -> anyhow::Result<(Cert, Packet)> {
    let bare = Cert::try_from(vec![Packet::from(primary)])?;
    let mut packets = Vec::new();
    // Version 6 keys carry preferences in a direct-key signature (RFC 9580, section 10.1.1), version 4 keys in each
    // user ID binding.
    if request.profile != Profile::Rfc4880 {
        let direct = preferences(signature(SignatureType::DirectKey, now)?, request)?;
        packets.push(direct.sign_direct_key(signer, bare.primary_key().key())?.into());
    }
    for (number, user_id) in user_ids.iter().enumerate() {
        let mut binding = signature(SignatureType::PositiveCertification, now)?;
        if request.profile == Profile::Rfc4880 {
            binding = preferences(binding, request)?;
        }
        if number == 0 {
            binding = binding.set_primary_userid(true)?;
        }
        let binding = user_id.bind(signer, &bare, binding)?;
        packets.extend([Packet::from(user_id.clone()), binding.into()]);
    }
    let binding = encryption(signature(SignatureType::SubkeyBinding, now)?, request.validity)?;
    let binding = subkey.bind(signer, &bare, binding)?;
    packets.extend([Packet::from(subkey), binding.into()]);
    let cert = bare.insert_packets(packets)?.0;
    let revocation = CertRevocationBuilder::new()
        .set_signature_creation_time(now)?
        .set_reason_for_revocation(ReasonForRevocation::Unspecified, b"")?
        .build(signer, &cert, None)?;
    Ok((cert, revocation.into()))
}

pub(super) fn signature(kind: SignatureType, now: SystemTime) -> anyhow::Result<SignatureBuilder> {
    SignatureBuilder::new(kind).set_hash_algo(HashAlgorithm::SHA512).set_signature_creation_time(now)
}

/// Adds the flags and the expiry of an encryption subkey.
pub(super) fn encryption(builder: SignatureBuilder, validity: Option<Duration>) -> anyhow::Result<SignatureBuilder> {
    builder
        .set_key_flags(KeyFlags::empty().set_transport_encryption().set_storage_encryption())?
        .set_key_validity_period(validity)
}

/// Adds key flags, expiry and algorithm preferences. A version 4 key is likely to be used with GnuPG too, which does
/// not read SEIPDv2.
fn preferences(builder: SignatureBuilder, request: &Request) -> anyhow::Result<SignatureBuilder> {
    let builder = builder
        .set_key_flags(KeyFlags::empty().set_certification().set_signing())?
        .set_key_validity_period(request.validity)?
        .set_preferred_hash_algorithms(vec![HashAlgorithm::SHA512, HashAlgorithm::SHA256])?
        .set_preferred_symmetric_algorithms(vec![SymmetricAlgorithm::AES256, SymmetricAlgorithm::AES128])?;
    match request.profile {
        Profile::Rfc4880 => builder.set_features(Features::empty().set_seipdv1()),
        Profile::Rfc9580 | Profile::Rfc9980 => builder
            .set_features(Features::empty().set_seipdv1().set_seipdv2())?
            .set_preferred_aead_ciphersuites(vec![(SymmetricAlgorithm::AES256, AEADAlgorithm::OCB)]),
    }
}

/// Encrypts the secret parts with AES-256. Version 4: iterated and salted S2K with CFB, because GnuPG reads nothing
/// else. Version 6: Argon2 with OCB (RFC 9580, section 3.7.2.1), with the second recommended option of RFC 9106,
/// section 4.
pub(super) fn lock<R: KeyRole>(
    key: Key<SecretParts, R>,
    profile: Profile,
    passphrase: Option<&Secret>,
) -> anyhow::Result<Key<SecretParts, R>> {
    let Some(passphrase) = passphrase else { return Ok(key) };
    let password = Password::from(passphrase.expose());
    let (public, mut secret) = key.take_secret();
    match profile {
        Profile::Rfc4880 => secret.encrypt_in_place(&public, &password)?,
        Profile::Rfc9580 | Profile::Rfc9980 => {
            let mut salt = [0; 16];
            random(&mut salt)?;
            let s2k = S2K::Argon2 { salt, t: 3, p: 4, m: 16 };
            secret.encrypt_in_place_with(
                &public,
                s2k,
                SymmetricAlgorithm::AES256,
                Some(AEADAlgorithm::OCB),
                &password,
            )?;
        }
    }
    Ok(public.add_secret(secret).0)
}

pub(super) fn armored(packet: Packet) -> anyhow::Result<Vec<u8>> {
    // GnuPG writes and reads revocations with this armor label.
    let mut writer = armor::Writer::new(Vec::new(), armor::Kind::PublicKey)?;
    packet.serialize(&mut writer)?;
    writer.finalize().map_err(anyhow::Error::from)
}

/// The user IDs, `Name <a@example.org>` or the bare address. Each must parse back to its address.
pub(super) fn user_ids(request: &Request) -> Result<Vec<UserID>> {
    if request.addresses.is_empty() {
        return Err(Error::usage("key: needs an address"));
    }
    request.addresses.iter().map(|address| user_id(request.name.as_deref(), address)).collect()
}

/// `Name <a@example.org>` or the bare address. It must parse back to the address.
pub(super) fn user_id(name: Option<&str>, address: &Address) -> Result<UserID> {
    let user_id = match name {
        Some(name) => format!("{} <{address}>", name.trim()),
        None => address.to_string(),
    };
    if user_id.chars().any(char::is_control) || address::of_user_id(&user_id).as_ref() != Some(address) {
        return Err(Error::usage(format!("user id {user_id:?}: does not read as name and address"))
            .with_hint("leave out angle brackets and control characters"));
    }
    Ok(UserID::from(user_id))
}

pub(super) fn failed(error: &anyhow::Error) -> Error {
    words::of_machine(error).unwrap_or_else(|| Error::unavailable(format!("key generation: {}", words::reason(error))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::SystemClock, protocol::pgp::suite};

    /// The algorithms of the primary key and of the subkey.
    fn made(profile: Profile, algorithm: Algorithm) -> Result<Vec<String>> {
        let mut request = Request::new(Address::parse("alice@example.org").unwrap());
        (request.profile, request.algorithm) = (profile, algorithm);
        let described = generate(&request, &SystemClock)?.described;
        let cert = super::super::cert::parse(&described.record)?;
        Ok(cert
            .keys()
            .map(|key| format!("{} {}", key.key().version(), suite::key_algorithm(key.key()).name()))
            .collect())
    }

    #[test]
    fn the_profile_and_the_algorithm_decide_both_keys() {
        for (profile, algorithm, expected) in [
            (Profile::Rfc4880, Algorithm::Curve25519, ["4 ed25519", "4 x25519"]),
            (Profile::Rfc9580, Algorithm::Curve448, ["6 ed448", "6 x448"]),
            (Profile::Rfc9980, Algorithm::Curve448, ["6 ed448", "6 mlkem1024-x448"]),
            (Profile::Rfc9980, Algorithm::Curve25519, ["6 ed25519", "6 mlkem768-x25519"]),
            (Profile::Rfc9980, Algorithm::MlDsa65, ["6 mldsa65-ed25519", "6 mlkem768-x25519"]),
            (Profile::Rfc9980, Algorithm::MlDsa87, ["6 mldsa87-ed448", "6 mlkem1024-x448"]),
            (Profile::Rfc9980, Algorithm::SlhDsa128f, ["6 slh-dsa-shake-128f", "6 mlkem768-x25519"]),
        ] {
            assert_eq!(made(profile, algorithm).unwrap(), expected, "{profile:?} {algorithm:?}");
        }
        for (profile, algorithm) in [
            (Profile::Rfc4880, Algorithm::Curve448),
            (Profile::Rfc4880, Algorithm::MlDsa65),
            (Profile::Rfc9580, Algorithm::SlhDsa256s),
        ] {
            let error = made(profile, algorithm).unwrap_err();
            assert_eq!(error.kind(), crate::base::Kind::Usage, "{profile:?} {algorithm:?}: {error}");
        }
    }

    #[test]
    #[ignore = "each signature takes seconds in a debug build"]
    fn the_small_signatures_of_slh_dsa_are_made_too() {
        let slow = |algorithm| made(Profile::Rfc9980, algorithm).unwrap();
        assert_eq!(slow(Algorithm::SlhDsa128s), ["6 slh-dsa-shake-128s", "6 mlkem768-x25519"]);
        assert_eq!(slow(Algorithm::SlhDsa256s), ["6 slh-dsa-shake-256s", "6 mlkem1024-x448"]);
    }
}
