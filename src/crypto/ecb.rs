//! Electronic codebook: block by block, for keys and digests under an interchange key (RFC 1423, sections 3.1 and 3.2).

use super::{
    Cipher,
    cbc::{decrypt_blocks, encrypt_blocks},
};
use crate::base::Secret;

/// Encrypts whole blocks. `None` when key or data do not have their lengths.
pub fn ecb_encrypt(cipher: Cipher, key: &Secret, data: &[u8]) -> Option<Vec<u8>> {
    each_block(cipher, data, |iv, block| encrypt_blocks(cipher, key, iv, block))
}

/// Decrypts whole blocks. `None` when key or data do not have their lengths.
pub fn ecb_decrypt(cipher: Cipher, key: &Secret, data: &[u8]) -> Option<Secret> {
    each_block(cipher, data, |iv, block| decrypt_blocks(cipher, key, iv, block)).map(Secret::new)
}

/// One block under a vector of zeros is what this mode does.
fn each_block(cipher: Cipher, data: &[u8], mut work: impl FnMut(&[u8], &mut [u8]) -> Option<()>) -> Option<Vec<u8>> {
    let length = cipher.block_length();
    let mut octets = data.to_vec();
    let iv = vec![0; length];
    octets.chunks_mut(length).try_for_each(|block| work(&iv, block))?;
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 81, table B1: `Now is the time for all ` under 0123456789abcdef.
    #[test]
    fn the_example_of_fips_81() {
        let key = Secret::new(vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        let encrypted = ecb_encrypt(Cipher::Des, &key, b"Now is the time for all ").unwrap();
        let expected = [
            0x3f, 0xa4, 0x0e, 0x8a, 0x98, 0x4d, 0x48, 0x15, 0x6a, 0x27, 0x17, 0x87, 0xab, 0x88, 0x83, 0xf9, 0x89, 0x3d,
            0x51, 0xec, 0x4b, 0x56, 0x3b, 0x53,
        ];
        assert_eq!(encrypted, expected);
        assert_eq!(ecb_decrypt(Cipher::Des, &key, &encrypted).unwrap().expose(), b"Now is the time for all ");
        assert_eq!(ecb_encrypt(Cipher::Des, &key, b"no"), None);
    }
}
