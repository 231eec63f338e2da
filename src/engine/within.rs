//! Messages that lie in another one: forwarded as attachments, in digests, in bounces.

use super::{Engine, Opening};
use crate::{
    base::Budget,
    keys::Snapshot,
    mail::{Message, Part, Span},
    report::Report,
};

/// A message that lies in another one, judged by itself. It says nothing about the one around it.
#[derive(Debug)]
pub struct Within {
    /// Where it lies, in words: the octets of the payload of the one around it.
    pub place: String,
    /// What is to be thought of it.
    pub opening: Opening,
}

impl Within {
    /// The report on it, by its place.
    pub fn report(&self) -> Report<'_> {
        self.opening.report(&self.place)
    }
}

impl Opening {
    /// The report on it, called `file`, without the messages in it.
    pub fn report<'a>(&'a self, file: &'a str) -> Report<'a> {
        Report {
            file,
            id: None,
            verdict: self.verdict(),
            header: self.header(),
            notes: self.notes(),
            error: self.error(),
            within: &[],
        }
    }
}

impl Engine<'_> {
    /// The messages in the payload of `opening` that are signed or encrypted, in their order, those within one of them after it. When the
    /// Budget allows no more of them, the rest is left out.
    pub fn within(&self, opening: &Opening) -> Vec<Within> {
        let Some(payload) = opening.payload() else { return Vec::new() };
        let mut budget = Budget::of_message(self.limits.clone(), payload.octets().len());
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        let mut found = Vec::new();
        self.with_keys(&keys).gather_within(payload.root(), None, &mut found, &mut budget);
        found
    }

    /// `at` is where `part` lies, when it is in a message that was itself opened.
    fn gather_within(&self, part: Part<'_>, at: Option<Span>, found: &mut Vec<Within>, budget: &mut Budget) {
        let kind = part.content_type();
        if !kind.is("message", "rfc822") && !kind.is("message", "global") {
            return part.children().for_each(|child| self.gather_within(child, at, found, budget));
        }
        let message = match part.children().next() {
            Some(child) => child.as_message(),
            None => match Message::parse(part.decoded().into_owned(), budget) {
                Ok(message) => message,
                Err(_) => return,
            },
        };
        if budget.errant().is_err() {
            return;
        }
        let span = at.unwrap_or(part.body_span());
        let Ok(opening) = self.open_within(message, budget) else { return };
        let mut deeper = Vec::new();
        if let Some(payload) = opening.payload() {
            // Spans of what was decrypted mean nothing outside.
            let at = at.or_else(|| (!opening.verdict().layers().is_empty()).then_some(span));
            self.gather_within(payload.root(), at, &mut deeper, budget);
        }
        if !opening.verdict().layers().is_empty() || opening.error().is_some() {
            let place = format!("message at {}..{}", span.start, span.end);
            found.push(Within { place, opening });
        }
        found.extend(deeper);
    }
}
