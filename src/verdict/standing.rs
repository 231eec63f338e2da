//! The one summary: Unsigned, Signed or Authentic.

use super::{
    align::{Aligned, align},
    finding::{Covers, Layer, LayerKind, Matches, Signature, State},
};
use crate::{
    crypto::{Legacy, Strength},
    keys::Announcement,
    mail::Address,
};

/// What a message stands at, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Standing {
    /// Nobody vouches for the whole payload. Broken, unknown, partial, errant and around-ciphertext signatures all stand here.
    #[default]
    Unsigned,
    /// Somebody vouches for exactly the whole payload.
    Signed,
    /// The author shown vouches for exactly the whole payload.
    Authentic,
}

impl Standing {
    /// The word on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Unsigned => "unsigned",
            Standing::Signed => "signed",
            Standing::Authentic => "authentic",
        }
    }
}

/// The layers found and who vouches for which bytes. Built by the engine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    author: Option<Address>,
    layers: Vec<Layer>,
    errant: Vec<Layer>,
    legacy: Legacy,
}

/// Evidence of a signature over exactly the whole payload, strong enough to count. Made by [`whole`] alone.
struct Vouched<'a> {
    signature: &'a Signature,
    _matches: Matches,
}

/// Evidence of [`Standing::Authentic`]: both steps were taken. Made by [`authentic`] alone.
struct AuthenticEvidence {
    _aligned: Aligned,
}

impl Verdict {
    /// Judges nothing yet: standing is computed from what is given here. `layers` are those of the Cryptographic Envelope
    /// (RFC 9787, section 4.4), outermost first; `errant` are those met deeper.
    pub(crate) fn new(author: Option<Address>, layers: Vec<Layer>, errant: Vec<Layer>, legacy: Legacy) -> Self {
        Verdict { author, layers, errant, legacy }
    }

    /// The one mailbox shown as author; `None` when From is missing, repeated, contradicted, or has several.
    pub fn author(&self) -> Option<&Address> {
        self.author.as_ref()
    }

    /// The layers of the envelope, outermost first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Layers that do not count.
    pub fn errant(&self) -> &[Layer] {
        &self.errant
    }

    /// Whether the payload came out of encryption. Says nothing about the author.
    pub fn is_confidential(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. }))
    }

    /// The summary.
    pub fn standing(&self) -> Standing {
        let vouched: Vec<Vouched<'_>> =
            self.inner_signatures().filter_map(|signature| whole(signature, self.legacy)).collect();
        if vouched.iter().any(|one| authentic(one, self.author.as_ref(), self.legacy).is_some()) {
            Standing::Authentic
        } else if vouched.is_empty() {
            Standing::Unsigned
        } else {
            Standing::Signed
        }
    }

    /// What is to be remembered of the author's program: what those signatures say that make the message Authentic, and by strong
    /// algorithms, whatever else this run admits.
    pub fn announcements(&self) -> impl Iterator<Item = &Announcement> {
        let is_authentic = |signature: &&Signature| {
            whole(signature, Legacy::Refuse)
                .is_some_and(|vouched| authentic(&vouched, self.author.as_ref(), Legacy::Refuse).is_some())
        };
        self.inner_signatures().filter(is_authentic).filter_map(|signature| signature.announcement.as_ref())
    }

    /// Signatures with no encryption between them and the payload: one around ciphertext says nothing of what is within,
    /// because whoever made it need not have seen it.
    fn inner_signatures(&self) -> impl Iterator<Item = &Signature> {
        let encrypted = |layer: &Layer| matches!(layer.kind, LayerKind::Encrypted { .. });
        self.layers.iter().rev().take_while(move |layer| !encrypted(layer)).flat_map(|layer| match &layer.kind {
            LayerKind::Signed { signatures } => signatures.as_slice(),
            LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => &[],
        })
    }
}

fn whole(signature: &Signature, legacy: Legacy) -> Option<Vouched<'_>> {
    let State::Valid(matches) = signature.state else { return None };
    let admitted = legacy == Legacy::Admit && signature.strength != Strength::Unknown;
    let strong_enough = signature.strength >= Strength::Weak || admitted;
    (signature.covers == Covers::Whole && strong_enough).then_some(Vouched { signature, _matches: matches })
}

fn authentic(vouched: &Vouched<'_>, author: Option<&Address>, legacy: Legacy) -> Option<AuthenticEvidence> {
    let admitted = legacy == Legacy::Admit && vouched.signature.strength != Strength::Unknown;
    let strong_enough = vouched.signature.strength == Strength::Strong || admitted;
    let aligned = align(author, vouched.signature)?;
    strong_enough.then_some(AuthenticEvidence { _aligned: aligned })
}
