//! Names of algorithms: those of RFC 1423, RIPEM's, and ours by the same syntax, so that what is written today cannot be broken.

use crate::crypto::{Cipher, Hash};

/// The digest that MIC-Info or Key-Info names.
pub(super) fn digest(name: &str) -> Option<Hash> {
    DIGESTS.iter().find(|(known, _)| *known == name).map(|(_, hash)| *hash)
}

/// What MIC-Info and Key-Info call a digest.
pub(super) fn digest_name(hash: Hash) -> Option<&'static str> {
    DIGESTS.iter().find(|(_, known)| *known == hash).map(|(name, _)| *name)
}

/// The cipher that DEK-Info names.
pub(super) fn cipher(name: &str) -> Option<Cipher> {
    CIPHERS.iter().find(|(known, _)| *known == name).map(|(_, cipher)| *cipher)
}

/// What DEK-Info calls a cipher.
pub(super) fn cipher_name(cipher: Cipher) -> Option<&'static str> {
    CIPHERS.iter().find(|(_, known)| *known == cipher).map(|(name, _)| *name)
}

/// RFC 1423, section 2; the others are ours.
const DIGESTS: [(&str, Hash); 6] = [
    ("RSA-MD2", Hash::Md2),
    ("RSA-MD5", Hash::Md5),
    ("RSA-SHA1", Hash::Sha1),
    ("RSA-SHA256", Hash::Sha256),
    ("RSA-SHA384", Hash::Sha384),
    ("RSA-SHA512", Hash::Sha512),
];

/// RFC 1423, section 1.1; DES-EDE-CBC is RIPEM's, the others are ours, called as OpenSSL calls them in the same place.
const CIPHERS: [(&str, Cipher); 6] = [
    ("DES-CBC", Cipher::Des),
    ("DES-EDE-CBC", Cipher::TripleDes),
    ("DES-EDE3-CBC", Cipher::TripleDes),
    ("AES-128-CBC", Cipher::Aes128),
    ("AES-192-CBC", Cipher::Aes192),
    ("AES-256-CBC", Cipher::Aes256),
];
