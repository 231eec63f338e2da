//! Values of options that several verbs have.

use clap::ValueEnum;

/// How much must be known about whether certificates are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Revocation {
    /// Nothing: CRLs and OCSP responses are not looked at
    Off,
    /// What is known to be revoked is refused
    Soft,
    /// Every certificate of a path must be known not to be revoked
    Hard,
}

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Classic PEM (RFC 1421): text alone, in the body or as a file
    Pem,
    /// OpenPGP: PGP/MIME, or inline with --inline
    Pgp,
    /// S/MIME
    Smime,
}

/// How RSA keys sign and wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Padding {
    /// PKCS#1 v1.5: every reader knows it
    Pkcs1,
    /// PSS and OAEP
    PssOaep,
}
