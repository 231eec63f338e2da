//! The keys in a verdict, for the log.

use crate::verdict::{LayerKind, Signature, Verdict};

/// The keys of the signatures in the envelope of a message, each with whether the signature holds: `valid:FINGERPRINT`.
pub fn signing_keys(verdict: &Verdict) -> Vec<String> {
    let layers = verdict.layers().iter().filter_map(|layer| match &layer.kind {
        LayerKind::Signed { signatures } => Some(signatures),
        LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => None,
    });
    let named = |signature: &Signature| Some(format!("{}:{}", signature.state.name(), signature.signer.as_ref()?));
    layers.flatten().filter_map(named).collect()
}

/// The keys that a message came encrypted to, as it names them.
pub fn encryption_keys(verdict: &Verdict) -> Vec<String> {
    let layers = verdict.layers().iter().filter_map(|layer| match &layer.kind {
        LayerKind::Encrypted { recipients, .. } => Some(recipients),
        LayerKind::Compressed { .. } | LayerKind::Signed { .. } => None,
    });
    layers.flatten().cloned().collect()
}
