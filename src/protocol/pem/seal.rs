//! Sealing: MIC-CLEAR, MIC-ONLY and ENCRYPTED messages, in the body of a mail or as a file of their own.

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
    suite,
};
use crate::{
    base::{Error, Random, Result, Secret},
    crypto::{Cipher, Hash, Legacy, Scheme, Strength, Unwrap, cbc_encrypt, encrypt_to_rsa},
    mail::{
        Part, address, canonical, encoding,
        header::{self, Edit},
    },
    protocol::{
        Context, Headers, Recipient, Seal, Sealed, Shape, Signer,
        blind::{self, Blind},
        unfit::Missing,
    },
};

/// The text that a signature over `part` covers, in canonical form: that of the body, or of the whole file when it is no mail. An error of
/// kind `Usage` when the body is anything but one text.
pub fn signable(part: Part<'_>) -> Result<Vec<u8>> {
    Ok(of_local(&local(part)?))
}

/// Writes `root` sealed to `out`, with CRLF line ends.
pub(super) fn seal(
    root: Part<'_>,
    how: &Seal,
    keys: &MessageKeys,
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Sealed> {
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

/// What is done to the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Clear,
    Encoded,
    Encrypted,
}

impl Form {
    fn new(how: &Seal) -> Result<Form> {
        if how.headers != Headers::Outside {
            return Err(Error::usage("pem: the header cannot be protected").with_hint("-f pgp or -f smime"));
        }
        match (how.shape, !how.encrypts()) {
            (Shape::Nested | Shape::Triple, _) => {
                Err(Error::usage("pem: has one form for what is signed and encrypted").with_hint("leave the shape out"))
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

/// Everything that is decided before anything is written.
struct Plan {
    signers: Vec<SigningKey>,
    readers: Vec<(String, Chosen)>,
    shared: Vec<InterchangeKey>,
    /// Whom an interchange key is between.
    entities: [String; 2],
    hash: Hash,
    cipher: Cipher,
    sealed: Sealed,
}

impl Plan {
    /// Takes the keys that `how` asks for out of `found`, and refuses (kind `NoKey`) if any is missing or unusable; refuses weak algorithms (kind
    /// `Usage`) unless they are admitted.
    fn new(root: Part<'_>, how: &Seal, found: &MessageKeys, context: Context<'_>) -> Result<Plan> {
        let (hash, cipher) = algorithms(how, context.legacy)?;
        let mut sealed = Sealed::default();
        let mut signers = Vec::new();
        for signer in self::signers(how) {
            let signing = found.signer(signer, root)?;
            sealed.did.push(format!("signed by {}", signing.candidate.fingerprint()));
            signers.push(signing.clone());
        }
        let hides = Blind::of(root);
        let mut readers = Vec::new();
        let mut missing = Missing::default();
        for recipient in &how.to {
            let address = match recipient {
                Recipient::Named(address) if !hides.hides(address) => address,
                Recipient::Hidden(address) | Recipient::Named(address) => {
                    return Err(Error::usage(format!("{address}: pem names every reader"))
                        .with_hint("send him a copy of his own, or -f pgp"));
                }
            };
            let Some(chosen) = missing.found(found.recipient(address)) else { continue };
            sealed.warnings.extend(chosen.warning.clone());
            sealed.did.push(format!("encrypted to {address} with {}", chosen.candidate.fingerprint()));
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

    /// RFC 1421 has no bare keys; those who wrote them called it version 2001.
    fn version(&self) -> &'static str {
        let mut candidates = self.signers.iter().map(|one| &one.candidate);
        let bare = candidates.any(|one| one.certificate.is_none())
            || self.readers.iter().any(|(_, chosen)| chosen.candidate.certificate.is_none());
        if bare { "2001" } else { "4" }
    }
}

/// Who signs. RFC 1421, section 4.6.1.1.1: what is encrypted is signed; with an interchange key alone, by that.
pub(super) fn signers(how: &Seal) -> &[Signer] {
    if how.sign.is_empty() && !how.to.is_empty() { &[Signer::Author] } else { &how.sign }
}

/// Digest and cipher: strong ones unless others are asked for, and admitted.
fn algorithms(how: &Seal, legacy: Legacy) -> Result<(Hash, Cipher)> {
    let hash = how.digest.unwrap_or(Hash::Sha256);
    let cipher = how.cipher.as_deref().map(Cipher::parse).transpose()?.unwrap_or(Cipher::Aes256);
    if suite::digest_name(hash).is_none() {
        return Err(Error::usage(format!("digest {hash}: pem has no name for it")).with_hint("--digest sha256"));
    }
    if suite::cipher_name(cipher).is_none() {
        let name = cipher.name();
        return Err(Error::usage(format!("cipher {name}: pem has no name for it")).with_hint("--cipher aes256"));
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
        return Err(Error::usage(format!("{what} {name}: {strength}, not written")).with_hint("--legacy admits it"));
    }
    Ok(())
}

fn shared(how: &Seal, legacy: Legacy) -> Result<Vec<InterchangeKey>> {
    let mut keys = Vec::new();
    for password in &how.passwords {
        let key = InterchangeKey::parse(password).ok_or_else(|| {
            Error::usage("pem: a password is no interchange key")
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

/// What the text is encrypted by, and then the signatures.
struct TextKey {
    cipher: Cipher,
    /// As the cipher takes it.
    key: Secret,
    /// As it is wrapped: of DES-EDE the pair (RFC 1423, section 3.2).
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

/// An encapsulated header as it grows.
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

    /// A field whose value, or its last argument, is in the printable encoding.
    fn octets(&mut self, name: &str, arguments: &str, octets: &[u8]) {
        let space = if arguments.is_empty() { "" } else { " " };
        let _ = write!(self.text, "{name}:{space}{arguments}\r\n{}", printable(octets, " "));
    }

    fn dek(&mut self, key: &TextKey) -> Result<()> {
        let name = suite::cipher_name(key.cipher).ok_or_else(|| Error::usage("cipher: pem has no name for it"))?;
        self.field("DEK-Info", format_args!("{name},{}", hexadecimal(&key.iv)));
        Ok(())
    }

    /// Who signs, and the signatures; encrypted by `key` (RFC 1421, section 4.6.2).
    fn originators(&mut self, plan: &Plan, canonical: &[u8], key: Option<&TextKey>) -> Result<()> {
        let digest = plan.hash.digest(canonical);
        let name = suite::digest_name(plan.hash).unwrap_or_default();
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

    /// Who reads, and the key wrapped for each (RFC 1421, section 4.6.4).
    fn readers(&mut self, plan: &Plan, canonical: &[u8], key: &TextKey) -> Result<()> {
        for (name, chosen) in &plan.readers {
            match &chosen.candidate.certificate {
                Some(certificate) => {
                    let id = CertificateName::of(certificate);
                    self.octets("Recipient-ID-Asymmetric", "", id.issuer);
                    // The serial number stands after the comma that ends the name.
                    self.text.truncate(self.text.trim_end().len());
                    let _ = write!(self.text, ",\r\n {}\r\n", hexadecimal(id.serial));
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
        let name = suite::digest_name(plan.hash).unwrap_or_default();
        let [from, to] = &plan.entities;
        self.field("Originator-ID-Symmetric", format_args!("{from},,"));
        for (at, shared) in plan.shared.iter().enumerate() {
            let (dek, mic) = (shared.encrypt(&key.wrapped)?, shared.encrypt(&digest)?);
            self.field("Recipient-ID-Symmetric", format_args!("{to},,{}", at + 1));
            let (dek, mic) = (hexadecimal(&dek), hexadecimal(&mic));
            self.field("Key-Info", format_args!("{},{name},{dek},\r\n {mic}", shared.algorithm()));
        }
        Ok(())
    }
}

/// The text in its local form.
fn local(root: Part<'_>) -> Result<Cow<'_, [u8]>> {
    if !is_mail(root) {
        return Ok(Cow::Borrowed(root.octets()));
    }
    let kind = root.content_type();
    if !kind.is("text", "plain") {
        let what = format!("{}/{}", kind.kind, kind.subtype);
        return Err(Error::usage(format!("pem: the message is {what}, not text/plain")).with_hint("-f pgp or -f smime"));
    }
    Ok(root.decoded())
}

/// Whether there is a header of mail before the text, and not a file of text that happens to have colons in its first lines.
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

/// RFC 2045, section 2.7; the line length without its break is RFC 5322, section 2.1.1.
fn is_seven_bit(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&0) && text.split(|octet| *octet == b'\n').all(|line| line.len() <= 999)
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

const BEGIN: &[u8] = b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\n";
const END: &[u8] = b"-----END PRIVACY-ENHANCED MESSAGE-----\r\n";
/// Fields of which every mail has one.
const MAIL: [&str; 11] =
    ["Bcc", "Cc", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Received", "Sender", "Subject", "To"];
