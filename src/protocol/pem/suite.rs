//! Names of algorithms: those of RFC 1423 and RIPEM, and new ones in the same syntax for algorithms that are strong
//! today.

use crate::crypto::{Cipher, Hash};

/// The digest with this name in MIC-Info or Key-Info.
pub(super) fn digest(name: &str) -> Option<Hash> {
    DIGESTS.iter().find(|(known, _)| *known == name).map(|(_, hash)| *hash)
}

/// The name of a digest in MIC-Info and Key-Info.
pub(super) fn digest_name(hash: Hash) -> Option<&'static str> {
    DIGESTS.iter().find(|(_, known)| *known == hash).map(|(name, _)| *name)
}

/// The cipher with this name in DEK-Info.
pub(super) fn cipher(name: &str) -> Option<Cipher> {
    CIPHERS.iter().find(|(known, _)| *known == name).map(|(_, cipher)| *cipher)
}

/// The name of a cipher in DEK-Info.
pub(super) fn cipher_name(cipher: Cipher) -> Option<&'static str> {
    CIPHERS.iter().find(|(_, known)| *known == cipher).map(|(name, _)| *name)
}

/// RFC 1423, section 2. The others are defined here.
const DIGESTS: [(&str, Hash); 6] = [
    ("RSA-MD2", Hash::Md2),
    ("RSA-MD5", Hash::Md5),
    ("RSA-SHA1", Hash::Sha1),
    ("RSA-SHA256", Hash::Sha256),
    ("RSA-SHA384", Hash::Sha384),
    ("RSA-SHA512", Hash::Sha512),
];

/// RFC 1423, section 1.1. DES-EDE-CBC is RIPEM's. The others are defined here, named as OpenSSL names them in its PEM
/// files.
const CIPHERS: [(&str, Cipher); 6] = [
    ("DES-CBC", Cipher::Des),
    ("DES-EDE-CBC", Cipher::TripleDes),
    ("DES-EDE3-CBC", Cipher::TripleDes),
    ("AES-128-CBC", Cipher::Aes128),
    ("AES-192-CBC", Cipher::Aes192),
    ("AES-256-CBC", Cipher::Aes256),
];
