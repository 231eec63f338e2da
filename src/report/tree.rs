//! The tree of parts and layers that `inspect` draws.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::printable;
use crate::mail::Span;

/// One part, or one inline block within a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// `text/plain`, or for an inline block its kind.
    pub content_type: String,
    /// First octet and one past the last, header and body.
    #[serde(serialize_with = "range")]
    pub span: Span,
    /// First octet of the body and one past its last.
    #[serde(serialize_with = "range")]
    pub body: Span,
    /// `pgp signed`, `pgp encrypted`, ... when the structure says so; nothing is verified.
    pub layer: Option<String>,
    /// Charset, file name, transfer encoding, recipients: what helps to recognize it.
    pub notes: Vec<String>,
    /// The parts within.
    pub children: Vec<Tree>,
}

/// The tree with byte ranges, one part a line.
pub fn tree(root: &Tree) -> String {
    let mut out = String::new();
    draw(&mut out, root, "", "", "");
    out
}

fn draw(out: &mut String, node: &Tree, indent: &str, branch: &str, stem: &str) {
    let layer =
        node.layer.as_deref().map(|layer| format!(" {LAYER}[{}]{LAYER:#}", printable(layer))).unwrap_or_default();
    let notes: String = node.notes.iter().map(|note| format!(" {}", printable(note))).collect();
    let Span { start, end } = node.span;
    let _ = writeln!(
        out,
        "{indent}{branch}{}{layer} {DIM}{start}..{end} body {}..{}{DIM:#}{notes}",
        printable(&node.content_type),
        node.body.start,
        node.body.end
    );
    let indent = format!("{indent}{stem}");
    for (index, child) in node.children.iter().enumerate() {
        let (branch, stem) = if index + 1 == node.children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw(out, child, &indent, branch, stem);
    }
}

/// `[start, end]`.
fn range<S: serde::Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
    (span.start, span.end).serialize(serializer)
}

const LAYER: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();
