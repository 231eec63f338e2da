//! ML-DSA (FIPS 204) without pre-hashing and with an empty context, on aws-lc-rs.

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING,
    PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm, UnparsedPublicKey,
};
use subtle::ConstantTimeEq;

use super::{MlDsa, PostQuantumSecret, Unverified};
use aws_lc_rs::encoding::AsRawBytes as _;

/// A private key.
pub(super) struct MlDsaKey {
    set: MlDsa,
    pair: PqdsaKeyPair,
}

impl MlDsaKey {
    /// The key of a seed or of the expanded form; `None` when it is neither, or when both are there and differ (RFC 9881, section 8.2).
    pub(super) fn new(set: MlDsa, secret: &PostQuantumSecret) -> Option<MlDsaKey> {
        let pair = match secret {
            PostQuantumSecret::Seed(seed) => PqdsaKeyPair::from_seed(signing(set), seed.expose()),
            PostQuantumSecret::Expanded(expanded) => {
                PqdsaKeyPair::from_raw_private_key(signing(set), expanded.expose())
            }
            PostQuantumSecret::Both { seed, expanded } => {
                let pair = PqdsaKeyPair::from_seed(signing(set), seed.expose()).ok()?;
                let own = pair.private_key().as_raw_bytes().ok()?;
                return bool::from(own.as_ref().ct_eq(expanded.expose())).then_some(MlDsaKey { set, pair });
            }
        };
        Some(MlDsaKey { set, pair: pair.ok()? })
    }

    /// The public key.
    pub(super) fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// A signature over a message (FIPS 204, algorithm 2); `None` when there is no randomness.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.set.signature_length()];
        let length = self.pair.sign(message, &mut signature).ok()?;
        signature.truncate(length);
        Some(signature)
    }
}

/// Verifies a signature over a message (FIPS 204, algorithm 3).
pub(super) fn verify_ml_dsa(set: MlDsa, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    if key.len() != set.public_length() {
        return Err(Unverified::Key);
    }
    let key = UnparsedPublicKey::new(verifying(set), key).parse().map_err(|_| Unverified::Key)?;
    key.verify_sig(message, signature).map_err(|_| Unverified::Signature)
}

fn signing(set: MlDsa) -> &'static PqdsaSigningAlgorithm {
    match set {
        MlDsa::MlDsa44 => &ML_DSA_44_SIGNING,
        MlDsa::MlDsa65 => &ML_DSA_65_SIGNING,
        MlDsa::MlDsa87 => &ML_DSA_87_SIGNING,
    }
}

fn verifying(set: MlDsa) -> &'static PqdsaVerificationAlgorithm {
    match set {
        MlDsa::MlDsa44 => &ML_DSA_44,
        MlDsa::MlDsa65 => &ML_DSA_65,
        MlDsa::MlDsa87 => &ML_DSA_87,
    }
}
