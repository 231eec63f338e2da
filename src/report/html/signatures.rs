//! Each signature with what it says, what it covers, and why it counts or not.

use super::{covered::Numbered, markup::Markup};
use crate::{
    base::rfc3339,
    verdict::{Covers, State},
};

/// One card for each signature.
pub(super) fn cards(out: &mut Markup, all: &[Numbered<'_>]) {
    if all.is_empty() {
        return;
    }
    out.raw("<section>\n<h3>Signatures</h3>\n");
    all.iter().for_each(|one| card(out, one));
    out.raw("</section>\n");
}

fn card(out: &mut Markup, one: &Numbered<'_>) {
    let signature = one.signature;
    out.raw("<div class=card>\n<h4>Signature ")
        .number(one.number as u64)
        .raw(" ")
        .tag(one.tone(), signature.state.name());
    out.raw("</h4>\n<dl>\n");
    let why = match &signature.state {
        State::Invalid(why) | State::Unknown(why) => Some(why),
        State::Valid(_) => signature.reservation.as_ref(),
    };
    let effect = match (&one.reason, one.is_errant) {
        (None, _) => "it makes the message authentic".to_owned(),
        (Some(_), true) => "it lies deeper in the message, and does not count for it".to_owned(),
        (Some(reason), false) => format!("the message is not authentic by it: {reason}"),
    };
    let covers = match (one.is_errant, signature.covers) {
        (true, _) => "a part within the message",
        (false, Covers::Part) => "a part of the message; there is unsigned text beside it",
        (false, Covers::Whole) => "the whole payload",
    };
    let joined =
        |addresses: &mut dyn Iterator<Item = String>| addresses.take(MAX_ADDRESSES).collect::<Vec<_>>().join(", ");
    let quantum = if signature.quantum_safe { ", quantum-safe" } else { "" };
    let facts = [
        ("<dt>Effect", Some(effect)),
        ("<dt>Check", why.map(ToString::to_string)),
        ("<dt>Covers", Some(covers.to_owned())),
        ("<dt>Key", signature.signer.clone()),
        ("<dt>Key of", Some(joined(&mut signature.authenticated.iter().map(|one| one.address().to_string())))),
        ("<dt>Key claims", Some(joined(&mut signature.claimed.iter().map(|one| format!("{one} (unchecked)"))))),
        ("<dt>Algorithms", Some(format!("{} ({}{quantum})", signature.algorithms, signature.strength.name()))),
        ("<dt>Made", signature.at.map(|at| format!("{}, as it says itself", rfc3339(at)))),
    ];
    let claims_nothing_new = !signature.authenticated.is_empty();
    for (label, value) in facts {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        if label == "<dt>Key claims" && claims_nothing_new {
            continue;
        }
        out.raw(label).element("</dt><dd>", &value, "</dd>\n");
    }
    for note in signature.notes.iter().take(MAX_NOTES) {
        out.element("<dt>Note</dt><dd>", note, "</dd>\n");
    }
    out.raw("</dl>\n</div>\n");
}

/// Addresses that are named.
const MAX_ADDRESSES: usize = 8;
/// Notes on one signature.
const MAX_NOTES: usize = 8;
