//! OpenPGP: RFC 9580, RFC 4880 and PGP/MIME (RFC 3156), with Sequoia behind our private-key handle.

// open.rs       peel one layer: PGP/MIME, inline, packets                (claim, open)
// packets.rs    the walk over OpenPGP packets: decrypt, decompress, literal, signatures
// verify.rs     judge one signature: the one place that calls Matches::assertion
// seal.rs       sign and encrypt, the shapes of RFC 3156
// suite.rs      names and numbers of algorithms, their strength
// cert.rs       certificates: describe key files, select keys for an address and a use, say why not
// secret.rs     our SecretKey behind Sequoia's Signer and Decryptor; unlocking
// generate.rs   new keys

mod cert;
mod select;
pub mod generate;
pub mod keyfile;
mod secret;

/// OpenPGP as a [`Protocol`](super::Protocol).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pgp;
