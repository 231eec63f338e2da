//! S/MIME: RFC 8551 over CMS (RFC 5652) and PKIX.

mod agree;
mod attributes;
pub mod authority;
mod ber;
pub mod capabilities;
pub mod ciphertext;
mod claim;
mod compressed;
mod content;
mod content_kind;
mod decapsulate;
mod each;
mod encode;
mod encrypt;
mod enveloped;
pub mod export;
pub mod external;
pub mod generate;
mod issue;
mod kem;
mod key_material;
pub mod keyfile;
mod mime;
pub mod ocsp_request;
mod open;
mod password;
mod pbe;
mod pem_bundle;
mod pkcs12;
mod pkcs8;
mod plan;
mod recipients;
mod removed;
pub mod revocation_files;
mod seal;
mod select;
mod sign;
mod signed;
mod suite;
mod unlock;
mod verify;

// claim.rs      the S/MIME form that a part claims to have
// ciphertext.rs whether an object is fully encrypted
// open.rs       open one layer
// ber.rs        BER to DER, content octets joined in place
// signed.rs     read SignedData: signers, certificates, CRLs
// attributes.rs signed attributes: their values, and the octets signed
// content.rs    the octets that signatures cover, hashed once
// verify.rs     judge one signature: the only caller of Matches::assertion
// keyfile.rs    read key files, match keys with certificates, unlock them
// key_material.rs certificates and private keys in files
// pem_bundle.rs PEM blocks in text
// pkcs8.rs      private keys in their encodings
// pkcs12.rs     private keys and certificates encrypted with a passphrase
// pbe.rs        encryption with a passphrase
// generate.rs   generate keys with self-signed certificates
// external.rs   certificates around keys that are elsewhere: on tokens
// issue.rs      certificates and certification requests
// kem.rs        key encapsulation: KEMRecipientInfo with ML-KEM
// authority.rs  a certification authority: issue certificates for mail, and revocation lists
// export.rs     write certificates and private keys
// enveloped.rs  decrypt EnvelopedData and its variants, whole or not at all
// unlock.rs     the recipients of an envelope, and its content key
// agree.rs      derive the key that wraps from a shared secret
// password.rs   content keys wrapped with a password or a shared key
// compressed.rs CompressedData
// decapsulate.rs remove one layer of CMS
// removed.rs    the removed layer
// content_kind.rs content encryption algorithms
// suite.rs      algorithms of CMS and `crypto`
// seal.rs       sign and encrypt: the forms, as nested entities
// plan.rs       decisions before writing: signers, recipients, algorithms
// select.rs     choose the certificate for an address
// sign.rs       SignedData over a stream
// encrypt.rs    EnvelopedData and AuthEnvelopedData as a stream
// recipients.rs wrap the content key for one recipient
// capabilities.rs  ciphers that recipients support
// mime.rs       MIME entities that can be written repeatedly
// encode.rs     write DER

pub use super::x509::{chain::declared_revoked, record};
use super::{
    Claim, Context, Needs, Opened, Protocol, Resolved,
    resolved::{Keyring, Sealer},
    x509::chain,
};
use crate::{
    base::{Budget, Result},
    keys::{ProtocolName, Record},
    mail::{Message, Part},
};

/// S/MIME as a [`Protocol`].
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

    fn key_text(&self, record: &Record) -> Result<String> {
        let certificate = export::export(&[crate::protocol::x509::record::certificate(record)?], export::Form::Pem);
        Ok(String::from_utf8_lossy(&certificate).into_owned())
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
