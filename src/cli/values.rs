//! Values of options that several verbs have.

use clap::ValueEnum;

/// How certificates are checked for revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Revocation {
    /// No check: CRLs and OCSP responses are not used
    Off,
    /// Refuse certificates that are known to be revoked
    Soft,
    /// Refuse certificates unless each of the path is known not to be revoked
    Hard,
}

/// From where the status of certificates is fetched, when what is here does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RevocationFetch {
    /// Nothing is fetched
    Off,
    /// CRLs
    Crl,
    /// OCSP
    Ocsp,
    /// OCSP, and CRLs where that does not answer
    Both,
}

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Classic PEM (RFC 1421)
    Pem,
    /// OpenPGP
    Pgp,
    /// S/MIME
    Smime,
}

/// How RSA keys sign and wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Padding {
    /// PKCS#1 v1.5: all readers support it
    Pkcs1,
    /// PSS and OAEP
    PssOaep,
}

/// The protection of the header (RFC 9788).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtectHeaders {
    /// No protection: the header stays outside, and no signature covers it
    None,
    /// The signature covers the header, which stays readable
    Clear,
    /// Encryption hides Subject, Comments and Keywords
    Baseline,
    /// Encryption hides names and the time zone too
    Shy,
}
