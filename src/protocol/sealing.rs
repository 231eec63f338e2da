//! How a message is signed and encrypted, and what was done.

use std::time::SystemTime;

use crate::{
    base::{Hint, Secret},
    crypto::Hash,
    keys::{Handle, ProtocolName, Reach},
    mail::{Address, header_protection::Confidentiality},
};

/// What is to be done to a message.
#[derive(Clone, Debug, Default)]
pub struct Seal {
    /// Sign, and as whom; several signers sign in parallel.
    pub sign: Vec<Signer>,
    /// Encrypt, and to whom; empty: do not.
    pub to: Vec<Recipient>,
    /// Who else can read it, if it is encrypted: the author's own copy, an archive. They have no say in the cipher, and do not make a recipient one of several.
    pub also: Vec<Recipient>,
    /// Encrypt to these passwords too.
    pub passwords: Vec<Secret>,
    /// In which shape.
    pub shape: Shape,
    /// What happens to the header.
    pub headers: Headers,
    /// Whether what is hidden of the header is repeated in the text.
    pub legacy_display: LegacyDisplay,
    /// The digest, when the key's own preference is not to be used. Legacy ones need `Legacy::Admit`.
    pub digest: Option<Hash>,
    /// The cipher by name (`aes256`, `3des`, ...), when the recipients' preferences are not to be used.
    pub cipher: Option<String>,
    /// Whether encryption authenticates even where no recipient announced that they can read it.
    pub aead: Aead,
    /// How RSA keys sign and wrap, where the format leaves a choice.
    pub padding: Padding,
    /// The signature's time, when it is not now.
    pub at: Option<SystemTime>,
    /// Whether the network is asked for keys of the recipients that are not here.
    pub reach: Reach,
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The secret key for this mailbox: `--as`.
    Address(Address),
    /// This key: `--key`.
    Key(Handle),
    /// The secret key for the author in From.
    Author,
}

/// Who can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// Named in the message.
    Named(Address),
    /// Present, but not named: a wildcard key ID (RFC 9580, section 5.1.1).
    Hidden(Address),
}

impl Recipient {
    /// Whose keys are used.
    pub fn address(&self) -> &Address {
        match self {
            Recipient::Named(address) | Recipient::Hidden(address) => address,
        }
    }
}

/// The shape of the sealed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Shape {
    /// As text in the body: cleartext signature (RFC 9580, section 7) or an armored message.
    Inline,
    /// Signed so that nothing can be read without software: text in the body, signed and armored; application/pkcs7-mime.
    Opaque,
    /// The MIME form: multipart/signed, multipart/encrypted, and signed and encrypted in one (RFC 3156, section 6.2).
    #[default]
    Mime,
    /// multipart/signed within multipart/encrypted (RFC 3156, section 6.1).
    Nested,
    /// Signed, encrypted, and signed again (RFC 2634, section 1.1).
    Triple,
}

/// When encryption is authenticated, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Aead {
    /// When every recipient announced that they can read it.
    #[default]
    Announced,
    /// Whatever the recipients announced (S/MIME; in OpenPGP the certificates decide).
    Always,
}

/// How RSA keys sign and wrap in CMS, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5 and RSAES-PKCS1-v1_5: every reader knows them (RFC 8551, sections 2.2 and 2.3).
    #[default]
    Pkcs1,
    /// RSASSA-PSS and RSAES-OAEP.
    PssOaep,
}

/// What happens to the header of a sealed message, the least first. A message that is only signed hides nothing: the last three are one then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Headers {
    /// It stays outside and is not protected.
    #[default]
    Outside,
    /// It is protected (RFC 9788), and all of it stands outside too.
    Clear,
    /// It is protected, and subject, comments and keywords are encrypted with the message (RFC 9788, section 3.2.1).
    Baseline,
    /// Display names and the time zone are encrypted too (RFC 9788, section 3.2.2).
    Shy,
}

impl Headers {
    /// All, the least first.
    pub const ALL: [Headers; 4] = [Headers::Outside, Headers::Clear, Headers::Baseline, Headers::Shy];

    /// The word on the command line and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Headers::Outside => "none",
            Headers::Clear => "clear",
            Headers::Baseline => "baseline",
            Headers::Shy => "shy",
        }
    }

    /// What of the header an encrypted message hides; `None` when the header is not protected.
    pub fn confidentiality(self) -> Option<Confidentiality> {
        match self {
            Headers::Outside => None,
            Headers::Clear => Some(Confidentiality::Nothing),
            Headers::Baseline => Some(Confidentiality::Baseline),
            Headers::Shy => Some(Confidentiality::Shy),
        }
    }
}

/// Whether an encrypted message repeats in its text what it hides of the header, for readers that do not know RFC 9788 (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LegacyDisplay {
    /// It does not.
    #[default]
    Omit,
    /// As a Legacy Display Element in each main text/plain and text/html part.
    Write,
}

impl Seal {
    /// Whether anything is encrypted.
    pub fn encrypts(&self) -> bool {
        !self.to.is_empty() || !self.passwords.is_empty()
    }

    /// Who can read it, passwords aside: the recipients and the others, each once.
    pub fn readers(&self) -> impl Iterator<Item = &Recipient> {
        let is_named = |one: &&Recipient| !self.to.contains(one);
        let also = if self.to.is_empty() { &[] } else { self.also.as_slice() };
        self.to.iter().chain(also.iter().filter(is_named))
    }

    /// The same for one reader alone.
    #[must_use]
    pub fn to_one(&self, reader: &Recipient) -> Seal {
        Seal { to: vec![reader.clone()], ..self.clone() }
    }

    /// The same with the default for the header: a message that is signed has it protected in clear, one that is encrypted by
    /// the baseline policy. PEM and the shapes without MIME cannot protect it.
    #[must_use]
    pub fn with_usual_headers(self, protocol: ProtocolName) -> Seal {
        let has_mime = match (protocol, self.shape) {
            (ProtocolName::Pem, _) | (_, Shape::Inline) | (ProtocolName::Pgp, Shape::Opaque) => false,
            (ProtocolName::Pgp | ProtocolName::Smime, _) => true,
        };
        let headers = match (has_mime, self.encrypts()) {
            (false, _) => Headers::Outside,
            (true, false) => Headers::Clear,
            (true, true) => Headers::Baseline,
        };
        Seal { headers, ..self }
    }
}

/// What sealing did, for the person who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// One line each, lower case: `signed by FINGERPRINT`, `encrypted to a@example.org with FINGERPRINT`.
    pub did: Vec<String>,
    /// The fingerprints of the keys that signed.
    pub signers: Vec<String>,
    /// The fingerprints of the keys that it was encrypted to.
    pub readers: Vec<String>,
    /// What the user should know: a recipient's key that is not trusted, ...
    pub warnings: Vec<String>,
    /// What can be done about the warnings.
    pub hints: Vec<Hint>,
}

impl Sealed {
    /// Notes that the key with this fingerprint signed.
    pub(super) fn signed_by(&mut self, fingerprint: String) {
        self.did.push(format!("signed by {fingerprint}"));
        self.signers.push(fingerprint);
    }

    /// Notes that it was encrypted to the key of `address` with this fingerprint; `remark` follows in the line.
    pub(super) fn encrypted_to(&mut self, address: &Address, fingerprint: String, remark: &str) {
        self.did.push(format!("encrypted to {address} with {fingerprint}{remark}"));
        self.readers.push(fingerprint);
    }
}
