//! How a rule seals, where it says more than what is done.

use super::PageTexts;
use crate::{
    keys::{KeyState, ProtocolName},
    mail::Address,
    protocol::{Aead, Headers, LegacyDisplay, Padding, Seal, Shape},
    verdict::DOMAIN_SIGNER,
};

/// Whose key is taken for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum KeyOwner {
    /// That of the address.
    #[default]
    Address,
    /// That of its domain, which a gateway there has (RFC 3183).
    Domain,
}

/// Whether what a rule encrypts has to withstand a quantum computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum QuantumSafety {
    /// The first protocol of the rule in which all readers have keys is taken.
    #[default]
    Indifferent,
    /// A protocol in which the keys of all readers withstand one comes before the others.
    Preferred,
    /// A key that does not withstand one is missing for the rule.
    Required,
}

impl QuantumSafety {
    /// Whether a reader's key may be used.
    pub fn admits(self, state: &KeyState) -> bool {
        !matches!((self, state), (QuantumSafety::Required, KeyState::Usable { quantum_safe: false, .. }))
    }
}

/// One more reader of what a rule encrypts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlsoTo {
    /// This address: an archive. Without its key the mail is not sealed.
    Address(Address),
    /// The author, where there is a key.
    Author,
}

/// The address that the key of a domain is for, to encrypt to everybody in the domain of `address` (RFC 3183, section 4).
pub fn domain_reader(address: &Address) -> Address {
    address.with_local("domain-confidentiality-authority")
}

/// The address that the key of a domain is for, to sign for everybody in the domain of `address` (RFC 3183, section 3.1.1).
pub fn domain_signer(address: &Address) -> Address {
    address.with_local(DOMAIN_SIGNER)
}

/// The choices of `sign` and `encrypt` that a rule may make. Those that a protocol does not know are of no effect in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Sealing {
    /// What happens to the header; `None`: [`Seal::with_usual_headers`].
    pub headers: Option<Headers>,
    /// Whether what is hidden of the header is repeated in the text.
    pub legacy_display: LegacyDisplay,
    /// When S/MIME authenticates what it encrypts.
    pub aead: Aead,
    /// The cipher by name; `None`: what the recipients prefer.
    pub cipher: Option<String>,
    /// The shape of the sealed message.
    pub shape: Shape,
    /// How RSA keys sign and wrap in S/MIME.
    pub padding: Padding,
    /// Whose key a recipient is encrypted to.
    pub encrypt_to: KeyOwner,
    /// Whose key signs for the author.
    pub sign_with: KeyOwner,
    /// Who else can read what is encrypted.
    pub also_to: Vec<AlsoTo>,
    /// Whether it has to withstand a quantum computer.
    pub quantum: QuantumSafety,
    /// What a page says to its reader; `None`: the default.
    pub page: Option<PageTexts>,
}

impl Sealing {
    /// Whether it says who reads, beside the recipients by their own keys.
    pub(super) fn names_readers(&self) -> bool {
        self.encrypt_to != KeyOwner::Address || !self.also_to.is_empty()
    }

    /// The address whose key stands for a recipient.
    pub fn reader(&self, recipient: &Address) -> Address {
        match self.encrypt_to {
            KeyOwner::Address => recipient.clone(),
            KeyOwner::Domain => domain_reader(recipient),
        }
    }

    /// The address whose key signs for an author.
    pub fn signer(&self, author: &Address) -> Address {
        match self.sign_with {
            KeyOwner::Address => author.clone(),
            KeyOwner::Domain => domain_signer(author),
        }
    }

    /// The addresses of its further readers. An author that there is not is left out.
    pub fn further_readers<'a>(&'a self, author: Option<&'a Address>) -> impl Iterator<Item = &'a Address> {
        self.also_to.iter().filter_map(move |one| match one {
            AlsoTo::Address(address) => Some(address),
            AlsoTo::Author => author,
        })
    }

    /// `how` with these choices.
    pub fn applied_to(&self, how: Seal, protocol: ProtocolName) -> Seal {
        let how = Seal {
            legacy_display: self.legacy_display,
            aead: self.aead,
            cipher: self.cipher.clone(),
            shape: self.shape,
            padding: self.padding,
            ..how
        }
        .with_usual_headers(protocol);
        Seal { headers: self.headers.unwrap_or(how.headers), ..how }
    }

    /// Whether it protects a message at least as much as `floor` does.
    pub(super) fn is_at_least(&self, floor: &Sealing) -> bool {
        // What is not said is the most of what is usual, and of what the shape allows.
        let headers = |sealing: &Sealing| match (sealing.headers, sealing.shape) {
            (Some(headers), _) => headers,
            (None, Shape::Inline) => Headers::Outside,
            (None, _) => Headers::Baseline,
        };
        headers(self) >= headers(floor)
            && self.aead >= floor.aead
            && self.padding >= floor.padding
            && self.quantum >= floor.quantum
            && self.cipher == floor.cipher
            // Other readers are neither more nor less.
            && self.encrypt_to == floor.encrypt_to
            && self.sign_with == floor.sign_with
            && self.also_to == floor.also_to
            && (self.shape == floor.shape || floor.shape == Shape::Mime && self.shape != Shape::Inline)
    }

    /// What in it makes no sense for these protocols, in words.
    pub(super) fn contradiction(&self, protocols: &[ProtocolName]) -> Option<&'static str> {
        let is_among = |protocol| protocols.contains(&protocol);
        let is_protected = self.headers.is_some_and(|headers| headers != Headers::Outside);
        match self.shape {
            Shape::Inline if is_among(ProtocolName::Smime) => Some("says shape inline, which S/MIME does not have"),
            Shape::Inline if is_protected => Some("says shape inline, which cannot protect headers"),
            Shape::Opaque if is_among(ProtocolName::Pgp) => Some("says shape opaque, which is for S/MIME"),
            Shape::Nested if is_among(ProtocolName::Pem) => Some("says shape nested, which PEM does not have"),
            Shape::Triple if is_among(ProtocolName::Pgp) || is_among(ProtocolName::Pem) => {
                Some("says shape triple, which is for S/MIME")
            }
            _ if is_protected && is_among(ProtocolName::Pem) => Some("protects headers, which PEM cannot"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_field_may_choose_protects_no_less() {
        let usual = Sealing::default;
        let of = |headers| Sealing { headers: Some(headers), ..usual() };
        for (sealing, floor, expected) in [
            (usual(), usual(), true),
            (of(Headers::Shy), usual(), true),
            (of(Headers::Clear), usual(), false),
            (of(Headers::Outside), usual(), false),
            (usual(), of(Headers::Shy), false),
            (Sealing { aead: Aead::Always, ..usual() }, usual(), true),
            (usual(), Sealing { aead: Aead::Always, ..usual() }, false),
            (usual(), Sealing { padding: Padding::PssOaep, ..usual() }, false),
            (Sealing { cipher: Some("3des".to_owned()), ..usual() }, usual(), false),
            (Sealing { quantum: QuantumSafety::Required, ..usual() }, usual(), true),
            (usual(), Sealing { quantum: QuantumSafety::Preferred, ..usual() }, false),
            (Sealing { encrypt_to: KeyOwner::Domain, ..usual() }, usual(), false),
            (Sealing { sign_with: KeyOwner::Domain, ..usual() }, usual(), false),
            (Sealing { also_to: vec![AlsoTo::Author], ..usual() }, usual(), false),
            (usual(), Sealing { also_to: vec![AlsoTo::Author], ..usual() }, false),
            (Sealing { shape: Shape::Inline, ..usual() }, usual(), false),
            (Sealing { shape: Shape::Triple, ..usual() }, usual(), true),
            (usual(), Sealing { shape: Shape::Triple, ..usual() }, false),
        ] {
            assert_eq!(sealing.is_at_least(&floor), expected, "{sealing:?} {floor:?}");
        }
    }
}
