//! The message as a reader of mail shows it: header fields and parts, decoded, with what covers each of them.

use super::{
    covered::{Cover, Coverage},
    exhibit::Exhibit,
    markup::{LeftOut, Markup},
    tone::Tone,
};
use crate::{
    mail::{
        Part,
        encoding::decode_words,
        header::ContentType,
        header_protection::{HeaderField, Protection},
    },
    report::Report,
    verdict::Standing,
};

/// Fields, then parts.
pub(super) fn section(out: &mut Markup, exhibit: &Exhibit<'_>) {
    out.raw("<section>\n<h3>The message as a reader shows it</h3>\n");
    fields(out, &exhibit.report);
    if let Some(payload) = exhibit.payload {
        let coverage = Coverage::of(exhibit);
        let mut left = MAX_PARTS;
        part(out, payload.root(), &coverage, &[], "1", &mut left);
        if left == 0 {
            out.raw("<p class=cut>… more parts are left out</p>\n");
        }
    }
    out.raw("</section>\n");
}

/// The header fields with the protection of each; those that people look at first.
pub(super) fn fields(out: &mut Markup, report: &Report<'_>) {
    let is_first = |field: &&HeaderField| FIRST.iter().any(|name| field.name.eq_ignore_ascii_case(name));
    let first = FIRST.iter().filter_map(|name| report.header.field(name));
    table(out, first, report);
    let others: Vec<&HeaderField> = report.header.fields().filter(|field| !is_first(field)).collect();
    if others.is_empty() {
        return;
    }
    out.raw("<details>\n<summary>Other header fields (").number(others.len() as u64).raw(")</summary>\n");
    table(out, others.iter().take(MAX_FIELDS).copied(), report);
    if others.len() > MAX_FIELDS {
        out.raw("<p class=cut>… ").number((others.len() - MAX_FIELDS) as u64).raw(" more fields</p>\n");
    }
    out.raw("</details>\n");
}

fn table<'a>(out: &mut Markup, fields: impl Iterator<Item = &'a HeaderField>, report: &Report<'_>) {
    out.raw("<table class=fields>\n");
    for field in fields {
        out.element("<tr><th scope=row>", &field.name, "</th><td>").text(&field.value);
        if let Some(outside) = &field.outside {
            out.raw("<br><span class=dim>outside the protected part it is: ").text(outside).raw("</span>");
        }
        let (tone, words) = protection(field, report.verdict.standing());
        out.raw("</td><td>").tag(tone, words).raw("</td></tr>\n");
    }
    out.raw("</table>\n");
}

fn protection(field: &HeaderField, standing: Standing) -> (Tone, &'static str) {
    match field.protection {
        Protection::Encrypted => (Tone::Seal, "encrypted, not signed"),
        Protection::Signed => (Tone::of_standing(standing), "signed"),
        Protection::SignedAndEncrypted => (Tone::of_standing(standing), "signed and encrypted"),
        Protection::Unprotected => (Tone::Calm, "not signed"),
    }
}

/// A part with those in it. `around` are the signatures deeper than the root of the message that cover it.
fn part(out: &mut Markup, part: Part<'_>, coverage: &Coverage<'_>, around: &[usize], number: &str, left: &mut usize) {
    let Some(rest) = left.checked_sub(1).filter(|rest| *rest > 0) else { return };
    *left = rest;
    let own = coverage.placed_at(part.span());
    let is_multipart = part.children().len() > 0;
    // Of a multipart/signed, the first part is what is signed (RFC 1847, section 2.1).
    let covering: Vec<usize> = around.iter().chain(own.iter().filter(|_| !is_multipart)).copied().collect();
    let covers = coverage.of_part(&covering);
    let tone = covers.first().map_or(Tone::Calm, |cover| cover.tone);
    out.raw("<div class=\"part").raw(tone.class()).raw("<p class=what>");
    what(out, part, number, &covers);
    out.raw("</p>\n");
    let kind = part.content_type();
    if !is_multipart {
        match (kind.kind.as_str(), kind.subtype.as_str()) {
            _ if is_attachment(part) => {}
            ("text", "html") => {
                out.raw("<details>\n<summary>HTML source; it is not rendered here</summary>\n");
                text(out, part);
                out.raw("</details>\n");
            }
            ("text" | "message", _) => text(out, part),
            _ => {}
        }
    }
    for (index, child) in part.children().enumerate() {
        let first: &[usize] = if index == 0 { &own } else { &[] };
        let around: Vec<usize> = around.iter().chain(first).copied().collect();
        self::part(out, child, coverage, &around, &format!("{number}.{}", index + 1), left);
    }
    out.raw("</div>\n");
}

/// Number, type, name and size of a part, and what covers it.
fn what(out: &mut Markup, part: Part<'_>, number: &str, covers: &[Cover]) {
    let kind = part.content_type();
    out.element("<strong>Part ", number, "</strong> ").element(
        "<code>",
        &format!("{}/{}", kind.kind, kind.subtype),
        "</code> ",
    );
    if let Some(name) = file_name(part) {
        out.element("file ", &name, " ");
    }
    if part.children().len() == 0 {
        out.raw("<span class=dim>").number(part.body().len() as u64).raw(" octets as sent</span> ");
    }
    for cover in covers.iter().take(MAX_COVERS) {
        out.tag(cover.tone, &cover.words);
    }
    if covers.len() > MAX_COVERS {
        out.element("<span class=cut>", &format!("and {} more signatures", covers.len() - MAX_COVERS), "</span>");
    }
}

fn text(out: &mut Markup, part: Part<'_>) {
    out.raw("<pre dir=auto>");
    let LeftOut(more) = out.lines(&part.text(), MAX_TEXT);
    out.raw("</pre>\n");
    if more > 0 {
        out.raw("<p class=cut>… ").number(more as u64).raw(" more characters</p>\n");
    }
}

fn disposition(part: Part<'_>) -> Option<ContentType> {
    part.header("Content-Disposition").map(|value| ContentType::parse(&value))
}

fn is_attachment(part: Part<'_>) -> bool {
    part.header("Content-Disposition")
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("attachment"))
}

fn file_name(part: Part<'_>) -> Option<String> {
    let disposition = disposition(part);
    let name = disposition.as_ref().and_then(|one| one.parameter("filename"));
    name.or_else(|| part.content_type().parameter("name")).map(decode_words)
}

/// What people look at first.
const FIRST: [&str; 6] = ["From", "To", "Cc", "Reply-To", "Date", "Subject"];
/// Other header fields.
const MAX_FIELDS: usize = 60;
/// Parts of one message, one more than are shown.
const MAX_PARTS: usize = 41;
/// Signatures that are named at one part.
const MAX_COVERS: usize = 4;
/// Characters of one part. Source: a letter of ten pages.
const MAX_TEXT: usize = 32 * 1024;
