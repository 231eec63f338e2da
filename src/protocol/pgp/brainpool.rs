//! Encrypts to keys on the brainpool curves (RFC 9580, section 9.2), which Sequoia's RustCrypto backend does not
//! support.

use sequoia_openpgp::{
    self as openpgp, KeyHandle, Packet,
    crypto::{SessionKey, ecdh::aes_key_wrap, mem::Protected, mpi},
    packet::{
        Key, PKESK,
        key::{PublicParts, UnspecifiedRole},
        pkesk::{PKESK3, PKESK6},
    },
    types::SymmetricAlgorithm,
};
use zeroize::Zeroizing;

use super::suite;
use crate::crypto::{Curve, KeyAlgorithm, agree_ephemeral};

/// Whether the key is on a brainpool curve, so that Sequoia cannot encrypt to it.
pub(super) fn is_on(key: &Key<PublicParts, UnspecifiedRole>) -> bool {
    is_brainpool(suite::key_algorithm(key))
}

/// Encrypts the session key to a key that [`is_on`] a brainpool curve (RFC 9580, sections 5.1.5 and 11.5). Writes a
/// version 3 packet when `cipher` is given, and a version 6 packet when the container names the cipher.
pub(super) fn encrypted(
    key: &Key<PublicParts, UnspecifiedRole>,
    handle: Option<KeyHandle>,
    cipher: Option<SymmetricAlgorithm>,
    session: &SessionKey,
) -> openpgp::Result<Packet> {
    let mpi::PublicKey::ECDH { curve, q, hash, sym } = key.mpis() else {
        return Err(openpgp::Error::UnsupportedPublicKeyAlgorithm(key.pk_algo()).into());
    };
    let (point, shared) = agree_ephemeral(suite::key_algorithm(key), q.value())?;

    let sum = session.iter().fold(0_u16, |sum, octet| sum.wrapping_add((*octet).into()));
    let mut plain = Zeroizing::new(Vec::with_capacity(PADDED));
    plain.extend(cipher.map(u8::from));
    plain.extend_from_slice(session);
    plain.extend_from_slice(&sum.to_be_bytes());
    let missing = PADDED.saturating_sub(plain.len());
    plain.resize(PADDED, u8::try_from(missing)?);

    let mut parameters = vec![u8::try_from(curve.oid().len())?];
    parameters.extend_from_slice(curve.oid());
    parameters.extend_from_slice(&[key.pk_algo().into(), 3, 1, (*hash).into(), (*sym).into()]);
    parameters.extend_from_slice(b"Anonymous Sender    ");
    parameters.extend_from_slice(key.fingerprint().as_bytes());
    let input = Zeroizing::new([&[0, 0, 0, 1], shared.expose(), &parameters].concat());
    let unknown = || openpgp::Error::UnsupportedHashAlgorithm(*hash);
    let derived = Zeroizing::new(suite::hash(*hash).ok_or_else(unknown)?.digest(&input));
    let wrapping = derived.get(..sym.key_size()?).ok_or_else(unknown)?;
    let wrapped = aes_key_wrap(*sym, &Protected::from(wrapping), &Protected::from(plain.as_slice()))?;

    let ciphertext = mpi::Ciphertext::ECDH { e: mpi::MPI::new(&point), key: wrapped.into() };
    let packet = match cipher {
        Some(_) => PKESK::from(PKESK3::new(handle.map(Into::into), key.pk_algo(), ciphertext)?),
        None => PKESK::from(PKESK6::new(handle.map(TryInto::try_into).transpose()?, key.pk_algo(), ciphertext)?),
    };
    Ok(packet.into())
}

/// Whether the algorithm uses a brainpool curve.
pub(super) fn is_brainpool(algorithm: KeyAlgorithm) -> bool {
    let (KeyAlgorithm::Ecdsa(curve) | KeyAlgorithm::Ecdh(curve)) = algorithm else { return false };
    matches!(curve, Curve::BrainpoolP256 | Curve::BrainpoolP384 | Curve::BrainpoolP512)
}

/// Length in octets to which a session key is padded, to hide its own length (RFC 9580, section 11.5).
const PADDED: usize = 40;
