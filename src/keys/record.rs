//! A stored certificate: bytes and an index. No protocol's parser is needed to find it.

use std::{
    any::Any,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use super::{Capabilities, Source, Withdrawal};
use crate::{
    base::{Error, Result},
    mail::Address,
};

/// Which of the three protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum ProtocolName {
    /// Classic Privacy Enhanced Mail, RFC 1421 to 1424.
    Pem,
    /// OpenPGP, RFC 9580 and 3156.
    Pgp,
    /// S/MIME, RFC 8551.
    Smime,
}

impl ProtocolName {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            ProtocolName::Pem => "pem",
            ProtocolName::Pgp => "pgp",
            ProtocolName::Smime => "smime",
        }
    }
}

/// A fingerprint or key ID in upper-case hexadecimal, without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Handle(String);

impl Handle {
    /// From octets.
    pub fn from_octets(octets: &[u8]) -> Self {
        let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' - 10 + value });
        Handle(octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect())
    }

    /// Reads hexadecimal with any spaces, and with `0x` before it; at least 8 octets, because shorter key IDs are easily forged.
    ///
    /// # Errors
    ///
    /// `Usage` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let hex: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        let hex = hex.strip_prefix("0X").unwrap_or(&hex);
        if !hex.is_ascii() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::usage(format!("key {text:?}: not a fingerprint or key id")));
        }
        if hex.len() < 16 {
            return Err(Error::usage(format!("key {text:?}: fewer than 16 hexadecimal digits"))
                .with_hint("short key ids are easily forged; give the fingerprint"));
        }
        Ok(Handle(hex.to_owned()))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `self`, a fingerprint, is what `other` (a fingerprint or key ID) names. A v4 key ID is the end of the
    /// fingerprint, a v6 key ID its beginning (RFC 9580, section 5.5.4).
    pub fn is_named_by(&self, other: &Handle) -> bool {
        match self.0.len() {
            64 => self.0.starts_with(&other.0),
            _ => self.0.ends_with(&other.0),
        }
    }
}

impl TryFrom<String> for Handle {
    type Error = &'static str;

    fn try_from(digits: String) -> std::result::Result<Handle, &'static str> {
        let is_digit = |octet: u8| octet.is_ascii_digit() || (b'A'..=b'F').contains(&octet);
        if digits.bytes().all(is_digit) { Ok(Handle(digits)) } else { Err("not hexadecimal digits") }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.0)
    }
}

/// What is known of a certificate and an address from elsewhere than the certificate. All but [`Binding::Found`] are decisions of the owner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Binding {
    /// The owner trusts it for this address (`key trust`).
    Address(Address),
    /// The owner made it a trust anchor (RFC 5280, section 6.1.1 (d)).
    Anchor,
    /// A key source found it for this address. It is not trusted for that.
    Found {
        /// The address that was asked for.
        address: Address,
        /// Below [`Source::Authority`]; anything above counts as [`Source::Dnssec`].
        source: Source,
    },
    /// The owner declared it revoked (`key revoke`): it is chosen for nothing, and its signatures are invalid, whatever ties it to an address.
    Revoked(Withdrawal),
    /// The owner trusts it for every user ID of it that is valid at the time of use.
    UserIds,
}

/// A certificate as octets, with the data to look it up. [`Record::new`] makes one.
#[derive(Clone, Debug)]
pub struct Record {
    protocol: ProtocolName,
    fingerprint: Handle,
    handles: Vec<Handle>,
    claimed: Vec<Address>,
    bindings: Vec<Binding>,
    bytes: Encoded,
    secrets: Vec<Handle>,
    capabilities: Option<Capabilities>,
}

impl Record {
    /// A certificate without trust. `octets` are its public parts in the protocol's binary form, and `fingerprint` is that
    /// of its primary key.
    ///
    /// `secrets` are the fingerprints of the keys for which [`Keys::secret`](super::Keys::secret) answers. They are an argument because a record
    /// that does not list them is never asked to sign or to decrypt.
    pub fn new(
        protocol: ProtocolName,
        fingerprint: Handle,
        octets: impl Into<Encoded>,
        secrets: impl IntoIterator<Item = Handle>,
    ) -> Self {
        Record {
            protocol,
            handles: vec![fingerprint.clone()],
            fingerprint,
            claimed: Vec::new(),
            bindings: Vec::new(),
            bytes: octets.into(),
            secrets: secrets.into_iter().collect(),
            capabilities: None,
        }
    }

    /// Whose format [`Record::bytes`] is.
    pub fn protocol(&self) -> ProtocolName {
        self.protocol
    }

    /// The primary key's fingerprint.
    pub fn fingerprint(&self) -> &Handle {
        &self.fingerprint
    }

    /// The fingerprints of all keys, the primary key's first. Of an X.509 certificate everything by which a message or another
    /// certificate may name it: the SHA-256 and SHA-1 fingerprints, the subject key identifier, and the SHA-256 of its issuer
    /// and serial number and of its subject (`protocol/smime/record.rs`).
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Every mailbox the certificate claims, checked or not.
    pub fn claimed(&self) -> &[Address] {
        &self.claimed
    }

    /// Why the owner trusts it, and which key sources found it.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The certificate, public parts only, in its binary form.
    pub fn bytes(&self) -> &Encoded {
        &self.bytes
    }

    /// Fingerprints of the keys whose secret part is held beside it.
    pub fn secrets(&self) -> &[Handle] {
        &self.secrets
    }

    /// The capabilities that its owner announced, if any were received (S/MIME).
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// The same with these [`handles`](Record::handles) too.
    #[must_use]
    pub fn with_handles(mut self, handles: impl IntoIterator<Item = Handle>) -> Self {
        for handle in handles {
            if !self.handles.contains(&handle) {
                self.handles.push(handle);
            }
        }
        self
    }

    /// The same with the mailboxes that it claims.
    #[must_use]
    pub fn with_claimed(self, claimed: impl IntoIterator<Item = Address>) -> Self {
        Record { claimed: claimed.into_iter().collect(), ..self }
    }

    /// The same, trusted for these reasons and no others.
    #[must_use]
    pub fn with_bindings(self, bindings: impl IntoIterator<Item = Binding>) -> Self {
        Record { bindings: bindings.into_iter().collect(), ..self }
    }

    /// The same with other octets: the certificate with a signature or a revocation more or less.
    #[must_use]
    pub fn with_bytes(self, octets: impl Into<Encoded>) -> Self {
        Record { bytes: octets.into(), ..self }
    }

    /// The same without secret parts.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        Record { secrets: Vec::new(), ..self }
    }

    /// The same with these announced capabilities.
    #[must_use]
    pub fn with_capabilities(self, capabilities: Option<Capabilities>) -> Self {
        Record { capabilities, ..self }
    }

    /// The same with the claims, bindings and secret parts of another copy of the certificate too, and the later capabilities of the two.
    #[must_use]
    pub fn merged_with(mut self, copy: &Record) -> Self {
        add(&mut self.claimed, &copy.claimed);
        add(&mut self.bindings, &copy.bindings);
        add(&mut self.secrets, &copy.secrets);
        self.capabilities = Capabilities::later(self.capabilities.as_ref(), copy.capabilities.as_ref());
        self
    }

    /// The secret parts of these keys, and of no others, are held beside it; see [`Record::new`].
    pub fn set_secrets(&mut self, secrets: impl IntoIterator<Item = Handle>) {
        self.secrets = secrets.into_iter().collect();
    }

    /// Trusts it for one more reason.
    pub fn bind(&mut self, binding: Binding) {
        add(&mut self.bindings, &[binding]);
    }

    /// The addresses among `certified` (mailboxes that the certificate names validly at the time of use) and the bindings that the owner trusts.
    /// Empty for a certificate without trust.
    pub fn authenticate(&self, certified: &[Address]) -> Vec<Authenticated> {
        let mut believed: Vec<Authenticated> = Vec::new();
        for binding in &self.bindings {
            match binding {
                Binding::Address(address) => believed.push(Authenticated(address.clone())),
                Binding::Anchor | Binding::Found { .. } | Binding::Revoked(_) => {}
                Binding::UserIds => believed.extend(certified.iter().cloned().map(Authenticated)),
            }
        }
        believed.sort_by_cached_key(|one| one.0.to_string());
        believed.dedup();
        believed
    }

    /// What ties it to `address`, as far as the record says: authorities are not asked. A user ID that names the address may be invalid or
    /// revoked by now; where the owner trusts the user IDs, that makes it an unusable trusted certificate and not an untrusted one.
    pub fn source(&self, address: &Address) -> Source {
        let of = |binding: &Binding| match binding {
            Binding::Address(bound) if bound == address => Source::Owner,
            Binding::UserIds if self.claimed.contains(address) => Source::Owner,
            Binding::Found { address: found, source } if found == address => Source::Dnssec.min(*source),
            Binding::Address(_) | Binding::Anchor | Binding::Found { .. } => Source::Claim,
            Binding::Revoked(_) | Binding::UserIds => Source::Claim,
        };
        self.bindings.iter().map(of).max().unwrap_or(Source::Claim)
    }

    /// Whether the owner made it a trust anchor, and did not declare it revoked since.
    pub fn is_anchor(&self) -> bool {
        self.bindings.contains(&Binding::Anchor) && self.withdrawal().is_none()
    }

    /// That the owner declared it revoked; of several declarations the one with the worst reason.
    pub fn withdrawal(&self) -> Option<&Withdrawal> {
        let declared = self.bindings.iter().filter_map(|binding| match binding {
            Binding::Revoked(withdrawal) => Some(withdrawal),
            _ => None,
        });
        declared.min()
    }

    /// Whether a key of this record is named by `handle`.
    pub fn has(&self, handle: &Handle) -> bool {
        self.handles.iter().any(|own| own.is_named_by(handle))
    }
}

fn add<T: Clone + PartialEq>(to: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !to.contains(one) {
            to.push(one.clone());
        }
    }
}

/// A certificate's octets, and what its protocol parsed from them, so that a certificate is parsed once for many messages.
#[derive(Clone, Default)]
pub struct Encoded {
    octets: Vec<u8>,
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Encoded {
    /// The result of `read` on the octets; computed on the first call, and kept unless it fails.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read<T: Send + Sync + 'static>(&self, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Arc<T>> {
        if let Some(held) = self.read.get().and_then(|held| Arc::clone(held).downcast().ok()) {
            return Ok(held);
        }
        let made = Arc::new(read(&self.octets)?);
        // Another thread may have been faster; both parsed the same octets.
        let _ = self.read.set(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
        Ok(made)
    }
}

impl From<Vec<u8>> for Encoded {
    fn from(octets: Vec<u8>) -> Self {
        Encoded { octets, read: OnceLock::new() }
    }
}

impl Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets
    }
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Encoded {}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} octets)", self.octets.len())
    }
}

/// A mailbox that a trust path ties to a certificate. Only this file constructs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated(Address);

impl Authenticated {
    /// Call it directly after a path from the certificate to a trust anchor was found valid (RFC 5280, section 6), with a mailbox
    /// that the certificate names, and nowhere else: `tests/layers/main.rs` confines it.
    pub(crate) fn assertion(address: Address) -> Self {
        Authenticated(address)
    }

    /// The mailbox.
    pub fn address(&self) -> &Address {
        &self.0
    }
}
