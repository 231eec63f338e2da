//! Writes MIC-CLEAR, MIC-ONLY and ENCRYPTED messages, in the body of a mail or as a file.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use super::{
    canonical::{of_local, printable, stuffed},
    record::{CertificateName, rsa},
    select::{Chosen, MessageKeys, SigningKey},
    shared::{InterchangeKey, two_keys},
};
use crate::{
    base::{Error, Hint, Random, Result, Secret, upper_hex},
    crypto::{Cipher, Hash, Legacy, Scheme, Strength, Unwrap, cbc_encrypt, encrypt_to_rsa},
    mail::{
        Message, Part, address, canonical, encoding,
        header::{self, Edit},
    },
    protocol::{
        Context, Headers, Recipient, Seal, Sealed, Shape, Signer,
        blind::{self, Blind},
        unfit::Missing,
    },
};

/// The text that a signature over `part` covers, in canonical form: the body, or the whole file if it is not a mail.
///
/// # Errors
///
/// `Usage` if the body is not a single text.
pub fn signable(part: Part<'_>) -> Result<Vec<u8>> {
    Ok(of_local(&local(part)?))
}

/// Writes the signed or encrypted `message` to `out`, with CRLF line breaks.
pub(super) fn seal(
    message: &Message,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Sealed> {
    let root = message.root();
    let form = Form::new(how)?;
    let plan = Plan::new(root, how, keys, context)?;
    let mut canonical = signable(root)?;
    if form == Form::Clear && !canonical.is_empty() && !canonical.ends_with(b"\n") {
        // The boundary needs a line of its own.
        canonical.extend_from_slice(b"\r\n");
    }
    let mut header = Header::new(form, &plan);
    let text = match form {
        Form::Clear => {
            header.originators(&plan, &canonical, None)?;
            stuffed(&canonical)
        }
        Form::Encoded => {
            header.originators(&plan, &canonical, None)?;
            printable(&canonical, "").into_bytes()
        }
        Form::Encrypted => {
            let key = TextKey::new(plan.cipher, context.random)?;
            header.dek(&key)?;
            header.originators(&plan, &canonical, Some(&key))?;
            header.readers(&plan, &canonical, &key)?;
            cbc_encrypt(key.cipher, &key.key, &key.iv, &mut canonical)?;
            printable(&canonical, "").into_bytes()
        }
    };
    let block = [BEGIN, header.text.as_bytes(), b"\r\n", &text, END].concat();
    write(root, form, &block, out).map_err(|error| Error::io("sealed message", &error))?;
    Ok(plan.sealed)
}

/// How the text is processed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Clear,
    Encoded,
    Encrypted,
}

impl Form {
    fn new(how: &Seal) -> Result<Form> {
        if how.headers != Headers::Outside {
            return Err(
                Error::usage("pem: the header cannot be protected").with_hint(Hint::UseProtocol(&["pgp", "smime"]))
            );
        }
        match (how.shape, !how.encrypts()) {
            (Shape::Nested | Shape::Triple, _) => {
                Err(Error::usage("pem: has only one form").with_hint("leave the shape out"))
            }
            (_, false) => Ok(Form::Encrypted),
            (Shape::Opaque, true) => Ok(Form::Encoded),
            (_, true) => Ok(Form::Clear),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::Clear => "MIC-CLEAR",
            Form::Encoded => "MIC-ONLY",
            Form::Encrypted => "ENCRYPTED",
        }
    }
}

/// Everything that is decided before the first octet is written.
struct Plan {
    signers: Vec<SigningKey>,
    readers: Vec<(String, Chosen)>,
    shared: Vec<InterchangeKey>,
    /// The two parties of an interchange key.
    entities: [String; 2],
    hash: Hash,
    cipher: Cipher,
    sealed: Sealed,
}

impl Plan {
    /// Takes the keys for `how` from `found`. Refuses (kind `NoKey`) if any is missing or unusable, and (kind `Usage`) if an algorithm is
    /// weak and not admitted.
    fn new(root: Part<'_>, how: &Seal, found: &MessageKeys, context: Context<'_>) -> Result<Plan> {
        let (hash, cipher) = algorithms(how, context.legacy)?;
        let mut sealed = Sealed::default();
        let mut signers = Vec::new();
        for signer in self::signers(how) {
            let signing = found.signer(signer, root)?;
            sealed.signed_by(signing.candidate.fingerprint().to_string());
            signers.push(signing.clone());
        }
        let hides = Blind::of(root);
        let mut readers = Vec::new();
        let mut missing = Missing::default();
        for recipient in how.readers() {
            let address = match recipient {
                Recipient::Named(address) if !hides.hides(address) => address,
                Recipient::Hidden(address) | Recipient::Named(address) => {
                    return Err(Error::usage(format!("{address}: pem names every recipient"))
                        .with_hint(Hint::UseProtocol(&["pgp"])));
                }
            };
            let Some(chosen) = missing.found(found.recipient(address)) else { continue };
            if let Some(warning) = &chosen.warning {
                let key = chosen.candidate.fingerprint();
                sealed.warnings.push(warning.clone());
                sealed.hints.push(Hint::ConfirmKey { key, address: address.to_string() });
            }
            sealed.encrypted_to(address, chosen.candidate.fingerprint().to_string(), "");
            readers.push((address.to_string(), chosen.clone()));
        }
        missing.refuse()?;
        if !how.to.is_empty() || !how.passwords.is_empty() {
            sealed.warnings.extend(blind::bcc_warning(root));
        }
        let shared = shared(how, context.legacy)?;
        if signers.is_empty() && readers.is_empty() && shared.is_empty() {
            return Err(Error::usage("neither a signer nor a recipient is given"));
        }
        Ok(Plan { signers, readers, shared, entities: entities(root), hash, cipher, sealed })
    }

    /// RFC 1421 has no bare keys. Programs that wrote them called it version 2001.
    fn version(&self) -> &'static str {
        let mut candidates = self.signers.iter().map(|one| &one.candidate);
        let bare = candidates.any(|one| one.certificate.is_none())
            || self.readers.iter().any(|(_, chosen)| chosen.candidate.certificate.is_none());
        if bare { "2001" } else { "4" }
    }
}

/// The signers. RFC 1421, section 4.6.1.1.1: an encrypted text is signed; with only an interchange key, by that key.
pub(super) fn signers(how: &Seal) -> &[Signer] {
    if how.sign.is_empty() && !how.to.is_empty() { &[Signer::Author] } else { &how.sign }
}

/// Digest and cipher: strong defaults unless others are requested and admitted.
fn algorithms(how: &Seal, legacy: Legacy) -> Result<(Hash, Cipher)> {
    let hash = how.digest.unwrap_or(Hash::Sha256);
    let cipher = how.cipher.as_deref().map(Cipher::parse).transpose()?.unwrap_or(Cipher::Aes256);
    if hash.pem().is_none() {
        return Err(
            Error::usage(format!("digest {hash}: pem has no name for it")).with_hint(Hint::UseDigest(&["sha256"]))
        );
    }
    if cipher.pem().is_none() {
        let name = cipher.name();
        return Err(Error::usage(format!("cipher {name}: pem has no name for it")).with_hint(Hint::UseCipher("aes256")));
    }
    for (what, name, strength) in
        [("digest", hash.name(), hash.strength()), ("cipher", cipher.name(), cipher.strength())]
    {
        admitted(what, name, strength, legacy)?;
    }
    Ok((hash, cipher))
}

fn admitted(what: &str, name: &str, strength: Strength, legacy: Legacy) -> Result<()> {
    if legacy == Legacy::Refuse && strength < Strength::Strong {
        let strength = strength.name();
        return Err(Error::usage(format!("{what} {name}: {strength}, not written")).with_hint(Hint::WriteLegacy));
    }
    Ok(())
}

fn shared(how: &Seal, legacy: Legacy) -> Result<Vec<InterchangeKey>> {
    let mut keys = Vec::new();
    for password in &how.passwords {
        let key = InterchangeKey::parse(password).ok_or_else(|| {
            Error::usage("pem: a password is not an interchange key")
                .with_hint("16 or 32 hexadecimal digits, for DES-ECB or DES-EDE")
        })?;
        admitted("interchange key", key.algorithm(), key.cipher().strength(), legacy)?;
        keys.push(key);
    }
    Ok(keys)
}

/// From and To, for the identifiers of interchange keys (RFC 1421, section 5.2.1.1).
fn entities(root: Part<'_>) -> [String; 2] {
    let nobody = || "nobody".to_owned();
    let author = header::author(root).map_or_else(|_| nobody(), |author| author.to_string());
    let to = root.fields().find(|field| field.is("To")).and_then(|field| address::list(&field.unfolded()).ok());
    let to = to.and_then(|list| list.into_iter().next()).map_or_else(nobody, |mailbox| mailbox.address.to_string());
    [author, to]
}

/// The key that encrypts the text and the signatures.
struct TextKey {
    cipher: Cipher,
    /// In the form that the cipher needs.
    key: Secret,
    /// In the form that is wrapped: a pair for DES-EDE (RFC 1423, section 3.2).
    wrapped: Secret,
    iv: Vec<u8>,
}

impl TextKey {
    fn new(cipher: Cipher, random: &dyn Random) -> Result<TextKey> {
        let length = if cipher == Cipher::TripleDes { 16 } else { cipher.key_length() };
        let mut octets = vec![0; length];
        random.fill(&mut octets)?;
        if matches!(cipher, Cipher::Des | Cipher::TripleDes) {
            // RFC 1423, section 1.1: odd parity.
            octets.iter_mut().for_each(|octet| *octet = *octet & 0xfe | u8::from((*octet >> 1).count_ones() % 2 == 0));
        }
        let wrapped = Secret::new(octets);
        let key = if cipher == Cipher::TripleDes { two_keys(&wrapped) } else { wrapped.clone() };
        let mut iv = vec![0; cipher.block_length()];
        random.fill(&mut iv)?;
        Ok(TextKey { cipher, key, wrapped, iv })
    }
}

/// An encapsulated header being written.
struct Header {
    text: String,
}

impl Header {
    fn new(form: Form, plan: &Plan) -> Header {
        let mut header = Header { text: String::new() };
        header.field("Proc-Type", format_args!("{},{}", plan.version(), form.name()));
        header.field("Content-Domain", "RFC822");
        header
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{name}: {value}\r\n");
    }

    /// Writes a field whose value, or last argument, is in the printable encoding.
    fn octets(&mut self, name: &str, arguments: &str, octets: &[u8]) {
        let space = if arguments.is_empty() { "" } else { " " };
        let _ = write!(self.text, "{name}:{space}{arguments}\r\n{}", printable(octets, " "));
    }

    fn dek(&mut self, key: &TextKey) -> Result<()> {
        let name = key.cipher.pem().ok_or_else(|| Error::usage("cipher: pem has no name for it"))?;
        self.field("DEK-Info", format_args!("{name},{}", upper_hex(&key.iv)));
        Ok(())
    }

    /// Writes the signers and their signatures, encrypted with `key` if given (RFC 1421, section 4.6.2).
    fn originators(&mut self, plan: &Plan, canonical: &[u8], key: Option<&TextKey>) -> Result<()> {
        let digest = plan.hash.digest(canonical);
        let name = plan.hash.pem().unwrap_or_default();
        for signer in &plan.signers {
            match &signer.candidate.certificate {
                Some(certificate) => self.octets("Originator-Certificate", "", certificate.der()),
                None => {
                    self.field("Originator-Name", signer.name.as_deref().unwrap_or("nobody"));
                    self.octets("Originator-Key-Asymmetric", "", signer.candidate.key.der());
                }
            }
            for issuer in &signer.issuers {
                self.octets("Issuer-Certificate", "", issuer.der());
            }
            let mut signature = signer.secret.sign(Scheme::RsaPkcs1(plan.hash), &digest)?;
            if let Some(key) = key {
                cbc_encrypt(key.cipher, &key.key, &key.iv, &mut signature)?;
            }
            self.octets("MIC-Info", &format!("{name},RSA,"), &signature);
        }
        Ok(())
    }

    /// Writes the recipients and the key wrapped for each (RFC 1421, section 4.6.4).
    fn readers(&mut self, plan: &Plan, canonical: &[u8], key: &TextKey) -> Result<()> {
        for (name, chosen) in &plan.readers {
            match &chosen.candidate.certificate {
                Some(certificate) => {
                    let id = CertificateName::of(certificate);
                    self.octets("Recipient-ID-Asymmetric", "", id.issuer);
                    // The serial number follows the comma after the name.
                    self.text.truncate(self.text.trim_end().len());
                    let _ = write!(self.text, ",\r\n {}\r\n", upper_hex(id.serial));
                }
                None => {
                    self.field("Recipient-Name", name);
                    self.octets("Recipient-Key-Asymmetric", "", chosen.candidate.key.der());
                }
            }
            let (n, e) = rsa(&chosen.candidate.key)?;
            self.octets("Key-Info", "RSA,", &encrypt_to_rsa(n, e, Unwrap::RsaPkcs1, &key.wrapped)?);
        }
        if plan.shared.is_empty() {
            return Ok(());
        }
        let digest = Secret::new(plan.hash.digest(canonical));
        let name = plan.hash.pem().unwrap_or_default();
        let [from, to] = &plan.entities;
        self.field("Originator-ID-Symmetric", format_args!("{from},,"));
        for (at, shared) in plan.shared.iter().enumerate() {
            let (dek, mic) = (shared.encrypt(&key.wrapped)?, shared.encrypt(&digest)?);
            self.field("Recipient-ID-Symmetric", format_args!("{to},,{}", at + 1));
            let (dek, mic) = (upper_hex(&dek), upper_hex(&mic));
            self.field("Key-Info", format_args!("{},{name},{dek},\r\n {mic}", shared.algorithm()));
        }
        Ok(())
    }
}

/// The text in local form.
fn local(root: Part<'_>) -> Result<Cow<'_, [u8]>> {
    if !is_mail(root) {
        return Ok(Cow::Borrowed(root.octets()));
    }
    let kind = root.content_type();
    if !kind.is("text", "plain") {
        let what = format!("{}/{}", kind.kind, kind.subtype);
        return Err(Error::usage(format!("pem: the message is {what}, not text/plain"))
            .with_hint(Hint::UseProtocol(&["pgp", "smime"])));
    }
    Ok(root.decoded())
}

/// Whether there is a mail header before the text. A text file may have colons in its first lines too.
fn is_mail(root: Part<'_>) -> bool {
    root.fields().any(|field| MAIL.iter().any(|name| field.is(name)))
}

fn write(root: Part<'_>, form: Form, block: &[u8], out: &mut dyn Write) -> io::Result<()> {
    if !is_mail(root) {
        return out.write_all(block);
    }
    let mut header = Edit::new(root);
    header.delete("Content-Transfer-Encoding");
    if form == Form::Encrypted {
        header.delete("Bcc");
    }
    out.write_all(&canonical::canonical(&header.octets(), canonical::Form::Crlf))?;
    if is_seven_bit(block) {
        out.write_all(b"\r\n")?;
        return out.write_all(block);
    }
    if root.header("MIME-Version").is_none() {
        out.write_all(b"MIME-Version: 1.0\r\n")?;
    }
    out.write_all(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n")?;
    out.write_all(&encoding::quoted_printable_encode(block))
}

/// RFC 2045, section 2.7. The maximum line length without the line break is from RFC 5322, section 2.1.1.
fn is_seven_bit(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&0) && text.split(|octet| *octet == b'\n').all(|line| line.len() <= 999)
}

const BEGIN: &[u8] = b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\n";
const END: &[u8] = b"-----END PRIVACY-ENHANCED MESSAGE-----\r\n";
/// Header fields of which every mail has at least one.
const MAIL: [&str; 11] =
    ["Bcc", "Cc", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Received", "Sender", "Subject", "To"];
