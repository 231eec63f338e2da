//! The layers of a message as boxes, one in the other.

use super::{
    covered::{Numbered, numbered, signatures},
    exhibit::Exhibit,
    markup::Markup,
    tone::Tone,
};
use crate::verdict::{Layer, LayerKind};

/// The envelope from outside in, with the text in the innermost box, then what lies deeper.
pub(super) fn drawing(out: &mut Markup, exhibit: &Exhibit<'_>) {
    let verdict = exhibit.report.verdict;
    let all = numbered(verdict);
    out.raw("<section>\n<h3>Layers, from the outside in</h3>\n");
    out.raw("<div class=layer>\n<p><strong>The message as it came</strong>");
    if let Some(message) = exhibit.message {
        out.raw(" <span class=dim>").number(message.octets().len() as u64).raw(" octets</span>");
    }
    out.raw("</p>\n");
    let shown = verdict.layers().len().min(MAX_LAYERS);
    for layer in verdict.layers().iter().take(shown) {
        begin(out, layer, &all);
    }
    if verdict.layers().len() > shown {
        out.element("<p class=cut>", &format!("… and {} more layers", verdict.layers().len() - shown), "</p>\n");
    }
    innermost(out, exhibit);
    for _ in 0..shown {
        out.raw("</div>\n");
    }
    out.raw("</div>\n");
    if !verdict.errant().is_empty() {
        out.raw("<p>Deeper in the message; these do not count for it:</p>\n");
        for layer in verdict.errant().iter().take(MAX_LAYERS) {
            begin(out, layer, &all);
            out.raw("</div>\n");
        }
        let more = verdict.errant().len().saturating_sub(MAX_LAYERS);
        if more > 0 {
            out.element("<p class=cut>", &format!("… and {more} more"), "</p>\n");
        }
    }
    out.raw("</section>\n");
}

/// The box of a layer, without its end.
fn begin(out: &mut Markup, layer: &Layer, all: &[Numbered<'_>]) {
    out.raw("<div class=\"layer").raw(tone(layer, all).class()).raw("<p><strong>");
    match &layer.kind {
        LayerKind::Compressed { algorithm } => {
            out.raw("Compressed</strong> ").text(layer.protocol.name()).raw(", ").text(algorithm);
        }
        LayerKind::Encrypted { cipher, authenticated, recipients, quantum_safe } => {
            out.raw("Encrypted</strong> ").text(layer.protocol.name()).raw(", ").text(cipher).raw(", ");
            out.raw(if *authenticated { "changes are detected" } else { "<strong>changes are not detected</strong>" });
            out.raw(if *quantum_safe { ", quantum-safe" } else { "" });
            out.raw("</p>\n<p class=dim>to ").text(&listed(recipients));
        }
        LayerKind::Signed { .. } if signatures(layer).is_empty() => {
            out.raw("Signed</strong> ").text(layer.protocol.name()).raw(", <strong>without a signature</strong>");
        }
        LayerKind::Signed { .. } => {
            out.raw("Signed</strong> ").text(layer.protocol.name());
        }
    }
    out.raw("</p>\n");
    for one in all.iter().filter(|one| std::ptr::eq(one.layer, layer)) {
        out.raw("<p>Signature ").number(one.number as u64).raw(": ").tag(one.tone(), one.signature.state.name());
        out.raw("</p>\n");
    }
}

fn innermost(out: &mut Markup, exhibit: &Exhibit<'_>) {
    out.raw("<div class=\"layer").raw(match exhibit.report.error {
        Some(_) => Tone::Bad.class(),
        None => Tone::Calm.class(),
    });
    match exhibit.report.error {
        Some(error) => out.raw("<p><strong>Not opened</strong> ").text(&error.to_string()),
        None => out.raw("<p><strong>Text</strong> the header fields and parts above"),
    };
    out.raw("</p>\n</div>\n");
}

fn tone(layer: &Layer, all: &[Numbered<'_>]) -> Tone {
    match &layer.kind {
        LayerKind::Compressed { .. } => Tone::Calm,
        LayerKind::Encrypted { authenticated: true, .. } => Tone::Seal,
        LayerKind::Encrypted { authenticated: false, .. } => Tone::Doubt,
        LayerKind::Signed { .. } => {
            let tones = all.iter().filter(|one| std::ptr::eq(one.layer, layer)).map(Numbered::tone);
            // The best of them: one that holds is not weakened by others.
            let best = tones.min_by_key(|tone| match tone {
                Tone::Good => 0,
                Tone::Doubt => 1,
                _ => 2,
            });
            best.unwrap_or(Tone::Bad)
        }
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Boxes in each other.
const MAX_LAYERS: usize = 16;
/// Recipients that are named.
const MAX_NAMES: usize = 12;
