//! What the owner of a certificate can read: ciphers and containers.

use std::time::SystemTime;

use sequoia_openpgp::{
    Cert,
    cert::Preferences as _,
    packet::{
        Key,
        key::{PublicParts, UnspecifiedRole},
    },
    types::{PublicKeyAlgorithm, SymmetricAlgorithm},
};

use super::{cert, suite};
use crate::{crypto::Legacy, keys::Forms};

/// The two symmetrically encrypted and integrity protected packets (RFC 9580, sections 5.13.1 and 5.13.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// CFB with a SHA-1 modification detection code, as in RFC 4880.
    V1,
    /// AEAD with OCB, which every reader of version 2 must implement.
    V2,
}

impl Container {
    /// The form of a ciphertext with this container.
    pub(super) fn form(self) -> Forms {
        match self {
            Container::V1 => Forms::one(1),
            Container::V2 => Forms::one(2),
        }
    }
}

/// The algorithms that one certificate says its owner supports.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    ciphers: Option<Vec<SymmetricAlgorithm>>,
    /// The containers in which its encryption keys can be readers.
    pub(super) forms: Forms,
}

impl Wishes {
    /// Those of `cert`, whose encryption keys are `keys`.
    pub(super) fn of(cert: &Cert, keys: &[Key<PublicParts, UnspecifiedRole>], at: SystemTime, legacy: Legacy) -> Self {
        let policy = cert::policy(at, legacy);
        let valid = cert.with_policy(&policy, at).ok();
        let features = valid.as_ref().and_then(|valid| valid.features());
        let ciphers = valid.and_then(|valid| valid.preferred_symmetric_algorithms().map(<[_]>::to_vec));
        // Every reader of version 1 is a reader of it still. ML-KEM-1024 with X448 has no packet that goes before it (RFC 9980, section 4.3.1).
        let has_v1 = keys.iter().all(|key| key.pk_algo() != PublicKeyAlgorithm::MLKEM1024_X448);
        let has_v2 = features.is_some_and(|features| features.supports_seipdv2());
        let forms = [(Container::V1, has_v1), (Container::V2, has_v2)];
        let forms = forms.into_iter().filter(|(_, has)| *has).map(|(container, _)| container.form());
        let forms = forms.reduce(|all, one| all | one).unwrap_or_else(|| Container::V2.form());
        Wishes { ciphers: ciphers.map(|list| with_aes256(cert, list)), forms }
    }

    /// Whether its owner reads `cipher`. Without a list, every one of AES.
    pub(super) fn reads(&self, cipher: SymmetricAlgorithm) -> bool {
        self.ciphers.as_ref().is_none_or(|list| list.contains(&cipher))
    }
}

/// A certificate with a post-quantum key supports AES-256, whether it says so or not (RFC 9980, section 7.1).
fn with_aes256(cert: &Cert, mut list: Vec<SymmetricAlgorithm>) -> Vec<SymmetricAlgorithm> {
    if cert.keys().any(|key| suite::key_algorithm(key.key()).is_quantum_safe()) {
        list.push(SymmetricAlgorithm::AES256);
    }
    list
}
