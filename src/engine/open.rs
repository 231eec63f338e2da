//! Steps 1 and 2 of the corridor: peel the layers from the root, then judge.

use std::collections::BTreeMap;

use memchr::memmem;

use super::Engine;
use crate::{
    base::{Budget, Error, Kind, Result},
    mail::{Address, Message, Part, ambiguity, header, protect, protect::Protection},
    protocol::{Claim, ClaimKind, Protocol},
    verdict::{Layer, LayerKind, Verdict},
};

/// A message opened as far as it goes, and what is to be thought of it. Whole or nothing: while a layer has not passed its
/// last check, nothing of its payload is here.
#[derive(Debug)]
pub struct Opening {
    pub(super) verdict: Verdict,
    pub(super) outer: Message,
    pub(super) payload: Option<Message>,
    pub(super) headers: BTreeMap<String, Protection>,
    pub(super) subject: Option<String>,
    pub(super) error: Option<Error>,
    /// That is because of what anybody can see to be over the bounds: nothing was decrypted to find it.
    pub(super) is_over_bounds: bool,
}

impl Opening {
    /// The layers and who vouches for what.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The header of the message as it came, with an empty body.
    pub fn outer(&self) -> &Message {
        &self.outer
    }

    /// The Cryptographic Payload (RFC 9787, section 4.5); the message itself when there is no layer. `None` when peeling stopped.
    pub fn payload(&self) -> Option<&Message> {
        self.payload.as_ref()
    }

    /// What became of each header field (RFC 9788).
    pub fn headers(&self) -> &BTreeMap<String, Protection> {
        &self.headers
    }

    /// The subject that a reader should see, decoded.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Why peeling stopped before the payload, if it did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

impl Engine<'_> {
    /// Peels layers while the root is one, and judges. A layer that cannot be opened ends the peeling and is the
    /// [`Opening::error`]; only a message that cannot even be parsed within the Budget is an `Err`.
    pub fn open(&self, message: Message) -> Result<Opening> {
        let mut budget = Budget::of_message(self.limits.clone(), message.octets().len());
        self.open_within(message, &mut budget)
    }

    /// [`Engine::open`] within what is left of a Budget: the same message may be opened by the keys of one reader after the other.
    pub(super) fn open_within(&self, message: Message, budget: &mut Budget) -> Result<Opening> {
        let outer = header_alone(&message, budget)?;
        let mut envelope = Envelope::default();
        let mut errant = Vec::new();
        let (payload, error) = match self.peel(message, &mut envelope, budget) {
            Ok((payload, claimed)) => {
                self.walk(payload.root(), claimed, &mut errant, budget);
                (Some(payload), None)
            }
            Err(error) => (None, Some(error)),
        };
        let Envelope { layers, ambiguous, is_over_bounds } = envelope;
        let sealed = !layers.is_empty();
        let inner = payload.as_ref().filter(|_| sealed);
        let headers = inner.map(|inner| protect::compare(outer.root(), inner.root())).unwrap_or_default();
        let subject = match inner {
            Some(inner) => protect::shown(outer.root(), inner.root(), "Subject"),
            None => outer.root().fields().find(|field| field.is("Subject")).map(|field| field.decoded()),
        };
        let author = header::author(outer.root())
            .filter(|author| !ambiguous && !inner.is_some_and(|inner| contradicts(inner, author, &headers)));
        let verdict = Verdict::new(author, layers, errant, self.context.legacy);
        Ok(Opening { verdict, outer, payload, headers, subject, error, is_over_bounds })
    }

    /// The payload, and what a part of its root claims to be: who makes a claim for the whole root is peeled.
    fn peel(&self, message: Message, envelope: &mut Envelope, budget: &mut Budget) -> Result<(Message, Claimed<'_>)> {
        let mut current = message;
        loop {
            let root = current.root();
            let (protocol, claim) = match self.claim(root) {
                Some((protocol, claim)) if claim.is_whole(root) => (protocol, claim),
                claimed => return Ok((current, Claimed(claimed))),
            };
            budget.layer()?;
            // Also below the first: whoever encrypted a signed message wrote the header around the signature.
            envelope.ambiguous |= ambiguity::is_ambiguous(root);
            // multipart/signed is opened without a key. Of what is encrypted nobody is told what is in it.
            let hides = |layer: &Layer| matches!(layer.kind, LayerKind::Encrypted { .. });
            let is_clear = root.content_type().is("multipart", "signed") && !envelope.layers.iter().any(hides);
            let opened = protocol.open(current, &claim, self.context, budget);
            envelope.is_over_bounds = is_clear && opened.as_ref().is_err_and(Error::is_over_budget);
            let opened = opened?;
            envelope.layers.extend(opened.layers);
            current = opened.payload;
        }
    }

    /// Records layers at or below `part`. Nothing that goes wrong with one of them says anything about the message.
    fn walk(&self, part: Part<'_>, claimed: Claimed<'_>, errant: &mut Vec<Layer>, budget: &mut Budget) {
        match claimed.0 {
            Some((protocol, claim)) if claim.is_whole(part) => {
                self.errant(protocol, &claim, part.as_message(), errant, budget);
            }
            Some(_) => self.walk_text(part.plain(), errant, budget),
            None => part.children().for_each(|child| self.walk(child, Claimed(self.claim(child)), errant, budget)),
        }
    }

    /// Records the blocks that stand one after the other in a text. What follows a block is looked at where it lies.
    fn walk_text(&self, mut text: Message, errant: &mut Vec<Layer>, budget: &mut Budget) {
        while let Some((protocol, claim)) = self.claim(text.root()) {
            let rest = (!claim.is_whole(text.root())).then(|| text.text_from(claim.span.end));
            if !self.errant(protocol, &claim, text, errant, budget) {
                return;
            }
            match rest {
                Some(rest) => text = rest,
                None => return,
            }
        }
    }

    /// Opens one claim below the root, and records what is in it. False when the Budget allows no more of them.
    fn errant(
        &self,
        protocol: &dyn Protocol,
        claim: &Claim,
        message: Message,
        errant: &mut Vec<Layer>,
        budget: &mut Budget,
    ) -> bool {
        if budget.errant().is_err() {
            return false;
        }
        match protocol.open(message, claim, self.context, budget) {
            Ok(opened) => {
                errant.extend(opened.layers);
                if budget.layer().is_ok() {
                    let root = opened.payload.root();
                    self.walk(root, Claimed(self.claim(root)), errant, budget);
                }
            }
            Err(error) => errant.extend(unopened(claim.kind, claim.protocol, claim.span, &error)),
        }
        true
    }
}

/// What a part claims to be, and who can open it.
struct Claimed<'a>(Option<(&'a dyn Protocol, Claim)>);

/// What was peeled off.
#[derive(Default)]
struct Envelope {
    layers: Vec<Layer>,
    /// One of them lay in a body that another reader of mail may take apart otherwise.
    ambiguous: bool,
    /// [`Opening::is_over_bounds`].
    is_over_bounds: bool,
}

/// An errant encrypted layer that nobody here can open is still a fact worth reporting.
fn unopened(
    kind: ClaimKind,
    protocol: crate::keys::ProtocolName,
    span: crate::mail::Span,
    error: &Error,
) -> Option<Layer> {
    let encrypted = matches!(kind, ClaimKind::Encrypted | ClaimKind::Inline) && error.kind() == Kind::NoKey;
    encrypted.then(|| Layer {
        protocol,
        kind: LayerKind::Encrypted { cipher: "unknown".to_owned(), authenticated: false, recipients: Vec::new() },
        span,
    })
}

/// A From that says one thing outside and another inside names nobody, even when the sender says that he meant it (HP-Outer): one of
/// the two is shown, and either may be.
fn contradicts(payload: &Message, author: &Address, headers: &BTreeMap<String, Protection>) -> bool {
    let differs = headers.iter().any(|(name, how)| name.eq_ignore_ascii_case("From") && *how != Protection::Protected);
    let inside = protect::protected(payload.root()).any(|field| field.is("From"));
    inside && (differs || header::author(payload.root()).as_ref() != Some(author))
}

/// The header section as a message with an empty body: it stays when the message is consumed.
fn header_alone(message: &Message, budget: &mut Budget) -> Result<Message> {
    let mut octets = message.root().header_octets().to_vec();
    let crlf = memmem::find(&octets, b"\r\n").is_some();
    octets.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    Message::parse(octets, budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn contradicted(outer: &str, payload: &str) -> bool {
        let (outer, payload) = (parse(outer), parse(payload));
        let author = header::author(outer.root()).unwrap();
        contradicts(&payload, &author, &protect::compare(outer.root(), payload.root()))
    }

    #[test]
    fn a_from_inside_that_is_another_names_nobody() {
        let outer = "From: Eve <eve@x.org>\n\n";
        for (payload, is_contradicted) in [
            ("From: Eve <eve@x.org>\nContent-Type: text/plain; hp=clear\n\n", false),
            ("Content-Type: text/plain; hp=clear\n\n", false),
            ("From: alice@x.org\nContent-Type: text/plain\n\n", false),
            ("From: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: alice@x.org\nHP-Outer: From: Eve <eve@x.org>\nContent-Type: text/plain; hp=cipher\n\n", true),
            ("From: alice@x.org\nContent-Type: text/plain; protected-headers=v1\n\n", true),
            ("From: Eve <eve@x.org>\nFrom: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: Eve <eve@x.org>\rFrom: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: =?utf-8?q?Eve_=3Ceve=40x.org=3E?=\nContent-Type: text/plain; hp=clear\n\n", true),
        ] {
            assert_eq!(contradicted(outer, payload), is_contradicted, "{payload:?}");
        }
    }
}
