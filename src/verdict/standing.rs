//! The one summary: Unsigned, Signed or Authentic.

use serde::{Deserialize, Serialize};

use super::{
    align::{Aligned, align},
    finding::{Covers, Layer, LayerKind, Matches, Signature, State, Why},
    reason::{DOMAIN_SIGNER, Reason},
};
use crate::{
    crypto::{Legacy, Strength},
    keys::Announcement,
    mail::{Address, NoAuthor, header_protection::Protection},
};

/// What a message stands at, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[must_use]
pub enum Standing {
    /// No signature covers the whole payload. Broken, unknown, partial, errant and around-ciphertext signatures all stand here.
    #[default]
    Unsigned,
    /// A valid signature covers exactly the whole payload.
    Signed,
    /// A valid signature of the author shown covers exactly the whole payload.
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

/// How far a message was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It was not looked into.
    Nothing,
    /// To its payload.
    Payload,
    /// To a layer that could not be opened. What that holds is unknown, so that no signature around it counts for it.
    Obstacle,
}

/// The layers found, and what each signature covers. Built by the engine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    author: Result<Address, NoAuthor>,
    layers: Vec<Layer>,
    errant: Vec<Layer>,
    reached: Reached,
    legacy: Legacy,
}

/// Evidence of a signature over exactly the whole payload, strong enough to count. Made by [`whole`] alone.
struct ValidSignature<'a> {
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
    pub(crate) fn new(
        author: Result<Address, NoAuthor>,
        layers: Vec<Layer>,
        errant: Vec<Layer>,
        reached: Reached,
        legacy: Legacy,
    ) -> Self {
        Verdict { author, layers, errant, reached, legacy }
    }

    /// The one mailbox shown as author.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn author(&self) -> Result<&Address, &NoAuthor> {
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

    /// Whether the payload came out of encryption, whatever stands beside it. Says nothing about the author.
    pub fn is_confidential(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. }))
    }

    /// Whether the payload came out of encryption, and nothing stands beside the ciphertext that some reader would show. Says nothing about the author.
    pub fn is_hidden(&self) -> bool {
        self.is_confidential() && !matches!(self.author, Err(NoAuthor::Ambiguous(_)))
    }

    /// The summary.
    pub fn standing(&self) -> Standing {
        let valid: Vec<ValidSignature<'_>> =
            self.inner_signatures().filter_map(|signature| whole(signature, self.legacy)).collect();
        if valid.iter().any(|one| authentic(one, self.author.as_ref().ok(), self.legacy).is_some()) {
            Standing::Authentic
        } else if valid.is_empty() {
            Standing::Unsigned
        } else {
            Standing::Signed
        }
    }

    /// Whether `layer` holds signatures, and each is valid, strong and its author's. Whether the author saw what is within is another question.
    pub fn is_by_author(&self, layer: &Layer) -> bool {
        let is_by_author = |signature: &Signature| {
            whole(signature, self.legacy)
                .is_some_and(|valid| authentic(&valid, self.author.as_ref().ok(), self.legacy).is_some())
        };
        !signatures(layer).is_empty() && signatures(layer).iter().all(is_by_author)
    }

    /// What covers the payload: valid signatures that raise the standing, and encryption (RFC 9788, section 4.3).
    pub fn protection(&self) -> Protection {
        match (self.standing(), self.is_confidential()) {
            (Standing::Unsigned, false) => Protection::Unprotected,
            (Standing::Unsigned, true) => Protection::Encrypted,
            (Standing::Signed | Standing::Authentic, false) => Protection::Signed,
            (Standing::Signed | Standing::Authentic, true) => Protection::SignedAndEncrypted,
        }
    }

    /// Why the standing is below [`Standing::Authentic`]; `None` when it is not. Where there is no author and no signature that counts either,
    /// this is about the signatures, and [`Verdict::author`] has the other reason.
    pub fn reason(&self) -> Option<Reason> {
        if self.standing() == Standing::Authentic {
            return None;
        }
        match self.reached {
            Reached::Nothing => return Some(Reason::NotExamined),
            Reached::Obstacle => return Some(Reason::NotOpened),
            Reached::Payload => {}
        }
        let is_signed = |layer: &Layer| matches!(layer.kind, LayerKind::Signed { .. });
        let without = || if self.errant.iter().any(is_signed) { Reason::Errant } else { Reason::NotSigned };
        let reasons = self.signatures().filter_map(|(_, _, reason)| reason);
        // The first of the nearest.
        Some(reasons.rev().max_by_key(Reason::nearness).unwrap_or_else(without))
    }

    /// The signatures of the envelope, outermost first, each with its layer and what keeps it from making the message authentic; `None` for
    /// one that does.
    pub fn signatures(&self) -> impl DoubleEndedIterator<Item = (&Layer, &Signature, Option<Reason>)> {
        let encrypted = self.layers.iter().rposition(is_encrypted);
        self.layers.iter().enumerate().flat_map(move |(at, layer)| {
            let is_around = encrypted.is_some_and(|encrypted| at < encrypted);
            let reason = move |signature: &Signature| match signature.state {
                State::Valid(_) if is_around => Some(Reason::AroundCiphertext),
                _ => self.shortfall(signature),
            };
            signatures(layer).iter().map(move |signature| (layer, signature, reason(signature)))
        })
    }

    /// What keeps a signature over the payload from making the message authentic.
    fn shortfall(&self, signature: &Signature) -> Option<Reason> {
        match &signature.state {
            State::Invalid(why) => return Some(Reason::Invalid(why.clone())),
            State::Unknown(why) => return Some(Reason::Unknown { signer: signature.signer.clone(), why: why.clone() }),
            State::Valid(_) => {}
        }
        let valid = match whole(signature, self.legacy) {
            _ if self.reached != Reached::Payload => return Some(Reason::NotOpened),
            None if signature.covers == Covers::Part => return Some(Reason::Partial),
            None => return Some(Reason::Reserved(weakness(signature))),
            Some(valid) => valid,
        };
        let author = match &self.author {
            Ok(author) => author,
            Err(why) => return Some(Reason::NoAuthor(why.clone())),
        };
        if authentic(&valid, Some(author), self.legacy).is_some() {
            return None;
        }
        if align(Some(author), signature).is_some() {
            return Some(Reason::Reserved(weakness(signature)));
        }
        Some(match &signature.reservation {
            Some(why) if signature.authenticated.is_empty() => Reason::Reserved(why.clone()),
            None if signature.authenticated.is_empty() => {
                Reason::Untrusted { signer: signature.signer.clone(), claimed: signature.claimed.clone() }
            }
            _ if signature.authenticated.iter().any(|one| *one.address() == author.with_local(DOMAIN_SIGNER)) => {
                Reason::ByDomain(author.domain().to_owned())
            }
            _ => Reason::NotByAuthor(signature.authenticated.iter().map(|one| one.address().clone()).collect()),
        })
    }

    /// The signatures that make the message Authentic. None where it is not.
    pub fn by_author(&self) -> impl Iterator<Item = &Signature> {
        let is_by_author = |signature: &&Signature| {
            whole(signature, self.legacy)
                .is_some_and(|valid| authentic(&valid, self.author.as_ref().ok(), self.legacy).is_some())
        };
        self.inner_signatures().filter(is_by_author)
    }

    /// What is to be remembered of the author's program: what those signatures say that make the message Authentic, and by strong
    /// algorithms, whatever else this run admits.
    pub fn announcements(&self) -> impl Iterator<Item = &Announcement> {
        let is_authentic = |signature: &&Signature| {
            whole(signature, Legacy::Refuse)
                .is_some_and(|valid| authentic(&valid, self.author.as_ref().ok(), Legacy::Refuse).is_some())
        };
        self.inner_signatures().filter(is_authentic).filter_map(|signature| signature.announcement.as_ref())
    }

    /// Signatures with no encryption between them and the payload: one around ciphertext says nothing of what is within,
    /// because its signer need not have seen it. None when the payload was not reached.
    fn inner_signatures(&self) -> impl Iterator<Item = &Signature> {
        let layers = if self.reached == Reached::Payload { self.layers.as_slice() } else { &[] };
        layers.iter().rev().take_while(|layer| !is_encrypted(layer)).flat_map(signatures)
    }
}

fn is_encrypted(layer: &Layer) -> bool {
    matches!(layer.kind, LayerKind::Encrypted { .. })
}

fn signatures(layer: &Layer) -> &[Signature] {
    match &layer.kind {
        LayerKind::Signed { signatures } => signatures,
        LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => &[],
    }
}

/// What is weak about a signature.
fn weakness(signature: &Signature) -> Why {
    let named = signature.reservation.clone();
    named.unwrap_or_else(|| match signature.strength {
        Strength::Broken => Why::BrokenAlgorithm(signature.algorithms.clone()),
        Strength::Unknown => Why::UnknownAlgorithm(signature.algorithms.clone()),
        Strength::Strong | Strength::Weak => Why::WeakAlgorithm(signature.algorithms.clone()),
    })
}

fn whole(signature: &Signature, legacy: Legacy) -> Option<ValidSignature<'_>> {
    let State::Valid(matches) = signature.state else { return None };
    let admitted = legacy == Legacy::Admit && signature.strength != Strength::Unknown;
    let strong_enough = signature.strength >= Strength::Weak || admitted;
    (signature.covers == Covers::Whole && strong_enough).then_some(ValidSignature { signature, _matches: matches })
}

fn authentic(valid: &ValidSignature<'_>, author: Option<&Address>, legacy: Legacy) -> Option<AuthenticEvidence> {
    let admitted = legacy == Legacy::Admit && valid.signature.strength != Strength::Unknown;
    let strong_enough = valid.signature.strength == Strength::Strong || admitted;
    let aligned = align(author, valid.signature)?;
    strong_enough.then_some(AuthenticEvidence { _aligned: aligned })
}
