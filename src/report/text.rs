//! The verdict as text: a headline, then the layers as a tree.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::Report;
use crate::{
    base::{printable, rfc3339},
    mail::header_protection::{HeaderField, Protection},
    verdict::{Covers, Layer, LayerKind, Reason, Signature, Standing, State},
};

/// The report with ANSI colours. The caller strips them if the output is not a terminal.
pub fn text(report: &Report<'_>) -> String {
    let mut out = String::new();
    let standing = report.verdict.standing();
    let style = standing_style(standing);
    let _ = writeln!(out, "{}: {style}{}{style:#}{}", printable(report.file), standing.name(), remark(report));
    let _ = match report.verdict.author() {
        Ok(author) => writeln!(out, "  author   {}", printable(&author.to_string())),
        Err(why) => writeln!(out, "  author   none ({})", printable(&why.to_string())),
    };
    if let Some(reason) = report.verdict.reason().filter(|reason| !matches!(reason, Reason::NoAuthor(_))) {
        let _ = writeln!(out, "  reason   {}", printable(&reason.to_string()));
    }
    for (label, name) in [("to", "To"), ("cc", "Cc"), ("date", "Date"), ("subject", "Subject")] {
        // Without a protected header, the subject is enough to identify the message.
        if let Some(field) = report.header.field(name).filter(|field| field.is_inner || name == "Subject") {
            let _ = writeln!(out, "  {label:<8} {} ({})", printable(&field.value), coverage(field));
        }
    }
    draw(&mut out, report.verdict.layers());
    if report.is_malleable() {
        let _ = writeln!(
            out,
            "  {BAD}warning{BAD:#}  the encryption does not detect changes, and no valid signature covers the text"
        );
    }
    if !report.verdict.errant().is_empty() {
        let _ = writeln!(out, "  {DIM}deeper in the message, not counted:{DIM:#}");
        for layer in report.verdict.errant() {
            draw(&mut out, std::slice::from_ref(layer));
        }
    }
    if !report.within.is_empty() {
        let _ = writeln!(out, "  {DIM}messages in it, each judged by itself; they say nothing about this one:{DIM:#}");
        for line in report.within.iter().map(text).collect::<String>().lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
    for note in report.notes {
        let _ = writeln!(out, "  note     {}", printable(note));
    }
    if let Some(error) = report.error {
        let _ = writeln!(out, "  {BAD}stopped{BAD:#}  {}", printable(&error.to_string()));
    }
    out
}

fn remark(report: &Report<'_>) -> &'static str {
    if report.verdict.is_hidden() { " (confidential)" } else { "" }
}

/// The protection of a field, and its outer value if that differs.
fn coverage(field: &HeaderField) -> String {
    let words = match field.protection {
        Protection::Encrypted => "encrypted, not signed",
        Protection::Signed => "signed",
        Protection::SignedAndEncrypted => "signed and encrypted",
        Protection::Unprotected => "not signed",
    };
    match &field.outside {
        Some(outside) => format!("{words}; outside it is {DOUBT}{}{DOUBT:#}", printable(&format!("{outside:?}"))),
        None => words.to_owned(),
    }
}

fn draw(out: &mut String, layers: &[Layer]) {
    for (depth, layer) in layers.iter().enumerate() {
        let indent = "   ".repeat(depth);
        let _ = writeln!(out, "  {indent}└─ {}", layer_line(layer));
        if let LayerKind::Signed { signatures } = &layer.kind {
            for (index, signature) in signatures.iter().enumerate() {
                // The inner layer is drawn at the same branch.
                let is_last = index + 1 == signatures.len() && depth + 1 == layers.len();
                let (branch, stem) = if is_last { ("└─", "  ") } else { ("├─", "│ ") };
                let _ = writeln!(out, "  {indent}   {branch} {}", signature_line(signature));
                for detail in signature_details(signature) {
                    let _ = writeln!(out, "  {indent}   {stem}   {detail}");
                }
            }
        }
    }
}

fn layer_line(layer: &Layer) -> String {
    let protocol = layer.protocol.name();
    match &layer.kind {
        LayerKind::Compressed { algorithm } => format!("compressed {protocol} {algorithm}"),
        LayerKind::Encrypted { cipher, authenticated, recipients, quantum_safe } => {
            let integrity =
                if *authenticated { "authenticated".to_owned() } else { format!("{BAD}not authenticated{BAD:#}") };
            let to: Vec<String> = recipients.iter().map(|one| printable(one)).collect();
            let quantum = if *quantum_safe { " quantum-safe" } else { "" };
            format!("encrypted {protocol} {} {integrity}{quantum}, to {}", printable(cipher), to.join(", "))
        }
        LayerKind::Signed { signatures } if signatures.is_empty() => {
            format!("signed {protocol} {BAD}without a signature{BAD:#}")
        }
        LayerKind::Signed { .. } => format!("signed {protocol}"),
    }
}

fn signature_line(signature: &Signature) -> String {
    let (style, why) = match &signature.state {
        State::Invalid(why) => (BAD, Some(why)),
        State::Unknown(why) => (DOUBT, Some(why)),
        State::Valid(_) if signature.reservation.is_some() => (DOUBT, signature.reservation.as_ref()),
        State::Valid(_) => (GOOD, None),
    };
    let link = if matches!(signature.state, State::Valid(_)) { ", but" } else { ":" };
    let reason = why.map(|why| format!("{link} {}", printable(&why.to_string()))).unwrap_or_default();
    let part = match signature.covers {
        Covers::Part => ", covers only a part",
        Covers::Whole => "",
    };
    format!("{style}{}{style:#}{reason}{part}", signature.state.name())
}

fn signature_details(signature: &Signature) -> Vec<String> {
    let mut details = Vec::new();
    if let Some(signer) = &signature.signer {
        details.push(format!("by {}", printable(signer)));
    }
    if !signature.authenticated.is_empty() {
        let addresses: Vec<String> =
            signature.authenticated.iter().map(|one| printable(&one.address().to_string())).collect();
        details.push(format!("for {}", addresses.join(", ")));
    } else if !signature.claimed.is_empty() {
        let claimed: Vec<String> = signature.claimed.iter().map(|one| printable(&one.to_string())).collect();
        details.push(format!("{DIM}claims {}, unchecked{DIM:#}", claimed.join(", ")));
    }
    let at = signature.at.map(|at| format!(", {}", rfc3339(at))).unwrap_or_default();
    let quantum = if signature.quantum_safe { ", quantum-safe" } else { "" };
    let (algorithms, strength) = (printable(&signature.algorithms), signature.strength.name());
    details.push(format!("{DIM}{algorithms} ({strength}{quantum}){at}{DIM:#}"));
    details.extend(signature.notes.iter().map(|note| format!("{DIM}{}{DIM:#}", printable(note))));
    details
}

fn standing_style(standing: Standing) -> Style {
    match standing {
        Standing::Unsigned => BAD,
        Standing::Signed => DOUBT,
        Standing::Authentic => GOOD,
    }
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
