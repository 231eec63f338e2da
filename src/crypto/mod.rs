//! Digests, ciphers and private-key handles. No mail and no ASN.1 of CMS.
//!
//! aws-lc-rs does the work wherever it takes the algorithm; `legacy.rs` holds what it refuses.
//!
//! What must be random inside an operation (a nonce, a salt of PSS, a seed of OAEP, a stand-in key) comes from the operating system and is no argument:
//! aws-lc-rs takes its own too. Keys of content, vectors and salts that a format shows are arguments.

mod aead;
mod algorithm;
mod brainpool;
mod brainpool_key;
mod cbc;
mod cipher;
mod derivation_cost;
mod digest;
mod dsa;
mod ecb;
mod encrypt;
mod fast_rsa;
mod gcm_writer;
mod generate;
mod kdf;
mod keywrap;
mod legacy;
mod mdc;
mod ml_dsa;
mod ml_kem;
mod number;
mod padding;
mod point;
mod post_quantum;
mod post_quantum_secret;
mod public;
mod public_parts;
mod raw_rsa;
mod rejection;
mod secret;
mod short_rsa;
mod slh_dsa;
mod software;
mod strength;
mod unfit;
mod verify;

pub use algorithm::{Aead, Cipher, Conveys, Curve, Hash, MlDsa, MlKem, Signs, SlhDsa};
pub use cbc::{CbcWriter, cbc_decrypt, cbc_encrypt};
pub use cipher::{CfbEncryptor, CfbReader, Resync};
pub use derivation_cost::{argon2_cost, pbkdf1_cost, pbkdf2_cost, pkcs12_cost, s2k_cost, scrypt_cost};
pub use digest::Digester;
pub use ecb::{ecb_decrypt, ecb_encrypt};
pub use encrypt::{agree_ephemeral, encrypt_to_rsa};
pub use fast_rsa::RsaComponents;
pub use gcm_writer::GcmWriter;
pub use generate::{generate, public_of};
pub use kdf::{Pkcs12Use, argon2id, bmp_string, hkdf, hmac, pbkdf1, pbkdf2, pkcs12_kdf, scrypt, x963_kdf};
pub use keywrap::{KeyWrap, unwrap_for_password, wrap_for_password};
pub use mdc::mdc_decrypt;
pub use ml_kem::encapsulate;
pub use point::uncompressed;
pub use post_quantum_secret::PostQuantumSecret;
pub use public::{DsaPublic, PublicKey, Unverified};
pub use public_parts::PublicParts;
pub use raw_rsa::RawRsa;
pub use secret::{KeyAlgorithm, Scheme, SecretKey, Unwrap, unless_refused};
pub use software::SoftwareKey;
pub use strength::{Legacy, Strength};
pub use verify::verify;

pub(crate) use algorithm::openpgp_key_name;

use crate::base::Error;
pub(crate) use unfit::unfit;

/// The one answer to a wrong key, wrong padding and a wrong tag: to tell them apart makes an oracle.
fn undecipherable() -> Error {
    Error::no_key("encrypted content: this key does not decrypt it")
}
