//! Which signatures cover what, by their numbers on the page.

use super::{exhibit::Exhibit, tone::Tone};
use crate::{
    mail::Span,
    verdict::{Covers, Layer, LayerKind, Reason, Signature, State, Verdict},
};

/// A signature with its number on the page.
#[derive(Clone, Debug)]
pub(super) struct Numbered<'a> {
    pub(super) number: usize,
    pub(super) layer: &'a Layer,
    pub(super) signature: &'a Signature,
    /// What keeps it from making the message authentic; `None` for one that does.
    pub(super) reason: Option<Reason>,
    /// Whether it lies deeper in the message, and does not count for it.
    pub(super) is_errant: bool,
}

impl Numbered<'_> {
    /// How good it is.
    pub(super) fn tone(&self) -> Tone {
        match (&self.signature.state, &self.reason) {
            (State::Invalid(_), _) => Tone::Bad,
            (State::Unknown(_), _) | (State::Valid(_), Some(_)) => Tone::Doubt,
            (State::Valid(_), None) => Tone::Good,
        }
    }
}

/// The signatures of a message, those of its envelope first.
pub(super) fn numbered(verdict: &Verdict) -> Vec<Numbered<'_>> {
    let envelope = verdict.signatures().map(|(layer, signature, reason)| (layer, signature, reason, false));
    let errant = verdict.errant().iter().flat_map(|layer| {
        signatures(layer).iter().map(move |signature| (layer, signature, Some(Reason::Errant), true))
    });
    let all = envelope.chain(errant).take(MAX_SIGNATURES).enumerate();
    let numbered = all.map(|(index, (layer, signature, reason, is_errant))| Numbered {
        number: index + 1,
        layer,
        signature,
        reason,
        is_errant,
    });
    numbered.collect()
}

/// The signatures of a layer.
pub(super) fn signatures(layer: &Layer) -> &[Signature] {
    match &layer.kind {
        LayerKind::Signed { signatures } => signatures,
        LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => &[],
    }
}

/// What covers a part of the payload, in words, and how good that is.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    pub(super) tone: Tone,
    pub(super) words: String,
}

/// What covers each part of the payload.
pub(super) struct Coverage<'a> {
    signatures: Vec<Numbered<'a>>,
    /// Layers that lie in the octets of the payload, deeper than its root.
    placed: Vec<&'a Layer>,
}

impl<'a> Coverage<'a> {
    pub(super) fn of(exhibit: &Exhibit<'a>) -> Coverage<'a> {
        let errant = exhibit.report.verdict.errant();
        let placed = exhibit.errant_in_payload.iter().filter_map(|index| errant.get(*index));
        Coverage { signatures: numbered(exhibit.report.verdict), placed: placed.collect() }
    }

    /// The signatures of a layer deeper than the root that is exactly this part, by their numbers.
    pub(super) fn placed_at(&self, span: Span) -> Vec<usize> {
        let is_here = |one: &&Numbered<'_>| {
            one.is_errant && one.layer.span == span && self.placed.iter().any(|placed| std::ptr::eq(*placed, one.layer))
        };
        self.signatures.iter().filter(is_here).map(|one| one.number).collect()
    }

    /// What covers a part of the payload: the signatures of the envelope, and those deeper that have these numbers. A signature around a ciphertext
    /// covers nothing of what is in it.
    pub(super) fn of_part(&self, deeper: &[usize]) -> Vec<Cover> {
        let whole = self.signatures.iter().filter(|one| !one.is_errant && one.reason != Some(Reason::AroundCiphertext));
        let mut covers: Vec<Cover> = whole.map(cover).collect();
        covers.extend(self.signatures.iter().filter(|one| deeper.contains(&one.number)).map(|one| {
            let Cover { tone, words } = cover(one);
            Cover { tone, words: format!("{words}, which does not count for the message") }
        }));
        if covers.is_empty() {
            covers.push(Cover { tone: Tone::Calm, words: "not signed".to_owned() });
        }
        covers
    }
}

fn cover(one: &Numbered<'_>) -> Cover {
    let number = one.number;
    let words = match (&one.signature.state, one.signature.covers) {
        (State::Invalid(_), _) => format!("signature {number} does not hold"),
        (State::Unknown(_), _) => format!("signature {number} cannot be checked"),
        (State::Valid(_), Covers::Part) => format!("signed by signature {number}, with unsigned text beside it"),
        (State::Valid(_), Covers::Whole) => format!("signed by signature {number}"),
    };
    Cover { tone: one.tone(), words }
}

/// Signatures that are shown of one message.
const MAX_SIGNATURES: usize = 40;
