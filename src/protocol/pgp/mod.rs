//! OpenPGP: RFC 9580, RFC 4880 and PGP/MIME (RFC 3156), with Sequoia behind our private-key handle.

mod armor;
mod armored;
mod brainpool;
mod cert;
mod chunks;
mod container;
mod counting;
mod derivation;
mod encrypt;
mod framing;
pub mod generate;
mod inline;
pub mod keyfile;
pub mod kind;
mod librepgp;
mod locked;
mod loose;
mod open;
mod packets;
mod partial;
mod plan;
mod protected;
mod public;
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
mod vouch;
mod words;

// armor.rs      undo armour and the cleartext framework
// chunks.rs     a reader that frees what it has read
// counting.rs   packet headers, to count packets before Sequoia reads them
// framing.rs    where packets begin and end
// kind.rs       what packets are, without a key
// open.rs       peel one layer: PGP/MIME, inline                         (claim, open)
// packets.rs    the walk over OpenPGP packets: containers, literal, signatures
// protected.rs  the integrity-protected container under Blowfish
// librepgp.rs   LibrePGP's packet 20
// session_key.rs the form of an encrypted session key, without a key
// sessions.rs   session keys: the key that is named, every key for a hidden one, every password
// public.rs     check a digest under a public key
// signer.rs     the key behind a signature, and what it was good for at that time
// verify.rs     judge one signature: the one place that calls Matches::assertion
// seal.rs       sign and encrypt: the shapes of RFC 3156, written in one pass
// inline.rs     the inline shapes: cleartext framework, armour in the text
// plan.rs       what is decided before the first octet: who signs, who reads
// select.rs     which certificate an address means
// sign.rs       signatures over octets that stream by
// encrypt.rs    encrypted session keys, and the container's ciphertext as it streams by
// partial.rs   packets of unknown length
// armored.rs    write armour
// suite.rs      names and numbers of algorithms
// brainpool.rs  encrypt to the curves that Sequoia's backend does not know
// vouch.rs      what a certificate's keys signed in it
// cert.rs       one certificate: its keys that are good for a use, or why there are none
// secret.rs     our SecretKey behind Sequoia's Signer and Decryptor
// revocation.rs whether a certificate or a part of it is revoked, by its own key or by a designated revoker
// loose.rs      revocation certificates that come by themselves
// locked.rs     the secret parts of a certificate, unlocked when asked for
// generate.rs   new keys
// words.rs      what went wrong in Sequoia, in our words

use std::io::Write;

use super::{Claim, Context, Needs, Opened, Protocol, Resolved, Seal, Sealed, Signer};
use crate::{
    base::{Budget, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, Message, Part},
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

    fn resolve(&self, needs: &Needs, context: Context<'_>) -> Result<Box<dyn Resolved>> {
        Ok(Box::new(select::resolve(needs, context)?))
    }
}

impl Resolved for select::MessageKeys {
    fn recipient(&self, address: &Address) -> KeyState {
        self.recipient_state(address)
    }

    fn signer(&self, signer: &Signer) -> KeyState {
        self.signer_state(signer)
    }

    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed> {
        seal::seal(message, how, self, context, out)
    }
}
