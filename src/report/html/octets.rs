//! The message as the octets that it came as.

use super::{exhibit::Exhibit, markup::Markup};
use crate::mail::{Message, Part};

/// Each part of the message as it came, and of what was decrypted.
pub(super) fn section(out: &mut Markup, exhibit: &Exhibit<'_>) {
    let Some(message) = exhibit.message else { return };
    out.raw("<section>\n<h3>The message as octets</h3>\n");
    out.raw("<p class=dim>ASCII is shown as it is, every other octet by its number. Long parts are cut.</p>\n");
    out.raw("<details>\n<summary>As it came</summary>\n");
    parts(out, message, exhibit.signed_here());
    out.raw("</details>\n");
    if let Some(payload) = exhibit.payload.filter(|payload| !payload.shares_octets(message)) {
        out.raw("<details>\n<summary>What the layers held</summary>\n");
        parts(out, payload, Some(payload));
        out.raw("</details>\n");
    }
    out.raw("</section>\n");
}

/// The parts of `message`; those that lie in `signed` are said to.
fn parts(out: &mut Markup, message: &Message, signed: Option<&Message>) {
    let mut left = MAX_PARTS;
    walk(out, message.root(), signed, "1", &mut left);
    if left == 0 {
        out.raw("<p class=cut>… more parts are left out</p>\n");
    }
}

fn walk(out: &mut Markup, part: Part<'_>, payload: Option<&Message>, number: &str, left: &mut usize) {
    let Some(rest) = left.checked_sub(1).filter(|rest| *rest > 0) else { return };
    *left = rest;
    let span = part.span();
    out.element("<p><strong>Part ", number, "</strong> <span class=dim>octets ");
    out.number(span.start as u64).raw(" to ").number(span.end as u64).raw("</span> ");
    let is_inside = payload.is_some_and(|payload| {
        let whole = payload.root().span();
        span.start >= whole.start && span.end <= whole.end
    });
    if payload.is_some() {
        out.raw(if is_inside { "within what the layers cover" } else { "outside of what the layers cover" });
    }
    out.raw("</p>\n<pre>");
    excerpt(out, part.header_octets(), MAX_HEADER);
    if part.children().len() == 0 {
        out.raw("\n");
        excerpt(out, part.body(), MAX_BODY);
    }
    out.raw("</pre>\n");
    for (index, child) in part.children().enumerate() {
        walk(out, child, payload, &format!("{number}.{}", index + 1), left);
    }
}

fn excerpt(out: &mut Markup, octets: &[u8], most: usize) {
    out.octets(octets.get(..most).unwrap_or(octets));
    let more = octets.len().saturating_sub(most);
    if more > 0 {
        out.raw("<i class=cut> … ").number(more as u64).raw(" more octets</i>\n");
    }
}

/// Parts, one more than are shown.
const MAX_PARTS: usize = 41;
/// Octets of the header of one part.
const MAX_HEADER: usize = 16 * 1024;
/// Octets of the body of one part.
const MAX_BODY: usize = 8 * 1024;
