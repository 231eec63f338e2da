//! The keys and certificates of the signatures as a tree: what issued what.

use super::{markup::Markup, tone::Tone};

/// A key or certificate, for display. All text in it may come from a message.
#[derive(Clone, Debug)]
pub struct KeyNode {
    /// Its name: a subject, a user ID, a fingerprint.
    pub title: String,
    /// What it is in the tree, in a word or two: `trust anchor`, `issuer`, `signer`, `subkey`.
    pub role: String,
    /// How good it is.
    pub tone: Tone,
    /// Its state in words: `valid until 2027-01-01`, `expired`.
    pub state: String,
    /// What else is known, each with its label: `Issuer`, `Key`, `Fingerprint`.
    pub facts: Vec<(&'static str, String)>,
    /// What it issued, or the keys in it.
    pub below: Vec<KeyNode>,
}

/// The trees.
pub(super) fn section(out: &mut Markup, keys: &[KeyNode]) {
    if keys.is_empty() {
        return;
    }
    out.raw("<section>\n<h3>Keys and certificates</h3>\n");
    let mut left = MAX_NODES;
    for key in keys {
        out.raw("<div class=card>\n");
        level(out, std::slice::from_ref(key), &mut left);
        out.raw("</div>\n");
    }
    if left == 0 {
        out.raw("<p class=cut>… more are left out</p>\n");
    }
    out.raw("</section>\n");
}

fn level(out: &mut Markup, keys: &[KeyNode], left: &mut usize) {
    out.raw("<ul class=tree>\n");
    for key in keys {
        let Some(rest) = left.checked_sub(1) else { break };
        *left = rest;
        out.element("<li><strong>", &key.title, "</strong> ").element("<span class=dim>", &key.role, "</span> ");
        out.tag(key.tone, &key.state).raw("\n<dl>\n");
        for (label, value) in key.facts.iter().take(MAX_FACTS) {
            out.raw("<dt>").raw(label).element("</dt><dd>", value, "</dd>\n");
        }
        out.raw("</dl>\n");
        if !key.below.is_empty() {
            level(out, &key.below, left);
        }
        out.raw("</li>\n");
    }
    out.raw("</ul>\n");
}

/// Keys and certificates of one message.
const MAX_NODES: usize = 40;
/// Facts of one of them.
const MAX_FACTS: usize = 16;
