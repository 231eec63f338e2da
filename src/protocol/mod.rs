//! Protocols: each opens one layer, seals, and describes key files. No protocol imports another.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod blind;
mod context;
mod entity;
mod expiry;
pub mod kind;
mod mime_wrap;
#[cfg(not(all(feature = "pem", feature = "pgp", feature = "smime")))]
mod missing;
#[cfg(feature = "pem")]
pub mod pem;
#[cfg(feature = "pgp")]
pub mod pgp;
mod resolved;
mod sealing;
mod select;
#[cfg(feature = "smime")]
pub mod smime;
mod unfit;
#[cfg(any(feature = "pem", feature = "smime"))]
mod x509;

use std::io::Write;

pub use context::Context;
pub use expiry::ends;
#[cfg(not(all(feature = "pem", feature = "pgp", feature = "smime")))]
pub(crate) use missing::*;
pub use resolved::{Needs, Resolved};
pub use sealing::{Aead, Headers, LegacyDisplay, Padding, Recipient, Seal, Sealed, Shape, Signer};

use crate::{
    base::{Budget, Error, Kind, Result},
    keys::{Deprecated, ProtocolName, Purpose, Record},
    mail::{Message, Part, Span},
    verdict::{Covers, Layer},
};

/// What the structure of a part says it is, before any key is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose format it is.
    pub protocol: ProtocolName,
    /// What it says it is, for `inspect`: `signed`, `encrypted`, ...
    pub kind: ClaimKind,
    /// Where it lies within the part's message: the whole part, or an inline block.
    pub span: Span,
}

impl Claim {
    /// Whether it is about all of `part`, or all of its body: then it is a layer; otherwise there is text beside it.
    pub fn is_whole(&self, part: Part<'_>) -> bool {
        self.span == part.span() || self.span == part.body_span()
    }

    /// `pgp signed`, for people.
    pub fn words(&self) -> String {
        let kind = match self.kind {
            ClaimKind::Certificates => "certificates",
            ClaimKind::Compressed => "compressed",
            ClaimKind::Encrypted => "encrypted",
            ClaimKind::Inline => "inline message",
            ClaimKind::InlineSigned => "inline signed",
            ClaimKind::Opaque => "message",
            ClaimKind::Signed => "signed",
        };
        format!("{} {kind}", self.protocol.name())
    }
}

/// What a claim says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// application/pkcs7-mime that carries certificates and CRLs only (RFC 8551, section 3.8).
    Certificates,
    /// application/pkcs7-mime that is compressed (RFC 8551, section 3.6).
    Compressed,
    /// multipart/encrypted (RFC 3156, section 4); application/pkcs7-mime that is enveloped (RFC 8551, sections 3.3 and 3.4).
    Encrypted,
    /// Armor that holds an encrypted or an opaque signed message, in text or as an attachment.
    Inline,
    /// The cleartext signature framework (RFC 9580, section 7).
    InlineSigned,
    /// application/pkcs7-mime, or what stands for it, that does not say what it holds.
    Opaque,
    /// multipart/signed (RFC 1847); application/pkcs7-mime that is signed (RFC 8551, section 3.5.2).
    Signed,
}

/// One layer opened, or two where one packet holds both (RFC 3156, section 6.2).
#[derive(Debug)]
pub struct Opened {
    /// Outermost first.
    pub layers: Vec<Layer>,
    /// What was inside. Its octets are exactly those that `Covers::Whole` speaks of.
    pub payload: Message,
    /// Whether the payload is all that the part shows: a signature within does not cover text beside the ciphertext.
    pub covers: Covers,
    /// Where an inline block lies in the decoded body, from its first line to its last, when there is text around it.
    pub beside: Option<Span>,
    /// For a plaintext that nothing protected against changes: what is told of it instead of any error further within, the same that is told
    /// when it does not decrypt.
    pub refusal: Option<Error>,
    /// The certificates that the signatures bring along, DER each (RFC 5652, section 5.1).
    pub certificates: Vec<Vec<u8>>,
}

/// The one answer to everything that keeps a ciphertext of `protocol` from being opened once a key that it names was tried: a wrong key, a wrong
/// checksum of the session key, padding, tag or integrity check, and any error in a plaintext that is not authenticated. To tell them
/// apart makes an oracle (Vaudenay 2002; Maury et al. 2015).
pub(crate) fn undecryptable(protocol: ProtocolName) -> Error {
    let (place, reason) = match protocol {
        ProtocolName::Pem => ("pem message", "its integrity check does not hold: it was changed on the way"),
        ProtocolName::Pgp => ("openpgp message", "its integrity check fails: it was damaged or changed"),
        ProtocolName::Smime => ("enveloped data", "it does not decrypt: it was damaged or changed"),
    };
    Error::new(Kind::Undecryptable, format!("{place}: {reason}"))
}

/// What is told of an `error` in a plaintext that nothing protected against changes: the `refusal` that is told when it does not decrypt,
/// unless this machine is to blame.
pub(crate) fn blurred(error: Error, refusal: &Error) -> Error {
    match error.kind() {
        Kind::Config | Kind::Io | Kind::TryAgain => error,
        _ => refusal.clone(),
    }
}

/// One of pgp, smime and pem.
pub trait Protocol: Send + Sync {
    /// Which.
    fn name(&self) -> ProtocolName;

    /// What `part` itself claims to be (not what its children are). Structure only: cheap, no key, no cryptography.
    fn claim(&self, part: Part<'_>) -> Option<Claim>;

    /// Opens `message`, whose root makes the claim. Consumes it so that a large ciphertext can be freed while its plaintext grows.
    ///
    /// A bad signature is in the layers; an error means that there is no payload: no key (`NoKey`), malformed, or over budget.
    fn open(&self, message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened>;

    /// Whose keys `how` needs to seal `message`.
    fn needs(&self, message: &Message, how: &Seal) -> Needs {
        Needs::of(message, how)
    }

    /// The public key in `record` as text, for a person who asks for it; empty where there is no such form.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    fn key_text(&self, _: &Record) -> Result<String> {
        Ok(String::new())
    }

    /// Looks up the keys of one message, each once.
    ///
    /// # Errors
    ///
    /// What was found costs more than it may. That there is no key is an answer, and so is that the keys could not be asked for one address.
    fn resolve(&self, needs: &Needs, context: Context<'_>) -> Result<Box<dyn Resolved>>;

    /// Looks up the keys that `how` needs, and writes `message` sealed to `out`. The caller must not let `out` be seen when this fails.
    ///
    /// # Errors
    ///
    /// As [`Protocol::resolve`] and [`Resolved::seal`].
    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed> {
        self.resolve(&self.needs(message, how), context)?.seal(message, how, context, out)
    }
}

/// What a mailbox is in a message that is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The message is encrypted to it.
    Recipient,
    /// It signs the message.
    Signer,
}

impl Role {
    /// What its keys are asked for.
    pub(crate) fn purpose(self) -> Purpose {
        match self {
            Role::Recipient => Purpose::Encrypt,
            Role::Signer => Purpose::Sign,
        }
    }
}

/// What was found in a key file.
#[derive(Debug)]
pub struct Described {
    /// The certificate.
    pub record: Record,
    /// Its secret parts as they were in the file, still locked if they were, in the protocol's binary form, with stubs of those that are
    /// elsewhere; `None` when public only.
    pub secret: Option<crate::base::Secret>,
    /// Keys whose secret part in `secret` was opened and fits its public part: these take the place of what is held, others do not.
    pub proven: Vec<crate::keys::Handle>,
}

/// What remains of an imported certificate with secret parts, once they were checked against those that are stored.
#[derive(Debug)]
pub struct Sifted {
    /// The certificate without the rejected secret parts.
    pub described: Described,
    /// One error of kind `Malformed` for each secret part that does not match its public part. They are left out.
    pub unfit: Vec<Error>,
    /// One line for each secret part that no passphrase opens and that would replace a stored one. They are left out.
    pub unproven: Vec<String>,
}

/// A revocation that came without the certificate that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseRevocation {
    /// What errors call the file.
    pub place: String,
    /// The revocation in its protocol's binary form.
    pub octets: Vec<u8>,
}

/// What key files hold.
#[derive(Debug, Default)]
pub struct KeyFile {
    /// In the order of the files.
    pub found: Vec<Described>,
    /// Keys that nothing here reads for their age; they are among `skipped` too.
    pub deprecated: Vec<Deprecated>,
    /// What was passed over, one line each: `keyring.gpg: certificate 3: unsupported packet version`.
    pub skipped: Vec<String>,
    /// Private keys that no passphrase opened, an error of kind `NoKey` each. To keep the file, that is a refusal; for one run, they are left out.
    pub locked: Vec<Error>,
    /// Revocations that are still to be applied to the certificates that they are about.
    pub revocations: Vec<LooseRevocation>,
    /// Certificates that are not in the files, with the revocations that are.
    pub elsewhere: Vec<Record>,
    /// CRLs (RFC 5280, section 5) that came along, DER each.
    pub statements: Vec<Vec<u8>>,
    /// Revocations that were applied to nothing, and secret parts that do not fit, and why.
    pub lost: Vec<Error>,
}

impl KeyFile {
    /// Puts what another file holds after what is here.
    pub fn append(&mut self, other: KeyFile) {
        let KeyFile { found, deprecated, skipped, locked, revocations, elsewhere, statements, lost } = other;
        self.found.extend(found);
        self.deprecated.extend(deprecated);
        self.skipped.extend(skipped);
        self.locked.extend(locked);
        self.revocations.extend(revocations);
        self.elsewhere.extend(elsewhere);
        self.statements.extend(statements);
        self.lost.extend(lost);
    }
}
