//! Steps 1 and 2 of the pipeline: peel the layers from the root, then judge.

use memchr::memmem;

use super::{Engine, notes};
use crate::{
    base::{Budget, Error, Result},
    keys::Snapshot,
    mail::{
        Address, Message, NoAuthor, Part,
        header_protection::{Header, author},
        skeleton::{self, Deviation},
    },
    protocol::{Claim, ClaimKind, Protocol, blurred},
    verdict::{Covers, Layer, LayerKind, Reached, Standing, State, Verdict, Why},
};

/// A message opened as far as it goes, and what is to be thought of it. Whole or nothing: while a layer has not passed its
/// last check, nothing of its payload is here.
#[derive(Debug)]
pub struct Opening {
    pub(super) verdict: Verdict,
    pub(super) outer: Message,
    pub(super) payload: Option<Message>,
    pub(super) header: Header,
    pub(super) error: Option<Error>,
    pub(super) sealed: Option<Sealed>,
    pub(super) notes: Vec<String>,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) errant_in_payload: Vec<usize>,
    /// The error is about a bound that was exceeded before anything was decrypted: the sender may learn of it.
    pub(super) is_over_bounds: bool,
}

/// What is to be thought of a message that stays closed.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// The layers around the ciphertext, and the author that the header outside names.
    pub(super) verdict: Verdict,
    /// Why it stays closed.
    pub(super) error: Error,
}

impl Opening {
    /// The layers, and what each signature covers.
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

    /// The header as a reader should see it, and what covers each field (RFC 9788).
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Why peeling stopped before the payload, if it did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether the payload came out of encryption that protects nothing against changes (RFC 8551, section 6; RFC 4880, section 5.7), and no
    /// valid signature within is over all of it: an attacker on the way may have made it from other ciphertext (Poddebniak et al. 2018, EFAIL).
    pub fn is_unauthenticated(&self) -> bool {
        self.sealed.is_some()
    }

    /// As if it had not decrypted, where it [is unauthenticated](Opening::is_unauthenticated): nothing of what was within is left.
    pub(super) fn resealed(self) -> Opening {
        let Some(Sealed { verdict, error }) = self.sealed else { return self };
        let header = Header::read(self.outer.root(), None, verdict.protection());
        Opening {
            verdict,
            outer: self.outer,
            payload: None,
            header,
            error: Some(error),
            sealed: None,
            notes: Vec::new(),
            certificates: Vec::new(),
            errant_in_payload: Vec::new(),
            is_over_bounds: false,
        }
    }

    /// What the message holds that is no layer: certificates alone, OpenPGP in HTML. One line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The certificates that the signatures of its layers bring along, DER each. Nothing was checked of them.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Which of the layers below the root lie in the octets of the payload, by their place in [`Verdict::errant`]: their spans are those of
    /// parts. The others came out of a layer.
    pub fn errant_in_payload(&self) -> &[usize] {
        &self.errant_in_payload
    }
}

impl Engine<'_> {
    /// Opens layers while the root of the message is one, and judges. A layer that cannot be opened is the last, and [`Opening::error`] names the
    /// reason.
    ///
    /// # Errors
    ///
    /// `Malformed`: the message exceeds the limits.
    pub fn open(&self, message: Message) -> Result<Opening> {
        let mut budget = Budget::of_message(self.limits.clone(), message.octets().len());
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        self.with_keys(&keys).open_within(message, &mut budget)
    }

    /// [`Engine::open`] within what is left of a Budget: the same message may be opened by the keys of one reader after the other.
    pub(super) fn open_within(&self, message: Message, budget: &mut Budget) -> Result<Opening> {
        let outer = header_alone(&message, budget)?;
        let mut envelope = Envelope::default();
        let mut errant = Errant::default();
        let mut notes = Vec::new();
        let (payload, error) = match self.peel(message, &mut envelope, budget) {
            Ok((payload, claimed)) => {
                notes = notes::of(payload.root());
                errant.payload = Some(payload.clone());
                self.walk(payload.root(), claimed, &mut errant, budget);
                (Some(payload), None)
            }
            Err(error) => (None, Some(envelope.told(error))),
        };
        let Envelope { layers, deviation, unprotected, brings_certificates, certificates, is_over_bounds, .. } =
            envelope;
        if brings_certificates {
            notes.push("it only brings certificates, and no text".to_owned());
        }
        // Without a layer the message is its own payload, and nothing covers its header.
        let inner = payload.as_ref().filter(|_| !layers.is_empty()).map(Message::root);
        let named_author = named(author(outer.root(), inner), deviation);
        let reached = if payload.is_some() { Reached::Payload } else { Reached::Obstacle };
        let Errant { layers: errant, in_payload: errant_in_payload, .. } = errant;
        let verdict = Verdict::new(named_author, layers, errant, reached, self.context.legacy);
        let header = Header::read(outer.root(), inner, verdict.protection());
        let unprotected = unprotected.filter(|_| payload.is_some() && verdict.standing() == Standing::Unsigned);
        let sealed = unprotected.map(|from| {
            let author = named(author(outer.root(), None), from.deviation);
            let around = verdict.layers().iter().take(from.layers).cloned().collect();
            let verdict = Verdict::new(author, around, Vec::new(), Reached::Obstacle, self.context.legacy);
            Sealed { verdict, error: from.refusal }
        });
        Ok(Opening {
            verdict,
            outer,
            payload,
            header,
            error,
            sealed,
            notes,
            certificates,
            errant_in_payload,
            is_over_bounds,
        })
    }

    /// The payload, and what a part of its root claims to be. A claim for the whole root is peeled.
    fn peel(&self, message: Message, envelope: &mut Envelope, budget: &mut Budget) -> Result<(Message, Claimed<'_>)> {
        let mut current = message;
        loop {
            let root = current.root();
            let (protocol, claim) = match self.claim(root) {
                Some((protocol, claim)) if claim.is_whole(root) => (protocol, claim),
                claimed => return Ok((current, Claimed(claimed))),
            };
            budget.layer()?;
            // Also below the first: the header around a signature may be the work of another person, who encrypted the signed message.
            envelope.deviation = envelope.deviation.take().or_else(|| skeleton::deviation(root));
            let unreadable = Deviation::of(root, "a signature that cannot be read");
            let surrounded = Deviation::of(root, "octets beside what is signed or encrypted");
            // multipart/signed is opened without a key. Of what is encrypted a sender is not told what is in it.
            let is_clear = root.content_type().is("multipart", "signed") && !envelope.layers.iter().any(is_encrypted);
            let opened = protocol.open(current, &claim, self.context, budget);
            envelope.is_over_bounds = is_clear && opened.as_ref().is_err_and(Error::is_over_budget);
            let opened = opened?;
            if opened.layers.iter().any(holds_no_signature) {
                envelope.deviation.get_or_insert(unreadable);
            }
            // What follows an object is no part of it, whatever a reader makes of it.
            if opened.covers == Covers::Part {
                envelope.deviation.get_or_insert(surrounded);
            }
            // RFC 8551, section 3.8: signed data without a signature is a way to carry certificates, and no layer.
            envelope.brings_certificates |= opened.layers.is_empty();
            envelope.certificates.extend(opened.certificates);
            envelope.add(opened.layers, opened.covers, opened.refusal);
            current = opened.payload;
        }
    }

    /// Records layers at or below `part`. Nothing that goes wrong with one of them says anything about the message.
    fn walk(&self, part: Part<'_>, claimed: Claimed<'_>, errant: &mut Errant, budget: &mut Budget) {
        match claimed.0 {
            Some((protocol, claim)) if claim.is_whole(part) => {
                self.errant(protocol, &claim, part.as_message(), errant, budget);
            }
            Some(_) => self.walk_text(part.plain(), errant, budget),
            None => part.children().for_each(|child| self.walk(child, Claimed(self.claim(child)), errant, budget)),
        }
    }

    /// Records the blocks that stand one after the other in a text. What follows a block is looked at where it lies.
    fn walk_text(&self, mut text: Message, errant: &mut Errant, budget: &mut Budget) {
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
        errant: &mut Errant,
        budget: &mut Budget,
    ) -> bool {
        if budget.errant().is_err() {
            return false;
        }
        let place = errant.place(&message);
        match protocol.open(message, claim, self.context, budget) {
            Ok(opened) => {
                errant.add(opened.layers, place);
                if budget.layer().is_ok() {
                    let root = opened.payload.root();
                    self.walk(root, Claimed(self.claim(root)), errant, budget);
                }
            }
            Err(error) => {
                errant.add(unopened(claim.kind, claim.protocol, claim.span, &error).into_iter().collect(), place)
            }
        }
        true
    }
}

/// What a part claims to be, and who can open it.
struct Claimed<'a>(Option<(&'a dyn Protocol, Claim)>);

/// The layers below the root.
#[derive(Default)]
struct Errant {
    payload: Option<Message>,
    layers: Vec<Layer>,
    /// [`Opening::errant_in_payload`].
    in_payload: Vec<usize>,
}

/// Where a layer below the root lies.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In octets that came out of a layer or of a transfer encoding.
    Elsewhere,
    /// In the octets of the payload.
    Payload,
}

impl Errant {
    fn place(&self, message: &Message) -> Place {
        match self.payload.as_ref().is_some_and(|payload| payload.shares_octets(message)) {
            true => Place::Payload,
            false => Place::Elsewhere,
        }
    }

    /// Adds the layers of one part, the outermost first: that is the one which lies in `place`.
    fn add(&mut self, layers: Vec<Layer>, place: Place) {
        if place == Place::Payload && !layers.is_empty() {
            self.in_payload.push(self.layers.len());
        }
        self.layers.extend(layers);
    }
}

/// What was peeled off.
#[derive(Default)]
struct Envelope {
    layers: Vec<Layer>,
    /// One of them stood beside text that is in none of those within.
    partial: bool,
    /// Where one of them first leaves what all readers of mail take apart alike.
    deviation: Option<Deviation>,
    /// The innermost held certificates and no text.
    brings_certificates: bool,
    /// What the signatures brought along.
    certificates: Vec<Vec<u8>>,
    /// The last one exceeded a bound before anything was decrypted.
    is_over_bounds: bool,
    /// From where on nothing protects what was found against changes.
    unprotected: Option<Unprotected>,
}

/// The envelope as it was when an encryption that protects nothing against changes was opened.
struct Unprotected {
    /// How many layers there were.
    layers: usize,
    /// [`Envelope::deviation`].
    deviation: Option<Deviation>,
    /// What is told when it does not decrypt.
    refusal: Error,
}

impl Envelope {
    /// Puts layers within those that are here, of a part of which they cover `covers`.
    fn add(&mut self, mut layers: Vec<Layer>, covers: Covers, refusal: Option<Error>) {
        if let (None, Some(refusal)) = (&self.unprotected, refusal) {
            let deviation = self.deviation.clone();
            self.unprotected = Some(Unprotected { layers: self.layers.len(), deviation, refusal });
        }
        self.partial |= covers == Covers::Part;
        let signed = layers.iter_mut().filter_map(|layer| match &mut layer.kind {
            LayerKind::Signed { signatures } => Some(signatures),
            LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => None,
        });
        if self.partial {
            signed.flatten().for_each(|signature| signature.covers = Covers::Part);
        }
        self.layers.extend(layers);
    }

    /// What is told of an `error` that ended the peeling. What is within an encryption that protects nothing decides neither this nor what
    /// was found: all of it is as if that had not decrypted.
    fn told(&mut self, error: Error) -> Error {
        if let Some(Unprotected { layers, deviation, refusal }) = self.unprotected.take() {
            self.layers.truncate(layers);
            self.certificates.clear();
            self.deviation = deviation;
            return blurred(error, &refusal);
        }
        if self.layers.iter().any(is_encrypted) { error.within_encryption() } else { error }
    }
}

fn is_encrypted(layer: &Layer) -> bool {
    matches!(layer.kind, LayerKind::Encrypted { .. })
}

/// The author, unless readers may parse the message differently.
fn named(
    author: std::result::Result<Address, NoAuthor>,
    deviation: Option<Deviation>,
) -> std::result::Result<Address, NoAuthor> {
    author.and_then(|author| match deviation {
        Some(deviation) => Err(NoAuthor::Ambiguous(deviation)),
        None => Ok(author),
    })
}

/// Whether anything else may stand in the place of a signature, whatever other layers say.
fn holds_no_signature(layer: &Layer) -> bool {
    let LayerKind::Signed { signatures } = &layer.kind else { return false };
    signatures.iter().any(|signature| matches!(signature.state, State::Invalid(Why::Malformed(_))))
}

/// Reports an errant encrypted layer that no key here opens.
fn unopened(
    kind: ClaimKind,
    protocol: crate::keys::ProtocolName,
    span: crate::mail::Span,
    error: &Error,
) -> Option<Layer> {
    let encrypted = matches!(kind, ClaimKind::Encrypted | ClaimKind::Inline) && error.is_sealed();
    encrypted.then(|| Layer {
        protocol,
        kind: LayerKind::Encrypted {
            cipher: "unknown".to_owned(),
            authenticated: false,
            recipients: Vec::new(),
            quantum_safe: false,
        },
        span,
    })
}

/// The header section as a message with an empty body: it stays when the message is consumed.
fn header_alone(message: &Message, budget: &mut Budget) -> Result<Message> {
    let mut octets = message.root().header_octets().to_vec();
    let crlf = memmem::find(&octets, b"\r\n").is_some();
    octets.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    Message::parse(octets, budget)
}
