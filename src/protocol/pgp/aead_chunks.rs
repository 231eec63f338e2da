//! Chunks that are authenticated one by one, in a container of version 2 (RFC 9580, section 5.13.2) and in LibrePGP's packet 20.

use sequoia_openpgp::crypto::aead::DecryptionContext;

/// What a context is for.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// The chunk with this number.
    Chunk(u64),
    /// The tag behind so many chunks, over the length of them all.
    End { chunks: u64, length: u64 },
}

/// Decrypts the chunks in `octets` from `start` on, of which all but the last have `size` octets of plaintext, and puts the whole plaintext in the place of
/// `octets`; `None` if one of them or the final tag does not hold. `context` makes what opens each.
///
/// It goes on behind a chunk that does not hold. A session key that is wrong fails at the first one, and a change at its place: the time would show which
/// of them it was. So each chunk is decrypted beside the octets and copied back. Where the first one did not hold that is the ciphertext, which another
/// key may open. What is left behind a right key and a change is for no key.
pub(super) fn open(
    octets: &mut Vec<u8>,
    start: usize,
    size: usize,
    context: impl Fn(Place) -> Option<DecryptionContext>,
) -> Option<()> {
    let sealed = octets.get_mut(start..)?;
    let (chunks, last) = sealed.split_at_mut_checked(sealed.len().checked_sub(TAG)?)?;
    let step = size.checked_add(TAG)?;
    // One octet at least, and its tag.
    if chunks.chunks(step).any(|chunk| chunk.len() <= TAG) {
        return None;
    }
    let room = step.min(chunks.len());
    let (mut sealed, mut plain) = (Vec::with_capacity(room), vec![0; room]);
    let (mut count, mut length) = (0, 0);
    let (mut is_key, mut is_whole) = (false, true);
    for chunk in chunks.chunks_mut(step) {
        sealed.clear();
        sealed.extend_from_slice(chunk);
        let plain = plain.get_mut(..chunk.len() - TAG)?;
        let holds = context(Place::Chunk(count))?.decrypt_verify(plain, &sealed).is_ok();
        is_key |= count == 0 && holds;
        is_whole &= holds;
        let kept: &[u8] = if is_key { plain } else { sealed.get(..plain.len())? };
        chunk.get_mut(..kept.len())?.copy_from_slice(kept);
        count += 1;
        length += kept.len();
    }
    let end = Place::End { chunks: count, length: u64::try_from(length).ok()? };
    is_whole &= context(end)?.decrypt_verify(&mut [], last).is_ok();
    is_whole.then(|| close_up(octets, start, step, length))
}

/// Moves the plaintexts together, over what stands before the first of them and over the tags.
fn close_up(octets: &mut Vec<u8>, start: usize, step: usize, length: usize) {
    let (mut from, mut to) = (start, 0);
    while to < length {
        let count = (step - TAG).min(length - to);
        octets.copy_within(from..from + count, to);
        (from, to) = (from + step, to + count);
    }
    octets.truncate(length);
}

/// Length in octets of a tag in each mode: EAX, OCB and GCM.
pub(super) const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sequoia_openpgp::{
        crypto::SessionKey,
        types::{AEADAlgorithm, SymmetricAlgorithm},
    };

    use super::*;

    const SIZE: usize = 64;

    fn builder<T>(place: Place, of: impl FnOnce(sequoia_openpgp::crypto::aead::Builder<'_>) -> T) -> T {
        let (number, data) = match place {
            Place::Chunk(number) => (number, Vec::new()),
            Place::End { chunks, length } => (chunks, length.to_be_bytes().to_vec()),
        };
        let nonce = [&[7; 7][..], &number.to_be_bytes()].concat();
        let key = SessionKey::from(vec![1; 32]);
        of(AEADAlgorithm::OCB.context(SymmetricAlgorithm::AES256, &key, &data, &nonce).unwrap())
    }

    fn sealed(text: &[u8]) -> Vec<u8> {
        let one = |place: Place, text: &[u8]| {
            let mut sealed = vec![0; text.len() + TAG];
            builder(place, |builder| builder.for_encryption().unwrap().encrypt_seal(&mut sealed, text).unwrap());
            sealed
        };
        let chunks: Vec<&[u8]> = text.chunks(SIZE).collect();
        let mut all: Vec<u8> = (0..).zip(&chunks).flat_map(|(number, text)| one(Place::Chunk(number), text)).collect();
        let (chunks, length) = (u64::try_from(chunks.len()).unwrap(), u64::try_from(text.len()).unwrap());
        all.extend(one(Place::End { chunks, length }, &[]));
        all
    }

    /// The plaintext, and how many chunks and tags were opened on the way.
    fn opened(sealed: &[u8]) -> (Option<Vec<u8>>, usize) {
        let places = RefCell::new(0);
        // Something stands before the chunks, as in packet 20.
        let mut octets = [&[0xee; 19], sealed].concat();
        let opened = open(&mut octets, 19, SIZE, |place| {
            *places.borrow_mut() += 1;
            builder(place, |builder| builder.for_decryption().ok())
        });
        (opened.map(|()| octets), places.into_inner())
    }

    #[test]
    fn another_key_leaves_the_ciphertext_for_the_right_one() {
        let text: Vec<u8> = (0..=255).cycle().take(5 * SIZE + 9).collect();
        let whole = sealed(&text);
        let mut octets = whole.clone();
        let other = |place: Place| {
            let number = if let Place::Chunk(number) = place { number } else { 0 };
            let nonce = [&[8; 7][..], &number.to_be_bytes()].concat();
            let key = SessionKey::from(vec![2; 32]);
            AEADAlgorithm::OCB.context(SymmetricAlgorithm::AES256, &key, &[], &nonce).ok()?.for_decryption().ok()
        };
        assert_eq!(open(&mut octets, 0, SIZE, other), None);
        assert!(octets == whole);
        let right = |place: Place| builder(place, |builder| builder.for_decryption().ok());
        assert_eq!(open(&mut octets, 0, SIZE, right), Some(()));
        assert!(octets == text);
    }

    #[test]
    fn each_chunk_is_decrypted_whatever_is_wrong_before_it() {
        let text: Vec<u8> = (0..=255).cycle().take(5 * SIZE + 9).collect();
        let whole = sealed(&text);
        assert_eq!(opened(&whole), (Some(text.clone()), 7));
        for at in [0, SIZE + 3, 2 * (SIZE + TAG) + 5, whole.len() - TAG - 1, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&changed), (None, 7), "{at}");
        }
    }

    #[test]
    fn what_is_cut_short_exchanged_or_longer_does_not_open() {
        let text = [9; 3 * SIZE];
        let whole = sealed(&text);
        let one = SIZE + TAG;
        let exchanged = [&whole[one..2 * one], &whole[..one], &whole[2 * one..]].concat();
        for changed in [&whole[..whole.len() - one], &whole[..3 * one], &whole[one..], &exchanged, &whole[..TAG - 1]] {
            assert_eq!(opened(changed).0, None);
        }
        assert_eq!(opened(&[&whole[..], &[0]].concat()).0, None);
        assert_eq!(opened(&sealed(&[])).0, Some(Vec::new()));
    }
}
