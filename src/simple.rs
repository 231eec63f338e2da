//! Read keys, sign, encrypt, verify and decrypt in one call each, with the system's clock and randomness.

use std::sync::Arc;

use crate::{
    base::{Limits, Result, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Engine, Opening},
    keys::{Keys, Memory, Passphrases, ProtocolName},
    mail::{Address, Message, form},
    pki::Revocation,
    protocol::{Context, Recipient, Seal, Signer},
    store,
};

/// Reads the keys in the octets of a file: OpenPGP certificates and keys, armoured or binary; X.509 certificates and private keys in PEM or DER;
/// PKCS#12. Secret keys must not be locked with a passphrase: [`store::load`] takes passphrases, and several files.
///
/// **No key is trusted**, because only you know where the octets come from. A message that is signed with an untrusted key is
/// [`Signed`](crate::verdict::Standing::Signed) and not [`Authentic`](crate::verdict::Standing::Authentic). [`Memory::bind`] trusts a key: compare its
/// fingerprint with the one that its owner told you.
///
/// # Errors
///
/// `Malformed` if there is no key in the octets.
///
/// # Example
///
/// ```
/// use postseal::{keys::{Binding, ProtocolName}, mail::Address, read_keys, verdict::Standing, verify};
/// # use postseal::{base::{Result, SystemClock}, protocol::pgp::generate::{Request, generate}};
/// # fn main() -> Result<()> {
/// # let key = generate(&Request::new(Address::parse("alice@example.org")?), &SystemClock)?.described;
/// # let told = key.record.fingerprint().clone();
/// # let file = key.record.bytes();
/// # let own = read_keys(key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default())?;
/// # let message = postseal::sign(b"From: alice@example.org\r\n\r\nHello.\r\n", ProtocolName::Pgp, &own)?;
/// // `file` are the octets of Alice's certificate, and `message` is mail from her.
/// let mut keys = read_keys(file)?;
/// assert_eq!(verify(&message, &keys)?.verdict().standing(), Standing::Signed);
///
/// // `told` is the fingerprint that Alice told you.
/// assert!(keys.bind(&told, &Binding::Address(Address::parse("alice@example.org")?)));
/// assert_eq!(verify(&message, &keys)?.verdict().standing(), Standing::Authentic);
/// # Ok(())
/// # }
/// ```
pub fn read_keys(octets: &[u8]) -> Result<Memory> {
    let passphrases = Arc::new(Passphrases::default());
    Ok(store::load_untrusted(&[("keys", octets)], &passphrases, &Limits::default())?.keys)
}

/// Signs `message` as its author, in the protocol's MIME form: multipart/signed for OpenPGP (RFC 3156, section 5) and
/// S/MIME (RFC 8551, section 3.5.3). The signature covers the header too (RFC 9788), which stays readable.
///
/// # Errors
///
/// `NoKey` if the author has no usable secret key; `Malformed` if `message` is not a mail message
/// ([`form::require_message`]) or exceeds the default limits.
///
/// # Example
///
/// ```
/// use postseal::{keys::ProtocolName, mail::Address, sign};
/// # use postseal::{base::{Limits, Result, SystemClock}, keys::Memory, protocol::pgp::generate::{Request, generate}, store};
/// # fn keys_of(address: &str) -> Result<Memory> {
/// #     let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
/// #     let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
/// #     Ok(store::load(&[("key", file)], &Default::default(), &Limits::default())?.keys)
/// # }
/// # fn main() -> Result<()> {
/// // Reads a key file with `store::load`, as in the example of the crate.
/// let keys = keys_of("alice@example.org")?;
/// let signed = sign(b"From: alice@example.org\r\n\r\nHello.\r\n", ProtocolName::Pgp, &keys)?;
/// assert!(String::from_utf8_lossy(&signed).contains("Content-Type: multipart/signed"));
/// # Ok(())
/// # }
/// ```
pub fn sign(message: &[u8], protocol: ProtocolName, keys: &dyn Keys) -> Result<Vec<u8>> {
    seal(message, protocol, keys, Seal { sign: vec![Signer::Author], ..Seal::default() })
}

/// Signs `message` as its author and encrypts it to `recipients`. OpenPGP does both in one layer (RFC 3156, section 6.2).
/// Both cover the header: the subject outside is `[...]` (RFC 9788, section 3.2.1).
///
/// # Errors
///
/// `NoKey`, with the address and the reason, if a key is missing or unusable; `Malformed` as for [`sign`].
///
/// # Example
///
/// ```
/// use postseal::{encrypt, keys::ProtocolName, mail::Address};
/// # use postseal::{base::{Limits, Result, SystemClock}, keys::Memory, protocol::pgp::generate::{Request, generate}, store};
/// # fn keys_of(address: &str) -> Result<Memory> {
/// #     let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
/// #     let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
/// #     Ok(store::load(&[("key", file)], &Default::default(), &Limits::default())?.keys)
/// # }
/// # fn main() -> Result<()> {
/// // Reads a key file with `store::load`, as in the example of the crate.
/// let keys = keys_of("alice@example.org")?;
/// let message = b"From: alice@example.org\r\nTo: alice@example.org\r\n\r\nA note to myself.\r\n";
/// let encrypted = encrypt(message, ProtocolName::Pgp, &[Address::parse("alice@example.org")?], &keys)?;
/// assert!(!String::from_utf8_lossy(&encrypted).contains("note"));
/// # Ok(())
/// # }
/// ```
pub fn encrypt(message: &[u8], protocol: ProtocolName, recipients: &[Address], keys: &dyn Keys) -> Result<Vec<u8>> {
    let to = recipients.iter().cloned().map(Recipient::Named).collect();
    seal(message, protocol, keys, Seal { sign: vec![Signer::Author], to, ..Seal::default() })
}

/// Opens and judges `message`. A bad signature is a result rather than an error: see [`Opening::verdict`].
///
/// # Errors
///
/// `Malformed` if the message exceeds the default limits. If a layer cannot be opened, the reason is in
/// [`Opening::error`].
///
/// # Example
///
/// ```
/// use postseal::{keys::ProtocolName, mail::Address, sign, verdict::Standing, verify};
/// # use postseal::{base::{Limits, Result, SystemClock}, keys::Memory, protocol::pgp::generate::{Request, generate}, store};
/// # fn keys_of(address: &str) -> Result<Memory> {
/// #     let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
/// #     let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
/// #     Ok(store::load(&[("key", file)], &Default::default(), &Limits::default())?.keys)
/// # }
/// # fn main() -> Result<()> {
/// // Reads a key file with `store::load`, as in the example of the crate.
/// let keys = keys_of("alice@example.org")?;
/// let signed = sign(b"From: alice@example.org\r\n\r\nHello.\r\n", ProtocolName::Pgp, &keys)?;
/// let opening = verify(&signed, &keys)?;
/// assert_eq!(opening.verdict().standing(), Standing::Authentic);
/// assert_eq!(opening.verdict().author(), Ok(&Address::parse("alice@example.org")?));
/// # Ok(())
/// # }
/// ```
pub fn verify(message: &[u8], keys: &dyn Keys) -> Result<Opening> {
    let engine = engine(keys);
    engine.open(Message::parse(message.to_vec(), &mut engine.budget())?)
}

/// Decrypts `message`: returns the message inside and its verdict.
///
/// # Errors
///
/// As for [`verify`]; `NoKey` if no secret key opens it; `Undecryptable` if it was changed in transit.
///
/// # Example
///
/// ```
/// use postseal::{decrypt, encrypt, keys::ProtocolName, mail::Address, verdict::Standing};
/// # use postseal::{base::{Limits, Result, SystemClock}, keys::Memory, protocol::pgp::generate::{Request, generate}, store};
/// # fn keys_of(address: &str) -> Result<Memory> {
/// #     let key = generate(&Request::new(Address::parse(address)?), &SystemClock)?.described;
/// #     let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
/// #     Ok(store::load(&[("key", file)], &Default::default(), &Limits::default())?.keys)
/// # }
/// # fn main() -> Result<()> {
/// // Reads a key file with `store::load`, as in the example of the crate.
/// let keys = keys_of("alice@example.org")?;
/// let message = b"From: alice@example.org\r\nTo: alice@example.org\r\n\r\nA note to myself.\r\n";
/// let encrypted = encrypt(message, ProtocolName::Pgp, &[Address::parse("alice@example.org")?], &keys)?;
/// let (decrypted, opening) = decrypt(&encrypted, &keys)?;
/// assert!(String::from_utf8_lossy(&decrypted).contains("A note to myself."));
/// assert_eq!(opening.verdict().standing(), Standing::Authentic);
/// # Ok(())
/// # }
/// ```
pub fn decrypt(message: &[u8], keys: &dyn Keys) -> Result<(Vec<u8>, Opening)> {
    let opening = verify(message, keys)?;
    let mut written = Vec::new();
    opening.write(&mut written)?;
    Ok((written, opening))
}

fn seal(message: &[u8], protocol: ProtocolName, keys: &dyn Keys, how: Seal) -> Result<Vec<u8>> {
    let engine = engine(keys);
    let message = Message::parse(message.to_vec(), &mut engine.budget())?;
    form::require_message(&message)?;
    let mut sealed = Vec::new();
    engine.seal(protocol, &message, &how.with_usual_headers(protocol), &mut sealed)?;
    Ok(sealed)
}

fn engine(keys: &dyn Keys) -> Engine<'_> {
    let context = Context {
        keys,
        clock: &SystemClock,
        random: &SystemRandom,
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
    };
    Engine::new(context, Limits::default())
}
