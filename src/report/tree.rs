//! The tree of parts and layers shown by `inspect`.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::printable;
use crate::mail::Span;

/// One part, or one inline block in a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// The content type, or the kind of an inline block.
    pub content_type: String,
    /// The octets of header and body: first, and one after the last.
    #[serde(serialize_with = "range")]
    pub span: Span,
    /// The octets of the body: first, and one after the last.
    #[serde(serialize_with = "range")]
    pub body: Span,
    /// The claimed layer, not verified: `pgp signed`, `pgp encrypted`, ...
    pub layer: Option<String>,
    /// Charset, file name, transfer encoding and recipients.
    pub notes: Vec<String>,
    /// The parts inside.
    pub children: Vec<Tree>,
}

/// The tree as text with byte ranges, one part per line.
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

/// Serializes as `[start, end]`.
fn range<S: serde::Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
    (span.start, span.end).serialize(serializer)
}

const LAYER: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();
