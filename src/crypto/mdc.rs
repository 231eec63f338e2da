//! Symmetrically Encrypted and Integrity Protected Data, version 1 (RFC 9580, section 5.13.1): CFB with a digest at its end.
//!
//! It is decrypted to the end before anything is known of it: neither the two repeated octets of the prefix (Mister, Zuccherato 2005) nor
//! what the plaintext looks like (Maury et al. 2015) changes what is answered or how long it takes.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Cipher, Hash, cipher::Direction, undecipherable};
use crate::base::{Error, Result, Secret};

/// Decrypts `data` in place, and cuts the random prefix and the modification detection code off.
///
/// # Errors
///
/// `Malformed` says that there is too little data for any key, or that `cipher` has no number in OpenPGP. What this key does not decrypt is one error
/// of kind `NoKey`, whatever is wrong with it, and leaves `data` as it was, for another key. A key of the wrong length is replaced first, so that it takes
/// as long to fail as any other.
pub fn mdc_decrypt(cipher: Cipher, key: &Secret, data: &mut Vec<u8>) -> Result<()> {
    let (block, prefix) = (cipher.block_length(), cipher.block_length() + 2);
    let Some(end) = data.len().checked_sub(HEADER.len() + DIGEST).filter(|end| *end >= prefix) else {
        return Err(Error::malformed("encrypted data", "shorter than its random prefix and its check"));
    };
    let iv = vec![0; block];
    let cfb = |key: &[u8]| cipher.cfb(Direction::Decrypt, key, &iv);
    let (fitting, substitute) = (cfb(key.expose()), cfb(&vec![0; cipher.key_length()]));
    let is_key = fitting.is_some();
    let unknown = || Error::malformed("encrypted data", format!("{cipher} is no cipher of openpgp"));
    // Checked beside the data, and decrypted in its place after that: decrypting once more takes less memory than a copy, and no more time.
    let mut checking = fitting.or(substitute).ok_or_else(unknown)?;
    let covered = end + HEADER.len();
    let mut digester = Hash::Sha1.digester();
    let mut plain = Zeroizing::new(vec![0; data.len().min(PIECE)]);
    let mut tail = Zeroizing::new(Vec::with_capacity(HEADER.len() + DIGEST));
    let mut at = 0;
    for piece in data.chunks(PIECE) {
        let plain = &mut plain[..piece.len()];
        plain.copy_from_slice(piece);
        checking.apply(plain);
        digester.update(&plain[..covered.saturating_sub(at).min(piece.len())]);
        tail.extend_from_slice(&plain[end.saturating_sub(at).min(piece.len())..]);
        at += piece.len();
    }
    let (header, digest) = tail.split_at(HEADER.len());
    let holds = header.ct_eq(&HEADER) & digest.ct_eq(digester.finish().as_slice());
    if !is_key || !bool::from(holds) {
        return Err(undecipherable());
    }
    let mut decrypting = cfb(key.expose()).ok_or_else(undecipherable)?;
    data.chunks_mut(PIECE).for_each(|piece| decrypting.apply(piece));
    data.truncate(end);
    data.drain(..prefix);
    Ok(())
}

/// The header of the packet that holds the digest (RFC 9580, section 5.13.1).
const HEADER: [u8; 2] = [0xd3, 0x14];

/// Octets of SHA-1.
const DIGEST: usize = 20;

/// Octets decrypted and hashed while they are in the processor's cache.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, unhex};

    /// Made by `printf 'legacy text' | gpg --s2k-mode 0 --passphrase x -z 0 --cipher-algo NAME -c` (2.2.40), the octets after the packet's
    /// header and version. The key is that of `cipher.rs`.
    const GNUPG: [(Cipher, &str); 7] = [
        (
            Cipher::Aes256,
            "aae787dddd8bde5ae7a5e8e4a8c3788a083264801e54443e07025999f98f74a0aad30a2a588119da278c9dddba32732b06a2323ee68c0efe0849ae",
        ),
        (
            Cipher::Blowfish,
            "cb3328965716093cd2d4e38ab4c3c3d13e2747a1c1635717a64b0ca85aae8e43ed93874f15d34afbac172fbe009d66bd8720af",
        ),
        (
            Cipher::Camellia128,
            "e210645d670b353352a6c07d6247fc3b81307e867b32272cc2a226cbbc5cadddd2d94e02a1fed81ee13dc5bd89514ef5cefc55b774ae5073f9a042",
        ),
        (
            Cipher::Cast5,
            "239562d44891cfa91cc66a7dbdf7267c1e27b3269eaa80b45262cf9e157492ea6401ad78254bffc72e9064ead427acee26d225",
        ),
        (
            Cipher::Idea,
            "9001d7c36636bcdc2134e354448b26451858344153cc3fbdf763153bc8bcca95563887b60faf377e948ce1b1bd0f3349549b05",
        ),
        (
            Cipher::TripleDes,
            "6709fd6e2363baae3c72326a9419bfe09b8a5662e6daf594bd6761fa18bba1b03a1d3847dee5341addfbbb6eee075ad4d83896",
        ),
        (
            Cipher::Twofish,
            "51b4e12db24e7bd25b81f452f5c816f6e55a077a6d60959d3b5fa55edb41f9f4e484da9f4efe5b86c94127a0d3f1e908597b8209d3a2bb5872ebe8",
        ),
    ];
    const KEY: &str = "11F6AD8EC52A2984ABAAFD7C3B516503785C2072B91DF3642BD3697A1EC6B8CC";

    fn key(cipher: Cipher) -> Secret {
        Secret::new(unhex(KEY)[..cipher.key_length()].to_vec())
    }

    #[test]
    fn what_gnupg_wrote_is_read() {
        for (cipher, hex) in GNUPG {
            let mut data = unhex(hex);
            mdc_decrypt(cipher, &key(cipher), &mut data).unwrap();
            // A literal data packet: new format, 17 octets, binary, no name, a date.
            assert_eq!(data[..4], [0xcb, 17, b'b', 0], "{cipher}");
            assert_eq!(&data[8..], b"legacy text", "{cipher}");
        }
    }

    #[test]
    fn every_changed_octet_and_every_wrong_key_is_one_answer() {
        for (cipher, hex) in GNUPG {
            let sealed = unhex(hex);
            let failed = |key: &Secret, data: &[u8]| {
                let mut tried = data.to_vec();
                let error = mdc_decrypt(cipher, key, &mut tried).unwrap_err();
                // Another key may open it.
                assert_eq!(tried, data);
                (error.kind(), error.to_string())
            };
            let one = (Kind::NoKey, "encrypted content: this key does not decrypt it".to_owned());
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(failed(&key(cipher), &changed), one, "{cipher} {at}");
            }
            assert_eq!(failed(&Secret::new(vec![7; cipher.key_length()]), &sealed), one);
            assert_eq!(failed(&Secret::new(vec![7; 5]), &sealed), one);
            let mut short = vec![0; cipher.block_length() + 23];
            assert_eq!(mdc_decrypt(cipher, &key(cipher), &mut short).unwrap_err().kind(), Kind::Malformed);
        }
    }
}
