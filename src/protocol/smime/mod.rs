//! S/MIME: RFC 8551 over CMS (RFC 5652) and PKIX.

mod agree;
mod attributes;
mod ber;
pub mod capabilities;
mod chain;
pub mod ciphertext;
mod claim;
mod compressed;
mod content;
mod encode;
mod encrypt;
mod enveloped;
pub mod export;
pub mod generate;
mod issue;
pub mod keyfile;
mod mime;
mod open;
mod password;
mod pbe;
mod pem_bundle;
mod pieces;
mod pkcs12;
mod pkcs8;
mod plan;
mod recipients;
pub mod record;
mod seal;
mod select;
mod sign;
mod signed;
pub mod statements;
mod suite;
mod unlock;
mod unwrapped;
mod verify;

// claim.rs      what a part says it is
// ciphertext.rs whether an object hides all that it holds
// open.rs       peel one layer
// ber.rs        BER to DER, content octets put together in place
// signed.rs     SignedData read: signers, certificates, CRLs
// attributes.rs signed attributes: what they say, and the octets signed
// content.rs    the octets that signatures are over, hashed once
// chain.rs      certificates from message and store that a path may be made of
// verify.rs     judge one signature: the one place that calls Matches::assertion
// keyfile.rs    key files: certificates and private keys put together, unlocked
// pieces.rs     what key files are made of
// pem_bundle.rs labelled base64 in text
// pkcs8.rs      private keys in their encodings
// pkcs12.rs     private keys and certificates under a passphrase
// pbe.rs        encryption under a passphrase
// generate.rs   new keys with certificates of their own
// issue.rs      what a key signs about itself: certificates, requests
// export.rs     certificates and private keys as files for others
// record.rs     everything by which a certificate may be named
// enveloped.rs  decrypt EnvelopedData and its kin, whole or not at all
// unlock.rs     who can read an envelope, and the content key for one of us
// agree.rs      from a shared secret to the key that wraps
// password.rs   content keys wrapped for a password or a shared key
// compressed.rs CompressedData
// unwrapped.rs  what comes out of one wrap
// suite.rs      algorithms of CMS, and ours
// seal.rs       sign and encrypt: the shapes, as entities within entities
// plan.rs       what is decided before the first octet: who signs, who reads
// select.rs     which certificate an address means
// sign.rs       SignedData over octets that stream by
// encrypt.rs    EnvelopedData and AuthEnvelopedData around a ciphertext as it streams by
// recipients.rs the content key wrapped for one reader
// capabilities.rs  what we read, and what others said that they read
// mime.rs       entities that are written as often as it takes, and their header fields
// encode.rs     DER written

use std::io::Write;

use super::{Claim, Context, Needs, Opened, Protocol, Resolved, Seal, Sealed, Signer};
use crate::{
    base::{Budget, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, Message, Part},
};

/// The S/MIME protocol.
#[derive(Clone, Copy, Debug)]
pub struct Smime;

impl Protocol for Smime {
    fn name(&self) -> ProtocolName {
        ProtocolName::Smime
    }

    fn claim(&self, part: Part<'_>) -> Option<Claim> {
        claim::claim(part)
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
