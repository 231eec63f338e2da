//! Checks that an encrypted session key has exactly the format of its algorithm (RFC 9580, sections 5.1 and 5.3).

/// Whether `body` is a session key encrypted to a public key.
pub(super) fn is_for_a_key(body: &[u8]) -> bool {
    let encrypted = match body {
        // A key ID.
        [3, rest @ ..] => rest.split_at_checked(8).map(|(_, rest)| rest),
        // Length, version and fingerprint of the key, or a zero length for a hidden recipient.
        [6, 0, rest @ ..] => Some(rest),
        [6, 21, 4, rest @ ..] => rest.split_at_checked(20).map(|(_, rest)| rest),
        [6, 33, 6, rest @ ..] => rest.split_at_checked(32).map(|(_, rest)| rest),
        _ => None,
    };
    let Some((algorithm, fields)) = encrypted.and_then(<[u8]>::split_first) else { return false };
    let rest = match algorithm {
        // RSA; ElGamal.
        1 | 2 => integer(fields),
        16 => integer(fields).and_then(integer),
        // ECDH; X25519; X448.
        18 => integer(fields).and_then(counted),
        25 => fields.get(32..).and_then(counted),
        26 => fields.get(56..).and_then(counted),
        // ML-KEM-768+X25519; ML-KEM-1024+X448 (RFC 9980, section 4.3.1). Version 3 names a cipher of AES.
        35 => fields
            .get(32 + 1_088..)
            .filter(|rest| body.first() != Some(&3) || matches!(rest, [_, 7..=9, ..]))
            .and_then(counted),
        36 => fields.get(56 + 1_568..).filter(|_| body.first() != Some(&3)).and_then(counted),
        _ => None,
    };
    rest.is_some_and(<[u8]>::is_empty)
}

/// Whether `body` is a session key encrypted to a password.
pub(super) fn is_for_a_password(body: &[u8]) -> bool {
    match body {
        // The session key is derived from the password, or follows with the octet of its cipher.
        [4, cipher, rest @ ..] => {
            let key = string_to_key(rest);
            CIPHERS.contains(cipher) && key.is_some_and(|key| key.is_empty() || (17..=33).contains(&key.len()))
        }
        [6, _, cipher, aead, length, rest @ ..] => {
            let split = rest.split_at_checked(usize::from(*length));
            CIPHERS.contains(cipher)
                && AEADS.contains(aead)
                && split.is_some_and(|(method, rest)| {
                    // Nonce, key and tag.
                    string_to_key(method).is_some_and(<[u8]>::is_empty)
                        && (12 + 16 + 16..=16 + 32 + 16).contains(&rest.len())
                })
        }
        _ => false,
    }
}

/// The octets after a string-to-key specifier (RFC 9580, section 3.7.1).
fn string_to_key(octets: &[u8]) -> Option<&[u8]> {
    let length = match octets.first()? {
        0 => 2,
        1 => 10,
        3 => 11,
        4 => 20,
        _ => return None,
    };
    octets.get(length..)
}

/// The octets after a multiprecision integer without leading zero bits (RFC 9580, section 3.2).
fn integer(octets: &[u8]) -> Option<&[u8]> {
    let (bits, rest) = octets.split_first_chunk::<2>()?;
    let bits = usize::from(u16::from_be_bytes(*bits));
    let (value, rest) = rest.split_at_checked(bits.div_ceil(8))?;
    let first = value.first()?;
    ((u8::BITS - first.leading_zeros()) as usize == (bits - 1) % 8 + 1).then_some(rest)
}

/// The octets after a length octet and that many octets.
fn counted(octets: &[u8]) -> Option<&[u8]> {
    let (length, rest) = octets.split_first()?;
    rest.get(usize::from(*length)..)
}

/// Encryption algorithms (RFC 9580, section 9.3). 0 is plaintext, 5 and 6 are reserved.
pub(super) const CIPHERS: [u8; 11] = [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13];
/// EAX, OCB, GCM (section 9.6).
pub(super) const AEADS: [u8; 3] = [1, 2, 3];
