//! What can be done about an error. The library names no command and no option: a program says which of its own does it.

use std::fmt;

/// What can be done about an [`Error`](super::Error). `Display` says it in one lower-case line that fits any program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Advice that needs no command of this program.
    Advice(String),
    /// Agree to the terms of service of a certificate authority.
    AgreeToTerms,
    /// Put the audit log back, or begin another one, which says what is lost.
    BeginAudit,
    /// Give what the certificate authority gave its customer to bind an account to.
    BindAccount,
    /// Check the store for damage, and repair what can be repaired.
    CheckStore,
    /// Compare the fingerprint of a key that is not trusted with its owner, and trust it.
    ConfirmKey {
        /// The fingerprint.
        key: String,
        /// The address that the key claims.
        address: String,
    },
    /// Import a certificate for this address, compare its fingerprint with the owner, and trust it.
    FindCertificate(String),
    /// For several addresses: import a certificate for each, and trust it.
    FindCertificates,
    /// Erase the octets of a removed secret key, when no other process uses the store.
    EraseRemoved,
    /// Generate or import a signing key for this address.
    FindSigningKey {
        /// Who signs.
        address: String,
        /// Which keys can do it.
        kind: KeyForm,
        /// Whether keys for the address are here, and none of them can be used: an imported one has to be trusted too.
        has_others: bool,
    },
    /// Give the PIN of a token.
    GivePin,
    /// Import again what is lost.
    ImportAgain,
    /// Import the files of a home that an older version made.
    ImportOldHome,
    /// Import the object: it holds revocations and no text.
    ImportRevocations,
    /// Import the secret key that is missing, or give it for this run.
    ImportSecretKey,
    /// Import the certificate together with its revocation.
    ImportWithCertificate,
    /// List the keys that are here.
    ListKeys,
    /// Make the key store of the service by generating or importing a key, or say that it need not exist.
    MakeHome,
    /// Name the signer.
    NameSigner,
    /// Give the passphrase or the password.
    Passphrase,
    /// Allow legacy algorithms for reading. The content may have been modified.
    ReadLegacy,
    /// Repair the store: that names what cannot be repaired.
    RepairStore,
    /// Remove the secret key too. What was encrypted to it can never be read again.
    RemoveSecret,
    /// Trust again the keys whose trust is lost.
    TrustAgain,
    /// Trust one of the keys that claim this address, after its fingerprint was compared with the owner.
    TrustKey(String),
    /// Take back first that it is declared revoked.
    UndoRevocation,
    /// Use this cipher.
    UseCipher(&'static str),
    /// Use one of these digests.
    UseDigest(&'static [&'static str]),
    /// Use the opaque form.
    UseOpaque,
    /// Use one of these protocols: `pgp`, `smime`.
    UseProtocol(&'static [&'static str]),
    /// Write the line of the users file anew.
    WriteUser,
    /// Allow legacy algorithms for writing, for recipients whose software supports nothing newer.
    WriteLegacy,
}

/// The keys that can sign in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyForm {
    /// An OpenPGP key.
    OpenPgp,
    /// An RSA key with an X.509 certificate: classic PEM.
    Rsa,
    /// A key with an X.509 certificate: S/MIME.
    X509,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::Advice(advice) => f.write_str(advice),
            Hint::AgreeToTerms => f.write_str("read them, and agree to them"),
            Hint::BeginAudit => f.write_str("put it back, or begin another one: that says what is lost"),
            Hint::BindAccount => f.write_str("give the key identifier and the MAC key that the authority gave to you"),
            Hint::CheckStore => {
                f.write_str("check the store: that lists what is damaged, and repairs what can be repaired")
            }
            Hint::ConfirmKey { key, address } => write!(f, "if {key} is the key of {address}, trust it"),
            Hint::EraseRemoved => f.write_str("check and repair the store when the other process is done"),
            Hint::FindCertificate(address) => write!(f, "import a certificate for {address}, and trust it"),
            Hint::FindCertificates => f.write_str("import a certificate for each of them, and trust it"),
            Hint::FindSigningKey { address, has_others: false, .. } => {
                write!(f, "generate or import a signing key for {address}")
            }
            Hint::FindSigningKey { address, has_others: true, .. } => {
                write!(f, "generate a signing key for {address}, or import one and trust it")
            }
            Hint::GivePin => f.write_str("give the PIN of the token"),
            Hint::ImportAgain => f.write_str("import it again"),
            Hint::ImportOldHome => f.write_str("use another home, and import the files in certs and secrets"),
            Hint::ImportRevocations => f.write_str("import it: it holds revocations"),
            Hint::ImportSecretKey => f.write_str("import the secret key of a recipient, or give its file"),
            Hint::ImportWithCertificate => f.write_str("import the certificate too"),
            Hint::ListKeys => f.write_str("list the keys that are here"),
            Hint::MakeHome => f.write_str("generate or import a key there, or write home-must-exist = false"),
            Hint::NameSigner => f.write_str("name the signer"),
            Hint::Passphrase => f.write_str("give the passphrase"),
            Hint::ReadLegacy => f.write_str("allow legacy algorithms to open it; its content may have been modified"),
            Hint::RemoveSecret => {
                f.write_str("remove the secret key too; what is encrypted to it can then never be read again")
            }
            Hint::RepairStore => f.write_str("repair the store: that names what cannot be repaired"),
            Hint::TrustAgain => f.write_str("trust it again"),
            Hint::TrustKey(address) => write!(f, "compare fingerprints with the owner, then trust one for {address}"),
            Hint::UndoRevocation => f.write_str("take back first that it is revoked"),
            Hint::UseCipher(name) => write!(f, "use the cipher {name}"),
            Hint::UseDigest(names) => write!(f, "use the digest {}", names.join(" or ")),
            Hint::UseOpaque => f.write_str("leave the shape out, or use the opaque form"),
            Hint::UseProtocol(names) => write!(f, "use {}", names.join(" or ")),
            Hint::WriteLegacy => {
                f.write_str("allow legacy algorithms, for recipients whose software supports nothing newer")
            }
            Hint::WriteUser => f.write_str("write the line anew: the name and an Argon2id hash of the password"),
        }
    }
}

impl From<&str> for Hint {
    fn from(advice: &str) -> Self {
        Hint::Advice(advice.to_owned())
    }
}

impl From<String> for Hint {
    fn from(advice: String) -> Self {
        Hint::Advice(advice)
    }
}
