//! OpenPGP: RFC 9580, RFC 4880 and PGP/MIME (RFC 3156). Sequoia parses packets; private-key operations go through
//! [`SecretKey`](crate::crypto::SecretKey).

mod aead_chunks;
pub mod archive;
mod armor;
mod armored;
mod binding_signatures;
mod brainpool;
mod cert;
mod composite;
mod container;
mod counting;
mod derivation;
mod each;
mod encrypt;
pub(super) mod expiry;
pub mod external;
mod framing;
pub mod generate;
mod in_place;
mod inline;
pub mod keyfile;
pub mod kind;
mod lenient;
mod librepgp;
mod locked;
mod loose;
mod open;
pub mod own_cert;
mod packets;
mod partial;
mod plan;
mod protected;
mod public;
pub mod publication;
pub(super) mod published;
pub mod relock;
mod revocation;
mod seal;
mod secret;
pub mod secret_parts;
mod select;
mod session_key;
mod sessions;
mod sign;
mod signer;
mod suite;
pub mod summary;
mod trailer;
mod verify;
mod wishes;
mod words;

// armor.rs      decode armor and the cleartext framework
// in_place.rs   octets that are read and written in the same memory
// counting.rs   packet headers, to count packets before Sequoia parses them
// external.rs   certificates around keys that are elsewhere: on tokens
// aead_chunks.rs chunks that are authenticated one by one, opened to the end
// framing.rs    split octets into packets
// kind.rs       classify octets without a key
// open.rs       open one layer: PGP/MIME, inline                         (claim, open)
// packets.rs    walk over OpenPGP packets: containers, literal data, signatures
// protected.rs  the integrity-protected container with Blowfish
// librepgp.rs   LibrePGP's packet 20
// session_key.rs the format of an encrypted session key, without a key
// sessions.rs   decrypt session keys: with the named key, with every key for a hidden one, with passwords
// publication.rs the certificate as it is published for one address
// public.rs     verify a digest with a public key
// published.rs  certificates that others publish for an address
// lenient.rs    the policy by which certificates are read
// signer.rs     find the key that made a signature, and check that it could sign at that time
// verify.rs     judge one signature: the only caller of Matches::assertion
// seal.rs       sign and encrypt: the forms of RFC 3156, in one pass
// inline.rs     the inline forms: cleartext framework, armor in the text
// plan.rs       decisions before writing: signers, recipients, algorithms
// select.rs     choose the certificate for an address
// sign.rs       sign octets as a stream
// encrypt.rs    encrypted session keys, and the container as a stream
// partial.rs    packets with partial lengths
// armored.rs    write armor
// suite.rs      names and numbers of algorithms
// composite.rs  keys of an elliptic curve and of an algorithm that withstands quantum computers
// brainpool.rs  encrypt to brainpool curves, which Sequoia's backend does not support
// binding_signatures.rs verify the signatures of a certificate's own keys
// cert.rs       one certificate: its usable keys, or why there are none
// secret.rs     our SecretKey as Sequoia's Signer and Decryptor
// revocation.rs whether a certificate or a part of it is revoked, by its own key or by a designated revoker
// loose.rs      revocation certificates without their certificate
// locked.rs     the secret parts of a certificate, decrypted when needed
// generate.rs   generate keys
// wishes.rs     what the owner of a certificate can read: ciphers and containers
// words.rs      Sequoia's errors in our words

use super::{
    Claim, Context, Needs, Opened, Protocol, Resolved,
    resolved::{Keyring, Sealer},
};
use crate::{
    base::{Budget, Result},
    keys::{ProtocolName, Record},
    mail::{Message, Part},
};

/// OpenPGP as a [`Protocol`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Pgp;

impl Protocol for Pgp {
    fn name(&self) -> ProtocolName {
        ProtocolName::Pgp
    }

    fn claim(&self, part: Part<'_>) -> Option<Claim> {
        open::claim(part)
    }

    fn open(&self, message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
        open::open(message, claim, context, budget)
    }

    fn key_text(&self, record: &Record) -> Result<String> {
        Ok(String::from_utf8_lossy(&keyfile::export(record, keyfile::Armor::Ascii)?).into_owned())
    }

    fn resolve(&self, needs: &Needs, context: Context<'_>) -> Result<Box<dyn Resolved>> {
        Ok(Box::new(Keyring::find(needs, context, &SEALER)?))
    }
}

/// How the keys of a message are looked up, and what seals with them.
const SEALER: Sealer<select::Chosen, select::SigningKey> = Sealer {
    recipients: select::recipients,
    signer_for: select::signer_for,
    signer_named: select::signer_named,
    seal: seal::seal,
    seal_each: each::seal_each,
};
