//! The verdict on a message in plain words, before everything else.

use super::{super::Report, markup::Markup, tone::Tone};
use crate::verdict::{Reason, Standing, Verdict, Why};

/// What the reader of a page can do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What it is for, or what comes before it.
    pub purpose: String,
    /// What to type, if it is a command.
    pub command: Option<String>,
    /// What to do instead.
    pub otherwise: Option<String>,
}

/// The verdict with its reason and, where there is one, what to do next.
pub(super) fn banner(out: &mut Markup, report: &Report<'_>, next: Option<&Next>) {
    let (tone, mark, word) = headline(report);
    out.raw("<header class=\"card banner").raw(tone.class());
    out.raw("<p class=file>").text(report.file);
    if let Some(id) = report.id {
        out.raw(", message ").text(id);
    }
    out.raw("</p>\n<h2><span aria-hidden=true>").raw(mark).raw("</span> ").raw(word).raw("</h2>\n");
    out.raw("<p class=plain>");
    plainly(out, report);
    out.raw("</p>\n");
    if let Some(reason) = report.reason() {
        out.element("<p>Reason: ", &reason, ".</p>\n");
    }
    if report.verdict.is_confidential() {
        out.raw(match report.verdict.is_hidden() {
            true => "<p>It came encrypted. <strong>This page shows its decrypted text</strong>: keep the file as private as the message.</p>\n",
            false => "<p>Parts of it came encrypted, with other text beside them. <strong>This page shows decrypted text</strong>: keep the file as private as the message.</p>\n",
        });
    }
    if report.is_malleable() {
        out.raw("<p><strong>Warning:</strong> the encryption does not detect changes, and no valid signature covers the text.</p>\n");
    }
    if let Some(error) = report.error {
        out.element("<p><strong>Stopped:</strong> ", &error.to_string(), ".</p>\n");
    }
    for note in report.notes {
        out.element("<p>Note: ", note, ".</p>\n");
    }
    if let Some(Next { purpose, command, otherwise }) = next {
        out.element("<p class=next>Next: ", purpose, "");
        if let Some(command) = command {
            out.element(":<br><code>", command, "</code>");
        }
        if let Some(otherwise) = otherwise {
            out.element("<br>Or ", otherwise, "");
        }
        out.raw("</p>\n");
    }
    out.raw("</header>\n");
}

/// Tone, mark and word of the verdict.
pub(super) fn headline(report: &Report<'_>) -> (Tone, &'static str, &'static str) {
    let standing = report.verdict.standing();
    match (standing, report.verdict.reason()) {
        (Standing::Authentic, _) => (Tone::Good, "✔", "Authentic"),
        (Standing::Signed, _) => (Tone::of_standing(standing), "◐", "Signed, author not shown"),
        (_, Some(Reason::NotOpened | Reason::NotExamined)) => (Tone::Doubt, "?", "Not opened"),
        (_, Some(Reason::Invalid(_))) => (Tone::Bad, "✘", "The signature does not hold"),
        (_, Some(Reason::Unknown { why: Why::NoKey, .. })) => (Tone::Doubt, "?", "Signed by an unknown key"),
        (_, Some(Reason::NotSigned)) => (Tone::of_standing(standing), "○", "Not signed"),
        _ => (Tone::Doubt, "○", "Not signed as a whole"),
    }
}

/// What the verdict means for a reader.
fn plainly(out: &mut Markup, report: &Report<'_>) {
    let verdict = report.verdict;
    match (verdict.standing(), verdict.reason()) {
        (Standing::Authentic, _) => out
            .raw("<strong>")
            .text(&author(verdict))
            .raw("</strong> signed this message, and nothing in it was changed since."),
        (Standing::Signed, Some(Reason::NoAuthor(_))) => {
            out.raw("It was not changed since it was signed. Its header does not name one author.")
        }
        (Standing::Signed, _) => out
            .raw("It was not changed since it was signed. Nothing shows that <strong>")
            .text(&author(verdict))
            .raw("</strong> signed it."),
        (_, Some(Reason::NotOpened)) => out.raw("It could not be opened, so nothing is known of what is in it."),
        (_, Some(Reason::NotExamined)) => out.raw("It was not examined."),
        (_, Some(Reason::Invalid(Why::Mismatch))) => {
            out.raw("It was changed after it was signed, or the signature is of another message. Do not rely on it.")
        }
        (_, Some(Reason::Invalid(_))) => out.raw("Its signature does not hold. Do not rely on who it says it is from."),
        (_, Some(Reason::Unknown { .. })) => {
            out.raw("It carries a signature that cannot be checked here. Until then anyone may have written it.")
        }
        (_, Some(Reason::NotSigned)) => out.raw("Anyone may have written it, whatever its From says."),
        _ => {
            out.raw("No signature covers the whole message. Anyone may have written the rest, whatever its From says.")
        }
    };
}

fn author(verdict: &Verdict) -> String {
    verdict.author().map_or_else(|_| "the author".to_owned(), ToString::to_string)
}
