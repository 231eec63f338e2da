//! The structure of a message, without keys and without cryptography.

use super::Engine;
use crate::{
    mail::{Message, Part, encoding::decode_words},
    report::Tree,
};

impl Engine<'_> {
    /// The tree of parts, with what each says it is.
    pub fn inspect(&self, message: &Message) -> Tree {
        self.node(message.root())
    }

    fn node(&self, part: Part<'_>) -> Tree {
        let kind = part.content_type();
        let claim = self.claim(part).map(|(_, claim)| claim);
        let layer = claim.as_ref().filter(|claim| claim.is_whole(part)).map(|claim| claim.words());
        let mut children: Vec<Tree> = part.children().map(|child| self.node(child)).collect();
        if let Some(claim) = claim.filter(|claim| !claim.is_whole(part)) {
            children.push(Tree {
                content_type: "inline block".to_owned(),
                span: claim.span,
                body: claim.span,
                layer: Some(claim.words()),
                notes: Vec::new(),
                children: Vec::new(),
            });
        }
        Tree {
            content_type: format!("{}/{}", kind.kind, kind.subtype),
            span: part.span(),
            body: part.body_span(),
            layer,
            notes: notes(part),
            children,
        }
    }
}

fn notes(part: Part<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let kind = part.content_type();
    if let Some(charset) = kind.parameter("charset") {
        notes.push(charset.to_owned());
    }
    if part.header("Content-Transfer-Encoding").is_some() {
        notes.push(part.transfer_encoding());
    }
    let disposition = part.header("Content-Disposition").map(|value| crate::mail::header::ContentType::parse(&value));
    let name = disposition.as_ref().and_then(|one| one.parameter("filename")).or_else(|| kind.parameter("name"));
    if let Some(name) = name {
        notes.push(format!("{:?}", decode_words(name)));
    }
    if kind.kind == "multipart" && !part.is_closed() {
        notes.push("(final boundary missing)".to_owned());
    }
    notes
}
