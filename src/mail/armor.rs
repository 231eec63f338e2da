//! Finding armour in text: where `-----BEGIN ...-----` blocks start and end, by span. What is in them is the protocols' matter.

use super::Span;

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Label {
    /// `BEGIN PGP MESSAGE`.
    PgpMessage,
    /// `BEGIN PGP SIGNED MESSAGE` to `END PGP SIGNATURE`.
    PgpSigned,
    /// `BEGIN PGP PUBLIC KEY BLOCK`.
    PgpPublicKey,
    /// `BEGIN PGP PRIVATE KEY BLOCK`.
    PgpPrivateKey,
    /// `BEGIN PGP SIGNATURE` alone.
    PgpSignature,
}

/// One block of armour, from its first dash to the line break after its last line; or to the end when the last line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its label.
    pub label: Label,
    /// Where it lies in the text searched.
    pub span: Span,
    /// Whether its last line is there.
    pub closed: bool,
}

/// Every OpenPGP block that starts at the beginning of a line, in order, none inside another.
pub fn pgp_blocks(text: &[u8]) -> Vec<Block> {
    let _ = text;
    todo!()
}
