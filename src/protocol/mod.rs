//! Protocols: each opens one layer, seals, and describes key files. No protocol imports another.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod blind;
mod entity;
pub mod kind;
mod mime_wrap;
pub mod pem;
pub mod pgp;
mod resolved;
mod select;
pub mod smime;
mod unfit;
mod x509;

use std::{io::Write, time::SystemTime};

pub use resolved::{Needs, Resolved};

use crate::{
    base::{Budget, Clock, Error, Kind, Random, Result},
    crypto::{Hash, Legacy},
    keys::{Deprecated, Handle, Keys, ProtocolName, Record},
    mail::{Address, Message, Part, Span, header_protection::Confidentiality},
    pki::Revocation,
    verdict::{Covers, Layer},
};

/// What opening and sealing are given. No protocol has any other source of time, keys or randomness.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Certificates, secrets and passwords.
    pub keys: &'a dyn Keys,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where random octets come from.
    pub random: &'a dyn Random,
    /// Whether broken and obsolete forms are admitted for this run.
    pub legacy: Legacy,
    /// How much must be known about whether certificates are revoked.
    pub revocation: Revocation,
}

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

/// What a key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Encrypting to the mailbox.
    Encrypt,
    /// Signing as the mailbox.
    Sign,
}

/// What is to be done to a message.
#[derive(Clone, Debug, Default)]
pub struct Seal {
    /// Sign, and as whom; several signers sign in parallel.
    pub sign: Vec<Signer>,
    /// Encrypt, and to whom; empty: do not.
    pub to: Vec<Recipient>,
    /// Encrypt to these passwords too.
    pub passwords: Vec<crate::base::Secret>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Named in the message.
    Named(Address),
    /// Present, but not named: a wildcard key ID (RFC 9580, section 5.1.1).
    Hidden(Address),
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
    /// What the user should know: a recipient's key that is not trusted, ...
    pub warnings: Vec<String>,
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
